"""Rows and epochs are kept by one condition, mixed or not, in every layout; what is not needed is not read."""

import datetime
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.plan.language.epochs import Epochs, reduced
from lsdb_ts.plan.node import check, produce, whole
from lsdb_ts.plan.rows import Filter, FilterEpochs
from lsdb_ts.testing import assert_lazy, assert_reads
from tests.skycases import in_memory, objects_table, on_disk

N = 600


def random_curves(n: int, parts: dict, seed: int, missing: bool = True) -> pa.StructArray:
    """Make curves of 0 to 7 epochs, some rows null; a null row hides epochs that must not count."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(0, 8, n))]).astype(np.int32)
    lists = [pa.ListArray.from_arrays(offsets, make(rng, offsets[-1])) for make in parts.values()]
    mask = pa.array(rng.random(n) < 0.1) if missing else None
    return pa.StructArray.from_arrays(lists, names=list(parts), mask=mask)


def fluxes(rng, n):
    values = rng.normal(0, 3, n).round(1)
    values[rng.random(n) < 0.1] = np.nan
    return pa.array(values, mask=rng.random(n) < 0.1)


LC = {
    "t": lambda rng, n: pa.array(rng.integers(0, 1000, n)),
    "flux": fluxes,
    "err": lambda rng, n: pa.array(rng.uniform(0.1, 1, n).astype(np.float32)),
    "band": lambda rng, n: pa.array(rng.choice(list("gri"), n), mask=rng.random(n) < 0.1).dictionary_encode(),
    "bad": lambda rng, n: pa.array(rng.random(n) < 0.3),
}


def table_with_curves(n: int = N, seed: int = 3) -> pa.Table:
    table = objects_table(n).append_column("lc", random_curves(n, LC, seed))
    return table.append_column("fs", random_curves(n, {"t": LC["t"], "flux": fluxes}, seed + 1))


TABLE = table_with_curves()
ROWS = {row["objectId"]: row for row in TABLE.to_pylist()}


def rows_of(catalog) -> dict:
    return {row["objectId"]: row for row in catalog.to_arrow().to_pylist()}


def epochs(curve) -> list[dict]:
    return [dict(zip(curve, values, strict=True)) for values in zip(*curve.values(), strict=True)] if curve else []


def there(*values) -> bool:
    return all(v is not None and not (isinstance(v, float) and math.isnan(v)) for v in values)


def present(row, part="flux", nested="lc") -> list:
    return [e[part] for e in epochs(row[nested]) if there(e[part])]


ON_ROWS = [
    ("lc.flux.max() > 3", lambda r: bool(present(r)) and max(present(r)) > 3),
    ("lc.flux.min() <= -3 or mag < 17", lambda r: (bool(present(r)) and min(present(r)) <= -3) or r["mag"] < 17),
    ("lc.flux.mean() > 0.5 * junk", lambda r: bool(present(r)) and np.mean(present(r)) > 0.5 * r["junk"]),
    ("lc.flux.sum() >= 0", lambda r: sum(present(r)) >= 0),
    ("lc.flux.count() == 3", lambda r: len(present(r)) == 3),
    ("len(lc) == 3 and mag < 20", lambda r: len(epochs(r["lc"])) == 3 and r["mag"] < 20),
    ("lc.count() > fs.count()", lambda r: len(epochs(r["lc"])) > len(epochs(r["fs"]))),
    ("(lc.band == 'g').any()", lambda r: any(e["band"] == "g" for e in epochs(r["lc"]))),
    (
        "(lc.flux > 5 * lc.err).sum() > 1",
        lambda r: sum(e["flux"] > 5 * e["err"] for e in epochs(r["lc"]) if there(e["flux"])) > 1,
    ),
    ("not lc.bad.all()", lambda r: not all(e["bad"] for e in epochs(r["lc"]))),
    ("(lc.flux - lc.flux.mean()).max() > 4", lambda r: bool(present(r)) and max(present(r)) - np.mean(present(r)) > 4),
    (
        "lc.t.max() - lc.t.min() > 700",
        lambda r: len(epochs(r["lc"])) > 0 and np.ptp([e["t"] for e in epochs(r["lc"])]) > 700,
    ),
    ("lc.flux.max().isna()", lambda r: not present(r)),
]

ON_EPOCHS = [
    ("lc.band == 'g'", lambda r, e: e["band"] == "g"),
    (
        "lc.flux > 2 * lc.err and not lc.bad",
        lambda r, e: there(e["flux"]) and e["flux"] > 2 * e["err"] and not e["bad"],
    ),
    ("mag < 20 or lc.band == 'g'", lambda r, e: r["mag"] < 20 or e["band"] == "g"),
    ("lc.flux > junk", lambda r, e: there(e["flux"]) and e["flux"] > r["junk"]),
    ("lc.flux >= lc.flux.max()", lambda r, e: there(e["flux"]) and e["flux"] >= max(present(r))),
    ("lc.t > fs.t.mean()", lambda r, e: bool(epochs(r["fs"])) and e["t"] > np.mean([f["t"] for f in epochs(r["fs"])])),
    ("lc.band in ['g', 'r'] and lc.t.between(100, 500)", lambda r, e: e["band"] in ("g", "r") and 100 <= e["t"] <= 500),
    ("lc.flux.isna()", lambda r, e: not there(e["flux"])),
    ("lc.t % 2 == 0", lambda r, e: e["t"] % 2 == 0),
]


def same(a, b) -> bool:
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def assert_curves(found: dict, expected: dict, nested: str = "lc") -> None:
    assert found.keys() == expected.keys()
    for key, row in found.items():
        assert (row[nested] is None) == (ROWS[key][nested] is None), "a row without a curve stays one"
        mine, theirs = epochs(row[nested]), expected[key]
        assert len(mine) == len(theirs)
        assert all(same(a[k], b[k]) for a, b in zip(mine, theirs, strict=True) for k in b)


@pytest.fixture(scope="module", params=[40, 10_000])
def catalog(request):
    return in_memory(TABLE, "objects", request.param)


@pytest.mark.parametrize(("text", "holds"), ON_ROWS)
def test_one_value_a_row_of_the_epochs_keeps_rows_as_a_loop_does(catalog, text, holds):
    expected = {key for key, row in ROWS.items() if holds(row)}
    assert 0 < len(expected) < N
    found = rows_of(catalog.query(text))
    assert found.keys() == expected
    assert_curves(found, {key: epochs(ROWS[key]["lc"]) for key in expected})


@pytest.mark.parametrize(("text", "holds"), ON_EPOCHS)
def test_a_condition_on_epochs_keeps_epochs_as_a_loop_does(catalog, text, holds):
    expected = {key: [e for e in epochs(row["lc"]) if holds(row, e)] for key, row in ROWS.items()}
    found = rows_of(catalog.query(text))
    assert_curves(found, expected)
    assert 0 < sum(map(len, expected.values())) < sum(len(epochs(row["lc"])) for row in ROWS.values())
    assert len(catalog.query(text)) == N


def test_a_condition_is_taken_apart_into_rows_and_epochs_that_all_see_the_curves_as_they_were(catalog):
    mixed = catalog.query("mag < 20 and lc.band == 'g' and abs(lc.flux) > 3 * lc.err and len(lc) > 3 and fs.t < 500")
    expected = {key: row for key, row in ROWS.items() if row["mag"] < 20 and len(epochs(row["lc"])) > 3}

    def kept(e):
        return e["band"] == "g" and there(e["flux"]) and abs(e["flux"]) > 3 * e["err"]

    found = rows_of(mixed)
    assert_curves(found, {k: [e for e in epochs(r["lc"]) if kept(e)] for k, r in expected.items()})
    assert_curves(found, {k: [e for e in epochs(r["fs"]) if e["t"] < 500] for k, r in expected.items()}, "fs")
    nodes = [type(node).__name__ for node in (mixed.plan, mixed.plan.child, mixed.plan.child.child)]
    assert nodes == ["FilterEpochs", "FilterEpochs", "Filter"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lc.flux > fs.flux", '"lc.flux > fs.flux" is on the epochs of lc and fs'),
        ("mag < 20 and (lc.t > 3 or fs.t > 3)", '"lc.t > 3 or fs.t > 3" is on the epochs of lc and fs'),
        ("(lc.t - fs.t).max() > 3", "of lc and fs together"),
        ("lc.t > fs.t.max() and fs.flux > 0", "drops some of them: use two queries"),
        ("lc > 3", 'of a nested column: name one of its parts, such as "lc.bad"'),
        ("len(lc.t) > 3", r"of a part there is \.count\(\)"),
        ("mag.max() > 3", "is of no nested column"),
        ("lc.band.max() == 'g'", r'"lc.band.max\(\)": max is of numbers, and not of string'),
        ("lc.t.any()", "any is of true or false, and not of int64"),
        ("lc.flx > 3", r'did you mean "lc\.flux"'),
        ("lc.flux + 1", "is double and not true or false"),
        ("lc.flux.max()", "is double and not true or false"),
        ("lc.band > 3", "compares string with a number"),
    ],
)
def test_what_cannot_be_asked_of_epochs_is_known_before_any_row_is_read(catalog, text, message):
    with assert_lazy(), pytest.raises(PlanError, match=message):
        catalog.query(text)


def test_nodes_refuse_what_is_not_theirs(catalog):
    from lsdb_ts.plan.language.expression import Predicate

    with pytest.raises(PlanError, match="is not a nested column"):
        FilterEpochs(catalog.plan, Predicate.parse("mag < 3"), "mag")
    with pytest.raises(PlanError, match=r'reduce it to one value a row, such as "lc\.t\.max'):
        Filter(catalog.plan, Predicate.parse("lc.t < 3"))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    times = pa.array(
        [datetime.datetime(2025, 1, 1) + datetime.timedelta(days=float(d)) for d in TABLE["dec"].to_pylist()]
    )
    zones = pa.array([f"zone {int(d + 90) // 20}" for d in TABLE["dec"].to_pylist()])
    struct = pa.StructArray.from_arrays([TABLE["dec"].combine_chunks(), TABLE["mag"].combine_chunks()], ["dec", "mag"])
    table = TABLE.append_column("time", times).append_column("zone", zones).append_column("fit", struct)
    table = table.append_column("whole", pa.array(np.asarray(TABLE["dec"]).astype(int)))
    return on_disk(tmp_path_factory.mktemp("rows"), table, "objects", 40)


@pytest.mark.parametrize(
    "text",
    [
        "dec > 60",
        "whole > 60",
        "not whole <= 60",
        "dec.between(60, 70)",
        "whole in [61, 62, 70]",
        "whole.isin(@several)",
        "dec > 80 or dec.between(60, 65)",
        "fit.dec > 60",
        "zone > 'zone 7'",
        "zone == 'zone 7' or zone.isin(['zone 8'])",
        "zone.str.startswith('zone 8')",
        "time >= '2025-03-03'",
        "time >= @spring",
        "dec > 60 and lc.flux.max() > 0",
    ],
)
def test_row_groups_that_cannot_hold_are_not_read(stored, text):
    several, spring = np.array([61, 62, 70]), np.datetime64("2025-03-03")
    assert several.size
    assert spring
    chosen = stored.query(text)[["objectId"]]
    with assert_reads({"objectId", *chosen.plan.child.predicate.needs(stored.schema)}) as reads:
        found = set(chosen.to_arrow()["objectId"].to_pylist())
    everything = stored.to_arrow()
    expected = everything.filter(pa.array(chosen.plan.child.predicate.holds(everything)))["objectId"].to_pylist()
    assert found == set(expected)
    assert 0 < len(found) < N / 4
    groups = sum(len(read.row_groups) for read in reads)
    assert 0 < groups < 0.4 * len(reads)


def test_bounds_pass_filters_of_epochs_and_other_columns(stored):
    changed = stored.query("lc.band == 'g'").assign(bright="mag < 20").rename({"dec": "DEC"}).astype({"mag": "float32"})
    with assert_reads({"objectId", "dec", "mag"}) as reads:
        found = changed.query("DEC > 60 and bright")[["objectId"]].compute()
    assert 0 < len(found) < N / 4
    assert sum(len(read.row_groups) for read in reads) < 0.4 * len(reads)


def test_epochs_that_nobody_wants_are_not_read(stored):
    query = stored.query("lc.band == 'g' and lc.flux > junk")
    with assert_reads({"objectId"}):
        query[["objectId"]].compute()
    with assert_reads({"lc.t", "lc.band", "lc.flux", "junk"}):
        curves = query[["lc.t"]].to_arrow()
    assert [part.name for part in curves["lc"].type] == ["t"]
    with assert_reads({"objectId", "lc.bad"}):
        stored.query("len(lc) > 3")[["objectId"]].compute()
    with assert_reads({"lc.t"}):
        stored.query("len(lc) > 3 and lc.t > 10")[["lc.t"]].compute()
    with assert_reads({"objectId", "lc.flux"}):
        stored.query("lc.count() > 3 and lc.flux.max() > 3")[["objectId"]].compute()


def test_a_filter_of_epochs_knows_how_many_rows_there_are(stored):
    with assert_lazy():
        assert len(stored.query("lc.band == 'g'")) == N
        assert stored.query("lc.band == 'g'").plan.limits("mag") == stored.plan.limits("mag")


def test_halo_rows_are_filtered_like_core_rows(catalog):
    kept = catalog.query("len(lc) > 3 and lc.band == 'g'")
    demand = whole(kept.plan).plus(halo_arcsec=3600.0).at(kept.layout[0])
    check(kept.plan, demand)
    part = produce(kept.plan, demand)
    bands = [band for curve in part.table["lc"].to_pylist() for band in (curve or {"band": []})["band"]]
    assert set(bands) == {"g"}
    assert set(part.table["objectId"].to_pylist()) <= {k for k, r in ROWS.items() if len(epochs(r["lc"])) > 3}


def test_parts_of_different_lengths_are_named():
    curves = pa.array([{"t": [1.0, 2.0], "x": [1.0]}])
    with pytest.raises(InputError, match='"x" has 1 epochs where "t" has 2'):
        Epochs.of(curves).flat("x")


@pytest.mark.parametrize("sliced", [False, True])
def test_a_part_can_be_put_beside_the_others(sliced):
    curves = random_curves(50, LC, 9)
    curves = curves.slice(7, 30) if sliced else curves
    epoch = Epochs.of(curves)
    doubled = epoch.with_part("twice", pa.array(np.asarray(epoch.flat("t")) * 2)).to_pylist()
    assert [None if c is None else c["twice"] for c in doubled] == [
        None if c is None else [2 * t for t in c["t"]] for c in curves.to_pylist()
    ]
    assert repr(epoch.kept(np.ones(len(epoch.parents), bool)).to_pylist()) == repr(curves.to_pylist())


def plainly(how, values):
    """Reduce as a person would."""
    if how in ("min", "max", "mean") and not values:
        return None
    functions = {"count": len, "sum": sum, "min": min, "max": max, "any": any, "all": all}
    return sum(values) / len(values) if how == "mean" else functions[how](values)


@given(
    st.lists(st.none() | st.lists(st.none() | st.just(float("nan")) | st.integers(-9, 9), max_size=4), max_size=6),
    st.sampled_from(["count", "sum", "min", "max", "mean", "any", "all"]),
    st.sampled_from([pa.float64(), pa.float32(), pa.int16(), pa.uint64(), pa.bool_(), pa.timestamp("ms", "UTC")]),
)
def test_a_reduction_is_that_of_a_loop(curves, how, kind):
    wrong = pa.types.is_timestamp(kind) and how in ("sum", "mean", "any", "all")
    if wrong or (how in ("any", "all") and not pa.types.is_boolean(kind)):
        return

    def fit(value):
        if value is None or (math.isnan(value) and not pa.types.is_floating(kind)):
            return None
        if pa.types.is_boolean(kind):
            return value > 0
        return abs(value) if pa.types.is_unsigned_integer(kind) else value

    fitted = [None if c is None else [fit(v) for v in c] for c in curves]
    lists = pa.array(fitted, pa.list_(kind))
    epoch = Epochs.of(pa.StructArray.from_arrays([lists], names=["x"]))
    found = reduced(how, epoch.flat("x"), epoch.offsets)
    meant = lists.to_pylist()
    assert found.to_pylist() == [plainly(how, [v for v in c or [] if there(v)]) for c in meant]
