"""Work on a Dask cluster for a while: one of this machine, or one whose address is known. Else local threads work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lsdb_ts.errors import PlanError

_PATIENCE_S = 30


@contextmanager
def workforce(workers: int = 0, scheduler: str = "") -> Iterator[None]:
    """Let all work be done by a Dask cluster while the context is open.

    Parameters
    ----------
    workers : int, optional
        Worker processes of a cluster on this machine; 0 for none.
    scheduler : str, optional
        Address of a running scheduler, like ``tcp://node:8786``; or the path of its scheduler file.

    Raises
    ------
    PlanError
        Both are given, or there is no scheduler at the address.
    """
    if workers and scheduler:
        raise PlanError("give --workers, for a cluster of this machine, or --scheduler, for one that runs; not both")
    if scheduler:
        from distributed import Client

        where = {"scheduler_file": scheduler} if scheduler.endswith(".json") else {"address": scheduler}
        try:
            client: Any = Client(timeout=_PATIENCE_S, **where)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise PlanError(f"there is no Dask scheduler at {scheduler}: {error}") from error
        with client:
            yield
    elif workers:
        from lsdb_ts.run.cluster import cluster

        with cluster("local", n_workers=workers) as local, local.get_client():
            yield
    else:
        yield
