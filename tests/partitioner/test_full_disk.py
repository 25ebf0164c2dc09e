"""A disk that is full, in whatever stage: what is done is kept, the message says so, and room is all that is needed."""

import resource
import subprocess
import sys
from pathlib import Path

from lsdb_ts.errors import OutputError, RunError
from partitioner import run, status
from tests.partitioner.runs import copied, digest

ROOT = Path(__file__).parents[2]


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
    assert [error for _, error in stopped if "No space left on device" not in error] == []
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
