"""One catalog to be made: its layout, and the buckets its leaves are made in. The stages fill it with rows."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from lsdb_ts.sky import Layout
from lsdb_ts.sky.pixel import Indices
from partitioner.survey import margin_name

BUCKET_BYTES = 64 << 20
"""A bucket is closed before the raw rows that go into it are expected to be larger than this."""


@dataclass(frozen=True, eq=False)
class Product:
    """One catalog to be written: a layout over the positions of one table, in buckets of contiguous leaves."""

    table: str
    name: str
    """Folder of the catalog inside its collection."""
    folder: str
    """Folder of the collection inside the output; empty for the primary one."""
    layout: Layout
    counts: Indices
    """Rows expected in each leaf; shape (leaves,)."""
    edges: Indices
    """Place of the first leaf of each bucket; shape (buckets,)."""
    max_rows: int
    margin_arcsec: float
    nest: tuple[tuple[str, str], ...] = ()

    @property
    def buckets(self) -> int:
        """How many buckets there are."""
        return int(self.edges.size)

    def leaves_of(self, bucket: int) -> slice:
        """Return the places of the leaves of a bucket."""
        stop = int(self.edges[bucket + 1]) if bucket + 1 < self.buckets else len(self.layout)
        return slice(int(self.edges[bucket]), stop)

    def bucket_of(self, places: Indices) -> Indices:
        """Return the bucket of each leaf, given by its place in the layout."""
        return np.searchsorted(self.edges, places, side="right") - 1

    @property
    def dense(self) -> Layout:
        """Leaves that hold more rows than asked for, because the histogram cannot split them."""
        return self.layout.take(self.counts > self.max_rows)

    @functools.cached_property
    def margin_targets(self) -> Layout:
        """Every pixel that gets a margin."""
        return margin_targets(self.layout)

    def margin_bucket_of(self, places: Indices) -> Indices:
        """Return the bucket in whose stretch of the sky each margin target begins."""
        starts = self.margin_targets.starts[places]
        return np.maximum(np.searchsorted(self.layout.starts[self.edges], starts, side="right") - 1, 0)

    @property
    def margin_name(self) -> str:
        """Folder of the margin catalog."""
        return margin_name(self.name, self.margin_arcsec)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form of what was decided by counting."""
        arrays = {
            "orders": self.layout.orders,
            "numbers": self.layout.numbers,
            "counts": self.counts,
            "edges": self.edges,
        }
        return {"table": self.table, **{k: v.tolist() for k, v in arrays.items()}}


def margin_targets(layout: Layout) -> Layout:
    """Return every pixel that gets a margin: the leaves, and the sky around them, where another's query may start."""
    outside = layout.complement()
    return Layout.of_arrays(
        np.concatenate([layout.orders, outside.orders]), np.concatenate([layout.numbers, outside.numbers])
    )


def bucket_edges(counts: Indices, bytes_per_row: float, limit: int = BUCKET_BYTES) -> Indices:
    """Cut leaves into buckets of bounded size; one leaf is never cut.

    >>> bucket_edges(np.array([5, 5, 20, 1]), bytes_per_row=1.0, limit=10)
    array([0, 2, 3])
    """
    edges, filled = [], np.inf
    for place, size in enumerate((counts * bytes_per_row).tolist()):
        if filled + size > limit:
            edges.append(place)
            filled = 0.0
        filled += size
    return np.array(edges, dtype=np.int64)
