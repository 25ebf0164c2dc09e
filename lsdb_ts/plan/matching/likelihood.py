"""Matches that know the errors of positions: separations in sigmas, and likelihood ratios.

Which rows lie near each other at all is found by the kernel of every match.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.matching.algorithm import Pairs, Ranked, Side
from lsdb_ts.plan.matching.motion import floats
from lsdb_ts.plan.node import Node
from lsdb_ts.schema import Roles, angle_unit_of, require
from lsdb_ts.sky.angles import arcseconds

LIKELIHOOD_RATIO = "_likelihood_ratio"
_ARCSEC_PER = {"arcsec": 1.0, "mas": 1e-3, "uas": 1e-6, "deg": 3600.0, "rad": math.degrees(1.0) * 3600.0}
_ARCSEC2_PER_ARCMIN2 = 3600.0
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PositionError:
    """The standard errors of one side's positions: of each row, from columns, or one for all rows.

    Attributes
    ----------
    columns : tuple of str
        The errors along right ascension and declination, or one for both.
    arcsec : tuple of float
        What turns their values into arcsec; without columns, the error itself.
    """

    columns: tuple[str, ...]
    arcsec: tuple[float, ...]

    @classmethod
    def of(cls, node: Node, side: str, given: Any) -> PositionError:
        """Find them.

        Parameters
        ----------
        node : Node
            The rows of the side.
        side : {"left", "right"}
            Which one, for messages.
        given : str, float, Quantity or None
            A column (in arcsec, where it has no unit), an error for all rows, or what the roles tell.

        Raises
        ------
        PlanError
            Nothing tells the errors or their unit.
        """
        if given is None:
            roles = Roles.find(node.schema)
            if roles.ra_error is None or roles.dec_error is None:
                raise PlanError(
                    f"{node.name} has no errors of positions: give {side}_error= (a column, or arcsec for all rows), "
                    f'or name the columns with the roles "ra_error" and "dec_error"'
                )
            return cls(
                (roles.ra_error, roles.dec_error),
                tuple(_factor(node, n, side) for n in (roles.ra_error, roles.dec_error)),
            )
        if isinstance(given, str):
            require(node.schema, [given], node.name)
            return cls((given,), (_factor(node, given, side, default="arcsec"),))
        error = float(arcseconds(given, f"{side}_error"))
        if not (math.isfinite(error) and error >= 0):
            raise PlanError(f"{side}_error={given}: need a standard error in arcsec, 0 or more")
        return cls((), (error,))

    def variance(self, table: pa.Table, n: int) -> Floats:
        """Return the mean of the squared errors in arcsec^2; NaN where a row has none."""
        if not self.columns:
            return np.full(n, self.arcsec[0] ** 2)
        squares = [(floats(table, c) * factor) ** 2 for c, factor in zip(self.columns, self.arcsec, strict=True)]
        return np.asarray(sum(squares) / len(squares))


@dataclass(frozen=True, kw_only=True)
class Likely(Ranked):
    """The right rows that are the likeliest counterparts, given the errors of both positions.

    With the separation d and sigma^2 = sigma_left^2 + sigma_right^2 (each the mean of the squared errors along the two
    axes), the likelihood ratio is the density of true counterparts over that of the background,

        LR = exp(-d^2 / (2 sigma^2)) / (2 pi sigma^2 n),

    with n the right side's surface density (W. Sutherland & W. Saunders, MNRAS 259, 413, 1992, without magnitudes and
    types; d / sigma is the normalised offset of H. R. de Ruiter, A. G. Willis & H. C. Arp, A&AS 28, 211, 1977).

    Attributes
    ----------
    left_error, right_error : PositionError
        Errors of either side. A row that has none (null, NaN) finds no partner.
    n_sigma : float or None
        Largest separation in units of sigma.
    density_per_arcmin2 : float or None
        Surface density of the right side. With it, partners are ranked by falling LR, a column of the result, and else
        by rising d / sigma.
    """

    left_error: PositionError
    right_error: PositionError
    n_sigma: float | None = None
    density_per_arcmin2: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_sigma is not None and not (math.isfinite(self.n_sigma) and self.n_sigma > 0):
            raise PlanError(f"n_sigma={self.n_sigma}: need a number above 0, for instance 5")
        density = self.density_per_arcmin2
        if density is not None and not (math.isfinite(density) and density > 0):
            raise PlanError(f"density_per_arcmin2={density}: need a number of rows above 0")

    @property
    def left_columns(self) -> tuple[str, ...]:
        """The left errors."""
        return self.left_error.columns

    @property
    def right_columns(self) -> tuple[str, ...]:
        """The right errors."""
        return self.right_error.columns

    @property
    def added(self) -> tuple[pa.Field, ...]:
        """The likelihood ratio, where it can be told."""
        return () if self.density_per_arcmin2 is None else (pa.field(LIKELIHOOD_RATIO, pa.float64()),)

    def pairs(self, left: Side, right: Side) -> Pairs:
        """Find all near ones, score them, and keep the best."""
        near = self.near(left, right)
        mine = self.left_error.variance(left.table, left.positions.place.size)[near.left_rows]
        variance = mine + self.right_error.variance(right.table, right.positions.place.size)[near.right_rows]
        with np.errstate(invalid="ignore", divide="ignore"):
            sigmas = near.separation_arcsec / np.sqrt(variance)
            # Positions without error that coincide are certain.
            sigmas[(variance == 0) & (near.separation_arcsec == 0)] = 0.0
            kept = np.isfinite(sigmas) if self.n_sigma is None else sigmas <= self.n_sigma
            near, sigmas, variance = near.take(kept), sigmas[kept], variance[kept]
            if self.density_per_arcmin2 is None:
                return self.best(near, sigmas)
            density = self.density_per_arcmin2 / _ARCSEC2_PER_ARCMIN2
            ratio = np.exp(-0.5 * sigmas**2) / (2 * np.pi * variance * density)
        scored = Pairs(near.left_rows, near.right_rows, near.separation_arcsec, {LIKELIHOOD_RATIO: ratio})
        return self.best(scored, -ratio)

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters."""
        return {"type": "likely", **asdict(self)}

    @property
    def summary(self) -> str:
        """How many, how far, and in how many sigmas."""
        limit = "" if self.n_sigma is None else f" and {self.n_sigma:g} sigma"
        ranked = "" if self.density_per_arcmin2 is None else ", by likelihood ratio"
        return f"{super().summary}{limit}{ranked}"


def _factor(node: Node, name: str, side: str, default: str | None = None) -> float:
    unit = angle_unit_of(node.schema.field(name)) or default
    if unit in _ARCSEC_PER:
        return _ARCSEC_PER[unit]
    told = f'is in "{unit}"' if unit else "has no unit"
    raise PlanError(
        f'{node.name}: the error of positions "{name}" {told}; need one of {", ".join(_ARCSEC_PER)}: give '
        f'{side}_error="{name}" if it is in arcsec, or an error in arcsec for all rows'
    )
