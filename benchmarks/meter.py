"""Measure one piece of work from within, and serve it to whoever asks; memory and reads are watched from outside.

Runs in every environment of the benchmarks, so it needs nothing but numpy.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import numpy as np

REPLY = "measured: "


@dataclass
class Measured:
    """What one piece of work took, as the process that did it knows."""

    seconds: float = 0.0
    own_cpu_seconds: float = 0.0
    """Processor time of all threads of the process, without its children."""
    tasks: int | None = None
    """Pieces of work given to a scheduler or pool; None where the engine does not tell."""
    bytes_pickled: int | None = None
    """Bytes that were pickled in the client, for all tasks together."""
    bytes_chosen: int | None = None
    """Compressed bytes of the column chunks read, as the engine counts them."""
    rows: int = 0
    outputs: int | None = None
    """Numbers made of each band of a row."""
    check: int = 0
    """Order-free hash of the rows: equal on all sides, or the comparison is void."""
    scratch_files: int | None = None
    """Most scratch files that were seen at a time."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds of all threads together, by what they were at, where that was asked."""


@contextmanager
def measured() -> Iterator[Measured]:
    """Time what is done in the context; whoever opened it fills in the rest."""
    found = Measured()
    start, worked = time.perf_counter(), time.process_time()
    yield found
    found.seconds, found.own_cpu_seconds = time.perf_counter() - start, time.process_time() - worked


def order_free_hash(*columns) -> int:
    """Hash rows of integer columns so that their order does not matter, but how often each occurs does."""
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        values = np.asarray(column).astype(np.uint64)
        mixed = (mixed ^ values) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return int(np.add.reduce(mixed))


@contextmanager
def pickled_bytes() -> Iterator[list[int]]:
    """Count what Dask pickles in this process: graphs, functions, arguments."""
    from distributed.protocol import pickle

    sizes: list[int] = []
    dumps = pickle.dumps

    def counted(*arguments, **options):
        made = dumps(*arguments, **options)
        sizes.append(len(made))
        return made

    pickle.dumps = counted
    try:
        yield sizes
    finally:
        pickle.dumps = dumps


def serve(jobs: Mapping[str, Callable[..., Measured]]) -> None:
    """Do the job that the command line names, once for every line on stdin, and reply with what it took."""
    request = json.loads(sys.argv[1])
    job = jobs[request.pop("job")]
    print(REPLY + "{}", flush=True)
    for _ in sys.stdin:
        print(REPLY + json.dumps(asdict(job(**request))), flush=True)
