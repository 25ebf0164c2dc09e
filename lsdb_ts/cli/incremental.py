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
    keep: Keep = 1,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Add a night's rows to the partitions they belong in, all at once or not at all; files added before are left out.

    lsdb-ts append sim source='night-0412/source-*.parquet' object=night-0412/new.parquet
    """
    from lsdb_ts.views.additions import addition_report
    from partitioner.additions import append as added

    bad = None if on_bad is None else on_bad.value
    done = added(catalog, _by_table(new), on_bad=bad, keep=keep, show=False if as_json else None)
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
