"""A table in memory as a source of rows: indexed and sorted once, then sliced. Catalogs on disk live next door."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.errors import InputError, PositionError
from lsdb_ts.schema import HEALPIX, project, require
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import MAX_ORDER, Indices, bad_positions, cell_of, pixel_area_arcsec2, spatial_index
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.cost import Cost
from lsdb_ts.store.partition import Partition, keep_parts, runs, slices, sorted_by_place
from lsdb_ts.store.source import Request, split

_FEW_ROWS = 200_000
_FEW_SLICES = 16
_ROWS_PER_CELL = 4
_SKY_ORDER = 18
"""Cells of 0.8 arcsec: what is matched with few rows need not be read but next to them."""


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
            Coordinates are float32, which rounds them by up to 0.05 arcsec; or two columns have one name.
        """
        twice = [c for c in table.column_names if table.column_names.count(c) > 1]
        if twice:
            raise InputError(f'{name} has two columns called "{twice[0]}": rename one of them')
        require(table.schema, (ra, dec), name)
        for column in (ra, dec):
            kind = table.schema.field(column).type
            if pa.types.is_float32(kind) or pa.types.is_float16(kind):
                raise InputError(
                    f'{name}: the coordinate "{column}" is {kind}, which rounds positions (float32 by up to 0.05 '
                    f"arcsec): give degrees as float64, or cast it yourself if that is what you have"
                )
            if not pa.types.is_float64(kind):
                raise InputError(f'{name}: the coordinate "{column}" is {kind}; need degrees as float64')
        lon, lat = table.column(ra).to_numpy(), table.column(dec).to_numpy()
        bad = np.flatnonzero(bad_positions(lon, lat))
        if bad.size:
            row = int(bad[0])
            raise PositionError(
                f"{name}: row {row} has {ra}={lon[row]}, {dec}={lat[row]}, which is not on the sky ({bad.size} such "
                f"rows): drop them first, for instance df[df[{ra!r}].notna() & df[{dec!r}].between(-90, 90)]"
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

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The cells that hold rows, where these are few."""
        if self.table.num_rows > _FEW_ROWS:
            return None
        return Ranges.of_cells(cell_of(self.table.column(HEALPIX).to_numpy(), _SKY_ORDER), _SKY_ORDER)

    @property
    def count(self) -> int:
        """Number of rows."""
        return int(self.table.num_rows)

    @property
    def is_local(self) -> bool:
        """They are."""
        return True

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the smallest and the largest value of a column."""
        base, _, part = column.partition(".")
        if part:
            return None
        found = pc.min_max(self.table.column(base)).as_py()
        return None if found["min"] is None else (found["min"], found["max"])

    def partition(self, request: Request) -> Partition:
        """Return the rows of any pixel and of its halo: slices of the sorted table."""
        table = self._projected(request.columns)
        starts, counts = self._rows(request.wanted)
        if starts.size > _FEW_SLICES:
            return split([table.take(pa.array(runs(starts, counts)))], request)
        pieces = [table.slice(a, n) for a, n in zip(starts.tolist(), counts.tolist(), strict=True)]
        return split([pa.concat_tables(pieces) if pieces else table.slice(0, 0)], request)

    def estimate(self, request: Request) -> Cost:
        """Return the cost of the slices, which take nothing from disk."""
        starts, counts = self._rows(request.wanted)
        rows = int(counts.sum())
        size = int(self._projected(request.columns).nbytes * rows / max(self.table.num_rows, 1))
        return Cost(rows, rows, rows, 0, size, self._area_arcsec2(starts, counts))

    def identity(self) -> Mapping[str, Any]:
        """Return the name and a hash of the content."""
        return {"name": self.name, "sha256": self._hash}

    @functools.cached_property
    def _hash(self) -> str:
        return content_hash(self.table)

    def _area_arcsec2(self, starts: Indices, counts: Indices) -> float:
        """Return the area of the cells some rows lie in, so fine that a cell of evenly spread rows holds a few."""
        rows = int(counts.sum())
        parted = np.bincount(self._parted[runs(starts, counts)], minlength=MAX_ORDER + 2)
        cells = 1 + np.cumsum(parted[: MAX_ORDER + 1])
        order = int(np.argmax(np.append(cells[:-1] * _ROWS_PER_CELL > rows, True)))
        return float(min(cells[order], rows) * pixel_area_arcsec2(order))

    @functools.cached_property
    def _parted(self) -> NDArray[np.int8]:
        """The order from which on a row and the one before it lie in different cells."""
        place = self.table.column(HEALPIX).to_numpy()
        bits = np.frexp((place[1:] ^ place[:-1]).astype(np.float64))[1]
        orders = np.maximum(MAX_ORDER + 1 - (bits + 1) // 2, 0)
        return np.append(0, orders).astype(np.int8)[: place.size]

    def _rows(self, wanted: Ranges) -> tuple[Indices, Indices]:
        """Return where wanted rows start, and how many they are, one slice each."""
        return slices(self.table.column(HEALPIX).to_numpy(), wanted)

    def _projected(self, columns: Sequence[str]) -> pa.Table:
        schema = project(self.table.schema, [HEALPIX, *columns])
        arrays = [keep_parts(self.table.column(f.name), f.type) for f in schema]
        return pa.table(arrays, schema=schema.remove_metadata())


def content_hash(table: pa.Table) -> str:
    """Return a hash of the rows of a table and their schema."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()
