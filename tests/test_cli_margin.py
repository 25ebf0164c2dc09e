"""The command that adds a margin, and what `info` tells of a catalog: all that is new, within one screen."""

import json

import pytest
from typer.testing import CliRunner

from lsdb_ts import cli
from lsdb_ts.catalog import open_catalog
from lsdb_ts.store.hats import open_hats
from tests.store.catalogs import layout_for, stars, write_catalog, write_collection

RUNNER = CliRunner()
SCREEN = 40
"""Lines of a terminal."""


def run(*arguments, code=cli.DONE):
    done = RUNNER.invoke(cli.app, [str(a) for a in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture(scope="module")
def table():
    return stars(400, seed=9)


@pytest.fixture
def collection(table, tmp_path):
    return write_collection(tmp_path / "both", table, layout_for(table, 100), margin_arcsec=20.0)


def test_a_margin_is_added_to_a_collection_and_is_the_default_on_request(collection):
    text = run("margin", collection, "--radius", 5)
    assert text.startswith("5 arcsec margin of stars written: ")
    assert "--default makes it open with this one" in text
    assert "is up to date" in run("margin", collection, "-r", 5)
    told = json.loads(run("margin", collection, "--radius", 5, "--default", "--json"))
    assert (told["built"], told["is_default"], told["radius_arcsec"]) == (False, True, 5.0)
    assert open_hats(collection).margin.margin_arcsec == 5.0


def test_a_plain_catalog_is_used_through_the_collection_that_is_named(table, tmp_path):
    write_catalog(tmp_path / "stars", table, layout_for(table, 100))
    text = run("margin", tmp_path / "stars", "--radius", 5)
    named = tmp_path / "stars_collection"
    assert f"open {named} to have it used: stars itself is as it was" in text
    assert open_catalog(named).plan.source.serves_halo(5.0)


def test_what_is_no_radius_or_no_catalog_is_misuse_or_a_failure(collection, tmp_path):
    assert "need a radius in arcseconds, more than 0" in run("margin", collection, "--radius", 0, code=cli.MISUSE)
    assert "margins are made of catalogs" in run("margin", collection / "margin", "--radius", 1, code=cli.MISUSE)
    run("margin", collection, code=cli.MISUSE)
    assert "not a HATS catalog" in run("margin", tmp_path, "--radius", 1, code=cli.FAILED)


def test_info_tells_all_margins_sky_files_beside_and_where_the_rows_come_from(collection, tmp_path):
    run("margin", collection, "--radius", 5)
    open_catalog(collection).query("mag < 20").write(tmp_path / "bright")
    told = json.loads(run("info", collection, "--json"))
    assert (told["margin_arcsec"], told["other_margins"]) == (20.0, {"stars_5arcs": 5.0})
    assert 0 < told["sky_fraction"] < 1
    assert set(told["beside"]) == {"skymap.fits", "data_thumbnail.parquet", "per_partition_statistics.parquet"}
    text = run("info", collection)
    assert "; also 5 arcsec (stars_5arcs)" in text
    assert "of the sky" in text
    assert f"thumbnail of {len(open_hats(collection).layout)} rows" in text
    made = json.loads(run("info", tmp_path / "bright", "--json"))
    assert made["provenance"]["made_by"] == "write"
    assert ": write of stars" in run("info", tmp_path / "bright")
    assert "provenance.json" in run("info", tmp_path / "bright")


def test_info_fits_a_screen_however_many_columns_there_are(table, tmp_path):
    wide = table
    for i in range(60):
        wide = wide.append_column(f"extra{i}", table.column("mag"))
    write_catalog(tmp_path / "wide", wide, layout_for(table, 100))
    text = run("info", tmp_path / "wide")
    assert len(text.splitlines()) <= SCREEN
    shown = sum(f"  extra{i} " in text for i in range(60))
    first = [f"extra{shown + i}" for i in range(4)]
    assert f"and {', '.join(first)}, {60 - shown - 4} more: --json lists all" in text
    assert len(json.loads(run("info", tmp_path / "wide", "--json"))["columns"]) == 65
