"""One column of a catalog, or what operators make of some: a lazy expression in the language of ``query``.

Verbs on whole catalogs are next door.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.columns import Assign, Select
from lsdb_ts.plan.functions.frame import to_frame
from lsdb_ts.plan.language.epochs import Epochs
from lsdb_ts.plan.language.expression import Expression, Predicate
from lsdb_ts.plan.language.syntax import FUNCTIONS, calling
from lsdb_ts.plan.node import Node, whole
from lsdb_ts.schema import HEALPIX, find, is_nested, require, unit_of

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Operation:
    """What is made of columns and values: a function from their syntax trees to another one."""

    make: Callable[..., ast.expr]
    of_one_unit: bool = False
    """Whether it compares or adds, so that a quantity is first brought to the unit of the column."""


def _arithmetic(sign: type[ast.operator]) -> Operation:
    return Operation(lambda a, b: ast.BinOp(a, sign(), b), of_one_unit=sign in (ast.Add, ast.Sub))


def _comparison(test: type[ast.cmpop]) -> Operation:
    return Operation(lambda a, b: ast.Compare(a, [test()], [b]), of_one_unit=True)


def _logic(word: type[ast.boolop]) -> Operation:
    return Operation(lambda a, b: ast.BoolOp(word(), [a, b]))


def _sign(sign: type[ast.unaryop]) -> Operation:
    return Operation(lambda a: ast.UnaryOp(sign(), a))


def _function(name: str) -> Operation:
    return Operation(lambda a: ast.Call(ast.Name(name, ast.Load()), [a], []))


def _call(method: str, *constants: Any) -> Operation:
    return Operation(lambda a: calling(a, method, *(ast.Constant(c) for c in constants)))


_NOT = _sign(ast.Not)
_UFUNCS = {
    "add": _arithmetic(ast.Add),
    "subtract": _arithmetic(ast.Sub),
    "multiply": _arithmetic(ast.Mult),
    "divide": _arithmetic(ast.Div),
    "floor_divide": _arithmetic(ast.FloorDiv),
    "remainder": _arithmetic(ast.Mod),
    "power": _arithmetic(ast.Pow),
    "negative": _sign(ast.USub),
    "less": _comparison(ast.Lt),
    "less_equal": _comparison(ast.LtE),
    "greater": _comparison(ast.Gt),
    "greater_equal": _comparison(ast.GtE),
    "equal": _comparison(ast.Eq),
    "not_equal": _comparison(ast.NotEq),
    "logical_and": _logic(ast.And),
    "bitwise_and": _logic(ast.And),
    "logical_or": _logic(ast.Or),
    "bitwise_or": _logic(ast.Or),
    "logical_not": _NOT,
    "invert": _NOT,
    "isnan": _call("isna"),
    "absolute": _function("abs"),
    **{name: _function(name) for name in FUNCTIONS},
}
"""Numpy's functions of columns, by name."""


def _operator(name: str, swapped: bool = False) -> Callable[[Column, Any], Column]:
    def apply(self: Column, other: Any) -> Column:
        return self._applied(_UFUNCS[name], other, swapped=swapped)

    return apply


def _method(operation: Operation, doc: str) -> Callable[[Column], Column]:
    def apply(self: Column) -> Column:
        return self._applied(operation)

    apply.__doc__ = doc
    return apply


def _reduction(how: str, doc: str) -> Callable[[Column], Column]:
    def apply(self: Column) -> Column:
        if self._nested is None:
            name = self.expression.column
            whole = f'catalog.aggregate({{"{name}": "{how}"}})'
            made = f'catalog.assign(new="{self.expression.text}").aggregate({{"new": "{how}"}})'
            raise PlanError(
                f'"{self.expression.text}" has one value a row, and {how} of a column is of the epochs of each row; '
                f"for one value of the whole catalog: {whole if name else made}"
            )
        return self._applied(_call(how))

    apply.__doc__ = doc
    return apply


