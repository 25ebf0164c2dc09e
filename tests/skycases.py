"""Small catalogs on hard skies, in memory and on disk, in several layouts; what is asked of them the tests say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from lsdb_ts.catalog import Catalog, open_catalog
from lsdb_ts.plan.scan import Scan
from lsdb_ts.sky import halo_members
from lsdb_ts.store.finish import CatalogInfo, finish_catalog, finish_collection
from lsdb_ts.store.memory import MemorySource
from lsdb_ts.store.write import write_leaf
from lsdb_ts.testing import hard_sky, perturbed

N = 4000


def objects_table(n: int = N, seed: int = 1) -> pa.Table:
    ra, dec = hard_sky(n, seed)
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "objectId": np.arange(n),
            "ra": ra,
            "dec": dec,
            "mag": rng.uniform(15, 25, n),
            "junk": rng.normal(size=n),
        }
    )


def neighbours_table(of: pa.Table, sigma_arcsec: float = 0.5, seed: int = 2) -> pa.Table:
    ra, dec = perturbed(of["ra"].to_numpy(), of["dec"].to_numpy(), sigma_arcsec, seed)
    n = len(ra)
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "starId": np.arange(n) + 10_000,
            "ra": ra,
            "dec": dec,
            "gmag": rng.uniform(10, 20, n),
            "junk": rng.normal(size=n),
        }
    )


def in_memory(table: pa.Table, name: str, max_rows: int = 500_000) -> Catalog:
    return Catalog(Scan(MemorySource.of_table(table, "ra", "dec", name, max_rows)))


def on_disk(folder: Path, table: pa.Table, name: str, max_rows: int, margin_arcsec: float | None = None) -> Catalog:
    """Write a catalog, with a stored margin if asked, and open it."""
    catalog = in_memory(table, name, max_rows)
    primary = catalog.write(folder / name)
    if margin_arcsec is None:
        return primary
    layout, schema = catalog.layout, primary.plan.source.catalog.schema
    rows: dict[int, list[pa.Table]] = {}
    for pixel in layout:
        home = catalog.partitions[pixel].to_arrow()
        members, places = halo_members(home["_healpix_29"].to_numpy(), pixel, layout, margin_arcsec)
        for place in np.unique(places):
            rows.setdefault(int(place), []).append(home.take(members[places == place]))
    root = folder / f"{name}_margin"
    leaves = [
        write_leaf(pa.concat_tables(found).sort_by("_healpix_29").cast(schema), root, layout[place])
        for place, found in rows.items()
    ]
    finish_catalog(root, CatalogInfo(root.name, "margin", schema, "ra", "dec", name, margin_arcsec), leaves)
    finish_collection(folder, name, name, [root.name])
    return open_catalog(folder)
