"""The catalogs that crossmatches are measured on: drawn, written by our partitioner, shuffled; nothing is timed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.sky.pixel import MAX_ORDER, cell_of, centre, spatial_index
from lsdb_ts.testing import perturbed
from partitioner import Survey, run

ROOT = Path(__file__).resolve().parents[1]
ORDER = 6
ROWS_PER_PIXEL = 250_000
"""3e5 rows per square degree, and pixels of a quarter of a million rows."""
FIRST_PIXEL = 208 << 2
"""From here on sixteen share their parent at order 4; declinations of 25 to 32 degrees."""
SHARED = 0.7
"""Of the right rows, so many are left rows seen again, 0.2 arcsec off along each axis."""
MARGIN_ARCSEC = 5.0
BANDS = "ugrizy"


def pair_of_catalogs(folder: Path, rows: int, orders_differ: bool = False) -> tuple[Path, Path]:
    """Return two collections of 20 columns, sorted, of ``rows`` rows each.

    Where their orders differ, left pixels are of order 8 and right ones of order 5 (from four million rows on).
    """
    made = folder / "left", folder / "right"
    if all((path / "collection.properties").exists() for path in made):
        return made
    raw = draw(folder / "raw", rows)
    limits = (ROWS_PER_PIXEL * 6 // 5,) * 2 if not orders_differ else (ROWS_PER_PIXEL // 12, ROWS_PER_PIXEL * 5)
    for path, files, limit in zip(made, raw, limits, strict=True):
        run(_survey(files, limit, path.name), path, show=False)
    shutil.rmtree(folder / "raw")
    return made


def _survey(files: list[str], max_rows: int, name: str) -> Survey:
    return Survey.of_single_table(files, "ra", "dec", name, max_rows=max_rows, margin_arcsec=MARGIN_ARCSEC)


def draw(folder: Path, rows: int) -> tuple[list[str], list[str]]:
    """Write unsorted files of both sides, four pixels a file."""
    lists: tuple[list[str], list[str]] = ([], [])
    for number, sides in enumerate(_blocks(rows)):
        for name, files, table in zip("ab", lists, sides, strict=True):
            path = folder / name / f"{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path, compression="lz4")
            files.append(str(path))
    return lists


def _blocks(rows: int) -> Iterator[tuple[pa.Table, pa.Table]]:
    block = 4 * ROWS_PER_PIXEL
    for start in range(0, rows, block):
        n = min(block, rows - start)
        rng = np.random.default_rng(start)
        pixels = FIRST_PIXEL + (start + np.arange(n)) // ROWS_PER_PIXEL
        ra, dec = _inside(rng, pixels)
        other = _inside(rng, pixels)
        seen = perturbed(ra, dec, 0.2, seed=start + 1)
        # No row leaves the patch: a few in pixels of their own would be partitions of a few rows.
        again = (rng.random(n) < SHARED) & (cell_of(spatial_index(*seen), ORDER) == pixels)
        right = tuple(np.where(again, here, there) for here, there in zip(seen, other, strict=True))
        mixed = rng.permutation(n)
        yield _table(rng, ra, dec, start), _table(rng, *(side[mixed] for side in right), 10**12 + start)


def _inside(rng: np.random.Generator, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shift = 2 * (MAX_ORDER - ORDER)
    return centre((pixels.astype(np.int64) << shift) + rng.integers(0, 1 << shift, pixels.size), MAX_ORDER)


def _table(rng: np.random.Generator, ra: np.ndarray, dec: np.ndarray, first_id: int) -> pa.Table:
    """Return 20 columns: an id, 5 float64, 11 float32, two small integers and a flag, and one of text."""
    n = ra.size
    mixed = rng.permutation(n)
    magnitudes = {f"{band}_mag": rng.normal(21, 2, n).astype(np.float32) for band in BANDS}
    errors = {f"{band}_mag_error": rng.exponential(0.05, n).astype(np.float32) for band in BANDS[1:4]}
    columns = {
        "id": np.arange(n) + first_id,
        "ra": ra,
        "dec": dec,
        "ra_error": rng.exponential(0.1, n).astype(np.float32),
        "dec_error": rng.exponential(0.1, n).astype(np.float32),
        "pmra": rng.normal(0, 5, n),
        "pmdec": rng.normal(0, 5, n),
        "parallax": rng.exponential(1, n),
        **magnitudes,
        **errors,
        "flags": rng.integers(0, 1 << 12, n).astype(np.int32),
        "class": np.array(["star", "galaxy", "quasar", "unknown"], dtype=object)[rng.integers(0, 4, n)],
        "is_variable": rng.random(n) < 0.02,
    }
    return pa.table({name: pa.array(values[mixed]) for name, values in columns.items()})


def four_columns(folder: Path, rows: int, rows_per_file: int) -> Path:
    """Return a collection of id, position and magnitude in partitions of order 5."""
    made = folder / "first"
    if (made / "collection.properties").exists():
        return made
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    files = []
    for number, (table, _) in enumerate(_blocks(rows)):
        files.append(str(folder / "raw" / f"{number}.parquet"))
        pq.write_table(table.select(["id", "ra", "dec", "r_mag"]).rename_columns(["id", "ra", "dec", "mag"]), files[-1])
    run(_survey(files, rows_per_file, "first"), made, show=False)
    shutil.rmtree(folder / "raw")
    return made


def copies(collection: Path, n: int) -> list[Path]:
    """Return a collection and copies of it beside it, each with files of its own."""
    found = [collection, *(collection.with_name(f"copy_{i}") for i in range(1, n))]
    for path in found:
        if not path.exists():
            shutil.copytree(collection, path.with_name("copying"))
            path.with_name("copying").rename(path)
    return found


def unsorted(collection: Path, out: Path) -> Path:
    """Copy a collection with the rows of every file shuffled into one row group, as LSDB leaves those of a table."""
    if (out / "collection.properties").exists():
        return out
    shutil.copytree(collection, out.with_name("copying"))
    for path in out.with_name("copying").rglob("Npix=*.parquet"):
        table = pq.read_table(path, partitioning=None)
        table = table.take(pa.array(np.random.default_rng(0).permutation(table.num_rows)))
        floats = [f.name for f in table.schema if pa.types.is_floating(f.type)]
        others = [f.name for f in table.schema if f.name not in floats]
        pq.write_table(
            table,
            path,
            row_group_size=max(table.num_rows, 1),
            compression="zstd",
            compression_level=3,
            use_dictionary=others,
            column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        )
    # It tells of the row groups that were.
    for path in out.with_name("copying").rglob("_metadata"):
        path.unlink()
    out.with_name("copying").rename(out)
    return out


def wide_pair(folder: Path, rows: int, columns: int) -> tuple[Path, Path]:
    """Return two collections of ``columns`` columns each, all but id and position float32."""
    made = folder / "left", folder / "right"
    if all((path / "collection.properties").exists() for path in made):
        return made
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    for path, table in zip(made, next(_blocks(rows)), strict=True):
        wide = table.select(["id", "ra", "dec"])
        for i in range(columns - 3):
            wide = wide.append_column(f"value_{i}", pa.array(rng.normal(size=rows).astype(np.float32)))
        file = folder / "raw" / f"{path.name}.parquet"
        pq.write_table(wide, file)
        run(_survey([str(file)], rows, path.name), path, show=False)
    shutil.rmtree(folder / "raw")
    return made


def bytes_at_rest(collection: Path, columns: list[str]) -> int:
    """Return the compressed bytes of some columns in the partitions of a collection, margin not included."""
    from lsdb_ts.store.hats import open_hats

    total = 0
    for path in sorted(open_hats(collection).path.glob("dataset/Norder=*/Dir=*/Npix=*.parquet")):
        metadata = pq.read_metadata(path)
        for g in range(metadata.num_row_groups):
            chunks = [metadata.row_group(g).column(c) for c in range(metadata.num_columns)]
            total += sum(c.total_compressed_size for c in chunks if c.path_in_schema in columns)
    return total
