"""Directions and angles on the sphere, exact at any separation; pixels live next door."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

ARCSEC_PER_RADIAN = np.degrees(1.0) * 3600.0


def unit_vectors(ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.float64]:
    """Return the unit vectors of positions: shape (n, 3), C order."""
    ra = np.radians(np.atleast_1d(np.asarray(ra_deg, dtype=np.float64)))
    dec = np.radians(np.atleast_1d(np.asarray(dec_deg, dtype=np.float64)))
    vectors = np.empty((ra.size, 3))
    cos_dec = np.cos(dec)
    vectors[:, 0] = cos_dec * np.cos(ra)
    vectors[:, 1] = cos_dec * np.sin(ra)
    vectors[:, 2] = np.sin(dec)
    return vectors


def chord(radius_arcsec: float) -> float:
    """Return the straight distance between two points of the unit sphere that are an angle apart."""
    return float(2.0 * np.sin(min(radius_arcsec / ARCSEC_PER_RADIAN, np.pi) / 2.0))


def separation_arcsec(ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike) -> NDArray[np.float64]:
    """Return the great-circle separation of positions given in degrees.

    Uses the haversine form, which keeps full precision for small angles (R. W. Sinnott, Sky & Telescope 68, 159, 1984).

    >>> separation_arcsec(0.0, 90.0, 180.0, 90.0).round(6).item()
    0.0
    """
    ra1, dec1, ra2, dec2 = (np.radians(np.asarray(x, dtype=np.float64)) for x in (ra1, dec1, ra2, dec2))
    half = np.sin((dec2 - dec1) / 2) ** 2 + np.cos(dec1) * np.cos(dec2) * np.sin((ra2 - ra1) / 2) ** 2
    return np.asarray(2 * np.arcsin(np.sqrt(np.clip(half, 0, 1))) * ARCSEC_PER_RADIAN)
