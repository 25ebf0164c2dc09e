"""The command ``lsdb-ts``: thin commands over Python functions. What they do is done elsewhere.

Exit codes: 0 done, 1 failed, 2 misuse, 3 incomplete (the same command again goes on where it stopped).
"""

from __future__ import annotations

import enum
import functools
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lsdb_ts.errors import CatalogError, LsdbTsError, PlanError, RunError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from lsdb_ts.catalog import Catalog
    from partitioner import Survey

SINGLE = "Options for a single table (those of several are in survey.toml)"
DONE, FAILED, MISUSE, INCOMPLETE = 0, 1, 2, 3

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


class OnBad(enum.StrEnum):
    """What to do with rows whose position is not on the sky."""

    RAISE = "raise"
    REFUSE = "refuse"


AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else, to stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the traceback of an error.")]
CatalogPath = Annotated[
    str, typer.Argument(metavar="CATALOG", help="Folder or URL of a HATS catalog or collection.", show_default=False)
]
LocalPath = Annotated[
    str, typer.Argument(metavar="CATALOG", help="Folder of a HATS catalog or collection.", show_default=False)
]


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


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=lambda v: _version(v)),
    ] = False,
) -> None:
    """Time-domain astronomy at survey scale: make, check and look into HATS catalogs with nested light curves."""


