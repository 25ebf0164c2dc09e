"""Periods over all bands, and the Fourier series of each band at the best one.

The search itself lives in ``kernels/periods.py``. An object that is not searched (too few epochs, or
constant: see ``PeriodSearch``) has null in all of them.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import VALUE, BandFeature, ObjectFeature

_MODEL = "VanderPlas and Ivezic 2015, ApJ 812, 18, regularised multiband series"


class _Periodic:
    """What comes from the period search."""

    needs_period: ClassVar[bool] = True


class Period(_Periodic, ObjectFeature):
    """Most probable period: the highest evidence of a harmonic series, among the peaks of the shared-phase power."""

    name, unit, min_epochs, reference = "period", "d", 3, _MODEL

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the periods."""
        return _best(curves.periods.period_days, 1)


class Period2(_Periodic, ObjectFeature):
    """Second most probable period, distinct from the first by more than one peak width: often an alias of it."""

    name, unit, min_epochs, reference = "period_2", "d", 3, _MODEL

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the periods."""
        return _best(curves.periods.period_days, 2)


class Period3(_Periodic, ObjectFeature):
    """Third most probable period, distinct from the first two by more than one peak width."""

    name, unit, min_epochs, reference = "period_3", "d", 3, _MODEL

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the periods."""
        return _best(curves.periods.period_days, 3)


class PeriodEvidence(_Periodic, ObjectFeature):
    """Log evidence per epoch, ``ln(P(data | series at the period) / P(data | constant)) / n``."""

    name, unit, min_epochs, reference = "period_evidence", "1", 3, _MODEL

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the evidence."""
        return curves.periods.log_evidence[:, 0] / np.maximum(curves.counts.sum(axis=1), 1)


class PeriodMargin(_Periodic, ObjectFeature):
    """How far the period is ahead of the second: the difference of their log evidences over the first's.

    Near 0 (or below, for a period twice that of a peak) the two are equally good, and the period may be an alias.
    """

    name, unit, min_epochs, reference = "period_margin", "1", 3, _MODEL

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the margins."""
        first, second = (_best(curves.periods.log_evidence, k) for k in (1, 2))
        return (first - second) / np.where(first > 0, first, np.nan)


class PeriodPower(_Periodic, ObjectFeature):
    """Highest shared-phase Lomb-Scargle power, 0 to 1, each band in units of its intrinsic scatter."""

    name, unit, min_epochs = "period_power", "1", 3
    reference = "VanderPlas and Ivezic 2015, ApJ 812, 18, model (1, 0)"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the powers."""
        return curves.periods.power


class PeriodFap(_Periodic, ObjectFeature):
    """Probability that noise gives a power as high anywhere in the range: an upper limit for white noise."""

    name, unit, min_epochs = "period_fap", "1", 3
    reference = "Baluev 2008, MNRAS 385, 1279"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the probabilities."""
        return curves.periods.false_alarm_probability


class AmpH1(_Periodic, BandFeature):
    """Semi-amplitude of the fundamental, ``A_1 = hypot(c_1, s_1)``."""

    name, unit, min_epochs, reference = "amp_h1", VALUE, 3, "Simon and Lee 1981, ApJ 248, 291"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the amplitudes."""
        return _amplitude(curves, 1)


class AmpH2(_Periodic, BandFeature):
    """Semi-amplitude of the second harmonic, ``A_2 = hypot(c_2, s_2)``."""

    name, unit, min_epochs, reference = "amp_h2", VALUE, 3, "Simon and Lee 1981, ApJ 248, 291"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the amplitudes."""
        return _amplitude(curves, 2)


class R21(_Periodic, BandFeature):
    """Amplitude ratio of the second harmonic, ``A_2 / A_1``."""

    name, unit, min_epochs, reference = "r21", "1", 3, "Simon and Lee 1981, ApJ 248, 291"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the ratios."""
        return _ratio(curves, 2)


class R31(_Periodic, BandFeature):
    """Amplitude ratio of the third harmonic, ``A_3 / A_1``."""

    name, unit, min_epochs, reference = "r31", "1", 3, "Simon and Lee 1981, ApJ 248, 291"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the ratios."""
        return _ratio(curves, 3)


class Phi21(_Periodic, BandFeature):
    """Phase difference of harmonic 2, ``phi_2 - 2 phi_1`` in [0, 2 pi), for ``A_k cos(2 pi k f t + phi_k)``."""

    name, unit, min_epochs, reference = "phi21", "rad", 3, "Simon and Lee 1981, ApJ 248, 291"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the phase differences."""
        return _phase(curves, 2)


class Phi31(_Periodic, BandFeature):
    """Phase difference of harmonic 3, ``phi_3 - 3 phi_1`` in [0, 2 pi), for ``A_k cos(2 pi k f t + phi_k)``."""

    name, unit, min_epochs, reference = "phi31", "rad", 3, "Simon and Lee 1981, ApJ 248, 291"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the phase differences."""
        return _phase(curves, 3)


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
