"""The crossmatch node: what becomes of the pairs of two catalogs. Which rows are pairs, an algorithm finds."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.forecast import Forecast, pairs_of
from lsdb_ts.plan.matching.algorithm import Pairs
from lsdb_ts.plan.matching.matched import Choice, Rows, marked, of_either, of_left, of_pairs, taken
from lsdb_ts.plan.matching.motion import check_frames
from lsdb_ts.plan.matching.pairing import Kept, Pairing, check_halos
from lsdb_ts.plan.matching.reach import in_reach
from lsdb_ts.plan.node import Node, needs_positions
from lsdb_ts.schema import HEALPIX, with_astrometry, with_role, with_unit, without_astrometry, without_role
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
class Match(Node):
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
        check_frames(self.left, self.right)
        if len(self.naming.suffixes) != 2 or not all(isinstance(s, str) for s in self.naming.suffixes):
            raise PlanError(f"suffixes={self.naming.suffixes!r}: need one for the left side and one for the right")
        names = [*self._left_names.values(), *self._right_names.values(), *(self._added if self._has_right else ())]
        twice = [n for n in names if names.count(n) > 1]
        if twice:
            raise PlanError(
                f'the column "{twice[0]}" would stand twice in {self.name}: choose other suffixes than '
                f"{self.naming.suffixes}, or select fewer columns before the match"
            )
        check_halos(self)

    @property
    def left(self) -> Node:
        """The left side."""
        return self.pairing.left

    @property
    def right(self) -> Node:
        """The right side."""
        return self.pairing.right

    @property
    def children(self) -> tuple[Node, ...]:
        """Left and right."""
        return self.left, self.right

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Left columns, right columns, separation, what the algorithm adds, and positions where both sides give them.

        Only names that stand on both sides get a suffix. ``semi`` and ``anti`` keep the left columns only.
        """
        if not self._has_right:
            return self.left.schema
        # The rows are left rows: their roles hold, those of the right side would stand beside them.
        mine = without_astrometry(self.left.schema) if self._either_side else with_astrometry(self.left.schema)
        left = [f.with_name(self._left_names[f.name]) for f in mine]
        right = [without_role(f).with_name(self._right_names[f.name]).with_nullable(True) for f in self.right.schema]
        added = [with_unit(pa.field(DISTANCE, pa.float64()), "arcsec"), *self.pairing.algorithm.added]
        place = []
        if self._either_side:
            left = [f.with_nullable(True) for f in left]
            place = [with_role(with_unit(pa.field(f"_{role}", pa.float64()), "deg"), role) for role in ("ra", "dec")]
        named = [f.with_name(f.name + self.naming.tail) for f in added]
        return pa.schema([*left, *right, *named, *place])

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
        for node, names in zip(self.children, (self._left_names, self._right_names), strict=True):
            found = _back([column], names)
            if found:
                return node.limits(found[0])
        return None

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.left.name}_x_{self.right.name}"

    @functools.cached_property
    def positions(self) -> tuple[str, str]:
        """The left positions, or those of either side."""
        if self._either_side:
            return PLACE
        ra, dec = needs_positions(self.left, "a crossmatch")
        return self._left_names[ra], self._left_names[dec]

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask each side for its columns and positions, and for the halo in which what decides its pairs may lie."""
        columns = _back(demand.columns, self._left_names), _back(demand.columns, self._right_names)
        return self.pairing.demands(demand, _KEPT[self.how], columns, self._skippable(demand))

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
        left, pairs = self._trimmed(demand, left, pairs)
        matched = marked(len(left), pairs.left_rows)
        account = {self.name: self._counts(left, right, pairs, matched, partnered)}
        if not self._has_right:
            own = left.table.select([HEALPIX, *_named(left.table, self._left_names, demand)])
            kept = Choice(np.flatnonzero(matched if self.how == "semi" else ~matched))
            table = pa.table({name: kept.of(own.column(name)) for name in own.column_names})
            return Partition(table, left.core[kept.rows], account)
        if self.how == "inner":
            rows = of_pairs(left, pairs, matched)
        elif self.how == "left":
            rows = of_left(left, pairs, matched)
        else:
            alone = np.flatnonzero(~matched) if self.how == "outer" else np.empty(0, np.int64)
            wanted = in_reach(right, demand)
            assert partnered is not None
            rows = of_either(left, right, pairs, alone, np.flatnonzero(~partnered & wanted))
        return Partition(self._joined(demand, left.table, right.table, pairs, rows), rows.core, account)

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

    @functools.cached_property
    def _left_names(self) -> Mapping[str, str]:
        # The left positions are the result's, even where they were not selected: they can still be asked for.
        names = dict.fromkeys([*self.left.schema.names, *needs_positions(self.left, "a crossmatch")])
        if not self._has_right:
            return {n: n for n in names}
        others = {*self.right.schema.names, *self._added, *self.naming.shared}
        return _suffixed(names, others, self.naming.suffixes[0])

    @functools.cached_property
    def _right_names(self) -> Mapping[str, str]:
        if not self._has_right:
            return {}
        others = {*self.left.schema.names, *self._added, *self.naming.shared}
        return _suffixed(self.right.schema.names, others, self.naming.suffixes[1])

    def _skippable(self, demand: Demand) -> tuple[Bounds, Bounds]:
        """Return the bounds on rows that either side may be told.

        A left row that does not matter may be left out unless others are compared with it, or its partner would then
        stand alone. A right row that is left out changes who is nearest; where all are taken, it changes nothing,
        unless its partner would then stand alone.
        """
        decided = self.pairing.algorithm.decided
        left = decided in ("pair", "left") and not self._either_side
        right = decided == "pair" and self.how in ("inner", "right")
        mine = {**self._left_names, HEALPIX: HEALPIX} if left else {}
        theirs = self._right_names if right else {}
        return _translated(demand.rows, mine), _translated(demand.rows, theirs)

    def _trimmed(self, demand: Demand, left: Partition, pairs: Pairs) -> tuple[Partition, Pairs]:
        """Drop left rows that were read only to decide on pairs."""
        if not self.pairing.widened(_KEPT[self.how])[0]:
            return left, pairs
        wanted = in_reach(left, demand)
        if wanted.all():
            return left, pairs
        pairs = pairs.take(wanted[pairs.left_rows])
        return left.filter(wanted), replace(pairs, left_rows=(np.cumsum(wanted) - 1)[pairs.left_rows])

    def _counts(
        self, left: Partition, right: Partition, pairs: Pairs, matched: NDArray[np.bool_], partnered: Any
    ) -> dict[str, int]:
        """Count what is in the pixel itself; ``partnered`` tells it of right rows, where they are kept."""
        here = left.core[pairs.left_rows]
        counts = {"left_rows": left.core, "matched": left.core & matched, "unmatched": left.core & ~matched}
        counts |= {"pairs": here, "pairs_from_halo": here & ~right.core[pairs.right_rows]}
        if partnered is not None:
            counts |= {"right_rows": right.core, "right_unmatched": right.core & ~partnered}
        return {name: int(np.count_nonzero(mask)) for name, mask in counts.items()}

    def _joined(self, demand: Demand, left: pa.Table, right: pa.Table, pairs: Pairs, rows: Rows) -> pa.Table:
        """Return the demanded columns of the rows."""
        columns: dict[str, Any] = {}
        mine, theirs = ((HEALPIX, *needs_positions(node, "a crossmatch")) for node in self.children)
        for name, own, other in zip((HEALPIX, *PLACE), mine, theirs, strict=True):
            if name not in demand.columns or (name != HEALPIX and not self._either_side):
                continue
            if self._either_side and rows.left is not None:
                columns[name] = rows.left.or_else(left.column(own), rows.right, right.column(other))
            else:
                columns[name] = taken(left.column(own), rows.left)
        for name in _named(left, self._left_names, demand):
            columns[self._left_names[name]] = taken(left.column(name), rows.left)
        for name in _named(right, self._right_names, demand):
            columns[self._right_names[name]] = taken(right.column(name), rows.right)
        added = {DISTANCE: pairs.separation_arcsec, **pairs.added}
        for name, values in added.items():
            if name + self.naming.tail in demand.columns:
                columns[name + self.naming.tail] = taken(pa.chunked_array([pa.array(values)]), rows.pair)
        return pa.table(columns or {HEALPIX: taken(left.column(HEALPIX), rows.left)})


def _suffixed(names: Iterable[str], others: set[str], suffix: str) -> dict[str, str]:
    return {n: n + suffix if n in others else n for n in names}


def _named(table: pa.Table, names: Mapping[str, str], demand: Demand) -> list[str]:
    """Return the columns of one side that are demanded, in the table's order."""
    wanted = {*demand.columns, *(c.partition(".")[0] for c in demand.columns)}
    return [n for n in table.column_names if names.get(n) in wanted]


def _back(columns: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Translate demanded columns back to the names of one side."""
    back = {new: old for old, new in names.items()}
    found = []
    for column in columns:
        base, dot, part = column.partition(".")
        if column in back:
            found.append(back[column])
        elif dot and base in back:
            found.append(f"{back[base]}.{part}")
    return tuple(found)


def _translated(rows: Bounds, names: Mapping[str, str]) -> Bounds:
    return {old: rows[new] for old, new in names.items() if new in rows}
