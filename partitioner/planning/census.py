"""What lies where on the sky: rows of a catalog and the bytes they come to, light curves and all; and its leaves.

Counting the rows of one table is the work of ``histogram``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.sky import Layout
from lsdb_ts.sky.pixel import MAX_ORDER, Indices
from partitioner.planning.histogram import Histogram

CLOSER = 8
"""So many orders finer is each further look at pixels that hold too much: they then have 65,536 parts."""


@dataclass(frozen=True, eq=False)
class Curves:
    """What the rows of a catalog carry besides their own columns: the rows of a table that is nested in them."""

    rows_each: float
    """Rows for one row of the catalog, on average."""
    row_bytes: float
    found: Histogram | None = None
    """Where they are, by their own positions; None where they have none, or nobody looked."""

    def rows_in(self, parents: Histogram) -> NDArray[np.float64]:
        """Return how many of them are in each occupied pixel of their parents."""
        if self.found is None:
            return parents.counts * self.rows_each
        if not self.found.cells.size:
            return np.zeros(parents.cells.size)
        place = np.minimum(np.searchsorted(self.found.cells, parents.cells), self.found.cells.size - 1)
        return np.where(self.found.cells[place] == parents.cells, self.found.counts[place], 0).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Census:
    """Rows and bytes in the occupied pixels of one order."""

    order: int
    cells: Indices
    """NESTED, sorted, each once; shape (n,)."""
    rows: Indices
    bytes: NDArray[np.float64]
    """In memory, with light curves; about."""

    @classmethod
    def of(cls, found: Histogram, row_bytes: float, curves: Sequence[Curves] = ()) -> Census:
        """Weigh the rows of a catalog.

        Light curves count where their own rows are; what lies in pixels without a row of the catalog, next to one or
        orphaned, does not count.

        Parameters
        ----------
        found : Histogram
            Rows of the catalog.
        row_bytes : float
            Bytes of one, light curves apart.
        curves : sequence of Curves
            What is nested in them; histograms are of the same order.
        """
        size = sum((n.rows_in(found) * n.row_bytes for n in curves), start=found.counts * row_bytes)
        return cls(found.order, found.cells, found.counts, size)

    @classmethod
    def following(cls, found: Histogram, curves: Curves) -> Census:
        """Weigh rows that are stored with those of another table, whose rows were found there."""
        rows = np.ceil(curves.rows_in(found)).astype(np.int64)
        return cls(found.order, found.cells, np.maximum(rows, 1), rows * curves.row_bytes)


@dataclass(frozen=True)
class Limits:
    """The most that a leaf may hold; None where it does not matter."""

    rows: int | None
    bytes: int | None

    def loads(self, census: Census) -> list[tuple[NDArray[np.number], float]]:
        """Return what a layout has to keep within bounds."""
        limited = ((census.rows, self.rows), (census.bytes, self.bytes))
        return [(np.asarray(load), float(limit)) for load, limit in limited if limit is not None]

    def exceeded(self, rows: Indices, size: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which leaves hold more."""
        over = np.zeros(rows.size, dtype=bool)
        for load, limit in ((rows, self.rows), (size, self.bytes)):
            if limit is not None:
                over |= load > limit
        return over


@dataclass(frozen=True, eq=False)
class Tiling:
    """The leaves of a catalog, and what is expected in each."""

    layout: Layout
    rows: Indices
    bytes: NDArray[np.float64]

    @classmethod
    def of(cls, census: Census, limits: Limits, closer: Callable[[Layout, int], Census]) -> Tiling:
        """Choose leaves that hold no more than the limits.

        Parameters
        ----------
        census : Census
        limits : Limits
        closer : callable
            ``closer(pixels, order)`` takes a census of some pixels at a finer order; it is asked only where pixels of
            the census itself hold too much.
        """
        taken: list[Tiling] = []
        coarsest = 0
        while True:
            layout = Layout.from_loads(census.cells, limits.loads(census), census.order, coarsest)
            tiling = _filled(layout, census)
            crowded = limits.exceeded(tiling.rows, tiling.bytes)
            if not crowded.any() or census.order == MAX_ORDER:
                taken.append(tiling)
                return _joined(taken).grown(limits)
            taken.append(tiling.take(~crowded))
            coarsest = census.order
            census = closer(layout.take(crowded), min(coarsest + CLOSER, MAX_ORDER))

    def take(self, which: NDArray[np.bool_] | Indices) -> Tiling:
        """Return the tiling of some of the leaves."""
        return Tiling(self.layout.take(which), self.rows[which], self.bytes[which])

    def grown(self, limits: Limits) -> Tiling:
        """Return the tiling with leaves that cannot be split as large as they can be without touching others.

        Rows at one position are in a leaf of the finest order, when it was tried to split them: a coarser one holds
        just the same rows.
        """
        numbers, orders = self.layout.numbers.copy(), self.layout.orders.copy()
        starts, stops = self.layout.starts, self.layout.stops
        for i in np.flatnonzero(limits.exceeded(self.rows, self.bytes)).tolist():
            before = int(stops[i - 1]) if i else 0
            after = int(starts[i + 1]) if i + 1 < len(self.layout) else None
            while orders[i] > 0:
                number, shift = numbers[i] >> 2, 2 * (MAX_ORDER - (orders[i] - 1))
                if number << shift < before or (after is not None and (number + 1) << shift > after):
                    break
                numbers[i], orders[i] = number, orders[i] - 1
        return Tiling(Layout(orders, numbers), self.rows, self.bytes)


def _filled(layout: Layout, census: Census) -> Tiling:
    ends = np.searchsorted(census.cells << np.int64(2 * (MAX_ORDER - census.order)), layout.stops)
    edges = np.concatenate([[0], ends])
    rows, size = (np.concatenate([[0], np.cumsum(load)]) for load in (census.rows, census.bytes))
    return Tiling(layout, np.diff(rows[edges]).astype(np.int64), np.diff(size[edges]))


def _joined(parts: Sequence[Tiling]) -> Tiling:
    numbers, orders = (np.concatenate([getattr(p.layout, k) for p in parts]) for k in ("numbers", "orders"))
    by_place = np.argsort(numbers << (2 * (MAX_ORDER - orders)), kind="stable")
    rows, size = np.concatenate([p.rows for p in parts]), np.concatenate([p.bytes for p in parts])
    return Tiling(Layout.of_arrays(orders, numbers), rows[by_place], size[by_place])
