"""What an expression is worth: evaluation by Arrow, on the rows of a table or on the epochs of a nested column.

What an expression may look like is next door.
"""

from __future__ import annotations

import ast
import datetime
import decimal
import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.language.epochs import Epochs, reduced
from lsdb_ts.plan.language.syntax import (
    FUNCTIONS,
    OPEN,
    TEXT_TESTS,
    called,
    constant,
    is_reduction,
    names,
    operands,
    written,
)
from lsdb_ts.schema import is_nested

_COMPARE: Mapping[type[ast.cmpop], tuple[Any, Any]] = {
    ast.Lt: (pc.less, operator.lt),
    ast.LtE: (pc.less_equal, operator.le),
    ast.Gt: (pc.greater, operator.gt),
    ast.GtE: (pc.greater_equal, operator.ge),
    ast.Eq: (pc.equal, operator.eq),
    ast.NotEq: (pc.not_equal, operator.ne),
}
_ARROW_NAMES = {"log": "ln", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "abs": "abs_checked"}
_FUNCTIONS = {name: getattr(pc, _ARROW_NAMES.get(name, name)) for name in FUNCTIONS}
_TEXT_TESTS = dict(zip(TEXT_TESTS, (pc.starts_with, pc.ends_with, pc.match_substring_regex), strict=True))


@dataclass(frozen=True, eq=False)
class Scope:
    """Where names have values: the rows of a table, or the epochs of one of its nested columns.

    Among epochs, what belongs to the row is worth the same for all of its epochs.
    """

    table: pa.Table
    variables: Mapping[str, Any]
    nested: str | None = None

    @functools.cached_property
    def epochs(self) -> Epochs:
        """The epochs of the nested column."""
        return Epochs.of(self.table.column(self.nested))

    def column(self, name: str) -> Any:
        """Return the values of a column, or of a part of a nested one or of a struct."""
        base, _, part = name.partition(".")
        if name not in self.table.column_names and base == self.nested and part:
            return self.epochs.flat(part)
        field = self.table.schema.field(name if name in self.table.column_names else base)
        if is_nested(field):
            whole = f'name one of its parts, such as "{base}.{field.type[0].name}"'
            each = f'it has one value an epoch, as "{self.nested}" has, and they are not of one length: reduce one'
            one = f'reduce it to one value a row, such as "{name}.max()"'
            raise PlanError(f'"{name}" is of a nested column: {whole if not part else each if self.nested else one}')
        values = self.table.column(field.name)
        return self.spread(values if field.name == name else pc.struct_field(values, part))

    def spread(self, values: Any) -> Any:
        """Repeat the value of each row for all of its epochs; where rows are asked for, they are what they are."""
        return values if self.nested is None else values.take(pa.array(self.epochs.parents))


def epochs_of(node: ast.expr, schema: pa.Schema) -> tuple[str, ...]:
    """Return the nested columns whose epochs an expression has values for; none if it has one value a row."""
    if is_reduction(node):
        return ()
    if isinstance(node, ast.Name):
        base = node.id if node.id in schema.names else node.id.partition(".")[0]
        return (base,) if base in schema.names and is_nested(schema.field(base)) else ()
    return tuple(dict.fromkeys(n for child in operands(node) for n in epochs_of(child, schema)))


def evaluate(node: ast.expr, scope: Scope) -> Any:
    """Return the value of an expression: an Arrow array, or what it is worth in every row.

    Raises
    ------
    PlanError
        The values do not fit what is done with them.
    pyarrow.ArrowException
        They overflow, or Arrow does not know how.
    """
    value = constant(node, scope.variables)
    if value is not OPEN:
        return value
    match node:
        case ast.Name():
            return scope.column(node.id)
        case ast.BoolOp():
            join = pc.and_kleene if isinstance(node.op, ast.And) else pc.or_kleene
            return functools.reduce(join, (_truth(v, scope) for v in node.values))
        case ast.UnaryOp(op=ast.Not()):
            return pc.invert(_truth(node.operand, scope))
        case ast.UnaryOp():
            operand = _number(node.operand, scope)
            return _negative(operand) if isinstance(node.op, ast.USub) else operand
        case ast.BinOp():
            left, right = _number(node.left, scope), _number(node.right, scope)
            if not _is_arrow(left) and not _is_arrow(right):
                return constant(ast.BinOp(ast.Constant(left), node.op, ast.Constant(right)), {})
            return _ARITHMETIC[type(node.op)](*_alike(left, right))
        case ast.Compare():
            sides = [_plain(evaluate(side, scope)) for side in (node.left, *node.comparators)]
            tests = [_compared(node, *test) for test in zip(node.ops, sides[:-1], sides[1:], strict=True)]
            return functools.reduce(pc.and_kleene, tests)
        case ast.Call() if is_reduction(node):
            return scope.spread(_reduced(node, scope))
        case ast.Call(func=ast.Name(id=name)):
            operand = _number(node.args[0], scope)
            return _FUNCTIONS[name](operand if name == "abs" else _as_float(operand))
        case ast.Call(func=ast.Attribute(value=subject, attr="isna")):
            return pc.is_null(evaluate(subject, scope), nan_is_null=True)
        case ast.Call(func=ast.Attribute(value=subject, attr=name), args=[ast.Constant(value=pattern)]):
            values = _plain(evaluate(subject, scope))
            if _family(values) != "text":
                raise PlanError(f'"{written(node)}": {_told(subject, values)} is not text')
            # A pattern that is none is an error also where there is no row to try it on.
            _TEXT_TESTS[name](pa.array([""]), pattern)
            return _TEXT_TESTS[name](values, pattern)
    raise PlanError(f'"{written(node)}" has no value')


