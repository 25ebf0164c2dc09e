"""Killed anywhere and started again: only what is missing is done, and the bytes are the same."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lsdb_ts.errors import ResumeError, RunError
from lsdb_ts.store.hats import WORK
from lsdb_ts.store.journal import Journal
from partitioner import job, run

ROOT = Path(__file__).parents[2]


def digest(out: Path) -> dict[str, str]:
    """Return the hash of every file, but for those that tell the date of their making."""
    dated = {"properties", "hats.properties", "collection.properties"}
    files = [p for p in sorted(out.rglob("*")) if p.is_file() and p.name not in dated]
    return {p.relative_to(out).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


class PowerCut(BaseException):
    """What no piece of code expects."""


def cut_after(monkeypatch, pieces: int) -> None:
    recorded = iter(range(pieces))
    whole = Journal.record

    def record(self, key, value):
        if next(recorded, None) is None:
            raise PowerCut
        whole(self, key, value)

    monkeypatch.setattr(Journal, "record", record)


@pytest.mark.parametrize("pieces", [0, 5, 9, 12, 14])
def test_a_run_cut_off_after_any_piece_ends_in_the_same_bytes(raw, finished, tmp_path, pieces):
    with pytest.MonkeyPatch.context() as patch:
        cut_after(patch, pieces)
        with pytest.raises(PowerCut):
            run(raw.survey, tmp_path / "out")
    assert not (tmp_path / "out" / "collection.properties").exists()

    run(raw.survey, tmp_path / "out")

    assert digest(tmp_path / "out") == digest(finished)


def test_a_run_cut_off_while_it_commits_ends_in_the_same_bytes(raw, finished, tmp_path):
    def cut(*args):
        raise PowerCut

    for name in ("_collect_aside", "finish_collection", "finish_catalog"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(job, name, cut)
            with pytest.raises(PowerCut):
                run(raw.survey, tmp_path / "out")

    run(raw.survey, tmp_path / "out")

    assert digest(tmp_path / "out") == digest(finished)


def test_a_run_cut_off_while_it_tidies_up_is_done(raw, finished, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job.shutil, "rmtree", lambda *args: None)
        run(raw.survey, tmp_path / "out")
    assert (tmp_path / "out" / WORK).exists()

    account = run(raw.survey, tmp_path / "out")

    assert account.already_done
    assert digest(tmp_path / "out") == digest(finished)


def test_a_second_start_does_only_what_is_missing(raw, tmp_path, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "assemble", fails)
        with pytest.raises(RunError, match=r"pieces of margin object failed, the first: sim, bucket 0: .*out of order"):
            run(raw.survey, tmp_path / "out")

    for name in ("shard", "route", "build_index"):
        monkeypatch.setattr(job, name, fails)
    run(raw.survey, tmp_path / "out")

    assert (tmp_path / "out" / "collection.properties").exists()


def fails(shared, item):
    raise OSError("out of order")


def test_a_half_done_run_is_not_taken_up_with_other_parameters(raw, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        cut_after(patch, 3)
        with pytest.raises(PowerCut):
            run(raw.survey, tmp_path / "out")
    tables = [dataclasses.replace(t, max_rows=77) if t.name == "object" else t for t in raw.survey.tables]

    with pytest.raises(ResumeError, match=r"tables\.object\.max_rows: 15 -> 77"):
        run(dataclasses.replace(raw.survey, tables=tuple(tables)), tmp_path / "out")


def test_a_half_done_run_is_not_taken_up_with_other_inputs(make_raw, tmp_path):
    raw = make_raw(tmp_path / "raw", n=90)
    with pytest.MonkeyPatch.context() as patch:
        cut_after(patch, 3)
        with pytest.raises(PowerCut):
            run(raw.survey, tmp_path / "out")
    os.utime(raw.folder / "object-0.parquet", ns=(1, 1))

    with pytest.raises(ResumeError, match=r"object-0\.parquet\.mtime_ns: \d+ -> 1"):
        run(raw.survey, tmp_path / "out")


SLOW_RUN = """
import sys, time
from partitioner import Survey, job, run

def slowly(stage):
    def piece(shared, item):
        value = stage(shared, item)
        time.sleep(0.2)
        return value
    return piece

job.route, job.gather = slowly(job.route), slowly(job.gather)
run(Survey.read(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("stage", ["route/source/", "gather/object/"])
def test_a_process_that_was_killed_is_taken_up_by_the_next(raw, finished, tmp_path, stage):
    out = tmp_path / "out"
    command = [sys.executable, "-c", SLOW_RUN, str(raw.folder / "survey.toml"), str(out)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        while process.poll() is None and stage not in written(out):
            time.sleep(0.01)
        assert process.poll() is None, "it was done before it could be killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()

    run(raw.survey, out)

    assert digest(out) == digest(finished)


def written(out: Path) -> str:
    return "".join(p.read_text() for p in (out / WORK).glob("done-*.jsonl"))
