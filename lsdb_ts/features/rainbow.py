"""The rainbow fit: all bands of a transient as one black body that rises, fades and cools (Russeil et al. 2024).

The model stands in ``kernels/fits/models.py``. Bands without epochs are of no consequence; wavelengths are Rubin's for
``ugrizy``, and those of other bands are given with the features: ``RainbowFit.of_bands(bands, angstrom)``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.fitted import Fitted, check_quantity, number, quantities
from lsdb_ts.features.protocol import BandFeature, ObjectFeature
from lsdb_ts.features.shared import once
from lsdb_ts.features.wavelengths import kept_wavelengths, known_wavelengths, wavelengths_of
from lsdb_ts.kernels.fits.least_squares import Fits, fit_curves
from lsdb_ts.kernels.fits.models import RAINBOW


@dataclass(frozen=True)
class RainbowFit(Fitted, ObjectFeature):
    """A number of the fit of a black body to all bands that belongs to the object."""

    quantity: str = "temp_min"
    angstrom: tuple[float, ...] = ()
    """Wavelengths of the set's bands; none for those that are known by name."""

    model: ClassVar[str] = RAINBOW.name

    def __post_init__(self) -> None:
        check_quantity(self, RAINBOW.shape, quality=True)
        kept_wavelengths(self)

    @classmethod
    def of_bands(cls, bands: tuple[str, ...], angstrom: tuple[float, ...] = ()) -> tuple[RainbowFit, ...]:
        """Return all numbers, the time last; none for bands whose wavelengths are neither known nor given."""
        parameters = RAINBOW.shape[1:] + RAINBOW.shape[:1]
        known = known_wavelengths(bands, angstrom)
        return tuple(cls(q, angstrom) for q in quantities(parameters, quality=True)) if known else ()

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number of every object."""
        return number(_fitted(wavelengths_of(self, curves.bands))(curves), self.quantity)


@dataclass(frozen=True)
class RainbowBase(Fitted, BandFeature):
    """The base of a band in the fit of a black body to all bands."""

    quantity: str = "b"
    angstrom: tuple[float, ...] = ()
    """Wavelengths of the set's bands; none for those that are known by name."""

    model: ClassVar[str] = RAINBOW.name

    def __post_init__(self) -> None:
        check_quantity(self, RAINBOW.own, quality=False)
        kept_wavelengths(self)

    @property
    def min_epochs(self) -> int:
        """One more than the band has parameters of its own."""
        return len(RAINBOW.own) + 1

    @classmethod
    def of_bands(cls, bands: tuple[str, ...], angstrom: tuple[float, ...] = ()) -> tuple[RainbowBase, ...]:
        """Return the base and its error; nothing for bands whose wavelengths are neither known nor given."""
        known = known_wavelengths(bands, angstrom)
        return tuple(cls(q, angstrom) for q in quantities(RAINBOW.own, quality=False)) if known else ()

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number of every object and band."""
        return number(_fitted(wavelengths_of(self, curves.bands))(curves), self.quantity)


@functools.cache
def _fitted(angstrom: tuple[float, ...]) -> Callable[[LightCurves], Fits]:
    """Return what fits the model to light curves of bands of these wavelengths, once."""

    @once
    def fit(curves: LightCurves) -> Fits:
        arrays = (curves.time_mjd, curves.values, curves.errors, curves.offsets)
        return fit_curves(RAINBOW, *arrays, n_bands=len(curves.bands), angstrom=np.array(angstrom))

    return fit
