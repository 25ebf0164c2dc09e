"""The raw tables that repartitions are measured on: drawn once, written unsorted in many files; nothing is timed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CROWDED = 0.3
"""So many rows lie in a tenth of a percent of the sky, the others everywhere."""
BANDS = np.array(list("ugrizy"))
PART_ROWS = 1_000_000
"""Rows that are drawn at once; also a row group."""


def sources(folder: Path, rows: int, files: int = 10) -> list[str]:
    """Return files of sources of 10 columns in any order: ids, position, time, two magnitudes, band, flags."""
    return _written(folder, rows, files, _sources)


def wide(folder: Path, rows: int, files: int = 10) -> list[str]:
    """Return files of a table of 20 columns: an id, a position, 8 more float64, 8 float32, and one of small numbers."""
    return _written(folder, rows, files, _wide)


def objects_and_sources(folder: Path, objects: int, each: int, files: int = 10) -> tuple[list[str], list[str]]:
    """Return files of objects, and of ``each`` sources for every object, both in any order."""
    rng = np.random.default_rng(11)
    ra, dec = _positions(rng, objects)
    ids = rng.permutation(objects) + 10**12

    def observed(seed: int, n: int, first: int) -> pa.Table:
        drawn = np.random.default_rng(seed)
        of = drawn.integers(0, objects, n)
        return _sources(drawn, n, first, ids[of], ra[of] + drawn.normal(0, 2e-5, n), dec[of] + drawn.normal(0, 2e-5, n))

    def seen(seed: int, n: int, first: int) -> pa.Table:
        part = slice(first, first + n)
        drawn = np.random.default_rng(seed)
        bright = {f"mag_{band}": drawn.normal(21, 2, n).astype("f4") for band in BANDS}
        return pa.table({"objectId": ids[part], "ra": ra[part], "dec": dec[part], **bright})

    return _parts(folder / "object", objects, files, seen), _parts(folder / "source", objects * each, files, observed)


def _written(folder: Path, rows: int, files: int, draw) -> list[str]:
    def part(seed: int, n: int, first: int) -> pa.Table:
        rng = np.random.default_rng(seed)
        return draw(rng, n, first, rng.integers(0, rows // 20 + 1, n) + 10**12, *_positions(rng, n))

    return _parts(folder, rows, files, part)


def _parts(folder: Path, rows: int, files: int, part) -> list[str]:
    """Write files a part at a time, two at the same time; those that are there stay."""
    edges = np.linspace(0, rows, files + 1).astype(int).tolist()
    paths = [folder / f"{i:02d}.parquet" for i in range(files)]
    folder.mkdir(parents=True, exist_ok=True)

    def write(i: int) -> None:
        if paths[i].exists():
            return
        temporary, writer = paths[i].with_suffix(".part"), None
        for first, n in _stretches(edges[i], edges[i + 1]):
            table = part(1_000_003 * i + first, n, first)
            writer = writer or pq.ParquetWriter(temporary, table.schema)
            writer.write_table(table, row_group_size=PART_ROWS)
        writer.close()
        temporary.rename(paths[i])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(files)))
    return [str(path) for path in paths]


def _stretches(start: int, stop: int) -> Iterator[tuple[int, int]]:
    for first in range(start, stop, PART_ROWS):
        yield first, min(PART_ROWS, stop - first)


def _positions(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    crowd = rng.random(n) < CROWDED
    ra[crowd], dec[crowd] = rng.uniform(50, 57, crowd.sum()), rng.uniform(-31, -25, crowd.sum())
    return ra, dec


def _sources(rng: np.random.Generator, n: int, first: int, parents: np.ndarray, ra, dec) -> pa.Table:
    return pa.table(
        {
            "sourceId": rng.permutation(n) + first + 10**15,
            "objectId": parents,
            "ra": np.mod(ra, 360.0),
            "dec": np.clip(dec, -90, 90),
            "mjd": rng.uniform(60_000, 63_650, n),
            "mag": rng.normal(21, 2, n).astype("f4"),
            "magErr": rng.exponential(0.05, n).astype("f4"),
            "flux": rng.lognormal(7, 1, n),
            "band": pa.array(BANDS[rng.integers(0, 6, n)]),
            "flags": rng.integers(0, 1 << 12, n).astype("i4"),
        }
    )


def _wide(rng: np.random.Generator, n: int, first: int, parents: np.ndarray, ra, dec) -> pa.Table:
    doubles = {f"value_{i}": rng.normal(size=n) for i in range(8)}
    floats = {f"mag_{i}": rng.normal(21, 2, n).astype("f4") for i in range(8)}
    flags = rng.integers(0, 1 << 12, n).astype("i4")
    return pa.table({"id": rng.permutation(n) + first, "ra": ra, "dec": dec, **doubles, **floats, "flags": flags})
