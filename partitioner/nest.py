"""Bring child rows to their parents: an index from id to leaf, rows routed by it, and the nested column.

A child goes where its parent is, whatever its own position says, so that no light curve is torn at the edge of a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import IdError, PlanError
from lsdb_ts.kernels.nest import group_children
from lsdb_ts.sky.pixel import Indices
from partitioner.account import Tally, child_keys, integers, mixed
from partitioner.inputs import Unit, bad_input_as_value, floats, read_unit
from partitioner.plan import Plan
from partitioner.shard import save_array, set_aside, spill_path, write_spill

INDEX_ROWS = 4_000_000
"""A part of the index is sorted in memory at once, and holds about so many ids."""


def index_bits(planned: Plan) -> int:
    """Return b where the index is cut into 2^b parts, by the leading bits of the mixed ids."""
    return max(0, math.ceil(math.log2(max(planned.inputs[planned.primary.table].rows, 1) / INDEX_ROWS)))


@bad_input_as_value
def build_index(planned: Plan, part: int) -> dict[str, Any]:
    """Sort one part of the ids of the primary table; raises IdError where one comes twice."""
    bits, units = index_bits(planned), planned.units(planned.primary.table)
    bounds = np.array([part, part + 1], dtype=object) * (1 << (64 - bits))
    slices, origins = [], []
    for unit in units:
        noted = np.load(planned.work / "ids" / f"{unit.name}.npy", mmap_mode="r")
        first = np.searchsorted(noted[0], np.uint64(bounds[0]))
        stop = noted.shape[1] if part + 1 == 1 << bits else np.searchsorted(noted[0], np.uint64(bounds[1]))
        slices.append(noted[:, first:stop])
        origins.append(np.full(stop - first, unit.number))
    joined, origin = np.concatenate(slices, axis=1), np.concatenate(origins)
    order = np.argsort(joined[0], kind="stable")
    keys = joined[0, order]
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    if twice.size:
        pair = [(units[int(origin[order[i]])], int(joined[2, order[i]])) for i in (twice[0], twice[0] + 1)]
        raise _id_error(planned, pair, int(twice.size))
    save_array(keys, planned.work / "index" / f"keys-{part}.npy")
    save_array(joined[1, order].astype(np.int32), planned.work / "index" / f"leaves-{part}.npy")
    return {"rows": int(keys.size)}


def _id_error(planned: Plan, pair: Sequence[tuple[Unit, int]], n: int) -> IdError:
    unit, row = pair[0]
    schema, column = planned.inputs[unit.table].schema, planned.roles(unit.table).id
    value = read_unit(unit, schema, [str(column)]).column(column)[row - unit.first_row].as_py()
    places = " and ".join(f"row {row} of {unit.path}" for unit, row in pair)
    more = f" ({n} ids come more than once)" if n > 1 else ""
    return IdError(
        f'{column} {value} of the table "{unit.table}" is not unique: {places} (counted from 0){more}. '
        "Light curves could not be told apart: remove one of the rows"
    )


def find_leaves(planned: Plan, ids: Indices) -> Indices:
    """Return, for each id of the primary table, the place of its leaf, or -1 for an id that the table does not have."""
    keys, bits = mixed(ids), index_bits(planned)
    part = keys >> np.uint64(64 - bits) if bits else np.zeros(keys.size, dtype=np.uint64)
    leaves = np.full(keys.size, -1, dtype=np.int64)
    for p in np.unique(part).tolist():
        known = np.load(planned.work / "index" / f"keys-{p}.npy", mmap_mode="r")
        if known.size == 0:
            continue
        here = np.flatnonzero(part == p)
        # Sorted look-ups walk the index once; random ones would miss the cache each time.
        here = here[np.argsort(keys[here])]
        at = np.minimum(np.searchsorted(known, keys[here]), known.size - 1)
        hit = known[at] == keys[here]
        leaves[here[hit]] = np.load(planned.work / "index" / f"leaves-{p}.npy", mmap_mode="r")[at[hit]]
    return leaves


@bad_input_as_value
def route(planned: Plan, unit: Unit) -> dict[str, Any]:
    """Send the child rows of one unit to the buckets of their parents; those without one are set aside.

    Returns
    -------
    dict
        For the journal: rows read, tallies of all rows and of the orphans.
    """
    roles = planned.roles(unit.table)
    table = read_unit(unit, planned.inputs[unit.table].schema)
    parents = table.column(roles.parent_id)
    leaf = find_leaves(planned, integers(parents))
    if parents.null_count:
        leaf[parents.is_null().to_numpy()] = -1
    orphan = leaf < 0
    keys = child_keys(integers(parents), _ids(table, roles.id))
    if orphan.any():
        aside = table.filter(pa.array(orphan))
        set_aside(aside, planned.work / "orphans" / unit.table / f"{unit.name}.parquet")
        table, leaf = table.filter(pa.array(~orphan)), leaf[~orphan]
    write_spill(table, planned.primary.bucket_of(leaf), spill_path(planned, "route", unit.table, unit.name))
    return {
        "rows": int(orphan.size),
        "all": Tally.of(keys).to_json(),
        "orphans": Tally.of(keys[orphan]).to_json(),
    }


def _ids(table: pa.Table, column: str | None) -> Indices | None:
    if column is None or not pa.types.is_integer(table.schema.field(column).type):
        return None
    return integers(table.column(column))


def nested_field(planned: Plan, child: str, column: str) -> pa.Field:
    """Return the field of a nested column: a struct of lists, one for each column of the child but the parent's id.

    Units and roles stay with the parts. Text stays text: Arrow cannot read dictionaries inside lists from more than one
    row group, and Parquet stores repeated values once in any case.
    """
    roles = planned.roles(child)
    parts = []
    for part in planned.inputs[child].schema:
        if part.name == roles.parent_id:
            continue
        parts.append(pa.field(part.name, pa.list_(part.type), metadata=part.metadata))
    if not parts:
        raise PlanError(f'the table "{child}" has no column beside "{roles.parent_id}": there is nothing to nest')
    return pa.field(column, pa.struct(parts))


def nest_children(planned: Plan, child: str, field: pa.Field, parents: Indices, rows: pa.Table) -> pa.StructArray:
    """Build the nested column of some parents.

    Parameters
    ----------
    planned : Plan
    child : str
        Name of the child table.
    field : pyarrow.Field
        From :func:`nested_field`.
    parents : numpy.ndarray of int64, shape (n,)
        Ids of the parents.
    rows : pyarrow.Table
        All child rows that belong to them, in any sequence.

    Returns
    -------
    pyarrow.StructArray, length n
        Each curve sorted by time, then by id; empty lists (never null) for a parent without children.
    """
    roles = planned.roles(child)
    ties = _ids(rows, roles.id)
    order, offsets, orphans = group_children(
        parents, integers(rows.column(roles.parent_id)), floats(rows.column(roles.time)), ties
    )
    if orphans.size:
        raise AssertionError(f"{orphans.size} rows of {child} were routed to a bucket without their parent")
    if offsets[-1] > np.iinfo(np.int32).max:
        raise PlanError(
            f'{offsets[-1]} rows of "{child}" belong to one partition, more than Arrow lists hold: lower max_rows'
        )
    ordered = rows.take(pa.array(order))
    arrays = []
    for part in field.type:
        values = ordered.column(part.name).combine_chunks()
        arrays.append(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=part.type))
    return pa.StructArray.from_arrays(arrays, fields=list(field.type))
