"""Bring child rows to their parents: rows routed by the index of ids, and the nested column.

A child goes where its parent is, whatever its own position says, so that no light curve is torn at the edge of a pixel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import IdError, PlanError
from lsdb_ts.kernels.rows.mixing import mix_keys
from lsdb_ts.kernels.rows.ordering import find_rows, mark_repeats, order_by_group, sort_groups, stretch_of
from lsdb_ts.sky.pixel import Indices
from partitioner.account import Tally, child_keys, has_number, integers
from partitioner.inputs.tables import Unit, bad_input_as_value, read_unit, times
from partitioner.moving.ids import find_places
from partitioner.moving.lookup import with_visits
from partitioner.moving.rows import scattered
from partitioner.moving.shard import scratch
from partitioner.moving.spill import Aside, Spill, written_here
from partitioner.planning.plan import Plan
from partitioner.surveys.survey import Nested

_NO_TIES: Indices = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Nesting:
    """One table that is nested in another."""

    planned: Plan
    nested: Nested
    parent: str
    """The table whose rows get the light curves."""

    @classmethod
    def of(cls, planned: Plan, child: str) -> Nesting:
        """Return how a table is nested in another."""
        return next(cls(planned, n, p.table) for p in planned.products for n in p.nest if n.table == child)

    @functools.cached_property
    def column(self) -> pa.Field:
        """The nested column: a struct of lists, one for each column that is nested; units and roles stay with them.

        Text stays text: Arrow cannot read dictionaries inside lists from more than one row group, and Parquet stores
        repeated values once in any case.
        """
        schema, parent_id = self.planned.columns[self.nested.table], self.parent_id
        names = self.nested.columns or [n for n in schema.names if n != parent_id]
        if not names:
            raise PlanError(f'the table "{self.nested.table}" has no column beside "{parent_id}": nothing to nest')
        parts = [pa.field(n, pa.list_(schema.field(n).type), metadata=schema.field(n).metadata) for n in names]
        return pa.field(self.nested.name, pa.struct(parts))

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Columns of the rows on their way: those that are nested, and those that say where they go."""
        schema, roles = self.planned.columns[self.nested.table], self.planned.roles(self.nested.table)
        wanted = {*(part.name for part in self.column.type), roles.parent_id, roles.time, roles.id}
        return pa.schema([f for f in schema if f.name in wanted])

    @property
    def parent_id(self) -> str:
        """Column of the child rows with the id of their parent."""
        return str(self.planned.roles(self.nested.table).parent_id)

    @property
    def time(self) -> str:
        """Column of the child rows by which curves are sorted."""
        return str(self.planned.roles(self.nested.table).time)

    def ids(self, rows: pa.Table | pa.RecordBatch) -> Indices | None:
        """Return the child rows' own ids, where they have integer ones."""
        return own_ids(rows, self.planned.roles(self.nested.table).id)

    def counted_ids(self, rows: pa.Table | pa.RecordBatch) -> Indices | None:
        """Return the child rows' own ids, where they are found again in the light curves."""
        column = self.planned.roles(self.nested.table).id
        return own_ids(rows, column) if self.column.type.get_field_index(str(column)) >= 0 else None


@dataclass(frozen=True)
class Repeats:
    """Child rows whose id comes in the same curve before them."""

    rows: int = 0
    dropped: Tally = field(default_factory=Tally)

    def __add__(self, other: Repeats) -> Repeats:
        return Repeats(self.rows + other.rows, self.dropped + other.dropped)


def own_ids(rows: pa.Table | pa.RecordBatch, column: str | None) -> Indices | None:
    """Return the ids in a column, where there is one and it holds integers."""
    if column is None or not pa.types.is_integer(rows.schema.field(column).type):
        return None
    return integers(rows.column(column))


