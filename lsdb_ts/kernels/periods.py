"""The period search over many objects: which are searched, in what units, and the refinement of the best peaks.

The power of one object lives in ``kernels/periodogram.py``, the harmonic fits in ``kernels/fourier.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.fourier import fit_series, log_evidence
from lsdb_ts.kernels.periodogram import _grid, _peaks, _power, false_alarm_probability
from lsdb_ts.kernels.statistics import check_lengths, middle_of

_LOCAL_STEP = 0.2
"""Step of the local search, in units of 1 / (n_harmonics * baseline): fine enough for the highest harmonic."""
_SHRINK_EPOCHS = 5.0
"""A band's own scatter counts as many epochs as it has, the bands' common one as this many."""
_POLISHED = 2
"""Peaks that are followed to their local maximum, in units of the periods reported."""
_HALVED = 5
"""Peaks that are also tried at half their frequency: a binary's two eclipses look like two cycles of one."""
_HALVED_WORTH = 0.95
"""A halved frequency has to explain clearly more than its peak: its log evidence counts this much beside the others'.
(At 1.0, 1.2 % of the RR Lyrae of Stripe 82 come out at twice their period.)"""
_DISTINCT = 1.0
"""Two periods are distinct when their frequencies differ by more than this, in units of 1 / baseline."""


@dataclass(frozen=True)
class PeriodSearch:
    """How periods are searched for. Two stages: shared-phase power on a grid, then a harmonic fit of its best peaks.

    Before it, each band is divided by its intrinsic scatter, so that one amplitude fits all bands in any unit, with no
    template of amplitudes.
    """

    period_range_days: tuple[float, float] = (0.1, 1000.0)
    """Shortest and longest period; none longer than the baseline is tried."""
    oversampling: float = 5.0
    """Grid points in one peak width 1 / baseline."""
    max_frequencies: int = 100_000
    """Most points a grid may have; see FrequencyGrid.spanning for what gives way."""
    n_peaks: int = 20
    """Peaks of the first stage that are fitted again."""
    n_harmonics: int = 4
    """Harmonics of the second stage."""
    n_periods: int = 3
    """Distinct periods reported, most probable first."""
    min_epochs: int = 20
    """Objects of fewer epochs, all bands together, are not searched."""
    max_p_const: float = 0.01
    """Objects that are constant with at least this probability (chi2 about the bands' means) are not searched."""
    error_floor: float = 0.3
    """Added in quadrature to the errors, in units of the band's intrinsic scatter: no short series fits a real star."""

    def __post_init__(self) -> None:
        shortest, longest = self.period_range_days
        if not 0.0 < shortest < longest < math.inf:
            raise PlanError(f"a period search needs 0 < shortest < longest, got {self.period_range_days} days")
        for name in ("max_frequencies", "n_peaks", "n_harmonics", "n_periods", "min_epochs"):
            if getattr(self, name) < 1:
                raise PlanError(f"a period search needs {name} of 1 or more, got {getattr(self, name)}")
        if not (0.0 < self.oversampling < math.inf and 0.0 <= self.error_floor < math.inf):
            raise PlanError(
                "a period search needs oversampling above 0 and an error_floor of 0 or more, "
                f"got {self.oversampling} and {self.error_floor}"
            )


@dataclass(frozen=True, eq=False)
class Periods:
    """What the search found, one row per object; NaN where an object was not searched or the period does not exist."""

    period_days: NDArray[np.float64]
    """Shape (n_objects, n_periods), most probable first."""
    log_evidence: NDArray[np.float64]
    """Shape (n_objects, n_periods): ln of the odds of the harmonic model against constant bands."""
    power: NDArray[np.float64]
    """Shape (n_objects,): highest shared-phase power of the first stage, 0 to 1."""
    false_alarm_probability: NDArray[np.float64]
    """Shape (n_objects,): of that power, after Baluev 2008."""
    series: NDArray[np.float64]
    """Shape (n_objects, n_bands, 2 * n_harmonics): cosine and sine amplitudes at the best period, in the unit of
    the values, phases counted from each object's first epoch."""


