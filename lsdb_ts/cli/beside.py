"""Commands that add to a finished catalog what lies beside its partitions, which they leave as they are."""

from __future__ import annotations

from typing import Annotated

import typer

from lsdb_ts.cli.options import DONE, AsJson, LocalPath, Verbose
from lsdb_ts.cli.terminal import print_json, show
from lsdb_ts.errors import PlanError


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
        print_json(report.to_json())
    else:
        nameless = f"; {report.nameless:,} rows have no id" if report.nameless else ""
        done = "indexed" if report.built else "is up to date"
        show(f"{chosen} of {opened.name} {done}: {report.rows:,} rows in {report.path}{nameless}")
    return DONE


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
        print_json(report.to_json())
    else:
        show(
            f"{report.path}: {', '.join(report.columns)} of {report.leaves:,} partition files, "
            f"{report.written:,} of them written, {report.bytes / 1e6:,.1f} MB in all"
        )
    return DONE


def margin(
    catalog: LocalPath,
    radius: Annotated[float, typer.Option("--radius", "-r", help="How far it reaches, in arcsec.", show_default=False)],
    default: Annotated[
        bool, typer.Option("--default", help="Make it the margin that the collection opens with.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> int | None:
    """Add a margin to a finished catalog: the rows just outside each partition, which matches across edges need.

    Any HATS catalog will do, whoever wrote it. A catalog that is in no collection gets one beside it, and is left as it
    is; so is a margin that is up to date.
    """
    from lsdb_ts.plan.explain import in_bytes
    from partitioner.margins.add import add_margin

    report = add_margin(catalog, radius, default=default, show=False if as_json else None)
    if as_json:
        print_json(report.to_json())
        return DONE
    done = "written" if report.built else "is up to date"
    show(
        f"{report.radius_arcsec:g} arcsec margin of {report.catalog} {done}: {report.rows:,} rows near the edges of "
        f"{report.partitions:,} pixels, {in_bytes(report.bytes)}, in {report.path}"
    )
    if not report.is_default:
        show(f"{report.collection} still opens with another margin: --default makes it open with this one")
    elif not report.is_in_place:
        show(f"open {report.collection} to have it used: {report.catalog} itself is as it was")
    return DONE
