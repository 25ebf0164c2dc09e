"""Two sides of a match and what pairs them: which sky either is asked for, and the pairs of one pixel.

What becomes of the pairs, the nodes of matches decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.matching.match import Positions
from lsdb_ts.plan.demand import Demand, common
from lsdb_ts.plan.forecast import Forecast, partners_of
from lsdb_ts.plan.matching.algorithm import Algorithm, Decided, Indices, Pairs, Ranked, Side
from lsdb_ts.plan.matching.motion import Motion
from lsdb_ts.plan.matching.reach import grown, grown_whole
from lsdb_ts.plan.node import Node, check, expanded, needs_positions
from lsdb_ts.schema import HEALPIX, require
from lsdb_ts.sky.align import align, align_outer
from lsdb_ts.sky.halo import dilated
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import pixel_area_arcsec2, spatial_index
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import Partition
from lsdb_ts.store.read import Bounds

Kept = Literal["pairs", "left", "right", "both"]
"""Which rows are kept where they have no partner: none, the left ones, the right ones, both."""

_STEPS: Mapping[tuple[Decided, bool], tuple[int, int]] = {
    ("pair", False): (0, 1),
    ("pair", True): (1, 1),
    ("left", False): (0, 1),
    ("left", True): (1, 2),
    ("mutual", False): (2, 1),
    ("mutual", True): (2, 2),
    ("around", False): (2, 2),
    ("around", True): (2, 2),
}
"""How many radii beyond what is wanted left and right rows matter, by what decides a pair, and by whether right rows
without a partner are kept.

A left row needs the right rows around it: (0, 1). That a right row has no partner is known with the left rows around it
and, if those choose the nearest, the right rows around them: (1, 2). For a mutual best the left rows around a left
row's partner count, too: (2, 1)."""


