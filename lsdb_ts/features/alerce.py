"""ALeRCE's names for features of single bands, and ours.

Sanchez-Saez et al. 2021, AJ 161, 141, table 2, with the formulas of its feature extractor.
"""

from __future__ import annotations

from lsdb_ts.features.protocol import Alias, Feature, named

NAMES = {
    "Amplitude": "amplitude",
    "AndersonDarling": "anderson_darling",
    "Beyond1Std": "beyond_1std",
    "Con": "con",
    "Eta_e": "eta_e",
    "ExcessVar": "excess_var",
    "GP_DRW_sigma": "drw_sigma",
    "GP_DRW_tau": "drw_tau",
    "Gskew": "gskew",
    "IAR_phi": "iar_phi",
    "LinearTrend": "lin_slope",
    "MHPS_high": "mhps_high",
    "MHPS_low": "mhps_low",
    "MHPS_ratio": "mhps_ratio",
    "MaxSlope": "max_slope",
    "Mean": "mean",
    "Meanvariance": "frac_sigma",
    "MedianAbsDev": "mad",
    "MedianBRP": "median_brp",
    "PairSlopeTrend": "pair_slope_trend",
    "PercentAmplitude": "percent_amplitude",
    "Pvar": "p_const",
    "Q31": "iqr",
    "Rcs": "rcs",
    "SF_ML_amplitude": "sf_amp",
    "SF_ML_gamma": "sf_gamma",
    "Skew": "skew",
    "SmallKurtosis": "kurt_small",
    "Std": "sigma",
    "StetsonK": "stetson_k",
}


def columns(bands: tuple[str, ...]) -> list[Feature]:
    """Return the features under ALeRCE's names."""
    found = (feature.by("alerce") for feature in named(NAMES.values(), bands))
    return [Alias(feature, name) for name, feature in zip(NAMES, found, strict=True)]  # type: ignore[arg-type]
