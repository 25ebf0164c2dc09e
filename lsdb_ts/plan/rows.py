"""Nodes that keep some of their child's columns, rows, epochs or pixels, and compute nothing."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.demand import Demand, common
from lsdb_ts.plan.expression import Predicate
from lsdb_ts.plan.node import Unary, expanded, needs_positions
from lsdb_ts.schema import HEALPIX, is_nested, project, require
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.sky.region import Region
from lsdb_ts.store.partition import Partition


@dataclass(frozen=True, eq=False)
class Select(Unary):
    """Some of the columns."""

    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        require(self.child.schema, self.columns, self.child.name)

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The selected columns, in the order they were asked for."""
        kept = project(self.child.schema, self.columns)
        order = dict.fromkeys(c if c in kept.names else c.partition(".")[0] for c in self.columns)
        return pa.schema([kept.field(name) for name in order], metadata=kept.metadata)

    @property
    def count(self) -> int | None:
        """The child's rows."""
        return self.child.count

    @property
    def positions(self) -> tuple[str, str] | None:
        """The child's positions: they can still be read, selected or not."""
        return self.child.positions

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the parts of nested columns that were selected."""
        return (replace(demand, columns=expanded(self.schema, demand.columns)),)

    def identity(self) -> Mapping[str, Any]:
        """Return the columns."""
        return {"columns": list(self.columns)}

    @property
    def summary(self) -> str:
        """The columns."""
        shown = ", ".join(self.columns[:6]) + (f", ... ({len(self.columns)})" if len(self.columns) > 6 else "")
        return f"select {shown}"


@dataclass(frozen=True, eq=False)
class Filter(Unary):
    """Rows for which a predicate on base columns holds."""

    predicate: Predicate

    def __post_init__(self) -> None:
        require(self.child.schema, self.predicate.columns, self.child.name)
        # On no rows: what cannot be compared is known now.
        self.predicate.holds(project(self.child.schema, self.predicate.columns).empty_table())

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the predicate's columns too, and let rows it cannot hold for be skipped."""
        return (demand.plus(self.predicate.columns, rows=self.predicate.bounds),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Keep the rows."""
        return parts[0].filter(self.predicate.holds(parts[0].table))

    def identity(self) -> Mapping[str, Any]:
        """Return the predicate."""
        return {"predicate": asdict(self.predicate)}

    @property
    def summary(self) -> str:
        """The predicate."""
        return f"filter {self.predicate.text}"


@dataclass(frozen=True, eq=False)
class FilterEpochs(Unary):
    """Epochs of one nested column for which a predicate on its parts holds.

    Every row stays, with fewer epochs or none.
    """

    predicate: Predicate
    nested: str

    def __post_init__(self) -> None:
        require(self.child.schema, self.predicate.columns, self.child.name)
        if not is_nested(self.child.schema.field(self.nested)):
            raise PlanError(f'"{self.nested}" of {self.child.name} is not a nested column')

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the predicate's parts too, if any part is wanted."""
        touched = any(c.partition(".")[0] == self.nested for c in demand.columns)
        return (demand.plus(self.predicate.columns) if touched else demand,)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Keep the epochs."""
        table = parts[0].table
        if self.nested not in table.column_names:
            return parts[0]
        curves = table.column(self.nested).combine_chunks()
        kept = filter_epochs(curves, self.predicate, f"{self.nested}.")
        place = table.column_names.index(self.nested)
        return parts[0].with_table(table.set_column(place, table.schema.field(self.nested), kept))

    def identity(self) -> Mapping[str, Any]:
        """Return the predicate."""
        return {"predicate": asdict(self.predicate), "nested": self.nested}

    @property
    def summary(self) -> str:
        """The predicate."""
        return f"filter epochs {self.predicate.text}"


def filter_epochs(curves: pa.StructArray, predicate: Predicate, prefix: str) -> pa.StructArray:
    """Keep the epochs of struct-of-lists curves for which a predicate holds.

    ``prefix`` stands before the parts' names in it.
    """
    if isinstance(curves, pa.ChunkedArray):
        curves = curves.combine_chunks()
    parts = list(curves.type)
    lists = [curves.field(part.name) for part in parts]
    if len(curves) == 0:
        return curves
    flat = pa.table([values.flatten() for values in lists], names=[prefix + part.name for part in parts])
    keep = predicate.holds(flat)
    lengths = lists[0].value_lengths().fill_null(0).to_numpy()
    before = np.concatenate([[0], np.cumsum(keep)])
    offsets = before[np.concatenate([[0], np.cumsum(lengths)])]
    kept = flat.filter(pa.array(keep))
    mask = curves.is_null() if curves.null_count else None
    arrays = [_listed(offsets, kept.column(i).combine_chunks(), part.type) for i, part in enumerate(parts)]
    return pa.StructArray.from_arrays(arrays, fields=parts, mask=mask)


def _listed(offsets: NDArray[np.int64], values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_large_list(kind):
        return pa.LargeListArray.from_arrays(pa.array(offsets), values, type=kind)
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values, type=kind)


@dataclass(frozen=True, eq=False)
class Cut(Unary):
    """Rows inside a region of the sky."""

    region: Region

    def __post_init__(self) -> None:
        needs_positions(self.child, "a cut on the sky")

    @functools.cached_property
    def layout(self) -> Layout:
        """Pixels that touch the region."""
        child = self.child.layout
        return child.take(self._ranges.overlaps(child.starts, child.stops))

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The region, as far as the child has rows there."""
        return common(self.child.sky, self._ranges)

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """The region, as far as the child was not cut before."""
        return common(self.child.footprint, self._ranges)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the positions too, and let rows outside the region be left out."""
        asked = demand.plus(needs_positions(self.child, "a cut on the sky"))
        return (replace(asked, sky=common(demand.sky, self._ranges)),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Keep the rows inside."""
        ra, dec = (parts[0].table.column(c).to_numpy() for c in needs_positions(self.child, "a cut on the sky"))
        return parts[0].filter(self.region.contains(ra, dec))

    def identity(self) -> Mapping[str, Any]:
        """Return the region."""
        return {"region": repr(self.region)}

    @property
    def summary(self) -> str:
        """The region."""
        return f"cut {self.region}"

    @functools.cached_property
    def _ranges(self) -> Ranges:
        return self.region.ranges()


@dataclass(frozen=True, eq=False)
class Pick(Unary):
    """Some of the pixels."""

    pixels: Layout

    @functools.cached_property
    def layout(self) -> Layout:
        """The picked pixels."""
        return self.pixels

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """The picked pixels, as far as the child was not cut before."""
        return common(self.child.footprint, self.pixels.ranges)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the place too, where rows have one."""
        return (demand.plus([HEALPIX]) if self.child.positions is not None else demand,)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Keep the rows of the picked pixels: whoever matches with them asks for other pixels, and for halos, too."""
        if HEALPIX not in parts[0].table.column_names:
            return parts[0]
        return parts[0].filter(self.pixels.leaf_of(parts[0].table.column(HEALPIX).to_numpy()) >= 0)

    def identity(self) -> Mapping[str, Any]:
        """Return the pixels."""
        return {"pixels": [[p.order, p.number] for p in self.pixels]}

    @property
    def summary(self) -> str:
        """How many pixels."""
        return f"pick {len(self.pixels)} pixels"
