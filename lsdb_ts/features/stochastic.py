"""Aperiodic variability: structure functions, damped random walks, power on two time scales, smoothness, averages.

Fluxes and magnitudes are both taken as they are; ``V`` is their unit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import VALUE, BandFeature
from lsdb_ts.features.shared import once
from lsdb_ts.kernels.curves.power_law import structure_power_law
from lsdb_ts.kernels.curves.random_walk import fit_drw, iar_phi, walk_chi2
from lsdb_ts.kernels.curves.stochastic import abbe_excess, hat_power, moving_averages

_ALERCE = "Sanchez-Saez et al. 2021, AJ 161, 141"
_FLUX_PER_MAG = 0.4 * math.log(10.0)
_QUASARS = {
    "u": (-3.90, 2.73), "g": (-4.10, 2.92), "r": (-4.34, 3.12),
    "i": (-4.23, 2.83), "z": (-4.44, 3.06), "y": (-4.44, 3.06),
}  # fmt: skip
"""Of quasars of magnitude 19 in Stripe 82: log10 of twice the variance over tau, in mag^2 a day, and of tau in days."""


@dataclass(frozen=True)
class SfAmp(BandFeature):
    """Amplitude A of the structure function ``A (lag / 1 yr)^gamma`` over lags of 5 to 365 d: the rms change in a year.

    Of greatest likelihood, with pairs taken together in bins of 0.1 dex of lag. 0 where the errors explain all.
    """

    name, unit, min_epochs, version = "sf_amp", VALUE, 5, 2
    reference = "Schmidt et al. 2010, ApJ 714, 1194, eq. 4"
    costly = True
    definitions: ClassVar[Mapping[str, str]] = {
        "schmidt10": "greatest likelihood of the differences of all pairs; Schmidt et al. 2010, ApJ 714, 1194",
        "alerce": "line through the logarithms of binned structure functions, 0.01 to 0.5 yr, A below 0.005 is 0, at "
        f"most 15 (meant for magnitudes); {_ALERCE}, SF_ML_amplitude",
    }
    definition: str = "schmidt10"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the amplitudes."""
        return _power_law(curves, self.definition)[0]


@dataclass(frozen=True)
class SfGamma(BandFeature):
    """Exponent gamma of the structure function ``A (lag / 1 yr)^gamma``: 0 for white noise, 0.5 for a random walk."""

    name, unit, min_epochs, version = "sf_gamma", "1", 5, 2
    reference = "Schmidt et al. 2010, ApJ 714, 1194, eq. 4"
    costly = True
    definitions: ClassVar[Mapping[str, str]] = {
        "schmidt10": "greatest likelihood of the differences of all pairs; Schmidt et al. 2010, ApJ 714, 1194",
        "alerce": "line through the logarithms of binned structure functions, 0.01 to 0.5 yr, from -0.5 to 3, 0 where "
        f"A is; {_ALERCE}, SF_ML_gamma",
    }
    definition: str = "schmidt10"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the exponents."""
        return _power_law(curves, self.definition)[1]


@dataclass(frozen=True)
class DrwSigma(BandFeature):
    """Standard deviation in the long run of the most likely damped random walk, ``sigma^2 exp(-|dt| / tau)``.

    0 where the errors explain all scatter.
    """

    name, min_epochs, reference = "drw_sigma", 5, "Kelly et al. 2009, ApJ 698, 895"
    costly = True
    definitions: ClassVar[Mapping[str, str]] = {
        "kelly09": "standard deviation sigma, mean fitted, too; Kelly et al. 2009, ApJ 698, 895",
        "alerce": f"variance sigma^2 about the mean of the epochs; {_ALERCE}, GP_DRW_sigma",
    }
    definition: str = "kelly09"

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Unit: that of the values, of a variance squared."""
        return f"{VALUE}^2" if self.definition == "alerce" else VALUE

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the standard deviations (ALeRCE: variances)."""
        sigma = _walk(curves, self.definition)[0]
        return sigma**2 if self.definition == "alerce" else sigma


@dataclass(frozen=True)
class DrwTau(BandFeature):
    """Time scale tau of the most likely damped random walk, ``sigma^2 exp(-|dt| / tau)``.

    From a fifth of the shortest gap to ten times the duration; a tau above a tenth of the duration is only a lower
    limit (Kozlowski 2017, A&A 597, A128). Null where drw_sigma is 0.
    """

    name, unit, min_epochs, reference = "drw_tau", "d", 5, "Kelly et al. 2009, ApJ 698, 895"
    costly = True
    definitions: ClassVar[Mapping[str, str]] = {
        "kelly09": "mean fitted, too; Kelly et al. 2009, ApJ 698, 895",
        "alerce": f"about the mean of the epochs; {_ALERCE}, GP_DRW_tau",
    }
    definition: str = "kelly09"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the time scales."""
        return _walk(curves, self.definition)[1]


