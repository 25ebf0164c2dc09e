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
    place = table.column(HEALPIX).to_numpy()
    if place.size < 2 or bool((place[1:] >= place[:-1]).all()):
        return table
    return table.take(pa.array(np.argsort(place, kind="stable")))


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
