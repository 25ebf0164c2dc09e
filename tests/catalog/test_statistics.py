"""Statistics are pandas' own, from metadata where that is enough, and with one column read where it is not."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import PlanError, RunError
from lsdb_ts.schema import with_unit
from lsdb_ts.sky.pixel import cell_of, spatial_index
from lsdb_ts.store.read import limits
from lsdb_ts.testing import assert_lazy, assert_reads
from tests.skycases import in_memory, objects_table, on_disk

N = 3000


def table() -> pa.Table:
    plain = objects_table(N)
    rng = np.random.default_rng(8)
    holes = pa.array(np.where(rng.random(N) < 0.2, np.nan, rng.normal(40, 3, N)), from_pandas=False)
    counts = pa.array(rng.integers(0, 5, N), mask=rng.random(N) < 0.1)
    offsets = np.append(0, np.cumsum(rng.integers(0, 4, N))).astype(np.int32)
    flux, band = rng.normal(5, 2, offsets[-1]), rng.choice(["g", "r", "i"], offsets[-1])
    parts = [pa.ListArray.from_arrays(pa.array(offsets), pa.array(values)) for values in (flux, band)]
    extra = {
        "holes": holes,
        "epochs": counts,
        "type": rng.choice(["RRL", "EB", "QSO"], N, p=[0.5, 0.3, 0.2]),
        "good": rng.random(N) < 0.5,
        "bigId": np.arange(N) + (1 << 60),
        "lc": pa.StructArray.from_arrays(parts, ["flux", "band"]),
    }
    for name, values in extra.items():
        plain = plain.append_column(name, values if isinstance(values, pa.Array) else pa.array(values))
    return plain.set_column(3, with_unit(plain.schema.field("mag"), "mag"), plain["mag"])


TABLE = table()
FRAME = TABLE.drop_columns(["lc"]).to_pandas()
EPOCHS = TABLE["lc"].combine_chunks()


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("statistics")
    return [in_memory(TABLE, "one"), in_memory(TABLE, "fine", 60), on_disk(folder, TABLE, "disk", 400)]


def test_limits_and_lengths_come_from_metadata(layouts):
    for catalog in layouts:
        with assert_lazy():
            assert len(catalog) == N
            assert (catalog.min("mag"), catalog.max("mag")) == (FRAME.mag.min(), FRAME.mag.max())
            assert catalog[["mag"]].max("mag") == FRAME.mag.max()
            assert catalog.max("bigId") == (1 << 60) + N - 1
        assert catalog.min("holes") == FRAME.holes.min()


def test_limits_of_everything_are_those_of_pandas(layouts):
    numbers = FRAME.drop(columns=["type", "good"])
    for catalog in layouts:
        pd.testing.assert_series_equal(catalog.min(), numbers.min())
        pd.testing.assert_series_equal(catalog.max(["mag", "holes"]), numbers[["mag", "holes"]].max())
        assert catalog.min("type") == FRAME.type.min()
        assert bool(catalog.max("good")) is True
        assert catalog.min("lc.flux") == EPOCHS.field("flux").flatten().to_numpy().min()


def test_where_rows_were_dropped_limits_are_read_from_that_column_alone(layouts):
    disk = layouts[2]
    with assert_reads({"mag"}):
        assert disk.query("mag > 20").min("mag") == FRAME.mag[FRAME.mag > 20].min()
    with assert_reads({"mag", "junk"}):
        assert disk.query("mag > 20").max("junk") == FRAME.junk[FRAME.mag > 20].max()
    cone = disk.cone_search(0, 90, 36_000)
    assert cone.min("mag") == cone.compute().mag.min() > disk.min("mag")


def test_a_column_that_a_function_made_anew_is_read_again(layouts):
    for catalog in layouts:
        brighter = catalog.map_partitions(lambda frame: frame.assign(mag=frame["mag"] - 5), rowwise=True)
        assert brighter.plan.count == N
        assert brighter.min("mag") == pytest.approx(FRAME.mag.min() - 5)


class Footer:
    """A file of one row group whose writer took NaN for the smallest value, or did not."""

    def __init__(self, low: float) -> None:
        self.statistics = SimpleNamespace(has_min_max=True, min=low, max=9.0, null_count=0)

    def __len__(self) -> int:
        return 1

    def chunks(self, columns: list[str]) -> list[int]:
        return [0]

    def group(self, i: int) -> SimpleNamespace:
        return SimpleNamespace(num_rows=3, column=lambda chunk: SimpleNamespace(statistics=self.statistics))


def test_statistics_in_which_nan_is_a_value_are_not_believed():
    assert limits([Footer(1.0), Footer(0.5)], "x") == (0.5, 9.0)
    assert limits([Footer(1.0), Footer(np.nan), Footer(0.5)], "x") is None


def test_limits_of_nothing_are_missing():
    empty = lt.from_dataframe(FRAME.iloc[:0])
    assert np.isnan(empty.min("mag"))
    none = lt.from_dataframe(FRAME.assign(none=np.nan))
    assert np.isnan(none.max("none"))


def test_one_pass_aggregates_as_pandas(layouts):
    columns = ["mag", "holes", "epochs", "objectId"]
    functions = ["count", "mean", "std", "var", "min", "max"]
    expected = FRAME[columns].agg(functions)
    for catalog in layouts:
        found = catalog.aggregate(dict.fromkeys(columns, functions))
        pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-12)
        assert catalog.agg("mean")["holes"] == pytest.approx(FRAME.holes.mean())
        assert catalog.agg({"epochs": "sum", "good": "sum"}).tolist() == [FRAME.epochs.sum(), FRAME.good.sum()]
        mixed = catalog.agg({"mag": ["min"], "type": ["min", "count"]})
        assert mixed["type"].tolist() == [FRAME.type.min(), N]
        assert np.isnan(mixed["mag"]["count"])


def test_an_aggregate_reads_its_columns_alone(layouts):
    with assert_reads({"holes", "lc.flux"}, "disk"):
        found = layouts[2].agg({"holes": "mean", "lc.flux": "std"})
    assert found["lc.flux"] == pytest.approx(EPOCHS.field("flux").flatten().to_numpy().std(ddof=1))


def test_long_ids_have_exact_deviations(layouts):
    for catalog in layouts:
        assert catalog.agg({"bigId": "std"})["bigId"] == pytest.approx(np.arange(N).std(ddof=1), rel=1e-12)
    ends = FRAME.iloc[:2].assign(x=np.array([-(1 << 63), (1 << 63) - 1]))
    found = in_memory(pa.Table.from_pandas(ends, preserve_index=False), "ends", 1).agg({"x": ["mean", "std", "max"]})
    assert found["x"]["std"] == pytest.approx(2.0**64 / np.sqrt(2))
    assert found["x"]["mean"] == pytest.approx(-0.5, abs=2048)


def test_large_offsets_do_not_cost_the_deviation_its_digits():
    shifted = FRAME.assign(time=60_000_000.0 + FRAME.junk)
    assert in_memory(pa.Table.from_pandas(shifted), "t", 50).agg({"time": "std"})["time"] == pytest.approx(
        shifted.time.std(), rel=1e-7
    )


def test_describe_is_that_of_pandas(layouts):
    columns = ["mag", "holes", "epochs"]
    expected = FRAME[columns].describe(percentiles=[0.1, 0.5, 0.9])
    for catalog in layouts:
        found = catalog.describe(columns, percentiles=[0.9, 0.5, 0.1])
        pd.testing.assert_frame_equal(found, expected, rtol=1e-12)
        assert found.attrs["units"] == {"mag": "mag"}
    with assert_reads(set(columns), "disk"):
        layouts[2].describe(columns)
    numbers = FRAME.drop(columns=["type", "good"])
    assert list(layouts[0].describe().columns) == list(numbers.columns)
    filtered = layouts[1].query("mag < 18").describe(["mag"])
    pd.testing.assert_frame_equal(filtered, FRAME[FRAME.mag < 18][["mag"]].describe(), rtol=1e-12)


def test_percentiles_of_more_rows_come_from_the_same_rows_in_every_layout(layouts, monkeypatch):
    monkeypatch.setattr("lsdb_ts.catalog.statistics._DRAWN", 500)
    found = [catalog.describe(["junk"])["junk"] for catalog in layouts]
    assert found[0]["50%"] == found[1]["50%"] == found[2]["50%"]
    rank = (FRAME.junk < found[0]["50%"]).mean()
    assert 0 < abs(rank - 0.5) < 5 * np.sqrt(0.25 / 500)
    assert found[0]["count"] == N


def test_values_are_counted_as_pandas_does(layouts):
    for catalog in layouts:
        for column in ("type", "epochs", "good"):
            for dropna in (True, False):
                found = catalog.value_counts(column, dropna=dropna)
                expected = FRAME[column].value_counts(dropna=dropna)
                assert found.tolist() == expected.tolist()
                assert set(found.index.dropna()) == set(expected.index.dropna())
        shares = catalog.value_counts("type", normalize=True)
        assert shares.to_dict() == pytest.approx(FRAME.type.value_counts(normalize=True).to_dict())
        bands = catalog.value_counts("lc.band")
        assert bands.to_dict() == pd.Series(EPOCHS.field("band").flatten().to_pylist()).value_counts().to_dict()
        assert catalog.nunique("epochs") == FRAME.epochs.nunique() == 5
        assert catalog.nunique("epochs", dropna=False) == 6
        assert catalog.unique("type").tolist() == sorted(FRAME.type.unique())
    with assert_reads({"lc.band"}, "disk"):
        layouts[2].nunique("lc.band")


def test_zero_is_one_value_and_so_is_nan():
    odd = FRAME.iloc[:6].assign(x=[0.0, -0.0, np.nan, 1.0, -np.nan, 0.0])
    counts = in_memory(pa.Table.from_pandas(odd, preserve_index=False), "odd", 1).value_counts("x", dropna=False)
    assert counts.tolist() == [3, 2, 1]


def test_groups_are_those_of_pandas(layouts):
    spec = {"mag": ["mean", "count"], "junk": ["min", "max"], "holes": ["std"], "epochs": ["sum", "var"]}
    expected = FRAME.groupby("type").agg(spec)
    for catalog in layouts:
        found = catalog.groupby("type").agg(spec)
        assert found.index.tolist() == expected.index.tolist()
        assert np.allclose(found.to_numpy(float), expected.to_numpy(float))
        assert list(found.columns) == list(expected.columns)
        two = catalog.query("mag < 20").groupby(["type", "epochs"]).size()
        faint = FRAME[FRAME.mag < 20].groupby(["type", "epochs"]).size()
        assert two.tolist() == faint.tolist()
    with assert_reads({"type", "holes", "epochs", "junk"}, "disk"):
        found = layouts[2].groupby("type").agg({"holes": "median", "epochs": "nunique", "junk": "sum"})
    expected = FRAME.groupby("type").agg({"holes": "median", "epochs": "nunique", "junk": "sum"})
    assert np.allclose(found.to_numpy(float), expected.to_numpy(float))
    assert found.index.tolist() == expected.index.tolist()
    with assert_reads({"type"}, "disk"):
        layouts[2].groupby("type").size()


def test_groups_of_large_offsets_keep_the_digits_of_their_deviation():
    shifted = FRAME.assign(time=2_460_000.5 + FRAME.junk / 1000, holes=np.where(FRAME.type == "EB", np.nan, FRAME.mag))
    catalog = in_memory(pa.Table.from_pandas(shifted, preserve_index=False), "t", 50)
    found = catalog.groupby("type").agg({"time": "std", "holes": "mean", "bigId": "max"})
    expected = shifted.groupby("type").agg({"time": "std", "holes": "mean", "bigId": "max"})
    assert np.allclose(found["time"], expected["time"], rtol=1e-6)
    assert np.allclose(found["holes"], expected["holes"], equal_nan=True)
    assert found["bigId"].tolist() == expected["bigId"].tolist()


def test_grouping_computes_nothing_until_a_function_is_asked_for(layouts):
    with assert_lazy():
        groups = layouts[2].groupby("type")
        for wrong, message in [
            (lambda: layouts[2].groupby("tpye"), 'did you mean "type"'),
            (lambda: groups.agg({"magg": "mean"}), 'did you mean "mag"'),
            (lambda: groups.agg({"lc.flux": "mean"}), "not a base column"),
            (lambda: groups.agg({"mag": "meen"}), 'did you mean "mean"'),
            (lambda: layouts[2].groupby([]), "needs a column"),
        ]:
            with pytest.raises(PlanError, match=message):
                wrong()


def test_statistics_and_functions_run_on_worker_processes(layouts):
    from distributed import Client

    expected = layouts[0].describe(["mag", "holes"])
    with lt.cluster("local", n_workers=2) as cluster, Client(cluster):
        disk = layouts[2]
        pd.testing.assert_frame_equal(disk.describe(["mag", "holes"]), expected, rtol=1e-12)
        assert disk.value_counts("type").to_dict() == FRAME.type.value_counts().to_dict()
        assert disk.sample(5, seed=1).objectId.tolist() == layouts[1].sample(5, seed=1).objectId.tolist()
        assert disk.groupby("type").size().to_dict() == FRAME.type.value_counts().to_dict()
        assert disk.groupby("type").agg({"mag": "median"})["mag"]["EB"] == FRAME.mag[FRAME.type == "EB"].median()
        lengths = disk.reduce(lambda flux: flux.size, "lc.flux", meta={"n": "int64"})
        assert lengths.agg({"n": "sum"})["n"] == len(EPOCHS.field("flux").flatten())
        failing = disk.map_rows(lambda row: 1 / (row["objectId"] - 5), ["objectId"], meta={"x": float})
        with pytest.raises(RunError, match=r"raised ZeroDivisionError: .*row .* of Pixel"):
            failing.compute()


@pytest.mark.parametrize("order", [None, 0, 3, 9, 12])
def test_a_density_map_counts_every_row_in_its_cell(layouts, order):
    place = spatial_index(FRAME.ra, FRAME.dec)
    for catalog in layouts:
        found = catalog.density_map(order)
        cells, rows = np.unique(cell_of(place, found.order), return_counts=True)
        assert np.array_equal(found.cells, cells)
        assert np.array_equal(found.rows, rows)
        if found.order < 10:
            assert found.counts.size == 12 * 4**found.order
            assert found.counts.sum() == N
            assert np.average(found.density) == pytest.approx(N / 41252.96, rel=1e-6)


def test_a_density_map_of_a_whole_catalog_is_the_stored_one_and_else_reads_places_alone(layouts):
    disk = layouts[2]
    with assert_lazy():
        whole = disk.density_map(5)
        assert disk[["mag"]].density_map(5).rows.tolist() == whole.rows.tolist()
    with assert_reads(set(), "disk"):
        disk.density_map(14)
    with assert_reads({"mag"}, "disk"):
        bright = disk.query("mag < 18").density_map(5)
    assert bright.rows.sum() == (FRAME.mag < 18).sum()
    assert disk.partitions[:3].density_map(5).rows.sum() == len(disk.partitions[:3])


def test_what_has_no_statistic_is_refused_at_once(layouts):
    catalog = layouts[2]
    with assert_lazy():
        for wrong, message in [
            (lambda: catalog.min("magg"), 'did you mean "mag"'),
            (lambda: catalog.max("lc"), r'has parts: name one of them, for instance "lc\.flux"'),
            (lambda: catalog.agg({"type": "mean"}), '"type" is string, which has no mean'),
            (lambda: catalog.agg("meen"), 'did you mean "mean"'),
            (lambda: catalog.describe(["type"]), "describe sums up numbers"),
            (lambda: catalog.describe(percentiles=[50]), "between 0 and 1"),
            (lambda: catalog.value_counts("lc"), "has parts"),
            (lambda: catalog.density_map(30), "order 30"),
        ]:
            with pytest.raises(PlanError, match=message):
                wrong()


def test_limits_of_epochs_that_a_condition_kept_are_read(layouts):
    flux = EPOCHS.field("flux").flatten().to_numpy()
    for catalog in layouts:
        bright = catalog.query("lc.flux > 5")
        assert len(bright) == N
        assert bright.min("lc.flux") == flux[flux > 5].min()
        assert bright.max("mag") == FRAME["mag"].max()
