"""How the values follow one another in time: slopes, steps and sums.

Periods live in ``periodic.py``.
"""

from __future__ import annotations

from lsdb_ts.features.protocol import VALUE, Statistic


class MaxSlope(Statistic):
    """Steepest rise, ``max((x_{i+1} - x_i) / (t_{i+1} - t_i))``, signed; equal times are passed over."""

    name, unit, min_epochs = "max_slope", f"{VALUE}/d", 2
    reference = "Rubin DPDD (LSE-163), psfFluxMaxSlope"


class LinSlope(Statistic):
    """Slope of the weighted straight line, ``sum(w (t - t_w)(x - x_w)) / sum(w (t - t_w)^2)``."""

    name, unit, min_epochs = "lin_slope", f"{VALUE}/d", 2
    reference = "Rubin DPDD (LSE-163), psfFluxLinearSlope"


class LinSlopeErr(Statistic):
    """Its standard error, ``1 / sqrt(sum(w (t - t_w)^2))``."""

    name, unit, min_epochs = "lin_slope_err", f"{VALUE}/d", 2
    reference = "Rubin DPDD (LSE-163), psfFluxLinearSlope"


class Eta(Statistic):
    """Von Neumann ratio, ``sum((x_{i+1} - x_i)^2) / ((n - 1) s^2)``; 2 for white noise, small for smooth change."""

    name, unit, min_epochs = "eta", "1", 2
    reference = "von Neumann 1941, Ann. Math. Stat. 12, 367"


class EtaE(Statistic):
    """Von Neumann ratio for uneven times, in which close pairs count more.

    ``sum(v (x_{i+1} - x_i)^2) / (s^2 sum(v))`` with ``v = 1 / max(t_{i+1} - t_i, 0.5 d)^2``.
    """

    name, unit, min_epochs = "eta_e", "1", 2
    reference = "Kim et al. 2014, A&A 566, A43; without prefactor as in Sanchez-Saez et al. 2021, AJ 161, 141"


class Rcs(Statistic):
    """Range of the cumulative sum, ``max(S) - min(S)`` with ``S_l = sum_{i <= l}(x_i - x_m) / (n s)``."""

    name, unit, min_epochs = "rcs", "1", 2
    reference = "Ellaway 1978, Electroencephalogr. Clin. Neurophysiol. 45, 302; Kim et al. 2014, A&A 566, A43"
