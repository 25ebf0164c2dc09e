"""A box in right ascension and declination. Regions in general live in region.py."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.sky.coverage import covering
from lsdb_ts.sky.pixel import Floats
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.sky.sphere import separation_arcsec


@dataclass(frozen=True)
class Box:
    """All positions between two meridians and two parallels.

    Right ascension runs eastward from the first limit to the second, through 0 where the second is smaller; limits 360
    degrees or more apart are all the way round. A pole that the declinations reach is inside, whatever its RA.

    >>> Box(ra_deg=(350.0, 10.0), dec_deg=(-5.0, 5.0)).contains([359.0, 10.0, 11.0], [0.0, 5.0, 0.0])
    array([ True,  True, False])
    """

    ra_deg: tuple[float, float]
    dec_deg: tuple[float, float]

    def __post_init__(self) -> None:
        low, high = self.dec_deg
        if not (np.isfinite([*self.ra_deg, low, high]).all() and -90 <= low < high <= 90):
            raise PlanError(
                f"a box of ra={self.ra_deg}, dec={self.dec_deg}: need finite degrees and -90 <= dec[0] < dec[1] <= 90"
            )
        if not self._whole_round and _turned(self.ra_deg[0]) == _turned(self.ra_deg[1]):
            raise PlanError(f"a box of ra={self.ra_deg} has no width; all the way round is ra=(0, 360)")

    def contains(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.bool_]:
        """Tell which positions (degrees) lie inside, by comparing numbers; limits count as inside."""
        dec = np.asarray(dec_deg, dtype=np.float64)
        inside = (dec >= self.dec_deg[0]) & (dec <= self.dec_deg[1])
        return np.asarray(inside & (self._holds_ra(ra_deg) | (np.abs(dec) == 90.0)))

    def ranges(self) -> Ranges:
        """Return sky that holds the box and somewhat more."""
        return self._sky

    @functools.cached_property
    def _sky(self) -> Ranges:
        return covering(self._distance_arcsec)

    @property
    def _whole_round(self) -> bool:
        return self.ra_deg[1] - self.ra_deg[0] >= 360.0

    def _holds_ra(self, ra_deg: ArrayLike) -> NDArray[np.bool_]:
        ra = _turned(ra_deg)
        if self._whole_round:
            return np.ones(ra.shape, dtype=bool)
        first, last = _turned(self.ra_deg)
        holds: NDArray[np.bool_] = (ra >= first) & (ra <= last) if first <= last else (ra >= first) | (ra <= last)
        return holds

    def _distance_arcsec(self, ra_deg: Floats, dec_deg: Floats) -> Floats:
        """Return how far positions are from the box, below 0 inside it."""
        low, high = self.dec_deg
        # Poles are no edges: a parallel there is a point, that the box goes round or that its sides meet in.
        to_low = dec_deg - low if low > -90 else np.full_like(dec_deg, np.inf)
        to_high = high - dec_deg if high < 90 else np.full_like(dec_deg, np.inf)
        beyond = -3600.0 * np.minimum(to_low, to_high)
        if self._whole_round:
            return beyond
        side = np.minimum(*(_to_meridian_arcsec(ra, low, high, ra_deg, dec_deg) for ra in self.ra_deg))
        return np.where(self._holds_ra(ra_deg), np.where(beyond > 0, beyond, np.maximum(beyond, -side)), side)


def _turned(ra_deg: ArrayLike) -> Floats:
    """Return right ascensions in [0, 360); those in it already as they are."""
    ra = np.mod(np.asarray(ra_deg, dtype=np.float64), 360.0)
    return np.asarray(np.where(ra == 360.0, 0.0, ra))


def _to_meridian_arcsec(meridian: float, low: float, high: float, ra_deg: Floats, dec_deg: Floats) -> Floats:
    """Return the distance of positions to a piece of a meridian between two declinations."""
    dec = np.radians(dec_deg)
    foot = np.degrees(np.arctan2(np.sin(dec), np.cos(dec) * np.cos(np.radians(ra_deg - meridian))))
    ends = [separation_arcsec(ra_deg, dec_deg, meridian, end) for end in (low, high)]
    near = separation_arcsec(ra_deg, dec_deg, meridian, np.clip(foot, low, high))
    return np.asarray(np.minimum(near, np.minimum(*ends)))
