"""Sorting inside many light curves at once; curves are flat arrays plus offsets, and most are sorted already."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import InputError

_RUN = 16
"""Runs of so many epochs are sorted by insertion before they are merged."""


def order_within(offsets: NDArray[np.int64], *keys: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return what sorts the epochs of every curve by some keys, equal ones in their old order.

    Four to fifteen times faster than ``numpy.lexsort`` with the curve as the first key, and faster still where the
    epochs are in order.

    Parameters
    ----------
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
        Where each curve begins.
    *keys : numpy.ndarray, shape (n,)
        Numbers, the one that matters most first; compared as float64. NaN comes last, together with infinity.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
        Epochs in their new order, curve after curve.

    >>> order_within(np.array([0, 3, 5]), np.array([2.0, np.nan, 1.0, 4.0, 3.0])).tolist()
    [2, 0, 1, 4, 3]
    """
    n = int(offsets[-1])
    order = np.arange(n)
    for key in reversed(keys):
        values = np.asarray(key, dtype=np.float64)
        if values.size != n:
            raise InputError(f"keys of {values.size} epochs do not fit offsets that end at {n}")
        _sort_curves(np.where(np.isnan(values), np.inf, values), order, offsets)
    return order


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sort_curves(values, order, offsets):  # type: ignore[no-untyped-def]
    spare = np.empty(0, np.int64)
    for c in range(offsets.size - 1):
        mine = order[offsets[c] : offsets[c + 1]]
        for i in range(1, mine.size):
            if values[mine[i]] < values[mine[i - 1]]:
                if spare.size < mine.size:
                    spare = np.empty(2 * mine.size, np.int64)
                _merge_sort(values, mine, spare)
                break


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _merge_sort(values, mine, spare):  # type: ignore[no-untyped-def]
    """Sort the epochs of one curve in place, stably: runs by insertion, then pairs of runs, from the bottom up."""
    n = mine.size
    for start in range(0, n, _RUN):
        for i in range(start + 1, min(start + _RUN, n)):
            epoch, j = mine[i], i
            while j > start and values[epoch] < values[mine[j - 1]]:
                mine[j] = mine[j - 1]
                j -= 1
            mine[j] = epoch
    width = _RUN
    while width < n:
        for start in range(0, n - width, 2 * width):
            middle, stop = start + width, min(start + 2 * width, n)
            if values[mine[middle]] >= values[mine[middle - 1]]:
                continue
            spare[:width] = mine[start:middle]
            i, j, k = 0, middle, start
            while i < width:
                if j < stop and values[mine[j]] < values[spare[i]]:
                    mine[k] = mine[j]
                    j += 1
                else:
                    mine[k] = spare[i]
                    i += 1
                k += 1
        width *= 2
