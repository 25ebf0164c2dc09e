"""Pixels that hold a shape, found from nothing but how far a position is from it. The shapes live next door."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lsdb_ts.sky.pixel import (
    MAX_ORDER,
    N_BASE,
    Floats,
    cell_of,
    cell_radius_arcsec,
    centre,
    finest_order_reaching,
    neighbour_reach_arcsec,
    neighbours,
    spatial_index,
)
from lsdb_ts.sky.ranges import Ranges

_ENOUGH = 300
"""Cells on a shape's edge are cut finer until there are so many."""
_ROUNDING_ARCSEC = 1e-6
"""More than any distance in arcseconds is off by rounding."""


def covering(
    distance_arcsec: Callable[[Floats, Floats], Floats], around: tuple[float, float, float] | None = None
) -> Ranges:
    """Return sky that holds a shape, and little more: cells whose circumscribed circle touches it.

    Parameters
    ----------
    distance_arcsec : callable
        Takes ra and dec (degrees) and returns, of each position outside the shape, at most its distance to the shape,
        and of each one inside, minus at most its distance to the edge.
    around : tuple of float, optional
        RA, Dec (degrees) and radius (arcsec) of a circle that holds the shape, to begin with small cells.
    """
    order, cells = 0, np.arange(N_BASE, dtype=np.int64)
    if around is not None and around[2] < neighbour_reach_arcsec(0):
        order = finest_order_reaching(max(around[2], _ROUNDING_ARCSEC))
        cells = np.unique(neighbours(cell_of(spatial_index([around[0]], [around[1]]), order), order))
    found = [Ranges.of([], [])]
    while True:
        distance, radius = distance_arcsec(*centre(cells, order)), cell_radius_arcsec(order) + _ROUNDING_ARCSEC
        inside = distance <= -radius
        found.append(Ranges.of_cells(cells[inside], order))
        edge = cells[(distance <= radius) & ~inside]
        if edge.size > _ENOUGH or edge.size == 0 or order == MAX_ORDER:
            found.append(Ranges.of_cells(edge, order))
            return Ranges.of(np.concatenate([r.starts for r in found]), np.concatenate([r.stops for r in found]))
        order, cells = order + 1, (edge[:, None] * 4 + np.arange(4)).ravel()
