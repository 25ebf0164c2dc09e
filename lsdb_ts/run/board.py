"""All stages of a run on one board: pieces, rows, bytes, rates, and when everything will be done.

How it is chosen what is shown, and how numbers are written, stands in progress.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Protocol, Self

from lsdb_ts.run.progress import Repeating, Show, amount, count, duration, how_to_show, log, took

_PRIOR = 0.15
"""What was expected counts as much as this part of the work, once that is measured."""
_TEXT_WIDTH = 9


@dataclass
class Load:
    """How much a stage of a run is to do, and how much of it is done."""

    name: str
    pieces: int
    rows: int
    """0 where nobody knows before it is done."""
    bytes: float
    weight: float = 1.0
    """Time that a byte takes here, compared with other stages."""
    done: int = 0
    done_rows: int = 0
    done_bytes: float = 0.0
    fresh_rows: int = 0
    """Rows of pieces that were done in this run, and not before it."""
    began: float = 0.0
    ended: float = 0.0

    @property
    def cost(self) -> float:
        """What the whole stage takes, in a unit that all stages share."""
        return self.weight * (self.bytes + self.pieces)

    @property
    def cost_done(self) -> float:
        """What has been done of it."""
        return self.weight * (self.done_bytes + self.done)

    @property
    def elapsed_s(self) -> float:
        """Seconds that it has been worked on."""
        return (self.ended or time.monotonic()) - self.began if self.began else 0.0

    @property
    def rows_per_s(self) -> float:
        """Rows a second, of those done in this run."""
        return self.fresh_rows / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def __str__(self) -> str:
        """Tell how far it is, in a line."""
        rate = f" at {count(self.rows_per_s)} rows/s" if self.fresh_rows else ""
        rows = f", {self.done_rows:,} rows{rate}" if self.rows else ""
        moved = f"{rows}, {amount(self.done_bytes)}" if self.bytes else ""
        return f"{self.name}: {self.done:,} of {self.pieces:,} pieces{moved}"


class _Face(Protocol):
    """What shows a board."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *error: Any) -> Any: ...

    def begin(self, load: Load) -> None: ...

    def update(self, load: Load) -> None: ...

    def end(self, load: Load) -> None: ...

    def note(self, text: str) -> None: ...


@dataclass
class Board:
    """All stages of a run: what is done of each, how fast, and when all of it will be done.

    Use it as a context. Times left are reckoned from the seconds expected at first, and more and more from those taken.
    """

    loads: Sequence[Load]
    expected_s: float
    """Seconds that all stages together were expected to take."""
    show: bool | None = None
    _face: _Face = field(init=False)
    _worked: float = 0.0
    """What was done in this run, in the unit that all stages share."""
    _began: float = 0.0

    def __post_init__(self) -> None:
        faces: Mapping[Show, Callable[[Board], _Face]] = {
            Show.BARS: _BarFace,
            Show.LINES: _LineFace,
            Show.NOTHING: _NoFace,
        }
        self._face = faces[how_to_show(self.show)](self)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._face.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._face.__exit__(*error)

    def begin(self, name: str) -> Load:
        """Say that a stage is being worked on."""
        load = next(load for load in self.loads if load.name == name)
        load.began = time.monotonic()
        self._face.begin(load)
        return load

    def advance(self, load: Load, rows: int, size: float, *, fresh: bool) -> None:
        """Count a piece of a stage as done: in this run, or found to be done."""
        load.done += 1
        load.done_rows += rows
        load.done_bytes += size
        if fresh:
            load.fresh_rows += rows
            self._worked += load.weight * (size + 1)
        self._face.update(load)

    def skip_to(self, name: str) -> None:
        """Count the stages before one as done, without a line of their own."""
        for load in takewhile(lambda load: load.name != name, self.loads):
            load.done, load.done_bytes = load.pieces, load.bytes

    def end(self, load: Load) -> None:
        """Say that a stage is over."""
        load.ended = time.monotonic()
        self._face.end(load)

    def note(self, text: str) -> None:
        """Tell something by the way."""
        self._face.note(text)

    @property
    def left_s(self) -> float:
        """Seconds until all stages are done, about."""
        whole = sum(load.cost for load in self.loads) or 1.0
        left = 1.0 - sum(load.cost_done for load in self.loads) / whole
        worked = self._worked / whole
        seconds = time.monotonic() - self._began
        return max(0.0, left) * (self.expected_s * _PRIOR + seconds) / (_PRIOR + worked)


class _NoFace(nullcontext[None]):
    def __init__(self, board: Board) -> None:
        super().__init__()

    def begin(self, load: Load) -> None:
        pass

    update = end = begin

    def note(self, text: str) -> None:
        pass


class _LineFace:
    def __init__(self, board: Board) -> None:
        self._board = board
        self._load: Load | None = None
        self._ticks = Repeating(self._tell)

    def __enter__(self) -> None:
        self._ticks.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._ticks.__exit__()

    def begin(self, load: Load) -> None:
        self._load = load

    def update(self, load: Load) -> None:
        pass

    def end(self, load: Load) -> None:
        self._load = None
        if load.pieces:
            log(f"{load}, in {took(load.elapsed_s)}, {duration(self._board.left_s)} left")

    def note(self, text: str) -> None:
        log(text)

    def _tell(self) -> None:
        if self._load is not None:
            log(f"{self._load}, {duration(self._board.left_s)} left")


class _BarFace:
    """A line for each stage, and the time that is left for all; fits 80 columns."""

    def __init__(self, board: Board) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._board = board
        self._tasks: dict[str, Any] = {}
        self._bars = Progress(
            TextColumn(f"{{task.description:<{_TEXT_WIDTH}}}"),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[pieces]:>15}"),
            TextColumn("{task.fields[rate]:>13}"),
            TextColumn("{task.fields[size]:>8}"),
            TextColumn("{task.fields[time]:>12}"),
            console=Console(stderr=True),
        )

    def __enter__(self) -> None:
        self._bars.start()

    def __exit__(self, *error: Any) -> None:
        self._bars.stop()

    def begin(self, load: Load) -> None:
        if load.pieces:
            fields: dict[str, Any] = {"pieces": "", "rate": "", "size": "", "time": ""}
            self._tasks[load.name] = self._bars.add_task(load.name, total=load.pieces, **fields)
            self._set(load, "")

    def update(self, load: Load) -> None:
        self._set(load, f"{duration(self._board.left_s)} left")

    def end(self, load: Load) -> None:
        self._set(load, f"in {took(load.elapsed_s)}")

    def note(self, text: str) -> None:
        self._bars.console.print(text, highlight=False, markup=False, style="dim")

    def _set(self, load: Load, when: str) -> None:
        if load.name in self._tasks:
            told: dict[str, Any] = {
                "pieces": f"{load.done:,}/{load.pieces:,}",
                "size": amount(load.done_bytes) if load.bytes else "",
                "time": when,
            }
            rate = f"{count(load.rows_per_s)} rows/s" if load.fresh_rows else ""
            self._bars.update(self._tasks[load.name], completed=load.done, rate=rate, **told)
