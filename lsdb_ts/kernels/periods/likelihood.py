"""How probable a frequency is once its noise is fitted: tails, jitter, seasons that are early or late, known shapes.

What the series of ``fourier.py`` leaves over is measured errors plus a jitter that is fitted, in tails as long as
Student's: stars that do not repeat exactly, and epochs that are wrong, are no reason to prefer another frequency. Nor
is a clock that does not run evenly: changes of period and the modulation of Blazhko shift the phase by hundredths of a
cycle from one season to the next, while the cycles within a season stay alike. So every season has a phase of its own,
with a Gaussian prior about the common one::

    x_b(t) = series_b(f t + p_season)        p ~ N(0, season_phase^2)

Where the kind of star is known, the shared series has a mean and a covariance, see ``templates.py``.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from lsdb_ts.kernels.periods.fourier import belief_in, fit_wave, remain, wave_at
from lsdb_ts.kernels.periods.templates import turn_to_fundamental

TAILS = 4.0
"""Degrees of freedom of Student's distribution of what the series leaves over."""
LEAST_JITTER = 0.02
"""Smallest jitter, in units of the intrinsic scatter: a sparse series must not count as exact."""
SEASON_GAP_DAYS = 60.0
"""Longer without an epoch, another season begins."""


@numba.njit(cache=True, nogil=True)
def seasons(t):  # type: ignore[no-untyped-def]
    """Return the number of the season of every epoch.

    >>> seasons(np.array([0.0, 170.0, 30.0, 150.0])).tolist()
    [0, 1, 0, 1]
    """
    ranked, season = np.sort(t), np.zeros(t.size, np.int64)
    for k in range(1, t.size):
        if ranked[k] - ranked[k - 1] > SEASON_GAP_DAYS:
            for i in range(t.size):
                season[i] += t[i] >= ranked[k]
    return season


