"""The work of the benchmarks as polars does it, in an environment of its own: sorted pixels and no more."""

import shutil
from pathlib import Path

from meter import Measured, measured, serve


def repartition(files: list, out: str, order: int) -> Measured:
    """Write the rows of each pixel of one order to a file of its own, sorted by their place; no metadata, no margin."""
    import polars as pl

    shutil.rmtree(out, ignore_errors=True)
    Path(out).mkdir(parents=True)
    place = pl.struct("ra", "dec").map_batches(_place, return_dtype=pl.Int64)
    with measured() as found:
        rows = pl.scan_parquet(files).with_columns(place.alias("_healpix_29"))
        rows = rows.with_columns((pl.col("_healpix_29") // 4 ** (29 - order)).alias("Npix")).sort("_healpix_29")
        rows.sink_parquet(
            pl.PartitionBy(out, key="Npix", include_key=False, approximate_bytes_per_file=None),
            compression="zstd",
            compression_level=3,
            mkdir=True,
        )
    return found


def _place(positions):
    import numpy as np
    import polars as pl
    from healpix_geo import nested

    ra, dec = (positions.struct.field(name).to_numpy() for name in ("ra", "dec"))
    return pl.Series(nested.lonlat_to_healpix(ra, dec, 29, num_threads=1).astype(np.int64))


if __name__ == "__main__":
    serve({"repartition": repartition})
