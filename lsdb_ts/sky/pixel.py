"""HEALPix pixels (NESTED) and the order-29 spatial index; sets of pixels and their borders live in the next modules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import healpix_geo.nested as healpix
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import PlanError

MAX_ORDER = 29
N_BASE = 12
SKY_STOP = N_BASE << (2 * MAX_ORDER)
"""One past the last order-29 pixel number."""

_MEAN_SIDE_ARCSEC = math.degrees(math.sqrt(math.pi / 3.0)) * 3600.0
_THINNEST = 0.47
"""Lower bound of (distance between opposite sides) / (mean side) over all pixels; the measured minimum falls from 0.65
at order 0 to 0.480 at order 8 and changes by 1 % from order 6 to 8."""
_REACH = 0.67
"""Lower bound of (distance from a pixel to beyond its neighbours) / (mean side): measured 0.677 at order 7, towards
0.673 at the poles in the limit. Thin pixels are long, so the way out of their neighbours is longer than that."""
_RADIUS = 1.05
"""Upper bound of (distance from a pixel's centre to its farthest point) / (mean side): measured 0.82 at order 0 rising
to 1.0431 at order 7, towards 1.045."""

_EVEN_BITS = 0x5555555555555555

# One thread in every call of the library: whoever runs many pixels is parallel already.
Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, order=True, slots=True)
class Pixel:
    """One HEALPix pixel: an order (0 to 29) and a number in the NESTED scheme.

    >>> Pixel(1, 5).parent(0)
    Pixel(0, 1)
    """

    order: int
    number: int

    def __post_init__(self) -> None:
        if not 0 <= self.order <= MAX_ORDER or not 0 <= self.number < N_BASE << (2 * self.order):
            raise ValueError(f"there is no HEALPix pixel {self.number} at order {self.order}")

    def __repr__(self) -> str:
        return f"Pixel({self.order}, {self.number})"

    @property
    def start(self) -> int:
        """First order-29 number inside the pixel."""
        return self.number << (2 * (MAX_ORDER - self.order))

    @property
    def stop(self) -> int:
        """One past the last order-29 number inside the pixel."""
        return (self.number + 1) << (2 * (MAX_ORDER - self.order))

    def parent(self, order: int) -> Pixel:
        """Return the pixel of a coarser (or the same) order that holds this one."""
        return Pixel(order, self.number >> (2 * (self.order - order)))

    def children(self, order: int) -> Iterator[Pixel]:
        """Yield the pixels of a finer (or the same) order inside this one."""
        factor = 1 << (2 * (order - self.order))
        return (Pixel(order, n) for n in range(self.number * factor, (self.number + 1) * factor))


def spatial_index(ra_deg: ArrayLike, dec_deg: ArrayLike) -> Indices:
    """Return the order-29 NESTED pixel number of each position (``_healpix_29``).

    Parameters
    ----------
    ra_deg, dec_deg : array_like of float, shape (n,)
        ICRS coordinates in degrees. Any finite RA is taken modulo 360.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
    """
    ra, dec = np.asarray(ra_deg, dtype=np.float64), np.asarray(dec_deg, dtype=np.float64)
    if ra.size == 0:
        return np.empty(0, dtype=np.int64)
    if not (ra.min() >= 0.0 and ra.max() < 360.0):
        ra = np.mod(ra, 360.0)
    index: Indices = healpix.lonlat_to_healpix(ra, dec, MAX_ORDER, num_threads=1).view(np.int64)
    return index


def bad_positions(ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.bool_]:
    """Tell which positions are not on the sky: NaN or infinite, or a declination outside [-90, 90]."""
    ra = np.asarray(ra_deg, dtype=np.float64)
    dec = np.asarray(dec_deg, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return ~(np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90.0))


def cell_of(index: Indices, order: int) -> Indices:
    """Return the pixel number at ``order`` that holds each order-29 number."""
    return np.asarray(index, dtype=np.int64) >> np.int64(2 * (MAX_ORDER - order))


def centre(cells: ArrayLike, order: int) -> tuple[Floats, Floats]:
    """Return (ra, dec) in degrees of the centres of pixels of one order."""
    numbers = np.atleast_1d(np.asarray(cells)).astype(np.uint64)
    lon, lat = healpix.healpix_to_lonlat(numbers, order, num_threads=1)
    return np.asarray(lon), np.asarray(lat)


def neighbours(cells: ArrayLike, order: int) -> Indices:
    """Return each pixel and those that touch it, by an edge or a corner.

    Returns
    -------
    numpy.ndarray of int64, shape (n, 9)
        The pixel itself and its neighbours, in no promised order. Where fewer than eight touch (the corners at which
        three base pixels meet) the free places repeat the pixel itself.
    """
    numbers = np.atleast_1d(np.asarray(cells, dtype=np.int64))
    found = np.empty((numbers.size, 9), dtype=np.int64)
    # Inside a base pixel cells are a plain grid, with the bits of both coordinates in turn in their number. One is
    # added to or taken from a coordinate where it stands, while carries run through the other's bits.
    x_bits = np.int64(_EVEN_BITS & ((1 << (2 * order)) - 1))
    y_bits = np.int64(x_bits << 1)
    base, x, y = numbers & ~(x_bits | y_bits), numbers & x_bits, numbers & y_bits
    columns = ((x - 1) & x_bits, x, ((x | y_bits) + 1) & x_bits)
    for i, row in enumerate((((y - 1) & y_bits), y, ((y | x_bits) + 1) & y_bits)):
        for j, column in enumerate(columns):
            found[:, 3 * i + j] = base | row | column
    edge = np.flatnonzero((x == 0) | (x == x_bits) | (y == 0) | (y == y_bits))
    if edge.size:
        own = numbers[edge]
        across = healpix.kth_neighbourhood(own.astype(np.uint64), order, 1, num_threads=1).astype(np.int64)
        found[edge] = np.where(across < 0, own[:, None], across)
    return found


def pixel_area_arcsec2(order: int) -> float:
    """Return the area of each pixel of an order."""
    return (_MEAN_SIDE_ARCSEC / (1 << order)) ** 2


def cell_thickness_arcsec(order: int) -> float:
    """Return a distance that every pixel of this order exceeds between its opposite sides."""
    return _THINNEST * _MEAN_SIDE_ARCSEC / (1 << order)


def cell_radius_arcsec(order: int) -> float:
    """Return a radius within which every pixel of this order lies wholly, around its centre."""
    return _RADIUS * _MEAN_SIDE_ARCSEC / (1 << order)


def neighbour_reach_arcsec(order: int) -> float:
    """Return a distance within which everything around any pixel of this order lies in the pixels that touch it."""
    return _REACH * _MEAN_SIDE_ARCSEC / (1 << order)


def finest_order_reaching(radius_arcsec: float) -> int:
    """Return the finest order at which a pixel's neighbours hold everything within a radius of it.

    Raises
    ------
    PlanError
        Not even those of the base pixels do: the radius is above 39 degrees.

    >>> finest_order_reaching(1.0)
    17
    """
    if radius_arcsec <= 0:
        return MAX_ORDER
    if radius_arcsec > neighbour_reach_arcsec(0):
        raise PlanError(
            f"neighbours within {radius_arcsec:.0f} arcsec: need at most {neighbour_reach_arcsec(0):.0f} (39 degrees), "
            f"beyond which they are not in the adjoining pixels"
        )
    return min(math.floor(math.log2(neighbour_reach_arcsec(0) / radius_arcsec)), MAX_ORDER)
