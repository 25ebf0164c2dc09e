"""Statistics against plain numpy and scipy, one curve at a time."""

import itertools

import numpy as np
import pytest
from scipy import stats

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.curves.grouping import far_in_time, group_by_band, usable
from lsdb_ts.kernels.curves.ranked import sort_into
from lsdb_ts.kernels.curves.statistics import STATISTICS, curve_statistics, sorted_within


def quantile(x, q, rule="linear"):
    return np.quantile(x, q, method=rule)


def anderson_darling(x):
    z, n = np.sort((x - x.mean()) / x.std(ddof=1)), len(x)
    i = np.arange(1, n + 1)
    return -n - ((2 * i - 1) * (stats.norm.logcdf(z) + stats.norm.logsf(z[::-1]))).sum() / n


def otsu(x):
    """The split of all with the largest variance between its groups."""
    ranked = np.sort(x)
    splits = [(ranked[:k], ranked[k:]) for k in range(1, len(x)) if ranked[k] > ranked[k - 1]]
    low, high = max(splits, key=lambda s: s[0].size * s[1].size * (s[1].mean() - s[0].mean()) ** 2)
    spread = [part.std(ddof=1) if part.size > 1 else np.nan for part in (low, high)]
    return high.mean() - low.mean(), *spread, low.size / len(x)


def runs_of_three(mask):
    return sum(mask[i] and mask[i + 1] and mask[i + 2] for i in range(len(mask) - 2)) / (len(mask) - 2)


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
        done, centre = abs(new - centre) <= 1e-8 * weights.sum() ** -0.5, new
        if done:
            break
    product = n / (n - 1) * ((x - centre) / e) ** 2 - 1
    delta = (x - mean_w) / e
    line, cov = np.polyfit(t - t.mean(), x, 1, w=1 / e, cov="unscaled")
    cusum = np.cumsum(x - x.mean()) / n
    gap_weight = 1 / np.maximum(dt, 0.5) ** 2
    percentiles = {f"p{q:02d}": np.percentile(x, q) for q in (5, 10, 25, 75, 90, 95)}
    tail, ranked = int(np.ceil(n / 20)), np.sort(x)
    low, high = np.percentile(x, [3, 97])
    a2, positive = anderson_darling(x), lambda ratio, by: ratio / by if by > 0 else np.nan
    shares = {"20": 0.4, "35": 0.325, "50": 0.25, "65": 0.175, "80": 0.1}
    for end, rule in (("", "linear"), ("_light_curve", "hazen")):
        width = quantile(x, 0.95, rule) - quantile(x, 0.05, rule)
        percentiles[f"percent_diff_fp{end}"] = positive(width, med)
        percentiles[f"iqr{end}"] = quantile(x, 0.75, rule) - quantile(x, 0.25, rule)
        for share, q in shares.items():
            percentiles[f"fpr_mid{share}{end}"] = (quantile(x, 1 - q, rule) - quantile(x, q, rule)) / width
    last = np.diff(x[-30:])
    with np.errstate(divide="ignore", invalid="ignore"):
        bare = 1 / dt**2
        eta_e_alerce = (bare * dx**2).sum() / (x.var() * bare.sum())
        eta_e_light_curve = np.ptp(t) ** 2 / (n - 1) ** 3 * ((dx / dt) ** 2).sum() / s**2
    far_w = np.sqrt(((x - mean_w) ** 2).sum() / (n - 1))
    return percentiles | dict(zip(_OTSU, otsu(x), strict=True)) | {
        "n_epochs": n, "t_first": t[0], "t_last": t[-1], "duration": np.ptp(t),
        "dt_median": np.median(dt), "dt_max": dt.max(),
        "mean_w": mean_w, "mean_w_err": w.sum() ** -0.5, "mean": x.mean(), "median": med,
        "min": x.min(), "max": x.max(), "sigma": s, "sigma_alerce": x.std(), "err_mean": e.mean(),
        "mad": stats.median_abs_deviation(x), "amplitude": np.ptp(x) / 2, "amplitude_richards11": np.ptp(x),
        "amplitude_alerce": (np.median(ranked[-tail:]) - np.median(ranked[:tail])) / 2,
        "percent_amplitude": positive(np.abs(x - med).max(), med),
        "percent_amplitude_light_curve": np.abs(x - med).max(),
        "median_brp": (np.abs(x - med) < 0.1 * np.ptp(x)).mean(),
        "median_brp_light_curve": (np.abs(x - med) < 0.05 * np.ptp(x)).mean(),
        "gskew": np.median(x[x <= low]) + np.median(x[x >= high]) - 2 * med,
        "roms": (np.abs(x - med) / e).sum() / (n - 1),
        "chi2": (delta**2).sum(), "redchi2": (delta**2).sum() / (n - 1),
        "chi2_mean": (((x - x.mean()) / e) ** 2).sum(), "excess_var_raw": s**2 - (e**2).mean(),
        "excess_var": (s**2 - (e**2).mean()) / x.mean() ** 2 if x.mean() > 0 else np.nan,
        "excess_var_alerce": ((x - x.mean()) ** 2 - e**2).sum() / (n * x.mean() ** 2) if x.mean() > 0 else np.nan,
        "frac_sigma": positive(s, mean_w), "frac_sigma_light_curve": positive(s, x.mean()),
        "frac_sigma_alerce": positive(x.std(), x.mean()),
        "stetson_j": (np.sign(product) * np.sqrt(np.abs(product))).mean(),
        "stetson_k": np.abs(delta).mean() / np.sqrt((delta**2).mean()),
        "skew": stats.skew(x, bias=False), "skew_alerce": stats.skew(x),
        "kurt_small": stats.kurtosis(x, bias=False),
        "kurt_small_alerce": n * (n + 1) / ((n - 1) * (n - 2) * (n - 3)) * (((x - x.mean()) / x.std()) ** 4).sum()
        - 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)),
        "beyond_1std": (np.abs(x - mean_w) > s).mean(), "beyond_1std_light_curve": (np.abs(x - x.mean()) > s).mean(),
        "beyond_1std_alerce": (np.abs(x - mean_w) > far_w).mean(),
        "anderson_darling": a2 * (1 + 4 / n - 25 / n**2),
        "anderson_darling_alerce": 1 / (1 + np.exp(-10 * (a2 - 0.3))),
        "max_slope": (dx[dt > 0] / dt[dt > 0]).max(), "max_abs_slope": np.abs(dx[dt > 0] / dt[dt > 0]).max(),
        "eta": (dx**2).sum() / ((n - 1) * s**2), "eta_e": (gap_weight * dx**2).sum() / (s**2 * gap_weight.sum()),
        "eta_e_alerce": eta_e_alerce, "eta_e_light_curve": eta_e_light_curve,
        "rcs": np.ptp(cusum) / s, "rcs_alerce": np.ptp(cusum) / x.std(),
        "con": runs_of_three(x - x.mean() > 2 * s) + runs_of_three(x.mean() - x > 2 * s),
        "con_alerce": runs_of_three(np.abs(x - x.mean()) > 2 * x.std()),
        "pair_slope_trend": ((last > 0).sum() - (last < 0).sum()) / 30,
        "pair_slope_trend_alerce": ((last > 0).sum() - (last <= 0).sum()) / 30,
        "lin_slope": line[0], "lin_slope_err": np.sqrt(cov[0, 0]), "lin_intercept": line[1] - line[0] * t.mean(),
        "lin_redchi2": (w * (x - np.polyval(line, t - t.mean())) ** 2).sum() / (n - 2),
        "lin_slope_richards11": np.polyfit(t - t.mean(), x, 1)[0],
    }  # fmt: skip


