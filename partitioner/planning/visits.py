"""Columns that the rows of a table get from the table of their visits: which they are, and what roles they play."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from lsdb_ts.errors import SchemaError, did_you_mean
from lsdb_ts.schema import Roles
from partitioner.inputs.tables import TableInput
from partitioner.surveys.survey import Table, resolved


def joined_schema(table: Table, inputs: Mapping[str, TableInput]) -> pa.Schema:
    """Return the columns of a table's rows, those of their visits at the end, with the roles of all.

    Raises
    ------
    SchemaError
        A column is not there, or is there twice; names it, and the nearest that are.
    """
    own = inputs[table.name].schema
    if table.visit is None:
        return own
    here, there = table.visit.on
    visits = inputs[table.visit.table].schema
    for column, schema, name in (
        (here, own, table.name),
        *((c, visits, table.visit.table) for c in (there, *table.visit.columns)),
    ):
        if column not in schema.names:
            raise SchemaError(
                f'the table "{name}" has no column "{column}", which visit = ... of "{table.name}" names; '
                f"{did_you_mean(column, schema.names)}"
            )
    for column in table.visit.columns:
        if column in own.names:
            raise SchemaError(
                f'the table "{table.name}" has a column "{column}" of its own: it need not be taken from '
                f'"{table.visit.table}"; remove it from visit = ... (or visit = ... itself)'
            )
    if _kind(own.field(here).type) != _kind(visits.field(there).type):
        raise SchemaError(
            f'"{here}" of the table "{table.name}" is {own.field(here).type}, "{there}" of "{table.visit.table}" is '
            f"{visits.field(there).type}: no visit could be found; say types = ... for one of them"
        )
    joined = pa.schema([*own, *(_bare(visits.field(c)) for c in table.visit.columns)], metadata=own.metadata)
    return resolved(table, joined.names, Roles.of(own)).tag(joined)


def _kind(kind: pa.DataType) -> str:
    return "integer" if pa.types.is_integer(kind) else "text" if _is_text(kind) else str(kind)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _bare(column: pa.Field) -> pa.Field:
    """Return a column as it is when it plays no role: what it is among the visits, it need not be among the rows."""
    return column.with_metadata({k: v for k, v in (column.metadata or {}).items() if k != b"role"})
