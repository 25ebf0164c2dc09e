"""The crossmatch node: what becomes of the pairs of two catalogs. Which rows are pairs, an algorithm finds."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.forecast import Forecast, pairs_of
from lsdb_ts.plan.matching.algorithm import Pairs
from lsdb_ts.plan.matching.motion import check_frames
from lsdb_ts.plan.matching.pairing import Kept, Pairing, check_halos
from lsdb_ts.plan.matching.reach import in_reach
from lsdb_ts.plan.node import needs_positions
from lsdb_ts.plan.sides.columns import Sides, TwoSided
from lsdb_ts.plan.sides.rows import Rows, counted, marked, of_either, of_left, of_pairs, of_some, taken, within
from lsdb_ts.schema import HEALPIX, with_role, with_unit, without_astrometry
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import Partition
from lsdb_ts.store.read import Bounds

DISTANCE = "_dist_arcsec"
PLACE = ("_ra", "_dec")
"""Positions of rows that may come from either side."""

_KEPT: Mapping[str, Kept] = {
    "inner": "pairs",
    "left": "left",
    "right": "right",
    "outer": "both",
    "semi": "pairs",
    "anti": "left",
}
_HOW = """a crossmatch is "inner" (pairs), "left", "right" or "outer" (pairs, and the rows of that side, or of both,
without a partner), "semi" (left rows with a partner) or "anti" (left rows without)""".replace("\n", " ")


@dataclass(frozen=True)
class Naming:
    """What the columns of a match are called.

    Attributes
    ----------
    suffixes : (str, str)
        For names of the left and the right side that stand on both.
    tail : str
        Follows the names of the columns that the match adds.
    shared : frozenset of str
        Further names of either side that get its suffix.
    """

    suffixes: tuple[str, str]
    tail: str = ""
    shared: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Match(TwoSided):
    """Pairs of rows of two catalogs and, on request, rows without a partner.

    A pair lies where its left row lies, a right row without a partner at its own place. Either side is asked for as
    much halo as it takes that no pair is lost at an edge and that the result itself can serve a halo.
    """

    pairing: Pairing
    how: str
    naming: Naming

    def __post_init__(self) -> None:
        if self.how not in _KEPT:
            raise PlanError(f'how="{self.how}": {_HOW}; {did_you_mean(self.how, _KEPT)}')
        _ = self.columns
        check_frames(self.left, self.right)
        check_halos(self)

    @functools.cached_property
    def columns(self) -> Sides:
        """Those of both sides; ``semi`` and ``anti`` keep the left ones only."""
        left, right, names = self.pairing.left, self.pairing.right, self.naming
        if not self._has_right:
            return Sides(left, right, names.suffixes, merged=tuple(right.schema.names))
        return Sides(left, right, names.suffixes, added=self._added, shared=names.shared)

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Left columns, right columns, separation, what the algorithm adds, and positions where both sides give them.

        Only names that stand on both sides get a suffix. ``semi`` and ``anti`` keep the left columns only.
        """
        if not self._has_right:
            return self.left.schema
        both = self.columns.schema
        added = [with_unit(pa.field(DISTANCE, pa.float64()), "arcsec"), *self.pairing.algorithm.added]
        place = []
        if self._either_side:
            both = [f.with_nullable(True) for f in without_astrometry(both)]
            place = [with_role(with_unit(pa.field(f"_{role}", pa.float64()), "deg"), role) for role in ("ra", "dec")]
        named = [f.with_name(f.name + self.naming.tail) for f in added]
        return pa.schema([*both, *named, *place])

    @functools.cached_property
    def layout(self) -> Layout:
        """The finer of the two sides, wherever there may be a row of the result."""
        return self.pairing.layout(_KEPT[self.how])

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The sky of the rows that are kept."""
        return self.pairing.sky(_KEPT[self.how])

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """The sky the left rows were cut to, where all rows are left ones."""
        return self.left.footprint if _KEPT[self.how] in ("pairs", "left") else None

    @property
    def count(self) -> int | None:
        """The left rows, where each of them stands in the result once."""
        return self.left.count if self.how == "left" and self.pairing.algorithm.single else None

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return those of the side the column is of; for positions of either side, what spans both."""
        if self._has_right and column == DISTANCE + self.naming.tail:
            return 0.0, float(self.pairing.algorithm.radius_arcsec)
        if self._either_side and column in PLACE:
            i = PLACE.index(column)
            bounds = [node.limits(needs_positions(node, "a crossmatch")[i]) for node in self.children]
            known = [b for b in bounds if b is not None]
            return (min(b[0] for b in known), max(b[1] for b in known)) if len(known) == 2 else None
        return super().limits(column)

    @property
    def positions(self) -> tuple[str, str] | None:
        """The left positions, or those of either side."""
        return PLACE if self._either_side else super().positions

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask each side for its columns and positions, and for the halo in which what decides its pairs may lie."""
        asked = self.columns.asked(demand.columns)
        return self.pairing.demands(demand, _KEPT[self.how], asked, self._skippable(demand))

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Return the pairs that the densities of both sides make likely."""
        left, right = parts
        partners = self.pairing.partners(demand, left, right)
        if not self._has_right:
            return replace(left, disk=0.0, rows=left.rows * (min(partners, 1.0) if self.how == "semi" else 1.0))
        return pairs_of(left, right, partners, (self.how in ("left", "outer"), self._either_side))

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Match the pixel."""
        left, right = parts
        pairs = self.pairing.pairs(left, right)
        partnered = marked(len(right), pairs.right_rows) if self._either_side else None
        if self.pairing.widened(_KEPT[self.how])[0]:
            left, pairs = within(in_reach(left, demand), left, pairs)
        matched = marked(len(left), pairs.left_rows)
        counts = counted(left, right, pairs, matched, everyone=_KEPT[self.how] in ("left", "both"))
        if partnered is not None:
            counts |= {"right_rows": int(right.core.sum()), "right_unmatched": int((right.core & ~partnered).sum())}
        rows = self._rows(
            left, right, pairs, matched, None if partnered is None else ~partnered & in_reach(right, demand)
        )
        return Partition(self._joined(demand, left.table, right.table, pairs, rows), rows.core, {self.name: counts})

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters of the match."""
        names = self.naming
        naming = {"suffixes": list(names.suffixes), "tail": names.tail, "shared": sorted(names.shared)}
        return {**self.pairing.identity(), "how": self.how, **naming}

    @property
    def summary(self) -> str:
        """Algorithm and kind."""
        return f"match {self.pairing.summary}, {self.how}"

    @property
    def _has_right(self) -> bool:
        return self.how not in ("semi", "anti")

    @property
    def _either_side(self) -> bool:
        return self.how in ("right", "outer")

    @functools.cached_property
    def _added(self) -> tuple[str, ...]:
        """Names that the result has beside those of the two sides."""
        added = (DISTANCE, *(f.name for f in self.pairing.algorithm.added))
        return tuple(name + self.naming.tail for name in added) + (PLACE if self._either_side else ())

    def _skippable(self, demand: Demand) -> tuple[Bounds, Bounds]:
        """Return the bounds on rows that either side may be told.

        A left row that does not matter may be left out unless others are compared with it, or its partner would then
        stand alone. A right row that is left out changes who is nearest; where all are taken, it changes nothing,
        unless its partner would then stand alone.
        """
        decided = self.pairing.algorithm.decided
        left = decided in ("pair", "left") and not self._either_side
        right = decided == "pair" and self.how in ("inner", "right")
        mine, theirs = self.columns.bounds(demand.rows)
        return mine if left else {}, theirs if right else {}

    def _rows(
        self,
        left: Partition,
        right: Partition,
        pairs: Pairs,
        matched: NDArray[np.bool_],
        alone: NDArray[np.bool_] | None,
    ) -> Rows:
        """Say which rows of either side the result has; ``alone`` tells it of right rows that nobody matched."""
        if self.how in ("semi", "anti"):
            return of_some(left, matched if self.how == "semi" else ~matched)
        if alone is None:
            return of_pairs(left, pairs, matched) if self.how == "inner" else of_left(left, pairs, matched)
        return of_either(left, right, pairs, ~matched if self.how == "outer" else np.zeros(len(left), bool), alone)

    def _joined(self, demand: Demand, left: pa.Table, right: pa.Table, pairs: Pairs, rows: Rows) -> pa.Table:
        """Return the demanded columns of the rows."""
        columns: dict[str, Any] = {}
        if self._either_side and rows.left is not None:
            mine, theirs = ((HEALPIX, *needs_positions(node, "a crossmatch")) for node in self.children)
            for name, own, other in zip((HEALPIX, *PLACE), mine, theirs, strict=True):
                if name == HEALPIX or name in demand.columns:
                    columns[name] = rows.left.or_else(left.column(own), rows.right, right.column(other))
        else:
            columns[HEALPIX] = taken(left.column(HEALPIX), rows.left)
        columns |= self.columns.taken(demand.columns, left, right, rows)
        for added, values in {DISTANCE: pairs.separation_arcsec, **pairs.added}.items():
            name = added + self.naming.tail
            if name in self.columns.added and name in demand.columns:
                columns[name] = taken(pa.chunked_array([pa.array(values)]), rows.pair)
        return pa.table(columns)
