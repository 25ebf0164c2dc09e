"""How bright: means, extremes and percentiles.

How the brightness changes lives in the other families.
"""

from __future__ import annotations

from lsdb_ts.features.protocol import VALUE, Statistic


class MeanW(Statistic):
    """Weighted mean, ``sum(w x) / sum(w)``."""

    name, unit, min_epochs = "mean_w", VALUE, 1
    reference = "Rubin DPDD (LSE-163), psfFluxMean"


class MeanWErr(Statistic):
    """Standard error of the weighted mean, ``1 / sqrt(sum(w))``."""

    name, unit, min_epochs = "mean_w_err", VALUE, 1
    reference = "Rubin DPDD (LSE-163), psfFluxMeanErr"


class Mean(Statistic):
    """Mean, ``sum(x) / n``."""

    name, unit, min_epochs = "mean", VALUE, 1
    reference = "Malanchev et al. 2021, MNRAS 502, 5147"


class Median(Statistic):
    """Median of the values, the 50th percentile."""

    name, unit, min_epochs = "median", VALUE, 1
    reference = "Rubin DPDD (LSE-163), psfFluxPercentile50"


class Minimum(Statistic):
    """Smallest value, ``min(x)``."""

    name, unit, min_epochs = "min", VALUE, 1
    reference = "Rubin DPDD (LSE-163), psfFluxMin"


class Maximum(Statistic):
    """Largest value, ``max(x)``."""

    name, unit, min_epochs = "max", VALUE, 1
    reference = "Rubin DPDD (LSE-163), psfFluxMax"


class ErrMean(Statistic):
    """Mean of the errors, ``sum(e) / n``."""

    name, unit, min_epochs = "err_mean", VALUE, 1
    reference = "Rubin DPDD (LSE-163), psfFluxErrMean"


class P05(Statistic):
    """The 5th percentile, linear between ranks."""

    name, unit, min_epochs = "p05", VALUE, 1
    reference = "Rubin DPDD (LSE-163), psfFluxPercentile05"


class P10(Statistic):
    """The 10th percentile, linear between ranks."""

    name, unit, min_epochs = "p10", VALUE, 1
    reference = "Richards et al. 2011, ApJ 733, 10, flux percentiles"


class P25(Statistic):
    """The 25th percentile, linear between ranks."""

    name, unit, min_epochs = "p25", VALUE, 1
    reference = "Rubin DPDD (LSE-163), psfFluxPercentile25"


class P75(Statistic):
    """The 75th percentile, linear between ranks."""

    name, unit, min_epochs = "p75", VALUE, 1
    reference = "Rubin DPDD (LSE-163), psfFluxPercentile75"


class P90(Statistic):
    """The 90th percentile, linear between ranks."""

    name, unit, min_epochs = "p90", VALUE, 1
    reference = "Richards et al. 2011, ApJ 733, 10, flux percentiles"


class P95(Statistic):
    """The 95th percentile, linear between ranks."""

    name, unit, min_epochs = "p95", VALUE, 1
    reference = "Rubin DPDD (LSE-163), psfFluxPercentile95"
