"""Nights of single tables, of text files, and of tables that follow others and look their visits up."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lsdb_ts.cli import app
from lsdb_ts.errors import PlanError
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.read import read_rows
from partitioner import Survey, run, verify
from partitioner.additions import append, compact, forecast_append

FOLLOWING = """
name = "fv"

[tables.object]
files = {objects}
max_rows = 60
roles = {{id = "objectId", ra = "ra", dec = "dec"}}
nest = ["source"]

[tables.source]
files = {sources}
roles = {{id = "sourceId", parent_id = "objectId", time = "mjd", band = "band"}}
visit = {{table = "visit", on = "visit", columns = ["mjd", "band"]}}
standalone = true
follow = "object"
max_rows = 500

[tables.visit]
files = "visit.parquet"
"""


def stars(rng: np.random.Generator, n: int, first: int) -> pa.Table:
    columns = {"objectId": np.arange(n) + first, "ra": rng.uniform(0, 40, n), "dec": rng.uniform(-20, 20, n)}
    return pa.table({**columns, "mag": rng.normal(20, 1, n).astype("f4")})


def rows_of(path: Path) -> list[str]:
    catalog = open_hats(path)
    files = [file for pixel in catalog.layout for file in catalog.leaf_files(pixel)]
    return sorted(str(row) for file in files for row in read_rows(file, catalog.schema.names).to_pylist())


@pytest.fixture
def single(tmp_path) -> Path:
    """A catalog of one table, and a night in a text file beside it."""
    rng = np.random.default_rng(0)
    pq.write_table(stars(rng, 1200, 0), tmp_path / "first.parquet")
    pc.write_csv(stars(rng, 300, 5000), tmp_path / "night.csv")
    files = str(tmp_path / "first.parquet")
    run(Survey.of_single_table(files, "ra", "dec", "stars", max_rows=150, margin_arcsec=600), tmp_path / "stars")
    return tmp_path / "stars"


def test_a_night_of_a_single_table_may_be_a_text_file(single):
    done = append(single, {"": [str(single.parent / "night.csv")]})

    assert open_hats(single).n_rows == 1500
    assert verify(single).ok
    large = done.catalogs[0].too_large
    assert {text.split(", ", 1)[1] for text in compact(single).split} == set(large)
    assert open_hats(single).n_rows == 1500
    assert verify(single).ok


def test_the_command_line_adds_and_folds_in(single):
    night = str(single.parent / "night.csv")

    told = [
        json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
        for command in (["append", str(single), night], ["append", str(single), night], ["compact", str(single)])
    ]

    assert [t["already_done"] for t in told] == [False, True, False]
    assert told[0]["tables"][0]["added"] == 300
    shown = CliRunner().invoke(app, ["append", str(single), f"star={night}"])
    assert (shown.exit_code, 'no table "star"' in shown.output) == (2, True)


def test_a_night_without_rows_and_one_file_that_is_known_are_told_in_a_line(single):
    empty = single.parent / "empty.csv"
    empty.write_text((single.parent / "night.csv").read_text().splitlines()[0] + "\n")

    first, again = (CliRunner().invoke(app, ["append", str(single), str(empty)]).output for _ in range(2))

    assert "added to" in first
    assert "bytes written" not in first
    assert "1 file was added before, and left out" in again


def test_rows_that_follow_others_and_look_visits_up_are_added_as_they_came_in(tmp_path):
    rng = np.random.default_rng(1)
    objects, n = stars(rng, 400, 0), 4000
    visits = pa.table({"visit": np.arange(50), "mjd": np.arange(50) + 60_000.0, "band": list("ugrizugriz" * 5)})
    sources = pa.table(
        {
            "sourceId": np.arange(n),
            "objectId": rng.integers(0, 400, n),
            "visit": rng.integers(0, 50, n),
            "flux": rng.normal(1, 1, n).astype("f4"),
        }
    )
    late = rng.random(n) < 0.2
    parts = {
        "object": objects.slice(0, 380),
        "object-2": objects.slice(380),
        "source": sources.filter(pa.array(~late)),
        "source-2": sources.filter(pa.array(late)),
        "visit": visits,
    }
    for name, table in parts.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    surveys = {"some": ('"object.parquet"', '"source.parquet"'), "all": ('"object*.parquet"', '"source*.parquet"')}
    for name, (of_objects, of_sources) in surveys.items():
        toml = tmp_path / f"{name}.toml"
        toml.write_text(FOLLOWING.format(objects=of_objects, sources=of_sources))
        run(Survey.read(toml), tmp_path / name)
    files = {name: [str(tmp_path / f"{name}.parquet")] for name in parts}

    with pytest.raises(PlanError, match="name the files of their visits, too: visit=FILES"):
        append(tmp_path / "some", {"source": files["source-2"]})
    night = {"source": files["source-2"], "visit": files["visit"]}
    told = forecast_append(tmp_path / "some", night)
    done = append(tmp_path / "some", night)
    expected, found = ([(t.became, t.added, t.orphans) for t in one.tables] for one in (told, done))
    assert found == expected
    assert [t.partitions for t in told.catalogs] == [w.files for w in done.catalogs if "arcs" not in w.path]
    append(tmp_path / "some", {"object": files["object-2"]})

    assert verify(tmp_path / "some").ok
    compact(tmp_path / "some")
    assert verify(tmp_path / "some").ok
    for inner in ("", "source"):
        assert rows_of(tmp_path / "some" / inner) == rows_of(tmp_path / "all" / inner)
