"""Runs of next to nothing are done where they are asked for; all others are shared by threads."""

import threading

import numpy as np
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.plan.node import whole
from lsdb_ts.run import execute
from lsdb_ts.run.budget import check_budget, is_quick
from lsdb_ts.store.memory import MemorySource


def sky(rows, seed):
    rng = np.random.default_rng(seed)
    table = pa.table({"id": np.arange(rows), "ra": rng.uniform(0, 360, rows), "dec": rng.uniform(-80, 80, rows)})
    return lt.from_dataframe(table, name=f"sky_{seed}")


@pytest.fixture
def threads(monkeypatch):
    """Names of the threads that made pixels."""
    seen = set()
    made = execute._computed

    def noting(*given, **named):
        seen.add(threading.current_thread().name)
        return made(*given, **named)

    monkeypatch.setattr(execute, "_computed", noting)
    return seen


def test_few_rows_are_matched_without_other_threads(threads, tmp_path):
    catalog = sky(3_000, 1).write(tmp_path / "some", progress=False)
    mine = sky(200, 2)
    mine = mine.with_plan(_in_pieces(mine))
    pairs = mine.crossmatch(catalog, 3600.0)
    assert pairs.npartitions > 3
    assert len(pairs[["id_sky_2", "_dist_arcsec"]].compute(progress=False)) > 3
    assert threads == {threading.main_thread().name}


def test_functions_of_users_are_shared_by_threads(threads):
    mine = sky(200, 3)
    mine = mine.with_plan(_in_pieces(mine)).map_partitions(lambda frame: frame)
    assert len(mine.compute(progress=False)) == 200
    assert any(name.startswith("lsdb_ts") for name in threads)


def test_many_rows_are_shared_by_threads(threads):
    plan = sky(300_000, 4).crossmatch(sky(300_000, 5), 10.0).plan
    assert not is_quick(plan, whole(plan), check_budget(plan, whole(plan)))


def _in_pieces(catalog):
    from lsdb_ts.plan.scan import Scan

    return Scan(MemorySource.of_table(catalog.to_arrow(progress=False), "ra", "dec", catalog.name, max_rows=30))
