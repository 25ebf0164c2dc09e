"""What the detections of many curves say of a transient: its peak, its rise and fade, and what was there before.

Curves are those of n_bands bands for each object, one after the other, each sorted by time, all epochs finite. What is
not defined is NaN.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.kernels.curves.ranked import middle_of
from lsdb_ts.kernels.curves.statistics import check_bands, check_lengths

PEAKS = ("t_peak", "f_peak", "rise_time", "fade_time", "rise_slope", "fade_slope")
"""The columns of :func:`peaks`, in order."""
SURROUNDINGS = (
    "n_non_det_before", "last_flux_before", "median_flux_before", "max_flux_before",
    "dflux_first_det", "dflux_non_det",
    "n_non_det_after", "median_flux_after", "max_flux_after",
)  # fmt: skip
"""The columns of :func:`surroundings`, in order."""


def peaks(
    time_days: NDArray[np.float64],
    brightness: NDArray[np.float64],
    signal_to_noise: NDArray[np.float64],
    offsets: NDArray[np.int64],
    threshold: float,
) -> NDArray[np.float64]:
    """Return where the detections of every curve peak, and how steeply they get there and away.

    Parameters
    ----------
    time_days, brightness, signal_to_noise : numpy.ndarray of float64, shape (n,)
        Brightness grows with flux.
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
    threshold : float
        An epoch of at least so much signal to noise is a detection.

    Returns
    -------
    numpy.ndarray of float64, shape (n_curves, len(PEAKS))
        Time and brightness of the brightest detection, the first of equal ones; times from the first detection to it
        and from it to the last; the mean slopes in between, NaN where no time passes.

    >>> t, f = np.array([0.0, 2.0, 6.0]), np.array([1.0, 5.0, 3.0])
    >>> peaks(t, f, np.full(3, 9.0), np.array([0, 3]), 5.0).tolist()
    [[2.0, 5.0, 2.0, 4.0, 2.0, -0.5]]
    """
    check_lengths(offsets, time_days, brightness, signal_to_noise)
    table = np.full((offsets.size - 1, len(PEAKS)), np.nan)
    _all_peaks(time_days, brightness, signal_to_noise, offsets, threshold, table)
    return table


def surroundings(
    time_days: NDArray[np.float64],
    fluxes: NDArray[np.float64],
    signal_to_noise: NDArray[np.float64],
    offsets: NDArray[np.int64],
    n_bands: int,
    threshold: float,
) -> NDArray[np.float64]:
    """Return what was measured before the first detection of every object in any band, and where it was not seen later.

    Parameters
    ----------
    time_days, fluxes, signal_to_noise : numpy.ndarray of float64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
    n_bands : int
    threshold : float
        An epoch of at least so much signal to noise, of either sign, is a detection.

    Returns
    -------
    numpy.ndarray of float64, shape (n_objects * n_bands, len(SURROUNDINGS))
        For each band: epochs before the first detection of the object, their last, median and greatest flux, and by how
        much the flux of the first detection (of any band) exceeds the last and the median; epochs from then on that are
        no detections, their median and greatest flux. All NaN for an object without detections.

    >>> t, f = np.arange(4.0), np.array([1.0, 0.0, 9.0, 2.0])
    >>> surroundings(t, f, f, np.array([0, 4]), 1, 5.0).tolist()
    [[2.0, 0.0, 0.5, 1.0, 9.0, 8.5, 1.0, 2.0, 2.0]]
    """
    check_lengths(offsets, time_days, fluxes, signal_to_noise)
    check_bands(offsets, n_bands)
    table = np.full((offsets.size - 1, len(SURROUNDINGS)), np.nan)
    _all_surroundings(time_days, fluxes, signal_to_noise, offsets, n_bands, threshold, table)
    return table


@numba.njit(cache=True, nogil=True)
def signs(values, offsets):  # type: ignore[no-untyped-def]
    """Count negative and positive values.

    Parameters
    ----------
    values : numpy.ndarray of float64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)

    Returns
    -------
    numpy.ndarray of float64, shape (n_curves, 2)

    >>> signs(np.array([-1.0, 2.0, 0.0, 3.0]), np.array([0, 4]))
    array([[1., 2.]])
    """
    counts = np.zeros((offsets.size - 1, 2))
    for c in range(offsets.size - 1):
        for i in range(offsets[c], offsets[c + 1]):
            counts[c, 0] += values[i] < 0.0
            counts[c, 1] += values[i] > 0.0
    return counts


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all_peaks(t, x, snr, offsets, threshold, table):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        first, last, top = -1, -1, -1
        for i in range(offsets[c], offsets[c + 1]):
            if snr[i] >= threshold:
                if first < 0:
                    first, top = i, i
                last = i
                if x[i] > x[top]:
                    top = i
        if first < 0:
            continue
        row = table[c]
        row[0], row[1], row[2], row[3] = t[top], x[top], t[top] - t[first], t[last] - t[top]
        if row[2] > 0.0:
            row[4] = (x[top] - x[first]) / row[2]
        if row[3] > 0.0:
            row[5] = (x[last] - x[top]) / row[3]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all_surroundings(t, f, snr, offsets, n_bands, threshold, table):  # type: ignore[no-untyped-def]
    for o in range((offsets.size - 1) // n_bands):
        first = -1
        for i in range(offsets[o * n_bands], offsets[(o + 1) * n_bands]):
            if abs(snr[i]) >= threshold and (first < 0 or t[i] < t[first]):
                first = i
        if first < 0:
            continue
        for c in range(o * n_bands, (o + 1) * n_bands):
            row, start = table[c], offsets[c]
            stop = start + np.searchsorted(t[start : offsets[c + 1]], t[first])
            row[0] = stop - start
            if stop > start:
                row[1] = f[stop - 1]
                row[2], row[3] = _middle_and_most(f[start:stop])
                row[4], row[5] = f[first] - row[1], f[first] - row[2]
            later = f[stop : offsets[c + 1]][np.abs(snr[stop : offsets[c + 1]]) < threshold]
            row[6] = later.size
            if later.size > 0:
                row[7], row[8] = _middle_and_most(later)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _middle_and_most(x):  # type: ignore[no-untyped-def]
    ranked = np.sort(x)
    return middle_of(ranked), ranked[-1]
