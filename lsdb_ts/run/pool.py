"""Call a function for many items, on the active Dask client or on local threads, few at a time.

What the items mean is not known here.
"""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lsdb_ts.errors import Failure
from lsdb_ts.run.allocator import reuse_freed_memory

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Value = TypeVar("Value")

_WINDOW_PER_CORE = 3
"""Pieces in flight for each core: enough that no core waits, few enough that results do not pile up."""

_DROP_TRIES, _DROP_S = 100, 0.01
"""How often and how long to wait for workers that still hold what nobody needs."""

_EXPECTED_CORES = 16
"""Those of a cluster whose workers have not come yet: with too few expected, work would be cut too coarsely."""


@dataclass(frozen=True)
class Outcome(Generic[Item, Value]):
    """What became of one item."""

    item: Item
    value: Value | None
    failure: Failure | None = None


_THREAD = threading.local()
"""Of a thread that works for :func:`each`: the event that says nobody waits for it any more."""


def stopped() -> bool:
    """Tell a function called by :func:`each` whether nobody waits for its result any more; a cluster does not say."""
    event = getattr(_THREAD, "stopped", None)
    return event is not None and event.is_set()


def active_client() -> Client | None:
    """Return the Dask client in use, if there is one; never starts one."""
    import sys

    if "distributed" not in sys.modules:
        return None
    from distributed import default_client

    try:
        return default_client()
    except ValueError:
        return None


def cores() -> int:
    """Return how many pieces of work run at the same time.

    Threads of the cluster, or the cores this process may use.
    """
    client = active_client()
    if client is not None:
        return sum(client.nthreads().values()) or _EXPECTED_CORES
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(
    function: Callable[[Any, Item], Value],
    items: Iterable[Item],
    shared: Any = None,
    describe: Callable[[Item], str] = str,
    retries: int = 1,
) -> Iterator[Outcome[Item, Value]]:
    """Call ``function(shared, item)`` for every item and yield what became of it, as it completes.

    Parameters
    ----------
    function : callable
        A module-level function; it must give the same result when called again.
    items : iterable
        Taken lazily: only a bounded number is in flight.
    shared : object, optional
        Sent to each worker once, not with every item.
    describe : callable, optional
        Names an item in a failure.
    retries : int, optional
        How often a failed call is repeated before it counts as failed. The others go on in any case.

    Yields
    ------
    Outcome
    """
    client = active_client()
    if client is None:
        yield from _on_threads(function, items, shared, describe, retries)
    else:
        yield from _on_cluster(client, function, items, shared, describe, retries)


def _attempt(
    function: Callable[[Any, Item], Value], shared: Any, item: Item, name: str, retries: int
) -> Outcome[Item, Value]:
    reuse_freed_memory()
    for remaining in range(retries, -1, -1):
        try:
            return Outcome(item, function(shared, item))
        except Exception as error:
            if remaining == 0:
                failure = Failure(name, f"{type(error).__name__}: {error}", traceback.format_exc())
                return Outcome(item, None, failure)
    raise AssertionError("unreachable")


def _on_threads(function: Any, items: Iterable[Item], shared: Any, describe: Any, retries: int) -> Iterator[Any]:
    todo = iter(items)
    first = list(islice(todo, 2))
    if len(first) < 2:
        # Threads take longer to start and to stop than small pieces of work.
        for item in first:
            yield _attempt(function, shared, item, describe(item), retries)
        return
    todo = chain(first, todo)
    n = cores()
    stop = threading.Event()
    with ThreadPoolExecutor(
        n, thread_name_prefix="lsdb_ts", initializer=lambda: setattr(_THREAD, "stopped", stop)
    ) as pool:
        flying: set[Future[Any]] = set()
        try:
            while True:
                for item in islice(todo, _WINDOW_PER_CORE * n - len(flying)):
                    flying.add(pool.submit(_attempt, function, shared, item, describe(item), retries))
                if not flying:
                    return
                landed, flying = wait(flying, return_when=FIRST_COMPLETED)
                for future in landed:
                    yield future.result()
        finally:
            stop.set()
            for future in flying:
                future.cancel()


def _on_cluster(
    client: Client, function: Any, items: Iterable[Item], shared: Any, describe: Any, retries: int
) -> Iterator[Any]:
    from distributed import as_completed

    todo = iter(items)
    flying: dict[Any, tuple[Any, Item, int]] = {}
    # One copy per worker, by reference: each task then carries its item only. In a list, because scatter takes a
    # mapping for many values, under the keys of the mapping, which another run may have used for others.
    (plan,) = client.scatter([shared], broadcast=True, hash=False)
    window = _WINDOW_PER_CORE * cores()

    def submit(item: Item, left: int) -> Any:
        future = client.submit(_attempt, function, plan, item, describe(item), 0, pure=False)
        flying[future.key] = (future, item, left)
        return future

    try:
        landing = as_completed([submit(item, retries) for item in islice(todo, window)])
        for future in landing:
            _, item, left = flying.pop(future.key)
            outcome = _landed(future, item, describe(item))
            if outcome.failure is not None and left > 0:
                landing.add(submit(item, left - 1))
                continue
            yield outcome
            for following in islice(todo, 1):
                landing.add(submit(following, retries))
    finally:
        if flying:
            # Else the cluster goes on for as long as an exception keeps their frames.
            client.cancel([future for future, _, _ in flying.values()])
        plan.release()
        if flying:
            _await_dropped(client, plan.key)


def _await_dropped(client: Client, key: str) -> None:
    """Wait, not for long, until no worker holds a released value: a cluster that is closed before complains of that."""
    # A scheduler that cannot be asked any more has nothing left to drop.
    with suppress(OSError, TimeoutError):
        for _ in range(_DROP_TRIES):
            if not client.sync(client.scheduler.who_has, keys=[key])[key]:
                return
            time.sleep(_DROP_S)


def _landed(future: Any, item: Item, name: str) -> Outcome[Item, Any]:
    """Turn a finished future into an outcome.

    A worker that died or a result that cannot travel is a failure like any other.
    """
    try:
        outcome: Outcome[Item, Any] = future.result()
        return outcome
    except Exception as error:
        return Outcome(item, None, Failure(name, f"{type(error).__name__}: {error}", traceback.format_exc()))
