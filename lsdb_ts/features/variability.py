"""How strongly the brightness varies, with and without regard to the errors.

The sequence in time is not looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import VALUE, BandFeature, Statistic


class Sigma(Statistic):
    """Standard deviation, ``sqrt(sum((x - x_m)^2) / (n - 1))``."""

    name, unit, min_epochs = "sigma", VALUE, 2
    reference = "Rubin DPDD (LSE-163), psfFluxSigma"


class Mad(Statistic):
    """Median absolute deviation, ``median(|x - med|)``, not scaled to a Gaussian."""

    name, unit, min_epochs = "mad", VALUE, 2
    reference = "Rubin DPDD (LSE-163), psfFluxMAD"


class Iqr(Statistic):
    """Interquartile range, ``p75 - p25``."""

    name, unit, min_epochs = "iqr", VALUE, 2
    reference = "Kim et al. 2014, A&A 566, A43, Q31"


class AmpHalf(Statistic):
    """Half of the range, ``(max - min) / 2``."""

    name, unit, min_epochs = "amp_half", VALUE, 2
    reference = "Richards et al. 2011, ApJ 733, 10, amplitude"


class Chi2(Statistic):
    """``sum(((x - x_w) / e)^2)``; not divided by the degrees of freedom."""

    name, unit, min_epochs = "chi2", "1", 2
    reference = "Rubin DPDD (LSE-163), psfFluxChi2"


class RedChi2(Statistic):
    """``chi2 / (n - 1)``."""

    name, unit, min_epochs = "redchi2", "1", 2
    reference = "Malanchev et al. 2021, MNRAS 502, 5147"


class ExcessVar(Statistic):
    """Normalised excess variance, ``(s^2 - mean(e^2)) / x_m^2``; null where x_m is not positive."""

    name, unit, min_epochs = "excess_var", "1", 2
    reference = "Nandra et al. 1997, ApJ 476, 70"
    fluxes_only = True


class FracSigma(Statistic):
    """Fractional scatter, ``s / x_w``; null where x_w is not positive."""

    name, unit, min_epochs = "frac_sigma", "1", 2
    reference = "Vaughan et al. 2003, MNRAS 345, 1271, F_var without its noise correction"
    fluxes_only = True


class StetsonJ(Statistic):
    """``mean(sign(P) sqrt(|P|))`` with ``P = n / (n - 1) ((x - x_S) / e)^2 - 1`` and x_S the iterated Stetson mean."""

    name, unit, min_epochs = "stetson_j", "1", 2
    reference = "Stetson 1996, PASP 108, 851; each epoch alone as in Rubin's psfFluxStetsonJ"


class StetsonK(Statistic):
    """``mean(|d|) / sqrt(mean(d^2))`` with ``d = (x - x_w) / e``; 0.798 for a Gaussian."""

    name, unit, min_epochs = "stetson_k", "1", 2
    reference = "Stetson 1996, PASP 108, 851"


class Roms(Statistic):
    """Robust median statistic, ``sum(|x - med| / e) / (n - 1)``."""

    name, unit, min_epochs = "roms", "1", 2
    reference = "Enoch et al. 2003, AJ 126, 3006"


class PConst(BandFeature):
    """Probability that constant brightness gives a chi2 as large: the survival function of chi2 with n - 1 degrees."""

    name, unit, min_epochs = "p_const", "1", 2
    reference = "McLaughlin et al. 1996, ApJ 473, 763"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the probabilities."""
        from scipy.special import chdtrc

        return chdtrc(np.maximum(curves.counts - 1, 1), curves.statistic("chi2"))
