"""Fits to the magnitudes of an event's detections in each band: FLEET's rise and decline, and the slope of the tail.

Fluxes are turned into magnitudes, of which only shapes are told here: no zero point matters. Detections are epochs of
at least :data:`DETECTION_SNR`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.fitted import ERROR, QUALITY, meaning, quantities
from lsdb_ts.features.protocol import BandFeature
from lsdb_ts.features.shared import once
from lsdb_ts.features.transient import DETECTION_SNR
from lsdb_ts.kernels.fits.magnitude_fits import FLEET, FleetFits, fit_fleet, tail_slopes

_SHAPE = ("a", "w", "t0")
_UNITS = {"a": "mag", "w": "1/d", "t0": "d"}
_TAIL = ("index", f"index{ERROR}", "redchi2")


@dataclass(frozen=True)
class FleetFit(BandFeature):
    """A number of the fit of ``m(t) = exp(w (t - t0)) - a w (t - t0) + m0`` to the detections (S/N >= 5) of a band.

    ``w`` is negative: a steep rise, then a decline of ``-a w`` magnitudes a day. All but redchi2 and flag are null
    where no rise is seen, flag 3.
    """

    quantity: str = "a"

    fit = "fleet"
    reference = "Gomez et al. 2020, ApJ 904, 74 (FLEET)"
    costly = True
    on_request = True

    def __post_init__(self) -> None:
        _check(self, quantities(_SHAPE, quality=True))

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> tuple[FleetFit, ...]:
        """Return all numbers."""
        return tuple(cls(q) for q in quantities(_SHAPE, quality=True))

    @property
    def name(self) -> str:  # type: ignore[override]
        """As ``fleet_w``."""
        return f"{self.fit}_{self.quantity}"

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Unit of the parameter; its error has the same."""
        return _UNITS.get(self.quantity.removesuffix(ERROR), "1")

    @property
    def dated(self) -> bool:  # type: ignore[override]
        """Whether it is the time of the model."""
        return self.quantity == "t0"

    @property
    def stored(self) -> pa.DataType:  # type: ignore[override]
        """Double precision for the time of day."""
        return pa.float64() if self.dated else pa.float32()

    @property
    def min_epochs(self) -> int:  # type: ignore[override]
        """One more than there are parameters; a flag there always is."""
        return 0 if self.quantity == "flag" else len(FLEET) + 1

    @property
    def formula(self) -> str:
        """What this number is, and the model."""
        model = "m = exp(w x) - a w x + m0, x = t - t0, w < 0"
        return f"{meaning(self.quantity)}; least squares fit of ``{model}`` to the magnitudes of detections"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number of every object and band."""
        fits = _fleet(curves)
        if self.quantity in QUALITY:
            found = fits.status.astype(np.float64) if self.quantity == "flag" else fits.redchi2
        else:
            table = fits.errors if self.quantity.endswith(ERROR) else fits.parameters
            found = table[:, FLEET.index(self.quantity.removesuffix(ERROR))]
        return found.reshape(curves.counts.shape)


@dataclass(frozen=True)
class TailFit(BandFeature):
    """A number of the fit of ``m0 + index 2.5 log10(t - t_peak + 40)`` to detections (S/N >= 5) of a band.

    These are the detections of the 200 days after the brightest: the flux falls as the power ``-index`` of the time
    since 40 days before the peak, 5/3 for a tidal disruption.
    """

    quantity: str = "index"

    fit = "tail"
    unit = "1"
    reference = "TDE_decay of ALeRCE's TDETailExtractor (lc_classifier), without its floor of the errors"
    costly = True
    on_request = True

    def __post_init__(self) -> None:
        _check(self, _TAIL)

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> tuple[TailFit, ...]:
        """Return all numbers."""
        return tuple(cls(q) for q in _TAIL)

    @property
    def name(self) -> str:  # type: ignore[override]
        """As ``tail_index``."""
        return f"{self.fit}_{self.quantity}"

    @property
    def min_epochs(self) -> int:  # type: ignore[override]
        """The brightest and two more; for chi2 three."""
        return 4 if self.quantity == "redchi2" else 3

    @property
    def formula(self) -> str:
        """What this number is, and the model."""
        model = "m = m0 + index 2.5 log10(t - t_peak + 40)"
        return f"{meaning(self.quantity)}; least squares fit of ``{model}`` to detections within 200 d after the peak"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number of every object and band."""
        return _tails(curves)[:, _TAIL.index(self.quantity)].reshape(curves.counts.shape)


def _check(feature: FleetFit | TailFit, known: tuple[str, ...]) -> None:
    if feature.quantity not in known:
        raise PlanError(f'{type(feature).__name__} has the numbers {", ".join(known)}; not "{feature.quantity}"')


@once
def _detections(curves: LightCurves) -> tuple[NDArray[np.float64], ...]:
    """Return times, magnitudes and errors of detections, and where each band of each object begins among them."""
    to_mag = 2.5 / np.log(10.0)
    if curves.is_flux:
        seen = curves.values >= DETECTION_SNR * curves.errors
        mags, errors = -2.5 * np.log10(curves.values[seen]), to_mag * curves.errors[seen] / curves.values[seen]
    else:
        seen = curves.errors <= to_mag / DETECTION_SNR
        mags, errors = curves.values[seen], curves.errors[seen]
    before = np.concatenate([[0], np.cumsum(seen)])
    return curves.time_mjd[seen], mags, errors, before[curves.offsets].astype(np.int64)


@once
def _fleet(curves: LightCurves) -> FleetFits:
    return fit_fleet(*_detections(curves))


@once
def _tails(curves: LightCurves) -> NDArray[np.float64]:
    return tail_slopes(*_detections(curves))
