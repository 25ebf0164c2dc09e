"""Find the rows of any HATS catalog that lie near an edge of their pixel, reading no row group that cannot have some.

Whose margins they belong to, the sky tells; what is made of them is decided next door.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import HEALPIX, plain
from lsdb_ts.sky import Layout, Pixel, Ranges, border, halo_members, spatial_index
from lsdb_ts.sky.pixel import MAX_ORDER, Indices, bad_positions, finest_order_reaching, neighbours
from lsdb_ts.store.footers import Footer, footer
from lsdb_ts.store.hats import HatsCatalog
from lsdb_ts.store.read import Read, record
from partitioner.inputs.tables import floats
from partitioner.moving.gather import TARGET
from partitioner.planning.product import margin_targets

_RIM_DEPTH = 5
"""Row groups are chosen by cells this many orders finer than their pixel: 1/32 of its side."""
_MOST_PAIRS = 1 << 21
"""Pairs of row and target in memory at a time."""
_BATCH_BYTES = 16 << 20
_MOST_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class Edges:
    """A catalog, and how far from the edges of its pixels rows are wanted.

    Attributes
    ----------
    catalog : HatsCatalog
        On this machine.
    radius_arcsec : float
    """

    catalog: HatsCatalog
    radius_arcsec: float

    @functools.cached_property
    def targets(self) -> Layout:
        """Every pixel that gets a margin."""
        return margin_targets(self.catalog.layout)

    @functools.cached_property
    def is_placed(self) -> bool:
        """Whether rows have their order-29 index; else it is computed from their positions."""
        told = self.catalog.properties
        order = int(told.get("hats_col_healpix_order") or MAX_ORDER)
        return (
            HEALPIX in self.catalog.schema.names
            and told.get("hats_col_healpix", HEALPIX) == HEALPIX
            and order == MAX_ORDER
        )

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Columns of the rows that are found: those of the catalog, their place, and the target's place."""
        fields = [f.with_type(plain(f.type)) for f in self.catalog.schema if f.name not in {HEALPIX, TARGET}]
        return pa.schema([pa.field(HEALPIX, pa.int64()), *fields, pa.field(TARGET, pa.int64())])

    def near(self, pixel: Pixel) -> Iterator[pa.Table]:
        """Yield the rows of one leaf that belong into margins, with the place of the target in the last column.

        In the sequence they are stored in; a row that belongs into several margins comes several times.
        """
        for path in self.catalog.leaf_files(pixel):
            assert isinstance(path, Path)
            try:
                yield from _Leaf(self, pixel, path).rows()
            except (OSError, KeyError, pa.ArrowException) as error:
                raise CatalogError(f"cannot read {path} as a file of {self.catalog.name}: {error}") from error


