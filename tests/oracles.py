"""Slow and obvious answers that fast code is held against: all pairs by a full distance matrix, points around a pixel.

Nothing here uses a spatial index to find anything.
"""

import cdshealpix.nested as cdshealpix
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.sky import Pixel, propagate, spatial_index

ARCSEC = np.longdouble(3600) * 180 / np.pi
_CHUNK_ELEMENTS = 2_000_000

Positions = tuple[NDArray[np.float64], NDArray[np.float64]]


def directions(ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.longdouble]:
    """Return unit vectors in extended precision, shape (n, 3)."""
    ra, dec = (np.radians(np.asarray(x, dtype=np.longdouble)) for x in (ra_deg, dec_deg))
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def pairs_within(
    left_ra: ArrayLike,
    left_dec: ArrayLike,
    right_ra: ArrayLike,
    right_dec: ArrayLike,
    radius_arcsec: float,
    n_neighbors: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return (left row, right row, separation in arcsec) of all pairs, or of the nearest few of each left row.

    By left row, then separation, then right row.
    """
    a, b = directions(left_ra, left_dec), directions(right_ra, right_dec)
    longest = np.longdouble(2) * np.sin(np.longdouble(radius_arcsec) / ARCSEC / 2)
    step = max(1, _CHUNK_ELEMENTS // max(len(b), 1))
    found = []
    for start in range(0, len(a), step):
        part = a[start : start + step]
        # The product finds candidates, to 1e-17 of a squared chord; the difference of vectors measures them.
        rough = 2 - 2 * (part.astype(float) @ b.astype(float).T)
        i, j = np.nonzero(rough <= float(longest) ** 2 + 1e-14)
        chord = np.sqrt(((part[i] - b[j]) ** 2).sum(axis=1))
        inside = chord <= longest
        found.append((i[inside] + start, j[inside], (2 * np.arcsin(chord[inside] / 2) * ARCSEC).astype(float)))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    i, j, separation = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((j, separation, i))
    i, j, separation = i[order], j[order], separation[order]
    if n_neighbors is not None:
        rank = np.arange(i.size) - np.searchsorted(i, i)
        i, j, separation = (part[rank < n_neighbors] for part in (i, j, separation))
    return i, j, separation


def edge_of(pixel: Pixel, steps: int) -> Positions:
    """Return points on the four sides of a pixel, ``steps`` to each."""
    lon, lat = cdshealpix.vertices(np.array([pixel.number], dtype=np.uint64), pixel.order, step=steps)
    return np.asarray(lon.deg).ravel(), np.asarray(lat.deg).ravel()


def within(pixel: Pixel, ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.bool_]:
    """Tell which positions lie in a pixel."""
    place = spatial_index(ra_deg, dec_deg)
    return (place >= pixel.start) & (place < pixel.stop)


def points_around(pixel: Pixel, radius_arcsec: float, n: int, seed: int) -> Positions:
    """Draw points outside a pixel, each no farther than a radius from it, most of them nearly that far."""
    rng = np.random.default_rng(seed)
    ra, dec = edge_of(pixel, max(2, n // 8))
    start = rng.integers(0, ra.size, n)
    # The corners are where rings of cells go wrong.
    start[: n // 4] = (rng.integers(0, 4, n // 4) * (ra.size // 4)) % ra.size
    angle, length = rng.uniform(0, 2 * np.pi, n), radius_arcsec * 1000 * (1 - rng.random(n) ** 3 * 0.999) * (1 - 1e-9)
    # A step along the tangent plane of tan(a) is one of a on the sphere.
    length = np.tan(length / 1000 / float(ARCSEC)) * float(ARCSEC) * 1000
    moved = propagate(ra[start], dec[start], length * np.sin(angle), length * np.cos(angle), 1.0)
    outside = ~within(pixel, *moved)
    return moved[0][outside], moved[1][outside]


def near_pixel(pixel: Pixel, ra_deg: ArrayLike, dec_deg: ArrayLike, radius_arcsec: float) -> NDArray[np.bool_]:
    """Tell which positions outside a pixel are surely within a radius of it: near one of 256 points of its edge."""
    edge = edge_of(pixel, 64)
    near = np.zeros(np.size(ra_deg), dtype=bool)
    near[pairs_within(ra_deg, dec_deg, *edge, radius_arcsec)[0]] = True
    return near & ~within(pixel, ra_deg, dec_deg)
