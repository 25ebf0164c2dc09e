"""NaN that was computed is missing, on every path; NaN that was read stays what it was."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lsdb_ts as lt
from tests.skycases import in_memory, objects_table, on_disk

X = pa.array([1.0, np.nan, None, -4.0, 0.0, np.nan, None, 9.0] * 20)
KIND = ["a", "b"] * 80
TABLE = objects_table(160, seed=8).append_column("x", X).append_column("kind", pa.array(KIND))
EXPECTED = [np.sqrt(v) if v is not None and v >= 0 else None for v in X.to_pylist()]


def root(x):
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


def by_id(catalog, column):
    table = catalog.to_arrow().sort_by("objectId")
    return table[column]


CATALOG = in_memory(TABLE, "o", 40)
PATHS = {
    "assign": CATALOG.assign(y="sqrt(x)"),
    "a column": CATALOG.assign(y=np.sqrt(CATALOG["x"])),
    "numpy in map_partitions": CATALOG.map_partitions(
        lambda f: f.assign(y=root(f["x"].to_numpy(float, na_value=np.nan)))
    ),
    "pandas in map_partitions": CATALOG.map_partitions(lambda f: f.assign(y=root(f["x"]))),
    "map_rows": CATALOG.map_rows(lambda row: root(row["x"]), ["x"], meta={"y": float}),
    "reduce": CATALOG.reduce(root, "x", meta={"y": float}, append=True),
    "floats of numpy": CATALOG.reduce(lambda x: np.float32(root(x)), "x", meta={"y": "float32"}, append=True),
}


@pytest.mark.parametrize("path", PATHS)
def test_nan_that_is_computed_is_missing_on_every_path(path):
    values = by_id(PATHS[path], "y").to_pylist()
    assert values == EXPECTED
    frame = PATHS[path].compute()
    assert frame["y"].isna().sum() == EXPECTED.count(None)
    assert frame["y"].mean() == pytest.approx(np.mean([v for v in EXPECTED if v is not None]))


def test_nan_that_was_read_stays_nan_whatever_hands_it_on(tmp_path):
    catalog = on_disk(tmp_path, TABLE, "o", 40)
    for way in (
        catalog,
        catalog.assign(y="x").rename(columns={"mag": "m"}).query("objectId >= 0"),
        catalog.map_partitions(lambda frame: frame.assign(m=frame["mag"] + 1)),
        catalog.map_rows(lambda row: 1.0, ["mag"], meta={"one": float}),
        catalog.crossmatch(in_memory(TABLE.select(["ra", "dec"]), "n"), how="left"),
        catalog.join(pd.DataFrame({"objectId": range(3), "n": 1}), on="objectId", how="left"),
    ):
        for made in (way, way.write(tmp_path / f"copy{way.name}{len(way.columns)}{way.columns[-1]}")):
            assert str(by_id(made, "x").to_pylist()) == str(X.to_pylist())


def test_a_missing_number_is_null_among_integers_too():
    catalog = CATALOG.map_rows(lambda row: row["x"], ["x"], meta={"n": "int64"})
    assert by_id(catalog, "n").to_pylist() == [None if v is None or v != v else int(v) for v in X.to_pylist()]


def test_epochs_that_are_nan_are_missing_and_features_take_them():
    curves = CATALOG.map_rows(
        lambda row: {"lc": {"mjd": np.arange(3.0), "flux": np.array([1.0, np.nan, 3.0])}},
        ["mag"],
        meta=pa.schema([("lc", pa.struct([("mjd", pa.list_(pa.float64())), ("flux", pa.list_(pa.float64()))]))]),
    )
    assert by_id(curves, "lc")[0].as_py() == {"mjd": [0.0, 1.0, 2.0], "flux": [1.0, None, 3.0]}
    roots = curves.assign(**{"lc.root": "sqrt(lc.flux - 2)"})
    assert by_id(roots, "lc")[0].as_py()["root"] == [None, None, 1.0]
    means = roots.assign(m="lc.flux.mean()", n="lc.root.count()").compute()
    assert (means["m"] == 2.0).all()
    assert (means["n"] == 1).all()


def test_groups_leave_missing_values_out_and_one_of_nothing_else_is_missing():
    empty = CATALOG.assign(z="sqrt(x) / 0 * (objectId % 2)")
    found = CATALOG.groupby("kind").agg({"x": ["count", "mean", "max"]})
    frame = TABLE.select(["kind", "x"]).to_pandas().groupby("kind").agg({"x": ["count", "mean", "max"]})
    assert np.allclose(found.to_numpy(float), frame.to_numpy(float))
    nothing = empty.query("objectId % 2 == 0").groupby("kind").agg({"z": ["count", "mean", "min"]})
    assert nothing["z", "count"].tolist() == [0] * len(nothing)
    assert nothing["z"][["mean", "min"]].isna().all().all()


def test_a_frame_of_a_users_own_has_its_nan_as_null():
    catalog = lt.from_dataframe(pd.DataFrame({"ra": [1.0, 2.0], "dec": 0.0, "x": [np.nan, 1.0]}))
    assert catalog.query("ra < 1.5").to_arrow()["x"].to_pylist() == [None]
