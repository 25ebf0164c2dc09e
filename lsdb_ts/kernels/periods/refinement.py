"""The second stage of the period search: harmonic fits of the best peaks of one object, and their ranking.

Three steps, each for fewer frequencies than the one before: the evidence with fixed weights around every peak; the
evidence with fitted noise for the leaders, averaged over models that are equally probable before (more harmonics and
fewer, or the kinds of stars that the objects may be); and for the best also whether their cycles are of two sizes that
take turns, because two unequal eclipses look like two cycles of one. What is fitted stands in ``fourier.py``,
``likelihood.py`` and ``templates.py``.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from lsdb_ts.kernels.periods.eclipses import eclipses, farthest, series_at
from lsdb_ts.kernels.periods.fourier import log_evidence, residuals, series_prior
from lsdb_ts.kernels.periods.likelihood import seasons, student_evidence
from lsdb_ts.kernels.periods.templates import MAGNITUDES_A_FLUX, expected_shape

_LOCAL_STEP = 0.4
"""Step of the local search, in units of 1 / (n_harmonics * baseline): near enough for the fits, which move."""
_REACH = 0.05
"""How far a frequency may move in a round, in units of 1 / baseline."""
_LEADERS = 12
"""Most peaks whose noise is fitted."""
_HOPELESS = 12.0
"""Leaders whose log odds are so much below the best, with one model, are not tried with others."""
_HALVED = 5
"""Leaders that are tried with all models in any case, and also at twice their period."""
_SIZES = 0.3
"""Prior standard deviation of how far the sizes of even and odd cycles are from their mean, relative to it."""
_VISIT_DAYS = 0.01
"""Measurements so close are of one visit: what the model lacks, they lack together, so they count as one."""
_DISTINCT = 1.0
"""Two periods are distinct when their frequencies differ by more than this, in units of 1 / baseline."""
_ROUNDS, _MORE_ROUNDS, _SIZE_ROUNDS = 6, 8, 4
"""Rounds of fitting the noise: with one model, with all of them, and with cycles of two sizes."""
_SIZES_FITTED = 2
"""Times the two sizes are fitted."""
_NO_SHAPE = (np.zeros(0), np.zeros((0, 0)))
"""Where nothing is known of the shape."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def refine(data, centres, step, limits, how, periods, odds):  # type: ignore[no-untyped-def]
    """Fit harmonics around each frequency, fill the most probable distinct periods and their log odds.

    Parameters
    ----------
    data : tuple
        Epochs from 0, scaled values, their variances, offsets.
    centres : numpy.ndarray
        Frequencies of the peaks.
    step : float
        Step of the grid they come from.
    limits : (float, float)
        Lowest and highest frequency allowed.
    how : tuple
        Number of harmonics; numbers of harmonics that are averaged over; error floor; log odds of doubled periods;
        standard deviation of a season's phase; kinds of stars expected (may be none), see ``kinds.arrays``; the unit of
        the scaled values in magnitudes; the amplitude that 1 stands for, in magnitudes or relative to the flux; whether
        they are fluxes.
    periods, odds : numpy.ndarray
        Filled; log odds are of the harmonic model against constant bands.

    Returns
    -------
    frequency, jitter : float
        Of the best one; frequency 0 where there is none.
    may_double : bool
        Whether the best one's cycle can be one of two equal eclipses; False where kinds of stars are expected.
    """
    t, x, variances, offsets = data
    n_harmonics, orders, floor, double_odds, season_phase, kinds, unit, amplitude, is_flux = how
    prior = series_prior(n_harmonics)
    baseline = t.max()
    width = _LOCAL_STEP / (n_harmonics * baseline)
    w = 1.0 / (variances + floor * floor)
    near_peaks = _local_search((t, x, w, offsets), centres, (step, width), limits, prior)
    leaders = _leading(near_peaks, _DISTINCT / baseline)
    n, n_bands = leaders.size, offsets.size - 1
    frequency, odd, jitter = np.zeros(2 * n), np.full(2 * n, -np.inf), np.zeros(2 * n)
    share = visits(t) / t.size
    fit = (np.zeros(2 * n_harmonics), np.zeros((n_bands, 2 * n_harmonics)))
    reach = _REACH / baseline
    noise, plain = w.copy(), (prior, *_NO_SHAPE, 0.0, 0.0)
    epochs = (t, x, variances, offsets, seasons(t))
    constant, _, _ = student_evidence(epochs, 0.0, plain, floor * floor, _ROUNDS, noise, fit)
    first, size, jitter2 = np.zeros(n), np.zeros(n), np.zeros(n)
    for k in range(n):
        noise[:] = w
        moving = (prior, *_NO_SHAPE, 0.0, reach)
        first[k], jitter2[k], frequency[k] = student_evidence(
            epochs, leaders[k], moving, floor * floor, _ROUNDS, noise, fit
        )
        size[k] = amplitude * max(math.hypot(fit[0][0], fit[0][1]), 1e-30) * (MAGNITUDES_A_FLUX if is_flux else 1.0)
    about = (season_phase, reach, share, is_flux)
    best = _descending(first)
    for place in range(n):
        k = best[place]
        if place < _HALVED or share * (first[best[0]] - first[k]) < _HOPELESS:
            of_star = (math.log(size[k]), jitter2[k])
            total, jitter[k], frequency[k] = _averaged(epochs, frequency[k], orders, kinds, about, of_star, w)
            # A fit may have moved past the end of the range.
            frequency[k] = min(max(frequency[k], limits[0]), limits[1])
            odd[k] = total - share * constant
    if kinds[0].size == 0:
        # The shape of a kind tells by itself: of two equal cycles it is that of no star.
        _discount_doubles(frequency[:n], odd[:n], double_odds, _DISTINCT / baseline)
    best, may_double = _descending(odd[:n]), np.zeros(2 * n, np.bool_)
    for place in range(min(n, _HALVED)):
        k = best[place]
        f = frequency[k]
        if 0.5 * f >= limits[0]:
            gain, jitter[n + k], error = _of_two_sizes(epochs, f, plain, jitter2[k], noise, fit)
            frequency[n + k] = 0.5 * f
            by_shape, may_double[k] = eclipses(fit[0], error, unit, amplitude, is_flux)
            odd[n + k] = odd[k] + share * gain + double_odds + by_shape
    found = _take_distinct(frequency, odd, _DISTINCT / baseline, periods, odds)
    if found < 0:
        return 0.0, 0.0, False
    return frequency[found], jitter[found], may_double[found] and kinds[0].size == 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _averaged(epochs, f, orders, kinds, about, of_star, w):  # type: ignore[no-untyped-def]
    """Return the log evidence (times ``share``) averaged over models, and jitter and frequency of the best one.

    The models are numbers of harmonics, which are equally probable before: a star of few epochs cannot afford the
    harmonics that a steep rise needs, a nearly round curve needs few. Where kinds of stars are expected, each number
    stands once for each kind.
    """
    (season_phase, reach, share, is_flux), (log_amplitude, jitter2) = about, of_star
    n_bands, n_kinds = epochs[3].size - 1, kinds[0].size
    value = np.full(orders.size * max(n_kinds, 1), -np.inf)
    jitter, best, prior_odds, shape, precision = 0.0, f, 0.0, np.zeros(0), np.zeros((0, 0))
    for place in range(value.size):
        order = orders[place // max(n_kinds, 1)]
        if n_kinds > 0:
            kind = place % n_kinds
            prior_odds, shape = expected_shape(kinds, kind, -math.log(f), log_amplitude, is_flux)
            precision = kinds[4][kind]
        noise, fit = w.copy(), (np.zeros(2 * order), np.zeros((n_bands, 2 * order)))
        model = (series_prior(order), shape, precision, season_phase, reach)
        e, left, own = student_evidence(epochs, f, model, jitter2, _MORE_ROUNDS, noise, fit)
        value[place] = prior_odds + share * e
        if value[place] >= value.max():
            jitter, best = math.sqrt(left), own
    highest = value.max()
    return highest + math.log(np.exp(value - highest).sum() / orders.size), jitter, best


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _of_two_sizes(epochs, f, model, jitter2, w, fit):  # type: ignore[no-untyped-def]
    """Return by how much the log evidence grows if even and odd cycles have sizes 1 + a and 1 - a; jitter and error.

    A cycle is counted from half a period before its deepest point to half a period after it, and the size is that of
    the series about its value there: for two eclipses, a is half the difference of their depths over the mean depth.
    The error is that of an amplitude of the series, from what is left over: measured errors may be too large.
    """
    t, x, variances, offsets, season = epochs
    shared_series, series = fit
    w[:] = 1.0 / (variances + jitter2)
    equal, _, _ = student_evidence(epochs, f, model, jitter2, _SIZE_ROUNDS, w, fit)
    edge = (farthest(shared_series) + 0.5) % 1.0
    turns = np.empty(t.size)
    for b in range(offsets.size - 1):
        level = series_at(series[b], edge)
        for i in range(offsets[b], offsets[b + 1]):
            cycle = math.floor(f * t[i] - edge)
            size = series_at(series[b], (f * t[i]) % 1.0) - level
            turns[i] = size if cycle % 2 == 0 else -size
    a, square, changed, left = 0.0, 0.0, x.copy(), np.empty(t.size)
    unequal = equal
    for _ in range(_SIZES_FITTED):
        residuals(t, x, w, offsets, f, series, left)
        square, along = 0.0, 0.0
        for i in range(t.size):
            square += w[i] * turns[i] * turns[i]
            along += w[i] * turns[i] * left[i]
        a = along / (square + 1.0 / _SIZES**2)
        for i in range(t.size):
            changed[i] = x[i] - a * turns[i]
        again = (t, changed, variances, offsets, season)
        unequal, jitter2, _ = student_evidence(again, f, model, jitter2, _SIZE_ROUNDS, w, fit)
    volume = -0.5 * (a / _SIZES) ** 2 - 0.5 * math.log1p(square * _SIZES**2)
    residuals(t, changed, w, offsets, f, series, left)
    # A band's own series, which is held near the shared one, takes about as much freedom as one harmonic.
    n_bands = offsets.size - 1
    taken = n_bands + shared_series.size + 2 * (n_bands - 1)
    left_over = (w * left * left).sum() / max(t.size - taken, 0.5 * t.size)
    return unequal + volume - equal, math.sqrt(jitter2), math.sqrt(2.0 * left_over / w.sum())


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _local_search(curves, centres, steps, limits, prior):  # type: ignore[no-untyped-def]
    """Return the best frequency within half a grid step of each peak, and its evidence with fixed weights."""
    t, x, w, offsets = curves
    step, fine = steps
    reach = math.ceil(0.5 * step / fine)
    best_f, best_e = centres.copy(), np.full(centres.size, -np.inf)
    for c in range(centres.size):
        for k in range(-reach, reach + 1):
            f = centres[c] + k * fine
            if limits[0] <= f <= limits[1]:
                e = log_evidence(t, x, w, offsets, f, prior)
                if e > best_e[c]:
                    best_f[c], best_e[c] = f, e
    return best_f, best_e


@numba.njit(cache=True, nogil=True)
def _leading(found, near):  # type: ignore[no-untyped-def]
    """Return the frequencies of the most probable distinct peaks."""
    leaders, kept = np.empty(min(found[0].size, _LEADERS)), 0
    for c in _descending(found[1]):
        new = kept < leaders.size and found[1][c] > -np.inf
        for k in range(kept):
            new &= abs(found[0][c] - leaders[k]) > near
        if new:
            leaders[kept] = found[0][c]
            kept += 1
    return leaders[:kept]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _discount_doubles(frequency, odd, double_odds, near):  # type: ignore[no-untyped-def]
    """Add the log odds of doubled periods to those of every candidate whose half period is a candidate, too."""
    is_double = np.zeros(frequency.size, np.bool_)
    for k in range(frequency.size):
        for j in range(frequency.size):
            is_double[k] |= odd[j] > -np.inf and abs(2.0 * frequency[k] - frequency[j]) <= near
    for k in range(frequency.size):
        if is_double[k]:
            odd[k] += double_odds


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _take_distinct(frequency, odd, near, periods, odds):  # type: ignore[no-untyped-def]
    """Fill the most probable periods that are distinct; return the place of the first, -1 where there is none."""
    kept, best = 0, -1
    for c in _descending(odd):
        new = kept < periods.size and odd[c] > -np.inf
        for k in range(kept):
            new &= abs(frequency[c] - 1.0 / periods[k]) > near
        if new:
            best = c if kept == 0 else best
            periods[kept], odds[kept] = 1.0 / frequency[c], odd[c]
            kept += 1
    return best


@numba.njit(cache=True, nogil=True)
def visits(t):  # type: ignore[no-untyped-def]
    """Return how many times apart by more than a quarter of an hour there are."""
    ranked, count = np.sort(t), 1
    for i in range(1, t.size):
        count += ranked[i] - ranked[i - 1] > _VISIT_DAYS
    return count


@numba.njit(cache=True, nogil=True)
def _descending(values):  # type: ignore[no-untyped-def]
    """Return the places of a few values from the highest down (``np.argsort`` takes seconds to compile)."""
    places = np.arange(values.size)
    for i in range(1, values.size):
        at = i
        while at > 0 and values[places[at - 1]] < values[i]:
            places[at] = places[at - 1]
            at -= 1
        places[at] = i
    return places
