"""The nested crossmatch: all partners of a row as one nested column of it. Which rows are pairs, an algorithm finds."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.matching.match import DISTANCE
from lsdb_ts.plan.matching.motion import check_frames
from lsdb_ts.plan.matching.pairing import Kept, Pairing, check_halos
from lsdb_ts.plan.matching.reach import in_reach
from lsdb_ts.plan.sides.columns import TwoSided
from lsdb_ts.plan.sides.nested import Nested
from lsdb_ts.plan.sides.rows import Choice, counted, marked, within
from lsdb_ts.schema import with_unit
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import Partition

_KEPT: Mapping[str, Kept] = {"left": "left", "inner": "pairs"}


@dataclass(frozen=True, eq=False)
class MatchNested(TwoSided):
    """Left rows, each once, with their partners as a struct of lists; nearest first, with their separation."""

    pairing: Pairing
    how: str
    nested: str

    def __post_init__(self) -> None:
        if self.how not in _KEPT:
            raise PlanError(
                f'how="{self.how}": a nested crossmatch is "left" (all left rows, some with no partner) or "inner" '
                f"(those with partners); {did_you_mean(self.how, _KEPT)}"
            )
        _ = self.columns
        check_frames(self.left, self.right)
        check_halos(self)

    @functools.cached_property
    def columns(self) -> Nested:
        """The left ones and the nested one."""
        added = with_unit(pa.field(DISTANCE, pa.float64()), "arcsec"), *self.pairing.algorithm.added
        return Nested(self.pairing.left, self.pairing.right, self.nested, added=added)

    @functools.cached_property
    def layout(self) -> Layout:
        """The finer of the two sides, wherever there may be a row of the result."""
        return self.pairing.layout(_KEPT[self.how])

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The sky of the rows that are kept."""
        return self.pairing.sky(_KEPT[self.how])

    @property
    def count(self) -> int | None:
        """The left rows, where all are kept."""
        return self.left.count if self.how == "left" else None

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask each side for its columns and positions, and for the halo in which what decides its pairs may lie."""
        rows = self.columns.bounds(demand.rows) if self.pairing.algorithm.decided in ("pair", "left") else ({}, {})
        return self.pairing.demands(demand, _KEPT[self.how], self.columns.asked(demand.columns), rows)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Match and nest the pixel."""
        left, right = parts
        pairs = self.pairing.pairs(left, right)
        matched = marked(len(left), pairs.left_rows)
        account = {f"{self.name}.{self.nested}": counted(left, right, pairs, matched, everyone=self.how == "left")}
        wanted = in_reach(left, demand)
        if self.how == "inner":
            wanted &= matched
        left, pairs = within(wanted, left, pairs)
        rows, added = Choice(pairs.right_rows), {DISTANCE: pairs.separation_arcsec, **pairs.added}

        def part(name: str) -> Any:
            return pa.array(added[name]) if name in added else rows.of(right.table.column(name))

        lengths = np.bincount(pairs.left_rows, minlength=len(left))
        table = self.columns.beside(left.table, demand.columns, lengths, part)
        return replace(left.with_table(table), account=account)

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters of the match."""
        return {**self.pairing.identity(), "how": self.how, "name": self.nested}

    @property
    def summary(self) -> str:
        """Algorithm and name."""
        return f"match {self.right.name} as {self.nested}, {self.pairing.summary}, {self.how}"
