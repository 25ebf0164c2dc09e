"""Bring two layouts together: the pixels in which two catalogs are matched.

What happens inside a pixel lives elsewhere.
"""

from __future__ import annotations

import numpy as np

from lsdb_ts.sky.halo import within_reach
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import Indices
from lsdb_ts.sky.ranges import Ranges, counted


def align(left: Layout, right: Layout, reach_arcsec: float, keep_unmatched: bool, sky: Ranges | None = None) -> Layout:
    """Choose the pixels of a match: where both sides overlap, the finer of the two.

    Parameters
    ----------
    left, right : Layout
        The layouts of the two sides.
    reach_arcsec : float
        How far a left row may find right rows; left sky farther than this from any right leaf has none.
    keep_unmatched : bool
        Whether left rows without a partner are wanted: then all left sky is covered.
    sky : Ranges, optional
        Sky that holds all rows that matter; pixels outside are left out. None is all sky.

    Returns
    -------
    Layout
        Disjoint pixels that cover the left sky within reach of the right (or all left sky), each inside one left leaf.
    """
    if len(left) == 0 or (len(right) == 0 and not keep_unmatched):
        return Layout.of_arrays([], [])
    outer, inner, gaps = _refined(left, right)
    pixels = _joined([left.take(~outer), right.take(inner), gaps])
    if sky is not None:
        pixels = pixels.take(sky.overlaps(pixels.starts, pixels.stops))
    return pixels if keep_unmatched else pixels.take(within_reach(pixels, right.ranges, reach_arcsec))


def align_outer(left: Layout, right: Layout) -> Layout:
    """Choose pixels that cover all sky of both sides: the finer of the two where they overlap."""
    if len(left) == 0 or len(right) == 0:
        return right if len(left) == 0 else left
    left_outer, right_inner, right_gaps = _refined(left, right)
    # Where a right leaf holds finer left leaves, these stay as they are and only the gaps between them are new.
    _, _, left_gaps = _refined(right, left)
    alone = ~left.ranges.overlaps(right.starts, right.stops)
    return _joined(
        [left.take(~left_outer), right.take(right_inner), right_gaps, right.take(np.flatnonzero(alone)), left_gaps]
    )


def _refined(outer: Layout, inner: Layout) -> tuple[np.ndarray, Indices, Layout]:
    """Find where one layout is cut finer by another.

    Returns
    -------
    split : numpy.ndarray of bool, shape (len(outer),)
        The outer leaves with inner leaves strictly inside them.
    inside : numpy.ndarray of int64
        Places of those inner leaves, by place.
    gaps : Layout
        The pixels of the split leaves between the inner leaves.
    """
    first = np.searchsorted(inner.stops, outer.starts, side="right")
    last = np.searchsorted(inner.starts, outer.stops, side="left")
    split = last > first
    split[split] = inner.orders[first[split]] > outer.orders[split]
    inside = counted(first[split], last[split])
    # One row more than inner leaves in each split leaf: from the end of one inner leaf to the start of the next.
    breaks = np.arange(int(split.sum())) + np.cumsum(last[split] - first[split])
    starts = np.empty(inside.size + breaks.size, dtype=np.int64)
    stops = np.empty_like(starts)
    ends = np.zeros(starts.size, dtype=bool)
    ends[breaks] = True
    stops[ends], stops[~ends] = outer.stops[split], inner.starts[inside]
    begins = np.roll(ends, 1)
    starts[begins], starts[~begins] = outer.starts[split], inner.stops[inside]
    return split, inside, Layout.of_intervals(starts, stops)


def _joined(layouts: list[Layout]) -> Layout:
    return Layout.of_arrays(
        np.concatenate([part.orders for part in layouts]), np.concatenate([part.numbers for part in layouts])
    )
