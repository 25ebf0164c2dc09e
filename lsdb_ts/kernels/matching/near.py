"""What a match is asked for, how near two positions are, and where rows begin among sorted ones.

How the rows near a position are found stands in ``blocks.py`` and ``search.py``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numba.extending import intrinsic
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


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
def first_around(place, at, value):  # type: ignore[no-untyped-def]
    """Return the first row whose place is not below a value, most often not far from ``at``."""
    step = 8
    if at < place.size and place[np.uint64(at)] < value:
        low, high = at + 1, at + step
        while high < place.size and place[np.uint64(high - 1)] < value:
            step *= 2
            low, high = high, high + step
        return first_from(place, low, min(high, place.size), value)
    low, high = at - step, at
    while low > 0 and place[np.uint64(low)] >= value:
        step *= 2
        low, high = low - step, low
    return first_from(place, max(low, 0), high, value)


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
