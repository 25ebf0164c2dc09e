"""Statistics of folded curves against sums written out, on curves of every kind."""

import numpy as np
import pytest

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.periods.folding import FOLD_STATISTICS, fold_statistics, own_periods, sort_by_phase

P = 0.613
SERIES = np.array([0.3, 0.1, -0.05, 0.02])


def curve(n, seed=0, period=P):
    rng = np.random.default_rng(seed)
    t = 60000 + np.sort(rng.uniform(0, 300, n))
    angle = 2 * np.pi * (t - 60000) / period
    x = 17 + 0.3 * np.cos(angle) + 0.1 * np.sin(angle) - 0.05 * np.cos(2 * angle) + rng.normal(0, 0.03, n)
    return t, x, rng.uniform(0.01, 0.05, n)


def written_out(t, x, e, origin, period, series):
    n, out = len(x), {}
    t = t - origin
    for cycles, tail in ((1, ""), (2, "_2p")):
        y = x[np.argsort(t / (cycles * period) % 1, kind="stable")]
        S = np.cumsum(y - y.mean()) / (n * y.std(ddof=1))
        out["psi_cs" + tail] = S.max() - S.min()
        out["psi_eta" + tail] = (np.diff(y) ** 2).sum() / ((n - 1) * y.var(ddof=1))
        out["p2p_2p_ratio" if cycles == 2 else "p2p_p_ratio"] = (np.diff(y) ** 2).sum() / (np.diff(x) ** 2).sum()
        if cycles == 1:
            around = ((y - np.roll(y, 1)) ** 2).sum()
            out["lafler_kinman"] = around / ((y - y.mean()) ** 2).sum() * (n - 1) / (2 * n)
    phase = np.sort(t / period % 1)
    out["phase_gap"] = np.diff(np.append(phase, phase[0] + 1)).max()
    k = np.repeat(np.arange(1, len(series) // 2 + 1), 2)
    angle = 2 * np.pi * k * t[:, None] / period
    model = np.where(np.arange(len(series)) % 2 == 0, np.cos(angle), np.sin(angle)) @ series
    w, left = 1 / e**2, x - model
    left = left - np.average(left, weights=w)
    out["fourier_redchi2"] = (w * left**2).sum() / (n - len(series) - 1)
    out["var_ratio"] = (w * left**2).sum() / (w * (x - np.average(x, weights=w)) ** 2).sum()
    mad = [np.median(np.abs(v - np.median(v))) for v in (left, x)]
    out["mad_ratio"] = mad[0] / mad[1]
    return [out[name] for name in FOLD_STATISTICS]


def test_each_statistic_is_what_its_formula_says():
    bands = [curve(40, 1), curve(17, 2), curve(150, 3)]
    t, x, e = (np.concatenate([b[k] for b in bands]) for k in range(3))
    offsets = np.array([0, 40, 40, 57, 207])
    series = np.stack([SERIES, SERIES, 1.1 * SERIES, SERIES]).reshape(2, 2, 4)
    table = fold_statistics(t, x, e, offsets, np.array([P, P]), series)

    origins = [t[:40].min(), t[40:].min(), t[40:].min()]
    expected = [
        written_out(*b, o, P, s) for b, o, s in zip(bands, origins, series.reshape(4, 4)[[0, 2, 3]], strict=True)
    ]
    np.testing.assert_allclose(table.reshape(4, -1)[[0, 2, 3]], expected, rtol=1e-8)
    assert np.isnan(table[0, 1]).all()


def test_without_period_epochs_or_scatter_there_is_nothing():
    t, x, e = curve(20, 4)
    nothing = np.zeros((1, 1, 4))
    offsets = np.array([0, 20])

    assert np.isnan(fold_statistics(t, x, e, offsets, np.array([np.nan]), nothing)).all()
    assert np.isnan(fold_statistics(t[:2], x[:2], e[:2], np.array([0, 2]), np.array([P]), nothing)).all()
    assert np.isnan(fold_statistics(t[:0], x[:0], e[:0], np.array([0, 0]), np.array([P]), nothing)).all()
    same = fold_statistics(t, np.full(20, 17.0), e, offsets, np.array([P]), nothing)[0, 0]
    assert {n for n, v in zip(FOLD_STATISTICS, same, strict=True) if np.isfinite(v)} == {"phase_gap", "fourier_redchi2"}
    one_time = fold_statistics(np.full(20, 6e4), x, e, offsets, np.array([P]), nothing)[0, 0]
    assert one_time[FOLD_STATISTICS.index("phase_gap")] == 1.0


def test_periods_and_series_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="do not fit 1 bands"):
        fold_statistics(*curve(20), np.array([0, 20]), np.array([P]), np.zeros((1, 2, 4)))


def test_epochs_are_sorted_by_phase_and_equal_ones_stay_in_sequence():
    rng = np.random.default_rng(5)
    t = np.concatenate([rng.uniform(0, 9, 500), np.repeat(0.25, 20), np.arange(10) * P])
    phase, places = np.empty(t.size), np.empty(t.size, np.int64)
    sort_by_phase(t, 1 / P, phase, places)

    np.testing.assert_array_equal(places, np.argsort(phase, kind="stable"))


def test_a_band_tells_its_own_period_among_those_of_its_object():
    bands = [curve(60, 6, 0.613), curve(60, 7, 0.871), curve(5, 8)]
    t, x, e = (np.concatenate([b[k] for b in bands]) for k in range(3))
    found = own_periods(t, x, e, np.array([0, 60, 120, 125]), 3, np.array([[0.613, 0.871, np.nan]]))

    np.testing.assert_allclose(found[0, :2], [0.613, 0.871], rtol=1e-3)
    assert np.isnan(found[0, 2])
