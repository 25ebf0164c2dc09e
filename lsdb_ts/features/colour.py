"""Colours: how the mean brightness of an object differs between bands."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import ObjectFeature


@dataclass(frozen=True)
class MeanColour(ObjectFeature):
    """Colour at mean brightness: ``-2.5 log10(x_w(blue) / x_w(red))`` of fluxes, the plain difference of magnitudes.

    Null where a band is missing or has a mean flux that is not positive. The colour of AB fluxes is an AB colour.
    """

    blue: str
    red: str
    unit, min_epochs = "mag", 2
    reference = "Sanchez-Saez et al. 2021, AJ 161, 141, mean colours"

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> tuple[MeanColour, ...]:
        """Return the colours of neighbouring bands."""
        return tuple(cls(blue, red) for blue, red in itertools.pairwise(bands))

    @property
    def statistics(self) -> tuple[str, ...]:
        """The mean."""
        return ("mean_w",)

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the column, such as ``colour_g_r``."""
        return f"colour_{self.blue}_{self.red}"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the colours."""
        mean = curves.statistic("mean_w")
        blue, red = mean[:, curves.bands.index(self.blue)], mean[:, curves.bands.index(self.red)]
        return colour_of(blue, red, curves.is_flux)


def colour_of(blue: NDArray[np.float64], red: NDArray[np.float64], is_flux: bool) -> NDArray[np.float64]:
    """Return the difference of two brightnesses in magnitudes; NaN where a flux is not positive."""
    if not is_flux:
        return blue - red
    positive = (blue > 0) & (red > 0)
    ratio = np.where(positive, blue, 1.0) / np.where(positive, red, 1.0)
    return np.where(positive, -2.5 * np.log10(ratio), np.nan)
