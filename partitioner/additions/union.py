"""Join new rows to rows that are there: none twice, and each light curve in order of time.

Which partition is read and written is decided next door.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.schema import HEALPIX, Roles
from lsdb_ts.sky.pixel import Indices
from partitioner.account import has_number, integers
from partitioner.inputs.tables import times
from partitioner.moving.nest import grouped


def is_new(old: pa.Table, new: pa.Table, id_column: str | None = None) -> NDArray[np.bool_]:
    """Tell which of some rows are neither among others nor come before them among themselves; shape (n,).

    Parameters
    ----------
    old, new : pyarrow.Table
        What identifies the rows; the same columns.
    id_column : str, optional
        A row without a value there is not compared: nobody knows what it is.
    """
    if new.num_rows == 0:
        return np.zeros(0, dtype=bool)
    # Rows of equal values come down to the first of them.
    both = pa.concat_tables([old.select(new.column_names), new]).append_column(
        "_row", pa.array(np.arange(old.num_rows + new.num_rows))
    )
    first = both.group_by(new.column_names, use_threads=False).aggregate([("_row", "min")]).column("_row_min")
    found = np.zeros(both.num_rows, dtype=bool)
    found[first.to_numpy()] = True
    fresh: NDArray[np.bool_] = found[old.num_rows :]
    if id_column is not None and new.column(id_column).null_count:
        fresh |= new.column(id_column).is_null().to_numpy()
    return fresh


def in_sequence(rows: pa.Table, id_column: str | None) -> pa.Table:
    """Return rows sorted by place and id, in one piece; ties keep their sequence."""
    keys = [rows.column(HEALPIX).to_numpy()]
    if id_column is not None and has_number(rows.schema.field(id_column).type):
        keys.insert(0, integers(rows.column(id_column)))
    return rows.take(pa.array(np.lexsort(keys))).combine_chunks()


@dataclass(frozen=True, eq=False)
class Curve:
    """A nested column: its field, and what the parts of it mean."""

    field: pa.Field
    roles: Roles
    """Of the table that is nested."""

    @property
    def names(self) -> list[str]:
        """Names of its parts."""
        return [part.name for part in self.field.type]

    @property
    def schema(self) -> pa.Schema:
        """Columns of the nested rows."""
        return pa.schema([pa.field(part.name, part.type.value_type) for part in self.field.type])

    @property
    def id(self) -> str | None:
        """The part with the ids of the nested rows, if there is one."""
        return self.roles.id if self.roles.id in self.names else None

    @property
    def time(self) -> str:
        """The part that curves are sorted by."""
        if self.roles.time not in self.names:
            raise PlanError(f'"{self.field.name}" holds no times: rows cannot be added in their place')
        return str(self.roles.time)

    def empty(self, n: int) -> pa.StructArray:
        """Return curves without epochs."""
        offsets = pa.array(np.zeros(n + 1, dtype=np.int32))
        parts = [
            pa.ListArray.from_arrays(offsets, pa.array([], part.type.value_type), type=part.type)
            for part in self.field.type
        ]
        return pa.StructArray.from_arrays(parts, fields=list(self.field.type))


@dataclass(frozen=True, eq=False)
class Grown:
    """Light curves with new rows in them."""

    curves: pa.StructArray
    touched: Indices
    """The rows whose curve has changed."""
    fresh: NDArray[np.bool_]
    """Which of the new rows were added; the others were there already."""


def with_new_rows(curve: Curve, curves: pa.StructArray, owner: Indices, rows: pa.Table) -> Grown:
    """Add rows to light curves; only those that get some are taken apart.

    Parameters
    ----------
    curve : Curve
    curves : pyarrow.StructArray, length n
        What is there.
    owner : numpy.ndarray of int64, shape (m,)
        The curve that each new row belongs to.
    rows : pyarrow.Table, m rows
        The new rows, with a column for each part.
    """
    touched = np.unique(owner)
    old, old_owner = _flat(curve, curves.take(pa.array(touched)))
    new = rows.select(curve.names).cast(curve.schema)
    new_owner = np.searchsorted(touched, owner)
    keys = [curve.id] if curve.id is not None else curve.names
    fresh = is_new(_keyed(old, old_owner, keys), _keyed(new, new_owner, keys), curve.id)
    flat = pa.concat_tables([old, new.filter(pa.array(fresh))]).combine_chunks()
    joined = np.concatenate([old_owner, new_owner[fresh]])
    if not fresh.any():
        return Grown(curves, np.empty(0, dtype=np.int64), fresh)
    order, offsets = grouped(joined, touched.size, times(flat.column(curve.time)), _ties(flat, curve.id))
    whole = _built(curve, flat.take(pa.array(order)), offsets)
    at = np.arange(len(curves))
    at[touched] = len(curves) + np.arange(touched.size)
    return Grown(pa.concat_arrays([curves, whole]).take(pa.array(at)), touched, fresh)


def _flat(curve: Curve, curves: pa.StructArray) -> tuple[pa.Table, Indices]:
    """Return the epochs of curves, and the curve of each."""
    parts = {part.name: curves.field(part.name) for part in curve.field.type}
    lengths = np.diff(next(iter(parts.values())).offsets.to_numpy())
    table = pa.table([parts[name].flatten() for name in curve.names], schema=curve.schema)
    return table, np.repeat(np.arange(len(curves)), lengths)


def _keyed(rows: pa.Table, owner: Indices, keys: Sequence[str]) -> pa.Table:
    return rows.select(list(keys)).append_column("_owner", pa.array(owner))


def _ties(rows: pa.Table, column: str | None) -> Indices | None:
    if column is None or not pa.types.is_integer(rows.schema.field(column).type):
        return None
    return integers(rows.column(column))


def _built(curve: Curve, rows: pa.Table, offsets: Indices) -> pa.StructArray:
    starts = pa.array(offsets, pa.int32())
    parts = [
        pa.ListArray.from_arrays(starts, rows.column(part.name).combine_chunks(), type=part.type)
        for part in curve.field.type
    ]
    return pa.StructArray.from_arrays(parts, fields=list(curve.field.type))
