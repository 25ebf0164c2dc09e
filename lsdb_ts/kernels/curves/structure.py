"""Structure functions: how far the values of a curve drift apart in a given time, by five estimators, in bins of lag.

The power law fitted to them lives in ``power_law.py``.
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
