"""Each band folded at the best period of its object: how smooth it is, and what the Fourier series leaves over.

The period comes from ``periodic.py``; where there is none, all are null. The statistics live in
``kernels/periods/folding.py``, the second opinions beside them.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import BandFeature, ObjectFeature
from lsdb_ts.features.shared import once
from lsdb_ts.kernels.periods.folding import FOLD_STATISTICS, fold_statistics, own_periods
from lsdb_ts.kernels.periods.second_opinions import box_least_squares, conditional_entropy, phase_dispersion

_DUBATH = "Dubath et al. 2011, MNRAS 414, 2602"


class _Folded:
    """A column of ``kernels.periods.folding`` of the same name."""

    name: ClassVar[str]
    needs_period: ClassVar[bool] = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the statistic of every object and band."""
        return _folds(curves)[:, :, FOLD_STATISTICS.index(self.name)]


class PsiCs(_Folded, BandFeature):
    """Range of the cumulative sum in sequence of phase, ``max S - min S``.

    ``S_l = sum_{i <= l} (x_i - x_m) / (n s)``.
    """

    name, unit, min_epochs, reference = "psi_cs", "1", 3, "Kim et al. 2014, A&A 566, A43, Psi_CS"


class PsiEta(_Folded, BandFeature):
    """Von Neumann ratio in sequence of phase, ``sum (x_{i+1} - x_i)^2 / ((n - 1) s^2)``."""

    name, unit, min_epochs, reference = "psi_eta", "1", 3, "Kim et al. 2014, A&A 566, A43, Psi_eta"


class PsiCs2P(_Folded, BandFeature):
    """The same as ``psi_cs``, folded at twice the period; this is what ALeRCE calls Psi_CS."""

    name, unit, min_epochs, reference = "psi_cs_2p", "1", 3, "Sanchez-Saez et al. 2021, AJ 161, 141, Psi_CS"


class PsiEta2P(_Folded, BandFeature):
    """The same as ``psi_eta``, folded at twice the period; this is what ALeRCE calls Psi_eta."""

    name, unit, min_epochs, reference = "psi_eta_2p", "1", 3, "Sanchez-Saez et al. 2021, AJ 161, 141, Psi_eta"


class LaflerKinman(_Folded, BandFeature):
    """String length, ``(n - 1) / (2 n) sum (x_{i+1} - x_i)^2 / sum (x_i - x_m)^2`` around the whole cycle."""

    name, unit, min_epochs = "lafler_kinman", "1", 3
    reference = "Lafler and Kinman 1965, ApJS 11, 216; normalisation of Clarke 2002, A&A 386, 763"


class P2P2PRatio(_Folded, BandFeature):
    """Squared steps in sequence of phase at twice the period, over those in time: small for unequal eclipses."""

    name, unit, min_epochs, reference = "p2p_2p_ratio", "1", 3, _DUBATH


class P2PPRatio(_Folded, BandFeature):
    """Squared steps in sequence of phase at the period, over those in time."""

    name, unit, min_epochs, reference = "p2p_p_ratio", "1", 3, _DUBATH


class PhaseGap(_Folded, BandFeature):
    """Longest part of the cycle without an epoch of the band, 0 to 1."""

    name, unit, min_epochs, reference = "phase_gap", "1", 3, _DUBATH


class FourierRedchi2(_Folded, BandFeature):
    """Chi2 of what the series and its mean leave over, per degree of freedom, ``n - 2 K - 1`` for K harmonics."""

    name, unit, min_epochs, reference = (
        "fourier_redchi2",
        "1",
        3,
        "Sanchez-Saez et al. 2021, AJ 161, 141, Harmonics_mse",
    )


class VarRatio(_Folded, BandFeature):
    """Share of the weighted variance that the series leaves over."""

    name, unit, min_epochs, reference = "var_ratio", "1", 3, "Richards et al. 2011, ApJ 733, 10, varrat"


class MadRatio(_Folded, BandFeature):
    """Median absolute deviation of what the series leaves over, over that of the values."""

    name, unit, min_epochs, reference = "mad_ratio", "1", 3, f"{_DUBATH}, scatter: res/raw"


class DeltaPeriod(BandFeature):
    """How far the period that the band alone prefers of those found is from the best, ``|P_b - P|``."""

    name, unit, min_epochs, reference = "delta_period", "d", 8, "Sanchez-Saez et al. 2021, AJ 161, 141, delta_period"
    needs_period: ClassVar[bool] = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the differences."""
        period = curves.periods.period_days
        arrays = (curves.time_mjd, curves.values, curves.errors, curves.offsets)
        return np.abs(own_periods(*arrays, len(curves.bands), period, self.min_epochs) - period[:, :1])


class _Opinion:
    """What a method that knows no series says of the best period."""

    needs_period: ClassVar[bool] = True
    column: ClassVar[int]

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the statistic at the best period."""
        return _opinions(curves)[self.column][:, 0]


class PdmTheta(_Opinion, ObjectFeature):
    """Phase dispersion at the best period: scatter within bins of phase over the scatter of all, all bands together."""

    name, unit, min_epochs, reference = "pdm_theta", "1", 3, "Stellingwerf 1978, ApJ 224, 953"
    column: ClassVar[int] = 0


class ConditionalEntropy(_Opinion, ObjectFeature):
    """Entropy of brightness given phase at the best period, all bands together."""

    name, unit, min_epochs, reference = "conditional_entropy", "1", 3, "Graham et al. 2013, MNRAS 434, 2629"
    column: ClassVar[int] = 1


class BlsPower(_Opinion, ObjectFeature):
    """Share of the variance that one box takes away at the best period, a depth for each band."""

    name, unit, min_epochs, reference = "bls_power", "1", 3, "Kovacs, Zucker and Mazeh 2002, A&A 391, 369"
    column: ClassVar[int] = 2


class PeriodAgreement(ObjectFeature):
    """How many of phase dispersion, conditional entropy and box least squares like the best period best.

    Compared are the periods that the search reports, ``period`` to ``period_5``. 0 to 3.
    """

    name, unit, min_epochs, reference = "period_agreement", "1", 3, "Graham et al. 2013, MNRAS 434, 3423"
    needs_period: ClassVar[bool] = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the counts."""
        theta, entropy, box = _opinions(curves)
        costs = (np.nan_to_num(cost, nan=np.inf) for cost in (theta, entropy, -box))
        agree = sum((cost.argmin(axis=1) == 0).astype(float) for cost in costs)
        return np.where(np.isfinite(curves.periods.period_days[:, 0]), agree, np.nan)


@once
def _folds(curves: LightCurves) -> NDArray[np.float64]:
    """Return all statistics, shape (n_objects, n_bands, len(FOLD_STATISTICS))."""
    periods = curves.periods
    arrays = (curves.time_mjd, curves.values, curves.errors, curves.offsets)
    return fold_statistics(*arrays, periods.period_days[:, 0], periods.series)


@once
def _opinions(curves: LightCurves) -> tuple[NDArray[np.float64], ...]:
    """Return theta, entropy and box power at the reported periods, shape (n_objects, n_periods) each."""
    arrays = (curves.time_mjd, curves.values, curves.errors, curves.offsets, len(curves.bands))
    frequencies = 1.0 / curves.periods.period_days
    return tuple(method(*arrays, frequencies) for method in (phase_dispersion, conditional_entropy, box_least_squares))
