"""When and in which frame positions hold: what moves the rows of one side of a match to its epoch.

The formula of the motion is geometry and lives in sky; which rows are read for it is decided elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.plan.node import Node
from lsdb_ts.schema import Roles, unit_of
from lsdb_ts.sky.motion import propagate

_MAS_PER = {"mas": 1.0, "arcsec": 1e3, "deg": 3.6e6, "rad": math.degrees(1.0) * 3.6e6}
_YEARS = ("yr", "year", "a", "julianyear")
_EARLIEST, _LATEST = 1700.0, 2300.0
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """How the positions of one side are moved to the epoch of a match.

    Attributes
    ----------
    pm_ra, pm_dec : str
        Columns of proper motion; null and NaN count as 0.
    mas_ra, mas_dec : float
        What turns their values into mas/yr.
    reference : str or float
        Epoch of the positions: a column, or one for all rows; Julian years.
    epoch : float
        Where to; Julian years.
    fastest_mas_yr : float
        No row moves faster.
    years : float
        No row moves longer.
    """

    pm_ra: str
    pm_dec: str
    mas_ra: float
    mas_dec: float
    reference: str | float
    epoch: float
    fastest_mas_yr: float
    years: float

    @property
    def reach_arcsec(self) -> float:
        """The farthest that any row is moved."""
        return self.fastest_mas_yr * 1e-3 * self.years

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it needs beside the positions."""
        return (self.pm_ra, self.pm_dec, *((self.reference,) if isinstance(self.reference, str) else ()))

    def moved(self, table: pa.Table, ra_deg: Floats, dec_deg: Floats) -> tuple[Floats, Floats]:
        """Return the positions at the epoch.

        Raises
        ------
        InputError
            A row moves faster than the match allows for: it might lose its partner at a partition's edge.
        """
        pm_ra, pm_dec = floats(table, self.pm_ra) * self.mas_ra, floats(table, self.pm_dec) * self.mas_dec
        speed = np.hypot(np.nan_to_num(pm_ra), np.nan_to_num(pm_dec))
        if speed.size and speed.max() > self.fastest_mas_yr * (1 + 1e-9):
            raise InputError(
                f"a row moves by {speed.max():.6g} mas/yr, more than max_proper_motion_mas_yr={self.fastest_mas_yr:g}: "
                f"its partner may lie beyond the halo that was read; give a larger value"
            )
        since = floats(table, self.reference) if isinstance(self.reference, str) else self.reference
        # A row that does not tell its epoch stays where it is.
        return propagate(ra_deg, dec_deg, pm_ra, pm_dec, np.nan_to_num(self.epoch - since))

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters."""
        return asdict(self)


@dataclass(frozen=True)
class Epochs:
    """What a user says of the epochs of a match.

    Attributes
    ----------
    epoch : float
        Where both sides are moved to.
    left, right : float or None
        Epoch of the positions of either side, whatever its column or properties tell.
    fastest_mas_yr : float or None
        Largest proper motion on either side, where metadata do not tell.
    """

    epoch: float
    left: float | None = None
    right: float | None = None
    fastest_mas_yr: float | None = None

    def motions(self, left: Node, right: Node) -> tuple[Motion | None, Motion | None]:
        """Return how either side moves; None for one without proper motions.

        Raises
        ------
        PlanError
            Neither side has proper motions, or it cannot be told since when or how fast one moves.
        """
        sides = self._motion(left, "left", self.left), self._motion(right, "right", self.right)
        if sides == (None, None):
            raise PlanError(
                f"epoch={self.epoch:g}: neither {left.name} nor {right.name} has proper motions: name the columns with "
                f'roles={{"pm_ra": ..., "pm_dec": ..., "ref_epoch": ...}}, or leave epoch= out'
            )
        return sides

    def _motion(self, node: Node, side: str, given: float | None) -> Motion | None:
        roles = Roles.find(node.schema)
        if roles.pm_ra is None or roles.pm_dec is None:
            return None
        reference = given if given is not None else roles.ref_epoch or _epoch_of(node)
        if reference is None:
            raise PlanError(
                f"{node.name} has proper motions, but nothing tells the epoch of its positions: give {side}_epoch=, "
                f'for instance {side}_epoch=2016.0, or name a column with the role "ref_epoch"'
            )
        columns = roles.pm_ra, roles.pm_dec
        factors = _mas_per_year(node, columns[0]), _mas_per_year(node, columns[1])
        fastest, years = self._fastest(node, columns, factors), self._years(node, side, reference)
        return Motion(*columns, *factors, reference, self.epoch, fastest, years)

    def _fastest(self, node: Node, columns: tuple[str, str], factors: tuple[float, float]) -> float:
        if self.fastest_mas_yr is not None:
            return self.fastest_mas_yr
        bounds = [node.limits(name) for name in columns]
        known = [max(abs(float(low)), abs(float(high))) for low, high in filter(None, bounds)]
        if len(known) < 2 or not all(map(math.isfinite, known)):
            raise PlanError(
                f'the metadata of {node.name} do not tell the largest "{columns[0]}" and "{columns[1]}", and the match '
                f"reads as much sky beyond a partition's edge as its fastest row moves: give "
                f"max_proper_motion_mas_yr= (Barnard's star moves by 10393)"
            )
        return math.hypot(*(k * f for k, f in zip(known, factors, strict=True)))

    def _years(self, node: Node, side: str, reference: str | float) -> float:
        if isinstance(reference, str):
            bounds = node.limits(reference)
            if bounds is None:
                raise PlanError(
                    f'the metadata of {node.name} do not tell the bounds of "{reference}", so it is not known how long '
                    f"its rows move: give {side}_epoch= if it is the same for all of them"
                )
            first, last = (float(b) for b in bounds)
        else:
            first = last = reference
        if not (_EARLIEST <= first <= last <= _LATEST):
            raise PlanError(f"{node.name}: its epochs go from {first:g} to {last:g}; need Julian years, like 2016.0")
        return max(abs(self.epoch - first), abs(self.epoch - last))


def julian_year(value: Any, what: str) -> float:
    """Return an epoch in Julian years.

    Parameters
    ----------
    value : float or astropy.time.Time
        Plain numbers are Julian years already.
    what : str
        What it is, for messages.

    >>> julian_year(2016, "epoch")
    2016.0
    """
    try:
        year = float(value.jyear if hasattr(value, "jyear") else value)
    except (TypeError, ValueError) as error:
        raise PlanError(f"{what}={value!r}: need a Julian year, like 2016.0, or an astropy Time") from error
    if not _EARLIEST <= year <= _LATEST:
        raise PlanError(f"{what}={year:g}: need a Julian year, like 2016.0 (from {_EARLIEST:g} to {_LATEST:g})")
    return year


def floats(table: pa.Table, name: str) -> Floats:
    """Return a column as float64, nulls as NaN."""
    column = table.column(name)
    values = column.cast(pa.float64()) if column.type != pa.float64() else column
    return np.asarray(values.to_numpy(), dtype=np.float64)


def check_frames(left: Node, right: Node) -> None:
    """Raise PlanError if the positions of two catalogs are known to be of different frames."""
    mine, theirs = (_frame_of(node) for node in (left, right))
    if mine != theirs:
        raise PlanError(
            f"the positions of {left.name} are {mine} and those of {right.name} are {theirs} (hats_frame in "
            f"hats.properties): transform one side, and import it again"
        )


def _frame_of(node: Node) -> str:
    frame = str(_properties(node).get("hats_frame") or "icrs").strip().lower()
    return "icrs" if frame in ("icrf", "equatorial") or frame.startswith(("icr", "gaia")) else frame


def _epoch_of(node: Node) -> float | None:
    text = str(_properties(node).get("hats_coordinate_epoch") or "").strip().upper().removeprefix("J")
    try:
        return float(text)
    except ValueError:
        return None


def _properties(node: Node) -> Mapping[str, Any]:
    """Return the properties of the catalog on disk whose rows a plan's rows are: the left ones of matches and joins."""
    while node.children:
        node = node.children[0]
    found: Mapping[str, Any] = getattr(getattr(getattr(node, "source", None), "catalog", None), "properties", {})
    return found


def _mas_per_year(node: Node, name: str) -> float:
    """Return what turns a column's values into mas/yr; without a unit they are that."""
    unit = unit_of(node.schema.field(name))
    if unit is None:
        return 1.0
    plain = unit.lower().replace(" ", "").replace("**", "").replace("^", "").replace("(", "").replace(")", "")
    for angle, factor in _MAS_PER.items():
        if any(
            plain in (f"{angle}/{year}", f"{angle}{year}-1", f"{angle}.{year}-1", f"{angle}*{year}-1")
            for year in _YEARS
        ):
            return factor
    raise PlanError(f'{node.name}: "{name}" is in "{unit}"; need a proper motion in mas/yr, arcsec/yr or deg/yr')
