"""Where catalogs come from: a folder or URL of HATS, or a table in memory. What can be done with them is next door."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lsdb_ts.catalog.catalog import Catalog
from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.loading import uncollected
from lsdb_ts.plan.functions.frame import from_frame
from lsdb_ts.plan.joining.links import scan_of
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import Roles
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.memory import MemorySource

if TYPE_CHECKING:
    import pandas


def open_catalog(
    path: str | Path, columns: Sequence[str] | None = None, storage_options: Mapping[str, Any] | None = None
) -> Catalog:
    """Open a HATS catalog, a collection with its margin, or an association table; reads metadata only.

    Parameters
    ----------
    path : str or pathlib.Path
        Folder of the catalog or collection, or its URL (``https://``, ``s3://``, whatever ``fsspec`` knows). Of remote
        files, too, only the footers and the wanted columns of the wanted row groups are fetched.
    columns : sequence of str, optional
        Columns to keep. There is no need to: whatever is asked for later is what is read.
    storage_options : mapping, optional
        What the file system behind a URL wants to know: ``{"anon": True}`` for a public bucket, keys, headers. They
        travel to the workers, and are in no text, plan or file.

    Raises
    ------
    CatalogError
        The folder is not a catalog, or not a finished one; or the URL cannot be read.
    """
    # Arrow loads pandas for the first column that is made an array.
    with uncollected("pandas" not in sys.modules):
        catalog = Catalog(scan_of(open_hats(path, storage_options)))
    return catalog if columns is None else catalog[list(columns)]


def from_dataframe(
    df: pandas.DataFrame | pa.Table,
    ra: str = "ra",
    dec: str = "dec",
    name: str = "frame",
    roles: Mapping[str, str] | None = None,
) -> Catalog:
    """Make a catalog of a table in memory; it has the same verbs as one on disk.

    Parameters
    ----------
    df : pandas.DataFrame or pyarrow.Table
        The rows; an index is dropped.
    ra, dec : str
        Columns of ICRS positions, float64 degrees.
    name : str
        Name of the catalog.
    roles : mapping of str to str, optional
        What further columns are, for features and pictures: ``{"time": "hjd", "band": "filter", "mag": "V",
        "mag_error": "eV"}``; see :class:`lsdb_ts.schema.Roles` for all of them. Columns with the usual names need none.

    Raises
    ------
    PlanError
        There are no such columns.
    PositionError
        A position is missing or off the sky; names row and value.
    """
    table = df if isinstance(df, pa.Table) else from_frame(df.reset_index(drop=True))
    missing = [f'{role}="{column}"' for role, column in (("ra", ra), ("dec", dec)) if column not in table.column_names]
    if missing:
        raise PlanError(
            f"the table has no column for {' and '.join(missing)}; name its coordinates (ICRS degrees): "
            f"lt.from_dataframe(df, ra=..., dec=...); there are: {', '.join(table.column_names[:12])}"
        )
    if roles:
        table = pa.table(table.columns, schema=Roles.named(roles).tag(table.schema))
    return Catalog(Scan(MemorySource.of_table(table, ra, dec, name)))
