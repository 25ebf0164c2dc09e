"""One schema for all files of a table: the columns that are kept, their types, units, roles. No rows are read here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pyarrow as pa

from lsdb_ts.errors import SchemaError, did_you_mean
from lsdb_ts.schema import HEALPIX, Roles, in_njy, unit_of, unit_of_zero_point, with_unit
from partitioner.surveys.survey import Table, resolved, with_units

ALWAYS_KEPT = ("id", "parent_id", "ra", "dec", "time")
"""Roles whose columns are kept whether or not a table's ``columns`` name them: without them no row finds its place."""

_EXACT_BITS = {pa.float16(): 8, pa.float32(): 16, pa.float64(): 32}
"""Integers of up to so many bits are exact in a float."""
_TYPES = {
    **{role: pa.float64() for role in Roles.names() if role not in {"band", "quality"}},
    **dict.fromkeys(("id", "parent_id"), pa.int64()),
}
"""Types of columns with a role, of which no file has a value."""
_ROLE, _NO_ROLE = b"role", b"none"
_OF_FILES = (b"PARQUET:",)
"""Beginnings of keys that a file writes for itself."""


def agreed(table: Table, schemas: Sequence[pa.Schema], paths: Sequence[str]) -> pa.Schema:
    """Return the schema that all files of a table can be read with.

    Parameters
    ----------
    table : Table
        Says which columns are kept, and what their types, units and roles are, where the files would not.
    schemas : sequence of pyarrow.Schema
    paths : sequence of str
        Names of the files, for messages.

    Raises
    ------
    SchemaError
        Two files disagree, or a column that is named is missing; names files, column, and the way out.
    """
    _require(table, table.types, "read as another type", schemas[0], paths[0])
    told = [typed(table, schema) for schema in schemas]
    if table.columns:
        # What is left out need not agree.
        names = set(_chosen(table, told[0], schemas[0], paths[0]).names)
        told = [pa.schema([f for f in s if f.name in names], metadata=s.metadata) for s in told]
    return _chosen(table, with_units(table, unify(told, paths)), schemas[0], paths[0])


def _require(table: Table, columns: Iterable[str], what: str, schema: pa.Schema, path: str) -> None:
    for column in columns:
        if column not in schema.names:
            raise SchemaError(
                f'{path} has no column "{column}", which is to be {what} of the table "{table.name}"; '
                f"{did_you_mean(column, schema.names)}"
            )


def typed(table: Table, schema: pa.Schema) -> pa.Schema:
    """Return the columns of a file with the types that the survey says they have."""
    told = table.types
    fields = [f.with_type(pa.type_for_alias(told[f.name])) if f.name in told else f for f in schema]
    return pa.schema(fields, metadata=schema.metadata)


def _chosen(table: Table, schema: pa.Schema, raw: pa.Schema, path: str) -> pa.Schema:
    """Return the columns of a table that are kept, with their roles; some roles may be played by columns of visits."""
    of_visits = table.visit.columns if table.visit is not None else ()
    marked = {f.name for f in raw if (f.metadata or {}).get(_ROLE) == _NO_ROLE}
    free = [name for name in schema.names if name not in marked]
    roles = dict(resolved(table, (*free, *of_visits), Roles.of(raw)).items())
    for role, column in roles.items():
        if column not in (*schema.names, *of_visits):
            raise SchemaError(
                f'{path} has no column "{column}", which is to be the {role} of the table "{table.name}"; '
                f"{did_you_mean(column, schema.names)}"
            )
    _require(table, table.columns, "kept", schema, path)
    key = [table.visit.on[0]] if table.visit is not None else []
    wanted = {*table.columns, *key, *(roles.get(role) for role in ALWAYS_KEPT)}
    played = {column: role for role, column in roles.items()}
    kept = pa.schema(
        [_of_some_type(f, played.get(f.name)) for f in schema if not table.columns or f.name in wanted],
        metadata=schema.metadata,
    )
    if table.zero_point is not None:
        kept = _with_zero_point(table, kept, [roles.get(role) for role in ("flux", "flux_error")], path)
    return Roles(**{role: column for role, column in roles.items() if column in kept.names}).tag(kept)


def _with_zero_point(table: Table, schema: pa.Schema, fluxes: Sequence[str | None], path: str) -> pa.Schema:
    """Return the schema with the unit that a table's zero point means, at its fluxes and their errors.

    Raises
    ------
    SchemaError
        There are no fluxes, or they have a unit that tells another zero point.
    """
    if fluxes[0] is None:
        raise SchemaError(
            f'the table "{table.name}" has the zero point {table.zero_point:g}, and {path} no column of fluxes: '
            f'say which it is, roles = {{ flux = "..." }}'
        )
    unit = unit_of_zero_point(table.zero_point or 0.0)
    fields = []
    for column in schema:
        told = unit_of(column)
        known = in_njy(told)
        if column.name in fluxes and known is not None and not math.isclose(known, in_njy(unit) or 0.0, rel_tol=1e-6):
            raise SchemaError(
                f'the fluxes "{column.name}" of {path} are in {told}, and the zero point {table.zero_point:g} of the '
                f'table "{table.name}" means {unit}: leave out the zero point, or the unit'
            )
        fields.append(with_unit(column, unit) if column.name in fluxes else column)
    return pa.schema(fields, metadata=schema.metadata)


