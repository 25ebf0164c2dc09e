"""Rows that are stored with others, get columns from their visits, or come twice: each in its place, and counted."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import IdError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import separation_arcsec
from lsdb_ts.store.hats import open_hats
from partitioner import Account, Survey, run

SURVEY = """
name = "sim"
[tables.object]
files = "object.parquet"
roles = {{ id = "objectId", ra = "ra", dec = "dec" }}
max_rows = 40
nest = [{{ table = "source", name = "lc"{nest} }}]
[tables.source]
files = "source.parquet"
roles = {{ id = "sourceId", parent_id = "objectId", ra = "ra", dec = "dec", time = "mjd" }}
standalone = true
follow = "object"
visit = {{ table = "visit", on = "visit", columns = ["mjd", "seeing"] }}
[tables.visit]
files = "visit.parquet"
"""


def write_survey(folder, nest: str = "", visits: int = 30) -> tuple[pa.Table, pa.Table]:
    """Write objects, sources an arcsecond off at most of which two come twice in a curve, and most of their visits."""
    rng = np.random.default_rng(4)
    objects = pa.table(
        {"objectId": rng.permutation(200) + 5, "ra": rng.uniform(0, 360, 200), "dec": rng.uniform(-60, 60, 200)}
    )
    of = rng.integers(0, 195, 1500)
    owner = objects.column("objectId").to_numpy()[of]
    ids = rng.permutation(1500) + 10**6
    ids[1], ids[700], owner[700] = ids[0], ids[2], owner[2]
    owner[1] = owner[0]
    owner[30:34] = -7
    sources = pa.table(
        {
            "sourceId": ids,
            "objectId": owner,
            "ra": objects.column("ra").to_numpy()[of] + rng.uniform(-1, 1, 1500) / 3600,
            "dec": objects.column("dec").to_numpy()[of],
            "visit": rng.integers(0, 32, 1500).astype(np.int32),
            "flux": rng.normal(size=1500),
        }
    )
    seen = pa.table(
        {"visit": np.arange(visits), "mjd": rng.permutation(visits) + 0.5, "seeing": rng.normal(size=visits)}
    )
    for name, table in (("object", objects), ("source", sources), ("visit", seen)):
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=300)
    (folder / "survey.toml").write_text(SURVEY.format(nest=nest))
    return sources, seen


def test_rows_that_follow_others_lie_in_the_pixels_of_those_with_the_columns_of_their_visits(tmp_path, rows_of):
    sources, seen = write_survey(tmp_path)

    account = run(Survey.read(tmp_path / "survey.toml"), tmp_path / "out")

    parents = {row["objectId"]: row for row in rows_of(tmp_path / "out").to_pylist()}
    followers = rows_of(tmp_path / "out" / "source")
    times = dict(zip(seen.column("visit").to_pylist(), seen.column("mjd").to_pylist(), strict=True))
    assert followers.num_rows == 1496
    assert sorted(followers.column("sourceId").to_pylist()) == sorted(
        i for i, o in zip(*(sources.column(c).to_pylist() for c in ("sourceId", "objectId")), strict=True) if o != -7
    )
    offsets = []
    for row in followers.to_pylist():
        parent = parents[row["objectId"]]
        assert row[HEALPIX] == parent[HEALPIX]
        assert row["mjd"] == times.get(row["visit"])
        offsets.append(separation_arcsec(row["ra"], row["dec"], parent["ra"], parent["dec"]).item())
    told = open_hats(tmp_path / "out" / "source").properties
    assert told["dataproduct_type"] == "source"
    assert any(abs(float(v) - max(offsets)) < 1e-3 for k, v in told.items() if "offset" in k)
    unvisited = sum(v not in times for v in sources.column("visit").to_pylist())
    assert {t.became: (t.rows_out, t.orphans, t.unvisited) for t in account.tables[1:]} == {
        "lc of sim": (1496, 4, unvisited),
        "catalog source": (1496, 4, unvisited),
    }


def test_light_curves_have_the_columns_of_their_visits_and_are_sorted_by_them(tmp_path, rows_of):
    write_survey(tmp_path, visits=32)

    run(Survey.read(tmp_path / "survey.toml"), tmp_path / "out")

    curves = rows_of(tmp_path / "out").column("lc").to_pylist()
    assert sum(len(c["mjd"]) for c in curves) == 1496
    for curve in curves:
        assert curve["mjd"] == sorted(curve["mjd"])
        assert len(curve["seeing"]) == len(curve["mjd"])


@pytest.mark.parametrize(("asked", "kept", "dropped"), [("keep", 1496, 0), ("drop", 1494, 2)])
def test_rows_that_come_twice_in_a_light_curve_are_counted_and_dropped_on_request(
    tmp_path, rows_of, asked, kept, dropped
):
    write_survey(tmp_path, nest=f', on_duplicates = "{asked}"')

    run(Survey.read(tmp_path / "survey.toml"), tmp_path / "out")

    account = Account.read(tmp_path / "out").tables[1]
    assert (account.rows_out, account.duplicated, account.dropped) == (kept, 2, dropped)
    assert account.balances
    assert sum(len(c["sourceId"]) for c in rows_of(tmp_path / "out").column("lc").to_pylist()) == kept


def test_rows_that_come_twice_are_an_error_on_request(tmp_path):
    write_survey(tmp_path, nest=', on_duplicates = "raise"')

    with pytest.raises(IdError, match=r'sourceId \d+ of the table "source" comes more than once for objectId'):
        run(Survey.read(tmp_path / "survey.toml"), tmp_path / "out")


def test_a_visit_that_comes_twice_is_named(tmp_path):
    _, seen = write_survey(tmp_path)
    pq.write_table(pa.concat_tables([seen, seen.slice(3, 1)]), tmp_path / "visit.parquet")

    with pytest.raises(IdError, match='visit 3 of the table "visit" comes 2 times'):
        run(Survey.read(tmp_path / "survey.toml"), tmp_path / "out")
