"""The node that puts the rows of several catalogs into one. How their columns agree is decided next door."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.forecast import Forecast
from lsdb_ts.plan.joining.promote import unified
from lsdb_ts.plan.node import Node, expanded, needs_positions, output_schema
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky.align import align_outer
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import Partition


@dataclass(frozen=True, eq=False)
class Concat(Node):
    """Rows of all children; a column that a child lacks is null in its rows."""

    parts: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise PlanError("concat needs at least one catalog")
        first = needs_positions(self.parts[0], "concat")
        for node in self.parts[1:]:
            if needs_positions(node, "concat") != first:
                raise PlanError(
                    f"the positions of {self.parts[0].name} are {first[0]}, {first[1]} and those of {node.name} are "
                    f"{', '.join(needs_positions(node, 'concat'))}: rename one pair"
                )
        _ = self.schema

    @property
    def children(self) -> tuple[Node, ...]:
        """The catalogs."""
        return self.parts

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """All columns of all children, in types that hold every value."""
        return unified([node.schema for node in self.parts], [node.name for node in self.parts])

    @functools.cached_property
    def layout(self) -> Layout:
        """All sky of all children, the finest of their pixels where they overlap."""
        return functools.reduce(align_outer, (node.layout for node in self.parts))

    @property
    def name(self) -> str:
        """All names."""
        return "_and_".join(dict.fromkeys(node.name for node in self.parts))

    @property
    def positions(self) -> tuple[str, str]:
        """The positions of all."""
        return needs_positions(self.parts[0], "concat")

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The sky of all, where it is known of all."""
        return _united([node.sky for node in self.parts])

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """The sky that all were cut to, if all were."""
        return _united([node.footprint for node in self.parts])

    @property
    def count(self) -> int | None:
        """The rows of all."""
        counts = [node.count for node in self.parts]
        return None if None in counts else sum(n for n in counts if n is not None)

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the bounds of all that have the column."""
        base = column.partition(".")[0]
        found = [node.limits(column) for node in self.parts if base in node.schema.names]
        known = [ends for ends in found if ends is not None]
        if not known or len(known) < len(found):
            return None
        return min(low for low, _ in known), max(high for _, high in known)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask each for the columns it has, by its own types."""
        asked = []
        for node in self.parts:
            has = {HEALPIX, *node.schema.names, *expanded(node.schema, node.schema.names), *self.positions}
            rows = {name: limits for name, limits in demand.rows.items() if name in has}
            columns = [c for c in demand.columns if c in has]
            asked.append(replace(demand, columns=(HEALPIX,), rows=rows).plus(columns))
        return tuple(asked)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Put the rows of the pixel together, by place."""
        place = [c for c in self.positions if c in demand.columns and c not in self.schema.names]
        schema = output_schema(self, demand.plus([HEALPIX]))
        for name in place:
            schema = schema.append(pa.field(name, pa.float64()))
        table = pa.concat_tables([_conformed(part.table, schema) for part in parts])
        core = np.concatenate([part.core for part in parts])
        order = np.argsort(table.column(HEALPIX).to_numpy(), kind="stable")
        return Partition(table.take(pa.array(order)), core[order])

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Expect the rows of all."""
        return Forecast(sum(p.rows for p in parts), sum(p.bytes for p in parts), sum(p.most_bytes for p in parts))

    def identity(self) -> Mapping[str, Any]:
        """Return nothing: the children say it all."""
        return {}

    @property
    def summary(self) -> str:
        """How many."""
        return f"concat {len(self.parts)} catalogs"


def _united(skies: Sequence[Ranges | None]) -> Ranges | None:
    known = [sky for sky in skies if sky is not None]
    if len(known) < len(skies):
        return None
    return Ranges.of(np.concatenate([s.starts for s in known]), np.concatenate([s.stops for s in known]))


def _conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of a schema, those that are missing as nulls."""
    columns = []
    for field in schema:
        if field.name in table.column_names:
            column = table.column(field.name)
            columns.append(column if column.type == field.type else _cast(column, field.type))
        else:
            columns.append(pa.nulls(table.num_rows, field.type))
    return pa.table(columns, schema=schema)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Convert a column; the parts of a struct by their names."""
    if not pa.types.is_struct(kind):
        return column.cast(kind)
    chunks = [
        pa.StructArray.from_arrays(
            [chunk.field(part.name).cast(part.type) for part in kind],
            fields=list(kind),
            mask=chunk.is_null() if chunk.null_count else None,
        )
        for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, type=kind)
