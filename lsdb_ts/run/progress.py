"""Show people how far a run is: stages, counts, time left.

Silent where nobody looks (no terminal, no notebook) unless asked.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def watched() -> bool:
    """Tell whether a person is looking: a terminal, or a notebook."""
    if "ipykernel" in sys.modules:
        # Without its widgets a notebook can only print bars one below the other.
        return importlib.util.find_spec("ipywidgets") is not None
    return sys.stderr.isatty()


@contextmanager
def stage(name: str, total: int | None, unit: str = "", show: bool | None = None) -> Iterator[Callable[[int], None]]:
    """Show one stage of a run while the context is open.

    Parameters
    ----------
    name : str
        What is being done, for instance ``"shard object"``.
    total : int or None
        How much there is to do; None if that is not known.
    unit : str, optional
        What is counted, for instance ``"pixels"``.
    show : bool, optional
        Whether to show; by default where a person is looking.

    Yields
    ------
    callable
        ``advance(n)`` counts n more as done.
    """
    if not (watched() if show is None else show):
        yield lambda n: None
        return
    with _columns(unit) as bar:
        task = bar.add_task(name, total=total)
        yield lambda n: bar.advance(task, n)


def _columns(unit: str) -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
