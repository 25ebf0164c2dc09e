"""How strongly the brightness varies, with and without regard to the errors.

The sequence in time is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import VALUE, BandFeature, Statistic

_ALERCE = "Sanchez-Saez et al. 2021, AJ 161, 141"
_LIGHT_CURVE = "Malanchev et al. 2021, MNRAS 502, 5147"
_RICHARDS = "Richards et al. 2011, ApJ 733, 10"
_HAZEN = "with quantiles at n q - 1/2, Hazen's rule"


@dataclass(frozen=True)
class Sigma(Statistic):
    """Standard deviation."""

    name, unit, min_epochs = "sigma", VALUE, 2
    reference = "Rubin DPDD (LSE-163), psfFluxSigma"
    definitions: ClassVar[Mapping[str, str]] = {
        "lsst": "``sqrt(sum((x - x_m)^2) / (n - 1))``; Rubin DPDD (LSE-163), psfFluxSigma",
        "light_curve": f"the same; {_LIGHT_CURVE}, StandardDeviation",
        "alerce": f"``sqrt(sum((x - x_m)^2) / n)``; {_ALERCE}, Std",
    }
    columns: ClassVar[Mapping[str, str]] = {"alerce": "sigma_alerce"}
    definition: str = "lsst"


class Mad(Statistic):
    """Median absolute deviation, ``median(|x - med|)``, not scaled to a Gaussian."""

    name, unit, min_epochs, version = "mad", VALUE, 1, 2
    reference = "Rubin DPDD (LSE-163), psfFluxMAD"


@dataclass(frozen=True)
class Iqr(Statistic):
    """Interquartile range, ``p75 - p25``."""

    name, unit, min_epochs = "iqr", VALUE, 2
    reference = "Kim et al. 2014, A&A 566, A43, Q31"
    definitions: ClassVar[Mapping[str, str]] = {
        "alerce": f"Linear between ranks; {_ALERCE}, Q31",
        "light_curve": f"{_HAZEN.capitalize()}; {_LIGHT_CURVE}, InterPercentileRange",
    }
    columns: ClassVar[Mapping[str, str]] = {"light_curve": "iqr_light_curve"}
    definition: str = "alerce"


@dataclass(frozen=True)
class Amplitude(Statistic):
    """Amplitude of the values."""

    name, unit, min_epochs = "amplitude", VALUE, 2
    reference = "Richards et al. 2011, ApJ 733, 10, amplitude"
    definitions: ClassVar[Mapping[str, str]] = {
        "light_curve": f"Half of the range, ``(max - min) / 2``; {_LIGHT_CURVE}, Amplitude",
        "richards11": f"The range, ``max - min``; {_RICHARDS}, amplitude, as in DMTN-118",
        "alerce": "Half of the difference between the medians of the highest and the lowest 5 per cent, rounded up; "
        f"{_ALERCE}, Amplitude",
    }
    columns: ClassVar[Mapping[str, str]] = {"richards11": "amplitude_richards11", "alerce": "amplitude_alerce"}
    definition: str = "light_curve"


class Chi2(Statistic):
    """Chi2 of constant brightness, ``sum(((x - x_w) / e)^2)``; not divided by the degrees of freedom."""

    name, unit, min_epochs, version = "chi2", "1", 1, 2
    reference = "Rubin DPDD (LSE-163), psfFluxChi2"


class RedChi2(Statistic):
    """Reduced chi2, ``chi2 / (n - 1)``."""

    name, unit, min_epochs = "redchi2", "1", 2
    reference = "Malanchev et al. 2021, MNRAS 502, 5147"


@dataclass(frozen=True)
class ExcessVar(Statistic):
    """Normalised excess variance; null where x_m is not positive."""

    name, unit, min_epochs = "excess_var", "1", 2
    reference = "Nandra et al. 1997, ApJ 476, 70"
    definitions: ClassVar[Mapping[str, str]] = {
        "light_curve": f"``(s^2 - mean(e^2)) / x_m^2``, of fluxes only; {_LIGHT_CURVE}, ExcessVariance",
        "alerce": f"``sum((x - x_m)^2 - e^2) / (n x_m^2)``; {_ALERCE}, ExcessVar",
    }
    columns: ClassVar[Mapping[str, str]] = {"alerce": "excess_var_alerce"}
    definition: str = "light_curve"

    @property
    def fluxes_only(self) -> bool:  # type: ignore[override]
        """Whether it has no meaning for magnitudes: ALeRCE computes it of them."""
        return self.definition != "alerce"


class ExcessVarRaw(Statistic):
    """Excess variance, ``s^2 - mean(e^2)``: negative where the errors are too large."""

    name, unit, min_epochs = "excess_var_raw", f"{VALUE}^2", 2
    reference = "Nandra et al. 1997, ApJ 476, 70, without its norm, as DMTN-118 proposes for difference fluxes"


@dataclass(frozen=True)
class FracSigma(Statistic):
    """Fractional scatter; null where the mean is not positive."""

    name, unit, min_epochs = "frac_sigma", "1", 2
    reference = "Vaughan et al. 2003, MNRAS 345, 1271, F_var without its noise correction"
    definitions: ClassVar[Mapping[str, str]] = {
        "lsst": "``s / x_w``, of fluxes only; psfFluxSigma / psfFluxMean of Rubin's DiaObject",
        "light_curve": f"``s / x_m``, of fluxes only; {_LIGHT_CURVE}, MeanVariance",
        "alerce": f"``sqrt(sum((x - x_m)^2) / n) / x_m``; {_ALERCE}, Meanvariance",
    }
    columns: ClassVar[Mapping[str, str]] = {"light_curve": "frac_sigma_light_curve", "alerce": "frac_sigma_alerce"}
    definition: str = "lsst"

    @property
    def fluxes_only(self) -> bool:  # type: ignore[override]
        """Whether it has no meaning for magnitudes: ALeRCE computes it of them."""
        return self.definition != "alerce"


class StetsonJ(Statistic):
    """``mean(sign(P) sqrt(|P|))`` with ``P = n / (n - 1) ((x - x_S) / e)^2 - 1`` and x_S the iterated Stetson mean."""

    name, unit, min_epochs, version = "stetson_j", "1", 2, 2
    reference = "Stetson 1996, PASP 108, 851; each epoch alone as in Rubin's psfFluxStetsonJ"


class StetsonK(Statistic):
    """``mean(|d|) / sqrt(mean(d^2))`` with ``d = (x - x_w) / e``; 0.798 for a Gaussian."""

    name, unit, min_epochs = "stetson_k", "1", 2
    reference = "Stetson 1996, PASP 108, 851"


class Roms(Statistic):
    """Robust median statistic, ``sum(|x - med| / e) / (n - 1)``."""

    name, unit, min_epochs = "roms", "1", 2
    reference = "Enoch et al. 2003, AJ 126, 3006"


@dataclass(frozen=True)
class PConst(BandFeature):
    """Probability of constant brightness by chi2 with n - 1 degrees of freedom."""

    name, unit, min_epochs = "p_const", "1", 2
    reference = "McLaughlin et al. 1996, ApJ 473, 763"
    definitions: ClassVar[Mapping[str, str]] = {
        "light_curve": "That it gives a chi2 about x_w as large: the survival function, near 0 for variables; "
        f"{_LIGHT_CURVE}, Chi2Pvar",
        "alerce": f"The distribution function of chi2 about x_m, near 1 for variables; {_ALERCE}, Pvar",
    }
    definition: str = "light_curve"

    @property
    def statistics(self) -> tuple[str, ...]:
        """The sum of squares that is tested."""
        return ("chi2_mean" if self.definition == "alerce" else "chi2",)

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the probabilities."""
        from scipy.special import chdtr, chdtrc

        probability = chdtr if self.definition == "alerce" else chdtrc
        return probability(np.maximum(curves.counts - 1, 1), curves.statistic(self.statistics[0]))


