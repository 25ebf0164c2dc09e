"""Who counts as a partner in a crossmatch: the options users give, and the pairing they amount to.

The verbs that take them are next door.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.plan.matching.algorithm import Algorithm, Nearest
from lsdb_ts.plan.matching.likelihood import Likely, PositionError
from lsdb_ts.plan.matching.motion import Epochs, Motion, julian_year
from lsdb_ts.plan.matching.pairing import Pairing
from lsdb_ts.plan.matching.score import Scored
from lsdb_ts.plan.node import Node
from lsdb_ts.schema import has_parts
from lsdb_ts.sky.angles import arcseconds
from lsdb_ts.sky.pixel import SKY_STOP

if TYPE_CHECKING:
    import astropy.time
    import astropy.units

    Angle: TypeAlias = float | astropy.units.Quantity
    Epoch: TypeAlias = float | astropy.time.Time

_LIKELIHOOD = "likelihood_ratio"
_EPOCHS = ("epoch", "left_epoch", "right_epoch", "max_proper_motion_mas_yr")
_ERRORS = ("left_error", "right_error")
_SKY_ARCMIN2 = 4 * math.pi * math.degrees(1.0) ** 2 * 3600


@dataclass(frozen=True)
class MatchOptions:
    """The further arguments of every crossmatch; :meth:`lsdb_ts.Catalog.crossmatch` explains them."""

    min_radius_arcsec: Angle = 0.0
    one_to_one: bool = False
    epoch: Epoch | None = None
    left_epoch: Epoch | None = None
    right_epoch: Epoch | None = None
    max_proper_motion_mas_yr: float | None = None
    n_sigma: float | None = None
    left_error: str | Angle | None = None
    right_error: str | Angle | None = None
    score: str | Callable[[Any, Any], Any] | None = None
    density_per_arcmin2: float | None = None

    @classmethod
    def of(cls, given: dict[str, Any]) -> MatchOptions:
        """Build from keywords, and refuse others with the nearest names."""
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise PlanError(f'a crossmatch has no argument "{name}"; {did_you_mean(name, known)}')
        return cls(**given)

    def pairing(
        self, left: Node, right: Node, radius: Any, n_neighbors: int | None, algorithm: Algorithm | None
    ) -> Pairing:
        """Return the two sides and what pairs them."""
        if algorithm is None:
            algorithm = self._algorithm(left, right, radius, n_neighbors)
        elif not isinstance(algorithm, Algorithm):
            raise PlanError(
                f"algorithm={algorithm!r}: need an object of a subclass of lt.Algorithm; a "
                f"function that says how good a pair is goes to score="
            )
        elif given := self._given({f.name for f in fields(self)} - set(_EPOCHS)):
            raise PlanError(f"the algorithm decides who is a partner: leave {' and '.join(given)} out, or tell it so")
        return Pairing(left, right, algorithm, self._motions(left, right))

    def _algorithm(self, left: Node, right: Node, radius: Any, n_neighbors: int | None) -> Algorithm:
        least = float(arcseconds(self.min_radius_arcsec, "min_radius_arcsec"))
        reach = float(arcseconds(radius, "radius_arcsec"))
        common: dict[str, Any] = {
            "radius_arcsec": reach,
            "n_neighbors": None if n_neighbors is None else int(n_neighbors),
            "min_radius_arcsec": least,
            "mutual": bool(self.one_to_one),
        }
        if callable(self.score):
            self._refuse(("n_sigma", *_ERRORS, "density_per_arcmin2"), f'score="{_LIKELIHOOD}"')
            columns = [tuple(f.name for f in node.schema if not has_parts(f)) for node in (left, right)]
            scored = Scored(function=self.score, left_columns=columns[0], right_columns=columns[1], **common)
            scored.check(left.schema, right.schema)
            return scored
        if self.score not in (None, _LIKELIHOOD):
            raise PlanError(f'score="{self.score}": need "{_LIKELIHOOD}" or a function')
        if self.score is None and self.n_sigma is None:
            self._refuse((*_ERRORS, "density_per_arcmin2"), f'n_sigma= or score="{_LIKELIHOOD}"')
            return Nearest(**common)
        if self.score is None:
            self._refuse(["density_per_arcmin2"], f'score="{_LIKELIHOOD}"')
        elif self.density_per_arcmin2 is None:
            raise PlanError(
                f'score="{_LIKELIHOOD}" compares with the background: give density_per_arcmin2=, the rows of '
                f"{right.name} in a square arcminute{_density_of(right)}"
            )
        errors: dict[str, Any] = {
            "left_error": PositionError.of(left, "left", self.left_error),
            "right_error": PositionError.of(right, "right", self.right_error),
        }
        return Likely(**errors, n_sigma=self.n_sigma, density_per_arcmin2=self.density_per_arcmin2, **common)

    def _motions(self, left: Node, right: Node) -> tuple[Motion | None, Motion | None]:
        if self.epoch is None:
            self._refuse(_EPOCHS[1:], "epoch=, the year at which the two are compared")
            return None, None
        since = {side: getattr(self, f"{side}_epoch") for side in ("left", "right")}
        years = {side: None if v is None else julian_year(v, f"{side}_epoch") for side, v in since.items()}
        fastest = self.max_proper_motion_mas_yr
        if fastest is not None and not (math.isfinite(fastest) and fastest >= 0):
            raise PlanError(f"max_proper_motion_mas_yr={fastest}: need 0 or more")
        return Epochs(julian_year(self.epoch, "epoch"), **years, fastest_mas_yr=fastest).motions(left, right)

    def _given(self, names: Iterable[str]) -> list[str]:
        """Return which of some options differ from their default."""
        return [f.name for f in fields(self) if f.name in set(names) and getattr(self, f.name) != f.default]

    def _refuse(self, names: Iterable[str], needed: str) -> None:
        """Raise PlanError if options were given that mean nothing without another."""
        given = self._given(names)
        if given:
            raise PlanError(f"{given[0]}={getattr(self, given[0])!r} means nothing without {needed}")


def _density_of(node: Node) -> str:
    """Suggest a surface density where metadata tell the rows: that over all the pixels of the catalog."""
    if node.count is None or len(node.layout) == 0:
        return ""
    covered = (node.layout.stops - node.layout.starts).sum() / SKY_STOP * _SKY_ARCMIN2
    return f"; {node.count:,} rows in pixels of {covered / 3600:.4g} square degrees are {node.count / covered:.3g}"
