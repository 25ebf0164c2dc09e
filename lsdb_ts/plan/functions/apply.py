"""Nodes that call a function on the table of each pixel: on whole partitions, or to add columns to their rows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import LsdbTsError, PlanError, RunError
from lsdb_ts.identity import identify, name_of
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.forecast import Forecast, width_of
from lsdb_ts.plan.node import Unary, expanded
from lsdb_ts.schema import HEALPIX, require
from lsdb_ts.sky.pixel import Pixel
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import Partition, sorted_by_place

TableFunction = Callable[[pa.Table], pa.Table]
"""From a table to a table. One that wants to know its pixel has a method ``at(pixel)``, which returns the one to call.
"""


@dataclass(frozen=True, eq=False)
class Map(Unary):
    """A function from the table of a pixel to another table.

    Attributes
    ----------
    function : callable
        Takes and returns a ``pyarrow.Table``; must be picklable.
    output : pyarrow.Schema
        What it returns; with ``_healpix_29`` where rows keep their place.
    inputs : tuple of str
        The columns it needs.
    rowwise : bool
        Each output row comes from the input row at the same place: then halo rows can go through it too. Any other
        function is given whole leaves of the child, even where a match above works in finer pixels.
    """

    function: TableFunction
    output: pa.Schema
    inputs: tuple[str, ...]
    rowwise: bool = False

    def __post_init__(self) -> None:
        require(self.child.schema, self.inputs, self.child.name)

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """What the function returns."""
        return pa.schema([f for f in self.output if f.name != HEALPIX])

    @property
    def positions(self) -> tuple[str, str] | None:
        """The child's positions, if the function's output still has them and the place."""
        names = self.child.positions
        return names if names and {HEALPIX, *names} <= set(self.output.names) else None

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The child's sky where rows stay in place; a function on whole partitions may make rows anywhere in them."""
        return self.child.sky if self.rowwise else None

    @property
    def count(self) -> int | None:
        """The child's rows, if the function makes one of each."""
        return self.child.count if self.rowwise else None

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return nothing: a function may give a column of any name any values."""
        return None

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for what the function declares, whatever is wanted of its output."""
        if demand.halo_arcsec > 0 and not self.rowwise:
            raise PlanError(
                f"{self.summary} on {self.name} cannot serve the {demand.halo_arcsec:g} arcsec halo that the match "
                f"above it needs, because the function sees whole partitions: pass rowwise=True if each output row "
                f"depends on its input row only, or write the result first and open it again"
            )
        place = (HEALPIX,) if self.child.positions is not None else ()
        columns = (*place, *expanded(self.child.schema, self.inputs))
        return (replace(demand, columns=columns, rows={}, sky=demand.sky if self.rowwise else None),)

    def unit(self, demand: Demand) -> Demand:
        """Widen the demand to whole leaves, unless the function is rowwise: it is called once for each."""
        if self.rowwise:
            return demand
        leaves = self.layout.take(demand.pixels.ranges.overlaps(self.layout.starts, self.layout.stops))
        return replace(demand, pixels=leaves, rows={}, sky=None)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Call the function."""
        part = parts[0]
        table = conform(call(self.function, self._given(part.table), demand.pixel), self.output, self.summary)
        if self.rowwise:
            if table.num_rows != part.table.num_rows:
                raise PlanError(f"{self.summary} is rowwise but made {table.num_rows} rows of {part.table.num_rows}")
            if HEALPIX in table.column_names and not table.column(HEALPIX).equals(part.table.column(HEALPIX)):
                raise PlanError(f"{self.summary} is rowwise but gave its rows another order: keep the frame's index")
            return part.with_table(table)
        if HEALPIX not in table.column_names:
            return Partition.all_core(table)
        return Partition.all_core(sorted_by_place(table))

    def _given(self, table: pa.Table) -> pa.Table:
        """Return the columns in the order of the inputs: the order in which a selection below names them."""
        bases = (c if c in table.column_names else c.partition(".")[0] for c in self.inputs)
        place = [HEALPIX] if HEALPIX in table.column_names else []
        names = list(dict.fromkeys([*place, *bases]))
        return table.select(names) if names else table

    def identity(self) -> Mapping[str, Any]:
        """Return the function's code and declarations."""
        return {
            "function": identify(self.function),
            "output": self.output.to_string(),
            "inputs": list(self.inputs),
            "rowwise": self.rowwise,
        }

    @property
    def summary(self) -> str:
        """Name of the function."""
        return f"map {name_of(self.function)}"


