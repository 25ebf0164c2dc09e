"""Coordinates and angles as people give them (numbers, astropy quantities, SkyCoord) to floats in a named unit.

Astropy is not imported here: who gives its objects has it loaded. What the angles are for lives elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError

Floats = NDArray[np.float64]


def degrees(value: Any, what: str = "angle") -> Floats:
    """Return angles in degrees.

    Parameters
    ----------
    value : float, array_like or astropy.units.Quantity
        Plain numbers are degrees already; a quantity (or a table column with a unit) is converted.
    what : str
        What the value is, for messages.

    Returns
    -------
    numpy.ndarray of float64
        Of the shape of the value, ``()`` for one number. Masked elements are NaN.

    Raises
    ------
    PlanError
        It is not a number, or its unit is not one of angle.
    """
    return _in_unit(value, "deg", what)


def arcseconds(value: Any, what: str = "radius") -> Floats:
    """Return angles in arcseconds; plain numbers are arcseconds already. Else as :func:`degrees`.

    >>> float(arcseconds(2))
    2.0
    """
    return _in_unit(value, "arcsec", what)


def positions(ra: Any, dec: Any = None) -> tuple[Floats, Floats]:
    """Return ICRS coordinates in degrees.

    Parameters
    ----------
    ra : float, array_like, Quantity or astropy.coordinates.SkyCoord
        Right ascension, or coordinates in any frame: those are transformed to ICRS, and ``dec`` is left out.
    dec : float, array_like or Quantity, optional
        Declination; of the same shape as ``ra`` or one that numpy broadcasts to it.

    Returns
    -------
    ra_deg, dec_deg : numpy.ndarray of float64
        Of one shape, ``()`` for one position. They may be NaN or out of range: whoever uses them checks.

    Raises
    ------
    PlanError
        There is no ``dec``, or one beside a SkyCoord; the shapes differ; the frame cannot be transformed to ICRS.

    >>> positions([10, 20], -5)
    (array([10., 20.]), array([-5., -5.]))
    """
    if hasattr(ra, "transform_to"):
        if dec is not None:
            raise PlanError(f"got a {type(ra).__name__} and dec={dec!r} beside it: its own declination is used")
        return _icrs(ra)
    if dec is None:
        raise PlanError(f"got ra={ra!r} and no dec: give both, or one astropy SkyCoord")
    lon, lat = degrees(ra, "ra"), degrees(dec, "dec")
    try:
        lon, lat = np.broadcast_arrays(lon, lat)
    except ValueError as error:
        raise PlanError(f"ra has shape {lon.shape} and dec {lat.shape}: need as many of each") from error
    return np.array(lon), np.array(lat)


def _icrs(coordinates: Any) -> tuple[Floats, Floats]:
    try:
        place = coordinates.icrs
    # A frame can be untransformable in many ways (no observer, no time, no data), each with an error of its own.
    except Exception as error:
        raise PlanError(f"cannot transform {coordinates!r} to ICRS: {error}") from error
    return degrees(place.ra, "ra"), degrees(place.dec, "dec")


def _in_unit(value: Any, unit: str, what: str) -> Floats:
    if getattr(value, "unit", None) is not None and hasattr(value, "quantity"):
        value = value.quantity
    try:
        if value is None:
            raise TypeError("nothing was given")
        plain = value.to_value(unit) if hasattr(value, "to_value") else value
        mask = getattr(plain, "mask", None)
        floats = np.array(getattr(plain, "unmasked", plain), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PlanError(
            f"{what}={value!r} is not an angle: need numbers in {unit} or astropy quantities with a unit of angle"
        ) from error
    if mask is not None and np.any(mask):
        floats = np.where(mask, np.nan, floats)
    return floats
