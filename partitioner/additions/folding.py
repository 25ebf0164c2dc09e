"""Pieces of work of a compaction: a partition as one sorted file, or as several where it holds too much; its margins.

Which partitions need it is decided next door.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.schema import HEALPIX, is_nested
from lsdb_ts.sky import Layout, Pixel, border, halo_members
from lsdb_ts.sky.pixel import MAX_ORDER
from lsdb_ts.store.read import read_rows
from lsdb_ts.store.write import Leaf, leaf_path, memory_bits
from partitioner.additions.member import Member
from partitioner.additions.union import in_sequence
from partitioner.planning.census import Census, Limits, Tiling


@dataclass(frozen=True, eq=False)
class Folding:
    """What every partition of one catalog shares."""

    catalog: Member
    margins: tuple[Member, ...]
    id_column: str | None
    limits: Limits


@dataclass(frozen=True)
class Folded:
    """What became of a partition."""

    pixel: Pixel
    leaves: tuple[Leaf, ...]
    """What was written: several leaves where it was split, none where it is fine as it is."""

    @property
    def is_split(self) -> bool:
        """Whether the partition has become others."""
        return bool(self.leaves) and [leaf.pixel for leaf in self.leaves] != [self.pixel]


def fold(work: Folding, pixel: Pixel) -> Folded:
    """Write a partition as one sorted file, or as one for each part where it holds more than it should."""
    rows = in_sequence(work.catalog.rows(pixel), work.id_column)
    parts = split_pixel(rows, pixel, work.limits)
    if list(parts) == [pixel] and len(work.catalog.files(pixel)) == 1:
        return Folded(pixel, ())
    place = rows.column(HEALPIX).to_numpy()
    leaves = []
    for part in parts:
        first, stop = np.searchsorted(place, [part.start, part.stop]).tolist()
        leaves.append(work.catalog.write(rows.slice(first, stop - first).combine_chunks(), part))
    return Folded(pixel, tuple(leaves))


def split_pixel(rows: pa.Table, pixel: Pixel, limits: Limits) -> Layout:
    """Return the parts of a pixel that hold no more than they should; itself where it does not, or cannot be split.

    Parameters
    ----------
    rows : pyarrow.Table
        What it holds, sorted by place.
    pixel : Pixel
    limits : Limits
    """
    size = row_bytes(rows)
    whole = limits.exceeded(np.array([rows.num_rows]), np.array([size.sum()]))
    if not whole.any():
        return Layout.of([pixel])
    cells, first = np.unique(rows.column(HEALPIX).to_numpy(), return_index=True)
    counts = np.diff(np.append(first, rows.num_rows))
    census = Census(MAX_ORDER, cells, counts, np.add.reduceat(size, first))
    layout = Tiling.of(census, limits, _no_closer).layout
    # A single part is all there is, at one position: no smaller pixel would hold less.
    return layout if len(layout) > 1 else Layout.of([pixel])


def _no_closer(pixels: Layout, order: int) -> Census:
    raise AssertionError(f"there is no order beyond {MAX_ORDER}")


def row_bytes(rows: pa.Table) -> NDArray[np.float64]:
    """Return about how many bytes each row takes in memory, its light curves by their lengths; shape (n,)."""
    size = np.zeros(rows.num_rows)
    if not rows.num_rows:
        return size
    for name in rows.column_names:
        column = rows.select([name])
        total = memory_bits(column) / 8
        weights = np.ones(rows.num_rows)
        if is_nested(column.schema.field(0)):
            part = column.column(0).combine_chunks().field(0)
            # Offsets take room also where a curve is empty.
            weights = np.diff(part.offsets.to_numpy()) + 1.0
        size += total * weights / weights.sum()
    return size


@dataclass(frozen=True)
class FoldedTarget:
    """A partition of a margin, as a piece of work."""

    margin: int
    pixel: Pixel


@dataclass(frozen=True, eq=False)
class Around:
    """What margins are made from: the catalog in its next state."""

    work: Folding
    layout: Layout


def fold_margin(work: Folding, target: FoldedTarget) -> tuple[FoldedTarget, Leaf | None]:
    """Write a partition of a margin as one sorted file."""
    margin = work.margins[target.margin]
    rows = in_sequence(margin.rows(target.pixel), work.id_column)
    return target, margin.write(rows, target.pixel) if rows.num_rows else None


def new_margin(around: Around, target: FoldedTarget) -> tuple[FoldedTarget, Leaf | None]:
    """Write a partition of a margin anew, from the partitions around it; nothing where no row is near."""
    work, layout = around.work, around.layout
    margin = work.margins[target.margin]
    radius_arcsec = margin.old.margin_arcsec
    near = border(target.pixel, radius_arcsec)
    schema = margin.schema
    found = [schema.empty_table()]
    for i in np.flatnonzero(near.overlaps(layout.starts, layout.stops)).tolist():
        rows = read_rows(leaf_path(work.catalog.root, layout[i]), schema.names, within=near).cast(schema)
        place = rows.column(HEALPIX).to_numpy()
        at, _ = halo_members(place, layout[i], Layout.of([target.pixel]), radius_arcsec)
        found.append(rows.take(pa.array(at)))
    rows = in_sequence(pa.concat_tables(found), work.id_column)
    return target, margin.write(rows, target.pixel) if rows.num_rows else None
