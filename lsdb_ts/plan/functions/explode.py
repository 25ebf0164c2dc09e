"""The node that makes a row of each epoch of a nested column. The way back is a nest by id."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.forecast import Forecast
from lsdb_ts.plan.node import Unary
from lsdb_ts.schema import HEALPIX, find, is_nested, plain, require
from lsdb_ts.store.partition import Partition

_WIDTH, _LETTER, _OFFSET = 8.0, 5.0, 4.0
"""Bytes of a number, of a letter with where it begins, and of where a list begins."""


@dataclass(frozen=True, eq=False)
class Explode(Unary):
    """One row an epoch: the values of some base columns, repeated, and one column for each part.

    Each row has the place of the one it comes from, in the sequence of the curve. Rows without epochs give none.
    """

    forecasts_demand: ClassVar[bool] = True

    nested: str
    columns: tuple[str, ...]
    """Base columns that are kept, positions among them."""

    def __post_init__(self) -> None:
        schema, name = self.child.schema, self.child.name
        require(schema, [self.nested, *self.columns], name)
        _ = self._shape
        wrong = next((c for c in self.columns if c not in schema.names or is_nested(schema.field(c))), None)
        if wrong is not None:
            raise PlanError(f'"{wrong}" is no base column of {name}, which could be repeated for each epoch')
        twice = [c for c in self.columns if c in self._shape.names]
        if twice:
            raise PlanError(
                f'"{twice[0]}" is a column of {name} and a part of "{self.nested}": leave it out of the columns, or '
                f'rename it first, as in catalog.rename({{"{twice[0]}": "object_{twice[0]}"}})'
            )

    @functools.cached_property
    def _shape(self) -> Shape:
        return Shape.of(self.child.schema.field(self.nested))

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The base columns, and the parts with the units and roles they have in the curves."""
        parts = [part.with_type(plain(part.type.value_type)) for part in self._shape.type]
        return pa.schema([*(self.child.schema.field(c) for c in self.columns), *parts])

    @property
    def positions(self) -> tuple[str, str] | None:
        """The child's positions, where they are kept."""
        names = self.child.positions
        return names if names is not None and set(names) <= set(self.columns) else None

    @property
    def count(self) -> int | None:
        """Not known: metadata do not tell how many epochs there are."""
        return None

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the child's, for base columns."""
        return self.child.limits(column) if column.partition(".")[0] in self.columns else None

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the demanded parts, one at least, and the base columns; bounds pass on these."""
        wanted = [c for c in demand.columns if c in self._shape.names] or [self._shape.narrowest]
        base = [c for c in demand.columns if c not in self._shape.names]
        rows = {c: limits for c, limits in demand.rows.items() if c not in self._shape.names}
        return (replace(demand, columns=(*base, *(f"{self.nested}.{part}" for part in wanted)), rows=rows),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Make the rows."""
        part = parts[0]
        curves = Curves.of(part.table.column(self.nested), self._shape)
        names = [n for n in part.table.column_names if n in (HEALPIX, *self.columns)]
        table = part.table.select(names).take(pa.array(curves.parents))
        for name, values in curves.parts.items():
            table = table.append_column(self.schema.field(name), values.cast(self.schema.field(name).type))
        return replace(part, table=table, core=part.core[curves.parents])

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Expect as many epochs as the bytes of the parts tell, each with the base columns repeated."""
        child = parts[0]
        wanted = [self._shape.field(n) for n in demand.columns if n in self._shape.names]
        read = wanted or [self._shape.field(self._shape.narrowest)]
        base = sum(
            _WIDTH if c == HEALPIX else _width(find(self.schema, c))
            for c in demand.columns
            if c not in self._shape.names
        )
        fixed, each = child.rows * (base + _OFFSET * len(read)), sum(_width(part) for part in read)
        rows, most = (max(size - fixed, 0.0) / each for size in (child.bytes, child.most_bytes))
        width = base + sum(_width(part) for part in wanted)
        return Forecast(rows, rows * width, most * width)

    def identity(self) -> Mapping[str, Any]:
        """Return the column and the base columns."""
        return {"nested": self.nested, "columns": list(self.columns)}

    @property
    def summary(self) -> str:
        """The column."""
        return f"explode {self.nested}"


def _width(column: pa.Field | None) -> float:
    """Return the bytes of a value; of text those of a letter."""
    if column is None or not pa.types.is_primitive(column.type):
        return _LETTER if column is not None and not pa.types.is_nested(column.type) else _WIDTH
    return float(column.type.bit_width) / 8
