"""Find pairs of positions within a radius, exact everywhere on the sky, without building a tree.

Both sides come sorted by ``_healpix_29``, so the rows of any cell are one contiguous run. How they are found stands in
``blocks.py`` and ``search.py``; which rows take part (halos, filters) is decided elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.loading import uncollected
from lsdb_ts.kernels.matching.blocks import match_rows
from lsdb_ts.kernels.matching.near import Rows, Wanted
from lsdb_ts.sky.sphere import ARCSEC_PER_RADIAN

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
MAX_RADIUS_ARCSEC = 3600.0
_ROUNDING = 5e-16
"""What rounding may add to half the chord of two positions (2e-10 arcsec): so much beyond the radius is still in."""


@dataclass(frozen=True, eq=False)
class Positions:
    """Positions sorted by their place on the sky.

    Attributes
    ----------
    place : numpy.ndarray of int64, shape (n,)
        Order-29 NESTED pixel numbers (``_healpix_29``), non-decreasing.
    ra_deg, dec_deg : numpy.ndarray of float64, shape (n,)
        The exact positions in degrees; any finite RA.
    """

    place: Indices
    ra_deg: Floats
    dec_deg: Floats

    @classmethod
    def of(cls, place: Indices, ra_deg: Floats, dec_deg: Floats) -> Positions:
        """Build from arrays, without a copy where their types are right.

        ``place`` must be sorted and belong to the positions. Arrays may be read-only and mapped from files; only the
        parts of them are read that a match needs.
        """
        return cls(_readable(place, np.int64), _readable(ra_deg, np.float64), _readable(dec_deg, np.float64))


def match(
    left: Positions,
    right: Positions,
    radius_arcsec: float,
    n_neighbors: int | None = 1,
    min_radius_arcsec: float = 0.0,
) -> tuple[Indices, Indices, Floats]:
    """Find the nearest right rows within a radius of every left row.

    Parameters
    ----------
    left, right : Positions
        The two sides.
    radius_arcsec : float
        Largest separation, above 0 and at most 3600; exactly this far counts as within.
    n_neighbors : int or None
        At most so many right rows for each left row, the nearest ones; None for all. Equally near ones are taken in
        row order.
    min_radius_arcsec : float
        Right rows nearer than this do not count.

    Returns
    -------
    left_rows, right_rows : numpy.ndarray of int64, shape (m,)
        The pairs, by left row, the nearest first.
    separation_arcsec : numpy.ndarray of float64, shape (m,)

    Raises
    ------
    InputError
        A radius out of range, fewer than one neighbour, or 2^31 right rows.

    >>> from lsdb_ts.sky import spatial_index
    >>> one, two = np.array([10.0]), np.array([20.0])
    >>> sky = Positions.of(spatial_index(one, two), one, two)
    >>> [found.tolist() for found in match(sky, sky, 1.0)]
    [[0], [0], [0.0]]
    """
    if not 0.0 < radius_arcsec <= MAX_RADIUS_ARCSEC or not 0.0 <= min_radius_arcsec < math.inf:
        raise InputError(
            f"radius_arcsec={radius_arcsec}, min_radius_arcsec={min_radius_arcsec}: need a radius above 0 and at most "
            f"{MAX_RADIUS_ARCSEC:.0f} arcsec, and a least one that is not negative"
        )
    if n_neighbors is not None and n_neighbors < 1:
        raise InputError(f"n_neighbors={n_neighbors}: need at least 1, or None for all within the radius")
    n_left, n_right = left.place.size, right.place.size
    if n_right >= 1 << 31:
        raise InputError(f"{n_right} right rows in one match: need fewer than 2^31; match smaller pixels")
    found = np.empty(n_left, np.int64), np.empty(n_left, np.int64), np.empty(n_left, np.float64)
    m = 0
    if n_left and n_right:
        count = -1 if n_neighbors is None else min(n_neighbors, n_right)
        wanted = _wanted(radius_arcsec, min_radius_arcsec, count)
        # Compiled code is loaded by the first call.
        with uncollected(not match_rows.signatures):
            found, m = match_rows(_rows(left), _rows(right), wanted, found)
    left_rows, right_rows, separation = (_trimmed(part, m) for part in found)
    separation *= ARCSEC_PER_RADIAN
    np.minimum(separation, radius_arcsec, out=separation)
    return left_rows, right_rows, separation


def _readable(values: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array that may only be read.

    Compiled code takes arrays that may be written and those that may not for two types, and would be compiled twice.
    """
    array = np.require(values, dtype, ["C", "A"]).view()
    array.flags.writeable = False
    return array


def _rows(side: Positions) -> Rows:
    return Rows(side.place, side.ra_deg, side.dec_deg)


def _wanted(radius_arcsec: float, min_radius_arcsec: float, count: int) -> Wanted:
    radius = radius_arcsec / ARCSEC_PER_RADIAN
    nearest = math.sin(min(min_radius_arcsec / ARCSEC_PER_RADIAN, math.pi) / 2.0) - _ROUNDING
    return Wanted(radius, max(nearest, 0.0) ** 2, (math.sin(radius / 2.0) + _ROUNDING) ** 2, count)


def _trimmed(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Return the first rows; as a view where that does not keep much unused memory alive."""
    return array[:size] if 2 * size > array.size else array[:size].copy()
