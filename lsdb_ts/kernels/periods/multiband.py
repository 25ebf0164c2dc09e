"""From sums of weighted cosines and sines to the power of a model: the least squares of every frequency.

How the sums come about is the matter of ``direct`` and ``nufft``. They are kept in lanes:
one lane is a harmonic, a kind (weights, or weights times values) and a run of epochs. What a model needs only
as a sum over the bands is one lane of all epochs, said to belong to the first band.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from lsdb_ts.kernels.vectors import load, splat, store, where_above

FLAT = 1e-10
"""Where the epochs do not constrain a sinusoid: its determinant is below this share of the squared weights."""
_DOUBTFUL = 1e-5
"""Below this share the determinant is a small difference of large sums, and is summed again about the means."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def centre(y, w, offsets):  # type: ignore[no-untyped-def]
    """Return the values less their band's weighted mean, and their weighted sum of squares."""
    centred, variance = np.zeros(y.size), 0.0
    for b in range(offsets.size - 1):
        W, Y = 0.0, 0.0
        for i in range(offsets[b], offsets[b + 1]):
            W += w[i]
            Y += w[i] * y[i]
        if not W > 0.0:
            continue
        for i in range(offsets[b], offsets[b + 1]):
            centred[i] = y[i] - Y / W
            variance += w[i] * centred[i] * centred[i]
    return centred, variance


@numba.njit(cache=True, nogil=True, error_model="numpy")
def weights_of_bands(w, offsets, least_epochs):  # type: ignore[no-untyped-def]
    """Return the sum of the weights of every band; 0 for one of too few epochs, which takes no part."""
    total = np.zeros(offsets.size - 1)
    for b in range(offsets.size - 1):
        epochs, W = 0, 0.0
        for i in range(offsets[b], offsets[b + 1]):
            epochs += w[i] > 0.0
            W += w[i]
        if epochs >= least_epochs:
            total[b] = W
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def lanes_of(offsets, W, n_harmonics, joined):  # type: ignore[no-untyped-def]
    """Return the lanes to sum, and where each band finds its own.

    Parameters
    ----------
    offsets : numpy.ndarray of int64, shape (n_bands + 1,)
    W : numpy.ndarray of float64, shape (n_bands,)
        0 where a band takes no part.
    n_harmonics : int
        K.
    joined : bool
        Whether all bands have one series, so that only the first K harmonics of the weights are needed by band.

    Returns
    -------
    lanes : numpy.ndarray of int64, shape (n_lanes, 4)
        Harmonic, kind (0 weights, 1 weights times values), first epoch, epoch after the last.
    places : numpy.ndarray of int64, shape (n_bands, 3 K)
        The lane of the weights' harmonics 1 .. 2K and of the values' 1 .. K; ``n_lanes`` where there is nothing to add.
    """
    K, n_bands, n_lanes, first = n_harmonics, offsets.size - 1, 0, True
    lanes = np.empty((3 * K * n_bands, 4), np.int64)
    places = np.full((n_bands, 3 * K), -1)
    for b in range(n_bands):
        if not W[b] > 0.0:
            continue
        for h in range(3 * K):
            whole = joined and h >= K
            if whole and not first:
                continue
            lanes[n_lanes, 0], lanes[n_lanes, 1] = (h + 1, 0) if h < 2 * K else (h + 1 - 2 * K, 1)
            lanes[n_lanes, 2] = 0 if whole else offsets[b]
            lanes[n_lanes, 3] = offsets[-1] if whole else offsets[b + 1]
            places[b, h] = n_lanes
            n_lanes += 1
        first = False
    for b in range(n_bands):
        for h in range(3 * K):
            if places[b, h] < 0:
                places[b, h] = n_lanes
    return lanes[:n_lanes], places


