"""A pixel that is too large for a worker is computed in finer ones, and is the same pixel."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.explain import peak
from lsdb_ts.plan.fitting import fitting
from lsdb_ts.plan.forecast import BUFFERS_BYTES
from lsdb_ts.plan.node import whole
from lsdb_ts.run import budget, execute
from lsdb_ts.sky import Pixel
from lsdb_ts.store import write
from lsdb_ts.store.write import leaf_path
from tests.skycases import in_memory, neighbours_table, on_disk

N = 60_000
MiB = 1 << 20


def field(n=N, seed=1):
    """Return rows in one pixel of order 3."""
    rng = np.random.default_rng(seed)
    ra, dec = 45 + rng.uniform(-2, 2, n), 4.8 + rng.uniform(-2, 2, n)
    return pa.table({"objectId": np.arange(n), "ra": ra, "dec": dec, "mag": rng.uniform(15, 25, n)})


@pytest.fixture
def catalogs(tmp_path, monkeypatch):
    """Two catalogs of a leaf or few, cut into many row groups."""
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 2_000)
    left = on_disk(tmp_path, field(), "left", N)
    right = on_disk(tmp_path, neighbours_table(field()), "right", N, margin_arcsec=20.0)
    return left, right


@pytest.fixture
def produced(monkeypatch):
    """The pixels that were computed."""
    seen = []
    produce = execute.produce

    def noting(node, demand, shelf=None):
        seen.append(demand.pixel)
        return produce(node, demand, shelf)

    monkeypatch.setattr(execute, "produce", noting)
    return seen


def needed(catalog):
    """Return the memory that the largest pixel is expected to take."""
    demand = whole(catalog.plan)
    return max(peak(catalog.plan, demand.at(p)) for p in demand.pixels)


def part_of(share, bytes_):
    """Return a part of what some work takes, beyond what any takes."""
    return BUFFERS_BYTES + int(share * (bytes_ - BUFFERS_BYTES))


def limited(monkeypatch, bytes_):
    monkeypatch.setattr(budget, "memory_per_task", lambda: bytes_)


CASES = {
    "rows": lambda left, right: left.query("mag < 24"),
    "match": lambda left, right: left.crossmatch(right, 2.0, suffixes=("", "_right"), how="left"),
    "new column": lambda left, right: left.assign(bright=left["mag"] < 20),
    "function of rows": lambda left, right: left.map_partitions(lambda f: f.assign(flux=-f["mag"]), rowwise=True),
}


@pytest.mark.parametrize("case", CASES)
def test_a_pixel_cut_for_want_of_memory_has_the_same_rows_and_counts(catalogs, monkeypatch, produced, tmp_path, case):
    result = CASES[case](*catalogs)
    expected, counted = result.to_arrow(progress=False), result.account(progress=False)
    at_once = len(produced)
    limited(monkeypatch, part_of(0.8, needed(result)))
    produced.clear()
    written = result.write(tmp_path / "out", progress=False)
    assert len(produced) > at_once // 2
    assert len(produced) > result.npartitions
    assert written.npartitions == len(
        {p.parent(q.order) for p in produced for q in written.layout if q.order <= p.order}
    )
    assert written.to_arrow(progress=False).cast(expected.schema).equals(expected)
    assert result.to_arrow(progress=False).equals(expected)
    assert result.account(progress=False) == counted


def test_pieces_are_the_coarsest_that_fit_and_tile_the_pixel(catalogs):
    plan = catalogs[0].plan
    demand = whole(plan)
    pixel = max(demand.pixels, key=lambda p: peak(plan, demand.at(p)))
    limit = part_of(0.9, peak(plan, demand.at(pixel)))
    parts = fitting(plan, demand.at(pixel), limit)
    assert len(parts) > 3
    assert [parts[0].start, parts[-1].stop] == [pixel.start, pixel.stop]
    assert all(a.stop == b.start for a, b in itertools.pairwise(parts))
    assert all(peak(plan, demand.at(p)) <= limit for p in parts)
    assert all(peak(plan, demand.at(p.parent(p.order - 1))) > limit for p in parts)
    assert fitting(plan, demand.at(pixel), np.inf) == [pixel]


def test_rows_in_one_corner_are_cut_as_deep_as_they_lie(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 2_000)
    rng = np.random.default_rng(3)
    near = pa.table({"ra": 45 + rng.uniform(0, 1e-3, N), "dec": 4.8 + rng.uniform(0, 1e-3, N), "x": np.arange(N)})
    far = pa.table({"ra": [45.9], "dec": [5.4], "x": [N]})
    catalog = on_disk(tmp_path, pa.concat_tables([near, far]), "corner", 2 * N)
    demand = whole(catalog.plan)
    pixel = demand.pixels[0]
    limit = part_of(0.9, peak(catalog.plan, demand.at(pixel)))
    parts = fitting(catalog.plan, demand.at(pixel), limit)
    assert max(p.order for p in parts) > pixel.order + 5
    assert len(parts) < 100
    assert all(peak(catalog.plan, demand.at(p)) <= limit for p in parts)


def test_what_sees_whole_partitions_or_whole_row_groups_is_not_cut(tmp_path, monkeypatch, catalogs):
    ranked = catalogs[0].map_partitions(lambda f: f.assign(rank=f["mag"].rank()))
    limited(monkeypatch, part_of(0.8, needed(ranked)))
    with pytest.raises(PlanError, match="the largest piece of work needs about"):
        ranked.to_arrow(progress=False)
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", N)
    solid = on_disk(tmp_path / "solid", field(), "solid", N)
    limited(monkeypatch, part_of(0.4, needed(solid)))
    with pytest.raises(PlanError, match="repartition with a smaller --max-rows"):
        solid.to_arrow(progress=False)


@pytest.mark.parametrize("bytes_", [1000, BUFFERS_BYTES, BUFFERS_BYTES + 1000])
def test_a_worker_with_next_to_no_memory_is_told_so_at_once(catalogs, monkeypatch, bytes_):
    limited(monkeypatch, bytes_)
    left, right = catalogs
    for each in (left, left.crossmatch(right, 2.0), in_memory(field(), "m")):
        with pytest.raises(PlanError, match="the largest piece of work needs about"):
            each.to_arrow(progress=False)


def test_a_table_in_memory_is_cut_too_and_an_empty_pixel_is_no_file(monkeypatch, tmp_path):
    catalog = in_memory(field(), "m").query("mag < 0")
    limited(monkeypatch, part_of(0.8, needed(catalog)))
    assert len(catalog.write(tmp_path / "none", progress=False)) == 0
    assert not leaf_path(tmp_path / "none", Pixel(0, 0)).parent.exists()


LARGE = """
import os, sys
import pyarrow as pa
import lsdb_ts as lt
catalog = lt.open_catalog(sys.argv[1])
assert catalog.npartitions == 1
catalog.assign(twice=catalog["x0"] * 2).write(sys.argv[2], progress=False)
print(pa.default_memory_pool().max_memory())
"""


def test_memory_stays_within_what_was_stated(tmp_path):
    rng = np.random.default_rng(4)
    n = 1_000_000
    columns = {f"x{i}": rng.normal(size=n) for i in range(16)}
    table = pa.table({"ra": 45 + rng.uniform(-2, 2, n), "dec": 4.8 + rng.uniform(-2, 2, n), **columns})
    catalog = on_disk(tmp_path, table, "large", 10 * n)
    stated = 128
    assert needed(catalog) > 3 * stated * MiB
    limit = {"LSDB_TS_CACHE_MB": "16", "LSDB_TS_MEMORY_MB": str(stated * len(os.sched_getaffinity(0)) + 16)}
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(tmp_path / "large"), str(tmp_path / "out")],
        capture_output=True, text=True, env={**os.environ, **limit}, check=True,
    )  # fmt: skip
    assert int(done.stdout) < (stated + 16) * MiB
    made = pq.read_table(next((tmp_path / "out").glob("dataset/*/*/*.parquet")), columns=["twice"], partitioning=None)
    assert made.num_rows == n
