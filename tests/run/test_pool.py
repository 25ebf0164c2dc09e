"""Many calls, few in flight, none lost: on threads and on a real cluster alike."""

import threading
import time
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from lsdb_ts.run import pool
from lsdb_ts.run.pool import active_client, cores, each


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=":0") as running:
        yield running


@pytest.fixture(params=["threads", "cluster"])
def engine(request):
    """Run each test without a client, and with one."""
    if request.param == "threads":
        assert active_client() is None
        yield request.param
    else:
        with Client(request.getfixturevalue("cluster")):
            yield request.param


def square(offset, item):
    return item * item + offset


def fail_on_odd(_, item):
    if item % 2:
        raise ValueError(f"{item} is odd")
    return item


def fail_once(folder: Path, item: int) -> int:
    marker = folder / str(item)
    if not marker.exists():
        marker.touch()
        raise OSError("the file system hiccups")
    return item


def count_tries(folder: Path, item: int) -> int:
    with (folder / str(item)).open("a") as file:
        file.write("x")
    raise RuntimeError("never works")


def look(shared, _):
    return shared


def wait_a_little(_, item):
    time.sleep(0.005)
    return item


def test_every_item_has_one_outcome(engine):
    outcomes = list(each(square, range(50), shared=7))
    assert sorted(o.item for o in outcomes) == list(range(50))
    assert all(o.value == o.item**2 + 7 and o.failure is None for o in outcomes)


def test_no_items_have_no_outcomes(engine):
    assert list(each(square, [], shared=7)) == []


def test_a_failure_is_named_and_costs_the_others_nothing(engine):
    outcomes = {o.item: o for o in each(fail_on_odd, range(20), describe=lambda i: f"Pixel(4, {i})")}
    assert len(outcomes) == 20
    for item, outcome in outcomes.items():
        if item % 2 == 0:
            assert (outcome.value, outcome.failure) == (item, None)
        else:
            assert outcome.value is None
            assert outcome.failure.item == f"Pixel(4, {item})"
            assert outcome.failure.error == f"ValueError: {item} is odd"
            assert "fail_on_odd" in outcome.failure.traceback


def test_what_fails_once_is_tried_again(engine, tmp_path):
    outcomes = list(each(fail_once, range(5), shared=tmp_path))
    assert sorted(o.value for o in outcomes) == list(range(5))


@pytest.mark.parametrize("retries", [0, 2])
def test_what_always_fails_is_tried_as_often_as_asked(engine, tmp_path, retries):
    outcomes = list(each(count_tries, range(3), shared=tmp_path, retries=retries))
    assert all(o.failure is not None for o in outcomes)
    assert len(outcomes) == 3
    assert [(tmp_path / str(i)).read_text() for i in range(3)] == ["x" * (retries + 1)] * 3


@pytest.mark.parametrize("shared", [None, {"limit": 1}, {"limit": 2}, [1, [2]], (1, 2), "text", {1, 2}])
def test_what_is_shared_arrives_as_it_is(engine, shared):
    """Also a mapping with the keys of an earlier one, which a cluster might take for the same data."""
    (outcome,) = each(look, [0], shared=shared)
    assert outcome.value == shared
    assert type(outcome.value) is type(shared)


def test_items_are_taken_as_there_is_room_for_them(engine):
    taken = []

    def items():
        for i in range(100):
            taken.append(i)
            yield i

    room = pool._WINDOW_PER_CORE * cores()
    done = 0
    for _ in each(wait_a_little, items()):
        done += 1
        # What was taken is done, or in flight, or landed and waiting to be handed on.
        assert len(taken) <= done + room
    assert done == 100


def test_items_that_cannot_be_listed_fail_loudly(engine):
    def items():
        yield 1
        raise KeyError("broken list")

    with pytest.raises(KeyError, match="broken list"):
        list(each(square, items(), shared=0))


def test_whoever_stops_early_leaves_nothing_running():
    started = []
    lock = threading.Lock()

    def note(_, item):
        with lock:
            started.append(item)
        time.sleep(0.01)

    outcomes = each(note, range(1000))
    next(outcomes)
    outcomes.close()
    n = len(started)
    time.sleep(0.05)
    assert len(started) == n <= (pool._WINDOW_PER_CORE + 1) * cores()


def test_a_result_that_cannot_travel_is_a_failure_like_any_other(cluster):
    with Client(cluster):
        outcomes = {o.item: o for o in each(unsendable, [0, 1, 2], retries=0)}
    assert outcomes[0].value == 0
    assert outcomes[2].value == 2
    assert outcomes[1].value is None
    assert outcomes[1].failure is not None


def unsendable(_, item):
    return threading.Lock() if item == 1 else item


def test_cores_are_those_of_the_cluster(engine):
    assert cores() == 2 if engine == "cluster" else cores() >= 1


def test_two_runs_at_the_same_time_do_not_mix_what_they_share(engine):
    first, second = each(look, range(40), shared={"limit": 1}), each(look, range(40), shared={"limit": 2})
    pairs = [(a.value["limit"], b.value["limit"]) for a, b in zip(first, second, strict=True)]
    assert pairs == [(1, 2)] * 40


def test_one_item_needs_no_thread_of_its_own():
    (outcome,) = each(lambda shared, item: threading.get_ident(), iter([1]))
    assert outcome.value == threading.get_ident()