@bad_input_as_value
def route(planned: Plan, unit: Unit) -> dict[str, Any]:
    """Send the child rows of one unit to the buckets of their parents; those without one are set aside.

    Returns
    -------
    dict
        For the journal: rows read, tallies of all rows and of the orphans, how many found no visit, and which bucket
        each batch of the scratch file is of.
    """
    work = Nesting.of(planned, unit.table)
    product = next(p for p in planned.products if p.table == work.parent)
    n_rows, everything, lost, unvisited = 0, Tally(), Tally(), 0
    starts, buckets = product.layout.starts, product.bucket_of(np.arange(len(product.layout)))
    spill = Spill(scratch(planned, "route", unit.table).file(unit.number), work.schema, product.buckets)
    with spill, Aside(planned.work / "orphans" / unit.table / f"{unit.name}.parquet") as aside:
        for chunk in read_unit(unit, planned.inputs[unit.table].schema):
            rows, missed = with_visits(planned, unit.table, chunk.table)
            parents = rows.column(work.parent_id)
            place = find_places(planned, work.parent, parents)
            keys, orphan = child_keys(integers(parents), work.counted_ids(rows)), place < 0
            n_rows, unvisited, everything = n_rows + place.size, unvisited + missed, everything + Tally.of(keys)
            if orphan.any():
                lost += Tally.of(keys[orphan])
                aside.add(rows.filter(pa.array(orphan)))
                rows, place = rows.filter(pa.array(~orphan)), place[~orphan]
            spill.add(rows.select(work.schema.names), buckets[stretch_of(starts, place)])
    return {
        "rows": n_rows,
        "all": everything.to_json(),
        "orphans": lost.to_json(),
        "unvisited": unvisited,
        "batches": spill.to_json(),
        **written_here(),
    }


def grouped(owner: Indices, n_parents: int, when: np.ndarray, ties: Indices | None) -> tuple[Indices, Indices]:
    """Sort child rows by parent, each parent's by time, then by id, then by their sequence.

    Parameters
    ----------
    owner : numpy.ndarray of int64, shape (m,)
        Row of each child's parent.
    n_parents : int
    when : numpy.ndarray of float64 or int64, shape (m,)
        Times; NaN comes last.
    ties : numpy.ndarray of int64, shape (m,), or None

    Returns
    -------
    order : numpy.ndarray of int64, shape (m,)
    offsets : numpy.ndarray of int64, shape (n_parents + 1,)
        Children of parent i are ``order[offsets[i]:offsets[i + 1]]``.
    """
    order, offsets = order_by_group(owner, n_parents)
    sort_groups(order, offsets, when, _NO_TIES if ties is None else ties)
    return order, offsets


def owners(parents: Indices, named: Indices) -> Indices:
    """Return the row of the parent that each child names; all of them must be there."""
    keys = mix_keys(parents)
    by_key = np.argsort(keys)
    at = find_rows(keys[by_key], mix_keys(named))
    if (at < 0).any():
        raise AssertionError(f"{int((at < 0).sum())} child rows were routed to a bucket without their parent")
    return by_key[at]


def nest_children(
    work: Nesting, parents: Indices, tables: Sequence[pa.Table | pa.RecordBatch]
) -> tuple[pa.StructArray, Repeats]:
    """Build the nested column of some parents.

    Parameters
    ----------
    work : Nesting
    parents : numpy.ndarray of int64, shape (n,)
        Ids of the parents.
    tables : sequence of pyarrow.Table or pyarrow.RecordBatch
        All child rows that belong to them, in any sequence, with the columns of ``work.schema``.

    Returns
    -------
    curves : pyarrow.StructArray, length n
        Each curve sorted by time, then by id; empty lists (never null) for a parent without children.
    repeats : Repeats
        Children whose id comes in the same curve before them; they are dropped where the survey says so.

    Raises
    ------
    IdError
        There are some, and the survey says that there are none.
    """
    named = _joined(tables, lambda t: integers(t.column(work.parent_id)), np.int64)
    when = np.concatenate([times(t.column(work.time)) for t in tables]) if tables else np.empty(0)
    ids = _joined(tables, work.ids, np.int64) if tables and work.ids(tables[0]) is not None else None
    owner = owners(parents, named)
    order, offsets = grouped(owner, parents.size, when, ids)
    repeats = Repeats()
    if (again := _again(work, tables, order, offsets)).any():
        repeats = _repeats(work, named[order[again]], tables, order[again])
        if work.nested.on_duplicates == "drop":
            offsets = offsets - np.append(0, np.cumsum(again))[offsets]
            order = order[~again]
    if offsets[-1] > np.iinfo(np.int32).max:
        raise PlanError(
            f'{offsets[-1]} rows of "{work.nested.table}" belong to one partition, more than Arrow lists hold: lower '
            "max_rows or max_bytes"
        )
    starts = pa.array(offsets, pa.int32())
    arrays = []
    for part in work.column.type:
        values = scattered([c for t in tables for c in _chunks(t.column(part.name))], order, part.type.value_type)
        arrays.append(pa.ListArray.from_arrays(starts, values, type=part.type))
    return pa.StructArray.from_arrays(arrays, fields=list(work.column.type)), repeats


