"""Statistics against plain numpy and scipy, one curve at a time."""

import itertools

import numpy as np
import pytest
from scipy import stats

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.statistics import STATISTICS, curve_statistics, far_in_time, group_by_band, sorted_within


def brute_force(t, x, e):
    """All statistics of one curve of at least 4 epochs that varies."""
    n, w = len(x), 1 / e**2
    mean_w, s, med = np.average(x, weights=w), x.std(ddof=1), np.median(x)
    dt, dx = np.diff(t), np.diff(x)
    centre = mean_w
    for _ in range(20):
        delta = np.sqrt(n / (n - 1)) * (x - centre) / e
        weights = w / (1 + (np.abs(delta) / 2) ** 2)
        new = np.average(x, weights=weights)
        done, centre = abs(new - centre) <= 1e-6 * weights.sum() ** -0.5, new
        if done:
            break
    product = n / (n - 1) * ((x - centre) / e) ** 2 - 1
    delta = (x - mean_w) / e
    line, cov = np.polyfit(t - t.mean(), x, 1, w=1 / e, cov="unscaled")
    cusum = np.cumsum(x - x.mean()) / (n * s)
    gap_weight = 1 / np.maximum(dt, 0.5) ** 2
    quantiles = dict(
        zip(["p05", "p10", "p25", "p75", "p90", "p95"], np.percentile(x, [5, 10, 25, 75, 90, 95]), strict=True)
    )
    return quantiles | {
        "n_epochs": n, "duration": np.ptp(t), "dt_median": np.median(dt), "dt_max": dt.max(),
        "mean_w": mean_w, "mean_w_err": w.sum() ** -0.5, "mean": x.mean(), "median": med,
        "min": x.min(), "max": x.max(),
        "sigma": s, "err_mean": e.mean(), "mad": stats.median_abs_deviation(x), "iqr": stats.iqr(x),
        "amp_half": np.ptp(x) / 2, "chi2": (delta**2).sum(), "redchi2": (delta**2).sum() / (n - 1),
        "excess_var": (s**2 - (e**2).mean()) / x.mean() ** 2 if x.mean() > 0 else np.nan,
        "frac_sigma": s / mean_w if mean_w > 0 else np.nan,
        "stetson_j": (np.sign(product) * np.sqrt(np.abs(product))).mean(),
        "stetson_k": np.abs(delta).mean() / np.sqrt((delta**2).mean()),
        "skew": stats.skew(x, bias=False), "kurt_small": stats.kurtosis(x, bias=False),
        "beyond_1std": (np.abs(x - mean_w) > s).mean(), "median_brp": (np.abs(x - med) < 0.1 * np.ptp(x)).mean(),
        "max_slope": (dx[dt > 0] / dt[dt > 0]).max(), "lin_slope": line[0], "lin_slope_err": np.sqrt(cov[0, 0]),
        "eta": (dx**2).sum() / ((n - 1) * s**2), "eta_e": (gap_weight * dx**2).sum() / (s**2 * gap_weight.sum()),
        "rcs": np.ptp(cusum), "roms": (np.abs(x - med) / e).sum() / (n - 1),
    }  # fmt: skip


def one(t, x, e=None):
    t, x = np.asarray(t, dtype=float), np.asarray(x, dtype=float)
    e = np.ones_like(x) if e is None else np.asarray(e, dtype=float)
    return dict(zip(STATISTICS, curve_statistics(t, x, e, np.array([0, x.size]))[0], strict=True))


@pytest.fixture(scope="module")
def curves():
    rng = np.random.default_rng(5)
    sizes = rng.integers(4, 60, 80)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    t = np.concatenate([60000 + np.sort(rng.uniform(0, 900, n)).round(1) for n in sizes])
    e = rng.uniform(0.5, 3, t.size)
    x = np.repeat(rng.uniform(-20, 400, sizes.size), sizes) + e * rng.standard_t(3, t.size)
    return t, x, e, offsets


