"""Write the metadata that make partition files a HATS catalog, each file whole or not at all.

Rows are written by the module beside this one. That ``hats`` takes what is written here for valid, the tests check:
importing it takes longer than writing a small catalog.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.schema import HEALPIX, JD_OF_MJD, Roles, are_mjd, is_nested
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import MAX_ORDER
from lsdb_ts.store.hats import BUILDER
from lsdb_ts.store.seal import TEXT_BLANK, TEXT_KEY, seal, sealed_text
from lsdb_ts.store.skymap import SKYMAPS, Skymap, skymap_file, skymap_name
from lsdb_ts.store.statistics import STATISTICS, Statistics
from lsdb_ts.store.thumbnail import THUMBNAIL, thumbnail
from lsdb_ts.store.voparquet import voparquet
from lsdb_ts.store.write import FILE, Leaf, atomic, flush_names, leaf_files, leaf_path

_METADATA_FILES_LIMIT, _METADATA_BYTES_LIMIT = 10_000, 8 << 20
"""Footers that are merged: in memory they take some fifteen times their bytes."""
_OF_SKY = {"object", "source"}
_FRAME = "equatorial"
"""ICRS, in the words of HATS."""


@dataclass(frozen=True)
class CatalogInfo:
    """What a catalog says of itself in ``hats.properties``."""

    name: str
    kind: str
    """HATS data product type: ``object``, ``source``, ``margin`` or ``association``."""
    schema: pa.Schema
    ra: str | None
    dec: str | None
    """Columns of the positions; an association has none."""
    primary: str | None = None
    """Of a margin or an association: the catalog it belongs to."""
    margin_arcsec: float | None = None
    default_columns: tuple[str, ...] = ()
    suffix: str = FILE
    """Whether each partition is a file, or a folder of files."""
    extra: Mapping[str, str] = field(default_factory=dict)


def finish_catalog(root: Path, info: CatalogInfo, leaves: Iterable[Leaf]) -> None:
    """Write the metadata that turn finished leaves into a HATS catalog.

    ``hats.properties``, written last, makes it openable.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the catalog, with its leaves under ``dataset``.
    info : CatalogInfo
        Name, kind, schema and the like.
    leaves : iterable of Leaf
        Every leaf of the catalog.
    """
    done = sorted(leaves, key=lambda leaf: leaf.pixel.start)
    layout = Layout.of(leaf.pixel for leaf in done)
    (root / "dataset").mkdir(parents=True, exist_ok=True)
    skymap, statistics = Skymap.of(done), Statistics()
    coarser = skymap.coarser()
    with ThreadPoolExecutor(thread_name_prefix="finish") as pool:
        # Each waits for the disk: together they wait once.
        written = [
            pool.submit(flush_names, {leaf_path(root, leaf.pixel).parent for leaf in done}),
            pool.submit(_write_common_metadata, root, info.schema),
            pool.submit(_write_footers, root, info, done, statistics),
            pool.submit(_write, root / "partition_info.csv", _partition_info(layout)),
        ]
        if info.kind in _OF_SKY and done:
            written.append(pool.submit(_write_thumbnail, root, info, done))
        content = skymap_file(skymap)
        written += [pool.submit(_write, root / name, content) for name in SKYMAPS]
        written += [pool.submit(_write, root / skymap_name(m.order), skymap_file(m)) for m in coarser]
    for each in written:
        each.result()
    properties = {
        **_properties(info, done, layout),
        **_observed(info.schema, statistics),
        "hats_skymap_order": skymap.order,
        **({"hats_skymap_alt_orders": [str(m.order) for m in coarser]} if coarser else {}),
        "moc_sky_fraction": skymap.sky_fraction,
        **properties_stamp(),
        **info.extra,
    }
    write_properties(root, properties)


def _properties(info: CatalogInfo, leaves: Sequence[Leaf], layout: Layout) -> dict[str, Any]:
    """Return what a catalog says of its rows and files."""
    survey_id = Roles.of(info.schema).id if info.kind in _OF_SKY else None
    return {
        "obs_collection": info.name,
        "dataproduct_type": info.kind,
        "hats_nrows": sum(leaf.rows for leaf in leaves),
        **({"hats_col_ra": info.ra, "hats_col_dec": info.dec, "hats_frame": _FRAME} if info.ra else {}),
        **({"hats_col_healpix": HEALPIX, "hats_col_healpix_order": MAX_ORDER} if HEALPIX in info.schema.names else {}),
        **({"hats_cols_survey_id": survey_id} if survey_id else {}),
        "hats_npix_suffix": info.suffix,
        "hats_order": int(layout.orders.max()) if len(layout) else 0,
        "hats_max_rows": max((leaf.rows for leaf in leaves), default=0),
        "hats_max_bytes": max((leaf.bytes for leaf in leaves), default=0),
        "hats_estsize": max(1, sum(leaf.bytes for leaf in leaves) >> 10),
        **({"hats_primary_table_url": info.primary} if info.primary else {}),
        **({"hats_margin_threshold": info.margin_arcsec} if info.margin_arcsec else {}),
        **({"hats_cols_default": list(info.default_columns)} if info.default_columns else {}),
    }


def _observed(schema: pa.Schema, statistics: Statistics) -> dict[str, Any]:
    """Return when rows, or the epochs of their light curves, were observed, and the epoch of positions if it is one.

    As far as statistics tell. Times are MJD in days, of catalogs whose times are MJD or JD.
    """
    tables = [("", Roles.of(schema)), *((f"{f.name}.", Roles.of(f.type)) for f in schema if is_nested(f))]
    times = statistics.limits([f"{prefix}{roles.time}" for prefix, roles in tables if roles.time])
    epoch = statistics.limits([name for name in (tables[0][1].ref_epoch,) if name])
    return {
        **_times(times),
        **({"hats_coordinate_epoch": f"J{epoch[0]}"} if epoch and epoch[0] == epoch[1] else {}),
    }


def _times(limits: tuple[Any, Any] | None) -> dict[str, Any]:
    if limits is None or not all(isinstance(time, int | float) for time in limits):
        return {}
    first, last = (time - JD_OF_MJD if are_mjd(time - JD_OF_MJD) else time for time in limits)
    return {"t_min": first, "t_max": last} if are_mjd(first) and are_mjd(last) else {}


def finish_collection(
    root: Path, name: str, primary: str, margins: Sequence[str], extra: Mapping[str, str] | None = None
) -> None:
    """Write ``collection.properties``: the folder then opens as its primary catalog with its margin.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the collection.
    name : str
        Its name.
    primary : str
        Folder of the catalog in it.
    margins : sequence of str
        Folders of its margins; the collection opens with the first.
    extra : mapping, optional
        Further properties, or others than are written by themselves.
    """
    margin = {"all_margins": list(margins), "default_margin": margins[0]} if margins else {}
    told = {"obs_collection": name, "hats_primary_table_url": primary, **margin, **properties_stamp()}
    write_collection(root, {**told, **(extra or {})})


def write_collection(root: Path, properties: Mapping[str, Any]) -> None:
    """Write the property file of a collection."""
    _write_properties(root / "collection.properties", properties, "HATS Collection")


def write_properties(root: Path, properties: Mapping[str, Any]) -> None:
    """Write the property files of a folder of any data product; with them it can be opened."""
    for name in ("properties", "hats.properties"):
        _write_properties(root / name, properties, "HATS catalog")


def _write_properties(path: Path, properties: Mapping[str, Any], comment: str) -> None:
    """Write a Java properties file; members of a list are set apart by blanks.

    Its checksum is in a comment: LSDB repeats all properties of a catalog in the files of what it makes of it.
    """
    from jproperties import Properties

    listed = Properties()
    for key, value in properties.items():
        listed[key] = " ".join(value) if isinstance(value, list | tuple) else str(value)
    file = io.BytesIO()
    comments = f"{comment}\n{TEXT_KEY}: {TEXT_BLANK}"
    listed.store(file, initial_comments=comments, encoding="utf-8", timestamp=False)
    _write(path, sealed_text(file.getvalue()))


def properties_stamp() -> dict[str, str]:
    """Return the properties that say who wrote a data product, when, and by which version of the format."""
    from datetime import UTC, datetime
    from importlib.metadata import version

    return {
        "hats_builder": f"{BUILDER} v{version('lsdb_ts')}",
        "hats_creation_date": datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%MUTC"),
        "hats_release_date": "2025-08-22",
        "hats_version": "v1.0",
    }


def _write_common_metadata(root: Path, schema: pa.Schema) -> None:
    with atomic(root / "dataset" / "_common_metadata") as temporary:
        pq.write_metadata(voparquet(schema), temporary)
        seal(temporary)


def _write_footers(root: Path, info: CatalogInfo, leaves: Sequence[Leaf], statistics: Statistics) -> None:
    """Write ``_metadata`` (all footers) and the statistics in them, unless they are too long to be of use."""
    if not leaves:
        with atomic(root / "dataset" / "_metadata") as temporary:
            pq.write_metadata(info.schema, temporary)
            seal(temporary)
    if not 0 < len(leaves) <= _METADATA_FILES_LIMIT:
        return
    merged, size = None, 0
    # HATS orders the footers breadth first: coarse pixels before fine ones.
    pixels = sorted((leaf.pixel for leaf in leaves), key=lambda pixel: (pixel.order, pixel.number))
    files = [(pixel, path) for pixel in pixels for path in leaf_files(root, pixel, info.suffix)]
    for pixel, path in files:
        metadata = pq.read_metadata(path)
        statistics.add(pixel, metadata)
        size += metadata.serialized_size
        metadata.set_file_path(path.relative_to(root / "dataset").as_posix())
        # Those of the other files will be as long.
        if max(size, metadata.serialized_size * len(files)) > _METADATA_BYTES_LIMIT:
            merged = None
        elif size == metadata.serialized_size:
            merged = metadata
        elif merged is not None:
            merged.append_row_groups(metadata)
    if merged is not None:
        with atomic(root / "dataset" / "_metadata") as temporary:
            merged.write_metadata_file(temporary)
            seal(temporary)
    if (table := statistics.table()) is not None:
        _write_small(root / STATISTICS, table)


def _write_thumbnail(root: Path, info: CatalogInfo, leaves: Sequence[Leaf]) -> None:
    _write_small(root / THUMBNAIL, thumbnail(root, leaves, info.schema, info.suffix))


def _write_small(path: Path, table: pa.Table) -> None:
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
        seal(temporary)


def _partition_info(layout: Layout) -> bytes:
    return ("Norder,Npix\n" + "".join(f"{p.order},{p.number}\n" for p in layout)).encode()


def _write(path: Path, content: bytes) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(content)
