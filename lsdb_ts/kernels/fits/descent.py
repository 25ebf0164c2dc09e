"""The way of one fit down to its minimum: normal equations, damped steps within limits, and errors at the end.

Which fits there are, and where they begin, stands in ``least_squares.py``.

``form`` is (code, blur, n_own, in_logs, angstrom): the compiled shape, the width of its corners, how many parameters
each band has, which of the shape's are logarithms, and the bands' wavelengths; ``curve`` is (t, y, w, edges, used,
values, slopes): times, fluxes over errors, one over errors, where the bands begin, which take part, and room for the
model and its derivatives; ``u`` are the parameters as they are stepped.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from lsdb_ts.kernels.fits.linear import backward, cholesky, forward, inverse
from lsdb_ts.kernels.fits.models import values_and_slopes

_FAST = {"contract", "reassoc", "nsz", "arcp"}
_LARGEST_DAMPING = 1e12


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _sums(form, curve, b, q, at):  # type: ignore[no-untyped-def]
    """Return the weighted sums of 1, E, E^2, y, E y and y^2 of a band, the row ``at`` of the slopes being E."""
    code, blur, _, _, angstrom = form
    t, y, w, edges, _, values, slopes = curve
    start, stop = edges[b], edges[b + 1]
    values_and_slopes(code, t[start:stop], q, blur, angstrom[b], values, slopes)
    ww, wE, wEE, wy, wEy, wyy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(stop - start):
        wi, yi = w[start + i], y[start + i]
        E = wi * slopes[at, i]
        ww += wi * wi
        wE += wi * E
        wEE += E * E
        wy += wi * yi
        wEy += E * yi
        wyy += yi * yi
    return ww, wE, wEE, wy, wEy, wyy


@numba.njit(cache=True, nogil=True, error_model="numpy")
def amplitudes(form, curve, b, q, own):  # type: ignore[no-untyped-def]
    """Fill the best amplitude, not negative, and base of one band for a shape; return its chi2."""
    n_own = form[2]
    ww, wE, wEE, wy, wEy, wyy = _sums(form, curve, b, q, q.size - n_own)
    if n_own == 1:
        own[0] = max(wEy / wEE, 0.0) if wEE > 0.0 else 0.0
        return wyy - own[0] * (2.0 * wEy - own[0] * wEE)
    spread = wEE - wE * wE / ww
    own[0] = max((wEy - wE * wy / ww) / spread, 0.0) if spread > 1e-12 * wEE else 0.0
    own[1] = (wy - own[0] * wE) / ww
    return wyy - own[0] * (2.0 * wEy - own[0] * wEE) - own[1] * own[1] * ww


@numba.njit(cache=True, nogil=True, error_model="numpy")
def one_amplitude(form, curve, q, u):  # type: ignore[no-untyped-def]
    """Fill the best amplitude of all bands, not negative, and their bases for a chromatic shape; return chi2."""
    used, n_shape = curve[4], q.size - 1
    total_EE, total_Ey, chi2 = 0.0, 0.0, 0.0
    slope = np.empty(used.size)
    for b in range(used.size):
        u[n_shape + b] = slope[b] = 0.0
        if used[b]:
            ww, wE, wEE, wy, wEy, wyy = _sums(form, curve, b, q, n_shape - 1)
            total_EE += wEE - wE * wE / ww
            total_Ey += wEy - wE * wy / ww
            chi2 += wyy - wy * wy / ww
            u[n_shape + b], slope[b] = wy / ww, wE / ww
    a = max(total_Ey / total_EE, 0.0) if total_EE > 0.0 else 0.0
    u[n_shape - 1] = a
    for b in range(used.size):
        u[n_shape + b] -= a * slope[b]
    return chi2 - a * (2.0 * total_Ey - a * total_EE)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def descend(form, curve, low, high, dof, max_iterations, tolerance, u, H, work):  # type: ignore[no-untyped-def]
    """Follow one start to its minimum, in place; return chi2, the number of steps tried, and whether it converged."""
    _, _, n_own, in_logs, _ = form
    used, n = curve[4], u.size
    g, new_g, step, trial, size = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.zeros(n)
    new_H, damped = work[0], work[1]
    free = np.empty(n, np.int64)
    chi2 = _normal_equations(form, curve, u, H, g)
    damping, growth = 1e-2, 2.0
    for tried in range(1, max_iterations + 1):
        m = _free_to_move(in_logs.size, n_own, low, high, used, u, g, free)
        for k in range(n):
            size[k] = max(size[k], H[k, k])
            trial[k] = u[k]
        for k in range(m):
            step[k] = g[free[k]]
            for j in range(k + 1):
                damped[k, j] = H[free[k], free[j]]
            damped[k, k] += damping * size[free[k]] if size[free[k]] > 0.0 else 1.0
        gain = -1.0
        if cholesky(damped, m):
            forward(damped, m, step)
            backward(damped, m, step)
            for k in range(m):
                trial[free[k]] = min(max(u[free[k]] + step[k], low[free[k]]), high[free[k]])
            promise = _promise(u, trial, H, g)
            if promise <= tolerance * (1.0 + chi2 / dof):
                return chi2, tried, True
            new_chi2 = _normal_equations(form, curve, trial, new_H, new_g)
            gain = (chi2 - new_chi2) / promise
        if gain > 0.0:
            chi2 = new_chi2
            for k in range(n):
                u[k], g[k] = trial[k], new_g[k]
                for j in range(n):
                    H[k, j] = new_H[k, j]
            damping *= max(0.1, 1.0 - (2.0 * gain - 1.0) ** 3)
            growth = 2.0
        else:
            damping *= growth
            growth *= 2.0
            if damping > _LARGEST_DAMPING:
                return chi2, tried, False
    return chi2, max_iterations, False


@numba.njit(cache=True, nogil=True, error_model="numpy")
def errors_at(n_own, low, high, used, u, H, work, covariance):  # type: ignore[no-untyped-def]
    """Fill the covariance of the parameters off their limits; return whether some are at one, and whether it exists.

    With one at a limit, others may have lost their meaning: they have no errors, too.
    """
    n, m, scaled, inverted = u.size, 0, work[0], work[2]
    n_shape = n - used.size * n_own
    free = np.empty(n, np.int64)
    at_limit = False
    covariance[:] = np.nan
    for k in range(n):
        if k >= n_shape and not used[(k - n_shape) // n_own]:
            continue
        if u[k] <= low[k] or u[k] >= high[k]:
            at_limit = True
        else:
            free[m] = k
            m += 1
    if at_limit:
        m = _with_force(H, free, m)
    for k in range(m):
        for j in range(k + 1):
            scaled[k, j] = H[free[k], free[j]] / math.sqrt(H[free[k], free[k]] * H[free[j], free[j]])
    if not cholesky(scaled, m):
        return at_limit, False
    inverse(scaled, m, work[1], inverted)
    for k in range(m):
        for j in range(m):
            norm = math.sqrt(H[free[k], free[k]] * H[free[j], free[j]])
            covariance[free[k], free[j]] = inverted[max(j, k), min(j, k)] / norm
    return at_limit, True


@numba.njit(cache=True, nogil=True)
def _with_force(H, free, m):  # type: ignore[no-untyped-def]
    """Keep the parameters that the model depends on; return how many. Of a step of no height no width is told."""
    kept = 0
    for k in range(m):
        if H[free[k], free[k]] > 0.0:
            free[kept] = free[k]
            kept += 1
    return kept


@numba.njit(cache=True, nogil=True)
def copy_to(source, target):  # type: ignore[no-untyped-def]
    """Fill a vector with another; a slice assigned would compile the text of its error, for seconds."""
    for k in range(target.size):
        target[k] = source[k]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _normal_equations(form, curve, u, H, g):  # type: ignore[no-untyped-def]
    """Fill H = J'J (lower triangle) and g = J'r of residuals in units of their errors; return chi2.

    Loops that sum write nothing: one that does both is compiled twice, with sums of other rounding, and where its
    arrays happen to lie in memory decides which is run.
    """
    code, blur, n_own, in_logs, angstrom = form
    t, y, w, edges, used, values, slopes = curve
    n_shape, n_local = in_logs.size, in_logs.size + n_own
    q = np.empty(n_local)
    H[:], g[:], chi2 = 0.0, 0.0, 0.0
    for k in range(n_shape):
        q[k] = math.exp(u[k]) if in_logs[k] else u[k]
    for b in range(used.size):
        if not used[b]:
            continue
        base, start, n = b * n_own, edges[b], edges[b + 1] - edges[b]
        for k in range(n_shape, n_local):
            q[k] = u[base + k]
        values_and_slopes(code, t[start : edges[b + 1]], q, blur, angstrom[b], values, slopes)
        for i in range(n):
            values[i] = y[start + i] - w[start + i] * values[i]
        for i in range(n):
            chi2 += values[i] * values[i]
        for k in range(n_local):
            unit = q[k] if k < n_shape and in_logs[k] else 1.0
            row, force = k if k < n_shape else base + k, 0.0
            for i in range(n):
                slopes[k, i] *= unit * w[start + i]
            for i in range(n):
                force += slopes[k, i] * values[i]
            g[row] += force
            for j in range(k + 1):
                product = 0.0
                for i in range(n):
                    product += slopes[k, i] * slopes[j, i]
                H[row, j if j < n_shape else base + j] += product
    return chi2


@numba.njit(cache=True, nogil=True)
def _free_to_move(n_shape, n_own, low, high, used, u, g, free):  # type: ignore[no-untyped-def]
    """Fill the parameters that may move: of bands in use, and not pushed against a limit; return how many."""
    m = 0
    for k in range(u.size):
        pushed = (u[k] <= low[k] and g[k] <= 0.0) or (u[k] >= high[k] and g[k] >= 0.0)
        if (k < n_shape or used[(k - n_shape) // n_own]) and not pushed:
            free[m] = k
            m += 1
    return m


@numba.njit(cache=True, nogil=True)
def _promise(u, trial, H, g):  # type: ignore[no-untyped-def]
    """Return by how much chi2 would fall along a step if the model were linear."""
    fall = 0.0
    for k in range(u.size):
        along = 0.0
        for j in range(u.size):
            along += (H[k, j] if j <= k else H[j, k]) * (trial[j] - u[j])
        fall += (trial[k] - u[k]) * (2.0 * g[k] - along)
    return fall
