"""Peaks of Gaussian processes in time and wavelength: when each band is brightest, and how it rises and fades.

The process of every object is that of ``gaussian_process.py``, its mean taken between the object's first and last
epoch. A peak is looked for on a grid of an eighth of the time scale (coarser where that were more than 1000 times) and
then between the neighbours of the highest point; so are the times at which the mean falls below a share of the peak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.kernels.curves.ranked import middle_of, sort_into
from lsdb_ts.kernels.curves.statistics import check_lengths
from lsdb_ts.kernels.fits.gaussian_process import Process, epochs_of, likeliest, log_likelihood, mean_at

SHARES = (0.8, 0.5, 0.2)
"""Of the peak, between which and the peak times are taken: those of Boone 2019 (AJ 158, 257)."""
_PER_SCALE = 8.0
_FEWEST_TIMES, _MOST_TIMES = 32, 1000
_HALVINGS, _SECTIONS = 10, 14
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)


@dataclass(frozen=True, eq=False)
class ProcessPeaks:
    """What the process of each object tells of it; NaN where there is none."""

    scale_days: NDArray[np.float64]
    """Time scale, shape (n_objects,)."""
    amplitude: NDArray[np.float64]
    """Standard deviation of the process, shape (n_objects,)."""
    time_days: NDArray[np.float64]
    """Time of the peak, the median over the bands that have epochs, shape (n_objects,)."""
    delay_days: NDArray[np.float64]
    """Time of each band's own peak after that, shape (n_objects, n_bands)."""
    peak: NDArray[np.float64]
    """Greatest mean of each band, shape (n_objects, n_bands)."""
    at_peak: NDArray[np.float64]
    """Mean of each band at the time of the peak, shape (n_objects, n_bands)."""
    rise_days: NDArray[np.float64]
    """Time from each of ``SHARES`` of a band's peak to the peak, shape (n_objects, n_bands, 3); NaN where the mean does
    not fall so low between the first epoch and the peak, or the peak is not positive."""
    fade_days: NDArray[np.float64]
    """The same after the peak."""


def process_peaks(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    wavelengths: NDArray[np.float64],
    process: Process,
) -> ProcessPeaks:
    """Return the peaks of Gaussian processes through the epochs of every object.

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
        Epochs of all objects, band after band, all finite, errors positive.
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
        Where each band of each object begins.
    wavelengths : numpy.ndarray of float64, shape (n_bands,)
        Of the bands.
    process : Process
        Of all bands together, about 0.

    Returns
    -------
    ProcessPeaks

    >>> t = np.arange(0.0, 60.0, 3.0)
    >>> flux = np.exp(-0.5 * ((t - 31.0) / 8.0) ** 2)
    >>> found = process_peaks(t, flux, np.full(20, 0.01), np.array([0, 20]), np.array([6223.0]), Process())
    >>> found.time_days.round(0).tolist(), found.rise_days[0, 0].round(0).tolist()
    ([31.0], [5.0, 9.0, 14.0])
    """
    check_lengths(offsets, time_days, values, errors)
    n_bands = wavelengths.size
    if n_bands == 0 or (offsets.size - 1) % n_bands:
        raise InputError(
            f"{offsets.size - 1} curves are not objects of {n_bands} bands: offsets hold every band of each object"
        )
    if process.wavelength_scale is None or process.centred:
        raise PlanError("peaks are those of a process of all bands together about 0: wavelength_scale and not centred")
    n = (offsets.size - 1) // n_bands
    of_objects, of_bands = np.full((3, n), np.nan), np.full((3, n, n_bands), np.nan)
    spans = np.full((2, n, n_bands, len(SHARES)), np.nan)
    _all_objects(
        time_days, values, errors, offsets, wavelengths / process.wavelength_scale,
        process.min_epochs, process.max_epochs, np.log(np.array(process.scale_range_days)), np.array(SHARES),
        of_objects, of_bands, spans,
    )  # fmt: skip
    return ProcessPeaks(*of_objects, *of_bands, *spans)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all_objects(  # type: ignore[no-untyped-def]
    time, values, errors, offsets, place, min_epochs, max_epochs, scale_range, shares, of_objects, of_bands, spans
):
    n_bands, room = place.size, 1
    for c in range(0, offsets.size - 1, n_bands):
        room = max(room, min(offsets[c + n_bands] - offsets[c], max_epochs + n_bands))
    work, mean = np.empty((3, room, room)), np.empty(_MOST_TIMES + 1)
    for o in range(of_objects.shape[1]):
        edges = offsets[o * n_bands : (o + 1) * n_bands + 1]
        if edges[n_bands] - edges[0] < min_epochs:
            continue
        t, weight, e, band = epochs_of(time, values, errors, edges, max_epochs)
        # Counted from the first epoch: times of day have lost some digits.
        begin, x = t.min(), np.empty(t.size)
        for i in range(t.size):
            t[i] -= begin
            x[i] = place[band[i]]
        log_s, log_l, found = likeliest(t, x, weight, e, scale_range, work)
        if found == -math.inf:
            continue
        log_likelihood(t, x, weight, e, log_s, log_l, work[0], weight)
        known = (t, x, weight, log_s, log_l)
        of_objects[0, o], of_objects[1, o] = math.exp(log_l), math.exp(log_s)
        end = t.max()
        n_times = int(min(max(_PER_SCALE * end / math.exp(log_l), _FEWEST_TIMES), _MOST_TIMES))
        for b in range(n_bands):
            mean_on_grid = mean[: n_times + 1]
            for k in range(n_times + 1):
                mean_on_grid[k] = mean_at(*known, k * end / n_times, place[b])
            of_bands[0, o, b], of_bands[1, o, b] = _top(known, end, mean_on_grid, place[b])
            if of_bands[1, o, b] > 0.0 and end > 0.0:
                _fill_spans(known, end, mean_on_grid, place[b], of_bands[:, o, b], shares, spans[:, o, b])
        middle = _median_of_seen(of_bands[0, o], edges)
        of_objects[2, o] = begin + middle
        for b in range(n_bands):
            of_bands[0, o, b] -= middle
            of_bands[2, o, b] = mean_at(*known, middle, place[b])


