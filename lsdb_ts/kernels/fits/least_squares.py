"""Weighted non-linear least squares of many light curves: Levenberg and Marquardt's method within limits.

A fit begins from every combination of the model's starting values around the brightest epochs, each with its best
amplitudes, which are linear; the best few are followed for some steps, and the one then ahead to its minimum. Steps are
taken in the logarithm of positive parameters and cut at the limits (a parameter at its limit that would leave it is
held there). What the models are stands in ``models.py``.

The descent itself is in ``descent.py``.
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
from lsdb_ts.kernels.fits.descent import amplitudes, copy_to, descend, errors_at, one_amplitude
from lsdb_ts.kernels.fits.models import Model, peak_delay

CONVERGED, AT_LIMIT, MAX_ITERATIONS, SINGULAR, TOO_FEW_EPOCHS = range(5)
_PEAKS = 3
_TOLERANCE = 1e-9
"""A fit has converged when a step promises to lower chi2 by less than this times (1 + chi2 per degree of freedom)."""
_BLURRED_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Fits:
    """The fits of one model to many objects.

    Global parameters come in this sequence: those of the shape, then each band's own, band after band.
    """

    model: Model
    n_bands: int
    parameters: NDArray[np.float64]
    """Shape (n_objects, n_parameters); NaN where there is no fit, or the band took no part in it."""
    errors: NDArray[np.float64]
    """Their standard errors, the errors of the epochs taken at their word; NaN for parameters at a limit."""
    covariance: NDArray[np.float64] | None
    """Shape (n_objects, n_parameters, n_parameters), where it was asked for."""
    redchi2: NDArray[np.float64]
    """Chi2 per degree of freedom, shape (n_objects,)."""
    iterations: NDArray[np.int32]
    """Steps tried from all starts together."""
    status: NDArray[np.int8]
    """0 converged, 1 converged with a parameter at a limit, 2 stopped after too many steps, 3 singular (the epochs do
    not tell all parameters; no errors), 4 too few epochs (no fit)."""

    def value(self, name: str) -> NDArray[np.float64]:
        """Return a parameter: shape (n_objects,) for one of the shape, (n_objects, n_bands) for one of the bands."""
        return self._pick(self.parameters, name)

    def error(self, name: str) -> NDArray[np.float64]:
        """Return the standard error of a parameter, shaped as its value."""
        return self._pick(self.errors, name)

    def _pick(self, table: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        if name in self.model.shape:
            return table[:, self.model.shape.index(name)]
        if name not in self.model.own:
            raise PlanError(f"{self.model.name} has the parameters {', '.join(self.model.parameters)}; not {name}")
        return table[:, len(self.model.shape) + self.model.own.index(name) :: len(self.model.own)]


def fit_curves(
    model: Model,
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    n_bands: int = 1,
    n_starts: int | None = None,
    max_iterations: int = 100,
    covariance: bool = False,
    angstrom: NDArray[np.float64] | None = None,
) -> Fits:
    """Fit a model to every object.

    Parameters
    ----------
    model : Model
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
        Epochs of all objects, band after band, all finite, errors positive, each band sorted by time.
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
        Where each band of each object begins.
    n_bands : int
        Bands of an object that are fitted together, with one shape and their own amplitudes. A band takes part with
        more epochs than it has parameters of its own.
    n_starts : int, optional
        How many of the best starting points are followed for some steps; by default as the model has it.
    max_iterations : int
        Steps tried at most to the end.
    covariance : bool
        Whether to keep the covariance of all parameters, and not their errors alone.
    angstrom : numpy.ndarray of float64, shape (n_bands,), optional
        Wavelengths of the bands, for a chromatic model.

    Returns
    -------
    Fits

    >>> from lsdb_ts.kernels.fits.models import LINEXP, evaluate
    >>> t = np.arange(0.0, 60.0, 3.0)
    >>> fits = fit_curves(LINEXP, t, evaluate(LINEXP, t, [10, 8, 50, 5]), np.ones(20), np.array([0, 20]))
    >>> fits.value("tau").round(6).tolist(), fits.status.tolist()
    ([8.0], [0])
    """
    check_lengths(offsets, time_days, values, errors)
    n_starts = model.n_starts if n_starts is None else n_starts
    if n_bands < 1 or (offsets.size - 1) % n_bands or n_starts < 1 or max_iterations < 1:
        raise InputError(
            f"{offsets.size - 1} curves cannot be objects of {n_bands} bands, fitted from {n_starts} starts in at most "
            f"{max_iterations} steps: offsets hold every band of every object"
        )
    if model.chromatic and (angstrom is None or angstrom.shape != (n_bands,) or not (angstrom > 0.0).all()):
        raise InputError(f"{model.name} needs the positive wavelengths of {n_bands} bands in Angstrom; got {angstrom}")
    waves = np.full(n_bands, math.nan) if angstrom is None else angstrom
    n_objects, n_shape = (offsets.size - 1) // n_bands, len(model.shape)
    n = n_shape + n_bands * len(model.own)
    parameters, sigma = np.full((n_objects, n), np.nan), np.full((n_objects, n), np.nan)
    kept = np.full((n_objects if covariance else 1, n, n), np.nan)
    redchi2, status = np.full(n_objects, np.nan), np.full(n_objects, TOO_FEW_EPOCHS, np.int8)
    iterations = np.zeros(n_objects, np.int32)
    grid = np.array(np.meshgrid(*model.starts, indexing="ij")).reshape(n_shape - 1, -1).T.copy()
    limits = np.array([(0.0, *model.lower), (0.0, *model.upper)])
    _fit_all(
        model.code, np.array(model.blurs_days), model.excess_at, len(model.own), model.chromatic, waves, grid, limits,
        time_days, values, errors, offsets, n_bands, n_starts, min(model.first_steps, max_iterations), max_iterations,
        parameters, sigma, kept, redchi2, iterations, status,
    )  # fmt: skip
    return Fits(model, n_bands, parameters, sigma, kept if covariance else None, redchi2, iterations, status)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fit_all(  # type: ignore[no-untyped-def]
    code, blurs, excess_at, n_own, chromatic, waves, grid, limits,
    time, values, errors, offsets, n_bands, n_starts, first_steps, max_iterations,
    parameters, sigma, kept, redchi2, iterations, status,
):  # fmt: skip
    n_shape, n = limits.shape[1], parameters.shape[1]
    in_logs, used = limits[0] > 0.0, np.empty(n_bands, np.bool_)
    low, high = np.full(n, -math.inf), np.full(n, math.inf)
    for k in range(n_shape):
        low[k] = math.log(limits[0, k]) if in_logs[k] else limits[0, k]
        high[k] = math.log(limits[1, k]) if in_logs[k] else limits[1, k]
    if not chromatic:
        low[n_shape::n_own] = 0.0
    starts, scores = np.empty((_PEAKS * grid.shape[0], n)), np.empty(_PEAKS * grid.shape[0])
    u, best = np.empty(n), np.empty(n)
    H, work = np.empty((n, n)), np.empty((3, n, n))
    for o in range(parameters.shape[0]):
        edges = offsets[o * n_bands : (o + 1) * n_bands + 1]
        n_epochs, n_free = 0, n_shape
        for b in range(n_bands):
            used[b] = edges[b + 1] - edges[b] > n_own
            if used[b]:
                n_epochs += edges[b + 1] - edges[b]
                n_free += n_own
        if n_epochs <= n_free:
            continue
        epochs = slice(edges[0], edges[n_bands])
        first, last = math.inf, -math.inf
        for i in range(edges[0], edges[n_bands]):
            first, last = min(first, time[i]), max(last, time[i])
        w = 1.0 / errors[epochs]
        room = np.empty(w.size), np.empty((n_shape + n_own, w.size))
        curve = (time[epochs] - first, values[epochs] * w, w, edges - edges[0], used, *room)
        low[0], high[0] = first - last, 2.0 * (last - first)
        _look_around((code, blurs[0], n_own, in_logs, waves), chromatic, curve, grid, low, high, starts, scores)
        ahead, dof = math.inf, n_epochs - n_free
        for _ in range(n_starts):
            k = scores.argmin()
            if scores[k] == math.inf:
                break
            scores[k] = math.inf
            copy_to(starts[k], u)
            form = (code, blurs[0], n_own, in_logs, waves)
            chi2, tried, _ = descend(form, curve, low, high, dof, first_steps, _BLURRED_TOLERANCE, u, H, work)
            iterations[o] += tried
            if chi2 < ahead:
                ahead = chi2
                copy_to(u, best)
        if ahead == math.inf:
            status[o] = SINGULAR
            continue
        chi2, done = ahead, False
        for blur in blurs:
            tolerance = _BLURRED_TOLERANCE if blur > 0.0 else _TOLERANCE
            form = (code, blur, n_own, in_logs, waves)
            chi2, tried, done = descend(form, curve, low, high, dof, max_iterations, tolerance, best, H, work)
            iterations[o] += tried
        status[o] = CONVERGED if done else MAX_ITERATIONS
        redchi2[o] = chi2 / dof
        covariance = kept[min(o, kept.shape[0] - 1)]
        at_limit, regular = errors_at(n_own, low, high, used, best, H, work, covariance)
        if not regular:
            status[o] = SINGULAR
        elif at_limit and status[o] == CONVERGED:
            status[o] = AT_LIMIT
        _publish(excess_at, n_own, in_logs, used, best, first, parameters[o], covariance)
        for k in range(n):
            sigma[o, k] = math.sqrt(covariance[k, k])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _look_around(form, chromatic, curve, grid, low, high, starts, scores):  # type: ignore[no-untyped-def]
    """Fill the starting points and their chi2: all combinations of scales with the times that may be the peak."""
    code, _, n_own, in_logs, _ = form
    used, n_shape = curve[4], in_logs.size
    q, peaks = np.empty(n_shape + n_own), np.empty(_PEAKS)
    _bright_times(curve, peaks)
    for g in range(grid.shape[0]):
        for p in range(_PEAKS):
            u = starts[g * _PEAKS + p]
            for k in range(1, n_shape):
                q[k] = grid[g, k - 1]
            q[0] = min(max(peaks[p] - peak_delay(code, q), low[0]), high[0])
            for k in range(n_shape):
                u[k] = math.log(q[k]) if in_logs[k] else q[k]
            q[n_shape:] = 1.0
            chi2 = one_amplitude(form, curve, q, u) if chromatic else 0.0
            for b in range(0 if chromatic else used.size):
                own = u[n_shape + b * n_own : n_shape + (b + 1) * n_own]
                own[:] = 0.0
                if used[b]:
                    chi2 += amplitudes(form, curve, b, q, own)
            # Rounding may make it slightly negative; what is not a number is no start.
            scores[g * _PEAKS + p] = chi2 if chi2 < math.inf else math.inf


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _bright_times(curve, peaks):  # type: ignore[no-untyped-def]
    """Fill times that may be the peak: the brightest epoch, the brightest away from it, and the centre of the bright.

    An epoch counts with its flux less its error above its band's median, in units of the band's largest such excess.
    """
    t, y, w, edges, used, height, _ = curve
    height[:], first, weight, moment = -math.inf, -1, 0.0, 0.0
    for b in range(used.size):
        if not used[b]:
            continue
        flux, largest = y[edges[b] : edges[b + 1]] / w[edges[b] : edges[b + 1]], 0.0
        ranked = np.empty(flux.size)
        sort_into(flux, ranked, np.empty(flux.size))
        middle = middle_of(ranked)
        for i in range(edges[b], edges[b + 1]):
            height[i] = flux[i - edges[b]] - middle - 1.0 / w[i]
            largest = max(largest, height[i])
        for i in range(edges[b], edges[b + 1]):
            height[i] = height[i] / largest if largest > 0.0 else -1.0
            if height[i] > 0.0:
                weight += height[i]
                moment += height[i] * t[i]
            if first < 0 or height[i] > height[first]:
                first = i
    peaks[:] = t[first]
    if weight > 0.0:
        peaks[2] = moment / weight
    apart, second = 0.1 * t.max(), -1
    for i in range(t.size):
        away = abs(t[i] - t[first]) > apart and height[i] > -math.inf
        if away and (second < 0 or height[i] > height[second]):
            second = i
    if second >= 0:
        peaks[1] = t[second]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _publish(excess_at, n_own, in_logs, used, u, first, parameters, covariance):  # type: ignore[no-untyped-def]
    """Fill parameters and covariance as the formula has them: out of logarithms, from excesses, at their own time."""
    n_shape = in_logs.size
    for k in range(u.size):
        if k < n_shape or used[(k - n_shape) // n_own]:
            parameters[k] = u[k]
    for k in range(n_shape):
        if in_logs[k]:
            parameters[k] = math.exp(u[k])
            for j in range(u.size):
                covariance[k, j] *= parameters[k]
                covariance[j, k] *= parameters[k]
    if excess_at > 0:
        parameters[excess_at] += parameters[excess_at - 1]
        for j in range(u.size):
            covariance[excess_at, j] += covariance[excess_at - 1, j]
        for j in range(u.size):
            covariance[j, excess_at] += covariance[j, excess_at - 1]
    parameters[0] += first
