"""Types of columns as numpy, pandas and Arrow name them, and conversions that never lose a value without saying so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.schema import is_nested

_PANDAS = {"boolean": "bool", "str": "string", "string[pyarrow]": "string", "string[python]": "string"}


def arrow_type(kind: Any) -> pa.DataType:
    """Return the Arrow type that a name means.

    Parameters
    ----------
    kind : str, type, numpy.dtype, pandas dtype or pyarrow.DataType
        ``"float32"``, ``float``, ``np.int16``, ``"Int64"``, ``"string"``, ``"timestamp[us]"``. As in pandas,
        ``"float"`` is float64.

    Raises
    ------
    PlanError
        There is no such type.

    >>> arrow_type("float"), arrow_type(np.int16), arrow_type("Int64"), arrow_type(str)
    (DataType(double), DataType(int16), DataType(int64), DataType(string))
    """
    if isinstance(kind, pa.DataType):
        return kind
    inner = getattr(kind, "pyarrow_dtype", None)
    if isinstance(inner, pa.DataType):
        return inner
    name = str(kind) if not isinstance(kind, type) else kind
    if isinstance(name, str):
        name = _PANDAS.get(name, name.lower() if name[:1] in "IUF" else name).removesuffix("[pyarrow]")
    try:
        dtype = np.dtype(name)
        return pa.string() if dtype.kind == "U" else pa.from_numpy_dtype(dtype)
    except (TypeError, pa.ArrowNotImplementedError):
        pass
    try:
        return pa.type_for_alias(str(name))
    except ValueError as error:
        raise PlanError(
            f'"{kind}" is no type of a column: give the name of one of numpy, pandas or Arrow, such as "float32", '
            f'"Int64" or "timestamp[us]"'
        ) from error


def type_of(column: pa.Field, kinds: Mapping[str, pa.DataType]) -> pa.DataType:
    """Return the type a column has once it, or some of its parts, are converted."""
    if column.name in kinds:
        return kinds[column.name]
    if not pa.types.is_struct(column.type) or not any(f"{column.name}.{p.name}" in kinds for p in column.type):
        return column.type
    parts = []
    for part in column.type:
        kind = kinds.get(f"{column.name}.{part.name}")
        if kind is not None and is_nested(column):
            kind = pa.large_list(kind) if pa.types.is_large_list(part.type) else pa.list_(kind)
        parts.append(part if kind is None else part.with_type(kind))
    return pa.struct(parts)


def keeps_order(old: pa.DataType, new: pa.DataType) -> bool:
    """Tell whether every value stays the number it was, so that limits on one are limits on the other."""

    def is_number(kind: pa.DataType) -> bool:
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))

    rounds = pa.types.is_floating(old) and pa.types.is_floating(new) and new.bit_width < old.bit_width
    return is_number(old) and is_number(new) and not rounds


def computed(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return what was computed, as pandas understands it: a float that is NaN is missing, and so is null.

    Columns that are only handed on are not computed, and keep each NaN that they were read with.

    >>> computed(pa.array([1.0, float("nan"), None])).to_pylist()
    [1.0, None, None]
    """
    if not pa.types.is_floating(values.type):
        return values
    undefined = pc.is_nan(values)
    return pc.if_else(undefined, pa.scalar(None, values.type), values) if pc.any(undefined).as_py() else values


def converted(table: pa.Table, kinds: Mapping[str, pa.DataType], where: str) -> pa.Table:
    """Return a table with other types for some of its columns.

    Parameters
    ----------
    table : pyarrow.Table
        It may lack some of the columns.
    kinds : mapping of str to pyarrow.DataType
        By name of the column, or of the part of a nested one.
    where : str
        Name of the catalog, for errors.

    Raises
    ------
    InputError
        A value has no equal of the new type: an overflow, a fraction where integers are wanted, a text that is no
        number. Only digits of floats may be lost.
    PlanError
        There is no such conversion, whatever the values.
    """
    for i, column in enumerate(table.schema):
        kind = type_of(column, kinds)
        if kind == column.type:
            continue
        named = ", ".join(n for n in kinds if n.partition(".")[0] == column.name or n == column.name)
        told = f'{where}: "{named}" cannot become {", ".join(str(kinds[n]) for n in named.split(", "))}'
        try:
            values = table.column(i).cast(kind)
        except pa.ArrowNotImplementedError as error:
            raise PlanError(f"{told}: {error}") from error
        except pa.ArrowInvalid as error:
            raise InputError(f"{told}: {error}; round or clip it first, or choose a wider type") from error
        _check_overflow(table.column(i), values, told)
        table = table.set_column(i, column.with_type(kind), values)
    return table


def _check_overflow(before: pa.ChunkedArray, after: pa.ChunkedArray, told: str) -> None:
    """Raise InputError if a finite float became infinite, which Arrow lets pass."""
    if pa.types.is_struct(after.type):
        for place in range(after.type.num_fields):
            old, new = pc.struct_field(before, [place]), pc.struct_field(after, [place])
            if is_nested(pa.field("", after.type)):
                old, new = pc.list_flatten(old), pc.list_flatten(new)
            _check_overflow(old, new, told)
        return
    if not (pa.types.is_floating(before.type) and pa.types.is_floating(after.type)):
        return
    burst = pc.and_(pc.is_inf(after), pc.is_finite(before))
    if pc.any(burst).as_py():
        value = before.filter(burst)[0].as_py()
        raise InputError(f"{told}: {value} is too large for it; choose a wider type")