def _again(
    work: Nesting, tables: Sequence[pa.Table | pa.RecordBatch], order: Indices, offsets: Indices
) -> NDArray[np.bool_]:
    """Tell which children, in order, have an id that came before in their curve; those without one are no repeats."""
    column = work.planned.roles(work.nested.table).id
    found: NDArray[np.bool_] = np.zeros(order.size, dtype=bool)
    if column is None or not has_number(work.schema.field(column).type):
        return found
    ids = _joined(tables, lambda t: integers(t.column(column)), np.int64)
    if not any(t.column(column).null_count for t in tables):
        marked: NDArray[np.bool_] = mark_repeats(order, offsets, ids)
        return marked
    has_id = _joined(tables, lambda t: t.column(column).is_valid().to_numpy(zero_copy_only=False), np.bool_)[order]
    found[has_id] = mark_repeats(order[has_id], np.append(0, np.cumsum(has_id))[offsets], ids)
    return found


def _repeats(work: Nesting, parents: Indices, tables: Sequence[pa.Table | pa.RecordBatch], rows: Indices) -> Repeats:
    column = str(work.planned.roles(work.nested.table).id)
    if work.nested.on_duplicates == "raise":
        first, parent = (_value(tables, name, int(rows[0])) for name in (column, work.parent_id))
        more = f" ({rows.size} rows do so)" if rows.size > 1 else ""
        raise IdError(
            f'{column} {first} of the table "{work.nested.table}" comes more than once for {work.parent_id} '
            f'{parent}{more}: remove one of the rows, or say on_duplicates = "keep" or "drop" where it is nested'
        )
    dropped = Tally()
    if work.nested.on_duplicates == "drop":
        is_counted = work.counted_ids(tables[0]) is not None
        ids = _joined(tables, work.counted_ids, np.int64)[rows] if is_counted else None
        dropped = Tally.of(child_keys(parents, ids))
    return Repeats(int(rows.size), dropped)


def _value(tables: Sequence[pa.Table | pa.RecordBatch], column: str, row: int) -> Any:
    return pa.chunked_array([c for t in tables for c in _chunks(t.column(column))])[row].as_py()


def _joined(
    tables: Sequence[pa.Table | pa.RecordBatch], values: Callable[[Any], Any], kind: type[np.generic]
) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=kind), *(values(t) for t in tables)])


def _chunks(column: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def tally_of_curves(work: Nesting, curves: pa.StructArray, parents: Indices) -> Tally:
    """Tally what is in the nested column itself: the parent each row ended up with, and its own id."""
    column = work.planned.roles(work.nested.table).id
    at = work.column.type.get_field_index(str(column))
    part = curves.field(max(at, 0))
    offsets = part.offsets.to_numpy()
    owner = np.repeat(parents, np.diff(offsets))
    values = part.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    has_ids = at >= 0 and pa.types.is_integer(values.type)
    return Tally.of(child_keys(owner, integers(values) if has_ids else None))
