"""Statistics of many light curves at once, and the regrouping of epochs by band; curves are flat arrays plus offsets.

Definitions in words and their sources stand with the features (``features/``); periods live in ``kernels/periods.py``.
A statistic that is not defined (too few epochs, no scatter, a mean that is not positive under a ratio) is NaN.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import InputError

STATISTICS = (
    "n_epochs", "duration", "dt_median", "dt_max",
    "mean_w", "mean_w_err", "mean", "median", "min", "max", "sigma", "err_mean",
    "p05", "p10", "p25", "p75", "p90", "p95", "mad", "iqr", "amp_half",
    "chi2", "redchi2", "excess_var", "frac_sigma", "stetson_j", "stetson_k",
    "skew", "kurt_small", "beyond_1std", "median_brp",
    "max_slope", "lin_slope", "lin_slope_err", "eta", "eta_e", "rcs", "roms",
)  # fmt: skip
"""The columns of :func:`curve_statistics`, in order."""
_SHORTEST_GAP_DAYS = 0.5
"""Gaps below this count as this in eta_e: pairs within one night would drown all others."""
_STETSON_ROUNDS, _STETSON_TOLERANCE = 20, 1e-6


def check_lengths(offsets: NDArray[np.int64], *columns: NDArray[np.float64]) -> None:
    """Raise InputError unless every column is as long as the offsets say; compiled loops do not look."""
    lengths = [column.size for column in columns]
    if offsets.size == 0 or any(n != offsets[-1] for n in lengths):
        raise InputError(
            f"curves of {lengths} epochs, times first, do not fit offsets that end at {offsets[-1:].tolist()}"
        )


def curve_statistics(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return every statistic of every curve.

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
        Epochs of all curves one after the other, all finite, errors positive, each curve sorted by time.
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
        Where each curve begins; curves may be empty.

    Returns
    -------
    numpy.ndarray of float64, shape (n_curves, len(STATISTICS))

    >>> t, x = np.array([0.0, 1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0, 2.0])
    >>> table = curve_statistics(t, x, np.ones(4), np.array([0, 4, 4]))
    >>> table[0, STATISTICS.index("mean")].item(), table[1, STATISTICS.index("n_epochs")].item()
    (2.0, 0.0)
    """
    check_lengths(offsets, time_days, values, errors)
    table = np.full((offsets.size - 1, len(STATISTICS)), np.nan)
    _all_curves(time_days, values, errors, offsets, table)
    return table


@numba.njit(cache=True, nogil=True)
def group_by_band(owner, band, n_objects, n_bands):  # type: ignore[no-untyped-def]
    """Sort epochs by (object, band), stably and in one pass; epochs of a negative band are left out.

    Parameters
    ----------
    owner : numpy.ndarray of int64, shape (n,)
        Object of each epoch, 0 .. n_objects - 1.
    band : numpy.ndarray of int8, shape (n,)
        Band of each epoch, 0 .. n_bands - 1, or negative.
    n_objects, n_bands : int

    Returns
    -------
    rows : numpy.ndarray of int64
        The epochs kept, in their new sequence.
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
        Where each band of each object begins.
    """
    offsets = np.zeros(n_objects * n_bands + 1, np.int64)
    for i in range(owner.size):
        if band[i] >= 0:
            offsets[owner[i] * n_bands + band[i] + 1] += 1
    for k in range(1, offsets.size):
        offsets[k] += offsets[k - 1]
    rows, free = np.empty(offsets[-1], np.int64), offsets[:-1].copy()
    for i in range(owner.size):
        if band[i] >= 0:
            key = owner[i] * n_bands + band[i]
            rows[free[key]] = i
            free[key] += 1
    return rows, offsets


@numba.njit(cache=True, nogil=True)
def far_in_time(time_days, offsets, max_days):  # type: ignore[no-untyped-def]
    """Mark the epochs that lie further than ``max_days`` from the median epoch of their curve.

    Curves that span less are not looked at. NaN times are not marked and do not count.
    """
    far = np.zeros(time_days.size, np.bool_)
    for c in range(offsets.size - 1):
        start, stop = offsets[c], offsets[c + 1]
        low, high = math.inf, -math.inf
        for i in range(start, stop):
            low, high = min(low, time_days[i]), max(high, time_days[i])
        if not high - low > max_days:
            continue
        curve = time_days[start:stop]
        middle = middle_of(np.sort(curve[np.isfinite(curve)]))
        for i in range(start, stop):
            far[i] = abs(time_days[i] - middle) > max_days
    return far


