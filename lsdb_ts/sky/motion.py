"""Move positions to another epoch by their proper motions. Matching the moved positions lives elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_RADIANS_PER_MAS = np.radians(1.0) / 3.6e6


def propagate(
    ra_deg: ArrayLike, dec_deg: ArrayLike, pm_ra_cosdec_mas_yr: ArrayLike, pm_dec_mas_yr: ArrayLike, years: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move ICRS positions along great circles by their proper motions.

    The direction vector moves as ``u(t) = (u + (p mu_alpha* + q mu_delta) t) / norm`` with p and q the local east and
    north (ESA, The Hipparcos and Tycho Catalogues, 1997, Vol. 1, eq. 1.5.22, without the radial term). Exact at the
    poles and across RA 0/360.

    Parameters
    ----------
    ra_deg, dec_deg : array_like, shape (n,)
        Positions in degrees at the catalog's epoch.
    pm_ra_cosdec_mas_yr, pm_dec_mas_yr : array_like, shape (n,)
        Proper motions in mas per Julian year; NaN (unknown) counts as 0. The first contains the factor cos(dec), as in
        Gaia.
    years : array_like
        Julian years from the catalog's epoch to the wanted one.

    Returns
    -------
    ra_deg, dec_deg : numpy.ndarray of float64, shape (n,)

    >>> propagate(10.0, 0.0, 3.6e6, 0.0, 1.0)[0].round(4).item()
    10.9999
    """
    ra, dec = np.radians(np.asarray(ra_deg, dtype=float)), np.radians(np.asarray(dec_deg, dtype=float))
    east = np.nan_to_num(np.asarray(pm_ra_cosdec_mas_yr, dtype=float)) * _RADIANS_PER_MAS * years
    north = np.nan_to_num(np.asarray(pm_dec_mas_yr, dtype=float)) * _RADIANS_PER_MAS * years
    sin_ra, cos_ra, sin_dec, cos_dec = np.sin(ra), np.cos(ra), np.sin(dec), np.cos(dec)
    x = cos_dec * cos_ra - east * sin_ra - north * sin_dec * cos_ra
    y = cos_dec * sin_ra + east * cos_ra - north * sin_dec * sin_ra
    z = sin_dec + north * cos_dec
    return np.mod(np.degrees(np.arctan2(y, x)), 360.0), np.degrees(np.arctan2(z, np.hypot(x, y)))
