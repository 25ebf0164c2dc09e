"""The command that makes catalogs of raw tables in one go. Its single steps are verbs beside it."""

from __future__ import annotations

from typing import Annotated

import typer

from lsdb_ts.cli.options import DONE, FAILED, AsJson, Verbose
from lsdb_ts.cli.survey import Bad, Dec, Inputs, Margin, MaxBytes, MaxRows, Name, OnBad, Out, Ra, described
from lsdb_ts.cli.terminal import print_json, show
from lsdb_ts.cli.work import Memory, Quiet, Scheduler, Workers, working


def repartition(
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done and what it takes; nothing is written.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Turn raw survey tables into a HATS collection: partitions, margins, light curves nested in their objects.

    Killed anywhere and started again it does only what is missing; started twice, both share the work. Examples:

        lsdb-ts repartition survey.toml --out survey

        lsdb-ts repartition 'raw/*.parquet' --ra ra --dec dec --max-rows 1000000 --margin-arcsec 10 --out gaia

        lsdb-ts repartition old_catalog --max-bytes 256MB --out new_catalog
    """
    import partitioner
    from lsdb_ts.views.terminal import account_report, plan_report
    from partitioner.surveys.section import in_bytes

    single = {"name": name, "max_rows": max_rows, "max_bytes": max_bytes, "margin_arcsec": margin_arcsec}
    survey = described(inputs, out, ra=ra, dec=dec, **single)
    with working(workers=workers, scheduler=scheduler, quiet=quiet):
        planned = partitioner.plan(survey, out, on_bad=on_bad.value, memory=in_bytes(memory) if memory else None)
        account = partitioner.Account.read(planned.out)
        if dry_run or (account is None and not as_json):
            print_json(planned.to_json()) if as_json else show(plan_report(planned.to_json(), dry_run=dry_run))
        if dry_run:
            return DONE if planned.estimate.fits_disk else FAILED
        account = partitioner.carry_out(planned)
    print_json(account.to_json()) if as_json else show(account_report(account))
    return DONE
