"""Positions that are hard to treat right: poles, RA 0/360, pixel corners and edges. Surveys live in survey.py."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.sky import propagate
from lsdb_ts.sky.pixel import centre

Positions = tuple[NDArray[np.float64], NDArray[np.float64]]

_BASE_CORNER_DEC = float(np.degrees(np.arcsin(2 / 3)))
_EDGE_ORDER = 24
"""Pixels of this order are 0.012 arcsec wide: as good as a point on an edge."""
_EVEN_BITS = 0x1555555555555555


def hard_sky(n: int, seed: int) -> Positions:
    """Draw positions that gather where sky code goes wrong.

    Equal shares of: the two poles, RA 0/360, the points at which base pixels meet, positions within arcseconds of the
    edges of pixels of orders 0 to 12, clusters of tens within an arcsecond, exact repeats, and an even spread over the
    sphere.

    Parameters
    ----------
    n : int
        Number of positions.
    seed : int
        Equal seeds give equal skies.

    Returns
    -------
    ra_deg, dec_deg : numpy.ndarray of float64, shape (n,)
        ICRS degrees in a random order; RA in [0, 360), declination in [-90, 90].

    >>> ra, dec = hard_sky(1000, seed=1)
    >>> len(ra), bool((ra < 360).all()), dec.max().item()
    (1000, True, 90.0)
    """
    rng = np.random.default_rng(seed)
    makers = (_poles, _ra_zero, _base_corners, _pixel_edges, _clusters, _even)
    share = -(-n // (len(makers) + 1))
    parts = [maker(rng, share) for maker in makers]
    ra, dec = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    again = rng.integers(0, ra.size, share)
    ra, dec = np.concatenate([ra, ra[again]]), np.concatenate([dec, dec[again]])
    kept = rng.permutation(ra.size)[:n]
    if n:
        ra[kept[0]], dec[kept[0]] = 0.0, 90.0
    return np.mod(ra[kept], 360.0), np.clip(dec[kept], -90.0, 90.0)


def perturbed(ra_deg: ArrayLike, dec_deg: ArrayLike, sigma_arcsec: ArrayLike, seed: int) -> Positions:
    """Move each position a random way: a normal deviate along the local east and another along the local north.

    Exact at the poles and across RA 0/360.

    Parameters
    ----------
    ra_deg, dec_deg : array_like, shape (n,)
        Degrees.
    sigma_arcsec : float or array_like, shape (n,)
        Standard deviation along each axis in arcseconds.
    seed : int
        Equal seeds give equal moves.

    Returns
    -------
    ra_deg, dec_deg : numpy.ndarray of float64, shape (n,)

    >>> perturbed([10.0], [20.0], 0.0, seed=0)[0].round(9).tolist()
    [10.0]
    """
    ra = np.asarray(ra_deg, dtype=np.float64)
    rng = np.random.default_rng(seed)
    east, north = rng.normal(size=(2, *ra.shape)) * np.asarray(sigma_arcsec) * 1000.0
    return propagate(ra, dec_deg, east, north, 1.0)


def _near(rng: np.random.Generator, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> Positions:
    """Scatter positions by 0.01 arcsec to a degree, evenly in the logarithm."""
    sigma = 10 ** rng.uniform(-2.0, np.log10(3600.0), ra.size)
    return perturbed(ra, dec, sigma, seed=int(rng.integers(2**31)))


def _poles(rng: np.random.Generator, n: int) -> Positions:
    ra, dec = _near(rng, rng.uniform(0, 360, n), np.where(rng.random(n) < 0.5, 90.0, -90.0))
    exact = rng.random(n) < 0.05
    return ra, np.where(exact, np.copysign(90.0, dec), dec)


def _ra_zero(rng: np.random.Generator, n: int) -> Positions:
    ra, dec = _near(rng, np.zeros(n), np.degrees(np.arcsin(rng.uniform(-1, 1, n))))
    return np.where(rng.random(n) < 0.05, 0.0, ra), dec


def _base_corners(rng: np.random.Generator, n: int) -> Positions:
    """Gather where three base pixels meet (|sin dec| = 2/3) and where four do (the equator)."""
    corner = rng.integers(0, 12, n)
    ra = np.where(corner < 8, 90.0 * (corner % 4), 45.0 + 90.0 * (corner % 4))
    dec = np.select([corner < 4, corner < 8], [_BASE_CORNER_DEC, -_BASE_CORNER_DEC], 0.0)
    return _near(rng, ra, dec)


def _pixel_edges(rng: np.random.Generator, n: int) -> Positions:
    """Lie within some arcseconds of an edge of a pixel of order 0 to 12, on either side."""
    cells = rng.integers(0, 12 << (2 * _EDGE_ORDER), n)
    below = (np.int64(1) << (2 * (_EDGE_ORDER - rng.integers(0, 13, n)))) - 1
    # The bits of the two axes alternate in a NESTED number: clearing one axis below an order puts a cell on that edge.
    axis = np.where(rng.random(n) < 0.5, _EVEN_BITS, _EVEN_BITS << 1)
    ra, dec = centre(cells & ~(below & axis), _EDGE_ORDER)
    return perturbed(ra, dec, 10 ** rng.uniform(-2, 1, n), seed=int(rng.integers(2**31)))


def _clusters(rng: np.random.Generator, n: int) -> Positions:
    """Crowd some tens of positions into an arcsecond, at places anywhere on the sky."""
    ra, dec = _even(rng, -(-n // 40))
    member = rng.integers(0, ra.size, n) if ra.size else np.zeros(0, dtype=np.int64)
    return perturbed(ra[member], dec[member], 0.3, seed=int(rng.integers(2**31)))


def _even(rng: np.random.Generator, n: int) -> Positions:
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
