"""The nesting node: child rows become light curves of their parents, joined by id. Grouping is a kernel."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.errors import IdError, PlanError
from lsdb_ts.kernels.rows.nest import find_parents, group_owned
from lsdb_ts.plan.demand import Demand, common
from lsdb_ts.plan.joining.held import Held
from lsdb_ts.plan.joining.keys import Keys, ids_of
from lsdb_ts.plan.matching.reach import grown, in_reach
from lsdb_ts.plan.sides.columns import TwoSided
from lsdb_ts.plan.sides.nested import Nested
from lsdb_ts.plan.sides.rows import Choice, marked
from lsdb_ts.schema import HEALPIX, Roles, plain, with_role
from lsdb_ts.sky.align import align_outer
from lsdb_ts.sky.layout import Layout
from lsdb_ts.store.partition import Partition


@dataclass(frozen=True, eq=False)
class Nest(TwoSided):
    """Each left row with the right rows that name its id, as one nested column.

    A child belongs to a parent if it names its id *and* lies within ``max_separation_arcsec`` of it; so both sides are
    asked for that much halo, the result does not depend on the layouts, and every child row is either nested or counted
    as an orphan. Where the left side was cut to a part of the sky, only that part is asked of the right side, and only
    orphans there are counted.

    Attributes
    ----------
    curves : Nested
        Parents and children, and their columns.
    keys : Keys
        The parents' id on both sides, and how far from its parent a child may lie.
    how : str
        ``left`` keeps parents without children, with an empty curve; ``inner`` drops them.
    """

    curves: Nested
    keys: Keys
    how: str = "left"

    def __post_init__(self) -> None:
        if self.how not in ("left", "inner"):
            raise PlanError(f'how="{self.how}": a nesting is "left" (all left rows) or "inner" (those with children)')
        self.keys.check(self.left, self.right, "nest")

    @property
    def columns(self) -> Nested:
        """The parents' and the nested one."""
        return self.curves

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The parents' and the nested one; the key is the parents' id, where no other column is."""
        schema = self.curves.schema
        if Roles.find(self.left.schema).id is not None:
            return schema
        key = schema.get_field_index(self.keys.left)
        return schema.set(key, with_role(schema.field(key), "id"))

    @functools.cached_property
    def layout(self) -> Layout:
        """All sky of both sides, where only the right has rows they are counted as orphans; of a cut, that sky."""
        pixels = align_outer(self.left.layout, self.right.layout)
        return pixels if self.footprint is None else pixels.take(self.footprint.overlaps(pixels.starts, pixels.stops))

    @property
    def count(self) -> int | None:
        """The parents, where all are kept."""
        return self.left.count if self.how == "left" else None

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask both sides for ids and positions, and for a halo in which the other half of any pair may lie."""
        mine, theirs = self.curves.asked(demand.columns)
        wide, needed = self.keys.reach_arcsec, self.keys.columns(self.left, self.right)
        # No row is skipped for its values: children of a parent that was left out would count as orphans.
        asked = replace(demand, columns=(HEALPIX,), rows={})
        parents = replace(asked, sky=grown(demand.sky, wide, demand))
        children = replace(asked, sky=grown(common(demand.sky, self.footprint), wide, demand))
        return (
            parents.plus([*needed[0], *mine], halo_arcsec=wide),
            children.plus([*needed[1], *self._sorting, *theirs], halo_arcsec=wide),
        )

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Nest the pixel."""
        left, right = parts
        owner = self._owners(left.table, right.table)
        counts = self._counts(demand, left, right, owner)
        wanted = in_reach(left, demand)
        if self.how == "inner":
            wanted &= marked(len(left), owner[owner >= 0])
        table = self._nested(demand, left.table, right.table, (owner, wanted))
        return Partition(table, left.core[wanted], {self.curves.nested: counts})

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters of the nesting."""
        return {
            "on": self.keys.left,
            "name": self.curves.nested,
            "max_separation_arcsec": self.keys.max_separation_arcsec,
            "how": self.how,
        }

    @property
    def summary(self) -> str:
        """Key and name."""
        inner = ", inner" if self.how == "inner" else ""
        return f"nest {self.right.name} as {self.curves.nested} {self.keys.summary}{inner}"

    @functools.cached_property
    def _sorting(self) -> tuple[str, ...]:
        """The columns children are sorted by: the time, if the right side has one, then what decides between equals."""
        schema = self.right.schema
        time = Roles.of(schema).time or Roles.guess(schema.names).time
        key = Roles.of(schema).id
        return tuple(c for c in (time, key) if c is not None) if time else ()

    def _owners(self, parents: pa.Table, children: pa.Table) -> NDArray[np.int64]:
        """Return for each child the row of its parent, or -1."""
        self._check_unique(parents)
        ids, _ = ids_of(parents, self.keys.left)
        named, nameless = ids_of(children, self.keys.right)
        owner = find_parents(ids, named)
        owner[nameless] = -1
        owned = np.flatnonzero(owner >= 0)
        apart = self.keys.separations((self.left, parents, owner[owned]), (self.right, children, owned))
        owner[owned[apart > self.keys.reach_arcsec]] = -1
        return owner

    def _nested(
        self,
        demand: Demand,
        parents: pa.Table,
        children: pa.Table,
        belonging: tuple[NDArray[np.int64], NDArray[np.bool_]],
    ) -> pa.Table:
        """Return the parents that are wanted, with the curves of their children."""
        owner, wanted = belonging
        position = np.where(wanted, np.cumsum(wanted) - 1, -1)
        kept = np.flatnonzero(owner >= 0)
        kept = kept[wanted[owner[kept]]]
        keys = [_sortable(children.column(c))[kept] for c in self._sorting]
        order, offsets = group_owned(position[owner[kept]], int(wanted.sum()), *keys)
        rows = Choice(kept[order])
        mine = parents.filter(pa.array(wanted))
        return self.curves.beside(mine, demand.columns, np.diff(offsets), lambda c: rows.of(children.column(c)))

    def _counts(self, demand: Demand, left: Partition, right: Partition, owner: NDArray[np.int64]) -> dict[str, int]:
        """Count children by their parents, and orphans where they lie; over all pixels each is counted once.

        Children without positions lie nowhere: only those with a parent are counted.
        """
        if isinstance(self.right, Held):
            return {"nested": int(left.core[owner[owner >= 0]].sum())}
        looked_at = common(demand.sky, self.footprint)
        parents, orphans = left.core, right.core & (owner < 0)
        if looked_at is not None:
            parents = parents & looked_at.contains(left.table.column(HEALPIX).to_numpy())
            orphans = orphans & looked_at.contains(right.table.column(HEALPIX).to_numpy())
        nested = int(parents[owner[owner >= 0]].sum())
        alone = int(orphans.sum())
        return {"children": nested + alone, "nested": nested, "orphans": alone}

    def _check_unique(self, parents: pa.Table) -> None:
        """Raise IdError where a parent has no id, or two have the same."""
        ids, missing = ids_of(parents, self.keys.left)
        if missing.any():
            raise IdError(f"{self.left.name}: {missing.sum()} rows have no {self.keys.left}: drop them before nesting")
        ids = np.sort(ids)
        twice = ids[1:][ids[1:] == ids[:-1]]
        if twice.size:
            raise IdError(
                f"{self.left.name}: {self.keys.left}={twice[0]} stands in more than one row, so its light curve has no "
                f"single owner: remove the duplicates, or nest on a column that is unique"
            )


def _sortable(column: pa.ChunkedArray) -> NDArray[np.generic]:
    """Return numbers that sort as a column does, missing values last."""
    if pa.types.is_floating(column.type) or (pa.types.is_integer(column.type) and not column.null_count):
        return np.asarray(column.to_numpy())
    ranks = pc.rank(column.cast(plain(column.type)).combine_chunks(), tiebreaker="dense")
    return np.asarray(ranks.to_numpy())
