"""Commands that add rows to a finished archive, and fold them in. How that is done is the work of ``partitioner``."""

from __future__ import annotations

from typing import Annotated

import typer

from lsdb_ts.cli.options import DONE, AsJson, LocalPath, Verbose
from lsdb_ts.cli.survey import OnBad
from lsdb_ts.cli.terminal import print_json, show
from lsdb_ts.errors import PlanError

Keep = Annotated[int, typer.Option(min=0, help="Former states that stay on the disk, for those who are reading them.")]


def append(
    catalog: LocalPath,
    new: Annotated[
        list[str],
        typer.Argument(
            metavar="[TABLE=]FILES...",
            help="New files, of any format: paths, folders, quoted patterns or URLs; the table they are of in front.",
            show_default=False,
        ),
    ],
    on_bad: Annotated[
        OnBad | None,
        typer.Option(help="Rows whose position is not on the sky: stop, or set them aside.", show_default="as before"),
    ] = None,
    drop_column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Leave out this column, which the catalog has not.", show_default=False),
    ] = None,
    null_column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Let new rows have no value here, if files lack it.", show_default=False),
    ] = None,
    cast_column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Convert, and round, to the catalog's type.", show_default=False),
    ] = None,
    keep: Keep = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done; nothing is written.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Add a night's rows to the partitions they belong in, all at once or not at all; files added before are left out.

    Columns that differ from the catalog's are an error unless they are named; those options may be repeated.

        lsdb-ts append sim source='night-0412/source-*.parquet' object=night-0412/new.parquet
    """
    from lsdb_ts.views.additions import addition_report, forecast_report
    from partitioner import additions

    allowed = {"drop": drop_column or (), "null": null_column or (), "cast": cast_column or ()}
    bad, shown = None if on_bad is None else on_bad.value, False if as_json else None
    if dry_run:
        told = additions.forecast_append(catalog, _by_table(new), on_bad=bad, **allowed, show=shown)
        print_json(told.to_json()) if as_json else show(forecast_report(told))
        return DONE
    done = additions.append(catalog, _by_table(new), on_bad=bad, **allowed, keep=keep, show=shown)
    print_json(done.to_json()) if as_json else show(addition_report(done))
    return DONE


def compact(catalog: LocalPath, keep: Keep = 1, as_json: AsJson = False, verbose: Verbose = False) -> int | None:
    """Fold additions in: one sorted file for each partition, and those split that have become too large."""
    from lsdb_ts.views.additions import compaction_report
    from partitioner.additions import compact as folded

    done = folded(catalog, keep=keep, show=False if as_json else None)
    print_json(done.to_json()) if as_json else show(compaction_report(done))
    return DONE


def _by_table(new: list[str]) -> dict[str, list[str]]:
    """Sort ``TABLE=FILES`` by table; files of no table are of the only one there is."""
    found: dict[str, list[str]] = {}
    for text in new:
        name, mark, files = text.partition("=")
        is_named = bool(mark) and name.isidentifier()
        table, path = (name, files) if is_named else ("", text)
        if not path:
            raise PlanError(f'"{text}" names no files: write it like {table}=night/*.parquet')
        found.setdefault(table, []).append(path)
    return found
