"""The as-of join: each left row with the right row of the same id that is nearest in time. The search is a kernel."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.rows.join import AsOf, Timed
from lsdb_ts.plan.demand import Demand, common
from lsdb_ts.plan.joining.keys import Keys, ids_of
from lsdb_ts.plan.matching.algorithm import Pairs
from lsdb_ts.plan.matching.reach import grown
from lsdb_ts.plan.node import Node
from lsdb_ts.plan.sides.columns import Sides, TwoSided
from lsdb_ts.plan.sides.rows import counted, of_left, taken
from lsdb_ts.schema import HEALPIX, require, unit_of
from lsdb_ts.sky.align import align
from lsdb_ts.sky.layout import Layout
from lsdb_ts.store.partition import Partition

_DIRECTIONS = ("backward", "forward", "nearest")


@dataclass(frozen=True, eq=False)
class JoinAsOf(TwoSided):
    """Every left row, with the right row of its id that a rule on times chooses, or with nulls.

    Attributes
    ----------
    sides : Sides
        The two sides and their columns.
    keys : Keys
        Ids, and how far apart rows of one id may lie: what lies farther is never chosen.
    time : str
        Column of the times on both sides.
    rule : AsOf
        Direction, tolerance, and whether equal times count.
    """

    sides: Sides
    keys: Keys
    time: str
    rule: AsOf

    def __post_init__(self) -> None:
        self.keys.check(self.left, self.right, "merge_asof")
        if self.rule.direction not in _DIRECTIONS:
            raise PlanError(f'direction="{self.rule.direction}": it is one of {", ".join(_DIRECTIONS)}')
        fields = []
        for node in (self.left, self.right):
            require(node.schema, [self.time], node.name)
            fields.append(node.schema.field(self.time))
        mine, theirs = (f.type for f in fields)
        if _is_number(mine) != _is_number(theirs) or not all(
            _is_number(k) or pa.types.is_timestamp(k) for k in (mine, theirs)
        ):
            raise PlanError(
                f'"{self.time}" is {mine} in {self.left.name} and {theirs} in {self.right.name}: times to compare are '
                f"both numbers or both timestamps"
            )
        if pa.types.is_timestamp(mine) and (mine.tz is None) != (theirs.tz is None):
            raise PlanError(
                f'"{self.time}" is {mine} in {self.left.name} and {theirs} in {self.right.name}: only one tells its '
                f"time zone, so they do not compare; cast one of them"
            )
        units = [unit_of(f) for f in fields]
        if None not in units and units[0] != units[1]:
            raise PlanError(
                f'"{self.time}" is in {units[0]} in {self.left.name} and in {units[1]} in {self.right.name}: convert '
                f"one of them"
            )
        if self.rule.tolerance is not None and not self.rule.tolerance >= 0:
            raise PlanError(f"tolerance={self.rule.tolerance}: need a difference of times of 0 or more")

    @property
    def columns(self) -> Sides:
        """Those of both sides."""
        return self.sides

    @functools.cached_property
    def layout(self) -> Layout:
        """All of the left side, finer where the right one is."""
        return align(self.left.layout, self.right.layout, self.keys.reach_arcsec, keep_unmatched=True)

    @property
    def count(self) -> int | None:
        """The left rows: each stands in the result once."""
        return self.left.count

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask both sides for ids, times and positions, the right one near the left rows only."""
        (mine, theirs), (rows, _) = self.sides.asked(demand.columns), self.sides.bounds(demand.rows)
        wide, needed = self.keys.reach_arcsec, self.keys.columns(self.left, self.right)
        near = grown(common(demand.sky, self.left.sky), wide, demand)
        # Of right rows only the id may tell that they do not matter: any other left out would change what is chosen.
        ids = {self.keys.right: rows[self.keys.left]} if self.keys.left in rows else {}
        asked = replace(demand, columns=(HEALPIX, self.time))
        left = replace(asked, rows=rows).plus([*needed[0], *mine])
        return left, replace(asked, rows=ids, sky=near).plus([*needed[1], *theirs], halo_arcsec=wide)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Join the pixel."""
        left, right = parts

        def near(left_rows: NDArray[np.int64], right_rows: NDArray[np.int64]) -> NDArray[np.bool_]:
            apart = self.keys.separations((self.left, left.table, left_rows), (self.right, right.table, right_rows))
            within: NDArray[np.bool_] = apart <= self.keys.reach_arcsec
            return within

        found = self.rule.partners(self._timed(left, self.keys.left), self._timed(right, self.keys.right), near)
        left_rows = np.flatnonzero(found >= 0)
        pairs = Pairs(left_rows, found[left_rows], np.zeros(left_rows.size))
        rows = of_left(left, pairs, found >= 0)
        columns = {HEALPIX: taken(left.table.column(HEALPIX), rows.left)}
        columns |= self.sides.taken(demand.columns, left.table, right.table, rows)
        return Partition(
            pa.table(columns), rows.core, {self.name: counted(left, right, pairs, found >= 0, everyone=True)}
        )

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters of the join."""
        return {
            "on": self.time,
            "left_by": self.keys.left,
            "right_by": self.keys.right,
            "max_separation_arcsec": self.keys.max_separation_arcsec,
            **asdict(self.rule),
            "suffixes": list(self.sides.suffixes),
        }

    @property
    def summary(self) -> str:
        """Key, time and direction."""
        return f"merge {self.right.name} as of {self.time}, {self.rule.direction}, {self.keys.summary}"

    def _timed(self, part: Partition, by: str) -> Timed:
        ids, missing = ids_of(part.table, by)
        column = part.table.column(self.time)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
        unknown = column.is_null(nan_is_null=True).to_numpy()
        # Differences of narrow or unsigned times would wrap around.
        column = column.cast(pa.float64() if pa.types.is_floating(column.type) else pa.int64())
        times = (column.fill_null(0) if column.null_count else column).to_numpy()
        return Timed(ids, times, ~(missing | unknown))


def tolerance_of(tolerance: Any, node: Node, time: str) -> float | None:
    """Return a tolerance as a number: in nanoseconds where times are timestamps, else in the unit of the times.

    Raises
    ------
    PlanError
        It is a time delta and the times are numbers, whose unit it does not know; or the other way round.
    """
    if tolerance is None:
        return None
    require(node.schema, [time], node.name)
    kind = node.schema.field(time).type
    is_delta = isinstance(tolerance, timedelta | np.timedelta64)
    if is_delta != pa.types.is_timestamp(kind):
        needed = "a number in their unit" if is_delta else "a time delta, such as datetime.timedelta(seconds=2)"
        raise PlanError(f'tolerance={tolerance!r}: the times "{time}" of {node.name} are {kind}; need {needed}')
    if isinstance(tolerance, timedelta):
        return float(tolerance // timedelta(microseconds=1)) * 1000.0
    return float(tolerance / np.timedelta64(1, "ns")) if is_delta else float(tolerance)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
