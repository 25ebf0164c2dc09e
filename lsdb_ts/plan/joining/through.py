"""The join through an association: pairs of rows that a table of links names. Links themselves are next door."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.rows.join import join_ids
from lsdb_ts.plan.demand import Demand, common
from lsdb_ts.plan.joining.join import check_how
from lsdb_ts.plan.joining.keys import Keys, ids_of, separations
from lsdb_ts.plan.joining.links import Links
from lsdb_ts.plan.matching.algorithm import Indices, Pairs
from lsdb_ts.plan.matching.reach import grown, in_reach
from lsdb_ts.plan.node import Node, needs_positions
from lsdb_ts.plan.sides.columns import Sides, TwoSided
from lsdb_ts.plan.sides.rows import Choice, counted, marked, of_left, of_pairs, taken, within
from lsdb_ts.schema import HEALPIX, require
from lsdb_ts.sky.align import align
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import MAX_ORDER, centre
from lsdb_ts.sky.sphere import separation_arcsec
from lsdb_ts.store.partition import Partition

SLACK_ARCSEC = 0.01
"""Separations in properties are rounded, and places of links computed by others: so much nearer is the same."""
_LINK = "link"


@dataclass(frozen=True, eq=False)
class Through(TwoSided):
    """Pairs of a left and a right row that a link names, at the left row's place, with the link's own columns.

    Attributes
    ----------
    sides : Sides
        The two sides and their columns.
    links : Links
        The association.
    max_separation_arcsec : float
        How far from its left row the right row of a link may lie: so much halo is asked of the right side.
    how : str
        ``inner`` or ``left``.
    """

    sides: Sides
    links: Links
    max_separation_arcsec: float
    how: str

    def __post_init__(self) -> None:
        check_how(self.how)
        told = self.links.association
        for node, named, ids in (
            (self.left, told.primary_on, told.primary_ids),
            (self.right, told.other_on, told.other_ids),
        ):
            require(node.schema, [named], node.name)
            Keys(named, ids, self._reach).check_types(node, self.links, "a join through an association")
            needs_positions(node, "a join through an association")
        twice = [c for c in self._own if c in self.sides.schema.names]
        if twice:
            raise PlanError(
                f'both the association {self.links.name} and the catalogs have a column "{twice[0]}": rename or drop '
                f"that of the catalog before the join"
            )

    @property
    def columns(self) -> Sides:
        """Those of both sides."""
        return self.sides

    @property
    def children(self) -> tuple[Node, ...]:
        """Left, links, right."""
        return self.left, self.links, self.right

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Left columns, right ones, then those of the link."""
        own = [self.links.schema.field(c).with_nullable(True) for c in self._own]
        return pa.schema([*self.sides.schema, *own])

    @functools.cached_property
    def layout(self) -> Layout:
        """Where there are left rows and links, the finest of all pixels; for a left join all of the left."""
        pixels = align(self.left.layout, self.links.layout, SLACK_ARCSEC, keep_unmatched=self.how == "left")
        # Where no right row is near there are no pairs, but links that lead nowhere are counted.
        return align(pixels, self.right.layout, self._reach, keep_unmatched=True)

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return those of the table the column is from."""
        return self.links.limits(column) if column in self._own else super().limits(column)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask all three for ids, the right side for a halo that holds the other ends of the links."""
        (mine, theirs), (rows, _) = self.sides.asked(demand.columns), self.sides.bounds(demand.rows)
        told, wanted = self.links.association, common(demand.sky, self.left.sky)
        link_rows = {told.primary_ids: rows[told.primary_on]} if told.primary_on in rows else {}
        asked = replace(demand, columns=(HEALPIX,), rows={})
        place = needs_positions(self.left, "a join"), needs_positions(self.right, "a join")
        left = replace(asked, rows=rows, sky=grown(demand.sky, SLACK_ARCSEC, demand))
        links = replace(asked, rows=link_rows, sky=grown(wanted, SLACK_ARCSEC, demand))
        right = replace(asked, sky=grown(wanted, self._reach, demand))
        own = [c for c in demand.columns if c in self._own]
        return (
            left.plus([told.primary_on, *place[0], *mine], halo_arcsec=SLACK_ARCSEC),
            links.plus([told.primary_ids, told.other_ids, *own], halo_arcsec=SLACK_ARCSEC),
            right.plus([told.other_on, *place[1], *theirs], halo_arcsec=self._reach),
        )

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Join the pixel."""
        left, links, right = parts
        linked, pairs = self._pairs(left.table, links.table, right.table)
        counts = self._counts(left, linked, pairs)
        left, pairs = within(in_reach(left, demand), left, pairs)
        matched = marked(len(left), pairs.left_rows)
        counts |= counted(left, right, pairs, matched, everyone=self.how == "left")
        rows = (of_left if self.how == "left" else of_pairs)(left, pairs, matched)
        columns = {HEALPIX: taken(left.table.column(HEALPIX), rows.left)}
        columns |= self.sides.taken(demand.columns, left.table, right.table, rows)
        named = Choice(pairs.added[_LINK])
        for name in self._own:
            if name in demand.columns:
                columns[name] = taken(pa.chunked_array([named.of(links.table.column(name))]), rows.pair)
        return Partition(pa.table(columns), rows.core, {self.name: counts})

    def _counts(self, left: Partition, linked: tuple[Indices, Indices], pairs: Pairs) -> dict[str, int]:
        """Count links, and those that lead nowhere, where their left row is core: so each is counted once."""
        ends = np.stack(linked, axis=1), np.stack([pairs.left_rows, pairs.added[_LINK]], axis=1)
        links, joined = (len(np.unique(rows[left.core[rows[:, 0]]], axis=0)) for rows in ends)
        return {"links": links, "right_missing": links - joined}

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters of the join."""
        return {
            "max_separation_arcsec": self.max_separation_arcsec,
            "how": self.how,
            "suffixes": list(self.sides.suffixes),
        }

    @property
    def summary(self) -> str:
        """The association and the kind."""
        return f'join {self.right.name} through {self.links.name}, within {self.max_separation_arcsec:g}", {self.how}'

    @property
    def _reach(self) -> float:
        return self.max_separation_arcsec + SLACK_ARCSEC

    @functools.cached_property
    def _own(self) -> tuple[str, ...]:
        told = self.links.association
        return tuple(c for c in self.links.schema.names if c not in (told.primary_ids, told.other_ids))

    def _linked(self, left: pa.Table, links: pa.Table) -> tuple[Indices, Indices]:
        """Return the pairs of left rows and links: of rows that share an id, a link is of the one it lies at."""
        told = self.links.association
        (mine, no_id), (named, nor_id) = ids_of(left, told.primary_on), ids_of(links, told.primary_ids)
        left_rows, link_rows = join_ids(mine, named)
        kept = ~no_id[left_rows] & ~nor_id[link_rows]
        left_rows, link_rows = left_rows[kept], link_rows[kept]
        places = [t.column(HEALPIX).to_numpy()[r] for t, r in ((left, left_rows), (links, link_rows))]
        off = np.flatnonzero(places[0] != places[1])
        apart = separation_arcsec(*(x for place in places for x in centre(place[off], MAX_ORDER)))
        here = np.ones(left_rows.size, dtype=bool)
        here[off] = apart <= SLACK_ARCSEC
        return left_rows[here], link_rows[here]

    def _pairs(self, left: pa.Table, links: pa.Table, right: pa.Table) -> tuple[tuple[Indices, Indices], Pairs]:
        """Return the left rows and links that belong together, and the pairs they make, each with its link."""
        told = self.links.association
        linked = self._linked(left, links)
        (named, nor_id), (theirs, no_id) = ids_of(links, told.other_ids), ids_of(right, told.other_on)
        first, right_rows = join_ids(named[linked[1]], theirs)
        left_rows, link_rows = linked[0][first], linked[1][first]
        apart = separations((self.left, left, left_rows), (self.right, right, right_rows))
        kept = (apart <= self._reach) & ~nor_id[link_rows] & ~no_id[right_rows]
        return linked, Pairs(left_rows, right_rows, apart, {_LINK: link_rows}).take(kept)
