"""The sky near other sky that matters to a demand: what two-sided nodes ask for, and what they then keep.

How borders of pixels are drawn is geometry and lives in sky.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.plan.demand import Demand
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky.halo import border, dilated
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import MAX_ORDER, Indices, Pixel, finest_order_reaching, neighbours
from lsdb_ts.sky.ranges import Ranges, counted
from lsdb_ts.store.partition import Partition

_FINER = 4
"""Sky near other sky is drawn with cells this many orders finer than the pixel: about the size of row groups."""
_FEW_CELLS = 1 << 14
"""That near a few places, such as those of looked-up ids, with the finest that reach: so many are listed quickly."""
_BRIDGE = 64
"""Gaps of that many fine cells are not left out: the few rows there cost less than to search for the gap's ends."""


def in_reach(part: Partition, demand: Demand) -> NDArray[np.bool_]:
    """Tell which rows lie in the demanded pixel or in its halo; others were read only to decide on these."""
    place, pixel = part.table.column(HEALPIX).to_numpy(), demand.pixel
    inside: NDArray[np.bool_] = (place >= pixel.start) & (place < pixel.stop)
    return inside | border(pixel, demand.halo_arcsec).contains(place) if demand.halo_arcsec > 0 else inside


def grown(sky: Ranges | None, width_arcsec: float, demand: Demand, about_arcsec: float | None = None) -> Ranges | None:
    """Return what lies within a width of some sky, at least as far as it matters to a demand.

    For one pixel it is coarse, drawn with cells not much smaller than row groups, and quick: whoever reads is not kept
    busy with its edges.

    Parameters
    ----------
    sky : Ranges or None
        None is all sky.
    width_arcsec : float
        How much wider.
    demand : Demand
        Whose pixels, and halo.
    about_arcsec : float, optional
        How far beyond the halo the sky matters; by default as far as it is grown.

    Returns
    -------
    Ranges or None
        None where it is all that matters.
    """
    if sky is None or len(demand.pixels) == 0:
        return sky
    if len(demand.pixels) > 1:
        return grown_whole(sky, width_arcsec)
    about = width_arcsec if about_arcsec is None else about_arcsec
    return _grown_here(sky, width_arcsec, demand.pixel, demand.halo_arcsec + about)


def _touched(sky: Ranges, order: int) -> tuple[Indices, Indices]:
    """Return the first, and one past the last, pixel of an order that each interval of some sky touches."""
    shift = np.int64(2 * (MAX_ORDER - order))
    return sky.starts >> shift, ((sky.stops - 1) >> shift) + 1


@functools.lru_cache(maxsize=64)
def _grown_here(sky: Ranges, width_arcsec: float, pixel: Pixel, about_arcsec: float) -> Ranges | None:
    """Return what lies within a width of some sky, as far as it lies in a pixel or close to it."""
    # A chain of matches asks each of its catalogs for the sky near the same positions: it is drawn once.
    around = border(pixel, about_arcsec)
    whole = Ranges.of(np.append(around.starts, pixel.start), np.append(around.stops, pixel.stop))
    here = whole.intersection(sky)
    if (here.stops - here.starts).sum() == (whole.stops - whole.starts).sum():
        return None
    if width_arcsec <= 0:
        return here
    order = finest_order_reaching(width_arcsec)
    first, last = _touched(here, order)
    few = (last - first).sum() <= _FEW_CELLS
    if not few:
        order = min(pixel.order + _FINER, order)
        first, last = _touched(here, order)
    cells = counted(first, last)
    # In order already: only where one interval ends and the next begins may a cell stand twice.
    cells = cells[np.append(np.full(min(cells.size, 1), True), cells[1:] > cells[:-1])]
    return Ranges.of_cells(neighbours(cells, order), order, bridged=_BRIDGE if few else 0)


@functools.lru_cache(maxsize=64)
def grown_whole(sky: Ranges | None, width_arcsec: float) -> Ranges | None:
    """Return what lies within a width of some sky, wherever it matters; None is all sky."""
    # Ranges are told apart by who they are; a node hands out the same ones each time.
    return None if sky is None else dilated(Layout.of_ranges(sky), width_arcsec)
