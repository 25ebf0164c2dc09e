"""How the values follow one another in time: slopes, steps and sums.

Periods live in ``periodic.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lsdb_ts.features.protocol import VALUE, Statistic

_ALERCE = "Sanchez-Saez et al. 2021, AJ 161, 141"
_LIGHT_CURVE = "Malanchev et al. 2021, MNRAS 502, 5147"
_RICHARDS = "Richards et al. 2011, ApJ 733, 10"


@dataclass(frozen=True)
class MaxSlope(Statistic):
    """Steepest step between neighbours; equal times are passed over."""

    name, unit, min_epochs = "max_slope", f"{VALUE}/d", 2
    reference = "Rubin DPDD (LSE-163), psfFluxMaxSlope"
    definitions: ClassVar[Mapping[str, str]] = {
        "lsst": "Signed, ``max((x_{i+1} - x_i) / (t_{i+1} - t_i))``; Rubin DPDD (LSE-163), psfFluxMaxSlope",
        "richards11": f"``max(|x_{{i+1}} - x_i| / (t_{{i+1}} - t_i))``; {_RICHARDS}, max_slope",
        "alerce": f"the same; {_ALERCE}, MaxSlope",
        "light_curve": f"the same; {_LIGHT_CURVE}, MaximumSlope",
    }
    columns: ClassVar[Mapping[str, str]] = dict.fromkeys(("richards11", "alerce", "light_curve"), "max_abs_slope")
    definition: str = "lsst"


class MaxAbsSlope(Statistic):
    """Steepest step up or down, ``max(|x_{i+1} - x_i| / (t_{i+1} - t_i))``; equal times are passed over."""

    name, unit, min_epochs = "max_abs_slope", f"{VALUE}/d", 2
    reference = "Richards et al. 2011, ApJ 733, 10, max_slope"


@dataclass(frozen=True)
class LinSlope(Statistic):
    """Slope of the straight line of least squares."""

    name, unit, min_epochs = "lin_slope", f"{VALUE}/d", 2
    reference = "Rubin DPDD (LSE-163), psfFluxLinearSlope"
    definitions: ClassVar[Mapping[str, str]] = {
        "lsst": "Weighted, ``sum(w (t - t_w)(x - x_w)) / sum(w (t - t_w)^2)``; Rubin DPDD, psfFluxLinearSlope",
        "light_curve": f"the same; {_LIGHT_CURVE}, LinearFit",
        "richards11": f"Without weights, ``sum((t - t_m)(x - x_m)) / sum((t - t_m)^2)``; {_RICHARDS}, linear_trend",
        "alerce": f"Without weights; {_ALERCE}, LinearTrend",
    }
    columns: ClassVar[Mapping[str, str]] = dict.fromkeys(("richards11", "alerce"), "lin_slope_richards11")
    definition: str = "lsst"


class LinSlopeErr(Statistic):
    """Standard error of the weighted slope, ``1 / sqrt(sum(w (t - t_w)^2))``."""

    name, unit, min_epochs = "lin_slope_err", f"{VALUE}/d", 2
    reference = "Malanchev et al. 2021, MNRAS 502, 5147, LinearFit"


class LinIntercept(Statistic):
    """Value of the weighted straight line at time 0, ``x_w - slope t_w``: a century and more before the epochs."""

    name, unit, min_epochs, dated = "lin_intercept", VALUE, 2, True
    reference = "Rubin DPDD (LSE-163), psfFluxLinearIntercept"


class LinRedChi2(Statistic):
    """Reduced chi2 of the weighted straight line, ``sum(w (x - line)^2) / (n - 2)``."""

    name, unit, min_epochs = "lin_redchi2", "1", 3
    reference = "Malanchev et al. 2021, MNRAS 502, 5147, LinearFit"


class Eta(Statistic):
    """Von Neumann ratio, ``sum((x_{i+1} - x_i)^2) / ((n - 1) s^2)``; 2 for white noise, small for smooth change."""

    name, unit, min_epochs = "eta", "1", 2
    reference = "von Neumann 1941, Ann. Math. Stat. 12, 367"


@dataclass(frozen=True)
class EtaE(Statistic):
    """Von Neumann ratio for uneven times, in which close pairs count more."""

    name, unit, min_epochs = "eta_e", "1", 2
    reference = "Kim et al. 2014, A&A 566, A43"
    definitions: ClassVar[Mapping[str, str]] = {
        "nightly": "``sum(v (x_{i+1} - x_i)^2) / (s^2 sum(v))``, ``v = 1 / max(t_{i+1} - t_i, 0.5 d)^2``, so that "
        "pairs of one night do not drown all others; Kim et al. 2014 without prefactor",
        "alerce": "``v = 1 / (t_{i+1} - t_i)^2`` and the variance of n in the place of s^2, null where two times are "
        f"equal; {_ALERCE}, Eta_e",
        "light_curve": "``(t_n - t_1)^2 / (n - 1)^3 sum(((x_{i+1} - x_i) / (t_{i+1} - t_i))^2) / s^2``, null where two "
        f"times are equal; {_LIGHT_CURVE}, EtaE",
    }
    columns: ClassVar[Mapping[str, str]] = {"alerce": "eta_e_alerce", "light_curve": "eta_e_light_curve"}
    definition: str = "nightly"


@dataclass(frozen=True)
class Rcs(Statistic):
    """Range of the cumulative sum, ``max(S) - min(S)``."""

    name, unit, min_epochs = "rcs", "1", 2
    reference = "Ellaway 1978, Electroencephalogr. Clin. Neurophysiol. 45, 302; Kim et al. 2014, A&A 566, A43"
    definitions: ClassVar[Mapping[str, str]] = {
        "light_curve": f"``S_l = sum_{{i <= l}}(x_i - x_m) / (n s)``; {_LIGHT_CURVE}, Cusum",
        "alerce": f"With the standard deviation of n in the place of s; {_ALERCE}, Rcs",
    }
    columns: ClassVar[Mapping[str, str]] = {"alerce": "rcs_alerce"}
    definition: str = "light_curve"


@dataclass(frozen=True)
class Con(Statistic):
    """Share of the runs of three neighbours that lie beyond two standard deviations, ``count / (n - 2)``."""

    name, unit, min_epochs = "con", "1", 3
    reference = "Wozniak 2000, AcA 50, 421; Kim et al. 2011, ApJ 735, 68"
    definitions: ClassVar[Mapping[str, str]] = {
        "kim11": "All three on one side of ``x_m``, beyond ``2 s``; Kim et al. 2011, ApJ 735, 68",
        "alerce": f"On either side, beyond two standard deviations of n; {_ALERCE}, Con",
    }
    columns: ClassVar[Mapping[str, str]] = {"alerce": "con_alerce"}
    definition: str = "kim11"


@dataclass(frozen=True)
class PairSlopeTrend(Statistic):
    """Rising minus falling steps among the last 30 epochs, over 30."""

    name, unit, min_epochs = "pair_slope_trend", "1", 2
    reference = "Richards et al. 2011, ApJ 733, 10, pair_slope_trend"
    definitions: ClassVar[Mapping[str, str]] = {
        "richards11": f"Steps between equal values count as neither; {_RICHARDS}, pair_slope_trend",
        "alerce": f"Steps between equal values count as falling; {_ALERCE}, PairSlopeTrend",
    }
    columns: ClassVar[Mapping[str, str]] = {"alerce": "pair_slope_trend_alerce"}
    definition: str = "richards11"
