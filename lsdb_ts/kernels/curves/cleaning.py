"""Outliers and trends of many light curves at once, as flat arrays and offsets. Which epochs belong together is told.

Values that are missing are NaN, and take no part; weights of 0 or NaN do not count.
"""

from __future__ import annotations

import math
from typing import Literal

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.curves.ranked import middle_of
from lsdb_ts.kernels.curves.statistics import check_lengths

Centre = Literal["median", "mean", "weighted"]
_CENTRES: tuple[Centre, ...] = ("median", "mean", "weighted")
_NORMAL = 1.482602218505602
"""Standard deviation of a normal distribution over its median absolute deviation."""


def clipped(
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    limits: tuple[float, float],
    about: Centre = "median",
    most_rounds: int = 10,
) -> NDArray[np.bool_]:
    """Mark the outliers of every curve, round after round, until there are no more.

    About the median the spread is 1.4826 times the median absolute deviation; about the mean it is the standard
    deviation with n - 1 in the denominator; about the weighted mean its weighted form, sqrt(sum w (x - x_w)^2 / sum w
    * n / (n - 1)) with w = 1 / e^2. Where the spread is 0, or of less than two values, nothing is an outlier.

    Parameters
    ----------
    values, errors : numpy.ndarray of float64, shape (n,)
        Epochs of all curves one after the other. Errors matter for the weighted mean only.
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
    limits : (float, float)
        Spreads below and above the centre beyond which a value is an outlier.
    about : {"median", "mean", "weighted"}
    most_rounds : int
        Rounds at most.

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
        True for outliers; missing values are none.

    >>> x = np.array([1.0, 1.1, 0.9, 1.05, 9.0])
    >>> clipped(x, np.ones(5), np.array([0, 5]), (3.0, 3.0)).tolist()
    [False, False, False, False, True]
    """
    if about not in _CENTRES:
        raise InputError(f'outliers are found about one of {", ".join(_CENTRES)}, not about "{about}"')
    check_lengths(offsets, values, errors)
    out = np.zeros(values.size, np.bool_)
    weights = np.where(errors > 0, np.square(1.0 / np.where(errors > 0, errors, 1.0)), 0.0)
    _clip(values, weights, offsets, float(limits[0]), float(limits[1]), _CENTRES.index(about), most_rounds, out)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _clip(x, w, offsets, below, above, about, most_rounds, out):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        start, stop = offsets[c], offsets[c + 1]
        for _ in range(most_rounds):
            centre, spread = _centre_and_spread(x[start:stop], w[start:stop], out[start:stop], about)
            if not spread > 0.0:
                break
            found = False
            for i in range(start, stop):
                if not out[i] and (x[i] - centre > above * spread or centre - x[i] > below * spread):
                    out[i] = found = True
            if not found:
                break


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _centre_and_spread(x, w, out, about):  # type: ignore[no-untyped-def]
    """Return both of the values that are left; NaN where there are too few."""
    left = np.isfinite(x) & ~out
    if about == 2:
        left &= w > 0.0
    kept = x[left]
    if kept.size < 2:
        return math.nan, math.nan
    if about == 0:
        centre = middle_of(np.sort(kept))
        return centre, _NORMAL * middle_of(np.sort(np.abs(kept - centre)))
    weights = w[left] if about == 2 else np.ones(kept.size)
    total, centre = 0.0, 0.0
    for i in range(kept.size):
        total += weights[i]
        centre += weights[i] / total * (kept[i] - centre)
    squares = 0.0
    for i in range(kept.size):
        squares += weights[i] * (kept[i] - centre) ** 2
    return centre, math.sqrt(squares / total * kept.size / (kept.size - 1.0))


