"""How the bands of an object vary together: pairs of epochs near in time, ratios of amplitudes, changing colours.

The colour at mean brightness lives in ``colour.py``.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.features.colour import colour_of
from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import ObjectFeature
from lsdb_ts.features.shared import once
from lsdb_ts.kernels.curves.bands import (
    GAUSSIAN_K,
    brightest_times,
    colour_slopes,
    pair_bands,
    values_at,
    welch_stetson,
)

PAIR_DAYS = 0.05
"""Epochs in two bands that lie nearer in time than this are a pair of the Welch-Stetson indices."""
COLOUR_DAYS = 0.5
"""Epochs in two bands that lie nearer in time than this make a colour."""
GAP_DAYS = 10.0
"""Between epochs that lie farther apart than this no value is interpolated."""
_DETECTION_SNR = 5.0
_STETSON = "Stetson 1996, PASP 108, 851; Welch and Stetson 1993, AJ 105, 1813"
_ALERCE = "Sanchez-Saez et al. 2021, AJ 161, 141"


class _Paired:
    """What is computed of the pairs of epochs."""

    statistics: ClassVar[tuple[str, ...]] = ("mean_w",)


class NBandPairs(_Paired, ObjectFeature):
    """Number of pairs of successive epochs in two bands within 0.05 d of each other, each epoch in one pair at most."""

    name, unit, min_epochs, reference = "n_band_pairs", "1", 0, _STETSON

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the numbers."""
        return _stetson(curves)[0].astype(np.float64)


class WelchStetsonJ(_Paired, ObjectFeature):
    """``J = mean(sign(P) sqrt(|P|))`` over the pairs of ``n_band_pairs``, ``P = d_1 d_2`` of two bands.

    ``d = sqrt(n / (n - 1)) (x - x_w) / e`` with n and x_w of the band. 0 for noise, positive where bands vary together.
    """

    name, unit, min_epochs, reference = "welch_stetson_j", "1", 4, _STETSON

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the indices."""
        return _stetson(curves)[1]


class WelchStetsonK(_Paired, ObjectFeature):
    """``K = mean(|d|) / sqrt(mean(d^2))`` over the epochs of the pairs of ``n_band_pairs``; 0.798 for a Gaussian."""

    name, unit, min_epochs, reference = "welch_stetson_k", "1", 4, _STETSON

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the indices."""
        return _stetson(curves)[2]


