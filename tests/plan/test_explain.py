"""What a plan forecasts is held against what running it reads, makes and holds in memory."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.sky.pixel import centre
from lsdb_ts.store.read import DECODED, recording
from tests.skycases import in_memory, neighbours_table, objects_table, on_disk

N = 20_000
MANY = {f"column_{i}": pa.float64() for i in range(40)}


@pytest.fixture(scope="module")
def catalogs(tmp_path_factory):
    """One sky many times: in leaves of several sizes, with and without a margin, with many columns, and observed."""
    folder = tmp_path_factory.mktemp("explained")
    objects = objects_table(N)
    rng = np.random.default_rng(3)
    neighbours = neighbours_table(objects)
    seen = np.repeat(np.arange(N), rng.poisson(4, N))
    epochs = objects.select(["objectId", "ra", "dec"]).take(pa.array(seen))
    sources = epochs.append_column("time_mjd", pa.array(rng.uniform(0, 900, seen.size)))
    wide = objects
    for name in MANY:
        wide = wide.append_column(name, pa.array(rng.normal(size=N)))
    return {
        "left": on_disk(folder / "left", objects, "o", 2_000),
        "right": on_disk(folder / "right", neighbours, "s", 5_000, margin_arcsec=3.0),
        "bare": on_disk(folder / "bare", neighbours, "s", 2_000),
        "tiny": on_disk(folder / "tiny", neighbours, "s", 200),
        "fine": on_disk(folder / "fine", objects, "o", 300),
        "coarse": on_disk(folder / "coarse", neighbours, "s", 10**9),
        "sources": on_disk(folder / "sources", sources, "e", 20_000),
        "wide": on_disk(folder / "wide", wide, "o", 5_000),
    }


PLANS = {
    "scan": lambda c: c["left"],
    "two columns": lambda c: c["left"][["objectId", "mag"]],
    "two columns of many": lambda c: c["wide"][["objectId", "column_7"]],
    "filter": lambda c: c["left"].query("mag < 20"),
    "filter that prunes": lambda c: c["left"].query("dec > 60")[["objectId", "dec"]],
    "cone": lambda c: c["left"].cone_search(10.0, 80.0, 30 * 3600),
    "cone in a coarse catalog": lambda c: c["coarse"].cone_search(10.0, 80.0, 30 * 3600),
    "match": lambda c: c["left"].crossmatch(c["right"], 2.0),
    "match without a margin": lambda c: c["left"].crossmatch(c["bare"], 2.0),
    "match of tiny leaves without a margin": lambda c: c["left"].crossmatch(c["tiny"], 2.0),
    "match of many tiny leaves on both sides": lambda c: c["fine"].crossmatch(c["tiny"], 2.0),
    "fine left, coarse right": lambda c: c["fine"].crossmatch(c["coarse"], 2.0),
    "coarse left, fine right": lambda c: c["coarse"].crossmatch(c["fine"], 2.0),
    "match with itself": lambda c: c["left"].crossmatch(c["left"], 2.0, suffixes=("_a", "_b")),
    "match of a cone": lambda c: c["left"].cone_search(10.0, 80.0, 30 * 3600).crossmatch(c["bare"], 2.0),
    "match of filtered, two columns": lambda c: (
        c["left"].query("mag < 20").crossmatch(c["right"], 2.0)[["objectId", "gmag"]]
    ),
    "match, two columns of many": lambda c: c["wide"].crossmatch(c["right"], 2.0)[["column_7", "gmag"]],
    "left join": lambda c: c["left"].crossmatch(c["right"], 2.0, how="left"),
    "semi join": lambda c: c["left"].query("mag < 20").crossmatch(c["right"], 2.0, how="semi"),
    "nest": lambda c: c["left"].nest(c["sources"], on="objectId", name="curve"),
    "nest without the place of the epochs": lambda c: c["left"].nest(c["sources"], on="objectId", name="curve")[
        ["objectId", "curve.time_mjd"]
    ],
    "sample": lambda c: c["left"].sample(frac=0.3, seed=1),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_forecast_is_right_within_a_factor_of_two(catalogs, name):
    plan = PLANS[name](catalogs)
    expected = plan.explain()
    DECODED.clear()
    with recording() as reads:
        table = plan.to_arrow(progress=False)
    assert expected.tasks == plan.npartitions
    found = expected.rows / table.num_rows, expected.bytes / table.nbytes
    found += (expected.bytes_read / sum(r.bytes for r in reads),)
    assert 0.5 < min(found) <= max(found) < 2, found


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


@pytest.mark.parametrize("where", ["on disk", "in memory", "a field on disk, all sky in memory"])
def test_pairs_by_chance_are_forecast_from_the_sky_that_rows_lie_on(tmp_path, where):
    """Two unrelated fields of a third of a degree, each alone in a pixel of 59 degrees."""
    rng = np.random.default_rng(8)
    sides = []
    for name in "ab":
        ra, dec = rng.uniform(44, 44.3, 4000), rng.uniform(30, 30.3, 4000)
        if "all sky" in where and name == "b":
            ra, dec = np.append(ra, rng.uniform(0, 360, 4000)), np.append(dec, rng.uniform(-60, 60, 4000))
        table = pa.table({"ra": ra, "dec": dec, f"id_{name}": np.arange(len(ra))})
        is_stored = "disk" in where and (name == "a" or "all sky" not in where)
        sides.append(on_disk(tmp_path / name, table, name, 10**6) if is_stored else in_memory(table, name))
    pairs = sides[0].crossmatch(sides[1], 20.0, n_neighbors=None)
    expected, table = pairs.explain(), pairs.to_arrow(progress=False)
    assert table.num_rows > 15_000
    assert 0.5 < expected.rows / table.num_rows < 2


def test_explaining_reads_no_rows_and_costs_no_more_for_many_pixels(catalogs):
    left = in_memory(objects_table(3_000), "o", 2)
    assert left.npartitions > 500
    with recording() as reads:
        left.crossmatch(catalogs["right"], 2.0).explain()
    assert reads == []


def test_an_explanation_has_a_line_for_each_node_and_a_total(catalogs):
    lines = repr(PLANS["match of filtered, two columns"](catalogs).explain()).splitlines()
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
left, right, small = (lt.open_catalog(path) for path in sys.argv[2:])
plans = {
    "scan": lambda left, right: left,
    "two columns": lambda left, right: left[["objectId", "mag"]],
    "filter": lambda left, right: left.query("mag < 24"),
    "cone": lambda left, right: left.cone_search(45.0, 30.0, 0.5 * 3600),
    "match": lambda left, right: left.crossmatch(right, 2.0),
    "match of a cone": lambda left, right: left.cone_search(45.0, 30.0, 0.5 * 3600).crossmatch(right, 2.0),
    "match, two columns": lambda left, right: left.crossmatch(right, 2.0)[["objectId", "starId"]],
    "match of all near": lambda left, right: left.crossmatch(right, 20.0, n_neighbors=None),
    "nest": lambda left, right: left.nest(right.rename({"starId": "objectId"}), on="objectId"),
}
plans[sys.argv[1]](small, small.rename({"objectId": "starId"})).to_arrow(progress=False)
plan = plans[sys.argv[1]](left, right)
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


@pytest.mark.parametrize(
    "name",
    [
        "scan",
        "two columns",
        "filter",
        "cone",
        "match",
        "match of a cone",
        "match, two columns",
        "match of all near",
        "nest",
    ],
)
def test_a_piece_of_work_takes_no_more_memory_than_was_projected(fields, name):
    done = subprocess.run([sys.executable, "-c", MEASURE, name, *fields], capture_output=True, text=True, check=True)
    projected, measured = map(int, done.stdout.split())
    assert measured <= projected
    assert projected < 2 * measured, "a projection that refuses what would fit is of no use"
