"""Commands that work for long: where the work is done, how it is shown, how it ends early; not what it is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

Workers = Annotated[
    int, typer.Option(min=0, help="Worker processes of a local Dask cluster; 0 for threads on all cores.")
]
Scheduler = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS", help="Dask scheduler that has the work done: address or scheduler file.", show_default=False
    ),
]
Memory = Annotated[
    str,
    typer.Option(
        metavar="SIZE", help='Memory that each process may use, like "2GB".', show_default="as little as is quick"
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
JobFolder = Annotated[
    str, typer.Argument(metavar="DIR", help="Folder with the plan: that of `lsdb-ts plan --out`.", show_default=False)
]


@contextmanager
def working(*, workers: int = 0, scheduler: str = "", quiet: bool = False) -> Iterator[None]:
    """Work with a Dask cluster, if one is wanted; show progress as bars to people and as lines to logs."""
    from lsdb_ts.run.client import workforce
    from lsdb_ts.run.progress import Show, showing, watched

    how = Show.NOTHING if quiet else Show.BARS if watched() else Show.LINES
    with _ended_by_signal(), showing(how), workforce(workers, scheduler):
        yield


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Let a batch system that ends the process be answered like Ctrl-C: what was claimed is given back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
