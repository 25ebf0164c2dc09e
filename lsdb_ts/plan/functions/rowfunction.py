"""A user's function of one row, made a function on tables. Which rows it is called for, the nodes next door know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.errors import RunError
from lsdb_ts.identity import identify, name_of
from lsdb_ts.plan.language.types import computed
from lsdb_ts.schema import HEALPIX, plain
from lsdb_ts.sky.pixel import Pixel


@dataclass(frozen=True, eq=False)
class RowFunction:
    """Calls a function row by row: base columns as Python's own values, parts of light curves as numpy arrays.

    Attributes
    ----------
    function : callable
        Returns a dict by output column, or the value itself where there is one output column.
    columns : tuple of str
        What it is given: base columns, and parts of nested ones (``lc.psfFlux``). A missing number is NaN in columns
        of floats and None in others.
    output : pyarrow.Schema
        What it returns. NaN is missing (null) there, as None is: it is also what missing numbers are given as.
    as_dict : bool
        It takes one dict by column, not one argument for each.
    id : str or None
        Column that names a row in an error; must be read.
    """

    function: Callable[..., Any]
    columns: tuple[str, ...]
    output: pa.Schema
    as_dict: bool
    id: str | None = None
    pixel: Pixel | None = field(default=None, repr=False)

    def at(self, pixel: Pixel) -> RowFunction:
        """Return the function for the rows of a pixel."""
        return replace(self, pixel=pixel)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Call it for each row of a table.

        Raises
        ------
        RunError
            It raised something, or returned something else than declared; names row, id and pixel.
        """
        rows: list[tuple[Any, ...]] = []
        for i, values in enumerate(zip(*(_values(table, c) for c in self.columns), strict=True)):
            try:
                rows.append(self._returned(values))
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
                raise RunError(f"{name_of(self.function)} raised {text}, at {self._row(table, i)}") from error
        columns = zip(*rows, strict=True) if rows else [()] * len(self.output)
        arrays = [self._array(list(made), column) for made, column in zip(columns, self.output, strict=True)]
        return pa.table(arrays, schema=self.output)

    def identity(self) -> dict[str, Any]:
        """Return code and declarations."""
        return {
            "function": identify(self.function),
            "columns": list(self.columns),
            "output": self.output.to_string(),
            "as_dict": self.as_dict,
        }

    def _returned(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Call the function and put what it returned into the order of the output."""
        given = (dict(zip(self.columns, values, strict=True)),) if self.as_dict else values
        found = self.function(*given)
        names = self.output.names
        if not isinstance(found, dict):
            if len(names) > 1:
                raise TypeError(f"it returned a {type(found).__name__}; need a dict of {', '.join(names)}")
            return (found,)
        missing = [name for name in names if name not in found]
        if missing:
            raise KeyError(f'meta declares "{missing[0]}", and it returned {", ".join(map(str, found)) or "nothing"}')
        return tuple(found[name] for name in names)

    def _array(self, values: list[Any], column: pa.Field) -> pa.Array:
        try:
            if pa.types.is_integer(column.type):
                # With its type given, Arrow would cut 2.5 to 2.
                return pa.array(values, from_pandas=True).cast(column.type)
            # Of numpy's own floats Arrow does not see which are NaN.
            return computed(pa.array(values, column.type, from_pandas=True))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise RunError(
                f'{name_of(self.function)} on {self.pixel} returned values for "{column.name}" that are not '
                f"{column.type}, as its meta declares: {error}"
            ) from error

    def _row(self, table: pa.Table, i: int) -> str:
        named = [c for c in (self.id, HEALPIX) if c in table.column_names]
        told = ", ".join(f"{c}={table.column(c)[i]}" for c in named)
        return f"row {i} of {self.pixel}" + (f" ({told})" if told else "")


def _values(table: pa.Table, column: str) -> Iterator[Any]:
    """Yield a column's values, row by row; lists as numpy arrays, and missing lists as empty ones."""
    base, _, part = column.partition(".")
    whole = column in table.column_names
    values = table.column(column if whole else base).combine_chunks()
    if not whole:
        values = pc.struct_field(values, part)
    values = values.cast(plain(values.type))
    if not (pa.types.is_list(values.type) or pa.types.is_large_list(values.type)):
        yield from (values.fill_null(np.nan) if pa.types.is_floating(values.type) else values).to_pylist()
        return
    flat = values.flatten().to_numpy(zero_copy_only=False)
    stops = np.cumsum(values.value_lengths().fill_null(0).to_numpy()).tolist()
    start = 0
    for stop in stops:
        yield flat[start:stop]
        start = stop