def search_periods(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    n_bands: int,
    settings: PeriodSearch,
    relative: bool = False,
) -> Periods:
    """Search many objects for periods.

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
        Epochs of all objects: object after object, band after band, all finite, errors positive.
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
        Where each band of each object begins.
    n_bands : int
        Bands of an object.
    settings : PeriodSearch
    relative : bool
        Whether the scatter of the bands is compared relative to their medians (fluxes), not as it is (magnitudes).
        A band fainter than its noise is compared relative to that, and the others borrow nothing from it.

    Returns
    -------
    Periods
    """
    check_lengths(offsets, time_days, values, errors)
    n_objects = (offsets.size - 1) // n_bands
    s = settings
    found = Periods(
        np.full((n_objects, s.n_periods), np.nan),
        np.full((n_objects, s.n_periods), np.nan),
        np.full(n_objects, np.nan),
        np.full(n_objects, np.nan),
        np.full((n_objects, n_bands, 2 * s.n_harmonics), np.nan),
    )
    chosen = _worth_searching(values, errors, offsets, n_bands, s)
    about = np.full((n_objects, 4), np.nan)
    _search(
        (time_days, values, errors, offsets, chosen),
        (*s.period_range_days, s.oversampling, s.max_frequencies, s.n_peaks, s.n_harmonics, s.error_floor, relative),
        (found.period_days, found.log_evidence, found.series, about),
        n_bands,
    )
    power, spread, epochs, bands = about.T
    found.power[:] = power
    searched = np.isfinite(power)
    found.false_alarm_probability[searched] = false_alarm_probability(
        power[searched], 1.0 / s.period_range_days[0], spread[searched], epochs[searched], bands[searched]
    )
    return found


