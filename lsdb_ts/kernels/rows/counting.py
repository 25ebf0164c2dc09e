"""Count numbers that come several times, and add such counts up; what is counted is known elsewhere."""

from __future__ import annotations

import numba
import numpy as np

from lsdb_ts.kernels.rows.ordering import bits_of, sorted_by_bits


@numba.njit(cache=True, nogil=True)
def count_cells(places, shift):  # type: ignore[no-untyped-def]
    """Count places by the cell they lie in.

    Parameters
    ----------
    places : numpy.ndarray of int64, shape (n,)
        In any order.
    shift : int
        Bits by which a place is shifted to the number of its cell.

    Returns
    -------
    cells, counts : numpy.ndarray of int64, shape (m,)
        The cells there are, ascending, and how many places lie in each.
    """
    if places.size == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    least = places.min() >> shift
    values = np.empty(places.size, np.uint64)
    for i in range(places.size):
        values[i] = np.uint64((places[i] >> shift) - least)
    values = sorted_by_bits(values, 0, bits_of(np.uint64((places.max() >> shift) - least)))
    n = 1
    for i in range(1, values.size):
        n += values[i] != values[i - 1]
    cells, counts = np.empty(n, np.int64), np.empty(n, np.int64)
    at, begun = 0, 0
    for i in range(1, values.size + 1):
        if i == values.size or values[i] != values[i - 1]:
            cells[at], counts[at] = np.int64(values[begun]) + least, i - begun
            at, begun = at + 1, i
    return cells, counts


@numba.njit(cache=True, nogil=True)
def add_counts(cells, counts, others, more):  # type: ignore[no-untyped-def]
    """Add up the counts of two sets of cells.

    Parameters
    ----------
    cells, others : numpy.ndarray of int64
        Ascending, each cell once.
    counts, more : numpy.ndarray of int64
        How many there are in each.

    Returns
    -------
    cells, counts : numpy.ndarray of int64
    """
    found = np.empty(cells.size + others.size, np.int64)
    total = np.empty(found.size, np.int64)
    i, j, n = 0, 0, 0
    while i < cells.size and j < others.size:
        # Without a branch: which of the two is next cannot be guessed.
        left, right = cells[i] <= others[j], others[j] <= cells[i]
        found[n] = min(cells[i], others[j])
        total[n] = left * counts[i] + right * more[j]
        i, j, n = i + left, j + right, n + 1
    while i < cells.size:
        found[n], total[n] = cells[i], counts[i]
        i, n = i + 1, n + 1
    while j < others.size:
        found[n], total[n] = others[j], more[j]
        j, n = j + 1, n + 1
    return found[:n], total[:n]


@numba.njit(cache=True, nogil=True)
def coarser_counts(cells, counts, shift):  # type: ignore[no-untyped-def]
    """Add up the counts of cells that become one when their numbers are shifted; as :func:`add_counts` has them."""
    found, total = np.empty(cells.size, np.int64), np.empty(cells.size, np.int64)
    n = 0
    for i in range(cells.size):
        cell = cells[i] >> shift
        if n == 0 or found[n - 1] != cell:
            found[n], total[n] = cell, 0
            n += 1
        total[n - 1] += counts[i]
    return found[:n], total[:n]


@numba.njit(cache=True, nogil=True)
def distinct_after(cells):  # type: ignore[no-untyped-def]
    """Return how many ascending cells, each once, remain when their numbers are shifted by 0, 1, ... 63 bits."""
    found = np.zeros(64, np.int64)
    if cells.size == 0:
        return found
    found[63] = 1
    for i in range(1, cells.size):
        # They differ until the highest bit that differs is gone.
        found[bits_of(np.uint64(cells[i] ^ cells[i - 1])) - 1] += 1
    for k in range(62, -1, -1):
        found[k] += found[k + 1]
    return found
