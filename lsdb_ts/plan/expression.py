"""Conditions on rows, written as text: which columns they need, which rows can be skipped, and what holds.

The language is that of ``pandas.DataFrame.query``: comparisons (also chained), ``and or not`` or ``& | ~``, ``in``,
arithmetic, ``abs sqrt log10``, ``.isna() .notna()``, backticks round odd names, ``@name`` for a variable. Evaluation is
by Arrow.
"""

from __future__ import annotations

import ast
import functools
import io
import tokenize
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.demand import intersected
from lsdb_ts.store.read import Bounds

_VARIABLE = "__variable_"
_QUOTED = "__quoted_"
_COMPARE = {
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
}
_MIRROR = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.Eq, ast.NotEq: ast.NotEq}


def _divide(left: Any, right: Any) -> Any:
    """Divide as Python does: Arrow drops the fraction where both sides are integers."""
    return pc.divide(pc.multiply(left, 1.0), right)


def _missing(values: Any) -> Any:
    return pc.is_null(values, nan_is_null=True)


def _present(values: Any) -> Any:
    return pc.invert(_missing(values))


_ARITHMETIC = {ast.Add: pc.add, ast.Sub: pc.subtract, ast.Mult: pc.multiply, ast.Div: _divide, ast.Pow: pc.power}
_FUNCTIONS = {"abs": pc.abs, "sqrt": pc.sqrt, "log10": pc.log10}
_TESTS = {"isna": _missing, "isnull": _missing, "notna": _present, "notnull": _present}
_WORDS = {"&": "and", "|": "or", "~": "not"}


@dataclass(frozen=True)
class Predicate:
    """A condition on rows.

    >>> Predicate.parse("18 < mag < 20 and band in ['g', 'r']").columns
    ('mag', 'band')
    """

    text: str
    variables: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def parse(cls, text: str, variables: Mapping[str, Any] | None = None) -> Predicate:
        """Read a condition.

        Raises
        ------
        PlanError
            The text is not a condition in the language above, or names an unknown ``@variable``.
        """
        used = sorted({n for n in _names(_parse(text)[0]) if n.startswith(_VARIABLE)})
        known = variables or {}
        for name in (n.removeprefix(_VARIABLE) for n in used):
            if name not in known:
                raise PlanError(f'"{text}" uses @{name}, and there is no variable of that name')
        predicate = cls(text, tuple((n, _plain(known[n.removeprefix(_VARIABLE)])) for n in used))
        predicate._walk_once()
        return predicate

    @functools.cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns the condition reads, nested parts with a dot."""
        tree, quoted = _parse(self.text)
        return tuple(dict.fromkeys(_real(n, quoted) for n in _names(tree) if not n.startswith(_VARIABLE)))

    @functools.cached_property
    def bounds(self) -> Bounds:
        """Interval by column outside which the condition cannot hold."""
        tree, quoted = _parse(self.text)
        limits = _limits(tree, dict(self.variables))
        return intersected({}, ((_real(name, quoted), (low, high)) for name, low, high in limits))

    def holds(self, table: pa.Table) -> NDArray[np.bool_]:
        """Tell for which rows the condition holds; where a value is missing it does not."""
        tree, quoted = _parse(self.text)
        variables = dict(self.variables)

        def value(name: str) -> Any:
            return variables[name] if name in variables else _column(table, _real(name, quoted))

        try:
            answer = _evaluate(tree, value)
        except pa.ArrowException as error:
            raise PlanError(f'cannot evaluate "{self.text}": {error}') from error
        if isinstance(answer, pa.Scalar) or not isinstance(answer, pa.Array | pa.ChunkedArray):
            return np.full(table.num_rows, bool(answer.as_py() if isinstance(answer, pa.Scalar) else answer))
        if not pa.types.is_boolean(answer.type):
            raise PlanError(f'"{self.text}" is {answer.type} and not true or false: compare it with something')
        return np.asarray(pc.fill_null(answer, False))

    def _walk_once(self) -> None:
        """Find what the language does not have, before any row is read."""
        variables = dict(self.variables)
        for node in ast.walk(_parse(self.text)[0]):
            if not isinstance(node, _KNOWN):
                raise PlanError(f'"{self.text}": {type(node).__name__} is not part of the query language')
            if isinstance(node, ast.Call):
                _called(node)
            if isinstance(node, ast.Compare):
                for operator, right in zip(node.ops, node.comparators, strict=True):
                    listed = isinstance(_constant(right, variables), list | tuple)
                    if isinstance(operator, ast.In | ast.NotIn) and not listed:
                        raise PlanError(f'"{self.text}": "in" needs a list of values, as in "band in [\'g\', \'r\']"')
        try:
            _ = self.bounds
        except TypeError as error:
            raise PlanError(f'"{self.text}" names values that cannot be compared with each other: {error}') from error


_KNOWN = (
    ast.Expression,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.USub,
    ast.UAdd,
    ast.BinOp,
    ast.Compare,
    ast.In,
    ast.NotIn,
    ast.Name,
    ast.Attribute,
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.Call,
    ast.Load,
    *_COMPARE,
    *_ARITHMETIC,
)


def _real(name: str, quoted: Mapping[str, str]) -> str:
    """Put back what stood in backticks, also as part of a nested name."""
    return ".".join(quoted.get(part, part) for part in name.split("."))


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column, or a part of a struct (``features_g.mean``)."""
    if name in table.column_names:
        return table.column(name)
    base, _, part = name.partition(".")
    return pc.struct_field(table.column(base), part)