def _of_some_type(column: pa.Field, role: str | None) -> pa.Field:
    """Return a column that has no value in any file as what its role asks for, or as text, which holds all else."""
    if not pa.types.is_null(column.type):
        return column
    return column.with_type(_TYPES.get(str(role), pa.string()))


def unify(schemas: Sequence[pa.Schema], paths: Sequence[str]) -> pa.Schema:
    """Return the schema all files can be read with: the first file's columns and metadata.

    Columns may come in another sequence, integers of another width of the same sign are widened, and so are floats;
    integers become floats where each has its own; dictionaries count as what they hold, and columns of nothing as those
    of other files. Anything else that differs raises SchemaError: the result would depend on the file.
    """
    first = [plain_field(f) for f in schemas[0] if f.name != HEALPIX]
    types = {f.name: f.type for f in first}
    previous = None
    for schema, path in zip(schemas, paths, strict=True):
        # A hundred thousand files of one survey are mostly alike.
        if previous is None or not schema.equals(previous):
            _widen(types, schema, paths[0], path)
            previous = schema
    metadata = {k: v for k, v in (schemas[0].metadata or {}).items() if k not in {b"pandas", b"ARROW:schema"}}
    return pa.schema([f.with_type(types[f.name]) for f in first], metadata=metadata or None)


def _widen(types: dict[str, pa.DataType], schema: pa.Schema, first: str, path: str) -> None:
    """Make types wide enough for one more file."""
    names = [name for name in schema.names if name != HEALPIX]
    twice = next((name for name in names if names.count(name) > 1), None) if len({*names}) < len(names) else None
    if twice is not None:
        raise SchemaError(f'{path} has two columns called "{twice}"; rename one of them')
    others = {f.name: plain_field(f).type for f in schema if f.name != HEALPIX}
    for name in (*types, *others):
        if name not in others or name not in types:
            has, lacks = (path, first) if name in others else (first, path)
            raise SchemaError(
                f'{lacks} has no column "{name}", which {has} has: the files of a table must agree; write one of '
                "them again, or name the columns to keep with columns = [...] in the survey file"
            )
        joint = joint_type(types[name], others[name])
        if joint is None:
            raise SchemaError(
                f'the column "{name}" is {types[name]} in {first} and {others[name]} in {path}: the files of a table '
                f'must agree; write one of them again, or say types = {{{name} = "float64"}} (or what it is) in the '
                "survey file"
            )
        types[name] = joint


def plain_field(column: pa.Field) -> pa.Field:
    """Return a field without dictionaries, and without what files note for themselves."""
    marks = {_ROLE: _NO_ROLE} if (column.metadata or {}).get(_ROLE) == _NO_ROLE else {}
    noted = {k: v for k, v in (column.metadata or {}).items() if k != _ROLE and not k.startswith(_OF_FILES)}
    return pa.field(column.name, _written_out(column.type), nullable=True, metadata={**noted, **marks} or None)


def _written_out(kind: pa.DataType) -> pa.DataType:
    """Return the type of the same values without dictionaries, and with lists of any length.

    Files have dictionaries of their own, and Arrow cannot join different ones inside of lists.
    """
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_struct(kind):
        return pa.struct([_part(f) for f in kind])
    if pa.types.is_large_list(kind):
        return pa.large_list(_written_out(kind.value_type))
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_written_out(kind.value_type))
    return kind


def _part(part: pa.Field) -> pa.Field:
    noted = {k: v for k, v in (part.metadata or {}).items() if not k.startswith(_OF_FILES)}
    return pa.field(part.name, _written_out(part.type), nullable=True, metadata=noted or None)


def joint_type(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """Return a type that holds the values of two exactly, or None."""
    if a == b:
        return a
    if pa.types.is_null(a) or pa.types.is_null(b):
        return b if pa.types.is_null(a) else a
    for whole, real in ((a, b), (b, a)):
        # Each of the integers, of whatever value, has its own float.
        if pa.types.is_integer(whole) and pa.types.is_floating(real) and whole.bit_width <= _EXACT_BITS[real]:
            return real
    for same in (pa.types.is_floating, pa.types.is_signed_integer, pa.types.is_unsigned_integer):
        if same(a) and same(b):
            return a if a.bit_width >= b.bit_width else b
    strings = [k for k in (a, b) if pa.types.is_large_string(k) or pa.types.is_string(k)]
    return pa.large_string() if len(strings) == 2 else None
