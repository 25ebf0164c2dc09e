"""Read Parquet files of a catalog.

Only the columns and row groups asked for, page checksums verified, every read counted.

Which files a pixel needs is decided by the catalog next door.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import HEALPIX, plain_nested
from lsdb_ts.sky.ranges import Ranges

Bounds = Mapping[str, tuple[Any, Any]]
"""Closed interval a column's values must touch for a row to matter; None is no limit."""


@dataclass(frozen=True)
class Read:
    """One read of a file, as it happened."""

    path: Path
    columns: tuple[str, ...]
    """Base columns and parts of nested ones (``lc.psfFlux``)."""
    row_groups: tuple[int, ...]
    bytes: int
    """Compressed bytes of the column chunks read."""


_RECORDERS: list[list[Read]] = []
_LOCK = threading.Lock()


@contextmanager
def recording() -> Iterator[list[Read]]:
    """Yield a list that fills with every read of this process while the context is open."""
    reads: list[Read] = []
    with _LOCK:
        _RECORDERS.append(reads)
    try:
        yield reads
    finally:
        with _LOCK:
            # Lists compare by content: remove this very one.
            _RECORDERS[:] = [r for r in _RECORDERS if r is not reads]


@functools.lru_cache(maxsize=512)
def _footer(path: str, mtime_ns: int, size: int) -> pq.FileMetaData:
    return pq.read_metadata(path)


def footer(path: Path) -> pq.FileMetaData:
    """Return a file's metadata; kept in memory while the file stays the same."""
    try:
        status = path.stat()
        return _footer(str(path), status.st_mtime_ns, status.st_size)
    except (OSError, pa.ArrowException) as error:
        raise CatalogError(f"cannot read {path}: {error}") from error


def read_rows(
    path: Path, columns: Sequence[str], within: Ranges | None = None, bounds: Bounds | None = None
) -> pa.Table:
    """Read the row groups that can hold wanted rows; the caller still filters the rows themselves.

    Parameters
    ----------
    path : pathlib.Path
        A Parquet file.
    columns : sequence of str
        Columns, in the order wanted; ``lc.psfFlux`` reads that part of a nested column only.
    within : Ranges, optional
        Sky wanted, tested against the statistics of ``_healpix_29``.
    bounds : mapping, optional
        Further intervals by column, tested against its statistics.

    Raises
    ------
    CatalogError
        The file is missing, damaged, or lacks a column.
    """
    metadata = footer(path)
    groups = _wanted_groups(metadata, within, bounds or {})
    chunks = _chunks(metadata, columns)
    with _LOCK:
        for reads in _RECORDERS:
            size = sum(metadata.row_group(g).column(c).total_compressed_size for g in groups for c in chunks)
            reads.append(Read(path, tuple(columns), tuple(groups), size))
    try:
        with pq.ParquetFile(path, metadata=metadata, page_checksum_verification=True) as file:
            table = _read_groups(file, groups, list(columns))
    except (OSError, pa.ArrowException) as error:
        raise CatalogError(f"cannot read {path}: {error}") from error
    present = dict.fromkeys(c if c in table.column_names else c.partition(".")[0] for c in columns)
    missing = [name for name in present if name not in table.column_names]
    if missing:
        raise CatalogError(
            f'{path} has no column "{missing[0]}", which other files of the catalog have: write this file again'
        )
    return table.select(list(present))


def _read_groups(file: pq.ParquetFile, groups: list[int], columns: list[str]) -> pa.Table:
    stored = file.schema_arrow
    if stored.equals(plain_nested(stored)):
        return file.read_row_groups(groups, columns=columns, use_threads=False)
    # Arrow cannot join dictionaries inside lists from several row groups: take them one by one, and write the text out.
    tables = [file.read_row_group(g, columns=columns, use_threads=False) for g in groups]
    if not tables:
        tables = [file.read_row_groups([], columns=columns)]
    return pa.concat_tables([table.cast(plain_nested(table.schema)) for table in tables])


def estimate(
    path: Path, columns: Sequence[str], within: Ranges | None = None, bounds: Bounds | None = None
) -> tuple[int, int]:
    """Return (rows, uncompressed bytes) of what :func:`read_rows` would read."""
    metadata = footer(path)
    groups = _wanted_groups(metadata, within, bounds or {})
    chunks = _chunks(metadata, columns)
    size = sum(metadata.row_group(g).column(c).total_uncompressed_size for g in groups for c in chunks)
    return sum(metadata.row_group(g).num_rows for g in groups), size


def limits(footers: Iterable[pq.FileMetaData], column: str) -> tuple[Any, Any] | None:
    """Return the smallest and the largest value of a column over some files, or None where a statistic is missing."""
    low: Any = None
    high: Any = None
    for metadata in footers:
        (chunk,) = _chunks(metadata, [column]) or (None,)
        for g in range(metadata.num_row_groups if chunk is not None else 0):
            group = metadata.row_group(g)
            statistics = group.column(chunk).statistics
            if statistics is None or not statistics.has_min_max:
                if statistics is not None and statistics.null_count == group.num_rows:
                    continue
                return None
            low = statistics.min if low is None else min(low, statistics.min)
            high = statistics.max if high is None else max(high, statistics.max)
    return None if low is None else (low, high)


def _chunks(metadata: pq.FileMetaData, columns: Iterable[str]) -> list[int]:
    """Return the Parquet leaf columns that belong to the named columns."""
    wanted = set(columns)
    found = []
    for i in range(metadata.num_columns):
        path = metadata.schema.column(i).path
        parts = path.split(".")
        if path in wanted or parts[0] in wanted or ".".join(parts[:2]) in wanted:
            found.append(i)
    return found


def _wanted_groups(metadata: pq.FileMetaData, within: Ranges | None, bounds: Bounds) -> list[int]:
    places = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
    tested = {places[name]: limits for name, limits in bounds.items() if name in places}
    healpix = places.get(HEALPIX) if within is not None else None
    wanted = []
    for g in range(metadata.num_row_groups):
        group = metadata.row_group(g)
        if healpix is not None and within is not None:
            statistics = group.column(healpix).statistics
            if statistics is not None and statistics.has_min_max:
                low, high = [statistics.min], [statistics.max + 1]
                if not bool(within.overlaps(low, high)[0]):
                    continue
        if all(_touches(group.column(c).statistics, *limits) for c, limits in tested.items()):
            wanted.append(g)
    return wanted


def _touches(statistics: Any, low: Any, high: Any) -> bool:
    if statistics is None or not statistics.has_min_max:
        return True
    try:
        return not ((low is not None and statistics.max < low) or (high is not None and statistics.min > high))
    except TypeError:
        # The literal and the column are of kinds that do not compare; the row filter will say so with the column's
        # name.
        return True