@dataclass(frozen=True, eq=False)
class Extend(Unary):
    """The child's rows with more columns, computed row by row from some of theirs."""

    function: TableFunction
    added: tuple[pa.Field, ...]
    inputs: tuple[str, ...]
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(self.child.schema, self.inputs, self.child.name)
        kept = set(self.child.schema.names) - set(self.dropped)
        twice = [f.name for f in self.added if f.name in kept]
        if twice:
            raise PlanError(
                f'{self.child.name} already has a column "{twice[0]}", which {name_of(self.function)} would add: '
                f"rename or drop it first"
            )

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The child's columns and the new ones."""
        return pa.schema([*(f for f in self.child.schema if f.name not in self.dropped), *self.added])

    @property
    def count(self) -> int | None:
        """The child's rows."""
        return self.child.count

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the child's, for columns that are handed on."""
        return None if column.partition(".")[0] in self._new else self.child.limits(column)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the inputs only if a new column is wanted."""
        passed = [c for c in demand.columns if c.partition(".")[0] not in self._new]
        rows = {c: limits for c, limits in demand.rows.items() if c not in self._new}
        inputs = expanded(self.child.schema, self.inputs) if self._wanted(demand) else ()
        return (replace(demand, columns=(), rows=rows).plus([*passed, *inputs]),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Call the function and put its columns beside the others."""
        part = parts[0]
        if not self._wanted(demand):
            return part
        made = conform(call(self.function, part.table, demand.pixel), pa.schema(self.added), name_of(self.function))
        if made.num_rows != len(part):
            raise PlanError(f"{name_of(self.function)} made {made.num_rows} rows of {len(part)}")
        table = part.table.drop_columns([c for c in self.dropped if c in part.table.column_names])
        for column in self.added:
            table = table.append_column(column, made.column(column.name))
        return part.with_table(table)

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Expect the child's rows, and the bytes of the new columns beside theirs."""
        child = parts[0]
        new = sum(width_of(column) for column in self.added) if self._wanted(demand) else 0.0
        most_rows = child.rows * max(child.most_bytes / child.bytes, 1.0) if child.bytes else child.rows
        return Forecast(child.rows, child.bytes + new * child.rows, child.most_bytes + new * most_rows)

    def identity(self) -> Mapping[str, Any]:
        """Return the function's code and declarations."""
        return {
            "function": identify(self.function),
            "added": pa.schema(self.added).to_string(),
            "inputs": list(self.inputs),
            "dropped": list(self.dropped),
        }

    @property
    def summary(self) -> str:
        """Name of the function."""
        return f"extend by {name_of(self.function)}"

    @functools.cached_property
    def _new(self) -> frozenset[str]:
        return frozenset(f.name for f in self.added)

    def _wanted(self, demand: Demand) -> bool:
        return any(c.partition(".")[0] in self._new for c in demand.columns)


def call(function: TableFunction, table: pa.Table, pixel: Pixel) -> pa.Table:
    """Call a function on the table of a pixel.

    Raises
    ------
    RunError
        It raised something; names function, error and pixel.
    """
    at = getattr(function, "at", None)
    try:
        return (function if at is None else at(pixel))(table)
    except LsdbTsError:
        raise
    except Exception as error:
        raise RunError(f"{name_of(function)} on {pixel} raised {type(error).__name__}: {error}") from error


def conform(table: pa.Table, schema: pa.Schema, who: str) -> pa.Table:
    """Return a table with exactly the declared columns and types, or raise PlanError that names the difference."""
    missing = [n for n in schema.names if n not in table.column_names]
    if missing == [HEALPIX]:
        raise PlanError(f"{who} did not keep its frame's index ({HEALPIX}), which rows with coordinates must keep")
    if missing:
        raise PlanError(
            f'{who} did not return the column "{missing[0]}" that its meta declares; it returned {table.column_names}'
        )
    chosen = table.select(schema.names)
    if chosen.schema.equals(schema):
        return chosen
    try:
        return chosen.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        wrong = [
            f"{f.name}: declared {f.type}, returned {g.type}"
            for f, g in zip(schema, chosen.schema, strict=True)
            if f.type != g.type
        ]
        raise PlanError(f"{who} returned other types than its meta declares ({'; '.join(wrong)}): {error}") from error
