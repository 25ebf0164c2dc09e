"""Sets of sky as sorted, disjoint order-29 intervals: union, membership, overlap.

Which pixels they came from is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.sky.pixel import MAX_ORDER, Indices


def counted(starts: Indices, stops: Indices) -> Indices:
    """Return the integers of many half-open intervals, one interval after the other.

    >>> counted(np.array([3, 9]), np.array([6, 11])).tolist()
    [3, 4, 5, 9, 10]
    """
    counts = np.maximum(stops - starts, 0)
    ends = np.cumsum(counts)
    whole: Indices = np.arange(ends[-1] if ends.size else 0) + np.repeat(starts - (ends - counts), counts)
    return whole


@dataclass(frozen=True, eq=False)
class Ranges:
    """Half-open intervals ``[start, stop)`` of order-29 numbers, sorted, disjoint, and never touching."""

    starts: Indices
    stops: Indices

    @classmethod
    def of(cls, starts: ArrayLike, stops: ArrayLike) -> Ranges:
        """Unite any intervals into a set."""
        a = np.atleast_1d(np.asarray(starts, dtype=np.int64))
        b = np.atleast_1d(np.asarray(stops, dtype=np.int64))
        if a.size == 0:
            return cls(a, b)
        by_start = np.argsort(a, kind="stable")
        a, reach = a[by_start], np.maximum.accumulate(b[by_start])
        first = np.concatenate([[True], a[1:] > reach[:-1]])
        last = np.concatenate([first[1:], [True]])
        return cls(a[first], reach[last])

    @classmethod
    def of_cells(cls, cells: ArrayLike, order: int, bridged: int = 0) -> Ranges:
        """Unite pixels of one order, with the gaps that are at most ``bridged`` pixels wide.

        >>> len(Ranges.of_cells([1, 2, 4, 8], 5)), len(Ranges.of_cells([1, 2, 4, 8], 5, bridged=1))
        (3, 2)
        """
        # Neighbours of cells in order are nearly in order themselves, which merging makes use of.
        numbers = np.sort(np.asarray(cells, dtype=np.int64), axis=None, kind="stable")
        if numbers.size == 0:
            return cls(numbers, numbers)
        before = np.flatnonzero(numbers[1:] - numbers[:-1] > 1 + bridged)
        shift = np.int64(2 * (MAX_ORDER - order))
        first, last = np.append(0, before + 1), np.append(before, numbers.size - 1)
        return cls(numbers[first] << shift, (numbers[last] + 1) << shift)

    def __len__(self) -> int:
        return int(self.starts.size)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.starts.tolist(), self.stops.tolist(), strict=True)

    def contains(self, index: Indices) -> NDArray[np.bool_]:
        """Tell which order-29 numbers are in the set."""
        if len(self) == 0:
            return np.zeros(np.shape(index), dtype=bool)
        place = np.searchsorted(self.starts, index, side="right") - 1
        return (place >= 0) & (index < self.stops[np.maximum(place, 0)])

    def overlaps(self, starts: ArrayLike, stops: ArrayLike) -> NDArray[np.bool_]:
        """Tell which intervals share any sky with the set."""
        a, b = np.asarray(starts, dtype=np.int64), np.asarray(stops, dtype=np.int64)
        if len(self) == 0:
            return np.zeros(a.shape, dtype=bool)
        before = np.searchsorted(self.starts, b, side="left")
        ended = np.searchsorted(self.stops, a, side="right")
        return before > ended

    def clipped(self, start: int, stop: int) -> Ranges:
        """Return the part of the set inside one interval ``[start, stop)``; costs O(log n + what is returned).

        >>> list(Ranges.of([0, 20], [10, 30]).clipped(5, 25))
        [(5, 10), (20, 25)]
        """
        first = int(np.searchsorted(self.stops, start, side="right"))
        last = int(np.searchsorted(self.starts, stop, side="left"))
        if last <= first:
            return Ranges(self.starts[:0], self.stops[:0])
        return Ranges(np.maximum(self.starts[first:last], start), np.minimum(self.stops[first:last], stop))

    def covers(self, starts: ArrayLike, stops: ArrayLike) -> NDArray[np.bool_]:
        """Tell which (not empty) intervals lie in the set as a whole."""
        a, b = np.asarray(starts, dtype=np.int64), np.asarray(stops, dtype=np.int64)
        if len(self) == 0:
            return np.zeros(a.shape, dtype=bool)
        place = np.searchsorted(self.starts, a, side="right") - 1
        return (place >= 0) & (b <= self.stops[np.maximum(place, 0)])

    def intersection(self, other: Ranges) -> Ranges:
        """Return the sky that is in both sets.

        >>> list(Ranges.of([0, 20], [10, 30]).intersection(Ranges.of([5, 28], [22, 40])))
        [(5, 10), (20, 22), (28, 30)]
        """
        first = np.searchsorted(other.stops, self.starts, side="right")
        last = np.searchsorted(other.starts, self.stops, side="left")
        counts = np.maximum(last - first, 0)
        mine = np.repeat(np.arange(len(self)), counts)
        theirs = np.arange(mine.size) - np.repeat(np.cumsum(counts) - counts - first, counts)
        return Ranges(
            np.maximum(self.starts[mine], other.starts[theirs]), np.minimum(self.stops[mine], other.stops[theirs])
        )
