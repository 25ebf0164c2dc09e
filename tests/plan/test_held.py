"""Tables without positions are joined by their ids alone, as pandas merges them, and are held once in each process."""

import pickle

import distributed
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.plan.explain import explain
from lsdb_ts.plan.joining import held
from lsdb_ts.plan.node import whole
from tests.skycases import in_memory, objects_table, on_disk

OBJECTS = objects_table(1500, seed=21)
NAMES = pd.DataFrame(
    {
        "objectId": pd.array([*range(0, 1400, 2), 7, 7, 1399, -5, None], dtype="Int64"),
        "mag": np.arange(705) / 7.0,
        "called": [f"star {i % 13}" for i in range(705)],
    }
).sample(frac=1, random_state=3)
LAYOUTS = (60, 400, 100_000)


def expected(how: str, names: pd.DataFrame = NAMES) -> list[tuple]:
    both = OBJECTS.to_pandas().merge(names.dropna(subset="objectId"), on="objectId", how=how, suffixes=("_l", "_r"))
    return rows_of(both)


def rows_of(frame: pd.DataFrame) -> list[tuple]:
    rows = frame[["objectId", "mag_l", "mag_r", "called"]].to_numpy(object).tolist()
    return sorted((tuple(None if pd.isna(v) else v for v in row) for row in rows), key=str)


@pytest.mark.parametrize("how", ["inner", "left"])
@pytest.mark.parametrize("kind", ["frame", "indexed", "arrow", "catalog"])
def test_a_join_with_a_table_is_that_of_pandas_in_every_layout(how, kind):
    truth = expected(how)
    arrow = pa.Table.from_pandas(NAMES, preserve_index=False)
    for max_rows in LAYOUTS:
        left = in_memory(OBJECTS, "l", max_rows)
        # A catalog whose function drops the places: its rows lie in other pixels than their objects.
        loose = in_memory(OBJECTS, "o", 90).map_partitions(
            lambda frame, names: names[names.objectId % 1500 == frame.objectId.min()],
            NAMES.assign(objectId=NAMES.objectId.fillna(-9)),
            meta={"objectId": "int64", "mag": "float64", "called": "string"},
        )
        other = {"frame": NAMES, "indexed": NAMES.set_index("objectId"), "arrow": arrow, "catalog": loose}[kind]
        join = left.join(other, on="objectId", how=how, suffixes=("_l", "_r"))
        frame = join.compute()
        if kind == "catalog":
            rows = pd.DataFrame(loose.compute())
            assert len(rows) > 10
            assert rows_of(frame) == expected(how, rows)
            continue
        assert rows_of(frame) == truth
        assert frame.index.is_monotonic_increasing
        (account,) = frame.attrs["account"].values()
        matched = len({row[0] for row in truth if row[2] is not None})
        assert account["left_rows"] == OBJECTS.num_rows == account["matched"] + account["unmatched"]
        assert (account["matched"], account["pairs"]) == (matched, sum(row[2] is not None for row in truth))


def test_duplicates_on_the_right_keep_their_order():
    frame = in_memory(OBJECTS, "l", 60).join(NAMES, on="objectId").query("objectId == 7").compute()
    assert frame["called"].tolist() == NAMES[NAMES.objectId == 7].called.tolist()


def test_names_types_and_separations_are_checked_at_once():
    left = in_memory(OBJECTS, "l")
    with pytest.raises(PlanError, match='did you mean "objectId"'):
        left.join(NAMES, on="objctId")
    with pytest.raises(PlanError, match="ids must be of one type"):
        left.join(NAMES.assign(objectId=1.5), on="objectId")
    for verb in (left.join, left.nest):
        with pytest.raises(PlanError, match="table has no positions, so how far"):
            verb(NAMES, on="objectId", max_separation_arcsec=2.0)
    with pytest.raises(InputError, match="two columns called"):
        left.join(pa.table([NAMES.mag, NAMES.mag], names=["mag", "mag"]), on="mag")


