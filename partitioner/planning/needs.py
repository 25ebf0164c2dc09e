"""What columns the part that a table plays in its survey asks for. Finding them in files is the work of ``inputs``."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from lsdb_ts.errors import SchemaError, did_you_mean
from lsdb_ts.schema import Roles, unit_of
from partitioner.surveys.survey import Survey, Table

_IDS = {"id", "parent_id"}
_OTHER_ANGLES = {
    *("h", "hr", "hour", "hours", "hourangle", "hms", "rad", "radian", "radians"),
    *("arcmin", "arcminute", "arcsec", "arcsecond", "mas", "uas"),
}
"""Units that positions come in where they are no degrees; others, unknown ones, are left to who made the file."""


def check_needs(survey: Survey, schemas: Mapping[str, pa.Schema], paths: Mapping[str, str]) -> None:
    """Raise SchemaError where a table lacks a column that its part in the survey needs, or has it as another type.

    Parameters
    ----------
    survey : Survey
    schemas : mapping of str to pyarrow.Schema
        Columns of each table's rows, with roles.
    paths : mapping of str to str
        A file of each table, for the message.
    """
    for table in survey.tables:
        _check_nesting(survey, table, schemas)
    for name, needed in _needs(survey).items():
        given = dict(Roles.of(schemas[name]).items())
        for role in sorted(needed):
            if role not in given:
                raise SchemaError(_missing(survey.table(name), role, schemas[name]))
            _check_type(name, role, schemas[name].field(given[role]), paths[name])
    for child, parent in {**survey.nested, **{t.name: t.follow for t in survey.catalogs if t.follow}}.items():
        _check_ids(parent, child, schemas)


def _needs(survey: Survey) -> dict[str, set[str]]:
    """Return the roles that must be played in each table."""
    needs: dict[str, set[str]] = {t.name: set() for t in survey.tables}
    for table in survey.catalogs:
        if table.follow is None:
            needs[table.name] |= {"ra", "dec"}
        else:
            needs[table.name].add("parent_id")
            needs[table.follow].add("id")
    for child, parent in survey.nested.items():
        needs[child] |= {"parent_id", "time"}
        needs[parent].add("id")
    return needs


def _missing(table: Table, role: str, schema: pa.Schema) -> str:
    known = table.known_roles.get(role, ())
    expected = f" (none of {', '.join(known)})" if known else ""
    visit = ""
    if role == "time" and table.visit is None:
        visit = (
            ', or take it from a table of visits: visit = {table = "visit", on = "visit", columns = ["expMidptMJD"]}'
        )
    option = ", or say --ra COLUMN --dec COLUMN if it is the only table" if role in {"ra", "dec"} else ""
    more = ", ..." if len(schema.names) > 12 else ""
    return (
        f'the table "{table.name}" has no known {role} column{expected}: add {role} = "..." to '
        f"[tables.{table.name}.roles]{option}{visit}; there are: {', '.join(schema.names[:12])}{more}"
    )


def _check_type(table: str, role: str, column: pa.Field, path: str) -> None:
    kind, is_id = column.type, role in _IDS
    fits = _is_text(kind) if is_id else pa.types.is_floating(kind)
    if not (fits or pa.types.is_integer(kind)):
        raise SchemaError(
            f'the column "{column.name}" of {path} is {kind}; as the {role} of the table "{table}" it must be '
            f"{'an integer or a text' if is_id else 'a number'}"
        )
    if role in {"ra", "dec"} and pa.types.is_floating(kind) and not pa.types.is_float64(kind):
        raise SchemaError(
            f'the coordinate "{column.name}" of {path} is {kind}, which rounds positions (float32 by up to 0.05 '
            "arcsec): give degrees as float64, or cast it in the files if that is what you have"
        )
    unit = unit_of(column)
    if role in {"ra", "dec"} and unit is not None and unit.strip().lower() in _OTHER_ANGLES:
        raise SchemaError(
            f'the coordinate "{column.name}" of {path} is in "{unit}": need ICRS degrees; convert it in the files, '
            "or mend their unit if it is in degrees"
        )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check_ids(parent: str, child: str, schemas: Mapping[str, pa.Schema]) -> None:
    """Raise SchemaError where the ids of a parent are texts and its children name it by number, or the other way."""
    fields = [
        schemas[t].field(str(getattr(Roles.of(schemas[t]), r))) for t, r in ((parent, "id"), (child, "parent_id"))
    ]
    if _is_text(fields[0].type) != _is_text(fields[1].type):
        raise SchemaError(
            f'"{fields[0].name}" of the table "{parent}" is {fields[0].type}, "{fields[1].name}" of "{child}" is '
            f"{fields[1].type}: no row would find its {parent}; say types = {{{fields[1].name} = ...}} of one of them"
        )


def _check_nesting(survey: Survey, table: Table, schemas: Mapping[str, pa.Schema]) -> None:
    for nested in table.nest:
        if nested.name in schemas[table.name].names:
            raise SchemaError(
                f'the table "{table.name}" has a column "{nested.name}" already: nest "{nested.table}" under another '
                f'name, like nest = {{{nested.table} = "lc"}}'
            )
        for column in nested.columns:
            if column not in schemas[nested.table].names:
                raise SchemaError(
                    f'the table "{nested.table}" has no column "{column}", which is to be nested in "{table.name}"; '
                    f"{did_you_mean(column, schemas[nested.table].names)}"
                )
