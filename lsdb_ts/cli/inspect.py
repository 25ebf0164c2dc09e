"""Commands that look into catalogs: what they are, whether they are sound, what an object did. None writes one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lsdb_ts.cli.options import DONE, FAILED, AsJson, CatalogPath, LocalPath, Verbose
from lsdb_ts.cli.terminal import print_json, show
from lsdb_ts.errors import CatalogError, PlanError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from lsdb_ts.catalog import Catalog


def info(path: CatalogPath, as_json: AsJson = False, verbose: Verbose = False) -> int | None:
    """Say what a catalog is: kind, rows, partitions, columns with units and roles, margin, size, members."""
    from lsdb_ts.views.info import info as described

    found = described(path)
    if as_json:
        print_json(found.to_json())
    else:
        show(found.report())
    return DONE


def verify(
    path: LocalPath,
    sample: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|NUMBER",
            help="Read only some partitions: a share like 0.01, or a number like 100; but all metadata.",
            show_default="all",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another number chooses other partitions for --sample.")] = 0,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Check a catalog by reading every byte of it: files, rows, light curves, counts, ids, margins, indexes, account.

    Names each fault with file, row, what stands there and what should; exit code 1 if there is one.
    """
    import partitioner
    from lsdb_ts.views.verify import verify_report

    report = partitioner.verify(path, sample=sample, seed=seed)
    print_json(report.to_json()) if as_json else show(verify_report(report))
    return DONE if report.ok else FAILED


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
        print_json(epochs_json(row, column, nested, fold))
    else:
        others = [c for c in _nested_columns(opened) if c != nested]
        show(epochs_report(row, f"{opened.name} {object_id}", nested, others, fold, limit or None, as_mag=mag))
        if plot is not None:
            show(f"drawn in {plot}")
    return DONE


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