@dataclass(frozen=True)
class IarPhi(BandFeature):
    """Autocorrelation at 1 d of the most likely irregular autoregressive process with the epochs' mean and variance."""

    name, unit, min_epochs, reference = "iar_phi", "1", 5, "Eyheramendy et al. 2018, MNRAS 481, 4311"
    costly = True
    definitions: ClassVar[Mapping[str, str]] = {
        "eyheramendy18": "each epoch with its error; Eyheramendy et al. 2018, MNRAS 481, 4311",
        "alerce": f"each epoch with the error of the next, without the last; {_ALERCE}, IAR_phi as its code has it",
    }
    definition: str = "eyheramendy18"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the autocorrelations."""
        arrays = (curves.time_mjd, curves.values, curves.errors, curves.offsets)
        return iar_phi(*arrays, next_errors=self.definition == "alerce").reshape(curves.counts.shape)


class QsoChi2(BandFeature):
    """Reduced chi2 of the damped random walk that a quasar of magnitude 19 in Stripe 82 is in this band; 1 fits well.

    Of magnitudes, or fluxes relative to their median; null where that is not positive, and in bands other than ugrizy
    (y: with the numbers of z).
    """

    name, unit, min_epochs, reference = "qso_chi2", "1", 5, "Butler and Bloom 2011, AJ 141, 93, table 1, chi2_QSO / nu"
    costly = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the chi2."""
        return _quasar(curves)[0]


class QsoChi2False(BandFeature):
    """What ``qso_chi2`` is expected to be for a variable of the same scatter that does not remember its past."""

    name, unit, min_epochs = "qso_chi2_false", "1", 5
    reference = "Butler and Bloom 2011, AJ 141, 93, table 1, chi2_False / nu"
    costly = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the expectations."""
        return _quasar(curves)[1]


class MhpsLow(BandFeature):
    """Power at time scales near 100 d: mean square of the filtered fluxes over the squared mean flux, less the noise.

    The filter is a Mexican hat, the difference of two Gaussians with widths of 0.159 and 0.318 of the time scale. The
    noise is the square of the mean relative error. Null where the mean flux is not positive.
    """

    name, unit, min_epochs = "mhps_low", "1", 5
    reference = f"Arevalo et al. 2012, MNRAS 426, 1793; {_ALERCE}, MHPS_low"
    costly = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the powers."""
        return _hats(curves)[0]


class MhpsHigh(BandFeature):
    """Power at time scales near 10 d, as ``mhps_low``, but less the noise only where it is greater than that."""

    name, unit, min_epochs = "mhps_high", "1", 5
    reference = f"Arevalo et al. 2012, MNRAS 426, 1793; {_ALERCE}, MHPS_high"
    costly = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the powers."""
        return _hats(curves)[1]


class MhpsRatio(BandFeature):
    """Power near 100 d over power near 10 d, ``mhps_low / mhps_high``."""

    name, unit, min_epochs = "mhps_ratio", "1", 5
    reference = f"Arevalo et al. 2012, MNRAS 426, 1793; {_ALERCE}, MHPS_ratio"
    costly = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the ratios."""
        low, high = _hats(curves)
        return low / np.where(high > 0, high, np.nan)


