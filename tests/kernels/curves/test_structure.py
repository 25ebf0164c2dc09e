"""Structure functions against sums over all pairs in plain numpy, one curve at a time."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.curves.structure import ESTIMATORS, structure_function, structure_power_law

EDGES = np.array([0.0, 0.5, 3.0, 30.0, 200.0])


def all_pairs(t, x, e):
    i, j = np.triu_indices(len(t), 1)
    return t[j] - t[i], x[j] - x[i], e[i] ** 2 + e[j] ** 2


def brute_force(t, x, e, low, high, estimator):
    lag, d, v = all_pairs(t, x, e)
    inside = (lag >= low) & (lag < high)
    lag, d, v = lag[inside], d[inside], v[inside]
    if not lag.size:
        return np.nan, np.nan, 0
    with np.errstate(invalid="ignore"):
        value = {
            "basic": np.mean(d**2 - v),
            "bauer_2009a": np.sqrt(np.mean(d**2) - np.mean(v)),
            "bauer_2009b": np.sqrt(np.pi / 2 * np.mean(np.abs(d)) ** 2 - np.mean(v)),
            "macleod_2012": 0.74 * np.subtract(*np.percentile(d, [75, 25])),
            "schmidt_2010": np.mean(np.sqrt(np.pi / 2) * np.abs(d) - np.sqrt(v)),
        }[estimator]
    return lag.mean(), value, lag.size


@pytest.fixture(scope="module")
def curves():
    """Return random walks, of one, two and no epochs, too, and times that come twice."""
    rng = np.random.default_rng(3)
    sizes = np.array([40, 0, 1, 25, 2, 60, 0, 12])
    t = np.concatenate([np.sort(rng.uniform(0, 150, n).round(1)) for n in sizes])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    e = rng.uniform(0.05, 0.4, t.size)
    x = np.concatenate([rng.normal(0, 0.3, n).cumsum() for n in sizes]) + e * rng.normal(size=t.size)
    return t, x, e, offsets


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_estimator_is_what_numpy_says_of_all_pairs(curves, estimator):
    t, x, e, offsets = curves
    lag, value, pairs = structure_function(t, x, e, offsets, EDGES, estimator)

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        for k, (low, high) in enumerate(itertools.pairwise(EDGES)):
            expected = brute_force(t[a:b], x[a:b], e[a:b], low, high, estimator)
            np.testing.assert_allclose([lag[c, k], value[c, k], pairs[c, k]], expected, rtol=1e-10, atol=1e-12)
    assert np.isnan(value[[1, 2, 6]]).all()
    assert (pairs[[1, 2, 6]] == 0).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_epochs_that_are_not_finite_are_left_out(curves, estimator):
    t, x, e, offsets = curves
    bad = np.random.default_rng(0).random(t.size) < 0.2
    spoiled = [column.copy() for column in (t, x, e)]
    for k, (column, nothing) in enumerate(zip(spoiled, (np.nan, np.inf, np.inf), strict=True)):
        column[bad & (np.arange(t.size) % 3 == k)] = nothing
    kept = np.concatenate([[0], np.cumsum(~bad)])[offsets]

    found = structure_function(*spoiled, offsets, EDGES, estimator)
    expected = structure_function(t[~bad], x[~bad], e[~bad], kept, EDGES, estimator)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_single_precision_and_lists_are_taken(curves):
    t, x, e, offsets = curves
    short = [column.astype(np.float32) for column in (t, x, e)]
    found = structure_function(*short, offsets, EDGES.tolist(), "schmidt_2010")
    expected = structure_function(*(c.astype(np.float64) for c in short), offsets, EDGES, "schmidt_2010")

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_noise_has_no_structure_and_may_have_a_negative_square():
    rng = np.random.default_rng(1)
    t, x = np.sort(rng.uniform(0, 100, 400)), rng.normal(0, 0.5, 400)
    _, square, _ = structure_function(t, x, np.full(400, 0.55), np.array([0, 400]), [1.0, 90.0], "basic")
    _, value, _ = structure_function(t, x, np.full(400, 0.55), np.array([0, 400]), [1.0, 90.0], "bauer_2009a")

    assert square[0, 0] < 0
    assert np.isnan(value[0, 0])


def test_what_makes_no_sense_is_refused():
    one = np.arange(3.0)
    with pytest.raises(InputError, match='did you mean "schmidt_2010"'):
        structure_function(one, one, one, np.array([0, 3]), [0, 1], "schmidt2010")
    with pytest.raises(InputError, match="increasing and not negative"):
        structure_function(one, one, one, np.array([0, 3]), [1, 1])
    with pytest.raises(InputError, match="increasing and not negative"):
        structure_function(one, one, one, np.array([0, 3]), [-1, 1])
    with pytest.raises(InputError, match="not sorted by time"):
        structure_function(one[::-1], one, one, np.array([0, 3]), [0, 1])
    with pytest.raises(InputError, match="do not fit offsets"):
        structure_function(one, one, one, np.array([0, 4]), [0, 1])


def fit_edges():
    return 10.0 ** np.arange(np.log10(5.0), 2.6, 0.1)


def long_curves(seed=0, n_curves=20):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(20, 90, n_curves)
    t = np.concatenate([np.sort(rng.uniform(0, 900, n)) for n in sizes])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    e = rng.uniform(0.01, 0.05, t.size)
    x = np.empty(t.size)
    for a, b in itertools.pairwise(offsets):
        steps = np.sqrt(np.diff(t[a:b], prepend=t[a]) / 365) * 0.3
        x[a:b] = 19 + np.cumsum(steps * rng.normal(size=b - a)) + e[a:b] * rng.normal(size=b - a)
    return t, x, e, offsets


def test_the_likelihood_of_the_power_law_is_highest_where_it_is_said_to_be():
    t, x, e, offsets = long_curves()
    amplitude, gamma = structure_power_law(t, x, e, offsets)

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        lag, d, v = all_pairs(t[a:b], x[a:b], e[a:b])
        bins = [(lag >= low) & (lag < high) & (lag <= 365) for low, high in itertools.pairwise(fit_edges())]
        bins = [inside for inside in bins if inside.any()]
        n = np.array([inside.sum() for inside in bins])
        log_lag = np.log([lag[inside].mean() / 365.25 for inside in bins])
        q, v = (np.array([part[inside].mean() for inside in bins]) for part in (d**2, v))

        def cost(p, n=n, log_lag=log_lag, q=q, v=v):
            total = np.exp(2 * (p[0] + p[1] * log_lag)) + v
            return np.sum(n * (np.log(total) + q / total))

        best = minimize(cost, [np.log(0.3), 0.5], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9})
        assert -1 < best.x[1] < 3
        np.testing.assert_allclose([np.log(amplitude[c]), gamma[c]], best.x, atol=2e-4)


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


def test_the_line_through_the_logarithms_is_that_of_polyfit():
    t, x, e, offsets = long_curves(4)
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
