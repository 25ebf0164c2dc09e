"""The nesting node: child rows become light curves of their parents, joined by id. Grouping is a kernel."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import IdError, PlanError
from lsdb_ts.kernels.nest import find_parents, group_owned
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.node import Node, needs_positions
from lsdb_ts.schema import HEALPIX, Roles, is_nested, require
from lsdb_ts.sky.align import align_outer
from lsdb_ts.sky.halo import border
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.sphere import separation_arcsec
from lsdb_ts.store.partition import Partition


@dataclass(frozen=True, eq=False)
class Nest(Node):
    """Each left row with the right rows that name its id, as one nested column.

    A child belongs to a parent if it names its id *and* lies within ``max_separation_arcsec`` of it; so both sides are
    asked for that much halo, the result does not depend on the layouts, and every child row is either nested or counted
    as an orphan.
    """

    left: Node
    right: Node
    on: str
    nested: str
    max_separation_arcsec: float

    def __post_init__(self) -> None:
        require(self.left.schema, [self.on], self.left.name)
        require(self.right.schema, [self.on], self.right.name)
        mine, theirs = (node.schema.field(self.on).type for node in (self.left, self.right))
        if mine != theirs and not (_is_text(mine) and _is_text(theirs)):
            raise PlanError(
                f'"{self.on}" is {mine} in {self.left.name} and {theirs} in {self.right.name}: ids must be of one '
                f"type, or large ones are mixed up; cast one side"
            )
        needs_positions(self.left, "nest")
        needs_positions(self.right, "nest")
        if self.nested in self.left.schema.names:
            raise PlanError(
                f'{self.left.name} already has a column "{self.nested}": give the light curves another name='
            )
        if not (math.isfinite(self.max_separation_arcsec) and 0 < self.max_separation_arcsec <= 3600):
            raise PlanError(f"max_separation_arcsec={self.max_separation_arcsec}: need more than 0 and at most 3600")
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
        """All sky of both sides: where only the right has rows they are counted as orphans."""
        return align_outer(self.left.layout, self.right.layout)

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
        keys = (HEALPIX, self.on)
        wide = self.max_separation_arcsec
        # No row is skipped: children of a parent that was left out would count as orphans.
        left = replace(demand, columns=keys, rows={}, sky=None).plus([*self.positions, *mine], halo_arcsec=wide)
        right = replace(demand, columns=keys, rows={}, sky=None).plus(
            [*needs_positions(self.right, "nest"), *self._sorting, *parts], halo_arcsec=wide
        )
        return left, right

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Nest the pixel."""
        left, right = parts
        parents, children = left.table, right.table
        self._unique_parents(parents)
        owner = self._owners(parents, children)
        wanted = self._within(parents, demand)
        position = np.cumsum(wanted) - 1
        kept = np.flatnonzero((owner >= 0) & (wanted[owner] if len(left) else False))
        keys = [children.column(c).to_numpy()[kept] for c in self._sorting]
        order, offsets = group_owned(position[owner[kept]], int(wanted.sum()), *keys)
        rows = pa.array(kept[order])
        lists = [
            pa.ListArray.from_arrays(
                pa.array(offsets.astype(np.int32)), _combined(children.column(part.name).take(rows)), type=part.type
            )
            for part in self._nested_type
            if part.name in children.column_names
        ]
        fields = [part for part in self._nested_type if part.name in children.column_names]
        core = left.core[wanted]
        table = parents.filter(pa.array(wanted)).append_column(
            pa.field(self.nested, pa.struct(fields)), pa.StructArray.from_arrays(lists, fields=fields)
        )
        counts = {
            "children": int(right.core.sum()),
            "nested": int((right.core & (owner >= 0)).sum()),
            "orphans": int((right.core & (owner < 0)).sum()),
        }
        return Partition(table, core, {self.nested: counts})

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters of the nesting."""
        return {"on": self.on, "name": self.nested, "max_separation_arcsec": self.max_separation_arcsec}

    @property
    def summary(self) -> str:
        """Key and name."""
        return f'nest {self.right.name} by {self.on} as {self.nested}, within {self.max_separation_arcsec:g}"'

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
        named = children.column(self.on)
        ids, nameless = parents.column(self.on), named.is_null().to_numpy()
        if nameless.any():
            # Any value will do: numpy has no null among integers, and would make large ids floats.
            named = named.fill_null(0 if pa.types.is_integer(named.type) else "")
        owner = find_parents(ids.to_numpy(), named.to_numpy())
        if len(ids) == 0:
            return owner
        here = [parents.column(c).to_numpy()[owner] for c in self.positions]
        there = [children.column(c).to_numpy() for c in needs_positions(self.right, "nest")]
        near = separation_arcsec(*here, *there) <= self.max_separation_arcsec
        return np.where(near & ~nameless, owner, -1)

    def _within(self, parents: pa.Table, demand: Demand) -> NDArray[np.bool_]:
        """Tell which parents are wanted; those farther out were read only to tell orphans."""
        place = parents.column(HEALPIX).to_numpy()
        pixel = demand.pixel
        core: NDArray[np.bool_] = (place >= pixel.start) & (place < pixel.stop)
        return core | border(pixel, demand.halo_arcsec).contains(place)

    def _unique_parents(self, parents: pa.Table) -> None:
        """Raise IdError where a parent has no id, or two have the same."""
        column = parents.column(self.on)
        if column.null_count:
            raise IdError(f"{self.left.name}: {column.null_count} rows have no {self.on}: drop them before nesting")
        ids = np.sort(column.to_numpy())
        twice = ids[1:][ids[1:] == ids[:-1]]
        if twice.size:
            raise IdError(
                f"{self.left.name}: {self.on}={twice[0]} stands in more than one row, so its light curve has no single "
                f"owner: remove the duplicates, or nest on a column that is unique"
            )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _combined(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    if not isinstance(combined, pa.ChunkedArray):
        return combined
    return combined.chunk(0) if combined.num_chunks else pa.array([], type=column.type)
