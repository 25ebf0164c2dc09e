"""Multiband Lomb-Scargle power on a bounded frequency grid, its peaks and their false-alarm probability.

Which objects are searched, and the fits that follow, live in ``kernels/periods.py`` and ``kernels/fourier.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

_BLOCK = 64
"""Frequencies advanced together: their sums stay in the first-level cache, and the inner loop is one vector loop."""
_MIN_OVERSAMPLING = 2.0
"""Coarsest grid allowed: half a step off the peak then still keeps 81 % of its power."""
_FLAT = 1e-10
"""A band whose determinant is below this share of W^2 has no phase coverage at that frequency and gives no power."""
_FAST = {"contract", "reassoc", "nsz", "arcp"}


@dataclass(frozen=True)
class FrequencyGrid:
    """Equally spaced frequencies ``first + step * k``, k = 0 .. count - 1, in cycles per day.

    >>> FrequencyGrid.spanning(100.0, (0.5, 50.0), oversampling=5, max_frequencies=100_000)
    FrequencyGrid(first=0.02, step=0.002, count=991)
    """

    first: float
    step: float
    count: int

    @classmethod
    def spanning(
        cls,
        baseline_days: float,
        period_range_days: tuple[float, float],
        oversampling: float = 5.0,
        max_frequencies: int = 100_000,
    ) -> FrequencyGrid:
        """Lay a grid over a range of periods, never of more than ``max_frequencies`` points.

        The step is ``1 / (oversampling * baseline)``. Where that needs too many points the step grows, at most to an
        oversampling of 2; where even that is not enough the shortest periods are left out. So no baseline, however
        absurd, can make the grid large. Periods longer than the baseline are left out too (count 0 where none remain).
        """
        first, step, count = _grid(baseline_days, *period_range_days, oversampling, max_frequencies)
        return cls(float(first), float(step), int(count))

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """The frequencies in cycles per day, float64, shape (count,)."""
        return self.first + self.step * np.arange(self.count)


def multiband_power(
    time_days: ArrayLike,
    values: ArrayLike,
    weights: ArrayLike,
    offsets: ArrayLike,
    grid: FrequencyGrid,
    independent: bool = False,
) -> NDArray[np.float64]:
    """Return the generalized Lomb-Scargle power of one object over all its bands.

    Every band has a floating mean (Zechmeister and Kuerster 2009, A&A 496, 577). With a shared phase, one sinusoid of
    one amplitude goes through all bands: model (1, 0) of VanderPlas and Ivezic 2015 (ApJ 812, 18). Independent bands,
    model (0, 1), have a sinusoid each. The power is the share of the weighted variance about the bands' means that the
    model takes away, 0 to 1. A band of fewer than 4 epochs has no power of its own.

    Parameters
    ----------
    time_days, values, weights : array_like, shape (n,)
        Epochs, values and weights (1/error^2), all finite, band after band.
    offsets : array_like of int, shape (n_bands + 1,)
        Where each band begins; a band may be empty.
    grid : FrequencyGrid
        Frequencies in cycles per day.
    independent : bool
        Whether each band has its own sinusoid.

    Returns
    -------
    numpy.ndarray of float64, shape (grid.count,)

    >>> t = np.arange(40) * 0.37
    >>> grid = FrequencyGrid(0.5, 0.01, 60)
    >>> power = multiband_power(t, np.sin(2 * np.pi * 0.8 * t), np.ones(40), [0, 20, 40], grid)
    >>> round(float(grid.frequencies[power.argmax()]), 2), round(float(power.max()), 6)
    (0.8, 1.0)
    """
    t = np.ascontiguousarray(time_days, dtype=np.float64)
    start = t.min() if t.size else 0.0
    power = np.zeros(grid.count)
    _power(
        t - start,
        np.ascontiguousarray(values, dtype=np.float64),
        np.ascontiguousarray(weights, dtype=np.float64),
        np.ascontiguousarray(offsets, dtype=np.int64),
        (grid.first, grid.step),
        independent,
        power,
    )
    return power


def highest_peaks(power: ArrayLike, n_peaks: int) -> NDArray[np.int64]:
    """Return the places of the highest local maxima, highest first; fewer than ``n_peaks`` where there are fewer.

    A flat top counts once. The two ends of the grid count where they are higher than their only neighbour.

    >>> highest_peaks([0, 3, 1, 1, 5, 2, 4], 2)
    array([4, 6])
    """
    p = np.ascontiguousarray(power, dtype=np.float64)
    places = np.empty(n_peaks, dtype=np.int64)
    return places[: _peaks(p, p.size, places)]


def false_alarm_probability(
    power: ArrayLike, max_frequency: float, time_std_days: ArrayLike, n_epochs: ArrayLike, n_bands: ArrayLike = 1
) -> NDArray[np.float64]:
    """Return an upper limit of the probability that noise alone gives a peak this high (Baluev 2008, MNRAS 385, 1279).

    The normalisation is that of the least-squares periodogram, for N_H = n_epochs - n_bands degrees of
    freedom without and N_H - 2 with the sinusoid (one mean a band, one shared sinusoid). The effective bandwidth is
    ``W = max_frequency * sqrt(4 pi var(t))``. Valid for white noise and frequencies from near 0 to the maximum.

    Parameters
    ----------
    power : array_like
        Highest power of each object, 0 to 1.
    max_frequency : float
        Highest frequency searched, in cycles per day.
    time_std_days : array_like
        Weighted standard deviation of the epochs in days.
    n_epochs, n_bands : array_like of int
        Epochs and bands that took part.

    Returns
    -------
    numpy.ndarray of float64
        NaN where there are too few epochs.
    """
    from scipy.special import gammaln

    z = np.clip(np.asarray(power, dtype=float), 0.0, 1.0)
    free = np.asarray(n_epochs, dtype=float) - np.asarray(n_bands, dtype=float)
    enough = free > 3
    free = np.where(enough, free, 4.0)
    gamma = np.sqrt(2.0 / free) * np.exp(gammaln(free / 2.0) - gammaln((free - 1.0) / 2.0))
    width = max_frequency * np.sqrt(4.0 * np.pi) * np.asarray(time_std_days, dtype=float)
    single = (1.0 - z) ** ((free - 2.0) / 2.0)
    tau = gamma * width * (1.0 - z) ** ((free - 3.0) / 2.0) * np.sqrt(0.5 * free * z)
    # 1 - (1 - single) exp(-tau), without losing small numbers.
    probability = -np.expm1(-tau) + single * np.exp(-tau)
    return np.where(enough, np.clip(probability, 0.0, 1.0), np.nan)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _grid(baseline, shortest, longest, oversampling, max_count):  # type: ignore[no-untyped-def]
    """Return (first, step, count) of a bounded grid."""
    if not baseline > 0.0 or max_count < 1:
        return 0.0, 0.0, 0
    first, last = max(1.0 / longest, 1.0 / baseline), 1.0 / shortest
    if last < first:
        return first, 0.0, 0
    widest = 1.0 / (_MIN_OVERSAMPLING * baseline)
    # Rounding of the division must not cost the last frequency.
    room = (last - first) * (1.0 + 1e-12)
    step = min(max(1.0 / (oversampling * baseline), room / max_count), max(widest, 1.0 / (oversampling * baseline)))
    return first, step, int(min(room / step + 1.0, float(max_count)))


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _power(t, y, w, offsets, line, independent, power):  # type: ignore[no-untyped-def]
    """Fill ``power`` (its length is the number of frequencies) for frequencies ``line[0] + line[1] * k``."""
    first, step = line
    n, n_bands, count = t.size, offsets.size - 1, power.size
    centred, variance = _centre(y, w, offsets)
    power[:] = 0.0
    if variance <= 0.0:
        return
    turn_c, turn_s = np.empty((n, _BLOCK)), np.empty((n, _BLOCK))
    now_c, now_s, leap_c, leap_s = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        for j in range(_BLOCK):
            angle = 2.0 * math.pi * ((step * j * t[i]) % 1.0)
            turn_c[i, j], turn_s[i, j] = math.cos(angle), math.sin(angle)
        angle = 2.0 * math.pi * ((first * t[i]) % 1.0)
        now_c[i], now_s[i] = math.cos(angle), math.sin(angle)
        angle = 2.0 * math.pi * ((step * _BLOCK * t[i]) % 1.0)
        leap_c[i], leap_s[i] = math.cos(angle), math.sin(angle)
    C, S, CC, CS = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    YC, YS, gain = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    all_cc, all_ss, all_cs = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    all_yc, all_ys = np.empty(_BLOCK), np.empty(_BLOCK)
    for k in range(0, count, _BLOCK):
        all_cc[:], all_ss[:], all_cs[:], all_yc[:], all_ys[:], gain[:] = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        total = 0.0
        for b in range(n_bands):
            start, stop = offsets[b], offsets[b + 1]
            if stop == start:
                continue
            C[:], S[:], CC[:], CS[:], YC[:], YS[:] = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            W = 0.0
            for i in range(start, stop):
                wi, wy, c0, s0 = w[i], w[i] * centred[i], now_c[i], now_s[i]
                W += wi
                for j in range(_BLOCK):
                    c = c0 * turn_c[i, j] - s0 * turn_s[i, j]
                    s = s0 * turn_c[i, j] + c0 * turn_s[i, j]
                    wc = wi * c
                    C[j] += wc
                    S[j] += wi * s
                    CC[j] += wc * c
                    CS[j] += wc * s
                    YC[j] += wy * c
                    YS[j] += wy * s
                now_c[i], now_s[i] = c0 * leap_c[i] - s0 * leap_s[i], s0 * leap_c[i] + c0 * leap_s[i]
            total += W
            for j in range(_BLOCK):
                cc = CC[j] - C[j] * C[j] / W
                ss = W - CC[j] - S[j] * S[j] / W
                cs = CS[j] - C[j] * S[j] / W
                all_cc[j] += cc
                all_ss[j] += ss
                all_cs[j] += cs
                all_yc[j] += YC[j]
                all_ys[j] += YS[j]
                if independent and stop - start > 3:
                    gain[j] += _explained(cc, ss, cs, YC[j], YS[j], W)
        for j in range(min(_BLOCK, count - k)):
            if not independent:
                gain[j] = _explained(all_cc[j], all_ss[j], all_cs[j], all_yc[j], all_ys[j], total)
            power[k + j] = gain[j] / variance


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _explained(cc, ss, cs, yc, ys, W):  # type: ignore[no-untyped-def]
    """Return the chi2 that the best sinusoid takes away; 0 where the epochs do not constrain it."""
    det = cc * ss - cs * cs
    flat = det <= _FLAT * W * W
    return 0.0 if flat else (ss * yc * yc + cc * ys * ys - 2.0 * cs * yc * ys) / (1.0 if flat else det)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _centre(y, w, offsets):  # type: ignore[no-untyped-def]
    """Return the values less their band's weighted mean, and their weighted sum of squares."""
    centred, variance = np.empty(y.size), 0.0
    for b in range(offsets.size - 1):
        W, Y = 0.0, 0.0
        for i in range(offsets[b], offsets[b + 1]):
            W += w[i]
            Y += w[i] * y[i]
        for i in range(offsets[b], offsets[b + 1]):
            centred[i] = y[i] - Y / W
            variance += w[i] * centred[i] * centred[i]
    return centred, variance


@numba.njit(cache=True, nogil=True)
def _peaks(power, count, places):  # type: ignore[no-untyped-def]
    """Write the places of the highest local maxima, highest first, and return how many there are."""
    found, wanted = 0, places.size
    for i in range(count):
        rises = i == 0 or power[i] > power[i - 1]
        if not rises or (i + 1 < count and power[i] < power[i + 1]) or not power[i] > 0.0:
            continue
        if i + 1 < count and power[i] == power[i + 1] and not _falls_after(power, count, i):
            continue
        if found == wanted and power[i] <= power[places[wanted - 1]]:
            continue
        at = min(found, wanted - 1)
        while at > 0 and power[places[at - 1]] < power[i]:
            places[at] = places[at - 1]
            at -= 1
        places[at] = i
        found = min(found + 1, wanted)
    return found


@numba.njit(cache=True, nogil=True)
def _falls_after(power, count, i):  # type: ignore[no-untyped-def]
    """Tell whether a flat top that begins at i ends by falling (or at the end of the grid)."""
    j = i
    while j + 1 < count and power[j + 1] == power[i]:
        j += 1
    return j + 1 == count or power[j + 1] < power[i]
