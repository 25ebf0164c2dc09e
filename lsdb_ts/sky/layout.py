"""How a catalog tiles the sky: disjoint leaf pixels of mixed orders, and the rule that chooses them.

Rows live elsewhere.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
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
        return cls.from_loads(cells, [(counts, max_rows)], order, min_order)

    @classmethod
    def from_loads(
        cls, cells: Indices, loads: Sequence[tuple[NDArray[np.number], float]], order: int, min_order: int = 0
    ) -> Layout:
        """Choose leaves so that none is over any limit, where the histogram can tell; see :meth:`from_counts`.

        Parameters
        ----------
        cells : array of int64, shape (n,)
            Occupied pixels at ``order``, without repeats.
        loads : sequence of (array of shape (n,), float)
            What each pixel holds, not negative, and the most that a leaf may: rows, or bytes.
        order : int
            Order of the histogram: the finest leaf possible.
        min_order : int
            Coarsest leaf allowed.
        """
        cells, weights = _sorted_and_full(cells, [w for w, _ in loads])
        levels = _pyramid(cells, weights, [limit for _, limit in loads], order - min_order)
        orders: list[Indices] = []
        numbers: list[Indices] = []
        undecided = np.arange(levels[-1].cells.size)
        for k, level in enumerate(reversed(levels), start=min_order):
            split = level.full[undecided] if k < order else np.zeros(undecided.size, dtype=bool)
            numbers.append(level.cells[undecided[~split]])
            orders.append(np.full(numbers[-1].size, k, dtype=np.int64))
            undecided = counted(level.firsts[undecided[split]], level.firsts[undecided[split] + 1])
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


@dataclass(frozen=True)
class _Level:
    """The occupied pixels of one order, and where their parts are among those of the next finer one."""

    cells: Indices
    full: NDArray[np.bool_]
    """Whether a pixel holds more than a leaf may."""
    firsts: Indices
    """Place of the first part of each pixel, and one past the last of all; shape (n + 1,)."""


def _sorted_and_full(cells: Indices, weights: list[NDArray[np.number]]) -> tuple[Indices, list[NDArray[np.number]]]:
    """Return the pixels that hold something, sorted; histograms are so already, and are not copied."""
    keep = np.logical_or.reduce([w > 0 for w in weights])
    if not np.all(keep):
        cells, weights = cells[keep], [w[keep] for w in weights]
    if np.any(cells[1:] < cells[:-1]):
        by_place = np.argsort(cells, kind="stable")
        cells, weights = cells[by_place], [w[by_place] for w in weights]
    return cells, weights


def _pyramid(cells: Indices, weights: list[NDArray[np.number]], limits: list[float], height: int) -> list[_Level]:
    """Add pixels of a histogram up, four by four; the finest level first."""
    levels = []
    firsts = np.zeros(cells.size + 1, dtype=np.int64)
    for up in range(height + 1):
        if up:
            parents = cells >> np.int64(2)
            begins = np.ones(parents.size, dtype=bool)
            np.not_equal(parents[1:], parents[:-1], out=begins[1:])
            starts = np.flatnonzero(begins)
            cells, weights = parents[starts], [np.add.reduceat(w, starts) if w.size else w for w in weights]
            firsts = np.append(starts, parents.size)
        full = np.logical_or.reduce([w > limit for w, limit in zip(weights, limits, strict=True)])
        levels.append(_Level(cells, full, firsts))
    return levels
