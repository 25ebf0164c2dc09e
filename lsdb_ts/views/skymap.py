"""Rows per piece of sky, as numbers: what a sky picture shows. Drawing it lives in ``sky``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import healpix_geo.nested as healpix
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.plan.columns import Select
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import HEALPIX, is_nested
from lsdb_ts.sky import Layout, spatial_index
from lsdb_ts.sky.pixel import Floats, Indices, cell_of, centre, neighbours
from lsdb_ts.sky.sphere import separation_arcsec, unit_vectors
from lsdb_ts.store.memory import MemorySource
from lsdb_ts.store.skymap import read_skymap
from lsdb_ts.store.source import HatsSource

_SKY_DEG2 = 4 * np.pi * np.degrees(1.0) ** 2
_MAP_ORDER = 10
_FINE_ORDER = 8
_COUNTABLE_ROWS = 5_000_000
"""Up to so many rows a skymap coarser than the fine order (14 arcmin) is replaced by counting."""
_READABLE_ROWS = 8
_COARSEST_READABLE = 4
_MOST_CELLS = 3000
_STRAY = 0.01


@dataclass(frozen=True, eq=False)
class SkyMap:
    """Rows in each of some disjoint pixels, which may be of mixed orders."""

    layout: Layout
    rows: NDArray[np.float64]
    """Rows in each pixel, in the layout's sequence."""

    @classmethod
    def of_cells(cls, order: int, cells: Indices, rows: Indices) -> SkyMap:
        """Build a map of cells of one order, sorted and without repeats."""
        return cls(Layout.of_arrays(np.full(cells.size, order), cells), np.asarray(rows, dtype=np.float64))

    @classmethod
    def of_index(cls, index: Indices, order: int = _MAP_ORDER) -> SkyMap:
        """Count order-29 numbers per cell."""
        cells, rows = np.unique(cell_of(index, order), return_counts=True)
        return cls.of_cells(order, cells, rows)

    @classmethod
    def of(cls, catalog: Any) -> SkyMap:
        """Count a catalog's rows: from its stored skymap if that is fine enough, else by reading where they are."""
        plan = catalog.plan
        while isinstance(plan, Select):
            plan = plan.child
        if isinstance(plan, Scan) and isinstance(plan.source, MemorySource):
            return cls.of_index(plan.source.table.column(HEALPIX).to_numpy())
        if isinstance(plan, Scan) and isinstance(plan.source, HatsSource):
            stored = read_skymap(plan.source.catalog.path)
            if stored is not None and (stored[0] >= _FINE_ORDER or int(stored[2].sum()) > _COUNTABLE_ROWS):
                return cls.of_cells(*stored)
        narrowest = min(catalog.schema, key=is_nested).name
        return cls.of_index(catalog[[narrowest]].to_arrow(progress=False).column(HEALPIX).to_numpy())

    @property
    def n_rows(self) -> int:
        """Rows in the whole map."""
        return int(self.rows.sum())

    @property
    def density(self) -> Floats:
        """Rows per square degree in each pixel."""
        return self.rows / pixel_area_deg2(self.layout.orders)

    def covered_fraction(self) -> float:
        """Part of the whole sky that occupied pixels take."""
        return float(pixel_area_deg2(self.layout.orders[self.rows > 0]).sum() / _SKY_DEG2)

    def coarsened(self, order: int) -> SkyMap:
        """Return the map with all pixels finer than an order added up into pixels of that order."""
        orders = np.minimum(self.layout.orders, order)
        numbers = self.layout.numbers >> (2 * (self.layout.orders - orders))
        first = np.flatnonzero(np.concatenate([[True], (np.diff(numbers) != 0) | (np.diff(orders) != 0)]))
        if first.size == 0 or len(self.layout) == 0:
            return self
        return SkyMap(Layout(orders[first], numbers[first]), np.add.reduceat(self.rows, first))

    def readable(self, finest: int) -> SkyMap:
        """Coarsen to an order at most ``finest``, and until most rows lie in cells that show more than noise."""
        for order in range(finest, _COARSEST_READABLE, -1):
            coarse = self.coarsened(order)
            if 2 * coarse.rows[coarse.rows >= _READABLE_ROWS].sum() >= coarse.rows.sum():
                return coarse
        return self.coarsened(min(finest, _COARSEST_READABLE))

    def density_at(self, ra_deg: Floats, dec_deg: Floats) -> Floats:
        """Return rows per square degree at positions of any shape; NaN outside the occupied pixels or off the sky."""
        found = np.full(np.shape(ra_deg), np.nan)
        on_sky = np.isfinite(ra_deg) & np.isfinite(dec_deg)
        place = self.layout.leaf_of(spatial_index(ra_deg[on_sky], dec_deg[on_sky]))
        density = np.where(self.rows > 0, self.density, np.nan)
        found[on_sky] = np.where(place >= 0, density[np.maximum(place, 0)], np.nan) if density.size else np.nan
        return found


