"""Arrow IPC: of a file with an index each record batch is a piece, a stream is one. Feather files are such files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from partitioner.inputs.readers.access import File, raw
from partitioner.inputs.readers.reader import PLAIN, Contents, Options, Piece, reading, sliced

_MAGIC = b"ARROW1"
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_PACKED = 3
"""Buffers may be compressed: about so many times as large in memory, for all that can be known before."""


@dataclass(frozen=True)
class ArrowReader:
    """Reads Arrow files and streams."""

    options: Options = PLAIN
    name: ClassVar[str] = "arrow"
    suffixes: ClassVar[tuple[str, ...]] = (".arrow", ".feather", ".ipc", ".arrows")

    def open(self, file: File) -> Contents:
        """Read the schema, and of an indexed file the rows of each batch."""
        with reading(file, "Arrow"), raw(file) as stream:
            if _is_indexed(stream):
                source = _indexed(stream, None)
                schema, n = source.schema, source.num_record_batches
                rows = [batch.num_rows for batch in _batches(_indexed(stream, _narrowest(schema)), range(n))]
                size = _PACKED * file.size // max(n, 1)
                return Contents(schema, tuple(Piece(r, size) for r in rows))
            _check_end(stream, file)
            return Contents(pa.ipc.open_stream(stream).schema, (Piece(None, _PACKED * file.size),))

    def read(self, file: File, first: int, stop: int, schema: pa.Schema) -> Iterator[pa.Table]:
        """Read record batches; of a stream all of them."""
        with reading(file, "Arrow"), raw(file) as stream:
            if _is_indexed(stream):
                source = _indexed(stream, _places(_indexed(stream, None).schema, schema.names))
                batches = _batches(source, range(first, stop))
            else:
                _check_end(stream, file)
                places = _places(pa.ipc.open_stream(stream).schema, schema.names)
                stream.seek(0)
                batches = iter(pa.ipc.open_stream(stream, options=pa.ipc.IpcReadOptions(included_fields=places)))
            for batch in batches if first < stop else ():
                yield from sliced(pa.Table.from_batches([batch]))


def _is_indexed(stream: Any) -> bool:
    head = stream.read(len(_MAGIC))
    stream.seek(0)
    return bool(head == _MAGIC)


def _indexed(stream: Any, places: list[int] | None) -> pa.ipc.RecordBatchFileReader:
    options = pa.ipc.IpcReadOptions(included_fields=places)
    return pa.ipc.open_file(pa.PythonFile(stream, mode="r"), options=options)


def _batches(source: pa.ipc.RecordBatchFileReader, numbers: range) -> Iterator[pa.RecordBatch]:
    return (source.get_batch(i) for i in numbers)


def _places(schema: pa.Schema, names: list[str]) -> list[int]:
    return [schema.get_field_index(name) for name in names] or _narrowest(schema)


def _narrowest(schema: pa.Schema) -> list[int]:
    """Return the column that is read to learn how many rows there are."""

    def width(i: int) -> int:
        kind = schema.field(i).type
        return int(kind.bit_width) if pa.types.is_primitive(kind) else 1 << 20

    return [min(range(len(schema)), key=width)] if len(schema) else []


def _check_end(stream: Any, file: File) -> None:
    """Raise EOFError for a stream that was cut off between two batches, which Arrow reads without a word."""
    stream.seek(max(0, file.size - len(_END_OF_STREAM)))
    end = stream.read()
    stream.seek(0)
    if file.size and end != _END_OF_STREAM:
        raise EOFError("the stream has no end: the file was cut short, or is not Arrow")
