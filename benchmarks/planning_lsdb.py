"""How long LSDB takes to plan a crossmatch of given layouts; runs in its environment, for planning.py.

    python planning_lsdb.py LAYOUTS.npz

Catalogs with a listing and a schema but no rows are enough to plan on.
"""

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import lsdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hats.catalog import PartitionInfo, TableProperties
from hats.pixel_math import HealpixPixel


def catalog(folder: Path, name: str, orders: np.ndarray, numbers: np.ndarray) -> lsdb.Catalog:
    path = folder / name
    (path / "dataset").mkdir(parents=True)
    pixels = [HealpixPixel(int(o), int(n)) for o, n in zip(orders, numbers, strict=True)]
    PartitionInfo.from_healpix(pixels).write_to_file(path / "partition_info.csv")
    schema = pa.schema([("_healpix_29", pa.int64()), *((c, pa.float64()) for c in ("ra", "dec", "mag"))])
    pq.write_metadata(schema, path / "dataset" / "_common_metadata")
    TableProperties(
        catalog_name=name, catalog_type="object", total_rows=len(pixels), ra_column="ra", dec_column="dec"
    ).to_properties_file(path)
    return lsdb.open_catalog(path)


def main() -> None:
    # Without margins, which would only add to the work: LSDB warns of lost pairs.
    warnings.simplefilter("ignore")
    arrays = np.load(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        for leaves in (20, None):
            left, right = (
                catalog(
                    Path(folder) / str(leaves), s, *(arrays[f"{s}_{what}"][:leaves] for what in ("orders", "numbers"))
                )
                for s in ("a", "b")
            )
            start = time.perf_counter()
            matched = left.crossmatch(right, radius_arcsec=1.0, suffixes=("_a", "_b"))
            graph = matched.to_delayed()[0].__dask_graph__()
            seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "partitions": matched.npartitions, "tasks": len(graph)}))


if __name__ == "__main__":
    main()
