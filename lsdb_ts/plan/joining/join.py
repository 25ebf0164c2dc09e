"""The join node: pairs of rows with the same id. Finding equal ids is a kernel; joins by position are next door."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.rows.join import join_ids
from lsdb_ts.plan.demand import Demand, common
from lsdb_ts.plan.forecast import Forecast, pairs_of
from lsdb_ts.plan.joining.held import Held
from lsdb_ts.plan.joining.keys import Keys, ids_of
from lsdb_ts.plan.matching.algorithm import Pairs
from lsdb_ts.plan.matching.reach import grown
from lsdb_ts.plan.sides.columns import Sides, TwoSided
from lsdb_ts.plan.sides.rows import counted, marked, of_left, of_pairs, taken
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky.align import align
from lsdb_ts.sky.layout import Layout
from lsdb_ts.store.partition import Partition


@dataclass(frozen=True, eq=False)
class Join(TwoSided):
    """Pairs of a left and a right row with the same id, not farther apart than a separation.

    The result lies where the left rows lie. The right side is asked for a halo wider by the separation, so no pair is
    lost at an edge, whatever the layouts, and the result itself can serve a halo. A right side without positions is
    held whole, and then ids alone decide.

    Attributes
    ----------
    sides : Sides
        The two sides and their columns.
    keys : Keys
        Ids, and how far apart rows of one id may lie.
    how : str
        ``inner`` or ``left``.
    """

    sides: Sides
    keys: Keys
    how: str

    def __post_init__(self) -> None:
        check_how(self.how)
        self.keys.check(self.left, self.right, "a join")

    @property
    def columns(self) -> Sides:
        """Those of both sides."""
        return self.sides

    @functools.cached_property
    def layout(self) -> Layout:
        """Where both sides overlap, the finer of the two; for a left join all of the left."""
        return align(self.left.layout, self.right.layout, self.keys.reach_arcsec, keep_unmatched=self._everyone)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask both sides for ids and positions, the right one near the left rows only."""
        (mine, theirs), (left_rows, right_rows) = self.sides.asked(demand.columns), self.sides.bounds(demand.rows)
        wide = self.keys.reach_arcsec
        near = grown(common(demand.sky, self.left.sky), wide, demand)
        if self.how == "left":
            # A left row whose partners were left out would seem to have none.
            right_rows = {}
        if self.keys.left in left_rows:
            right_rows = {**right_rows, self.keys.right: left_rows[self.keys.left]}
        asked, needed = replace(demand, columns=(HEALPIX,)), self.keys.columns(self.left, self.right)
        left = replace(asked, rows=left_rows).plus([*needed[0], *mine])
        return left, replace(asked, rows=right_rows, sky=near).plus([*needed[1], *theirs], halo_arcsec=wide)

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Expect a pair for each right row of a table that is held: its ids are of left rows, each near enough."""
        left, right = parts
        if not isinstance(self.right, Held):
            return super().forecast(demand, parts)
        return pairs_of(left, right, right.rows / max(left.rows, 1.0), (self.how == "left", False))

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Join the pixel."""
        left, right = parts
        pairs = self._pairs(left.table, right.table)
        matched = marked(len(left), pairs.left_rows)
        rows = (of_left if self.how == "left" else of_pairs)(left, pairs, matched)
        columns = {HEALPIX: taken(left.table.column(HEALPIX), rows.left)}
        columns |= self.sides.taken(demand.columns, left.table, right.table, rows)
        account = {self.name: counted(left, right, pairs, matched, self._everyone)}
        return Partition(pa.table(columns), rows.core, account)

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters of the join."""
        return {
            "left_on": self.keys.left,
            "right_on": self.keys.right,
            "max_separation_arcsec": self.keys.max_separation_arcsec,
            "how": self.how,
            "suffixes": list(self.sides.suffixes),
            "merged": list(self.sides.merged),
        }

    @property
    def summary(self) -> str:
        """Keys and kind."""
        return f"join {self.right.name} {self.keys.summary}, {self.how}"

    @property
    def _everyone(self) -> bool:
        """Whether all left rows are looked at."""
        return self.how == "left" or isinstance(self.right, Held)

    def _pairs(self, left: pa.Table, right: pa.Table) -> Pairs:
        (mine, no_id), (theirs, nor_id) = ids_of(left, self.keys.left), ids_of(right, self.keys.right)
        left_rows, right_rows = join_ids(mine, theirs)
        apart = self.keys.separations((self.left, left, left_rows), (self.right, right, right_rows))
        kept = (apart <= self.keys.reach_arcsec) & ~no_id[left_rows] & ~nor_id[right_rows]
        return Pairs(left_rows, right_rows, apart).take(kept)


def check_how(how: str) -> None:
    """Raise PlanError for a join that there is not."""
    if how not in ("inner", "left"):
        raise PlanError(f'how="{how}": a join is "inner" (pairs) or "left" (all left rows)')
