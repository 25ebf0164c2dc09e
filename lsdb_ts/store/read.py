"""Read Parquet files of a catalog.

Only the columns and row groups asked for, page checksums verified, every read counted. Where only a part of a file's
sky is wanted, its row groups are kept decoded in memory, because the next piece of work will want another part.

Which files a pixel needs is decided by the catalog next door.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import HEALPIX, plain_nested
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.files import AnyPath, opened
from lsdb_ts.store.footers import Footer, footer
from lsdb_ts.store.kept import CACHE_BYTES, Kept
from lsdb_ts.store.partition import order_of

Bounds = Mapping[str, tuple[Any, Any]]
"""Closed interval a column's values must touch for a row to matter; None is no limit."""

Unit = tuple[str, ...]
"""Names that are read together: one column, or parts of one nested column."""

_ORDER: Unit = ()
"""Kept beside the columns of a row group: what sorts its rows."""

DECODED: Kept[tuple[Any, ...], pa.ChunkedArray] = Kept(CACHE_BYTES, lambda column: int(column.nbytes))
"""Decoded columns of row groups, by file, row group and unit."""


@dataclass(frozen=True)
class Read:
    """One read of a file, as it happened."""

    path: AnyPath
    columns: tuple[str, ...]
    """Base columns and parts of nested ones (``lc.psfFlux``)."""
    row_groups: tuple[int, ...]
    """Row groups used, those from memory among them."""
    bytes: int
    """Compressed bytes of the column chunks that were read and decoded; what came from memory counts nothing."""
    cached: tuple[int, ...] = ()
    """Row groups of which nothing had to be read."""


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


def record(read: Read) -> None:
    """Tell those who listen of a read."""
    with _LOCK:
        for reads in _RECORDERS:
            reads.append(read)


def read_rows(
    path: AnyPath, columns: Sequence[str], within: Ranges | None = None, bounds: Bounds | None = None
) -> pa.Table:
    """Read the row groups that can hold wanted rows; the caller still filters the rows themselves.

    Parameters
    ----------
    path : pathlib.Path or RemotePath
        A Parquet file.
    columns : sequence of str
        Columns, in the order wanted; ``lc.psfFlux`` reads that part of a nested column only.
    within : Ranges, optional
        Sky wanted, tested against the statistics of ``_healpix_29``.
    bounds : mapping, optional
        Further intervals by column, tested against its statistics.

    Returns
    -------
    pyarrow.Table
        If the file's whole sky is wanted: rows in stored order, in one chunk. Else one chunk for each row group, sorted
        by ``_healpix_29`` where the file has it.

    Raises
    ------
    CatalogError
        The file is missing, damaged, or lacks a column.
    """
    found = footer(path)
    units = _units(path, found, columns)
    groups = found.groups(within, bounds or {})
    reading = _Reading(path, found, units)
    try:
        is_whole = not groups or found.lies_inside(within)
        table = reading.whole(groups) if is_whole else reading.parts(groups)
    except (OSError, pa.ArrowException) as error:
        raise CatalogError(f"cannot read {path}: {error}") from error
    record(reading.counted(columns, groups))
    return table


def limits(footers: Iterable[Footer], column: str) -> tuple[Any, Any] | None:
    """Return the smallest and the largest value of a column over some files, or None where a statistic is missing."""
    low: Any = None
    high: Any = None
    for found in footers:
        (chunk,) = found.chunks([column]) or (None,)
        for g in range(len(found) if chunk is not None else 0):
            group = found.group(g)
            statistics = group.column(chunk).statistics
            if statistics is None or not statistics.has_min_max:
                if statistics is not None and statistics.null_count == group.num_rows:
                    continue
                return None
            if statistics.min != statistics.min or statistics.max != statistics.max:
                # A writer that counted NaN as a value tells nothing of the others.
                return None
            low = statistics.min if low is None else min(low, statistics.min)
            high = statistics.max if high is None else max(high, statistics.max)
    return None if low is None else (low, high)


