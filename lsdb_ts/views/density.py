"""Maps of the rows in each HEALPix cell, as users get them. What pictures are made of lives in ``skymap``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lsdb_ts.plan.node import Node
from lsdb_ts.plan.scan import Scan
from lsdb_ts.sky.pixel import N_BASE, Floats, Indices
from lsdb_ts.store.skymap import read_skymap
from lsdb_ts.store.source import HatsSource
from lsdb_ts.views.sky import plot_sky
from lsdb_ts.views.skymap import SkyMap, pixel_area_deg2


@dataclass(frozen=True, eq=False)
class DensityMap:
    """Rows in each HEALPix cell of one order.

    Attributes
    ----------
    name : str
        Of the catalog.
    order : int
        HEALPix order, NESTED.
    cells : numpy.ndarray of int64, shape (n,)
        Occupied cells, in rising order.
    rows : numpy.ndarray of int64, shape (n,)
        Rows in each of them.
    """

    name: str
    order: int
    cells: Indices
    rows: Indices

    @property
    def counts(self) -> Indices:
        """Rows in every cell of the sky, shape (12 * 4**order,): what healpy and others call a map."""
        full = np.zeros(N_BASE << (2 * self.order), dtype=np.int64)
        full[self.cells] = self.rows
        return full

    @property
    def density(self) -> Floats:
        """Rows per square degree in every cell of the sky, shape (12 * 4**order,)."""
        return np.asarray(self.counts / pixel_area_deg2(np.array([self.order])))

    def coarsened(self, order: int) -> DensityMap:
        """Return the map with cells added up into those of a coarser (or the same) order."""
        parents = self.cells >> np.int64(2 * (self.order - order))
        cells, first = np.unique(parents, return_index=True)
        rows = np.add.reduceat(self.rows, first) if cells.size else self.rows
        return DensityMap(self.name, order, cells, rows)

    def plot(self, **options: Any) -> Any:
        """Draw the map; options and result as of :func:`lsdb_ts.plot_sky`."""
        return plot_sky(SkyMap.of_cells(self.order, self.cells, self.rows), **{"heading": self.name, **options})


def stored_map(plan: Node) -> DensityMap | None:
    """Return the skymap stored with the one catalog that a plan reads, or None where there is none up to date."""
    while plan.children:
        (plan,) = plan.children
    if not isinstance(plan, Scan) or not isinstance(plan.source, HatsSource):
        return None
    stored = read_skymap(plan.source.catalog.path)
    if stored is None or int(stored[2].sum()) != plan.source.count:
        return None
    return DensityMap(plan.name, *stored)