@numba.njit(cache=True, nogil=True)
def sorted_within(time_days, offsets):  # type: ignore[no-untyped-def]
    """Tell whether every curve is sorted by time."""
    for c in range(offsets.size - 1):
        for i in range(offsets[c] + 1, offsets[c + 1]):
            if time_days[i] < time_days[i - 1]:
                return False
    return True


@numba.njit(cache=True, nogil=True)
def middle_of(ranked):  # type: ignore[no-untyped-def]
    """Return the median of a sorted array of at least one value (``np.median`` takes seconds to compile)."""
    return 0.5 * (ranked[(ranked.size - 1) // 2] + ranked[ranked.size // 2])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all_curves(t, x, e, offsets, table):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        start, stop = offsets[c], offsets[c + 1]
        row = table[c]
        row[0] = stop - start
        if stop == start:
            continue
        _cadence(t[start:stop], row[1:4])
        _moments(x[start:stop], e[start:stop], row[4:12])
        _ranks(x[start:stop], row[12:21], row[4:12])
        _variability(x[start:stop], e[start:stop], row[21:27], row[4:12])
        _shape(x[start:stop], row[27:31], row[4:12])
        _trend(t[start:stop], x[start:stop], e[start:stop], row[31:38], row[4:12])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cadence(t, out):  # type: ignore[no-untyped-def]
    """Fill duration, dt_median, dt_max."""
    out[0] = t[-1] - t[0]
    if t.size > 1:
        gaps = np.sort(t[1:] - t[:-1])
        out[1], out[2] = middle_of(gaps), gaps[-1]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _moments(x, e, out):  # type: ignore[no-untyped-def]
    """Fill mean_w, mean_w_err, mean, median, min, max, sigma, err_mean."""
    n, W, Y = x.size, 0.0, 0.0
    for i in range(n):
        w = 1.0 / (e[i] * e[i])
        W += w
        Y += w * x[i]
    ranked = np.sort(x)
    out[0], out[1], out[2], out[3] = Y / W, 1.0 / math.sqrt(W), x.sum() / n, middle_of(ranked)
    out[4], out[5], out[7] = ranked[0], ranked[-1], e.sum() / n
    if out[4] == out[5]:
        # Rounding would make up a scatter.
        out[0] = out[2] = out[4]
    if n > 1:
        squares = 0.0
        for i in range(n):
            squares += (x[i] - out[2]) ** 2
        out[6] = math.sqrt(squares / (n - 1))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _ranks(x, out, moments):  # type: ignore[no-untyped-def]
    """Fill p05 .. p95, mad, iqr, amp_half."""
    ranked, n = np.sort(x), x.size
    for k, q in enumerate((0.05, 0.10, 0.25, 0.75, 0.90, 0.95)):
        at = q * (n - 1)
        low = int(at)
        high = min(low + 1, n - 1)
        out[k] = ranked[low] + (at - low) * (ranked[high] - ranked[low])
    out[6] = middle_of(np.sort(np.abs(x - moments[3])))
    out[7] = out[3] - out[2]
    out[8] = 0.5 * (moments[5] - moments[4])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _variability(x, e, out, moments):  # type: ignore[no-untyped-def]
    """Fill chi2, redchi2, excess_var, frac_sigma, stetson_j, stetson_k."""
    n, mean_w, mean, sigma = x.size, moments[0], moments[2], moments[6]
    if n < 2:
        return
    chi2, size, errors2 = 0.0, 0.0, 0.0
    for i in range(n):
        delta = (x[i] - mean_w) / e[i]
        chi2 += delta * delta
        size += abs(delta)
        errors2 += e[i] * e[i]
    out[0], out[1] = chi2, chi2 / (n - 1)
    if mean > 0.0:
        out[2] = (sigma * sigma - errors2 / n) / (mean * mean)
    if mean_w > 0.0:
        out[3] = sigma / mean_w
    centre, bias = _stetson_mean(x, e, mean_w), n / (n - 1.0)
    total = 0.0
    for i in range(n):
        P = bias * ((x[i] - centre) / e[i]) ** 2 - 1.0
        total += math.copysign(math.sqrt(abs(P)), P)
    out[4] = total / n
    if chi2 > 0.0:
        out[5] = size / math.sqrt(n * chi2)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _stetson_mean(x, e, start):  # type: ignore[no-untyped-def]
    """Return the mean with weights 1/e^2 / (1 + (|delta| / 2)^2), iterated (Stetson 1996, PASP 108, 851)."""
    mean, bias = start, math.sqrt(x.size / (x.size - 1.0))
    for _ in range(_STETSON_ROUNDS):
        W, Y = 0.0, 0.0
        for i in range(x.size):
            w = 1.0 / (e[i] * e[i]) / (1.0 + (0.5 * bias * (x[i] - mean) / e[i]) ** 2)
            W += w
            Y += w * x[i]
        change = abs(Y / W - mean)
        mean = Y / W
        # In units of the mean's own error: the result must not depend on unit or zero point.
        if change * math.sqrt(W) <= _STETSON_TOLERANCE:
            break
    return mean


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _shape(x, out, moments):  # type: ignore[no-untyped-def]
    """Fill skew, kurt_small, beyond_1std, median_brp."""
    n, sigma = x.size, moments[6]
    if not sigma > 0.0:
        return
    third, fourth, beyond, central = 0.0, 0.0, 0, 0
    for i in range(n):
        z = (x[i] - moments[2]) / sigma
        third += z * z * z
        fourth += z * z * z * z
        beyond += abs(x[i] - moments[0]) > sigma
        central += abs(x[i] - moments[3]) < 0.1 * (moments[5] - moments[4])
    if n > 2:
        out[0] = n / ((n - 1.0) * (n - 2.0)) * third
    if n > 3:
        tail = 3.0 * (n - 1.0) ** 2 / ((n - 2.0) * (n - 3.0))
        out[1] = n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0)) * fourth - tail
    out[2], out[3] = beyond / n, central / n


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _trend(t, x, e, out, moments):  # type: ignore[no-untyped-def]
    """Fill max_slope, lin_slope, lin_slope_err, eta, eta_e, rcs, roms."""
    n, sigma = x.size, moments[6]
    if n < 2:
        return
    W, T, steepest, steps, weighted, weights, roms = 0.0, 0.0, -math.inf, 0.0, 0.0, 0.0, 0.0
    low, high, running = math.inf, -math.inf, 0.0
    for i in range(n):
        W += 1.0 / (e[i] * e[i])
        T += (t[i] - t[0]) / (e[i] * e[i])
        roms += abs(x[i] - moments[3]) / e[i]
        running += x[i] - moments[2]
        low, high = min(low, running), max(high, running)
        if i > 0:
            dt, dx = t[i] - t[i - 1], x[i] - x[i - 1]
            if dt > 0.0:
                steepest = max(steepest, dx / dt)
            w = 1.0 / max(dt, _SHORTEST_GAP_DAYS) ** 2
            steps += dx * dx
            weighted += w * dx * dx
            weights += w
    _line(t, x, e, T / W, moments[0], out[1:3])
    if steepest > -math.inf:
        out[0] = steepest
    if sigma > 0.0:
        out[3] = steps / ((n - 1) * sigma * sigma)
        out[4] = weighted / (sigma * sigma * weights)
        out[5] = (high - low) / (n * sigma)
    out[6] = roms / (n - 1)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _line(t, x, e, middle, mean_w, out):  # type: ignore[no-untyped-def]
    """Fill slope and its error of the weighted straight line; ``middle`` counts from the first epoch."""
    tt, tx = 0.0, 0.0
    for i in range(t.size):
        d = t[i] - t[0] - middle
        tt += d * d / (e[i] * e[i])
        tx += d * (x[i] - mean_w) / (e[i] * e[i])
    if t[-1] > t[0]:
        out[0], out[1] = tx / tt, 1.0 / math.sqrt(tt)
