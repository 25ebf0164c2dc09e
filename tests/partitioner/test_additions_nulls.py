"""Nights with rows that have no id, or name no object: counted, and never taken for others."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import IdError
from partitioner import Survey, run, verify
from partitioner.additions import append, compact

NESTING = """
name = "x"

[tables.object]
files = "object.parquet"
max_rows = 60
roles = {{id = "oid", ra = "ra", dec = "dec"}}
nest = ["source"]

[tables.source]
files = "source.parquet"
roles = {{id = "sid", parent_id = "oid", time = "t"}}
{more}
"""
PLAIN = """
name = "x"

[tables.object]
files = "object.parquet"
max_rows = 60
roles = {id = "oid", ra = "ra", dec = "dec"}
"""


def numbered(n: int, first: int, is_text: bool) -> pa.Array:
    ids = np.arange(n) + first
    return pa.array([f"Z{i}" for i in ids]) if is_text else pa.array(ids)


def objects(n: int, first: int, is_text: bool) -> pa.Table:
    rng = np.random.default_rng(first)
    columns = {"ra": rng.uniform(0, 40, n), "dec": rng.uniform(-20, 20, n)}
    return pa.table({"oid": numbered(n, first, is_text), **columns})


def sources(n: int, first: int, is_text: bool) -> pa.Table:
    """Sources of 240 objects, of which only some are there at first."""
    rng = np.random.default_rng(first)
    parents = numbered(240, 0, is_text).take(pa.array(rng.integers(0, 240, n)))
    return pa.table({"sid": numbered(n, first, is_text), "oid": parents, "t": rng.uniform(0, 9, n)})


def nulled(table: pa.Table, name: str, step: int) -> pa.Table:
    """Return a table with every so many value of a column null."""
    at = table.schema.get_field_index(name)
    gone = pa.array(np.arange(table.num_rows) % step == 0)
    return table.set_column(at, name, pc.if_else(gone, pa.scalar(None, table.schema.field(at).type), table[name]))


def made(folder: Path, toml: str, **tables: pa.Table) -> Path:
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    (folder / "survey.toml").write_text(toml)
    run(Survey.read(folder / "survey.toml"), folder / "x")
    return folder / "x"


@pytest.mark.parametrize("more", ["", 'standalone = true\nfollow = "object"'])
@pytest.mark.parametrize("is_text", [False, True])
def test_rows_that_name_no_object_are_orphans_and_rows_without_ids_are_kept(tmp_path, is_text, more):
    # The object of the number 0, which stands for null where ids are hashed, is there.
    first = nulled(nulled(sources(900, 0, is_text), "oid", 7), "sid", 5)
    archive = made(tmp_path, NESTING.format(more=more), object=objects(200, 0, is_text), source=first)
    night = nulled(nulled(sources(100, 5000, is_text), "oid", 3), "sid", 5)
    there = pc.is_in(night["oid"], value_set=numbered(200, 0, is_text), skip_nulls=True).to_numpy()
    pq.write_table(night, tmp_path / "night.parquet")
    pq.write_table(objects(40, 200, is_text), tmp_path / "new.parquet")

    added = append(archive, {"source": [str(tmp_path / "night.parquet")]})
    taken = append(archive, {"object": [str(tmp_path / "new.parquet")]})

    assert {(t.rows_in, t.added, t.orphans) for t in added.tables} == {(100, int(there.sum()), int((~there).sum()))}
    left = pq.read_table(archive / "orphans" / "source.parquet")["oid"]
    assert left.null_count == len(left) == first["oid"].null_count + night["oid"].null_count
    assert sum(t.taken_in for t in taken.tables if t.became == "source of x") > 0
    assert verify(archive).faults == ()
    compact(archive)
    assert verify(archive).faults == ()


def test_an_object_without_an_id_is_told_of_by_file_and_row(tmp_path):
    toml = NESTING.format(more="")
    archive = made(tmp_path, toml, object=objects(200, 0, False), source=sources(900, 0, False))
    ids = pa.array([900, 901, None, 903])
    pq.write_table(objects(4, 900, False).set_column(0, "oid", ids), tmp_path / "new.parquet")

    with pytest.raises(IdError, match=r"row 2 of .*new\.parquet \(counted from 0\) has no oid"):
        append(archive, {"object": [str(tmp_path / "new.parquet")]})


@pytest.mark.parametrize("is_text", [False, True])
def test_where_no_rows_belong_to_others_they_need_no_ids(tmp_path, is_text):
    archive = made(tmp_path, PLAIN, object=nulled(objects(200, 0, is_text), "oid", 9))
    pq.write_table(nulled(objects(50, 180, is_text), "oid", 2), tmp_path / "night.parquet")

    (done,) = append(archive, {"": [str(tmp_path / "night.parquet")]}).tables

    # Ids 181, 183, ... 199 are there, unless they were among those without one: 189 and 198.
    assert (done.rows_in, done.known, done.added) == (50, 9, 41)
    assert verify(archive).ok