@dataclass(frozen=True)
class Patch:
    """A round piece of sky."""

    ra_deg: float
    dec_deg: float
    radius_deg: float


def pixel_area_deg2(orders: Indices) -> Floats:
    """Return the area of pixels in square degrees; equal for all pixels of an order.

    >>> pixel_area_deg2(np.array([0])).round(1).tolist()
    [3437.7]
    """
    return _SKY_DEG2 / 12.0 / 4.0 ** np.asarray(orders, dtype=np.float64)


def outline(layout: Layout, steps: int) -> tuple[Floats, Floats]:
    """Return the closed outlines of pixels, with ``steps`` points along each edge.

    Returns
    -------
    ra_deg, dec_deg : numpy.ndarray of float64, shape (len(layout), 4 * steps + 1)
        The last point repeats the first.
    """
    ra, dec = (np.empty((len(layout), 4 * steps + 1)) for _ in range(2))
    for order in np.unique(layout.orders):
        rows = layout.orders == order
        lon, lat = healpix.vertices(layout.numbers[rows].astype(np.uint64), int(order), step=steps)
        ra[rows, :-1], dec[rows, :-1] = lon, lat
    ra[:, -1], dec[:, -1] = ra[:, 0], dec[:, 0]
    return ra, dec


def patches(skymap: SkyMap, at_most: int) -> list[Patch]:
    """Find the separate pieces of sky that hold rows, those with the most rows first; stray rows are no patch.

    Cells are one piece if they touch when seen two orders coarser, at which the gaps between sparse rows close.
    """
    fine = skymap.readable(_MAP_ORDER)
    while len(fine.layout) > _MOST_CELLS:
        fine = fine.coarsened(int(fine.layout.orders.max()) - 1)
    level = max(int(fine.layout.orders.max(initial=0)) - 2, 0)
    linked = fine.coarsened(level).layout
    group = _connected(linked, level)[linked.leaf_of(fine.layout.starts)]
    found: list[tuple[float, Patch]] = []
    for g in np.unique(group):
        inside = group == g
        rows = fine.rows[inside]
        if rows.sum() >= _STRAY * fine.rows.sum():
            found.append((float(rows.sum()), _around(fine.layout.take(inside), rows)))
    return [patch for _, patch in sorted(found, key=lambda pair: -pair[0])[:at_most]]


def _around(layout: Layout, rows: Floats) -> Patch:
    """Return a circle that holds all but the outermost hundredth of the rows in some pixels."""
    ra, dec = outline(layout, 1)
    middle = (unit_vectors(ra.ravel(), dec.ravel()).reshape(*ra.shape, 3).mean(axis=1) * rows[:, None]).sum(axis=0)
    lon = float(np.degrees(np.arctan2(middle[1], middle[0])) % 360)
    lat = float(np.degrees(np.arctan2(middle[2], np.hypot(middle[0], middle[1]))))
    if 90.0 - abs(lat) < 0.5:
        # Near a pole the mean's RA says nothing: centre on the pole itself.
        lon, lat = 0.0, float(np.copysign(90.0, lat))
    reach = separation_arcsec(lon, lat, ra, dec).max(axis=1) / 3600
    outwards = np.argsort(reach)
    last = int(np.searchsorted(np.cumsum(rows[outwards]), 0.99 * rows.sum()))
    return Patch(lon, lat, float(reach[outwards[min(last, reach.size - 1)]]))


def _connected(layout: Layout, order: int) -> Indices:
    """Return the group of each leaf; leaves that touch, seen at ``order`` (that of the finest), share one."""
    group = np.arange(len(layout))
    for i, pixel in enumerate(layout):
        cells = np.fromiter((child.number for child in pixel.children(order)), dtype=np.int64)
        around = np.unique(neighbours(cells, order))
        ra, dec = centre(around, order)
        touched = layout.leaf_of(spatial_index(ra, dec))
        linked = np.unique(group[np.append(touched[touched >= 0], i)])
        if linked.size > 1:
            group[np.isin(group, linked)] = linked[0]
    return group
