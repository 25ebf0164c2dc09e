"""What stands in for scratch files where nothing is to be written: rows are counted, and left.

The files that it stands in for are those of ``partitioner.moving.spill``.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from lsdb_ts.sky.pixel import Indices


class Buckets(AbstractContextManager[Any], Protocol):
    """Where rows go, by bucket: a scratch file, or a count."""

    def add(self, rows: pa.Table, buckets: Indices) -> None:
        """Take rows, and the bucket of each; shape (n,)."""
        ...

    def to_json(self) -> list[list[int]]:
        """Return buckets, and rows of each."""
        ...


class Heap(AbstractContextManager[Any], Protocol):
    """Where rows go that will be in no catalog: a file, or a count."""

    rows: int

    def add(self, rows: pa.Table) -> None:
        """Take rows."""
        ...


class CountedBuckets(AbstractContextManager[Any]):
    """Rows counted by bucket."""

    def __init__(self, n_buckets: int) -> None:
        self._rows = np.zeros(n_buckets, dtype=np.int64)

    def __exit__(self, *error: object) -> None:
        """There is nothing to close."""

    def add(self, rows: pa.Table, buckets: Indices) -> None:
        """Count rows by their bucket; shape (n,)."""
        self._rows += np.bincount(buckets, minlength=self._rows.size)

    def to_json(self) -> list[list[int]]:
        """Return the buckets with rows, and how many."""
        some = np.flatnonzero(self._rows)
        return [some.tolist(), self._rows[some].tolist()]


class CountedHeap(AbstractContextManager[Any]):
    """Rows counted."""

    def __init__(self) -> None:
        self.rows = 0

    def __exit__(self, *error: object) -> None:
        """There is nothing to close."""

    def add(self, rows: pa.Table) -> None:
        """Count rows."""
        self.rows += int(rows.num_rows)
