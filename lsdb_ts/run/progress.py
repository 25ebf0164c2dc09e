"""Show people how far a run is, and logs too: stages, counts, rates, time left.

Silent where nobody looks (no terminal, no notebook) unless asked.
"""

from __future__ import annotations

import enum
import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Self

INTERVAL_S = 30.0
"""Where there is no terminal, a line is written this often."""
_COMPILING = "compiling"


class Show(enum.Enum):
    """How progress is shown."""

    BARS = "bars"
    """For people at a terminal or a notebook."""
    LINES = "lines"
    """For logs: plain lines, now and then, without control codes."""
    NOTHING = "nothing"


_CHOSEN: ContextVar[Show | None] = ContextVar("lsdb_ts_progress", default=None)


@contextmanager
def showing(how: Show | None) -> Iterator[None]:
    """Choose how progress is shown by whatever runs in this context; None leaves it to each."""
    token = _CHOSEN.set(how)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def watched() -> bool:
    """Tell whether a person is looking: a terminal, or a notebook."""
    # Its package may be loaded by whatever else is at work: only a kernel that runs is a notebook.
    python = sys.modules.get("IPython")
    if python is not None and hasattr(python.get_ipython(), "kernel"):
        # Without its widgets a notebook can only print bars one below the other.
        return importlib.util.find_spec("ipywidgets") is not None
    return sys.stderr.isatty()


def how_to_show(show: bool | None) -> Show:
    """Return how to show progress: as asked, else as chosen by :func:`showing`, else where a person is looking."""
    chosen = _CHOSEN.get()
    if show is False:
        return Show.NOTHING
    if chosen is not None:
        return chosen
    if watched():
        return Show.BARS
    return Show.LINES if show else Show.NOTHING


@contextmanager
def stage(name: str, total: int | None, unit: str = "", show: bool | None = None) -> Iterator[Callable[[int], None]]:
    """Show one stage of a run while the context is open.

    Parameters
    ----------
    name : str
        What is being done, for instance ``"count object"``.
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
    how = how_to_show(show)
    if how is Show.NOTHING:
        yield lambda n: None
    elif how is Show.LINES:
        with _Lines(name, total, unit) as lines, _compiling(lines.compiles):
            yield lines.advance
    else:
        with _columns(unit) as bar:
            task = bar.add_task(name, total=total)
            with _compiling(lambda begins: bar.update(task, description=_COMPILING if begins else name)):
                yield lambda n: bar.advance(task, n)


@contextmanager
def _compiling(tell: Callable[[bool], object]) -> Iterator[None]:
    """Tell when numba begins to compile in this process, and when it ends: once after installation, for a minute."""
    if "numba" not in sys.modules:
        yield
        return
    from numba.core import event

    class Watch(event.Listener):  # type: ignore[misc]
        depth = 0

        def on_start(self, event: Any) -> None:
            self.depth += 1
            tell(True)

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            if self.depth == 0:
                tell(False)

    with event.install_listener("numba:compile", Watch()):
        yield


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
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


class Repeating:
    """Calls a function at every interval while its context is open."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call, self._left = call, threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="progress", daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._left.set()

    def _run(self) -> None:
        while not self._left.wait(INTERVAL_S):
            self._call()


class _Lines:
    """One stage as lines of a log."""

    def __init__(self, name: str, total: int | None, unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done, self.began, self.compiled = 0, time.monotonic(), False
        self._ticks = Repeating(self._tell)

    def __enter__(self) -> Self:
        self._ticks.__enter__()
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        self._ticks.__exit__()
        ended = "stopped after" if kind is not None else "took"
        log(f"{self.name}: {self._count()}, {ended} {took(time.monotonic() - self.began)}")

    def advance(self, n: int) -> None:
        self.done += n

    def compiles(self, begins: bool) -> None:
        if begins and not self.compiled:
            self.compiled = True
            log(f"{self.name}: {_COMPILING}, as it does once")

    def _count(self) -> str:
        return f"{self.done:,}{'' if self.total is None else f' of {self.total:,}'} {self.unit}".rstrip()

    def _tell(self) -> None:
        log(f"{self.name}: {self._count()}")


def log(text: str) -> None:
    """Write one line with the time (UTC) to stderr."""
    print(f"{datetime.now(tz=UTC):%Y-%m-%d %H:%M:%S} {text}", file=sys.stderr, flush=True)


def count(n: float) -> str:
    """Return a number in four characters or so.

    >>> count(950), count(12_345), count(2_100_000)
    ('950', '12 k', '2.1 M')
    """
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if n >= unit:
            return f"{n / unit:.1f}{name}" if n < 10 * unit else f"{n / unit:.0f}{name}"
    return f"{n:.0f}"


def amount(size: float) -> str:
    """Return a number of bytes in eight characters or fewer.

    >>> amount(512), amount(3_400_000), amount(7.5e12)
    ('512 B', '3.4 MB', '7.5 TB')
    """
    if size < 1e3:
        return f"{size:.0f} B"
    return f"{size / 1e12:.1f} TB" if size >= 1e12 else f"{count(size)}B"


def took(seconds: float) -> str:
    """Return a time that is over.

    >>> took(0.71), took(200)
    ('0.7 s', '4 min')
    """
    return f"{seconds:.1f} s" if seconds < 100 else duration(seconds)


def duration(seconds: float) -> str:
    """Return a time to come, as far as it matters.

    >>> duration(7.2), duration(200), duration(9000)
    ('8 s', '4 min', '2 h 30 min')
    """
    whole = -int(-seconds // 1)
    if whole < 100:
        return f"{whole} s"
    minutes = -(-whole // 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60:,} h {minutes % 60} min"
