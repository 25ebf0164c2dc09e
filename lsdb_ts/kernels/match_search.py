"""The right rows near one position, by descending the quadtree that rows sorted by place already are.

The way for crowds, for positions at the edge of a base pixel, and for few positions beside many; how whole blocks of
positions are matched stands in ``match_blocks.py``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numba.extending import intrinsic
from numpy.typing import NDArray

from lsdb_ts.kernels.match_faces import (
    MAX_ORDER,
    compact,
    face_beyond,
    seen_from_beyond,
    spread,
    steps_within,
)

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
_LEAF_ROWS = 32
"""So few rows are measured rather than divided further."""
_LANES = 16
"""So many rows are measured at once."""
_REPEATED = 64
"""A run of more rows in one order-29 cell is looked at for whether they all have one position."""
_STACK = 128
"""More than the three cells that wait at every one of 29 levels."""


class Rows(NamedTuple):
    """One side of a match."""

    place: Indices
    ra_deg: Floats
    dec_deg: Floats


class Wanted(NamedTuple):
    """Which pairs count; nearness is the haversine of an angle, the square of the sine of its half."""

    radius: float
    """Largest separation in radians."""
    nearest: float
    """Least haversine."""
    farthest: float
    """Largest haversine."""
    most: int
    """At most so many for each left row; no matter how many are -1."""


class Room(NamedTuple):
    """What a search of one left row writes to."""

    near: Floats
    near_rows: Indices
    """Haversines and right rows of what was found, in order."""
    measured: Floats
    stack: Indices
    """Six numbers for each cell yet to be looked into: see :func:`_push`."""
    same: Indices
    """A run of rows, and whether they all have one position."""


@intrinsic
def borrowed(context, array):  # type: ignore[no-untyped-def]
    """Return the same array without an owner, for which compiled code keeps no count of references.

    The count is an atomic operation for every array at every call, as long as the search of a row itself. The array
    must be held by whoever called the compiled code.
    """

    def without_owner(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        held = context.make_array(signature.args[0])(context, builder, value=arguments[0])
        held.meminfo = held.meminfo.type(None)
        return held._getvalue()

    return array(array), without_owner


@numba.njit(cache=True, nogil=True, inline="always", error_model="numpy")
def sine(x):  # type: ignore[no-untyped-def]
    """Return the sine of an angle in [-pi/2, pi/2], by its Taylor series: within 3e-16 of its size."""
    y = x * x
    s = y * (1.0 / 51090942171709440000.0) - 1.0 / 121645100408832000.0
    s = s * y + 1.0 / 355687428096000.0
    s = s * y - 1.0 / 1307674368000.0
    s = s * y + 1.0 / 6227020800.0
    s = s * y - 1.0 / 39916800.0
    s = s * y + 1.0 / 362880.0
    s = s * y - 1.0 / 5040.0
    s = s * y + 1.0 / 120.0
    s = s * y - 1.0 / 6.0
    return x + x * (s * y)


@numba.njit(cache=True, nogil=True, inline="always", error_model="numpy")
def haversine(east, dec, north):  # type: ignore[no-untyped-def]
    """Return the haversine of the separation of two positions (Sinnott 1984, Sky & Telescope 68, 159).

    All in degrees: the difference of right ascensions, one declination, and that less the other. The product of the
    cosines of both is ``cos(mean)^2 - sin(north / 2)^2``.
    """
    east -= 360.0 * math.floor(east * (1.0 / 360.0) + 0.5)
    x = north * (math.pi / 360.0)
    y = x * x
    # To 1e-16 of its size within a degree; beyond, only too far has to stay too far.
    up = x + x * (y * ((y * (-1.0 / 5040.0) + 1.0 / 120.0) * y - 1.0 / 6.0))
    across = sine(east * (math.pi / 360.0))
    # The sine of the distance from the pole keeps its precision there.
    middle = sine((90.0 - abs(dec - 0.5 * north)) * (math.pi / 180.0))
    up *= up
    return up + (middle * middle - up) * (across * across)


@numba.njit(cache=True, nogil=True, inline="always", error_model="numpy")
def angle_of(h):  # type: ignore[no-untyped-def]
    """Return the angle in radians of a haversine up to that of a degree."""
    return 2.0 * math.sqrt(h) * (1.0 + h * (1.0 / 6.0 + h * (3.0 / 40.0 + h * (15.0 / 336.0))))


@numba.njit(cache=True, nogil=True)
def first_from(place, low, high, value):  # type: ignore[no-untyped-def]
    """Return the first row of a range whose place is not below a value, or its end. Halves without branches."""
    size = high - low
    while size > 1:
        half = size >> 1
        low = low + half if place[np.uint64(low + half - 1)] < value else low
        size -= half
    if size == 1 and place[np.uint64(low)] < value:
        low += 1
    return low


@numba.njit(cache=True, nogil=True)
def sort_near(near, near_rows, count):  # type: ignore[no-untyped-def]
    """Sort the first ``count`` by nearness, then row: Shell's sort with the gaps of Ciura 2001 and on by 2.25."""
    gap = 1
    while gap < count:
        gap = int(2.25 * gap) + 1
    while gap > 1:
        gap = 1 if gap < 4 else int(gap / 2.25)
        for i in range(gap, count):
            h, row = near[i], near_rows[i]
            k = i
            while k >= gap and (near[k - gap] > h or (near[k - gap] == h and near_rows[k - gap] > row)):
                near[k], near_rows[k] = near[k - gap], near_rows[k - gap]
                k -= gap
            near[k], near_rows[k] = h, row


