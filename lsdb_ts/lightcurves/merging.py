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
from lsdb_ts.schema import Roles, in_njy, plain, unit_of

SOURCE = "source"
"""Part that tells which column an epoch comes from."""


@dataclass(frozen=True)
class Merge(Step):
    """The epochs of two nested columns, in order of time; of one time, this one's first.

    Parts of one role become one, under the name they have here; so do parts of one name. A part that one side lacks is
    null there. ``source`` tells which column an epoch comes from, also where a side is a merge itself.
    """

    other: Pipeline
    labels: tuple[str, str]
    """What ``source`` calls the two."""
    merged: tuple[bool, bool] = (False, False)
    """Which of the two are merges: their ``source`` is kept."""

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
        known = {in_njy(side.unit(side.roles.flux)) is not None for side in (before, theirs) if side.roles.flux}
        if len(known) > 1 and not any(side.scaled for side in (before, theirs)):
            raise PlanError(
                f"merge: the fluxes of one of {self.labels[0]} and {self.labels[1]} are of a known unit, and those of "
                f"the other are not: bring it to nJy with .to_flux(zero_point=...) first"
            )
        scaled = [side.scaled for side in (before, theirs) if side.roles.flux is not None]
        if len(set(scaled)) > 1:
            raise PlanError(
                f"merge: of {self.labels[0]} and {self.labels[1]} one has fluxes with zero points, and the other has "
                f"none: bring both to one unit with .to_flux() first"
            )
        twice = [n for n in names.values() if list(names.values()).count(n) > 1]
        if twice:
            raise PlanError(
                f'merge: two parts of {self.labels[1]} would become "{twice[0]}": drop one from the column first'
            )
        for side, label, merged in zip((before, theirs), self.labels, self.merged, strict=True):
            if SOURCE in side.names and not merged:
                raise PlanError(
                    f'merge: {label} has a part "{SOURCE}", which here tells where an epoch comes from: drop it from '
                    f"the column first, or rename it"
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
        known = [name for name in before.names if name != SOURCE or self.merged[0]]
        return union(tuple(name for name in wanted if name in known), (before.role("time", "merge"),))

    def columns(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return what is wanted of the other column, and its time."""
        known = {part: name for part, name in self._names(before).items() if name != SOURCE or self.merged[1]}
        asked = tuple(theirs for theirs, name in known.items() if name in wanted)
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
        sources = [self._sources(0, curves.parts, curves.n_epochs), self._sources(1, found, theirs.n_epochs)]
        if all(source is not None for source in sources):
            parts[SOURCE] = pa.concat_arrays(sources)
        both = replace(curves, parts=parts, shape=shape, missing=curves.missing & theirs.missing)
        counts = np.diff(curves.offsets) + np.diff(theirs.offsets)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # Curve after curve, this one's epochs first.
        sides = np.empty(curves.n_epochs + theirs.n_epochs, np.int64)
        sides[np.arange(curves.n_epochs) + theirs.offsets[curves.parents]] = np.arange(curves.n_epochs)
        place = np.arange(theirs.n_epochs) + curves.offsets[theirs.parents + 1]
        sides[place] = curves.n_epochs + np.arange(theirs.n_epochs)
        time = both.numbers(shape.role("time", "merge"))[sides]
        return both.take(sides[order_within(offsets, time)], offsets)

    def _sources(self, side: int, parts: Mapping[str, pa.Array], n_epochs: int) -> pa.Array | None:
        """Return which column each epoch of a side comes from; None where it is a merge that was not asked for it."""
        if self.merged[side]:
            return parts.get(SOURCE)
        return pa.array([self.labels[side]]).take(pa.array(np.zeros(n_epochs, np.int64)))

    def identity(self) -> Mapping[str, Any]:
        """Return class, version, the other column and its steps."""
        told = {"labels": list(self.labels), "merged": list(self.merged)}
        return {"step": "Merge", "version": self.version, "other": dict(self.other.identity()), **told}

    @property
    def summary(self) -> str:
        """The other column and its steps."""
        return f"merge({self.other.summary})"


def is_merged(curves: Pipeline) -> bool:
    """Tell whether the epochs come from several columns, as their part ``source`` tells."""
    return SOURCE in curves.shape.names and any(isinstance(step, Merge) for step in curves.steps)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
