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
from lsdb_ts.plan.matching.matched import Choice, marked, taken
from lsdb_ts.plan.matching.motion import check_frames
from lsdb_ts.plan.matching.pairing import Kept, Pairing, check_halos
from lsdb_ts.plan.matching.reach import in_reach
from lsdb_ts.plan.node import Node, needs_positions
from lsdb_ts.schema import has_parts, with_unit
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import Partition

_KEPT: Mapping[str, Kept] = {"left": "left", "inner": "pairs"}


@dataclass(frozen=True, eq=False)
class MatchNested(Node):
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
        check_frames(self.left, self.right)
        if self.nested in self.left.schema.names:
            raise PlanError(f'{self.left.name} already has a column "{self.nested}": give the partners another name=')
        deeper = [f.name for f in self.right.schema if has_parts(f)]
        if deeper:
            raise PlanError(f'{self.right.name} has the nested column "{deeper[0]}": drop it before nesting')
        names = [part.name for part in self._nested_type]
        twice = [n for n in names if names.count(n) > 1]
        if twice:
            raise PlanError(f'{self.right.name} has a column "{twice[0]}", which the match adds: rename it before')
        check_halos(self)

    @property
    def left(self) -> Node:
        """The left side."""
        return self.pairing.left

    @property
    def right(self) -> Node:
        """The right side."""
        return self.pairing.right

    @property
    def children(self) -> tuple[Node, ...]:
        """Left and right."""
        return self.left, self.right

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Left columns and the nested one."""
        return self.left.schema.append(pa.field(self.nested, self._nested_type))

    @functools.cached_property
    def layout(self) -> Layout:
        """The finer of the two sides, wherever there may be a row of the result."""
        return self.pairing.layout(_KEPT[self.how])

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The sky of the rows that are kept."""
        return self.pairing.sky(_KEPT[self.how])

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """That of the left rows."""
        return self.left.footprint

    @property
    def count(self) -> int | None:
        """The left rows, where all are kept."""
        return self.left.count if self.how == "left" else None

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return those of the left side."""
        return None if column.partition(".")[0] == self.nested else self.left.limits(column)

    @property
    def name(self) -> str:
        """The left name."""
        return self.left.name

    @property
    def positions(self) -> tuple[str, str]:
        """The left positions."""
        return needs_positions(self.left, "a crossmatch")

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask each side for its columns and positions, and for the halo in which what decides its pairs may lie."""
        mine = [c for c in demand.columns if c.partition(".")[0] != self.nested]
        parts = [c.partition(".")[2] for c in demand.columns if c.partition(".")[0] == self.nested]
        theirs = [c for c in parts if c in self.right.schema.names]
        decided = self.pairing.algorithm.decided
        rows = {c: b for c, b in demand.rows.items() if c.partition(".")[0] != self.nested}
        skippable = rows if decided in ("pair", "left") else {}
        return self.pairing.demands(demand, _KEPT[self.how], (mine, theirs), (skippable, {}))

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Match and nest the pixel."""
        left, right = parts
        pairs = self.pairing.pairs(left, right)
        matched = marked(len(left), pairs.left_rows)
        here = left.core[pairs.left_rows]
        counts = {"left_rows": left.core, "matched": left.core & matched, "unmatched": left.core & ~matched}
        counts |= {"pairs": here, "pairs_from_halo": here & ~right.core[pairs.right_rows]}
        account = {f"{self.name}.{self.nested}": {name: int(np.count_nonzero(m)) for name, m in counts.items()}}
        wanted = in_reach(left, demand)
        if self.how == "inner":
            wanted &= matched
        kept, pairs = left.filter(wanted), pairs.take(wanted[pairs.left_rows])
        lengths = np.bincount(pairs.left_rows, minlength=len(left))[wanted]
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
        added = {DISTANCE: pairs.separation_arcsec, **pairs.added}
        rows = Choice(pairs.right_rows)
        fields = [f for f in self._nested_type if f"{self.nested}.{f.name}" in demand.columns]
        lists = []
        for part in fields:
            if part.name in added:
                values = pa.array(added[part.name])
            else:
                values = _whole(taken(right.table.column(part.name), rows))
            lists.append(pa.ListArray.from_arrays(offsets, values, type=part.type))
        table = kept.table
        if fields:
            column = pa.field(self.nested, pa.struct(fields))
            table = table.append_column(column, pa.StructArray.from_arrays(lists, fields=fields))
        return replace(kept.with_table(table), account=account)

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters of the match."""
        return {**self.pairing.identity(), "how": self.how, "name": self.nested}

    @property
    def summary(self) -> str:
        """Algorithm and name."""
        return f"match {self.right.name} as {self.nested}, {self.pairing.summary}, {self.how}"

    @functools.cached_property
    def _nested_type(self) -> pa.StructType:
        added = [with_unit(pa.field(DISTANCE, pa.float64()), "arcsec"), *self.pairing.algorithm.added]
        return pa.struct(
            [pa.field(f.name, pa.list_(f.type), metadata=f.metadata) for f in (*self.right.schema, *added)]
        )


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