class Values:
    """Values that an expression gives for a catalog: what is known of them, and how they are computed."""

    def __init__(self, catalog: CatalogBase, expression: Expression, name: str | None = None) -> None:
        self._plan = catalog.plan
        self.expression = expression
        self.name = name if name is not None else expression.column
        schema = catalog.schema
        require(schema, expression.columns, catalog.name)
        touched = expression.epochs_of(schema)
        self._nested = touched[0] if touched else None
        if len(touched) > 1:
            raise PlanError(
                f'"{expression.text}" is of the epochs of {" and ".join(touched)}, which do not belong together: '
                f'reduce one, as in catalog["{touched[1]}.time"].max()'
            )
        field = find(schema, expression.column) if expression.column is not None else None
        self.unit = None if field is None else unit_of(field)
        """Unit of the values, where the column has one."""
        self.dtype: pa.DataType = (
            field.type if field is not None else expression.kind(schema, catalog.name, self._nested)
        )
        """Arrow type of the values, one a row or one an epoch."""
        if field is not None and self._nested is not None and not is_nested(field):
            self.dtype = field.type.value_type

    def rename(self, name: str) -> Self:
        """Return the same under another name."""
        return type(self)(CatalogBase(self._plan), self.expression, name)

    def compute(self, progress: bool | None = None) -> pandas.Series[Any]:
        """Compute all values: a Series indexed by ``_healpix_29``; of epochs, with the index of the row repeated."""
        from lsdb_ts.run.execute import compute

        plan = self._alone()
        return self._series(compute(plan, whole(plan), progress).table)

    def to_arrow(self, progress: bool | None = None) -> pa.ChunkedArray:
        """Compute all values as an Arrow array; of epochs, a list a row."""
        from lsdb_ts.run.execute import compute

        plan = self._alone()
        return self._array(compute(plan, whole(plan), progress).table)

    def head(self, n: int = 5) -> pandas.Series[Any]:
        """Return the values of the first n rows, computing as few partitions as that takes."""
        from lsdb_ts.run.execute import first_rows

        plan = self._alone()
        return self._series(first_rows(plan, whole(plan), n))

    def isin(self, values: Sequence[Any]) -> Self:
        """Tell which values are members of a list."""
        if isinstance(values, str) or not hasattr(values, "__iter__"):
            raise PlanError(f"isin needs a list of values, and got {values!r}: isin([{values!r}])")
        return self._applied(_comparison(ast.In), list(values))

    def between(self, left: Any, right: Any, inclusive: str = "both") -> Self:
        """Tell which values lie between two others; ``inclusive`` is one of both, left, right, neither."""
        ends = [ast.keyword("inclusive", ast.Constant(inclusive))]
        between = Operation(
            lambda a, *b: ast.Call(ast.Attribute(a, "between", ast.Load()), [*b], ends), of_one_unit=True
        )
        return self._applied(between, left, right)

    def __repr__(self) -> str:
        told = f"{self.dtype}, {self.unit}" if self.unit else f"{self.dtype}"
        epochs = f", one an epoch of {self._nested}" if self._nested else ""
        return f"Column {self.expression.text} ({told}{epochs}) of {self._plan.name}"

    def of(self, catalog: CatalogBase, verb: str) -> Expression:
        """Return the expression, for a verb of the catalog that the column must belong to."""
        if not self.is_of(catalog):
            raise PlanError(
                f'{verb}: "{self.expression.text}" is of another catalog, or of this one before it changed: take the '
                f"columns of the very catalog, as in catalog[catalog[...] < 20], or match or join the two first"
            )
        return self.expression

    def is_of(self, catalog: CatalogBase) -> bool:
        """Tell whether it is a column of this very catalog."""
        return catalog.plan is self._plan

    def condition(self, catalog: CatalogBase, verb: str) -> Predicate:
        """Return the expression as a condition; raises PlanError where its values are not true or false."""
        expression = self.of(catalog, verb)
        if not pa.types.is_boolean(self.dtype):
            raise PlanError(
                f'"{expression.text}" is {self.dtype} and not true or false: compare it with something, or put '
                f'names in double brackets for columns, as in catalog[["{self.name or "mag"}"]]'
            )
        return Predicate(expression.text, expression.variables)

    def _applied(self, operation: Operation, *others: Any, swapped: bool = False) -> Self:
        parts = [self.expression, *(self._expression_of(other, operation) for other in others)]
        made = Expression.made(operation.make, *(reversed(parts) if swapped else parts))
        return type(self)(CatalogBase(self._plan), made, None)

    def _expression_of(self, other: Any, operation: Operation) -> Expression:
        if isinstance(other, Values):
            return other.of(CatalogBase(self._plan), f'"{self.expression.text}"')
        if isinstance(other, CatalogBase):
            raise PlanError(f'"{self.expression.text}" with a catalog: name one of its columns')
        if hasattr(other, "to_value") and hasattr(other, "unit"):
            return Expression.of_value(self._in_my_unit(other, operation))
        if isinstance(other, list) and any(hasattr(o, "to_value") for o in other):
            return Expression.of_value([self._in_my_unit(o, operation) for o in other])
        return Expression.of_value(other)

    def _in_my_unit(self, quantity: Any, operation: Operation) -> Any:
        """Return the plain number of an astropy quantity, in the unit of this column."""
        unit = self.unit if self.unit is not None and operation.of_one_unit else ""
        try:
            return quantity.to_value(unit)
        except (ValueError, TypeError) as error:
            raise PlanError(
                f'"{self.expression.text}" ({self.unit or "no unit"}) with {quantity}: {error}; give a plain number'
            ) from error

    def _alone(self) -> Node:
        """Return the plan of this column only."""
        if self.expression.column is not None and self.name == self.expression.column:
            return Select(self._plan, (self.name,))
        return Select(Assign(self._plan, ((self._place(), self.expression),)), (self._place(),))

    def _place(self) -> str:
        """Return the name under which the values are computed."""
        if self.name == self.expression.column and self.name is not None:
            return self.name
        # A position may not be assigned to, and a dot has a meaning.
        return "value" if self._nested is None else f"{self._nested}.value"

    def _array(self, table: pa.Table) -> pa.ChunkedArray:
        place = self._place()
        if place in table.column_names:
            return table.column(place)
        base, _, part = place.partition(".")
        return pc.struct_field(table.column(base), part)

    def _series(self, table: pa.Table) -> pandas.Series[Any]:
        place = table.column(HEALPIX) if HEALPIX in table.column_names else None
        values = self._array(table)
        if self._nested is not None and not is_nested(pa.field("", values.type)):
            epochs = Epochs.of(table.column(self._nested))
            place = None if place is None else place.take(pa.array(epochs.parents))
            values = epochs.flat(self._place().partition(".")[2])
        columns = {} if place is None else {HEALPIX: place}
        return to_frame(pa.table({**columns, "value": values}))["value"].rename(self.name)


