"""Tables that workers made reach the client whole, by whichever way, and leave nothing behind."""

import errno
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from distributed import Client, LocalCluster

import lsdb_ts as lt
from lsdb_ts.run import execute, handover
from lsdb_ts.run.handover import Desk, Left, take

LARGE = pa.table({"x": np.arange(400_000), "name": pa.array(["a", "bc"] * 200_000)})


@pytest.fixture
def at(tmp_path):
    (tmp_path / "sign").write_text("42")
    return Desk(str(tmp_path), "42")


def test_a_large_table_is_left_in_a_file_that_is_gone_once_it_is_taken(at, tmp_path):
    left = at.leave(LARGE.slice(7, 300_000))
    assert isinstance(left, Left)
    table = take(left)
    assert table.equals(LARGE.slice(7, 300_000))
    assert [p.name for p in tmp_path.iterdir()] == ["sign"]
    assert table["x"].to_numpy()[-1] == 300_006


def test_small_tables_and_workers_of_other_machines_send_as_dask_does(at):
    small = LARGE.slice(0, 10)
    assert at.leave(small) is small
    assert Desk(at.folder, "another").leave(LARGE) is LARGE
    assert Desk("/nowhere", "42").leave(LARGE) is LARGE
    assert take(LARGE) is LARGE


def test_a_full_disk_is_no_failure(at, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(handover.pa.ipc, "new_file", full)
    assert at.leave(LARGE) is LARGE
    assert [p.name for p in tmp_path.iterdir()] == ["sign"]


def test_a_cluster_hands_over_what_threads_compute(tmp_path, monkeypatch):
    n = 200_000
    rng = np.random.default_rng(3)
    catalog = lt.from_dataframe(pa.table({"id": np.arange(n), "ra": rng.uniform(0, 9, n), "dec": rng.uniform(0, 9, n)}))
    alone = catalog.to_arrow(progress=False)
    monkeypatch.setattr(handover, "_SHARED_MEMORY", tmp_path)
    taken = []
    monkeypatch.setattr(execute, "take", lambda found: (taken.append(type(found)), take(found))[1])
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster):
        assert catalog.to_arrow(progress=False).equals(alone)
    assert Left in taken
    assert not list(Path(tmp_path).glob("lsdb_ts-*"))
