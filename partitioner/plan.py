"""The plan of a repartition: inputs, schemas, layouts and buckets, known before a row is moved. The job moves them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import InputError, OutputError, RunError, SchemaError
from lsdb_ts.run.pool import each
from lsdb_ts.run.progress import stage
from lsdb_ts.schema import HEALPIX, Roles
from lsdb_ts.sky import Layout
from lsdb_ts.sky.pixel import MAX_ORDER, Indices
from lsdb_ts.store.files import local
from lsdb_ts.store.hats import WORK
from lsdb_ts.store.journal import Journal, differences
from lsdb_ts.store.write import atomic
from partitioner.account import ACCOUNT, Account
from partitioner.histogram import Histogram, count_unit, histogram_order, position_error
from partitioner.inputs import TableInput, Unit, open_table
from partitioner.product import Product, bucket_edges
from partitioner.survey import Survey, Table

_LAYOUT_FILE = "layout.json"
_FORMAT = 1
"""Rises when the files in the work folder, or the bytes of the result, change their form."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that is to be done, before any of it is."""

    survey: Survey
    out: Path
    on_bad: str
    inputs: Mapping[str, TableInput]
    products: tuple[Product, ...]
    """The primary catalog first."""
    refused: Mapping[str, int]
    """Rows of each table without a place on the sky."""

    @property
    def work(self) -> Path:
        """Folder of the journal and the scratch files, removed when all is done."""
        return self.out / WORK

    @property
    def primary(self) -> Product:
        """The catalog that nests the others."""
        return self.products[0]

    def roles(self, table: str) -> Roles:
        """Return the roles of a table's columns."""
        return self.inputs[table].roles

    def units(self, table: str) -> tuple[Unit, ...]:
        """Return the units of work of a table."""
        return self.inputs[table].units

    def schema(self, table: str) -> pa.Schema:
        """Return the columns of a table with its spatial index in front: those of its catalog, light curves apart."""
        schema = self.inputs[table].schema
        return pa.schema([pa.field(HEALPIX, pa.int64()), *schema], metadata=schema.metadata)

    @property
    def bytes(self) -> int:
        """Uncompressed bytes to be read; scratch files take about as much of the disk while the job runs."""
        return sum(t.bytes for t in self.inputs.values())

    def to_json(self) -> dict[str, Any]:
        """Return a summary: what goes in, what comes out, what it takes."""
        return {
            "out": str(self.out),
            "tables": {
                n: {"files": len(t.files), "rows": t.rows, "bytes": t.bytes, "units": len(t.units)}
                for n, t in self.inputs.items()
            },
            "catalogs": [
                {
                    "table": p.table,
                    "path": str(Path(p.folder) / p.name),
                    "partitions": len(p.layout),
                    "orders": sorted({int(k) for k in p.layout.orders}),
                    "largest_partition_rows": int(p.counts.max(initial=0)),
                    "too_dense": [str(pixel) for pixel in p.dense],
                    "margin_arcsec": p.margin_arcsec,
                    "nested": dict(p.nest),
                }
                for p in self.products
            ],
            "refused": dict(self.refused),
            "scratch_bytes": self.bytes,
        }


