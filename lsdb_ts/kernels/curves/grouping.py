"""Regrouping of epochs by object and band, sorted by time: what every statistic starts from."""

from __future__ import annotations

import math

import numba
import numpy as np

from lsdb_ts.kernels.curves.ranked import middle_of


@numba.njit(cache=True, nogil=True)
def group_by_band(starts, band, good, n_bands):  # type: ignore[no-untyped-def]
    """Sort epochs by (object, band), stably and in one pass; epochs of a negative band are left out.

    Parameters
    ----------
    starts : numpy.ndarray of int64, shape (n_objects + 1,)
        Where the epochs of each object begin.
    band : numpy.ndarray of int8, shape (n,)
        Band of each epoch, 0 .. n_bands - 1, or negative.
    good : numpy.ndarray of bool, shape (n,)
        Epochs that are not good are left out, and counted.
    n_bands : int

    Returns
    -------
    rows : numpy.ndarray of int64
        The epochs kept, in their new sequence.
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
        Where each band of each object begins.
    dropped : numpy.ndarray of int64, shape (n_objects, n_bands)
        Epochs that were not good.
    """
    n_objects = starts.size - 1
    offsets, dropped = np.zeros(n_objects * n_bands + 1, np.int64), np.zeros((n_objects, n_bands), np.int64)
    rows, free = np.empty(band.size, np.int64), np.empty(n_bands, np.int64)
    for o in range(n_objects):
        first = o * n_bands
        counts = offsets[first + 1 : first + n_bands + 1]
        for i in range(starts[o], starts[o + 1]):
            if band[i] >= 0:
                if good[i]:
                    counts[band[i]] += 1
                else:
                    dropped[o, band[i]] += 1
        for b in range(n_bands):
            free[b] = offsets[first + b]
            offsets[first + b + 1] += offsets[first + b]
        for i in range(starts[o], starts[o + 1]):
            if band[i] >= 0 and good[i]:
                rows[free[band[i]]] = i
                free[band[i]] += 1
    return rows[: offsets[-1]], offsets, dropped


@numba.njit(cache=True, nogil=True)
def far_in_time(time_days, offsets, max_days):  # type: ignore[no-untyped-def]
    """Mark the epochs that lie further than ``max_days`` from the median epoch of their curve.

    Curves that span less are not looked at. Times that are not finite are not marked and do not count.
    """
    far = np.zeros(time_days.size, np.bool_)
    for c in range(offsets.size - 1):
        start, stop = offsets[c], offsets[c + 1]
        low, high = math.inf, -math.inf
        for i in range(start, stop):
            if math.isfinite(time_days[i]):
                low, high = min(low, time_days[i]), max(high, time_days[i])
        if not high - low > max_days:
            continue
        curve = time_days[start:stop]
        middle = middle_of(np.sort(curve[np.isfinite(curve)]))
        for i in range(start, stop):
            far[i] = math.isfinite(time_days[i]) and abs(time_days[i] - middle) > max_days
    return far


@numba.njit(cache=True, nogil=True, error_model="numpy")
def usable(time_days, values, errors):  # type: ignore[no-untyped-def]
    """Tell which epochs have a finite time, value and error, and an error above 0 whose weight ``1 / e^2`` is a number.

    Errors beyond 1e-154 to 1e154 have none: one such epoch would make all sums of its curve infinite.
    """
    good = np.empty(time_days.size, np.bool_)
    for i in range(good.size):
        weight = 1.0 / (errors[i] * errors[i])
        known = math.isfinite(time_days[i]) and math.isfinite(values[i]) and math.isfinite(weight)
        good[i] = known and errors[i] > 0.0 and weight > 0.0
    return good
