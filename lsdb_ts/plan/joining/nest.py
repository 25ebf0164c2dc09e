"""The nesting node: child rows become light curves of their parents, joined by id. Grouping is a kernel."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.errors import IdError, PlanError
from lsdb_ts.kernels.nest import find_parents, group_owned
from lsdb_ts.plan.demand import Demand, common
from lsdb_ts.plan.joining.keys import Keys, ids_of, separations
from lsdb_ts.plan.matching.reach import grown, in_reach
from lsdb_ts.plan.node import Node, needs_positions
from lsdb_ts.schema import HEALPIX, Roles, is_nested, plain
from lsdb_ts.sky.align import align_outer
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import Partition


@dataclass(frozen=True, eq=False)
class Nest(Node):
    """Each left row with the right rows that name its id, as one nested column.

    A child belongs to a parent if it names its id *and* lies within ``max_separation_arcsec`` of it; so both sides are
    asked for that much halo, the result does not depend on the layouts, and every child row is either nested or counted
    as an orphan. Where the left side was cut to a part of the sky, only that part is asked of the right side, and only
    orphans there are counted.

    Attributes
    ----------
    left, right : Node
        Parents and children.
    on : str
        The parents' id on both sides.
    nested : str
        Name of the new column.
    max_separation_arcsec : float
        How far from its parent a child may lie.
    how : str
        ``left`` keeps parents without children, with an empty curve; ``inner`` drops them.
    """

    left: Node
    right: Node
    on: str
    nested: str
    max_separation_arcsec: float
    how: str = "left"

    def __post_init__(self) -> None:
        if self.how not in ("left", "inner"):
            raise PlanError(f'how="{self.how}": a nesting is "left" (all left rows) or "inner" (those with children)')
        self._keys.check(self.left, self.right, "nest")
        if self.nested in self.left.schema.names:
            raise PlanError(
                f'{self.left.name} already has a column "{self.nested}": give the light curves another name='
            )
        deeper = [f.name for f in self.right.schema if is_nested(f)]
        if deeper:
            raise PlanError(f'{self.right.name} has the nested column "{deeper[0]}": drop it before nesting')

    @property
    def children(self) -> tuple[Node, ...]:
        """Parents and children."""
        return self.left, self.right

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Left columns and the nested one."""
        return self.left.schema.append(pa.field(self.nested, self._nested_type))

    @functools.cached_property
    def layout(self) -> Layout:
        """All sky of both sides, where only the right has rows they are counted as orphans; of a cut, that sky."""
        pixels = align_outer(self.left.layout, self.right.layout)
        return pixels if self.footprint is None else pixels.take(self.footprint.overlaps(pixels.starts, pixels.stops))

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The sky of the parents."""
        return self.left.sky

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """The sky the parents were cut to."""
        return self.left.footprint

    @property
    def count(self) -> int | None:
        """The parents, where all are kept."""
        return self.left.count if self.how == "left" else None

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the parents'."""
        return self.left.limits(column) if column.partition(".")[0] != self.nested else None

    @property
    def name(self) -> str:
        """The left name."""
        return self.left.name

    @property
    def positions(self) -> tuple[str, str]:
        """The left positions."""
        return needs_positions(self.left, "nest")

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask both sides for ids and positions, and for a halo in which the other half of any pair may lie."""
        mine = [c for c in demand.columns if c.partition(".")[0] != self.nested]
        parts = [c.partition(".")[2] for c in demand.columns if c.partition(".")[0] == self.nested]
        wide = self.max_separation_arcsec
        # No row is skipped for its values: children of a parent that was left out would count as orphans.
        asked = replace(demand, columns=(HEALPIX, self.on), rows={})
        parents = replace(asked, sky=grown(demand.sky, wide, demand))
        children = replace(asked, sky=grown(common(demand.sky, self.footprint), wide, demand))
        return (
            parents.plus([*self.positions, *mine], halo_arcsec=wide),
            children.plus([*needs_positions(self.right, "nest"), *self._sorting, *parts], halo_arcsec=wide),
        )

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Nest the pixel."""
        left, right = parts
        owner = self._owners(left.table, right.table)
        counts = self._counts(demand, left, right, owner)
        wanted = in_reach(left, demand)
        if self.how == "inner":
            wanted &= np.bincount(owner[owner >= 0], minlength=len(left)) > 0
        return Partition(self._nested(left.table, right.table, owner, wanted), left.core[wanted], counts)

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters of the nesting."""
        return {
            "on": self.on,
            "name": self.nested,
            "max_separation_arcsec": self.max_separation_arcsec,
            "how": self.how,
        }

    @property
    def summary(self) -> str:
        """Key and name."""
        inner = ", inner" if self.how == "inner" else ""
        return f'nest {self.right.name} by {self.on} as {self.nested}, within {self.max_separation_arcsec:g}"{inner}'

    @property
    def _keys(self) -> Keys:
        return Keys(self.on, self.on, self.max_separation_arcsec)

    @functools.cached_property
    def _nested_type(self) -> pa.StructType:
        parts = [f for f in self.right.schema if f.name != self.on]
        return pa.struct([pa.field(f.name, pa.list_(f.type), metadata=f.metadata) for f in parts])

    @functools.cached_property
    def _sorting(self) -> tuple[str, ...]:
        """The columns children are sorted by: the time, if the right side has one, then what decides between equals."""
        schema = self.right.schema
        time = Roles.of(schema).time or Roles.guess(schema.names).time
        key = Roles.of(schema).id
        return tuple(c for c in (time, key) if c is not None) if time else ()

    def _owners(self, parents: pa.Table, children: pa.Table) -> NDArray[np.int64]:
        """Return for each child the row of its parent, or -1."""
        self._check_unique(parents)
        ids, _ = ids_of(parents, self.on)
        named, nameless = ids_of(children, self.on)
        owner = find_parents(ids, named)
        owner[nameless] = -1
        owned = np.flatnonzero(owner >= 0)
        apart = separations((self.left, parents, owner[owned]), (self.right, children, owned))
        owner[owned[apart > self.max_separation_arcsec]] = -1
        return owner

    def _nested(
        self, parents: pa.Table, children: pa.Table, owner: NDArray[np.int64], wanted: NDArray[np.bool_]
    ) -> pa.Table:
        """Return the wanted parents with the curves of their children."""
        position = np.where(wanted, np.cumsum(wanted) - 1, -1)
        kept = np.flatnonzero(owner >= 0)
        kept = kept[wanted[owner[kept]]]
        keys = [_sortable(children.column(c))[kept] for c in self._sorting]
        order, offsets = group_owned(position[owner[kept]], int(wanted.sum()), *keys)
        rows, ends = pa.array(kept[order]), pa.array(offsets.astype(np.int32))
        fields = [part for part in self._nested_type if part.name in children.column_names]
        lists = [
            pa.ListArray.from_arrays(ends, _combined(children.column(part.name).take(rows)), type=part.type)
            for part in fields
        ]
        return parents.filter(pa.array(wanted)).append_column(
            pa.field(self.nested, pa.struct(fields)), pa.StructArray.from_arrays(lists, fields=fields)
        )

    def _counts(
        self, demand: Demand, left: Partition, right: Partition, owner: NDArray[np.int64]
    ) -> dict[str, dict[str, int]]:
        """Count children by their parents, and orphans where they lie; over all pixels each is counted once."""
        looked_at = common(demand.sky, self.footprint)
        parents, orphans = left.core, right.core & (owner < 0)
        if looked_at is not None:
            parents = parents & looked_at.contains(left.table.column(HEALPIX).to_numpy())
            orphans = orphans & looked_at.contains(right.table.column(HEALPIX).to_numpy())
        nested = int(parents[owner[owner >= 0]].sum())
        alone = int(orphans.sum())
        return {self.nested: {"children": nested + alone, "nested": nested, "orphans": alone}}

    def _check_unique(self, parents: pa.Table) -> None:
        """Raise IdError where a parent has no id, or two have the same."""
        ids, missing = ids_of(parents, self.on)
        if missing.any():
            raise IdError(f"{self.left.name}: {missing.sum()} rows have no {self.on}: drop them before nesting")
        ids = np.sort(ids)
        twice = ids[1:][ids[1:] == ids[:-1]]
        if twice.size:
            raise IdError(
                f"{self.left.name}: {self.on}={twice[0]} stands in more than one row, so its light curve has no single "
                f"owner: remove the duplicates, or nest on a column that is unique"
            )


def _sortable(column: pa.ChunkedArray) -> NDArray[np.generic]:
    """Return numbers that sort as a column does, missing values last."""
    if pa.types.is_floating(column.type) or (pa.types.is_integer(column.type) and not column.null_count):
        return np.asarray(column.to_numpy())
    ranks = pc.rank(_combined(column.cast(plain(column.type))), tiebreaker="dense")
    return np.asarray(ranks.to_numpy())


def _combined(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    if not isinstance(combined, pa.ChunkedArray):
        return combined
    return combined.chunk(0) if combined.num_chunks else pa.array([], type=column.type)
