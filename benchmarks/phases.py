"""Where the time of a repartition goes: seconds of its threads in reading, sorting, spilling, encoding and the like.

What is measured is patched in from outside: the partitioner knows nothing of it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

PHASES = ("read", "index", "sort", "spill", "nest", "encode", "flush", "finish")


class Clock:
    """Seconds of all threads, by phase; what is called within another phase counts for its own only."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._lock = threading.Lock()
        self._here = threading.local()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        inner, self._here.inner = getattr(self._here, "inner", 0.0), 0.0
        start = time.thread_time()
        try:
            yield
        finally:
            whole = time.thread_time() - start
            with self._lock:
                self.seconds[name] += whole - self._here.inner
            self._here.inner = inner + whole

    def timed(self, name: str, function: Callable) -> Callable:
        def wrapper(*arguments, **options):
            with self.phase(name):
                return function(*arguments, **options)

        return wrapper

    def timed_steps(self, name: str, function: Callable) -> Callable:
        """Time a generator's own work."""

        def wrapper(*arguments, **options):
            steps = function(*arguments, **options)
            while True:
                with self.phase(name):
                    step = next(steps, None)
                if step is None:
                    return
                yield step

        return wrapper


@contextmanager
def clock() -> Iterator[Clock]:
    """Time the phases of a repartition while the context is open."""
    from lsdb_ts.store import write
    from partitioner.margins import assemble as margin
    from partitioner.moving import curves, gather, merge, nest, shard, spill
    from partitioner.planning import histogram
    from partitioner.running import stages, verbs

    found = Clock()
    with ExitStack() as patches:

        def put(where, name: str, phase: str, way=found.timed) -> None:
            patches.enter_context(patch.object(where, name, way(phase, getattr(where, name))))

        for where in (shard, nest):
            put(where, "read_unit", "read", found.timed_steps)
        put(histogram, "read_part", "read", found.timed_steps)
        for where in (shard, histogram):
            put(where, "spatial_index", "index")
        put(shard, "stretch_of", "index")
        put(nest, "find_places", "index")
        put(stages, "build_index", "index")
        put(spill, "taken_table", "sort")
        put(spill, "order_by_group", "sort")
        put(merge, "_held", "sort")
        put(spill.Spill, "_write", "spill")
        for where in (gather, margin):
            put(where, "read_bucket", "spill")
        put(curves, "nest_children", "nest")
        put(gather, "halo_members", "index")
        put(write.LeafFile, "add", "encode")
        put(write.LeafFile, "close", "encode")
        put(write.Unflushed, "flush", "flush")
        put(verbs, "commit", "finish")
        yield found