@functools.lru_cache(maxsize=256)
def _parse(text: str) -> tuple[ast.expr, Mapping[str, str]]:
    """Return the syntax tree, and the real names of columns that stood in backticks."""
    words: list[str] = []
    quoted: dict[str, str] = {}
    plain = text
    for i, part in enumerate(text.split("`")[1::2]):
        quoted[f"{_QUOTED}{i}"] = part
        plain = plain.replace(f"`{part}`", f"{_QUOTED}{i}")
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(plain.strip()).readline))
        for token in tokens:
            if token.type == tokenize.OP and token.string in _WORDS:
                words.append(f" {_WORDS[token.string]} ")
            elif token.type == tokenize.ERRORTOKEN:
                raise SyntaxError(f"{token.string} has no meaning here")
            elif token.string == "@":
                words.append(f" {_VARIABLE}")
            elif token.type in (tokenize.OP, tokenize.STRING, tokenize.NUMBER):
                words.append(token.string)
            elif token.type == tokenize.NAME:
                glued = bool(words) and (words[-1].endswith(_VARIABLE) or words[-1] == ".")
                words.append(token.string if glued else f" {token.string} ")
        return ast.parse("".join(words).strip(), mode="eval").body, quoted
    except (SyntaxError, tokenize.TokenError) as error:
        raise PlanError(
            f'"{text}" is not a condition: {error}. An example: "g_mag < 20 and abs(coord_dec) > 10"'
        ) from error


def _dotted(node: ast.expr) -> str | None:
    """Return ``lc.band`` for such a name, and a plain name as it is."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return None


def _names(node: ast.AST) -> Iterator[str]:
    """Yield every column and variable, in the order they stand."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            yield from _names(node.func.value)
        for argument in node.args:
            yield from _names(argument)
    elif isinstance(node, ast.Name | ast.Attribute) and (name := _dotted(node)) is not None:
        yield name
    else:
        for child in ast.iter_child_nodes(node):
            yield from _names(child)


def _evaluate(node: ast.expr, value: Any) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            return [_evaluate(e, value) for e in node.elts]
        case ast.Name() | ast.Attribute():
            name = _dotted(node)
            if name is None:
                raise PlanError(f'"{ast.unparse(node)}" is not a column')
            return value(name)
        case ast.BoolOp():
            join = pc.and_kleene if isinstance(node.op, ast.And) else pc.or_kleene
            return functools.reduce(join, (_evaluate(v, value) for v in node.values))
        case ast.UnaryOp(op=ast.Not()):
            return pc.invert(_evaluate(node.operand, value))
        case ast.UnaryOp(op=ast.USub()):
            operand = _evaluate(node.operand, value)
            return -operand if isinstance(operand, int | float) else pc.negate(operand)
        case ast.UnaryOp(op=ast.UAdd()):
            return _evaluate(node.operand, value)
        case ast.BinOp():
            return _ARITHMETIC[type(node.op)](_evaluate(node.left, value), _evaluate(node.right, value))
        case ast.Compare():
            return _chain(node, value)
        case ast.Call():
            function, argument = _called(node)
            return function(_evaluate(argument, value))
    raise PlanError(f'"{ast.unparse(node)}" is not part of the query language')


