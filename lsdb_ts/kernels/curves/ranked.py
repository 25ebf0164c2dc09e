"""Statistics of one curve's values in rising order: quantiles and what is made of them.

The order in time is forgotten here; it is looked at in ``sequences.py``. Every function fills ``out``, whose
places are named in ``statistics.py``, and leaves alone what is not defined.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from lsdb_ts.kernels.vectors import LANES, load, splat, store, where_above

_RUN = 64
"""Runs of so many values are sorted by counting, then merged."""
_CENTRAL_SHARES = (0.40, 0.325, 0.25, 0.175, 0.10)
"""Lower quantile of the central 20, 35, 50, 65 and 80 per cent."""


@numba.njit(cache=True, nogil=True)
def sort_into(values, ranked, spare):  # type: ignore[no-untyped-def]
    """Write the sorted values to ``ranked``, NaN as if it were infinity; ``spare`` is room for as many.

    The place of a value in a run is the number of smaller ones. That is counted without branches, for many values at
    once: for tens of values it takes a quarter of the time of other sorts.
    """
    n = values.size
    ranked[:] = math.inf
    for start in range(0, n, _RUN):
        stop = min(start + _RUN, n)
        _count_smaller(values, start, stop, spare)
        for i in range(start, stop):
            value, place = values[i], start + np.uint64(spare[i])
            # Infinity marks the places that are free, and stands in those that are left.
            if value < math.inf:
                while ranked[place] == value:
                    place += np.uint64(1)
                ranked[place] = value
    width, source, target = _RUN, ranked, spare
    while width < n:
        for start in range(0, n, 2 * width):
            _merge(source, start, min(start + width, n), min(start + 2 * width, n), target)
        width, source, target = 2 * width, target, source
    if width > _RUN:
        for i in range(n):
            ranked[i] = source[i]


@numba.njit(cache=True, nogil=True)
def _count_smaller(values, start, stop, counts):  # type: ignore[no-untyped-def]
    """Fill for each value of a run how many others of it are smaller: two vectors of values beside each of the others.

    The last two vectors begin early, where the run ends, and some are counted twice; short runs have no vectors.
    """
    one, together = splat(1.0), 2 * LANES
    if stop - start < together:
        for i in range(start, stop):
            counts[i] = 0.0
            for j in range(start, stop):
                counts[i] += values[j] < values[i]
        return
    for group in range(start, stop, together):
        i = min(group, stop - together)
        lower, upper = load(values, i), load(values, i + LANES)
        below_lower, below_upper = splat(0.0), splat(0.0)
        for j in range(start, stop):
            other = splat(values[j])
            below_lower = below_lower + where_above(lower, other, one)
            below_upper = below_upper + where_above(upper, other, one)
        store(counts, i, below_lower)
        store(counts, i + LANES, below_upper)


@numba.njit(cache=True, nogil=True)
def _merge(source, start, middle, stop, target):  # type: ignore[no-untyped-def]
    """Merge two sorted runs, without branches as long as both last."""
    left, right, k = start, middle, start
    while left < middle and right < stop:
        a, b = source[left], source[right]
        first = a <= b
        target[k] = a if first else b
        left += first
        right += not first
        k += 1
    for i in range(left, middle):
        target[k + i - left] = source[i]
    k += middle - left
    for i in range(right, stop):
        target[k + i - right] = source[i]


@numba.njit(cache=True, nogil=True)
def middle_of(ranked):  # type: ignore[no-untyped-def]
    """Return the median of a sorted array of at least one value (``np.median`` takes seconds to compile)."""
    return 0.5 * (ranked[(ranked.size - 1) // 2] + ranked[ranked.size // 2])


@numba.njit(cache=True, nogil=True)
def quantile(ranked, q):  # type: ignore[no-untyped-def]
    """Return a quantile of sorted values, linear between ranks 0 .. n - 1."""
    return _at(ranked, q * (ranked.size - 1))


@numba.njit(cache=True, nogil=True)
def _hazen(ranked, q):  # type: ignore[no-untyped-def]
    """Return a quantile of sorted values that stand for the middles of n equal steps (Hazen's rule)."""
    return _at(ranked, min(max(q * ranked.size - 0.5, 0.0), ranked.size - 1.0))


@numba.njit(cache=True, nogil=True)
def _at(ranked, place):  # type: ignore[no-untyped-def]
    low = int(place)
    high = min(low + 1, ranked.size - 1)
    return ranked[low] + (place - low) * (ranked[high] - ranked[low])


@numba.njit(cache=True, nogil=True)
def _middle_distance(ranked, centre):  # type: ignore[no-untyped-def]
    """Return the median of ``|x - centre|``: the distances rise to both sides of the centre and need no sorting."""
    n = ranked.size
    right = n // 2
    while right > 0 and ranked[right - 1] >= centre:
        right -= 1
    left, last, before = right - 1, 0.0, 0.0
    for _ in range(n // 2 + 1):
        down = centre - ranked[left] if left >= 0 else math.inf
        up = ranked[right] - centre if right < n else math.inf
        before = last
        if down < up:
            last = down
            left -= 1
        else:
            last = up
            right += 1
    return last if n % 2 else 0.5 * (before + last)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def ranks(ranked, out):  # type: ignore[no-untyped-def]
    """Fill median, percentiles, ranges, and the shares of values near the median."""
    n, low, high = ranked.size, ranked[0], ranked[-1]
    median = middle_of(ranked)
    p05, p95 = quantile(ranked, 0.05), quantile(ranked, 0.95)
    p25, p75 = quantile(ranked, 0.25), quantile(ranked, 0.75)
    out[0], out[1], out[2], out[3] = median, p05, quantile(ranked, 0.10), p25
    out[4], out[5], out[6] = p75, quantile(ranked, 0.90), p95
    out[7], out[8] = p75 - p25, _hazen(ranked, 0.75) - _hazen(ranked, 0.25)
    out[9] = _middle_distance(ranked, median)
    out[10], out[11] = 0.5 * (high - low), high - low
    tail = (n + 19) // 20
    out[12] = 0.5 * (middle_of(ranked[n - tail :]) - middle_of(ranked[:tail]))
    furthest = max(high - median, median - low)
    out[14] = furthest
    if median > 0.0:
        out[13], out[15] = furthest / median, (p95 - p05) / median
        out[16] = (_hazen(ranked, 0.95) - _hazen(ranked, 0.05)) / median
    if high > low:
        out[17] = _share_near(ranked, median, 0.1 * (high - low))
        out[18] = _share_near(ranked, median, 0.05 * (high - low))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _share_near(ranked, centre, reach):  # type: ignore[no-untyped-def]
    near = 0
    for i in range(ranked.size):
        near += abs(ranked[i] - centre) < reach
    return near / ranked.size


@numba.njit(cache=True, nogil=True, error_model="numpy")
def central_shares(ranked, out):  # type: ignore[no-untyped-def]
    """Fill the widths of the central 20 to 80 per cent over that of 90 per cent, by both rules for quantiles."""
    width, hazen_width = quantile(ranked, 0.95) - quantile(ranked, 0.05), _hazen(ranked, 0.95) - _hazen(ranked, 0.05)
    for k, q in enumerate(_CENTRAL_SHARES):
        if width > 0.0:
            out[k] = (quantile(ranked, 1.0 - q) - quantile(ranked, q)) / width
        if hazen_width > 0.0:
            out[5 + k] = (_hazen(ranked, 1.0 - q) - _hazen(ranked, q)) / hazen_width


@numba.njit(cache=True, nogil=True, error_model="numpy")
def tail_skew(ranked, out):  # type: ignore[no-untyped-def]
    """Fill gskew: how much further the median of the highest 3 per cent lies than that of the lowest."""
    n = ranked.size
    low, high, below, above = quantile(ranked, 0.03), quantile(ranked, 0.97), 0, n
    while below < n and ranked[below] <= low:
        below += 1
    while above > 0 and ranked[above - 1] >= high:
        above -= 1
    out[0] = middle_of(ranked[:below]) + middle_of(ranked[above:]) - 2.0 * middle_of(ranked)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def normality(ranked, mean, sigma, out, tails):  # type: ignore[no-untyped-def]
    """Fill anderson_darling, and its logistic form; ``tails`` is room for as many values."""
    n = ranked.size
    if n < 4 or not sigma > 0.0:
        return
    for i in range(n):
        tails[i] = 0.5 * math.erfc(abs(ranked[i] - mean) / sigma * math.sqrt(0.5))
    total = 0.0
    for i in range(n):
        j = n - 1 - i
        below = tails[i] if ranked[i] < mean else 1.0 - tails[i]
        above = tails[j] if ranked[j] > mean else 1.0 - tails[j]
        total += (2.0 * i + 1.0) * (math.log(below) + math.log(above))
    squared = -n - total / n
    out[0] = squared * (1.0 + 4.0 / n - 25.0 / (n * n))
    out[1] = 1.0 / (1.0 + math.exp(-10.0 * (squared - 0.3)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def otsu(ranked, mean, out):  # type: ignore[no-untyped-def]
    """Fill the difference of means, both standard deviations and the lower share of Otsu's two groups."""
    n, total = ranked.size, 0.0
    best, split, best_sum = 0.0, 0, 0.0
    for i in range(n):
        total += ranked[i] - mean
    running = 0.0
    for k in range(1, n):
        running += ranked[k - 1] - mean
        between = (n * running - k * total) ** 2 / (k * (n - k))
        if between > best and ranked[k] > ranked[k - 1]:
            best, split, best_sum = between, k, running
    if split == 0:
        return
    lower, upper = mean + best_sum / split, mean + (total - best_sum) / (n - split)
    squares_low, squares_high = 0.0, 0.0
    for i in range(split):
        squares_low += (ranked[i] - lower) ** 2
    for i in range(split, n):
        squares_high += (ranked[i] - upper) ** 2
    out[0], out[3] = upper - lower, split / n
    if split > 1:
        out[1] = math.sqrt(squares_low / (split - 1))
    if n - split > 1:
        out[2] = math.sqrt(squares_high / (n - split - 1))
