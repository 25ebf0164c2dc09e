"""Match left rows block by block: cells to look into, candidates of all rows, their distances, the nearest of each.

Every step is one plain loop over a block, so that the processor neither waits for memory nor guesses. Rows these steps
do not suit (crowds, edges of base pixels) are searched a few at a time, in ``search.py``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.kernels.matching.cells import TABLE_BITS, TABLE_CELLS, empty_cells, table_of
from lsdb_ts.kernels.matching.faces import EVEN_BITS, STEEPEST, spread, steps_within, stretch
from lsdb_ts.kernels.matching.near import Rows, angle_of, borrowed, first_from, haversine, sort_near
from lsdb_ts.kernels.matching.search import GROUP, Room, new_room, search

BLOCK = 1024
CROWD = 144
"""A row with more candidates than this is searched."""
_FEW, _MANY = 64, 256
"""Fewer left rows than ``_FEW``, or ``_MANY`` times fewer than right ones, are searched."""
_SAMPLES = 65
"""Left rows around which the density of right ones is looked at."""
_COARSEST = 25
"""The largest level of a fine cell: with that of its table it must not leave the range of 64 bits."""
_STEP = 4
"""So many candidates of a cell are written at once, whether they are there or not."""


class Block(NamedTuple):
    """Room for one block of left rows and their candidates."""

    cells: NDArray[np.int64]
    """Shape (4, BLOCK): the own cell and those the disc may reach into, times two, plus one if it does."""
    starts: NDArray[np.uint32]
    sizes: NDArray[np.uint32]
    """Shape (4, BLOCK): the first right row in each, and how many there are."""
    apart: NDArray[np.bool_]
    """Whether the row is left to the search."""
    row: NDArray[np.uint32]
    """Left row, within the block, of each candidate."""
    candidate: NDArray[np.uint32]
    """Its right row."""
    east: NDArray[np.float64]
    north: NDArray[np.float64]
    """Right ascension and declination of the left row less those of the candidate, in degrees."""
    dec: NDArray[np.float64]
    haversine: NDArray[np.float64]
    best: NDArray[np.float64]
    best_row: NDArray[np.uint32]


@numba.njit(cache=True, nogil=True)
def _new_block():  # type: ignore[no-untyped-def]
    places = BLOCK * CROWD + 4 * _STEP
    return Block(
        np.empty((4, BLOCK), np.int64),
        np.empty((4, BLOCK), np.uint32),
        np.empty((4, BLOCK), np.uint32),
        np.empty(BLOCK, np.bool_),
        np.empty(places, np.uint32),
        np.empty(places, np.uint32),
        np.empty(places, np.float64),
        np.empty(places, np.float64),
        np.empty(places, np.float64),
        np.empty(places, np.float64),
        np.empty(BLOCK, np.float64),
        np.empty(BLOCK, np.uint32),
    )


@numba.njit(cache=True, nogil=True)
def _longer(array, used, size):  # type: ignore[no-untyped-def]
    """Return a copy with more places, the first ones filled."""
    more = np.empty(size, array.dtype)
    for k in range(used):
        more[k] = array[k]
    return more


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _find_cells(place, start, count, level, reach, block):  # type: ignore[no-untyped-def]
    """Fill the cells of the block that a disc of so many order-29 steps can reach into."""
    shift = np.int64(2 * level)
    x_bits = np.int64(EVEN_BITS)
    low_x = x_bits & ((np.int64(1) << shift) - 1)
    low_y = low_x << 1
    near_x = spread(np.int64(reach))
    far_x = spread((np.int64(1) << level) - 1 - reach)
    near_y, far_y = near_x << 1, far_x << 1
    high_x, high_y = (x_bits & ~low_x) >> shift, ((x_bits << 1) & ~low_y) >> shift
    high = high_x | high_y
    apart = block.apart
    own, beside_x, beside_y, beyond = block.cells[0], block.cells[1], block.cells[2], block.cells[3]
    for i in range(count):
        p = place[np.uint64(start) + np.uint64(i)]
        cell = p >> shift
        in_x, in_y = p & low_x, p & low_y
        below_x, above_x = in_x <= near_x, in_x >= far_x
        below_y, above_y = in_y <= near_y, in_y >= far_y
        x, y, face = cell & high_x, cell & high_y, cell & ~high
        out_x, out_y = below_x | above_x, below_y | above_y
        step_x = ((x - 1) & high_x) if below_x else (((x | ~high_x) + 1) & high_x)
        step_y = ((y - 1) & high_y) if below_y else (((y | ~high_y) + 1) & high_y)
        next_x, next_y = step_x if out_x else x, step_y if out_y else y
        own[i] = (cell << 1) | 1
        beside_x[i] = ((face | next_x | y) << 1) | np.int64(out_x)
        beside_y[i] = ((face | x | next_y) << 1) | np.int64(out_y)
        beyond[i] = ((face | next_x | next_y) << 1) | np.int64(out_x & out_y)
        apart[i] = (below_x & (x == 0)) | (above_x & (x == high_x)) | (below_y & (y == 0)) | (above_y & (y == high_y))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _find_rows(place, level, cells, count, block):  # type: ignore[no-untyped-def]
    """Fill where the right rows of every cell begin, and how many they are."""
    shift = np.int64(2 * level)
    first, apart = cells.first, block.apart
    for k in range(4):
        around, starts, sizes = block.cells[k], block.starts[k], block.sizes[k]
        last_coarse, base = np.int64(-1), np.int64(0)
        for i in range(count):
            cell = around[i]
            coarse = cell >> (TABLE_BITS + 1)
            if coarse != last_coarse:
                base = table_of(cells, coarse, place, shift)
                last_coarse = coarse
                if base < 0:
                    apart[i], base, last_coarse = True, np.int64(0), np.int64(-1)
            at = np.uint64(base + ((cell >> 1) & (TABLE_CELLS - 1)))
            start = np.uint32(first[at])
            starts[i] = start
            sizes[i] = (np.uint32(first[at + np.uint64(1)]) - start) * np.uint32(cell & 1)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _list_candidates(count, block):  # type: ignore[no-untyped-def]
    """List the right rows of the cells of each row, in the order of the rows; return how many."""
    row, candidate, apart = block.row, block.candidate, block.apart
    start0, start1, start2, start3 = block.starts[0], block.starts[1], block.starts[2], block.starts[3]
    size0, size1, size2, size3 = block.sizes[0], block.sizes[1], block.sizes[2], block.sizes[3]
    end = np.uint64(0)
    for i in range(count):
        n0, n1, n2, n3 = size0[i], size1[i], size2[i], size3[i]
        if apart[i] | (n0 + n1 + n2 + n3 > CROWD):
            apart[i] = True
        elif max(max(n0, n1), max(n2, n3)) <= _STEP:
            for n, start in ((n0, start0[i]), (n1, start1[i]), (n2, start2[i]), (n3, start3[i])):
                for j in range(_STEP):
                    row[end + np.uint64(j)] = i
                    candidate[end + np.uint64(j)] = start + np.uint32(j)
                end += np.uint64(n)
        else:
            for n, start in ((n0, start0[i]), (n1, start1[i]), (n2, start2[i]), (n3, start3[i])):
                for j in range(n):
                    row[end] = i
                    candidate[end] = start + np.uint32(j)
                    end += np.uint64(1)
    return np.int64(end)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sieve(dec, right_dec, total, height, block):  # type: ignore[no-untyped-def]
    """Keep the candidates whose declination is near enough; return how many."""
    row, candidate, norths = block.row, block.candidate, block.north
    kept = np.uint64(0)
    for u in range(total):
        i, j = row[u], candidate[u]
        north = dec[i] - right_dec[j]
        row[kept], candidate[kept] = i, j
        norths[kept] = north
        kept += np.uint64(abs(north) <= height)
    return np.int64(kept)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _measure(left, start, count, right, total, block):  # type: ignore[no-untyped-def]
    """Fill the haversines of the candidates."""
    ra, dec = left.ra_deg[start : start + count], left.dec_deg[start : start + count]
    row, candidate, right_ra = block.row, block.candidate, right.ra_deg
    easts, decs, norths, near = block.east, block.dec, block.north, block.haversine
    for u in range(total):
        i, j = row[u], candidate[u]
        easts[u] = ra[i] - right_ra[j]
        decs[u] = dec[i]
    for u in range(total):
        near[u] = haversine(easts[u], decs[u], norths[u])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _choose(total, count, wanted, block):  # type: ignore[no-untyped-def]
    """Fill the nearest candidate of every row."""
    best, best_row, row, candidate, near = block.best, block.best_row, block.row, block.candidate, block.haversine
    least = wanted.nearest
    best[:count] = np.nextafter(wanted.farthest, 1.0)
    for u in range(total):
        i, h = row[u], near[u]
        before = best[i]
        better = (h < before) & (h >= least)
        best[i] = h if better else before
        best_row[i] = candidate[u] if better else best_row[i]


@numba.njit(cache=True, nogil=True)
def _end_apart(apart, i, count):  # type: ignore[no-untyped-def]
    """Return where a run of rows left to the search ends, or as many of them as are searched together."""
    stop, last = i + 1, min(count, i + GROUP)
    while stop < last and apart[stop]:
        stop += 1
    return stop


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _search_apart(left, start, count, right, wanted, stretched, block, room):  # type: ignore[no-untyped-def]
    """Fill the nearest right row of the rows that are left to the search."""
    i = 0
    while i < count:
        searched = 1
        if block.apart[i]:
            stop = start + _end_apart(block.apart, i, count)
            searched = search(left, start + i, stop, right, wanted, stretched, room)
            for k in range(searched):
                if room.group[k].count > 0:
                    block.best[i + k], block.best_row[i + k] = room.near[k], room.near_rows[k]
        i += searched


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _emit(start, count, wanted, block, found, m):  # type: ignore[no-untyped-def]
    """Write the pairs of the block from the m-th place on; return how many there are then."""
    left_rows, right_rows, separation = found
    best, best_row, farthest = block.best, block.best_row, wanted.farthest
    end = np.uint64(m)
    for i in range(count):
        left_rows[end] = start + i
        right_rows[end] = best_row[i]
        separation[end] = best[i]
        end += np.uint64(best[i] <= farthest)
    written = separation[np.uint64(m) : end]
    for i in range(written.size):
        written[i] = angle_of(written[i])
    return np.int64(end)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _emit_several(left, start, count, right, wanted, stretched, total, block, found, m, room):  # type: ignore[no-untyped-def]
    """Write the pairs of the block, several to a row, into ``found`` or larger copies of it."""
    left_rows, right_rows, separation = found
    u, first, searched = 0, 0, 0
    for i in range(count):
        pairs, base = 0, 0
        if block.apart[i]:
            if i >= first + searched:
                first, searched, stop = i, 0, start + _end_apart(block.apart, i, count)
                while searched == 0:
                    searched = search(left, start + i, stop, right, wanted, stretched, room)
                    if room.group[0].count < 0:
                        room, searched = new_room(2 * room.near.size, right.place.size), 0
            pairs, base = room.group[i - first].count, (i - first) * wanted.most
        else:
            near, near_rows = room.near, room.near_rows
            while u < total and block.row[u] == i:
                h = block.haversine[u]
                if wanted.nearest <= h <= wanted.farthest:
                    near[pairs], near_rows[pairs] = h, block.candidate[u]
                    pairs += 1
                u += 1
            sort_near(near, near_rows, pairs)
            if wanted.most > 0:
                pairs = min(pairs, wanted.most)
        if m + pairs > left_rows.size:
            capacity = 2 * (m + pairs)
            left_rows, right_rows = _longer(left_rows, m, capacity), _longer(right_rows, m, capacity)
            separation = _longer(separation, m, capacity)
        for k in range(pairs):
            found_row, h = room.near_rows[base + k], room.near[base + k]
            left_rows[m], right_rows[m], separation[m] = start + i, found_row, angle_of(h)
            m += 1
    return (left_rows, right_rows, separation), m, room


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fine_level(left, right, radius):  # type: ignore[no-untyped-def]
    """Choose the side of the fine cells, as a power of two of order-29 cells; -1 to search all rows.

    About one right row in a cell where left rows are, fewer where the left rows are many; at least twice the radius.
    """
    n, m = left.size, right.size
    if n < _FEW or n * _MANY < m:
        return -1
    lowest = 0
    while (1 << lowest) <= 2 * steps_within(radius, STEEPEST):
        lowest += 1
    window = min(16, m - 1)
    if window == 0:
        return max(lowest, _COARSEST)
    gaps, rows = np.empty(_SAMPLES, np.float64), np.zeros(_SAMPLES, np.int64)
    for k in range(_SAMPLES):
        at = first_from(right, 0, m, left[k * (n - 1) // (_SAMPLES - 1)])
        above, below = min(at, m - 1 - window), max(min(at, m - 1), window)
        gaps[k] = min(right[above + window] - right[above], right[below] - right[below - window])
    sort_near(gaps, rows, _SAMPLES)
    area = gaps[_SAMPLES // 2] / window
    if area * CROWD < float(1 << (2 * lowest)):
        return -1
    area *= min(1.0, 4.0 * m / n)
    level = lowest
    while level < _COARSEST and 2.0 * float(1 << (2 * level)) < area:
        level += 1
    return level


@numba.njit(cache=True, nogil=True, error_model="numpy")
def match_rows(left, right, wanted, found):  # type: ignore[no-untyped-def]
    """Find the pairs of two sides.

    Parameters
    ----------
    left, right : Rows
        Of at least one row each, the right side of fewer than 2^31.
    wanted : Wanted
    found : tuple of numpy.ndarray of int64, int64 and float64
        Room for the pairs; for one neighbour, as many places as there are left rows.

    Returns
    -------
    found : tuple of numpy.ndarray
        Left rows, right rows and separations in radians: the same arrays, or larger ones.
    m : int
        How many pairs there are.
    """
    level = _fine_level(left.place, right.place, wanted.radius)
    block = _new_block()
    cells = empty_cells(1 if level < 0 else 64 + (left.place.size + right.place.size) // (TABLE_CELLS // 4))
    left = Rows(borrowed(left.place), borrowed(left.ra_deg), borrowed(left.dec_deg))
    right = Rows(borrowed(right.place), borrowed(right.ra_deg), borrowed(right.dec_deg))
    held = new_room(max(CROWD, wanted.most), right.place.size)
    room = Room(
        borrowed(held.near),
        borrowed(held.near_rows),
        borrowed(held.group),
        borrowed(held.measured),
        borrowed(held.stack),
        borrowed(held.kept),
    )
    height = math.degrees(wanted.radius) + 1e-12
    n, m = left.place.size, np.int64(0)
    for start in range(0, n, BLOCK):
        count = min(BLOCK, n - start)
        stretched = stretch(left.ra_deg, left.dec_deg, start, start + count, wanted.radius)
        reach = steps_within(wanted.radius, stretched)
        if level < 0:
            block.apart[:count] = True
            total = np.int64(0)
        else:
            _find_cells(left.place, start, count, level, reach, block)
            _find_rows(right.place, level, cells, count, block)
            total = _list_candidates(count, block)
            total = _sieve(left.dec_deg[start : start + count], right.dec_deg, total, height, block)
            _measure(left, start, count, right, total, block)
        if wanted.most != 1:
            found, m, room = _emit_several(left, start, count, right, wanted, stretched, total, block, found, m, room)
            continue
        _choose(total, count, wanted, block)
        if block.apart[:count].any():
            _search_apart(left, start, count, right, wanted, stretched, block, room)
        m = _emit(start, count, wanted, block, found, m)
    # What is borrowed must be held until here.
    held.kept[0] = -1
    return found, m
