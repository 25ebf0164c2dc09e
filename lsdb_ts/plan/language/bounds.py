"""Which rows a condition lets be skipped: an interval by column, outside of which it cannot hold.

What the condition is worth for a row is decided next door.
"""

from __future__ import annotations

import ast
import decimal
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.demand import intersected
from lsdb_ts.plan.language.evaluate import of_kind
from lsdb_ts.plan.language.syntax import OPEN, constant, written
from lsdb_ts.schema import find, plain
from lsdb_ts.store.read import Bounds

_MIRROR: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}
_OPPOSITE: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_BY_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_LAST_LETTER = 0x10FFFF


def bounds(tree: ast.expr, variables: Mapping[str, Any], schema: pa.Schema) -> Bounds:
    """Return the closed interval by column outside which a condition on rows cannot hold.

    Raises
    ------
    PlanError
        The condition names values for one column that cannot be compared with each other.
    """
    try:
        return _Bounds(variables, schema).of(tree, True)
    except TypeError as error:
        raise PlanError(f'"{written(tree)}" names values that cannot be compared with each other: {error}') from error


class _Bounds:
    def __init__(self, variables: Mapping[str, Any], schema: pa.Schema) -> None:
        self.variables, self.schema = variables, schema

    def of(self, node: ast.expr, holds: bool) -> Bounds:
        """Return the bounds on rows where a condition holds, or where its opposite does."""
        match node:
            case ast.UnaryOp(op=ast.Not()):
                return self.of(node.operand, not holds)
            case ast.BoolOp():
                found = [self.of(v, holds) for v in node.values]
                return _all(found) if isinstance(node.op, ast.And) == holds else _any(found)
            case ast.Compare():
                sides = [node.left, *node.comparators]
                found = [self._pair(*pair, holds) for pair in zip(node.ops, sides[:-1], sides[1:], strict=True)]
                return _all(found) if holds else _any(found)
            case ast.Name() if self._kind(node.id) == pa.bool_():
                return {node.id: (holds, holds)}
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="str.startswith"),
                args=[ast.Constant(value=str() as prefix)],
            ):
                return {name: _prefixed(prefix)} if holds and self._kind(name) is not None else {}
        return {}

    def _kind(self, name: str) -> pa.DataType | None:
        """Return the type of a column that metadata have limits of."""
        field = None if name.startswith("@") else find(self.schema, name)
        return None if field is None or pa.types.is_nested(field.type) else plain(field.type)

    def _pair(self, test: ast.cmpop, left: ast.expr, right: ast.expr, holds: bool) -> Bounds:
        """Return the bound of one comparison of a column, or of its ``abs``, with a constant."""
        kind, value = type(test), constant(right, self.variables)
        if value is OPEN:
            left, value, kind = right, constant(left, self.variables), _MIRROR.get(kind, kind)
        absolute = isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == "abs"
        column = left.args[0] if absolute and isinstance(left, ast.Call) else left
        values = self._kind(column.id) if isinstance(column, ast.Name) else None
        if value is OPEN or values is None or not isinstance(column, ast.Name):
            return {}
        if not holds:
            if kind in _BY_ORDER and pa.types.is_floating(values):
                # NaN is not less than anything: the opposite of "less" holds for it, and limits leave it out.
                return {}
            kind = _OPPOSITE[kind]
        low, high = _interval(kind, value, values)
        if absolute:
            low, high = (-high, high) if isinstance(high, int | float) and kind is not ast.In else (None, None)
        return {} if low is None and high is None else {column.id: (low, high)}


def _interval(kind: type[ast.cmpop], value: Any, values: pa.DataType) -> tuple[Any, Any]:
    members = value if kind is ast.In else (value,)
    if not isinstance(members, list | tuple) or not members:
        return None, None
    if any(m is None or m != m or isinstance(m, list | tuple) for m in members):
        return None, None
    known = [m.as_py() if isinstance(m, pa.Scalar) else m for m in (of_kind(m, values) for m in members)]
    if pa.types.is_floating(values):
        # Compared as floats, to which they are rounded; limits are compared with them exactly.
        known = [float(m) if isinstance(m, int | decimal.Decimal) else m for m in known]
    low, high = min(known), max(known)
    if pa.types.is_integer(values) or pa.types.is_decimal(values):
        # Here it is the values that are rounded, by half a step of floats at most.
        low, high = _step(low, -math.inf), _step(high, math.inf)
    if kind in (ast.Eq, ast.In):
        return low, high
    if kind in (ast.Lt, ast.LtE):
        return None, high
    return (low, None) if kind in (ast.Gt, ast.GtE) else (None, None)


def _step(value: Any, towards: float) -> Any:
    return math.nextafter(value, towards) if isinstance(value, float) else value


def _prefixed(prefix: str) -> tuple[Any, Any]:
    """Return an interval that holds every text with a beginning."""
    if not prefix or ord(prefix[-1]) >= _LAST_LETTER:
        return prefix, None
    following = ord(prefix[-1]) + 1
    # Surrogates are no letters.
    return prefix, prefix[:-1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)


def _all(found: Sequence[Bounds]) -> Bounds:
    return intersected({}, (item for part in found for item in part.items()))


def _any(found: Sequence[Bounds]) -> Bounds:
    """Return the hull of the intervals of columns that every one of some conditions bounds."""
    shared = set(found[0]).intersection(*found[1:])
    hulls = {name: _hull([part[name] for part in found]) for name in found[0] if name in shared}
    return {name: hull for name, hull in hulls.items() if hull != (None, None)}


def _hull(intervals: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
    lows, highs = zip(*intervals, strict=True)
    return None if None in lows else min(lows), None if None in highs else max(highs)
