"""Catalogs that are cut to pixels already, HATS and its forerunner HiPSCat: their partitions as raw files.

The rows are Parquet; what a catalog knows of its columns is kept, what belongs to its old layout is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.csv

from lsdb_ts.errors import CatalogError, InputError
from lsdb_ts.schema import HEALPIX, Roles, with_role
from lsdb_ts.sky import Pixel
from lsdb_ts.store.files import AnyPath, read_files
from lsdb_ts.store.hats import HatsCatalog, open_hats
from lsdb_ts.store.write import leaf_name
from partitioner.inputs.readers.access import File
from partitioner.inputs.readers.parquet import ParquetReader
from partitioner.inputs.readers.reader import PLAIN, Contents, Options

_HATS_FILES = ("hats.properties", "properties", "collection.properties")
_HIPSCAT_FILE = "catalog_info.json"
_PLACES = {"Norder", "Dir", "Npix"}


@dataclass(frozen=True)
class HatsReader:
    """Reads the partitions of a HATS catalog, or of the primary catalog of a collection; margins are made anew."""

    options: Options = PLAIN
    name: ClassVar[str] = "hats"
    suffixes: ClassVar[tuple[str, ...]] = ()

    def open(self, file: File) -> Contents:
        """Read the footer of a partition."""
        contents = ParquetReader().open(file)
        names = set(contents.schema.names)
        old = {HEALPIX, "_hipscat_index", *(_PLACES if names >= _PLACES else ())}
        told, known = dict(self.options.roles), set(dict(Roles.of(contents.schema).items()))
        roles = {column: role for role, column in told.items() if role not in known}
        fields = [with_role(f, roles[f.name]) if f.name in roles else f for f in contents.schema if f.name not in old]
        return Contents(pa.schema(fields, metadata=contents.schema.metadata), contents.pieces)

    def read(self, file: File, first: int, stop: int, schema: pa.Schema) -> Iterator[pa.Table]:
        """Read row groups of a partition."""
        yield from ParquetReader().read(file, first, stop, schema)


@dataclass(frozen=True)
class HipscatReader(HatsReader):
    """Reads the partitions of a HiPSCat catalog."""

    name: ClassVar[str] = "hipscat"


def catalog_in(folder: AnyPath) -> type[HatsReader] | None:
    """Tell which kind of catalog a folder is, by its reader, or None."""
    *hats, hipscat = read_files([folder / name for name in (*_HATS_FILES, _HIPSCAT_FILE)])
    if any(text is not None for text in hats):
        return HatsReader
    return HipscatReader if hipscat is not None else None


def partitions(folder: AnyPath, reader: HatsReader) -> tuple[list[AnyPath], HatsReader]:
    """Return the files of a catalog's rows, and the reader that knows what its metadata tell.

    Raises
    ------
    InputError
        The catalog cannot be read, or is a margin.
    """
    try:
        found = _of_hats(open_hats(folder)) if reader.name == HatsReader.name else _of_hipscat(folder)
    except CatalogError as error:
        raise InputError(f"cannot read {folder}: {error}") from error
    if found.kind == "margin":
        raise InputError(
            f"{found.path} is a margin, copies of rows of a catalog: name the catalog, its margin is made anew"
        )
    roles = tuple((role, column) for role, column in (("ra", found.ra), ("dec", found.dec)) if column)
    promised = None if found.rows is None else (str(found.path), found.rows)
    return found.files, replace(reader, options=replace(reader.options, roles=roles, promised=promised))


@dataclass(frozen=True)
class _Catalog:
    """What the metadata of a catalog tell."""

    path: AnyPath
    kind: str
    files: list[AnyPath]
    ra: str | None
    dec: str | None
    rows: int | None


def _of_hats(catalog: HatsCatalog) -> _Catalog:
    files = [file for pixel in catalog.layout for file in catalog.leaf_files(pixel)]
    return _Catalog(catalog.path, catalog.kind, files, catalog.ra, catalog.dec, catalog.n_rows)


def _of_hipscat(folder: AnyPath) -> _Catalog:
    text, listing = read_files([folder / name for name in (_HIPSCAT_FILE, "partition_info.csv")])
    told: dict[str, Any] = json.loads(text or b"{}")
    files: list[AnyPath] = [*(folder.glob("Norder=*/Dir=*/Npix=*.parquet") if listing is None else ())]
    if listing is not None:
        pixels = pyarrow.csv.read_csv(pa.BufferReader(listing), pyarrow.csv.ReadOptions(use_threads=False))
        pairs = zip(pixels["Norder"].to_pylist(), pixels["Npix"].to_pylist(), strict=True)
        files = [folder / leaf_name(Pixel(order, n), ".parquet").removeprefix("dataset/") for order, n in pairs]
    kind, ra, dec, rows = (told.get(key) for key in ("catalog_type", "ra_column", "dec_column", "total_rows"))
    return _Catalog(folder, str(kind), files, ra, dec, rows)
