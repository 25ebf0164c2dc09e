"""Killed at any moment: a night is added once or not at all, and readers see one state or the other."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import CatalogError
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.read import read_rows
from partitioner import Survey, run, verify
from partitioner.additions import append, compact

ROOT = Path(__file__).parents[2]
TOML = """
name = "sim"
profile = "rubin"

[tables.object]
files = "object.parquet"
max_rows = 12
nest = {source = "lc"}

[tables.source]
files = "source.parquet"
standalone = true
max_rows = 200
"""


@dataclass(frozen=True)
class Small:
    """A small survey, and one night more."""

    folder: Path

    @property
    def night(self) -> dict[str, list[str]]:
        return {t: [str(self.folder / "night" / f"{t}.parquet")] for t in ("object", "source")}

    def archive(self, out: Path) -> Path:
        """Copy the archive to where it may be changed."""
        subprocess.run(["cp", "-r", str(self.folder / "sim"), str(out)], check=True)
        return out


@pytest.fixture(scope="module")
def small(tmp_path_factory, raw) -> Small:
    """The archive holds what came first of the objects and sources; some sources came before their object."""
    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(3)
    objects, sources = raw.objects.slice(0, 40), raw.sources
    mine = np.isin(sources.column("objectId").to_numpy(), objects.column("objectId").to_numpy())
    sources = sources.filter(pa.array(mine))
    for name, table in (("object", objects), ("source", sources)):
        late = rng.random(table.num_rows) < 0.15
        for part, rows in (("base", ~late), ("night", late)):
            (folder / part).mkdir(exist_ok=True)
            pq.write_table(table.filter(pa.array(rows)), folder / part / f"{name}.parquet")
    (folder / "base" / "survey.toml").write_text(TOML)
    run(Survey.read(folder / "base" / "survey.toml"), folder / "sim")
    return Small(folder)


def seen(path: Path) -> dict[str, tuple[int, int]]:
    """Return what a reader finds who opens the collections now: rows, and epochs of light curves or zero."""
    found = {}
    for inner in ("", "source"):
        catalog = open_hats(path / inner)
        for member in (catalog, catalog.margin):
            tables = [read_rows(f, member.schema.names) for pixel in member.layout for f in member.leaf_files(pixel)]
            rows = pa.concat_tables([t.select(member.schema.names) for t in tables])
            epochs = 0
            if "lc" in rows.column_names:
                epochs = sum(len(c["sourceId"]) for c in rows.column("lc").to_pylist())
            found[f"{inner}/{'margin' if member is not catalog else 'catalog'}"] = (rows.num_rows, epochs)
    return found


def by_collection(state: dict[str, tuple[int, int]]) -> list[tuple]:
    """Return what belongs together: what is opened at once."""
    return [tuple(v for k, v in state.items() if k.startswith(f"{inner}/")) for inner in ("", "source")]


@pytest.fixture(scope="module")
def states(small, tmp_path_factory) -> tuple[dict, dict]:
    """What is seen before and after the night."""
    out = small.archive(tmp_path_factory.mktemp("states") / "sim")
    before = seen(out)
    append(out, small.night)
    assert verify(out).ok
    return before, seen(out)


class PowerCut(BaseException):
    """What no piece of code expects."""


@contextmanager
def cut_at(step: int):
    """Fail for good at one of the calls that change what is on the disk; yields the calls that were made."""
    made: list[str] = []

    def counted(name: str, call: Callable) -> Callable:
        def changing(*args, **kwargs):
            if len(made) >= step:
                raise PowerCut
            made.append(name)
            return call(*args, **kwargs)

        return changing

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (os, "link"),
            (os, "replace"),
            (os, "rename"),
            (os, "mkdir"),
            (os, "unlink"),
            (os, "rmdir"),
        ):
            patch.setattr(owner, name, counted(name, getattr(owner, name)))
        for name in ("replace", "rename", "unlink", "mkdir"):
            patch.setattr(Path, name, counted(name, getattr(Path, name)))
        yield made


def steps(work: Callable[[], object]) -> int:
    """Return how often a piece of work changes what is on the disk."""
    with cut_at(1 << 30) as made:
        work()
    return len(made)


@pytest.mark.parametrize("verb", ["append", "compact"])
def test_killed_at_any_step_and_done_again_it_is_done_once(small, states, tmp_path, verb):
    def start(out: Path) -> Path:
        small.archive(out)
        if verb == "compact":
            append(out, small.night)
        return out

    def work(out: Path) -> None:
        append(out, small.night) if verb == "append" else compact(out)

    first = start(tmp_path / "first")
    n = steps(lambda: work(first))
    wanted, before = seen(first), by_collection(states[0] if verb == "append" else states[1])
    assert n > 50
    whole = 0
    # The last steps decide; the first ones are many, and alike.
    for i, step in enumerate([0, n // 4, n // 2, *range(n - 45, n - 8, 8)]):
        out = start(tmp_path / f"cut{i}")
        # Threads race: a run may have a few steps less than the first one had.
        with cut_at(step), suppress(PowerCut):
            work(out)
            whole += 1

        # Each collection is in one state or the other, whole.
        now = by_collection(seen(out))
        assert all(has in (a, b) for has, a, b in zip(now, before, by_collection(wanted), strict=True)), step

        work(out)
        assert seen(out) == wanted
        assert len(json.loads((out / "account.json").read_text())["additions"]) == 1
        assert not list(out.glob(".additions"))
    assert whole <= 2
    assert verify(out).ok


def test_a_process_that_was_killed_is_followed_by_one_that_adds_the_night_once(small, states, tmp_path):
    out = small.archive(tmp_path / "sim")
    script = "import json, sys; from partitioner.additions import append; append(sys.argv[1], json.loads(sys.argv[2]))"
    command = [sys.executable, "-c", script, str(out), json.dumps(small.night)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        while process.poll() is None and not (out / ".additions").exists():
            time.sleep(0.002)
        time.sleep(0.15)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()

    append(out, small.night)

    assert seen(out) == states[1]
    assert verify(out).ok


def test_a_reader_sees_whole_states_while_a_night_is_added(small, states, tmp_path):
    out = small.archive(tmp_path / "sim")
    whole = [by_collection(state) for state in states]
    stop, found = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                found.append(by_collection(seen(out)))
            except CatalogError as error:
                found.append([str(error)] * 2)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        append(out, small.night)
        compact(out)
    finally:
        stop.set()
        reader.join()

    told = [[has == state[i] for state in whole] for now in found for i, has in enumerate(now)]
    assert all(any(t) or "No such file" in str(now) for t, now in zip(told, [n for f in found for n in f], strict=True))
    assert len(found) > 1
