"""What footers say of the values in each row group, put into one small table as HATS lays it out.

Footers are read, and the table is put in its place, next door.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.sky.pixel import Pixel

STATISTICS = "per_partition_statistics.parquet"
_KINDS = ("min_value", "max_value", "null_count", "row_count", "disk_bytes", "memory_bytes")
_MOST_CHUNKS = 1 << 20
"""Of more column chunks than this the table would be no small one."""


class Statistics:
    """Collects the statistics of partition files, one footer after the other.

    >>> found = Statistics()
    >>> file = pa.BufferOutputStream()
    >>> pq.write_table(pa.table({"mag": [17.5, None, 19.0]}), file)
    >>> found.add(Pixel(1, 5), pq.read_metadata(pa.BufferReader(file.getvalue())))
    >>> found.table().select(["Norder", "Npix", "mag::max_value", "mag::null_count"]).to_pylist()
    [{'Norder': 1, 'Npix': 5, 'mag::max_value': 19.0, 'mag::null_count': 1}]
    >>> found.limits(["mag"])
    (17.5, 19.0)
    """

    def __init__(self) -> None:
        self._groups: list[tuple[int, int, int]] = []
        self._columns: dict[str, list[tuple[Any, ...]]] = {}
        self._is_whole = True

    def add(self, pixel: Pixel, metadata: pq.FileMetaData) -> None:
        """Take up the footer of one partition file; of too many, nothing is kept."""
        n, width = metadata.num_row_groups, metadata.num_columns
        if not self._is_whole or (len(self._groups) + n) * width > _MOST_CHUNKS:
            self._is_whole = False
            self._columns.clear()
            return
        for g in range(n):
            group = metadata.row_group(g)
            self._groups.append((pixel.order, pixel.number, g))
            for c in range(width):
                chunk = group.column(c)
                name = chunk.path_in_schema.removesuffix(".list.element")
                self._columns.setdefault(name, []).append(_told(chunk))

    def table(self) -> pa.Table | None:
        """Return a row for each row group, with six columns for each Parquet column; None where there are too many."""
        if not self._is_whole or not self._groups:
            return None
        places = dict(zip(("Norder", "Npix", "row_group_index"), zip(*self._groups, strict=True), strict=True))
        columns = {name: pa.array(values, pa.int64()) for name, values in places.items()}
        for name, told in self._columns.items():
            for kind, values in zip(_KINDS, zip(*told, strict=True), strict=True):
                columns[f"{name}::{kind}"] = _array(values)
        return pa.table(columns)

    def limits(self, columns: Iterable[str]) -> tuple[Any, Any] | None:
        """Return the smallest and the largest value in any of some columns, or None where one is not told."""
        told = [values for name in columns for values in self._columns.get(name, [(None,) * len(_KINDS)])]
        # A row group without any value says nothing, and need not.
        ends = [(low, high) for low, high, nulls, rows, *_ in told if rows is None or nulls < rows]
        if not ends or any(low is None or high is None for low, high in ends):
            return None
        return min(low for low, _ in ends), max(high for _, high in ends)


def _told(chunk: pq.ColumnChunkMetaData) -> tuple[Any, ...]:
    known = chunk.statistics
    ends: Iterator[Any] | tuple[Any, ...] = (None, None, 0)
    if known is not None:
        ends = (*((known.min, known.max) if known.has_min_max else (None, None)), known.null_count)
    return (*ends, chunk.num_values, chunk.total_compressed_size, chunk.total_uncompressed_size)


def _array(values: Iterable[Any]) -> pa.Array:
    listed = list(values)
    try:
        return pa.array(listed)
    except OverflowError:
        return pa.array(listed, pa.uint64())
