"""Two equal-area maps, and lines on them: the whole sky, and a patch around a point. What is drawn lives in ``sky``.

East is to the left on both, as one sees the sky.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from lsdb_ts.sky.pixel import Floats
from lsdb_ts.sky.sphere import unit_vectors

_AT_POLE_DEG = 90.0 - 1e-9


class Projection(Protocol):
    """What a picture needs of a map."""

    @property
    def half_size(self) -> tuple[float, float]:
        """Half the map's width and height."""

    def to_plane(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> tuple[Floats, Floats]:
        """Return places on the map of positions; NaN where they cannot be shown."""

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Return the positions (degrees) of places on the map; NaN outside the sky."""

    def lines(self, ra_deg: Floats, dec_deg: Floats) -> Floats:
        """Return the segments of polylines given by rows of positions, cut where the map is; shape (n, 2, 2)."""


@dataclass(frozen=True)
class Mollweide:
    """The whole sky in an ellipse (J. P. Snyder, Map Projections: A Working Manual, USGS PP 1395, 1987, p. 251).

    ``x = -(2 sqrt(2) / pi) (ra - centre) cos(theta)`` and ``y = sqrt(2) sin(theta)``, where
    ``2 theta + sin(2 theta) = pi sin(dec)``.
    """

    centre_ra_deg: float = 0.0

    @property
    def half_size(self) -> tuple[float, float]:
        """Half the map's width and height."""
        return 2 * np.sqrt(2.0), np.sqrt(2.0)

    def longitude(self, ra_deg: ArrayLike) -> Floats:
        """Return degrees east of the centre, in [-180, 180)."""
        return np.asarray(np.mod(np.asarray(ra_deg, dtype=np.float64) - self.centre_ra_deg + 180.0, 360.0) - 180.0)

    def to_plane(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> tuple[Floats, Floats]:
        """Return places on the map of positions."""
        return self._place(self.longitude(ra_deg), np.asarray(dec_deg, dtype=np.float64))

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Return the positions (degrees) of places on the map; NaN outside the ellipse."""
        x, y = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            theta = np.arcsin(y / np.sqrt(2.0))
            longitude = -np.degrees(np.pi * x / (2 * np.sqrt(2.0) * np.cos(theta)))
            dec = np.degrees(np.arcsin(np.clip((2 * theta + np.sin(2 * theta)) / np.pi, -1, 1)))
            outside = ~(np.abs(longitude) <= 180.0)
        ra = np.mod(longitude + self.centre_ra_deg, 360.0)
        return np.where(outside, np.nan, ra), np.where(outside, np.nan, dec)

    def lines(self, ra_deg: Floats, dec_deg: Floats) -> Floats:
        """Return the segments of polylines, split in two where they cross the map's left and right edge."""
        longitude = self.longitude(ra_deg)
        a, b = longitude[:, :-1].ravel(), longitude[:, 1:].ravel()
        dec_a, dec_b = dec_deg[:, :-1].ravel(), dec_deg[:, 1:].ravel()
        # A pole is one point whatever its RA.
        a, b = (
            np.where(np.abs(dec_a) > _AT_POLE_DEG, b, a),
            np.where(np.abs(dec_b) > _AT_POLE_DEG, a, b),
        )
        cut = np.abs(a - b) > 180.0
        whole = self._segments(a[~cut], dec_a[~cut], b[~cut], dec_b[~cut])
        if not cut.any():
            return whole
        a, b, dec_a, dec_b = a[cut], b[cut], dec_a[cut], dec_b[cut]
        edge = np.copysign(180.0, a)
        before, after = np.abs(edge - a), np.abs(-edge - b)
        share = np.divide(before, before + after, out=np.zeros_like(a), where=before + after > 0)
        dec_edge = dec_a + share * (dec_b - dec_a)
        return np.concatenate(
            [whole, self._segments(a, dec_a, edge, dec_edge), self._segments(-edge, dec_edge, b, dec_b)]
        )

    def _segments(self, a: Floats, dec_a: Floats, b: Floats, dec_b: Floats) -> Floats:
        start, stop = self._place(a, dec_a), self._place(b, dec_b)
        return np.stack([np.stack(start, axis=-1), np.stack(stop, axis=-1)], axis=1)

    def _place(self, longitude: Floats, dec_deg: Floats) -> tuple[Floats, Floats]:
        target = np.pi * np.sin(np.radians(dec_deg))
        theta = np.radians(dec_deg)
        for _ in range(30):
            # Newton's step vanishes with its slope at the poles, where theta = dec already.
            slope = 2 + 2 * np.cos(2 * theta)
            step = np.divide(
                2 * theta + np.sin(2 * theta) - target, slope, out=np.zeros_like(theta), where=slope > 1e-12
            )
            theta = np.clip(theta - step, -np.pi / 2, np.pi / 2)
        return -np.radians(longitude) * (2 * np.sqrt(2.0) / np.pi) * np.cos(theta), np.sqrt(2.0) * np.sin(theta)


@dataclass(frozen=True)
class Zenithal:
    """A patch of sky around a point, in degrees from it (Lambert azimuthal equal-area; Snyder 1987, p. 185)."""

    ra_deg: float
    dec_deg: float
    radius_deg: float

    @property
    def half_size(self) -> tuple[float, float]:
        """Half the map's width and height, in degrees."""
        half = float(np.degrees(2 * np.sin(np.radians(min(self.radius_deg, 180.0)) / 2)))
        return half, half

    def _frame(self) -> Floats:
        """Return the unit vectors to the east, the north and the centre, as rows."""
        ra, dec = np.radians(self.ra_deg), np.radians(self.dec_deg)
        east = [-np.sin(ra), np.cos(ra), 0.0]
        north = [-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)]
        return np.array([east, north, [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]])

    def to_plane(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> tuple[Floats, Floats]:
        """Return places on the map of positions; NaN near the point opposite the centre."""
        ra, dec = np.broadcast_arrays(np.asarray(ra_deg, dtype=np.float64), np.asarray(dec_deg, dtype=np.float64))
        east, north, ahead = self._frame() @ unit_vectors(ra.ravel(), dec.ravel()).T
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = np.where(ahead > -0.99, np.degrees(np.sqrt(2.0 / (1.0 + ahead))), np.nan)
        return (-east * factor).reshape(ra.shape), (north * factor).reshape(ra.shape)

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Return the positions (degrees) of places on the map; NaN outside the sphere."""
        x, y = np.broadcast_arrays(
            np.radians(np.asarray(x, dtype=np.float64)), np.radians(np.asarray(y, dtype=np.float64))
        )
        square = x**2 + y**2
        with np.errstate(invalid="ignore"):
            factor = np.sqrt(1.0 - square / 4.0)
        local = np.stack([-x * factor, y * factor, 1.0 - square / 2.0]).reshape(3, -1)
        vx, vy, vz = (self._frame().T @ local).reshape(3, *x.shape)
        return np.mod(np.degrees(np.arctan2(vy, vx)), 360.0), np.degrees(np.arctan2(vz, np.hypot(vx, vy)))

    def lines(self, ra_deg: Floats, dec_deg: Floats) -> Floats:
        """Return the segments of polylines that touch the map's frame."""
        x, y = self.to_plane(ra_deg, dec_deg)
        places = np.stack([x, y], axis=-1)
        segments = np.stack([places[:, :-1], places[:, 1:]], axis=2).reshape(-1, 2, 2)
        near = np.abs(segments).min(axis=(1, 2)) <= 2 * self.half_size[0]
        return segments[near & np.isfinite(segments).all(axis=(1, 2))]
