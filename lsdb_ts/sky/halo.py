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
    N_BASE,
    Indices,
    Pixel,
    cell_of,
    finest_order_reaching,
    neighbours,
)
from lsdb_ts.sky.ranges import Ranges

_FINEST_BORDER = 7
"""A border is drawn with cells at most this many orders finer than its pixel: 4 x 2^7 cells, 1/128 of its side wide."""


_COARSE = 6
"""Pixels are first sorted out by cells of this order (49152 of them), where there are many."""
_MANY = 10_000
_SPREADING = [
    (np.int64(16), np.int64(0x0000FFFF0000FFFF)),
    (np.int64(8), np.int64(0x00FF00FF00FF00FF)),
    (np.int64(4), np.int64(0x0F0F0F0F0F0F0F0F)),
    (np.int64(2), np.int64(0x3333333333333333)),
    (np.int64(1), np.int64(0x5555555555555555)),
]
"""Shifts and masks that move the bits of a 32-bit number apart, halving the groups each time."""
_AT_ONCE = 1 << 18
"""So many cells' neighbours are held in memory at a time."""


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
    ring = _ring_cells(pixel, order)
    if ring is not None:
        return Ranges.of_cells(ring, order)
    ring = neighbours(_edge_cells(pixel, order), order).ravel()
    outside = (ring >> np.int64(2 * (order - pixel.order))) != pixel.number
    return Ranges.of_cells(ring[outside], order)


def dilated(layout: Layout, radius_arcsec: float) -> Ranges:
    """Return the sky of a layout and a border of at least the radius around it; coarse, for choosing pixels only."""
    if radius_arcsec <= 0 or len(layout) == 0:
        return layout.ranges
    limit = finest_order_reaching(radius_arcsec)
    edge = layout.take(~_is_interior(layout, min(limit, _COARSE))) if len(layout) > _MANY else layout
    grown = [layout.ranges]
    for order in np.flatnonzero(np.bincount(edge.orders)).tolist():
        drawn = min(limit, order + 1)
        grown.append(Ranges.of_cells(neighbours(_drawn(edge.starts[edge.orders == order], order, drawn), drawn), drawn))
    return Ranges.of(np.concatenate([r.starts for r in grown]), np.concatenate([r.stops for r in grown]))


def within_reach(layout: Layout, sky: Ranges, radius_arcsec: float) -> NDArray[np.bool_]:
    """Tell which pixels share sky with a set or may lie within a radius of it; coarse, for choosing pixels only.

    None that does is left out. Costs one search for each pixel, and more only for those just outside the set.
    """
    near = sky.overlaps(layout.starts, layout.stops)
    if radius_arcsec <= 0 or len(sky) == 0:
        return near
    limit = finest_order_reaching(radius_arcsec)
    rest = np.flatnonzero(~near)
    # Three looks around, each finer than the last and at fewer pixels.
    for looked_at in (np.minimum(layout.orders, _COARSE), layout.orders, layout.orders + 1):
        rest = rest[_touch(layout.take(rest), np.minimum(looked_at[rest], limit), sky)]
    near[rest] = True
    return near


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


def _drawn(starts: Indices, order: int, drawn: int) -> Indices:
    """Return the cells of another order, one finer at most, that hold pixels of one order; sorted, without repeats."""
    cells = starts >> np.int64(2 * (MAX_ORDER - drawn))
    if drawn > order:
        return (cells[:, None] + np.arange(4)).ravel()
    return cells[np.concatenate([[True], np.diff(cells) > 0])] if cells.size else cells


def _is_interior(layout: Layout, order: int) -> NDArray[np.bool_]:
    """Tell which leaves lie in a cell of an order that is covered by the layout, and all its neighbours too."""
    width = np.int64(2 * (MAX_ORDER - order))
    cells = np.arange(N_BASE << (2 * order), dtype=np.int64)
    full = layout.ranges.covers(cells << width, (cells + 1) << width)
    inside = np.zeros(cells.size, dtype=bool)
    inside[full] = full[neighbours(cells[full], order)].all(axis=1)
    interior: NDArray[np.bool_] = (layout.orders >= order) & inside[layout.starts >> width]
    return interior


