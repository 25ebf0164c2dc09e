"""How far a repartition is, as its journal tells: pieces, rows, who is at work, what to call next. Nothing is done."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsdb_ts.errors import Failure
from lsdb_ts.store.journal import Journal
from lsdb_ts.store.lease import Worker, claim_name, held, workers
from partitioner.planning.plan import Plan
from partitioner.running.job import LEASES, Books
from partitioner.running.ledger import reported_rows
from partitioner.running.stages import pieces, stages


@dataclass(frozen=True)
class StageState:
    """One stage."""

    name: str
    pieces: int
    done: int
    failed: int
    """Tried in vain, and not begun again."""
    at_work: int
    rows: int
    """Of the pieces that are done."""
    bytes: int
    """What they held in memory, about."""
    next: int | None
    """Index of the first piece that is not done."""

    @property
    def left(self) -> int:
        """Pieces that are neither done nor being done."""
        return self.pieces - self.done - self.at_work


@dataclass(frozen=True)
class JobState:
    """A whole repartition."""

    out: str
    finished: bool
    stages: tuple[StageState, ...] = ()
    workers: tuple[Worker, ...] = ()
    failures: tuple[Failure, ...] = ()

    @classmethod
    def of_finished(cls, out: Path) -> JobState:
        """Describe a repartition that is finished."""
        return cls(str(out), finished=True)

    @property
    def next(self) -> str | None:
        """The command to call next, or None where nothing is left to do."""
        if self.finished:
            return None
        if all(s.done == s.pieces for s in self.stages):
            return f"lsdb-ts finish {self.out}"
        return None if self.workers and not self.failures else f"lsdb-ts run {self.out}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        told = dataclasses.asdict(self)
        for stage, content in zip(self.stages, told["stages"], strict=True):
            content["left"] = stage.left
        return {**told, "next": self.next}


def look(planned: Plan) -> JobState:
    """Look at the journal of a plan."""
    books, claims = Books(planned), held(planned.work / LEASES)
    failures = Journal(planned.work).failures()
    states = []
    for name in stages(planned):
        listed = pieces(planned, name)
        done = [p for p in listed if books.is_done(p, files=False)]
        open_ones = [(i, p) for i, p in enumerate(listed) if not books.is_done(p, files=False)]
        state = StageState(
            name=name,
            pieces=len(listed),
            done=len(done),
            failed=sum(p.key in failures and claim_name(p.key) not in claims for _, p in open_ones),
            at_work=sum(claim_name(p.key) in claims for _, p in open_ones),
            rows=sum(p.rows or reported_rows(books.entry(p.key)) for p in done),
            bytes=int(sum(p.bytes for p in done)),
            next=open_ones[0][0] if open_ones else None,
        )
        states.append(state)
    return JobState(
        str(planned.out), False, tuple(states), tuple(workers(planned.work / LEASES)), tuple(failures.values())
    )
