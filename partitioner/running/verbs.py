"""The verbs of a repartition: run, task, status, finish; each works on the plan that is stored in an output folder.

How the pieces are done is written in job; ``plan`` has a file of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import overload

from lsdb_ts.errors import OutputError, PlanError
from partitioner.account import Account
from partitioner.planning.plan import Plan, begin, load, plan
from partitioner.running.commit import clear, commit
from partitioner.running.job import Job, Overtaken, at_work
from partitioner.running.ledger import Ledger
from partitioner.running.stages import Piece, pieces, stages
from partitioner.running.state import JobState, look
from partitioner.surveys.survey import Survey


@overload
def run(what: str | Path, *, show: bool | None = None) -> Account: ...


@overload
def run(
    what: Survey,
    out: str | Path,
    *,
    on_bad: str = "raise",
    memory: int | None = None,
    show: bool | None = None,
) -> Account: ...


def run(
    what: Survey | str | Path,
    out: str | Path | None = None,
    *,
    on_bad: str = "raise",
    memory: int | None = None,
    show: bool | None = None,
) -> Account:
    """Repartition a survey into HATS collections, or do all that is missing of a plan that is stored in a folder.

    Works on the Dask client that is active, else on all local cores. Killed anywhere and started again with the same
    arguments it does only what is missing, and ends in the same bytes; a finished one is left as it is. Several
    processes, on several nodes, may run the same: they share the pieces of work.

    Parameters
    ----------
    what : Survey, str or pathlib.Path
        What to repartition, or the folder of a stored plan.
    out : str or pathlib.Path, optional
        Folder of the collection to be made of a survey; further tables become collections in folders inside it.
    on_bad : str, optional
        What to do with rows whose position is not on the sky: ``"raise"``, or ``"refuse"`` them (into ``out/refused``).
    memory : int, optional
        Bytes that each worker process may use. The result does not depend on it.
    show : bool, optional
        Whether to show progress; by default where a person is looking.

    Returns
    -------
    Account
        Rows in, out, refused and orphaned for every table; also in ``out/account.json``.

    Raises
    ------
    InputError
        Files, schemas, positions or ids that would make the result wrong (SchemaError, PositionError, IdError).
    OutputError
        ``out`` holds something else, or no plan; ResumeError: a half-done run with other parameters or inputs.
    RunError
        Some pieces of work failed; the others are done and are not repeated by the next start.
    """
    if isinstance(what, Survey):
        if out is None:
            raise PlanError("a survey is repartitioned into a folder: run(survey, out)")
        return carry_out(plan(what, out, on_bad=on_bad, memory=memory, show=show), show=show)
    account = _finished(Path(what))
    return carry_out(load(what), show=show) if account is None else account


def carry_out(planned: Plan, *, show: bool | None = None) -> Account:
    """Do what is planned, or what is missing of it; see :func:`run`."""
    account = _finished(planned.out)
    if account is not None:
        return account
    try:
        planned = begin(planned)
        with at_work(planned, show) as job:
            for stage in stages(planned):
                job.do(stage)
            return _end(job)
    except Overtaken:
        return _made_by_others(planned.out)
    except OutputError:
        if Account.exists(planned.out):
            return _made_by_others(planned.out)
        raise


def task(
    out: str | Path,
    stage: str,
    index: int | None = None,
    *,
    share: tuple[int, int] | None = None,
    show: bool | None = None,
) -> int:
    """Do one piece of a stage of a stored plan, or a share of all its pieces; those that are done are left as they are.

    Pieces that another process is at work on are waited for: afterwards they are done.

    Parameters
    ----------
    out : str or pathlib.Path
        Folder with the plan.
    stage : str
        Its name, as :func:`status` tells it.
    index : int, optional
        Which piece, counted from 0.
    share : (int, int), optional
        ``(i, n)`` for every n-th piece from piece i on: n processes with i from 0 to n - 1 do all.
    show : bool, optional
        Whether to show progress; by default where a person is looking.

    Returns
    -------
    int
        Pieces of the stage that were asked for.

    Raises
    ------
    PlanError
        There is no such stage or piece.
    RunError
        The pieces failed, or those of the stages before are not all done.
    """
    folder = Path(out)
    if Account.exists(folder):
        return 0
    planned = load(out)
    chosen = _chosen(pieces(planned, stage), stage, index, share)
    try:
        with at_work(planned, show, (stage, chosen)) as job:
            job.do(stage, chosen)
    except Overtaken:
        _made_by_others(planned.out)
    return len(chosen)


def status(out: str | Path) -> JobState:
    """Tell how far a repartition is: for each stage what is done, failed and left, who is at work, what comes next.

    Raises
    ------
    OutputError
        The folder holds neither a plan nor a finished repartition.
    """
    folder = Path(out).absolute()
    return JobState.of_finished(folder) if Account.exists(folder) else look(load(out))


def finish(out: str | Path, *, show: bool | None = None) -> Account:
    """Balance the books of a stored plan all of whose pieces are done, and make its catalogs ones that open.

    Raises
    ------
    RunError
        Pieces are missing, which it lists; or the books do not balance: nothing was committed.
    """
    account = _finished(Path(out))
    if account is not None:
        return account
    planned = load(out)
    try:
        with at_work(planned, show) as job:
            return _end(job)
    except Overtaken:
        return _made_by_others(planned.out)


def _end(job: Job) -> Account:
    return job.finish(lambda advance: commit(job.planned, Ledger(job.planned, job.books.entry), advance))


def _finished(out: Path) -> Account | None:
    """Return the account of a finished run, and remove what a kill may have left of its scratch files."""
    account = Account.read(out.absolute())
    if account is not None:
        clear(out.absolute())
    return account


def _made_by_others(out: Path) -> Account:
    """Return the account of a run that somebody has finished meanwhile."""
    account = _finished(out)
    if account is None:
        raise PlanError(f"{out} has been removed while it was worked on")
    return account


def _chosen(listed: list[Piece], stage: str, index: int | None, share: tuple[int, int] | None) -> list[Piece]:
    if (index is None) == (share is None):
        raise PlanError("a task is one piece, by its index, or a share of a stage, like 0/4: give one of them")
    if share is not None:
        i, n = share
        if not 0 <= i < n:
            raise PlanError(f"shares are counted from 0: need i/n with 0 <= i < n, got {i}/{n}")
        return listed[i::n]
    assert index is not None
    if not 0 <= index < len(listed):
        have = f"0 to {len(listed) - 1}" if listed else "none"
        raise PlanError(f"the pieces of {stage} are {have}, counted from 0; got {index}")
    return [listed[index]]