class _Leaf:
    """The reading of one file."""

    def __init__(self, edges: Edges, pixel: Pixel, path: Path) -> None:
        self.edges, self.pixel, self.path = edges, pixel, path
        self.known: Footer = footer(path)
        near = border(pixel, edges.radius_arcsec)
        n_near = int(near.overlaps(edges.targets.starts, edges.targets.stops).sum())
        self.at_once = max(_MOST_PAIRS // max(n_near, 1), 1024)

    def rows(self) -> Iterator[pa.Table]:
        names = [f.name for f in self.edges.catalog.schema]
        within = rim(self.pixel, self.edges.radius_arcsec) if self.edges.is_placed and len(self.known) > 1 else None
        groups = self.known.groups(within, {})
        if not groups:
            return
        read: dict[int, list[str]] = {}
        with pq.ParquetFile(
            self.path, metadata=self.known.metadata, page_checksum_verification=True, pre_buffer=False
        ) as file:
            for g in groups:
                place = self._places(file, g)
                read[g] = self._place_columns
                members, targets = self._members(place)
                if members.size:
                    read[g] = names
                    yield from self._taken(file, g, place, members, targets)
        self._record(read)

    @property
    def _place_columns(self) -> list[str]:
        catalog = self.edges.catalog
        return [HEALPIX] if self.edges.is_placed else [str(catalog.ra), str(catalog.dec)]

    def _places(self, file: pq.ParquetFile, g: int) -> Indices:
        """Return the order-29 number of every row of a row group; -1 for those that are not on the sky."""
        table = file.read_row_group(g, columns=self._place_columns, use_threads=False)
        if self.edges.is_placed:
            stored: Indices = table.column(HEALPIX).cast(pa.int64()).to_numpy()
            return stored
        ra, dec = (floats(table.column(name)) for name in self._place_columns)
        place, good = np.full(ra.size, -1, dtype=np.int64), ~bad_positions(ra, dec)
        place[good] = spatial_index(ra[good], dec[good])
        return place

    def _members(self, place: Indices) -> tuple[Indices, Indices]:
        """Return (row, place of the target), sorted by row."""
        rows, targets = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        inside = np.flatnonzero((place >= self.pixel.start) & (place < self.pixel.stop))
        for start in range(0, inside.size, self.at_once):
            part = inside[start : start + self.at_once]
            found, places = halo_members(place[part], self.pixel, self.edges.targets, self.edges.radius_arcsec)
            by_row = np.argsort(found, kind="stable")
            rows.append(part[found[by_row]])
            targets.append(places[by_row])
        return np.concatenate(rows), np.concatenate(targets)

    def _taken(
        self, file: pq.ParquetFile, g: int, place: Indices, members: Indices, targets: Indices
    ) -> Iterator[pa.Table]:
        """Yield the members of a row group, decoding no more of it at a time than a batch."""
        first = 0
        for batch in self._batches(file, g):
            start, stop = np.searchsorted(members, [first, first + batch.num_rows]).tolist()
            for k in range(start, stop, _MOST_ROWS):
                which = slice(k, min(k + _MOST_ROWS, stop))
                rows = batch.take(pa.array(members[which] - first))
                yield self._formed(rows, place[members[which]], targets[which])
            first += batch.num_rows

    def _batches(self, file: pq.ParquetFile, g: int) -> Iterator[pa.Table]:
        names = [f.name for f in self.edges.catalog.schema]
        group = self.known.group(g)
        if self.known.has_nested_dictionaries:
            # Arrow cannot read dictionaries inside lists piece by piece.
            yield file.read_row_group(g, columns=names, use_threads=False)
            return
        rows = int(_BATCH_BYTES / max(group.total_byte_size / max(group.num_rows, 1), 1))
        size = min(max(rows, 1024), _MOST_ROWS)
        for batch in file.iter_batches(batch_size=size, row_groups=[g], columns=names, use_threads=False):
            yield pa.Table.from_batches([batch])

    def _formed(self, rows: pa.Table, place: Indices, targets: Indices) -> pa.Table:
        told: Mapping[str, Indices] = {HEALPIX: place, TARGET: targets}
        columns = [
            pa.chunked_array([told[f.name]]) if f.name in told else _as(rows.column(f.name), f.type)
            for f in self.edges.schema
        ]
        return pa.table(columns, schema=self.edges.schema)

    def _record(self, read: Mapping[int, list[str]]) -> None:
        """Tell those who listen what was read, row groups of the same columns together."""
        for columns in {tuple(names) for names in read.values()}:
            groups = tuple(g for g, names in read.items() if tuple(names) == columns)
            chunks = [self.known.group(g).column(c) for g in groups for c in self.known.chunks(columns)]
            record(Read(self.path, columns, groups, sum(c.total_compressed_size for c in chunks)))


def _as(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == kind else column.cast(kind)


def rim(pixel: Pixel, radius_arcsec: float) -> Ranges:
    """Return the sky inside a pixel that holds every point within a radius of its edge (and somewhat more).

    >>> inner = rim(Pixel(3, 100), 10.0)
    >>> whole = Ranges.of([Pixel(3, 100).start], [Pixel(3, 100).stop])
    >>> round(float((inner.stops - inner.starts).sum() / (whole.stops - whole.starts).sum()), 3)
    0.121
    """
    order = min(finest_order_reaching(radius_arcsec), pixel.order + _RIM_DEPTH, MAX_ORDER)
    if order <= pixel.order:
        return Ranges.of([pixel.start], [pixel.stop])
    width = np.int64(2 * (order - pixel.order))
    cells = np.arange(np.int64(pixel.number) << width, np.int64(pixel.number + 1) << width)
    touches = ((neighbours(cells, order) >> width) != pixel.number).any(axis=1)
    return Ranges.of_cells(cells[touches], order)
