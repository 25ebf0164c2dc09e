"""The step that puts the epochs of another nested column to those of one: detections with forced photometry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.curves.within import order_within
from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.lightcurves.pipeline import Pipeline
from lsdb_ts.lightcurves.shape import BRIGHTNESS, Shape
from lsdb_ts.lightcurves.step import Step, union
from lsdb_ts.schema import Roles, plain, unit_of

SOURCE = "source"
"""Part that tells which column an epoch comes from."""


@dataclass(frozen=True)
class Merge(Step):
    """The epochs of two nested columns, in order of time; of one time, this one's first.

    Parts of one role become one, under the name they have here; so do parts of one name. A part that one side lacks is
    null there. ``source`` tells which column an epoch comes from.
    """

    other: Pipeline
    labels: tuple[str, str]
    """What ``source`` calls the two."""

    def shape(self, before: Shape) -> Shape:
        """Return the parts of both."""
        theirs, names = self.other.shape, self._names(before)
        before.number("time", "merge")
        theirs.number("time", "merge")
        mine, other = ({v for v, _ in BRIGHTNESS if getattr(s.roles, v)} for s in (before, theirs))
        # Limits of non-detections come without either.
        if mine and other and not mine & other:
            raise PlanError(
                f"merge: {self.labels[0]} and {self.labels[1]} share neither fluxes nor magnitudes: convert one "
                f"with .to_flux() or .to_magnitude() first"
            )
        twice = [n for n in names.values() if list(names.values()).count(n) > 1]
        if twice:
            raise PlanError(
                f'merge: two parts of {self.labels[1]} would become "{twice[0]}": drop one from the column first'
            )
        parts = {part.name: part for part in before.parts}
        for part in theirs.parts:
            name = names[part.name]
            parts[name] = self._common(parts[name], part) if name in parts else part.with_name(name)
        parts[SOURCE] = pa.field(SOURCE, pa.string())
        roles = Roles(**{r: names[c] for r, c in theirs.roles.items()} | dict(before.roles.items()))
        return Shape(tuple(parts.values()), roles, before.large or theirs.large)

    def _names(self, before: Shape) -> Mapping[str, str]:
        """Return what each part of the other column is called here."""
        theirs = self.other.shape
        by_role = {c: getattr(before.roles, r) or c for r, c in theirs.roles.items()}
        return {name: by_role.get(name, name) for name in theirs.names}

    def _common(self, mine: pa.Field, their: pa.Field) -> pa.Field:
        """Return the field that holds values of both."""
        units = {unit_of(mine), unit_of(their)} - {None}
        if len(units) > 1:
            raise PlanError(
                f'merge: "{mine.name}" of {self.labels[0]} is in {unit_of(mine)} and "{their.name}" of '
                f"{self.labels[1]} in {unit_of(their)}: convert one first, such as with .to_flux()"
            )
        one, other = plain(mine.type), plain(their.type)
        if one == other:
            return mine.with_type(one)
        if _is_number(one) and _is_number(other):
            return mine.with_type(pa.from_numpy_dtype(np.result_type(one.to_pandas_dtype(), other.to_pandas_dtype())))
        if _is_text(one) and _is_text(other):
            return mine.with_type(pa.string())
        raise PlanError(
            f'merge: "{mine.name}" of {self.labels[0]} is {one} and "{their.name}" of {self.labels[1]} is {other}: '
            f"convert one with astype first"
        )

    def inputs(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return what is wanted of this column, and the time."""
        return union(tuple(name for name in wanted if name in before.names), (before.role("time", "merge"),))

    def columns(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return what is wanted of the other column, and its time."""
        asked = tuple(theirs for theirs, name in self._names(before).items() if name in wanted)
        return self.other.needs(union(asked, (self.other.shape.role("time", "merge"),)))

    def __call__(self, curves: Curves) -> Curves:
        """Put the epochs together."""
        shape, names = self.shape(curves.shape), self._names(curves.shape)
        theirs = self.other.run(curves.rows, None)
        found = {names[name]: values for name, values in theirs.parts.items()}
        known = set(names.values())
        parts: dict[str, pa.Array] = {}
        for part in shape.parts:
            halves = (
                (curves.parts.get(part.name), part.name in curves.shape.names, curves.n_epochs),
                (found.get(part.name), part.name in known, theirs.n_epochs),
            )
            if part.name == SOURCE or any(values is None and exists for values, exists, _ in halves):
                continue
            parts[part.name] = pa.concat_arrays(
                [pa.nulls(n, part.type) if v is None else v.cast(part.type) for v, _, n in halves]
            )
        label = np.repeat([0, 1], [curves.n_epochs, theirs.n_epochs])
        parts[SOURCE] = pa.array(list(self.labels)).take(pa.array(label))
        both = replace(curves, parts=parts, shape=shape, missing=curves.missing & theirs.missing)
        counts = np.diff(curves.offsets) + np.diff(theirs.offsets)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # Curve after curve, this one's epochs first.
        sides = np.empty(label.size, np.int64)
        sides[np.arange(curves.n_epochs) + theirs.offsets[curves.parents]] = np.arange(curves.n_epochs)
        place = np.arange(theirs.n_epochs) + curves.offsets[theirs.parents + 1]
        sides[place] = curves.n_epochs + np.arange(theirs.n_epochs)
        time = both.numbers(shape.role("time", "merge"))[sides]
        return both.take(sides[order_within(offsets, time)], offsets)

    def identity(self) -> Mapping[str, Any]:
        """Return class, version, the other column and its steps."""
        other = dict(self.other.identity())
        return {"step": "Merge", "version": self.version, "other": other, "labels": list(self.labels)}

    @property
    def summary(self) -> str:
        """The other column and its steps."""
        return f"merge({self.other.summary})"


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