def plan(survey: Survey, out: str | Path, *, on_bad: str = "raise", show: bool | None = None) -> Plan:
    """Find out what a repartition has to do: reads footers and coordinates, writes nothing.

    Parameters
    ----------
    survey : Survey
        What to repartition.
    out : str or pathlib.Path
        Folder of the collection to be made: new, empty, or holding the half-done run of this very survey.
    on_bad : str, optional
        What to do with rows whose position is not on the sky: ``"raise"``, or ``"refuse"`` (set aside and count).
    show : bool, optional
        Whether to show progress; by default where a person is looking.

    Raises
    ------
    InputError
        A file that cannot be read, columns that are missing or differ (SchemaError), positions that are not on the sky
        (PositionError); names file, row, value and the way out.
    OutputError
        ``out`` holds something else; ResumeError: a half-done run with other parameters or inputs, which it names.
    """
    if on_bad not in {"raise", "refuse"}:
        raise ValueError(f'on_bad must be "raise" or "refuse"; got {on_bad!r}')
    folder = local(out, "writing a catalog").absolute()
    inputs = {t.name: open_table(t) for t in survey.tables}
    _check_roles(survey, inputs)
    empty = Plan(survey, folder, on_bad, inputs, (), {})
    _check_out(empty)
    stored = folder / WORK / _LAYOUT_FILE
    if stored.exists():
        return _restored(empty, json.loads(stored.read_text()))
    catalogs = catalog_tables(survey)
    found = {t.name: _count(inputs[t.name], show) for t in catalogs}
    for name, histogram in found.items():
        if histogram.bad and on_bad == "raise":
            raise position_error(name, histogram)
        if not histogram.cells.size:
            raise InputError(
                f'the table "{name}" has no row with a place on the sky: there is no catalog to make of it'
            )
    products = tuple(_product(empty, t, found[t.name]) for t in catalogs)
    return dataclasses.replace(empty, products=products, refused={n: h.bad for n, h in found.items()})


def begin(planned: Plan) -> Journal:
    """Create the output folder with the journal of this run and its layout, or take up the half-done run in it."""
    journal = Journal(planned.work)
    journal.begin(identity(planned))
    with atomic(planned.work / _LAYOUT_FILE) as temporary:
        content = {"products": [p.to_json() for p in planned.products], "refused": dict(planned.refused)}
        temporary.write_text(json.dumps(content))
    return journal


def identity(planned: Plan) -> dict[str, Any]:
    """Return what the result depends on: two runs with the same identity end in the same bytes."""
    tables = {}
    for table in planned.survey.tables:
        files = {
            f.path: {"size": f.size, "mtime_ns": f.mtime_ns, "rows": f.rows} for f in planned.inputs[table.name].files
        }
        tables[table.name] = {
            "files": files,
            "roles": dict(planned.roles(table.name).items()),
            "max_rows": table.max_rows,
            "margin_arcsec": table.margin_arcsec,
            "nest": dict(table.nest),
            "standalone": table.standalone,
        }
    versions = {"format": _FORMAT, "lsdb_ts": version("lsdb_ts"), "pyarrow": pa.__version__}
    return {"name": planned.survey.name, "on_bad": planned.on_bad, "tables": tables, "versions": versions}


def catalog_tables(survey: Survey) -> list[Table]:
    """Return the tables that become catalogs with a layout of their own, the primary one first."""
    nested = {child for t in survey.tables for child, _ in t.nest}
    others = [t for t in survey.tables if t is not survey.primary and (t.standalone or t.name not in nested)]
    return [survey.primary, *others]


def _check_roles(survey: Survey, inputs: Mapping[str, TableInput]) -> None:
    """Raise SchemaError where a table lacks a column that its part in the survey needs."""
    needs = {t.name: {"ra", "dec"} for t in catalog_tables(survey)}
    for parent in survey.tables:
        for child, column in parent.nest:
            needs.setdefault(child, set()).update({"parent_id", "time"})
            needs[parent.name].add("id")
            if column in inputs[parent.name].schema.names:
                raise SchemaError(
                    f'the table "{parent.name}" has a column "{column}" already: nest "{child}" under another name, '
                    f'like nest = {{{child} = "lc"}}'
                )
    for name, roles in needs.items():
        given = dict(inputs[name].roles.items())
        schema = inputs[name].schema
        for role in sorted(roles):
            if role not in given:
                raise SchemaError(
                    f'the table "{name}" has no known {role} column: add {role} = "..." to [tables.{name}.roles]; '
                    f"there are: {', '.join(schema.names[:12])}{', ...' if len(schema.names) > 12 else ''}"
                )
            kind = schema.field(given[role]).type
            is_id = role in {"id", "parent_id"}
            if not (pa.types.is_integer(kind) or (pa.types.is_floating(kind) and not is_id)):
                raise SchemaError(
                    f'the column "{given[role]}" of {inputs[name].files[0].path} is {kind}; as the {role} of the table '
                    f'"{name}" it must be {"an integer" if is_id else "a number"}'
                )
            if role in {"ra", "dec"} and pa.types.is_floating(kind) and not pa.types.is_float64(kind):
                raise SchemaError(
                    f'the coordinate "{given[role]}" of {inputs[name].files[0].path} is {kind}, which rounds positions '
                    "(float32 by up to 0.05 arcsec): give degrees as float64, or cast it in the files if that is what "
                    "you have"
                )


