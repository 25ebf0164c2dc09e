"""Fits to magnitudes of transients: FLEET's rise and decline of one curve, and the slope of a tidal disruption's tail.

FLEET's model ``m(t) = exp(w x) - a w x + m0``, ``x = t - t0``, is linear in all but w: with s counted from the first
epoch it is ``c exp(w s) + r s + k``, where ``c = exp(-w t0)``, ``r = -a w`` and ``k = m0 + a w t0``. So each w has one
best c and r, neither negative, and w is looked for on a grid of its logarithm and then between the neighbours of the
best. There is no start that matters, and no minimum beside it to fall into.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.kernels.curves.statistics import check_lengths
from lsdb_ts.kernels.fits.least_squares import AT_LIMIT, CONVERGED, SINGULAR, TOO_FEW_EPOCHS
from lsdb_ts.kernels.fits.linear import backward, cholesky, forward, inverse

FLEET = ("a", "w", "t0", "m0")
"""Parameters, in this sequence."""
SLOWEST, FASTEST = -1e-3, -1.0
"""Limits of w, per day."""
TAIL_DAYS, TAIL_SHIFT_DAYS = 200.0, 40.0
"""The tail is of so many days after the brightest epoch, and a power law in the time since so many days before it."""
_N_RATES, _SECTIONS = 32, 40
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
_FAST = {"contract", "reassoc", "nsz", "arcp"}


@dataclass(frozen=True, eq=False)
class FleetFits:
    """FLEET's model fitted to every curve; NaN where there is no fit, or it tells no rise."""

    parameters: NDArray[np.float64]
    """Shape (n_curves, 4): ``FLEET``."""
    errors: NDArray[np.float64]
    """Their standard errors, NaN for one at a limit."""
    redchi2: NDArray[np.float64]
    """Chi2 per degree of freedom."""
    status: NDArray[np.int8]
    """0 converged, 1 with a or w at a limit, 3 singular (no rise is seen), 4 too few epochs."""


def fit_fleet(
    time_days: NDArray[np.float64],
    mags: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
) -> FleetFits:
    """Fit FLEET's model (Gomez et al. 2020, ApJ 904, 74) to every curve.

    Parameters
    ----------
    time_days, mags, errors : numpy.ndarray of float64, shape (n,)
        Epochs of all curves, all finite, errors positive, each curve sorted by time.
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
        Where each curve begins.

    Returns
    -------
    FleetFits

    >>> t = np.arange(0.0, 60.0, 3.0)
    >>> fits = fit_fleet(t, np.exp(-0.1 * (t - 12)) + 0.06 * (t - 12) + 18, np.full(20, 0.01), np.array([0, 20]))
    >>> fits.parameters.round(4).tolist()
    [[0.6, -0.1, 12.0, 18.0]]
    """
    check_lengths(offsets, time_days, mags, errors)
    n = offsets.size - 1
    found = FleetFits(*(np.full((n, 4), np.nan) for _ in range(2)), np.full(n, np.nan), np.empty(n, np.int8))
    _fit_all(time_days, mags, errors, offsets, found.parameters, found.errors, found.redchi2, found.status)
    return found


