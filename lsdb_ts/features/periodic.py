"""Periods over all bands, and the Fourier series of each band at the best one.

The search itself lives in ``kernels/periods/search.py``. An object that is not searched (too few epochs, or
constant: see ``PeriodSearch``) has null in all of them but ``period_quality``, which says why.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import VALUE, BandFeature, ObjectFeature

_MODEL = "VanderPlas and Ivezic 2015, ApJ 812, 18, regularised multiband series"
_ALIASES = "VanderPlas 2018, ApJS 236, 16, section 7"
_FOURIER = "Simon and Lee 1981, ApJ 248, 291"
_ALERCE = "Sanchez-Saez et al. 2021, AJ 161, 141"


class _Periodic:
    """What comes from the period search."""

    needs_period: ClassVar[bool] = True
    version: ClassVar[int] = 4


class _RankedPeriod(_Periodic):
    """One of the periods of the search."""

    rank: ClassVar[int]

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the periods."""
        return _best(curves.periods.period_days, self.rank)


class Period(_RankedPeriod, ObjectFeature):
    """Most probable period: the highest evidence of a harmonic series, among the peaks of the shared-phase power.

    Twice a period wins over the period where minima (or maxima) of two sizes take turns.
    """

    name, unit, min_epochs, reference = "period", "d", 3, _MODEL
    rank: ClassVar[int] = 1


class Period2(_RankedPeriod, ObjectFeature):
    """Second most probable period, distinct from the first by more than one peak width: often an alias of it."""

    name, unit, min_epochs, reference = "period_2", "d", 3, _MODEL
    rank: ClassVar[int] = 2


class Period3(_RankedPeriod, ObjectFeature):
    """Third most probable period, distinct from the first two by more than one peak width."""

    name, unit, min_epochs, reference = "period_3", "d", 3, _MODEL
    rank: ClassVar[int] = 3


class Period4(_RankedPeriod, ObjectFeature):
    """Fourth most probable period, distinct from the others by more than one peak width."""

    name, unit, min_epochs, reference = "period_4", "d", 3, _MODEL
    rank: ClassVar[int] = 4


class Period5(_RankedPeriod, ObjectFeature):
    """Fifth most probable period, distinct from the others by more than one peak width."""

    name, unit, min_epochs, reference = "period_5", "d", 3, _MODEL
    rank: ClassVar[int] = 5


class _RankedAlias(_Periodic):
    """Which alias of the best period another is."""

    rank: ClassVar[int]

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the codes."""
        return _best(curves.periods.alias, self.rank)


class PeriodAlias2(_RankedAlias, ObjectFeature):
    """Which alias of ``period`` ``period_2`` is.

    0 none, 1 day, 2 year, 3 lunar month, 4 half, 5 double, 6 another ratio of small whole numbers, 7 day alias of
    half or double (``lsdb_ts.kernels.periods.aliases.Alias``).
    """

    name, unit, min_epochs, reference = "period_alias_2", "1", 3, _ALIASES
    rank: ClassVar[int] = 2


class PeriodAlias3(_RankedAlias, ObjectFeature):
    """Which alias of ``period`` ``period_3`` is, in the codes of ``period_alias_2``."""

    name, unit, min_epochs, reference = "period_alias_3", "1", 3, _ALIASES
    rank: ClassVar[int] = 3


class PeriodAlias4(_RankedAlias, ObjectFeature):
    """Which alias of ``period`` ``period_4`` is, in the codes of ``period_alias_2``."""

    name, unit, min_epochs, reference = "period_alias_4", "1", 3, _ALIASES
    rank: ClassVar[int] = 4


class PeriodAlias5(_RankedAlias, ObjectFeature):
    """Which alias of ``period`` ``period_5`` is, in the codes of ``period_alias_2``."""

    name, unit, min_epochs, reference = "period_alias_5", "1", 3, _ALIASES
    rank: ClassVar[int] = 5


class PeriodQuality(_Periodic, ObjectFeature):
    """What makes the best period doubtful, as a sum of bits; 0 where nothing does; where it is null, why it is.

    1 few epochs, 2 few cycles seen, 4 the times repeat with it, 8 poor fit, 16 gap in phase, 32 a rival less than 20
    times less probable, 64 at an end of the range, 128 may be white noise, 256 near the shortest searched, shorter ones
    were not, 512 constant, not searched, 1024 may be red noise, 2048 twice the period is as good: its cycle may be one
    of two eclipses (``lsdb_ts.kernels.periods.aliases.Quality``).
    """

    name, unit, min_epochs, reference = "period_quality", "1", 1, _ALIASES

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the sums of bits."""
        return curves.periods.quality


