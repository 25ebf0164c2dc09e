"""Aperiodic variability of many curves at once: power on two time scales, smoothness in windows, moving averages.

Structure functions live in ``structure.py`` and ``power_law.py``, damped random walks in ``random_walk.py``; what they
mean stands in ``features/stochastic.py``. All functions take epochs that are finite and sorted by time within each
curve, errors positive; what is not defined is NaN.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.kernels.curves.statistics import check_lengths
from lsdb_ts.kernels.vectors import LANES, count_within, exp, load, splat, totals, where_above

_MARGIN_DAYS = 5.0
"""The windows of the Mexican hat never get narrower than six times this on each side."""
_OTHERS = 3
"""Epochs with fewer others near them are not filtered."""
_ROUNDING = 1e-13
"""Of the largest distance from the mean: what is left of equal values when two means of them are subtracted."""


def hat_power(
    time_days: NDArray[np.float64],
    fluxes: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    slow_days: float = 100.0,
    fast_days: float = 10.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the power of every curve on two time scales, by filters of the shape of a Mexican hat.

    For a time scale T the filter is the difference of two Gaussians, of widths ``s = 0.225 T / sqrt(2)`` and ``2 s``,
    within ``W = 6 max(s, 5 d)`` of an epoch. Each filters the fluxes by its mean over the epochs there; ``F_i`` is the
    difference, for epochs with at least three others within ``2 W / 3``. The power is ``mean(F_i^2)`` over the integral
    of the squared filter and the squared mean flux.

    Parameters
    ----------
    time_days, fluxes, errors : numpy.ndarray of float64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
    slow_days, fast_days : float

    Returns
    -------
    slow, fast : numpy.ndarray of float64, shape (n_curves,)
        Less the square of the mean relative error; the fast one only if it is greater than that. NaN where no epoch
        has neighbours enough, or the mean flux is not positive.

    >>> t = np.arange(0.0, 400.0, 2.0)
    >>> slow, fast = hat_power(t, 5 + np.sin(t / 16), np.full(200, 1e-3), np.array([0, 200]))
    >>> bool(slow[0] > 100 * fast[0] > 0)
    True
    """
    check_lengths(offsets, time_days, fluxes, errors)
    slow, fast = np.full(offsets.size - 1, np.nan), np.full(offsets.size - 1, np.nan)
    _hat_powers(time_days, fluxes, errors, offsets, slow_days, fast_days, slow, fast)
    return slow, fast


def abbe_excess(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    window_days: float,
) -> NDArray[np.float64]:
    """Return how much smoother every curve is as a whole than in windows of time.

    Parameters
    ----------
    time_days, values : numpy.ndarray of float64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
    window_days : float
        Width of the windows, one around each epoch; windows of fewer than 3 epochs, or of equal values, do not count.

    Returns
    -------
    numpy.ndarray of float64, shape (n_curves,)
        Mean Abbe value of the windows less the Abbe value of the curve,
        ``n / (2 (n - 1)) sum((x_{i+1} - x_i)^2) / sum((x_i - x_m)^2)``.

    >>> t = np.arange(0.0, 300.0, 5.0)
    >>> wave = np.sin(t / 60) + 0.05 * (-1.0) ** np.arange(60)
    >>> abbe_excess(t, wave, np.array([0, 60]), 30.0).round(1).tolist()
    [0.7]
    """
    check_lengths(offsets, time_days, values)
    excess = np.full(offsets.size - 1, np.nan)
    _abbe_excesses(time_days, values, offsets, 0.5 * window_days, excess)
    return excess


