"""Search the right rows near a few positions, descending the quadtree that rows sorted by place already are.

The way for crowds, for positions at the edge of a base pixel, and for few positions beside many; how whole blocks of
positions are matched stands in ``blocks.py``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.kernels.matching.faces import (
    MAX_ORDER,
    SIDE,
    compact,
    face_beyond,
    seen_from_beyond,
    spread,
    steps_within,
)
from lsdb_ts.kernels.matching.near import Floats, Indices, angle_of, first_around, first_from, haversine, sort_near

_LEAF_ROWS = 32
"""So few rows are measured rather than divided further."""
_LANES = 16
"""So many rows are measured at once."""
_REPEATED = 64
"""A run of more rows in one order-29 cell is looked at for whether they all have one position."""
GROUP = 32
"""At most so many left rows are searched together,"""
_SPREAD = 8
"""and no wider apart than so many times as far as the first of them has to look."""
_STACK = 128
"""More than the three cells that wait at every one of 29 levels."""


MEMBER = np.dtype(
    [
        ("ra_deg", np.float64),
        ("dec_deg", np.float64),
        ("x", np.int64),
        ("y", np.int64),
        ("own_x", np.int64),
        ("own_y", np.int64),
        ("bound", np.float64),
        ("reach", np.int64),
        ("first", np.int64),
        ("end", np.int64),
        ("count", np.int64),
    ]
)
"""A left row that is searched: x and y are those on its own face, ``own_x`` and ``own_y`` as seen from the face that is
looked into; ``bound`` is the haversine within which more can count, ``reach`` that in steps; right rows from ``first``
to ``end`` were seen before; ``count`` were found."""


class Room(NamedTuple):
    """What a search writes to."""

    near: Floats
    near_rows: Indices
    """Haversines and right rows of what was found, in order: ``wanted.most`` places for each left row."""
    group: NDArray[Any]
    """The left rows that are searched together, of type :data:`MEMBER`."""
    measured: Floats
    stack: Indices
    """Four numbers for each cell yet to be looked into: see :func:`_push`."""
    kept: Indices
    """A run of rows, whether they all have one position, and the right row next to the last left one."""


@numba.njit(cache=True, nogil=True)
def new_room(size, n_right):  # type: ignore[no-untyped-def]
    """Return a :class:`Room` for so many right rows near left ones, of so many in all."""
    return Room(
        np.empty(size, np.float64),
        np.empty(size, np.int64),
        np.empty(GROUP, MEMBER),
        np.empty(min(_LANES, n_right), np.float64),
        np.empty(4 * _STACK, np.int64),
        np.array([-1, -1, 0, 0]),
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def search(left, start, stop, right, wanted, stretched, room):  # type: ignore[no-untyped-def]
    """Collect the right rows that count for a left row and for those after it that lie near, the nearest first.

    Parameters
    ----------
    left, right : Rows
    start, stop : int
        The first left row, and where to stop at the latest.
    wanted : Wanted
    stretched : float
        What :func:`lsdb_ts.kernels.matching.faces.stretch` says of the left rows.
    room : Room
        Its ``near``, ``near_rows`` and ``group`` are filled.

    Returns
    -------
    int
        How many left rows were searched. A member of the group has the count of what was found for it, -1 if there is
        not room for all.
    """
    g = _gather(left, start, stop, right, wanted, stretched, room)
    group, face = room.group, left.place[start] >> 58
    x_low, x_high, y_low, y_high, reach = SIDE, 0, SIDE, 0, 0
    for k in range(g):
        member = group[k]
        x_low, x_high = min(x_low, member.x), max(x_high, member.x)
        y_low, y_high = min(y_low, member.y), max(y_high, member.y)
        reach = max(reach, member.reach)
    faces_x = range((x_low - reach) >> MAX_ORDER, ((x_high + reach) >> MAX_ORDER) + 1)
    faces_y = range((y_low - reach) >> MAX_ORDER, ((y_high + reach) >> MAX_ORDER) + 1)
    for across_y in faces_y:
        for across_x in faces_x:
            if face_beyond(face, across_x, across_y) < 0:
                # Where three faces meet, the way to a row of the second may lead through the third, and turn there:
                # on the axes of the first, that row lies up to twice as far away.
                stretched *= 2.0
    for across_y in faces_y:
        for across_x in faces_x:
            beyond = face_beyond(face, across_x, across_y)
            if beyond >= 0:
                for k in range(g):
                    member = group[k]
                    member.own_x, member.own_y = seen_from_beyond(face, across_x, across_y, member.x, member.y)
                _descend(right, beyond, g, wanted, stretched, room)
                if group[0].count < 0:
                    return g
    if wanted.most <= 0 and group[0].count > 0:
        sort_near(room.near, room.near_rows, group[0].count)
    return g


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _gather(left, start, stop, right, wanted, stretched, room):  # type: ignore[no-untyped-def]
    """Fill the group with left rows that lie near one another, and bounds from a look around; return how many."""
    most, group, kept, n = wanted.most, room.group, room.kept, right.place.size
    size = min(min(stop - start, GROUP), room.near.size // most) if most > 0 else 1
    x_low, x_high, y_low, y_high, limit = SIDE, 0, SIDE, 0, 0
    for k in range(size):
        place = left.place[start + k]
        inside = place & ((1 << 58) - 1)
        x, y = compact(inside), compact(inside >> 1)
        x_low, x_high, y_low, y_high = min(x_low, x), max(x_high, x), min(y_low, y), max(y_high, y)
        if k > 0 and (max(x_high - x_low, y_high - y_low) > limit or (place ^ left.place[start]) >> 58 != 0):
            return k
        member = group[k]
        member.ra_deg, member.dec_deg = left.ra_deg[start + k], left.dec_deg[start + k]
        member.x, member.y, member.count = x, y, 0
        member.first, member.end, member.bound = n, n, wanted.farthest
        if most > 0:
            # The rows next to it in the order of the quadtree are near, though not surely the nearest.
            at = first_around(right.place, kept[3], place)
            kept[3] = at
            around = max(_LANES // 2, most)
            first, end = max(at - around, 0), min(at + around, n)
            _collect(right, first, end, member, k * most, wanted, room)
            member.first, member.end = first, end
        member.reach = steps_within(angle_of(member.bound), stretched)
        if k == 0:
            limit = _SPREAD * member.reach
    return size


@numba.njit(cache=True, nogil=True)
def _push(stack, top, start, stop, corner, level):  # type: ignore[no-untyped-def]
    """Put a cell on the stack: its rows, first place and level."""
    if start == stop:
        return top
    stack[top], stack[top + np.uint64(1)] = start, stop
    stack[top + np.uint64(2)], stack[top + np.uint64(3)] = corner, level
    return top + np.uint64(4)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _descend(right, face, g, wanted, stretched, room):  # type: ignore[no-untyped-def]
    """Collect from the cells of one face: divide the crowded ones, leave out what the shrinking bounds cannot reach."""
    place, stack, group, top = right.place, room.stack, room.group, np.uint64(0)
    x_low, x_high, y_low, y_high, reach = 2 * SIDE, -SIDE, 2 * SIDE, -SIDE, 0
    for k in range(g):
        member = group[k]
        x_low, x_high = min(x_low, member.own_x), max(x_high, member.own_x)
        y_low, y_high = min(y_low, member.own_y), max(y_high, member.own_y)
        member.reach = steps_within(angle_of(member.bound), stretched)
        reach = max(reach, member.reach)
    level = 0
    while level < MAX_ORDER and (1 << level) <= 2 * reach + max(x_high - x_low, y_high - y_low):
        level += 1
    at = room.kept[3]
    for cell_y in range(max(y_low - reach, 0) >> level, (min(y_high + reach, SIDE - 1) >> level) + 1):
        for cell_x in range(max(x_low - reach, 0) >> level, (min(x_high + reach, SIDE - 1) >> level) + 1):
            corner = (face << 58) | spread(cell_x << level) | (spread(cell_y << level) << 1)
            start = first_around(place, at, corner)
            stop = first_around(place, start, corner + (1 << (2 * level)))
            top = _push(stack, top, start, stop, corner, level)
    while top > 0:
        top -= np.uint64(4)
        start, stop, corner = stack[top], stack[top + np.uint64(1)], stack[top + np.uint64(2)]
        level = stack[top + np.uint64(3)]
        if stop - start > _LEAF_ROWS:
            # Straight down to where the rows part.
            differing = place[start] ^ place[stop - 1]
            while level > 0 and differing >> (2 * (level - 1)) == 0:
                level -= 1
            corner = place[start] >> (2 * level) << (2 * level)
        inside = corner & ((1 << 58) - 1)
        x, y, side = compact(inside), compact(inside >> 1), 1 << level
        if (x > x_high + reach) | (x + side <= x_low - reach) | (y > y_high + reach) | (y + side <= y_low - reach):
            continue
        if stop - start > _LEAF_ROWS and level > 0:
            level -= 1
            quarter = 1 << (2 * level)
            half = first_from(place, start, stop, corner + 2 * quarter)
            low = first_from(place, start, half, corner + quarter)
            high = first_from(place, half, stop, corner + 3 * quarter)
            # The quarter nearest to the middle of the group goes on the stack last.
            nearest = int(x_low + x_high >= 2 * x + side) + 2 * int(y_low + y_high >= 2 * y + side)
            for k in (3, 2, 1, 0):
                q = nearest ^ k
                first = start if q == 0 else (low if q == 1 else (half if q == 2 else high))
                end = low if q == 0 else (half if q == 1 else (high if q == 2 else stop))
                top = _push(stack, top, first, end, corner + q * quarter, level)
            continue
        if level == 0 and stop - start > _REPEATED and wanted.most > 0 and _one_position(right, start, stop, room.kept):
            stop = min(stop, start + wanted.most)
        reach = 0
        for k in range(g):
            member = group[k]
            r, own_x, own_y = member.reach, member.own_x, member.own_y
            if not ((x > own_x + r) | (x + side <= own_x - r) | (y > own_y + r) | (y + side <= own_y - r)):
                before = member.bound
                _collect(right, start, stop, member, k * wanted.most, wanted, room)
                if member.count < 0:
                    return
                if member.bound < before:
                    member.reach = steps_within(angle_of(member.bound), stretched)
            reach = max(reach, member.reach)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _collect(right, start, stop, member, base, wanted, room):  # type: ignore[no-untyped-def]
    """Measure a run of rows, keep those that count, from ``base`` on for each one, and shrink the bound."""
    if start >= member.first and stop <= member.end:
        return
    right_ra, right_dec, measured = right.ra_deg, right.dec_deg, room.measured
    near, near_rows = room.near, room.near_rows
    ra, dec, bound, count = member.ra_deg, member.dec_deg, member.bound, member.count
    seen_first, seen_end = member.first, member.end
    nearest, most = wanted.nearest, wanted.most
    last = right_ra.size - measured.size
    for first in range(start, stop, _LANES):
        # Always as many as fill the processor's vectors, be they wanted or not; fewer only if the right side is small.
        skipped, hits = max(first - last, 0), 0
        for k in range(measured.size):
            j = np.uint64(first - skipped + k)
            measured[k] = haversine(ra - right_ra[j], dec, dec - right_dec[j])
        for k in range(measured.size):
            hits += measured[k] <= bound
        if hits == 0:
            continue
        for k in range(min(_LANES, stop - first)):
            h, row = measured[np.uint64(k + skipped)], first + k
            if h > bound or h < nearest or (row >= seen_first and row < seen_end):
                continue
            if most > 0:
                count = _insert(near, near_rows, base, count, most, h, row)
                if count == most:
                    bound = near[base + most - 1]
            elif count == near.size:
                member.count = -1
                return
            else:
                near[count], near_rows[count] = h, row
                count += 1
    member.bound, member.count = bound, count


@numba.njit(cache=True, nogil=True)
def _insert(near, near_rows, base, count, most, h, row):  # type: ignore[no-untyped-def]
    """Insert into the nearest so far, at most so many of them; return how many there are now."""
    k = base + count
    if count == most:
        k -= 1
        if h > near[k] or (h == near[k] and row > near_rows[k]):
            return count
        count -= 1
    while k > base and (near[k - 1] > h or (near[k - 1] == h and near_rows[k - 1] > row)):
        near[k], near_rows[k] = near[k - 1], near_rows[k - 1]
        k -= 1
    near[k], near_rows[k] = h, row
    return count + 1


@numba.njit(cache=True, nogil=True)
def _one_position(right, start, stop, same):  # type: ignore[no-untyped-def]
    """Tell whether all rows of a run have one position; the last answer is kept, as the next row asks the same."""
    if same[0] != start or same[1] != stop:
        ra, dec = right.ra_deg[start], right.dec_deg[start]
        equal = True
        for j in range(start, stop):
            equal &= (right.ra_deg[j] == ra) & (right.dec_deg[j] == dec)
        same[0], same[1], same[2] = start, stop, equal
    return same[2] == 1
