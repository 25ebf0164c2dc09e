"""One catalog to be made: its layout, and the buckets its leaves are made in. The stages fill it with rows."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.sky import Layout
from lsdb_ts.sky.pixel import Indices
from partitioner.planning.census import Limits, Tiling
from partitioner.surveys.survey import Nested, Survey, Table, margin_name


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
    bytes: NDArray[np.float64]
    """Bytes expected in each leaf, in memory and with light curves; shape (leaves,)."""
    edges: Indices
    """Place of the first leaf of each bucket; shape (buckets,)."""
    limits: Limits
    margin_arcsec: float
    nest: tuple[Nested, ...] = ()
    follow: str | None = None
    """The table whose rows these are stored with; None for their own positions."""

    @classmethod
    def of(cls, survey: Survey, table: Table, tiling: Tiling, edges: Indices) -> Product:
        """Describe the catalog that a table of a survey becomes."""
        is_primary = table is survey.primary
        return cls(
            table=table.name,
            name=survey.name if is_primary else table.name,
            folder="" if is_primary else table.name,
            layout=tiling.layout,
            counts=tiling.rows,
            bytes=tiling.bytes,
            edges=edges,
            limits=Limits(table.row_limit, table.byte_limit),
            margin_arcsec=table.margin_arcsec,
            nest=table.nest,
            follow=table.follow,
        )

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
        """Leaves that hold more than asked for because they cannot be split: all their rows are at one position."""
        return self.layout.take(self.limits.exceeded(self.counts, self.bytes))

    @property
    def largest_bucket_bytes(self) -> float:
        """Bytes expected in the largest bucket."""
        return float(np.add.reduceat(self.bytes, self.edges).max(initial=0.0)) if self.buckets else 0.0

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


def margin_targets(layout: Layout) -> Layout:
    """Return every pixel that gets a margin: the leaves, and the sky around them, where another's query may start."""
    outside = layout.complement()
    return Layout.of_arrays(
        np.concatenate([layout.orders, outside.orders]), np.concatenate([layout.numbers, outside.numbers])
    )


def bucket_edges(sizes: NDArray[np.number], limit: int) -> Indices:
    """Cut leaves of some sizes into buckets of bounded size; one leaf is never cut.

    >>> bucket_edges(np.array([5, 5, 20, 1]), limit=10)
    array([0, 2, 3])
    """
    edges, filled = [], np.inf
    for place, size in enumerate(sizes.tolist()):
        if filled + size > limit:
            edges.append(place)
            filled = 0.0
        filled += size
    return np.array(edges, dtype=np.int64)
