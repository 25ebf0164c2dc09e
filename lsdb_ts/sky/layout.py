"""How a catalog tiles the sky: disjoint leaf pixels of mixed orders, and the rule that chooses them.

Rows live elsewhere.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import CatalogError
from lsdb_ts.sky.pixel import MAX_ORDER, N_BASE, SKY_STOP, Indices, Pixel
from lsdb_ts.sky.ranges import Ranges, counted


@dataclass(frozen=True, eq=False)
class Layout:
    """The leaves of a catalog: disjoint pixels, sorted by place on the sky.

    >>> layout = Layout.of([Pixel(0, 3), Pixel(1, 0)])
    >>> list(layout)
    [Pixel(1, 0), Pixel(0, 3)]
    """

    orders: Indices
    numbers: Indices

    @classmethod
    def of(cls, pixels: Iterable[Pixel]) -> Layout:
        """Build the layout of some pixels; raises CatalogError where two of them overlap."""
        listed = list(pixels)
        return cls.of_arrays([p.order for p in listed], [p.number for p in listed])

    @classmethod
    def of_arrays(cls, orders: object, numbers: object) -> Layout:
        """Build a layout from arrays of orders and pixel numbers, in any sequence."""
        o = np.asarray(orders, dtype=np.int64).reshape(-1)
        n = np.asarray(numbers, dtype=np.int64).reshape(-1)
        # Most arrays are sorted already, or a few sorted pieces, which a stable sort merges in linear time.
        by_place = np.argsort(n << (2 * (MAX_ORDER - o)), kind="stable")
        layout = cls(o[by_place], n[by_place])
        clash = np.flatnonzero(layout.stops[:-1] > layout.starts[1:])
        if clash.size:
            i = int(clash[0])
            raise CatalogError(
                f"the pixels {layout[i]} and {layout[i + 1]} overlap: the partitions do not tile the sky"
            )
        return layout

    @classmethod
    def of_ranges(cls, ranges: Ranges) -> Layout:
        """Return the fewest pixels that cover a set of sky exactly."""
        return cls.of_intervals(ranges.starts, ranges.stops)

    @classmethod
    def of_intervals(cls, starts: Indices, stops: Indices) -> Layout:
        """Return the fewest pixels that cover disjoint order-29 intervals ``[start, stop)``, each inside one interval.

        Intervals may touch, where :class:`Ranges` would make one of two; pixels never cross from one to the next.
        """
        some = stops > starts
        low, high = starts[some], stops[some]
        orders: list[Indices] = []
        numbers: list[Indices] = []
        # From the finest cells to the coarsest: cut off both ends what does not fill a cell of the next order.
        bits = int(np.bitwise_or.reduce(low | high)) if low.size else 0
        depth = min(((bits & -bits).bit_length() - 1) // 2, MAX_ORDER) if bits else MAX_ORDER
        low, high = low >> np.int64(2 * depth), high >> np.int64(2 * depth)
        while low.size:
            inner_low = np.minimum((low + 3) & ~np.int64(3), high) if depth < MAX_ORDER else high
            inner_high = np.maximum(high & ~np.int64(3), inner_low)
            cells = np.concatenate([counted(low, inner_low), counted(inner_high, high)])
            numbers.append(cells)
            orders.append(np.full(cells.size, MAX_ORDER - depth, dtype=np.int64))
            rest = inner_high > inner_low
            low, high, depth = inner_low[rest] >> np.int64(2), inner_high[rest] >> np.int64(2), depth + 1
        if not orders:
            return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        return cls.of_arrays(np.concatenate(orders), np.concatenate(numbers))

    @classmethod
    def from_counts(cls, cells: Indices, counts: Indices, order: int, max_rows: int, min_order: int = 0) -> Layout:
        """Choose leaves so that none holds more than ``max_rows`` rows, where the histogram can tell.

        The coarsest pixels that are small enough are taken; a cell of the histogram itself that holds more stays one
        leaf.

        Parameters
        ----------
        cells, counts : arrays of int64, shape (n,)
            Occupied pixels at ``order``, without repeats, and the rows in each.
        order : int
            Order of the histogram: the finest leaf possible.
        max_rows : int
            Threshold of rows a leaf.
        min_order : int
            Coarsest leaf allowed.
        """
        keep = counts > 0
        open_cells, open_counts = cells[keep], counts[keep]
        orders: list[Indices] = []
        numbers: list[Indices] = []
        for k in range(min_order, order + 1):
            parents = open_cells >> np.int64(2 * (order - k))
            unique, place = np.unique(parents, return_inverse=True)
            totals = np.bincount(place, weights=open_counts, minlength=unique.size)
            fits = totals <= max_rows if k < order else np.ones(unique.size, dtype=bool)
            numbers.append(unique[fits])
            orders.append(np.full(int(fits.sum()), k, dtype=np.int64))
            rest = ~fits[place]
            open_cells, open_counts = open_cells[rest], open_counts[rest]
        return cls.of_arrays(np.concatenate(orders), np.concatenate(numbers))

    def __len__(self) -> int:
        return int(self.orders.size)

    def __getitem__(self, i: int) -> Pixel:
        return Pixel(int(self.orders[i]), int(self.numbers[i]))

    def __iter__(self) -> Iterator[Pixel]:
        return (Pixel(o, n) for o, n in zip(self.orders.tolist(), self.numbers.tolist(), strict=True))

    def __repr__(self) -> str:
        if len(self) == 0:
            return "Layout(empty)"
        return f"Layout({len(self)} pixels, orders {self.orders.min()} to {self.orders.max()})"

    def __getstate__(self) -> dict[str, NDArray[np.integer]]:
        # Plans travel to workers: what can be computed again stays behind.
        return {"orders": self.orders.astype(np.int8), "numbers": self.numbers}

    def __setstate__(self, state: dict[str, NDArray[np.integer]]) -> None:
        self.__dict__.update(state, orders=state["orders"].astype(np.int64))

    @functools.cached_property
    def starts(self) -> Indices:
        """First order-29 number of each leaf."""
        return self.numbers << (2 * (MAX_ORDER - self.orders))

    @functools.cached_property
    def stops(self) -> Indices:
        """One past the last order-29 number of each leaf."""
        return (self.numbers + 1) << (2 * (MAX_ORDER - self.orders))

    @functools.cached_property
    def ranges(self) -> Ranges:
        """The sky the leaves cover."""
        return Ranges.of(self.starts, self.stops)

    def take(self, which: NDArray[np.bool_] | Indices | slice) -> Layout:
        """Return the layout of some of the leaves."""
        return Layout(self.orders[which], self.numbers[which])

    def leaf_of(self, index: Indices) -> Indices:
        """Return, for each order-29 number, the place of its leaf in this layout, or -1 where no leaf holds it."""
        if len(self) == 0:
            return np.full(np.shape(index), -1, dtype=np.int64)
        place = np.searchsorted(self.starts, index, side="right") - 1
        inside = (place >= 0) & (index < self.stops[np.maximum(place, 0)])
        return np.where(inside, place, -1)

    def overlapping(self, start: int, stop: int) -> range:
        """Return the places of the leaves that share sky with the order-29 interval ``[start, stop)``."""
        first = int(np.searchsorted(self.stops, start, side="right"))
        last = int(np.searchsorted(self.starts, stop, side="left"))
        return range(first, max(first, last))

    def complement(self) -> Layout:
        """Return the fewest pixels that cover all the sky outside the leaves."""
        covered = self.ranges
        starts = np.concatenate([[0], covered.stops])
        stops = np.concatenate([covered.starts, [SKY_STOP]])
        gaps = stops > starts
        return Layout.of_ranges(Ranges(starts[gaps], stops[gaps]))

    @classmethod
    def whole_sky(cls, order: int = 0) -> Layout:
        """Return all pixels of one order."""
        numbers = np.arange(N_BASE << (2 * order), dtype=np.int64)
        return cls(np.full(numbers.size, order, dtype=np.int64), numbers)
