"""Children find their parents by id, however the index is cut."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import IdError
from lsdb_ts.store import write
from partitioner import Account, Survey, Table, run, verify
from partitioner.moving import curves, gather, ids, nest
from partitioner.surveys.survey import Nested, Roles


def test_an_index_in_many_parts_finds_the_same(raw, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(ids, "INDEX_ROWS", 40)

    run(raw.survey, tmp_path / "out")

    for path in sorted(finished.rglob("Npix=*.parquet")):
        assert path.read_bytes() == (tmp_path / "out" / path.relative_to(finished)).read_bytes()


def test_an_index_in_many_parts_finds_repeated_ids(make_raw, tmp_path, monkeypatch):
    monkeypatch.setattr(ids, "INDEX_ROWS", 10)
    raw = make_raw(tmp_path / "raw", n=90)
    path = raw.folder / "object-0.parquet"
    rows = pq.read_table(path)
    named = rows.column("objectId").to_pylist()
    pq.write_table(rows.set_column(0, rows.schema.field(0), pa.array([*named[:-1], named[0]])), path)

    with pytest.raises(IdError, match=f"objectId {named[0]} of the table"):
        run(raw.survey, tmp_path / "out")


def write_pair(folder, parents: pa.Table, children: pa.Table) -> Survey:
    pq.write_table(parents, folder / "stars.parquet")
    pq.write_table(children, folder / "epochs.parquet")
    star = Table(
        "star", (str(folder / "stars.parquet"),), Roles(id="id", ra="ra", dec="dec"), nest=(Nested("epoch", "lc"),)
    )
    return Survey("pair", (star, Table("epoch", (str(folder / "epochs.parquet"),), Roles(parent_id="star", time="t"))))


def test_a_child_table_needs_neither_positions_nor_ids_of_its_own(tmp_path, rows_of):
    parents = pa.table({"id": [3, 1, 2], "ra": [10.0, 200.0, 10.001], "dec": [0.0, 0.0, 0.0]})
    children = pa.table({"star": [2, 3, 2, 1, 9, None], "t": [5.0, 1.0, 4.0, 2.0, 0.0, 0.0], "x": list("abcdef")})

    run(write_pair(tmp_path, parents, children), tmp_path / "out")

    rows = {r["id"]: r["lc"] for r in rows_of(tmp_path / "out").to_pylist()}
    assert rows == {1: {"t": [2.0], "x": ["d"]}, 2: {"t": [4.0, 5.0], "x": ["c", "a"]}, 3: {"t": [1.0], "x": ["b"]}}
    assert pq.read_table(tmp_path / "out" / "orphans" / "epoch.parquet").column("x").to_pylist() == ["e", "f"]
    assert Account.read(tmp_path / "out").tables[1].orphans == 2


def test_times_that_are_missing_come_last(tmp_path, rows_of):
    parents = pa.table({"id": [1], "ra": [10.0], "dec": [0.0]})
    children = pa.table({"star": [1, 1, 1], "t": [np.nan, 2.0, 1.0]})

    run(write_pair(tmp_path, parents, children), tmp_path / "out")

    (curve,) = rows_of(tmp_path / "out").column("lc").to_pylist()
    assert curve["t"][:2] == [1.0, 2.0]
    assert np.isnan(curve["t"][2])


def test_times_in_nanoseconds_are_sorted_to_the_last(tmp_path, rows_of, monkeypatch):
    parents = pa.table({"id": [1], "ra": [10.0], "dec": [0.0]})
    times = [1_700_000_000_123_456_700 + i for i in (33, 2, 1, 0)]
    children = pa.table({"star": [1] * 5, "t": pa.array([None, *times])})

    for name, most in (("held", gather.IN_MEMORY_BYTES), ("merged", 0)):
        monkeypatch.setattr(gather, "IN_MEMORY_BYTES", most)
        run(write_pair(tmp_path, parents, children), tmp_path / name)
        (curve,) = rows_of(tmp_path / name).column("lc").to_pylist()
        assert curve["t"] == [*sorted(times), None]
        assert not verify(tmp_path / name).faults


def write_named(folder, ids: pa.Array, on_duplicates: str) -> Survey:
    parents = pa.table({"id": [1, 2], "ra": [10.0, 20.0], "dec": [0.0, 0.0]})
    children = pa.table({"star": [1, 1, 1, 1, 2], "t": [1.0, 2.0, 3.0, 4.0, 5.0], "name": ids})
    return with_ids(write_pair(folder, parents, children), on_duplicates)


def with_ids(survey: Survey, on_duplicates: str) -> Survey:
    star, epoch = survey.tables
    nested = (Nested("epoch", "lc", on_duplicates=on_duplicates),)
    epoch = dataclasses.replace(epoch, roles=Roles(id="name", parent_id="star", time="t"))
    return Survey("pair", (dataclasses.replace(star, nest=nested), epoch))


def test_rows_without_an_id_of_their_own_are_not_repeats_of_each_other(tmp_path, rows_of):
    survey = write_named(tmp_path, pa.array([None, None, 0, 0, None], pa.int64()), "drop")

    account = run(survey, tmp_path / "out").tables[1]

    found = {r["id"]: r["lc"]["name"] for r in rows_of(tmp_path / "out").to_pylist()}
    assert found == {1: [None, None, 0], 2: [None]}
    assert (account.rows_out, account.duplicated, account.dropped) == (4, 1, 1)


def test_row_groups_are_the_same_where_repeats_are_dropped_while_they_are_merged(tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    parents = pa.table({"id": np.arange(60), "ra": rng.uniform(10, 11, 60), "dec": rng.uniform(0, 1, 60)})
    children = pa.table({"star": rng.integers(0, 60, 900), "t": rng.normal(size=900), "name": rng.integers(0, 8, 900)})
    survey = with_ids(write_pair(tmp_path, parents, children), "drop")
    monkeypatch.setattr(write, "ROW_GROUP_BYTES", 2000)
    monkeypatch.setattr(curves, "_WINDOW_ROWS", 7)

    for name, most in (("held", gather.IN_MEMORY_BYTES), ("merged", 0)):
        monkeypatch.setattr(gather, "IN_MEMORY_BYTES", most)
        run(survey, tmp_path / name)

    files = sorted((tmp_path / "held").rglob("Npix=*.parquet"))
    assert files
    assert all(f.read_bytes() == (tmp_path / "merged" / f.relative_to(tmp_path / "held")).read_bytes() for f in files)


def test_repeats_are_found_where_ids_are_texts(tmp_path, rows_of):
    ids = pa.array(["an id of many bytes", "b", "an id of many bytes", None, "b"])
    with pytest.raises(IdError, match='name an id of many bytes of the table "epoch" comes more than once for star 1'):
        run(write_named(tmp_path, ids, "raise"), tmp_path / "raised")

    account = run(write_named(tmp_path, ids, "drop"), tmp_path / "out").tables[1]

    found = {r["id"]: r["lc"]["t"] for r in rows_of(tmp_path / "out").to_pylist()}
    assert found == {1: [1.0, 2.0, 4.0], 2: [5.0]}
    assert (account.rows_out, account.duplicated, account.dropped) == (4, 1, 1)


def test_ids_of_other_widths_are_the_same_ids(tmp_path, rows_of):
    parents = pa.table({"id": pa.array([7, 8], pa.uint64()), "ra": [10.0, 11.0], "dec": [0.0, 0.0]})
    children = pa.table({"star": pa.array([8, 8], pa.int32()), "t": [1.0, 2.0]})

    account = run(write_pair(tmp_path, parents, children), tmp_path / "out")

    assert [len(c["t"]) for c in rows_of(tmp_path / "out").sort_by("id").column("lc").to_pylist()] == [0, 2]
    assert all(t.balances for t in account.tables)


def test_a_row_under_the_wrong_parent_does_not_balance(raw, tmp_path, monkeypatch):
    honest = nest.grouped

    def shifted(*args):
        order, offsets = honest(*args)
        inner = offsets.copy()
        inner[1:-1] = np.minimum(inner[1:-1] + 1, offsets[-1])
        return order, inner

    monkeypatch.setattr(nest, "grouped", shifted)

    with pytest.raises(Exception, match='books do not balance for the table "source"'):
        run(raw.survey, tmp_path / "out")

    assert not (tmp_path / "out" / "collection.properties").exists()
    assert Account.read(tmp_path / "out") is None
