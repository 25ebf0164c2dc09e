"""Nodes on light curves: a pipeline of steps as one node, and what is computed of each curve. Steps live elsewhere."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import LsdbTsError, PlanError, RunError
from lsdb_ts.identity import code_of, is_ours
from lsdb_ts.lightcurves.merging import Merge
from lsdb_ts.lightcurves.pipeline import Pipeline
from lsdb_ts.lightcurves.step import Step, snake_case
from lsdb_ts.lightcurves.summary import Summary
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.forecast import EPOCH_TEXT_BYTES, Forecast, width_of
from lsdb_ts.plan.node import Unary, expanded
from lsdb_ts.schema import HEALPIX, find, has_parts, is_nested, require, with_unit
from lsdb_ts.store.partition import Partition

_EPOCH_BYTES = 130.0
"""What steps hold of an epoch beside its parts at most: its place in several orders, and its numbers as float64."""


@dataclass(frozen=True, eq=False)
class OnCurves(Unary):
    """The child's rows with one column computed from their light curves, row by row: added, or in place of another."""

    pipeline: Pipeline
    into: str
    """Name of the column."""

    def __post_init__(self) -> None:
        schema, name = self.child.schema, self.child.name
        if not self.into or self.into == HEALPIX or "." in self.into:
            raise PlanError(
                f'"{self.into}" cannot be the name of a column of {name}: it has no dot, and is not {HEALPIX}'
            )
        if self.into in (self.child.positions or ()):
            raise PlanError(f'"{self.into}" gives the rows their place on the sky: give the new column another name')
        require(schema, self._needs(self._names), name)

    @property
    @abstractmethod
    def _made(self) -> pa.Field:
        """The field of the column."""

    @abstractmethod
    def _needs(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns read for some parts of the column."""

    @abstractmethod
    def _values(self, table: pa.Table, wanted: tuple[str, ...]) -> pa.Array:
        """Compute the column."""

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The child's columns with the one that is made."""
        schema = self.child.schema
        if self.into in schema.names:
            return schema.set(schema.names.index(self.into), self._made)
        return schema.append(self._made)

    @property
    def count(self) -> int | None:
        """The child's rows."""
        return self.child.count

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the child's, for columns that are handed on."""
        return None if _base(column) == self.into else self.child.limits(column)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for what the steps need for the demanded parts, and for the other columns that are demanded."""
        wanted = self._wanted(demand)
        passed = [c for c in demand.columns if _base(c) != self.into]
        rows = {c: limits for c, limits in demand.rows.items() if _base(c) != self.into}
        needs = self._needs(wanted) if wanted else ()
        return (replace(demand, columns=(), rows=rows).plus([*passed, *needs]),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Compute the column, if any of it is wanted."""
        wanted = self._wanted(demand)
        if not wanted:
            return parts[0]
        table = parts[0].table
        try:
            values = self._values(table, wanted)
        except LsdbTsError:
            raise
        except Exception as error:
            raise RunError(f"{self.summary} on {demand.pixel} raised {type(error).__name__}: {error}") from error
        made = self._made.with_type(values.type)
        if self.into in table.column_names:
            return parts[0].with_table(table.set_column(table.column_names.index(self.into), made, values))
        return parts[0].with_table(table.append_column(made, values))

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Expect the child's bytes, and beside them, while steps are taken, so many for each epoch."""
        wanted = self._wanted(demand)
        expected = super().forecast(demand, parts)
        if not wanted:
            return expected
        (asked,) = self.demands(demand)
        read = {c: find(self.child.schema, c) for c in asked.columns if "." in c}
        columns = {_base(c) for c in self._needs(wanted) if c in read}
        each = sum(width_of(_one(part), EPOCH_TEXT_BYTES) for part in read.values())
        epochs = len(columns) * expected.most_bytes / each if each else 0.0
        made = max([0, *(step.epochs_each for step in self.pipeline.steps)])
        width = sum(width_of(_one(part), EPOCH_TEXT_BYTES) for part in self.pipeline.shape.type) if made else 0.0
        new = expected.rows * made * width
        most = expected.rows * made * expected.most_bytes / expected.bytes if expected.bytes else 0.0
        return replace(
            expected,
            bytes=expected.bytes + new,
            most_bytes=expected.most_bytes + most * width,
            peak=expected.most_bytes + most * width + _EPOCH_BYTES * (self._copies * epochs + most),
        )

    @property
    def _copies(self) -> float:
        """How many times the epochs are held at once."""
        return max([1.0, *(step.copies for step in self.pipeline.steps)])

    def identity(self) -> Mapping[str, Any]:
        """Return the column, the steps, and the code of those that a user wrote."""
        foreign = [kind for step in _steps(self.pipeline) if not is_ours(kind := type(step))]
        code = {"code": {kind.__qualname__: code_of(kind, Step) for kind in foreign}} if foreign else {}
        return {"pipeline": self.pipeline.identity(), "into": self.into, **code}

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self._made.type) if has_parts(self._made) else (self.into,)

    def _wanted(self, demand: Demand) -> tuple[str, ...]:
        """Return the demanded parts of the column."""
        asked = set(expanded(pa.schema([self._made]), [c for c in demand.columns if _base(c) == self.into]))
        return tuple(name for name in self._names if f"{self.into}.{name}" in asked or self.into in asked)


