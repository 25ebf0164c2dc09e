"""Where a scan gets the rows of a pixel and its halo: a HATS catalog on disk, or a table in memory.

What is asked, plans decide.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import InputError, PositionError
from lsdb_ts.schema import HEALPIX, find, project, require
from lsdb_ts.sky.halo import border
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import MAX_ORDER, Pixel, bad_positions, cell_of, spatial_index
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.hats import BUILDER, HatsCatalog
from lsdb_ts.store.partition import Partition, sorted_by_place
from lsdb_ts.store.read import Bounds, estimate, footer, read_rows

_FOREIGN_MARGIN_TRUST = 0.75
"""Other builders choose margin cells by their mean size.

The thinnest pixels of the sky are 0.47/0.625 of what they assume.
"""


class Source(Protocol):
    """What a scan needs of a catalog."""

    @property
    def name(self) -> str:
        """Name of the catalog."""

    @property
    def schema(self) -> pa.Schema:
        """All columns, without ``_healpix_29``."""

    @property
    def layout(self) -> Layout:
        """Leaves of the catalog."""

    @property
    def positions(self) -> tuple[str, str]:
        """Names of the RA and Dec columns."""

    def partition(self, pixel: Pixel, columns: Sequence[str], bounds: Bounds, halo_arcsec: float) -> Partition:
        """Return the rows of any pixel and of its halo."""

    def estimate(self, pixel: Pixel, columns: Sequence[str], halo_arcsec: float) -> tuple[int, int]:
        """Return (rows, bytes) that :meth:`partition` reads, from metadata only."""

    def identity(self) -> Mapping[str, Any]:
        """Return what makes this input the same input again, as JSON."""


def _sky_wanted(pixel: Pixel, halo_arcsec: float) -> Ranges:
    around = border(pixel, halo_arcsec)
    return Ranges.of(np.append(around.starts, pixel.start), np.append(around.stops, pixel.stop))


def _split(table: pa.Table, pixel: Pixel, wanted: Ranges) -> Partition:
    """Drop rows outside the wanted sky and tell core from halo."""
    table = sorted_by_place(table)
    place = table.column(HEALPIX).to_numpy()
    inside = wanted.contains(place)
    if not inside.all():
        table, place = table.filter(pa.array(inside)), place[inside]
    return Partition(table.combine_chunks(), (place >= pixel.start) & (place < pixel.stop))


@dataclass(frozen=True, eq=False)
class HatsSource:
    """Rows of a HATS catalog on disk."""

    catalog: HatsCatalog

    @property
    def name(self) -> str:
        """Name of the catalog."""
        return self.catalog.name

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """All columns, without the spatial index."""
        stored = self.catalog.schema
        hidden = {HEALPIX, self.catalog.properties.get("hats_col_healpix"), "Norder", "Dir", "Npix"}
        return pa.schema([f for f in stored if f.name not in hidden], metadata=stored.metadata)

    @property
    def layout(self) -> Layout:
        """Leaves of the catalog."""
        return self.catalog.layout

    @property
    def positions(self) -> tuple[str, str]:
        """Names of the RA and Dec columns."""
        if self.catalog.ra is None or self.catalog.dec is None:
            raise InputError(f"{self.catalog.path}: hats.properties does not name hats_col_ra and hats_col_dec")
        return self.catalog.ra, self.catalog.dec

    def partition(self, pixel: Pixel, columns: Sequence[str], bounds: Bounds, halo_arcsec: float) -> Partition:
        """Return the rows of any pixel and of its halo, from the fewest row groups."""
        wanted = _sky_wanted(pixel, halo_arcsec)
        tables = [self._read(path, columns, wanted, bounds) for path in self._files(pixel, halo_arcsec)]
        if not tables:
            return Partition.all_core(self._schema_of(columns).empty_table())
        whole = _split(pa.concat_tables(tables), pixel, wanted)
        return whole if HEALPIX in columns else whole.with_table(whole.table.drop_columns([HEALPIX]))

    def estimate(self, pixel: Pixel, columns: Sequence[str], halo_arcsec: float) -> tuple[int, int]:
        """Return (rows, bytes) that :meth:`partition` reads, from the footers."""
        wanted = _sky_wanted(pixel, halo_arcsec)
        found = [estimate(p, self._columns_read(columns), wanted) for p in self._files(pixel, halo_arcsec)]
        return sum(rows for rows, _ in found), sum(size for _, size in found)

    def identity(self) -> Mapping[str, Any]:
        """Return path, properties, and the size and time of the file that changes whenever the catalog is rewritten."""
        listing = self.catalog.path / "partition_info.csv"
        status = listing.stat() if listing.exists() else None
        stamp = [status.st_size, status.st_mtime_ns] if status else None
        return {"path": str(self.catalog.path.resolve()), "properties": dict(self.catalog.properties), "stamp": stamp}

    def serves_halo(self, halo_arcsec: float) -> bool:
        """Tell whether the stored margin is wide enough for a halo; if not, it is read from the neighbouring pixels."""
        margin = self.catalog.margin
        if margin is None:
            return False
        ours = margin.properties.get("hats_builder", "").startswith(BUILDER)
        return halo_arcsec <= margin.margin_arcsec * (1.0 if ours else _FOREIGN_MARGIN_TRUST)

    @functools.cached_property
    def _stored_place(self) -> str | None:
        """Column with the order-29 place, if the files have one of that order."""
        name = self.catalog.properties.get("hats_col_healpix", HEALPIX)
        order = int(self.catalog.properties.get("hats_col_healpix_order", MAX_ORDER) or MAX_ORDER)
        return name if name in self.catalog.schema.names and order == MAX_ORDER else None

    def _files(self, pixel: Pixel, halo_arcsec: float) -> list[Path]:
        layout = self.catalog.layout
        home = layout.overlapping(pixel.start, pixel.stop)
        files = [path for i in home for path in self.catalog.leaf_files(layout[i])]
        if halo_arcsec <= 0:
            return files
        leaf = layout[home[0]] if len(home) == 1 else None
        if leaf is not None and leaf.order <= pixel.order and self.serves_halo(halo_arcsec):
            margin = self.catalog.margin
            assert margin is not None
            stored = leaf in set(margin.layout.take(slice(*_place_of(margin.layout, leaf))))
            return files + (margin.leaf_files(leaf) if stored else [])
        around = border(pixel, halo_arcsec)
        near = np.flatnonzero(around.overlaps(layout.starts, layout.stops))
        return files + [path for i in near if i not in home for path in self.catalog.leaf_files(layout[int(i)])]

    def _columns_read(self, columns: Sequence[str]) -> list[str]:
        place = [self._stored_place] if self._stored_place else list(self.positions)
        return list(dict.fromkeys([*place, *(c for c in columns if c != HEALPIX)]))

    def _schema_of(self, columns: Sequence[str]) -> pa.Schema:
        fields = [pa.field(HEALPIX, pa.int64())] if HEALPIX in columns else []
        return pa.schema([*fields, *project(self.schema, columns)])

    def _read(self, path: Path, columns: Sequence[str], wanted: Ranges, bounds: Bounds) -> pa.Table:
        """Read one file; every file comes back with the catalog's own schema and the place as first column."""
        within = wanted if self._stored_place == HEALPIX else None
        table = read_rows(path, self._columns_read(columns), within, bounds)
        if self._stored_place:
            place = table.column(self._stored_place).cast(pa.int64())
        else:
            ra, dec = (table.column(c).to_numpy() for c in self.positions)
            place = pa.array(spatial_index(ra, dec))
        schema = self._schema_of([c for c in columns if c != HEALPIX])
        table = table.select(schema.names)
        if not table.schema.equals(schema):
            table = table.cast(schema)
        return table.replace_schema_metadata(None).add_column(0, pa.field(HEALPIX, pa.int64()), place)


