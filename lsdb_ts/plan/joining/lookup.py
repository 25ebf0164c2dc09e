"""The look-up node: rows with certain ids, read from where an index says they are. Indexes are the store's."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.columns import Assign, Rename, Select, Tag
from lsdb_ts.plan.demand import Demand, common
from lsdb_ts.plan.forecast import Forecast
from lsdb_ts.plan.functions.apply import Extend
from lsdb_ts.plan.joining.asof import JoinAsOf
from lsdb_ts.plan.joining.join import Join
from lsdb_ts.plan.joining.nest import Nest
from lsdb_ts.plan.node import Node, Unary
from lsdb_ts.plan.rows import Cut, Filter, FilterEpochs, Pick
from lsdb_ts.plan.sample import Sample
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import plain, require
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import Partition
from lsdb_ts.store.source import Source


@dataclass(frozen=True, eq=False)
class Lookup(Unary):
    """Rows whose id is one of some.

    Attributes
    ----------
    column : str
        The column of the ids.
    ids : pyarrow.Array
        Distinct, sorted, in the column's type.
    places : Ranges or None
        Sky that holds all their rows, from an index; None where there is no index, and row groups are left out by the
        statistics of the ids alone.
    """

    column: str
    ids: pa.Array
    places: Ranges | None

    def __post_init__(self) -> None:
        require(self.child.schema, [self.column], self.child.name)

    @functools.cached_property
    def layout(self) -> Layout:
        """The pixels that hold the ids, as far as is known."""
        child = self.child.layout
        return child if self.places is None else child.take(self.places.overlaps(child.starts, child.stops))

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The places of the ids."""
        return common(self.child.sky, self.places)

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """The places of the ids: what is nested into these rows lies there."""
        return common(self.child.footprint, self.places)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the ids too, and let rows with smaller and larger ones, and elsewhere, be left out."""
        rows = {self.column: (self.ids[0].as_py(), self.ids[-1].as_py())} if len(self.ids) else {}
        return (replace(demand.plus([self.column], rows=rows), sky=common(demand.sky, self.places)),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Keep the rows."""
        held = parts[0].table.column(self.column)
        kept = parts[0].filter(pc.is_in(held.cast(self.ids.type), value_set=self.ids).to_numpy())
        return replace(kept, account={self.column: {"rows_with_ids": int(kept.core.sum())}})

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Expect one row for each id, spread evenly over the pixels."""
        given = parts[0]
        rows = min(given.rows, len(self.ids) / max(len(self.layout), 1))
        return Forecast(rows, given.bytes * rows / given.rows if given.rows else 0.0, given.most_bytes)

    def identity(self) -> Mapping[str, Any]:
        """Return the column and what makes the ids the same ids again."""
        text = repr(self.ids.to_pylist())
        return {"column": self.column, "n": len(self.ids), "sha256": hashlib.sha256(text.encode()).hexdigest()}

    @property
    def summary(self) -> str:
        """How many ids, and how they are found."""
        how = "its index" if self.places is not None else "the statistics of row groups: it has no index"
        return f"look up {len(self.ids)} ids by {self.column}, through {how}"


def home_of(node: Node, column: str) -> tuple[Source, str] | None:
    """Return the source a column of ids comes from unchanged, and what it is called there; None where there is none."""
    if isinstance(node, Scan):
        return node.source, column
    if isinstance(node, Rename):
        return home_of(node.child, {new: old for old, new in node.columns}.get(column, column))
    if isinstance(node, Assign) and column in {name for name, _ in node.columns}:
        return None
    if isinstance(node, Extend) and column in {made.name for made in node.added}:
        return None
    if isinstance(node, Select | Assign | Tag | Filter | FilterEpochs | Cut | Pick | Sample | Extend | Lookup):
        return home_of(node.child, column)
    if isinstance(node, Nest) and column != node.curves.nested:
        return home_of(node.left, column)
    if isinstance(node, Join | JoinAsOf):
        old = {new: old for old, new in node.sides.left_names.items()}.get(column)
        return home_of(node.left, old) if old is not None else None
    return None


def as_ids(ids: Any, column: pa.Field, where: str) -> pa.Array:
    """Return distinct ids, sorted, in the type of a column.

    Parameters
    ----------
    ids : int, str, or array_like of these
        One id, a list, a numpy array, a column of a frame.
    column : pyarrow.Field
        The column they are looked up in.
    where : str
        Name of the catalog, for messages.

    Raises
    ------
    PlanError
        They are of another kind than the column, or some are missing.
    """
    kind = plain(column.type)
    listed = [ids] if isinstance(ids, str | int | np.integer) else ids
    try:
        given = arrow_ids(listed)
        given = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
        same = pa.types.is_null(given.type) or _family(plain(given.type)) == _family(kind) is not None
        cast = given.cast(kind) if same else None
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise PlanError(f'these are no ids of "{column.name}" of {where}, which is {kind}: {error}') from error
    if cast is None:
        raise PlanError(
            f'"{column.name}" of {where} is {kind} and the ids are {given.type}: give ids of the column\'s own type, '
            f"because others are mixed up when they are converted"
        )
    if cast.null_count:
        raise PlanError(f"{cast.null_count} of the {len(cast)} ids are missing (null): leave them out")
    distinct = pc.unique(cast)
    return distinct.take(pc.sort_indices(distinct))


def arrow_ids(ids: Any) -> pa.Array | pa.ChunkedArray:
    """Return ids as Arrow has them; whole numbers beyond 2^63 are unsigned.

    >>> arrow_ids([1, 2**63 + 1]).type
    DataType(uint64)
    """
    try:
        return pa.array(ids)
    except OverflowError:
        listed = list(ids)
        if not all(isinstance(i, int | np.integer) for i in listed):
            raise
        return pa.array(listed, pa.uint64())


def _family(kind: pa.DataType) -> str | None:
    if pa.types.is_integer(kind):
        return "integer"
    return "text" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None
