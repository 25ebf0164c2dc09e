"""What is kept in memory is made once, by one thread, and never takes more than its limit."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lsdb_ts.store.kept import Kept


def test_only_what_is_missing_is_made():
    kept = Kept(100, lambda value: 1)
    asked = []

    def make(missing):
        asked.append(missing)
        return [key * 10 for key in missing]

    assert kept.take([1, 2], make) == [10, 20]
    assert kept.take([2, 3, 1], make) == [20, 30, 10]
    assert kept.take([], make) == []
    assert asked == [[1, 2], [3]]


def test_what_was_used_least_recently_is_forgotten_first():
    kept = Kept(3, lambda value: 1)
    kept.take([1, 2, 3], lambda missing: missing)
    kept.take([1], lambda missing: missing)
    kept.take([4], lambda missing: missing)
    assert kept.bytes == 3
    made = []
    kept.take([1, 3, 4, 2], lambda missing: made.extend(missing) or missing)
    assert made == [2]


def test_a_value_beyond_the_limit_is_handed_out_and_not_kept():
    kept = Kept(10, len)
    assert kept.take(["a"], lambda missing: ["x" * 11]) == ["x" * 11]
    assert kept.bytes == 0
    assert kept.take(["a"], lambda missing: ["y"]) == ["y"]


def test_nothing_stays_after_clearing():
    kept = Kept(10, len)
    kept.take(["a", "b"], lambda missing: ["x", "yy"])
    assert kept.bytes == 3
    kept.clear()
    assert kept.bytes == 0
    assert kept.take(["a"], lambda missing: ["z"]) == ["z"]


def test_threads_that_ask_for_the_same_wait_for_the_one_that_makes_it():
    kept = Kept(1000, lambda value: 1)
    made, lock, started = [], threading.Lock(), threading.Barrier(8)

    def make(missing):
        with lock:
            made.extend(missing)
        return [key + 1 for key in missing]

    def ask(first):
        started.wait()
        keys = [(first + i) % 20 for i in range(20)]
        return kept.take(keys, make) == [key + 1 for key in keys]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))
    assert sorted(made) == list(range(20))


def test_who_waited_for_a_failure_hears_of_it_and_the_next_one_tries_again():
    kept = Kept(10, lambda value: 1)
    making, waiting = threading.Event(), threading.Event()

    def fail(missing):
        making.set()
        waiting.wait(5)
        raise OSError("disk on fire")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.take, ["a"], fail)
        making.wait(5)
        second = pool.submit(kept.take, ["a"], lambda missing: ["never"])
        # The second thread finds the slot taken, whenever it comes before the failure.
        while not second.running():
            pass
        waiting.set()
        with pytest.raises(OSError, match="fire"):
            first.result()
        assert second.exception() is not None or second.result() == ["never"]
    assert kept.take(["a"], lambda missing: ["fine"])[0] in {"fine", "never"}