@numba.njit(cache=True, nogil=True)
def new_room(size):  # type: ignore[no-untyped-def]
    """Return a :class:`Room` for so many right rows near one left row."""
    return Room(
        np.empty(size, np.float64),
        np.empty(size, np.int64),
        np.empty(_LANES, np.float64),
        np.empty(6 * _STACK, np.int64),
        np.full(3, np.int64(-1)),
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def search(left, i, right, wanted, stretched, room):  # type: ignore[no-untyped-def]
    """Collect the right rows that count for one left row, the nearest first.

    Parameters
    ----------
    left, right : Rows
    i : int
        The left row.
    wanted : Wanted
    stretched : float
        What :func:`lsdb_ts.kernels.match_faces.stretch` says of the left row.
    room : Room
        Its ``near`` and ``near_rows`` are filled.

    Returns
    -------
    int
        How many there are; -1 if there is not room for all, which cannot be if it has ``wanted.most`` places.
    """
    place, n = left.place[i], right.place.size
    bound, most, count = wanted.farthest, wanted.most, np.int64(0)
    here = (left.ra_deg[i], left.dec_deg[i], n, n)
    if most > 0:
        # The rows next to it in the order of the quadtree are near, though not surely the nearest: a first bound.
        at = first_from(right.place, 0, n, place)
        first, end = max(at - most - 2, 0), min(at + most + 2, n)
        bound, count = _collect(right, first, end, here, wanted, bound, count, room)
        here = (here[0], here[1], first, end)
    inside = place & ((1 << 58) - 1)
    x, y = compact(inside), compact(inside >> 1)
    reach = steps_within(angle_of(bound), stretched)
    level = 0
    while (1 << level) <= 2 * reach:
        level += 1
    stack, top, bend = room.stack, np.uint64(0), 1.0
    for cell_y in range((y - reach) >> level, ((y + reach) >> level) + 1):
        for cell_x in range((x - reach) >> level, ((x + reach) >> level) + 1):
            across_x, across_y = (cell_x << level) >> MAX_ORDER, (cell_y << level) >> MAX_ORDER
            beyond = face_beyond(place >> 58, across_x, across_y)
            if beyond < 0:
                # Where three faces meet, the way to a row of the second may lead through the third, and turn there:
                # on the axes of the first, that row lies up to twice as far away.
                bend = 2.0
            else:
                own_x, own_y = seen_from_beyond(place >> 58, across_x, across_y, x, y)
                corner_x, corner_y = seen_from_beyond(place >> 58, across_x, across_y, cell_x << level, cell_y << level)
                corner = (beyond << 58) | spread(corner_x >> level << level) | (spread(corner_y >> level << level) << 1)
                start, stop = _run_of(right.place, corner, corner + (1 << (2 * level)))
                top = _push(stack, top, start, stop, corner, level, own_x, own_y)
    count = _descend(right, here, wanted, bend * stretched, bound, count, top, room)
    if most <= 0 and count > 0:
        sort_near(room.near, room.near_rows, count)
    return count


@numba.njit(cache=True, nogil=True)
def _run_of(place, low, high):  # type: ignore[no-untyped-def]
    """Return the first row with a place from ``low`` on, and the first from ``high`` on, most often not far away."""
    n = place.size
    start = first_from(place, 0, n, low)
    stop = first_from(place, start, min(start + _LEAF_ROWS, n), high)
    if stop == start + _LEAF_ROWS:
        stop = first_from(place, stop, n, high)
    return start, stop


@numba.njit(cache=True, nogil=True)
def _push(stack, top, start, stop, corner, level, own_x, own_y):  # type: ignore[no-untyped-def]
    """Put a cell on the stack: its rows, first place and level, and the position as seen from its face."""
    if start == stop:
        return top
    stack[top], stack[top + np.uint64(1)] = start, stop
    stack[top + np.uint64(2)], stack[top + np.uint64(3)] = corner, level
    stack[top + np.uint64(4)], stack[top + np.uint64(5)] = own_x, own_y
    return top + np.uint64(6)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _descend(right, here, wanted, stretched, bound, count, top, room):  # type: ignore[no-untyped-def]
    """Collect from the cells on the stack: divide the crowded ones, leave out what the shrinking bound cannot reach."""
    place, stack = right.place, room.stack
    reach = steps_within(angle_of(bound), stretched)
    while top > 0 and count >= 0:
        top -= np.uint64(6)
        start, stop, corner = stack[top], stack[top + np.uint64(1)], stack[top + np.uint64(2)]
        level, own_x, own_y = stack[top + np.uint64(3)], stack[top + np.uint64(4)], stack[top + np.uint64(5)]
        if stop - start > _LEAF_ROWS:
            # Straight down to where the rows part.
            differing = place[start] ^ place[stop - 1]
            while level > 0 and differing >> (2 * (level - 1)) == 0:
                level -= 1
            corner = place[start] >> (2 * level) << (2 * level)
        inside = corner & ((1 << 58) - 1)
        x, y, side = compact(inside), compact(inside >> 1), 1 << level
        if (x > own_x + reach) | (x + side <= own_x - reach) | (y > own_y + reach) | (y + side <= own_y - reach):
            continue
        if stop - start > _LEAF_ROWS and level > 0:
            level -= 1
            quarter = 1 << (2 * level)
            half = first_from(place, start, stop, corner + 2 * quarter)
            low = first_from(place, start, half, corner + quarter)
            high = first_from(place, half, stop, corner + 3 * quarter)
            # The quarter nearest to the position goes on the stack last.
            nearest = int(own_x >= x + (1 << level)) + 2 * int(own_y >= y + (1 << level))
            for k in (3, 2, 1, 0):
                q = nearest ^ k
                first = start if q == 0 else (low if q == 1 else (half if q == 2 else high))
                end = low if q == 0 else (half if q == 1 else (high if q == 2 else stop))
                top = _push(stack, top, first, end, corner + q * quarter, level, own_x, own_y)
            continue
        if level == 0 and stop - start > _REPEATED and wanted.most > 0 and _one_position(right, start, stop, room.same):
            stop = min(stop, start + wanted.most)
        nearer, count = _collect(right, start, stop, here, wanted, bound, count, room)
        if nearer < bound:
            bound = nearer
            reach = steps_within(angle_of(bound), stretched)
    return count


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _collect(right, start, stop, here, wanted, bound, count, room):  # type: ignore[no-untyped-def]
    """Measure a run of rows and keep those that count; return the new bound and how many there are now.

    ``here`` is the position, and the run of rows that were seen before.
    """
    right_ra, right_dec, measured = right.ra_deg, right.dec_deg, room.measured
    near, near_rows = room.near, room.near_rows
    nearest, most = wanted.nearest, wanted.most
    last = right_ra.size - _LANES
    for first in range(start, stop, _LANES):
        # Always as many as fill the processor's vectors, be they wanted or not.
        skipped = max(first - last, 0) if last >= 0 else 0
        if last >= 0:
            for k in range(_LANES):
                j = np.uint64(first - skipped + k)
                measured[k] = haversine(here[0] - right_ra[j], here[1], here[1] - right_dec[j])
        else:
            for k in range(stop - first):
                j = np.uint64(first + k)
                measured[k] = haversine(here[0] - right_ra[j], here[1], here[1] - right_dec[j])
        for k in range(min(_LANES, stop - first)):
            h = measured[np.uint64(k + skipped)]
            if h > bound or h < nearest:
                continue
            if first + k >= here[2] and first + k < here[3]:
                continue
            if most > 0:
                count = _insert(near, near_rows, count, most, h, first + k)
                if count == most:
                    bound = near[most - 1]
            elif count == near.size:
                return bound, np.int64(-1)
            else:
                near[count], near_rows[count] = h, first + k
                count += 1
    return bound, count


@numba.njit(cache=True, nogil=True)
def _insert(near, near_rows, count, most, h, row):  # type: ignore[no-untyped-def]
    """Insert into the nearest so far, at most so many of them; return how many there are now."""
    if count == most:
        if h > near[count - 1] or (h == near[count - 1] and row > near_rows[count - 1]):
            return count
        count -= 1
    k = count
    while k > 0 and (near[k - 1] > h or (near[k - 1] == h and near_rows[k - 1] > row)):
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