@dataclass(frozen=True, eq=False)
class Reshape(OnCurves):
    """Light curves after some steps: other epochs, or other parts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        schema = self.child.schema
        if self.into in schema.names and not is_nested(schema.field(self.into)):
            raise PlanError(
                f'"{self.into}" of {self.child.name} is no light curve, whose place these could take: give another name'
            )

    @functools.cached_property
    def _made(self) -> pa.Field:
        old = self.child.schema.field(self.pipeline.column)
        return pa.field(self.into, self.pipeline.shape.type, metadata=old.metadata)

    def _needs(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        return self.pipeline.needs(wanted)

    def _values(self, table: pa.Table, wanted: tuple[str, ...]) -> pa.Array:
        return self.pipeline.run(table, wanted).only(wanted).to_arrow()

    @property
    def summary(self) -> str:
        """The steps."""
        into = "" if self.into == self.pipeline.column else f"{self.into} = "
        return f"curves {into}{self.pipeline.summary}"


@dataclass(frozen=True, eq=False)
class Summarise(OnCurves):
    """What is computed of each light curve after some steps."""

    of: Summary

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.into in self.child.schema.names:
            raise PlanError(
                f'{self.child.name} already has a column "{self.into}": give another name, or drop it first'
            )

    @functools.cached_property
    def _made(self) -> pa.Field:
        made, unit = pa.field(self.into, self.of.type(self.pipeline.shape)), self.of.unit(self.pipeline.shape)
        return made if unit is None else with_unit(made, unit)

    def _needs(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        return self.pipeline.needs(self.of.inputs(self.pipeline.shape))

    def _values(self, table: pa.Table, wanted: tuple[str, ...]) -> pa.Array:
        return self.of(self.pipeline.run(table, self.of.inputs(self.pipeline.shape)))

    @property
    def _copies(self) -> float:
        return max(super()._copies, self.of.copies)

    def identity(self) -> Mapping[str, Any]:
        """Return the column, the steps, and what is computed."""
        return {**super().identity(), "of": dict(self.of.identity())}

    @property
    def summary(self) -> str:
        """What is computed, and of what."""
        return f"curves {self.into} = {snake_case(type(self.of).__name__)} of {self.pipeline.summary}"


def _steps(pipeline: Pipeline) -> Iterator[Step]:
    """Yield the steps of a pipeline, and those of the columns that it merges."""
    for step in pipeline.steps:
        yield step
        if isinstance(step, Merge):
            yield from _steps(step.other)


def _one(part: pa.Field | None) -> pa.Field | None:
    """Return the field of one epoch's value."""
    return part if part is None else part.with_type(getattr(part.type, "value_type", part.type))


def _base(column: str) -> str:
    return column.partition(".")[0]