@dataclass(frozen=True)
class PercentAmplitude(Statistic):
    """Largest distance from the median, ``max(|x - med|)``, over the median where that is positive."""

    name, min_epochs = "percent_amplitude", 2
    reference = "Richards et al. 2011, ApJ 733, 10, percent amplitude"
    definitions: ClassVar[Mapping[str, str]] = {
        "richards11": f"Of fluxes only; {_RICHARDS}, percent_amplitude",
        "alerce": f"Also of magnitudes; {_ALERCE}, PercentAmplitude",
        "light_curve": f"Not divided by the median; {_LIGHT_CURVE}, PercentAmplitude",
    }
    columns: ClassVar[Mapping[str, str]] = {"light_curve": "percent_amplitude_light_curve"}
    definition: str = "richards11"

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Unit: that of the values where it is not divided."""
        return VALUE if self.definition == "light_curve" else "1"

    @property
    def fluxes_only(self) -> bool:  # type: ignore[override]
        """Whether it has no meaning for magnitudes."""
        return self.definition == "richards11"


_QUANTILES: Mapping[str, str] = {
    "richards11": f"Linear between ranks; {_RICHARDS}, flux_percentile_ratio",
    "light_curve": f"{_HAZEN.capitalize()}; {_LIGHT_CURVE}, MagnitudePercentageRatio",
}


@dataclass(frozen=True)
class FprMid20(Statistic):
    """Width of the central 20 per cent over that of 90, ``(Q60 - Q40) / (Q95 - Q5)``."""

    name, unit, min_epochs = "fpr_mid20", "1", 2
    reference = "Richards et al. 2011, ApJ 733, 10, flux_percentile_ratio_mid20"
    definitions: ClassVar[Mapping[str, str]] = _QUANTILES
    columns: ClassVar[Mapping[str, str]] = {"light_curve": "fpr_mid20_light_curve"}
    definition: str = "richards11"


@dataclass(frozen=True)
class FprMid35(Statistic):
    """Width of the central 35 per cent over that of 90, ``(Q67.5 - Q32.5) / (Q95 - Q5)``."""

    name, unit, min_epochs = "fpr_mid35", "1", 2
    reference = "Richards et al. 2011, ApJ 733, 10, flux_percentile_ratio_mid35"
    definitions: ClassVar[Mapping[str, str]] = _QUANTILES
    columns: ClassVar[Mapping[str, str]] = {"light_curve": "fpr_mid35_light_curve"}
    definition: str = "richards11"


@dataclass(frozen=True)
class FprMid50(Statistic):
    """Width of the central 50 per cent over that of 90, ``(Q75 - Q25) / (Q95 - Q5)``."""

    name, unit, min_epochs = "fpr_mid50", "1", 2
    reference = "Richards et al. 2011, ApJ 733, 10, flux_percentile_ratio_mid50"
    definitions: ClassVar[Mapping[str, str]] = _QUANTILES
    columns: ClassVar[Mapping[str, str]] = {"light_curve": "fpr_mid50_light_curve"}
    definition: str = "richards11"


@dataclass(frozen=True)
class FprMid65(Statistic):
    """Width of the central 65 per cent over that of 90, ``(Q82.5 - Q17.5) / (Q95 - Q5)``."""

    name, unit, min_epochs = "fpr_mid65", "1", 2
    reference = "Richards et al. 2011, ApJ 733, 10, flux_percentile_ratio_mid65"
    definitions: ClassVar[Mapping[str, str]] = _QUANTILES
    columns: ClassVar[Mapping[str, str]] = {"light_curve": "fpr_mid65_light_curve"}
    definition: str = "richards11"


@dataclass(frozen=True)
class FprMid80(Statistic):
    """Width of the central 80 per cent over that of 90, ``(Q90 - Q10) / (Q95 - Q5)``."""

    name, unit, min_epochs = "fpr_mid80", "1", 2
    reference = "Richards et al. 2011, ApJ 733, 10, flux_percentile_ratio_mid80"
    definitions: ClassVar[Mapping[str, str]] = _QUANTILES
    columns: ClassVar[Mapping[str, str]] = {"light_curve": "fpr_mid80_light_curve"}
    definition: str = "richards11"


@dataclass(frozen=True)
class PercentDiffFp(Statistic):
    """Width of the central 90 per cent over the median, ``(Q95 - Q5) / med``; null where that is not positive."""

    name, unit, min_epochs = "percent_diff_fp", "1", 2
    reference = "Richards et al. 2011, ApJ 733, 10, percent_difference_flux_percentile"
    definitions: ClassVar[Mapping[str, str]] = {
        "richards11": f"Linear between ranks, of fluxes only; {_RICHARDS}, percent_difference_flux_percentile",
        "light_curve": f"{_HAZEN.capitalize()}; {_LIGHT_CURVE}, PercentDifferenceMagnitudePercentile",
    }
    columns: ClassVar[Mapping[str, str]] = {"light_curve": "percent_diff_fp_light_curve"}
    definition: str = "richards11"

    @property
    def fluxes_only(self) -> bool:  # type: ignore[override]
        """Whether it has no meaning for magnitudes."""
        return self.definition == "richards11"
