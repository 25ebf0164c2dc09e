"""The plan of a repartition: inputs, schemas, layouts and buckets, known before a row is moved. The job moves them."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import OutputError, ResumeError
from lsdb_ts.schema import HEALPIX, Roles
from lsdb_ts.store.files import local
from lsdb_ts.store.finish import properties_stamp
from lsdb_ts.store.hats import WORK
from lsdb_ts.store.journal import Journal, differences, listed, write_once
from partitioner.account import ACCOUNT, Account
from partitioner.inputs.tables import UNIT_BYTES, TableInput, Unit, open_table
from partitioner.planning.estimate import BUCKET_BYTES, Estimate, Workforce, bucket_limit, stream_limit
from partitioner.planning.measure import measure
from partitioner.planning.needs import check_needs
from partitioner.planning.product import Product
from partitioner.planning.stored import from_json, to_json
from partitioner.planning.visits import joined_schema
from partitioner.surveys.survey import Survey, Table

_PLAN_FILE = "plan.json"
_FORMAT = 3
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
    estimate: Estimate
    """What it will take."""
    made: str = field(default_factory=lambda: properties_stamp()["hats_creation_date"])
    """When it was planned: the date of what is made, whenever that is and however often it is interrupted."""

    @property
    def work(self) -> Path:
        """Folder of the journal and the scratch files, removed when all is done."""
        return self.out / WORK

    @property
    def primary(self) -> Product:
        """The catalog that nests the others."""
        return self.products[0]

    def refuses(self, table: str) -> bool:
        """Tell whether rows of a table without a place on the sky are set aside rather than an error."""
        return (self.survey.table(table).on_bad or self.on_bad) == "refuse"

    @functools.cached_property
    def columns(self) -> Mapping[str, pa.Schema]:
        """Columns of each table's rows, with those that they get from the table of their visits, and all roles."""
        return {t.name: joined_schema(t, self.inputs) for t in self.survey.tables}

    def roles(self, table: str) -> Roles:
        """Return the roles of a table's columns."""
        return Roles.of(self.columns[table])

    def units(self, table: str) -> tuple[Unit, ...]:
        """Return the units of work of a table."""
        return self.inputs[table].units

    def schema(self, table: str) -> pa.Schema:
        """Return the columns of a table with its spatial index in front: those of its catalog, light curves apart."""
        schema = self.columns[table]
        return pa.schema([pa.field(HEALPIX, pa.int64()), *schema], metadata=schema.metadata)

    def to_json(self) -> dict[str, Any]:
        """Return a summary: what goes in, what comes out, what it takes."""
        return {
            "out": str(self.out),
            "tables": {name: _told_input(raw) for name, raw in self.inputs.items()},
            "catalogs": [_told_product(p) for p in self.products],
            "refused": dict(self.refused),
            "estimate": self.estimate.to_json(),
        }


def _told_input(raw: TableInput) -> dict[str, Any]:
    return {
        "files": len(raw.files),
        "formats": sorted({f.reader.name for f in raw.files}),
        "rows": raw.rows,
        "file_bytes": sum(f.file.size for f in raw.files),
        "bytes": raw.bytes,
        "units": len(raw.units),
    }


def _told_product(made: Product) -> dict[str, Any]:
    return {
        "table": made.table,
        "path": str(Path(made.folder) / made.name),
        "rows": int(made.counts.sum()),
        "partitions": len(made.layout),
        "orders": sorted({int(k) for k in made.layout.orders}),
        "largest_partition_rows": int(made.counts.max(initial=0)),
        "largest_partition_bytes": int(made.bytes.max(initial=0)),
        "max_rows": made.limits.rows,
        "max_bytes": made.limits.bytes,
        "too_dense": [str(pixel) for pixel in made.dense],
        "buckets": made.buckets,
        "margin_arcsec": made.margin_arcsec,
        "nested": {n.table: n.name for n in made.nest},
    }


