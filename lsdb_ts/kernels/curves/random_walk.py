"""Damped random walks, fitted to many curves at once in time proportional to the number of epochs.

All functions take epochs that are finite and sorted by time within each curve, errors positive; what is not defined is
NaN. What the numbers mean stands in ``features/stochastic.py``.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.kernels.curves.statistics import check_each, check_lengths

_GRID, _ROUNDS, _CONVERGED = 6, 60, 1e-7
"""Starting values of the time scale; steps at most; the gain in log likelihood of the last step."""


def drw_log_likelihood(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    sigma: NDArray[np.float64],
    tau_days: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the log likelihood of curves that are damped random walks of mean 0, observed with errors.

    The covariance of two epochs is ``sigma^2 exp(-|t_i - t_j| / tau)``; being Markovian it needs one pass (Kelly et al.
    2009, ApJ 698, 895).

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
    sigma, tau_days : numpy.ndarray of float64, shape (n_curves,)

    Returns
    -------
    numpy.ndarray of float64, shape (n_curves,)

    >>> one, offsets = np.array([1.0]), np.array([0, 1])
    >>> drw_log_likelihood(one, np.zeros(1), one, offsets, one, one).round(4).tolist()
    [-1.2655]
    """
    check_lengths(offsets, time_days, values, errors)
    check_each(offsets.size - 1, sigma, tau_days)
    found = np.empty(offsets.size - 1)
    _likelihoods(time_days, values, errors, offsets, sigma, tau_days, found)
    return found


