"""One schema for rows of several tables: columns by name, in types that hold every value exactly.

Putting the rows together is a node's work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.schema import Roles, plain, unit_of, without_role

_EXACT_IN_FLOAT = {pa.float16(): 11, pa.float32(): 24, pa.float64(): 53}
"""Bits of an integer that a float holds exactly."""


def unified(schemas: Sequence[pa.Schema], names: Sequence[str]) -> pa.Schema:
    """Return the schema of all columns of some tables, in the order they first occur.

    A unit or role that one table tells of a column is the result's; one role is played by one column, of the first.

    Parameters
    ----------
    schemas : sequence of pyarrow.Schema
    names : sequence of str
        What the tables are called, for messages.

    Raises
    ------
    PlanError
        Two tables have a column of one name whose types no exact type holds, or whose units differ.

    >>> one, two = pa.schema([("id", pa.int32())]), pa.schema([("id", pa.int64()), ("mag", pa.float32())])
    >>> unified([one, two], ["a", "b"]).types
    [DataType(int64), DataType(float)]
    """
    found: dict[str, pa.Field] = {}
    owner: dict[str, str] = {}
    for schema, name in zip(schemas, names, strict=True):
        for column in _without_roles_of(found, schema):
            if column.name not in found:
                found[column.name], owner[column.name] = column.with_nullable(True), name
                continue
            known = found[column.name]
            clash = f'the column "{column.name}" is {{}} in {owner[column.name]} and {{}} in {name}: {{}}'
            units = unit_of(known), unit_of(column)
            if None not in units and units[0] != units[1]:
                raise PlanError(clash.format(*units, "convert one of them to the other's unit"))
            kind = promoted(known.type, column.type)
            if kind is None:
                raise PlanError(
                    clash.format(
                        known.type, column.type, "no type holds both exactly; convert one with astype, or rename it"
                    )
                )
            found[column.name] = _told_of(known, column).with_type(kind)
    return pa.schema(list(found.values()))


def promoted(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:
    """Return the narrowest type that holds every value of two types exactly, or None where there is none.

    >>> promoted(pa.int32(), pa.uint32()), promoted(pa.int64(), pa.float64())
    (DataType(int64), None)
    """
    one, two = plain(one), plain(two)
    if one == two or pa.types.is_null(two):
        return one
    if pa.types.is_null(one):
        return two
    if pa.types.is_struct(one) and pa.types.is_struct(two):
        return _struct(one, two)
    if _is_list(one) and _is_list(two):
        inner = promoted(one.value_type, two.value_type)
        large = pa.types.is_large_list(one) or pa.types.is_large_list(two)
        return None if inner is None else pa.large_list(inner) if large else pa.list_(inner)
    if _is_text(one) and _is_text(two):
        return pa.large_string()
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(two) and one.tz == two.tz:
        return max(one, two, key=lambda kind: ("s", "ms", "us", "ns").index(kind.unit))
    return _number(one, two)


def _told_of(one: pa.Field, two: pa.Field) -> pa.Field:
    """Return the first field with the unit and role of the second where it has none itself."""
    told = {**(two.metadata or {}), **(one.metadata or {})}
    return one.with_metadata(told) if told else one


def _without_roles_of(found: Mapping[str, pa.Field], schema: pa.Schema) -> list[pa.Field]:
    """Return the columns of a schema; those whose role another column of the result plays already play none."""
    known = dict(Roles.of(pa.schema(list(found.values()))).items())
    twice = {column for role, column in Roles.of(schema).items() if known.get(role, column) != column}
    return [without_role(field) if field.name in twice else field for field in schema]


def _struct(one: pa.StructType, two: pa.StructType) -> pa.DataType | None:
    """Return the struct of both, which must have the same parts: lists of one row have one length."""
    parts = {f.name: f for f in two}
    if {f.name for f in one} != set(parts):
        return None
    fields = []
    for part in one:
        kind = promoted(part.type, parts[part.name].type)
        if kind is None or (unit_of(part) or unit_of(parts[part.name])) != (unit_of(parts[part.name]) or unit_of(part)):
            return None
        fields.append(_told_of(part, parts[part.name]).with_type(kind))
    return pa.struct(fields)


def _number(one: pa.DataType, two: pa.DataType) -> pa.DataType | None:
    floats = [k for k in (one, two) if pa.types.is_floating(k)]
    integers = [k for k in (one, two) if pa.types.is_integer(k)]
    if len(floats) + len(integers) < 2:
        return None
    if len(floats) == 2:
        return max(floats, key=lambda kind: kind.bit_width)
    if len(integers) == 2:
        both = np.result_type(*(k.to_pandas_dtype() for k in integers))
        return pa.from_numpy_dtype(both) if np.issubdtype(both, np.integer) else None
    bits = integers[0].bit_width - pa.types.is_signed_integer(integers[0])
    wide = [kind for kind, exact in _EXACT_IN_FLOAT.items() if exact >= bits and kind.bit_width >= floats[0].bit_width]
    return wide[0] if wide else None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
