"""Phase dispersion, conditional entropy and box least squares against sums written out, and on curves of every kind."""

import itertools

import numpy as np
import pytest

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.kernels.periods.second_opinions import box_least_squares, conditional_entropy, phase_dispersion

METHODS = (phase_dispersion, conditional_entropy, box_least_squares)
FREQUENCIES = np.array([0.31, 0.8, 1.234])


def star(seed=0, sizes=(25, 0, 14, 1), frequency=0.8):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    t = 60000 + rng.uniform(0, 200, offsets[-1])
    x = 17 + np.repeat(np.arange(len(sizes)), sizes) + 0.4 * (np.abs((frequency * t) % 1 - 0.5) < 0.08)
    return t, x + rng.normal(0, 0.02, t.size), rng.uniform(0.01, 0.04, t.size), offsets


def bands_of(t, x, e, offsets):
    return [(t[a:b] - t.min(), x[a:b], 1 / e[a:b] ** 2) for a, b in itertools.pairwise(offsets) if b > a]


def theta_written_out(curve, f, n_bins, n_covers):
    bands = bands_of(*curve)
    t = np.concatenate([band[0] for band in bands])
    z = []
    for _, x, w in bands:
        centred = x - np.average(x, weights=w)
        scatter = np.sqrt(np.average(centred**2, weights=w))
        z.append(centred / scatter if np.ptp(x) > 0 else 0 * centred)
    z, thetas = np.concatenate(z), []
    for cover in range(n_covers):
        bins = (((f * t + cover / (n_covers * n_bins)) % 1) * n_bins).astype(int)
        groups = [z[bins == j] for j in range(n_bins) if (bins == j).sum() > 1]
        within = sum(((g - g.mean()) ** 2).sum() for g in groups) / sum(g.size - 1 for g in groups)
        thetas.append(within / z.var(ddof=1))
    return np.mean(thetas)


def entropy_written_out(curve, f, n_bins, n_levels):
    bands = bands_of(*curve)
    counts = np.zeros((n_bins, n_levels))
    for t, x, _ in bands:
        range_ = np.ptp(x)
        levels = (
            np.minimum(((x - x.min()) / range_ * n_levels).astype(int), n_levels - 1) if range_ else np.zeros(1, int)
        )
        np.add.at(counts, (((f * t) % 1 * n_bins).astype(int), levels), 1)
    p = counts / counts.sum()
    column = p.sum(axis=1, keepdims=True)
    return sum(p[j, i] * np.log(column[j, 0] / p[j, i]) for j, i in zip(*np.nonzero(p), strict=True))


def box_written_out(curve, f, n_bins, n_widest):
    bands = [(((f * t) % 1 * n_bins).astype(int), x - np.average(x, weights=w), w) for t, x, w in bands_of(*curve)]
    variance, best = sum((w * y**2).sum() for _, y, w in bands), 0.0
    for start in range(n_bins):
        for width in range(1, n_widest + 1):
            gain = 0.0
            for bins, y, w in bands:
                inside = np.isin(bins, (start + np.arange(width)) % n_bins)
                if inside.any() and not inside.all():
                    low, high = w[inside].sum(), w[~inside].sum()
                    gain += (w[inside] * y[inside]).sum() ** 2 * w.sum() / (low * high)
            best = max(best, gain)
    return best / variance


@pytest.mark.parametrize(
    ("method", "oracle", "sizes"),
    [
        (phase_dispersion, theta_written_out, (8, 3)),
        (conditional_entropy, entropy_written_out, (10, 5)),
        (box_least_squares, box_written_out, (20, 4)),
    ],
)
def test_each_is_what_its_formula_says(method, oracle, sizes):
    curves = [star(0), star(1, (12, 30, 2, 0))]
    parts = [np.concatenate([c[k] for c in curves]) for k in range(3)]
    offsets = np.concatenate([curves[0][3], curves[0][3][-1] + curves[1][3][1:]])
    found = method(*parts, offsets, 4, FREQUENCIES, *sizes)

    expected = [[oracle(curve, f, *sizes) for f in FREQUENCIES] for curve in curves]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_each_prefers_the_period_to_its_neighbours(method):
    grid = 0.8 + 0.05 * np.arange(-6, 7)
    found = method(*star(3, (60, 40, 0, 50)), 4, grid)[0]

    assert (found.argmax() if method is box_least_squares else found.argmin()) == 6


@pytest.mark.parametrize("method", METHODS)
def test_each_object_may_have_frequencies_of_its_own_and_some_may_be_missing(method):
    one, two = star(4), star(5)
    parts = [np.concatenate([one[k], two[k]]) for k in range(3)]
    offsets = np.concatenate([one[3], one[3][-1] + two[3][1:]])
    found = method(*parts, offsets, 4, [[0.8, np.nan], [0.5, 0.6]])

    assert found[0, 0] == method(*one, 4, [0.8])[0, 0]
    assert np.isnan(found[0, 1])
    assert found[1].tolist() == method(*two, 4, [0.5, 0.6])[0].tolist()


@pytest.mark.parametrize("method", METHODS)
def test_what_has_no_scatter_or_no_epochs_has_no_opinion(method):
    t = np.array([0.0, 0.0, 1.0])
    same = method(t, np.ones(3), np.ones(3), [0, 3], 1, [0.8])
    empty = method([], [], [], [0, 0], 1, [0.8])
    single = method([1.0], [1.0], [1.0], [0, 1], 1, [0.8])

    assert np.isnan(same).all() or (method is conditional_entropy and same[0, 0] == 0.0)
    assert np.isnan(empty).all()
    assert np.isnan(single).all()
    assert np.isfinite(method(np.zeros(4), np.arange(4.0), np.ones(4), [0, 4], 1, [0.8])).all()


@pytest.mark.parametrize("method", METHODS)
def test_values_in_single_precision_and_another_unit_say_the_same(method):
    t, x, e, offsets = star(6)
    found = method(t, x, e, offsets, 4, FREQUENCIES)

    np.testing.assert_allclose(method(t, 1e3 * x, 1e3 * e, offsets, 4, FREQUENCIES), found, rtol=1e-6)
    np.testing.assert_allclose(
        method(t, (x - 17).astype(np.float32), e.astype(np.float32), offsets, 4, FREQUENCIES), found, rtol=1e-3
    )


def test_arguments_that_do_not_fit_are_refused():
    curve = star(7)
    with pytest.raises(InputError, match="4 curves are not those of objects with 3 bands"):
        phase_dispersion(*curve, 3, FREQUENCIES)
    with pytest.raises(InputError, match=r"shape \(2, 1\) do not fit 1 objects"):
        phase_dispersion(*curve, 4, [[0.8], [0.7]])
    with pytest.raises(PlanError, match="2 bins or more"):
        conditional_entropy(*curve, 4, FREQUENCIES, 1)
    with pytest.raises(InputError, match="do not fit offsets"):
        box_least_squares(curve[0][:-1], *curve[1:], 4, FREQUENCIES)


@pytest.mark.parametrize("method", METHODS)
def test_epochs_without_a_phase_are_refused_and_frequencies_without_one_give_nothing(method):
    t, x, e, offsets = star(8)
    plain, endless = method(t, x, e, offsets, 4, [0.8, 1e308])[0]
    t[3] = np.nan

    assert np.isfinite(plain)
    assert np.isnan(endless)
    with pytest.raises(InputError, match=r"epoch 3 has the time nan.*leave such epochs out"):
        method(t, x, e, offsets, 4, FREQUENCIES)
