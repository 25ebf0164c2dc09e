"""Start a cluster by name: on this machine, or on a batch system. What runs on it lives elsewhere."""

from __future__ import annotations

from typing import Any

from lsdb_ts.errors import PlanError, did_you_mean

_BATCH = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
}


def cluster(kind: str = "local", **options: Any) -> Any:
    """Return a Dask cluster; ``distributed.Client(cluster)`` then makes every compute and write use it.

    Parameters
    ----------
    kind : str
        ``"local"`` for worker processes on this machine, or a batch system of dask-jobqueue: ``"slurm"``, ``"pbs"``,
        ``"sge"``, ``"lsf"``, ``"htcondor"``.
    **options
        For ``"local"``: ``n_workers``, ``threads_per_worker``, ``memory_limit``, as ``distributed.LocalCluster`` takes
        them. For a batch system: ``queue``, ``cores``, ``memory``, ``walltime`` and the like, as its dask-jobqueue
        class takes them; by default each worker process has one thread, because feature functions written in Python do
        not run in parallel threads.

    Raises
    ------
    PlanError
        There is no such kind, or dask-jobqueue is not installed.

    Examples
    --------
    >>> slurm = cluster("slurm", queue="milano", cores=16, memory="64GB", walltime="02:00:00")  # doctest: +SKIP
    >>> slurm.scale(jobs=10)  # doctest: +SKIP
    """
    if kind == "local":
        return _local(options)
    if kind not in _BATCH:
        raise PlanError(f'there is no cluster "{kind}"; {did_you_mean(kind, ["local", *_BATCH])}')
    try:
        import dask_jobqueue
    except ImportError as error:
        raise PlanError('a batch system needs dask-jobqueue: pip install "lsdb_ts[hpc]"') from error
    for needed in ("cores", "memory"):
        if needed not in options:
            raise PlanError(
                f'cluster("{kind}") needs {needed}=..., for instance cluster("{kind}", cores=16, memory="64GB")'
            )
    options.setdefault("processes", options["cores"])
    return getattr(dask_jobqueue, _BATCH[kind])(**options)


def _local(options: dict[str, Any]) -> Any:
    from distributed import LocalCluster

    ours: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": ":0"}
    # Workers that are threads of this process have no nanny, and must leave its signals alone.
    if options.get("processes", True) and "worker_class" not in options:
        from lsdb_ts.run.nanny import QuickNanny, Quiet

        ours |= {"worker_class": QuickNanny, "plugins": [Quiet()]}
    return LocalCluster(**{**ours, **options})
