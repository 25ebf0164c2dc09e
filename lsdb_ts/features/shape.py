"""The shape of the distribution of values: its lean, its tails, and whether it has two heaps.

Its width lives in ``variability.py``.
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
class Skew(Statistic):
    """Skewness of the values."""

    name, unit, min_epochs = "skew", "1", 3
    reference = "Rubin DPDD (LSE-163), psfFluxSkew"
    definitions: ClassVar[Mapping[str, str]] = {
        "lsst": "Unbiased G1, ``n / ((n - 1)(n - 2)) sum(((x - x_m) / s)^3)``; Rubin DPDD (LSE-163), psfFluxSkew",
        "light_curve": f"the same; {_LIGHT_CURVE}, Skew",
        "alerce": f"Biased g1, ``sum((x - x_m)^3) / n / (sum((x - x_m)^2) / n)^1.5``; {_ALERCE}, Skew",
    }
    columns: ClassVar[Mapping[str, str]] = {"alerce": "skew_alerce"}
    definition: str = "lsst"


@dataclass(frozen=True)
class KurtSmall(Statistic):
    """Small-sample kurtosis.

    ``n (n + 1) / ((n - 1)(n - 2)(n - 3)) sum(((x - x_m) / s)^4) - 3 (n - 1)^2 / ((n - 2)(n - 3))``.
    """

    name, unit, min_epochs = "kurt_small", "1", 4
    reference = "Richards et al. 2011, ApJ 733, 10, small kurtosis"
    definitions: ClassVar[Mapping[str, str]] = {
        "richards11": f"With s of n - 1; {_RICHARDS}, small_kurtosis",
        "light_curve": f"the same; {_LIGHT_CURVE}, Kurtosis",
        "alerce": f"With the standard deviation of n in the place of s; {_ALERCE}, SmallKurtosis",
    }
    columns: ClassVar[Mapping[str, str]] = {"alerce": "kurt_small_alerce"}
    definition: str = "richards11"


@dataclass(frozen=True)
class Beyond1Std(Statistic):
    """Share of epochs further from the mean than one standard deviation."""

    name, unit, min_epochs = "beyond_1std", "1", 2
    reference = "Richards et al. 2011, ApJ 733, 10, beyond1std"
    definitions: ClassVar[Mapping[str, str]] = {
        "richards11": f"``|x - x_w| > s``; {_RICHARDS}, beyond1std",
        "light_curve": f"``|x - x_m| > s``; {_LIGHT_CURVE}, BeyondNStd",
        "alerce": f"``|x - x_w| > sqrt(sum((x - x_w)^2) / (n - 1))``; {_ALERCE}, Beyond1Std",
    }
    columns: ClassVar[Mapping[str, str]] = {"light_curve": "beyond_1std_light_curve", "alerce": "beyond_1std_alerce"}
    definition: str = "richards11"


@dataclass(frozen=True)
class MedianBrp(Statistic):
    """Median buffer range percentage: share of epochs near the median."""

    name, unit, min_epochs = "median_brp", "1", 2
    reference = "Richards et al. 2011, ApJ 733, 10, median buffer range percentage"
    definitions: ClassVar[Mapping[str, str]] = {
        "richards11": f"``|x - med| < 0.1 (max - min)``; {_RICHARDS}, median_buffer_range_percentage",
        "alerce": f"the same; {_ALERCE}, MedianBRP",
        "light_curve": f"``|x - med| < 0.05 (max - min)``; {_LIGHT_CURVE}, MedianBufferRangePercentage",
    }
    columns: ClassVar[Mapping[str, str]] = {"light_curve": "median_brp_light_curve"}
    definition: str = "richards11"


class Gskew(Statistic):
    """Skewness by medians, ``median(x <= Q3) + median(x >= Q97) - 2 med``."""

    name, unit, min_epochs = "gskew", VALUE, 2
    reference = "Sanchez-Saez et al. 2021, AJ 161, 141, Gskew"


@dataclass(frozen=True)
class AndersonDarling(Statistic):
    """How far from Gaussian by Anderson and Darling's A^2, mean and scatter being those of the sample."""

    name, unit, min_epochs = "anderson_darling", "1", 4
    reference = "Anderson and Darling 1952, Ann. Math. Stat. 23, 193"
    costly = True
    definitions: ClassVar[Mapping[str, str]] = {
        "light_curve": f"``A^2 (1 + 4 / n - 25 / n^2)``; {_LIGHT_CURVE}, AndersonDarlingNormal",
        "alerce": f"``1 / (1 + exp(-10 (A^2 - 0.3)))``; {_ALERCE}, AndersonDarling",
    }
    columns: ClassVar[Mapping[str, str]] = {"alerce": "anderson_darling_alerce"}
    definition: str = "light_curve"


class OtsuMeanDiff(Statistic):
    """Distance between the means of the two groups that Otsu's threshold makes: the largest variance between groups."""

    name, unit, min_epochs = "otsu_mean_diff", VALUE, 2
    reference = "Otsu 1979, IEEE Trans. Syst. Man Cybern. 9, 62"


class OtsuStdLower(Statistic):
    """Standard deviation of the lower group of Otsu's threshold; null where it is one epoch."""

    name, unit, min_epochs = "otsu_std_lower", VALUE, 2
    reference = "Otsu 1979, IEEE Trans. Syst. Man Cybern. 9, 62"


class OtsuStdUpper(Statistic):
    """Standard deviation of the upper group of Otsu's threshold; null where it is one epoch."""

    name, unit, min_epochs = "otsu_std_upper", VALUE, 2
    reference = "Otsu 1979, IEEE Trans. Syst. Man Cybern. 9, 62"


class OtsuLowerShare(Statistic):
    """Share of the epochs that are below Otsu's threshold."""

    name, unit, min_epochs = "otsu_lower_share", "1", 2
    reference = "Otsu 1979, IEEE Trans. Syst. Man Cybern. 9, 62"
