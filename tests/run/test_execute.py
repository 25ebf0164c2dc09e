"""Runs that write can be stopped anywhere and started again, and one bad partition does not cost the others."""

import functools
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import CatalogError, OutputError, PlanError, ResumeError, RunError
from lsdb_ts.plan.node import identity_of
from lsdb_ts.run import execute
from lsdb_ts.store.hats import WORK
from lsdb_ts.store.journal import Journal, fingerprint
from lsdb_ts.store.write import Unflushed
from tests.skycases import in_memory, neighbours_table, objects_table

TABLE = objects_table(3000)
BAD_ID = 77
FAIL = Path(tempfile.gettempdir()) / f"lsdb_ts_fail_{os.getpid()}"


def fails_while_told(frame):
    """Fail on the partition with one object as long as a file exists: a fault that goes away."""
    if FAIL.exists() and (frame.objectId == BAD_ID).any():
        raise ValueError("disk of this worker is broken")
    return frame


def brighter(frame):
    return frame.assign(mag=frame["mag"] - 1.0)


def content(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("Npix=*.parquet"))
    }


@pytest.fixture
def failing():
    FAIL.touch()
    yield
    FAIL.unlink(missing_ok=True)


def test_one_bad_partition_is_reported_and_a_second_start_does_just_it(tmp_path, failing):
    catalog = in_memory(TABLE, "o", 200).map_partitions(fails_while_told)
    with pytest.raises(RunError, match=r"1 of .* partitions failed.*ValueError: disk") as caught:
        catalog.write(tmp_path / "out")
    assert "fails_while_told" in caught.value.failures[0].traceback
    written = content(tmp_path / "out")
    assert len(written) == catalog.npartitions - 1
    with pytest.raises(CatalogError, match="half-done run"):
        lt.open_catalog(tmp_path / "out")
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("Npix=*.parquet")}

    FAIL.unlink()
    done = catalog.write(tmp_path / "out")

    assert len(done) == TABLE.num_rows
    assert all(p.stat().st_mtime_ns == t for p, t in times.items()), "finished partitions were written again"
    assert not (tmp_path / "out" / WORK).exists()


def test_compute_names_the_partition_that_failed(failing):
    with pytest.raises(RunError, match=r"nothing was returned. The first was Pixel\(.*ValueError"):
        in_memory(TABLE, "o", 200).map_partitions(fails_while_told).compute()


def test_another_plan_on_a_half_done_folder_is_refused_with_what_changed(tmp_path, failing):
    catalog = in_memory(TABLE, "o", 200)
    with pytest.raises(RunError):
        catalog.map_partitions(fails_while_told).write(tmp_path / "out")
    with pytest.raises(ResumeError, match=r"function.name: fails_while_told -> brighter"):
        catalog.map_partitions(brighter).write(tmp_path / "out")


