"""Where a scan gets the rows of a pixel and its halo: what any source offers, and a HATS catalog as one.

Tables in memory live next door; what is asked, plans decide.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import InputError
from lsdb_ts.schema import HEALPIX, project
from lsdb_ts.sky.halo import border
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import MAX_ORDER, Pixel, spatial_index
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.cost import Cost, estimate
from lsdb_ts.store.files import AnyPath, state_of
from lsdb_ts.store.footers import footer
from lsdb_ts.store.hats import HatsCatalog
from lsdb_ts.store.partition import Partition, inside, sorted_by_place
from lsdb_ts.store.read import Bounds, limits, read_rows
from lsdb_ts.store.remote import RemotePath
from lsdb_ts.store.sidecar import Sidecar

_FILES_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Request:
    """What a scan asks of a source for one pixel."""

    pixel: Pixel
    columns: Sequence[str]
    """Columns, parts of nested ones one by one, and ``_healpix_29`` where the place is wanted."""
    rows: Bounds = field(default_factory=dict)
    """Closed interval by column; rows outside may be left out."""
    halo_arcsec: float = 0.0
    """Width of the border that is wanted too."""
    sky: Ranges | None = None
    """Rows outside of this sky may be left out; None is all sky."""

    @property
    def wanted(self) -> Ranges:
        """The sky to read: the pixel and its halo, as far as it matters."""
        return _wanted_sky(self.pixel, self.halo_arcsec, self.sky)


@functools.lru_cache(maxsize=64)
def _wanted_sky(pixel: Pixel, halo_arcsec: float, sky: Ranges | None) -> Ranges:
    # A forecast asks for it, and then the reader; so does each catalog of a chain.
    around = border(pixel, halo_arcsec)
    whole = Ranges.of(np.append(around.starts, pixel.start), np.append(around.stops, pixel.stop))
    return whole if sky is None else whole.intersection(sky)


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

    @property
    def sky(self) -> Ranges | None:
        """Sky that holds all rows, where more is known of it than the leaves; else None."""

    @property
    def count(self) -> int:
        """Number of rows, from metadata."""

    @property
    def is_local(self) -> bool:
        """Whether the rows are on this machine, in memory or in files."""

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the smallest and the largest value of a column from metadata, or None where they do not tell."""

    def partition(self, request: Request) -> Partition:
        """Return the rows of any pixel and of its halo."""

    def estimate(self, request: Request) -> Cost:
        """Return what :meth:`partition` reads, from metadata only."""

    def identity(self) -> Mapping[str, Any]:
        """Return what makes this input the same input again, as JSON."""


def split(tables: Sequence[pa.Table], request: Request) -> Partition:
    """Join the wanted rows of some files, tell core from halo, and hide the place where it was not asked for.

    Parameters
    ----------
    tables : sequence of pyarrow.Table
        At least one; of one schema, each sorted by ``_healpix_29``.
    """
    if len(tables) == 1:
        table = tables[0].combine_chunks()
    else:
        # A margin's rows lie on both sides of the pixel: cut there, and whole pieces can be put in order.
        pieces = [piece for table in tables for piece in _cut(table, request.pixel) if piece.num_rows]
        pieces.sort(key=lambda piece: piece.column(HEALPIX)[0].as_py())
        table = sorted_by_place(pa.concat_tables(pieces).combine_chunks() if pieces else tables[0].slice(0, 0))
    place = table.column(HEALPIX).to_numpy()
    core = np.zeros(place.size, dtype=bool)
    core[slice(*np.searchsorted(place, [request.pixel.start, request.pixel.stop]))] = True
    return Partition(table if HEALPIX in request.columns else table.drop_columns([HEALPIX]), core)


def _cut(table: pa.Table, pixel: Pixel) -> list[pa.Table]:
    """Cut a sorted table into the rows before, in and behind a pixel."""
    first, last = np.searchsorted(table.column(HEALPIX).to_numpy(), [pixel.start, pixel.stop]).tolist()
    return [table.slice(0, first), table.slice(first, last - first), table.slice(last)]


