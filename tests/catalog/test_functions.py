"""Functions of rows and partitions: what they are given, what they may return, and how they fail."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from nested_pandas.series.ext_array import NestedExtensionArray

from lsdb_ts.errors import PlanError, RunError
from lsdb_ts.schema import Roles, unit_of, with_unit
from lsdb_ts.testing import assert_lazy, assert_reads
from tests.skycases import in_memory, objects_table, on_disk

N = 600


def curves_table() -> pa.Table:
    table = objects_table(N)
    rng = np.random.default_rng(3)
    lengths = rng.integers(0, 5, N)
    lengths[7] = 0
    offsets = np.append(0, np.cumsum(lengths)).astype(np.int32)
    total = int(offsets[-1])
    parts = {
        "time": rng.uniform(60_000, 61_000, total),
        "flux": rng.normal(10, 1, total).astype(np.float32),
        "band": rng.choice(["g", "r"], total),
    }
    lists = [pa.ListArray.from_arrays(pa.array(offsets), pa.array(values)) for values in parts.values()]
    mask = pa.array(np.arange(N) == 11)
    table = table.append_column("lc", pa.StructArray.from_arrays(lists, list(parts), mask=mask))
    table = table.append_column("z", pa.array(np.arange(N), mask=np.arange(N) % 10 == 0))
    return table.cast(Roles(id="objectId", ra="ra", dec="dec").tag(table.schema))


TABLE = curves_table()
CURVES = {row["objectId"]: row for row in TABLE.to_pylist()}


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("functions")
    return [in_memory(TABLE, "one"), in_memory(TABLE, "fine", 20), on_disk(folder, TABLE, "disk", 100)]


def by_id(frame: pd.DataFrame, column: str) -> list:
    return pd.DataFrame(frame[["objectId", column]]).sort_values("objectId")[column].tolist()


def span(time, flux):
    assert isinstance(time, np.ndarray)
    assert flux.dtype == np.float32
    return {"span": np.ptp(time) if time.size else None, "n": time.size}


def expected_spans() -> list:
    times = [(CURVES[i]["lc"] or {"time": []})["time"] for i in range(N)]
    return [np.ptp(t) if t else None for t in times]


SPANS = {"span": "float64", "n": "int64"}


def test_reduce_gives_parts_of_curves_as_arrays_whatever_the_layout(layouts):
    for catalog in layouts:
        with assert_lazy():
            spans = catalog.reduce(span, "lc.time", "lc.flux", meta=SPANS, append=True)
        frame = spans.compute()
        assert [None if pd.isna(v) else v for v in by_id(frame, "span")] == expected_spans()
        assert by_id(frame, "n")[7] == by_id(frame, "n")[11] == 0
        alone = catalog.reduce(span, "lc.time", "lc.flux", meta=SPANS)
        assert alone.columns == ["span", "n"]
        assert alone.compute().index.equals(catalog.compute().index)


def test_only_the_columns_given_are_read_and_only_if_a_new_one_is_wanted(layouts):
    spans = layouts[2].reduce(span, "lc.time", "lc.flux", meta=SPANS, append=True)
    with assert_reads({"lc.time", "lc.flux", "mag"}, "disk"):
        spans[["mag", "n"]].compute()
    with assert_reads({"mag"}, "disk"):
        spans[["mag"]].compute()
    assert spans.plan.count == N


def test_map_rows_gives_a_dict_of_python_values(layouts):
    def describe(row):
        assert set(row) == {"mag", "z", "lc.band"}
        assert isinstance(row["mag"], float)
        assert row["z"] is None or isinstance(row["z"], int)
        return {"text": f"{row['z']}", "g": int((row["lc.band"] == "g").sum())}

    meta = {"text": pa.string(), "g": int}
    for catalog in layouts:
        frame = catalog.map_rows(describe, ["mag", "z", "lc.band"], meta=meta).compute()
        assert by_id(frame, "text") == [f"{CURVES[i]['z']}" for i in range(N)]
        assert by_id(frame, "g") == [(CURVES[i]["lc"] or {"band": []})["band"].count("g") for i in range(N)]


def test_one_new_column_needs_no_dict_and_all_columns_are_given_by_default(layouts):
    for catalog in layouts:
        frame = catalog.map_rows(lambda row: row["mag"] + len(row["lc.time"]), meta={"x": "float64"}).compute()
        assert by_id(frame, "x") == [
            CURVES[i]["mag"] + len((CURVES[i]["lc"] or {"time": []})["time"]) for i in range(N)
        ]


def test_a_curve_may_be_made_of_a_curve(layouts):
    def folded(time):
        return {"phase": np.sort(time % 1.0)}

    phases = layouts[1].reduce(folded, "lc.time", meta={"phase": pa.list_(pa.float64())}, append=True)
    lengths = {i: len(v) for i, v in phases.to_arrow().select(["objectId", "phase"]).to_pandas().to_numpy()}
    assert lengths[3] == len(CURVES[3]["lc"]["time"])


def test_a_function_of_rows_serves_halos_and_its_result_can_be_written(layouts, tmp_path):
    other = layouts[0][["objectId"]]
    whole = layouts[0].map_rows(lambda row: row["mag"], ["mag"], meta={"copy": float})
    for catalog in layouts[1:]:
        mapped = catalog.map_rows(lambda row: row["mag"], ["mag"], meta={"copy": float})
        pairs = other.crossmatch(mapped[["objectId", "copy"]], 2000.0, suffixes=("_a", "_b"))
        expected = other.crossmatch(whole[["objectId", "copy"]], 2000.0, suffixes=("_a", "_b"))
        columns = ["objectId_a", "objectId_b", "copy"]
        order = [(name, "ascending") for name in columns]
        rows, there = (p.to_arrow().select(columns).sort_by(order) for p in (pairs, expected))
        assert rows == there
        assert rows.num_rows > 0
    written = mapped.write(tmp_path / "mapped")
    assert (written.compute()["copy"] == written.compute()["mag"]).all()


def test_a_new_column_may_replace_an_old_one_where_old_ones_are_not_kept(layouts):
    shifted = layouts[1].reduce(lambda mag: {"mag": mag - 5}, "mag", meta={"mag": "float64"})
    assert shifted.compute()["mag"].max() < 20.1
    assert shifted.max("mag") == pytest.approx(TABLE["mag"].to_numpy().max() - 5), "not the limits of the old one"


def test_a_row_that_fails_is_named_with_function_pixel_and_id(layouts):
    def inverse(row):
        return 1 / (row["objectId"] - 123)

    for catalog in layouts:
        failing = catalog.map_rows(inverse, ["objectId"], meta={"x": float})
        with pytest.raises(RunError, match=r"inverse raised ZeroDivisionError.* of Pixel\(\d+, \d+\) \(objectId=123"):
            failing.compute()
        here = catalog.query("objectId == 123").map_rows(inverse, ["objectId"], meta={"x": float})
        with pytest.raises(RunError, match=r"row 0 of Pixel\(\d+, \d+\) \(objectId=123, _healpix_29="):
            here.head()


@pytest.mark.parametrize(
    ("returned", "meta", "message"),
    [
        (2.5, {"x": "int64"}, r'"x" that are not int64.*2\.5'),
        ("red", {"x": "float64"}, r'"x" that are not double'),
        ({"y": 1.0}, {"x": "float64"}, r'meta declares "x", and it returned y'),
        (3.0, {"x": "float64", "y": "float64"}, "returned a float; need a dict of x, y"),
    ],
)
def test_a_row_function_that_breaks_its_promise_says_so(layouts, returned, meta, message):
    with pytest.raises(RunError, match=message):
        layouts[0].map_rows(lambda row: returned, ["mag"], meta=meta).compute()


def test_what_cannot_be_called_is_refused_at_once(layouts):
    catalog = layouts[2]

    def same(*values):
        return values[0]

    with assert_lazy():
        for wrong, message in [
            (lambda: catalog.reduce(same, "lc.tiem", meta={"x": float}), r'did you mean "lc\.time"'),
            (lambda: catalog.reduce(same, "lc", meta={"x": float}), r"name them, lc\.time, lc\.flux, lc\.band"),
            (lambda: catalog.reduce(same, meta={"x": float}), "needs a column"),
            (lambda: catalog.reduce(same, "mag", meta={"ra": float}), '"ra" is the place of the rows'),
            (lambda: catalog.map_rows(same, meta={}), "need a mapping like"),
            (lambda: catalog.map_rows(same, meta="float64"), "need a mapping like"),
            (lambda: catalog.map_rows(same, meta={"x": "flaot"}), "\"x\" as 'flaot', which is not a dtype"),
            (lambda: catalog.map_rows(same, meta={"mag": float}), 'already has a column "mag"'),
            (lambda: catalog.map_partitions(same, rowwise=True, include_pixel=True), "not of its pixel"),
        ]:
            with pytest.raises(PlanError, match=message):
                wrong()


def placed(frame, pixel, shift):
    return frame.assign(order=pixel.order, number=pixel.number + shift)


def test_a_function_of_partitions_may_be_given_the_pixel(layouts):
    for catalog in layouts:
        frame = catalog.map_partitions(placed, 1, columns=["ra", "dec"], include_pixel=True).compute()
        leaves = catalog.layout.leaf_of(frame.index.to_numpy())
        assert frame["order"].tolist() == catalog.layout.orders[leaves].tolist()
        assert frame["number"].tolist() == (catalog.layout.numbers[leaves] + 1).tolist()


def test_a_function_of_partitions_that_fails_is_named_with_its_pixel(layouts):
    def picky(frame):
        if len(frame) and frame["mag"].min() < 15.1:
            raise ValueError("too bright")
        return frame

    for catalog in layouts:
        with pytest.raises(RunError, match=r"picky on Pixel\(\d+, \d+\) raised ValueError: too bright"):
            catalog.map_partitions(picky).compute()


def test_rows_dropped_below_a_rowwise_function_are_not_read(layouts):
    disk = layouts[2]
    mapped = disk.map_partitions(
        lambda frame: frame.assign(x=frame["mag"]), columns=["objectId", "ra", "dec", "mag"], rowwise=True
    )
    near = mapped.cone_search(45.0, 41.8, 3600.0)
    assert near.compute().objectId.tolist() == disk.cone_search(45.0, 41.8, 3600.0).compute().objectId.tolist()


def test_light_curves_that_a_function_hands_on_keep_types_units_and_roles(tmp_path):
    kind = TABLE.schema.field("lc").type
    units = {"time": "d", "flux": "nJy"}
    parts = pa.struct([with_unit(f, units[f.name]) if f.name in units else f for f in kind])
    at = TABLE.schema.get_field_index("lc")
    table = TABLE.set_column(at, pa.field("lc", parts), TABLE["lc"].cast(parts))
    catalog = in_memory(table, "o")
    same = catalog.map_partitions(lambda frame: frame, rowwise=True)
    assert same.schema.field("lc").equals(catalog.schema.field("lc"), check_metadata=True)
    assert same.to_arrow()["lc"].equals(catalog.to_arrow()["lc"])
    written = same.write(tmp_path / "out")
    assert {f.name: unit_of(f) for f in written.schema.field("lc").type} == {**units, "band": None}

    def more(frame):
        curves = pa.chunked_array(frame["lc"].array.struct_array, type=frame["lc"].array.struct_array.type)
        chunk = curves.combine_chunks()
        named = [*(f.name for f in chunk.type), "twice"]
        found = pa.StructArray.from_arrays([*chunk.flatten(), chunk.flatten()[1]], named, mask=chunk.is_null())
        return frame.assign(lc=pd.Series(NestedExtensionArray(found), index=frame.index))

    longer = catalog.map_partitions(more, rowwise=True).schema.field("lc").type
    assert [(f.name, unit_of(f)) for f in longer] == [("time", "d"), ("flux", "nJy"), ("band", None), ("twice", None)]
