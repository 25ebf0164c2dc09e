"""Carry a plan out, stage by stage: pieces of work are claimed, done, journaled, and tried again where they fail.

What the pieces are is written in stages, what is made of them at the end in commit.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from lsdb_ts.errors import Failure, InputError, LsdbTsError, ResumeError, RunError
from lsdb_ts.run.board import Board, Load
from lsdb_ts.run.pool import each
from lsdb_ts.store.journal import Journal, Pages
from lsdb_ts.store.lease import Presence
from partitioner.account import Account
from partitioner.inputs.readers.access import File, found
from partitioner.moving.spill import is_whole, written_here
from partitioner.planning.plan import Plan
from partitioner.running.stages import WEIGHTS, Entry, Piece, close, described, do, files_read, is_there, pieces, stages

LEASES = "leases"
"""Folder in which processes say on what they are at work."""

FINISH = "finish"
"""What is done when all pieces are, by one process."""
_RETRIES = 1
_LONGEST_WAIT_S = 2.0
_NAMED = 8


class Overtaken(Exception):
    """Somebody else has finished the run."""


@contextmanager
def at_work(planned: Plan, show: bool | None = None, part: tuple[str, Sequence[Piece]] | None = None) -> Iterator[Job]:
    """Be at work on a stored plan while the context is open; others may be too, and are named.

    Parameters
    ----------
    planned : Plan
    show : bool, optional
        Whether to show progress; by default where a person is looking.
    part : (str, sequence of Piece), optional
        A stage and pieces of it, if these are all that is to be done: times left are then those of them alone.
    """
    whole = loads(planned)
    mine = whole if part is None else [load_of(*part)]
    share = sum(load.cost for load in mine) / (sum(load.cost for load in whole) or 1.0)
    with (
        Presence(planned.work / LEASES) as presence,
        Board(mine, planned.estimate.seconds * share, show) as board,
    ):
        for other in presence.others():
            board.note(f"{other} is at work on {planned.out} too: {other.command}")
        yield Job(planned, presence, board)


def loads(planned: Plan) -> list[Load]:
    """Return how much there is to do in each stage, and at the end."""
    found = [load_of(name, pieces(planned, name)) for name in stages(planned)]
    return [*found, Load(FINISH, len(planned.products), 0, 0.0)]


def load_of(stage: str, listed: Sequence[Piece]) -> Load:
    """Return how much there is to do in some pieces of a stage."""
    rows, size = sum(p.rows for p in listed), sum(p.bytes for p in listed)
    return Load(stage, len(listed), rows, size, WEIGHTS[stage])


@dataclass(eq=False)
class Books:
    """What is done of a plan, as far as the journal tells and the files are there."""

    planned: Plan
    pages: Pages = field(init=False)
    _whole: set[str] = field(default_factory=set)
    """Keys of pieces whose entry was looked at,"""
    _known: set[str] = field(default_factory=set)
    """and of those whose files were, too."""

    def __post_init__(self) -> None:
        self.pages = Pages(self.planned.work)

    def entry(self, key: str) -> Entry:
        """Return what a piece has reported."""
        return self.pages.entry(key)

    def is_done(self, piece: Piece, *, files: bool = True) -> bool:
        """Tell whether a piece is done, and, if ``files``, what it made still there."""
        if piece.key in (self._known if files else self._whole):
            return True
        if piece.key not in self.pages:
            return False
        entry = self.entry(piece.key)
        if not is_whole(entry) or (files and not is_there(self.planned, piece, entry)):
            self.pages.forget(piece.key)
            self._whole.discard(piece.key)
            return False
        self._whole.add(piece.key)
        if files:
            self._known.add(piece.key)
        return True

    def is_closed(self, stage: str) -> bool:
        """Tell whether all of a stage is done, and what the next ones need to know of it written."""
        key = closed(stage)
        return key in self.pages and is_whole(self.entry(key))

    def missing(self, stage: str, *, files: bool = False) -> list[Piece]:
        """Return the pieces of a stage that are not done."""
        return [p for p in pieces(self.planned, stage) if not self.is_done(p, files=files)]


def closed(stage: str) -> str:
    """Return the key that says in the journal that a stage is closed."""
    return f"closed/{stage}"


@dataclass(eq=False)
class Job:
    """A process at work on a plan."""

    planned: Plan
    presence: Presence
    board: Board
    books: Books = field(init=False)
    _full: Failure | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.books = Books(self.planned)

    def do(self, stage: str, chosen: Sequence[Piece] | None = None) -> None:
        """Do what is missing of a stage, or of some of its pieces; returns when all of them are done, by whomever.

        Raises
        ------
        InputError, ResumeError
            The data are wrong, or not those that were planned for; the other pieces are done.
        RunError
            Some pieces failed; the others are done.
        """
        self.make_ready(stage)
        load = self.board.begin(stage)
        todo = []
        for piece in pieces(self.planned, stage) if chosen is None else chosen:
            if self.books.is_done(piece):
                self.board.advance(load, piece.rows, piece.bytes, fresh=False)
            else:
                todo.append(piece)
        failed = self._work(stage, todo, load)
        self.board.end(load)
        if failed:
            self._look()
            raise _error(stage, load.pieces, failed, self._full)

    def make_ready(self, stage: str) -> None:
        """Close the stages before one; raises RunError where some of their pieces are not done."""
        for before in stages(self.planned):
            if before == stage:
                return
            self._once(closed(before), lambda: self.books.is_closed(before), lambda: self._close(before))  # noqa: B023

    def finish(self, commit: Callable[[Callable[[], None]], Account]) -> Account:
        """Call a function that ends the run, once all pieces are done, unless somebody else does.

        It is given what it has to call when a catalog is ready.

        Raises
        ------
        RunError
            Pieces are missing; says which, and the command that does them.
        """
        self._look()
        missing = {stage: self.books.missing(stage, files=True) for stage in stages(self.planned)}
        if any(missing.values()):
            raise _missing(self.planned, {stage: listed for stage, listed in missing.items() if listed})
        self.board.skip_to(FINISH)
        load = self.board.begin(FINISH)
        accounts: list[Account] = []

        def advance() -> None:
            self.board.advance(load, 0, 0.0, fresh=True)

        self._once(FINISH, lambda: False, lambda: accounts.append(commit(advance)))
        self.board.end(load)
        return accounts[0]

    def _close(self, stage: str) -> None:
        if missing := self.books.missing(stage):
            raise _missing(self.planned, {stage: missing})
        close(self.planned, stage, self.books.entry)
        Journal(self.planned.work).record(closed(stage), written_here())

    def _once(self, key: str, is_done: Callable[[], bool], function: Callable[[], Any]) -> None:
        """Do what only one process may do at a time; the others wait for it."""
        for wait_s in _waits():
            self._look()
            if is_done():
                return
            if self.presence.claim(key):
                break
            time.sleep(wait_s)
        try:
            self._look()
            if not is_done():
                function()
                self.books.pages.refresh()
        finally:
            self.presence.release(key)

    def _work(self, stage: str, todo: Sequence[Piece], load: Load) -> list[tuple[Piece, Exception | Failure]]:
        """Do pieces, or wait for those who do them; return those that failed."""
        failed: list[tuple[Piece, Exception | Failure]] = []
        told = False
        for wait_s in _waits():
            busy: list[Piece] = []
            for outcome in each(
                _perform,
                self._claimed(todo, busy, load),
                self.planned,
                describe=lambda piece: described(self.planned, piece),
                retries=_RETRIES,
            ):
                piece, wrong = outcome.item, outcome.failure or outcome.value
                if wrong is None:
                    self.board.advance(load, piece.rows, piece.bytes, fresh=True)
                else:
                    failed.append((piece, wrong))
                    self._note_failure(piece, wrong)
                self.presence.release(piece.key)
            if not busy or self._full is not None:
                return failed
            if len(busy) == len(todo):
                if not told:
                    self.board.note(f"{stage}: the last {len(busy):,} pieces are being done by {self._who()}")
                told = True
                time.sleep(wait_s)
            todo = busy
        raise AssertionError("unreachable")

    def _claimed(self, todo: Sequence[Piece], busy: list[Piece], load: Load) -> Iterator[Piece]:
        """Yield the pieces that nobody else is at work on, as they are asked for; the others are ``busy``."""
        for piece in todo:
            if self._full is not None:
                return
            if not self.presence.claim(piece.key):
                busy.append(piece)
                continue
            # Who had it before may have done it.
            self._look()
            if self.books.is_done(piece):
                self.presence.release(piece.key)
                self.board.advance(load, piece.rows, piece.bytes, fresh=False)
            else:
                yield piece

    def _look(self) -> None:
        """Read what others have done; raises Overtaken where they have finished."""
        self.books.pages.refresh()
        if Account.exists(self.planned.out) or not self.planned.work.exists():
            raise Overtaken

    def _who(self) -> str:
        return "; ".join(str(w) for w in self.presence.others()) or "somebody who has just left"

    def _note_failure(self, piece: Piece, wrong: Exception | Failure) -> None:
        failure = wrong if isinstance(wrong, Failure) else _failure(described(self.planned, piece), wrong)
        if any(sign in failure.error for sign in _FULL):
            self._full = failure
        with suppress(OSError):
            Journal(self.planned.work).record_failure(piece.key, failure)


_FULL = ("no room to write", *(f"[Errno {code}]" for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)))
"""Signs in an error that a disk is full: then there is no use in trying other pieces."""


def _waits() -> Iterator[float]:
    """Yield how long to wait, forever: longer each time."""
    wait_s = 0.05
    while True:
        yield wait_s
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def _perform(planned: Plan, piece: Piece) -> Exception | None:
    """Do a piece and journal it; what will be wrong again is returned, so that it is not tried again."""
    try:
        _check_files(planned, piece)
        entry = do(planned, piece)
        # A file that could not be read may be readable the next time; an id that comes twice will do so again.
        if isinstance(entry, InputError):
            if type(entry) is InputError:
                raise entry
            return entry
        _check_files(planned, piece)
    except ResumeError as error:
        return error
    Journal(planned.work).record(piece.key, {**written_here(), **entry})
    return None


def _check_files(planned: Plan, piece: Piece) -> None:
    """Raise ResumeError where a raw file is not what it was when the job was planned."""
    changes = [change for file in files_read(planned, piece) for change in _changes(file, found(file.place))]
    if changes:
        more = f"\n  ... and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
        raise ResumeError(
            f"the input has changed since {planned.out} was planned ({planned.made}):\n  "
            + "\n  ".join(changes[:_NAMED])
            + f"{more}\nPut the old files back, or remove {planned.out} and plan again"
        )


def _changes(old: File, new: File) -> Iterator[str]:
    for what in ("size", "stamp"):
        before, now = getattr(old, what), getattr(new, what)
        if before != now:
            yield f"{old.path}: {what} {before} -> {now}"


def _failure(item: str, error: Exception) -> Failure:
    return Failure(item, f"{type(error).__name__}: {error}")


def _error(
    stage: str, total: int, failed: Sequence[tuple[Piece, Exception | Failure]], full: Failure | None
) -> LsdbTsError:
    """Return the error that a stage ends with: that of wrong data as itself, all else as a report."""
    ordered = sorted(failed, key=lambda pair: pair[0].key)
    if full is not None:
        return RunError(f"the disk is full, so {stage} was stopped; what is done is kept: {full.error}", [full])
    for _, wrong in ordered:
        if isinstance(wrong, LsdbTsError):
            return wrong
    failures = [wrong for _, wrong in ordered if isinstance(wrong, Failure)]
    return RunError(
        f"{len(failures):,} of {total:,} pieces of {stage} failed, each tried {_RETRIES + 1} times; the others are "
        f"done. The first: {failures[0].item}: {failures[0].error}. Start the same command again to do just those",
        failures,
    )


def _missing(planned: Plan, missing: Mapping[str, Sequence[Piece]]) -> RunError:
    failures = Journal(planned.work).failures()
    told, listed = [], []
    for stage, lacking in missing.items():
        index = {piece: i for i, piece in enumerate(pieces(planned, stage))}
        some = ", ".join(str(index[piece]) for piece in lacking[:_NAMED]) + (", ..." if len(lacking) > _NAMED else "")
        told.append(f"{len(lacking):,} of {len(index):,} pieces of {stage} (index {some})")
        listed += [failures.get(p.key, Failure(described(planned, p), "not done yet")) for p in lacking]
    first = next(iter(missing))
    return RunError(
        f"missing in {planned.out}: {'; '.join(told)}. Do them with `lsdb-ts task {planned.out} {first} INDEX`, or all "
        f"with `lsdb-ts run {planned.out}`",
        listed,
    )
