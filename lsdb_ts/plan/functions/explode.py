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
from lsdb_ts.plan.forecast import EPOCH_TEXT_BYTES, Forecast, width_of
from lsdb_ts.plan.node import Unary
from lsdb_ts.schema import HEALPIX, Roles, find, is_nested, plain, require, with_role, without_role
from lsdb_ts.store.partition import Partition

_OFFSET = 4.0
"""Bytes of where a list begins."""


@dataclass(frozen=True, eq=False)
class Explode(Unary):
    """One row an epoch: the values of some base columns, repeated, and one column for each part.

    Each row has the place of the one it comes from, in the sequence of the curve. Rows without epochs give none. A part
    with the name of a base column gets that of the nested column behind its own: ``coord_ra_lc``.
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
        taken = [*self.columns, *(self._name(part) for part in self._shape.names)]
        twice = next((c for c in taken if taken.count(c) > 1), None)
        if twice is not None:
            raise PlanError(
                f'two columns would be called "{twice}", of the base columns of {name} and the parts of '
                f'"{self.nested}": rename one first, as in catalog.rename({{...}})'
            )

    @functools.cached_property
    def _shape(self) -> Shape:
        return Shape.of(self.child.schema.field(self.nested))

    @functools.cached_property
    def _parts(self) -> dict[str, str]:
        """Name of each column made of a part -> the part."""
        return {self._name(part): part for part in self._shape.names}

    def _name(self, part: str) -> str:
        """Return what the column made of a part is called."""
        return f"{part}_{self.nested}" if part in self.columns else part

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The base columns, and the parts with the units and roles they have in the curves.

        Rows are where their object is, so no part tells their position; and where a part has their ids, the object's is
        that of their parent.
        """
        base = [self.child.schema.field(c) for c in self.columns]
        if self._shape.roles.id is not None:
            parent = Roles.of(self.child.schema).id
            base = [with_role(f, "parent_id") if f.name == parent else f for f in base]
        parts = []
        for name, part in self._parts.items():
            told = self._shape.field(part)
            column = told.with_name(name).with_type(plain(told.type))
            parts.append(without_role(column) if part in (self._shape.roles.ra, self._shape.roles.dec) else column)
        return pa.schema([*base, *parts])

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
        wanted = [self._parts[c] for c in demand.columns if c in self._parts] or [self._shape.narrowest]
        base = [c for c in demand.columns if c not in self._parts]
        rows = {c: limits for c, limits in demand.rows.items() if c not in self._parts}
        return (replace(demand, columns=(*base, *(f"{self.nested}.{part}" for part in wanted)), rows=rows),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Make the rows."""
        part = parts[0]
        curves = Curves.of(part.table.column(self.nested), self._shape)
        names = [n for n in part.table.column_names if n in (HEALPIX, *self.columns)]
        table = part.table.select(names).take(pa.array(curves.parents))
        for name, part_name in self._parts.items():
            if part_name in curves:
                column = self.schema.field(name)
                table = table.append_column(column, curves.parts[part_name].cast(column.type))
        return replace(part, table=table, core=part.core[curves.parents])

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Expect as many epochs as the bytes of the parts tell, each with the base columns repeated."""
        child = parts[0]
        wanted = [self._shape.field(self._parts[n]) for n in demand.columns if n in self._parts]
        read = wanted or [self._shape.field(self._shape.narrowest)]
        base = _bytes_of([find(self.child.schema, c) for c in demand.columns if c not in self._parts])
        fixed, each = child.rows * (base + _OFFSET * len(read)), _bytes_of(read)
        rows, most = (max(size - fixed, 0.0) / each for size in (child.bytes, child.most_bytes))
        width = base + _bytes_of(wanted)
        return Forecast(rows, rows * width, most * width)

    def identity(self) -> Mapping[str, Any]:
        """Return the column and the base columns."""
        return {"nested": self.nested, "columns": list(self.columns)}

    @property
    def summary(self) -> str:
        """The column."""
        return f"explode {self.nested}"


def _bytes_of(columns: Sequence[pa.Field | None]) -> float:
    return sum(width_of(column, EPOCH_TEXT_BYTES) for column in columns)
