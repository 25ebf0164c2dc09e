"""The shape of the distribution of values: its lean and its tails.

Its width lives in ``variability.py``.
"""

from __future__ import annotations

from lsdb_ts.features.protocol import Statistic


class Skew(Statistic):
    """Unbiased skewness G1, ``n / ((n - 1)(n - 2)) sum(((x - x_m) / s)^3)``."""

    name, unit, min_epochs = "skew", "1", 3
    reference = "Rubin DPDD (LSE-163), psfFluxSkew"


class KurtSmall(Statistic):
    """Small-sample kurtosis.

    ``n (n + 1) / ((n - 1)(n - 2)(n - 3)) sum(((x - x_m) / s)^4) - 3 (n - 1)^2 / ((n - 2)(n - 3))``.
    """

    name, unit, min_epochs = "kurt_small", "1", 4
    reference = "Richards et al. 2011, ApJ 733, 10, small kurtosis"


class Beyond1Std(Statistic):
    """Share of epochs with ``|x - x_w| > s``."""

    name, unit, min_epochs = "beyond_1std", "1", 2
    reference = "Richards et al. 2011, ApJ 733, 10, beyond1std"


class MedianBrp(Statistic):
    """Median buffer range percentage: share of epochs with ``|x - med| < 0.1 (max - min)``."""

    name, unit, min_epochs = "median_brp", "1", 2
    reference = "Richards et al. 2011, ApJ 733, 10, median buffer range percentage"
