"""Power laws in structure functions against sums over all pairs in plain numpy, one curve at a time."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from lsdb_ts.kernels.curves.power_law import structure_power_law


def all_pairs(t, x, e):
    i, j = np.triu_indices(len(t), 1)
    return t[j] - t[i], x[j] - x[i], e[i] ** 2 + e[j] ** 2


def fit_edges():
    return 10.0 ** np.arange(np.log10(5.0), 2.6, 0.1)


def long_curves(seed=0, n_curves=20, sizes=(20, 90), whole_days=False):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(*sizes, n_curves)
    t = np.concatenate([np.sort(rng.uniform(0, 900, n)) for n in sizes])
    t = np.floor(t) if whole_days else t
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    e = rng.uniform(0.01, 0.05, t.size)
    x = np.empty(t.size)
    for a, b in itertools.pairwise(offsets):
        steps = np.sqrt(np.diff(t[a:b], prepend=t[a]) / 365) * 0.3
        x[a:b] = 19 + np.cumsum(steps * rng.normal(size=b - a)) + e[a:b] * rng.normal(size=b - a)
    return t, x, e, offsets


def cost_of(t, x, e):
    """Return the cost of logarithm of amplitude and exponent, as a function."""
    lag, d, v = all_pairs(t, x, e)
    bins = [(lag >= low) & (lag < high) & (lag <= 365) for low, high in itertools.pairwise(fit_edges())]
    bins = [inside for inside in bins if inside.any()]
    n = np.array([inside.sum() for inside in bins])
    log_lag = np.log([lag[inside].mean() / 365.25 for inside in bins])
    q, v = (np.array([part[inside].mean() for inside in bins]) for part in (d**2, v))

    def cost(p):
        total = np.exp(2 * (p[0] + p[1] * log_lag)) + v
        return np.sum(n * (np.log(total) + q / total))

    return cost


@pytest.mark.parametrize("whole_days", [False, True])
def test_the_likelihood_of_the_power_law_is_highest_where_it_is_said_to_be(whole_days):
    t, x, e, offsets = long_curves(whole_days=whole_days)
    assert whole_days == (np.diff(t) == 0).any()
    amplitude, gamma = structure_power_law(t, x, e, offsets)

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        cost = cost_of(t[a:b], x[a:b], e[a:b])
        best = minimize(cost, [np.log(0.3), 0.5], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
        assert -1 < best.x[1] < 3
        np.testing.assert_allclose([np.log(amplitude[c]), gamma[c]], best.x, atol=1e-6)


def test_where_the_exponent_is_at_a_limit_the_amplitude_is_still_the_best():
    t, x, e, offsets = long_curves(7, 1000, sizes=(5, 9))
    amplitude, gamma = structure_power_law(t, x, e, offsets)
    limited = np.flatnonzero(np.isin(gamma, (-1.0, 3.0)) & (amplitude > 0))

    assert limited.size > 10
    for c in limited:
        cost = cost_of(*(part[offsets[c] : offsets[c + 1]] for part in (t, x, e)))
        at = np.log(amplitude[c])
        best = minimize_scalar(lambda a, c=c, cost=cost: cost([a, gamma[c]]), bounds=(at - 5, at + 5), method="bounded")
        assert cost([at, gamma[c]]) <= best.fun + 1e-6
        # Further in it gets worse.
        assert cost([at, gamma[c]]) <= cost([at, gamma[c] - 1e-3 * np.sign(gamma[c])])


def test_a_random_walk_has_an_exponent_of_a_half_and_white_noise_none():
    t, x, e, offsets = long_curves(1, 200)
    amplitude, gamma = structure_power_law(t, x, e, offsets)
    assert np.median(gamma) == pytest.approx(0.5, abs=0.1)
    assert np.sqrt(np.mean(amplitude**2)) == pytest.approx(0.3, rel=0.15)

    noise = np.random.default_rng(2).normal(0, 0.2, t.size)
    amplitude, gamma = structure_power_law(t, noise, np.full(t.size, 0.01), offsets)
    assert np.median(amplitude) == pytest.approx(0.2 * np.sqrt(2), rel=0.1)
    assert np.median(gamma) == pytest.approx(0.0, abs=0.03)

    amplitude, gamma = structure_power_law(t, noise, np.full(t.size, 0.4), offsets)
    assert (amplitude == 0).all()
    assert np.isnan(gamma).all()


@pytest.mark.parametrize("whole_days", [False, True])
def test_the_line_through_the_logarithms_is_that_of_polyfit(whole_days):
    t, x, e, offsets = long_curves(4, whole_days=whole_days)
    amplitude, gamma = structure_power_law(t, x, e, offsets, least_squares=True)

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        lag, d, v = all_pairs(t[a:b], x[a:b], e[a:b])
        points = []
        for low, high in itertools.pairwise(fit_edges()):
            inside, middle = (lag >= low) & (lag < high) & (lag <= 365), 0.5 * (low + high) / 365
            if inside.any() and np.mean((d**2 - v)[inside]) >= 0 and 0.01 < middle <= 0.5:
                points.append((np.log10(middle), 0.5 * np.log10(np.mean((d**2 - v)[inside]))))
        slope, height = np.polyfit(*np.transpose(points), 1)
        np.testing.assert_allclose([amplitude[c], gamma[c]], [10**height, slope], rtol=1e-8)


@pytest.mark.parametrize("least_squares", [False, True])
def test_few_pairs_fit_nothing(least_squares):
    t = np.array([0.0, 1.0, 2.0, 50.0, 60000.0, 60006.0])
    offsets = np.array([0, 0, 1, 3, 4, 6])
    amplitude, gamma = structure_power_law(t, t, np.full(6, 0.1), offsets, least_squares)

    assert np.isnan(amplitude).all()
    assert np.isnan(gamma).all()


def test_a_line_is_held_within_its_limits():
    t = np.arange(0.0, 400.0, 7.0)
    zero = np.full(t.size, 1e-9)
    one = np.array([0, t.size])

    assert structure_power_law(t, 100 * t, zero, one, True)[0].item() == 15.0
    assert [f.item() for f in structure_power_law(t, 1e-5 * t, zero, one, True)] == [0.0, 0.0]
