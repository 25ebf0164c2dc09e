"""Statistics of one curve's values as they follow one another in time.

What does not depend on the sequence lives in ``ranked.py`` and ``statistics.py``. Every function fills
``out``, whose places are named in ``statistics.py``, and leaves alone what is not defined.
"""

from __future__ import annotations

import math

import numba

_SHORTEST_GAP_DAYS = 0.5
"""Gaps below this count as this in our eta_e: pairs within one night would drown all others."""
_TREND_EPOCHS = 30


@numba.njit(cache=True, nogil=True, error_model="numpy")
def cadence(t, out):  # type: ignore[no-untyped-def]
    """Fill t_first, t_last, duration, dt_max."""
    n = t.size
    out[0], out[1], out[2] = t[0], t[n - 1], t[n - 1] - t[0]
    if n > 1:
        longest = 0.0
        for i in range(1, n):
            longest = max(longest, t[i] - t[i - 1])
        out[3] = longest


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def steps(t, x, mean, sigma, out):  # type: ignore[no-untyped-def]
    """Fill max_slope, signed and absolute; eta; eta_e, ours, of light_curve and of alerce; rcs, of n - 1 and of n."""
    n = x.size
    if n < 2:
        return
    rise, fall = -math.inf, -math.inf
    squares, floored, floors, bare, bares = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(1, n):
        dt, dx2 = t[i] - t[i - 1], (x[i] - x[i - 1]) ** 2
        w, v = 1.0 / max(dt, _SHORTEST_GAP_DAYS) ** 2, 1.0 / (dt * dt)
        squares += dx2
        floored += w * dx2
        floors += w
        bare += v * dx2
        bares += v
    for i in range(1, n):
        dt, dx = t[i] - t[i - 1], x[i] - x[i - 1]
        if dt > 0.0:
            rise, fall = max(rise, dx / dt), max(fall, -dx / dt)
    if rise > -math.inf:
        out[0], out[1] = rise, max(rise, fall)
    if not sigma > 0.0:
        return
    variance, span = sigma * sigma, t[n - 1] - t[0]
    out[2] = squares / ((n - 1) * variance)
    out[3] = floored / (variance * floors)
    out[4] = span * span / (n - 1.0) ** 3 * bare / variance
    out[5] = bare / (variance * bares) * n / (n - 1.0)
    low, high, running = math.inf, -math.inf, 0.0
    for i in range(n):
        running += x[i] - mean
        low, high = min(low, running), max(high, running)
    out[6] = (high - low) / (n * sigma)
    out[7] = out[6] * math.sqrt(n / (n - 1.0))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def runs(x, mean, sigma, out):  # type: ignore[no-untyped-def]
    """Fill con, of one side and of both; pair_slope_trend, and that of alerce: equal neighbours count as falls."""
    n = x.size
    if n > 2 and sigma > 0.0:
        far, one_side, any_side, beyond, side_run, last = 2.0 * sigma, 0, 0, 0, 0, 0
        far_n = far * math.sqrt((n - 1.0) / n)
        for i in range(n):
            d = x[i] - mean
            side = 1 if d > far else (-1 if d < -far else 0)
            side_run = side_run + 1 if side != 0 and side == last else abs(side)
            beyond = beyond + 1 if abs(d) > far_n else 0
            last = side
            one_side += side_run >= 3
            any_side += beyond >= 3
        out[0], out[1] = one_side / (n - 2), any_side / (n - 2)
    if n > 1:
        up, down, level = 0, 0, 0
        for i in range(max(n - _TREND_EPOCHS, 0) + 1, n):
            up += x[i] > x[i - 1]
            down += x[i] < x[i - 1]
            level += x[i] == x[i - 1]
        out[2], out[3] = (up - down) / _TREND_EPOCHS, (up - down - level) / _TREND_EPOCHS


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def line(t, x, w, mean_w, mean, out):  # type: ignore[no-untyped-def]
    """Fill the weighted straight line: slope, its error, value at time 0, reduced chi2; and the plain slope."""
    n = t.size
    if n < 2 or not t[n - 1] > t[0]:
        return
    W, T, S = 0.0, 0.0, 0.0
    for i in range(n):
        d = t[i] - t[0]
        W += w[i]
        T += w[i] * d
        S += d
    middle, centre = T / W, S / n
    tt, tx, plain_tt, plain_tx = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        d, p = t[i] - t[0] - middle, t[i] - t[0] - centre
        tt += w[i] * d * d
        tx += w[i] * d * (x[i] - mean_w)
        plain_tt += p * p
        plain_tx += p * (x[i] - mean)
    slope = tx / tt
    out[0], out[1] = slope, 1.0 / math.sqrt(tt)
    out[2] = mean_w - slope * (t[0] + middle)
    out[4] = plain_tx / plain_tt
    if n > 2:
        chi2 = 0.0
        for i in range(n):
            chi2 += w[i] * (x[i] - mean_w - slope * (t[i] - t[0] - middle)) ** 2
        out[3] = chi2 / (n - 2)
