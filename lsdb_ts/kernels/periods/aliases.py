"""What speaks against a period: which alias of another it is, the window of the times, and gaps in its phase."""

from __future__ import annotations

import enum
import math

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

YEAR_DAYS = 365.25
LUNAR_DAYS = 29.530589
"""Synodic month."""
_DAY_WIDTH = 2.0 / YEAR_DAYS
"""Day aliases lie around whole cycles a day and a sidereal day, with those of the year beside them."""
_DAYS, _YEARS = 3, 2
"""Highest multiples looked for."""
_SLOW = 0.01
"""What is slower than this, in cycles a day, has its day aliases at whole cycles a day."""
_COARSEST = 0.1
"""However short the baseline, a frequency farther from a whole one is not near it."""


class Alias(enum.IntEnum):
    """How the frequency f of a period is related to f1 of the best one; codes of the features ``period_alias_k``."""

    NONE = 0
    """Not at all."""
    DAY = 1
    """``f = |f1 + n|`` or ``n - f1`` per day (solar or sidereal, to two per year), n up to 3."""
    YEAR = 2
    """``f = f1 + n`` per year, n up to 2."""
    LUNAR = 3
    """``f = f1 + 1`` per synodic month, or one less."""
    HALF = 4
    """Half the period, ``f = 2 f1``."""
    DOUBLE = 5
    """Twice the period, ``f = f1 / 2``."""
    RATIO = 6
    """Another ratio of small whole numbers: 3, 1/3, 3/2, 2/3."""
    DAY_OF_MULTIPLE = 7
    """Day alias of half or twice the period."""


class Quality(enum.IntFlag):
    """What makes a period doubtful; bits of the feature ``period_quality``, 0 where nothing does."""

    FEW_EPOCHS = 1
    """Fewer than 40 epochs, all bands together; where the period is null, too few to search."""
    SHORT_BASELINE = 2
    """Fewer than 3 cycles were seen; where the period is null, none of the shortest period."""
    WINDOW = 4
    """The times themselves repeat with this period (or half of it): their spectral window is above 0.3 there. So it may
    be near a whole number of cycles a day, where variation slower than 100 days has its aliases."""
    POOR_FIT = 8
    """The series leaves more than half of the intrinsic scatter over."""
    PHASE_GAP = 16
    """No epoch in more than a fifth of the cycle."""
    RIVAL = 32
    """Another period is less than 20 times less probable."""
    EDGE = 64
    """The period is at an end of the range that was searched."""
    FALSE_ALARM = 128
    """White noise gives so high a peak with a probability of more than 0.001."""
    GRID_CUT = 256
    """The grid had not points enough for the shortest periods, and this one is less than twice the shortest searched.
    Periods shorter than the grid's have aliases anywhere: ``period_n_frequencies`` at its limit tells of a cut."""
    CONSTANT = 512
    """The object does not vary beyond its errors, and was not searched: the period is null."""
    RED_NOISE = 1024
    """What the series leaves over is correlated from night to night, and noise so correlated gives so high a peak with
    a probability of more than 0.001."""
    DOUBLE = 2048
    """The cycle can be one of two equal eclipses, or of a pair in contact: twice the period is as good."""


