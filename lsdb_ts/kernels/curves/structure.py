"""Structure functions: how far the values of a curve drift apart in a given time, by five estimators, in bins of lag.

The features made of them live in ``features/stochastic.py``.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import InputError, did_you_mean
from lsdb_ts.kernels.curves.ranked import quantile
from lsdb_ts.kernels.curves.statistics import check_lengths, sorted_within

ESTIMATORS = ("basic", "bauer_2009a", "bauer_2009b", "macleod_2012", "schmidt_2010")
"""The estimators of :func:`structure_function`, by paper."""
_IQR_TO_SIGMA = 0.74
_FIT_EDGES_DAYS = 10.0 ** np.arange(math.log10(5.0), 2.6, 0.1)
_LONGEST_LAG_DAYS = 365.0
_YEAR_DAYS = 365.25
_GAMMA_LIMITS = (-1.0, 3.0)
_ROUNDS = 60


def structure_function(
    time_days: ArrayLike,
    values: ArrayLike,
    errors: ArrayLike,
    offsets: NDArray[np.int64],
    lag_edges_days: ArrayLike,
    estimator: str = "bauer_2009a",
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the structure function of every curve in bins of lag.

    Of the pairs i < j of one curve whose lag ``t_j - t_i`` lies in a bin, with ``d = x_j - x_i`` and
    ``v = e_i^2 + e_j^2``:

    * ``basic``: ``mean(d^2 - v)``, the square of a structure function, which noise may make negative (Kozlowski 2016,
      ApJ 826, 118, eq. 12);
    * ``bauer_2009a``: ``sqrt(mean(d^2) - mean(v))`` (Bauer et al. 2009, ApJ 696, 1241, eq. 4);
    * ``bauer_2009b``: ``sqrt(pi / 2 mean(|d|)^2 - mean(v))`` (eq. 5 there), which outliers move less;
    * ``macleod_2012``: ``0.74 IQR(d)`` (MacLeod et al. 2012, ApJ 753, 106), from which noise is not taken off;
    * ``schmidt_2010``: ``mean(sqrt(pi / 2) |d| - sqrt(v))`` (Schmidt et al. 2010, ApJ 714, 1194, eq. 2).

    Parameters
    ----------
    time_days, values, errors : array_like, shape (n,)
        Epochs of all curves one after the other, each curve sorted by time. An epoch of which one is NaN or infinite
        is left out.
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
        Where each curve begins; curves may be empty.
    lag_edges_days : array_like, shape (n_bins + 1,)
        Edges of the bins, increasing, the first not negative; a lag at an edge belongs to the bin above it.
    estimator : str
        One of ``ESTIMATORS``.

    Returns
    -------
    lag_days : numpy.ndarray of float64, shape (n_curves, n_bins)
        Mean lag of the pairs; NaN where there are none.
    value : numpy.ndarray of float64, shape (n_curves, n_bins)
        The structure function in the unit of the values (``basic``: squared); NaN where there are no pairs, or where
        what is under the root is negative.
    pairs : numpy.ndarray of int64, shape (n_curves, n_bins)
        Number of pairs.

    >>> t, x = [0.0, 1.0, 2.0], [1.0, 2.0, 4.0]
    >>> lag, value, pairs = structure_function(t, x, [0.0] * 3, np.array([0, 3]), [0.5, 1.5, 2.5])
    >>> lag.tolist(), value.round(3).tolist(), pairs.tolist()
    ([[1.0, 2.0]], [[1.581, 3.0]], [[2, 1]])
    """
    if estimator not in ESTIMATORS:
        raise InputError(f'there is no structure function "{estimator}"; {did_you_mean(estimator, ESTIMATORS)}')
    t, x, e = (np.ascontiguousarray(column, np.float64) for column in (time_days, values, errors))
    edges = np.ascontiguousarray(lag_edges_days, np.float64)
    check_lengths(offsets, t, x, e)
    if edges.size < 2 or not (edges[0] >= 0 and np.all(np.diff(edges) > 0)):
        raise InputError(f"edges of lag bins are increasing and not negative, at least two of them; got {edges}")
    good = np.isfinite(t) & np.isfinite(x) & np.isfinite(e)
    if not good.all():
        offsets = np.concatenate([[0], np.cumsum(good)])[offsets]
        t, x, e = t[good], x[good], e[good]
    if not sorted_within(t, offsets):
        raise InputError("the epochs of a curve are not sorted by time: sort them first")
    shape = (offsets.size - 1, edges.size - 1)
    lag, value, pairs = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, np.int64)
    _all_curves(t, x, e, offsets, edges, ESTIMATORS.index(estimator), lag, value, pairs)
    return lag, value, pairs