_OTSU = ("otsu_mean_diff", "otsu_std_lower", "otsu_std_upper", "otsu_lower_share")


def one(t, x, e=None):
    t, x = np.asarray(t, dtype=float), np.asarray(x, dtype=float)
    e = np.ones_like(x) if e is None else np.asarray(e, dtype=float)
    return dict(zip(STATISTICS, curve_statistics(t, x, e, np.array([0, x.size]))[:, 0, 0], strict=True))


@pytest.fixture(scope="module")
def curves():
    rng = np.random.default_rng(5)
    sizes = np.concatenate([rng.integers(4, 60, 80), [63, 64, 65, 128, 200, 500]])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    t = np.concatenate([60000 + np.sort(rng.uniform(0, 900, n)).round(1) for n in sizes])
    e = rng.uniform(0.5, 3, t.size)
    x = np.repeat(rng.uniform(-20, 400, sizes.size), sizes) + e * rng.standard_t(3, t.size)
    x[::7] = x[::7].round()
    x[offsets[20] : offsets[21]] = [*[5.0] * (sizes[20] // 2), *[9.0] * (sizes[20] - sizes[20] // 2)]
    return t, x, e, offsets


@pytest.mark.parametrize("name", STATISTICS)
def test_a_statistic_is_what_numpy_says(curves, name):
    t, x, e, offsets = curves
    table = curve_statistics(t, x, e, offsets)
    parts = [slice(a, b) for a, b in itertools.pairwise(offsets)]
    expected = [brute_force(t[s], x[s], e[s])[name] for s in parts]

    found = table[STATISTICS.index(name), 0]

    finite = np.isfinite(expected)
    np.testing.assert_allclose(found[finite], np.asarray(expected)[finite], rtol=1e-8, atol=1e-10)
    assert not np.isfinite(found[~finite]).any()


def test_an_empty_curve_has_a_count_and_nothing_else():
    table = curve_statistics(np.empty(0), np.empty(0), np.empty(0), np.array([0, 0, 0]))

    assert (table[0] == 0).all()
    assert np.isnan(table[1:]).all()


def test_one_epoch_has_a_value_and_no_scatter():
    found = one([60000.0], [3.0], [0.5])

    assert found["mean_w"] == found["median"] == found["p05"] == found["max"] == 3.0
    assert found["mean_w_err"] == 0.5
    assert found["duration"] == 0.0
    assert found["chi2"] == found["mad"] == found["amplitude"] == 0.0
    undefined = {"dt_median", "sigma", "redchi2", "stetson_j", "skew", "lin_slope", "eta", "rcs", "roms"}
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
    owner, band, good = (
        np.sort(rng.integers(0, 9, 500)),
        rng.integers(-1, 4, 500).astype(np.int8),
        rng.random(500) > 0.2,
    )
    starts = np.searchsorted(owner, np.arange(10))
    rows, offsets, dropped = group_by_band(starts, band, good, 4)
    kept = np.flatnonzero((band >= 0) & good)
    left = (band >= 0) & ~good

    assert (rows == kept[np.lexsort((kept, band[kept], owner[kept]))]).all()
    assert (np.diff(offsets) == np.bincount(owner[kept] * 4 + band[kept], minlength=36)).all()
    assert (dropped.ravel() == np.bincount(owner[left] * 4 + band[left], minlength=36)).all()


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


def test_a_choice_of_statistics_is_what_all_of_them_are_curve_by_curve_and_band_by_band(curves):
    t, x, e, offsets = curves
    whole = curve_statistics(t, x, e, offsets)
    for names in (
        ["roms"],
        ["gskew", "n_epochs"],
        ["anderson_darling"],
        ["otsu_mean_diff", "dt_median"],
        ["fpr_mid20"],
    ):
        chosen = curve_statistics(t, x, e, offsets, names, n_bands=2)
        assert chosen.shape == (len(names), 2, (offsets.size - 1) // 2)
        for k, name in enumerate(names):
            np.testing.assert_array_equal(chosen[k].T.ravel(), whole[STATISTICS.index(name), 0])


def test_a_statistic_that_there_is_not_is_refused(curves):
    with pytest.raises(InputError, match='no statistic "medain"; did you mean "median"'):
        curve_statistics(*curves, ["medain"])


@pytest.mark.parametrize("n", [0, 1, 2, 15, 63, 64, 65, 127, 128, 129, 1000])
def test_values_are_sorted_also_where_many_are_equal(n):
    rng = np.random.default_rng(n)
    for values in (rng.normal(size=n), rng.integers(0, 5, n).astype(float), np.zeros(n), np.arange(n)[::-1] * 1.0):
        ranked = np.empty(n)
        sort_into(values, ranked, np.empty(n))
        assert (ranked == np.sort(values)).all()


def test_epochs_that_are_not_finite_or_have_no_positive_error_are_not_usable():
    bad = [np.nan, np.inf, -np.inf]
    times, values = np.array([*bad, *[1.0] * 8]), np.array([*[1.0] * 3, *bad, *[1.0] * 5])
    errors = np.array([*[1.0] * 6, *bad, 0.0, 0.5])

    assert usable(times, values, errors).tolist() == [False] * 10 + [True]


def test_errors_whose_weight_is_no_number_are_not_usable():
    one = np.ones(6)

    errors = np.array([1e-200, 1e-100, 1.0, 1e100, 1e200, -1.0])
    assert usable(one, one, errors).tolist() == [False, True, True, True, False, False]


def test_times_that_are_not_finite_hide_no_absurd_one():
    for wrong in (np.nan, np.inf, -np.inf):
        times = np.array([wrong, 60000.0, -2409998.5, 60010.0, 60020.0, wrong])
        assert far_in_time(times, np.array([0, 6]), 36525.0).tolist() == [False, False, True, False, False, False]
    assert not far_in_time(np.array([np.inf, -np.inf]), np.array([0, 2]), 36525.0).any()


@pytest.mark.parametrize("n", [3, 70, 200])
def test_what_is_not_finite_is_sorted_to_the_end_and_nothing_is_written_behind_it(n):
    values = np.arange(float(n))[::-1].copy()
    values[[0, n // 2, n - 1]] = np.inf, np.nan, -np.inf
    room = np.full(n + 8, 7.0)
    sort_into(values, room[:n], np.empty(n))

    assert (room[:n] == np.sort(np.where(np.isnan(values), np.inf, values))).all()
    assert (room[n:] == 7.0).all()


def test_curves_that_are_not_those_of_whole_objects_are_refused(curves):
    with pytest.raises(InputError, match="86 curves are not those of objects with 4 bands"):
        curve_statistics(*curves, n_bands=4)
