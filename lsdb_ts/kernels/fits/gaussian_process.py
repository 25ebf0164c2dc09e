"""Gaussian processes through light curves: each band by itself, or all bands of an object in time and wavelength.

Of two epochs whose distance is r, ``r^2 = (dt / scale)^2 + (d wavelength / wavelength_scale)^2``, the covariance is
Matern's with index 3/2, ``amplitude^2 (1 + sqrt(3) r) exp(-sqrt(3) r)``: the process of Boone 2019 (AJ 158, 257).
Errors add to the diagonal. Amplitude and time scale are those of greatest likelihood, found by steps of Newton with the
average information (Gilmour, Thompson and Cullis 1995, Biometrics 51, 1440) from the best of a few scales. Everything
is exact, by Cholesky's factors, and takes time in proportion to the cube of the epochs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.kernels.curves.ranked import middle_of, sort_into
from lsdb_ts.kernels.curves.statistics import check_lengths
from lsdb_ts.kernels.fits.linear import backward, cholesky, forward, inverse

_FAST = {"contract", "reassoc", "nsz", "arcp"}
_ROOT3 = math.sqrt(3.0)
_JITTER = 1e-10
"""Of the variance, on the diagonal: keeps epochs of one time and band apart."""
_TOLERANCE = 1e-6
"""A scale is found when a step promises less than this of log likelihood."""
_STEPS = 40
_AMPLITUDES = 6.0
"""The amplitude is looked for within exp(+-6) of the scatter of the values."""
_N_SCALES = 6


@dataclass(frozen=True)
class Process:
    """What is assumed of the light curves.

    >>> Process(scale_range_days=(30.0, 3.0))
    Traceback (most recent call last):
    lsdb_ts.errors.PlanError: a process needs 0 < shortest <= longest scale in days; got (30.0, 3.0)
    """

    wavelength_scale: float | None = 6000.0
    """In the unit of the wavelengths; None takes each band by itself."""
    scale_range_days: tuple[float, float] = (1.0, 1000.0)
    """Limits of the time scale; equal ones fix it."""
    centred: bool = False
    """Whether values are about the median of their band, and not about 0."""
    min_epochs: int = 3
    """With fewer (of the band, or of the object) there is no process."""
    max_epochs: int = 400
    """Where there are more, neighbouring epochs of a band are averaged until there are not."""

    def __post_init__(self) -> None:
        shortest, longest = self.scale_range_days
        if not 0.0 < shortest <= longest < math.inf:
            raise PlanError(f"a process needs 0 < shortest <= longest scale in days; got {self.scale_range_days}")
        if self.wavelength_scale is not None and not 0.0 < self.wavelength_scale < math.inf:
            raise PlanError(
                f"the scale in wavelength is positive, or None for single bands; got {self.wavelength_scale}"
            )
        if not 1 <= self.min_epochs <= self.max_epochs:
            raise PlanError(f"a process needs 1 <= min_epochs <= max_epochs; got {self.min_epochs}, {self.max_epochs}")


@dataclass(frozen=True, eq=False)
class Interpolation:
    """Values of the processes at the times asked for, NaN where there is none."""

    mean: NDArray[np.float64]
    """Shape (n_objects, n_bands, n_times)."""
    error: NDArray[np.float64]
    """Standard errors, without the noise of an epoch; shaped as the means."""
    amplitude: NDArray[np.float64]
    """Shape (n_objects, n_bands); equal in all bands where they are taken together."""
    scale_days: NDArray[np.float64]
    """Time scale, shaped as the amplitude."""
    log_likelihood: NDArray[np.float64]
    """Of the values, shaped as the amplitude."""


def interpolate(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    at_days: NDArray[np.float64],
    wavelengths: NDArray[np.float64],
    process: Process = Process(),
) -> Interpolation:
    """Return what Gaussian processes through the epochs of every object are at other times.

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
        Epochs of all objects, band after band, all finite, errors positive.
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
        Where each band of each object begins.
    at_days : numpy.ndarray of float64, shape (n_objects, n_times)
        Times asked for.
    wavelengths : numpy.ndarray of float64, shape (n_bands,)
        Of the bands; asked for are all of them.
    process : Process

    Returns
    -------
    Interpolation

    >>> t = np.array([0.0, 10.0, 20.0])
    >>> found = interpolate(t, np.array([1.0, 2.0, 1.0]), np.full(3, 0.01), np.array([0, 3]), t[None], np.ones(1))
    >>> found.mean.round(2).tolist()
    [[[1.0, 2.0, 1.0]]]
    """
    check_lengths(offsets, time_days, values, errors)
    n_bands = wavelengths.size
    if n_bands == 0 or at_days.ndim != 2 or offsets.size - 1 != at_days.shape[0] * n_bands:
        raise InputError(
            f"{offsets.size - 1} curves are not {n_bands} bands of each of the objects for which times are asked, of "
            f"shape {at_days.shape}: offsets hold every band of every object, times are (objects, times)"
        )
    shape = (at_days.shape[0], n_bands)
    grids = [np.full((*shape, at_days.shape[1]), np.nan) for _ in range(2)]
    found = Interpolation(*grids, *(np.full(shape, np.nan) for _ in range(3)))
    together = process.wavelength_scale is not None
    place = wavelengths / process.wavelength_scale if process.wavelength_scale else np.zeros(n_bands)
    _all_objects(
        time_days, values, errors, offsets, np.ascontiguousarray(at_days, np.float64), place, together, process.centred,
        process.min_epochs, process.max_epochs, np.log(np.array(process.scale_range_days)),
        found.mean, found.error, found.amplitude, found.scale_days, found.log_likelihood,
    )  # fmt: skip
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all_objects(  # type: ignore[no-untyped-def]
    time, values, errors, offsets, at, place, together, centred, min_epochs, max_epochs, scale_range,
    mean, error, amplitude, scale, likelihood,
):  # fmt: skip
    n_bands = place.size
    per = n_bands if together else 1
    room = 1
    for c in range(0, offsets.size - 1, per):
        room = max(room, min(offsets[c + per] - offsets[c], max_epochs + per))
    work = np.empty((3, room, room))
    centre = np.zeros(n_bands)
    for o in range(at.shape[0]):
        for first in range(0, n_bands, per):
            edges = offsets[o * n_bands + first : o * n_bands + first + per + 1]
            if edges[per] - edges[0] < min_epochs:
                continue
            t, y, e, band = epochs_of(time, values, errors, edges, max_epochs)
            if centred:
                _centres(y, band, centre[first : first + per])
                for i in range(y.size):
                    y[i] -= centre[first + band[i]]
            x = np.empty(y.size)
            for i in range(y.size):
                x[i] = place[first + band[i]]
            log_s, log_l, found = likeliest(t, x, y, e, scale_range, work)
            if found == -math.inf:
                continue
            log_likelihood(t, x, y, e, log_s, log_l, work[0], y)
            for b in range(first, first + per):
                amplitude[o, b], scale[o, b], likelihood[o, b] = math.exp(log_s), math.exp(log_l), found
                _predict(t, x, y, work[0], log_s, log_l, at[o], place[b], centre[b], mean[o, b], error[o, b])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def epochs_of(time, values, errors, edges, max_epochs):  # type: ignore[no-untyped-def]
    """Return times, values, errors and bands of an object; neighbours averaged where there are too many."""
    n = edges[-1] - edges[0]
    together = (n + max_epochs - 1) // max_epochs
    t, y, e, band = np.empty(n), np.empty(n), np.empty(n), np.empty(n, np.int64)
    k = 0
    for b in range(edges.size - 1):
        for begin in range(edges[b], edges[b + 1], together):
            W, T, Y = 0.0, 0.0, 0.0
            for i in range(begin, min(begin + together, edges[b + 1])):
                w = 1.0 / (errors[i] * errors[i])
                W += w
                T += w * (time[i] - time[begin])
                Y += w * values[i]
            t[k], y[k], e[k], band[k] = time[begin] + T / W, Y / W, 1.0 / math.sqrt(W), b
            k += 1
    return t[:k], y[:k], e[:k], band[:k]


@numba.njit(cache=True, nogil=True)
def _centres(y, band, centre):  # type: ignore[no-untyped-def]
    """Fill the median of each band; of all values for a band without any."""
    own, ranked, spare = np.empty(y.size), np.empty(y.size), np.empty(y.size)
    sort_into(y, ranked, spare)
    middle = middle_of(ranked)
    for b in range(centre.size):
        n = 0
        for i in range(y.size):
            if band[i] == b:
                own[n] = y[i]
                n += 1
        sort_into(own[:n], ranked[:n], spare[:n])
        centre[b] = middle_of(ranked[:n]) if n else middle


@numba.njit(cache=True, nogil=True, error_model="numpy")
def likeliest(t, x, y, e, scale_range, work):  # type: ignore[no-untyped-def]
    """Return the logarithms of amplitude and scale of greatest likelihood, and it; -inf where there is none."""
    squares, smallest = 0.0, math.inf
    for i in range(y.size):
        squares += y[i] * y[i]
        smallest = min(smallest, e[i])
    # Values that are all zero have any small amplitude.
    start = 0.5 * math.log(squares / y.size) if squares > 0.0 else math.log(smallest)
    low, high, theta = np.empty(2), np.empty(2), np.empty(2)
    low[0], high[0], theta[0] = start - _AMPLITUDES, start + _AMPLITUDES, start
    low[1], high[1], theta[1] = scale_range[0], scale_range[1], scale_range[0]
    weight, best = np.empty(y.size), -math.inf
    n_scales = _N_SCALES if scale_range[1] > scale_range[0] else 1
    for k in range(n_scales):
        log_l = scale_range[0] + (k + 0.5) / n_scales * (scale_range[1] - scale_range[0])
        found = log_likelihood(t, x, y, e, start, log_l, work[0], weight)
        if found > best:
            best, theta[1] = found, log_l
    if best == -math.inf:
        return theta[0], theta[1], best
    g, H, trial = np.empty(2), np.empty((2, 2)), np.empty(2)
    damping, fresh = 1e-3, False
    for _ in range(_STEPS):
        if not fresh:
            best = log_likelihood(t, x, y, e, theta[0], theta[1], work[0], weight)
            _slopes(t, x, y, e, theta[0], theta[1], weight, work, g, H)
            fresh = True
        _step(g, H, damping, theta, low, high, trial)
        promise = 0.5 * ((trial[0] - theta[0]) * g[0] + (trial[1] - theta[1]) * g[1])
        if not promise > _TOLERANCE:
            break
        found = log_likelihood(t, x, y, e, trial[0], trial[1], work[0], weight)
        if found > best:
            theta[0], theta[1] = trial[0], trial[1]
            damping, fresh = 0.2 * damping, False
        else:
            damping *= 10.0
    return theta[0], theta[1], best


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _step(g, H, damping, theta, low, high, trial):  # type: ignore[no-untyped-def]
    """Fill the point to try: a damped step of Newton of at most a factor e, within the limits."""
    a, c, b = H[0, 0] * (1.0 + damping) + 1e-12, H[1, 1] * (1.0 + damping) + 1e-12, H[0, 1]
    first = (theta[0] <= low[0] and g[0] <= 0.0) or (theta[0] >= high[0] and g[0] >= 0.0)
    second = (theta[1] <= low[1] and g[1] <= 0.0) or (theta[1] >= high[1] and g[1] >= 0.0)
    if first or second:
        trial[0], trial[1] = 0.0 if first else g[0] / a, 0.0 if second else g[1] / c
    else:
        determinant = a * c - b * b
        trial[0], trial[1] = (c * g[0] - b * g[1]) / determinant, (a * g[1] - b * g[0]) / determinant
    for k in range(2):
        trial[k] = min(max(theta[k] + min(max(trial[k], -1.0), 1.0), low[k]), high[k])


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def log_likelihood(t, x, y, e, log_s, log_l, K, weight):  # type: ignore[no-untyped-def]
    """Fill the factor of the covariance, and its inverse times the values; return the log likelihood or -inf."""
    n, variance, rate = y.size, math.exp(2.0 * log_s), math.exp(-log_l)
    for i in range(n):
        for j in range(i):
            dt, dx = (t[i] - t[j]) * rate, x[i] - x[j]
            r = _ROOT3 * math.sqrt(dt * dt + dx * dx)
            K[i, j] = variance * (1.0 + r) * math.exp(-r)
        K[i, i] = variance * (1.0 + _JITTER) + e[i] * e[i]
    if not cholesky(K, n):
        return -math.inf
    total = n * math.log(2.0 * math.pi)
    for i in range(n):
        weight[i] = y[i]
    forward(K, n, weight)
    for i in range(n):
        total += weight[i] * weight[i] + 2.0 * math.log(K[i, i])
    backward(K, n, weight)
    return -0.5 * total


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _slopes(t, x, y, e, log_s, log_l, weight, work, g, H):  # type: ignore[no-untyped-def]
    """Fill the derivatives of the log likelihood by log amplitude and log scale, and their average information."""
    n, variance, rate = y.size, math.exp(2.0 * log_s), math.exp(-log_l)
    L, inverted = work[0], work[2]
    inverse(L, n, work[1], inverted)
    by_s, by_l = np.empty(n), np.zeros(n)
    trace_s, trace_l, force_s, force_l = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        noise = e[i] * e[i]
        by_s[i] = 2.0 * (y[i] - noise * weight[i])
        trace_s += 2.0 * (1.0 - inverted[i, i] * noise)
        for j in range(i):
            dt, dx = (t[i] - t[j]) * rate, x[i] - x[j]
            slope = 3.0 * variance * dt * dt * math.exp(-_ROOT3 * math.sqrt(dt * dt + dx * dx))
            by_l[i] += slope * weight[j]
            by_l[j] += slope * weight[i]
            trace_l += 2.0 * slope * inverted[i, j]
    for i in range(n):
        force_s += weight[i] * by_s[i]
        force_l += weight[i] * by_l[i]
    g[0], g[1] = 0.5 * (force_s - trace_s), 0.5 * (force_l - trace_l)
    forward(L, n, by_s)
    forward(L, n, by_l)
    H[:] = 0.0
    for i in range(n):
        H[0, 0] += 0.5 * by_s[i] * by_s[i]
        H[1, 1] += 0.5 * by_l[i] * by_l[i]
        H[0, 1] += 0.5 * by_s[i] * by_l[i]
    H[1, 0] = H[0, 1]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def mean_at(t, x, weight, log_s, log_l, at, place):  # type: ignore[no-untyped-def]
    """Return the mean of the process, less its centre, at one time in one band."""
    rate, value = math.exp(-log_l), 0.0
    for i in range(t.size):
        dt, dx = (t[i] - at) * rate, x[i] - place
        r = _ROOT3 * math.sqrt(dt * dt + dx * dx)
        value += (1.0 + r) * math.exp(-r) * weight[i]
    return math.exp(2.0 * log_s) * value


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _predict(t, x, weight, L, log_s, log_l, at, place, centre, mean, error):  # type: ignore[no-untyped-def]
    """Fill mean and standard error of the process at some times of one band."""
    n, variance, rate = t.size, math.exp(2.0 * log_s), math.exp(-log_l)
    k = np.empty(n)
    for m in range(at.size):
        value = 0.0
        for i in range(n):
            dt, dx = (t[i] - at[m]) * rate, x[i] - place
            r = _ROOT3 * math.sqrt(dt * dt + dx * dx)
            k[i] = variance * (1.0 + r) * math.exp(-r)
            value += k[i] * weight[i]
        forward(L, n, k)
        left = variance
        for i in range(n):
            left -= k[i] * k[i]
        mean[m], error[m] = centre + value, math.sqrt(max(left, 0.0))