class PeriodFrequencies(_Periodic, ObjectFeature):
    """Number of frequencies at which the power was computed."""

    name, unit, min_epochs, reference = "period_n_frequencies", "1", 3, _ALIASES

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the numbers."""
        return curves.periods.n_frequencies


class PeriodEvidence(_Periodic, ObjectFeature):
    """Log evidence per epoch, ``ln(P(data | series at the period) / P(data | constant)) / n``."""

    name, unit, min_epochs, reference = "period_evidence", "1", 3, _MODEL

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the evidence."""
        return curves.periods.log_evidence[:, 0] / np.maximum(curves.counts.sum(axis=1), 1)


class PeriodMargin(_Periodic, ObjectFeature):
    """How far the period is ahead of the second: the difference of their log evidences over the first's.

    Near 0 the two are equally good, and the period may be an alias.
    """

    name, unit, min_epochs, reference = "period_margin", "1", 3, _MODEL

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the margins."""
        first, second = (_best(curves.periods.log_evidence, k) for k in (1, 2))
        return (first - second) / np.where(first > 0, first, np.nan)


class PeriodPower(_Periodic, ObjectFeature):
    """Highest shared-phase Lomb-Scargle power, 0 to 1, each band in units of its intrinsic scatter."""

    name, unit, min_epochs = "period_power", "1", 3
    reference = "VanderPlas and Ivezic 2015, ApJ 812, 18; model (1, 0), unless the search has another"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the powers."""
        return curves.periods.power


class PeriodFap(_Periodic, ObjectFeature):
    """Probability that white noise gives a power as high anywhere in the range: an upper limit.

    Noise that is correlated in time gives high powers far more often: see bit 1024 of ``period_quality``.
    """

    name, unit, min_epochs = "period_fap", "1", 3
    reference = "Baluev 2008, MNRAS 385, 1279"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the probabilities."""
        return curves.periods.false_alarm_probability


class PeriodJitter(_Periodic, ObjectFeature):
    """What the series at the best period leaves over beyond the errors, in units of the intrinsic scatter."""

    name, unit, min_epochs, reference = "period_jitter", "1", 3, _MODEL

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the jitters."""
        return curves.periods.jitter


class PeriodPhaseGap(_Periodic, ObjectFeature):
    """Longest part of the cycle without an epoch in any band, 0 to 1."""

    name, unit, min_epochs, reference = "period_phase_gap", "1", 3, "Dubath et al. 2011, MNRAS 414, 2602"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the gaps."""
        return curves.periods.phase_gap


class Ppe(_Periodic, ObjectFeature):
    """Pseudo-entropy of the periodogram, ``1 - H / ln 100`` of its 100 highest peaks: 0 where all are equally high."""

    name, unit, min_epochs, reference = "ppe", "1", 3, f"{_ALERCE}, PPE"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the pseudo-entropies."""
        return curves.periods.pseudo_entropy


class _PowerRate(_Periodic):
    """Power at a multiple of the best period over that at the best."""

    multiple: ClassVar[int]

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the ratios."""
        return curves.periods.power_rates[:, self.multiple]


class PowerRateQuarter(_PowerRate, ObjectFeature):
    """Shared-phase power at a quarter of the best period, over that at the best."""

    name, unit, min_epochs, reference = "power_rate_1_4", "1", 3, f"{_ALERCE}, Power_rate_1/4"
    multiple: ClassVar[int] = 0


class PowerRateThird(_PowerRate, ObjectFeature):
    """Shared-phase power at a third of the best period, over that at the best."""

    name, unit, min_epochs, reference = "power_rate_1_3", "1", 3, f"{_ALERCE}, Power_rate_1/3"
    multiple: ClassVar[int] = 1


class PowerRateHalf(_PowerRate, ObjectFeature):
    """Shared-phase power at half the best period, over that at the best."""

    name, unit, min_epochs, reference = "power_rate_1_2", "1", 3, f"{_ALERCE}, Power_rate_1/2"
    multiple: ClassVar[int] = 2


class PowerRate2(_PowerRate, ObjectFeature):
    """Shared-phase power at twice the best period, over that at the best."""

    name, unit, min_epochs, reference = "power_rate_2", "1", 3, f"{_ALERCE}, Power_rate_2"
    multiple: ClassVar[int] = 3


class PowerRate3(_PowerRate, ObjectFeature):
    """Shared-phase power at three times the best period, over that at the best."""

    name, unit, min_epochs, reference = "power_rate_3", "1", 3, f"{_ALERCE}, Power_rate_3"
    multiple: ClassVar[int] = 4


class PowerRate4(_PowerRate, ObjectFeature):
    """Shared-phase power at four times the best period, over that at the best."""

    name, unit, min_epochs, reference = "power_rate_4", "1", 3, f"{_ALERCE}, Power_rate_4"
    multiple: ClassVar[int] = 5


class _Harmonic(_Periodic):
    """A number of one harmonic of each band's series."""

    harmonic: ClassVar[int]