def structure_power_law(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    least_squares: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit ``SF(lag) = A (lag / 1 yr)^gamma`` to the pairs of every curve with lags of 5 to 365 d, in bins of 0.1 dex.

    With ``M`` the square of the model at the mean lag of a bin, ``q`` the mean of ``(x_j - x_i)^2`` over its n pairs
    and ``v`` that of ``e_i^2 + e_j^2``, the sum of ``n (ln(M + v) + q / (M + v))`` is the least: the likelihood of
    Schmidt et al. 2010 (ApJ 714, 1194), with pairs of nearly the same lag taken together.

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
        Epochs of all curves one after the other, all finite, each curve sorted by time.
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
        Where each curve begins; curves may be empty.
    least_squares : bool
        Fit a straight line to the logarithms instead, as ALeRCE does: bins with ``q < v`` are left out, lags are those
        of the bins' centres from 0.01 to 0.5 yr of 365 d, all bins count the same; an A below 0.005 makes both 0, A is
        at most 15, and gamma lies between -0.5 and 3.

    Returns
    -------
    amplitude, gamma : numpy.ndarray of float64, shape (n_curves,)
        NaN with pairs in fewer than two bins. A is 0 and gamma NaN where the errors explain all differences.

    >>> t = np.arange(0.0, 300.0, 4.0)
    >>> a, gamma = structure_power_law(t, 0.001 * t, np.full(t.size, 1e-6), np.array([0, t.size]))
    >>> a.round(2).tolist(), gamma.round(2).tolist()
    ([0.37], [1.0])
    """
    check_lengths(offsets, time_days, values, errors)
    amplitude, gamma = np.full(offsets.size - 1, np.nan), np.full(offsets.size - 1, np.nan)
    fit = _fit_lines if least_squares else _fit_likelihoods
    fit(time_days, values, errors, offsets, _FIT_EDGES_DAYS, amplitude, gamma)
    return amplitude, gamma


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all_curves(t, x, e, offsets, edges, estimator, lag, value, pairs):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        curve = slice(offsets[c], offsets[c + 1])
        first, last = np.empty(curve.stop - curve.start, np.int64), np.empty(curve.stop - curve.start, np.int64)
        for k in range(edges.size - 1):
            n = _partners(t[curve], edges[k], edges[k + 1], first, last)
            pairs[c, k] = n
            if n > 0:
                lag[c, k], value[c, k] = _estimate(t[curve], x[curve], e[curve], first, last, n, estimator)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _partners(t, low, high, first, last):  # type: ignore[no-untyped-def]
    """Find the later epochs ``first[i] .. last[i] - 1`` whose lag to each epoch lies in a bin; return how many."""
    n, f, g = 0, 0, 0
    for i in range(t.size):
        # Lags grow with j and shrink with i, so both ends only move on.
        f = max(f, i + 1)
        while f < t.size and t[f] - t[i] < low:
            f += 1
        g = max(g, f)
        while g < t.size and t[g] - t[i] < high:
            g += 1
        first[i], last[i] = f, g
        n += g - f
    return n


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _estimate(t, x, e, first, last, n, estimator):  # type: ignore[no-untyped-def]
    """Return mean lag and structure function of the n pairs of one bin."""
    steps = np.empty(n if estimator == 3 else 0)
    k, lags, squares, sizes, noise, excess = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(t.size):
        for j in range(first[i], last[i]):
            d, v = x[j] - x[i], e[i] * e[i] + e[j] * e[j]
            lags += t[j] - t[i]
            squares += d * d
            sizes += abs(d)
            noise += v
            if estimator == 4:
                excess += math.sqrt(0.5 * math.pi) * abs(d) - math.sqrt(v)
            elif estimator == 3:
                steps[k] = d
                k += 1
    if estimator == 0:
        return lags / n, (squares - noise) / n
    if estimator == 3:
        steps.sort()
        return lags / n, _IQR_TO_SIGMA * (quantile(steps, 0.75) - quantile(steps, 0.25))
    if estimator == 4:
        return lags / n, excess / n
    square = (squares / n if estimator == 1 else 0.5 * math.pi * (sizes / n) ** 2) - noise / n
    return lags / n, math.sqrt(square) if square >= 0.0 else math.nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pair_sums(t, x, e, edges, sums):  # type: ignore[no-untyped-def]
    """Fill, for each bin, the number of pairs and their sums of lag, squared difference and noise."""
    sums[:] = 0.0
    for i in range(t.size):
        k = 0
        for j in range(i + 1, t.size):
            dt = t[j] - t[i]
            if dt < edges[0]:
                continue
            if dt > _LONGEST_LAG_DAYS:
                break
            while dt >= edges[k + 1]:
                k += 1
            d, row = x[j] - x[i], sums[k]
            row[0] += 1.0
            row[1] += dt
            row[2] += d * d
            row[3] += e[i] * e[i] + e[j] * e[j]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fit_lines(t, x, e, offsets, edges, amplitude, gamma):  # type: ignore[no-untyped-def]
    sums = np.empty((edges.size - 1, 4))
    for c in range(offsets.size - 1):
        curve = slice(offsets[c], offsets[c + 1])
        _pair_sums(t[curve], x[curve], e[curve], edges, sums)
        n, mx, my, mxx, mxy = 0, 0.0, 0.0, 0.0, 0.0
        for k in range(sums.shape[0]):
            lag, square = 0.5 * (edges[k] + edges[k + 1]) / 365.0, sums[k, 2] - sums[k, 3]
            if sums[k, 0] > 0 and square >= 0.0 and 0.01 < lag <= 0.5:
                a, b = math.log10(lag), 0.5 * math.log10(square / sums[k, 0])
                n += 1
                mx, my, mxx, mxy = mx + a, my + b, mxx + a * a, mxy + a * b
        if n < 2:
            continue
        slope = (n * mxy - mx * my) / (n * mxx - mx * mx)
        height = 10.0 ** ((my - slope * mx) / n)
        if height < 0.005:
            amplitude[c], gamma[c] = 0.0, 0.0
        else:
            amplitude[c], gamma[c] = min(height, 15.0), min(max(slope, -0.5), 3.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fit_likelihoods(t, x, e, offsets, edges, amplitude, gamma):  # type: ignore[no-untyped-def]
    sums = np.empty((edges.size - 1, 4))
    for c in range(offsets.size - 1):
        curve = slice(offsets[c], offsets[c + 1])
        _pair_sums(t[curve], x[curve], e[curve], edges, sums)
        bins, pairs, excess = 0, 0.0, 0.0
        for k in range(sums.shape[0]):
            if sums[k, 0] > 0:
                sums[bins] = sums[k]
                sums[bins, 1] = math.log(sums[k, 1] / sums[k, 0] / _YEAR_DAYS)
                sums[bins, 2:] = sums[k, 2:] / sums[k, 0]
                pairs += sums[bins, 0]
                excess += sums[bins, 0] * (sums[bins, 2] - sums[bins, 3])
                bins += 1
        if bins < 2:
            continue
        if excess <= 0.0:
            amplitude[c] = 0.0
        else:
            amplitude[c], gamma[c] = _climb(sums[:bins], math.log(excess / pairs))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _climb(bins, height):  # type: ignore[no-untyped-def]
    """Return A and gamma of the greatest likelihood, by Fisher scoring with damping from a flat function on."""
    slope, damping, cost = 0.0, 1e-3, _power_law_cost(bins, height, 0.0)
    for _ in range(_ROUNDS):
        gh, gs, hh, hs, ss = 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(bins.shape[0]):
            model = math.exp(height + 2.0 * slope * bins[k, 1])
            total = model + bins[k, 3]
            by_height = model / total
            by_slope = 2.0 * bins[k, 1] * by_height
            pull = bins[k, 0] * (bins[k, 2] / total - 1.0)
            gh += pull * by_height
            gs += pull * by_slope
            hh += bins[k, 0] * by_height * by_height
            hs += bins[k, 0] * by_height * by_slope
            ss += bins[k, 0] * by_slope * by_slope
        gained = -1.0
        while damping < 1e8:
            a, b = hh * (1.0 + damping), ss * (1.0 + damping)
            det = a * b - hs * hs
            dh, ds = (b * gh - hs * gs) / det, (a * gs - hs * gh) / det
            trial_slope = min(max(slope + ds, _GAMMA_LIMITS[0]), _GAMMA_LIMITS[1])
            trial = _power_law_cost(bins, height + dh, trial_slope)
            if trial <= cost:
                gained = cost - trial
                height, slope, cost = height + dh, trial_slope, trial
                damping = max(0.1 * damping, 1e-9)
                break
            damping *= 10.0
        if gained < 1e-10 * bins[:, 0].sum():
            break
    return math.exp(0.5 * height), slope


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _power_law_cost(bins, height, slope):  # type: ignore[no-untyped-def]
    cost = 0.0
    for k in range(bins.shape[0]):
        total = math.exp(height + 2.0 * slope * bins[k, 1]) + bins[k, 3]
        cost += bins[k, 0] * (math.log(total) + bins[k, 2] / total)
    return cost