@pytest.mark.parametrize("name", STATISTICS)
def test_a_statistic_is_what_numpy_says(curves, name):
    t, x, e, offsets = curves
    table = curve_statistics(t, x, e, offsets)
    parts = [slice(a, b) for a, b in itertools.pairwise(offsets)]
    expected = [brute_force(t[s], x[s], e[s])[name] for s in parts]

    np.testing.assert_allclose(table[:, STATISTICS.index(name)], expected, rtol=1e-8, atol=1e-10)


def test_an_empty_curve_has_a_count_and_nothing_else():
    table = curve_statistics(np.empty(0), np.empty(0), np.empty(0), np.array([0, 0, 0]))

    assert (table[:, 0] == 0).all()
    assert np.isnan(table[:, 1:]).all()


def test_one_epoch_has_a_value_and_no_scatter():
    found = one([60000.0], [3.0], [0.5])

    assert found["mean_w"] == found["median"] == found["p05"] == found["max"] == 3.0
    assert found["mean_w_err"] == 0.5
    assert found["duration"] == 0.0
    undefined = {"dt_median", "sigma", "chi2", "redchi2", "stetson_j", "skew", "lin_slope", "eta", "rcs", "roms"}
    assert all(np.isnan(found[name]) for name in undefined)


def test_equal_values_have_no_scatter_even_where_their_mean_rounds():
    found = one(np.arange(7), np.full(7, 0.1), np.linspace(0.3, 0.7, 7))

    assert found["sigma"] == found["chi2"] == found["mad"] == found["max_slope"] == 0.0
    assert all(
        np.isnan(found[name]) for name in ("skew", "kurt_small", "beyond_1std", "eta", "eta_e", "rcs", "stetson_k")
    )


@pytest.mark.parametrize("name", ["sigma", "mad", "chi2", "stetson_j", "stetson_k", "skew", "eta", "rcs", "lin_slope"])
def test_the_zero_point_does_not_matter_to_how_a_curve_varies(name):
    rng = np.random.default_rng(6)
    t, x = np.sort(rng.uniform(0, 99, 40)), np.where(np.arange(40) < 4, 60, 3) * rng.normal(size=40)
    assert one(t, x + 1e6)[name] == pytest.approx(one(t, x)[name], rel=1e-6)


def test_ratios_to_a_mean_that_is_not_positive_are_undefined():
    found = one(np.arange(5), [-3.0, -2.0, -4.0, -3.0, -1.0])

    assert np.isnan(found["excess_var"])
    assert np.isnan(found["frac_sigma"])
    assert found["sigma"] > 0


def test_epochs_at_one_time_have_no_slope():
    found = one([5.0, 5.0, 5.0], [1.0, 2.0, 3.0])

    assert all(np.isnan(found[name]) for name in ("max_slope", "lin_slope", "lin_slope_err"))
    assert np.isfinite(found["eta_e"])


def test_epochs_are_grouped_by_object_and_band_in_their_own_sequence():
    rng = np.random.default_rng(0)
    owner, band = np.sort(rng.integers(0, 9, 500)), rng.integers(-1, 4, 500).astype(np.int8)
    rows, offsets = group_by_band(owner, band, 9, 4)
    kept = np.flatnonzero(band >= 0)

    assert (rows == kept[np.lexsort((kept, band[kept], owner[kept]))]).all()
    assert (np.diff(offsets) == np.bincount(owner[kept] * 4 + band[kept], minlength=36)).all()


def test_an_absurd_epoch_is_marked_and_its_neighbours_are_not():
    times = np.array([60000.0, -2409998.5, 60010.0, 60020.0, 1.0, 2.0])

    assert far_in_time(times, np.array([0, 4, 6]), 36525.0).tolist() == [False, True, False, False, False, False]


def test_time_order_is_asked_within_curves_only():
    times = np.array([5.0, 6.0, 1.0, 2.0])

    assert sorted_within(times, np.array([0, 2, 4]))
    assert not sorted_within(times, np.array([0, 3, 4]))


def test_columns_that_do_not_fit_the_offsets_are_refused():
    t, x = np.arange(4.0), np.ones(3)
    with pytest.raises(InputError, match="do not fit offsets that end at"):
        curve_statistics(t, x, np.ones(4), np.array([0, 4]))