def _reduced(node: ast.expr, scope: Scope) -> pa.Array:
    """Return one value a row of the epochs of a nested column."""
    (subject,) = operands(node)
    how = called(node) or ""
    schema = scope.table.schema
    mentioned = epochs_of(subject, schema)
    if len(mentioned) != 1:
        which = f"of {' and '.join(mentioned)} together" if mentioned else "of no nested column"
        raise PlanError(
            f'"{written(node)}" is {which}: in this language {how} makes one value a row of the epochs of one nested '
            f'column, as in "lc.psfFlux.max()"'
        )
    inner = replace(scope, nested=mentioned[0])
    if isinstance(subject, ast.Name) and subject.id == mentioned[0] and how in ("count", "len"):
        return pa.array(np.diff(inner.epochs.offsets))
    if how == "len":
        raise PlanError(f'"{written(node)}": len is of a whole nested column; of a part there is .count()')
    values = _plain(evaluate(subject, inner))
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    try:
        return reduced(how, values, inner.epochs.offsets)
    except PlanError as error:
        raise PlanError(f'"{written(node)}": {error}') from error


def _truth(node: ast.expr, scope: Scope) -> Any:
    value = evaluate(node, scope)
    if isinstance(value, bool) or value is None:
        return pa.scalar(value, pa.bool_())
    if not pa.types.is_boolean(getattr(value, "type", None) or pa.null()):
        raise PlanError(f'"{written(node)}" is {_kind_name(value)} and not true or false: compare it with something')
    return value


def _number(node: ast.expr, scope: Scope) -> Any:
    value = _plain(evaluate(node, scope))
    if _family(value) in ("text", None) or isinstance(value, list | tuple):
        raise PlanError(f'"{written(node)}" is {_kind_name(value)}, which has no arithmetic')
    return value.cast(pa.int64()) if _is(value, pa.types.is_boolean) else _held(value)


def _held(value: Any) -> Any:
    """Return a constant as Arrow can hold it: integers beyond 64 bits as floats."""
    if isinstance(value, datetime.date | datetime.timedelta):
        return pa.scalar(value)
    return float(value) if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64 else value


def _is(value: Any, test: Callable[[pa.DataType], bool]) -> bool:
    kind = getattr(value, "type", None)
    return kind is not None and test(kind)


def _is_arrow(value: Any) -> bool:
    return hasattr(value, "type")


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) or _is(value, pa.types.is_integer)


def _as_float(value: Any) -> Any:
    if isinstance(value, int):
        return float(value)
    # Not safe: an integer above 2**53 is rounded, as in any division.
    return value.cast(pa.float64(), safe=False) if _is(value, pa.types.is_integer) else value


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Make floats of both sides where one is: Arrow refuses to round an integer above 2**53, as numpy does."""
    if any(isinstance(side, float) or _is(side, pa.types.is_floating) for side in (left, right)):
        return _as_float(left), _as_float(right)
    return left, right


def _divided(left: Any, right: Any) -> Any:
    """Divide as Python does: Arrow drops the fraction where both sides are integers."""
    return pc.divide(_as_float(left), _as_float(right))


def _negative(value: Any) -> Any:
    """Turn the sign; Arrow knows none of integers without one."""
    return pc.negate_checked(value.cast(pa.int64()) if _is(value, pa.types.is_unsigned_integer) else value)


def _raised(left: Any, right: Any) -> Any:
    """Raise to a power; integers stay integers only where that is known to have a value."""
    if _is_integer(left) and _is_integer(right) and not (isinstance(right, int) and right >= 0):
        left, right = _as_float(left), _as_float(right)
    return pc.power_checked(left, right)


def _floored(function: Any, left: Any, right: Any) -> Any:
    """Apply a floor division or its remainder; what integers divided by 0 would be is missing."""
    sides = [side for side in (left, right) if _is_arrow(side)]
    valid = functools.reduce(operator.and_, (np.asarray(pc.is_valid(side)) for side in sides))
    a, b = (np.asarray(pc.fill_null(side, 1)) if _is_arrow(side) else side for side in (left, right))
    with np.errstate(all="ignore"):
        result = np.asarray(function(a, b))
    if result.dtype.kind in "iu":
        valid = valid & (np.asarray(b) != 0)
    return pa.array(result, mask=~valid)


_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: pc.add_checked,
    ast.Sub: pc.subtract_checked,
    ast.Mult: pc.multiply_checked,
    ast.Div: _divided,
    ast.FloorDiv: functools.partial(_floored, np.floor_divide),
    ast.Mod: functools.partial(_floored, np.mod),
    ast.Pow: _raised,
}


def _plain(value: Any) -> Any:
    """Return values in a type that Arrow computes with, and a constant as Python's."""
    if isinstance(value, pa.Scalar):
        return value.as_py()
    if _is(value, pa.types.is_dictionary):
        return value.cast(value.type.value_type)
    if _is(value, pa.types.is_string_view):
        return value.cast(pa.string())
    return value.cast(pa.float32()) if _is(value, pa.types.is_float16) else value