def tail_slopes(
    time_days: NDArray[np.float64],
    mags: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return slope, standard error and reduced chi2 of ``m = m0 + slope 2.5 log10(t - t_peak + 40)``, (n_curves, 3).

    Fitted to the 200 days after the brightest epoch, without it. With two epochs there the chi2 is NaN, with fewer all
    are. The arguments are those of :func:`fit_fleet`.

    >>> t = np.array([0.0, 60.0, 160.0])
    >>> tail_slopes(t, 17 + 2.5 * 5 / 3 * np.log10(t + 40), np.full(3, 0.1), np.array([0, 3])).round(4)[0, 0]
    np.float64(1.6667)
    """
    check_lengths(offsets, time_days, mags, errors)
    out = np.full((offsets.size - 1, 3), np.nan)
    _all_tails(time_days, mags, errors, offsets, out)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fit_all(time, mags, errors, offsets, parameters, sigma, redchi2, status):  # type: ignore[no-untyped-def]
    fastest, slowest = math.log(-FASTEST), math.log(-SLOWEST)
    step = (fastest - slowest) / (_N_RATES - 1)
    linear, A = np.empty(3), np.empty((3, 4, 4))
    for c in range(status.size):
        here = slice(offsets[c], offsets[c + 1])
        n = offsets[c + 1] - offsets[c]
        if n <= len(FLEET):
            status[c] = TOO_FEW_EPOCHS
            continue
        curve = (time[here] - time[offsets[c]], mags[here] - mags[offsets[c]], errors[here])
        best, least = 0, math.inf
        for k in range(_N_RATES):
            chi2 = _best_linear(curve, -math.exp(slowest + k * step), linear, A[0])
            if chi2 < least:
                best, least = k, chi2
        low, high = slowest + max(best - 1, 0) * step, slowest + min(best + 1, _N_RATES - 1) * step
        log_rate = _least(curve, low, high, linear, A[0])
        chi2, w = _best_linear(curve, -math.exp(log_rate), linear, A[0]), -math.exp(log_rate)
        redchi2[c] = chi2 / (n - len(FLEET))
        if linear[0] <= 0.0:
            status[c] = SINGULAR
            continue
        t0 = -math.log(linear[0]) / w
        parameters[c, 0], parameters[c, 1] = -linear[1] / w, w
        parameters[c, 2], parameters[c, 3] = time[offsets[c]] + t0, mags[offsets[c]] + linear[2] + linear[1] * t0
        w_moves = slowest + 1e-6 < log_rate < fastest - 1e-6
        regular = _errors(curve, w, linear, linear[1] > 0.0, w_moves, A, sigma[c])
        status[c] = (CONVERGED if linear[1] > 0.0 and w_moves else AT_LIMIT) if regular else SINGULAR


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _least(curve, low, high, linear, A):  # type: ignore[no-untyped-def]
    """Return the logarithm of -w of least chi2 between two, by golden sections."""
    ends = low, high
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left = _best_linear(curve, -math.exp(left), linear, A)
    at_right = _best_linear(curve, -math.exp(right), linear, A)
    for _ in range(_SECTIONS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = _best_linear(curve, -math.exp(left), linear, A)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = _best_linear(curve, -math.exp(right), linear, A)
    best, least = (left, at_left) if at_left < at_right else (right, at_right)
    for end in ends:
        if _best_linear(curve, -math.exp(end), linear, A) < least:
            best, least = end, -math.inf
    return best


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _best_linear(curve, w, linear, A):  # type: ignore[no-untyped-def]
    """Fill c, r and k of least chi2 for a rate, c and r not negative; return that chi2."""
    least, trial = math.inf, np.empty(3)
    for without in range(4):
        # All three; without c, without r, without both: the first in which neither is negative, of the two the better.
        with_c, with_r = without in (0, 2), without in (0, 1)
        if without == 3 and least < math.inf:
            break
        chi2 = _solve(curve, w, with_c, with_r, trial, A)
        if trial[0] >= 0.0 and trial[1] >= 0.0 and chi2 < least:
            least = chi2
            for k in range(3):
                linear[k] = trial[k]
            if without == 0:
                break
    return least


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def _solve(curve, w, with_c, with_r, out, A):  # type: ignore[no-untyped-def]
    """Fill the best c, r and k, some of them 0; return chi2, infinite where the epochs do not tell them."""
    s, y, e = curve
    # Into numbers, not into A: where that lies in memory would decide how the loop is compiled, and how it rounds.
    ww, wE, wEE, ws, wEs, wss, wy, wEy, wsy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(s.size):
        weight, early = 1.0 / (e[i] * e[i]), math.exp(w * s[i]) if with_c else 0.0
        late = s[i] if with_r else 0.0
        ww += weight
        wE += weight * early
        wEE += weight * early * early
        ws += weight * late
        wEs += weight * late * early
        wss += weight * late * late
        wy += weight * y[i]
        wEy += weight * early * y[i]
        wsy += weight * late * y[i]
    A[0, 0], A[1, 0], A[2, 0] = ww, wE, ws
    A[1, 1], A[2, 1], A[2, 2] = wEE if with_c else 1.0, wEs, wss if with_r else 1.0
    b = np.array([wy, wEy, wsy])
    if not cholesky(A, 3):
        return math.inf
    forward(A, 3, b)
    backward(A, 3, b)
    out[0], out[1], out[2] = b[1], b[2], b[0]
    chi2 = 0.0
    for i in range(s.size):
        residual = (y[i] - out[2] - out[1] * s[i] - (out[0] * math.exp(w * s[i]) if with_c else 0.0)) / e[i]
        chi2 += residual * residual
    return chi2


@numba.njit(cache=True, nogil=True)
def _turn(w, linear, r_moves, w_moves):  # type: ignore[no-untyped-def]
    """Return the derivatives of a, w, t0 and m0 by c, w, r and k, none by what is at a limit."""
    c, r, _ = linear
    log_c, turn = math.log(c), np.zeros((4, 4))
    turn[0, 1], turn[0, 2] = r / (w * w), -1.0 / w
    turn[1, 1] = 1.0
    turn[2, 0], turn[2, 1] = -1.0 / (c * w), log_c / (w * w)
    turn[3, 0], turn[3, 1], turn[3, 2], turn[3, 3] = r * turn[2, 0], r * turn[2, 1], -log_c / w, 1.0
    for p in range(4):
        turn[p, 1] *= w_moves
        turn[p, 2] *= r_moves
    return turn


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _errors(curve, w, linear, r_moves, w_moves, A, sigma):  # type: ignore[no-untyped-def]
    """Fill the standard errors of a, w, t0 and m0; return whether the epochs tell all that are off their limits."""
    s, _, e = curve
    turn = _turn(w, linear, r_moves, w_moves)
    slope, H = np.zeros(4), A[0]
    H[:] = 0.0
    for i in range(s.size):
        early = math.exp(w * s[i])
        slope[0], slope[3] = early / e[i], 1.0 / e[i]
        slope[1] = linear[0] * s[i] * early / e[i] if w_moves else 0.0
        slope[2] = s[i] / e[i] if r_moves else 0.0
        for k in range(4):
            for j in range(k + 1):
                H[k, j] += slope[k] * slope[j]
    size = np.empty(4)
    for k in range(4):
        size[k] = math.sqrt(H[k, k]) if H[k, k] > 0.0 else 1.0
        for j in range(k):
            H[k, j] /= size[k] * size[j]
        H[k, k] = 1.0
    if not cholesky(H, 4):
        return False
    inverse(H, 4, A[1], A[2])
    for p in range(4):
        variance = 0.0
        for k in range(4):
            for j in range(4):
                variance += turn[p, k] * turn[p, j] * A[2, max(k, j), min(k, j)] / (size[k] * size[j])
        sigma[p] = math.sqrt(variance)
    sigma[0] = sigma[0] if r_moves else math.nan
    sigma[1] = sigma[1] if w_moves else math.nan
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all_tails(time, mags, errors, offsets, out):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        brightest = offsets[c]
        for i in range(offsets[c], offsets[c + 1]):
            if mags[i] < mags[brightest]:
                brightest = i
        W, X, Y, n = 0.0, 0.0, 0.0, 0
        XX, XY, YY = 0.0, 0.0, 0.0
        for i in range(offsets[c], offsets[c + 1]):
            after = time[i] - time[brightest]
            if 0.0 < after <= TAIL_DAYS:
                # About the peak, so that no digits are lost in the differences of the sums.
                x, y = 2.5 * math.log10(1.0 + after / TAIL_SHIFT_DAYS), mags[i] - mags[brightest]
                weight = 1.0 / (errors[i] * errors[i])
                n += 1
                W += weight
                X += weight * x
                Y += weight * y
                XX += weight * x * x
                XY += weight * x * y
                YY += weight * y * y
        spread = XX - X * X / W
        if n < 2 or not spread > 1e-12 * XX:
            continue
        both = XY - X * Y / W
        out[c, 0], out[c, 1] = both / spread, 1.0 / math.sqrt(spread)
        if n > 2:
            out[c, 2] = max(YY - Y * Y / W - both * both / spread, 0.0) / (n - 2)
