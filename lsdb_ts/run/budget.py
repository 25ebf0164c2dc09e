"""Know before a run whether its largest piece of work fits the memory of a worker.

How much a piece reads, the plan estimates.
"""

from __future__ import annotations

import os

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.explain import in_bytes, peaks
from lsdb_ts.plan.node import Node
from lsdb_ts.run.pool import active_client, cores

_ENOUGH = 8
_UNEVEN = 32
"""Where so many pieces need less than a 32nd of what there is, the others are not looked at: a layout keeps the rows of
its leaves within bounds."""


def memory_per_task() -> int | None:
    """Return the bytes of memory each running piece of work may use, or None where no limit is known."""
    client = active_client()
    if client is not None:
        limits = [
            worker["memory_limit"] // max(worker["nthreads"], 1)
            for worker in client.scheduler_info(n_workers=-1)["workers"].values()
            if worker.get("memory_limit")
        ]
        return min(limits, default=None)
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // cores())


def check_budget(node: Node, demand: Demand) -> None:
    """Raise PlanError if the largest piece of work is expected to need more memory than a worker has."""
    limit = memory_per_task()
    if limit is None:
        return
    needed = 0.0
    for looked_at, peak in enumerate(peaks(node, demand), 1):
        needed = max(needed, peak)
        if looked_at >= _ENOUGH and needed * _UNEVEN < limit:
            return
    if needed > limit:
        raise PlanError(
            f"the largest piece of work needs about {in_bytes(needed)} and a worker has {in_bytes(limit)} for it: ask "
            f"for fewer columns, run fewer threads per worker, or repartition with a smaller --max-rows"
        )
