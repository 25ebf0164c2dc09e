"""Epochs of one object in different bands, taken together: pairs near in time, and values at one time.

Curves are those of n_bands bands for each object, one after the other, each sorted by time; all epochs are finite and
errors positive. What is not defined is NaN.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.kernels.curves.statistics import check_bands, check_each, check_lengths

GAUSSIAN_K = 0.798
"""Stetson's K of a Gaussian, ``sqrt(2 / pi)`` as rounded in the paper."""


def welch_stetson(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    centres: NDArray[np.float64],
    n_bands: int,
    within_days: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the number of pairs in two bands of every object, and the indices J and K made of them.

    All epochs of an object are followed in time; two that follow each other, in different bands and within
    ``within_days``, are a pair, each epoch in one pair at most. With ``d = sqrt(n / (n - 1)) (x - c) / e`` in the n
    epochs of a band and ``P = d_1 d_2``, ``J = mean(sign(P) sqrt(|P|))`` over pairs and
    ``K = mean(|d|) / sqrt(mean(d^2))`` over their epochs (Welch and Stetson 1993, AJ 105, 1813; Stetson 1996, PASP 108,
    851). Bands of one epoch make no pairs.

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
    centres : numpy.ndarray of float64, shape (n_objects * n_bands,)
        Mean c of each band.
    n_bands : int
    within_days : float

    Returns
    -------
    pairs : numpy.ndarray of int64, shape (n_objects,)
    j, k : numpy.ndarray of float64, shape (n_objects,)
        NaN without pairs.

    >>> t, x = np.array([0.0, 1.0, 0.01, 1.01]), np.array([1.0, -1.0, 1.0, -1.0])
    >>> pairs, j, k = welch_stetson(t, x, np.ones(4), np.array([0, 2, 4]), np.zeros(2), 2, 0.05)
    >>> pairs.tolist(), j.round(3).tolist(), k.tolist()
    ([2], [1.414], [1.0])
    """
    check_lengths(offsets, time_days, values, errors)
    check_bands(offsets, n_bands)
    check_each(offsets.size - 1, centres)
    n_objects = (offsets.size - 1) // n_bands
    pairs, j, k = np.zeros(n_objects, np.int64), np.full(n_objects, np.nan), np.full(n_objects, np.nan)
    _all_pairs(time_days, values, errors, offsets, centres, n_bands, within_days, pairs, j, k)
    return pairs, j, k


def pair_bands(
    time_days: NDArray[np.float64], offsets: NDArray[np.int64], n_bands: int, one: int, other: int, within_days: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pair the epochs of two bands of every object that lie nearest to each other in time.

    Parameters
    ----------
    time_days : numpy.ndarray of float64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
    n_bands : int
    one, other : int
        Places of the two bands.
    within_days : float

    Returns
    -------
    owner, rows, others : numpy.ndarray of int64
        Object of each pair, and its two epochs, sorted by the time of the first. Each epoch is in one pair at most:
        where several epochs claim one, the nearest has it and the others go without.

    >>> pair_bands(np.array([0.0, 0.3, 5.0, 0.2, 9.0]), np.array([0, 3, 5]), 2, 0, 1, 0.5)
    (array([0]), array([1]), array([3]))
    """
    check_lengths(offsets, time_days)
    check_bands(offsets, n_bands)
    return _nearest_pairs(time_days, offsets, n_bands, one, other, within_days)


def values_at(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    n_bands: int,
    moments_days: NDArray[np.float64],
    longest_gap_days: float,
    near_days: float = 0.0,
) -> NDArray[np.float64]:
    """Return the value of every band of every object at one moment, on the straight line between its neighbours there.

    Parameters
    ----------
    time_days, values : numpy.ndarray of float64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
    n_bands : int
    moments_days : numpy.ndarray of float64, shape (n_objects,)
        NaN where there is none.
    longest_gap_days : float
        Neighbours that lie farther apart tell nothing of the time between them.
    near_days : float
        Where no line can be drawn, the nearest value is taken if it lies within this.

    Returns
    -------
    numpy.ndarray of float64, shape (n_objects, n_bands)
        The mean of the values at that very moment, if there are any.

    >>> values_at(np.array([0.0, 4.0]), np.array([1.0, 2.0]), np.array([0, 2]), 1, np.array([1.0]), 10.0)
    array([[1.25]])
    """
    check_lengths(offsets, time_days, values)
    check_bands(offsets, n_bands)
    check_each((offsets.size - 1) // n_bands, moments_days)
    found = np.full(offsets.size - 1, np.nan)
    _values_at(time_days, values, offsets, np.repeat(moments_days, n_bands), longest_gap_days, near_days, found)
    return found.reshape(-1, n_bands)


def brightest_times(
    time_days: NDArray[np.float64],
    brightness: NDArray[np.float64],
    signal_to_noise: NDArray[np.float64],
    offsets: NDArray[np.int64],
    n_bands: int,
    threshold: float,
) -> NDArray[np.float64]:
    """Return the time of the brightest epoch of every object in any band.

    Parameters
    ----------
    time_days, brightness, signal_to_noise : numpy.ndarray of float64, shape (n,)
        Brightness grows with flux.
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
    n_bands : int
    threshold : float
        Epochs of less signal to noise do not count.

    Returns
    -------
    numpy.ndarray of float64, shape (n_objects,)
        The earliest of equal ones; NaN without any.

    >>> t, f = np.array([0.0, 1.0, 0.5]), np.array([7.0, 3.0, 9.0])
    >>> brightest_times(t, f, f, np.array([0, 2, 3]), 2, 5.0).tolist()
    [0.5]
    """
    check_lengths(offsets, time_days, brightness, signal_to_noise)
    check_bands(offsets, n_bands)
    found = np.full((offsets.size - 1) // n_bands, np.nan)
    _brightest(time_days, brightness, signal_to_noise, offsets[::n_bands].copy(), threshold, found)
    return found


def colour_slopes(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    n_bands: int,
    pairs: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    is_flux: bool,
) -> NDArray[np.float64]:
    """Return the slope of the weighted straight line through the colours of pairs of epochs of every object.

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
        Fluxes or magnitudes.
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
    n_bands : int
    pairs : (numpy.ndarray, numpy.ndarray, numpy.ndarray) of int64
        Owner, epoch in the blue band and epoch in the red band of each pair, as of :func:`pair_bands`.
    is_flux : bool
        Pairs with a flux that is not positive are left out.

    Returns
    -------
    numpy.ndarray of float64, shape (n_objects,)
        Magnitudes a day; NaN where there are not two times.

    >>> t, x = np.array([0.0, 2.0, 0.0, 2.0]), np.array([1.0, 2.0, 0.0, 0.0])
    >>> offsets = np.array([0, 2, 4])
    >>> colour_slopes(t, x, np.ones(4), offsets, 2, pair_bands(t, offsets, 2, 0, 1, 0.5), False)
    array([0.5])
    """
    check_lengths(offsets, time_days, values, errors)
    check_bands(offsets, n_bands)
    slopes = np.full((offsets.size - 1) // n_bands, np.nan)
    _colour_slopes(time_days, values, errors, *pairs, is_flux, slopes)
    return slopes


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all_pairs(t, x, e, offsets, centres, n_bands, within, pairs, j, k):  # type: ignore[no-untyped-def]
    at, coming, bias = np.empty(n_bands, np.int64), np.empty(n_bands), np.empty(n_bands)
    for o in range(pairs.size):
        first = o * n_bands
        for b in range(n_bands):
            n = offsets[first + b + 1] - offsets[first + b]
            at[b] = offsets[first + b]
            coming[b] = t[at[b]] if n > 1 else math.inf
            bias[b] = math.sqrt(n / (n - 1.0)) if n > 1 else math.nan
        last_band, last_time, last_delta = -1, -math.inf, 0.0
        total, sizes, squares = 0.0, 0.0, 0.0
        while True:
            band, soonest = -1, math.inf
            for b in range(n_bands):
                if coming[b] < soonest:
                    band, soonest = b, coming[b]
            if band < 0:
                break
            i = at[band]
            at[band] += 1
            coming[band] = t[i + 1] if i + 1 < offsets[first + band + 1] else math.inf
            delta = bias[band] * (x[i] - centres[first + band]) / e[i]
            if last_band not in (-1, band) and soonest - last_time <= within:
                product = delta * last_delta
                total += math.copysign(math.sqrt(abs(product)), product)
                sizes += abs(delta) + abs(last_delta)
                squares += delta * delta + last_delta * last_delta
                pairs[o] += 1
                last_band = -1
            else:
                last_band, last_time, last_delta = band, soonest, delta
        if pairs[o] > 0:
            j[o] = total / pairs[o]
            if squares > 0.0:
                k[o] = 0.5 * sizes / pairs[o] / math.sqrt(0.5 * squares / pairs[o])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _nearest_pairs(t, offsets, n_bands, one, other, within):  # type: ignore[no-untyped-def]
    n_objects, most = (offsets.size - 1) // n_bands, 0
    for o in range(n_objects):
        most += offsets[o * n_bands + one + 1] - offsets[o * n_bands + one]
    owner, rows, others = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    n = 0
    for o in range(n_objects):
        i, end = offsets[o * n_bands + one], offsets[o * n_bands + one + 1]
        j, stop = offsets[o * n_bands + other], offsets[o * n_bands + other + 1]
        begin = n
        while i < end and j < stop:
            lag = t[j] - t[i]
            if abs(lag) > within:
                # Which of the two is behind cannot be foreseen, so this is no branch.
                i, j = i + (lag > 0.0), j + (lag <= 0.0)
                continue
            nearest = j
            while nearest + 1 < stop and abs(t[nearest + 1] - t[i]) <= abs(t[nearest] - t[i]):
                nearest += 1
            if n > begin and others[n - 1] == nearest:
                if abs(t[nearest] - t[i]) < abs(t[nearest] - t[rows[n - 1]]):
                    rows[n - 1] = i
            else:
                owner[n], rows[n], others[n] = o, i, nearest
                n += 1
            i += 1
    return owner[:n].copy(), rows[:n].copy(), others[:n].copy()


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _values_at(t, x, offsets, moments, longest_gap, near, found):  # type: ignore[no-untyped-def]
    for c in range(found.size):
        start, stop, moment = offsets[c], offsets[c + 1], moments[c]
        if not math.isfinite(moment):
            continue
        i = start + np.searchsorted(t[start:stop], moment)
        total, n = 0.0, 0
        while i + n < stop and t[i + n] == moment:
            total += x[i + n]
            n += 1
        if n > 0:
            found[c] = total / n
        elif start < i < stop and t[i] - t[i - 1] <= longest_gap:
            found[c] = x[i - 1] + (x[i] - x[i - 1]) * (moment - t[i - 1]) / (t[i] - t[i - 1])
        else:
            since = moment - t[i - 1] if i > start else math.inf
            until = t[i] - moment if i < stop else math.inf
            if min(since, until) <= near:
                found[c] = x[i - 1] if since <= until else x[i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _brightest(t, x, snr, starts, threshold, found):  # type: ignore[no-untyped-def]
    for o in range(found.size):
        top = -1
        for i in range(starts[o], starts[o + 1]):
            if snr[i] >= threshold and (top < 0 or x[i] > x[top] or (x[i] == x[top] and t[i] < t[top])):
                top = i
        if top >= 0:
            found[o] = t[top]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _colour_slopes(t, x, e, owner, blue, red, is_flux, slopes):  # type: ignore[no-untyped-def]
    colours, weights, times = np.empty(owner.size), np.empty(owner.size), np.empty(owner.size)
    start = 0
    while start < owner.size:
        o, n, weight, mt, mc, k = owner[start], 0, 0.0, 0.0, 0.0, start
        while k < owner.size and owner[k] == o:
            i, j = blue[k], red[k]
            k += 1
            if not is_flux:
                colours[n], weights[n] = x[i] - x[j], 1.0 / (e[i] * e[i] + e[j] * e[j])
            elif x[i] > 0.0 and x[j] > 0.0:
                colours[n] = -2.5 * math.log10(x[i] / x[j])
                weights[n] = 1.0 / ((e[i] / x[i]) ** 2 + (e[j] / x[j]) ** 2)
            else:
                continue
            # From the first epoch on: sums of squares of dates would lose their digits.
            times[n] = 0.5 * (t[i] + t[j]) - t[blue[start]]
            weight += weights[n]
            mt += weights[n] * times[n]
            mc += weights[n] * colours[n]
            n += 1
        tt, tc, differ = 0.0, 0.0, False
        for k2 in range(n):
            d = times[k2] - mt / weight
            tt += weights[k2] * d * d
            tc += weights[k2] * d * (colours[k2] - mc / weight)
            differ |= times[k2] != times[0]
        if differ:
            slopes[o] = tc / tt
        start = k