def polynomial_trend(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    offsets: NDArray[np.int64],
    degree: int,
) -> NDArray[np.float64]:
    """Fit a polynomial of time to every curve by weighted least squares, and return its value at every epoch.

    By orthogonal polynomials made for the epochs at hand (Forsythe 1957, J. SIAM 5, 74), so that high degrees are as
    exact as low ones.

    Parameters
    ----------
    time_days, values, weights : numpy.ndarray of float64, shape (n,)
        Epochs of all curves one after the other, in any order.
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
    degree : int
        0 is the weighted mean, 1 a straight line.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        NaN where there is no time, and in curves with fewer different times than ``degree + 1``.

    >>> t = np.array([0.0, 1.0, 2.0, 3.0])
    >>> polynomial_trend(t, 2 * t + 1, np.ones(4), np.array([0, 4]), 1).round(12).tolist()
    [1.0, 3.0, 5.0, 7.0]
    """
    check_lengths(offsets, time_days, values, weights)
    trend = np.full(values.size, np.nan)
    _fit_polynomials(time_days, values, weights, offsets, degree, trend)
    return trend


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fit_polynomials(t, x, weights, offsets, degree, trend):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        start, stop = offsets[c], offsets[c + 1]
        counts = np.isfinite(t[start:stop]) & np.isfinite(x[start:stop]) & (weights[start:stop] > 0.0)
        counts &= np.isfinite(weights[start:stop])
        used = np.sort(t[start:stop][counts])
        different = 0
        for i in range(used.size):
            different += i == 0 or used[i] != used[i - 1]
        if different > degree:
            middle, half = 0.5 * (used[0] + used[-1]), max(0.5 * (used[-1] - used[0]), 1e-300)
            u = (t[start:stop] - middle) / half
            w = np.where(counts, weights[start:stop], 0.0)
            trend[start:stop] = _fitted(u, x[start:stop], w, degree)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fitted(u, x, w, degree):  # type: ignore[no-untyped-def]
    """Return the polynomial at the scaled times u; weights of 0 leave an epoch out of the fit."""
    n = u.size
    before, now, fit = np.zeros(n), np.ones(n), np.zeros(n)
    norm_before = 1.0
    for k in range(degree + 1):
        norm, shift, share = 0.0, 0.0, 0.0
        for i in range(n):
            if w[i] > 0.0:
                square = w[i] * now[i] * now[i]
                norm += square
                shift += square * u[i]
                share += w[i] * now[i] * (x[i] - fit[i])
        back = norm / norm_before if k > 0 else 0.0
        for i in range(n):
            fit[i] += share / norm * now[i]
            before[i], now[i] = now[i], (u[i] - shift / norm) * now[i] - back * before[i]
        norm_before = norm
    for i in range(n):
        if not np.isfinite(u[i]):
            fit[i] = math.nan
    return fit


def running_median(
    time_days: NDArray[np.float64], values: NDArray[np.float64], offsets: NDArray[np.int64], width_days: float
) -> NDArray[np.float64]:
    """Return at every epoch the median of the values within half a width of it, both ends included.

    Parameters
    ----------
    time_days, values : numpy.ndarray of float64, shape (n,)
        Epochs of all curves one after the other, each curve sorted by time, NaN times last.
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
    width_days : float
        Width of the window.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
        NaN where there is no time, or no value in the window.

    >>> t, x = np.array([0.0, 1.0, 2.0, 9.0]), np.array([1.0, 5.0, 2.0, 7.0])
    >>> running_median(t, x, np.array([0, 4]), 2.0).tolist()
    [3.0, 2.0, 3.5, 7.0]
    """
    check_lengths(offsets, time_days, values)
    medians = np.full(values.size, np.nan)
    _run_medians(time_days, values, offsets, 0.5 * width_days, medians)
    return medians


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _run_medians(t, x, offsets, half, medians):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        start, stop = offsets[c], offsets[c + 1]
        ranked, held = np.empty(stop - start), 0
        first, last = start, start
        for i in range(start, stop):
            if not np.isfinite(t[i]):
                continue
            while last < stop and t[last] <= t[i] + half:
                if np.isfinite(x[last]):
                    place = np.searchsorted(ranked[:held], x[last])
                    for j in range(held, place, -1):
                        ranked[j] = ranked[j - 1]
                    ranked[place] = x[last]
                    held += 1
                last += 1
            while t[first] < t[i] - half:
                if np.isfinite(x[first]):
                    place = np.searchsorted(ranked[:held], x[first])
                    held -= 1
                    for j in range(place, held):
                        ranked[j] = ranked[j + 1]
                first += 1
            if held > 0:
                medians[i] = middle_of(ranked[:held])
