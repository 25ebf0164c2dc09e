"""What the shape of a cycle says of eclipses: whether two equal ones may make up twice the period.

An eclipse is one dip, the same before its deepest point as after; half a cycle from it the star is bright, for a second
dip there would be the other eclipse. Pulsators have sharper maxima than minima, pairs in contact the reverse, and their
two minima may be equal to the last digit. So the depth of the dip is compared with the height of the other side, and
both with their errors: noise on a sinusoid makes sharp minima, too.
"""

from __future__ import annotations

import math

import numba
import numpy as np

_DETACHED, _CONTACT = 6.0, 14.0
"""Added to the log odds of twice a period where its cycle looks like an eclipse, or like one of a pair in contact."""
_DIP_DEPTH, _CONTACT_DEPTH, _DEEP = 1.3, 1.12, 2.5
"""Least depth of an eclipse, and of one in contact, in units of the height on the other side; the latter's most."""
_DIP_SKEW, _CONTACT_SKEW = 0.1, 0.01
"""Most of it that is not the same before and after."""
_MOST_HIDDEN = 0.7
"""Most of a pair's light that one of two equal eclipses takes away, the stars' deformed figures counted in."""
_ERRORS = 2.0
"""Shapes are told apart by so many errors."""
_NEAR_STEPS = 4
"""Steps from the deepest point at which the middle of an eclipse may be: noise moves the former."""
SHAPE_STEPS = 64
"""Phases at which the deepest point of a series is sought."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def eclipses(series, error, unit, amplitude, is_flux):  # type: ignore[no-untyped-def]
    """Return what the shape of a cycle, in flux, adds to the log odds of twice its period, and whether that may be.

    Parameters
    ----------
    series : numpy.ndarray
        Cosine and sine amplitudes, scaled.
    error : float
        Of each of them.
    unit : float
        Unit of the scaled values in magnitudes.
    amplitude : float
        The amplitude that 1 stands for, relative to the flux, where the values are fluxes.
    is_flux : bool

    Returns
    -------
    log_odds : float
        Never more than what the second harmonic gains by sharpening the minimum: the square of its number of errors,
        less 2 for the unknown (Akaike 1974, IEEE Trans. Autom. Control 19, 716).
    possible : bool
        Whether the cycle can be one of two equal eclipses, within the errors.
    """
    faint, at, mean = np.empty(SHAPE_STEPS), 0, 0.0
    scale = amplitude if is_flux else 0.4 * math.log(10.0) * unit
    for k in range(SHAPE_STEPS):
        value = series_at(series, k / SHAPE_STEPS)
        faint[k] = -value * scale if is_flux else 1.0 - math.exp(-scale * value)
        mean += faint[k] / SHAPE_STEPS
    for k in range(SHAPE_STEPS):
        faint[k] -= mean
        at = k if faint[k] > faint[at] else at
    depth, opposite, edge = faint[at], -faint.min(), faint[(at + SHAPE_STEPS // 2) % SHAPE_STEPS]
    total, second = 0.0, 0.0
    for k in range(SHAPE_STEPS):
        second += 2.0 / SHAPE_STEPS * faint[(at + k) % SHAPE_STEPS] * math.cos(4.0 * math.pi * k / SHAPE_STEPS)
        total += faint[k] ** 2
    odd = _odd(faint, at)
    hidden = (depth + opposite) / (1.0 - mean + opposite)
    if edge > -0.5 * opposite or hidden > _MOST_HIDDEN:
        return 0.0, False
    # Even harmonics alone make depth and height differ; odd parts are sines about the deepest point.
    n = series.size // 2
    of_depth = 2.0 * math.sqrt(max(n // 2, 1)) * error * scale
    of_odd = 0.5 * SHAPE_STEPS * (error * scale) ** 2 * (n + _ERRORS * math.sqrt(2.0 * n))
    deepest, least_odd = depth + _ERRORS * of_depth, odd
    for place in range(at - _NEAR_STEPS, at + _NEAR_STEPS + 1):
        least_odd = min(least_odd, _odd(faint, place % SHAPE_STEPS))
    least_odd = max(least_odd - of_odd, 0.0)
    possible = deepest > opposite and least_odd < _CONTACT_SKEW * total
    possible |= deepest > _DIP_DEPTH * opposite and least_odd < _DIP_SKEW * total
    sharp = max((max(second, 0.0) / (error * scale)) ** 2 - 2.0, 0.0)
    if _CONTACT_DEPTH * opposite < depth < _DEEP * opposite and odd < _CONTACT_SKEW * total:
        return min(_CONTACT, sharp), possible
    if depth > _DIP_DEPTH * opposite and odd < _DIP_SKEW * total:
        return min(_DETACHED, sharp), possible
    return 0.0, possible


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _odd(faint, at):  # type: ignore[no-untyped-def]
    """Return the sum of squares of what is not the same before a phase as after it."""
    odd = 0.0
    for k in range(SHAPE_STEPS):
        odd += 0.25 * (faint[(at + k) % SHAPE_STEPS] - faint[at - k]) ** 2
    return odd


@numba.njit(cache=True, nogil=True, error_model="numpy")
def farthest(series):  # type: ignore[no-untyped-def]
    """Return the phase at which a series is farthest from its mean."""
    phase, distance = 0.0, -1.0
    for k in range(SHAPE_STEPS):
        value = abs(series_at(series, k / SHAPE_STEPS))
        if value > distance:
            phase, distance = k / SHAPE_STEPS, value
    return phase


@numba.njit(cache=True, nogil=True, error_model="numpy")
def series_at(series, phase):  # type: ignore[no-untyped-def]
    """Return the value of a series at a phase."""
    c1, s1 = math.cos(2.0 * math.pi * phase), math.sin(2.0 * math.pi * phase)
    c, s, value = 1.0, 0.0, 0.0
    for k in range(series.size // 2):
        c, s = c * c1 - s * s1, s * c1 + c * s1
        value += series[2 * k] * c + series[2 * k + 1] * s
    return value
