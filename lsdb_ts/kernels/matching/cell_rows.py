"""Find rows of sorted places by the cells they lie in, where it is known at which row each cell begins."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def rows_inside(place, first, cell, shift, starts, stops):  # type: ignore[no-untyped-def]
    """Return the rows inside a set of sky, ascending.

    Parameters
    ----------
    place : numpy.ndarray of int64, shape (n,)
        Order-29 numbers of the rows, ascending.
    first : numpy.ndarray of int32, shape (cells + 1,)
        The first row of each cell, and one past the last row.
    cell : int
        Number of the first cell.
    shift : int
        Bits by which an order-29 number is shifted to the number of its cell.
    starts, stops : numpy.ndarray of int64, shape (m,)
        Half-open, disjoint and ascending intervals of order-29 numbers, none beyond the cells.

    Returns
    -------
    numpy.ndarray of int64
    """
    most = 0
    for i in range(starts.size):
        most += first[((stops[i] - 1) >> shift) - cell + 1] - first[(starts[i] >> shift) - cell]
    rows = np.empty(most, np.int64)
    n = 0
    for i in range(starts.size):
        for row in range(first[(starts[i] >> shift) - cell], first[((stops[i] - 1) >> shift) - cell + 1]):
            # Without a branch the places, which are far apart in memory, are fetched several at a time.
            rows[n] = row
            n += (place[row] >= starts[i]) & (place[row] < stops[i])
    return rows[:n]
