"""What a piece of work may take leaves room for all that a worker holds beside it."""

import os
from types import SimpleNamespace

import pytest

from lsdb_ts.run import budget
from lsdb_ts.run.pool import cores
from lsdb_ts.store.kept import CACHE_BYTES
from lsdb_ts.store.read import DECODED


@pytest.mark.parametrize(("memory", "threads"), [(2 << 30, 1), (2 << 30, 4), (CACHE_BYTES // 2, 1)])
def test_pieces_and_what_stays_decoded_fit_a_worker_together(monkeypatch, memory, threads):
    workers = {"small": {"memory_limit": memory, "nthreads": threads}, "big": {"memory_limit": 1 << 40, "nthreads": 1}}
    client = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": workers})
    monkeypatch.setattr(budget, "active_client", lambda: client)
    allowed = budget.memory_per_task()
    assert allowed == max(memory - DECODED.limit_bytes, 0) // threads


def test_pieces_and_what_stays_decoded_fit_this_machine_together(monkeypatch):
    monkeypatch.setattr(budget, "active_client", lambda: None)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 <= memory - (budget.memory_per_task() * cores() + DECODED.limit_bytes) < cores()


def test_workers_without_a_limit_are_not_limited(monkeypatch):
    workers = {"free": {"memory_limit": 0, "nthreads": 1}}
    client = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": workers})
    monkeypatch.setattr(budget, "active_client", lambda: client)
    assert budget.memory_per_task() is None
