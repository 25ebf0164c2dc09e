"""Shapes of kinds of stars as Gaussian beliefs: what period and amplitude say of the harmonics of a light curve.

Of one kind, period, amplitude and shape are not independent: RR Lyrae of longer periods have smaller amplitudes and
rounder curves (Bailey 1902, Annals of Harvard College Observatory 38, 1; Simon and Lee 1981, ApJ 248, 291). So all of
them together are one Gaussian, and the harmonics are expected where period and amplitude of the fundamental put them::

    mean = m_2 + C_21 C_11^-1 (z - m_1)        covariance = C_22 - C_21 C_11^-1 C_12

z being logarithms of period and amplitude, 1 these two, 2 real and imaginary parts of ``A_k / A_1 exp(i (phi_k - k
phi_1))`` for k = 2, 3, ... and ``A_k cos(2 pi k f t + phi_k)`` the harmonics, in magnitudes.
"""

from __future__ import annotations

import math

import numba
import numpy as np

LEAST_LOG_DENSITY = -50.0
"""Log density of a star whose period and amplitude are those of no star of the kind."""
_FARTHEST = 3.0
"""So many standard deviations from the mean, period and amplitude say no more of the shape."""
_FLUX_STEPS = 64
"""Phases at which a curve is turned from magnitudes to fluxes."""
MAGNITUDES_A_FLUX = 2.5 / math.log(10.0)
"""Of a small change of flux, relative to the flux."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def expected_shape(kinds, place, log_period, log_amplitude, is_flux):  # type: ignore[no-untyped-def]
    """Return what is known of a star of a kind whose period and amplitude are these.

    Parameters
    ----------
    kinds : tuple of numpy.ndarray
        As ``kinds.arrays`` gives them.
    place : int
        Which of them.
    log_period, log_amplitude : float
        Natural logarithms of days, and of the semi-amplitude of the fundamental in magnitudes.
    is_flux : bool
        Whether the shape of the curve in fluxes is wanted.

    Returns
    -------
    density : float
        Log of the kind's share times the density of this period and amplitude.
    shape : numpy.ndarray, shape (2K - 2,)
        Expected real and imaginary parts of the harmonics from the second on.
    """
    shares, means, precisions, slopes = kinds[0], kinds[1][place], kinds[2][place], kinds[3][place]
    first, second = log_period - means[0], log_amplitude - means[1]
    square = precisions[0, 0] * first**2 + 2.0 * precisions[0, 1] * first * second + precisions[1, 1] * second**2
    det = precisions[0, 0] * precisions[1, 1] - precisions[0, 1] ** 2
    density = max(-0.5 * square + 0.5 * math.log(det) - math.log(2.0 * math.pi), LEAST_LOG_DENSITY)
    near = min(1.0, _FARTHEST / math.sqrt(max(square, 1e-30)))
    shape = means[2:] + near * (slopes[:, 0] * first + slopes[:, 1] * second)
    if is_flux:
        shape = in_flux(shape, math.exp(means[1] + near * second))
    return math.log(shares[place]) + density, shape


@numba.njit(cache=True, nogil=True, error_model="numpy")
def in_flux(shape, amplitude):  # type: ignore[no-untyped-def]
    """Return the shape that a curve of this shape and semi-amplitude in magnitudes has in fluxes."""
    n_harmonics = shape.size // 2 + 1
    found = np.zeros((n_harmonics, 2))
    for step in range(_FLUX_STEPS):
        c1, s1 = math.cos(2.0 * math.pi * step / _FLUX_STEPS), math.sin(2.0 * math.pi * step / _FLUX_STEPS)
        c, s, magnitude = c1, s1, c1
        for k in range(n_harmonics - 1):
            c, s = c * c1 - s * s1, s * c1 + c * s1
            magnitude += shape[2 * k] * c - shape[2 * k + 1] * s
        flux = math.exp(-amplitude * magnitude / MAGNITUDES_A_FLUX)
        c, s = 1.0, 0.0
        for k in range(n_harmonics):
            c, s = c * c1 - s * s1, s * c1 + c * s1
            found[k, 0] += flux * c
            found[k, 1] -= flux * s
    return _relative_to_first(found)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _relative_to_first(harmonics):  # type: ignore[no-untyped-def]
    """Return the shape of complex harmonics ``A_k exp(i phi_k)``, one a row."""
    size = math.hypot(harmonics[0, 0], harmonics[0, 1])
    c1, s1 = harmonics[0, 0] / size, -harmonics[0, 1] / size
    shape, c, s = np.empty(2 * harmonics.shape[0] - 2), c1, s1
    for k in range(1, harmonics.shape[0]):
        c, s = c * c1 - s * s1, s * c1 + c * s1
        shape[2 * k - 2] = (harmonics[k, 0] * c - harmonics[k, 1] * s) / size
        shape[2 * k - 1] = (harmonics[k, 1] * c + harmonics[k, 0] * s) / size
    return shape


@numba.njit(cache=True, nogil=True, error_model="numpy")
def turn_to_fundamental(series, shape, precision, belief):  # type: ignore[no-untyped-def]
    """Fill the belief in a series from its own fundamental and the shape expected of it.

    Parameters
    ----------
    series : numpy.ndarray, shape (2K,)
        Order of the unknowns: cos 1, sin 1, cos 2, sin 2, ...; ``A_k exp(i phi_k) = cos k - i sin k``.
    shape, precision : numpy.ndarray, shapes (2M - 2,) and (2M - 2, 2M - 2)
        Mean and precision of the shape; M is K at most.
    belief : tuple of numpy.ndarray
        Precision and mean of the series. Filled for the harmonics 2 to M; those above keep what stands there.
    """
    size = math.hypot(series[0], series[1])
    if not size > 0.0:
        return
    c1, s1 = series[0] / size, -series[1] / size
    n = shape.size // 2
    c, s = np.empty(n), np.empty(n)
    at_c, at_s = c1, s1
    for k in range(n):
        at_c, at_s = at_c * c1 - at_s * s1, at_s * c1 + at_c * s1
        c[k], s[k] = at_c, at_s
    turned, mean = belief
    for j in range(n):
        a = 2 * j
        mean[a + 2] = size * (c[j] * shape[a] - s[j] * shape[a + 1])
        mean[a + 3] = -size * (s[j] * shape[a] + c[j] * shape[a + 1])
        for k in range(n):
            b = 2 * k
            # Rows of the turned precision for cos and sin of j, still in the columns of the shape.
            cos_re = c[j] * precision[a, b] - s[j] * precision[a + 1, b]
            cos_im = c[j] * precision[a, b + 1] - s[j] * precision[a + 1, b + 1]
            sin_re = -s[j] * precision[a, b] - c[j] * precision[a + 1, b]
            sin_im = -s[j] * precision[a, b + 1] - c[j] * precision[a + 1, b + 1]
            turned[a + 2, b + 2] = (cos_re * c[k] - cos_im * s[k]) / size**2
            turned[a + 2, b + 3] = -(cos_re * s[k] + cos_im * c[k]) / size**2
            turned[a + 3, b + 2] = (sin_re * c[k] - sin_im * s[k]) / size**2
            turned[a + 3, b + 3] = -(sin_re * s[k] + sin_im * c[k]) / size**2
