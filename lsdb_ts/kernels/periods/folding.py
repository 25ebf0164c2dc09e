"""Statistics of folded light curves, and of what a Fourier series leaves over, for each band of many objects.

Definitions in words and their sources stand with the features (``features/folded.py``). Phases count from each object's
first epoch.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.curves.ranked import middle_of
from lsdb_ts.kernels.curves.statistics import check_bands, check_each, check_lengths
from lsdb_ts.kernels.periods.fourier import log_evidence, residuals, series_prior

FOLD_STATISTICS = (
    "psi_cs", "psi_eta", "psi_cs_2p", "psi_eta_2p", "lafler_kinman", "p2p_2p_ratio", "p2p_p_ratio", "phase_gap",
    "fourier_redchi2", "var_ratio", "mad_ratio",
)  # fmt: skip
"""The columns of :func:`fold_statistics`, in order."""
_OWN_HARMONICS = 2
_OWN_STEP = 0.1
"""First step of the search for a band's own period, in units of 1 / baseline."""
_POLISH_ROUNDS, _POLISH_SHRINK = 3, 0.35


def fold_statistics(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    period_days: NDArray[np.float64],
    series: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return every statistic of every folded curve.

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
        Epochs, object after object, band after band, each band sorted by time.
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
        Where each band begins.
    period_days : numpy.ndarray of float64, shape (n_objects,)
        Where it is NaN, so is everything.
    series : numpy.ndarray of float64, shape (n_objects, n_bands, 2K)
        As ``Periods.series``.

    Returns
    -------
    numpy.ndarray of float64, shape (n_objects, n_bands, len(FOLD_STATISTICS))

    >>> t = np.array([0.0, 0.3, 1.1, 1.6, 2.4])
    >>> table = fold_statistics(t, t % 1.0, np.ones(5), np.array([0, 5]), np.array([1.0]), np.zeros((1, 1, 2)))
    >>> round(float(table[0, 0, FOLD_STATISTICS.index("phase_gap")]), 6)
    0.4
    """
    check_lengths(offsets, time_days, values, errors)
    if series.shape[:1] != period_days.shape or series.shape[0] * series.shape[1] != offsets.size - 1:
        raise InputError(
            f"{period_days.size} periods and series of shape {series.shape} do not fit {offsets.size - 1} bands"
        )
    table = np.full((series.shape[0], series.shape[1], len(FOLD_STATISTICS)), np.nan)
    _fold_all((time_days, values, errors, offsets), np.ascontiguousarray(period_days), series, table)
    return table


def own_periods(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    n_bands: int,
    period_days: NDArray[np.float64],
    min_epochs: int = 8,
) -> NDArray[np.float64]:
    """Return the period that each band alone prefers among those of its object, each at the band's own maximum.

    Parameters
    ----------
    time_days, values, errors, offsets
        As for :func:`fold_statistics`.
    n_bands : int
        Bands of an object.
    period_days : numpy.ndarray of float64, shape (n_objects, k)
        Periods that come into question; NaN for none.
    min_epochs : int
        A band of fewer has no period of its own.

    Returns
    -------
    numpy.ndarray of float64, shape (n_objects, n_bands)
    """
    check_lengths(offsets, time_days, values, errors)
    check_bands(offsets, n_bands)
    check_each((offsets.size - 1) // n_bands, period_days)
    found = np.full((period_days.shape[0], n_bands), np.nan)
    _own_periods((time_days, values, errors, offsets), np.ascontiguousarray(period_days), min_epochs, found)
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fold_all(curves, periods, series, table):  # type: ignore[no-untyped-def]
    times, values, errors, offsets = curves
    n_bands = series.shape[1]
    for place in range(periods.size):
        first, last = offsets[place * n_bands], offsets[(place + 1) * n_bands]
        if not (periods[place] > 0.0 and last > first):
            continue
        origin = times[first:last].min()
        for b in range(n_bands):
            start, stop = offsets[place * n_bands + b], offsets[place * n_bands + b + 1]
            if stop - start < 3:
                continue
            t, x, e = times[start:stop] - origin, values[start:stop], errors[start:stop]
            _fold(t, x, periods[place], table[place, b])
            _remainder(t, x, e, periods[place], series[place, b : b + 1], table[place, b, 8:])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fold(t, x, period, out):  # type: ignore[no-untyped-def]
    """Fill what comes of the sequence of the values in phase."""
    n, mean, square, raw = x.size, x.sum() / x.size, 0.0, 0.0
    for i in range(n):
        square += (x[i] - mean) ** 2
        raw += (x[i] - x[i - 1]) ** 2 if i > 0 else 0.0
    if x.max() == x.min():
        # Rounding would make up a scatter.
        square = 0.0
    sigma = math.sqrt(square / (n - 1))
    phase, places, y = np.empty(n), np.empty(n, np.int64), np.empty(n)
    for cycle in range(1, 3):
        sort_by_phase(t, 1.0 / (cycle * period), phase, places)
        for i in range(n):
            y[i] = x[places[i]]
        steps, total, low, high = 0.0, 0.0, math.inf, -math.inf
        for i in range(n):
            total += y[i] - mean
            low, high = min(low, total), max(high, total)
            steps += (y[i] - y[i - 1]) ** 2 if i > 0 else 0.0
        if sigma > 0.0:
            out[2 * cycle - 2] = (high - low) / (n * sigma)
            out[2 * cycle - 1] = steps / ((n - 1) * sigma * sigma)
        if raw > 0.0:
            out[5 if cycle == 2 else 6] = steps / raw
        if cycle == 1:
            if square > 0.0:
                out[4] = (steps + (y[0] - y[-1]) ** 2) / square * (n - 1) / (2.0 * n)
            out[7] = 1.0 - phase[places[-1]] + phase[places[0]]
            for i in range(1, n):
                out[7] = max(out[7], phase[places[i]] - phase[places[i - 1]])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _remainder(t, x, e, period, series, out):  # type: ignore[no-untyped-def]
    """Fill what comes of the values less the series and its weighted mean."""
    n, taken = x.size, series.shape[1] + 1
    w, left, offsets = 1.0 / (e * e), np.empty(x.size), np.array([0, x.size])
    before, W = (w * x).sum(), w.sum()
    before = (w * (x - before / W) ** 2).sum()
    residuals(t, x, w, offsets, 1.0 / period, series, left)
    after = (w * left * left).sum()
    if n > taken:
        out[0] = after / (n - taken)
    if x.max() > x.min():
        out[1] = after / before
    raw = _mad(x)
    if raw > 0.0:
        out[2] = _mad(left) / raw


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mad(x):  # type: ignore[no-untyped-def]
    return middle_of(np.sort(np.abs(x - middle_of(np.sort(x)))))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sort_by_phase(t, frequency, phase, places):  # type: ignore[no-untyped-def]
    """Fill the phases, 0 to 1, and the places of the epochs in their sequence; equal phases stay in sequence.

    Epochs are counted into as many parts of the cycle as there are epochs, so that each moves a few places at most.
    """
    n = t.size
    starts, part = np.zeros(n + 1, np.int64), np.empty(n, np.int64)
    for i in range(n):
        phase[i] = (frequency * t[i]) % 1.0
        # A phase that is not a number has any place, but one within the array.
        part[i] = max(min(int(phase[i] * n), n - 1), 0)
        starts[part[i] + 1] += 1
    for j in range(n):
        starts[j + 1] += starts[j]
    for i in range(n):
        places[starts[part[i]]] = i
        starts[part[i]] += 1
    for i in range(1, n):
        place, at = places[i], i
        while at > 0 and phase[places[at - 1]] > phase[place]:
            places[at] = places[at - 1]
            at -= 1
        places[at] = place


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _own_periods(curves, periods, min_epochs, found):  # type: ignore[no-untyped-def]
    times, values, errors, offsets = curves
    n_bands, prior = found.shape[1], series_prior(_OWN_HARMONICS)
    for place in range(found.shape[0]):
        for b in range(n_bands):
            start, stop = offsets[place * n_bands + b], offsets[place * n_bands + b + 1]
            if stop - start < max(min_epochs, 2):
                continue
            t, x, e = times[start:stop] - times[start:stop].min(), values[start:stop], errors[start:stop]
            scatter = math.sqrt(max(((x - x.mean()) ** 2).sum() / (x.size - 1) - (e * e).mean(), 0.0))
            if not (scatter > 0.0 and t.max() > 0.0):
                continue
            curve = (t, x / scatter, 1.0 / ((e / scatter) ** 2 + 0.09), np.array([0, x.size]))
            best = -math.inf
            for k in range(periods.shape[1]):
                if not periods[place, k] > 0.0:
                    continue
                f = 1.0 / periods[place, k]
                value = log_evidence(curve[0], curve[1], curve[2], curve[3], f, prior)
                f, value = _polish(curve, f, value, min(_OWN_STEP / t.max(), 0.5 * f), (0.25 * f, 4.0 * f), prior)
                if value > best:
                    best, found[place, b] = value, 1.0 / f


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _polish(curves, f, e, width, limits, prior):  # type: ignore[no-untyped-def]
    """Return the local maximum of the evidence near f, by parabolas through three points, and its evidence."""
    t, x, w, offsets = curves
    for _ in range(_POLISH_ROUNDS):
        low, high = max(f - width, limits[0]), min(f + width, limits[1])
        below, above = log_evidence(t, x, w, offsets, low, prior), log_evidence(t, x, w, offsets, high, prior)
        bend = below - 2.0 * e + above
        if bend < 0.0:
            top = min(max(f + 0.5 * width * (below - above) / bend, low), high)
            summit = log_evidence(t, x, w, offsets, top, prior)
        else:
            top, summit = f, e
        if summit >= max(below, above):
            if summit >= e:
                f, e = top, summit
        elif below > max(e, above):
            f, e = low, below
        elif above > e:
            f, e = high, above
        width *= _POLISH_SHRINK
    return f, e
