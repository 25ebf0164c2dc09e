"""What commands say: results on stdout, for people or as JSON; errors as a message and an exit code.

The tables that are shown are made in ``lsdb_ts.views``.
"""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import typer

from lsdb_ts.cli.options import DONE, FAILED, INCOMPLETE, MISUSE
from lsdb_ts.errors import LsdbTsError, PlanError, RunError


def reported(command: Callable[..., int | None]) -> Callable[..., None]:
    """Make errors raised on purpose a message and an exit code; others are faults of ours and keep their traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs) or DONE
        except (LsdbTsError, OSError) as error:
            code = _complain(error, bool(kwargs.get("verbose")))
        except KeyboardInterrupt:
            code = INCOMPLETE
            typer.secho("interrupted: start the same command again to go on", fg="red", err=True)
        raise typer.Exit(code)

    return run


def show(shown: Any) -> None:
    """Print a text, or something that rich can render, to stdout."""
    from rich.console import Console

    # Where there is no terminal to fit into, nothing is cut or folded.
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 200)
    console.print(shown, soft_wrap=isinstance(shown, str))


def print_json(value: Any) -> None:
    """Print a value as JSON to stdout."""
    typer.echo(json.dumps(_plain(value), indent=1, default=str))


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: NaN and infinities, which it cannot, become null."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _complain(error: Exception, verbose: bool) -> int:
    """Print an error for people and return its exit code."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if verbose:
        import traceback

        console.print(Text("".join(traceback.format_exception(error)), style="dim"))
    console.print(Text.assemble(("error", "bold red"), ": ", str(error)))
    failures = error.failures if isinstance(error, RunError) else ()
    for failure in failures[:20]:
        console.print(Text(f"  {failure.item}: {failure.error}"))
        if verbose and failure.traceback:
            console.print(Text(failure.traceback, style="dim"))
    if len(failures) > 20:
        console.print(f"  ... and {len(failures) - 20:,} more")
    if failures:
        return INCOMPLETE
    return MISUSE if isinstance(error, PlanError) else FAILED
