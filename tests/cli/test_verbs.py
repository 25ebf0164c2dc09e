"""A repartition step by step: each command does its part, says what comes next, and ends with the right exit code."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import lsdb_ts as lt
import partitioner
from lsdb_ts import cli
from lsdb_ts.store.hats import WORK
from lsdb_ts.testing import simulate_survey
from partitioner.running import stages

ROOT = Path(__file__).parents[2]
RUNNER = CliRunner()


def run(*arguments, code=cli.DONE):
    """Run a command in this process; returns stdout and stderr together."""
    done = RUNNER.invoke(cli.app, [str(a) for a in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def told(*arguments, code=cli.DONE):
    """Run a command with --json, and return what it says on stdout."""
    done = RUNNER.invoke(cli.app, [*(str(a) for a in arguments), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return simulate_survey(tmp_path_factory.mktemp("raw") / "survey", 120, seed=3, files_per_table=2)


@pytest.fixture
def out(survey, tmp_path):
    folder = tmp_path / "out"
    run("plan", survey.toml, "--out", folder, "--quiet")
    return folder


def test_a_plan_is_stored_and_says_how_to_go_on(survey, tmp_path):
    out = tmp_path / "out"
    text = run("plan", survey.toml, "--out", out, "--quiet")
    assert "plan for" in text
    assert f"next: lsdb-ts run {out}" in text
    assert [p.name for p in out.iterdir()] == [WORK]
    again = told("plan", survey.toml, "--out", out, "--quiet")
    assert list(again["stages"]) == ["shard", "index", "route", "gather", "margin"]
    assert again["next"] == f"lsdb-ts run {out}"
    (out / WORK / "plan.json").unlink()
    assert "holds no plan" in run("status", out, code=cli.FAILED)


def test_tasks_do_all_pieces_without_the_survey_file_and_finish_makes_the_catalog(out, tmp_path):
    state = told("status", out, code=cli.INCOMPLETE)
    for stage in state["stages"]:
        for i in range(stage["pieces"]):
            assert f"{stage['name']}: 1 of its pieces is done" in run("task", out, stage["name"], i, "-q")
    state = told("status", out, code=cli.INCOMPLETE)
    assert [s["done"] for s in state["stages"]] == [s["pieces"] for s in state["stages"]]
    assert state["next"] == f"lsdb-ts finish {out}"
    account = told("finish", out, "-q")
    assert len(lt.open_catalog(out)) == 120
    assert account["tables"][0]["refused"] == {}
    assert {"orphans", "duplicated", "unvisited", "rows_in", "rows_out"} <= set(account["tables"][0])
    assert told("status", out)["finished"]
    for command in (("run", out), ("finish", out)):
        assert "was finished before" in run(*command, "-q")
    assert "is finished" in run("status", out)
    assert "0 of its pieces" in run("task", out, "shard", 0, "-q")


def test_slices_share_the_pieces_of_a_stage(out):
    n = told("status", out, code=cli.INCOMPLETE)["stages"][0]["pieces"]
    shares = [told("task", out, "shard", "--slice", f"{i}/3", "-q")["pieces"] for i in range(3)]
    assert sum(shares) == n
    state = told("status", out, code=cli.INCOMPLETE)["stages"][0]
    assert (state["done"], state["left"], state["next"]) == (n, 0, None)


def test_a_task_whose_stage_cannot_begin_yet_says_what_is_missing(out):
    text = run("task", out, "gather", 0, "-q", code=cli.INCOMPLETE)
    assert "pieces of shard (index 0" in text
    assert f"lsdb-ts task {out} shard INDEX" in text
    assert "not done yet" in text


def test_finish_lists_what_is_missing_and_commits_nothing(out):
    run("task", out, "shard", 0, "-q")
    text = run("finish", out, "-q", code=cli.INCOMPLETE)
    assert "pieces of shard (index" not in text
    for stage in ("index", "route", "gather", "margin"):
        assert f"pieces of {stage} (index 0" in text
    assert f"lsdb-ts task {out} index INDEX" in text
    assert not (out / "collection.properties").exists()


def test_partitions_of_no_bytes_are_misuse(tmp_path):
    command = ("plan", tmp_path / "a.csv", "--ra", "ra", "--dec", "dec", "--out", tmp_path / "out")
    assert "--max-bytes 0MB: need more than 0 bytes" in run(*command, "--max-bytes", "0MB", code=cli.MISUSE)


def test_pieces_that_there_are_not_are_misuse(out):
    assert 'did you mean "shard"' in run("task", out, "shards", 0, code=cli.MISUSE)
    assert "the pieces of index are 0 to 0" in run("task", out, "index", 1, code=cli.MISUSE)
    assert "need i/n with 0 <= i < n, got 4/4" in run("task", out, "shard", "--slice", "4/4", code=cli.MISUSE)
    assert "a slice is written like 0/4" in run("task", out, "shard", "--slice", "half", code=cli.MISUSE)
    assert "give one of them" in run("task", out, "shard", code=cli.MISUSE)
    assert "not both" in run("run", out, "--workers", 2, "--scheduler", "tcp://x:1", code=cli.MISUSE)


def test_a_failed_piece_is_named_with_its_file_and_the_next_run_does_it(survey, out, monkeypatch):
    path = Path(survey.files("source")[0])
    away = path.rename(path.with_suffix(".away"))
    try:
        text = run("run", out, "-q", code=cli.INCOMPLETE)
        assert f"there is no file {path}" in text
        assert "Traceback" not in text
        assert "Traceback" in run("run", out, "-q", "-v", code=cli.INCOMPLETE)
        state = told("status", out, code=cli.INCOMPLETE)
        assert state["stages"][2]["failed"] >= 1
        assert str(path) in state["failures"][0]["item"]
        assert "failed: route source" in run("status", out, code=cli.INCOMPLETE)
    finally:
        away.rename(path)
    assert told("run", out, "-q")["catalogs"][0]["rows"] == 120


def test_a_log_gets_lines_and_stdout_the_json_alone(out):
    done = RUNNER.invoke(cli.app, ["run", str(out), "--json"])
    json.loads(done.stdout)
    lines = done.stderr.splitlines()
    assert [line.split()[2] for line in lines] == ["shard:", "index:", "route:", "gather:", "margin:", "finish:"]
    assert "\x1b" not in done.stderr


def program(*arguments, **options):
    command = [sys.executable, "-m", "lsdb_ts.cli", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)


def test_who_is_at_work_is_told_and_another_run_names_it(out):
    from lsdb_ts.store.lease import Presence
    from partitioner.running.job import LEASES

    with Presence(out / WORK / LEASES) as presence:
        (key,) = [p.key for p in stages.pieces(partitioner.load(out), "index")]
        presence.claim(key)
        state = told("status", out, code=cli.INCOMPLETE)
        assert state["workers"][0]["pid"] == os.getpid()
        assert [s["at_work"] for s in state["stages"]] == [0, 1, 0, 0, 0]
        assert f"at work: process {os.getpid()} on " in run("status", out, code=cli.INCOMPLETE)
        other = program("run", out)
        line = other.stderr.readline()
        assert f"process {os.getpid()} on {os.uname().nodename}, since 20" in line
        assert f"is at work on {out} too" in line
        for line in other.stderr:
            if "index: the last 1 pieces are being done by" in line:
                break
        presence.release(key)
        _, rest = other.communicate()
        assert other.returncode == cli.DONE, rest


def test_a_batch_system_that_ends_a_run_gets_its_claims_back(out):
    process = program("run", out)
    for line in process.stderr:
        if " shard: " in line:
            break
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate()
    assert process.returncode in {cli.INCOMPLETE, cli.DONE}
    if process.returncode == cli.INCOMPLETE:
        assert "start the same command again" in rest
        assert list((out / WORK / "leases").iterdir()) == []
    run("run", out, "-q")
    assert pq.read_metadata(next(out.glob("*/dataset/_metadata"))).num_rows > 0


def test_a_dask_scheduler_by_its_address_does_the_work(out):
    import distributed

    with lt.cluster("local", n_workers=1, memory_limit="1GiB") as cluster:
        address = cluster.scheduler_address
        assert told("run", out, "--scheduler", address, "-q")["catalogs"][0]["rows"] == 120
    with pytest.raises(ValueError, match="No clients"):
        distributed.default_client()
