"""Know before a run whether its largest piece of work fits the memory of a worker, and whether all are hardly any.

How much a piece reads, the plan estimates.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.columns import OnColumns
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.explain import in_bytes, peak, peaks
from lsdb_ts.plan.fitting import fitting
from lsdb_ts.plan.forecast import BUFFERS_BYTES
from lsdb_ts.plan.matching.match import Match
from lsdb_ts.plan.node import Node, nodes_of
from lsdb_ts.plan.scan import Scan
from lsdb_ts.run.machine import machine_memory
from lsdb_ts.run.pool import active_client, cores
from lsdb_ts.store.kept import CACHE_BYTES

_ENOUGH = 8
_UNEVEN = 32
"""Where so many pieces need less than a 32nd of what there is, the others are not looked at: a layout keeps the rows of
its leaves within bounds."""

_QUICK_BYTES, _QUICK_PIECES = BUFFERS_BYTES + (8 << 20), 16
"""So few pieces that read so little beyond what any piece takes for its buffers take milliseconds, most of them in the
interpreter, which threads share."""


@dataclass(frozen=True)
class Budget:
    """What a piece of work may take, and what the largest is expected to."""

    limit_bytes: float
    """Memory that a worker has for one; infinite where nobody says."""
    needed_bytes: float
    """Memory that the largest takes, as far as all were looked at, and where it is cut as finely as it has to be."""

    @property
    def most_bytes(self) -> float:
        """Memory above which pixels are cut; infinite where none comes near the limit, and none need be looked at."""
        return self.limit_bytes if self.needed_bytes * _UNEVEN >= self.limit_bytes else math.inf


def memory_per_task() -> int | None:
    """Return the bytes of memory each running piece of work may use, or None where no limit is known.

    What a process may keep decoded is not theirs. ``LSDB_TS_MEMORY_MB`` says what a process may use where no Dask
    client does.
    """
    client = active_client()
    if client is not None:
        limits = [
            max(worker["memory_limit"] - CACHE_BYTES, 0) // max(worker["nthreads"], 1)
            for worker in client.scheduler_info(n_workers=-1)["workers"].values()
            if worker.get("memory_limit")
        ]
        return min(limits, default=None)
    stated = os.environ.get("LSDB_TS_MEMORY_MB")
    memory = int(stated) << 20 if stated else machine_memory()
    return int(max(memory - CACHE_BYTES, 0) // cores())


def check_budget(node: Node, demand: Demand) -> Budget:
    """Compare what pieces of work are expected to need with what a worker has for one.

    Raises
    ------
    PlanError
        A worker has less memory than a pixel takes, however finely it is cut.
    """
    limit, needed = memory_per_task(), 0.0
    if limit is None:
        return Budget(math.inf, math.inf)
    for looked_at, (pixel, bytes_) in enumerate(peaks(node, demand), 1):
        if bytes_ > limit:
            finer = fitting(node, demand.at(pixel), limit)
            bytes_ = max(peak(node, demand.at(p)) for p in finer)
        needed = max(needed, bytes_)
        if looked_at >= _ENOUGH and needed * _UNEVEN < limit:
            break
    if needed > limit:
        raise PlanError(
            f"the largest piece of work needs about {in_bytes(needed)} and a worker has {in_bytes(limit)} for it: ask "
            f"for fewer columns, run fewer threads per worker, keep less decoded (LSDB_TS_CACHE_MB={CACHE_BYTES >> 20} "
            f"now), or repartition with a smaller --max-rows"
        )
    return Budget(limit, needed)


def is_quick(node: Node, demand: Demand, budget: Budget) -> bool:
    """Tell whether a run is sooner done by one thread than given to several.

    Parameters
    ----------
    node, demand
        The plan, and what is wanted of it.
    budget : Budget
        What its largest piece of work needs.
    """
    # Functions of users may take any time, and so may servers: those are not to wait for one another.
    return (
        budget.needed_bytes <= _QUICK_BYTES
        and len(demand.pixels) <= _QUICK_PIECES
        and active_client() is None
        and all(isinstance(n, Match | OnColumns) or (isinstance(n, Scan) and n.is_local) for n in nodes_of(node))
    )
