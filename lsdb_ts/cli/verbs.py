"""The steps of a repartition as commands: for batch systems, and for looking on. All at once is next door."""

from __future__ import annotations

from typing import Annotated

import typer

from lsdb_ts.cli.options import DONE, INCOMPLETE, AsJson, Verbose
from lsdb_ts.cli.survey import Bad, Dec, Inputs, Margin, MaxBytes, MaxRows, Name, OnBad, Out, Ra, described
from lsdb_ts.cli.terminal import print_json, show
from lsdb_ts.cli.work import JobFolder, Memory, Quiet, Scheduler, Workers, working
from lsdb_ts.errors import PlanError


def plan(
    inputs: Inputs,
    out: Out,
    ra: Ra = "",
    dec: Dec = "",
    name: Name = "",
    max_rows: MaxRows = None,
    max_bytes: MaxBytes = "",
    margin_arcsec: Margin = None,
    on_bad: Bad = OnBad.RAISE,
    workers: Workers = 0,
    scheduler: Scheduler = "",
    memory: Memory = "",
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Decide everything about a repartition and store it in the folder of the result; no row is moved.

    Then any number of `task`, or `run`, and at last `finish` do it; neither needs the survey file. A Slurm job array:

        lsdb-ts plan survey.toml --out DIR

        sbatch --array=0-99 --wrap 'lsdb-ts task DIR shard --slice $SLURM_ARRAY_TASK_ID/100'
    """
    import partitioner
    from lsdb_ts.views.terminal import plan_report
    from partitioner.surveys.section import in_bytes

    single = {"name": name, "max_rows": max_rows, "max_bytes": max_bytes, "margin_arcsec": margin_arcsec}
    survey = described(inputs, out, ra=ra, dec=dec, **single)
    with working(workers=workers, scheduler=scheduler, quiet=quiet):
        planned = partitioner.plan(survey, out, on_bad=on_bad.value, memory=in_bytes(memory) if memory else None)
        if not partitioner.Account.exists(planned.out):
            planned = partitioner.begin(planned)
    state = partitioner.status(planned.out)
    if as_json:
        print_json({**planned.to_json(), "stages": {s.name: s.pieces for s in state.stages}, "next": state.next})
        return DONE
    show(plan_report(planned.to_json(), dry_run=False))
    if state.finished:
        show(f"{planned.out} was finished before")
    else:
        counted = ", ".join(f"{s.name} {s.pieces:,}" for s in state.stages)
        show(f"stored in {planned.out}; pieces of work: {counted}\nnext: {state.next}")
    return DONE


def task(
    folder: JobFolder,
    stage: Annotated[
        str,
        typer.Argument(
            metavar="STAGE", help="visits, shard, index, route, gather or margin; each after those before it."
        ),
    ],
    index: Annotated[
        int | None, typer.Argument(metavar="[INDEX]", help="Which piece, counted from 0.", show_default=False)
    ] = None,
    share: Annotated[
        str, typer.Option("--slice", metavar="I/N", help="Every n-th piece from piece i on.", show_default=False)
    ] = "",
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Do one piece of a stored plan, or a share of the pieces of a stage; what is done already is left as it is.

    It may run anywhere, any number of times, beside any other: a task of a Slurm job array, for instance:

        lsdb-ts task DIR gather $SLURM_ARRAY_TASK_ID
    """
    import partitioner

    with working(quiet=quiet):
        done = partitioner.task(folder, stage, index, share=_share(share) if share else None)
    told = {"out": folder, "stage": stage, "pieces": done}
    print_json(told) if as_json else show(f"{stage}: {done:,} of its pieces {'is' if done == 1 else 'are'} done")
    return DONE


def run(
    folder: JobFolder,
    workers: Workers = 0,
    scheduler: Scheduler = "",
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Do all that is missing of a stored plan, on all cores of this machine or on Dask, and finish it."""
    import partitioner
    from lsdb_ts.views.terminal import account_report

    with working(workers=workers, scheduler=scheduler, quiet=quiet):
        account = partitioner.run(folder)
    print_json(account.to_json()) if as_json else show(account_report(account))
    return DONE


def status(folder: JobFolder, as_json: AsJson = False, verbose: Verbose = False) -> int | None:
    """Tell how far a repartition is: pieces done, failed and left, who is at work, what to call next.

    Ends with exit code 3 as long as it is not finished.
    """
    import partitioner
    from lsdb_ts.views.job import status_report

    state = partitioner.status(folder)
    print_json(state.to_json()) if as_json else show(status_report(state))
    return DONE if state.finished else INCOMPLETE


def finish(folder: JobFolder, quiet: Quiet = False, as_json: AsJson = False, verbose: Verbose = False) -> int | None:
    """Balance the books of a plan all of whose pieces are done, and make its catalogs ones that open.

    As long as pieces are missing they are listed, nothing is committed, and the exit code is 3.
    """
    import partitioner
    from lsdb_ts.views.terminal import account_report

    with working(quiet=quiet):
        account = partitioner.finish(folder)
    print_json(account.to_json()) if as_json else show(account_report(account))
    return DONE


def _share(text: str) -> tuple[int, int]:
    first, _, number = text.partition("/")
    if not (first.isdecimal() and number.isdecimal()):
        raise PlanError(f"a slice is written like 0/4, the first of four shares; got {text!r}")
    return int(first), int(number)
