"""Order-29 NESTED numbers as coordinates on the twelve base pixels, and how far a step on the sky can move them.

Which rows lie where is not known here. A number is ``face << 58`` plus the interleaved bits of x and y, both from 0 to
``SIDE``; x grows to the north-east, y to the north-west (Gorski et al. 2005, ApJ 622, 759, section 5).
"""

from __future__ import annotations

import math

import numba

MAX_ORDER = 29
SIDE = 1 << MAX_ORDER
"""Order-29 cells along the side of a base pixel."""
EVEN_BITS = 0x0155555555555555
"""The bits of x in a number within its face; those of y are one place higher."""
_EQUATORIAL_DEC = math.degrees(math.asin(2.0 / 3.0))
_EQUATORIAL_STRETCH = 2.0 / math.pi * math.sqrt(1.8 + 5.0 / 9.0 * (3.0 * math.pi / 8.0) ** 2) * (1.0 + 1e-9)
_POLAR_STRETCH = math.sqrt(6.0) / math.pi * (1.0 + 1e-9)
STEEPEST = _POLAR_STRETCH * math.sqrt(1.0 + math.pi**2 / 4.0)
"""The largest value of :func:`stretch`."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def stretch(ra_deg, dec_deg, start, stop, radius):  # type: ignore[no-untyped-def]
    """Return how much x or y of rows can change at most, in faces, per radian of a step no longer than ``radius``.

    Parameters
    ----------
    ra_deg, dec_deg : numpy.ndarray of float64
    start, stop : int
        The rows.
    radius : float
        In radians.

    Notes
    -----
    The length of the gradient of x, from the projection of Gorski et al. 2005 (eqs. 22 to 25). Between the
    latitudes whose sines are 2/3 and -2/3 it is ``2/pi sqrt(1/c^2 + (3 pi c / 8)^2)`` with c = cos(dec), largest at the
    ends. Beyond, it is ``sqrt(6)/pi sqrt(1/k^2 + u^2 k^2)`` with k the cosine of half the polar distance and u the
    longitude from the middle of the face plus 45 degrees (the worse of x and y): convex in k^2, so largest at one end.
    """
    far, aside = 0.0, 0.0
    for i in range(start, stop):
        far = max(far, abs(dec_deg[i]))
        quarters = ra_deg[i] * (1.0 / 90.0)
        aside = max(aside, abs(quarters - math.floor(quarters) - 0.5))
    far += math.degrees(radius) + 1e-9
    if far <= _EQUATORIAL_DEC:
        return _EQUATORIAL_STRETCH
    u = 0.5 * math.pi
    if far < 90.0:
        u = min(u, 0.25 * math.pi + 0.5 * math.pi * aside + radius / math.cos(math.radians(far)))
    return max(_EQUATORIAL_STRETCH, _POLAR_STRETCH * math.sqrt(max(1.0 + u * u, 1.2 + u * u / 1.2)))


@numba.njit(cache=True, nogil=True, inline="always")
def steps_within(angle, stretched):  # type: ignore[no-untyped-def]
    """Return how many order-29 cells x or y can change on a step of an angle in radians, rounding included."""
    return int(angle * stretched * SIDE) + 3


@numba.njit(cache=True, nogil=True, inline="always")
def compact(z):  # type: ignore[no-untyped-def]
    """Drop every other bit: x out of a number, or y out of half of it."""
    z &= 0x5555555555555555
    z = (z | (z >> 1)) & 0x3333333333333333
    z = (z | (z >> 2)) & 0x0F0F0F0F0F0F0F0F
    z = (z | (z >> 4)) & 0x00FF00FF00FF00FF
    z = (z | (z >> 8)) & 0x0000FFFF0000FFFF
    return (z | (z >> 16)) & 0x00000000FFFFFFFF


@numba.njit(cache=True, nogil=True, inline="always")
def spread(x):  # type: ignore[no-untyped-def]
    """Put a zero after every bit: the reverse of :func:`compact`."""
    x = (x | (x << 16)) & 0x0000FFFF0000FFFF
    x = (x | (x << 8)) & 0x00FF00FF00FF00FF
    x = (x | (x << 4)) & 0x0F0F0F0F0F0F0F0F
    x = (x | (x << 2)) & 0x3333333333333333
    return (x | (x << 1)) & 0x5555555555555555


@numba.njit(cache=True, nogil=True)
def face_beyond(face, across_x, across_y):  # type: ignore[no-untyped-def]
    """Return the face beyond a side or corner of a face, or -1 where only three faces meet and none is opposite.

    Parameters
    ----------
    face : int
        0 to 3 north, 4 to 7 around the equator, 8 to 11 south.
    across_x, across_y : int
        -1, 0 or 1: left by the low end of the axis, not left, left by its high end.
    """
    column, row = face % 4, face // 4
    if row == 1:
        if across_x == across_y:
            return face if across_x == 0 else -1
        if across_x == -across_y:
            return 4 + (column + across_x) % 4
        north = across_x + across_y > 0
        east = across_x > 0 or across_y < 0
        return (0 if north else 8) + (column if east else (column + 3) % 4)
    poleward, equatorward = (1, -1) if row == 0 else (-1, 1)
    if across_x == 0 and across_y == 0:
        return face
    if across_x == -across_y:
        return -1
    if across_x == poleward or across_y == poleward:
        turn = 2 if across_x == across_y else (1 if (across_x == 1 or across_y == -1) else 3)
        return 4 * row + (column + turn) % 4
    if across_x == equatorward and across_y == equatorward:
        return 8 - 4 * row + column
    east = across_x > 0 or across_y < 0
    return 4 + (column + 1 if east else column) % 4


@numba.njit(cache=True, nogil=True, inline="always")
def seen_from_beyond(face, across_x, across_y, x, y):  # type: ignore[no-untyped-def]
    """Return x and y of a point of a face, or just outside it, on the axes of the face beyond.

    The axes go on straight, but for crossings at a pole, where they turn a quarter for every side crossed.
    """
    x -= across_x * SIDE
    y -= across_y * SIDE
    poleward = 1 - face // 4
    if poleward == 0 or (across_x != poleward and across_y != poleward):
        return x, y
    if across_x == across_y:
        return SIDE - 1 - x, SIDE - 1 - y
    if across_x != 0:
        return y, SIDE - 1 - x
    return SIDE - 1 - y, x
