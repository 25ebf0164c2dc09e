"""Bring two layouts together: the pixels in which two catalogs are matched.

What happens inside a pixel lives elsewhere.
"""

from __future__ import annotations

import numpy as np

from lsdb_ts.sky.halo import dilated
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.ranges import Ranges


def align(left: Layout, right: Layout, reach_arcsec: float, keep_unmatched: bool) -> Layout:
    """Choose the pixels of a match: where both sides overlap, the finer of the two.

    Parameters
    ----------
    left, right : Layout
        The layouts of the two sides.
    reach_arcsec : float
        How far a left row may find right rows; left sky farther than this from any right leaf has none.
    keep_unmatched : bool
        Whether left rows without a partner are wanted: then all left sky is covered.

    Returns
    -------
    Layout
        Disjoint pixels that cover the left sky within reach of the right (or all left sky), each inside one left leaf.
    """
    if len(left) == 0 or (len(right) == 0 and not keep_unmatched):
        return Layout.of_arrays([], [])
    first = np.searchsorted(right.stops, left.starts, side="right")
    last = np.searchsorted(right.starts, left.stops, side="left")
    split = _holds_finer(left, right, first, last)
    orders, numbers = [left.orders[~split]], [left.numbers[~split]]
    for i in np.flatnonzero(split):
        inside = slice(int(first[i]), int(last[i]))
        orders.append(right.orders[inside])
        numbers.append(right.numbers[inside])
        rest = Layout.of_ranges(_gaps(int(left.starts[i]), int(left.stops[i]), right.take(inside)))
        orders.append(rest.orders)
        numbers.append(rest.numbers)
    pixels = Layout.of_arrays(np.concatenate(orders), np.concatenate(numbers))
    if keep_unmatched:
        return pixels
    return pixels.take(dilated(right, reach_arcsec).overlaps(pixels.starts, pixels.stops))


def _holds_finer(left: Layout, right: Layout, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Tell which left leaves have right leaves strictly inside them."""
    some = last > first
    finer = np.zeros(len(left), dtype=bool)
    finer[some] = right.orders[first[some]] > left.orders[some]
    return finer


def _gaps(start: int, stop: int, inside: Layout) -> Ranges:
    starts = np.concatenate([[start], inside.stops])
    stops = np.concatenate([inside.starts, [stop]])
    some = stops > starts
    return Ranges(starts[some], stops[some])


def align_outer(left: Layout, right: Layout) -> Layout:
    """Choose pixels that cover all sky of both sides: the finer of the two where they overlap."""
    mine = align(left, right, 0.0, keep_unmatched=True)
    if len(right) == 0 or len(left) == 0:
        return right if len(left) == 0 else mine
    orders, numbers = [mine.orders], [mine.numbers]
    alone = ~left.ranges.overlaps(right.starts, right.stops)
    orders.append(right.orders[alone])
    numbers.append(right.numbers[alone])
    for i in np.flatnonzero(~alone):
        found = left.overlapping(int(right.starts[i]), int(right.stops[i]))
        inside = left.take(slice(found.start, found.stop))
        if int(inside.orders[0]) > int(right.orders[i]):
            rest = Layout.of_ranges(_gaps(int(right.starts[i]), int(right.stops[i]), inside))
            orders.append(rest.orders)
            numbers.append(rest.numbers)
    return Layout.of_arrays(np.concatenate(orders), np.concatenate(numbers))
