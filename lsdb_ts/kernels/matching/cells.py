"""Where the rows of each fine cell begin: tables of a thousand cells, made when first asked for.

Which cells a row has to look into is decided in ``blocks.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.kernels.matching.near import first_from

TABLE_BITS = 10
"""Twice the orders between a fine cell and the coarse cell whose table holds it."""
TABLE_CELLS = 1 << TABLE_BITS
_EMPTY, _NONE_LEFT = 0, -1


class Cells(NamedTuple):
    """A hash table of coarse cells, and a table of the first row of every fine cell in each of them."""

    keys: NDArray[np.int64]
    """Coarse cell numbers, -1 where free."""
    tables: NDArray[np.int32]
    """Beside each key, which table is its own."""
    first: NDArray[np.int32]
    """``TABLE_CELLS + 1`` entries for each table; table 0 is that of a cell without rows."""
    used: NDArray[np.int64]
    """How many keys and how many tables are in use."""


@numba.njit(cache=True, nogil=True)
def empty_cells(max_tables):  # type: ignore[no-untyped-def]
    """Return a :class:`Cells` with room for so many tables."""
    size = 64
    while size < 4 * max_tables:
        size *= 2
    first = np.empty(max_tables * (TABLE_CELLS + 1), np.int32)
    first[: TABLE_CELLS + 1] = 0
    return Cells(np.full(size, np.int64(-1)), np.empty(size, np.int32), first, np.array([0, 1]))


@numba.njit(cache=True, nogil=True)
def table_of(cells, coarse, place, shift):  # type: ignore[no-untyped-def]
    """Return where in ``cells.first`` the table of a coarse cell begins, making it if need be; -1 where none is left.

    ``place >> shift`` are the fine cells of the right rows.
    """
    mask = cells.keys.size - 1
    k = ((coarse * 0x9E3779B97F4A7C1) >> 17) & mask
    while cells.keys[k] != coarse:
        if cells.keys[k] == -1:
            if 2 * cells.used[0] > cells.keys.size:
                return _NONE_LEFT
            table = _fill(cells, coarse, place, shift)
            if table == _NONE_LEFT:
                return _NONE_LEFT
            cells.keys[k] = coarse
            cells.tables[k] = table
            cells.used[0] += 1
            break
        k = (k + 1) & mask
    return np.int64(cells.tables[k]) * (TABLE_CELLS + 1)


@numba.njit(cache=True, nogil=True)
def _fill(cells, coarse, place, shift):  # type: ignore[no-untyped-def]
    start = first_from(place, 0, place.size, coarse << (shift + TABLE_BITS))
    stop = first_from(place, start, place.size, (coarse + 1) << (shift + TABLE_BITS))
    if start == stop:
        return _EMPTY
    table = cells.used[1]
    if (table + 1) * (TABLE_CELLS + 1) > cells.first.size:
        return _NONE_LEFT
    cells.used[1] = table + 1
    first = cells.first[table * (TABLE_CELLS + 1) : (table + 1) * (TABLE_CELLS + 1)]
    first[:] = 0
    for j in range(start, stop):
        first[np.uint64((place[j] >> shift) & (TABLE_CELLS - 1)) + np.uint64(1)] += 1
    total = np.int32(start)
    for c in range(TABLE_CELLS + 1):
        total += first[c]
        first[c] = total
    return table
