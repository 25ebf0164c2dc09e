"""Features of the Gaussian process in time and wavelength through all bands of an object: its scale, peaks and widths.

The process is that of Boone 2019 (AJ 158, 257): Matern's covariance, 6000 Angstrom in wavelength, and the amplitude and
time scale that are likeliest; it stands in ``kernels/fits/gaussian_process.py``. It is of fluxes about 0, so of a
transient's difference fluxes; of magnitudes these are null. All of them are one fit.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.features.colour import colour_of
from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import VALUE, BandFeature, ObjectFeature
from lsdb_ts.features.shared import once
from lsdb_ts.features.wavelengths import kept_wavelengths, known_wavelengths, wavelengths_of
from lsdb_ts.kernels.fits.gaussian_process import Process
from lsdb_ts.kernels.fits.process_peaks import SHARES, ProcessPeaks, process_peaks

_PROCESS = Process()
_PERCENT = tuple(f"{100 * share:.0f}" for share in SHARES)
_OF_OBJECTS = {
    "scale": "time scale of the process",
    "amplitude": "standard deviation of the process",
    "t_peak": "time of the peak: the median of those of the bands that have epochs, as MJD",
}
_OF_BANDS = {
    "f_peak": "greatest mean of the process in the band, between the first and last epoch of the object",
    "peak_delay": "time of the band's own peak after that of the object",
    **{f"rise_{p}": f"time from {p} % of the band's peak to the peak" for p in _PERCENT},
    **{f"fade_{p}": f"time from the band's peak to {p} % of it" for p in _PERCENT},
}


class _OfProcess:
    """What features of the process have in common."""

    fluxes_only = True
    costly = True
    on_request = True
    fit = "gp"
    """The first part of their names."""
    reference = "Boone 2019, AJ 158, 257"
    angstrom: tuple[float, ...]
    quantity: str

    @property
    def name(self) -> str:
        """As ``gp_rise_50``."""
        return f"{self.fit}_{self.quantity}"

    @property
    def unit(self) -> str:
        """Days, but for fluxes."""
        return VALUE if self.quantity in ("amplitude", "f_peak") else "d"

    def _peaks(self, curves: LightCurves) -> ProcessPeaks:
        return _fitted(wavelengths_of(self, curves.bands))(curves)


@dataclass(frozen=True)
class ObjectProcess(_OfProcess, ObjectFeature):
    """A number of the process through all bands that belongs to the object."""

    quantity: str = "scale"
    angstrom: tuple[float, ...] = ()
    """Wavelengths of the set's bands; none for those that are known by name."""

    min_epochs = _PROCESS.min_epochs

    def __post_init__(self) -> None:
        _check(self, self.quantity, _OF_OBJECTS)
        kept_wavelengths(self)

    @classmethod
    def of_bands(cls, bands: tuple[str, ...], angstrom: tuple[float, ...] = ()) -> tuple[ObjectProcess, ...]:
        """Return all numbers, the time last; none for bands whose wavelengths are neither known nor given."""
        return tuple(cls(q, angstrom) for q in _OF_OBJECTS) if known_wavelengths(bands, angstrom) else ()

    @property
    def dated(self) -> bool:  # type: ignore[override]
        """Whether it is the time of the peak."""
        return self.quantity == "t_peak"

    @property
    def stored(self) -> pa.DataType:  # type: ignore[override]
        """Double precision for the time of day."""
        return pa.float64() if self.dated else pa.float32()

    @property
    def formula(self) -> str:
        """What the number is."""
        return f"The {_OF_OBJECTS[self.quantity]}; of a Gaussian process in time and wavelength."

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number of every object."""
        peaks = self._peaks(curves)
        return {"scale": peaks.scale_days, "amplitude": peaks.amplitude, "t_peak": peaks.time_days}[self.quantity]


@dataclass(frozen=True)
class BandProcess(_OfProcess, BandFeature):
    """A number of the process through all bands that belongs to a band.

    Rise and fade are null where the process does not fall so low between the first and last epoch of the object.
    """

    quantity: str = "f_peak"
    angstrom: tuple[float, ...] = ()
    """Wavelengths of the set's bands; none for those that are known by name."""

    min_epochs = 1

    def __post_init__(self) -> None:
        _check(self, self.quantity, _OF_BANDS)
        kept_wavelengths(self)

    @classmethod
    def of_bands(cls, bands: tuple[str, ...], angstrom: tuple[float, ...] = ()) -> tuple[BandProcess, ...]:
        """Return all numbers; none for bands whose wavelengths are neither known nor given."""
        return tuple(cls(q, angstrom) for q in _OF_BANDS) if known_wavelengths(bands, angstrom) else ()

    @property
    def formula(self) -> str:
        """What the number is."""
        return f"The {_OF_BANDS[self.quantity]}; of a Gaussian process in time and wavelength."

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number of every object and band."""
        peaks = self._peaks(curves)
        kind, _, percent = self.quantity.partition("_")
        if percent in _PERCENT:
            return (peaks.rise_days if kind == "rise" else peaks.fade_days)[:, :, _PERCENT.index(percent)]
        return peaks.peak if self.quantity == "f_peak" else peaks.delay_days


@dataclass(frozen=True)
class ProcessColour(_OfProcess, ObjectFeature):
    """Colour at the time of the peak: ``-2.5 log10(blue / red)`` of the means of the process.

    Null where a band has no epochs or its mean is not positive.
    """

    blue: str
    red: str
    angstrom: tuple[float, ...] = ()
    """Wavelengths of the set's bands; none for those that are known by name."""

    min_epochs = _PROCESS.min_epochs
    unit = "mag"

    def __post_init__(self) -> None:
        kept_wavelengths(self)

    @classmethod
    def of_bands(cls, bands: tuple[str, ...], angstrom: tuple[float, ...] = ()) -> tuple[ProcessColour, ...]:
        """Return the colours of neighbouring bands; none where wavelengths are neither known nor given."""
        known = known_wavelengths(bands, angstrom)
        return tuple(cls(blue, red, angstrom) for blue, red in itertools.pairwise(bands)) if known else ()

    @property
    def quantity(self) -> str:  # type: ignore[override]
        """As ``colour_g_r``."""
        return f"colour_{self.blue}_{self.red}"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the colours."""
        seen = np.where(curves.counts > 0, self._peaks(curves).at_peak, np.nan)
        blue, red = (seen[:, curves.bands.index(band)] for band in (self.blue, self.red))
        return colour_of(blue, red, is_flux=True)


def _check(feature: _OfProcess, quantity: str, known: dict[str, str]) -> None:
    if quantity not in known:
        raise PlanError(f'{type(feature).__name__} has the numbers {", ".join(known)}; not "{quantity}"')


@functools.cache
def _fitted(angstrom: tuple[float, ...]) -> Callable[[LightCurves], ProcessPeaks]:
    """Return what fits processes to light curves of bands of these wavelengths, once."""

    @once
    def fit(curves: LightCurves) -> ProcessPeaks:
        arrays = (curves.time_mjd, curves.values, curves.errors, curves.offsets)
        return process_peaks(*arrays, np.array(angstrom), _PROCESS)

    return fit