def moving_averages(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    scales_days: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return exponential moving averages of every curve at its last epoch.

    Parameters
    ----------
    time_days, values : numpy.ndarray of float64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
    scales_days : numpy.ndarray of float64, shape (n_scales,)
        Times in which the weight of an epoch falls to 1 / e.

    Returns
    -------
    numpy.ndarray of float64, shape (n_curves, n_scales)

    >>> t, x = np.array([0.0, 2.0]), np.array([0.0, 1.0])
    >>> moving_averages(t, x, np.array([0, 2]), np.array([2.0, 8.0])).round(3).tolist()
    [[0.632, 0.221]]
    """
    check_lengths(offsets, time_days, values)
    averages = np.full((offsets.size - 1, scales_days.size), np.nan)
    _averages(time_days, values, offsets, scales_days, averages)
    return averages


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _hat_powers(t, f, e, offsets, slow_days, fast_days, slow, fast):  # type: ignore[no-untyped-def]
    longest = 0
    for c in range(offsets.size - 1):
        longest = max(longest, offsets[c + 1] - offsets[c])
    epochs = np.empty((3, _OTHERS + longest + LANES))
    slow_filter, fast_filter = _filter(slow_days), _filter(fast_days)
    for c in range(offsets.size - 1):
        start, stop = offsets[c], offsets[c + 1]
        mean = f[start:stop].mean()
        if stop == start or not mean > 0.0:
            continue
        swing = _lay_out(t[start:stop], f[start:stop], mean, epochs)
        power, noise = _hat(epochs, e[start:stop], swing, slow_filter)
        noise = (noise / mean) ** 2
        slow[c] = power / (mean * mean) - noise
        power = _hat(epochs, e[start:stop], swing, fast_filter)[0] / (mean * mean)
        fast[c] = power - noise if power > noise else power


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _lay_out(t, f, mean, epochs):  # type: ignore[no-untyped-def]
    """Fill times, distances from the mean, and the reach that has three other epochs; return the largest distance.

    There is room on both sides.
    """
    swing, first, last = 0.0, _OTHERS, _OTHERS + t.size
    for i in range(first):
        epochs[0, i] = -math.inf
    for i in range(last, last + LANES):
        epochs[0, i], epochs[1, i] = math.inf, 0.0
    for i in range(t.size):
        epochs[0, first + i], epochs[1, first + i] = t[i], f[i] - mean
        swing = max(swing, abs(f[i] - mean))
    times = epochs[0]
    for i in range(first, last):
        nearest = math.inf
        for before in range(_OTHERS + 1):
            back, ahead = times[i] - times[i - before], times[i + _OTHERS - before] - times[i]
            reach = back if back > ahead else ahead
            nearest = reach if reach < nearest else nearest
        epochs[2, i] = nearest
    return swing


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _hat(epochs, e, swing, hat):  # type: ignore[no-untyped-def]
    """Return power and mean error at the epochs that have neighbours enough; neighbours are taken eight at a time."""
    rate, window, norm = hat
    t, width = epochs[0], epochs.shape[1]
    counted, squares, errors, first = 0, 0.0, 0.0, _OTHERS
    nothing, rates, edge = splat(0.0), splat(rate), splat(window * window)
    for i in range(_OTHERS, _OTHERS + e.size):
        if not epochs[2, i] <= window / 3.0 * 2.0:
            continue
        passed = LANES
        while passed == LANES:
            passed = count_within(load(epochs, first), splat(t[i] - window))
            first += passed
        narrows, wides, narrow_fluxes, wide_fluxes = nothing, nothing, nothing, nothing
        j, now = first, splat(t[i])
        while t[j] - t[i] < window:
            lag, flux = load(epochs, j) - now, load(epochs, width + j)
            wide = where_above(edge, lag * lag, exp(lag * lag * rates))
            narrow = wide * wide
            narrow = narrow * narrow
            narrows, wides = narrows + narrow, wides + wide
            narrow_fluxes, wide_fluxes = narrow_fluxes + narrow * flux, wide_fluxes + wide * flux
            j += LANES
        counted += 1
        errors += e[i - _OTHERS]
        w1, w2, f1, f2 = totals(narrows, wides, narrow_fluxes, wide_fluxes)
        filtered = f1 / w1 - f2 / w2
        # Where all neighbours are equal rounding would make up a power, and ratios to it are huge.
        squares += filtered * filtered if abs(filtered) > _ROUNDING * swing else 0.0
    return squares / (counted * norm), errors / counted


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _filter(scale_days):  # type: ignore[no-untyped-def]
    """Return the factor in the exponent of the wide Gaussian, the window, and the integral of the squared filter."""
    s = 0.225 * scale_days / math.sqrt(2.0)
    window = 6.0 * max(s, _MARGIN_DAYS)
    return -1.0 / (8.0 * s * s), window, _filter_norm(s, window)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _filter_norm(s, window):  # type: ignore[no-untyped-def]
    """Return the integral over the window of the squared difference of unit Gaussians of widths s and 2 s."""
    narrow = math.sqrt(2.0 * math.pi) * s * math.erf(window / (math.sqrt(2.0) * s))
    wide = math.sqrt(8.0 * math.pi) * s * math.erf(window / (math.sqrt(8.0) * s))
    both = math.sqrt(1.6 * math.pi) * s * math.erf(window / (math.sqrt(1.6) * s))
    return (
        math.sqrt(math.pi) * s * math.erf(window / s) / narrow**2
        + math.sqrt(4.0 * math.pi) * s * math.erf(window / (2.0 * s)) / wide**2
        - 2.0 * both / (narrow * wide)
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _abbe_excesses(t, x, offsets, half_days, excess):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        start, stop = offsets[c], offsets[c + 1]
        if stop - start < 3:
            continue
        # Sums over a window grow and shrink at its ends; about the mean of the curve they do not cancel.
        centre = x[start:stop].mean()
        whole, s1, s2 = 0.0, 0.0, 0.0
        for i in range(start, stop):
            s2 += (x[i] - centre) ** 2
            whole += (x[i] - x[i - 1]) ** 2 if i > start else 0.0
        smallest = 1e-12 * s2 / (stop - start)
        whole *= 0.5 * (stop - start) / (stop - start - 1) / s2
        total, windows, first, last, steps, s2 = 0.0, 0, start, start, 0.0, 0.0
        for i in range(start, stop):
            while last < stop and t[last] <= t[i] + half_days:
                d = x[last] - centre
                s1, s2 = s1 + d, s2 + d * d
                steps += (x[last] - x[last - 1]) ** 2 if last > first else 0.0
                last += 1
            while t[first] < t[i] - half_days:
                d = x[first] - centre
                s1, s2 = s1 - d, s2 - d * d
                steps -= (x[first + 1] - x[first]) ** 2
                first += 1
            n = last - first
            squares = s2 - s1 * s1 / n
            if n >= 3 and squares > smallest * n:
                total += 0.5 * n / (n - 1) * max(steps, 0.0) / squares
                windows += 1
        if windows > 0:
            excess[c] = total / windows - whole


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _averages(t, x, offsets, scales_days, averages):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        if offsets[c] == offsets[c + 1]:
            continue
        row = averages[c]
        row[:] = x[offsets[c]]
        for i in range(offsets[c] + 1, offsets[c + 1]):
            for k in range(scales_days.size):
                row[k] += (x[i] - row[k]) * (1.0 - math.exp((t[i - 1] - t[i]) / scales_days[k]))