def _touch(layout: Layout, drawn_at: Indices, sky: Ranges) -> NDArray[np.bool_]:
    """Tell of which pixels the cells of the orders ``drawn_at``, or their neighbours, share sky with a set."""
    touched = np.zeros(len(layout), dtype=bool)
    finer = drawn_at > layout.orders
    for drawn in np.flatnonzero(np.bincount(drawn_at)).tolist():
        for depth in (0, 1):
            place = np.flatnonzero((drawn_at == drawn) & (finer == bool(depth)))
            cells = _drawn(layout.starts[place], drawn - depth, drawn)
            hit = _cells_touch(cells, drawn, sky)
            if depth:
                touched[place] = hit.reshape(-1, 4).any(axis=1)
            else:
                mine = layout.starts[place] >> np.int64(2 * (MAX_ORDER - drawn))
                touched[place] = hit[np.searchsorted(cells, mine)]
    return touched


def _cells_touch(cells: Indices, order: int, sky: Ranges) -> NDArray[np.bool_]:
    """Tell which cells of one order share sky with a set, themselves or one of their neighbours."""
    width = np.int64(2 * (MAX_ORDER - order))
    # Many cells are looked up in a map of the whole sky at their order, few are searched for.
    sky_map = _map_of(sky, order) if cells.size << 6 > N_BASE << (2 * order) else None
    hit = np.zeros(cells.size, dtype=bool)
    for k in range(0, cells.size, _AT_ONCE):
        around = neighbours(cells[k : k + _AT_ONCE], order)
        found = sky_map[around] if sky_map is not None else sky.overlaps(around << width, (around + 1) << width)
        hit[k : k + _AT_ONCE] = found.any(axis=1)
    return hit


def _map_of(sky: Ranges, order: int) -> NDArray[np.bool_]:
    """Tell of each cell of an order whether it shares sky with a set."""
    width = np.int64(2 * (MAX_ORDER - order))
    cells = Ranges.of(sky.starts >> width, ((sky.stops - 1) >> width) + 1)
    steps = np.zeros((N_BASE << (2 * order)) + 1, dtype=np.int8)
    steps[cells.starts], steps[cells.stops] = 1, -1
    return np.cumsum(steps[:-1], dtype=np.int8).view(np.bool_)


def _ring_cells(pixel: Pixel, order: int) -> Indices | None:
    """Return the cells of a finer order that touch a pixel from outside; None where they lie in several base pixels.

    There cells are a plain grid: the bits of a NESTED number are those of its two coordinates in turn (Górski et al.
    2005, ApJ 622, 759, section 5.3).
    """
    side = 1 << pixel.order
    base, within = divmod(pixel.number, side * side)
    x, y = _gathered(within), _gathered(within >> 1)
    if not (0 < x < side - 1 and 0 < y < side - 1):
        return None
    depth = order - pixel.order
    across = np.arange(-1, (1 << depth) + 1, dtype=np.int64)
    column, row = (x << depth) + across, (y << depth) + across
    up, right = _spread(column), _spread(row) << 1
    ring = np.concatenate([up | right[0], up | right[-1], up[0] | right[1:-1], up[-1] | right[1:-1]])
    cells: Indices = ring + np.int64(base << (2 * order))
    return cells


def _gathered(number: int) -> int:
    """Return the number that every second bit of another spells."""
    return sum(((number >> (2 * bit)) & 1) << bit for bit in range(MAX_ORDER))


def _spread(numbers: Indices) -> Indices:
    """Put a zero above each bit."""
    spread = numbers
    for shift, mask in _SPREADING:
        spread = (spread | (spread << shift)) & mask
    return spread


def _edge_cells(pixel: Pixel, order: int) -> Indices:
    """Return the cells of a finer order that lie inside the pixel along its four sides."""
    depth = order - pixel.order
    spread = _spread(np.arange(1 << depth, dtype=np.int64))
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