def fit_drw(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    free_mean: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a damped random walk to every curve by maximum likelihood.

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
    free_mean : bool
        The mean is fitted, too; else it is that of the epochs.

    Returns
    -------
    sigma, tau_days : numpy.ndarray of float64, shape (n_curves,)
        Standard deviation in the long run, and the time scale, from a fifth of the shortest gap to ten times the
        duration. sigma is 0 and tau NaN where the errors explain all scatter; both are NaN for fewer than 3 times.

    >>> sigma, tau = fit_drw(np.arange(4.0), np.array([1.0, 2.0, 1.0, 2.0]), np.full(4, 9.0), np.array([0, 4]))
    >>> sigma.tolist(), tau.tolist()
    ([0.0], [nan])
    """
    check_lengths(offsets, time_days, values, errors)
    sigma, tau = np.full(offsets.size - 1, np.nan), np.full(offsets.size - 1, np.nan)
    _fit_all(time_days, values, errors, offsets, free_mean, sigma, tau)
    return sigma, tau


def walk_chi2(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    variance: NDArray[np.float64],
    tau_days: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how well every curve fits a given damped random walk, and how well the same scatter in no order would.

    With C the covariance of the epochs, errors included, and m the most likely mean, they are
    ``(x - m) C^-1 (x - m) / (n - 1)`` and its expectation for white noise of the epochs' variance (of n),
    ``var(x) trace(C^-1) / (n - 1)`` (Butler and Bloom 2011, AJ 141, 93).

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
    variance, tau_days : numpy.ndarray of float64, shape (n_curves,)
        Of each curve's walk; NaN gives NaN.

    Returns
    -------
    chi2, chi2_false : numpy.ndarray of float64, shape (n_curves,)
        NaN for fewer than 2 epochs.

    >>> one = np.array([1.0])
    >>> t, x = np.array([0.0, 100.0]), np.array([1.0, -1.0])
    >>> [round(f.item(), 6) for f in walk_chi2(t, x, np.ones(2), np.array([0, 2]), one, one)]
    [1.0, 1.0]
    """
    check_lengths(offsets, time_days, values, errors)
    check_each(offsets.size - 1, variance, tau_days)
    chi2, chi2_false = np.full(offsets.size - 1, np.nan), np.full(offsets.size - 1, np.nan)
    _walk_chi2(time_days, values, errors, offsets, variance, tau_days, chi2, chi2_false)
    return chi2, chi2_false


def iar_phi(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    next_errors: bool = False,
) -> NDArray[np.float64]:
    """Return the autocorrelation at 1 day of every curve as an irregular autoregressive process of order 1.

    It is the damped random walk whose mean and variance are those of the epochs, ``phi = exp(-1 d / tau)``, of greatest
    likelihood (Eyheramendy et al. 2018, MNRAS 481, 4311).

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
    next_errors : bool
        Give each epoch the error of the next one and leave out the last, as ALeRCE's code does.

    Returns
    -------
    numpy.ndarray of float64, shape (n_curves,)
        From 0 to 1; NaN for fewer than 3 times and where all values are equal.

    >>> t = np.arange(50.0)
    >>> iar_phi(t, np.sin(t / 30), np.full(50, 0.01), np.array([0, 50])).round(1).tolist()
    [1.0]
    """
    check_lengths(offsets, time_days, values, errors)
    phi = np.full(offsets.size - 1, np.nan)
    _fit_phi(time_days, values, errors, offsets, next_errors, phi)
    return phi


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _likelihoods(t, x, e, offsets, sigma, tau, found):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        a, b = offsets[c], offsets[c + 1]
        value, _ = _likelihood(t[a:b], x[a:b], e[a:b], sigma[c] * sigma[c], tau[c], False)
        found[c] = value - 0.5 * (b - a) * math.log(2.0 * math.pi)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _likelihood(t, y, e, variance, tau, free_mean):  # type: ignore[no-untyped-def]
    """Return the log likelihood, without its constant, and the mean, which is 0 or the most likely one."""
    logs, yy, yu, uu = _filtered(t, y, e, variance, tau)
    if free_mean:
        return -0.5 * (logs + yy - yu * yu / uu), yu / uu
    return -0.5 * (logs + yy), 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _filtered(t, y, e, variance, tau):  # type: ignore[no-untyped-def]
    """Return the log determinant of C, and ``y C^-1 y``, ``y C^-1 1``, ``1 C^-1 1``.

    A Kalman filter: ``m`` and ``p`` are what is expected of an epoch before it is seen, ``u`` what remains of a mean.
    """
    m, u, p, logs, yy, yu, uu = 0.0, 1.0, variance, 0.0, 0.0, 0.0, 0.0
    for i in range(t.size):
        total = p + e[i] * e[i]
        v, gain = y[i] - m, p / total
        logs += math.log(total)
        yy += v * v / total
        yu += v * u / total
        uu += u * u / total
        if i + 1 < t.size:
            phi = math.exp((t[i] - t[i + 1]) / tau)
            m = phi * (m + gain * v)
            u = 1.0 - phi * (1.0 - u + gain * u)
            p = variance + phi * phi * (p * (1.0 - gain) - variance)
    return logs, yy, yu, uu


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _slopes(t, y, e, variance, tau, mean):  # type: ignore[no-untyped-def]
    """Return the gradient of the log likelihood by ln(variance) and ln(tau), and the Fisher matrix."""
    m, ma, mt, p, pa, pt = 0.0, 0.0, 0.0, variance, variance, 0.0
    ga, gt, aa, at, tt = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(t.size):
        noise = e[i] * e[i]
        total = p + noise
        v, gain, rest = (y[i] - mean) - m, p / total, noise / total
        miss = 0.5 * (v * v / total - 1.0) / total
        ga += miss * pa + v * ma / total
        gt += miss * pt + v * mt / total
        aa += 0.5 * pa * pa / (total * total) + ma * ma / total
        at += 0.5 * pa * pt / (total * total) + ma * mt / total
        tt += 0.5 * pt * pt / (total * total) + mt * mt / total
        if i + 1 < t.size:
            step = (t[i + 1] - t[i]) / tau
            phi = math.exp(-step)
            kept, seen = p * rest, m + gain * v
            ma = phi * (ma * rest + pa * rest / total * v)
            mt = phi * (step * seen + mt * rest + pt * rest / total * v)
            m = phi * seen
            pa = variance * (1.0 - phi * phi) + phi * phi * pa * rest * rest
            pt = phi * phi * (2.0 * step * (kept - variance) + pt * rest * rest)
            p = variance + phi * phi * (kept - variance)
    return ga, gt, aa, at, tt


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _climb(t, y, e, variance, shortest, longest, free_variance, free_mean):  # type: ignore[no-untyped-def]
    """Return variance, tau and log likelihood at the top, by Fisher scoring with damping from the best of a grid."""
    best, tau, mean = -math.inf, shortest, 0.0
    for k in range(_GRID):
        start = shortest * (longest / shortest) ** ((k + 0.5) / _GRID)
        found, its_mean = _likelihood(t, y, e, variance, start, free_mean)
        if found > best:
            best, tau, mean = found, start, its_mean
    damping = 1e-3
    for _ in range(_ROUNDS):
        ga, gt, aa, at, tt = _slopes(t, y, e, variance, tau, mean)
        gained = 0.0
        while damping < 1e7:
            if free_variance:
                a, b = aa * (1.0 + damping), tt * (1.0 + damping) + 1e-12
                det = a * b - at * at
                da, dt = (b * ga - at * gt) / det, (a * gt - at * ga) / det
            else:
                da, dt = 0.0, gt / (tt * (1.0 + damping) + 1e-12)
            trial = variance * math.exp(min(max(da, -3.0), 3.0))
            trial_tau = min(max(tau * math.exp(min(max(dt, -2.0), 2.0)), shortest), longest)
            found, its_mean = _likelihood(t, y, e, trial, trial_tau, free_mean)
            if found >= best:
                gained = found - best
                best, variance, tau, mean = found, trial, trial_tau, its_mean
                damping = max(0.1 * damping, 1e-6)
                break
            damping *= 10.0
        if gained < _CONVERGED:
            break
    return variance, tau, best


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _scales(t):  # type: ignore[no-untyped-def]
    """Return the shortest gap that is one, and how many there are."""
    shortest, gaps = math.inf, 0
    for i in range(1, t.size):
        if t[i] > t[i - 1]:
            shortest = min(shortest, t[i] - t[i - 1])
            gaps += 1
    return shortest, gaps


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fit_all(t, x, e, offsets, free_mean, sigma, tau):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        curve = slice(offsets[c], offsets[c + 1])
        shortest, gaps = _scales(t[curve])
        if gaps < 2:
            continue
        y, times, errors = x[curve] - x[curve].mean(), t[curve], e[curve]
        scatter, noise = (y * y).mean(), (errors * errors).mean()
        start = max(scatter - noise, 0.1 * scatter)
        still, _ = _likelihood(times, y, errors, 0.0, shortest, free_mean)
        if start > 0.0:
            longest = 10.0 * (times[-1] - times[0])
            variance, scale, found = _climb(times, y, errors, start, 0.2 * shortest, longest, True, free_mean)
            if found > still + 1e-3:
                sigma[c], tau[c] = math.sqrt(variance), scale
                continue
        sigma[c] = 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fit_phi(t, x, e, offsets, next_errors, phi):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        a, b = offsets[c], offsets[c + 1]
        shortest, gaps = _scales(t[a:b])
        if gaps < 2:
            continue
        y = x[a:b] - x[a:b].mean()
        variance = (y * y).sum() / (y.size - 1)
        if not variance > 0.0:
            continue
        times, errors, longest = t[a:b], e[a:b], 100.0 * (t[b - 1] - t[a])
        if next_errors:
            times, errors, y = times[:-1], errors[1:], y[:-1]
        # Half a day in 50 still tells phi = 0; gaps that are all longer than days tell less.
        _, scale, _ = _climb(times, y, errors, variance, min(0.2 * shortest, 0.1), longest, False, False)
        phi[c] = math.exp(-1.0 / scale)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _walk_chi2(t, x, e, offsets, variance, tau, chi2, chi2_false):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        a, b = offsets[c], offsets[c + 1]
        if b - a < 2 or not (variance[c] > 0.0 and tau[c] > 0.0):
            continue
        y = x[a:b] - x[a:b].mean()
        _, _, yu, uu = _filtered(t[a:b], y, e[a:b], variance[c], tau[c])
        # About the most likely mean: a sum of squares, where ``yy - yu^2 / uu`` may round to less than nothing.
        _, squares, _, _ = _filtered(t[a:b], y - yu / uu, e[a:b], variance[c], tau[c])
        # What is expected of an epoch by those before it, and by those after it; together, by all others.
        before, after = np.empty(b - a), np.empty(b - a)
        _expected(t[a:b], e[a:b], variance[c], tau[c], before)
        _expected(-t[a:b][::-1], e[a:b][::-1], variance[c], tau[c], after)
        trace = 0.0
        for i in range(b - a):
            latent = 1.0 / (1.0 / before[i] + 1.0 / after[b - a - 1 - i] - 1.0 / variance[c])
            trace += 1.0 / (latent + e[a + i] * e[a + i])
        chi2[c] = squares / (b - a - 1)
        chi2_false[c] = (y * y).mean() * trace / (b - a - 1)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _expected(t, e, variance, tau, expected):  # type: ignore[no-untyped-def]
    """Fill the variance of each epoch's true value given the epochs before."""
    p = variance
    for i in range(t.size):
        expected[i] = p
        if i + 1 < t.size:
            phi = math.exp((t[i] - t[i + 1]) / tau)
            p = variance + phi * phi * (p * (1.0 - p / (p + e[i] * e[i])) - variance)