@numba.njit(cache=True, nogil=True)
def _median_of_seen(tops, edges):  # type: ignore[no-untyped-def]
    """Return the median over the bands that have epochs."""
    seen, n = np.empty(tops.size), 0
    for b in range(tops.size):
        if edges[b + 1] > edges[b]:
            seen[n] = tops[b]
            n += 1
    ranked = np.empty(n)
    sort_into(seen[:n], ranked, np.empty(n))
    return middle_of(ranked)


@numba.njit(cache=True, nogil=True)
def _top(known, end, mean, place):  # type: ignore[no-untyped-def]
    """Return the time of the peak and its height: the highest point of the grid, and what golden sections add."""
    n, highest = mean.size - 1, mean.argmax()
    low, high = max(highest - 1, 0) * end / n, min(highest + 1, n) * end / n
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = mean_at(*known, left, place), mean_at(*known, right, place)
    for _ in range(_SECTIONS):
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = mean_at(*known, left, place)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = mean_at(*known, right, place)
    top, height = (left, at_left) if at_left > at_right else (right, at_right)
    return (top, height) if height > mean[highest] else (highest * end / n, mean[highest])


@numba.njit(cache=True, nogil=True)
def _fill_spans(known, end, mean, place, of_band, shares, spans):  # type: ignore[no-untyped-def]
    """Fill the times between shares of the peak and the peak, before it and after it."""
    n, top, height = mean.size - 1, of_band[0], of_band[1]
    for side in range(2):
        way = -1 if side == 0 else 1
        nearest = math.floor(top / end * n) if side == 0 else math.ceil(top / end * n)
        for s in range(shares.size):
            k, level = nearest, shares[s] * height
            while 0 <= k <= n and mean[k] >= level:
                k += way
            if not 0 <= k <= n:
                break
            # Between a time at which it is as bright, and one at which it is not.
            bright = (k - way) * end / n
            bright, faint = max(bright, top) if way == 1 else min(bright, top), k * end / n
            for _ in range(_HALVINGS):
                between = 0.5 * (bright + faint)
                if mean_at(*known, between, place) >= level:
                    bright = between
                else:
                    faint = between
            spans[side, s] = abs(0.5 * (bright + faint) - top)
