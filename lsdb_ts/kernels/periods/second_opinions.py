"""Second opinions on periods: phase dispersion, conditional entropy and box least squares, of many objects at once.

Each takes the epochs of many objects, object after object and band after band, and frequencies: the same for all
objects, or each object's own. The bands of an object fold together. None of them knows what a sinusoid is, so where
they agree with ``search.py`` they say something new. Their cost is epochs times frequencies, a few nanoseconds each,
so they are meant for the candidates of a search rather than for its whole grid.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.kernels.curves.grouping import usable
from lsdb_ts.kernels.curves.statistics import check_bands, check_lengths

_DISPERSION, _ENTROPY, _BOX = range(3)


def phase_dispersion(
    time_days: ArrayLike,
    values: ArrayLike,
    errors: ArrayLike,
    offsets: ArrayLike,
    n_bands: int,
    frequencies: ArrayLike,
    n_bins: int = 10,
    n_covers: int = 3,
) -> NDArray[np.float64]:
    """Return theta, the scatter within bins of phase over the scatter of all (Stellingwerf 1978, ApJ 224, 953).

    ``theta = [sum_j sum_i (z_i - z_j)^2 / sum_j (n_j - 1)] / [sum_i (z_i - z_m)^2 / (n - 1)]`` over bins j of at least
    two epochs, averaged over ``n_covers`` sets of bins that are shifted by parts of a bin. z are the values less the
    weighted mean of their band, in units of its weighted standard deviation. Low where the values repeat, else near 1.

    Parameters
    ----------
    time_days, values, errors : array_like, shape (n,)
        Epochs of all objects, all finite, errors positive.
    offsets : array_like of int, shape (n_objects * n_bands + 1,)
        Where each band of each object begins.
    n_bands : int
        Bands of an object.
    frequencies : array_like, shape (m,) or (n_objects, m)
        In cycles per day; where one is NaN so is the result.
    n_bins, n_covers : int
        Bins of a cycle, and sets of them.

    Returns
    -------
    numpy.ndarray of float64, shape (n_objects, m)

    >>> t = np.arange(60) * 0.37
    >>> theta = phase_dispersion(t, np.sin(2 * np.pi * 0.8 * t), np.ones(60), [0, 30, 60], 2, [0.8, 0.7])
    >>> theta.round(2).tolist()
    [[0.04, 0.7]]
    """
    return _each(_DISPERSION, time_days, values, errors, offsets, n_bands, frequencies, n_bins, n_covers)


def conditional_entropy(
    time_days: ArrayLike,
    values: ArrayLike,
    errors: ArrayLike,
    offsets: ArrayLike,
    n_bands: int,
    frequencies: ArrayLike,
    n_bins: int = 10,
    n_levels: int = 5,
) -> NDArray[np.float64]:
    """Return the entropy of brightness given phase (Graham et al. 2013, MNRAS 434, 2629).

    ``H = sum_ij p_ij ln(p_j / p_ij)`` over ``n_levels`` levels i of brightness and ``n_bins`` bins j of phase, p the
    shares of epochs. The brightness of each band runs from 0 at its least to 1 at its highest value. Low where the
    values repeat. Parameters are those of :func:`phase_dispersion`; errors are not used.

    >>> t = np.arange(60) * 0.37
    >>> entropy = conditional_entropy(t, np.sin(2 * np.pi * 0.8 * t), np.ones(60), [0, 30, 60], 2, [0.8, 0.7])
    >>> bool(entropy[0, 0] < 0.5 * entropy[0, 1])
    True
    """
    return _each(_ENTROPY, time_days, values, errors, offsets, n_bands, frequencies, n_bins, n_levels)


def box_least_squares(
    time_days: ArrayLike,
    values: ArrayLike,
    errors: ArrayLike,
    offsets: ArrayLike,
    n_bands: int,
    frequencies: ArrayLike,
    n_bins: int = 50,
    n_widest: int = 10,
) -> NDArray[np.float64]:
    """Return the power of the best box (Kovacs, Zucker and Mazeh 2002, A&A 391, 369).

    The share of the weighted variance about the bands' means that one box of phase takes away, 0 to 1: the highest of
    ``sum_b s_b^2 W_b / (r_b (W_b - r_b)) / sum_b sum_i w_i (x_i - x_b)^2`` over boxes of 1 to ``n_widest`` neighbours
    of ``n_bins`` bins, s_b and r_b the sums of ``w (x - x_b)`` and w of the band's epochs within. Each band has a depth
    of its own. High where the values repeat. Parameters are those of :func:`phase_dispersion`.

    >>> t = np.arange(300) * 0.37
    >>> dip = np.where((0.8 * t) % 1 < 0.1, -1.0, 0.0)
    >>> power = box_least_squares(t, dip, np.ones(300), [0, 150, 300], 2, [0.8, 0.7])
    >>> bool(power[0, 0] > 0.99), bool(power[0, 1] < 0.3)
    (True, True)
    """
    return _each(_BOX, time_days, values, errors, offsets, n_bands, frequencies, n_bins, n_widest)


def _each(kind, time_days, values, errors, offsets, n_bands, frequencies, n_bins, n_more):  # type: ignore[no-untyped-def]
    t, x, e, f = (np.ascontiguousarray(part, dtype=np.float64) for part in (time_days, values, errors, frequencies))
    edges = np.ascontiguousarray(offsets, dtype=np.int64)
    check_lengths(edges, t, x, e)
    check_bands(edges, n_bands)
    wrong = np.flatnonzero(~usable(t, x, e))
    if wrong.size:
        row = wrong[0]
        raise InputError(
            f"epoch {row} has the time {t[row]}, value {x[row]} and error {e[row]}: a fold takes finite numbers, and "
            "errors above 0; leave such epochs out first"
        )
    if n_bins < 2 or n_more < 1:
        raise PlanError(
            f"a fold needs 2 bins or more, and 1 or more of what is tried on them; got {n_bins} and {n_more}"
        )
    n_objects = (edges.size - 1) // n_bands
    with np.errstate(over="ignore", invalid="ignore"):
        # So many cycles that they are no number have no phase.
        f = np.where(np.isfinite(f * (np.ptp(t) if t.size else 0.0)), f, np.nan)
    if f.ndim == 1:
        f = np.broadcast_to(f, (n_objects, f.size))
    if f.ndim != 2 or f.shape[0] != n_objects:
        raise InputError(
            f"frequencies of shape {f.shape} do not fit {n_objects} objects: give (m,) or ({n_objects}, m)"
        )
    found = np.full(f.shape, np.nan)
    _all(kind, (t, x, 1.0 / (e * e), edges), n_bands, np.ascontiguousarray(f), (n_bins, n_more), found)
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all(kind, curves, n_bands, frequencies, sizes, found):  # type: ignore[no-untyped-def]
    times, values, weights, edges = curves
    for place in range(found.shape[0]):
        own = edges[place * n_bands : (place + 1) * n_bands + 1]
        start, stop = own[0], own[-1]
        if stop - start < 2:
            continue
        t, x, w, offsets = (
            times[start:stop] - times[start:stop].min(),
            values[start:stop],
            weights[start:stop],
            own - start,
        )
        if kind == _DISPERSION:
            _dispersion(t, x, w, offsets, frequencies[place], sizes, found[place])
        elif kind == _ENTROPY:
            _entropy(t, x, offsets, frequencies[place], sizes, found[place])
        else:
            _box(t, x, w, offsets, frequencies[place], sizes, found[place])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _dispersion(t, x, w, offsets, frequencies, sizes, found):  # type: ignore[no-untyped-def]
    n_bins, n_covers = sizes
    z = standardised(x, w, offsets)
    total = ((z - z.sum() / z.size) ** 2).sum() / (z.size - 1)
    if not total > 0.0:
        return
    count, first, second = np.empty(n_bins), np.empty(n_bins), np.empty(n_bins)
    for k in range(frequencies.size):
        if not math.isfinite(frequencies[k]):
            continue
        theta = 0.0
        for cover in range(n_covers):
            count[:], first[:], second[:] = 0.0, 0.0, 0.0
            for i in range(t.size):
                phase = (frequencies[k] * t[i] + cover / (n_covers * n_bins)) % 1.0
                j = min(int(phase * n_bins), n_bins - 1)
                count[j] += 1.0
                first[j] += z[i]
                second[j] += z[i] * z[i]
            within, free = 0.0, 0.0
            for j in range(n_bins):
                if count[j] > 1.0:
                    within += second[j] - first[j] * first[j] / count[j]
                    free += count[j] - 1.0
            theta += within / free / total
        found[k] = theta / n_covers


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _entropy(t, x, offsets, frequencies, sizes, found):  # type: ignore[no-untyped-def]
    n_bins, n_levels = sizes
    level = np.empty(x.size, np.int64)
    for b in range(offsets.size - 1):
        if offsets[b + 1] == offsets[b]:
            continue
        part = x[offsets[b] : offsets[b + 1]]
        low, width = part.min(), part.max() - part.min()
        for i in range(offsets[b], offsets[b + 1]):
            level[i] = min(int((x[i] - low) / width * n_levels), n_levels - 1) if width > 0.0 else 0
    counts = np.empty((n_bins, n_levels))
    for k in range(frequencies.size):
        if not math.isfinite(frequencies[k]):
            continue
        counts[:] = 0.0
        for i in range(t.size):
            counts[min(int(((frequencies[k] * t[i]) % 1.0) * n_bins), n_bins - 1), level[i]] += 1.0
        entropy = 0.0
        for j in range(n_bins):
            together = counts[j].sum()
            for i in range(n_levels):
                if counts[j, i] > 0.0:
                    entropy += counts[j, i] * math.log(together / counts[j, i])
        found[k] = entropy / t.size


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _box(t, x, w, offsets, frequencies, sizes, found):  # type: ignore[no-untyped-def]
    n_bins, n_widest = sizes
    n_bands = offsets.size - 1
    y, variance, W = np.empty(x.size), 0.0, np.zeros(n_bands)
    for b in range(n_bands):
        Y = 0.0
        for i in range(offsets[b], offsets[b + 1]):
            W[b] += w[i]
            Y += w[i] * x[i]
        for i in range(offsets[b], offsets[b + 1]):
            y[i] = x[i] - Y / W[b]
            variance += w[i] * y[i] * y[i]
    if not variance > 0.0:
        return
    r, s = np.empty((n_bands, n_bins)), np.empty((n_bands, n_bins))
    inside, depth = np.empty(n_bands), np.empty(n_bands)
    for k in range(frequencies.size):
        if not math.isfinite(frequencies[k]):
            continue
        r[:], s[:] = 0.0, 0.0
        for b in range(n_bands):
            for i in range(offsets[b], offsets[b + 1]):
                j = min(int(((frequencies[k] * t[i]) % 1.0) * n_bins), n_bins - 1)
                r[b, j] += w[i]
                s[b, j] += w[i] * y[i]
        best = 0.0
        for start in range(n_bins):
            inside[:], depth[:] = 0.0, 0.0
            for width in range(min(n_widest, n_bins - 1)):
                at, gain = (start + width) % n_bins, 0.0
                for b in range(n_bands):
                    inside[b] += r[b, at]
                    depth[b] += s[b, at]
                    if 0.0 < inside[b] < W[b] * (1.0 - 1e-12):
                        gain += depth[b] * depth[b] * W[b] / (inside[b] * (W[b] - inside[b]))
                best = max(best, gain)
        found[k] = best / variance


@numba.njit(cache=True, nogil=True, error_model="numpy")
def standardised(x, w, offsets):  # type: ignore[no-untyped-def]
    """Return the values less the weighted mean of their band, in units of its weighted standard deviation.

    A band without scatter is 0 throughout.
    """
    z = np.zeros(x.size)
    for b in range(offsets.size - 1):
        W, Y, YY = 0.0, 0.0, 0.0
        for i in range(offsets[b], offsets[b + 1]):
            W += w[i]
            Y += w[i] * x[i]
        low, high = math.inf, -math.inf
        for i in range(offsets[b], offsets[b + 1]):
            YY += w[i] * (x[i] - Y / W) ** 2
            low, high = min(low, x[i]), max(high, x[i])
        if high > low:
            for i in range(offsets[b], offsets[b + 1]):
                z[i] = (x[i] - Y / W) / math.sqrt(YY / W)
    return z
