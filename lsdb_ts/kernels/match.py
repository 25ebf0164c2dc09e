"""Find pairs of positions within a radius: a merge of two HEALPix-sorted lists, exact everywhere on the sky.

Both sides come sorted by ``_healpix_29``, so the rows of any pixel are one contiguous run and no tree has to be built.
Which rows take part (halos, filters) is decided elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.sky.pixel import MAX_ORDER, cell_of, cell_thickness_arcsec, finest_order_reaching, neighbours
from lsdb_ts.sky.sphere import ARCSEC_PER_RADIAN, chord, unit_vectors

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
_RIGHT_ROWS_PER_CELL = 4.0
_VECTOR_ROUNDING = 1e-15
"""What rounding may add to the distance of two unit vectors (2e-10 arcsec): so much beyond the radius is still in."""


@dataclass(frozen=True, eq=False)
class Positions:
    """Positions sorted by their place on the sky.

    Attributes
    ----------
    place : numpy.ndarray of int64, shape (n,)
        Order-29 NESTED pixel numbers (``_healpix_29``), non-decreasing.
    ra_deg, dec_deg : numpy.ndarray of float64, shape (n,)
        The exact positions; any finite RA.
    """

    place: Indices
    ra_deg: Floats
    dec_deg: Floats

    @classmethod
    def of(cls, place: Indices, ra_deg: Floats, dec_deg: Floats) -> Positions:
        """Build from degrees; ``place`` must be sorted and belong to the positions."""
        return cls(
            np.ascontiguousarray(place, dtype=np.int64),
            np.ascontiguousarray(ra_deg, dtype=np.float64),
            np.ascontiguousarray(dec_deg, dtype=np.float64),
        )


def match(
    left: Positions,
    right: Positions,
    radius_arcsec: float,
    n_neighbors: int | None = 1,
    min_radius_arcsec: float = 0.0,
) -> tuple[Indices, Indices, Floats]:
    """Find the nearest right rows within a radius of every left row.

    Parameters
    ----------
    left, right : Positions
        The two sides.
    radius_arcsec : float
        Largest separation; exactly this far counts as within.
    n_neighbors : int or None
        At most so many right rows for each left row, the nearest ones; None for all. Equally near ones are taken in
        row order.
    min_radius_arcsec : float
        Right rows nearer than this do not count.

    Returns
    -------
    left_rows, right_rows : numpy.ndarray of int64, shape (m,)
        The pairs, by left row, the nearest first.
    separation_arcsec : numpy.ndarray of float64, shape (m,)
    """
    n_left, n_right = left.place.size, right.place.size
    if n_left == 0 or n_right == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64)
    order = _cell_order(right.place, radius_arcsec)
    cells, first_left = np.unique(cell_of(left.place, order), return_index=True)
    around = np.sort(neighbours(cells, order), axis=1)
    around[:, 1:][around[:, 1:] == around[:, :-1]] = -1
    shift = np.int64(2 * (MAX_ORDER - order))
    first_right = np.searchsorted(right.place, around << shift)
    last_right = np.searchsorted(right.place, (around + 1) << shift)
    last_right[around < 0] = first_right[around < 0]
    own_first = np.searchsorted(right.place, cells << shift)
    own_last = np.searchsorted(right.place, (cells + 1) << shift)
    edge_low, edge_high = _edge_bits(order, radius_arcsec)
    bounds = np.append(first_left, n_left)
    limit = chord(radius_arcsec) + _VECTOR_ROUNDING
    left_rows, right_rows, separation = _collect(
        left.place,
        unit_vectors(left.ra_deg, left.dec_deg),
        unit_vectors(right.ra_deg, right.dec_deg),
        bounds,
        first_right,
        last_right,
        own_first,
        own_last,
        edge_low,
        edge_high,
        (np.int64(1) << shift) - 1,
        max(chord(min_radius_arcsec) - _VECTOR_ROUNDING, 0.0) ** 2,
        limit * limit,
        n_right if n_neighbors is None else min(n_neighbors, n_right),
        ARCSEC_PER_RADIAN,
    )
    return left_rows, right_rows, np.minimum(separation, radius_arcsec)


def _cell_order(place: Indices, radius_arcsec: float) -> int:
    """Choose the finest cells that hold a few right rows where there are any, and are thicker than the radius."""
    occupied = _occupied_cells(place)
    crowded = np.flatnonzero(place.size >= _RIGHT_ROWS_PER_CELL * occupied)
    return min(int(crowded[-1]) if crowded.size else 0, finest_order_reaching(radius_arcsec))


@numba.njit(cache=True, nogil=True)
def _occupied_cells(place):
    """Count the cells with rows in them, at every order from 0 to 29, in one pass over sorted places."""
    new_at = np.zeros(30, np.int64)
    new_at[0] = 1
    for i in range(1, place.size):
        differing = place[i] ^ place[i - 1]
        if differing:
            order = 29
            while differing >> 2:
                differing >>= 2
                order -= 1
            new_at[max(order, 0)] += 1
    return np.cumsum(new_at)


def _edge_bits(order: int, radius_arcsec: float) -> tuple[int, int]:
    """Return the sub-cell coordinates below and above which a disc of the radius may leave its cell.

    Sub-cell coordinates run from 0 to 2^(29 - order) along either side of the cell. A step of one order-29 cell is at
    least the thickness of such a cell, so ``radius / thickness`` of them are always enough.
    """
    side = 1 << (MAX_ORDER - order)
    reach = math.ceil(radius_arcsec / cell_thickness_arcsec(MAX_ORDER)) + 1
    return min(reach, side), max(side - 1 - reach, -1)


@numba.njit(cache=True, nogil=True, inline="always")
def _compact(z: int) -> int:
    """Drop every other bit: one coordinate out of a Morton number."""
    z &= 0x5555555555555555
    z = (z | (z >> 1)) & 0x3333333333333333
    z = (z | (z >> 2)) & 0x0F0F0F0F0F0F0F0F
    z = (z | (z >> 4)) & 0x00FF00FF00FF00FF
    z = (z | (z >> 8)) & 0x0000FFFF0000FFFF
    return (z | (z >> 16)) & 0x00000000FFFFFFFF


@numba.njit(cache=True, nogil=True)
def _collect(
    place,
    left,
    right,
    bounds,
    first_right,
    last_right,
    own_first,
    own_last,
    edge_low,
    edge_high,
    inside_mask,
    least2,
    limit2,
    n_neighbors,
    scale,
):
    """Run over the left cells; look into the own cell only where the disc cannot leave it."""
    capacity = max(place.size, 16)
    left_rows = np.empty(capacity, np.int64)
    right_rows = np.empty(capacity, np.int64)
    distance = np.empty(capacity, np.float64)
    near2 = np.empty(n_neighbors, np.float64)
    near = np.empty(n_neighbors, np.int64)
    m = 0
    for c in range(bounds.size - 1):
        for i in range(bounds[c], bounds[c + 1]):
            inside = place[i] & inside_mask
            x = _compact(inside)
            y = _compact(inside >> 1)
            at_edge = x < edge_low or x > edge_high or y < edge_low or y > edge_high
            found = 0
            runs = first_right.shape[1] if at_edge else 1
            for k in range(runs):
                a = first_right[c, k] if at_edge else own_first[c]
                b = last_right[c, k] if at_edge else own_last[c]
                for j in range(a, b):
                    dx = left[i, 0] - right[j, 0]
                    dy = left[i, 1] - right[j, 1]
                    dz = left[i, 2] - right[j, 2]
                    d2 = dx * dx + dy * dy + dz * dz
                    if d2 < least2 or d2 > limit2 or (found == n_neighbors and d2 >= near2[found - 1]):
                        continue
                    p = min(found, n_neighbors - 1)
                    while p > 0 and near2[p - 1] > d2:
                        near2[p] = near2[p - 1]
                        near[p] = near[p - 1]
                        p -= 1
                    near2[p] = d2
                    near[p] = j
                    found = min(found + 1, n_neighbors)
            if m + found > capacity:
                capacity = 2 * capacity + found
                left_rows = _grown(left_rows, capacity)
                right_rows = _grown(right_rows, capacity)
                distance = _grown(distance, capacity)
            for p in range(found):
                left_rows[m] = i
                right_rows[m] = near[p]
                distance[m] = 2.0 * math.asin(min(1.0, 0.5 * math.sqrt(near2[p]))) * scale
                m += 1
    return left_rows[:m].copy(), right_rows[:m].copy(), distance[:m].copy()


@numba.njit(cache=True, nogil=True)
def _grown(array, capacity):
    larger = np.empty(capacity, array.dtype)
    larger[: array.size] = array
    return larger
