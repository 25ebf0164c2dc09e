"""Pieces are claimed by one process at a time; the claims of the dead are taken over, by one of them."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, replace

import pytest

from lsdb_ts.store import lease
from lsdb_ts.store.lease import Presence, Worker, claim_name, held, workers


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "leases"


def stranger(folder, **changes):
    """Leave the file of another process, and its claim of piece a/1."""
    folder.mkdir(exist_ok=True)
    worker = replace(Worker.here(), **changes)
    (folder / "other.process").write_text(json.dumps(asdict(worker)))
    (folder / f"{claim_name('a/1')}.0").symlink_to("other.process")
    return worker


def a_dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_piece_is_had_by_one_until_it_is_given_back(folder):
    with Presence(folder) as first, Presence(folder) as second:
        assert first.claim("a/1")
        assert not second.claim("a/1")
        assert second.claim("a/2")
        first.release("a/1")
        assert second.claim("a/1")


def test_of_many_who_claim_at_once_one_succeeds(folder):
    with ExitStack() as stack:
        all_ = [stack.enter_context(Presence(folder)) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            for i in range(40):
                assert sum(pool.map(lambda p, i=i: p.claim(f"a/{i}"), all_)) == 1


def test_what_a_dead_process_of_this_machine_had_is_taken_over_at_once_and_by_one(folder):
    stranger(folder, pid=a_dead_pid())
    with ExitStack() as stack:
        all_ = [stack.enter_context(Presence(folder)) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(lambda p: p.claim("a/1"), all_)) == 1


def test_a_process_number_that_another_has_now_is_not_the_old_process(folder):
    stranger(folder, started="1")
    with Presence(folder) as presence:
        assert presence.claim("a/1")


def test_a_process_that_was_killed_but_not_waited_for_is_dead(folder):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        stranger(folder, pid=process.pid, started=lease._started(process.pid))
        with Presence(folder) as presence:
            assert not presence.claim("a/1")
            process.kill()
            for _ in range(200):
                if presence.claim("a/1"):
                    break
                time.sleep(0.01)
            else:
                pytest.fail("the claim of the dead was kept")
    finally:
        process.kill()
        process.wait()


def test_a_process_elsewhere_is_alive_while_it_says_so(folder):
    stranger(folder, machine="another node", pid=1)
    with Presence(folder) as presence:
        assert not presence.claim("a/1")
        assert [w.machine for w in presence.others()] == ["another node"]
        long_ago = time.time() - 2 * lease.EXPIRY_S
        os.utime(folder / "other.process", (long_ago, long_ago))
        assert presence.others() == []
        assert presence.claim("a/1")


def test_who_is_at_work_on_what_is_told(folder):
    with Presence(folder) as presence:
        presence.claim("shard/object/000001")
        (worker,) = workers(folder)
        assert held(folder) == {"shard.object.000001": worker}
        assert (worker.pid, worker.host) == (os.getpid(), os.uname().nodename)
        assert str(worker).startswith(f"process {os.getpid()} on {os.uname().nodename}, since 20")
    assert workers(folder) == []
    assert held(folder) == {}
    assert list(folder.iterdir()) == []


def test_a_living_process_says_so_again_and_again(folder, monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT_S", 0.01)
    with Presence(folder):
        (file,) = folder.glob("*.process")
        os.utime(file, (0, 0))
        for _ in range(300):
            if file.stat().st_mtime > 0:
                return
            time.sleep(0.01)
    pytest.fail("no heartbeat")


def test_a_folder_that_is_removed_meanwhile_hurts_nobody(folder):
    with Presence(folder) as presence:
        presence.claim("a/1")
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        presence.release("a/1")
