"""Children find their parents by id, however the index is cut."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import IdError
from partitioner import Account, Survey, Table, nest, run
from partitioner.survey import Roles


def test_an_index_in_many_parts_finds_the_same(raw, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(nest, "INDEX_ROWS", 40)

    run(raw.survey, tmp_path / "out")

    for path in sorted(finished.rglob("Npix=*.parquet")):
        assert path.read_bytes() == (tmp_path / "out" / path.relative_to(finished)).read_bytes()


def test_an_index_in_many_parts_finds_repeated_ids(make_raw, tmp_path, monkeypatch):
    monkeypatch.setattr(nest, "INDEX_ROWS", 10)
    raw = make_raw(tmp_path / "raw", n=90)
    path = raw.folder / "object-0.parquet"
    rows = pq.read_table(path)
    ids = rows.column("objectId").to_pylist()
    pq.write_table(rows.set_column(0, rows.schema.field(0), pa.array([*ids[:-1], ids[0]])), path)

    with pytest.raises(IdError, match=f"objectId {ids[0]} of the table"):
        run(raw.survey, tmp_path / "out")


def write_pair(folder, parents: pa.Table, children: pa.Table) -> Survey:
    pq.write_table(parents, folder / "stars.parquet")
    pq.write_table(children, folder / "epochs.parquet")
    star = Table("star", (str(folder / "stars.parquet"),), Roles(id="id", ra="ra", dec="dec"), nest=(("epoch", "lc"),))
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


def test_ids_of_other_widths_are_the_same_ids(tmp_path, rows_of):
    parents = pa.table({"id": pa.array([7, 8], pa.uint64()), "ra": [10.0, 11.0], "dec": [0.0, 0.0]})
    children = pa.table({"star": pa.array([8, 8], pa.int32()), "t": [1.0, 2.0]})

    account = run(write_pair(tmp_path, parents, children), tmp_path / "out")

    assert [len(c["t"]) for c in rows_of(tmp_path / "out").sort_by("id").column("lc").to_pylist()] == [0, 2]
    assert all(t.balances for t in account.tables)


def test_a_row_under_the_wrong_parent_does_not_balance(raw, tmp_path, monkeypatch):
    honest = nest.group_children

    def shifted(*args):
        order, offsets, orphans = honest(*args)
        inner = offsets.copy()
        inner[1:-1] = np.minimum(inner[1:-1] + 1, offsets[-1])
        return order, inner, orphans

    monkeypatch.setattr(nest, "group_children", shifted)

    with pytest.raises(Exception, match='books do not balance for the table "source"'):
        run(raw.survey, tmp_path / "out")

    assert not (tmp_path / "out" / "collection.properties").exists()
    assert Account.read(tmp_path / "out") is None
