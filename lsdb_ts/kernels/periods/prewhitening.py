"""Three frequencies of every curve, found one after the other: each is fitted with harmonics and taken away.

This is the model of Richards et al. 2011 (ApJ 733, 10, section 3.1), each band by itself. The period of an object over
all its bands is found in ``kernels/periods/search.py``.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.kernels.curves.statistics import check_each, check_lengths
from lsdb_ts.kernels.fits.linear import backward, cholesky, forward
from lsdb_ts.kernels.periods.grid import _grid
from lsdb_ts.kernels.periods.periodogram import FASTEST, SHARED_PHASE, _power

FREQUENCIES, HARMONICS = 3, 4
"""Frequencies of a curve, and harmonics of each."""
_TERMS = 2 * HARMONICS + 2
PARAMETERS = 1 + FREQUENCIES * (1 + 2 * HARMONICS) + FREQUENCIES + 2
"""Columns of :func:`prewhiten`."""


def prewhiten(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    period_range_days: tuple[float, float],
    oversampling: float = 5.0,
    max_frequencies: int = 100_000,
) -> NDArray[np.float64]:
    """Fit three frequencies with four harmonics each to every chosen curve.

    The first is the highest peak of the generalized Lomb-Scargle power, put right by a parabola through its
    neighbours; a straight line and the harmonics are fitted together and taken away. The second and third are found in
    what is left.

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
        Epochs of all curves, finite, errors positive, each curve sorted by time.
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
        Where each curve begins.
    chosen : numpy.ndarray of bool, shape (n_curves,)
        Curves that are searched; those of fewer epochs than a fit has terms (10) never are.
    period_range_days : (float, float)
        Shortest and longest period.
    oversampling, max_frequencies
        As in :meth:`FrequencyGrid.spanning`.

    Returns
    -------
    numpy.ndarray of float64, shape (n_curves, PARAMETERS)
        Slope of the line; for each frequency: the frequency, four amplitudes A_j and four phases p_j of
        ``A_j cos(2 pi j f (t - t_1) + p_j)``; the three highest powers; the highest frequency tried; the share of
        the weighted variance that the first fit leaves. NaN where not searched.

    >>> t = np.sort(np.random.default_rng(1).uniform(0, 90, 60))
    >>> wave = np.sin(2 * np.pi * t / 3.7)
    >>> found = prewhiten(t, wave, np.full(60, 0.1), np.array([0, 60]), np.array([True]), (1.0, 50.0))
    >>> round(1 / found[0, 1].item(), 3), round(found[0, 2].item(), 3)
    (3.7, 1.0)
    """
    check_lengths(offsets, time_days, values, errors)
    check_each(offsets.size - 1, chosen)
    table = np.full((offsets.size - 1, PARAMETERS), np.nan)
    shortest, longest = period_range_days
    how = (float(shortest), float(longest), float(oversampling), int(max_frequencies))
    _prewhiten(time_days, values, errors, offsets, chosen, how, table)
    return table


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _prewhiten(times, values, errors, offsets, chosen, how, table):  # type: ignore[no-untyped-def]
    shortest, longest, oversampling, max_frequencies = how
    for c in range(chosen.size):
        start, stop = offsets[c], offsets[c + 1]
        if not chosen[c] or stop - start < _TERMS:
            continue
        t, left = times[start:stop] - times[start], values[start:stop].copy()
        w = 1.0 / errors[start:stop] ** 2
        first, step, count = _grid(t[-1], shortest, longest, oversampling, max_frequencies)
        if count < 3:
            continue
        row, power, whole = table[c], np.empty(count), np.array([0, t.size])
        before = _variance(left, w)
        for k in range(FREQUENCIES):
            _power(t, left, w, whole, (first, step), SHARED_PHASE, FASTEST, power)
            frequency, height = _highest(power, first, step)
            at = 1 + k * (1 + 2 * HARMONICS)
            if not height > 0.0 or not _take_away(t, left, w, frequency, k == 0, row[0:1], row[at : at + 9]):
                break
            row[28 + k] = height
            if k == 0:
                row[31], row[32] = first + step * (count - 1), _variance(left, w) / before


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _variance(x, w):  # type: ignore[no-untyped-def]
    mean = (w * x).sum() / w.sum()
    return (w * (x - mean) ** 2).sum() / w.sum()


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _highest(power, first, step):  # type: ignore[no-untyped-def]
    """Return frequency and power of the highest point, moved to the top of the parabola through its neighbours."""
    top = np.argmax(power)
    shift = 0.0
    if 0 < top < power.size - 1:
        bend = power[top - 1] - 2.0 * power[top] + power[top + 1]
        if bend < 0.0:
            shift = 0.5 * (power[top - 1] - power[top + 1]) / bend
    return first + step * (top + shift), power[top]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _take_away(t, x, w, frequency, sloped, slope, out):  # type: ignore[no-untyped-def]
    """Subtract the best mean, harmonics and, if asked, line; fill ``out``. Tell whether the fit was determined."""
    n, size, span = t.size, _TERMS if sloped else _TERMS - 1, t[-1]
    terms, A, b = np.empty((n, size)), np.zeros((size, size)), np.zeros(size)
    for i in range(n):
        terms[i, 0] = 1.0
        for j in range(HARMONICS):
            angle = 2.0 * math.pi * ((j + 1) * frequency * t[i] % 1.0)
            terms[i, 1 + 2 * j], terms[i, 2 + 2 * j] = math.cos(angle), math.sin(angle)
        if sloped:
            terms[i, size - 1] = t[i] / span
        for p in range(size):
            b[p] += w[i] * terms[i, p] * x[i]
            for q in range(p + 1):
                A[p, q] += w[i] * terms[i, p] * terms[i, q]
    if not cholesky(A, size):
        return False
    forward(A, size, b)
    backward(A, size, b)
    for i in range(n):
        for p in range(size):
            x[i] -= terms[i, p] * b[p]
    if sloped:
        slope[0] = b[size - 1] / span
    out[0] = frequency
    for j in range(HARMONICS):
        cosine, sine = b[1 + 2 * j], b[2 + 2 * j]
        out[1 + j], out[1 + HARMONICS + j] = math.hypot(cosine, sine), math.atan2(-sine, cosine)
    return True
