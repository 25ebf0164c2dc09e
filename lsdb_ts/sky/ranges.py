"""Sets of sky as sorted, disjoint order-29 intervals: union, membership, overlap.

Which pixels they came from is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.sky.pixel import MAX_ORDER, Indices


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
    def of_cells(cls, cells: ArrayLike, order: int) -> Ranges:
        """Unite pixels of one order."""
        numbers = np.unique(np.asarray(cells, dtype=np.int64))
        shift = np.int64(2 * (MAX_ORDER - order))
        return cls.of(numbers << shift, (numbers + 1) << shift)

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
