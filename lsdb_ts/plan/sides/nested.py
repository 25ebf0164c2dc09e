"""The columns of two sides with those of the right one as one nested column. How they stand side by side: next door."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.node import expanded
from lsdb_ts.plan.sides.columns import Columns
from lsdb_ts.schema import is_nested
from lsdb_ts.store.read import Bounds


@dataclass(frozen=True, eq=False)
class Nested(Columns):
    """The left columns and, as a struct of lists, the right ones.

    Attributes
    ----------
    nested : str
        Name of the new column.
    merged : tuple of str
        Right columns that are left out.
    added : tuple of pyarrow.Field
        Further parts.
    """

    nested: str
    merged: tuple[str, ...] = ()
    added: tuple[pa.Field, ...] = ()

    def __post_init__(self) -> None:
        if self.nested in self.left.schema.names:
            raise PlanError(f'{self.left.name} already has a column "{self.nested}": give what is nested another name=')
        deeper = [f.name for f in self.right.schema if is_nested(f)]
        if deeper:
            raise PlanError(f'{self.right.name} has the nested column "{deeper[0]}": drop it before nesting')
        names = [part.name for part in self.field.type]
        twice = [n for n in names if names.count(n) > 1]
        if twice:
            raise PlanError(f'{self.right.name} has a column "{twice[0]}", which the match adds: rename it before')

    @property
    def name(self) -> str:
        """The left name."""
        return self.left.name

    @property
    def positions(self) -> tuple[str, str] | None:
        """The left positions."""
        return self.left.positions

    @functools.cached_property
    def field(self) -> pa.Field:
        """The nested column."""
        parts = [*(f for f in self.right.schema if f.name not in self.merged), *self.added]
        return pa.field(
            self.nested, pa.struct([pa.field(f.name, pa.list_(f.type), metadata=f.metadata) for f in parts])
        )

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Left columns and the nested one."""
        return self.left.schema.append(self.field)

    def asked(self, columns: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Translate demanded columns back to what each side calls them."""
        split = [(c, *c.partition(".")) for c in columns]
        parts = [part for _, base, _, part in split if base == self.nested]
        theirs = [part for part in parts if part in self.right.schema.names]
        return tuple(c for c, base, *_ in split if base != self.nested), expanded(self.right.schema, theirs)

    def bounds(self, rows: Bounds) -> tuple[Bounds, Bounds]:
        """Return bounds on left columns; on values of epochs there are none."""
        return {c: ends for c, ends in rows.items() if c.partition(".")[0] != self.nested}, {}

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the left ones."""
        return None if column.partition(".")[0] == self.nested else self.left.limits(column)

    def beside(
        self, table: pa.Table, columns: Iterable[str], lengths: NDArray[np.int64], part: Callable[[str], Any]
    ) -> pa.Table:
        """Put the demanded parts of the nested column beside left rows.

        Parameters
        ----------
        table : pyarrow.Table, n rows
            The left rows.
        columns : iterable of str
            What is demanded.
        lengths : numpy.ndarray of int64, shape (n,)
            How many right rows each left row has.
        part : callable
            Returns a part, right row after right row, by its name.
        """
        wanted = set(columns)
        fields = [f for f in self.field.type if f"{self.nested}.{f.name}" in wanted]
        if not fields:
            return table
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
        lists = [pa.ListArray.from_arrays(offsets, _whole(part(f.name)), type=f.type) for f in fields]
        column = self.field.with_type(pa.struct(fields))
        return table.append_column(column, pa.StructArray.from_arrays(lists, fields=fields))


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
