"""The language of expressions on columns: text to a small syntax tree and back, and which names stand in it.

What an expression is worth, and which rows it lets be skipped, the modules beside this one tell.
"""

from __future__ import annotations

import ast
import copy
import functools
import io
import keyword
import operator
import tokenize
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lsdb_ts.errors import PlanError

FUNCTIONS = (
    *("abs", "sqrt", "exp", "expm1", "log", "log10", "log1p", "floor", "ceil"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan"),
)
"""Functions of one column, under numpy's names."""
REDUCTIONS = ("min", "max", "mean", "sum", "count", "any", "all")
"""Methods that make one value a row of the epochs of a nested column."""
TEXT_TESTS = ("str.startswith", "str.endswith", "str.contains")

OPEN = object()
"""What :func:`constant` returns for an expression that depends on the row."""

_VARIABLE = "__variable_"
_QUOTED = "__quoted_"
_WORDS = {"&": "and", "|": "or", "~": "not"}
_INCLUSIVE: Mapping[str, tuple[type[ast.cmpop], type[ast.cmpop]]] = {
    "both": (ast.LtE, ast.LtE),
    "left": (ast.LtE, ast.Lt),
    "right": (ast.Lt, ast.LtE),
    "neither": (ast.Lt, ast.Lt),
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_KNOWN = (
    *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, *_ARITHMETIC),
    *(ast.Compare, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn),
    *(ast.Name, ast.Attribute, ast.Constant, ast.List, ast.Tuple, ast.Call, ast.keyword, ast.Load),
)


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> ast.expr:
    """Return the syntax tree of a text, as nobody may change it.

    Columns are ``ast.Name`` with their real name (``lc.psfFlux``, ``psf mag-r``), variables with an ``@`` before it.
    ``x.between(a, b)`` has become ``a <= x <= b``, ``x.isin(list)`` is ``x in list``, and ``x.notna()`` is
    ``not x.isna()``.

    Raises
    ------
    PlanError
        The text is not of the language.
    """
    try:
        plain, quoted = _without_backticks(text)
        return _Reader(text, quoted).read(ast.parse(_as_python(plain), mode="eval").body)
    except (SyntaxError, tokenize.TokenError, RecursionError) as error:
        raise PlanError(
            f'"{text}" is not an expression: {error}. An example: "g_mag < 20 and abs(coord_dec) > 10"'
        ) from error


def written(tree: ast.expr) -> str:
    """Return the text of a tree, with backticks round odd names and no bracket too many.

    >>> written(parse("(`psf mag-r` <20) & ( mag.between(18, @faint) )"))
    '`psf mag-r` < 20 and 18 <= mag <= @faint'
    """
    return ast.unparse(_Writer().visit(copy.deepcopy(tree)))


def names(node: ast.expr) -> Iterator[str]:
    """Yield every column, and every variable with its ``@``, in the order they stand."""
    if isinstance(node, ast.Name):
        yield node.id
        return
    for child in operands(node):
        yield from names(child)


def operands(node: ast.expr) -> list[ast.expr]:
    """Return the expressions an expression is made of: for a call what it is called on, not the function's name."""
    if isinstance(node, ast.Call):
        subject = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        return [*subject, *node.args, *(k.value for k in node.keywords)]
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def called(node: ast.expr) -> str | None:
    """Return the name of the function or method that a node calls; None where it calls nothing."""
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def is_reduction(node: ast.expr) -> bool:
    """Tell whether a node makes one value a row of epochs: ``lc.psfFlux.max()``, ``len(lc)``."""
    return called(node) in (*REDUCTIONS, "len")


def calling(subject: ast.expr, method: str, *arguments: ast.expr) -> ast.Call:
    """Return the call of a method; that of an accessor is called ``str.startswith``."""
    return ast.Call(ast.Attribute(subject, method, ast.Load()), list(arguments), [])


def constant(node: ast.expr, variables: Mapping[str, Any]) -> Any:
    """Return the value of an expression without columns, or ``OPEN``.

    >>> constant(parse("2 * @n - 1"), {"n": 3}), constant(parse("mag"), {}) is OPEN
    (5, True)
    """
    match node:
        case ast.Constant():
            return node.value
        case ast.Name() if node.id.startswith("@"):
            return variables[node.id[1:]]
        case ast.List() | ast.Tuple():
            values = [constant(e, variables) for e in node.elts]
            return OPEN if OPEN in values else tuple(values)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            value = constant(node.operand, variables)
            return OPEN if not isinstance(value, int | float) else -value if isinstance(node.op, ast.USub) else value
        case ast.BinOp():
            left, right = constant(node.left, variables), constant(node.right, variables)
            if left is OPEN or right is OPEN:
                return OPEN
            try:
                return _ARITHMETIC[type(node.op)](left, right)
            except (ArithmeticError, TypeError) as error:
                raise PlanError(f'"{written(node)}" has no value: {error}') from error
    return OPEN


class _Writer(ast.NodeTransformer):
    """Puts backticks round the parts of names that are not words."""

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if not node.id.startswith("@"):
            parts = node.id.split(".")
            node.id = ".".join(p if p.isidentifier() and not keyword.iskeyword(p) else f"`{p}`" for p in parts)
        return node


class _Reader:
    """Makes the tree of the language of Python's, and refuses what the language does not have."""

    def __init__(self, text: str, quoted: Mapping[str, str]) -> None:
        self.text, self.quoted = text, quoted

    def read(self, node: ast.expr) -> ast.expr:
        """Return the tree of one expression."""
        for part in ast.walk(node):
            if not isinstance(part, _KNOWN):
                raise self._error(f"{type(part).__name__} is not part of the language")
        return self._read(node)

    def _read(self, node: ast.expr) -> ast.expr:
        match node:
            case ast.Name() | ast.Attribute():
                return ast.Name(self._name(node), ast.Load())
            case ast.Call():
                return self._call(node)
            case ast.Constant():
                if not isinstance(node.value, bool | int | float | str | None):
                    raise self._error(f"{node.value!r} is not part of the language")
                return node
            case ast.BoolOp():
                return ast.BoolOp(node.op, [self._read(v) for v in node.values])
            case ast.UnaryOp():
                return ast.UnaryOp(node.op, self._read(node.operand))
            case ast.BinOp():
                return ast.BinOp(self._read(node.left), node.op, self._read(node.right))
            case ast.Compare():
                sides = [self._read(side) for side in (node.left, *node.comparators)]
                return self._compare(sides[0], node.ops, sides[1:])
            case ast.List() | ast.Tuple():
                return ast.List([self._read(e) for e in node.elts], ast.Load())
        raise self._error(f'"{ast.unparse(node)}" is not part of the language')

    def _compare(self, left: ast.expr, ops: list[ast.cmpop], rights: list[ast.expr]) -> ast.expr:
        for op, right in zip(ops, rights, strict=True):
            listed = isinstance(right, ast.List) or (isinstance(right, ast.Name) and right.id.startswith("@"))
            if isinstance(op, ast.In | ast.NotIn) and not listed:
                raise self._error("\"in\" needs a list of values, as in \"band in ['g', 'r']\"")
        return ast.Compare(left, ops, rights)

    def _name(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            variable = node.id.startswith(_VARIABLE)
            return f"@{node.id.removeprefix(_VARIABLE)}" if variable else self.quoted.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            return f"{self._name(node.value)}.{self.quoted.get(node.attr, node.attr)}"
        raise self._error(f'"{ast.unparse(node)}" is not a column')

    def _call(self, node: ast.Call) -> ast.expr:
        """Read a call; what is only another way to write something else becomes that."""
        if isinstance(node.func, ast.Name):
            if node.func.id not in (*FUNCTIONS, "len") or len(node.args) != 1 or node.keywords:
                raise self._not_callable(node)
            return ast.Call(node.func, [self._read(node.args[0])], [])
        method, subject = _method(node.func)
        arguments = [self._read(a) for a in node.args]
        options = {k.arg: constant(self._read(k.value), {}) for k in node.keywords}
        match method, arguments:
            case ("isna" | "isnull", []) if not options:
                return calling(self._read(subject), "isna")
            case ("notna" | "notnull", []) if not options:
                return ast.UnaryOp(ast.Not(), calling(self._read(subject), "isna"))
            case ("isin", [listed]) if not options:
                return self._compare(self._read(subject), [ast.In()], [listed])
            case ("between", [low, high]) if options.keys() <= {"inclusive"}:
                edges = _INCLUSIVE.get(options.get("inclusive", "both"))
                if edges is None:
                    raise self._error(f"inclusive is one of {', '.join(_INCLUSIVE)}")
                return ast.Compare(low, [edges[0](), edges[1]()], [self._read(subject), high])
            case (_, []) if method in REDUCTIONS and not options:
                return calling(self._read(subject), method)
            case (_, [ast.Constant(value=str())]) if method in TEXT_TESTS and not options:
                return calling(self._read(subject), method, *arguments)
        raise self._not_callable(node)

    def _not_callable(self, node: ast.expr) -> PlanError:
        return self._error(
            f'"{ast.unparse(node)}" is not part of the language; there are {", ".join(FUNCTIONS)} and len of one '
            f"column, the methods isna, notna, isin, between, {', '.join(TEXT_TESTS)}, and of the parts of nested "
            f"columns {', '.join(REDUCTIONS)}"
        )

    def _error(self, reason: str) -> PlanError:
        return PlanError(f'"{self.text}": {reason}')


def _method(function: ast.expr) -> tuple[str, ast.expr]:
    """Return the name of a method, with its accessor (``str.startswith``), and what it is called on."""
    if not isinstance(function, ast.Attribute):
        return "", function
    if isinstance(function.value, ast.Attribute) and function.value.attr == "str":
        return f"str.{function.attr}", function.value.value
    return function.attr, function.value


def _without_backticks(text: str) -> tuple[str, Mapping[str, str]]:
    """Return the text with a word in place of every name in backticks, and the names by those words."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        raise SyntaxError("a backtick is not closed")
    words = {f"{_QUOTED}{i}": name for i, name in enumerate(parts[1::2])}
    plain = [f"{_QUOTED}{i // 2}" if i % 2 else part for i, part in enumerate(parts)]
    return "".join(plain), words


def _as_python(text: str) -> str:
    """Return a text in which the words of the language are Python's: ``and`` for ``&``, a name for ``@name``."""
    words: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(text.strip()).readline):
        if token.type == tokenize.OP and token.string in _WORDS:
            words.append(f" {_WORDS[token.string]} ")
        elif token.type == tokenize.ERRORTOKEN and token.string.strip():
            raise SyntaxError(f"{token.string} has no meaning here")
        elif token.string == "@":
            words.append(f" {_VARIABLE}")
        elif token.type in (tokenize.OP, tokenize.STRING, tokenize.NUMBER):
            words.append(token.string)
        elif token.type == tokenize.NAME:
            glued = bool(words) and (words[-1].endswith(_VARIABLE) or words[-1] == ".")
            words.append(token.string if glued else f" {token.string} ")
    return "".join(words).strip()