def alias_classes(period_days: ArrayLike, baseline_days: ArrayLike) -> NDArray[np.int64]:
    """Tell which alias of the first period each is.

    Parameters
    ----------
    period_days : array_like, shape (n, k)
        Periods of each object, best first; NaN where there is none.
    baseline_days : array_like, shape (n,)
        Time from first to last epoch: two frequencies are equal to 1.5 of its inverse.

    Returns
    -------
    numpy.ndarray of int64, shape (n, k)
        Codes of :class:`Alias`; ``NONE`` for the first period and for none.

    >>> alias_classes([[0.6, 1 / (1 / 0.6 - 1.0027), 0.3, 0.123]], [1000.0]).tolist()
    [[0, 1, 4, 0]]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        f = 1.0 / np.asarray(period_days, dtype=float)
        near = 1.5 / np.asarray(baseline_days, dtype=float)[:, None]
        first = f[:, :1]
        day = _is_day_alias(f, first, near)
        of_multiple = _is_day_alias(f, 2.0 * first, 2.0 * near) | _is_day_alias(f, 0.5 * first, near)
        apart = np.abs(f - first)
        # Of a baseline shorter than a year the year's aliases are one peak with their star's.
        year = _among(apart, [n / YEAR_DAYS for n in range(1, _YEARS + 1)], near) & (near < 1.5 / YEAR_DAYS)
        lunar = np.abs(apart - 1.0 / LUNAR_DAYS) < near
        ratio = _among(f, [3.0 * first, first / 3.0, 1.5 * first, first / 1.5], near)
        half, double = np.abs(f - 2.0 * first) < 2.0 * near, np.abs(f - 0.5 * first) < near
    kinds = (Alias.HALF, Alias.DOUBLE, Alias.YEAR, Alias.LUNAR, Alias.DAY, Alias.RATIO, Alias.DAY_OF_MULTIPLE)
    codes = np.select([half, double, year, lunar, day, ratio, of_multiple], [int(k) for k in kinds], int(Alias.NONE))
    codes[:, :1] = int(Alias.NONE)
    return codes


def _among(f, places, near):  # type: ignore[no-untyped-def]
    return np.any([np.abs(f - place) < near for place in places], axis=0)


def _is_day_alias(f, first, near):  # type: ignore[no-untyped-def]
    close = near + _DAY_WIDTH
    return _among(f, [side * first + n for n in range(-_DAYS, _DAYS + 1) if n for side in (-1.0, 1.0)], close)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def window_power(t, w, frequency):  # type: ignore[no-untyped-def]
    """Return the spectral window of weighted times at a frequency: 1 where all have one phase, near 0 where any.

    >>> float(window_power(np.arange(10.0), np.ones(10), 1.0))
    1.0
    """
    c, s, W = 0.0, 0.0, 0.0
    for i in range(t.size):
        angle = 2.0 * math.pi * ((frequency * t[i]) % 1.0)
        c += w[i] * math.cos(angle)
        s += w[i] * math.sin(angle)
        W += w[i]
    return (c * c + s * s) / (W * W)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def day_window(t, w, frequency):  # type: ignore[no-untyped-def]
    """Return the highest spectral window near the whole number of cycles a day that a frequency is near; 0 elsewhere.

    Near is what slow variation has its aliases at; solar and sidereal days, and a year beside them, are tried.

    >>> nights = np.arange(300.0)
    >>> [round(float(day_window(nights, np.ones(300), f)), 1) for f in (1.004, 1.5, 2.99)]
    [1.0, 0.0, 1.0]
    """
    whole, near = round(frequency), min(_SLOW + 1.5 / max(t.max() - t.min(), 1e-3), _COARSEST)
    if whole < 1 or not -near < frequency - whole < near + whole / YEAR_DAYS:
        return 0.0
    highest = 0.0
    for k in range(-_YEARS, whole + _YEARS + 1):
        highest = max(highest, window_power(t, w, whole + k / YEAR_DAYS))
    return highest


@numba.njit(cache=True, nogil=True, error_model="numpy")
def widest_gap(t, frequency):  # type: ignore[no-untyped-def]
    """Return the longest part of the cycle without an epoch, 0 to 1.

    >>> float(widest_gap(np.array([0.0, 0.25, 0.5]), 1.0))
    0.5
    """
    phase = np.empty(t.size)
    for i in range(t.size):
        phase[i] = (frequency * t[i]) % 1.0
    ranked = np.sort(phase)
    gap = 1.0 - ranked[-1] + ranked[0]
    for i in range(1, ranked.size):
        gap = max(gap, ranked[i] - ranked[i - 1])
    return gap
