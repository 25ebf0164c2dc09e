"""Parts of the sky a query asks for: what a region is, and the simplest one. Other shapes live in the next modules."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.sky.coverage import covering
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.sky.sphere import separation_arcsec


class Region(Protocol):
    """What a query needs of a region; its ``repr`` is its identity, the same in every process."""

    def contains(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.bool_]:
        """Tell which positions (degrees) lie inside, exactly; the edge counts as inside."""

    def ranges(self) -> Ranges:
        """Return sky that holds the region and somewhat more."""


def fingerprint(*arrays: NDArray[np.generic]) -> str:
    """Return what tells the content of arrays from any other, for the ``repr`` of regions too long to print."""
    content = hashlib.sha256()
    for array in arrays:
        content.update(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes())
    return content.hexdigest()[:32]


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
        return self._sky

    @functools.cached_property
    def _sky(self) -> Ranges:
        def distance(ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.float64]:
            return separation_arcsec(self.ra_deg, self.dec_deg, ra_deg, dec_deg) - self.radius_arcsec

        return covering(distance, around=(self.ra_deg, self.dec_deg, self.radius_arcsec))
