"""The command line: each command does what its function does, says it readably, and ends with the right exit code."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

import lsdb_ts as lt
import partitioner
from lsdb_ts import cli
from lsdb_ts.errors import Failure, PlanError, RunError
from lsdb_ts.testing import simulate_survey
from partitioner.surveys import profiles
from tests.partitioner.formats import ROWS, write_hats, write_hipscat
from tests.store.servers import http_server

ROOT = Path(__file__).parents[1]
RUNNER = CliRunner()


def run(*arguments, code=cli.DONE):
    """Run a command in this process; returns its stdout."""
    done = RUNNER.invoke(cli.app, [str(a) for a in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout if code in {cli.DONE, cli.FAILED} and done.stdout else done.output


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return simulate_survey(tmp_path_factory.mktemp("raw") / "survey", 200, seed=3, files_per_table=2)


@pytest.fixture(scope="module")
def out(survey, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "survey"
    run("repartition", survey.toml, "--out", folder)
    return folder


@pytest.fixture(scope="module")
def truth(survey):
    """The object with most forced sources: id, and its epochs."""
    forced = pa.concat_tables([pq.read_table(f) for f in survey.files("forced_source")])
    counts = pc.value_counts(forced.column("objectId").combine_chunks())
    best = max(counts.to_pylist(), key=lambda c: (c["counts"], c["values"]))["values"]
    mine = forced.filter(pc.field("objectId") == best).sort_by("midpointMjdTai")
    return best, mine


@pytest.fixture
def single(tmp_path):
    """A table of 300 rows in two files, with one row that is not on the sky."""
    rng = np.random.default_rng(0)
    dec = rng.uniform(-80, 80, 300)
    dec[170] = np.nan
    table = pa.table({"star": np.arange(300), "lon": rng.uniform(0, 360, 300), "lat": dec})
    (tmp_path / "raw").mkdir()
    pq.write_table(table.slice(0, 150), tmp_path / "raw" / "a.parquet")
    pq.write_table(table.slice(150), tmp_path / "raw" / "b.parquet")
    return tmp_path / "raw"


def test_a_survey_becomes_a_collection_and_its_rows_are_accounted_for(survey, out, tmp_path):
    assert len(lt.open_catalog(out)) == 200
    told = json.loads(run("repartition", survey.toml, "--out", out, "--json"))
    assert told["already_done"]
    rows = {t["table"]: t["rows_in"] for t in told["tables"]}
    assert rows == {"object": 200, "source": survey.n_sources, "forced_source": survey.n_forced_sources}
    assert "was finished before" in run("repartition", survey.toml, "--out", out)


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(survey, tmp_path):
    text = run("repartition", survey.toml, "--out", tmp_path / "new", "--dry-run")
    assert "nothing was written" in text
    assert f"{survey.n_sources:,}" in text
    told = json.loads(run("repartition", survey.toml, "--out", tmp_path / "new", "--dry-run", "--json"))
    assert told["tables"]["object"]["rows"] == 200
    assert not (tmp_path / "new").exists()


def test_a_dry_run_says_what_it_takes_and_fails_where_that_is_not_there(survey, tmp_path, monkeypatch):
    dry = ("repartition", survey.toml, "--out", tmp_path / "new", "--dry-run")
    told = json.loads(run(*dry, "--memory", "4GB", "--json"))["estimate"]
    assert told["memory_bytes"] <= 4_000_000_000
    assert "need at least" in run(*dry, "--memory", "100MB", code=cli.MISUSE)
    assert "is no size" in run(*dry, "--memory", "much", code=cli.MISUSE)
    monkeypatch.setattr("partitioner.planning.estimate.free_bytes", lambda out: 1 << 20)
    assert "of 1.0 MiB free" in run(*dry, code=cli.FAILED)
    assert "has 1.0 MiB free: name a folder on a larger disk" in run(*dry[:-1], "--json", code=cli.FAILED)
    assert not (tmp_path / "new").exists()


def test_a_single_table_needs_no_file(single, tmp_path):
    made = tmp_path / "stars"
    arguments = ["repartition", f"{single}/*.parquet", "--ra", "lon", "--dec", "lat", "--out", made]
    failed = run(*arguments, code=cli.FAILED)
    assert "b.parquet" in failed
    assert "20" in failed
    text = run(*arguments, "--on-bad", "refuse", "--max-bytes", "10kB", "--margin-arcsec", 0, "--dry-run")
    assert "1 rows of stars have no position" in text
    text = run(*arguments, "--on-bad", "refuse", "--max-rows", 50, "--margin-arcsec", 0)
    assert "299" in text
    told = json.loads(run("info", made, "--json"))
    assert (told["name"], told["rows"], told["margin"]) == ("stars", 299, None)
    assert told["partitions"] > 6


def test_a_catalog_tells_the_roles_of_its_columns(out, tmp_path):
    write_hipscat(ROWS, tmp_path / "old")
    write_hats(ROWS, tmp_path / "foreign")
    (leaf,) = (tmp_path / "foreign").rglob("Npix=*.parquet")
    rows = pq.read_table(leaf)
    pq.write_table(rows.rename_columns([{"ra": "alpha", "dec": "delta"}.get(n, n) for n in rows.column_names]), leaf)
    properties = tmp_path / "foreign" / "hats.properties"
    properties.write_text(properties.read_text().replace("_ra=ra", "_ra=alpha").replace("_dec=dec", "_dec=delta"))
    for source, made, positions in (
        (out, "again", ("coord_ra", "coord_dec")),
        (tmp_path / "old", "hipscat", ("ra", "dec")),
        (tmp_path / "foreign", "hats", ("alpha", "delta")),
    ):
        run("repartition", source, "--out", tmp_path / made, "--quiet")
        told = json.loads(run("info", tmp_path / made, "--json"))
        assert (told["ra"], told["dec"], told["name"]) == (*positions, made)
        run("verify", tmp_path / made)
    before, after = (json.loads(run("info", path, "--json")) for path in (out, tmp_path / "again"))
    assert after["columns"] == before["columns"]
    assert after["rows"] == before["rows"]


def test_a_table_that_does_not_tell_where_its_rows_are_is_refused_with_the_way_out(single, tmp_path):
    told = run("repartition", single, "--ra", "lon", "--out", tmp_path / "x", code=cli.FAILED)
    assert "no known dec column" in told
    assert "--dec COLUMN" in told


def test_options_that_do_not_fit_together_are_misuse(survey, tmp_path):
    text = run("repartition", survey.toml, "--ra", "lon", "--out", tmp_path / "x", code=cli.MISUSE)
    assert "only for a single table" in text
    run("repartition", survey.toml, code=cli.MISUSE)
    run("no-such-command", code=cli.MISUSE)


def test_a_known_survey_is_printed_to_be_filled_in_and_others_are_listed(tmp_path):
    text = run("survey", "rubin")
    assert text == profiles.text("rubin")
    assert tomllib.loads(text)["tables"]["object"]["roles"]["id"] == "objectId"
    listed = run("survey")
    assert all(f"{name} " in listed and profiles.summary(name) in listed for name in profiles.names())
    assert json.loads(run("survey", "--json")) == {name: profiles.summary(name) for name in profiles.names()}
    assert json.loads(run("survey", "gaia", "--json"))["toml"] == profiles.text("gaia")
    assert 'did you mean "rubin"' in run("survey", "ruben", code=cli.MISUSE)
    (tmp_path / "survey.toml").write_text(text)
    missing = run("repartition", tmp_path / "survey.toml", "--out", tmp_path / "x", code=cli.MISUSE)
    assert "[tables.object] needs files" in missing


def test_a_folder_that_holds_something_else_is_left_alone(survey, single):
    before = sorted(single.iterdir())
    assert "not empty" in run("repartition", survey.toml, "--out", single, code=cli.FAILED)
    assert sorted(single.iterdir()) == before


def test_a_run_that_partly_failed_is_incomplete_and_names_the_pieces(survey, tmp_path, monkeypatch):
    def half(*args, **kwargs):
        raise RunError("1 of 9 pieces failed", [Failure("Pixel(1, 7)", "OSError: disk on fire", "Traceback, long")])

    monkeypatch.setattr(partitioner, "carry_out", half)
    text = run("repartition", survey.toml, "--out", tmp_path / "x", "--json", code=cli.INCOMPLETE)
    assert "Pixel(1, 7): OSError: disk on fire" in text
    assert "Traceback" not in text
    text = run("repartition", survey.toml, "--out", tmp_path / "x", "--json", "-v", code=cli.INCOMPLETE)
    assert "Traceback, long" in text


def test_an_interrupted_run_is_incomplete_and_the_same_command_finishes_it(survey, tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(partitioner, "carry_out", interrupted)
        text = run("repartition", survey.toml, "--out", tmp_path / "x", "--json", code=cli.INCOMPLETE)
        assert "start the same command again" in text
    run("repartition", survey.toml, "--out", tmp_path / "x")
    assert len(lt.open_catalog(tmp_path / "x")) == 200


def test_info_tells_columns_units_roles_margin_and_size(out):
    told = json.loads(run("info", out, "--json"))
    assert (told["kind"], told["rows"], told["ra"]) == ("object", 200, "coord_ra")
    assert told["margin"]["margin_arcsec"] == 10.0
    assert told["bytes"] == sum(f.stat().st_size for f in Path(told["path"]).glob("dataset/Norder*/**/*.parquet"))
    columns = {c["name"]: c for c in told["columns"]}
    assert columns["coord_ra"] == {"name": "coord_ra", "type": "float64", "unit": "deg", "role": "ra"}
    assert {"name": "psfFlux", "type": "float64", "unit": "nJy", "role": "flux"} in columns["lc"]["parts"]
    text = run("info", out)
    assert "200 rows" in text
    assert "lc.psfFlux" in text


def test_a_folder_that_is_no_catalog_is_a_failure_without_traceback(tmp_path):
    for command in ("info", "verify"):
        text = run(command, tmp_path, code=cli.FAILED)
        assert text.startswith("error: ")
        assert "not a HATS catalog" in text
    assert "Traceback" in run("info", tmp_path, "-v", code=cli.FAILED)


def test_verify_passes_a_sound_catalog_and_lists_the_faults_of_another(out, tmp_path):
    import shutil

    assert run("verify", out).startswith("sound")
    assert json.loads(run("verify", out, "--json"))["ok"]
    broken = tmp_path / "broken"
    shutil.copytree(out, broken)
    file = sorted(broken.glob("survey/dataset/Norder=*/**/*.parquet"))[0]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    told = json.loads(run("verify", broken, "--json", code=cli.FAILED))
    assert any(file.name in fault["file"] for fault in told["faults"])
    assert file.name in run("verify", broken, code=cli.FAILED)


def test_a_light_curve_is_found_by_id_and_is_that_of_the_raw_table(out, truth):
    wanted, epochs = truth
    told = json.loads(run("lightcurve", out, wanted, "--json"))
    assert told["id"] == wanted
    assert told["lightcurve"] == "lc"
    assert told["epochs"]["midpointMjdTai"] == epochs.column("midpointMjdTai").to_pylist()
    assert sorted(told["epochs"]["psfFlux"]) == pytest.approx(sorted(epochs.column("psfFlux").to_pylist()))


def test_a_light_curve_is_printed_as_a_table_in_time_order(out, truth):
    wanted, epochs = truth
    text = run("lightcurve", out, wanted, "--limit", 5)
    times = [f"{t:.5f}" for t in epochs.column("midpointMjdTai").to_pylist()]
    assert [line.split()[0] for line in text.splitlines() if line.strip().startswith("6")][:5] == times[:5]
    assert f"{len(times) - 5} more" in text
    assert "by --name: detections" in text
    everything = run("lightcurve", out, wanted, "--limit", 0)
    assert [t for t in times if t not in everything] == []
    text = run("lightcurve", out, wanted, "--name", "detections", "--mag", "--fold", 0.5)
    assert "mag (AB)" in text
    assert "phase" in text


@pytest.mark.parametrize("name", ["curve.png", "curve.svg"])
def test_a_light_curve_is_drawn_into_a_file(out, truth, tmp_path, name):
    import matplotlib.pyplot as plt

    run("lightcurve", out, truth[0], "--plot", tmp_path / name, "--fold", 0.5)
    assert (tmp_path / name).stat().st_size > 5000
    assert plt.get_fignums() == []


def test_a_picture_that_cannot_be_drawn_says_which_can(out, truth, tmp_path):
    assert ".png" in run("lightcurve", out, truth[0], "--plot", tmp_path / "curve.xyz", code=cli.MISUSE)


def test_ids_and_columns_that_are_not_there_are_named(out, single, tmp_path):
    assert "no object with objectId = 17" in run("lightcurve", out, 17, code=cli.FAILED)
    assert "whole numbers" in run("lightcurve", out, "M31", code=cli.MISUSE)
    assert "there are: lc, detections" in run("lightcurve", out, 17, "--name", "xyz", code=cli.MISUSE)
    assert "did you mean" in run("lightcurve", out, 17, "--id-column", "objctId", code=cli.MISUSE)
    made = tmp_path / "stars"
    run("repartition", single / "a.parquet", "--ra", "lon", "--dec", "lat", "--out", made)
    assert "has no light curves" in run("lightcurve", made, 17, code=cli.MISUSE)


@pytest.mark.parametrize("period", ["0", "-1", "nan"])
def test_a_period_that_is_none_is_misuse(out, truth, period):
    found = run("lightcurve", out, truth[0], "--fold", period, code=cli.MISUSE)
    assert "need a period in days, more than 0" in found


def test_a_column_that_cannot_hold_ids_is_misuse(out, truth):
    found = run("lightcurve", out, truth[0], "--id-column", "coord_ra", code=cli.MISUSE)
    assert "ids are whole numbers or text" in found


def test_looking_up_one_object_reads_only_the_columns_it_shows(out, truth):
    from lsdb_ts.store.read import recording

    with recording() as reads:
        run("lightcurve", out, truth[0], "--name", "detections")
    read = {column for r in reads if r.row_groups for column in r.columns}
    assert not any(column.startswith("lc.") or "psfMag" in column for column in read)


def test_every_command_and_every_option_explains_itself():
    root = typer.main.get_command(cli.app)
    steps = {"plan", "task", "run", "status", "finish"}
    assert set(root.commands) >= {"survey", "repartition", "info", "verify", "lightcurve", "index", "sidecar", *steps}
    for name, command in root.commands.items():
        assert command.help, name
        silent = [p.name for p in command.params if not getattr(p, "help", None)]
        assert silent == [], name


def test_as_a_program_it_ends_with_its_exit_code_and_no_traceback(tmp_path):
    def program(*arguments):
        command = [sys.executable, "-m", "lsdb_ts.cli", *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    version = program("--version")
    assert (version.returncode, version.stdout.split()[0]) == (cli.DONE, "lsdb-ts")
    failed = program("info", tmp_path / "nothing")
    assert failed.returncode == cli.FAILED
    assert failed.stdout == ""
    assert failed.stderr.startswith("error: ")
    assert program("info").returncode == cli.MISUSE


def test_index_builds_once_and_the_catalog_stays_whole(out, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    first = json.loads(run("index", copy, "--json"))
    assert first["built"]
    assert (first["column"], first["nameless"], first["rows"]) == ("objectId", 0, 200)
    assert "is up to date" in run("index", copy, "--column", "objectId")
    assert "did you mean" in run("index", copy, "-c", "objctId", code=cli.MISUSE)
    some = lt.open_catalog(copy).head(1)["objectId"].tolist()
    assert lt.open_catalog(copy).loc_ids(some).compute()["objectId"].tolist() == some
    run("verify", copy)


def test_sidecar_is_built_once_and_the_catalog_stays_whole(out, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    first = json.loads(run("sidecar", copy, "--json"))
    assert first["columns"][-1] == "objectId"
    assert first["written"] == first["leaves"] > 0
    assert " 0 of them written" in run("sidecar", copy)
    assert "did you mean" in run("sidecar", copy, "--columns", "objctId", code=cli.MISUSE)
    run("verify", copy)


def test_who_copies_a_catalog_is_told_how_to_mend_its_sidecar(out, tmp_path):
    made, copy = tmp_path / "made", tmp_path / "copy"
    shutil.copytree(out, made)
    run("sidecar", made)
    shutil.copytree(made, copy, copy_function=shutil.copyfile)
    assert json.loads(run("info", made, "--json"))["sidecar_way_out"] == ""

    assert json.loads(run("info", copy, "--json"))["sidecar_way_out"] == f"lsdb-ts sidecar {copy}"
    assert f"not used, of another state (a copy is one): lsdb-ts sidecar {copy}\n" in run("info", copy)
    assert f"what to do:\n  build it again: lsdb-ts sidecar {copy}\n" in run("verify", copy) + "\n"

    run("sidecar", copy)
    assert json.loads(run("info", copy, "--json"))["sidecar_way_out"] == ""
    assert "what to do" not in run("verify", copy)


def test_info_tells_indexes_and_sidecar_and_a_margin_that_is_missing(out, single, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    before = json.loads(run("info", copy, "--json"))
    assert (before["margin_arcsec"], before["indexes"], before["sidecar"]) == (10.0, {}, None)
    run("index", copy)
    run("sidecar", copy)
    after = json.loads(run("info", copy, "--json"))
    assert Path(after["indexes"]["objectId"]).is_dir()
    assert after["sidecar"] == ["coord_ra", "coord_dec", "objectId"]
    assert "indexes: objectId\n  sidecar: coord_ra, coord_dec, objectId\n" in run("info", copy)
    made = tmp_path / "bare"
    run("repartition", single, "--ra", "lon", "--dec", "lat", "--margin-arcsec", 0, "--on-bad", "refuse", "-o", made)
    told = json.loads(run("info", made, "--json"))
    assert (told["margin"], told["margin_arcsec"]) == (None, None)


def test_a_catalog_behind_a_url_is_described_and_its_light_curves_are_found(out, truth):
    best, _ = truth
    with http_server(out) as served:
        here, there = (json.loads(run("info", place, "--json")) for place in (out, served.url))
        for key in ("name", "kind", "rows", "partitions", "columns", "margin_arcsec"):
            assert there[key] == here[key]
        assert there["path"].startswith(served.url)
        curve = ("lightcurve", best, "--json")
        assert run(curve[0], served.url, *curve[1:]) == run(curve[0], out, *curve[1:])


def test_a_url_where_only_a_folder_will_do_is_misuse_and_makes_no_folder(out, survey, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with http_server(out) as served:
        for arguments in (
            ("repartition", survey.toml, "--out", "https://host/x"),
            ("verify", served.url),
            ("index", served.url),
            ("sidecar", served.url),
        ):
            assert "this machine" in run(*arguments, code=cli.MISUSE), arguments
    for place in ("https://host/x", "s3://bucket/x", Path("https://host/x")):
        with pytest.raises(PlanError, match="takes a folder of this machine"):
            lt.open_catalog(out).write(place)
    assert not list(tmp_path.iterdir())