@dataclass(frozen=True, eq=False)
class HatsSource:
    """Rows of a HATS catalog, on disk or behind a URL."""

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

    @property
    def sky(self) -> Ranges | None:
        """Nothing is known beyond the leaves."""
        return None

    @functools.cached_property
    def count(self) -> int:
        """Number of rows from the properties, or else from the files' footers."""
        if self.catalog.n_rows is not None:
            return self.catalog.n_rows
        return sum(footer(path).n_rows for path in self._all_files())

    @property
    def is_local(self) -> bool:
        """Whether the catalog is no URL."""
        return isinstance(self.catalog.path, Path)

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the smallest and the largest value of a column from the files' footers."""
        return limits((footer(path) for path in self._all_files()), column)

    def partition(self, request: Request) -> Partition:
        """Return the rows of any pixel and of its halo, from the fewest row groups."""
        schema = self._schema_of([HEALPIX, *request.columns]).remove_metadata()
        tables = self._tables(request, schema)
        if not tables:
            return Partition.all_core(self._schema_of(request.columns).empty_table())
        return split(tables, request)

    def file_rows(self, path: AnyPath, columns: Sequence[str]) -> pa.Table:
        """Return all rows of one of the catalog's files, sorted by place, with ``_healpix_29`` as first column."""
        return sorted_by_place(self._read(path, columns))

    def estimate(self, request: Request) -> Cost:
        """Return what :meth:`partition` reads, from the footers."""
        schema = self._schema_of([HEALPIX, *request.columns]).remove_metadata()
        return sum((self._cost(path, request, schema) for path in self._files(request)), Cost())

    def identity(self) -> Mapping[str, Any]:
        """Return path, properties, and the state of the file that changes whenever the catalog is rewritten."""
        path = self.catalog.path
        stamp = json.loads(path.stamp) if isinstance(path, RemotePath) else state_of(path / "partition_info.csv")
        where = path.resolve() if isinstance(path, Path) else path
        return {"path": str(where), "properties": dict(self.catalog.properties), "stamp": stamp}

    def serves_halo(self, halo_arcsec: float) -> bool:
        """Tell whether the stored margin is wide enough for a halo; if not, it is read from the neighbouring pixels."""
        return self.catalog.margin is not None and halo_arcsec <= self.catalog.margin.margin_arcsec

    @functools.cached_property
    def _stored_place(self) -> str | None:
        """Column with the order-29 place, if the files have one of that order."""
        name = self.catalog.properties.get("hats_col_healpix", HEALPIX)
        order = int(self.catalog.properties.get("hats_col_healpix_order", MAX_ORDER) or MAX_ORDER)
        return name if name in self.catalog.schema.names and order == MAX_ORDER else None

    def _all_files(self) -> Iterator[AnyPath]:
        self.catalog.learn_footers()
        return (path for pixel in self.catalog.layout for path in self.catalog.leaf_files(pixel))

    def _files(self, request: Request) -> list[AnyPath]:
        self.catalog.learn_footers()
        layout, pixel, halo_arcsec = self.catalog.layout, request.pixel, request.halo_arcsec
        wanted = request.wanted
        if len(wanted) == 0:
            return []
        home = layout.overlapping(pixel.start, pixel.stop)
        files = [path for i in home for path in self.catalog.leaf_files(layout[i])]
        if halo_arcsec <= 0:
            return files
        if home and layout.starts[home[0]] <= wanted.starts[0] and wanted.stops[-1] <= layout.stops[home[-1]]:
            # Few positions seldom lie at an edge: nothing beyond it matters then.
            return files
        leaf = layout[home[0]] if len(home) == 1 else None
        if leaf is not None and leaf.order <= pixel.order and self.serves_halo(halo_arcsec):
            margin = self.catalog.margin
            assert margin is not None
            stored = leaf in set(margin.layout.take(slice(*_place_of(margin.layout, leaf))))
            return files + (margin.leaf_files(leaf) if stored else [])
        near = np.flatnonzero(wanted.overlaps(layout.starts, layout.stops))
        return files + [path for i in near if i not in home for path in self.catalog.leaf_files(layout[int(i)])]

    def _columns_read(self, columns: Sequence[str]) -> list[str]:
        place = [self._stored_place] if self._stored_place else list(self.positions)
        return list(dict.fromkeys([*place, *(c for c in columns if c != HEALPIX)]))

    def _schema_of(self, columns: Sequence[str]) -> pa.Schema:
        fields = [pa.field(HEALPIX, pa.int64())] if HEALPIX in columns else []
        return pa.schema([*fields, *project(self.schema, columns)])

    def _tables(self, request: Request, schema: pa.Schema) -> list[pa.Table]:
        files = self._files(request)
        if len(files) < 2 or isinstance(self.catalog.path, Path):
            return [self._wanted(path, request, schema) for path in files]
        # Servers take their time to answer: all files are asked for at once.
        with ThreadPoolExecutor(min(len(files), _FILES_AT_ONCE)) as pool:
            return list(pool.map(lambda path: self._wanted(path, request, schema), files))

    def _wanted(self, path: AnyPath, request: Request, schema: pa.Schema) -> pa.Table:
        """Return the wanted rows of one file, sorted by place, from the sidecar if it holds all that is asked for."""
        sidecar = self._sidecar_of(path)
        found = sidecar.rows(path, schema, request.wanted) if sidecar is not None and isinstance(path, Path) else None
        if found is not None:
            return found
        within = request.wanted if self._stored_place == HEALPIX else None
        return inside(self._read(path, request.columns, within, request.rows), request.wanted)

    def _cost(self, path: AnyPath, request: Request, schema: pa.Schema) -> Cost:
        sidecar = self._sidecar_of(path)
        if sidecar is not None and isinstance(path, Path):
            found = sidecar.estimate(path, schema, request.wanted)
            if found is not None:
                return found
        positions = self.catalog.ra, self.catalog.dec
        return estimate(path, self._columns_read(request.columns), request.wanted, request.rows, positions)

    def _sidecar_of(self, path: AnyPath) -> Sidecar | None:
        for catalog in (self.catalog, self.catalog.margin):
            if catalog is not None and catalog.sidecar is not None and str(path).startswith(f"{catalog.path}/dataset/"):
                return catalog.sidecar
        return None

    def _read(
        self, path: AnyPath, columns: Sequence[str], within: Ranges | None = None, rows: Bounds | None = None
    ) -> pa.Table:
        """Read one file; every file comes back with the catalog's own schema and the place as first column."""
        table = read_rows(path, self._columns_read(columns), within, rows)
        if self._stored_place:
            place = table.column(self._stored_place).cast(pa.int64())
        else:
            ra, dec = (table.column(c).to_numpy() for c in self.positions)
            place = pa.array(spatial_index(ra, dec))
        schema = self._schema_of([HEALPIX, *columns])
        asked = [c if c.type == f.type else c.cast(f.type) for f in list(schema)[1:] for c in [table.column(f.name)]]
        # Built in one go: a table of no columns, were the place to be added to it, would have no rows.
        return pa.table([place, *asked], schema=schema.remove_metadata())


def _place_of(layout: Layout, pixel: Pixel) -> tuple[int, int]:
    found = layout.overlapping(pixel.start, pixel.stop)
    return found.start, found.stop