def _chain(node: ast.Compare, value: Any) -> Any:
    sides = [_evaluate(side, value) for side in (node.left, *node.comparators)]
    tests = []
    for operator, left, right in zip(node.ops, sides[:-1], sides[1:], strict=True):
        if isinstance(operator, ast.In | ast.NotIn):
            found = _among(_undictionary(left), list(right))
            tests.append(pc.invert(found) if isinstance(operator, ast.NotIn) else found)
        else:
            left, right = _undictionary(left), _undictionary(right)
            tests.append(_COMPARE[type(operator)](_typed(left, right), _typed(right, left)))
    return functools.reduce(pc.and_kleene, tests)


def _undictionary(side: Any) -> Any:
    kind = getattr(side, "type", None)
    return side.cast(kind.value_type) if kind is not None and pa.types.is_dictionary(kind) else side


def _typed(constant: Any, other: Any) -> Any:
    """Give a constant the type of the column it is compared with, where Arrow would find no common one."""
    kind = getattr(other, "type", None)
    if isinstance(constant, str) and kind is not None and pa.types.is_timestamp(kind):
        return pa.scalar(constant).cast(kind)
    if kind == pa.bool_() and isinstance(constant, int) and constant in (0, 1):
        return bool(constant)
    is_count = isinstance(constant, int) and not isinstance(constant, bool) and 0 <= constant < 1 << 64
    return pa.scalar(constant, kind) if is_count and kind == pa.uint64() else constant


def _among(values: Any, listed: list[Any]) -> Any:
    """Tell which values are members; Arrow compares only equal types."""
    # Arrow takes integers for int64, which these may exceed.
    is_count = values.type == pa.uint64() and all(isinstance(v, int) and v >= 0 for v in listed)
    members = pa.array(listed, pa.uint64() if is_count else None)
    if pa.types.is_integer(values.type) and pa.types.is_floating(members.type):
        return pc.is_in(values.cast(members.type), value_set=members)
    return pc.is_in(values, value_set=members.cast(values.type))


def _called(node: ast.Call) -> tuple[Callable[[Any], Any], ast.expr]:
    """Return the function a call means, and what it is called with."""
    if isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS and len(node.args) == 1:
        return _FUNCTIONS[node.func.id], node.args[0]
    if isinstance(node.func, ast.Attribute) and node.func.attr in _TESTS and not node.args:
        return _TESTS[node.func.attr], node.func.value
    raise PlanError(
        f'"{ast.unparse(node)}" is not part of the query language; there are {", ".join(_FUNCTIONS)}, .isna() and '
        f".notna()"
    )


def _limits(node: ast.expr, variables: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (column, low, high) for every comparison with a constant that must hold."""
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for part in node.values:
            yield from _limits(part, variables)
    if not isinstance(node, ast.Compare):
        return
    sides = [node.left, *node.comparators]
    for operator, left, right in zip(node.ops, sides[:-1], sides[1:], strict=True):
        kind = type(operator)
        name, constant = _dotted(left), _constant(right, variables)
        if name is None or name in variables or constant is None:
            name, constant, kind = _dotted(right), _constant(left, variables), _MIRROR.get(kind, kind)
        if name is None or name in variables or constant is None:
            continue
        if kind is ast.In and constant and None not in constant:
            yield name, min(constant), max(constant)
        elif kind is ast.Eq:
            yield name, constant, constant
        elif kind in (ast.Lt, ast.LtE):
            yield name, None, constant
        elif kind in (ast.Gt, ast.GtE):
            yield name, constant, None


def _constant(node: ast.expr, variables: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name) and node.id in variables:
        return variables[node.id]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None


def _plain(value: Any) -> Any:
    """Turn numpy and pandas values and sets into plain Python, which is comparable and has a JSON form."""
    if isinstance(value, set | frozenset | range):
        return sorted(value)
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]").item()
    return value.tolist() if hasattr(value, "tolist") else value
