"""Killed by force at random instants, whole processes and single workers: what comes out in the end is the same.

``LSDB_TS_KILLS=1000`` kills so often; by default a few dozen times.
"""

import multiprocessing
import os
import random
import shutil
import signal
import time

import pytest

from partitioner import run, status
from tests.partitioner.runs import copied, digest

KILLS = int(os.environ.get("LSDB_TS_KILLS", "32"))
SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["partitioner", "lsdb_ts.run.progress", "pyarrow.parquet"])


def start(out):
    process = SPAWN.Process(target=run, args=(str(out),))
    process.start()
    return process


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def test_a_run_killed_again_and_again_ends_in_the_same_bytes(stored, whole, tmp_path):
    dice = random.Random(int(os.environ.get("LSDB_TS_SEED", "1")))
    kills, ends, at = 0, 0, set()
    while kills < KILLS:
        out = copied(stored, tmp_path / f"out-{ends}")
        finished = False
        while not finished:
            process = start(out)
            process.join(dice.uniform(0.02, 1.2))
            finished = process.exitcode is not None
            if finished:
                assert process.exitcode == 0
            else:
                kill(process)
                kills += 1
                at |= {s.name for s in status(out).stages if 0 < s.done < s.pieces}
        assert digest(out) == whole
        shutil.rmtree(out)
        ends += 1
    assert len(at) >= 2, f"kills came too early or too late: {at}"


def test_two_runs_at_once_of_which_one_is_killed_share_the_work_and_end_in_the_same_bytes(stored, whole, tmp_path):
    out = copied(stored, tmp_path / "out")
    first, second = start(out), start(out)
    deadline = time.monotonic() + 60
    while not any(s.done for s in status(out).stages) and time.monotonic() < deadline:
        time.sleep(0.01)
    kill(first)

    second.join()

    assert second.exitcode == 0
    assert digest(out) == whole


@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_killed_costs_nothing(stored, whole, tmp_path):
    import threading

    import distributed

    import lsdb_ts as lt

    out = copied(stored, tmp_path / "out")
    with lt.cluster("local", n_workers=2, memory_limit="1GiB") as cluster, distributed.Client(cluster) as client:
        pids = list(client.run(os.getpid).values())

        def later():
            while not any(s.done for s in status(out).stages):
                time.sleep(0.01)
            os.kill(pids[0], signal.SIGKILL)

        killer = threading.Thread(target=later)
        killer.start()
        run(out)
        killer.join()

    assert digest(out) == whole
