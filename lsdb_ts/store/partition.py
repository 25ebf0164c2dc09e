"""The rows of one pixel as they travel between nodes: core rows and halo rows, told apart by one boolean.

No reading, no kernels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky.pixel import Indices
from lsdb_ts.sky.ranges import Ranges

_MOST = 0.5
"""Share of a table's rows that is handed on as a view of it; of fewer a copy is made, and the rest is forgotten."""

Account = Mapping[str, Mapping[str, int]]
"""What nodes counted on the way: by node, by what was counted."""


@dataclass(frozen=True, eq=False)
class Partition:
    """Rows of a pixel and of its halo.

    Attributes
    ----------
    table : pyarrow.Table, n rows
        Sorted by ``_healpix_29`` where the table has that column.
    core : numpy.ndarray of bool, shape (n,)
        True for rows inside the pixel, False for rows of the halo around it.
    account : mapping of str to mapping of str to int
        What the nodes below counted on the way (matched, orphans, ...); core rows only.
    """

    table: pa.Table
    core: NDArray[np.bool_]
    account: Account = field(default_factory=dict)

    @classmethod
    def all_core(cls, table: pa.Table) -> Partition:
        """Return a partition without a halo."""
        return cls(table, np.ones(table.num_rows, dtype=bool))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def filter(self, keep: NDArray[np.bool_]) -> Partition:
        """Keep some of the rows."""
        if keep.all():
            return self
        return replace(self, table=self.table.filter(pa.array(keep)), core=self.core[keep])

    def with_table(self, table: pa.Table) -> Partition:
        """Exchange the table for another one with the same rows."""
        return replace(self, table=table)

    def core_table(self) -> pa.Table:
        """Return the rows inside the pixel."""
        return self.table if self.core.all() else self.table.filter(pa.array(self.core))


def merge_accounts(*accounts: Account) -> dict[str, dict[str, int]]:
    """Add up accounts, node by node and name by name."""
    total: dict[str, dict[str, int]] = {}
    for account in accounts:
        for node, counts in account.items():
            mine = total.setdefault(node, {})
            for name, count in counts.items():
                mine[name] = mine.get(name, 0) + int(count)
    return total


def sorted_by_place(table: pa.Table) -> pa.Table:
    """Return the table sorted by ``_healpix_29``; one pass and no copy where it already is (stable otherwise)."""
    order = order_of(table.column(HEALPIX).to_numpy())
    return table if order is None else table.take(pa.array(order))


def inside(table: pa.Table, wanted: Ranges) -> pa.Table:
    """Return the rows inside a set of sky, sorted by place; no copy where these are most rows of a sorted table."""
    pieces = [_inside(batch, wanted) for batch in table.to_batches()]
    if len(pieces) == 1 and pieces[0].num_rows == table.num_rows:
        return sorted_by_place(table)
    return sorted_by_place(pa.Table.from_batches(pieces, table.schema))


def order_of(place: Indices) -> Indices | None:
    """Return what sorts places, equal ones in their old order; None where they are sorted.

    Five times faster than a stable sort of all, because few are equal.
    """
    if is_sorted(place):
        return None
    order: Indices = np.argsort(place)
    ordered = place[order]
    equal = ordered[1:] == ordered[:-1]
    if equal.any():
        tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
        order[tied] = order[tied[np.lexsort((order[tied], ordered[tied]))]]
    return order


def is_sorted(place: Indices) -> bool:
    """Tell whether places never fall."""
    return place.size < 2 or bool((place[1:] >= place[:-1]).all())


def slices(place: Indices, wanted: Ranges) -> tuple[Indices, Indices]:
    """Return where the rows inside a set of sky start, and how many they are, of sorted places; one for each interval.

    Looks at a few places only, so it is quick where they are on disk.

    >>> slices(np.array([1, 2, 5, 8, 9]), Ranges.of([0, 4, 6], [3, 5, 9]))
    (array([0, 3]), array([2, 1]))
    """
    if place.size == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    first = int(np.searchsorted(wanted.stops, place[0], side="right"))
    last = int(np.searchsorted(wanted.starts, place[-1], side="right"))
    begins, ends = wanted.starts[first:last], wanted.stops[first:last]
    starts = np.searchsorted(place, begins)
    # Most small intervals hold nothing, as the place where they would start tells: no second search for these.
    some = np.flatnonzero(place[np.minimum(starts, place.size - 1)] < ends)
    counts = np.searchsorted(place, ends[some]) - starts[some]
    return starts[some][counts > 0], counts[counts > 0]


def runs(starts: Indices, counts: Indices) -> Indices:
    """Return the numbers ``start, start + 1, ...`` of every run, one run after the other.

    >>> runs(np.array([5, 20]), np.array([3, 2]))
    array([ 5,  6,  7, 20, 21])
    """
    before = np.cumsum(counts) - counts
    numbers: Indices = np.arange(int(counts.sum())) + np.repeat(starts - before, counts)
    return numbers


def _inside(batch: pa.RecordBatch, wanted: Ranges) -> pa.RecordBatch:
    place = batch.column(HEALPIX).to_numpy()
    if place.size == 0 or not is_sorted(place):
        keep = wanted.contains(place)
        return batch if keep.all() else batch.filter(pa.array(keep))
    starts, counts = slices(place, wanted)
    if starts.size == 1 and counts[0] >= _MOST * place.size:
        return batch.slice(int(starts[0]), int(counts[0]))
    # A copy, because a few rows must not keep all those between them in memory.
    return batch.take(pa.array(runs(starts, counts)))


def keep_parts(column: pa.ChunkedArray, kind: pa.StructType) -> pa.ChunkedArray:
    """Return a nested column, or a struct, with some of its parts only."""
    if column.type.equals(kind):
        return column
    chunks = [
        pa.StructArray.from_arrays(
            [chunk.field(part.name) for part in kind],
            fields=list(kind),
            mask=chunk.is_null() if chunk.null_count else None,
        )
        for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, type=kind)