class Column(Values):
    """A value for each row of a catalog, or for each epoch of one of its nested columns; lazy.

    Made by ``catalog["mag"]`` and ``catalog["lc.psfFlux"]``, and of other columns of the same catalog by comparisons,
    arithmetic, ``& | ~``, and numpy's functions. Conditions choose rows (``catalog[catalog["mag"] < 20]``), values
    become columns (``catalog.assign(colour=catalog["g"] - catalog["r"])``).

    Parameters
    ----------
    catalog : Catalog
        Where its values come from.
    expression : Expression
        What is computed of them.
    name : str, optional
        What a Series of it is called; by default the column it is, if it is one.

    Examples
    --------
    >>> import pandas as pd
    >>> import lsdb_ts as lt
    >>> catalog = lt.from_dataframe(
    ...     pd.DataFrame({"ra": [1.0, 2.0], "dec": 0.0, "g": [20.5, 19.0], "r": 19.0}), name="stars"
    ... )
    >>> catalog["g"] - catalog["r"] > 1
    Column g - r > 1 (bool) of stars
    >>> catalog[catalog["g"] - catalog["r"] > 1].compute().g.tolist()
    [20.5]
    """

    __hash__ = None  # type: ignore[assignment]

    isna = isnull = _method(_call("isna"), "Tell which values are missing: null or NaN.")
    notna = notnull = _method(_call("notna"), "Tell which values are not missing.")
    __abs__ = abs = _method(_function("abs"), "Return the values without their signs.")
    min = _reduction("min", "Return the smallest of the epochs of each row.")
    max = _reduction("max", "Return the largest of the epochs of each row.")
    mean = _reduction("mean", "Return the mean of the epochs of each row.")
    sum = _reduction("sum", "Return the sum of the epochs of each row.")
    count = _reduction("count", "Return the number of epochs of each row whose value is not missing.")
    any = _reduction("any", "Tell for each row whether the condition holds for any of its epochs.")
    all = _reduction("all", "Tell for each row whether the condition holds for all of its epochs.")

    @property
    def str(self) -> TextTests:
        """Tests of text: ``startswith``, ``endswith``, ``contains``."""
        return TextTests(self)

    __lt__ = _operator("less")
    __le__ = _operator("less_equal")
    __gt__ = _operator("greater")
    __ge__ = _operator("greater_equal")
    __eq__ = _operator("equal")  # type: ignore[assignment]
    __ne__ = _operator("not_equal")  # type: ignore[assignment]
    __and__ = _operator("logical_and")
    __rand__ = _operator("logical_and", swapped=True)
    __or__ = _operator("logical_or")
    __ror__ = _operator("logical_or", swapped=True)
    __add__ = _operator("add")
    __radd__ = _operator("add", swapped=True)
    __sub__ = _operator("subtract")
    __rsub__ = _operator("subtract", swapped=True)
    __mul__ = _operator("multiply")
    __rmul__ = _operator("multiply", swapped=True)
    __truediv__ = _operator("divide")
    __rtruediv__ = _operator("divide", swapped=True)
    __floordiv__ = _operator("floor_divide")
    __rfloordiv__ = _operator("floor_divide", swapped=True)
    __mod__ = _operator("remainder")
    __rmod__ = _operator("remainder", swapped=True)
    __pow__ = _operator("power")
    __rpow__ = _operator("power", swapped=True)
    __neg__ = _method(_sign(ast.USub), "Return the values with their signs turned.")
    __invert__ = _method(_NOT, "Tell where the condition does not hold.")

    def __bool__(self) -> bool:
        raise PlanError(
            f'"{self.expression.text}" is true or false row by row, not as a whole: join conditions with & | ~ (each '
            f"in brackets), and not with and, or, not, or a chain of comparisons"
        )

    def __array_ufunc__(self, ufunc: Any, method: Any, *inputs: Any, **options: Any) -> Any:
        """Let numpy's functions and numbers take part."""
        operation = _UFUNCS.get(ufunc.__name__)
        if operation is None or method != "__call__" or options:
            raise PlanError(
                f"numpy.{ufunc.__name__} is not part of the language of columns; there are {', '.join(_UFUNCS)}"
            )
        first, *others = inputs
        if isinstance(first, Column):
            return first._applied(operation, *others)
        return others[0]._applied(operation, first, swapped=True)


class TextTests:
    """Tests of the values of a column of text."""

    def __init__(self, column: Column) -> None:
        self._column = column

    def startswith(self, pattern: str) -> Column:
        """Tell which texts begin so."""
        return self._column._applied(_call("str.startswith", pattern))

    def endswith(self, pattern: str) -> Column:
        """Tell which texts end so."""
        return self._column._applied(_call("str.endswith", pattern))

    def contains(self, pattern: str) -> Column:
        """Tell which texts hold a regular expression (of RE2) somewhere."""
        return self._column._applied(_call("str.contains", pattern))
