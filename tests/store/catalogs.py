"""Small catalogs on disk for the tests of the store: ours, and foreign ones written the way other builders do."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Layout, Pixel, halo_members, spatial_index
from lsdb_ts.sky.pixel import cell_of
from lsdb_ts.store.finish import CatalogInfo, finish_catalog, finish_collection
from lsdb_ts.store.partition import sorted_by_place
from lsdb_ts.store.seal import TEXT_KEY
from lsdb_ts.store.write import leaf_path, write_leaf
from lsdb_ts.testing.skies import hard_sky


def stars(n: int, seed: int) -> pa.Table:
    """Draw a table of a hard sky with a nested column, sorted by place."""
    ra, dec = hard_sky(n, seed)
    rng = np.random.default_rng(seed)
    offsets = pa.array(np.concatenate([[0], np.cumsum(rng.integers(0, 4, n))]).astype(np.int32))
    m = offsets[-1].as_py()
    curves = pa.StructArray.from_arrays(
        [
            pa.ListArray.from_arrays(offsets, pa.array(rng.uniform(60_000, 60_099, m))),
            pa.ListArray.from_arrays(offsets, pa.array(rng.normal(size=m).astype(np.float32))),
        ],
        names=["t", "flux"],
    )
    table = pa.table(
        {
            HEALPIX: pa.array(spatial_index(ra, dec)),
            "id": pa.array(np.arange(n)),
            "ra": pa.array(ra),
            "dec": pa.array(dec),
            "mag": pa.array(rng.uniform(10, 25, n).astype(np.float32), mask=rng.random(n) < 0.1),
            "lc": curves,
        }
    )
    return sorted_by_place(table)


def places(table: pa.Table) -> np.ndarray:
    return table.column(HEALPIX).to_numpy()


def layout_for(table: pa.Table, max_rows: int, order: int = 5) -> Layout:
    cells, counts = np.unique(cell_of(places(table), order), return_counts=True)
    return Layout.from_counts(cells, counts, order, max_rows)


def rows_of_pixel(table: pa.Table, pixel: Pixel) -> pa.Table:
    first, last = np.searchsorted(places(table), [pixel.start, pixel.stop])
    return table.slice(first, last - first)


def write_catalog(root: Path, table: pa.Table, layout: Layout, **info: object) -> Path:
    """Write a finished catalog of ours."""
    named = CatalogInfo(name=root.name, kind="object", schema=table.schema, ra="ra", dec="dec")
    leaves = [write_leaf(rows_of_pixel(table, pixel), root, pixel) for pixel in layout]
    finish_catalog(root, replace(named, **info), leaves)
    return root


def write_collection(root: Path, table: pa.Table, layout: Layout, margin_arcsec: float) -> Path:
    """Write a catalog with its margin, and what makes them one."""
    write_catalog(root / "stars", table, layout)
    members: list[list[pa.Table]] = [[] for _ in layout]
    for home in layout:
        inside = rows_of_pixel(table, home)
        rows, targets = halo_members(places(inside), home, layout, margin_arcsec)
        for t in np.unique(targets).tolist():
            members[t].append(inside.take(pa.array(rows[targets == t])))
    leaves = [
        write_leaf(sorted_by_place(pa.concat_tables(found)), root / "margin", pixel)
        for pixel, found in zip(layout, members, strict=True)
        if found
    ]
    info = CatalogInfo("margin", "margin", table.schema, "ra", "dec", primary="stars", margin_arcsec=margin_arcsec)
    finish_catalog(root / "margin", info, leaves)
    finish_collection(root, "both", "stars", ["margin"])
    return root


def write_foreign(
    root: Path,
    table: pa.Table,
    layout: Layout,
    properties: str = "",
    as_folders: bool = False,
    stored: Callable[[pa.Table], pa.Table] = lambda rows: rows,
) -> Path:
    """Write Parquet files and the least metadata that is a catalog: rows in no order, columns in another in each file.

    ``stored`` says which columns are kept; with ``as_folders`` each leaf is a folder of two files.
    """
    rng = np.random.default_rng(0)
    for pixel in layout:
        rows = stored(rows_of_pixel(table, pixel))
        rows = rows.take(pa.array(rng.permutation(rows.num_rows)))
        rows = rows.select([rows.column_names[i] for i in rng.permutation(rows.num_columns)])
        path = leaf_path(root, pixel, "/" if as_folders else ".parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        if as_folders:
            path.mkdir()
            half = rows.num_rows // 2
            pq.write_table(rows.slice(0, half), path / "0.parquet")
            pq.write_table(rows.slice(half), path / "1.parquet")
        else:
            pq.write_table(rows, path)
    pq.write_metadata(stored(table).schema, root / "dataset" / "_common_metadata")
    text = f"dataproduct_type=object\nobs_collection=foreign\nhats_col_ra=ra\nhats_col_dec=dec\n{properties}"
    (root / "hats.properties").write_text(text + ("\nhats_npix_suffix=/\n" if as_folders else "\n"))
    return root


def unsealed(path: Path) -> str:
    """Return the text of a property file without its checksum, so that it can be changed on purpose."""
    lines = path.read_text().splitlines()
    return "".join(f"{line}\n" for line in lines if TEXT_KEY not in line)
