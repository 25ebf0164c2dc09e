"""Nodes that keep some of their child's rows, epochs or pixels. Those on columns are next door."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.demand import Demand, common
from lsdb_ts.plan.language.epochs import Epochs
from lsdb_ts.plan.language.expression import Predicate
from lsdb_ts.plan.node import Node, Unary, needs_positions
from lsdb_ts.schema import HEALPIX, is_nested, require
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.sky.region import Region
from lsdb_ts.store.partition import Partition
from lsdb_ts.store.read import Bounds


@dataclass(frozen=True, eq=False)
class Filter(Unary):
    """Rows for which a condition holds."""

    predicate: Predicate

    def __post_init__(self) -> None:
        self.predicate.check(self.child.schema, self.child.name)
        # Now: what cannot be compared is known before any row is read.
        _ = self._bounds

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the predicate's columns too, and let rows it cannot hold for be skipped."""
        return (demand.plus(self.predicate.needs(self.child.schema, demand.columns), rows=self._bounds),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Keep the rows."""
        return parts[0].filter(self.predicate.holds(parts[0].table))

    def identity(self) -> Mapping[str, Any]:
        """Return the predicate."""
        return {"predicate": asdict(self.predicate)}

    @property
    def summary(self) -> str:
        """The predicate."""
        return f"filter {self.predicate.told}"

    @functools.cached_property
    def _bounds(self) -> Bounds:
        return self.predicate.bounds(self.child.schema)


@dataclass(frozen=True, eq=False)
class FilterEpochs(Unary):
    """Epochs of one nested column for which a condition holds.

    Every row stays, with fewer epochs or none. What the condition says of the row itself is so for all its epochs.
    """

    predicate: Predicate
    nested: str

    def __post_init__(self) -> None:
        require(self.child.schema, [self.nested], self.child.name)
        if not is_nested(self.child.schema.field(self.nested)):
            raise PlanError(f'"{self.nested}" of {self.child.name} is not a nested column')
        self.predicate.check(self.child.schema, self.child.name, self.nested)

    @property
    def count(self) -> int | None:
        """The child's rows."""
        return self.child.count

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the predicate's columns too, if any part of the nested column is wanted."""
        if not self._is_wanted(demand):
            return (demand,)
        return (demand.plus(self.predicate.needs(self.child.schema, demand.columns)),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Keep the epochs."""
        if not self._is_wanted(demand):
            return parts[0]
        table = parts[0].table
        kept = Epochs.of(table.column(self.nested)).kept(self.predicate.holds(table, self.nested))
        place = table.column_names.index(self.nested)
        return parts[0].with_table(table.set_column(place, table.schema.field(self.nested), kept))

    def identity(self) -> Mapping[str, Any]:
        """Return the predicate."""
        return {"predicate": asdict(self.predicate), "nested": self.nested}

    @property
    def summary(self) -> str:
        """The predicate."""
        return f"filter epochs of {self.nested}: {self.predicate.told}"

    def _is_wanted(self, demand: Demand) -> bool:
        return any(_is_of(c, self.nested) for c in demand.columns)


def filtered(child: Node, predicate: Predicate) -> Node:
    """Keep the rows, and of nested columns the epochs, for which a condition holds.

    The conditions that ``and`` joins are taken apart: those on rows keep rows, those on a nested column keep its
    epochs. All of them see the light curves as they were before.

    Raises
    ------
    PlanError
        A column is unknown, or one condition is on the epochs of two nested columns.
    """
    require(child.schema, predicate.columns, child.name)
    rows: list[Predicate] = []
    epochs: dict[str, list[Predicate]] = {}
    for term in predicate.terms:
        touched = term.epochs_of(child.schema)
        if len(touched) > 1:
            raise PlanError(
                f'"{term.text}" is on the epochs of {" and ".join(touched)}, which do not belong together: reduce one, '
                f'such as "{touched[1]}.time.max()", or use one condition for each'
            )
        (epochs.setdefault(touched[0], []) if touched else rows).append(term)
    node = Filter(child, Predicate.together(rows)) if rows else child
    for nested, terms in epochs.items():
        condition = Predicate.together(terms)
        used = [other for other in epochs if other != nested and any(_is_of(c, other) for c in condition.columns)]
        if used:
            raise PlanError(
                f'"{condition.text}" depends on all epochs of {used[0]}, and "{predicate.text}" drops some of them: '
                f"use two queries, one after the other"
            )
        node = FilterEpochs(node, condition, nested)
    return node


def _is_of(column: str, nested: str) -> bool:
    return column.partition(".")[0] == nested


@dataclass(frozen=True, eq=False)
class Cut(Unary):
    """Rows inside a region of the sky."""

    region: Region

    def __post_init__(self) -> None:
        needs_positions(self.child, "a cut on the sky")

    @functools.cached_property
    def layout(self) -> Layout:
        """Pixels that touch the region."""
        child = self.child.layout
        return child.take(self._ranges.overlaps(child.starts, child.stops))

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The region, as far as the child has rows there."""
        return common(self.child.sky, self._ranges)

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """The region, as far as the child was not cut before."""
        return common(self.child.footprint, self._ranges)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the positions too, and let rows outside the region be left out."""
        asked = demand.plus(needs_positions(self.child, "a cut on the sky"))
        return (replace(asked, sky=common(demand.sky, self._ranges)),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Keep the rows inside."""
        ra, dec = (parts[0].table.column(c).to_numpy() for c in needs_positions(self.child, "a cut on the sky"))
        return parts[0].filter(self.region.contains(ra, dec))

    def identity(self) -> Mapping[str, Any]:
        """Return the region."""
        return {"region": repr(self.region)}

    @property
    def summary(self) -> str:
        """The region."""
        return f"cut {self.region}"

    @functools.cached_property
    def _ranges(self) -> Ranges:
        return self.region.ranges()


@dataclass(frozen=True, eq=False)
class Pick(Unary):
    """Some of the pixels."""

    pixels: Layout

    @functools.cached_property
    def layout(self) -> Layout:
        """The picked pixels."""
        return self.pixels

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """The picked pixels, as far as the child was not cut before."""
        return common(self.child.footprint, self.pixels.ranges)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the place too, where rows have one."""
        return (demand.plus([HEALPIX]) if self.child.positions is not None else demand,)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Keep the rows of the picked pixels: whoever matches with them asks for other pixels, and for halos, too."""
        if HEALPIX not in parts[0].table.column_names:
            return parts[0]
        return parts[0].filter(self.pixels.leaf_of(parts[0].table.column(HEALPIX).to_numpy()) >= 0)

    def identity(self) -> Mapping[str, Any]:
        """Return the pixels."""
        return {"pixels": [[p.order, p.number] for p in self.pixels]}

    @property
    def summary(self) -> str:
        """How many pixels."""
        return f"pick {len(self.pixels)} pixels"