@app.command()
@reported
def repartition(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="One survey.toml, or the Parquet files of a single table: paths, folders or quoted patterns.",
            metavar="SURVEY.TOML | FILES...",
            show_default=False,
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", help="Folder to make: new, empty, or that of an interrupted run.", show_default=False
        ),
    ],
    ra: Annotated[
        str,
        typer.Option(help="Column of the right ascension, ICRS degrees.", rich_help_panel=SINGLE, show_default=False),
    ] = "",
    dec: Annotated[
        str, typer.Option(help="Column of the declination, ICRS degrees.", rich_help_panel=SINGLE, show_default=False)
    ] = "",
    name: Annotated[
        str, typer.Option(help="Name of the catalog.", rich_help_panel=SINGLE, show_default="that of the folder")
    ] = "",
    max_rows: Annotated[
        int | None,
        typer.Option(min=1, help="Split partitions with more rows.", rich_help_panel=SINGLE, show_default="1000000"),
    ] = None,
    margin_arcsec: Annotated[
        float | None,
        typer.Option(min=0, help="Width of the margin; 0 for none.", rich_help_panel=SINGLE, show_default="5"),
    ] = None,
    on_bad: Annotated[
        OnBad, typer.Option(help="Rows whose position is not on the sky: stop, or set them aside and count them.")
    ] = OnBad.RAISE,
    workers: Annotated[
        int, typer.Option(min=0, help="Worker processes of a local Dask cluster; 0 for threads on all cores.")
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done; nothing is written.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Turn raw survey tables into a HATS collection: partitions, margins, light curves nested in their objects.

    Killed anywhere and started again it does only what is missing. Examples:

        lsdb-ts repartition survey.toml --out survey

        lsdb-ts repartition 'raw/*.parquet' --ra ra --dec dec --max-rows 1000000 --margin-arcsec 10 --out gaia
    """
    import partitioner
    from lsdb_ts.views.terminal import account_report, plan_report

    single = {"ra": ra, "dec": dec, "name": name, "max_rows": max_rows, "margin_arcsec": margin_arcsec}
    survey = _survey(inputs, out, {key: value for key, value in single.items() if value not in ("", None)})
    with _cluster(workers):
        planned = partitioner.plan(survey, out, on_bad=on_bad.value)
        account = partitioner.Account.read(planned.out)
        if dry_run or (account is None and not as_json):
            _print_json(planned.to_json()) if as_json else _print(plan_report(planned.to_json(), dry_run=dry_run))
        if dry_run:
            return DONE
        account = partitioner.carry_out(planned)
    _print_json(account.to_json()) if as_json else _print(account_report(account))
    return DONE


@app.command()
@reported
def info(path: CatalogPath, as_json: AsJson = False, verbose: Verbose = False) -> int | None:
    """Say what a catalog is: kind, rows, partitions, columns with units and roles, margin, size, members."""
    from lsdb_ts.views.info import info as described

    found = described(path)
    if as_json:
        _print_json(found.to_json())
    else:
        _print(found.report())
    return DONE


@app.command()
@reported
def verify(path: LocalPath, as_json: AsJson = False, verbose: Verbose = False) -> int | None:
    """Check a catalog by reading all of it: files, rows, light curves, counts, ids, margins; exit code 1 if faulty."""
    import partitioner
    from lsdb_ts.views.terminal import verify_report

    report = partitioner.verify(path)
    _print_json(report.to_json()) if as_json else _print(verify_report(report))
    return DONE if report.ok else FAILED


@app.command()
@reported
def sidecar(
    path: LocalPath,
    columns: Annotated[
        str,
        typer.Option(
            metavar="A,B,...", help="Columns to hold besides the positions.", show_default="the one with the role id"
        ),
    ] = "",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Write positions and ids once more, uncompressed, so that matches of a few positions are served in milliseconds.

    It lies in the catalog's folder, is used by itself, and no longer where a partition has changed: then run it again.
    """
    from lsdb_ts.store.sidecar_writer import build_sidecar

    report = build_sidecar(path, [name.strip() for name in columns.split(",") if name.strip()])
    if as_json:
        _print_json(report.to_json())
    else:
        _print(
            f"{report.path}: {', '.join(report.columns)} of {report.leaves:,} partition files, "
            f"{report.written:,} of them written, {report.bytes / 1e6:,.1f} MB in all"
        )
    return DONE


@app.command()
@reported
def lightcurve(
    catalog: CatalogPath,
    object_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the object.", show_default=False)],
    plot: Annotated[
        Path | None, typer.Option(help="Draw it into this file: .png, .pdf or .svg.", show_default=False)
    ] = None,
    name: Annotated[str, typer.Option(help="Nested column, where there are several.", show_default="the first")] = "",
    fold: Annotated[
        float | None, typer.Option(metavar="PERIOD", help="Fold on a period, in days.", show_default=False)
    ] = None,
    mag: Annotated[bool, typer.Option("--mag", help="AB magnitudes instead of fluxes in nJy.")] = False,
    id_column: Annotated[str, typer.Option(help="Column of the ids.", show_default="the one with the role id")] = "",
    limit: Annotated[int, typer.Option(min=0, help="Epochs to print; 0 for all.")] = 40,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Find one object by its id and print, and draw, its light curve. Reads only the row groups that can hold it."""
    from lsdb_ts.catalog import open_catalog
    from lsdb_ts.views.terminal import epochs_json, epochs_report

    if fold is not None and not (math.isfinite(fold) and fold > 0):
        raise PlanError(f"--fold {fold:g}: need a period in days, more than 0")
    opened = open_catalog(catalog)
    nested = _nested_column(opened, name)
    column, key = _id_of(opened, object_id, id_column)
    row = _row_of(opened, column, key, nested)
    if plot is not None:
        _draw(row.column(nested)[0], plot, f"{opened.name} {object_id}", fold, mag)
    if as_json:
        _print_json(epochs_json(row, column, nested, fold))
    else:
        others = [c for c in _nested_columns(opened) if c != nested]
        _print(epochs_report(row, f"{opened.name} {object_id}", nested, others, fold, limit or None, as_mag=mag))
        if plot is not None:
            _print(f"drawn in {plot}")
    return DONE


@app.command()
@reported
def index(
    catalog: LocalPath,
    column: Annotated[
        str, typer.Option("--column", "-c", help="Column of the ids.", show_default="the one with the role id")
    ] = "",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Build the index of an id column beside a catalog, so that rows and light curves are found by id at once.

    It is a HATS index catalog, listed in the collection if there is one. One that is up to date is left as it is.
    """
    from lsdb_ts.run.progress import stage
    from lsdb_ts.schema import Roles
    from lsdb_ts.store.hats import open_hats
    from lsdb_ts.store.index_writer import build_index

    opened = open_hats(catalog)
    chosen = column or Roles.of(opened.schema).id
    if chosen is None:
        raise PlanError(f"{opened.name} does not say which column holds its ids: give --column")
    with stage(f"index {chosen}", len(opened.layout), "partitions", False if as_json else None) as advance:
        report = build_index(catalog, chosen, advance=advance)
    if as_json:
        _print_json(report.to_json())
    else:
        nameless = f"; {report.nameless:,} rows have no id" if report.nameless else ""
        done = "indexed" if report.built else "is up to date"
        _print(f"{chosen} of {opened.name} {done}: {report.rows:,} rows in {report.path}{nameless}")
    return DONE


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the process ends with one of its exit codes."""
    app(args=list(arguments) if arguments is not None else None, prog_name="lsdb-ts")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"lsdb-ts {version('lsdb_ts')}")
        raise typer.Exit(DONE)


def _survey(inputs: list[str], out: str, single: dict[str, Any]) -> Survey:
    """Read the survey's description, or make that of a single table."""
    from partitioner import Survey

    if any(text.endswith(".toml") for text in inputs):
        if len(inputs) > 1:
            raise PlanError(f"one survey file describes everything that goes into {out}; got {len(inputs)} arguments")
        if single:
            options = ", ".join(f"--{key.replace('_', '-')}" for key in single)
            raise PlanError(f"{options}: only for a single table; what concerns a survey stands in {inputs[0]}")
        return Survey.read(inputs[0])
    missing = [f"--{key}" for key in ("ra", "dec") if key not in single]
    if missing:
        raise PlanError(
            f"{' and '.join(missing)} missing: name the columns of the positions, like --ra ra --dec dec, "
            "or give a survey.toml"
        )
    return Survey.of_single_table(inputs, **{"name": Path(out).absolute().name, **single})


@contextmanager
def _cluster(workers: int) -> Iterator[None]:
    """Work on a Dask cluster of this machine, if workers are wanted."""
    if not workers:
        yield
        return
    from lsdb_ts.run.cluster import cluster

    with cluster("local", n_workers=workers) as local, local.get_client():
        yield


def _nested_columns(opened: Catalog) -> list[str]:
    from lsdb_ts.schema import is_nested

    return [field.name for field in opened.schema if is_nested(field)]


def _nested_column(opened: Catalog, name: str) -> str:
    nested = _nested_columns(opened)
    if not nested:
        raise PlanError(f"{opened.name} has no light curves: need a catalog with a nested column, see `lsdb-ts info`")
    if name and name not in nested:
        raise PlanError(f'{opened.name} has no nested column "{name}"; {did_you_mean(name, nested)}')
    return name or nested[0]


def _id_of(opened: Catalog, text: str, column: str) -> tuple[str, int | str]:
    """Return the id column and the id in its type."""
    import pyarrow as pa

    from lsdb_ts.schema import Roles, require

    found = column or Roles.of(opened.schema).id
    if found is None:
        raise PlanError(
            f"{opened.name} does not say which column holds its ids: give --id-column; "
            f"there are: {', '.join(opened.columns[:12])}"
        )
    require(opened.schema, [found], opened.name)
    kind = opened.schema.field(found).type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return found, text
    if not pa.types.is_integer(kind):
        raise PlanError(f'"{found}" is {kind}: ids are whole numbers or text, name their column by --id-column')
    try:
        return found, int(text)
    except ValueError as error:
        raise PlanError(f'the ids in "{found}" are whole numbers; got "{text}"') from error


def _row_of(opened: Catalog, column: str, key: int | str, nested: str) -> pa.Table:
    """Read the one row of an object."""
    positions = [c for c in opened.plan.positions or () if c != column]
    rows = opened.query(f"`{column}` == @key", {"key": key})[[column, *positions, nested]].to_arrow(progress=False)
    if rows.num_rows == 0:
        raise CatalogError(f"{opened.name} has no object with {column} = {key}")
    return rows.slice(0, 1)


def _draw(curve: pa.StructScalar, path: Path, heading: str, period_days: float | None, as_mag: bool) -> None:
    from lsdb_ts.views.lightcurve import plot_folded, plot_lightcurve
    from lsdb_ts.views.style import save

    if period_days is None:
        ax = plot_lightcurve(curve, heading=heading, as_mag=as_mag)
    else:
        ax = plot_folded(curve, period_days, heading=heading, as_mag=as_mag)
    save(ax.figure, path)


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


def _print(shown: Any) -> None:
    from rich.console import Console

    # Where there is no terminal to fit into, nothing is cut or folded.
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 200)
    console.print(shown, soft_wrap=isinstance(shown, str))


def _print_json(value: Any) -> None:
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


if __name__ == "__main__":
    main(sys.argv[1:])