def _family(value: Any) -> str | None:
    """Return what kind of thing a value is, in words; None for what this language does not compare."""
    kind = getattr(value, "type", None)
    if kind is None:
        if isinstance(value, int | float | decimal.Decimal):
            return "a number"
        if isinstance(value, datetime.timedelta):
            return "a duration"
        zone = isinstance(value, datetime.datetime) and value.tzinfo is not None
        time = "a time in a zone" if zone else "a time" if isinstance(value, datetime.date) else None
        return "text" if isinstance(value, str) else time
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or kind == pa.bool_():
        return "a number"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    if pa.types.is_duration(kind):
        return "a duration"
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return "a time in a zone"
    return "a time" if pa.types.is_temporal(kind) else None


def _kind_name(value: Any) -> str:
    return str(getattr(value, "type", None) or _family(value) or type(value).__name__)


def _told(node: ast.expr, value: Any) -> str:
    return f"{written(node)} ({_kind_name(value)})" if any(True for _ in names(node)) else written(node)


def _compared(node: ast.Compare, test: ast.cmpop, left: Any, right: Any) -> Any:
    """Compare two sides of a chain."""
    if isinstance(test, ast.In | ast.NotIn):
        found = _among(node, left, right)
        return pc.invert(found) if isinstance(test, ast.NotIn) else found
    left, right = of_kind(left, getattr(right, "type", None)), of_kind(right, getattr(left, "type", None))
    _check_families(node, left, right)
    by_arrow, by_python = _COMPARE[type(test)]
    if _is_arrow(left) or _is_arrow(right):
        return by_arrow(*_alike(_held(left), _held(right)))
    return pa.scalar(by_python(left, right))


def _check_families(node: ast.expr, left: Any, right: Any) -> None:
    if isinstance(left, list | tuple) or isinstance(right, list | tuple):
        raise PlanError(f'"{written(node)}" compares with a list: write "in", as in "band in [\'g\', \'r\']"')
    one, other = _family(left), _family(right)
    if left is not None and right is not None and (one != other or one is None):
        raise PlanError(f'"{written(node)}" compares {_kind_name(left)} with {_kind_name(right)}')


def of_kind(value: Any, kind: pa.DataType | None) -> Any:
    """Give a constant the type of the column it is compared with, where Arrow would find no common one.

    Raises
    ------
    PlanError
        A text that is compared with a time is none.
    """
    if kind is None or hasattr(value, "type"):
        return value
    if isinstance(value, str) and pa.types.is_temporal(kind):
        try:
            return pa.scalar(value).cast(kind)
        except pa.ArrowInvalid as error:
            raise PlanError(f'"{value}" is no {kind}: {error}') from error
    if kind == pa.bool_() and isinstance(value, int) and value in (0, 1):
        return bool(value)
    if kind == pa.uint64() and isinstance(value, int) and not isinstance(value, bool):
        # Arrow takes integers for int64, which these may exceed.
        return pa.scalar(value, kind) if 0 <= value < 1 << 64 else float(value)
    return value


def _among(node: ast.expr, values: Any, listed: Any) -> Any:
    """Tell which values are members; Arrow compares only equal types."""
    if not isinstance(listed, list | tuple):
        raise PlanError(f'"{written(node)}": "in" needs a list of values, as in "band in [\'g\', \'r\']"')
    if not _is_arrow(values):
        return pa.scalar(values in listed)
    kind = values.type
    members = [of_kind(v, kind) for v in listed]
    for member in members:
        _check_families(node, values, member)
    if pa.types.is_integer(kind):
        members = [
            int(m.as_py() if isinstance(m, pa.Scalar) else m) if m is not None else None for m in _whole(members)
        ]
        low, high = np.iinfo(kind.to_pandas_dtype()).min, np.iinfo(kind.to_pandas_dtype()).max
        members = [m for m in members if m is None or low <= m <= high]
    elif pa.types.is_floating(kind):
        values, kind = values.cast(pa.float64()), pa.float64()
        members = [None if m is None else float(m) for m in members]
    return pc.is_in(values, value_set=pa.array([m.as_py() if isinstance(m, pa.Scalar) else m for m in members], kind))


def _whole(members: list[Any]) -> list[Any]:
    """Leave out the numbers that no integer is equal to."""
    return [m for m in members if not isinstance(m, float) or m.is_integer()]
