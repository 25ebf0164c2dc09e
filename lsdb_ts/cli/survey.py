"""What is to be repartitioned, as commands are told: a survey file, or files and options of a single table."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsdb_ts.cli.options import DONE, AsJson, Verbose
from lsdb_ts.cli.terminal import print_json, show
from lsdb_ts.errors import PlanError

if TYPE_CHECKING:
    from partitioner import Survey

_SINGLE = "Options for a single table (those of several are in survey.toml)"


class OnBad(enum.StrEnum):
    """What to do with rows whose position is not on the sky."""

    RAISE = "raise"
    REFUSE = "refuse"


Inputs = Annotated[
    list[str],
    typer.Argument(
        help="One survey.toml, or a single table: its files, folders, quoted patterns, URLs, or a HATS catalog.",
        metavar="SURVEY.TOML | FILES...",
        show_default=False,
    ),
]
Out = Annotated[
    str,
    typer.Option("--out", "-o", help="Folder to make: new, empty, or that of an interrupted run.", show_default=False),
]
Ra = Annotated[
    str,
    typer.Option(
        help="Column of the right ascension, ICRS degrees.",
        rich_help_panel=_SINGLE,
        show_default="as a HATS catalog tells",
    ),
]
Dec = Annotated[
    str,
    typer.Option(
        help="Column of the declination, ICRS degrees.",
        rich_help_panel=_SINGLE,
        show_default="as a HATS catalog tells",
    ),
]
Name = Annotated[
    str, typer.Option(help="Name of the catalog.", rich_help_panel=_SINGLE, show_default="that of the folder")
]
MaxRows = Annotated[
    int | None,
    typer.Option(min=1, help="Split partitions with more rows.", rich_help_panel=_SINGLE, show_default="1000000"),
]
MaxBytes = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="Split partitions that are larger in memory.",
        rich_help_panel=_SINGLE,
        show_default="512MiB",
    ),
]
Margin = Annotated[
    float | None,
    typer.Option(min=0, help="Width of the margin; 0 for none.", rich_help_panel=_SINGLE, show_default="5"),
]
Bad = Annotated[
    OnBad, typer.Option(help="Rows whose position is not on the sky: stop, or set them aside and count them.")
]


def survey(
    name: Annotated[
        str, typer.Argument(metavar="SURVEY", help="Which one; without it they are listed.", show_default=False)
    ] = "",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Print a survey.toml for a known survey, with roles and units of its columns; the files are to be filled in.

    lsdb-ts survey rubin > survey.toml
    """
    from partitioner.surveys import profiles

    if name and not as_json:
        typer.echo(profiles.text(name), nl=False)
    elif name:
        print_json({"name": name, "summary": profiles.summary(name), "toml": profiles.text(name)})
    else:
        known = {n: profiles.summary(n) for n in profiles.names()}
        print_json(known) if as_json else show(_listed(known))
    return DONE


def _listed(known: Mapping[str, str]) -> str:
    widest = max(map(len, known))
    lines = [f"  {name:{widest}}  {summary}" for name, summary in known.items()]
    return "\n".join(["surveys that are known:", "", *lines, "", "lsdb-ts survey NAME > survey.toml"])


def described(inputs: list[str], out: str, **options: Any) -> Survey:
    """Read a survey's description, or make that of a single table of its options; those not given are empty."""
    from partitioner import Survey
    from partitioner.surveys.section import in_bytes

    single = {key: value for key, value in options.items() if value not in ("", None)}
    if "max_bytes" in single:
        single["max_bytes"] = in_bytes(single["max_bytes"])
        if not single["max_bytes"]:
            raise PlanError(f"--max-bytes {options['max_bytes']}: need more than 0 bytes")
    if any(text.endswith(".toml") for text in inputs):
        if len(inputs) > 1:
            raise PlanError(f"one survey file describes everything that goes into {out}; got {len(inputs)} arguments")
        if single:
            given = ", ".join(f"--{key.replace('_', '-')}" for key in single)
            raise PlanError(f"{given}: only for a single table; what concerns a survey stands in {inputs[0]}")
        return Survey.read(inputs[0])
    return Survey.of_single_table(inputs, **{"name": Path(out).absolute().name, **single})