class WelchStetsonL(_Paired, ObjectFeature):
    """``L = J K / 0.798`` of the pairs of ``n_band_pairs``."""

    name, unit, min_epochs, reference = "welch_stetson_l", "1", 4, _STETSON

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the indices."""
        _, j, k = _stetson(curves)
        return j * k / GAUSSIAN_K


@dataclass(frozen=True)
class _TwoBands:
    """What is computed of two bands, named by them."""

    blue: str
    red: str

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> tuple[Self, ...]:
        """Return one feature for each two neighbouring bands."""
        return tuple(cls(blue, red) for blue, red in itertools.pairwise(bands))

    def places(self, curves: LightCurves) -> tuple[int, int]:
        """Return where the bands are among those of the curves."""
        return curves.bands.index(self.blue), curves.bands.index(self.red)


@dataclass(frozen=True)
class AmpRatio(_TwoBands, ObjectFeature):
    """Ratio of the amplitudes in two bands, ``(p95 - p05)(blue) / (p95 - p05)(red)``."""

    unit, min_epochs = "1", 4
    reference = "VanderPlas and Ivezic 2015, ApJ 812, 18, sec. 3.3, amplitude ratios; of percentiles here"

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the column, such as ``amp_ratio_g_r``."""
        return f"amp_ratio_{self.blue}_{self.red}"

    @property
    def statistics(self) -> tuple[str, ...]:
        """The percentiles."""
        return ("p05", "p95")

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the ratios."""
        blue, red = self.places(curves)
        width = curves.statistic("p95") - curves.statistic("p05")
        return width[:, blue] / np.where(width[:, red] > 0, width[:, red], np.nan)


@dataclass(frozen=True)
class MaxColour(_TwoBands, ObjectFeature):
    """Colour of the maxima, each band at its own: ``-2.5 log10(max(blue) / max(red))``, of magnitudes the minima.

    Null where a maximum is not positive.
    """

    unit, min_epochs = "mag", 2
    reference = f"{_ALERCE}, g-r_max"

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the column, such as ``colour_max_g_r``."""
        return f"colour_max_{self.blue}_{self.red}"

    @property
    def statistics(self) -> tuple[str, ...]:
        """The extremes."""
        return ("min", "max")

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the colours."""
        blue, red = self.places(curves)
        brightest = curves.statistic("max" if curves.is_flux else "min")
        return colour_of(brightest[:, blue], brightest[:, red], curves.is_flux)


@dataclass(frozen=True)
class PeakColour(_TwoBands, ObjectFeature):
    """Colour some days after the peak: at the time of the brightest epoch of all bands with S/N of 5 or more.

    Both bands are interpolated by a straight line between epochs at most 10 d apart; else an epoch within 0.5 d is
    taken; else it is null.
    """

    days: float = 0.0
    """Days after the peak."""
    unit, min_epochs = "mag", 2
    reference = "Huber et al. 2022, A&A 658, A157, colours at and around the peak"

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the column, such as ``colour_peak_g_r``, or ``colour_peak_m7_g_r`` for 7 days before."""
        when = f"{'m' if self.days < 0 else 'p'}{abs(self.days):g}_".replace(".", "_") if self.days else ""
        return f"colour_peak_{when}{self.blue}_{self.red}"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the colours."""
        blue, red = self.places(curves)
        values = _values_after_peak(curves, self.days)
        return colour_of(values[:, blue], values[:, red], curves.is_flux)


@dataclass(frozen=True)
class ColourSlope(_TwoBands, ObjectFeature):
    """Slope of the weighted straight line through colours of pairs of epochs within 0.5 d of each other, against time.

    Pairs with a flux that is not positive are left out.
    """

    unit, min_epochs = "mag/d", 4
    reference = f"{_ALERCE}; colour variation as in ALeRCE's later features"

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the column, such as ``colour_slope_g_r``."""
        return f"colour_slope_{self.blue}_{self.red}"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the slopes."""
        blue, red = self.places(curves)
        n_bands = len(curves.bands)
        pairs = pair_bands(curves.time_mjd, curves.offsets, n_bands, blue, red, COLOUR_DAYS)
        arrays = (curves.time_mjd, curves.values, curves.errors, curves.offsets)
        return colour_slopes(*arrays, n_bands, pairs, curves.is_flux)


@once
def _stetson(curves: LightCurves) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    arrays = (curves.time_mjd, curves.values, curves.errors, curves.offsets)
    return welch_stetson(*arrays, curves.statistic("mean_w").ravel(), len(curves.bands), PAIR_DAYS)


@once
def _peak_times(curves: LightCurves) -> NDArray[np.float64]:
    """Return the time of the brightest epoch of each object, of those of S/N of 5 or more; NaN without any."""
    brightness = curves.values if curves.is_flux else -curves.values
    arrays = (curves.time_mjd, brightness, curves.signal_to_noise, curves.offsets)
    return brightest_times(*arrays, len(curves.bands), _DETECTION_SNR)


def _values_after_peak(curves: LightCurves, days: float) -> NDArray[np.float64]:
    """Return the values of all bands so many days after the peak, shape (n_objects, n_bands)."""
    known = _after_peak(curves)
    if days not in known:
        arrays = (curves.time_mjd, curves.values, curves.offsets)
        moments = _peak_times(curves) + days
        known[days] = values_at(*arrays, len(curves.bands), moments, GAP_DAYS, COLOUR_DAYS)
    return known[days]


@once
def _after_peak(curves: LightCurves) -> dict[float, NDArray[np.float64]]:
    """Return where values are kept by the days after the peak."""
    return {}
