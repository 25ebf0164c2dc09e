"""Sums of weighted cosines and sines on an even grid of frequencies, epoch by epoch: the way for few epochs.

A block is cut into groups of 32 frequencies that lie in pairs about a centre ``f``. For the pair ``f + g``, ``f - g``
the four sums over the epochs of ``cos`` or ``sin`` of ``2 pi f t`` times ``cos`` or ``sin`` of ``2 pi g t`` give both
complex sums by addition, so that one value costs two multiply-adds an epoch, the least without a Fourier transform.
The four are a matrix product, (centres x epochs) times (epochs x offsets from the centre), whose sums stay in
registers.
"""

from __future__ import annotations

import math

import numba
from llvmlite import binding

from lsdb_ts.kernels.vectors import aligned, load, reversed_of, splat, store

BLOCK = 256
"""Frequencies of a block."""
_GROUP = 32
"""Frequencies about one centre."""
_HALF = _GROUP // 2
_EXACT_EVERY = 64
"""Blocks after which the phases are computed anew, so that errors of their rotation do not add up."""
_MANY_REGISTERS = bool(binding.get_host_cpu_features().get("avx512f", False))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def turns(t, frequency, n_harmonics):  # type: ignore[no-untyped-def]
    """Return cosine and sine of ``2 pi k frequency t``, k = 1 .. n_harmonics, shape (2, n_harmonics, n)."""
    waves = aligned(2, n_harmonics, t.size)
    turn(t, frequency, waves)
    return waves