class _Reading:
    """The reading of one file: opened when the first row group is not in memory, and counted."""

    def __init__(self, path: AnyPath, found: Footer, units: Mapping[str, Unit]) -> None:
        self._path = path
        self._footer = found
        self._units = units
        self._read: dict[int, int] = {}
        """Compressed bytes read, by row group."""

    def whole(self, groups: list[int]) -> pa.Table:
        """Read row groups of a file that is wanted as a whole: nothing is looked up and nothing is kept."""
        names = [name for unit in self._units.values() for name in unit]
        with self._opened([(g, names) for g in groups]) as file:
            if self._footer.has_nested_dictionaries and groups:
                # Arrow cannot join dictionaries inside lists from several row groups.
                return pa.concat_tables([self._group(file, g, names) for g in groups]).select(list(self._units))
            stored = [self._footer.first + g for g in groups]
            table = _plain(file.read_row_groups(stored, columns=names, use_threads=False))
        return table.select(list(self._units))

    def parts(self, groups: list[int]) -> pa.Table:
        """Return row groups of a file of which a part is wanted, from memory where they are there.

        Each is sorted by place, once: rows in no order would be looked through for every part anew.
        """
        key, place = self._footer.key, (HEALPIX,)
        found: dict[tuple[int, Unit], pa.ChunkedArray] = {}
        # The place first and by itself: what sorts it, sorts the others.
        first = [(g, unit) for g in groups for unit in (_ORDER, place)] if HEALPIX in self._footer.paths else []
        others = [(g, unit) for g in groups for unit in self._units.values() if (g, unit) not in set(first)]
        for wanted, make in ((first, self._placed), (others, functools.partial(self._missing, found))):
            found.update(zip(wanted, DECODED.take([(key, *one) for one in wanted], make), strict=True))
        columns = [[found[g, unit] for unit in self._units.values()] for g in groups]
        stored = [self._footer.schema.field(name) for name in self._units]
        schema = pa.schema([f.with_type(c.type) for f, c in zip(stored, columns[0], strict=True)])
        return pa.concat_tables([pa.table(of_group, schema) for of_group in columns])

    def counted(self, columns: Sequence[str], groups: list[int]) -> Read:
        """Return what was read."""
        cached = tuple(g for g in groups if g not in self._read)
        return Read(self._path, tuple(columns), tuple(groups), sum(self._read.values()), cached)

    def _placed(self, keys: list[tuple[Any, int, Unit]]) -> list[pa.ChunkedArray]:
        """Return places of row groups, sorted, and what sorts them: nothing for those that are."""
        groups = list(dict.fromkeys(g for _, g, _ in keys))
        found: dict[tuple[int, bool], pa.ChunkedArray] = {}
        with self._opened([(g, [HEALPIX]) for g in groups]) as file:
            for g in groups:
                place = self._group(file, g, [HEALPIX]).column(HEALPIX)
                order = order_of(place.to_numpy())
                found[g, True] = pa.chunked_array([] if order is None else [order], pa.int64())
                found[g, False] = _arranged(place, found[g, True])
        return [found[g, unit == _ORDER] for _, g, unit in keys]

    def _missing(
        self, placed: Mapping[tuple[int, Unit], pa.ChunkedArray], keys: list[tuple[Any, int, Unit]]
    ) -> list[pa.ChunkedArray]:
        """Decode units of row groups, all from one opening of the file."""
        units: dict[int, list[Unit]] = {}
        for _, g, unit in keys:
            units.setdefault(g, []).append(unit)
        names = {g: [name for unit in asked for name in unit] for g, asked in units.items()}
        columns = {unit: column for column, unit in self._units.items()}
        with self._opened(names.items()) as file:
            tables = {g: self._group(file, g, asked) for g, asked in names.items()}
        return [_arranged(tables[g].column(columns[unit]), placed.get((g, _ORDER))) for _, g, unit in keys]

    def _opened(self, asked: Collection[tuple[int, list[str]]]) -> pq.ParquetFile:
        """Open the file for some columns of some row groups, and count these."""
        found = self._footer
        if _RECORDERS:
            sizes = ((g, found.group(g).column(c).total_compressed_size) for g, n in asked for c in found.chunks(n))
            for g, size in sizes:
                self._read[g] = self._read.get(g, 0) + size
        # One read per column chunk: what Arrow would read ahead in one piece it would then copy.
        return pq.ParquetFile(
            opened(self._path, (found.group(g).column(c) for g, names in asked for c in found.chunks(names))),
            metadata=found.metadata,
            page_checksum_verification=True,
            pre_buffer=False,
        )

    def _group(self, file: pq.ParquetFile, g: int, names: list[str]) -> pa.Table:
        return _plain(file.read_row_group(self._footer.first + g, columns=names, use_threads=False))


def _arranged(column: pa.ChunkedArray, order: pa.ChunkedArray | None) -> pa.ChunkedArray:
    """Return a column of a row group in one chunk and, where something sorts it, sorted."""
    whole = column.combine_chunks()
    return pa.chunked_array([whole.take(order.chunk(0)) if order is not None and len(order) else whole])


def _plain(table: pa.Table) -> pa.Table:
    """Write out the texts of dictionaries inside nested columns."""
    kinds = plain_nested(table.schema)
    return table if table.schema.equals(kinds) else table.cast(kinds)


def _units(path: AnyPath, found: Footer, columns: Sequence[str]) -> dict[str, Unit]:
    """Group names by the column they are of, in the order wanted; raises CatalogError for one that is not there."""
    stored = set(found.schema.names)
    units: dict[str, Unit] = {}
    for name in columns:
        base = name if name in stored else name.partition(".")[0]
        if base not in stored:
            raise CatalogError(
                f'{path} has no column "{base}", which other files of the catalog have: write this file again'
            )
        units[base] = (*units.get(base, ()), name)
    return units
