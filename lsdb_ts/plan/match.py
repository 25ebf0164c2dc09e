"""The crossmatch node: pairs of rows of two catalogs within a radius. The search itself is a kernel."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.match import Positions, match
from lsdb_ts.plan.demand import Demand, common
from lsdb_ts.plan.node import Node, needs_positions
from lsdb_ts.schema import HEALPIX, with_unit, without_role
from lsdb_ts.sky.align import align
from lsdb_ts.sky.halo import dilated
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import Partition

DISTANCE = "_dist_arcsec"
_MAX_RADIUS_ARCSEC = 3600.0
_HOW = ("inner", "left")


@dataclass(frozen=True, eq=False)
class Match(Node):
    """For each left row, its nearest right rows within a radius.

    The result lies where the left rows lie. The right side is asked for a halo wider by the radius, so no pair is lost
    at an edge, and the result itself can serve a halo.
    """

    left: Node
    right: Node
    radius_arcsec: float
    n_neighbors: int
    how: str
    suffixes: tuple[str, str]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.radius_arcsec) and 0 < self.radius_arcsec <= _MAX_RADIUS_ARCSEC):
            raise PlanError(
                f"radius_arcsec={self.radius_arcsec}: need a radius above 0 and at most {_MAX_RADIUS_ARCSEC:.0f} "
                f"arcsec (1 degree)"
            )
        if self.n_neighbors < 1:
            raise PlanError(f"n_neighbors={self.n_neighbors}: need at least 1")
        if self.how not in _HOW:
            raise PlanError(f'how="{self.how}": a crossmatch is "inner" (matched left rows) or "left" (all left rows)')
        needs_positions(self.left, "a crossmatch")
        needs_positions(self.right, "a crossmatch")
        names = [*self._left_names.values(), *self._right_names.values(), DISTANCE]
        twice = [n for n in names if names.count(n) > 1]
        if twice:
            raise PlanError(
                f'the column "{twice[0]}" would stand twice in {self.name}: choose other suffixes than '
                f"{self.suffixes}, or select fewer columns before the match"
            )

    @property
    def children(self) -> tuple[Node, ...]:
        """Left and right."""
        return self.left, self.right

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Left columns, right columns, and the separation; only names that stand on both sides get a suffix."""
        left = [f.with_name(self._left_names[f.name]) for f in self.left.schema]
        # The rows are left rows: their roles hold, those of the right side would stand beside them.
        right = [without_role(f).with_name(self._right_names[f.name]).with_nullable(True) for f in self.right.schema]
        return pa.schema([*left, *right, with_unit(pa.field(DISTANCE, pa.float64()), "arcsec")])

    @functools.cached_property
    def layout(self) -> Layout:
        """Where both sides overlap, the finer of the two; for a left join all of the left."""
        return align(self.left.layout, self.right.layout, self.radius_arcsec, keep_unmatched=self.how == "left")

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The sky of the left rows."""
        return self.left.sky

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.left.name}_x_{self.right.name}"

    @property
    def positions(self) -> tuple[str, str]:
        """The left positions."""
        ra, dec = needs_positions(self.left, "a crossmatch")
        return self._left_names[ra], self._left_names[dec]

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask each side for its columns and positions, the right one for a halo wider by the radius."""
        left, right = self._asked(demand.columns, self._left_names), self._asked(demand.columns, self._right_names)
        # Left rows that do not matter to the result may be skipped; a skipped right row would change who is nearest.
        rows = {
            old: demand.rows[new] for old, new in {**self._left_names, HEALPIX: HEALPIX}.items() if new in demand.rows
        }
        sky = common(demand.sky, self.left.sky)
        near = None if sky is None else dilated(Layout.of_ranges(sky), self.radius_arcsec)
        asked_left = replace(demand, columns=(HEALPIX,), rows=rows)
        asked_right = replace(demand, columns=(HEALPIX,), rows={}, sky=near)
        return (
            asked_left.plus([*needs_positions(self.left, "a crossmatch"), *left]),
            asked_right.plus([*needs_positions(self.right, "a crossmatch"), *right], halo_arcsec=self.radius_arcsec),
        )

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Match the pixel."""
        left, right = parts
        left_rows, right_rows, separation = match(
            _positions(left.table, needs_positions(self.left, "a crossmatch")),
            _positions(right.table, needs_positions(self.right, "a crossmatch")),
            self.radius_arcsec,
            self.n_neighbors,
        )
        matched = np.zeros(len(left), dtype=bool)
        matched[left_rows] = True
        core_pairs = left.core[left_rows]
        counts = {
            "left_rows": int(left.core.sum()),
            "matched": int((matched & left.core).sum()),
            "pairs": int(core_pairs.sum()),
            "pairs_from_halo": int((core_pairs & ~right.core[right_rows]).sum()),
        }
        right_index, distance = pa.array(right_rows), pa.array(separation)
        if self.how == "left" and not matched.all():
            alone = np.flatnonzero(~matched)
            everyone = np.concatenate([left_rows, alone])
            order = np.argsort(everyone, kind="stable")
            absent = np.concatenate([np.zeros(left_rows.size, dtype=bool), np.ones(alone.size, dtype=bool)])[order]
            left_rows = everyone[order]
            right_index = pa.array(np.concatenate([right_rows, np.zeros(alone.size, np.int64)])[order], mask=absent)
            distance = pa.array(np.concatenate([separation, np.zeros(alone.size)])[order], mask=absent)
        return Partition(
            self._joined(left.table, right.table, pa.array(left_rows), right_index, distance),
            left.core[left_rows],
            {self.name: counts},
        )

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters of the match."""
        return {
            "radius_arcsec": self.radius_arcsec,
            "n_neighbors": self.n_neighbors,
            "how": self.how,
            "suffixes": list(self.suffixes),
        }

    @property
    def summary(self) -> str:
        """Radius and kind."""
        nearest = "nearest" if self.n_neighbors == 1 else f"{self.n_neighbors} nearest"
        return f'match {nearest} within {self.radius_arcsec:g}", {self.how}'

    @functools.cached_property
    def _left_names(self) -> Mapping[str, str]:
        # The left positions are the result's, even where they were not selected: they can still be asked for.
        names = dict.fromkeys([*self.left.schema.names, *needs_positions(self.left, "a crossmatch")])
        return _suffixed(list(names), self.right.schema.names, self.suffixes[0])

    @functools.cached_property
    def _right_names(self) -> Mapping[str, str]:
        return _suffixed(self.right.schema.names, self.left.schema.names, self.suffixes[1])

    def _asked(self, columns: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
        """Translate demanded columns back to the names of one side."""
        back = {new: old for old, new in names.items()}
        found = []
        for column in columns:
            base, dot, part = column.partition(".")
            if column in back:
                found.append(back[column])
            elif dot and base in back:
                found.append(f"{back[base]}.{part}")
        return tuple(found)

    def _joined(
        self, left: pa.Table, right: pa.Table, left_rows: pa.Array, right_rows: pa.Array, distance: pa.Array
    ) -> pa.Table:
        columns = {HEALPIX: left.column(HEALPIX).take(left_rows)}
        for name in left.column_names:
            if name in self._left_names:
                columns[self._left_names[name]] = left.column(name).take(left_rows)
        for name in right.column_names:
            if name in self._right_names:
                columns[self._right_names[name]] = _take_or_null(right.column(name), right_rows)
        return pa.table({**columns, DISTANCE: distance})


def _suffixed(names: Sequence[str], others: Sequence[str], suffix: str) -> dict[str, str]:
    shared = {*others, DISTANCE}
    return {n: n + suffix if n in shared else n for n in names}


def _positions(table: pa.Table, names: tuple[str, str]) -> Positions:
    ra, dec = (table.column(n).to_numpy() for n in names)
    return Positions.of(table.column(HEALPIX).to_numpy(), ra, dec)


def _take_or_null(column: pa.ChunkedArray, rows: pa.Array) -> pa.ChunkedArray:
    if len(column) == 0:
        return pa.chunked_array([pa.nulls(len(rows), column.type)])
    return column.take(rows)
