"""Open HATS catalogs and collections, from their metadata alone.

Rows are read by the modules beside this one, which write catalogs, too.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import plain_nested
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import MAX_ORDER, N_BASE, Pixel
from lsdb_ts.store.files import AnyPath, beside, located, read_files, read_footer, state_of
from lsdb_ts.store.footers import footer, learn_footers
from lsdb_ts.store.remote import RemotePath
from lsdb_ts.store.seal import check_footer, check_text
from lsdb_ts.store.sidecar import Sidecar, open_sidecar
from lsdb_ts.store.voparquet import KEYS
from lsdb_ts.store.write import leaf_name

BUILDER = "lsdb_ts"
"""How ``hats_builder`` begins in what we write, and our own properties, before an underscore."""
WORK = ".lsdb_ts"
"""Folder inside a catalog where a run keeps its journal until the catalog is finished."""
_FEW_FILES = 1000
_TELLING = ("collection.properties", "hats.properties", "properties", "partition_info.csv", "dataset/_common_metadata")
"""Files that say what a folder is: asked for together, because each question to a server takes its time."""


@dataclass(frozen=True, eq=False)
class HatsCatalog:
    """A finished HATS catalog, on disk or behind a URL."""

    path: AnyPath
    name: str
    schema: pa.Schema
    layout: Layout
    ra: str | None
    dec: str | None
    properties: Mapping[str, str]
    margin: HatsCatalog | None = None

    @property
    def kind(self) -> str:
        """HATS data product type."""
        return self.properties.get("dataproduct_type", "object")

    @property
    def margin_arcsec(self) -> float:
        """Width of a margin catalog, as it promises it; 0 for others."""
        return float(self.properties.get("hats_margin_threshold", 0) or 0)

    def leaf_path(self, pixel: Pixel) -> AnyPath:
        """Return the file (or, where ``hats_npix_suffix`` is ``/``, the folder) of a leaf."""
        return self.path / leaf_name(pixel, self._suffix)

    def leaf_files(self, pixel: Pixel) -> list[AnyPath]:
        """Return the Parquet files of a leaf."""
        path = self.leaf_path(pixel)
        if self._suffix != "/":
            return [path]
        if isinstance(path, Path):
            return sorted(path.glob("*.parquet"))
        listed: list[AnyPath] = [file for file in self._listed if file.parent == path]
        return listed or _some(path.glob("*.parquet"), f"{path} cannot be listed, and dataset/_metadata does not tell")

    @functools.cached_property
    def sidecar(self) -> Sidecar | None:
        """The catalog's sidecar, if it has one."""
        return open_sidecar(self.path) if isinstance(self.path, Path) else None

    def learn_footers(self) -> None:
        """Fetch the footers of all leaves of a small remote catalog at once, if that is not done yet."""
        if isinstance(self.path, RemotePath) and 1 < len(self.layout) <= _FEW_FILES and self._suffix != "/":
            files = [self.path / leaf_name(pixel, self._suffix) for pixel in self.layout]
            learn_footers(self.path, self.n_rows, files)

    @property
    def _suffix(self) -> str:
        return self.properties.get("hats_npix_suffix", ".parquet")

    @functools.cached_property
    def _listed(self) -> list[RemotePath]:
        """Files that a remote catalog's ``_metadata`` speaks of, where it has one."""
        assert isinstance(self.path, RemotePath)
        dataset = self.path / "dataset"
        try:
            metadata = read_footer(dataset / "_metadata")
        except CatalogError:
            return []
        groups = (metadata.row_group(g) for g in range(metadata.num_row_groups))
        return sorted({dataset / group.column(0).file_path for group in groups})

    @functools.cached_property
    def n_rows(self) -> int | None:
        """Rows in the catalog, if it says so."""
        value = self.properties.get("hats_nrows")
        return int(value) if value else None


def read_properties(path: AnyPath) -> dict[str, str]:
    """Read a Java properties file."""
    (text,) = read_files([path])
    if text is None:
        raise CatalogError(f"{path} is missing")
    return _parsed(text, path)


def _parsed(text: bytes, path: AnyPath) -> dict[str, str]:
    from jproperties import Properties

    check_text(text, path)
    properties = Properties()
    properties.load(text, "utf-8")
    found = {key: value.data for key, value in properties.items()}
    if found.get("hats_builder", "").startswith(BUILDER):
        return found
    # LSDB repeats what we say of a catalog in the properties of what it makes of it, where it is not true.
    return {key: value for key, value in found.items() if not key.startswith(f"{BUILDER}_")}


