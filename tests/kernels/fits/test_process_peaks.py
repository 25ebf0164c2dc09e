"""Peaks of Gaussian processes against the process itself on a fine grid, and curves that tell too little."""

import numpy as np
import pytest

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.kernels.fits.gaussian_process import Process, interpolate
from lsdb_ts.kernels.fits.models import BAZIN, evaluate
from lsdb_ts.kernels.fits.process_peaks import SHARES, process_peaks

WAVELENGTHS = np.array([4827.0, 6223.0, 7546.0])
COLOURS = np.array([60.0, 100.0, 90.0])
START = 60000.0


def supernovae(n_objects, per_band=(12, 12, 12), error=3.0, seed=0, span=100.0):
    rng = np.random.default_rng(seed)
    t, y = [], []
    for _ in range(n_objects):
        for b, n in enumerate(per_band):
            t.append(np.sort(rng.uniform(0, span, n)))
            y.append(evaluate(BAZIN, t[-1], [40, 4, 25, COLOURS[b], 0]) + rng.normal(0, error, n))
    offsets = np.concatenate([[0], np.cumsum(np.tile(per_band, n_objects))])
    t, y = np.concatenate(t), np.concatenate(y)
    return START + t, y, np.full(t.size, error), offsets


def oracle(days, mean, factor=1.0):
    """Return time and height of the peak, and the times from its shares to it and back, all on a fine grid."""
    top = mean.argmax()
    rise, fade = [], []
    for share in SHARES:
        faint = np.flatnonzero(mean < factor * share * mean[top])
        before, after = faint[faint < top], faint[faint > top]
        rise.append(days[top] - days[before[-1]] if before.size else np.inf)
        fade.append(days[after[0]] - days[top] if after.size else np.inf)
    return days[top], mean[top], np.array([rise, fade])


@pytest.mark.parametrize("per_band", [(12, 12, 12), (30, 0, 8)])
def test_peaks_and_shares_are_those_of_the_process_on_a_fine_grid(per_band):
    t, y, e, offsets = supernovae(12, per_band)
    found = process_peaks(t, y, e, offsets, WAVELENGTHS, Process())
    n_epochs = sum(per_band)
    first = np.array([t[n_epochs * o : n_epochs * (o + 1)].min() for o in range(12)])
    last = np.array([t[n_epochs * o : n_epochs * (o + 1)].max() for o in range(12)])
    at = np.linspace(first, last, 8001, axis=1)
    whole = interpolate(t, y, e, offsets, at, WAVELENGTHS)

    np.testing.assert_allclose(found.scale_days, whole.scale_days[:, 0], rtol=1e-4)
    np.testing.assert_allclose(found.amplitude, whole.amplitude[:, 0], rtol=1e-4)
    for o in range(12):
        expected = [oracle(at[o], whole.mean[o, b]) for b in range(3)]
        middle = np.median([expected[b][0] for b in range(3) if per_band[b]])
        assert found.time_days[o] == pytest.approx(middle, abs=0.1)
        for b in range(3):
            top, height, _ = expected[b]
            assert found.time_days[o] + found.delay_days[o, b] == pytest.approx(top, abs=0.1)
            assert found.peak[o, b] == pytest.approx(height, rel=1e-4)
            # A dip may just touch a share of the peak.
            soonest, latest = (oracle(at[o], whole.mean[o, b], factor)[2] for factor in (1.02, 0.98))
            spans = np.nan_to_num([found.rise_days[o, b], found.fade_days[o, b]], nan=np.inf)
            assert (spans >= soonest - 0.1).all()
            assert (spans <= latest + 0.1).all()
            at_middle = whole.mean[o, b, np.abs(at[o] - middle).argmin()]
            assert found.at_peak[o, b] == pytest.approx(at_middle, rel=0.01)


