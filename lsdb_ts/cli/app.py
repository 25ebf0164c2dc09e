"""The command ``lsdb-ts``: which commands there are, and in what sequence. What they do is done elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import typer

from lsdb_ts.cli.beside import index, margin, sidecar
from lsdb_ts.cli.incremental import append, compact
from lsdb_ts.cli.inspect import info, lightcurve, verify
from lsdb_ts.cli.options import DONE
from lsdb_ts.cli.repartition import repartition
from lsdb_ts.cli.survey import survey
from lsdb_ts.cli.terminal import reported
from lsdb_ts.cli.verbs import finish, plan, run, status, task

COMMANDS: Mapping[str, tuple[Callable[..., int | None], ...]] = {
    "Make catalogs": (survey, repartition),
    "Make catalogs step by step": (plan, task, run, status, finish),
    "Look into catalogs": (info, verify, lightcurve),
    "Add to a catalog": (append, compact, margin, index, sidecar),
}
"""Every command, in families, as the help shows them."""

app = typer.Typer(
    name="lsdb-ts",
    help="Time-domain astronomy at survey scale: make, check and look into HATS catalogs with nested light curves.",
    epilog="Exit codes: 0 done, 1 failed, 2 misuse, 3 incomplete (the same command again goes on where it stopped).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=lambda v: _version(v)),
    ] = False,
) -> None:
    """Time-domain astronomy at survey scale: make, check and look into HATS catalogs with nested light curves."""


for family, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=family)(reported(command))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the process ends with one of its exit codes."""
    app(args=list(arguments) if arguments is not None else None, prog_name="lsdb-ts")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"lsdb-ts {version('lsdb_ts')}")
        raise typer.Exit(DONE)
