"""The id index of a catalog: in which rows' places an id is found. HATS index catalogs are looked up here.

They are built next door; what is done with the rows, plans decide.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import HEALPIX, plain
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import MAX_ORDER
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.files import AnyPath, beside, tail
from lsdb_ts.store.footers import Footer, footer
from lsdb_ts.store.hats import HatsCatalog, read_properties
from lsdb_ts.store.memory import MemorySource
from lsdb_ts.store.read import read_rows
from lsdb_ts.store.source import HatsSource, Source

ORDER, NUMBER = "Norder", "Npix"
STAMP = "lsdb_ts_index_of"
"""Property of our indexes: the state of the catalog they were built for."""
_TOLD_BYTES = 1 << 20
"""So much of a listing is read, also of a remote one, to tell the state of its catalog."""


@dataclass(frozen=True, eq=False)
class Found:
    """Which ids there are, and the sky that holds all their rows."""

    ids: pa.Array
    sky: Ranges


def find_ids(source: Source, column: str, wanted: pa.Array) -> Found | None:
    """Find the rows of some ids without reading the catalog; None where it has no index of the column.

    Parameters
    ----------
    source : Source
        A table in memory needs no index.
    column : str
        The column of the ids.
    wanted : pyarrow.Array
        Distinct ids, sorted, in the column's type.

    Raises
    ------
    CatalogError
        The index is damaged, or was built for another state of the catalog.
    """
    if isinstance(source, MemorySource):
        ids = source.table.column(column)
        ids = ids.cast(plain(ids.type))
        held = pc.is_in(ids, value_set=wanted)
        place = source.table.column(HEALPIX).filter(held).to_numpy()
        return Found(pc.unique(ids.filter(held)), Ranges.of(place, place + 1))
    if not isinstance(source, HatsSource):
        return None
    index = open_index(source.catalog, column)
    return index.find(wanted, source.layout) if index is not None else None


def index_folders(catalog: HatsCatalog) -> dict[str, AnyPath]:
    """Return the folders of a catalog's indexes by column: those of its collection, and those beside it."""
    home = catalog.path.parent
    # What lies beside a remote catalog cannot be listed everywhere: its collection has to name it.
    beside_it = home.glob(f"{catalog.path.name}_*_index") if isinstance(home, Path) else ()
    found: dict[str, AnyPath] = {
        properties["hats_index_column"]: folder
        for folder in beside_it
        if (properties := _properties(folder)) is not None and _names(properties, catalog)
    }
    listing = home / "collection.properties"
    if listing.exists():
        collection = read_properties(listing)
        if collection.get("hats_primary_table_url") == catalog.path.name:
            told = collection.get("all_indexes", "").replace(",", " ").replace(";", " ").split()
            found |= {column: beside(home, folder) for column, folder in zip(told[::2], told[1::2], strict=False)}
    return found


def open_index(catalog: HatsCatalog, column: str) -> Index | None:
    """Open the index of a column, or return None where there is none.

    Raises
    ------
    CatalogError
        There should be one and it cannot be read, or it was built for another state of the catalog.
    """
    try:
        return _open(catalog, column)
    except _NoIndexError:
        return None


class _NoIndexError(LookupError):
    """There is no index yet; what is raised is not kept, so it is looked for again."""


@functools.lru_cache(maxsize=64)
def _open(catalog: HatsCatalog, column: str) -> Index:
    folder = index_folders(catalog).get(column)
    if folder is None:
        raise _NoIndexError
    properties = _properties(folder)
    if properties is None:
        raise CatalogError(f"{folder} is named as the index of {column} and is none: {_again(catalog, column)}")
    stamp = properties.get(STAMP)
    if stamp is not None and stamp != stamp_of(catalog):
        raise CatalogError(f"{folder} is the index of an older state of {catalog.path}: {_again(catalog, column)}")
    return Index(folder, column, catalog.path)


def stamp_of(catalog: HatsCatalog) -> str:
    """Return what tells one state of a catalog from another, and is the same for a copy of it.

    Properties know the minute only, so the end of its `_metadata`, or of the list of its leaves, is told too.
    """
    told = [catalog.properties.get(key, "") for key in ("hats_nrows", "hats_creation_date", "lsdb_ts_plan")]
    listings = (catalog.path / "dataset" / "_metadata", catalog.path / "partition_info.csv")
    listing = next((path for path in listings if path.exists()), None)
    if listing is not None:
        told.append(hashlib.sha256(tail(listing, _TOLD_BYTES)).hexdigest()[:16])
    return " ".join(text for text in told if text)


