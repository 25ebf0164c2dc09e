"""Wavelengths of bands, for features that compare bands by them."""

from __future__ import annotations

import math
from typing import Protocol

from lsdb_ts.errors import PlanError
from lsdb_ts.lightcurves.gaussian import ANGSTROM


class Chromatic(Protocol):
    """A feature that looks at the wavelengths of bands."""

    @property
    def angstrom(self) -> tuple[float, ...]:
        """Wavelengths of the set's bands; none for those that are known by name."""


def known_wavelengths(bands: tuple[str, ...], angstrom: tuple[float, ...]) -> bool:
    """Tell whether there is a wavelength for every band."""
    return bool(angstrom) or all(band in ANGSTROM for band in bands)


def kept_wavelengths(feature: Chromatic) -> None:
    """Make the wavelengths that a feature was given a tuple of numbers; raises PlanError where they are none."""
    given = tuple(float(wave) for wave in feature.angstrom)
    if not all(0.0 < wave < math.inf for wave in given):
        raise PlanError(f"wavelengths are positive, in Angstrom, and not {given}")
    object.__setattr__(feature, "angstrom", given)


def wavelengths_of(feature: Chromatic, bands: tuple[str, ...]) -> tuple[float, ...]:
    """Return the wavelengths of the bands in Angstrom; raises PlanError naming a band without."""
    if not feature.angstrom:
        require_wavelengths(bands)
        return tuple(ANGSTROM[band] for band in bands)
    if len(feature.angstrom) != len(bands):
        raise PlanError(f"{len(feature.angstrom)} wavelengths are not those of the bands {', '.join(bands)}: one each")
    return feature.angstrom


def require_wavelengths(bands: tuple[str, ...]) -> None:
    """Raise PlanError naming a band whose wavelength is not known."""
    unknown = [band for band in bands if band not in ANGSTROM]
    if unknown:
        raise PlanError(
            f'there is no known wavelength of the band "{unknown[0]}", only of {", ".join(map(str, ANGSTROM))}: give '
            "them in Angstrom, as in RainbowFit.of_bands(bands, angstrom), and put those features into FeatureSet.of"
        )
