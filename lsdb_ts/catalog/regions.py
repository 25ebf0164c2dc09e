"""Verbs that keep a part of the sky. Shapes are geometry, and live in `sky`."""

from __future__ import annotations

from typing import Self

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.plan.rows import Cut
from lsdb_ts.sky.region import Cone


class RegionVerbs(CatalogBase):
    """Parts of the sky."""

    def cone_search(self, ra: float, dec: float, radius_arcsec: float) -> Self:
        """Keep the rows within ``radius_arcsec`` of a position (ICRS degrees)."""
        return self.with_plan(Cut(self.plan, Cone(float(ra), float(dec), float(radius_arcsec))))