def open_hats(path: str | AnyPath, storage_options: Mapping[str, Any] | None = None) -> HatsCatalog:
    """Open a HATS catalog, or the primary catalog of a collection with its default margin; reads metadata only.

    Parameters
    ----------
    path : str or path
        Folder, or URL of any protocol that ``fsspec`` knows.
    storage_options : mapping, optional
        What the protocol's file system wants to know: keys, headers, ``{"anon": True}``.

    Raises
    ------
    CatalogError
        The folder does not exist, is no HATS catalog, or was never finished.
    """
    folder = located(path, storage_options)
    if isinstance(folder, Path) and not folder.is_dir():
        raise CatalogError(
            f"{folder} is not a folder: a HATS catalog is a folder with hats.properties or collection.properties"
        )
    told = dict(zip(_TELLING, read_files([folder / name for name in _TELLING]), strict=True))
    if (listing := told["collection.properties"]) is not None:
        collection = _parsed(listing, folder / "collection.properties")
        primary = open_hats(beside(folder, collection["hats_primary_table_url"]))
        margins = collection.get("all_margins", "").replace(",", " ").split()
        margin_name = collection.get("default_margin") or (margins[0] if margins else None)
        margin = open_hats(beside(folder, margin_name)) if margin_name else None
        return replace(primary, margin=margin)
    text = told["hats.properties"] or told["properties"]
    if text is None:
        raise _no_catalog(folder)
    name = "hats.properties" if told["hats.properties"] else "properties"
    properties = _parsed(text, folder / name)
    if properties.get("dataproduct_type") not in {"object", "source", "margin", "association"}:
        raise CatalogError(
            f"{folder} is a HATS {properties.get('dataproduct_type')!r} product; need an object, source or margin "
            f"catalog, or an association"
        )
    if isinstance(folder, RemotePath):
        listing_state = state_of(folder / ("partition_info.csv" if told["partition_info.csv"] else "hats.properties"))
        folder = folder.stamped(json.dumps(listing_state))
    catalog = HatsCatalog(
        path=folder,
        name=properties.get("obs_collection", folder.name),
        schema=pa.schema([]),
        layout=_layout_of(folder, properties, told["partition_info.csv"]),
        ra=properties.get("hats_col_ra"),
        dec=properties.get("hats_col_dec"),
        properties=properties,
    )
    return replace(catalog, schema=_schema_of(catalog, told["dataset/_common_metadata"]))


def _no_catalog(folder: AnyPath) -> CatalogError:
    if (folder / WORK).exists():
        return CatalogError(f"{folder} is a half-done run: start the same command again to finish it")
    if (folder / "catalog_info.json").exists():
        return CatalogError(f"{folder} is a HiPSCat catalog, the format before HATS: convert it with hats-import first")
    kept = ", or it may not be read without storage_options" if isinstance(folder, RemotePath) else ""
    return CatalogError(
        f"{folder} has neither hats.properties nor collection.properties: it is not a HATS catalog{kept}"
    )


def _schema_of(catalog: HatsCatalog, common: bytes | None) -> pa.Schema:
    if common is not None:
        check_footer(common, catalog.path / "dataset" / "_common_metadata")
        return _catalog_schema(pq.read_schema(pa.BufferReader(common)))
    dataset = catalog.path / "dataset"
    if (dataset / "_metadata").exists():
        return _catalog_schema(read_footer(dataset / "_metadata").schema.to_arrow_schema())
    if len(catalog.layout) == 0:
        raise CatalogError(
            f"{catalog.path} has no dataset/_common_metadata and no partition file to read the columns from"
        )
    first = catalog.leaf_files(catalog.layout[0])[0]
    return plain_nested(footer(first).schema.remove_metadata())


def _catalog_schema(schema: pa.Schema) -> pa.Schema:
    # pandas' own notes on indexes would make readers put columns into the index; those for the Virtual Observatory are
    # of all columns, and are made anew.
    metadata = {k: v for k, v in (schema.metadata or {}).items() if k not in {b"pandas", *KEYS}}
    return plain_nested(schema.with_metadata(metadata or None))


def _layout_of(folder: AnyPath, properties: Mapping[str, str], listing: bytes | None) -> Layout:
    if listing is not None:
        try:
            return _listed_layout(listing)
        except (LookupError, ValueError, pa.ArrowException) as error:
            raise CatalogError(
                f"cannot read {folder / 'partition_info.csv'}: {error}; restore it from a copy, or remove it, then the "
                "partitions are listed by their files"
            ) from error
    suffix = properties.get("hats_npix_suffix", ".parquet").rstrip("/")
    found = (folder / "dataset").glob(f"Norder=*/Dir=*/Npix=*{suffix}")
    paths = [str(path) for path in found]
    if isinstance(folder, RemotePath):
        _some(paths, f"{folder} has no partition_info.csv, and its partitions cannot be listed")
    pixels = []
    for path in paths:
        *_, order, _, number = path.split("/")
        pixels.append(Pixel(int(order.partition("=")[2]), int(number.partition("=")[2].removesuffix(suffix))))
    return Layout.of(pixels)


def _listed_layout(listing: bytes) -> Layout:
    # On one thread: a process that ends right after Arrow started threads of its own is sometimes aborted.
    options = pyarrow.csv.ReadOptions(use_threads=False)
    table = pyarrow.csv.read_csv(pa.BufferReader(listing), read_options=options)
    if table.num_rows == 0:
        return Layout.of_arrays([], [])
    # What is no number comes as text, which does not become one.
    orders, numbers = (table.column(name).to_numpy().astype(np.int64) for name in ("Norder", "Npix"))
    none = (orders < 0) | (orders > MAX_ORDER) | (numbers < 0)
    none |= numbers >= N_BASE << (2 * np.clip(orders, 0, MAX_ORDER))
    if none.any():
        row = int(np.argmax(none))
        raise ValueError(f"row {row}: there is no pixel {numbers[row]} of order {orders[row]}")
    return Layout.of_arrays(orders, numbers)


def _some(found: list[Any], otherwise: str) -> list[Any]:
    if not found:
        raise CatalogError(f"{otherwise}: copy the catalog to this machine, or write its metadata again")
    return found
