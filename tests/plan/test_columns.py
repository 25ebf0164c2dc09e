"""New, renamed and converted columns: computed only where they are wanted, with bounds, names and places kept right."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsdb_ts.errors import PlanError, RunError
from lsdb_ts.plan.columns import Assign, Cast, Rename
from lsdb_ts.plan.language.expression import Expression
from lsdb_ts.plan.language.types import arrow_type, converted, keeps_order
from lsdb_ts.plan.node import whole
from lsdb_ts.schema import Roles, find, unit_of, with_unit
from lsdb_ts.testing import assert_lazy, assert_reads
from tests.plan.test_rows import ROWS, TABLE, assert_curves, epochs, there
from tests.skycases import in_memory, on_disk

N = TABLE.num_rows


@pytest.fixture(scope="module", params=[40, 10_000])
def catalog(request):
    return in_memory(TABLE, "objects", request.param)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    table = TABLE.append_column("k", pa.array(np.arange(N, dtype=np.int32)))
    table = table.append_column("x32", TABLE["mag"].cast(pa.float32()))
    table = table.append_column("zone", pa.array([str(int(d)) for d in TABLE["dec"].to_pylist()]))
    roles = Roles(id="objectId", ra="ra", dec="dec", mag="mag")
    table = table.cast(roles.tag(table.schema.set(3, with_unit(table.schema.field("mag"), "mag"))))
    return on_disk(tmp_path_factory.mktemp("columns"), table, "objects", 60)


def by_id(catalog) -> pa.Table:
    return catalog.to_arrow().sort_by("objectId")


def test_an_expression_becomes_a_column_in_every_layout(catalog):
    made = catalog.assign(bright="mag < 20", double="mag * 2", n="len(lc)", top="lc.flux.max()", one=1, name="'lsst'")
    assert made.columns == [*catalog.columns, "bright", "double", "n", "top", "one", "name"]
    table = by_id(made)
    mag = TABLE["mag"].to_numpy()
    assert np.array_equal(table["bright"].to_numpy(zero_copy_only=False), mag < 20)
    assert np.array_equal(table["double"].to_numpy(), mag * 2)
    assert table["n"].to_pylist() == [len(epochs(ROWS[i]["lc"])) for i in range(N)]
    tops = [max((e["flux"] for e in epochs(ROWS[i]["lc"]) if there(e["flux"])), default=None) for i in range(N)]
    assert table["top"].to_pylist() == tops
    assert set(table["one"].to_pylist()) == {1}
    assert set(table["name"].to_pylist()) == {"lsst"}
    assert table.schema.remove_metadata().field("one").type == pa.int64()


def test_a_part_of_the_epochs_can_be_made_and_replaced(catalog):
    made = catalog.assign(**{"lc.snr": "lc.flux / lc.err", "lc.flux": "lc.flux - lc.flux.mean()", "lc.m": "mag"})
    assert [p.name for p in made.schema.field("lc").type] == ["t", "flux", "err", "band", "bad", "snr", "m"]
    found = {row["objectId"]: row for row in made.to_arrow().to_pylist()}

    def remade(row):
        known = [e["flux"] for e in epochs(row["lc"]) if there(e["flux"])]
        return [
            {
                **e,
                "flux": None if e["flux"] is None or not known else e["flux"] - np.mean(known),
                "snr": None if e["flux"] is None else e["flux"] / e["err"],
                "m": row["mag"],
            }
            for e in epochs(row["lc"])
        ]

    expected = {key: remade(row) for key, row in ROWS.items()}
    for key, row in found.items():
        for mine, theirs in zip(epochs(row["lc"]), expected[key], strict=True):
            for part in ("flux", "snr", "m"):
                if mine[part] is None:
                    # What was computed is missing where it is not a number.
                    assert not there(theirs[part])
                else:
                    assert mine[part] == pytest.approx(theirs[part], nan_ok=part == "m")
    bright = made.query("lc.snr > 5")
    kept = {k: [e for e in curve if there(e["snr"]) and e["snr"] > 5] for k, curve in expected.items()}
    lengths = {row["objectId"]: len(epochs(row["lc"])) for row in bright.to_arrow().to_pylist()}
    assert lengths == {k: len(curve) for k, curve in kept.items()}


def test_only_what_the_wanted_columns_need_is_read(stored):
    with assert_lazy():
        made = stored.assign(
            colour="mag - junk", k="k + 1", n="lc.count()", **{"lc.snr": "lc.flux / lc.err", "lc.one": "mag"}
        )
        assert len(made) == N
    for columns, needed in [
        (["objectId"], {"objectId"}),
        (["colour"], {"mag", "junk"}),
        (["k"], {"k"}),
        (["junk", "n"], {"junk", "lc.bad"}),
        (["lc.snr"], {"lc.flux", "lc.err"}),
        (["lc.one", "lc.t"], {"mag", "lc.t"}),
        (["n", "lc.t"], {"lc.t"}),
        (["lc.one"], {"mag", "lc.bad"}),
        (["lc.t"], {"lc.t"}),
    ]:
        with assert_reads(needed):
            frame = made[columns].compute()
        assert len(frame) == N
    with assert_reads({"mag", "junk", "objectId"}):
        found = made.query("colour > 20")[["objectId"]].compute()
    expected = TABLE["mag"].to_numpy() - TABLE["junk"].to_numpy() > 20
    assert sorted(found.objectId) == np.flatnonzero(expected).tolist()


def test_a_constant_alone_has_as_many_rows_as_the_catalog(stored, catalog):
    for some in (stored, catalog):
        table = some.assign(one=1)[["one"]].to_arrow()
        assert table["one"].to_pylist() == [1] * N
        placeless = some.map_partitions(lambda f: f.reset_index(drop=True)[["mag"]], meta={"mag": "float64"})
        assert placeless.assign(one=1)[["one"]].to_arrow()["one"].to_pylist() == [1] * N


def test_bounds_on_an_old_column_do_not_skip_rows_of_the_new_one_of_its_name(stored):
    made = stored.assign(k=f"{N} - k")
    assert sorted(made.query("k < 10").compute().k) == list(range(1, 10))
    assert made.plan.limits("k") is None
    assert made.plan.limits("mag") == stored.plan.limits("mag") is not None


def test_bounds_on_a_new_column_with_a_dot_in_its_name_are_not_asked_of_the_old_one():
    plan = in_memory(TABLE.append_column("a.b", TABLE["objectId"]), "dots").plan
    made = Assign(plan, (("a.b", Expression.parse("100 + `a.b`")),))
    (asked,) = made.demands(replace(whole(made), rows={"a.b": (150, None), "mag": (3, None)}))
    assert asked.rows == {"mag": (3, None)}


def test_a_copy_keeps_its_unit_and_nothing_made_has_a_role(stored):
    schema = stored.assign(copy="mag", other="mag + 1", mag="junk").schema
    assert unit_of(schema.field("copy")) == "mag"
    assert unit_of(schema.field("other")) is None
    assert unit_of(schema.field("mag")) is None
    assert Roles.of(schema).mag is None
    assert Roles.of(schema).id == "objectId"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"new": "magg + 1"}, 'did you mean "mag"'),
        ({"new": "lc.flux * 2"}, 'assign it to a part of it, such as "lc.new", or reduce it'),
        ({"lc.new": "fs.flux"}, "they are not of one length"),
        ({"ra": "ra + 1"}, "gives the rows their place"),
        ({"no.new": "mag"}, 'has no nested "no"'),
        ({"lc": "mag"}, "has parts"),
        ({"_healpix_29": "mag"}, "cannot be the name"),
        ({"": "mag"}, "cannot be the name"),
        ({"new": "None"}, "of which no column"),
        ({"new": "lc"}, "one value an epoch"),
        ({"new": "mag + zone + 1"}, "no column|no arithmetic"),
    ],
)
def test_a_column_that_cannot_be_made_is_refused_before_any_row_is_read(stored, columns, message):
    with assert_lazy(), pytest.raises(PlanError, match=message):
        Assign(stored.plan, tuple((name, Expression.parse(text)) for name, text in columns.items()))


def test_renamed_columns_keep_values_units_roles_and_places(stored):
    names = {"mag": "g mag", "ra": "RA", "dec": "mag", "lc": "curve"}
    with assert_lazy():
        renamed = stored.rename(columns=names)
        assert renamed.columns == [names.get(c, c) for c in stored.columns]
        assert unit_of(renamed.schema.field("g mag")) == "mag"
        assert Roles.of(renamed.schema).items() == [("id", "objectId"), ("ra", "RA"), ("dec", "mag"), ("mag", "g mag")]
        assert renamed.plan.positions == ("RA", "mag")
        assert renamed.plan.limits("g mag") == stored.plan.limits("mag")
        assert len(renamed) == N
    back = renamed.to_arrow().rename_columns(["_healpix_29", *stored.columns])
    # As text: light curves hold NaN, which equals nothing.
    assert repr(back.to_pylist()) == repr(stored.to_arrow().to_pylist())
    near = renamed.cone_search(0, 90, 36_000)
    assert near.compute().objectId.tolist() == stored.cone_search(0, 90, 36_000).compute().objectId.tolist()


def test_bounds_and_parts_go_by_the_old_names_below(stored):
    swapped = stored.rename(columns={"mag": "dec", "dec": "mag", "lc": "fs", "fs": "lc"})
    with assert_reads({"objectId", "dec"}) as reads:
        found = swapped.query("mag > 60")[["objectId"]].compute()
    assert sorted(found.objectId) == sorted(i for i, r in ROWS.items() if r["dec"] > 60)
    assert sum(len(read.row_groups) for read in reads) < 0.5 * len(reads)
    with assert_reads({"fs.t", "lc.bad"}):
        table = swapped[["lc.t"]].assign(n=1).query("lc.t > 500")[["lc.t"]].to_arrow()
        assert table.num_rows == N
        swapped.query("len(fs) > 100")[["lc.t"]].compute()


def test_a_renamed_catalog_can_be_matched_and_written(stored, tmp_path):
    renamed = stored.rename(str.upper)
    assert renamed.columns == [c.upper() for c in stored.columns]
    pairs = stored.crossmatch(renamed[["RA", "DEC"]], 0.001).compute()
    assert (pairs._dist_arcsec < 0.001).all()
    assert len(pairs) == N
    written = renamed.write(tmp_path / "renamed")
    assert written.plan.positions == ("RA", "DEC")
    assert repr(written.to_arrow().to_pylist()) == repr(renamed.to_arrow().to_pylist())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"magg": "g"}, 'did you mean "mag"'),
        ({"mag": "ra"}, 'two columns called "ra"'),
        ({"mag": "x", "junk": "x"}, 'two columns called "x"'),
        ({"mag": "_healpix_29"}, "cannot be the name"),
        ({"lc.t": "lc.time"}, "parts cannot be renamed"),
        ({"mag": "a.b"}, "a dot stands before a part"),
    ],
)
def test_a_name_that_cannot_be_is_refused(stored, names, message):
    with assert_lazy(), pytest.raises(PlanError, match=message):
        Rename(stored.plan, tuple(names.items()))


def test_types_are_converted_also_in_curves(stored):
    kinds = {"mag": "float32", "k": "Int64", "lc.t": np.int16, "lc.flux": "float32", "zone": "int8", "objectId": str}
    with assert_lazy():
        cast = stored.astype(kinds)
        types = [find(cast.schema, name).type for name in kinds]
    assert types == [pa.float32(), pa.int64(), pa.list_(pa.int16()), pa.list_(pa.float32()), pa.int8(), pa.string()]
    assert unit_of(cast.schema.field("mag")) == "mag"
    assert Roles.of(cast.schema).id == "objectId"
    before, after = stored.to_arrow(), cast.to_arrow()
    assert after["mag"].to_pylist() == before["mag"].cast(pa.float32()).to_pylist()
    assert after["zone"].to_pylist() == [int(z) for z in before["zone"].to_pylist()]
    assert after["objectId"].to_pylist() == [str(i) for i in before["objectId"].to_pylist()]
    assert [c and c["t"] for c in after["lc"].to_pylist()] == [c and c["t"] for c in before["lc"].to_pylist()]
    with assert_reads({"lc.t"}):
        assert cast[["lc.t"]].to_arrow()["lc"].type == pa.struct([pa.field("t", pa.list_(pa.int16()))])


@pytest.mark.parametrize(
    ("column", "old", "new", "value"),
    [
        ("x", pa.int64(), "int16", 40_000),
        ("x", pa.int64(), "uint8", -1),
        ("x", pa.float64(), "float32", 1e300),
        ("x", pa.float64(), "int64", 1.5),
        ("x", pa.float64(), "int32", float("nan")),
        ("x", pa.int64(), "float64", 2**53 + 1),
        ("x", pa.string(), "float64", "bright"),
        ("x", pa.timestamp("us"), "timestamp[s]", 1),
    ],
)
def test_a_value_that_does_not_fit_names_column_types_and_pixel(column, old, new, value):
    table = TABLE.select(["objectId", "ra", "dec"])
    values = pa.array([None] * (N - 1) + [value], pa.int64() if pa.types.is_timestamp(old) else old).cast(old)
    catalog = in_memory(table.append_column(column, values), "objects", 40).astype({column: new})
    place = catalog.query("objectId == " + str(N - 1))[["objectId"]]
    assert place.compute().objectId.tolist() == [N - 1], "who does not want the column does not convert it"
    with pytest.raises(
        RunError, match=f'1 of .*objects: "x" cannot become {arrow_type(new)}'.replace("[", r"\[")
    ) as caught:
        catalog.compute()
    assert "Pixel(" in str(caught.value)


def test_a_float_in_a_curve_that_does_not_fit_is_found():
    curve = pa.array([{"x": [1.0, 1e300]}, None, {"x": [np.inf]}])
    table = pa.table({"lc": curve})
    with pytest.raises(ValueError, match=r"1e\+300 is too large"):
        converted(table, {"lc.x": pa.float32()}, "objects")
    kept = converted(table.slice(1), {"lc.x": pa.float32()}, "objects")
    assert kept["lc"].to_pylist() == [None, {"x": [np.inf]}]


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"magg": "float32"}, 'did you mean "mag"'),
        ({"mag": "floating"}, "no type of a column: give the name of one of numpy, pandas or Arrow"),
        ({"mag": object}, "no type of a column"),
        ({"lc": "float32"}, 'name the part to convert, as in "lc.t"'),
        ({"ra": "float32"}, "stays float64"),
        ({"mag": "timestamp[us]"}, '"mag" cannot become timestamp'),
        ("float32", "needs a type by column"),
    ],
)
def test_a_type_that_cannot_be_is_refused(stored, kinds, message):
    with assert_lazy(), pytest.raises(PlanError, match=message):
        stored.astype(kinds)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("float", pa.float64()),
        (float, pa.float64()),
        ("double", pa.float64()),
        ("f4", pa.float32()),
        (np.dtype("int8"), pa.int8()),
        ("Int64", pa.int64()),
        ("UInt16", pa.uint16()),
        ("Float32", pa.float32()),
        ("boolean", pa.bool_()),
        (bool, pa.bool_()),
        ("string", pa.string()),
        ("str", pa.string()),
        (str, pa.string()),
        ("large_string", pa.large_string()),
        ("int32[pyarrow]", pa.int32()),
        ("datetime64[ns]", pa.timestamp("ns")),
        ("timestamp[us]", pa.timestamp("us")),
        ("date32", pa.date32()),
        (pa.int16(), pa.int16()),
    ],
)
def test_types_have_the_names_of_numpy_pandas_and_arrow(name, kind):
    assert arrow_type(name) == kind


def test_a_pandas_dtype_is_a_type():
    import pandas as pd

    assert arrow_type(pd.ArrowDtype(pa.int16())) == pa.int16()
    assert arrow_type(pd.Int32Dtype()) == pa.int32()


@pytest.mark.parametrize(
    ("column", "kind", "kept"),
    [
        ("k", "int64", True),
        ("k", "float64", True),
        ("x32", "float64", True),
        ("mag", "float32", False),
        ("k", "string", False),
    ],
)
def test_bounds_pass_conversions_that_leave_numbers_as_they_are(stored, column, kind, kept):
    cast = stored.astype({column: kind})
    assert keeps_order(stored.schema.field(column).type, arrow_type(kind)) == kept
    assert (cast.plan.limits(column) is not None) == kept
    text = f"{column} < '2'" if kind == "string" else f"{column} <= 20"
    expected = cast.to_arrow()
    holds = [v < "2" if kind == "string" else v <= 20 for v in expected[column].to_pylist()]
    found = cast.query(text).to_arrow()
    assert found["objectId"].to_pylist() == expected.filter(pa.array(holds))["objectId"].to_pylist()


def test_what_rounding_moves_across_a_limit_is_found():
    mag = np.full(N, 25.0)
    mag[7] = np.nextafter(20.0, 21.0)
    table = TABLE.select(["objectId", "ra", "dec"]).append_column("mag", pa.array(mag))
    cast = in_memory(table, "objects", 40).astype({"mag": "float32"})
    assert cast.query("mag <= 20").compute().objectId.tolist() == [7]


def test_what_makes_each_node_the_same_again_is_told(stored):
    plan = stored.assign(a="mag+1").rename(columns={"a": "b"}).astype({"b": "float32"}).plan
    assert isinstance(plan, Cast)
    assert plan.identity() == {"columns": [["b", "float"]]}
    assert plan.child.identity() == {"columns": [["a", "b"]]}
    assert plan.child.child.identity() == {"columns": [["a", {"text": "mag + 1", "variables": ()}]]}
    summaries = [node.summary for node in (plan, plan.child, plan.child.child)]
    assert summaries == ["astype b: float", "rename a to b", "assign a = mag + 1"]


def test_curves_of_all_nodes_hold_what_a_loop_says(catalog):
    chain = catalog.rename(columns={"lc": "c"}).astype({"c.t": "int32"}).query("c.t > 500").rename(columns={"c": "lc"})
    found = {row["objectId"]: row for row in chain.to_arrow().to_pylist()}
    assert_curves(found, {k: [e for e in epochs(r["lc"]) if e["t"] > 500] for k, r in ROWS.items()})


STEPS = {
    "rows": lambda c: c.query("mag < 21 and len(lc) > 2"),
    "epochs by row": lambda c: c.query("lc.flux > junk or lc.t > 800"),
    "both": lambda c: c.query("lc.flux.max() > 1 and lc.band != 'i'"),
    "a column": lambda c: c[c["lc.t"].count() > 1],
    "new": lambda c: c.assign(n="len(lc)", mag="mag + 0.1"),
    "new part": lambda c: c.assign(**{"lc.snr": "lc.flux / lc.err + mag"}),
    "swap": lambda c: c.rename({"mag": "junk", "junk": "mag"}),
    "cast": lambda c: c.astype({"lc.t": "int32", "mag": "float32"}),
    "drop": lambda c: c.drop("fs") if "fs" in c else c,
}


@settings(max_examples=15)
@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=2, max_size=5))
def test_no_chain_of_verbs_depends_on_the_layout_or_on_what_is_selected_of_it(names):
    chains = [in_memory(TABLE, "objects", rows) for rows in (60, 10_000)]
    for name in names:
        chains = [STEPS[name](chain) for chain in chains]
    fine, coarse = (by_id(chain) for chain in chains)
    assert fine.schema == coarse.schema
    assert repr(fine.to_pylist()) == repr(coarse.to_pylist())
    alone = by_id(chains[0].select("objectId", "lc.t"))
    assert alone["lc"].to_pylist() == [c and {"t": c["t"]} for c in fine["lc"].to_pylist()]