def _place_of(layout: Layout, pixel: Pixel) -> tuple[int, int]:
    found = layout.overlapping(pixel.start, pixel.stop)
    return found.start, found.stop


@dataclass(frozen=True, eq=False)
class MemorySource:
    """Rows of an Arrow table in memory, sorted by place."""

    name: str
    table: pa.Table
    """First column ``_healpix_29``, sorted."""
    positions: tuple[str, str]
    layout: Layout

    @classmethod
    def of_table(cls, table: pa.Table, ra: str, dec: str, name: str, max_rows: int = 500_000) -> MemorySource:
        """Index and sort a table.

        Raises
        ------
        PositionError
            A coordinate is missing, NaN or off the sky; names row and value.
        InputError
            Coordinates are float32, which rounds them by up to 0.05 arcsec.
        """
        require(table.schema, (ra, dec), name)
        for column in (ra, dec):
            if not pa.types.is_float64(table.schema.field(column).type):
                raise InputError(
                    f'{name}: the coordinate "{column}" is {table.schema.field(column).type}, which rounds positions '
                    f"(float32 by "
                    f"up to 0.05 arcsec): give degrees as float64, or cast it yourself if that is what you have"
                )
        lon, lat = table.column(ra).to_numpy(), table.column(dec).to_numpy()
        bad = np.flatnonzero(bad_positions(lon, lat))
        if bad.size:
            row = int(bad[0])
            raise PositionError(
                f"{name}: row {row} has {ra}={lon[row]}, {dec}={lat[row]}, which is not on the sky ({bad.size} such "
                f"rows): "
                f"drop them first, for instance df[df[{ra!r}].notna() & df[{dec!r}].between(-90, 90)]"
            )
        columns = table.drop_columns([HEALPIX]) if HEALPIX in table.column_names else table
        place = spatial_index(lon, lat)
        indexed = sorted_by_place(columns.add_column(0, HEALPIX, pa.array(place))).combine_chunks()
        cells, counts = np.unique(cell_of(place, 10), return_counts=True)
        return cls(name, indexed, (ra, dec), Layout.from_counts(cells, counts, 10, max_rows))

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """All columns, without ``_healpix_29``."""
        return self.table.schema.remove(self.table.schema.get_field_index(HEALPIX))

    def partition(self, pixel: Pixel, columns: Sequence[str], bounds: Bounds, halo_arcsec: float) -> Partition:
        """Return the rows of any pixel and of its halo: slices of the sorted table."""
        wanted = _sky_wanted(pixel, halo_arcsec)
        table = self._projected(columns)
        slices = [table.slice(a, b - a) for a, b in self._rows(wanted)]
        found = pa.concat_tables(slices) if slices else table.slice(0, 0)
        whole = _split(found, pixel, wanted)
        return whole if HEALPIX in columns else whole.with_table(whole.table.drop_columns([HEALPIX]))

    def estimate(self, pixel: Pixel, columns: Sequence[str], halo_arcsec: float) -> tuple[int, int]:
        """Return (rows, bytes) of the slices."""
        rows = sum(b - a for a, b in self._rows(_sky_wanted(pixel, halo_arcsec)))
        return rows, int(self._projected(columns).nbytes * rows / max(self.table.num_rows, 1))

    def identity(self) -> Mapping[str, Any]:
        """Return the name and a hash of the content."""
        return {"name": self.name, "sha256": self._hash}

    @functools.cached_property
    def _hash(self) -> str:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.table.schema) as stream:
            stream.write_table(self.table)
        return hashlib.sha256(sink.getvalue()).hexdigest()

    def _rows(self, wanted: Ranges) -> list[tuple[int, int]]:
        place = self.table.column(HEALPIX).to_numpy()
        starts, stops = np.searchsorted(place, wanted.starts), np.searchsorted(place, wanted.stops)
        return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True) if b > a]

    def _projected(self, columns: Sequence[str]) -> pa.Table:
        schema = project(self.table.schema, [HEALPIX, *columns])
        arrays = [_narrow(self.table.column(f.name), f) for f in schema]
        return pa.table(arrays, schema=schema.remove_metadata())


def _narrow(column: pa.ChunkedArray, wanted: pa.Field) -> pa.ChunkedArray:
    """Keep only the wanted parts of a nested column."""
    if column.type.equals(wanted.type):
        return column
    return pa.chunked_array(
        [
            pa.StructArray.from_arrays(
                [chunk.field(f.name) for f in wanted.type], fields=list(wanted.type), mask=chunk.is_null()
            )
            for chunk in column.chunks
        ],
        type=wanted.type,
    )


def rows_of(catalog: HatsCatalog) -> int:
    """Return the number of rows of a catalog from its properties, or else from the files' footers."""
    if catalog.n_rows is not None:
        return catalog.n_rows
    return sum(footer(path).num_rows for pixel in catalog.layout for path in catalog.leaf_files(pixel))


def has_column(source: Source, name: str) -> bool:
    """Tell whether a source has a column, or a part of a nested one."""
    return find(source.schema, name) is not None