def test_writing_the_same_again_does_nothing_and_another_thing_is_refused(tmp_path):
    catalog = in_memory(TABLE, "o", 300).query("mag < 20")
    catalog.write(tmp_path / "out")
    before = content(tmp_path / "out")
    catalog.write(tmp_path / "out")
    assert content(tmp_path / "out") == before
    with pytest.raises(OutputError, match="already holds the finished catalog"):
        in_memory(TABLE, "o", 300).query("mag < 21").write(tmp_path / "out")


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("five years")
    with pytest.raises(OutputError, match="not empty"):
        in_memory(TABLE, "o").write(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "five years"


SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.skycases import in_memory, neighbours_table, objects_table

def slow(frame):
    time.sleep(0.02)
    return frame

table = objects_table(3000)
pairs = in_memory(table, "o", 100).crossmatch(in_memory(neighbours_table(table), "s", 300), 1.0)
pairs.map_partitions(slow).write(sys.argv[1])
print("done")
"""


def test_a_killed_run_started_again_ends_in_the_same_bytes(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(SCRIPT.format(root=str(Path(__file__).parents[2]))))
    calm = tmp_path / "calm"
    subprocess.run([sys.executable, script, calm], check=True, capture_output=True)
    killed = tmp_path / "killed"
    rounds = 0
    for wanted in (5, 40):
        process = subprocess.Popen([sys.executable, script, killed], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while len(list(killed.rglob("Npix=*.parquet"))) < wanted and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        rounds += process.returncode == -signal.SIGKILL
        for path in killed.rglob("Npix=*.parquet"):
            pq.read_table(path, page_checksum_verification=True)
    assert rounds == 2, "the run ended before it could be killed"
    subprocess.run([sys.executable, script, killed], check=True, capture_output=True)
    assert content(killed) == content(calm)
    assert len(lt.open_catalog(killed)) == len(lt.open_catalog(calm)) > 0


INTERRUPTED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.skycases import in_memory, objects_table

def slow(frame):
    time.sleep(0.1)
    return frame

if __name__ == "__main__":
    if sys.argv[1] == "cluster":
        import lsdb_ts as lt
        from distributed import Client
        client = Client(lt.cluster("local", n_workers=2))
    catalog = in_memory(objects_table(3000), "o", 100).map_partitions(slow)
    print("begun", flush=True)
    if sys.argv[2] == "compute":
        catalog.compute()
    catalog.write(sys.argv[2])
"""


@pytest.mark.parametrize("engine", ["threads", "cluster"])
def test_an_interrupted_write_says_shortly_that_it_continues_and_does(tmp_path, engine):
    script, out = tmp_path / "run.py", tmp_path / "out"
    script.write_text(textwrap.dedent(INTERRUPTED.format(root=str(Path(__file__).parents[2]))))
    lines = interrupted([sys.executable, script, engine, out], lambda: any(out.rglob("Npix=*.parquet")))
    assert lines[-1] == f"KeyboardInterrupt: stopped; what is done is safe in {out}, and the same write continues there"
    assert lines.count("Traceback (most recent call last):") == 1
    assert not any("/concurrent/" in line or "/distributed/" in line for line in lines), "not where a thread waited"
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("Npix=*.parquet")}
    assert kept
    assert (out / WORK).exists()
    subprocess.run([sys.executable, script, "threads", out], check=True, capture_output=True)
    assert len(lt.open_catalog(out)) == 3000
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())


def test_an_interrupted_compute_says_that_nothing_was_kept(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(INTERRUPTED.format(root=str(Path(__file__).parents[2]))))
    lines = interrupted([sys.executable, script, "threads", "compute"], lambda: True)
    assert lines[-1].startswith("KeyboardInterrupt: stopped; nothing was kept")


