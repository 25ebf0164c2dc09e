"""Measure one piece of work: seconds, bytes read, and the peak memory of a process and its children; and serve it.

Runs in either environment, so it needs nothing but numpy and psutil, which both have.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import psutil

SAMPLE_SECONDS = 0.02


@dataclass
class Measured:
    """What one piece of work took."""

    seconds: float = 0.0
    bytes_read: int = 0
    """Bytes asked of the operating system in read calls, whether or not they came from its cache."""
    peak_rss: int = 0
    """Largest sum of the resident memory of the process and its children, in bytes, imports included."""
    tasks: int | None = None
    rows: int = 0
    check: int = 0
    """Order-free hash of the rows: equal on both sides, or the comparison is void."""


class Meter:
    """A context that fills `measured` when it is left."""

    def __enter__(self) -> "Meter":
        self.measured = Measured()
        self._stop = threading.Event()
        self._read_by: dict[int, int] = {}
        self._sample()
        self._before = sum(self._read_by.values())
        self._sampler = threading.Thread(target=self._watch, daemon=True)
        self._sampler.start()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *failure: object) -> None:
        self.measured.seconds = time.perf_counter() - self._start
        self._stop.set()
        self._sampler.join()
        self._sample()
        self.measured.bytes_read = sum(self._read_by.values()) - self._before

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        """Take the memory now; what a child read is kept when the child has gone."""
        resident = 0
        me = psutil.Process()
        for process in (me, *me.children(recursive=True)):
            try:
                resident += process.memory_info().rss
                self._read_by[process.pid] = process.io_counters().read_chars
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        self.measured.peak_rss = max(self.measured.peak_rss, resident)


def order_free_hash(*columns) -> int:
    """Hash rows of integer columns so that their order does not matter."""
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        values = np.asarray(column).astype(np.uint64)
        mixed = (mixed ^ values) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return int(np.bitwise_xor.reduce(mixed)) if mixed.size else 0


REPLY = "measured: "


def serve(jobs: Mapping[str, Callable[..., Measured]]) -> None:
    """Do the job that the command line names, once for every line on stdin, and reply with what it took."""
    request = json.loads(sys.argv[1])
    job = jobs[request.pop("job")]
    for _ in sys.stdin:
        print(REPLY + json.dumps(asdict(job(**request))), flush=True)