def _worth_searching(values, errors, offsets, n_bands, settings):  # type: ignore[no-untyped-def]
    """Return the numbers of the objects that have the epochs and vary."""
    from scipy.special import chdtrc

    chi2, epochs, means = _scatter(values, errors, offsets, n_bands)
    free = np.maximum(epochs - means, 1)
    return np.flatnonzero((epochs >= settings.min_epochs) & (chdtrc(free, chi2) < settings.max_p_const))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _scatter(x, e, offsets, n_bands):  # type: ignore[no-untyped-def]
    """Return, per object, chi2 about the weighted means of its bands, its epochs and its occupied bands."""
    n_objects = (offsets.size - 1) // n_bands
    chi2, epochs, means = np.zeros(n_objects), np.zeros(n_objects, np.int64), np.zeros(n_objects, np.int64)
    for segment in range(offsets.size - 1):
        start, stop = offsets[segment], offsets[segment + 1]
        if stop == start:
            continue
        W, Y = 0.0, 0.0
        for i in range(start, stop):
            W += 1.0 / (e[i] * e[i])
            Y += x[i] / (e[i] * e[i])
        for i in range(start, stop):
            chi2[segment // n_bands] += ((x[i] - Y / W) / e[i]) ** 2
        epochs[segment // n_bands] += stop - start
        means[segment // n_bands] += 1
    return chi2, epochs, means


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _search(curves, how, found, n_bands):  # type: ignore[no-untyped-def]
    """Search the chosen objects one after the other, into the rows of ``found``."""
    times, values, errors, all_offsets, chosen = curves
    shortest, longest, oversampling, max_frequencies, n_peaks, n_harmonics, floor, relative = how
    periods, evidences, series, about = found
    for place in chosen:
        offsets = all_offsets[place * n_bands : (place + 1) * n_bands + 1]
        start, stop = offsets[0], offsets[-1]
        offsets = offsets - start
        t = times[start:stop] - times[start:stop].min()
        x, w, scale = _scaled(values[start:stop], errors[start:stop], offsets, floor, relative)
        first, step, count = _grid(t.max(), shortest, longest, oversampling, max_frequencies)
        if count == 0 or not w.sum() > 0.0:
            continue
        power = np.empty(count)
        _power(t, x, w, offsets, (first, step), False, power)
        peaks = np.empty(n_peaks, np.int64)
        n_found = _peaks(power, count, peaks)
        if n_found == 0:
            continue
        about[place, 0], about[place, 1] = power[peaks[0]], _spread(t, w)
        about[place, 2], about[place, 3] = t.size, _occupied(offsets)
        candidates, worth = _candidates(peaks[:n_found], first, step)
        limits = (first, 1.0 / shortest)
        _refine((t, x, w, offsets), candidates, worth, step, limits, n_harmonics, periods[place], evidences[place])
        if not periods[place, 0] > 0.0:
            continue
        fit_series(t, x, w, offsets, 1.0 / periods[place, 0], n_harmonics, series[place])
        for b in range(n_bands):
            series[place, b] *= scale[b]


@numba.njit(cache=True, nogil=True)
def _candidates(peaks, first, step):  # type: ignore[no-untyped-def]
    """Return the frequencies to fit again, the peaks and the halves of the highest, and what each is worth."""
    n, n_halved = peaks.size, min(_HALVED, peaks.size)
    frequencies, worth = np.empty(n + n_halved), np.ones(n + n_halved)
    for k in range(n):
        frequencies[k] = first + step * peaks[k]
    for k in range(n_halved):
        frequencies[n + k], worth[n + k] = 0.5 * frequencies[k], _HALVED_WORTH
    return frequencies, worth


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _refine(data, candidates, worth, step, limits, n_harmonics, periods, evidences):  # type: ignore[no-untyped-def]
    """Fit harmonics around each candidate frequency and keep the most probable distinct periods."""
    t, x, w, offsets = data
    baseline = t.max()
    fine = _LOCAL_STEP / (n_harmonics * baseline)
    reach = math.ceil(0.5 * step / fine)
    best_f, best_e = candidates.copy(), np.full(candidates.size, -np.inf)
    for c in range(candidates.size):
        for k in range(-reach, reach + 1):
            f = candidates[c] + k * fine
            if limits[0] <= f <= limits[1]:
                e = log_evidence(t, x, w, offsets, f, n_harmonics)
                if e > best_e[c]:
                    best_f[c], best_e[c] = f, e
    # Only the most probable are worth a climb; after it their sequence may differ.
    leaders = _descending(best_e * worth)[: _POLISHED * periods.size]
    for c in leaders:
        best_f[c], best_e[c] = _polish(data, best_f[c], best_e[c], fine, limits, n_harmonics)
    kept = 0
    for place in _descending((best_e * worth)[leaders]):
        c = leaders[place]
        new = kept < periods.size and best_e[c] > -np.inf
        for k in range(kept):
            new &= abs(best_f[c] - 1.0 / periods[k]) > _DISTINCT / baseline
        if new:
            periods[kept], evidences[kept] = 1.0 / best_f[c], best_e[c]
            kept += 1


@numba.njit(cache=True, nogil=True)
def _descending(values):  # type: ignore[no-untyped-def]
    """Return the places of a few values from the highest down (``np.argsort`` takes seconds to compile)."""
    places = np.arange(values.size)
    for i in range(1, values.size):
        at = i
        while at > 0 and values[places[at - 1]] < values[i]:
            places[at] = places[at - 1]
            at -= 1
        places[at] = i
    return places


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _polish(data, f, e, width, limits, n_harmonics):  # type: ignore[no-untyped-def]
    """Climb to the local maximum by halving steps, down to 1/500 of the local step."""
    t, x, w, offsets = data
    while width > 0.002 * _LOCAL_STEP / (n_harmonics * t.max()):
        moved = False
        for side in (-1.0, 1.0):
            g = f + side * width
            if limits[0] <= g <= limits[1]:
                h = log_evidence(t, x, w, offsets, g, n_harmonics)
                if h > e:
                    f, e, moved = g, h, True
                    break
        if not moved:
            width *= 0.5
    return f, e


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _scaled(values, errors, offsets, floor, relative):  # type: ignore[no-untyped-def]
    """Return the values about their band's mean in units of its intrinsic scatter, their weights, and the units."""
    n_bands = offsets.size - 1
    scatter, unit = np.zeros(n_bands), np.ones(n_bands)
    mean, bright = np.zeros(n_bands), np.zeros(n_bands, np.bool_)
    for b in range(n_bands):
        x, e = values[offsets[b] : offsets[b + 1]], errors[offsets[b] : offsets[b + 1]]
        if x.size == 0:
            continue
        mean[b], noise = middle_of(np.sort(x)), (e * e).sum() / x.size
        bright[b] = x.size > 1 and (not relative or mean[b] > math.sqrt(noise))
        if relative:
            # Noise over a mean near zero or below would be an enormous scatter, which no other band should borrow.
            unit[b] = max(mean[b], math.sqrt(noise))
        if x.size > 1:
            variance = ((x - x.sum() / x.size) ** 2).sum() / (x.size - 1)
            scatter[b] = max(variance - noise, 0.0) / unit[b] ** 2
    pooled, n = 0.0, 0
    for b in range(n_bands):
        if bright[b] or not bright.any():
            pooled += (offsets[b + 1] - offsets[b]) * scatter[b]
            n += offsets[b + 1] - offsets[b]
    pooled = pooled / n if n > 0 else 0.0
    scale = np.zeros(n_bands)
    x, w = np.zeros(values.size), np.zeros(values.size)
    for b in range(n_bands):
        m = offsets[b + 1] - offsets[b]
        shrunk = (m * scatter[b] + _SHRINK_EPOCHS * pooled) / (m + _SHRINK_EPOCHS)
        scale[b] = unit[b] * math.sqrt(shrunk)
        if scale[b] > 0.0:
            for i in range(offsets[b], offsets[b + 1]):
                x[i] = (values[i] - mean[b]) / scale[b]
                w[i] = 1.0 / ((errors[i] / scale[b]) ** 2 + floor * floor)
    return x, w, scale


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _spread(t, w):  # type: ignore[no-untyped-def]
    mean = (w * t).sum() / w.sum()
    return math.sqrt((w * (t - mean) ** 2).sum() / w.sum())


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _occupied(offsets):  # type: ignore[no-untyped-def]
    count = 0
    for b in range(offsets.size - 1):
        count += offsets[b + 1] > offsets[b]
    return count