@numba.njit(cache=True, nogil=True, error_model="numpy")
def turn(t, frequency, waves):  # type: ignore[no-untyped-def]
    """Fill the same."""
    for k in range(waves.shape[1]):
        for i in range(t.size):
            angle = 2.0 * math.pi * (((k + 1) * frequency * t[i]) % 1.0)
            waves[0, k, i], waves[1, k, i] = math.cos(angle), math.sin(angle)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def prepare_direct(t, line, n_harmonics):  # type: ignore[no-untyped-def]
    """Return what all blocks of one object need; ``t`` is padded.

    The tables hold, for each harmonic and epoch, the cosines and then the sines of the 16 offsets from a centre.
    """
    step = line[1]
    n = t.size
    tables = aligned(n_harmonics, n, 2 * _HALF)
    now, leap = turns(t, 0.5 * step, n_harmonics), turns(t, step, n_harmonics)
    for k in range(n_harmonics):
        for i in range(n):
            c, s = now[0, k, i], now[1, k, i]
            dc, ds = leap[0, k, i], leap[1, k, i]
            for j in range(_HALF):
                tables[k, i, j], tables[k, i, _HALF + j] = c, s
                c, s = c * dc - s * ds, s * dc + c * ds
    return tables, now, turns(t, _GROUP * step, n_harmonics), aligned(1, 2, 4 * n)[0]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def direct_block(block, t, weights, line, lanes, state, C, S):  # type: ignore[no-untyped-def]
    """Fill the sums of every lane at the frequencies of one block; blocks come one after the other.

    Parameters
    ----------
    block : int
        Its number.
    t : numpy.ndarray of float64, shape (n,)
        Epochs, padded to a multiple of 8.
    weights : numpy.ndarray of float64, shape (2, n)
        What the lanes of kind 0 and of kind 1 sum.
    line : tuple of float
        First frequency and step.
    lanes : numpy.ndarray of int64, shape (n_lanes, 4)
        Harmonic (from 1), kind, first epoch, epoch after the last.
    state : tuple
        From :func:`prepare_direct`.
    C, S : numpy.ndarray of float64, shape (n_lanes or more, 256)
        Filled.
    """
    tables, now, leap, rows = state
    n = t.size
    if block % _EXACT_EVERY == 0:
        turn(t, line[0] + line[1] * (block * BLOCK + _HALF - 0.5), now)
    for k in range(now.shape[1]):
        for pair in range(BLOCK // (2 * _GROUP)):
            for centre in range(2):
                _rows(now[0, k], now[1, k], leap[0, k], leap[1, k], weights, rows, 2 * centre * n)
            for lane in range(lanes.shape[0]):
                if lanes[lane, 0] == k + 1:
                    at = lane * BLOCK + pair * 2 * _GROUP
                    _pair(rows[lanes[lane, 1]], n, tables[k], lanes[lane, 2], lanes[lane, 3], C, S, at)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rows(c, s, leap_c, leap_s, weights, rows, at):  # type: ignore[no-untyped-def]
    """Write weight times cosine and weight times sine, for both kinds, and move the phases on."""
    n = c.size
    for i in range(0, n, 8):
        ci, si, dc, ds = load(c, i), load(s, i), load(leap_c, i), load(leap_s, i)
        w, y = load(weights, i), load(weights, n + i)
        store(rows, at + i, w * ci)
        store(rows, at + n + i, w * si)
        store(rows, 4 * n + at + i, y * ci)
        store(rows, 4 * n + at + n + i, y * si)
        store(c, i, ci * dc - si * ds)
        store(s, i, si * dc + ci * ds)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _spread_pairs(cc0, cc1, cs0, cs1, sc0, sc1, ss0, ss1, C, S, at):  # type: ignore[no-untyped-def]
    """Write the 32 frequencies about a centre: the first letter is the centre's wave, the second the offset's."""
    store(C, at + 16, cc0 - ss0)
    store(C, at + 24, cc1 - ss1)
    store(S, at + 16, sc0 + cs0)
    store(S, at + 24, sc1 + cs1)
    x0, x1, y0, y1 = cc0 + ss0, cc1 + ss1, sc0 - cs0, sc1 - cs1
    store(C, at, reversed_of(x1, x1))
    store(C, at + 8, reversed_of(x0, x0))
    store(S, at, reversed_of(y1, y1))
    store(S, at + 8, reversed_of(y0, y0))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pair_in_many_registers(rows, n, table, start, stop, C, S, at):  # type: ignore[no-untyped-def]
    """Sum two groups of 32 frequencies in 16 vectors: half of 32 registers of 8 lanes."""
    zero = splat(0.0)
    a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
    c0, c1, c2, c3, d0, d1, d2, d3 = zero, zero, zero, zero, zero, zero, zero, zero
    for i in range(start, stop):
        e = 32 * i
        t0, t1, t2, t3 = load(table, e), load(table, e + 8), load(table, e + 16), load(table, e + 24)
        x = splat(rows[i])
        a0, a1, a2, a3 = a0 + x * t0, a1 + x * t1, a2 + x * t2, a3 + x * t3
        x = splat(rows[n + i])
        b0, b1, b2, b3 = b0 + x * t0, b1 + x * t1, b2 + x * t2, b3 + x * t3
        x = splat(rows[2 * n + i])
        c0, c1, c2, c3 = c0 + x * t0, c1 + x * t1, c2 + x * t2, c3 + x * t3
        x = splat(rows[3 * n + i])
        d0, d1, d2, d3 = d0 + x * t0, d1 + x * t1, d2 + x * t2, d3 + x * t3
    _spread_pairs(a0, a1, a2, a3, b0, b1, b2, b3, C, S, at)
    _spread_pairs(c0, c1, c2, c3, d0, d1, d2, d3, C, S, at + 32)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pair_in_few_registers(rows, n, table, start, stop, C, S, at):  # type: ignore[no-untyped-def]
    """Sum the same in four passes of 4 vectors each: 8 of 16 registers of 4 lanes, 16 of 32 of 2 lanes."""
    for centre in range(2):
        first = 2 * centre * n
        for half in range(2):
            zero = splat(0.0)
            cc, cs, sc, ss = zero, zero, zero, zero
            for i in range(start, stop):
                e = 32 * i + 8 * half
                t0, t1 = load(table, e), load(table, e + 16)
                x, y = splat(rows[first + i]), splat(rows[first + n + i])
                cc, cs, sc, ss = cc + x * t0, cs + x * t1, sc + y * t0, ss + y * t1
            base = at + 32 * centre
            store(C, base + 16 + 8 * half, cc - ss)
            store(S, base + 16 + 8 * half, sc + cs)
            x, y = cc + ss, sc - cs
            store(C, base + 8 - 8 * half, reversed_of(x, x))
            store(S, base + 8 - 8 * half, reversed_of(y, y))


_pair = _pair_in_many_registers if _MANY_REGISTERS else _pair_in_few_registers