@numba.njit(cache=True, nogil=True, error_model="numpy")
def student_evidence(data, frequency, model, jitter2, rounds, w, fit):  # type: ignore[no-untyped-def]
    """Return the log probability of the values near this frequency, in Laplace's approximation, and what maximises it.

    Noise has Student's distribution about the series, of scale ``sqrt(variance + jitter^2)``. Weights and jitter are
    found by expectation maximisation (Lange, Little and Taylor 1989, JASA 84, 881), the jitter with the degrees of
    freedom that the series takes; frequency and phases of the seasons, given the series, by linear least squares.

    Parameters
    ----------
    data : tuple
        Epochs, values, squared errors, where each band begins, and the season of each epoch.
    frequency : float
        In cycles per day; 0 for constant bands.
    model : tuple
        The prior as ``series_prior`` gives it; mean and precision of the shape, as ``templates.expected_shape`` gives
        them (of no harmonics where it is not known); prior standard deviation of a season's phase, in cycles; how far
        the frequency may move in a round.
    jitter2 : float
        Where the jitter starts, squared.
    rounds : int
        Rounds of the maximisation.
    w : numpy.ndarray
        Weights to start with; filled with those found.
    fit : tuple of numpy.ndarray
        Filled with the shared series and the bands' ones.

    Returns
    -------
    value, jitter2, frequency : float
    """
    t, x, variances, offsets, season = data
    prior, shape, shape_precision, season_phase, reach = model
    n, taken, volume, means, late = t.size, 0, 0.0, 0.0, 0.0
    shared_series, series = fit
    shared_series[:], series[:] = 0.0, 0.0
    left, slope, belief = np.empty(n), np.empty(n), belief_in(prior)
    wave, phase = wave_at(t, frequency), np.zeros(season.max() + 1)
    for b in range(offsets.size - 1):
        taken += offsets[b + 1] > offsets[b]
    if frequency > 0.0:
        taken += prior.size
    correction = n / max(n - taken, 0.5 * n)
    for done in range(rounds):
        if frequency > 0.0:
            if shape.size > 0 and done > 0:
                turn_to_fundamental(shared_series, shape, shape_precision, belief)
            volume = fit_wave(wave, x, w, offsets, prior, belief, shared_series, series)
        means = remain(wave, x, w, offsets, series, left)
        if frequency > 0.0 and done > 0 and (reach > 0.0 or season_phase > 0.0):
            _fill_slopes(wave, series, offsets, slope)
            if reach > 0.0:
                frequency += _move(t, w, slope, left, reach)
            if season_phase > 0.0 and phase.size > 1:
                late = _fit_phases(w, slope, left, season, season_phase, phase)
            wave = _wave_of_seasons(t, frequency, season, phase)
            means = remain(wave, x, w, offsets, series, left)
        wanted, total = 0.0, 0.0
        for i in range(n):
            s2 = variances[i] + jitter2
            weight = (TAILS + 1.0) / (TAILS + left[i] ** 2 / s2)
            wanted += (weight * correction * left[i] ** 2 - variances[i]) / (s2 * s2)
            total += 1.0 / (s2 * s2)
        jitter2 = max(wanted / total, LEAST_JITTER**2)
        for i in range(n):
            w[i] = (TAILS + 1.0) / (TAILS * (variances[i] + jitter2) + left[i] ** 2)
    value = n * (math.lgamma(0.5 * (TAILS + 1.0)) - math.lgamma(0.5 * TAILS) - 0.5 * math.log(TAILS * math.pi))
    for i in range(n):
        s2 = variances[i] + jitter2
        value -= 0.5 * math.log(s2) + 0.5 * (TAILS + 1.0) * math.log1p(left[i] ** 2 / (TAILS * s2))
    return value + volume + means + late, jitter2, frequency


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_slopes(wave, series, offsets, slope):  # type: ignore[no-untyped-def]
    """Fill what the series of every epoch changes by in one cycle of phase."""
    for b in range(offsets.size - 1):
        for i in range(offsets[b], offsets[b + 1]):
            c1, s1 = wave[0][i], wave[1][i]
            c, s, slope[i] = 1.0, 0.0, 0.0
            for k in range(series.shape[1] // 2):
                c, s = c * c1 - s * s1, s * c1 + c * s1
                slope[i] += 2.0 * math.pi * (k + 1) * (series[b, 2 * k + 1] * c - series[b, 2 * k] * s)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _move(t, w, slope, left, reach):  # type: ignore[no-untyped-def]
    """Return the change of frequency that the residuals ask for, and take it from them.

    Phases turn about the mean time of what fixes them: the phase itself is the series' matter.
    """
    weight, mean, square, along = 0.0, 0.0, 0.0, 0.0
    for i in range(t.size):
        weight += w[i] * slope[i] ** 2
        mean += w[i] * slope[i] ** 2 * t[i]
    mean /= max(weight, 1e-300)
    for i in range(t.size):
        turned = slope[i] * (t[i] - mean)
        square += w[i] * turned * turned
        along += w[i] * turned * left[i]
    change = min(max(along / max(square, 1e-300), -reach), reach)
    for i in range(t.size):
        left[i] -= change * slope[i] * (t[i] - mean)
    return change


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fit_phases(w, slope, left, season, season_phase, phase):  # type: ignore[no-untyped-def]
    """Improve the phases of the seasons, in cycles, given the series; return the log of their prior times volume."""
    square, along, value = np.zeros(phase.size), np.zeros(phase.size), 0.0
    for i in range(w.size):
        k = season[i]
        square[k] += w[i] * slope[i] ** 2
        along[k] += w[i] * slope[i] * (left[i] + phase[k] * slope[i])
    for k in range(phase.size):
        phase[k] = along[k] / (square[k] + season_phase**-2.0)
        value -= 0.5 * (phase[k] / season_phase) ** 2 + 0.5 * math.log1p(square[k] * season_phase**2)
    return value


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _wave_of_seasons(t, frequency, season, phase):  # type: ignore[no-untyped-def]
    """Return cosine and sine of every epoch, its season's phase added."""
    cosine, sine = np.empty(t.size), np.empty(t.size)
    for i in range(t.size):
        angle = 2.0 * math.pi * ((frequency * t[i]) % 1.0 + phase[season[i]])
        cosine[i], sine[i] = math.cos(angle), math.sin(angle)
    return cosine, sine