def _check_out(planned: Plan) -> None:
    """Raise OutputError or ResumeError where the output folder cannot be used; creates nothing."""
    journal = Journal(planned.work)
    if journal.exists():
        journal.begin(identity(planned))
        return
    finished = Account.read(planned.out)
    if finished is not None:
        # What is finished stays good when a library becomes newer.
        wanted = json.loads(json.dumps({**identity(planned), "versions": finished.identity.get("versions")}))
        changes = "\n".join(f"  {k}: {a} -> {b}" for k, a, b in differences(dict(finished.identity), wanted))
        if changes:
            raise OutputError(
                f"{planned.out} was finished from something else, says {ACCOUNT}; what changed since:\n{changes}\n"
                "Name another folder, or remove this one"
            )
        return
    if planned.out.exists() and (not planned.out.is_dir() or any(planned.out.iterdir())):
        raise OutputError(
            f"{planned.out} is not empty and holds no half-done run: name another folder, or remove this one"
        )


def _count(table: TableInput, show: bool | None) -> Histogram:
    """Histogram a table, unit by unit."""
    units = table.units
    parts: list[Histogram] = []
    order = histogram_order(table.rows)
    with stage(f"count {table.name}", len(units), "units", show) as advance:
        for outcome in each(count_unit, units, table):
            if outcome.failure is not None:
                raise RunError(f"could not count {outcome.failure.item}: {outcome.failure.error}", [outcome.failure])
            if isinstance(outcome.value, InputError):
                raise outcome.value
            parts.append(outcome.value)
            if len(parts) > 64:
                parts = [Histogram.add(parts, order)]
            advance(1)
    return Histogram.add(parts, order)


def _product(planned: Plan, table: Table, found: Histogram) -> Product:
    layout = Layout.from_counts(found.cells, found.counts, found.order, table.max_rows)
    ends = np.searchsorted(found.cells << np.int64(2 * (MAX_ORDER - found.order)), layout.stops)
    totals = np.concatenate([[0], np.cumsum(found.counts)])
    counts = np.diff(totals[np.concatenate([[0], ends])]).astype(np.int64)
    children = sum(planned.inputs[child].bytes for child, _ in table.nest)
    bytes_per_row = (planned.inputs[table.name].bytes + children) / max(planned.inputs[table.name].rows, 1)
    return _described(planned, table, layout, counts, bucket_edges(counts, bytes_per_row))


def _described(planned: Plan, table: Table, layout: Layout, counts: Indices, edges: Indices) -> Product:
    is_primary = table is planned.survey.primary
    return Product(
        table=table.name,
        name=planned.survey.name if is_primary else table.name,
        folder="" if is_primary else table.name,
        layout=layout,
        counts=counts,
        edges=edges,
        max_rows=table.max_rows,
        margin_arcsec=table.margin_arcsec,
        nest=table.nest,
    )


def _restored(planned: Plan, content: Mapping[str, Any]) -> Plan:
    products = []
    for stored in content["products"]:
        arrays = {k: np.array(stored[k], dtype=np.int64) for k in ("orders", "numbers", "counts", "edges")}
        layout = Layout(arrays["orders"], arrays["numbers"])
        table = planned.survey.table(stored["table"])
        products.append(_described(planned, table, layout, arrays["counts"], arrays["edges"]))
    return dataclasses.replace(planned, products=tuple(products), refused=content["refused"])
