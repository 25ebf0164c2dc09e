"""The Fourier transform of 4096 complex numbers of which the 2048 lowest frequencies are wanted.

The numbers are seen as 512 rows of 8 lanes: three passes of radix 8 down the rows (Stockham's order), a turn of each
element, and a last pass of radix 8 across the lanes, for which 8 x 8 elements are transposed at a time. Each
butterfly is done in registers, and all of it stays in the second-level cache.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from lsdb_ts.kernels.vectors import (
    even_lanes,
    even_pairs,
    high_halves,
    load,
    low_halves,
    odd_lanes,
    odd_pairs,
    splat,
    store,
)

SIZE = 4096
_ROWS = SIZE // 8
_DIAGONAL = math.sqrt(0.5)


def _turning(n: int) -> np.ndarray:
    """Return cosine and sine of ``2 pi p q / n`` for p = 0 .. n/8 - 1 and q = 0 .. 7, shape (2, n)."""
    angle = 2.0 * np.pi * np.outer(np.arange(n // 8), np.arange(8)) / n
    return np.stack([np.cos(angle).ravel(), np.sin(angle).ravel()])


_TURNS = (_turning(_ROWS), _turning(_ROWS // 8), _turning(_ROWS // 64))
"""Of each pass down the rows; the last has none but by 0."""
_LAST_TURNS = _turning(SIZE)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def transform(x, y, u, v, scale, C, S, at):  # type: ignore[no-untyped-def]
    """Fill ``scale[k] sum_l (x_l + i y_l) exp(2 pi i k l / 4096)`` for k = -1024 .. 1023.

    Parameters
    ----------
    x, y : numpy.ndarray of float64, shape (4096,) or more
        Real and imaginary parts; overwritten.
    u, v : numpy.ndarray of float64, shape (4096,)
        Room to work in.
    scale : numpy.ndarray of float64, shape (2048,)
    C, S : numpy.ndarray of float64
        Contiguous; elements ``at`` to ``at + 2047`` of them, counted as if they were flat, are filled with real and
        imaginary parts.
    """
    _down(x, y, u, v, _TURNS[0], 1)
    _down(u, v, x, y, _TURNS[1], 8)
    _down(x, y, u, v, _TURNS[2], 64)
    _across(u, v, scale, C, S, at)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _down(x, y, u, v, turns, stride):  # type: ignore[no-untyped-def]
    """Make one pass of radix 8 down the rows."""
    turns_c, turns_s = turns[0], turns[1]
    n_turns = turns_c.size // 8
    for p in range(n_turns):
        for q in range(stride):
            i, leg = 8 * (q + stride * p), _ROWS
            a0, b0, a1, b1, a2, b2, a3, b3, a4, b4, a5, b5, a6, b6, a7, b7 = _eight(
                load(x, i), load(y, i), load(x, i + leg), load(y, i + leg),
                load(x, i + 2 * leg), load(y, i + 2 * leg), load(x, i + 3 * leg), load(y, i + 3 * leg),
                load(x, i + 4 * leg), load(y, i + 4 * leg), load(x, i + 5 * leg), load(y, i + 5 * leg),
                load(x, i + 6 * leg), load(y, i + 6 * leg), load(x, i + 7 * leg), load(y, i + 7 * leg),
            )  # fmt: skip
            if p > 0:
                e = 8 * p
                a1, b1 = _turned(a1, b1, splat(turns_c[e + 1]), splat(turns_s[e + 1]))
                a2, b2 = _turned(a2, b2, splat(turns_c[e + 2]), splat(turns_s[e + 2]))
                a3, b3 = _turned(a3, b3, splat(turns_c[e + 3]), splat(turns_s[e + 3]))
                a4, b4 = _turned(a4, b4, splat(turns_c[e + 4]), splat(turns_s[e + 4]))
                a5, b5 = _turned(a5, b5, splat(turns_c[e + 5]), splat(turns_s[e + 5]))
                a6, b6 = _turned(a6, b6, splat(turns_c[e + 6]), splat(turns_s[e + 6]))
                a7, b7 = _turned(a7, b7, splat(turns_c[e + 7]), splat(turns_s[e + 7]))
            o, gap = 8 * (q + 8 * stride * p), 8 * stride
            store(u, o, a0)
            store(v, o, b0)
            store(u, o + gap, a1)
            store(v, o + gap, b1)
            store(u, o + 2 * gap, a2)
            store(v, o + 2 * gap, b2)
            store(u, o + 3 * gap, a3)
            store(v, o + 3 * gap, b3)
            store(u, o + 4 * gap, a4)
            store(v, o + 4 * gap, b4)
            store(u, o + 5 * gap, a5)
            store(v, o + 5 * gap, b5)
            store(u, o + 6 * gap, a6)
            store(v, o + 6 * gap, b6)
            store(u, o + 7 * gap, a7)
            store(v, o + 7 * gap, b7)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _across(x, y, scale, C, S, at):  # type: ignore[no-untyped-def]
    """Turn the elements, transform across the lanes, and write the lowest frequencies in their order."""
    for k in range(0, _ROWS, 8):
        e = 8 * k
        a0, b0 = _last_turned(x, y, e)
        a1, b1 = _last_turned(x, y, e + 8)
        a2, b2 = _last_turned(x, y, e + 16)
        a3, b3 = _last_turned(x, y, e + 24)
        a4, b4 = _last_turned(x, y, e + 32)
        a5, b5 = _last_turned(x, y, e + 40)
        a6, b6 = _last_turned(x, y, e + 48)
        a7, b7 = _last_turned(x, y, e + 56)
        a0, a1, a2, a3, a4, a5, a6, a7 = _transposed(a0, a1, a2, a3, a4, a5, a6, a7)
        b0, b1, b2, b3, b4, b5, b6, b7 = _transposed(b0, b1, b2, b3, b4, b5, b6, b7)
        a0, b0, a1, b1, _, _, _, _, _, _, _, _, a6, b6, a7, b7 = _eight(
            a0, b0, a1, b1, a2, b2, a3, b3, a4, b4, a5, b5, a6, b6, a7, b7
        )
        _write(a6, b6, scale, k, C, S, at)
        _write(a7, b7, scale, k + _ROWS, C, S, at)
        _write(a0, b0, scale, k + 2 * _ROWS, C, S, at)
        _write(a1, b1, scale, k + 3 * _ROWS, C, S, at)


@numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _turned(a, b, c, s):  # type: ignore[no-untyped-def]
    return a * c - b * s, a * s + b * c


@numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _last_turned(x, y, e):  # type: ignore[no-untyped-def]
    return _turned(load(x, e), load(y, e), load(_LAST_TURNS[0], e), load(_LAST_TURNS[1], e))


@numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _write(a, b, scale, k, C, S, at):  # type: ignore[no-untyped-def]
    f = load(scale, k)
    store(C, at + k, f * a)
    store(S, at + k, f * b)


@numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _eight(a0, b0, a1, b1, a2, b2, a3, b3, a4, b4, a5, b5, a6, b6, a7, b7):  # type: ignore[no-untyped-def]
    """Transform eight complex numbers a + ib, sign +."""
    half = splat(_DIAGONAL)
    c0, d0, c4, d4 = a0 + a4, b0 + b4, a0 - a4, b0 - b4
    c1, d1, c5, d5 = a1 + a5, b1 + b5, a1 - a5, b1 - b5
    c2, d2, c6, d6 = a2 + a6, b2 + b6, a2 - a6, b2 - b6
    c3, d3, c7, d7 = a3 + a7, b3 + b7, a3 - a7, b3 - b7
    # Even frequencies: the sums.
    e0, f0, e1, f1 = c0 + c2, d0 + d2, c0 - c2, d0 - d2
    e2, f2, e3, f3 = c1 + c3, d1 + d3, c1 - c3, d1 - d3
    a0, b0, a4, b4 = e0 + e2, f0 + f2, e0 - e2, f0 - f2
    a2, b2, a6, b6 = e1 - f3, f1 + e3, e1 + f3, f1 - e3
    # Odd frequencies: the differences, turned by 45, 90 and 135 degrees (the last two with the sign of e reversed).
    e1, f1 = (c5 - d5) * half, (c5 + d5) * half
    e3, f3 = (c7 + d7) * half, (c7 - d7) * half
    e0, f0, e2, f2 = c4 - d6, d4 + c6, c4 + d6, d4 - c6
    c1, d1, c3, d3 = e1 - e3, f1 + f3, e1 + e3, f1 - f3
    a1, b1, a5, b5 = e0 + c1, f0 + d1, e0 - c1, f0 - d1
    a3, b3, a7, b7 = e2 - d3, f2 + c3, e2 + d3, f2 - c3
    return a0, b0, a1, b1, a2, b2, a3, b3, a4, b4, a5, b5, a6, b6, a7, b7


@numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _transposed(a, b, c, d, e, f, g, h):  # type: ignore[no-untyped-def]
    """Return the columns of a matrix of 8 x 8 given by its rows."""
    a, b, c, d = even_lanes(a, b), odd_lanes(a, b), even_lanes(c, d), odd_lanes(c, d)
    e, f, g, h = even_lanes(e, f), odd_lanes(e, f), even_lanes(g, h), odd_lanes(g, h)
    a, c, b, d = even_pairs(a, c), odd_pairs(a, c), even_pairs(b, d), odd_pairs(b, d)
    e, g, f, h = even_pairs(e, g), odd_pairs(e, g), even_pairs(f, h), odd_pairs(f, h)
    a, e, b, f = low_halves(a, e), high_halves(a, e), low_halves(b, f), high_halves(b, f)
    c, g, d, h = low_halves(c, g), high_halves(c, g), low_halves(d, h), high_halves(d, h)
    return a, b, c, d, e, f, g, h
