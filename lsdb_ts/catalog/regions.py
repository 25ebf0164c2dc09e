"""Verbs that keep a part of the sky. Shapes are geometry, and live in `sky`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.rows import Cut, Pick
from lsdb_ts.sky.angles import arcseconds, degrees, positions
from lsdb_ts.sky.box import Box
from lsdb_ts.sky.cones import Cones
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.moc import Moc
from lsdb_ts.sky.pixel import MAX_ORDER, Pixel
from lsdb_ts.sky.polygon import Polygon
from lsdb_ts.sky.region import Cone, Region


class RegionVerbs(CatalogBase):
    """Parts of the sky.

    Each keeps the rows whose position is inside, edges included, and reads only the row groups that may hold some.
    Angles are numbers in degrees (radii in arcseconds) or astropy quantities; positions may be an astropy SkyCoord.
    """

    def search(self, region: Region) -> Self:
        """Keep the rows inside a region: a Cone, Cones, Box, Polygon, Moc, or any object with the same two methods."""
        if not (hasattr(region, "contains") and hasattr(region, "ranges")):
            raise PlanError(
                f"got a {type(region).__name__}: need a region such as lt.Cone(ra, dec, radius_arcsec); for pixels "
                f"there is pixel_search, for a MOC moc_search"
            )
        return self.with_plan(Cut(self.plan, region))

    def cone_search(self, ra: Any, dec: Any = None, radius_arcsec: Any = None, *, radius: Any = None) -> Self:
        """Keep the rows within a radius of a position, or of any of many positions.

        Parameters
        ----------
        ra, dec : float, array_like or Quantity; or a SkyCoord, without ``dec``
            Centre, ICRS; with arrays, the centres of many cones, of which a row needs to be in one. A row in several
            is kept once.
        radius_arcsec : float, array_like or Quantity
            Radius, above 0 and at most 180 degrees; one for all or one for each centre.
        radius : Quantity
            The same, with its unit in place of its name: ``cone_search(coord, radius=1 * u.arcmin)``.

        Raises
        ------
        PlanError
            A centre is not on the sky, or the radius out of range.
        """
        lon, lat = positions(ra, dec)
        width = _radius_arcsec(radius_arcsec, radius)
        if lon.ndim == 0 and width.ndim == 0:
            return self.search(Cone(float(lon), float(lat), float(width)))
        return self.search(Cones(lon, lat, width))

    def box_search(self, ra: Sequence[Any] | None = None, dec: Sequence[Any] | None = None) -> Self:
        """Keep the rows between two meridians and two parallels.

        Parameters
        ----------
        ra : (float, float), optional
            Limits in degrees, eastward from the first to the second: ``(350, 10)`` runs through 0. By default all
            the way round.
        dec : (float, float), optional
            Limits in degrees; by default from pole to pole.

        Raises
        ------
        PlanError
            The limits are not two finite numbers, or out of range.
        """
        return self.search(Box(_limits(ra, "ra", (0.0, 360.0)), _limits(dec, "dec", (-90.0, 90.0))))

    def polygon_search(self, vertices: Any) -> Self:
        """Keep the rows inside a polygon of great-circle arcs.

        Parameters
        ----------
        vertices : sequence of (ra, dec), Quantity of shape (n, 2), or SkyCoord of shape (n,)
            Three or more, in the order of a walk around; see :class:`lsdb_ts.sky.Polygon`.
        """
        if hasattr(vertices, "transform_to"):
            lon, lat = positions(vertices)
            vertices = np.stack([np.atleast_1d(lon), np.atleast_1d(lat)], axis=1)
        return self.search(Polygon(vertices))

    def moc_search(self, moc: Any) -> Self:
        """Keep the rows in a multi-order coverage map: a ``mocpy.MOC``, the path of its file, or its text."""
        return self.search(Moc.of(moc))

    def pixel_search(self, pixels: Pixel | Iterable[Pixel | tuple[int, int]] | Layout) -> Self:
        """Keep the rows in some HEALPix pixels of any orders, given as Pixel or (order, number)."""
        return self.search(Moc.of_pixels([pixels] if isinstance(pixels, Pixel) else pixels))

    def order_search(self, min_order: int = 0, max_order: int = MAX_ORDER) -> Self:
        """Keep the partitions whose order lies between two limits, both included.

        That is a property of how the catalog is cut, not of the sky: the densest partitions have the highest orders.
        """
        if not 0 <= min_order <= max_order <= MAX_ORDER:
            raise PlanError(f"orders from {min_order} to {max_order}: need 0 <= min_order <= max_order <= {MAX_ORDER}")
        orders = self.layout.orders
        return self.with_plan(Pick(self.plan, self.layout.take((orders >= min_order) & (orders <= max_order))))


def _radius_arcsec(radius_arcsec: Any, radius: Any) -> np.ndarray:
    if (radius_arcsec is None) == (radius is None):
        raise PlanError("a cone needs one radius: radius_arcsec=5, or radius=5 * u.arcsec")
    if radius is not None and not hasattr(radius, "to_value"):
        raise PlanError(f"radius={radius!r} has no unit: give radius_arcsec={radius!r}, or an astropy quantity")
    return arcseconds(radius_arcsec if radius is None else radius)


def _limits(given: Sequence[Any] | None, what: str, default: tuple[float, float]) -> tuple[float, float]:
    if given is None:
        return default
    try:
        first, last = given
    except (TypeError, ValueError) as error:
        raise PlanError(f"{what}={given!r}: need two limits, {what}=({default[0]:g}, {default[1]:g})") from error
    return float(degrees(first, what)), float(degrees(last, what))