class _Amplitude(_Harmonic):
    """Semi-amplitude of a harmonic."""

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the amplitudes."""
        return _amplitude(curves, self.harmonic)


class _Ratio(_Harmonic):
    """Amplitude of a harmonic over that of the fundamental."""

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the ratios."""
        return _ratio(curves, self.harmonic)


class _Phase(_Harmonic):
    """Phase of a harmonic less that of the fundamental as many times."""

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the phase differences."""
        return _phase(curves, self.harmonic)


class AmpH1(_Amplitude, BandFeature):
    """Semi-amplitude of the fundamental, ``A_1 = hypot(c_1, s_1)``."""

    name, unit, min_epochs, reference = "amp_h1", VALUE, 3, _FOURIER
    harmonic: ClassVar[int] = 1


class AmpH2(_Amplitude, BandFeature):
    """Semi-amplitude of the second harmonic, ``A_2 = hypot(c_2, s_2)``."""

    name, unit, min_epochs, reference = "amp_h2", VALUE, 3, _FOURIER
    harmonic: ClassVar[int] = 2


class AmpH3(_Amplitude, BandFeature):
    """Semi-amplitude of the third harmonic, ``A_3 = hypot(c_3, s_3)``."""

    name, unit, min_epochs, reference = "amp_h3", VALUE, 3, _FOURIER
    harmonic: ClassVar[int] = 3


class AmpH4(_Amplitude, BandFeature):
    """Semi-amplitude of the fourth harmonic, ``A_4 = hypot(c_4, s_4)``."""

    name, unit, min_epochs, reference = "amp_h4", VALUE, 3, _FOURIER
    harmonic: ClassVar[int] = 4


class R21(_Ratio, BandFeature):
    """Amplitude ratio of the second harmonic, ``A_2 / A_1``."""

    name, unit, min_epochs, reference = "r21", "1", 3, _FOURIER
    harmonic: ClassVar[int] = 2


class R31(_Ratio, BandFeature):
    """Amplitude ratio of the third harmonic, ``A_3 / A_1``."""

    name, unit, min_epochs, reference = "r31", "1", 3, _FOURIER
    harmonic: ClassVar[int] = 3


class R41(_Ratio, BandFeature):
    """Amplitude ratio of the fourth harmonic, ``A_4 / A_1``."""

    name, unit, min_epochs, reference = "r41", "1", 3, _FOURIER
    harmonic: ClassVar[int] = 4


class Phi21(_Phase, BandFeature):
    """Phase difference of harmonic 2, ``phi_2 - 2 phi_1`` in [0, 2 pi), for ``A_k cos(2 pi k f t + phi_k)``."""

    name, unit, min_epochs, reference = "phi21", "rad", 3, _FOURIER
    harmonic: ClassVar[int] = 2


class Phi31(_Phase, BandFeature):
    """Phase difference of harmonic 3, ``phi_3 - 3 phi_1`` in [0, 2 pi), for ``A_k cos(2 pi k f t + phi_k)``."""

    name, unit, min_epochs, reference = "phi31", "rad", 3, _FOURIER
    harmonic: ClassVar[int] = 3


class Phi41(_Phase, BandFeature):
    """Phase difference of harmonic 4, ``phi_4 - 4 phi_1`` in [0, 2 pi), for ``A_k cos(2 pi k f t + phi_k)``."""

    name, unit, min_epochs, reference = "phi41", "rad", 3, _FOURIER
    harmonic: ClassVar[int] = 4


def _best(ranked: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return what belongs to the k-th best period, shape (n_objects,); NaN beyond those that were asked for."""
    return ranked[:, k - 1] if k <= ranked.shape[1] else np.full(ranked.shape[0], np.nan)


def _harmonic(curves: LightCurves, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cosine and sine amplitudes of a harmonic, shape (n_objects, n_bands) each; NaN beyond the last."""
    series = curves.periods.series
    if 2 * k > series.shape[2]:
        nothing = np.full_like(series[:, :, 0], np.nan)
        return nothing, nothing
    return series[:, :, 2 * k - 2], series[:, :, 2 * k - 1]


def _amplitude(curves: LightCurves, k: int) -> NDArray[np.float64]:
    return np.hypot(*_harmonic(curves, k))


def _ratio(curves: LightCurves, k: int) -> NDArray[np.float64]:
    first = _amplitude(curves, 1)
    return _amplitude(curves, k) / np.where(first > 0, first, np.nan)


def _phase(curves: LightCurves, k: int) -> NDArray[np.float64]:
    (c1, s1), (ck, sk) = _harmonic(curves, 1), _harmonic(curves, k)
    return np.mod(np.arctan2(-sk, ck) - k * np.arctan2(-s1, c1), 2.0 * np.pi)
