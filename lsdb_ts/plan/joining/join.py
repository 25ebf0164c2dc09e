"""The join node: pairs of rows with the same id. Finding equal ids is a kernel; joins by position are next door."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.join import join_ids
from lsdb_ts.plan.demand import Demand, common
from lsdb_ts.plan.joining.keys import Keys, ids_of, separations
from lsdb_ts.plan.joining.sides import SideBySide, with_unpaired
from lsdb_ts.plan.matching.reach import grown
from lsdb_ts.plan.node import needs_positions
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky.align import align
from lsdb_ts.sky.layout import Layout
from lsdb_ts.store.partition import Partition


@dataclass(frozen=True, eq=False)
class Join(SideBySide):
    """Pairs of a left and a right row with the same id, not farther apart than a separation.

    The result lies where the left rows lie. The right side is asked for a halo wider by the separation, so no pair is
    lost at an edge, whatever the layouts, and the result itself can serve a halo.
    """

    keys: Keys
    how: str

    def __post_init__(self) -> None:
        if self.how not in ("inner", "left"):
            raise PlanError(f'how="{self.how}": a join is "inner" (pairs) or "left" (all left rows)')
        self.keys.check(self.left, self.right, "a join")

    @functools.cached_property
    def layout(self) -> Layout:
        """Where both sides overlap, the finer of the two; for a left join all of the left."""
        reach, keep = self.keys.max_separation_arcsec, self.how == "left"
        return align(self.left.layout, self.right.layout, reach, keep_unmatched=keep)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask both sides for ids and positions, the right one near the left rows only."""
        (mine, theirs), (left_rows, right_rows) = self.sides.asked(demand.columns), self.sides.bounds(demand.rows)
        wide = self.keys.max_separation_arcsec
        near = grown(common(demand.sky, self.left.sky), wide, demand)
        if self.how == "left":
            # A left row whose partners were left out would seem to have none.
            right_rows = {}
        if self.keys.left in left_rows:
            right_rows = {**right_rows, self.keys.right: left_rows[self.keys.left]}
        asked = replace(demand, columns=(HEALPIX,))
        left = replace(asked, rows=left_rows).plus([self.keys.left, *needs_positions(self.left, "a join"), *mine])
        right = replace(asked, rows=right_rows, sky=near)
        positions = needs_positions(self.right, "a join")
        return left, right.plus([self.keys.right, *positions, *theirs], halo_arcsec=wide)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Join the pixel."""
        left, right = parts
        (mine, no_id), (theirs, nor_id) = ids_of(left.table, self.keys.left), ids_of(right.table, self.keys.right)
        left_rows, right_rows = join_ids(mine, theirs)
        apart = separations((self.left, left.table, left_rows), (self.right, right.table, right_rows))
        kept = (apart <= self.keys.max_separation_arcsec) & ~no_id[left_rows] & ~nor_id[right_rows]
        left_rows, right_rows = left_rows[kept], right_rows[kept]
        matched = np.zeros(len(left), dtype=bool)
        matched[left_rows] = True
        core = left.core[left_rows]
        counts = {
            "left_rows": int(left.core.sum()),
            "matched": int((matched & left.core).sum()),
            "pairs": int(core.sum()),
            "pairs_from_halo": int((core & ~right.core[right_rows]).sum()),
        }
        partners = pa.array(right_rows)
        if self.how == "left":
            left_rows, partners = with_unpaired(left_rows, right_rows, len(left))
        table = self.sides.joined(left.table, right.table, left_rows, partners)
        return Partition(table, left.core[left_rows], {self.name: counts})

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
        on = self.keys.left if self.keys.left == self.keys.right else f"{self.keys.left} = {self.keys.right}"
        return f'join {self.right.name} by {on}, within {self.keys.max_separation_arcsec:g}", {self.how}'
