"""What a plan forecasts is held against what running it reads, makes and holds in memory."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.sky.pixel import centre
from lsdb_ts.store.read import recording
from tests.skycases import in_memory, neighbours_table, objects_table, on_disk

N = 20_000


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    objects = objects_table(N)
    left = on_disk(folder / "left", objects, "o", 2_000)
    return left, on_disk(folder / "right", neighbours_table(objects), "s", 5_000, margin_arcsec=3.0)


def plans(left, right):
    return {
        "scan": left,
        "two columns": left[["objectId", "mag"]],
        "filter": left.query("mag < 20"),
        "match": left.crossmatch(right, 2.0),
        "match of filtered, two columns": left.query("mag < 20").crossmatch(right, 2.0)[["objectId", "gmag"]],
        "left join": left.crossmatch(right, 2.0, how="left"),
        "semi join": left.query("mag < 20").crossmatch(right, 2.0, how="semi"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "scan",
        "two columns",
        "filter",
        "match",
        "match of filtered, two columns",
        "left join",
        "semi join",
    ],
)
def test_a_forecast_is_right_within_a_factor_of_two(catalogs, name):
    plan = plans(*catalogs)[name]
    expected = plan.explain()
    with recording() as reads:
        table = plan.to_arrow(progress=False)
    assert expected.tasks == plan.npartitions
    assert 0.5 < expected.rows / table.num_rows < 2
    assert 0.5 < expected.bytes / table.nbytes < 2
    assert 0.5 < expected.bytes_read / sum(r.bytes for r in reads) < 2


def test_pairs_by_chance_are_forecast_from_the_density_of_the_sky(tmp_path):
    """Two unrelated fields that fill a pixel of order 5: 50,000 rows within 20 arcsec of 50,000 others."""
    rng = np.random.default_rng(7)
    sides = []
    for name in "ab":
        cells = np.uint64(5_000 << 48) + rng.integers(0, 1 << 48, 50_000, dtype=np.uint64)
        ra, dec = centre(cells, 29)
        sides.append(on_disk(tmp_path / name, pa.table({"ra": ra, "dec": dec, f"id_{name}": cells}), name, 40_000))
    pairs = sides[0].crossmatch(sides[1], 20.0, n_neighbors=None)
    expected, table = pairs.explain(), pairs.to_arrow(progress=False)
    assert table.num_rows > 60_000
    assert 0.5 < expected.rows / table.num_rows < 2


def test_explaining_reads_no_rows_and_costs_no_more_for_many_pixels(catalogs):
    left = in_memory(objects_table(3_000), "o", 2)
    assert left.npartitions > 500
    with recording() as reads:
        left.crossmatch(catalogs[1], 2.0).explain()
    assert reads == []


def test_an_explanation_has_a_line_for_each_node_and_a_total(catalogs):
    lines = repr(plans(*catalogs)["match of filtered, two columns"].explain()).splitlines()
    assert [line.strip().split()[0] for line in lines] == ["select", "match", "filter", "scan", "scan", "total:"]
    assert 'halo 2"' in lines[4]
    assert "reads" in lines[3]
    assert "reads" not in lines[1]


MEASURE = """
import sys
from pathlib import Path
import pyarrow as pa
import lsdb_ts as lt
from lsdb_ts.plan.node import produce, whole
def high_water():
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM"))
    return int(line.split()[1]) << 10
left, right = lt.open_catalog(sys.argv[1]), lt.open_catalog(sys.argv[2])
plan = {"match": left.crossmatch(right, 2.0), "scan": left, "filter": left.query("mag < 24")}[sys.argv[3]]
small = lt.open_catalog(sys.argv[4])
small.crossmatch(small, 2.0, suffixes=("_a", "_b")).query("mag_a < 24").to_arrow(progress=False)
(pixel,) = plan.layout
demand = whole(plan.plan).at(pixel)
expected = plan.explain().bytes_per_task
pa.default_memory_pool().release_unused()
Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
before = high_water()
produce(plan.plan, demand)
print(expected, high_water() - before)
"""


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """One big partition a side, and a small catalog that warms compiled code up."""
    folder = tmp_path_factory.mktemp("memory")
    rng = np.random.default_rng(5)
    n = 600_000
    table = pa.table(
        {
            "objectId": np.arange(n),
            "ra": rng.uniform(44, 46, n),
            "dec": rng.uniform(29, 31, n),
            "mag": rng.uniform(15, 25, n),
            **{f"column_{i}": rng.normal(size=n) for i in range(6)},
        }
    )
    on_disk(folder / "left", table, "o", 10**9)
    on_disk(folder / "right", neighbours_table(table), "s", 10**9)
    on_disk(folder / "small", table.slice(0, 100), "t", 10**9)
    return [str(folder / "left" / "o"), str(folder / "right" / "s"), str(folder / "small" / "t")]


@pytest.mark.parametrize("name", ["scan", "filter", "match"])
def test_a_piece_of_work_takes_no_more_memory_than_was_projected(fields, name):
    left, right, small = fields
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, left, right, name, small], capture_output=True, text=True, check=True
    )
    projected, measured = map(int, done.stdout.split())
    assert measured <= projected
    assert projected < 4 * measured, "a projection that refuses what would fit is of no use"
