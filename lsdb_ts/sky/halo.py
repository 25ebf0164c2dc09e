"""The sky just beyond a pixel's edge: which cells may hold a neighbour within a radius.

Reading the rows there is the store's work.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import (
    MAX_ORDER,
    Indices,
    Pixel,
    cell_of,
    finest_order_reaching,
    neighbours,
)
from lsdb_ts.sky.ranges import Ranges

_FINEST_BORDER = 7
"""A border is drawn with cells at most this many orders finer than its pixel: 4 x 2^7 cells, 1/128 of its side wide."""


@functools.lru_cache(maxsize=4096)
def border(pixel: Pixel, radius_arcsec: float) -> Ranges:
    """Return sky outside a pixel that holds every point within a radius of it (and somewhat more).

    The cells that touch the pixel from outside, at the finest order whose cells are everywhere thicker than the radius,
    form a ring no point can be across. Where even the pixel itself is thinner than the radius, the ring is drawn round
    its ancestor of that order.
    """
    if radius_arcsec <= 0:
        return Ranges.of([], [])
    order = min(finest_order_reaching(radius_arcsec), pixel.order + _FINEST_BORDER, MAX_ORDER)
    if order <= pixel.order:
        around = Layout.of_ranges(Ranges.of_cells(neighbours([pixel.parent(order).number], order), order)).ranges
        return _without(around, pixel)
    ring = np.unique(neighbours(_edge_cells(pixel, order), order))
    outside = (ring >> np.int64(2 * (order - pixel.order))) != pixel.number
    return Ranges.of_cells(ring[outside], order)


def dilated(layout: Layout, radius_arcsec: float) -> Ranges:
    """Return the sky of a layout and a border of at least the radius around it; coarse, for choosing pixels only."""
    if radius_arcsec <= 0 or len(layout) == 0:
        return layout.ranges
    limit = finest_order_reaching(radius_arcsec)
    starts, stops = [layout.starts], [layout.stops]
    for order in np.unique(layout.orders):
        cells = layout.numbers[layout.orders == order]
        drawn = int(min(limit, order + 1))
        if drawn <= order:
            ring = neighbours(np.unique(cells >> np.int64(2 * (order - drawn))), drawn)
        else:
            ring = neighbours((cells[:, None] * 4 + np.arange(4)).ravel(), drawn)
        ring = np.unique(ring)
        starts.append(ring << np.int64(2 * (MAX_ORDER - drawn)))
        stops.append((ring + 1) << np.int64(2 * (MAX_ORDER - drawn)))
    return Ranges.of(np.concatenate(starts), np.concatenate(stops))


def halo_members(index: Indices, home: Pixel, targets: Layout, radius_arcsec: float) -> tuple[Indices, Indices]:
    """Find which rows of one pixel belong into the halos of which other pixels.

    Parameters
    ----------
    index : numpy.ndarray of int64, shape (n,)
        Order-29 numbers of the rows of ``home``.
    home : Pixel
        The leaf the rows lie in.
    targets : Layout
        Pixels whose halos are wanted (``home`` may be among them and is passed over).
    radius_arcsec : float
        Width of the halos.

    Returns
    -------
    rows, places : numpy.ndarray of int64, shape (m,)
        Row ``rows[i]`` lies in the halo of ``targets[places[i]]``; sorted by place, then row; no repeats.
    """
    order = finest_order_reaching(radius_arcsec)
    cells = cell_of(index, order)
    near_edge = np.flatnonzero(_touches_edge(cells, home, order)) if order > home.order else np.arange(index.size)
    unique, place = np.unique(cells[near_edge], return_inverse=True)
    around = neighbours(unique, order)
    width = np.int64(2 * (MAX_ORDER - order))
    # A neighbour cell may be coarser than the targets in it: every target that overlaps the cell is reached.
    first = np.searchsorted(targets.stops, around << width, side="right")
    last = np.searchsorted(targets.starts, (around + 1) << width, side="left")
    pairs: list[Indices] = []
    for step in range(int((last - first).max()) if around.size else 0):
        hit = first + step
        cell, column = np.nonzero(hit < last)
        pairs.append(np.stack([cell, hit[cell, column]]))
    if not pairs:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    joined = np.unique(np.concatenate(pairs, axis=1), axis=1)
    foreign = (targets.starts[joined[1]] >= home.stop) | (targets.stops[joined[1]] <= home.start)
    cell, target = joined[0][foreign], joined[1][foreign]
    # Expand cells to their rows.
    by_cell = np.argsort(place, kind="stable")
    offsets = np.searchsorted(place[by_cell], np.arange(unique.size + 1))
    counts = offsets[cell + 1] - offsets[cell]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = near_edge[by_cell[np.repeat(offsets[cell], counts) + within]]
    places = np.repeat(target, counts)
    sequence = np.lexsort((rows, places))
    return rows[sequence].astype(np.int64), places[sequence].astype(np.int64)


def _without(ranges: Ranges, pixel: Pixel) -> Ranges:
    starts = np.concatenate([ranges.starts, np.maximum(ranges.starts, pixel.stop)])
    stops = np.concatenate([np.minimum(ranges.stops, pixel.start), ranges.stops])
    some = stops > starts
    return Ranges.of(starts[some], stops[some])


def _edge_cells(pixel: Pixel, order: int) -> Indices:
    """Return the cells of a finer order that lie inside the pixel along its four sides."""
    depth = order - pixel.order
    side = np.arange(1 << depth, dtype=np.int64)
    spread = np.zeros_like(side)
    for bit in range(depth):
        spread |= ((side >> bit) & 1) << (2 * bit)
    low, high = spread[0], spread[-1]
    inside = np.concatenate([spread | (low << 1), spread | (high << 1), low | (spread << 1), high | (spread << 1)])
    return np.unique(inside) | (np.int64(pixel.number) << np.int64(2 * depth))


def _touches_edge(cells: Indices, pixel: Pixel, order: int) -> NDArray[np.bool_]:
    """Tell which cells (inside the pixel) lie along its sides, from the bits of their numbers."""
    depth = order - pixel.order
    x_bits = np.int64(sum(1 << (2 * b) for b in range(depth)))
    y_bits = np.int64(x_bits << 1)
    x, y = cells & x_bits, cells & y_bits
    along: NDArray[np.bool_] = (x == 0) | (x == x_bits) | (y == 0) | (y == y_bits)
    return along