def test_supernovae_are_what_they_were_simulated_as():
    t, y, e, offsets = supernovae(100, (20, 20, 20), seed=5)
    found = process_peaks(t, y, e, offsets, WAVELENGTHS, Process())
    days = np.linspace(0, 100, 20001)
    truth = oracle(START + days, evaluate(BAZIN, days, [40, 4, 25, 1, 0]))

    # The process rounds the peak, and what rises fast is brightest later then.
    assert np.median(found.time_days) == pytest.approx(truth[0], abs=2.0)
    assert np.median(found.delay_days, axis=0) == pytest.approx(0.0, abs=1.0)
    assert np.median(found.rise_days[:, 1], axis=0) == pytest.approx(truth[2][0], rel=0.3)
    assert np.nanmedian(found.fade_days[:, 1], axis=0) == pytest.approx(truth[2][1], rel=0.2)
    ratio = found.at_peak / found.at_peak[:, 1:2]
    assert np.median(ratio, axis=0) == pytest.approx(COLOURS / 100.0, rel=0.08)


def test_what_is_still_rising_has_no_fade_and_what_is_negative_no_shares():
    t = np.arange(0.0, 30.0, 2.0)
    rising, dip = np.exp((t - 30.0) / 8.0), -np.exp(-0.5 * ((t - 14.0) / 5.0) ** 2)
    arrays = np.tile(t, 2), np.concatenate([rising, dip]), np.full(30, 1e-2), np.array([0, 15, 30])
    found = process_peaks(*arrays, WAVELENGTHS[:1], Process())

    assert found.time_days[0] == pytest.approx(28.0, abs=0.5)
    assert np.isnan(found.fade_days[0]).all()
    assert np.isfinite(found.rise_days[0]).all()
    assert found.peak[1, 0] == pytest.approx(0.0, abs=0.05)
    assert found.at_peak[1, 0] < 0.1


def test_curves_that_tell_too_little_come_to_an_end():
    t = np.array([5.0, 6.0, 7.0, 7.0, 7.0, 7.0, 1.0, 2.0, 3.0])
    y = np.array([1.0, 2.0, 3.0, 3.0, 3.1, 2.9, 0.0, 0.0, 0.0])
    found = process_peaks(t, y, np.full(9, 0.1), np.array([0, 2, 2, 6, 9]), WAVELENGTHS[:1], Process())

    assert np.isnan(found.time_days).tolist() == [True, True, False, False]
    # The third has epochs at two times.
    assert found.peak[2, 0] == pytest.approx(3.0, abs=0.2)
    assert found.peak[3, 0] == pytest.approx(0.0, abs=1e-6)
    once = process_peaks(np.full(4, 9.0), y[2:6], np.full(4, 0.1), np.array([0, 4]), WAVELENGTHS[:1], Process())
    assert once.time_days.tolist() == [9.0]
    assert np.isnan(once.rise_days).all()
    none = process_peaks(np.empty(0), np.empty(0), np.empty(0), np.zeros(1, int), WAVELENGTHS, Process())
    assert none.peak.shape == (0, 3)


def test_neither_the_zero_of_time_nor_the_unit_of_flux_matters():
    t, y, e, offsets = supernovae(5)
    one = process_peaks(t, y, e, offsets, WAVELENGTHS, Process())
    other = process_peaks(t - START, 1e3 * y, 1e3 * e, offsets, WAVELENGTHS, Process())

    np.testing.assert_allclose(other.time_days + START, one.time_days, atol=1e-3)
    np.testing.assert_allclose(other.peak, 1e3 * one.peak, rtol=1e-6)
    np.testing.assert_allclose(other.fade_days, one.fade_days, atol=0.01)


def test_what_makes_no_sense_is_refused():
    t = np.arange(4.0)
    with pytest.raises(InputError, match="1 curves are not objects of 3 bands"):
        process_peaks(t, t, t, np.array([0, 4]), WAVELENGTHS, Process())
    with pytest.raises(PlanError, match="all bands together about 0"):
        process_peaks(t, t, t, np.array([0, 4]), WAVELENGTHS[:1], Process(None))


def test_peaks_are_the_same_to_the_last_digit_wherever_their_arrays_lie_in_memory():
    rng = np.random.default_rng(12)
    t, y, e, offsets = supernovae(6, (13, 17, 9))
    first = process_peaks(t, y, e, offsets, WAVELENGTHS, Process())
    for _ in range(12):
        between = [np.empty(rng.integers(1, 3000)) for _ in range(40)]
        columns = [column.copy() for column in (t, y, e)]
        del between[::2]
        again = process_peaks(*columns, offsets, WAVELENGTHS, Process())
        np.testing.assert_array_equal(again.time_days, first.time_days)
        np.testing.assert_array_equal(again.fade_days, first.fade_days)
