"""Single events: peak, rise and fade of the detections, their sign, and what forced photometry saw around them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import VALUE, BandFeature
from lsdb_ts.features.shared import once
from lsdb_ts.kernels.curves.detections import PEAKS, SURROUNDINGS, peaks, signs, surroundings

DETECTION_SNR = 5.0
"""An epoch of at least so much signal to noise is a detection."""
_DETECTED = "detections of S/N >= 5 as in DMTN-118"
_FORCED = "Sanchez-Saez et al. 2021, AJ 161, 141, supernova features, on forced photometry"


class _Peak:
    """A column of ``kernels.curves.detections.peaks``."""

    name: str

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the column."""
        return _peaks(curves)[:, :, PEAKS.index(self.name)]


class _Forced:
    """A column of ``kernels.curves.detections.surroundings``."""

    name: str
    fluxes_only = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the column."""
        return _surroundings(curves)[:, :, SURROUNDINGS.index(self.name)]


class TPeak(_Peak, BandFeature):
    """Time of the brightest detection (S/N >= 5), as MJD."""

    name, unit, min_epochs, reference = "t_peak", "d", 1, _DETECTED
    stored, dated = pa.float64(), True


class FPeak(_Peak, BandFeature):
    """Flux (or magnitude) of the brightest detection (S/N >= 5)."""

    name, unit, min_epochs, reference = "f_peak", VALUE, 1, _DETECTED


class RiseTime(_Peak, BandFeature):
    """Time from the first detection (S/N >= 5) to the brightest."""

    name, unit, min_epochs, reference = "rise_time", "d", 1, _DETECTED


class FadeTime(_Peak, BandFeature):
    """Time from the brightest detection (S/N >= 5) to the last."""

    name, unit, min_epochs, reference = "fade_time", "d", 1, _DETECTED


class RiseSlope(_Peak, BandFeature):
    """Mean slope from the first detection (S/N >= 5) to the brightest; null where they are one."""

    name, unit, min_epochs, reference = "rise_slope", f"{VALUE}/d", 2, _DETECTED


class FadeSlope(_Peak, BandFeature):
    """Mean slope from the brightest detection (S/N >= 5) to the last; null where they are one."""

    name, unit, min_epochs, reference = "fade_slope", f"{VALUE}/d", 2, _DETECTED


class NNeg(BandFeature):
    """Number of epochs of negative flux: dips in difference fluxes."""

    name, unit, min_epochs = "n_neg", "1", 1
    reference = "Sanchez-Saez et al. 2021, AJ 161, 141, n_neg"
    fluxes_only = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the numbers."""
        return _signs(curves)[:, :, 0]


class PositiveFraction(BandFeature):
    """Share of the epochs of positive flux."""

    name, unit, min_epochs = "positive_fraction", "1", 1
    reference = "Sanchez-Saez et al. 2021, AJ 161, 141, positive_fraction"
    fluxes_only = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the shares."""
        return _signs(curves)[:, :, 1] / np.where(curves.counts > 0, curves.counts, 1)


class NNonDetBefore(_Forced, BandFeature):
    """Number of epochs before the object's first detection (S/N of 5, of either sign) in any band; null without one."""

    name, unit, min_epochs, reference = "n_non_det_before", "1", 1, _FORCED


class LastFluxBefore(_Forced, BandFeature):
    """Last flux before the object's first detection in any band."""

    name, unit, min_epochs, reference = "last_flux_before", VALUE, 1, _FORCED


class MedianFluxBefore(_Forced, BandFeature):
    """Median flux before the object's first detection in any band."""

    name, unit, min_epochs, reference = "median_flux_before", VALUE, 1, _FORCED


class MaxFluxBefore(_Forced, BandFeature):
    """Greatest flux before the object's first detection in any band."""

    name, unit, min_epochs, reference = "max_flux_before", VALUE, 1, _FORCED


class DfluxFirstDet(_Forced, BandFeature):
    """Flux of the object's first detection, in whatever band, less the last flux of this band before it."""

    name, unit, min_epochs, reference = "dflux_first_det", VALUE, 1, _FORCED


class DfluxNonDet(_Forced, BandFeature):
    """Flux of the object's first detection, in whatever band, less the median flux of this band before it."""

    name, unit, min_epochs, reference = "dflux_non_det", VALUE, 1, _FORCED


class NNonDetAfter(_Forced, BandFeature):
    """Number of epochs from the object's first detection on that are none; null without detections."""

    name, unit, min_epochs, reference = "n_non_det_after", "1", 1, _FORCED


class MedianFluxAfter(_Forced, BandFeature):
    """Median flux of the epochs from the object's first detection on that are none."""

    name, unit, min_epochs, reference = "median_flux_after", VALUE, 1, _FORCED


class MaxFluxAfter(_Forced, BandFeature):
    """Greatest flux of the epochs from the object's first detection on that are none."""

    name, unit, min_epochs, reference = "max_flux_after", VALUE, 1, _FORCED


@once
def _peaks(curves: LightCurves) -> NDArray[np.float64]:
    """Return ``PEAKS`` of every object and band, in the unit and sense of the curves."""
    brightness = curves.values if curves.is_flux else -curves.values
    table = peaks(curves.time_mjd, brightness, curves.signal_to_noise, curves.offsets, DETECTION_SNR)
    if not curves.is_flux:
        for name in ("f_peak", "rise_slope", "fade_slope"):
            table[:, PEAKS.index(name)] *= -1.0
    return table.reshape(*curves.counts.shape, len(PEAKS))


@once
def _surroundings(curves: LightCurves) -> NDArray[np.float64]:
    arrays = (curves.time_mjd, curves.values, curves.signal_to_noise, curves.offsets)
    return surroundings(*arrays, len(curves.bands), DETECTION_SNR).reshape(*curves.counts.shape, len(SURROUNDINGS))


@once
def _signs(curves: LightCurves) -> NDArray[np.float64]:
    return signs(curves.values, curves.offsets).reshape(*curves.counts.shape, 2)