def plan(
    survey: Survey, out: str | Path, *, on_bad: str = "raise", memory: int | None = None, show: bool | None = None
) -> Plan:
    """Find out what a repartition has to do and what it will take: reads metadata and coordinates, writes nothing.

    Parameters
    ----------
    survey : Survey
        What to repartition.
    out : str or pathlib.Path
        Folder of the collection to be made: new, empty, or holding the half-done run of this very survey.
    on_bad : str, optional
        What to do with rows whose position is not on the sky: ``"raise"``, or ``"refuse"`` (set aside and count).
    memory : int, optional
        Bytes that each worker process may use. The result does not depend on it.
    show : bool, optional
        Whether to show progress; by default where a person is looking.

    Raises
    ------
    InputError
        A file that cannot be read, columns that are missing or differ (SchemaError), positions that are not on the sky
        (PositionError); names file, row, value and the way out.
    OutputError
        ``out`` holds something else; ResumeError: a half-done run with other parameters or inputs, which it names.
    PlanError
        Workers may use less memory than the least they need.
    """
    if on_bad not in {"raise", "refuse"}:
        raise ValueError(f'on_bad must be "raise" or "refuse"; got {on_bad!r}')
    force = Workforce.now()
    bucket_bytes = bucket_limit(memory, force.threads)
    folder = local(out, "writing a catalog").absolute()
    inputs = {t.name: open_table(t) for t in survey.tables}
    empty = Plan(survey, folder, on_bad, inputs, (), {}, Estimate.none())
    check_needs(survey, empty.columns, {name: raw.files[0].path for name, raw in inputs.items()})
    _check_out(empty)
    if (folder / WORK / _PLAN_FILE).exists():
        return load(folder)
    found = measure(survey, {n: _cut(raw, bucket_bytes) for n, raw in inputs.items()}, on_bad, show)
    products = tuple(found.product(t, bucket_bytes) for t in survey.catalogs)
    estimate = found.estimate(products, folder, force, stream_limit(memory, force.threads))
    refused = {t.name: found.histograms[t.name].bad for t in survey.catalogs if t.follow is None}
    return dataclasses.replace(empty, inputs=found.inputs, products=products, refused=refused, estimate=estimate)


def begin(planned: Plan) -> Plan:
    """Create the output folder with the journal of a run and its plan; return the plan that is carried out there.

    That is an older one where a half-done run of the same identity, or somebody who was quicker, has left it.

    Raises
    ------
    OutputError
        The disk has no room for what a new run needs.
    ResumeError
        A run of something else was begun there.
    """
    journal = Journal(planned.work)
    if not journal.exists():
        planned.estimate.check_disk(planned.out)
    journal.begin(identity(planned))
    content = {f.name: to_json(getattr(planned, f.name)) for f in dataclasses.fields(planned) if f.name != "out"}
    write_once(planned.work / _PLAN_FILE, json.dumps({"format": _FORMAT, **content}))
    return load(planned.out)


def load(out: str | Path) -> Plan:
    """Return the plan that is stored in an output folder: neither the survey file nor its inputs are looked at.

    Raises
    ------
    OutputError
        There is none.
    ResumeError
        Another version has made it.
    """
    folder = local(out, "writing a catalog").absolute()
    path = folder / WORK / _PLAN_FILE
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise OutputError(
            f"{folder} holds no plan of a repartition: make one with `lsdb-ts plan SURVEY.TOML --out {folder}`"
        ) from None
    found = content.pop("format")
    if found != _FORMAT:
        raise ResumeError(
            f"{path} is of format {found}, this version of lsdb_ts writes {_FORMAT}: go on with the version that "
            f"planned it, or remove {folder} and start again"
        )
    return Plan(out=folder, **{name: from_json(value) for name, value in content.items()})


def identity(planned: Plan) -> dict[str, Any]:
    """Return what the result depends on: two runs with the same identity end in the same bytes."""
    tables = {t.name: _identity_of(planned, t) for t in planned.survey.tables}
    versions = {"format": _FORMAT, "lsdb_ts": version("lsdb_ts"), "pyarrow": pa.__version__}
    return {"name": planned.survey.name, "on_bad": planned.on_bad, "tables": tables, "versions": versions}


def _identity_of(planned: Plan, table: Table) -> dict[str, Any]:
    told = dataclasses.asdict(table)
    # Which columns play the roles matters, not where that was found; nor do units and files that were not used. Keys to
    # file systems are for nobody to read.
    for key in ("known_roles", "files", "storage"):
        del told[key]
    raw = planned.inputs[table.name]
    return {
        **told,
        "files": {f.path: {"size": f.file.size, "stamp": f.file.stamp} for f in raw.files},
        "roles": dict(planned.roles(table.name).items()),
    }


def _cut(raw: TableInput, bucket_bytes: int) -> TableInput:
    """Return a table in units that fit the memory; they are read batch by batch, and may be larger than a bucket."""
    return dataclasses.replace(raw, unit_bytes=UNIT_BYTES * bucket_bytes // BUCKET_BYTES)


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
        changes = listed(differences(dict(finished.identity), wanted))
        if changes:
            raise OutputError(
                f"{planned.out} was finished from something else, says {ACCOUNT}; what changed since:\n{changes}\n"
                "Name another folder, or remove this one"
            )
        return
    # Our own folder alone is a start that was killed, or is another's that is just beginning.
    if planned.out.exists() and (not planned.out.is_dir() or any(p.name != WORK for p in planned.out.iterdir())):
        raise OutputError(
            f"{planned.out} is not empty and holds no half-done run: name another folder, or remove this one"
        )