def test_only_demanded_columns_are_held_and_counted(monkeypatch):
    left = in_memory(OBJECTS, "l", 100)
    wide = NAMES.assign(**{f"c{i}": np.zeros(len(NAMES)) for i in range(50)})
    all_of_it, little = left.join(wide, on="objectId"), left.join(wide, on="objectId")[["objectId", "called"]]
    size = pa.Table.from_pandas(wide, preserve_index=False).nbytes
    assert all_of_it.explain().bytes_per_task - little.explain().bytes_per_task > size
    assert "hold table, by objectId" in repr(little.explain())
    assert little.explain().rows == pytest.approx(len(little.compute()), rel=0.1)
    monkeypatch.setattr(held, "MOST_BYTES", size // 4)
    assert len(little.compute()) > 0
    with pytest.raises(PlanError, match=r"each process holds all of it.*more than.*lsdb-ts repartition"):
        left.join(wide, on="objectId").compute()


def test_a_table_is_taken_once_however_many_pixels_there_are(monkeypatch):
    calls = []
    computed = held.Held._computed
    monkeypatch.setattr(
        held.Held, "_computed", lambda self, columns: (calls.append(columns), computed(self, columns))[1]
    )
    join = in_memory(OBJECTS, "l", 60).join(NAMES, on="objectId")
    assert join.npartitions > 20
    join.compute()
    assert len(calls) == 1
    size = len(pickle.dumps(join.plan))
    join.compute()
    assert len(pickle.dumps(join.plan)) == size


def test_what_is_joined_to_a_table_can_be_cut_matched_written_and_counted(tmp_path):
    left = on_disk(tmp_path, OBJECTS, "objects", 100)
    join = left.join(NAMES, on="objectId", how="left", suffixes=("", "_r"))
    again = join.crossmatch(in_memory(OBJECTS, "o", 250), radius_arcsec=0.01)
    assert set(again.compute()["objectId_objects_x_table"]) == set(OBJECTS["objectId"].to_pylist())
    cone = join.cone_search(10.0, 90.0, 5000.0).compute()
    near = left.cone_search(10.0, 90.0, 5000.0).compute()
    assert set(cone.objectId) == set(near.objectId)
    written = join.write(tmp_path / "joined")
    join.write(tmp_path / "joined")
    assert sorted(written.compute()["objectId"]) == sorted(join.compute()["objectId"])


def test_sources_without_positions_are_nested_by_id_and_sorted_by_time():
    rng = np.random.default_rng(5)
    sources = pd.DataFrame({"objectId": rng.integers(0, 1600, 6000), "mjd": rng.uniform(0, 9, 6000)})
    truth = sources[sources.objectId < 1500].sort_values("mjd").groupby("objectId").mjd.apply(list)
    for max_rows in LAYOUTS:
        nested = in_memory(OBJECTS, "o", max_rows).nest(sources, on="objectId")
        table = nested.to_arrow()
        curves = {i: lc["mjd"] for i, lc in zip(table["objectId"].to_pylist(), table["lc"].to_pylist(), strict=True)}
        assert curves == {i: truth.get(i, []) for i in range(1500)}
        assert nested.account()["lc"] == {"nested": int((sources.objectId < 1500).sum())}


def test_an_as_of_join_with_a_table_is_that_of_pandas():
    rng = np.random.default_rng(6)
    left = OBJECTS.append_column("mjd", pa.array(rng.uniform(0, 9, OBJECTS.num_rows)))
    times = pd.DataFrame({"objectId": rng.integers(0, 1500, 4000), "mjd": rng.uniform(0, 9, 4000), "n": range(4000)})
    frame = left.to_pandas().sort_values("mjd")
    truth = pd.merge_asof(frame, times.sort_values("mjd"), on="mjd", by="objectId").set_index("objectId").n
    found = pd.DataFrame(in_memory(left, "l", 100).merge_asof(times, on="mjd", by="objectId").compute())
    found = found.set_index("objectId")["n"]
    assert found.fillna(-1).sort_index().tolist() == truth.fillna(-1).sort_index().tolist()


def test_a_table_travels_to_a_cluster_once_and_not_with_its_tasks(monkeypatch):
    join = in_memory(OBJECTS, "l", 60).join(NAMES, on="objectId", suffixes=("_l", "_r"))
    sizes, scattered = [], []
    submit, scatter = distributed.Client.submit, distributed.Client.scatter

    def submitting(self, function, *args, **kwargs):
        sizes.append(len(pickle.dumps([a for a in args if not isinstance(a, distributed.Future)])))
        return submit(self, function, *args, **kwargs)

    def scattering(self, data, **kwargs):
        scattered.append(kwargs)
        return scatter(self, data, **kwargs)

    with lt.cluster("local", n_workers=2, memory_limit="1GiB") as cluster, distributed.Client(cluster):
        monkeypatch.setattr(distributed.Client, "submit", submitting)
        monkeypatch.setattr(distributed.Client, "scatter", scattering)
        assert rows_of(join.compute()) == expected("inner")
    assert len(scattered) == 1
    assert 0 < max(sizes) < 1000 < explain(join.plan, whole(join.plan)).bytes_per_task