def interrupted(command, ready):
    """Run a command, press Ctrl-C once it has begun and something is ready; return what it says of that."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background has children that ignore it.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout.readline() == "begun\n", process.stderr.read()
    while not ready() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.2)
    # To all its processes, as terminals do.
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    return said.strip().splitlines()


def test_a_disk_that_fails_costs_its_own_pixel_only(tmp_path, monkeypatch):
    flush = Unflushed.flush
    spoilt = []

    def fail_once(unflushed):
        if not spoilt:
            spoilt.append(unflushed.leaf)
            raise OSError("input/output error")
        return flush(unflushed)

    monkeypatch.setattr(Unflushed, "flush", fail_once)
    catalog = in_memory(TABLE, "o", 500)
    with pytest.raises(RunError, match=r"1 of .* partitions failed.*OSError: input/output error"):
        catalog.write(tmp_path / "out")
    (leaf,) = spoilt
    done = Journal(tmp_path / "out" / WORK).done()
    assert len(done) == catalog.npartitions - 1
    assert f"{leaf.pixel.order}/{leaf.pixel.number}" not in done
    assert len(catalog.write(tmp_path / "out").compute()) == len(TABLE)


def test_units_and_roles_of_columns_survive_every_step(tmp_path):
    from lsdb_ts.schema import Roles, unit_of, with_unit

    table = TABLE.cast(TABLE.schema.set(3, with_unit(TABLE.schema.field("mag"), "mag")))
    table = table.cast(Roles(id="objectId", ra="ra", dec="dec", mag="mag").tag(table.schema))
    pairs = in_memory(table, "o", 300).crossmatch(in_memory(neighbours_table(TABLE), "s"), 1.0, suffixes=("", "_s"))
    written = pairs.query("mag < 22").write(tmp_path / "pairs")
    assert unit_of(written.schema.field("mag")) == "mag"
    assert unit_of(written.schema.field("_dist_arcsec")) == "arcsec"
    assert Roles.of(written.schema).id == "objectId"


def test_a_result_without_positions_can_be_computed_but_not_written_as_a_catalog(tmp_path):
    import pandas as pd

    counts = in_memory(TABLE, "o", 300).map_partitions(lambda frame: pd.DataFrame({"n": [len(frame)]}))
    assert counts.compute()["n"].sum() == TABLE.num_rows
    with pytest.raises(PlanError, match="no positions left"):
        counts.write(tmp_path / "out")
    with pytest.raises(PlanError, match="needs positions"):
        counts.cone_search(0, 0, 1)


def test_a_selection_without_coordinates_says_how_to_write_it(tmp_path):
    with pytest.raises(PlanError, match='"ra" was not selected'):
        in_memory(TABLE, "o")[["objectId"]].write(tmp_path / "out")


def test_work_that_cannot_fit_a_worker_is_refused_before_it_starts(monkeypatch):
    from lsdb_ts.run import budget

    monkeypatch.setattr(budget, "memory_per_task", lambda: 1000)
    with pytest.raises(PlanError, match=r"needs about .* and a worker has 1000 B"):
        in_memory(TABLE, "o").compute()


def scaled(frame, factors):
    return frame.assign(mag=frame["mag"] * np.ravel(factors)[-1])


class Scaler:
    def __init__(self, factor):
        self.factor = factor

    def scaled(self, frame):
        return frame.assign(mag=frame["mag"] * self.factor)

    def __call__(self, frame):
        return self.scaled(frame)


def _values(factor):
    factors = np.ones(5000)
    factors[2500] = factor
    return factors


@pytest.mark.parametrize(
    "call",
    [
        lambda c, factor: c.map_partitions(scaled, _values(factor)),
        lambda c, factor: c.map_partitions(scaled, factors=[_values(factor)]),
        lambda c, factor: c.map_partitions(functools.partial(scaled, factors=_values(factor))),
        lambda c, factor: c.map_partitions(Scaler(factor).scaled),
        lambda c, factor: c.map_partitions(Scaler(factor)),
    ],
    ids=["array", "array in a list", "partial", "method", "callable"],
)
def test_a_function_with_other_values_is_another_plan(call):
    catalog = in_memory(TABLE, "o", 500)
    one, same, other = (fingerprint(identity_of(call(catalog, factor).plan)) for factor in (2.0, 2.0, 3.0))
    assert one == same != other


def test_a_kill_while_the_journal_is_removed_leaves_a_finished_catalog(tmp_path):
    catalog = in_memory(TABLE, "o", 500)
    catalog.write(tmp_path / "out")
    (tmp_path / "out" / WORK).mkdir()
    (tmp_path / "out" / WORK / "done-somewhere-1.jsonl").touch()
    assert len(catalog.write(tmp_path / "out")) == len(TABLE)
    assert not (tmp_path / "out" / WORK).exists()


def test_a_kill_before_the_end_leaves_no_litter_and_files_that_went_missing_are_made_again(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    catalog = in_memory(TABLE, "o", 500)
    with monkeypatch.context() as patch:
        patch.setattr(execute, "finish_catalog", killed)
        with pytest.raises(KeyboardInterrupt):
            catalog.write(tmp_path / "out")
    first, *_ = sorted((tmp_path / "out").rglob("Npix=*.parquet"))
    first.rename(first.with_name(f".{first.name}.1.2.tmp"))
    assert len(catalog.write(tmp_path / "out").compute()) == len(TABLE)
    assert not [p for p in (tmp_path / "out").rglob("*") if p.name.startswith(".")]


LIMIT = 20.0


def bright(mag):
    return mag < LIMIT


def only_bright(frame):
    return frame[bright(frame["mag"])]


def test_a_constant_that_a_function_uses_belongs_to_its_identity(monkeypatch):
    plan = in_memory(TABLE, "o", 500).map_partitions(only_bright).plan
    one = fingerprint(identity_of(plan))
    assert fingerprint(identity_of(plan)) == one
    monkeypatch.setattr(sys.modules[__name__], "LIMIT", 21.0)
    assert fingerprint(identity_of(plan)) != one


def test_a_function_that_calls_itself_has_an_identity():
    def countdown(frame, n=2):
        return countdown(frame, n - 1) if n else frame

    assert identity_of(in_memory(TABLE, "o", 500).map_partitions(countdown).plan)
