"""Expressions on columns, and conditions on rows or epochs: text with the values of its variables.

The language is that of ``pandas.DataFrame.query``: comparisons (also chained), ``and or not`` or ``& | ~``, ``in``,
arithmetic, numpy's functions (``abs sqrt log10 sin ...``), ``.isna() .notna() .isin() .between()`` and
``.str.startswith() .endswith() .contains()``, backticks round odd names, ``@name`` for a variable. Beyond pandas, the
parts of a nested column are ``lc.psfFlux``, and ``lc.psfFlux.max()`` or ``len(lc)`` is one value a row. Reading the
text, evaluating it and finding what it lets be skipped are next door.
"""

from __future__ import annotations

import ast
import copy
import datetime
import decimal
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.plan.language import bounds as skipping
from lsdb_ts.plan.language.evaluate import Scope, epochs_of, evaluate
from lsdb_ts.plan.language.syntax import names, parse, written
from lsdb_ts.plan.language.types import computed
from lsdb_ts.schema import find, is_nested, project, require
from lsdb_ts.store.read import Bounds

_SHORT_TEXT = 40
"""Letters of a value that is shown."""
_SHORT = 20
"""Up to so many values of a list stand in the text; longer ones are a variable."""


@dataclass(frozen=True)
class Expression:
    """A value for each row, or for each epoch of one nested column.

    >>> Expression.parse("-2.5*log10( lc.psfFlux ) + @zero", {"zero": 31.4})
    Expression(text='-2.5 * log10(lc.psfFlux) + @zero', variables=(('zero', 31.4),))
    """

    text: str
    variables: tuple[tuple[str, Any], ...] = ()
    """The values of the ``@names`` in the text."""

    @classmethod
    def parse(cls, text: str, variables: Mapping[str, Any] | None = None) -> Self:
        """Read an expression.

        Raises
        ------
        PlanError
            The text is not of the language above, or names an unknown ``@variable``.
        """
        tree = parse(text)
        known = variables or {}
        used = sorted({n[1:] for n in names(tree) if n.startswith("@")})
        for name in used:
            if name not in known:
                raise PlanError(f'"{text}" uses @{name}, and there is no variable of that name')
        return cls(written(tree), tuple((n, plain_value(known[n])) for n in used))

    @classmethod
    def of_column(cls, name: str) -> Self:
        """Return the expression that is a column, whatever its name looks like."""
        if "`" in name or name.startswith("@"):
            raise PlanError(f"{name} is no name for this language: rename that column in the input")
        return cls(written(ast.Name(name, ast.Load())))

    @classmethod
    def of_value(cls, value: Any) -> Self:
        """Return the expression that is a constant: literally where it has a short text, else as a variable."""
        value = plain_value(value)
        text = repr(list(value) if isinstance(value, tuple) else value)
        members = value if isinstance(value, tuple) else (value,)
        if len(members) <= _SHORT and all(_is_literal(m) for m in members):
            return cls.parse(text)
        return cls.parse("@value", {"value": value})

    @property
    def told(self) -> str:
        """The text, with the values of its variables where they are short.

        >>> Expression.parse("mag < @faint and id in @known", {"faint": 20, "known": range(1000)}).told
        'mag < 20 and id in @known'
        """
        values = ((n, v) for n, v in self.variables if isinstance(v, str | int | float))
        short = {f"@{n}": v for n, v in values if len(repr(v)) <= _SHORT_TEXT}

        class Told(ast.NodeTransformer):
            def visit_Name(self, node: ast.Name) -> ast.expr:
                return ast.Constant(short[node.id]) if node.id in short else node

        return written(Told().visit(copy.deepcopy(self.tree)))

    @property
    def tree(self) -> ast.expr:
        """The syntax tree; not to be changed."""
        return parse(self.text)

    @functools.cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns the expression names, parts of nested ones with a dot; a nested one itself where only it is named."""
        return tuple(dict.fromkeys(n for n in names(self.tree) if not n.startswith("@")))

    @property
    def column(self) -> str | None:
        """The column, where the expression is nothing else."""
        return self.columns[0] if isinstance(self.tree, ast.Name) and self.columns else None

    def needs(self, schema: pa.Schema, demanded: Iterable[str] = (), nested: str | None = None) -> tuple[str, ...]:
        """Return the columns that must be read beside those demanded anyway.

        For the number of epochs alone, of the columns named so and of ``nested``, it is the narrowest part.
        """
        found = [n for n in self.columns if not _is_curve(schema, n)]
        curves = [n for n in self.columns if _is_curve(schema, n)] + ([nested] if nested is not None else [])
        for name in curves:
            if not any(f == name or f.startswith(f"{name}.") for f in (*found, *demanded)):
                found.append(_narrowest_part(schema, name))
        return tuple(dict.fromkeys(found))

    def epochs_of(self, schema: pa.Schema) -> tuple[str, ...]:
        """Return the nested columns whose epochs it has values for; none if it has one value a row."""
        return epochs_of(self.tree, schema)

    def kind(self, schema: pa.Schema, where: str, nested: str | None = None) -> pa.DataType:
        """Return the type of its values, for rows or for the epochs of a nested column.

        Raises
        ------
        PlanError
            A column of it is unknown in the catalog called ``where``, or the values do not fit together.
        """
        require(schema, self.columns, where)
        return self.values(project(schema, self.needs(schema, nested=nested)).empty_table(), nested).type

    def values(self, table: pa.Table, nested: str | None = None) -> pa.Array | pa.ChunkedArray:
        """Evaluate it for the rows of a table, or for the epochs of one of its nested columns.

        What is computed is missing (null) where it is NaN, as in pandas; what is nothing but a column keeps its NaN.

        Raises
        ------
        PlanError
            The values do not fit what is done with them, whatever they are.
        InputError
            The values of some rows do not: they overflow.
        """
        scope = Scope(table, dict(self.variables), nested)
        try:
            answer = evaluate(self.tree, scope)
        except (pa.ArrowException, OverflowError) as error:
            kind = InputError if table.num_rows and isinstance(error, pa.ArrowInvalid) else PlanError
            raise kind(f'cannot evaluate "{self.text}": {error}') from error
        if isinstance(answer, pa.Array | pa.ChunkedArray):
            return answer if self.column is not None else computed(answer)
        n = table.num_rows if nested is None else len(scope.epochs.parents)
        if isinstance(answer, list | tuple):
            raise PlanError(f'"{self.text}" is a list and not a value')
        return pa.repeat(answer if isinstance(answer, pa.Scalar) else pa.scalar(answer), n)

    @classmethod
    def made(cls, make: Callable[..., ast.expr], *parts: Expression) -> Self:
        """Make an expression of others: a function makes its syntax tree of theirs.

        >>> Expression.made(lambda a, b: ast.BinOp(a, ast.Mult(), b), Expression("mag"), Expression("err + 1"))
        Expression(text='mag * (err + 1)', variables=())
        """
        known: dict[str, Any] = {}
        trees = [part._renamed_apart(known) for part in parts]
        return cls.parse(written(make(*trees)), known)

    def _renamed_apart(self, known: dict[str, Any]) -> ast.expr:
        """Return the tree, with other names for variables that mean something else already; add its own."""
        renamed = {}
        for name, value in self.variables:
            free = name
            while free in known and known[free] != value:
                free += "_"
            known[free] = value
            renamed[f"@{name}"] = f"@{free}"
        tree = copy.deepcopy(self.tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                node.id = renamed.get(node.id, node.id)
        return tree


@dataclass(frozen=True)
class Predicate(Expression):
    """A condition on rows, or on the epochs of one nested column; where a value is missing it does not hold.

    >>> Predicate.parse("18 < mag < 20 and band in ['g', 'r']").columns
    ('mag', 'band')
    """

    @property
    def terms(self) -> tuple[Predicate, ...]:
        """The conditions that all must hold.

        >>> [term.text for term in Predicate.parse("mag < 20 and (a > 1 or b > 2)").terms]
        ['mag < 20', 'a > 1 or b > 2']
        """
        return tuple(self._of(node) for node in _conjuncts(self.tree))

    @classmethod
    def together(cls, terms: Iterable[Predicate]) -> Predicate:
        """Return the condition that all of some terms hold."""
        parts = list(terms)
        return parts[0] if len(parts) == 1 else cls.made(lambda *trees: ast.BoolOp(ast.And(), list(trees)), *parts)

    def bounds(self, schema: pa.Schema) -> Bounds:
        """Return the interval by column outside which a condition on rows cannot hold."""
        return skipping.bounds(self.tree, dict(self.variables), schema)

    def check(self, schema: pa.Schema, where: str, nested: str | None = None) -> None:
        """Raise PlanError unless it is true or false for the rows, or for the epochs, of a catalog."""
        kind = self.kind(schema, where, nested)
        if not pa.types.is_boolean(kind):
            raise PlanError(f'"{self.text}" is {kind} and not true or false: compare it with something')

    def holds(self, table: pa.Table, nested: str | None = None) -> NDArray[np.bool_]:
        """Tell for which rows, or epochs, the condition holds."""
        return np.asarray(pc.fill_null(self.values(table, nested), False))

    def _of(self, node: ast.expr) -> Predicate:
        used = set(names(node))
        return Predicate(written(node), tuple((n, v) for n, v in self.variables if f"@{n}" in used))


def _conjuncts(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return [part for value in node.values for part in _conjuncts(value)]
    return [node]


def _is_curve(schema: pa.Schema, name: str) -> bool:
    field = find(schema, name)
    return field is not None and is_nested(field)


def _narrowest_part(schema: pa.Schema, nested: str) -> str:
    """Return the part of a nested column that is the least to read; any of them tells how many epochs there are."""

    def width(part: pa.Field) -> int:
        kind = part.type.value_type
        return int(kind.bit_width) if pa.types.is_primitive(kind) else 1000

    return f"{nested}.{min(schema.field(nested).type, key=width).name}"


def plain_value(value: Any) -> Any:
    """Turn numpy and pandas values, sets and lists into plain Python, which is comparable and has a JSON form.

    Raises
    ------
    PlanError
        It is nothing that a column can hold.
    """
    if isinstance(value, set | frozenset | range):
        value = sorted(value)
    if hasattr(value, "unit") and hasattr(value, "to_value"):
        raise PlanError(
            f"{value} has a unit, and the text of a condition has none: say in which, as in .to_value(unit)"
        )
    if isinstance(value, np.datetime64):
        short = value.astype("datetime64[us]")
        # Python's times end at microseconds, their text does not.
        value = short.item() if short == value or np.isnat(value) else str(value)
    elif hasattr(value, "as_py"):
        value = value.as_py()
    elif isinstance(value, datetime.date) and value != value:
        # Not a time.
        value = None
    elif getattr(value, "nanosecond", 0):
        value = value.isoformat()
    elif not isinstance(value, datetime.date | list | tuple) and hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(plain_value(v) for v in value)
    if value is None or isinstance(
        value, bool | int | float | str | datetime.date | datetime.timedelta | decimal.Decimal
    ):
        return value
    raise PlanError(
        f"a {type(value).__name__} is nothing that a column can be compared with: give numbers, text or times"
    )


def _is_literal(value: Any) -> bool:
    if isinstance(value, float):
        return bool(np.isfinite(value))
    return value is None or isinstance(value, bool | int | str)
