"""Truncated Fourier series through all bands of one object: how probable a frequency is, and the series of every band.

The model is the regularised multiband model of VanderPlas and Ivezic 2015 (ApJ 812, 18), read as a Gaussian
prior. A band's values, less its floating mean, are a series shared by all bands plus the band's own deviation::

    x_b(t) = sum_k [c_k + d_bk] cos(2 pi k f t) + [s_k + e_bk] sin(2 pi k f t)
    c_k, s_k ~ N(0, (SIZE / k)^2)          d_bk, e_bk ~ N(0, (SIZE DEVIATION / k)^2)

for values in units of the band's intrinsic scatter. So bands of few epochs borrow the shape of the others, bands of
many have their own, and a gap in phase cannot be filled with a wild swing.

What the series leaves over is the matter of ``likelihood.py``, which frequencies are tried that of ``refinement.py``.
"""

from __future__ import annotations

import math

import numba
import numpy as np

SIZE = 0.7
"""Prior size of the shared series: that of a sinusoid of unit scatter is 1, most of it in one of two amplitudes."""
DEVIATION = 0.2
"""Prior size of a band's deviation from the shared series, in units of the shared prior."""
_FAST = {"contract", "reassoc", "nsz", "arcp"}


@numba.njit(cache=True, nogil=True)
def series_prior(n_harmonics):  # type: ignore[no-untyped-def]
    """Return the prior precisions of the shared unknowns: cos 1, sin 1, cos 2, sin 2, ..."""
    precisions = np.empty(2 * n_harmonics)
    for i in range(2 * n_harmonics):
        precisions[i] = ((i // 2 + 1) / SIZE) ** 2
    return precisions


@numba.njit(cache=True, nogil=True, error_model="numpy")
def wave_at(t, frequency):  # type: ignore[no-untyped-def]
    """Return cosine and sine of ``2 pi f t`` at every epoch: most of a fit's cost, and the same for all its rounds."""
    cosine, sine = np.empty(t.size), np.empty(t.size)
    for i in range(t.size):
        angle = 2.0 * math.pi * ((frequency * t[i]) % 1.0)
        cosine[i], sine[i] = math.cos(angle), math.sin(angle)
    return cosine, sine


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def normal_equations(wave, x, w, start, stop, G, r):  # type: ignore[no-untyped-def]
    """Fill the weighted normal equations of one band, its floating mean taken out.

    Parameters
    ----------
    wave : tuple of numpy.ndarray
        As :func:`wave_at` gives it.
    x, w : numpy.ndarray of float64
        Values and weights.
    start, stop : int
        The band's epochs.
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
        c1, s1 = wave[0][i], wave[1][i]
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
def log_evidence(t, x, w, offsets, frequency, prior):  # type: ignore[no-untyped-def]
    """Return the log of how much more probable the values are with this frequency than with constant bands.

    The noise is Gaussian, of known weights. The unknowns are integrated out: ``r' P^-1 r / 2 - ln(det P / det prior) /
    2``, first for each band's deviation, then for the shared series. More harmonics than the values ask for lower it by
    themselves.
    """
    m = prior.size
    G, r = np.empty((1, m, m)), np.empty((1, m))
    shared, right, L, z = np.empty((m, m)), np.empty(m), np.empty((m, m)), np.empty(m)
    value = _gather(wave_at(t, frequency), x, w, offsets, prior, belief_in(prior), G, r, shared, right)
    value -= 0.5 * _cholesky(shared, L)
    _forward(L, right, z)
    return value + 0.5 * _dot(z, z)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fit_series(t, x, w, offsets, frequency, prior, shared_series, series):  # type: ignore[no-untyped-def]
    """Fill the most probable series: the shared one, shape (2K,), and every band's, (n_bands, 2K); empty bands get NaN.

    The unknowns are as in :func:`normal_equations`. The shared series is solved first, with the bands' deviations
    integrated out, then the deviations given it.

    Returns
    -------
    float
        The log of prior times posterior volume at the solution, ``-(theta' prior theta + ln(det P / det prior)) / 2``.
    """
    return fit_wave(wave_at(t, frequency), x, w, offsets, prior, belief_in(prior), shared_series, series)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def belief_in(prior):  # type: ignore[no-untyped-def]
    """Return precision matrix and mean of the shared series where nothing is known of its shape."""
    return np.diag(prior), np.zeros(prior.size)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fit_wave(wave, x, w, offsets, prior, belief, shared_series, series):  # type: ignore[no-untyped-def]
    """Fit as :func:`fit_series` does, from a wave, with a Gaussian belief in the shared series: precision and mean."""
    n_bands, m = offsets.size - 1, prior.size
    G, r = np.empty((n_bands, m, m)), np.empty((n_bands, m))
    shared, right, L, z = np.empty((m, m)), np.empty(m), np.empty((m, m)), np.empty(m)
    value = _gather(wave, x, w, offsets, prior, belief, G, r, shared, right)
    explained, own = 0.0, 1.0 / DEVIATION**2
    value -= 0.5 * _cholesky(shared, L)
    _forward(L, right, z)
    _backward(L, z, shared_series)
    penalty = 0.0
    for i in range(m):
        z[i] = shared_series[i] - belief[1][i]
    for i in range(m):
        penalty += z[i] * _dot(belief[0][i], z)
    for b in range(n_bands):
        if offsets[b + 1] == offsets[b]:
            series[b, :] = np.nan
            continue
        _deviation_factor(G[b], prior, L)
        _forward(L, r[b], z)
        explained += 0.5 * _dot(z, z)
        for i in range(m):
            right[i] = r[b, i] - _dot(G[b, i], shared_series)
        _forward(L, right, z)
        _backward(L, z, series[b])
        for i in range(m):
            penalty += own * prior[i] * series[b, i] ** 2
            series[b, i] += shared_series[i]
    # What ``_gather`` adds for the deviations' fits is not part of the volume.
    return value - explained - 0.5 * penalty


@numba.njit(cache=True, nogil=True, error_model="numpy")
def residuals(t, x, w, offsets, frequency, series, left):  # type: ignore[no-untyped-def]
    """Fill what the series and the bands' weighted means leave over; return the log volume of the means."""
    return remain(wave_at(t, frequency), x, w, offsets, series, left)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def remain(wave, x, w, offsets, series, left):  # type: ignore[no-untyped-def]
    """Fill as :func:`residuals` does, from a wave."""
    K, volume = series.shape[1] // 2, 0.0
    for b in range(offsets.size - 1):
        W, Y = 0.0, 0.0
        for i in range(offsets[b], offsets[b + 1]):
            c1, s1 = wave[0][i], wave[1][i]
            c, s, value = 1.0, 0.0, x[i]
            for k in range(K):
                c, s = c * c1 - s * s1, s * c1 + c * s1
                value -= series[b, 2 * k] * c + series[b, 2 * k + 1] * s
            left[i] = value
            W += w[i]
            Y += w[i] * value
        for i in range(offsets[b], offsets[b + 1]):
            left[i] -= Y / W
        if offsets[b + 1] > offsets[b]:
            volume -= 0.5 * math.log(W)
    return volume


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _gather(wave, x, w, offsets, prior, belief, G, r, shared, right):  # type: ignore[no-untyped-def]
    """Fill each band's equations (or, where there is room for one, the last band's) and the shared ones.

    Returns the log evidence of the bands' deviations, and half the log determinant of the prior of the shared series.
    """
    m, own = prior.size, 1.0 / DEVIATION**2
    L, solved, z = np.empty((m, m)), np.empty((m, m)), np.empty(m)
    shared[:] = belief[0]
    own_log_det = m * math.log(own)
    for i in range(m):
        right[i] = _dot(belief[0][i], belief[1])
        own_log_det += math.log(prior[i])
    value = 0.5 * _cholesky(belief[0], L)
    for b in range(offsets.size - 1):
        if offsets[b + 1] == offsets[b]:
            continue
        at = min(b, r.shape[0] - 1)
        normal_equations(wave, x, w, offsets[b], offsets[b + 1], G[at], r[at])
        log_det = _deviation_factor(G[at], prior, L)
        _forward(L, r[at], z)
        for i in range(m):
            _forward(L, G[at, i], solved[i])
        value += 0.5 * _dot(z, z) - 0.5 * (log_det - own_log_det)
        for i in range(m):
            right[i] += r[at, i] - _dot(solved[i], z)
            for j in range(i + 1):
                shared[i, j] += G[at, i, j] - _dot(solved[i], solved[j])
    return value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _deviation_factor(G, prior, L):  # type: ignore[no-untyped-def]
    """Fill the Cholesky factor of G plus the deviations' prior precision; return its log determinant."""
    m = G.shape[0]
    for i in range(m):
        for j in range(i + 1):
            L[i, j] = G[i, j]
        L[i, i] += prior[i] / DEVIATION**2
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sinusoid_power(t, x, w, offsets, frequency):  # type: ignore[no-untyped-def]
    """Return the shared-phase power at one frequency: the share of the variance that one sinusoid takes away."""
    G, r = np.empty((2, 2)), np.empty(2)
    wave = wave_at(t, frequency)
    cc, cs, ss, yc, ys, variance = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for b in range(offsets.size - 1):
        if offsets[b + 1] == offsets[b]:
            continue
        normal_equations(wave, x, w, offsets[b], offsets[b + 1], G, r)
        cc, cs, ss, yc, ys = cc + G[0, 0], cs + G[0, 1], ss + G[1, 1], yc + r[0], ys + r[1]
        W, Y, YY = 0.0, 0.0, 0.0
        for i in range(offsets[b], offsets[b + 1]):
            W += w[i]
            Y += w[i] * x[i]
            YY += w[i] * x[i] * x[i]
        variance += YY - Y * Y / W
    det = cc * ss - cs * cs
    if not (variance > 0.0 and det > 1e-12 * (cc + ss) ** 2):
        return math.nan
    return (ss * yc * yc + cc * ys * ys - 2.0 * cs * yc * ys) / (det * variance)
