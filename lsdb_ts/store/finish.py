"""Write the metadata that make partition files a HATS catalog, each file whole or not at all.

Rows are written by the module beside this one. That ``hats`` takes what is written here for valid, the tests check:
importing it takes longer than writing a small catalog.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import MAX_ORDER, N_BASE, Indices
from lsdb_ts.store.skymap import write_skymap
from lsdb_ts.store.write import SKYMAP_ORDER, Leaf, atomic, flush_names, leaf_path

BUILDER = "lsdb_ts"
_METADATA_FILES_LIMIT = 10_000


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
    rows, size = sum(leaf.rows for leaf in done), sum(leaf.bytes for leaf in done)
    (root / "dataset").mkdir(parents=True, exist_ok=True)
    skymap_order, cells, counts = _skymap(done)
    with ThreadPoolExecutor(thread_name_prefix="finish") as pool:
        # Each waits for the disk: together they wait once.
        written = [
            pool.submit(flush_names, {leaf_path(root, leaf.pixel).parent for leaf in done}),
            pool.submit(_write_parquet_metadata, root, info.schema, done),
            pool.submit(_write_partition_info, root, layout),
            *(
                pool.submit(write_skymap, root / n, skymap_order, cells, counts)
                for n in ("skymap.fits", "point_map.fits")
            ),
        ]
    for each in written:
        each.result()
    properties = {
        "obs_collection": info.name,
        "dataproduct_type": info.kind,
        "hats_nrows": rows,
        **({"hats_col_ra": info.ra, "hats_col_dec": info.dec} if info.ra else {}),
        "hats_col_healpix": HEALPIX,
        "hats_col_healpix_order": MAX_ORDER,
        "hats_npix_suffix": ".parquet",
        "hats_skymap_order": skymap_order,
        "hats_order": int(layout.orders.max()) if len(layout) else 0,
        "hats_max_rows": max((leaf.rows for leaf in done), default=0),
        "hats_estsize": max(1, size >> 10),
        "moc_sky_fraction": cells.size / (N_BASE << (2 * skymap_order)),
        **({"hats_primary_table_url": info.primary} if info.primary else {}),
        **({"hats_margin_threshold": info.margin_arcsec} if info.margin_arcsec else {}),
        **({"hats_cols_default": list(info.default_columns)} if info.default_columns else {}),
        **properties_stamp(),
        **info.extra,
    }
    write_properties(root, properties)


def finish_collection(root: Path, name: str, primary: str, margins: Sequence[str]) -> None:
    """Write ``collection.properties``: the folder then opens as its primary catalog with its margin."""
    margin = {"all_margins": list(margins), "default_margin": margins[0]} if margins else {}
    write_collection(root, {"obs_collection": name, "hats_primary_table_url": primary, **margin, **properties_stamp()})


def write_collection(root: Path, properties: Mapping[str, Any]) -> None:
    """Write the property file of a collection."""
    _write_properties(root / "collection.properties", properties, "HATS Collection")


def write_properties(root: Path, properties: Mapping[str, Any]) -> None:
    """Write the property files of a folder of any data product; with them it can be opened."""
    for name in ("properties", "hats.properties"):
        _write_properties(root / name, properties, "HATS catalog")


def _write_properties(path: Path, properties: Mapping[str, Any], comment: str) -> None:
    """Write a Java properties file; members of a list are set apart by blanks."""
    from jproperties import Properties

    listed = Properties()
    for key, value in properties.items():
        listed[key] = " ".join(value) if isinstance(value, list | tuple) else str(value)
    with atomic(path) as temporary, temporary.open("wb") as file:
        listed.store(file, initial_comments=comment, encoding="utf-8", timestamp=False)


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


def _write_parquet_metadata(root: Path, schema: pa.Schema, leaves: Sequence[Leaf]) -> None:
    """Write ``_common_metadata``, and ``_metadata`` (all footers) unless the files are too many for it to be of use."""
    dataset = root / "dataset"
    with atomic(dataset / "_common_metadata") as temporary:
        pq.write_metadata(schema, temporary)
    if not 0 < len(leaves) <= _METADATA_FILES_LIMIT:
        return
    footers = []
    # HATS orders the footers breadth first: coarse pixels before fine ones.
    for leaf in sorted(leaves, key=lambda leaf: (leaf.pixel.order, leaf.pixel.number)):
        path = leaf_path(root, leaf.pixel)
        metadata = pq.read_metadata(path)
        metadata.set_file_path(path.relative_to(dataset).as_posix())
        footers.append(metadata)
    with atomic(dataset / "_metadata") as temporary:
        first = footers[0]
        for metadata in footers[1:]:
            first.append_row_groups(metadata)
        first.write_metadata_file(temporary)


def _skymap(leaves: Sequence[Leaf]) -> tuple[int, Indices, Indices]:
    """Return order, occupied cells and the rows in each, at the finest order all leaves were counted at."""
    order = min((leaf.skymap_order for leaf in leaves), default=0)
    order = min(order, SKYMAP_ORDER)
    counted = [(cell >> (2 * (leaf.skymap_order - order)), rows) for leaf in leaves for cell, rows in leaf.skymap]
    pairs = np.array(counted, dtype=np.int64).reshape(-1, 2)
    cells, place = np.unique(pairs[:, 0], return_inverse=True)
    rows = np.zeros(cells.size, dtype=np.int64)
    np.add.at(rows, place, pairs[:, 1])
    return order, cells, rows


def _write_partition_info(root: Path, layout: Layout) -> None:
    listed = "".join(f"{p.order},{p.number}\n" for p in layout)
    with atomic(root / "partition_info.csv") as temporary:
        temporary.write_text("Norder,Npix\n" + listed)