@dataclass(frozen=True, eq=False)
class Pairing:
    """Two sides and what pairs them.

    Attributes
    ----------
    left, right : Node
        The sides.
    algorithm : Algorithm
        What finds the pairs.
    motions : (Motion or None, Motion or None)
        How either side moves to the epoch of the match.
    """

    left: Node
    right: Node
    algorithm: Algorithm
    motions: tuple[Motion | None, Motion | None] = (None, None)

    def __post_init__(self) -> None:
        needs_positions(self.left, "a crossmatch")
        needs_positions(self.right, "a crossmatch")
        require(self.left.schema, self.algorithm.left_columns, self.left.name)
        require(self.right.schema, self.algorithm.right_columns, self.right.name)

    @property
    def reach_arcsec(self) -> float:
        """How far apart two partners may lie where their catalogs have them."""
        return float(self.algorithm.radius_arcsec + sum(m.reach_arcsec for m in self.motions if m is not None))

    def layout(self, kept: Kept) -> Layout:
        """Return the pixels of a match: the finer of the two sides, wherever there may be a row of the result."""
        left, right, reach, sky = self.left.layout, self.right.layout, self.reach_arcsec, self.sky(kept)
        if kept in ("pairs", "left"):
            return align(left, right, reach, keep_unmatched=kept == "left", sky=sky)
        pixels = align_outer(left, right)
        if kept == "right":
            # A pair lies where its left row does, which may be beyond the right side's pixels.
            pixels = pixels.take(dilated(right, reach).overlaps(pixels.starts, pixels.stops))
        return pixels if sky is None else pixels.take(sky.overlaps(pixels.starts, pixels.stops))

    def sky(self, kept: Kept) -> Ranges | None:
        """Return the sky of a match's rows, as far as it is known."""
        left, right = self.left.sky, self.right.sky
        if kept == "left":
            return left
        if kept == "pairs":
            return common(left, grown_whole(right, self.reach_arcsec))
        if right is None or (left is None and kept == "both"):
            return None
        if kept == "right":
            return grown_whole(right, self.reach_arcsec)
        assert left is not None
        return Ranges.of(np.append(left.starts, right.starts), np.append(left.stops, right.stops))

    def widened(self, kept: Kept) -> tuple[float, float]:
        """Return by how many arcsec each side's halo is wider than the result's."""
        left, right = _STEPS[self.algorithm.decided, kept in ("right", "both")]
        return left * self.reach_arcsec, right * self.reach_arcsec

    def demands(
        self, demand: Demand, kept: Kept, columns: tuple[Sequence[str], Sequence[str]], rows: tuple[Bounds, Bounds]
    ) -> tuple[Demand, Demand]:
        """Ask both sides for their columns and positions, for the halo they need, and for the sky that matters.

        Parameters
        ----------
        demand : Demand
            What is asked of the match.
        kept : str
            Which rows are kept where they have no partner.
        columns, rows : pair of sequences, pair of Bounds
            What is asked of either side, in its own names.
        """
        asked = []
        halos, skies = self.widened(kept), self._skies(demand, kept)
        needed = self.algorithm.left_columns, self.algorithm.right_columns
        for i, node in enumerate((self.left, self.right)):
            motion = self.motions[i]
            mine = (
                HEALPIX,
                *needs_positions(node, "a crossmatch"),
                *expanded(node.schema, needed[i]),
                *(motion.columns if motion else ()),
            )
            plain = replace(demand, columns=(), rows=rows[i], sky=skies[i])
            asked.append(plain.plus([*mine, *columns[i]], halo_arcsec=halos[i]))
        return asked[0], asked[1]

    def partners(self, demand: Demand, left: Forecast, right: Forecast) -> float:
        """Return how many partners a left row of a pixel is expected to have: its counterpart, and others by chance."""
        area = pixel_area_arcsec2(demand.pixel.order)
        return self.algorithm.partners(*partners_of(left, right, self.algorithm.radius_arcsec, area))

    def pairs(self, left: Partition, right: Partition) -> Pairs:
        """Find the pairs of a pixel and its halo, by left row."""
        mine, left_rows = self._side(self.left, left.table, self.motions[0], self.algorithm.left_columns)
        theirs, right_rows = self._side(self.right, right.table, self.motions[1], self.algorithm.right_columns)
        found = self.algorithm.pairs(mine, theirs)
        if not isinstance(self.algorithm, Ranked):
            _check(self.algorithm, found, len(left), len(right))
        if left_rows is None and right_rows is None:
            return found
        here = found.left_rows if left_rows is None else left_rows[found.left_rows]
        there = found.right_rows if right_rows is None else right_rows[found.right_rows]
        by_row = np.argsort(here, kind="stable")
        return replace(found, left_rows=here, right_rows=there).take(by_row)

    def identity(self) -> Mapping[str, Any]:
        """Return algorithm and motions."""
        motions = {side: m.identity() for side, m in zip(("left", "right"), self.motions, strict=True) if m is not None}
        return {"algorithm": self.algorithm.identity(), **({"motions": motions} if motions else {})}

    @property
    def summary(self) -> str:
        """The algorithm, and the epoch."""
        epochs = [f" at {motion.epoch:g}" for motion in self.motions if motion is not None]
        return f"{self.algorithm.summary}{epochs[0] if epochs else ''}"

    def _side(
        self, node: Node, table: pa.Table, motion: Motion | None, columns: tuple[str, ...]
    ) -> tuple[Side, Indices | None]:
        """Return one side as algorithms see it and, where it was sorted anew, the row each of its rows has."""
        ra, dec = (table.column(name).to_numpy() for name in needs_positions(node, "a crossmatch"))
        given = table.select(dict.fromkeys(c if c in table.column_names else c.partition(".")[0] for c in columns))
        if motion is None:
            return Side(Positions.of(table.column(HEALPIX).to_numpy(), ra, dec), given), None
        ra, dec = motion.moved(table, ra, dec)
        place = spatial_index(ra, dec)
        order = np.argsort(place, kind="stable")
        sorted_table = given.take(pa.array(order)) if columns else given
        return Side(Positions.of(place[order], ra[order], dec[order]), sorted_table), order

    def _skies(self, demand: Demand, kept: Kept) -> tuple[Ranges | None, Ranges | None]:
        """Return the sky of either side in which rows matter."""
        reach, (left, right) = self.reach_arcsec, self.widened(kept)
        widest = max(left, right)
        mine = grown(demand.sky, left, demand, widest)
        theirs = grown(demand.sky, right, demand, widest)
        # Rows of one side matter near those of the other that are asked for, which are no farther out than their halo.
        if kept in ("pairs", "right"):
            mine = common(mine, grown(self.right.sky, max(left, reach), demand, right))
        if kept in ("pairs", "left"):
            theirs = common(theirs, grown(self.left.sky, right, demand, left))
        return mine, theirs


def check_halos(node: Node) -> None:
    """Raise PlanError if a side of a match cannot give the halo that the match needs of it, whatever the pixel."""
    check(node, Demand((), Layout.of_arrays([], [])))


def _check(algorithm: Algorithm, pairs: Pairs, n_left: int, n_right: int) -> None:
    """Raise PlanError if an algorithm of a user's own broke the protocol: its result would depend on the layouts."""
    rows, name = (pairs.left_rows, pairs.right_rows), type(algorithm).__name__
    if any(r.size and not (r.min() >= 0 and r.max() < n) for r, n in zip(rows, (n_left, n_right), strict=True)):
        raise PlanError(f"{name}.pairs gave rows that are not there: need numbers of rows of either side")
    if (np.diff(rows[0]) < 0).any():
        raise PlanError(f"{name}.pairs gave pairs out of order: need them by left row, as np.lexsort makes them")
    # Rounding may put a pair that is exactly that far apart a little beyond.
    if len(pairs) and pairs.separation_arcsec.max() > algorithm.radius_arcsec * (1 + 1e-9) + 1e-9:
        raise PlanError(
            f"{name}.pairs gave a pair {pairs.separation_arcsec.max():g} arcsec apart, beyond its radius_arcsec="
            f"{algorithm.radius_arcsec:g}: rows farther than that are not read at a partition's edge"
        )
    missing = {f.name for f in algorithm.added} - set(pairs.added)
    if missing:
        raise PlanError(f'{name}.pairs did not give the column "{min(missing)}" that it declares in added')
