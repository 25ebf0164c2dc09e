"""Truncated Fourier series through all bands of one object: how probable a frequency is, and the series of every band.

The model is the regularised multiband model of VanderPlas and Ivezic 2015 (ApJ 812, 18), read as a Gaussian
prior. A band's values, less its floating mean, are a series shared by all bands plus the band's own deviation::

    x_b(t) = sum_k [c_k + d_bk] cos(2 pi k f t) + [s_k + e_bk] sin(2 pi k f t)
    c_k, s_k ~ N(0, 1 / k^2)          d_bk, e_bk ~ N(0, (DEVIATION / k)^2)

for values in units of the band's intrinsic scatter. So bands of few epochs borrow the shape of the others, bands of
many have their own, and a gap in phase cannot be filled with a wild swing. Which frequencies are tried is decided in
``periods.py``.
"""

from __future__ import annotations

import math

import numba
import numpy as np

DEVIATION = 0.2
"""Prior size of a band's deviation from the shared series, in units of the shared prior."""
_FAST = {"contract", "reassoc", "nsz", "arcp"}


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def normal_equations(t, x, w, start, stop, frequency, G, r):  # type: ignore[no-untyped-def]
    """Fill the weighted normal equations of one band, its floating mean taken out.

    Parameters
    ----------
    t, x, w : numpy.ndarray of float64
        Epochs in days, values, weights.
    start, stop : int
        The band's epochs.
    frequency : float
        In cycles per day.
    G, r : numpy.ndarray of float64, shapes (2K, 2K) and (2K,)
        Filled. Order of the unknowns: cos 1, sin 1, cos 2, sin 2, ...

    Notes
    -----
    Products of two harmonics are sums of harmonics up to 2K, so 4K sums over the epochs give the whole matrix.
    """
    K = r.size // 2
    C, S = np.zeros(2 * K + 1), np.zeros(2 * K + 1)
    r[:] = 0.0
    Y = 0.0
    for i in range(start, stop):
        angle = 2.0 * math.pi * ((frequency * t[i]) % 1.0)
        c1, s1 = math.cos(angle), math.sin(angle)
        c, s, wi, wx = 1.0, 0.0, w[i], w[i] * x[i]
        C[0] += wi
        Y += wx
        for k in range(1, 2 * K + 1):
            c, s = c * c1 - s * s1, s * c1 + c * s1
            C[k] += wi * c
            S[k] += wi * s
            if k <= K:
                r[2 * k - 2] += wx * c
                r[2 * k - 1] += wx * s
    W = C[0]
    for j in range(1, K + 1):
        r[2 * j - 2] -= C[j] * Y / W
        r[2 * j - 1] -= S[j] * Y / W
        for k in range(j, K + 1):
            a, b = 2 * j - 2, 2 * k - 2
            G[a, b] = 0.5 * (C[k - j] + C[k + j]) - C[j] * C[k] / W
            G[a + 1, b + 1] = 0.5 * (C[k - j] - C[k + j]) - S[j] * S[k] / W
            G[a, b + 1] = 0.5 * (S[k + j] + S[k - j]) - C[j] * S[k] / W
            G[a + 1, b] = 0.5 * (S[k + j] - S[k - j]) - S[j] * C[k] / W
            G[b, a], G[b + 1, a + 1] = G[a, b], G[a + 1, b + 1]
            G[b + 1, a], G[b, a + 1] = G[a, b + 1], G[a + 1, b]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def log_evidence(t, x, w, offsets, frequency, n_harmonics):  # type: ignore[no-untyped-def]
    """Return the log of how much more probable the values are with this frequency than with constant bands.

    The Gaussian unknowns are integrated out: ``r' P^-1 r / 2 - ln(det P / det prior) / 2``, first for each band's
    deviation, then for the shared series. More harmonics than the values ask for lower it by themselves.
    """
    m = 2 * n_harmonics
    G, r = np.empty((m, m)), np.empty(m)
    shared, right = _prior(m, 1.0), np.zeros(m)
    value, prior_log_det = 0.0, _prior_log_det(m, 1.0)
    own_log_det = _prior_log_det(m, DEVIATION)
    L, solved, z = np.empty((m, m)), np.empty((m, m)), np.empty(m)
    for b in range(offsets.size - 1):
        if offsets[b + 1] == offsets[b]:
            continue
        normal_equations(t, x, w, offsets[b], offsets[b + 1], frequency, G, r)
        log_det = _deviation_factor(G, L)
        _forward(L, r, z)
        for i in range(m):
            _forward(L, G[i], solved[i])
        value += 0.5 * _dot(z, z) - 0.5 * (log_det - own_log_det)
        for i in range(m):
            right[i] += r[i] - _dot(solved[i], z)
            for j in range(i + 1):
                shared[i, j] += G[i, j] - _dot(solved[i], solved[j])
    log_det = _cholesky(shared, L)
    _forward(L, right, z)
    return value + 0.5 * _dot(z, z) - 0.5 * (log_det - prior_log_det)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fit_series(t, x, w, offsets, frequency, n_harmonics, series):  # type: ignore[no-untyped-def]
    """Fill the most probable series of every band, shape (n_bands, 2K); empty bands get NaN.

    The unknowns are as in :func:`normal_equations`. The shared series is solved first, with the bands'
    deviations integrated out, then the deviations given it.
    """
    n_bands, m = offsets.size - 1, 2 * n_harmonics
    G, r = np.empty((n_bands, m, m)), np.empty((n_bands, m))
    shared, right = _prior(m, 1.0), np.zeros(m)
    L, solved, z, theta = np.empty((m, m)), np.empty((m, m)), np.empty(m), np.empty(m)
    for b in range(n_bands):
        if offsets[b + 1] == offsets[b]:
            continue
        normal_equations(t, x, w, offsets[b], offsets[b + 1], frequency, G[b], r[b])
        _deviation_factor(G[b], L)
        _forward(L, r[b], z)
        for i in range(m):
            _forward(L, G[b, i], solved[i])
        for i in range(m):
            right[i] += r[b, i] - _dot(solved[i], z)
            for j in range(i + 1):
                shared[i, j] += G[b, i, j] - _dot(solved[i], solved[j])
    _cholesky(shared, L)
    _forward(L, right, z)
    _backward(L, z, theta)
    for b in range(n_bands):
        if offsets[b + 1] == offsets[b]:
            series[b, :] = np.nan
            continue
        _deviation_factor(G[b], L)
        for i in range(m):
            right[i] = r[b, i] - _dot(G[b, i], theta)
        _forward(L, right, z)
        _backward(L, z, series[b])
        for i in range(m):
            series[b, i] += theta[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _prior(m, size):  # type: ignore[no-untyped-def]
    """Return the diagonal matrix of prior precisions, (k / size)^2 for harmonic k."""
    P = np.zeros((m, m))
    for i in range(m):
        P[i, i] = ((i // 2 + 1) / size) ** 2
    return P


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _prior_log_det(m, size):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(m):
        total += 2.0 * math.log((i // 2 + 1) / size)
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _deviation_factor(G, L):  # type: ignore[no-untyped-def]
    """Fill the Cholesky factor of G plus the deviations' prior precision; return its log determinant."""
    m = G.shape[0]
    for i in range(m):
        for j in range(i + 1):
            L[i, j] = G[i, j]
        L[i, i] += ((i // 2 + 1) / DEVIATION) ** 2
    return _cholesky(L, L)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cholesky(A, L):  # type: ignore[no-untyped-def]
    """Fill the lower factor of a positive definite matrix (in place allowed); return its log determinant."""
    log_det = 0.0
    for i in range(A.shape[0]):
        for j in range(i + 1):
            value = A[i, j]
            for k in range(j):
                value -= L[i, k] * L[j, k]
            if i == j:
                L[i, i] = math.sqrt(value)
                log_det += math.log(value)
            else:
                L[i, j] = value / L[j, j]
    return log_det


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _forward(L, b, z):  # type: ignore[no-untyped-def]
    """Solve L z = b."""
    for i in range(b.size):
        value = b[i]
        for k in range(i):
            value -= L[i, k] * z[k]
        z[i] = value / L[i, i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _backward(L, z, x):  # type: ignore[no-untyped-def]
    """Solve L' x = z."""
    for i in range(z.size - 1, -1, -1):
        value = z[i]
        for k in range(i + 1, z.size):
            value -= L[k, i] * x[k]
        x[i] = value / L[i, i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total
