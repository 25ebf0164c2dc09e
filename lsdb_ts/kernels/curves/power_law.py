"""The power law in the structure functions of many curves at once: of greatest likelihood, or a line in logarithms.

Structure functions in bins of lag live in ``structure.py``, the features in ``features/stochastic.py``.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.kernels.curves.statistics import check_lengths
from lsdb_ts.kernels.vectors import LANES, add_four, aligned, count_within, exp, load, log, splat, store, totals

_EDGES_DAYS = 10.0 ** np.arange(math.log10(5.0), 2.6, 0.1)
_BINS = _EDGES_DAYS.size - 1
_LONGEST_LAG_DAYS = 365.0
_EDGES_BEFORE_DAY = np.searchsorted(_EDGES_DAYS, np.arange(_LONGEST_LAG_DAYS + 1.0), side="right")
"""Edges of bins up to each whole lag; there is at most one between this and the next."""
_PAIRS_AT_ONCE = 240
_YEAR_DAYS = 365.25
_GAMMA_LIMITS = (-1.0, 3.0)
_ROUNDS = 60
_WIDTH = -(-_BINS // LANES) * LANES
"""Bins, up to a whole number of vectors."""
_TABLE = -(-4 * (_BINS + 1) // LANES) * LANES
"""Size of a table of four sums for each bin and for shorter lags, up to a whole number of vectors."""


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
    fit(time_days, values, errors, offsets, amplitude, gamma)
    return amplitude, gamma


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fit_lines(t, x, e, offsets, amplitude, gamma):  # type: ignore[no-untyped-def]
    epochs, pairs, sums = _room(offsets)
    for c in range(offsets.size - 1):
        curve = slice(offsets[c], offsets[c + 1])
        _sum_pairs(t[curve], x[curve], e[curve], epochs, pairs, sums)
        n, mx, my, mxx, mxy = 0, 0.0, 0.0, 0.0, 0.0
        for k in range(_BINS):
            count, _, squares, noise = sums[0, k + 1]
            lag, square = 0.5 * (_EDGES_DAYS[k] + _EDGES_DAYS[k + 1]) / 365.0, squares - noise
            if count > 0 and square >= 0.0 and 0.01 < lag <= 0.5:
                a, b = math.log10(lag), 0.5 * math.log10(square / count)
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
def _fit_likelihoods(t, x, e, offsets, amplitude, gamma):  # type: ignore[no-untyped-def]
    epochs, pairs, sums = _room(offsets)
    bins = np.zeros((4, _WIDTH))
    for c in range(offsets.size - 1):
        curve = slice(offsets[c], offsets[c + 1])
        _sum_pairs(t[curve], x[curve], e[curve], epochs, pairs, sums)
        filled, n, excess = _means(sums, bins)
        if filled < 2:
            continue
        if excess <= 0.0:
            amplitude[c] = 0.0
        else:
            amplitude[c], gamma[c] = _climb(bins, n, math.log(excess / n))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _room(offsets):  # type: ignore[no-untyped-def]
    """Return room for the epochs of one curve, for pairs, and for sums of bins.

    In one piece: how fast numbers are added depends on how the three lie to each other.
    """
    longest = 0
    for c in range(offsets.size - 1):
        longest = max(longest, offsets[c + 1] - offsets[c])
    width, made = longest + LANES, _PAIRS_AT_ONCE + LANES
    room = aligned(1, 1, 2 * _TABLE + 3 * made + 3 * width)[0, 0]
    sums, rest = room[: 2 * _TABLE], room[2 * _TABLE :]
    return rest[3 * made :].reshape((3, width)), rest[: 3 * made].reshape((3, made)), sums.reshape((2, _TABLE // 4, 4))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sum_pairs(t, x, e, epochs, pairs, sums):  # type: ignore[no-untyped-def]
    """Fill ``sums[0, k + 1]``: the pairs of bin k, and their sums of lag, squared difference and noise.

    The pairs of an epoch with later ones are made eight at a time. Those too far apart lie at the end and are written
    over by the next.
    """
    n, width, made = t.size, epochs.shape[1], pairs.shape[1]
    for i in range(n):
        epochs[0, i], epochs[1, i], epochs[2, i] = t[i], x[i], e[i] * e[i]
    for i in range(n, n + LANES):
        epochs[0, i], epochs[1, i], epochs[2, i] = math.inf, 0.0, 0.0
    sums[:] = 0.0
    filled, longest = 0, splat(_LONGEST_LAG_DAYS)
    for i in range(n):
        time, value, noise = splat(epochs[0, i]), splat(epochs[1, i]), splat(epochs[2, i])
        j, near = i + 1, LANES
        while near == LANES:
            lag, step = load(epochs, j) - time, load(epochs, width + j) - value
            store(pairs, filled, lag)
            store(pairs, made + filled, step * step)
            store(pairs, 2 * made + filled, load(epochs, 2 * width + j) + noise)
            near = count_within(lag, longest)
            j += LANES
            filled += near
            if filled > _PAIRS_AT_ONCE - LANES:
                _add_up(pairs, filled, sums)
                filled = 0
    _add_up(pairs, filled, sums)
    for k in range(0, _TABLE, LANES):
        store(sums, k, load(sums, k) + load(sums, _TABLE + k))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add_up(pairs, filled, sums):  # type: ignore[no-untyped-def]
    """Add pairs to the sums of their bins, the first one for lags below all: to two tables in turn.

    What is added to one number twice in a row has to wait. Indices without a sign are not looked at again.
    """
    for p in range(np.uint64(filled)):
        lag = pairs[0, p]
        k = np.uint64(_EDGES_BEFORE_DAY[np.uint64(lag)])
        k += np.uint64(1) if lag >= _EDGES_DAYS[k] else np.uint64(0)
        place = (p & np.uint64(1)) * np.uint64(_TABLE) + np.uint64(4) * k
        add_four(sums, np.int64(place), 1.0, lag, pairs[1, p], pairs[2, p])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _means(sums, bins):  # type: ignore[no-untyped-def]
    """Fill pairs, logarithm of the mean lag (yr), mean square and mean noise of the bins with pairs, then zeros.

    Returns the number of these bins, of their pairs, and the sum of the squares less the noise.
    """
    bins[:] = 0.0
    filled, n, excess = 0, 0.0, 0.0
    bins[1] = 1.0
    for k in range(1, _BINS + 1):
        count, lags, squares, noise = sums[0, k]
        if count > 0.0:
            bins[0, filled], bins[1, filled] = count, lags / (count * _YEAR_DAYS)
            bins[2, filled], bins[3, filled] = squares / count, noise / count
            filled, n, excess = filled + 1, n + count, excess + (squares - noise)
    for k in range(_WIDTH, 2 * _WIDTH, LANES):
        store(bins, k, log(load(bins, k)))
    return filled, n, excess


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _climb(bins, n, height):  # type: ignore[no-untyped-def]
    """Return A and gamma of the greatest likelihood, by damped steps from a flat function on."""
    slope, damping = 0.0, 1e-3
    now = _cost(bins, height, slope)
    for _ in range(_ROUNDS):
        gained = -1.0
        while damping < 1e8:
            by_height, new_slope = _step(now, slope, damping)
            trial = _cost(bins, height + by_height, new_slope)
            if trial[0][0] <= now[0][0]:
                gained = now[0][0] - trial[0][0]
                height, slope, now = height + by_height, new_slope, trial
                damping = max(0.1 * damping, 1e-9)
                break
            damping *= 10.0
        if gained < 1e-10 * n:
            break
    return math.exp(0.5 * height), slope


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _step(now, slope, damping):  # type: ignore[no-untyped-def]
    """Return the change of height and the new slope: Newton's step, or Fisher's where the cost is not convex."""
    (_, h, s, _), (hh, hs, ss, _), expected = now
    if not (hh > 0.0 and hh * ss > hs * hs):
        hh, hs, ss, _ = expected
    hh, ss = hh * (1.0 + damping), ss * (1.0 + damping)
    det = hh * ss - hs * hs
    wanted = slope + (hs * h - hh * s) / det
    held = min(max(wanted, _GAMMA_LIMITS[0]), _GAMMA_LIMITS[1])
    # At a limit of the slope the height still goes where it is best.
    return -(h + hs * (held - slope)) / hh, held


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cost(bins, height, slope):  # type: ignore[no-untyped-def]
    """Return the cost of a power law with its gradient, its second derivatives, and what is expected of these."""
    nothing, one = splat(0.0), splat(1.0)
    cost, h, s, hh, hs, ss = nothing, nothing, nothing, nothing, nothing, nothing
    fisher_hh, fisher_hs, fisher_ss = nothing, nothing, nothing
    for k in range(0, _WIDTH, LANES):
        n, lag = load(bins, k), load(bins, _WIDTH + k)
        square, noise = load(bins, 2 * _WIDTH + k), load(bins, 3 * _WIDTH + k)
        by_slope = lag + lag
        model = exp(splat(height) + splat(slope) * by_slope)
        whole = model + noise
        share, ratio = model / whole, square / whole
        cost = cost + n * (log(whole) + ratio)
        pull, fisher = n * share * (one - ratio), n * share * share
        curvature = pull + fisher * (ratio + ratio - one)
        h, s = h + pull, s + pull * by_slope
        hh, hs, ss = hh + curvature, hs + curvature * by_slope, ss + curvature * by_slope * by_slope
        fisher_hh, fisher_hs = fisher_hh + fisher, fisher_hs + fisher * by_slope
        fisher_ss = fisher_ss + fisher * by_slope * by_slope
    return totals(cost, h, s, nothing), totals(hh, hs, ss, nothing), totals(fisher_hh, fisher_hs, fisher_ss, nothing)
