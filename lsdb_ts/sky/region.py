"""Parts of the sky a query asks for. A region can test positions exactly and name the pixels that may hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import healpix_geo.nested as healpix
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.sky.pixel import MAX_ORDER, SKY_STOP, finest_order_reaching
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.sky.sphere import ARCSEC_PER_RADIAN, separation_arcsec

_WIDEST_COVERED_ARCSEC = 90 * 3600.0
"""healpix-geo leaves out cells of cones wider than some 130 degrees: beyond a hemisphere, all sky is looked at."""


class Region(Protocol):
    """What a query needs of a region."""

    def contains(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.bool_]:
        """Tell which positions (degrees) lie inside, exactly; the edge counts as inside."""

    def ranges(self) -> Ranges:
        """Return sky that holds the region and somewhat more."""


@dataclass(frozen=True)
class Cone:
    """All positions within a radius of a centre.

    >>> Cone(359.9999, 0.0, radius_arcsec=1.0).contains([0.0, 0.001], [0.0, 0.0])
    array([ True, False])
    """

    ra_deg: float
    dec_deg: float
    radius_arcsec: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.ra_deg) and np.isfinite(self.dec_deg) and abs(self.dec_deg) <= 90):
            raise PlanError(
                f"a cone cannot be centred on ra={self.ra_deg}, dec={self.dec_deg}: need finite degrees, |dec| <= 90"
            )
        if not 0 < self.radius_arcsec <= 180 * 3600:
            raise PlanError(
                f"a cone of radius {self.radius_arcsec} arcsec: need more than 0 and at most 648000 (180 degrees)"
            )

    def contains(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.bool_]:
        """Tell which positions (degrees) lie inside, exactly; the edge counts as inside."""
        return separation_arcsec(self.ra_deg, self.dec_deg, ra_deg, dec_deg) <= self.radius_arcsec

    def ranges(self) -> Ranges:
        """Return sky that holds the cone and somewhat more."""
        if self.radius_arcsec > _WIDEST_COVERED_ARCSEC:
            return Ranges.of([0], [SKY_STOP])
        depth = finest_order_reaching(self.radius_arcsec / 4)
        radius_deg = np.degrees(self.radius_arcsec / ARCSEC_PER_RADIAN) * (1 + 1e-9) + 1e-9
        cells, depths, _ = healpix.cone_coverage((self.ra_deg % 360.0, self.dec_deg), radius_deg, depth, flat=False)
        shift = (2 * (MAX_ORDER - np.asarray(depths))).astype(np.int64)
        numbers = np.asarray(cells).astype(np.int64)
        return Ranges.of(numbers << shift, (numbers + 1) << shift)
