"""Small surveys on hard skies for the tests of the repartitioner."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.schema import with_unit
from lsdb_ts.testing import hard_sky
from partitioner import Survey
from tests.partitioner.runs import copied, digest, small_plan

TOML = """
name = "sim"
profile = "rubin"

[tables.object]
files = "object-*.parquet"
max_rows = {max_rows}
margin_arcsec = 20
nest = {{ source = "lc", forced_source = "forced" }}

[tables.source]
files = ["source-*.parquet"]
standalone = true
max_rows = 900
margin_arcsec = 5

[tables.forced_source]
files = "forced_source-*.parquet"
"""


@dataclass(frozen=True)
class Raw:
    """A raw survey in a folder, and what is in it."""

    folder: Path
    objects: pa.Table
    sources: pa.Table
    forced: pa.Table

    @property
    def survey(self) -> Survey:
        return Survey.read(self.folder / "survey.toml")


def child_rows(rng: np.random.Generator, parents: pa.Table, n: int, id_column: str, orphans: int) -> pa.Table:
    """Draw child rows: some over a pixel's edge from their object, times that repeat, the last objects without any."""
    picked = rng.integers(0, parents.num_rows - 20, n)
    owner = parents.column("objectId").to_numpy()[picked]
    owner[rng.permutation(n)[:orphans]] = 77_000 + np.arange(orphans)
    ra = np.mod(parents.column("coord_ra").to_numpy()[picked] + rng.normal(0, 1e-4, n), 360.0)
    dec = np.clip(parents.column("coord_dec").to_numpy()[picked] + rng.normal(0, 1e-4, n), -90, 90)
    flux = with_unit(pa.field("psfFlux", pa.float32()), "nJy")
    fields = [
        *[(id_column, pa.int64()), ("objectId", pa.int64()), ("coord_ra", pa.float64()), ("coord_dec", pa.float64())],
        *[("midpointMjdTai", pa.float64()), ("band", pa.string()), flux, ("psfFluxErr", pa.float32())],
    ]
    columns = [
        *[rng.permutation(n) + 10**15, owner, ra, dec],
        *[rng.integers(60_000, 60_200, n) * 1.0, np.array(list("ugrizy"))[rng.integers(0, 6, n)]],
        *[rng.normal(1000, 10, n).astype("f4"), rng.uniform(1, 2, n).astype("f4")],
    ]
    return pa.table([pa.array(c) for c in columns], schema=pa.schema(fields))


def split(table: pa.Table, folder: Path, name: str, files: int) -> None:
    for i in range(files):
        edges = [table.num_rows * k // files for k in (i, i + 1)]
        pq.write_table(table.slice(edges[0], edges[1] - edges[0]), folder / f"{name}-{i}.parquet", row_group_size=700)


@pytest.fixture(scope="session")
def make_raw() -> Callable[..., Raw]:
    """Return a function that writes a raw survey."""

    def make(folder: Path, n: int = 300, max_rows: int = 15, seed: int = 0) -> Raw:
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        ra, dec = hard_sky(n, seed)
        mag = with_unit(pa.field("g_psfMag", pa.float32()), "mag")
        schema = pa.schema([("objectId", pa.int64()), ("coord_ra", pa.float64()), ("coord_dec", pa.float64()), mag])
        ids, mags = rng.permutation(n) * 977 + 10**12, rng.normal(20, 1, n).astype("f4")
        objects = pa.table([pa.array(c) for c in (ids, ra, dec, mags)], schema=schema)
        sources = child_rows(rng, objects, 6 * n, "sourceId", orphans=7)
        forced = child_rows(rng, objects, 9 * n, "forcedSourceId", orphans=11)
        split(objects, folder, "object", 3)
        split(sources, folder, "source", 4)
        split(forced, folder, "forced_source", 2)
        (folder / "survey.toml").write_text(TOML.format(max_rows=max_rows))
        return Raw(folder, objects, sources, forced)

    return make


@pytest.fixture(scope="session")
def raw(make_raw, tmp_path_factory) -> Raw:
    """One raw survey for all tests that do not change it."""
    return make_raw(tmp_path_factory.mktemp("raw"))


@pytest.fixture(scope="session")
def finished(raw, tmp_path_factory) -> Path:
    """The same survey, repartitioned; not to be changed."""
    from partitioner import run

    out = tmp_path_factory.mktemp("finished") / "sim"
    run(raw.survey, out)
    return out


@pytest.fixture(scope="session")
def stored(raw, tmp_path_factory) -> Path:
    """A plan of many small pieces that nobody has begun to carry out; not to be changed."""
    return small_plan(raw.survey, tmp_path_factory.mktemp("stored") / "sim")


@pytest.fixture(scope="session")
def whole(stored, tmp_path_factory) -> dict[str, str]:
    """Hashes of the files that an undisturbed run of it ends in."""
    from partitioner import run

    out = copied(stored, tmp_path_factory.mktemp("whole") / "sim")
    run(out)
    return digest(out)


@pytest.fixture
def disk(tmp_path) -> Iterator[Callable[[int], Path]]:
    """Return a function that makes a disk of so many KiB, and then a larger one of it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = []

    def size(kib):
        options = f"{'remount,' if mounted else ''}size={kib}k"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip("this user may not make disks")
        mounted.append(folder)
        return folder

    yield size
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., pa.Table]:
    """Return a function that reads all rows of a catalog, leaf by leaf."""
    from lsdb_ts.store.hats import open_hats
    from lsdb_ts.store.read import read_rows

    def rows(path: Path, margin: bool = False) -> pa.Table:
        catalog = open_hats(path).margin if margin else open_hats(path)
        names = catalog.schema.names
        return pa.concat_tables([read_rows(catalog.leaf_path(pixel), names) for pixel in catalog.layout])

    return rows