@numba.njit(cache=True, nogil=True, error_model="numpy")
def one_sinusoid(C, S, places, W, power, doubt):  # type: ignore[no-untyped-def]
    """Fill what one sinusoid through all bands takes away from chi2, and 1 where that is in doubt, for a block."""
    total = W.sum()
    for j in range(0, C.shape[1], 8):
        cc, ss, cs, yc, ys = splat(0.0), splat(0.0), splat(0.0), splat(0.0), splat(0.0)
        for b in range(W.size):
            if W[b] > 0.0:
                c, s = load(C, places[b, 0] * C.shape[1] + j), load(S, places[b, 0] * C.shape[1] + j)
                share = splat(1.0 / W[b])
                cc, cs, ss = cc - share * c * c, cs - share * c * s, ss - share * s * s
                c, s = load(C, places[b, 1] * C.shape[1] + j), load(S, places[b, 1] * C.shape[1] + j)
                half, own = splat(0.5), splat(0.5 * W[b])
                cc, ss, cs = cc + own + half * c, ss + own - half * c, cs + half * s
                yc, ys = yc + load(C, places[b, 2] * C.shape[1] + j), ys + load(S, places[b, 2] * C.shape[1] + j)
        det = cc * ss - cs * cs
        store(power, j, (ss * yc * yc + cc * ys * ys - splat(2.0) * cs * yc * ys) / det)
        store(doubt, j, where_above(splat(_DOUBTFUL * total * total), det, splat(1.0)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def own_sinusoids(C, S, places, W, power, doubt):  # type: ignore[no-untyped-def]
    """Fill what a sinusoid of its own in each band takes away from chi2, and where that is in doubt, for a block."""
    for j in range(0, C.shape[1], 8):
        gain, doubtful = splat(0.0), splat(0.0)
        for b in range(W.size):
            if W[b] > 0.0:
                c, s = load(C, places[b, 0] * C.shape[1] + j), load(S, places[b, 0] * C.shape[1] + j)
                c2, s2 = load(C, places[b, 1] * C.shape[1] + j), load(S, places[b, 1] * C.shape[1] + j)
                yc, ys = load(C, places[b, 2] * C.shape[1] + j), load(S, places[b, 2] * C.shape[1] + j)
                share, half, own = splat(1.0 / W[b]), splat(0.5), splat(0.5 * W[b])
                cc, ss = own + half * c2 - share * c * c, own - half * c2 - share * s * s
                cs = half * s2 - share * c * s
                det = cc * ss - cs * cs
                gain = gain + (ss * yc * yc + cc * ys * ys - splat(2.0) * cs * yc * ys) / det
                doubtful = doubtful + where_above(splat(_DOUBTFUL * W[b] * W[b]), det, splat(1.0))
        store(power, j, gain)
        store(doubt, j, doubtful)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def summed_again(t, weights, offsets, W, frequency, joined):  # type: ignore[no-untyped-def]
    """Return what :func:`one_sinusoid` or :func:`own_sinusoids` does at one frequency, without small differences.

    Phases count from their mean, so that the cosine less 1 and the sine are small exactly where they are nearly alike;
    both are taken about their means, and the weaker one orthogonal to the other. Where even then the epochs do not
    constrain the sinusoid, it takes nothing away.
    """
    n = offsets[-1]
    C, S = 0.0, 0.0
    for i in range(n):
        angle = 2.0 * math.pi * ((frequency * t[i]) % 1.0)
        C += weights[0, i] * math.cos(angle)
        S += weights[0, i] * math.sin(angle)
    middle = math.atan2(S, C) / (2.0 * math.pi)
    waves = np.empty((2, n))
    for i in range(n):
        phase = (frequency * t[i]) % 1.0 - middle
        half = math.pi * (phase - math.floor(phase + 0.5))
        waves[0, i], waves[1, i] = -2.0 * math.sin(half) ** 2, math.sin(2.0 * half)
    for b in range(W.size):
        for k in range(2):
            mean = 0.0
            for i in range(offsets[b], offsets[b + 1]):
                mean += weights[0, i] * waves[k, i]
            for i in range(offsets[b], offsets[b + 1]):
                waves[k, i] -= mean / W[b] if W[b] > 0.0 else 0.0
    if joined:
        return _taken_away(waves, weights, 0, n, W.sum())
    gain = 0.0
    for b in range(W.size):
        if W[b] > 0.0:
            gain += _taken_away(waves, weights, offsets[b], offsets[b + 1], W[b])
    return gain


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _taken_away(waves, weights, start, stop, W):  # type: ignore[no-untyped-def]
    square = np.zeros(2)
    for k in range(2):
        for i in range(start, stop):
            square[k] += weights[0, i] * waves[k, i] ** 2
    strong = 0 if square[0] > square[1] else 1
    cross, gain, rest, along = 0.0, 0.0, 0.0, 0.0
    for i in range(start, stop):
        cross += weights[0, i] * waves[0, i] * waves[1, i]
        gain += weights[1, i] * waves[strong, i]
    for i in range(start, stop):
        left = waves[1 - strong, i] - cross / square[strong] * waves[strong, i]
        rest += weights[0, i] * left * left
        along += weights[1, i] * left
    if not square[strong] * rest > FLAT * W * W:
        return 0.0
    return gain * gain / square[strong] + along * along / rest


@numba.njit(cache=True, nogil=True, error_model="numpy")
def series_room(n_harmonics):  # type: ignore[no-untyped-def]
    """Return the matrices and vectors that :func:`series` works in, 8 frequencies each."""
    m = 2 * n_harmonics
    return np.zeros((4, m, m, 8)), np.zeros((4, m, 8))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def series(C, S, places, W, sizes, penalties, room, power):  # type: ignore[no-untyped-def]
    """Fill what a series through all bands and a deviation of each band take away from the penalised chi2.

    The deviations are solved first, band by band, the series with them eliminated.

    Parameters
    ----------
    C, S : numpy.ndarray of float64, shape (n_lanes + 1, n)
        Sums; the last lane is zero.
    places : numpy.ndarray of int64, shape (n_bands, 3 K)
    W : numpy.ndarray of float64, shape (n_bands,)
    sizes : tuple of int
        Harmonics of the series and of the deviations; K is the larger.
    penalties : tuple of float
        What is added to the diagonal for the series and for the deviations.
    room : tuple
        From :func:`series_room`.
    power : numpy.ndarray of float64, shape (n,)
        Filled.
    """
    G, L, U, A = room[0]
    r, z, q, inverse = room[1]
    base, own = 2 * sizes[0], 2 * sizes[1]
    total = W.sum()
    for j in range(0, C.shape[1], 8):
        gain = splat(0.0)
        A[:], q[:] = 0.0, 0.0
        for b in range(W.size):
            if not W[b] > 0.0:
                continue
            _gram(C, S, places[b], W[b], j, G, r)
            _factor(G, own, penalties[1], FLAT * W[b], L, inverse)
            gain = gain + _forward(L, own, inverse, r, 0, z, 0)
            for a in range(base):
                _forward(L, own, inverse, G, a, U, a)
            _eliminate(G, U, r, z, inverse, (base, own), A, q)
        _factor(A, base, penalties[0], FLAT * total, L, inverse)
        gain = gain + _forward(L, base, inverse, q, 0, z, 0)
        store(power, j, gain)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _gram(C, S, places, W, j, G, r):  # type: ignore[no-untyped-def]
    """Fill the normal equations of one band, its floating mean taken out; unknowns: cos 1, sin 1, cos 2, sin 2, ...

    Products of two harmonics are sums of harmonics up to 2K, which the lanes hold.
    """
    m = G.shape[0]
    half, share = splat(0.5), splat(1.0 / W)
    for h in range(m // 2):
        at = places[m + h] * C.shape[1] + j
        store(r, 16 * h, load(C, at))
        store(r, 16 * h + 8, load(S, at))
        ch, sh = load(C, places[h] * C.shape[1] + j), load(S, places[h] * C.shape[1] + j)
        for k in range(h + 1):
            ck, sk = load(C, places[k] * C.shape[1] + j), load(S, places[k] * C.shape[1] + j)
            at = places[h + k + 1] * C.shape[1] + j
            cp, sp = load(C, at), load(S, at)
            cm, sm = splat(W), splat(0.0)
            if h > k:
                at = places[h - k - 1] * C.shape[1] + j
                cm, sm = load(C, at), load(S, at)
            _store_both(G, 2 * h, 2 * k, half * (cm + cp) - share * ch * ck)
            _store_both(G, 2 * h + 1, 2 * k + 1, half * (cm - cp) - share * sh * sk)
            _store_both(G, 2 * h + 1, 2 * k, half * (sp + sm) - share * sh * ck)
            _store_both(G, 2 * h, 2 * k + 1, half * (sp - sm) - share * ch * sk)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _store_both(G, a, b, value):  # type: ignore[no-untyped-def]
    m = G.shape[0]
    store(G, 8 * (a * m + b), value)
    store(G, 8 * (b * m + a), value)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _factor(A, n, penalty, least, L, inverse):  # type: ignore[no-untyped-def]
    """Fill L D and 1 / D of ``A + penalty = L D L'``; an unconstrained unknown is left out, by a 1 / D of 0."""
    m = A.shape[0]
    for a in range(n):
        for b in range(a + 1):
            value = load(A, 8 * (a * m + b))
            for c in range(b):
                value = value - load(L, 8 * (a * m + c)) * load(L, 8 * (b * m + c)) * load(inverse, 8 * c)
            store(L, 8 * (a * m + b), value)
        value = load(L, 8 * (a * m + a)) + splat(penalty)
        store(inverse, 8 * a, where_above(value, splat(least), splat(1.0) / value))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _forward(L, n, inverse, right, row, z, z_row):  # type: ignore[no-untyped-def]
    """Solve ``L z = right`` for one row of right sides, and return ``z' D^-1 z``."""
    m = L.shape[0]
    right_at, z_at = 8 * row * m, 8 * z_row * m
    length = splat(0.0)
    for a in range(n):
        value = load(right, right_at + 8 * a)
        for c in range(a):
            value = value - load(L, 8 * (a * m + c)) * load(inverse, 8 * c) * load(z, z_at + 8 * c)
        store(z, z_at + 8 * a, value)
        length = length + value * value * load(inverse, 8 * a)
    return length


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _eliminate(G, U, r, z, inverse, sizes, A, q):  # type: ignore[no-untyped-def]
    """Add one band to the equations of the series, with the band's own deviation eliminated."""
    base, own = sizes
    m = G.shape[0]
    for a in range(base):
        right = load(q, 8 * a) + load(r, 8 * a)
        for c in range(own):
            right = right - load(U, 8 * (a * m + c)) * load(z, 8 * c) * load(inverse, 8 * c)
        store(q, 8 * a, right)
        for b in range(a + 1):
            at = 8 * (a * m + b)
            value = load(A, at) + load(G, at)
            for c in range(own):
                value = value - load(U, 8 * (a * m + c)) * load(U, 8 * (b * m + c)) * load(inverse, 8 * c)
            store(A, at, value)