@dataclass(frozen=True, eq=False)
class Index:
    """A HATS index catalog: one row for each id and place, sorted by id, in files of small row groups."""

    folder: AnyPath
    column: str
    primary: AnyPath

    def find(self, wanted: pa.Array, layout: Layout) -> Found:
        """Return the wanted ids that there are and the sky of their rows, reading only row groups that can hold them.

        Parameters
        ----------
        wanted : pyarrow.Array
            Distinct ids, sorted.
        layout : Layout
            Leaves of the catalog, which must be those the index knows.
        """
        tables = [self._read(path, low, high) for path, low, high in self._spans(wanted)]
        if not tables:
            return Found(wanted.slice(0, 0), Ranges.of([], []))
        rows = pa.concat_tables(tables)
        rows = rows.filter(pc.is_in(rows.column(self.column), value_set=wanted))
        sky = _sky_of(rows)
        known = layout.ranges
        if not known.overlaps(sky.starts, sky.stops).all():
            raise CatalogError(
                f"{self.folder} points at pixels that {self.primary} does not have: build it again with "
                f'"lsdb-ts index {self.primary} --column {self.column}"'
            )
        return Found(pc.unique(rows.column(self.column)), sky)

    def _spans(self, wanted: pa.Array) -> Iterator[tuple[AnyPath, Any, Any]]:
        """Yield (file, smallest, largest wanted id) of each run of row groups that can hold wanted ids."""
        values = wanted.to_numpy(zero_copy_only=False)
        groups = _groups(self.folder, self.column, footer(self.folder / "dataset" / "_metadata"))
        first = np.searchsorted(values, groups.least, side="left")
        last = np.searchsorted(values, groups.most, side="right")
        hit = np.flatnonzero(last > first)
        if hit.size == 0:
            return
        new = np.concatenate([[True], (np.diff(hit) > 1) | (np.diff(groups.file[hit]) != 0)])
        starts = np.flatnonzero(new)
        for start, stop in zip(starts, np.append(starts[1:], hit.size), strict=True):
            run = hit[start:stop]
            low, high = wanted[int(first[run].min())].as_py(), wanted[int(last[run].max()) - 1].as_py()
            yield groups.files[int(groups.file[run[0]])], low, high

    def _read(self, path: AnyPath, low: Any, high: Any) -> pa.Table:
        columns = [c for c in (self.column, HEALPIX, ORDER, NUMBER) if c in footer(path).paths]
        table = read_rows(path, columns, bounds={self.column: (low, high)})
        kept = {name: table.column(name) for name in columns}
        kept[self.column] = kept[self.column].cast(plain(kept[self.column].type))
        return pa.table(kept)


@dataclass(frozen=True, eq=False)
class _Groups:
    """The row groups of an index: their files, and the smallest and largest id in each."""

    files: tuple[AnyPath, ...]
    file: NDArray[np.int64]
    least: NDArray[Any]
    most: NDArray[Any]


@functools.lru_cache(maxsize=16)
def _groups(folder: AnyPath, column: str, known: Footer) -> _Groups:
    """Read the statistics of all row groups: from `_metadata`, one file that has them all."""
    if column not in known.paths:
        raise CatalogError(f'{folder} is named as the index of "{column}" and has the columns {", ".join(known.paths)}')
    place = known.paths[column]
    files: dict[str, int] = {}
    found = []
    for g in range(known.metadata.num_row_groups):
        group = known.metadata.row_group(g).column(place)
        ends = group.statistics
        if group.num_values == 0 or (ends is not None and ends.null_count == group.num_values):
            continue
        if ends is None or not ends.has_min_max:
            raise CatalogError(f"{folder}: row group {g} has no statistics of {column}, so nothing can be looked up")
        found.append((files.setdefault(group.file_path, len(files)), ends.min, ends.max))
    kind = plain(known.schema.field(column).type)
    dtype = np.dtype(kind.to_pandas_dtype()) if pa.types.is_integer(kind) else np.dtype(object)
    return _Groups(
        tuple(folder / "dataset" / name for name in files),
        np.array([f for f, _, _ in found], dtype=np.int64),
        np.array([low for _, low, _ in found], dtype=dtype),
        np.array([high for _, _, high in found], dtype=dtype),
    )


def _sky_of(rows: pa.Table) -> Ranges:
    """Return the places of rows, or the pixels they lie in where the index holds no places."""
    if HEALPIX in rows.column_names:
        place = rows.column(HEALPIX).to_numpy().astype(np.int64)
        return Ranges.of(place, place + 1)
    shift = 2 * (MAX_ORDER - rows.column(ORDER).to_numpy().astype(np.int64))
    number = rows.column(NUMBER).to_numpy().astype(np.int64)
    return Ranges.of(number << shift, (number + 1) << shift)


def _properties(folder: AnyPath) -> dict[str, str] | None:
    path = folder / "hats.properties"
    if not path.exists():
        path = folder / "properties"
    properties = read_properties(path) if path.exists() else {}
    return properties if properties.get("dataproduct_type") == "index" and "hats_index_column" in properties else None


def _names(properties: dict[str, str], catalog: HatsCatalog) -> bool:
    return Path(properties.get("hats_primary_table_url", "")).name == catalog.path.name


def _again(catalog: HatsCatalog, column: str) -> str:
    return f'build it again with "lsdb-ts index {catalog.path} --column {column}"'
