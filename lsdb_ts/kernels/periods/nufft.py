"""The same sums as ``direct`` by nonuniform Fourier transforms: the way for many epochs.

A block of 2048 frequencies has a transform of its own, of 4096 points: the phases are turned to the block's centre,
each epoch is spread over 14 points with the kernel of Barnett, Magland and af Klinteberg 2019 (SIAM J. Sci. Comput. 41,
C479), the points are transformed, and the kernel's own transform is divided out. One large transform of the whole grid
costs more: epochs are few against frequencies, so spreading them again for each block is cheap, and a block stays in
the cache.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from lsdb_ts.kernels.periods.direct import turn, turns
from lsdb_ts.kernels.periods.fourier_transform import SIZE, transform
from lsdb_ts.kernels.vectors import aligned, load, splat, store

BLOCK = SIZE // 2
"""Frequencies of a block."""
_WIDTH = 14
"""Points an epoch is spread over: the sums are exact to some 1e-13 of the weights."""
_ROOM = 16
_SHAPE = 2.30 * _WIDTH
_EXACT_EVERY = 64
"""Blocks after which the phases are computed anew."""


def _correction() -> np.ndarray:
    """Return 1 / (the kernel's Fourier transform) at -1024 .. 1023 / 4096; for so smooth a kernel a sum is exact."""
    x = (np.arange(2 * _WIDTH) - _WIDTH + 0.5) / 2.0
    kernel = np.exp(_SHAPE * (np.sqrt(1.0 - (2.0 * x / _WIDTH) ** 2) - 1.0))
    k = np.arange(-BLOCK // 2, BLOCK // 2)
    return 2.0 / (np.cos(2.0 * np.pi * np.outer(k, x) / SIZE) @ kernel)


_CORRECTION = _correction()


@numba.njit(cache=True, nogil=True, error_model="numpy")
def prepare_nufft(t, line, n_harmonics):  # type: ignore[no-untyped-def]
    """Return what all blocks of one object need; ``t`` is padded."""
    n = t.size
    taps = aligned(n_harmonics, n, _ROOM)
    places = np.empty((n_harmonics, n), np.int64)
    for k in range(n_harmonics):
        for i in range(n):
            u = SIZE * (((k + 1) * line[1] * t[i]) % 1.0)
            nearest = math.ceil(u - 0.5 * _WIDTH)
            places[k, i] = nearest % SIZE
            for j in range(_WIDTH):
                x = 2.0 * (nearest + j - u) / _WIDTH
                taps[k, i, j] = math.exp(_SHAPE * (math.sqrt(max(1.0 - x * x, 0.0)) - 1.0))
    now, leap = turns(t, 0.0, n_harmonics), turns(t, BLOCK * line[1], n_harmonics)
    return taps, places, now, leap, aligned(1, 4, SIZE + _ROOM)[0], aligned(1, 2, n)[0]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def nufft_block(block, t, weights, line, lanes, state, C, S):  # type: ignore[no-untyped-def]
    """Fill the sums of every lane at the frequencies of one block; as ``direct.direct_block``."""
    taps, places, now, leap, room, rows = state
    if block % _EXACT_EVERY == 0:
        turn(t, line[0] + line[1] * (block * BLOCK + BLOCK // 2), now)
    for k in range(now.shape[1]):
        for kind in range(2):
            _rows(now[0, k], now[1, k], weights[kind], rows)
            for lane in range(lanes.shape[0]):
                if lanes[lane, 0] == k + 1 and lanes[lane, 1] == kind:
                    room[:2] = 0.0
                    _spread(rows, places[k], taps[k], lanes[lane, 2], lanes[lane, 3], room[0], room[1])
                    transform(room[0], room[1], room[2], room[3], _CORRECTION, C, S, lane * BLOCK)
        _turn(now[0, k], now[1, k], leap[0, k], leap[1, k])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rows(c, s, weights, rows):  # type: ignore[no-untyped-def]
    for i in range(0, c.size, 8):
        w = load(weights, i)
        store(rows, i, w * load(c, i))
        store(rows, c.size + i, w * load(s, i))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _turn(c, s, leap_c, leap_s):  # type: ignore[no-untyped-def]
    for i in range(0, c.size, 8):
        ci, si, dc, ds = load(c, i), load(s, i), load(leap_c, i), load(leap_s, i)
        store(c, i, ci * dc - si * ds)
        store(s, i, si * dc + ci * ds)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _spread(rows, places, taps, start, stop, x, y):  # type: ignore[no-untyped-def]
    """Add each epoch, times the kernel about its place, to the points; the points are a ring."""
    for i in range(start, stop):
        at = places[i]
        near, far = load(taps, _ROOM * i), load(taps, _ROOM * i + 8)
        a, b = splat(rows[0, i]), splat(rows[1, i])
        store(x, at, load(x, at) + a * near)
        store(x, at + 8, load(x, at + 8) + a * far)
        store(y, at, load(y, at) + b * near)
        store(y, at + 8, load(y, at + 8) + b * far)
    for j in range(_ROOM):
        x[j] += x[SIZE + j]
        y[j] += y[SIZE + j]