@dataclass(frozen=True)
class AbbeExcess(BandFeature):
    """Mean Abbe value of windows of time around each epoch, less that of the whole curve.

    The Abbe value is ``n / (2 (n - 1)) sum((x_{i+1} - x_i)^2) / sum((x - x_m)^2)``, 1 for white noise. Windows of fewer
    than 3 epochs do not count. Near 0 for noise and for regular pulsation, near 1 for trends and single events.
    """

    name, unit, min_epochs, reference = "abbe_excess", "1", 5, "Mowlavi 2014, A&A 568, A78"
    costly = True
    window_days: float = 100.0

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the excesses."""
        found = abbe_excess(curves.time_mjd, curves.values, curves.offsets, self.window_days)
        return found.reshape(curves.counts.shape)


class Ema2d(BandFeature):
    """Exponential moving average of 2 d at the last epoch: ``a + (x - a) (1 - exp(-dt / 2 d))`` epoch after epoch.

    An outburst is where it exceeds that of 8 d, and this one that of 28 d, by some errors.
    """

    name, unit, min_epochs, reference = "ema_2d", VALUE, 1, "Smith et al. 2019, RNAAS 3, 26 (Lasair); DMTN-118"
    costly = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the averages."""
        return _averages(curves)[:, :, 0]


class Ema8d(BandFeature):
    """Exponential moving average of 8 d at the last epoch."""

    name, unit, min_epochs, reference = "ema_8d", VALUE, 1, "Smith et al. 2019, RNAAS 3, 26 (Lasair); DMTN-118"
    costly = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the averages."""
        return _averages(curves)[:, :, 1]


class Ema28d(BandFeature):
    """Exponential moving average of 28 d at the last epoch."""

    name, unit, min_epochs, reference = "ema_28d", VALUE, 1, "Smith et al. 2019, RNAAS 3, 26 (Lasair); DMTN-118"
    costly = True

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the averages."""
        return _averages(curves)[:, :, 2]


def _power_law(curves: LightCurves, definition: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return _line(curves) if definition == "alerce" else _likelihood(curves)


@once
def _line(curves: LightCurves) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return _by_band(curves, structure_power_law(*_arrays(curves), least_squares=True))


@once
def _likelihood(curves: LightCurves) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return _by_band(curves, structure_power_law(*_arrays(curves)))


def _walk(curves: LightCurves, definition: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return _walk_about_mean(curves) if definition == "alerce" else _free_walk(curves)


@once
def _walk_about_mean(curves: LightCurves) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return _by_band(curves, fit_drw(*_arrays(curves), free_mean=False))


@once
def _free_walk(curves: LightCurves) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return _by_band(curves, fit_drw(*_arrays(curves)))


@once
def _hats(curves: LightCurves) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    time, flux, error, offsets = _arrays(curves)
    if not curves.is_flux:
        flux = np.exp(-_FLUX_PER_MAG * flux)
        error = _FLUX_PER_MAG * flux * error
    return _by_band(curves, hat_power(time, flux, error, offsets))


@once
def _quasar(curves: LightCurves) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    time, values, errors, offsets = _arrays(curves)
    if curves.is_flux:
        median = curves.statistic("median").ravel()
        scale = np.repeat(_FLUX_PER_MAG * np.where(median > 0, median, np.nan), np.diff(offsets))
        values, errors = values / scale, errors / scale
    rate, tau = np.transpose([_QUASARS.get(band, (np.nan, np.nan)) for band in curves.bands])
    variance = np.tile(0.5 * 10.0 ** (rate + tau), curves.n_objects)
    return _by_band(curves, walk_chi2(time, values, errors, offsets, variance, np.tile(10.0**tau, curves.n_objects)))


@once
def _averages(curves: LightCurves) -> NDArray[np.float64]:
    """Return the moving averages of 2, 8 and 28 d."""
    found = moving_averages(curves.time_mjd, curves.values, curves.offsets, np.array([2.0, 8.0, 28.0]))
    return found.reshape(*curves.counts.shape, 3)


def _arrays(curves: LightCurves) -> tuple[NDArray[np.float64], ...]:
    return curves.time_mjd, curves.values, curves.errors, curves.offsets


def _by_band(
    curves: LightCurves, found: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give both columns the shape (n_objects, n_bands)."""
    one, other = found
    return one.reshape(curves.counts.shape), other.reshape(curves.counts.shape)
