"""What can be wrong with light curves at rest: lists that are null, of unequal lengths, or out of sequence in time.

That they hold the rows they should, the account tells.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.schema import Roles, is_nested
from partitioner.account import Tally, child_keys, integers
from partitioner.checks.fault import Fault, first
from partitioner.checks.rows import Expected
from partitioner.inputs.tables import times


def curve_faults(table: pa.Table, expected: Expected, first_row: int = 0) -> Iterator[Fault]:
    """Yield everything that is wrong with the nested columns of one row group."""
    for name in (n for n in table.column_names if is_nested(table.schema.field(n))):
        yield from _faults_of(whole(table.column(name)), table.schema.field(name), expected, first_row)


def curve_tallies(table: pa.Table, id_column: str | None) -> dict[str, Tally]:
    """Return, for each nested column, how many rows are nested and which: by the id of their object and their own."""
    if id_column not in table.column_names or not pa.types.is_integer(table.schema.field(id_column).type):
        return {}
    owners = integers(table.column(id_column))
    found = {}
    for field in (f for f in table.schema if is_nested(f)):
        curves = whole(table.column(field.name))
        own = Roles.of(field.type).id
        part = curves.flatten()[0 if own is None else field.type.get_field_index(own)]
        keys = integers(part.flatten()) if own is not None and pa.types.is_integer(part.type.value_type) else None
        found[field.name] = Tally.of(child_keys(np.repeat(owners, _lengths(part)), keys))
    return found


def whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece."""
    joined = column.combine_chunks()
    return joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)


def _faults_of(column: pa.StructArray, field: pa.Field, expected: Expected, first_row: int) -> Iterator[Fault]:
    file, is_note = expected.file, not expected.is_ours
    parts = dict(zip((f.name for f in field.type), column.flatten(), strict=True))
    missing = column.is_null().to_numpy(zero_copy_only=False)
    for values in parts.values():
        missing = missing | values.is_null().to_numpy(zero_copy_only=False)
    yield from first(
        file,
        missing,
        f"has null for {field.name}, or for a list in it",
        first_row=first_row,
        told=lambda row: ("null", "lists, be they empty"),
        is_note=is_note,
    )
    lengths = {name: _lengths(values) for name, values in parts.items()}
    leading = next(iter(lengths))
    unequal = np.zeros(len(column), dtype=bool)
    for other in lengths.values():
        unequal |= other != lengths[leading]
    yield from first(
        file,
        unequal,
        f"has lists of unequal lengths in {field.name}",
        first_row=first_row,
        told=lambda row: (", ".join(f"{name} {n[row]}" for name, n in lengths.items()), "one length"),
    )
    time = Roles.of(field.type).time or Roles.guess(parts).time
    if time is not None and _is_number(parts[time].type.value_type):
        unsorted = _unsorted_lists(parts[time])
        what = f"has a {field.name} that is not sorted by {time}"
        yield from first(file, unsorted, what, first_row=first_row, is_note=is_note)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def _lengths(values: pa.Array) -> NDArray[np.int64]:
    lengths = pc.list_value_length(values).fill_null(0).to_numpy(zero_copy_only=False)
    return np.asarray(lengths, dtype=np.int64)


def _unsorted_lists(values: pa.ListArray) -> NDArray[np.bool_]:
    """Tell in which lists a value is smaller than the one before it; NaN counts as largest."""
    offsets = np.concatenate([[0], np.cumsum(_lengths(values))])
    flat = times(values.flatten())
    if flat.dtype == np.float64:
        flat = np.where(np.isnan(flat), np.inf, flat)
    backwards = np.flatnonzero(flat[1:] < flat[:-1]) + 1
    # A step down between two lists is none within one.
    owner = np.searchsorted(offsets, backwards, side="right") - 1
    found = np.zeros(len(values), dtype=bool)
    found[owner[offsets[owner] != backwards]] = True
    return found
