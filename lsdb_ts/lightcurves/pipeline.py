"""Steps one after the other on one nested column: what they need of a table, and what they make of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.step import Step


@dataclass(frozen=True, eq=False)
class Pipeline:
    """A nested column and the steps that are taken with it."""

    column: str
    start: Shape
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        # Now: what is missing is known when the step is named.
        _ = self._shapes

    def then(self, step: Step) -> Pipeline:
        """Return the pipeline with one step more; raises PlanError where the step does not fit."""
        return replace(self, steps=(*self.steps, step))

    @functools.cached_property
    def _shapes(self) -> tuple[Shape, ...]:
        shapes = [self.start]
        for step in self.steps:
            shapes.append(step.shape(shapes[-1]))
        return tuple(shapes)

    @property
    def shape(self) -> Shape:
        """What comes out."""
        return self._shapes[-1]

    def parts(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the parts of the column that are read for some parts of what comes out; one at least."""
        return self._needs(wanted)[0]

    def needs(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns of the table that are read for some parts of what comes out."""
        parts, columns = self._needs(wanted)
        return (*(f"{self.column}.{part}" for part in parts), *columns)

    def _needs(self, wanted: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        columns: list[str] = []
        for step, before in zip(reversed(self.steps), reversed(self._shapes[:-1]), strict=True):
            columns.extend(step.columns(before, wanted))
            wanted = step.inputs(before, wanted)
        return wanted or (self.start.narrowest,), tuple(dict.fromkeys(columns))

    def run(self, table: pa.Table | Mapping[str, pa.Array], wanted: tuple[str, ...] | None = None) -> Curves:
        """Take all steps.

        Parameters
        ----------
        table : pyarrow.Table, or mapping of str to pyarrow.Array
            Has the columns of :meth:`needs`.
        wanted : tuple of str, optional
            Parts of what comes out; by default those that can be made of what the table has.

        Returns
        -------
        Curves
            With at least the wanted parts.
        """
        parts, columns = self._needs(self.shape.names if wanted is None else wanted)
        known = table.column_names if isinstance(table, pa.Table) else table
        rows = {
            name: _plain(table[name])
            for name in dict.fromkeys(c if c in known else c.partition(".")[0] for c in columns)
            if name in known
        }
        curves = Curves.of(_only(_plain(table[self.column]), parts), self.start, rows)
        for step in self.steps:
            curves = step(curves)
        return curves

    def identity(self) -> Mapping[str, Any]:
        """Return column, roles and steps as JSON."""
        steps = [dict(step.identity()) for step in self.steps]
        return {"column": self.column, "roles": dict(self.start.roles.items()), "steps": steps}

    @property
    def summary(self) -> str:
        """The column and the steps, for people."""
        return " | ".join([self.column, *(step.summary for step in self.steps)])


def _plain(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _only(curves: pa.StructArray, parts: tuple[str, ...]) -> pa.StructArray:
    """Return a nested column with some of its parts, those that it has."""
    kept = [part for part in curves.type if part.name in parts]
    if len(kept) == curves.type.num_fields:
        return curves
    mask = curves.is_null() if curves.null_count else None
    return pa.StructArray.from_arrays([curves.field(part.name) for part in kept], fields=kept, mask=mask)
