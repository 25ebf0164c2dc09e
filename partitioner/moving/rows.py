"""Rows of tables taken by number, or put in another order, quickly: numbers without nulls as memory, all else by Arrow.

Which rows are taken is decided by the stages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.kernels.rows.ordering import places_in, put_in_places
from lsdb_ts.sky.pixel import Indices


def taken(column: pa.ChunkedArray, order: Indices) -> pa.Array:
    """Return the values of a column in the given order of its rows; shape (len(order),)."""
    width = _width(column)
    if width == 0:
        return column.combine_chunks().take(pa.array(order))
    values = [_numbers(chunk, width) for chunk in column.chunks if len(chunk)]
    joined = values[0] if len(values) == 1 else _joined(values, width)
    buffer = pa.allocate_buffer(order.size * width)
    if order.size:
        np.take(joined, order, out=np.frombuffer(buffer, f"u{width}"), mode="clip")
    return pa.Array.from_buffers(column.type, order.size, [None, buffer], null_count=0)


def taken_table(
    tables: Sequence[pa.Table | pa.RecordBatch], order: Indices, schema: pa.Schema, *, grouped: bool = False
) -> pa.Table:
    """Return all rows of tables, numbered through all of them, in an order, in one piece and with a schema's metadata.

    Where rows are but ``grouped``, and keep their sequence otherwise, writing each value to its place is twice as quick
    as looking for the value of each place.
    """
    places = places_in(order) if grouped else None
    columns = []
    for i, field in enumerate(schema):
        chunks = [c for t in tables for c in _chunks(t.column(i))]
        column = pa.chunked_array(chunks, chunks[0].type if chunks else field.type)
        columns.append(taken(column, order) if places is None or not _width(column) else _put(column, places))
    return pa.table(columns, schema=schema)


def _put(column: pa.ChunkedArray, places: Indices) -> pa.Array:
    """Return plain values, each in its place."""
    width = _width(column)
    buffer = pa.allocate_buffer(len(column) * width)
    values = np.frombuffer(buffer, f"u{width}")
    start = 0
    for chunk in (c for c in column.chunks if len(c)):
        put_in_places(_numbers(chunk, width), places[start : start + len(chunk)], values)
        start += len(chunk)
    return pa.Array.from_buffers(column.type, len(column), [None, buffer], null_count=0)


def scattered(pieces: Sequence[pa.Array], order: Indices, kind: pa.DataType) -> pa.Array:
    """Return the values of several arrays, numbered through all of them, in the given order."""
    return taken(pa.chunked_array(pieces, kind), order)


def _chunks(column: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _width(column: pa.ChunkedArray) -> int:
    """Return the bytes of each value where a column is plain memory, else 0."""
    kind = column.type
    if not pa.types.is_primitive(kind) or pa.types.is_boolean(kind) or kind.bit_width > 64 or column.null_count:
        return 0
    return int(kind.bit_width) // 8


def _numbers(array: pa.Array, width: int) -> NDArray[np.generic]:
    whole = np.frombuffer(array.buffers()[1], dtype=f"u{width}", count=array.offset + len(array))
    # Some could be written to: kernels would be compiled for both kinds.
    whole.flags.writeable = False
    return whole[array.offset :]


def _joined(values: Sequence[NDArray[np.generic]], width: int) -> NDArray[np.generic]:
    """Return arrays as one, in memory that Arrow keeps for the next: new memory costs as much as its use."""
    buffer = pa.allocate_buffer(sum(v.size for v in values) * width)
    joined: NDArray[np.generic] = np.frombuffer(buffer, f"u{width}")
    if values:
        np.concatenate(values, out=joined)
    return joined
