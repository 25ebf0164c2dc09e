"""The time-series columns of Rubin's DP1 ``DiaObject``, under its names: 22 for each band.

Formulas are those of the plugins of ``meas_base`` that filled them. Where two epochs have one time, the steepest slope
passes over them (there it became infinite); epochs that are flagged or lack a value or an error are left out of all.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import Alias, BandFeature, Feature, named

SCIENCE_FLUX = ("scienceFlux", "scienceFluxErr")
"""Flux and error on the science image, beside those on the difference image."""
_PSF_FLUX = {
    "psfFluxMean": "mean_w",
    "psfFluxMeanErr": "mean_w_err",
    "psfFluxSigma": "sigma",
    "psfFluxChi2": "chi2",
    "psfFluxNdata": "n_epochs",
    "psfFluxMAD": "mad",
    "psfFluxSkew": "skew",
    "psfFluxPercentile05": "p05",
    "psfFluxPercentile25": "p25",
    "psfFluxPercentile50": "median",
    "psfFluxPercentile75": "p75",
    "psfFluxPercentile95": "p95",
    "psfFluxMin": "min",
    "psfFluxMax": "max",
    "psfFluxStetsonJ": "stetson_j",
    "psfFluxLinearSlope": "lin_slope",
    "psfFluxLinearIntercept": "lin_intercept",
    "psfFluxMaxSlope": "max_slope",
    "psfFluxErrMean": "err_mean",
}
_SCIENCE_FLUX = {"scienceFluxMean": "mean_w", "scienceFluxMeanErr": "mean_w_err", "scienceFluxSigma": "sigma"}


@dataclass(frozen=True)
class ScienceFlux(BandFeature):
    """A feature of the flux on the science image."""

    feature: BandFeature
    unit: ClassVar[str] = "value"
    min_epochs: ClassVar[int] = 0
    reference: ClassVar[str] = "Rubin DP1, DiaObject"

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the feature."""
        return self.feature.name

    @property
    def formula(self) -> str:
        """Formula of the feature."""
        return f"{self.feature.formula} Of the flux on the science image."

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the feature of the second flux, null where that has too few epochs."""
        if curves.second is None:
            raise PlanError(f"{self.name} needs a second flux: give the set one, second=({SCIENCE_FLUX})")
        found = self.feature.compute(curves.second)
        return np.where(curves.second.counts >= self.feature.min_epochs, found, np.nan)


def named_counts(counts: Container[str]) -> set[str]:
    """Return the columns that are one of these features."""
    return {column for column, name in _PSF_FLUX.items() if name in counts}


def columns(bands: tuple[str, ...], *, science: bool) -> list[Feature]:
    """Return the 22 features, or 19 without those of the science image."""
    found = {feature.name: feature.by("lsst") for feature in named(set(_PSF_FLUX.values()), bands)}
    psf = [Alias(found[name], column) for column, name in _PSF_FLUX.items()]  # type: ignore[arg-type]
    of_science = [Alias(ScienceFlux(found[name]), column) for column, name in _SCIENCE_FLUX.items()]  # type: ignore[arg-type]
    return [*psf, *(of_science if science else [])]
