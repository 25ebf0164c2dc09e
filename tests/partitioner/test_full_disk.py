"""A disk that is full, in whatever stage: what is done is kept, the message says so, and room is all that is needed."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lsdb_ts.errors import OutputError, RunError
from partitioner import run, status
from tests.partitioner.runs import copied, digest, small_plan

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stored(raw, tmp_path_factory):
    return small_plan(raw.survey, tmp_path_factory.mktemp("stored") / "sim")


@pytest.fixture(scope="module")
def whole(stored, tmp_path_factory):
    out = copied(stored, tmp_path_factory.mktemp("whole") / "sim")
    run(out)
    return digest(out)


@pytest.fixture
def disk(tmp_path):
    """Return a function that makes a disk of so many KiB, and then a larger one of it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = []

    def size(kib):
        options = f"{'remount,' if mounted else ''}size={kib}k"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip("this user may not make disks")
        mounted.append(folder)
        return folder

    yield size
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def begun(out):
    """Return the stage that a run was stopped in."""
    state = status(out)
    return next((s.name for s in state.stages if s.done < s.pieces), "finish")


def test_a_run_on_a_disk_that_is_full_again_and_again_ends_in_the_same_bytes(stored, whole, disk):
    kib, stopped = 160, []
    out = copied(stored, disk(kib) / "out")
    for _ in range(60):
        try:
            run(out)
            break
        except (RunError, OutputError, OSError) as error:
            stopped.append((begun(out), str(error)))
        kib = int(kib * 1.12)
        disk(kib)
    assert digest(out) == whole
    assert {stage for stage, _ in stopped} >= {"shard", "gather", "finish"}
    assert all("No space left on device" in error for _, error in stopped)
    told = [error for stage, error in stopped if stage in {"shard", "gather"}]
    assert any("the disk is full, so" in error and "what is done is kept" in error for error in told)


LIMITED = """
import resource, sys
from partitioner import run
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
run(sys.argv[1])
"""


def test_a_file_that_may_not_become_so_large_stops_the_run_and_costs_nothing(stored, whole, tmp_path):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    out = copied(stored, tmp_path / "out")
    command = [sys.executable, "-c", LIMITED, str(out), "20000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "the disk is full, so" in done.stderr
    assert "File too large" in done.stderr

    run(out)

    assert digest(out) == whole
