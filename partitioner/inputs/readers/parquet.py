"""Parquet files: a piece is a row group. Where files are, and on which schema they agree, is found elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.store.files import opened, read_footer
from partitioner.inputs.readers.access import File
from partitioner.inputs.readers.reader import BATCH_BYTES, PLAIN, Contents, Options, Piece, batch_rows, reading

_BUFFER_BYTES = 1 << 20
"""Column chunks of large row groups are read through buffers of this size."""
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8}


@dataclass(frozen=True)
class ParquetReader:
    """Reads Parquet; page checksums are checked where a file has them."""

    options: Options = PLAIN
    name: ClassVar[str] = "parquet"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".parq", ".pq")

    def open(self, file: File) -> Contents:
        """Read the footer."""
        with reading(file, "Parquet"):
            metadata = read_footer(file.place)
            groups = (metadata.row_group(g) for g in range(metadata.num_row_groups))
            schema = metadata.schema.to_arrow_schema()
            # What repeats itself takes less in the file than in memory.
            width = sum(f.type.bit_width / 8 if pa.types.is_primitive(f.type) else 8 for f in schema)
            pieces = tuple(Piece(g.num_rows, max(g.total_byte_size, int(g.num_rows * width))) for g in groups)
            return Contents(schema, pieces)

    def read(self, file: File, first: int, stop: int, schema: pa.Schema) -> Iterator[pa.Table]:
        """Read row groups: small ones whole, large ones in batches."""
        with reading(file, "Parquet"):
            footer = None if isinstance(file.place, Path) else read_footer(file.place)
            if footer is None:
                with _parquet(file.place) as source:
                    for g in range(first, stop):
                        yield from _rows(source, g, schema)
                return
            for g in range(first, stop):
                # What is needed of one row group is fetched at once.
                chunks = _chunks(footer.row_group(g), _leaves(schema))
                with _parquet(opened(file.place, chunks), footer) as source:
                    yield from _rows(source, g, schema)


def _parquet(source: Any, footer: pq.FileMetaData | None = None) -> pq.ParquetFile:
    # What was fetched is in memory already, chunk by chunk, and has nothing between them to fill buffers with.
    size = _BUFFER_BYTES if footer is None else 0
    return pq.ParquetFile(source, metadata=footer, page_checksum_verification=True, buffer_size=size, pre_buffer=False)


def _rows(source: pq.ParquetFile, g: int, schema: pa.Schema) -> Iterator[pa.Table]:
    group, columns = source.metadata.row_group(g), _leaves(schema)
    size = sum(_size(chunk) for chunk in _chunks(group, columns))
    # Dictionaries inside of lists come in one piece or not at all.
    if size <= BATCH_BYTES or any(_has_inner_dictionary(f.type) for f in source.schema_arrow):
        yield source.read_row_group(g, columns=columns, use_threads=False)
        return
    rows = batch_rows(size / max(group.num_rows, 1))
    for batch in source.iter_batches(rows, [g], columns, use_threads=False):
        yield pa.Table.from_batches([batch])


def _leaves(schema: pa.Schema) -> list[str]:
    """Return the names Parquet has for columns, and for those parts of structs that are wanted."""
    parts = [[f"{f.name}.{p.name}" for p in f.type] if pa.types.is_struct(f.type) else [f.name] for f in schema]
    return [name for names in parts for name in names]


def _chunks(group: Any, columns: list[str]) -> Iterator[Any]:
    wanted = set(columns)
    for i in range(group.num_columns):
        chunk = group.column(i)
        steps = str(chunk.path_in_schema).split(".")
        if any(".".join(steps[: n + 1]) in wanted for n in range(len(steps))):
            yield chunk


def _size(chunk: Any) -> int:
    """Return about how many bytes a column chunk takes in memory: in the file repeated values are stored once."""
    return int(max(chunk.total_uncompressed_size, chunk.num_values * _WIDTHS.get(chunk.physical_type, 12)))


def _has_inner_dictionary(kind: pa.DataType) -> bool:
    inner = [kind.field(i).type for i in range(kind.num_fields)]
    return any(pa.types.is_dictionary(k) or _has_inner_dictionary(k) for k in inner)
