"""A polygon of great circles. Regions in general live in region.py."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.sky.angles import degrees
from lsdb_ts.sky.coverage import covering
from lsdb_ts.sky.pixel import Floats, bad_positions
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.sky.region import fingerprint
from lsdb_ts.sky.sphere import ARCSEC_PER_RADIAN, unit_vectors

_ON_EDGE = 1e-14
"""Positions so near an edge (radians; 2e-9 arcsec) are on it, to the precision of doubles."""
_LEAST_HEIGHT = 1e-3
"""Vertices must lie so far (radians) inside one half of the sky."""
_PRINTED = 12
_AT_ONCE = 1 << 21


@dataclass(frozen=True, repr=False)
class Polygon:
    """All positions inside a closed chain of great-circle arcs.

    Vertices are (ra, dec) in degrees, in either sense of rotation; the last is joined to the first. The polygon may be
    concave, hold a pole, or lie across RA 0; it must lie within one half of the sky. Positions within 2e-9 arcsec of an
    edge, as far as doubles can tell, count as inside.

    Raises
    ------
    PlanError
        Fewer than three vertices, edges that cross or fold back, vertices spread over more than half of the sky.

    >>> Polygon([(350, -5), (10, -5), (0, 10)]).contains([0.0, 355.0], [0.0, 9.0])
    array([ True, False])
    """

    vertices: Sequence[tuple[float, float]]

    def __post_init__(self) -> None:
        corners = degrees(self.vertices, "vertices")
        if corners.ndim != 2 or corners.shape[1] != 2:
            raise PlanError(f"vertices of shape {corners.shape}: need pairs of (ra, dec) in degrees")
        bad = np.flatnonzero(bad_positions(corners[:, 0], corners[:, 1]))
        if bad.size:
            ra, dec = corners[bad[0]].tolist()
            raise PlanError(f"vertex {int(bad[0])} is ra={ra}, dec={dec}: need finite degrees, |dec| <= 90")
        if len(corners) > 1 and (corners[0] == corners[-1]).all():
            corners = corners[:-1]
        object.__setattr__(self, "vertices", tuple((ra, dec) for ra, dec in corners.tolist()))
        self._must_be_simple()

    def __repr__(self) -> str:
        if len(self.vertices) <= _PRINTED:
            return f"Polygon({list(self.vertices)})"
        return f"Polygon({len(self.vertices)} vertices, {fingerprint(np.array(self.vertices))})"

    def contains(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.bool_]:
        """Tell which positions (degrees) lie inside; the edge counts as inside."""
        points = unit_vectors(ra_deg, dec_deg)
        heights = points @ self._axis
        inside = np.zeros(len(points), dtype=bool)
        near = np.flatnonzero(heights >= (self._corners @ self._axis).min() - _ON_EDGE)
        step = max(1, _AT_ONCE // len(self.vertices))
        for k in range(0, near.size, step):
            place = near[k : k + step]
            inside[place] = self._holds(points[place]) | (self._to_edge(points[place]) <= _ON_EDGE)
        return inside.reshape(np.shape(ra_deg))

    def ranges(self) -> Ranges:
        """Return sky that holds the polygon and somewhat more."""
        return self._sky

    @functools.cached_property
    def _sky(self) -> Ranges:
        def distance(ra_deg: Floats, dec_deg: Floats) -> Floats:
            points = unit_vectors(ra_deg, dec_deg)
            away = self._to_edge(points) * ARCSEC_PER_RADIAN
            return np.asarray(np.where(self._holds(points), -away, away))

        x, y, z = self._axis
        spread = np.linalg.norm(self._corners - self._axis, axis=1).max()
        around = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
        return covering(distance, (*around, 2 * np.arcsin(spread / 2) * ARCSEC_PER_RADIAN))

    @functools.cached_property
    def _corners(self) -> Floats:
        ra, dec = np.array(self.vertices, dtype=np.float64).reshape(-1, 2).T
        return unit_vectors(ra, dec)

    @functools.cached_property
    def _normals(self) -> Floats:
        """Poles of the edges' great circles, on the left of who walks along the edge."""
        a, b = self._corners, np.roll(self._corners, -1, axis=0)
        # Equal to a x b, and exact for short edges, where the difference is.
        normals = np.cross(b - a, a + b) / -2
        return np.asarray(normals / np.linalg.norm(normals, axis=1, keepdims=True))

    @functools.cached_property
    def _axis(self) -> Floats:
        """A direction from which all vertices are less than 90 degrees away."""
        corners = self._corners
        axis = corners.sum(axis=0)
        # The perceptron (F. Rosenblatt, Psychological Review 65, 386, 1958): turn to the vertex that is farthest off.
        for _ in range(2000):
            heights = corners @ axis
            worst = int(heights.argmin())
            if heights[worst] > 0.01 * np.linalg.norm(axis):
                break
            axis = axis + corners[worst]
        length = float(np.linalg.norm(axis))
        if length < _LEAST_HEIGHT or (corners @ axis).min() < _LEAST_HEIGHT * length:
            raise PlanError(
                "the vertices do not lie within one half of the sky, where inside and outside are told apart: cut the "
                "polygon into smaller ones"
            )
        return np.asarray(axis / length)

    @functools.cached_property
    def _plane(self) -> Floats:
        """Axes of the plane that touches the sphere at ``_axis``, shape (2, 3), right-handed seen from outside."""
        aside = np.cross(self._axis, np.eye(3)[int(np.abs(self._axis).argmin())])
        aside /= np.linalg.norm(aside)
        return np.stack([aside, np.cross(self._axis, aside)])

    def _holds(self, points: Floats) -> NDArray[np.bool_]:
        """Tell which directions are inside, by how often a ray from them crosses the edge (odd is inside).

        Seen from the sphere's centre on a plane (gnomonic projection) great circles are straight lines, and who is left
        of one is told by the sign of a triple product.
        """
        height = points @ self._axis
        up = self._plane[1]
        ahead = height > 0
        y = np.where(ahead, points @ up / np.where(ahead, height, 1.0), np.inf)
        y_from = self._corners @ up / (self._corners @ self._axis)
        y_to = np.roll(y_from, -1)
        left = points @ self._normals.T > 0
        upward = (y_from <= y[:, None]) & (y[:, None] < y_to) & left
        downward = (y_to <= y[:, None]) & (y[:, None] < y_from) & ~left
        odd: NDArray[np.bool_] = np.logical_xor.reduce(upward | downward, axis=1)
        return odd

    def _to_edge(self, points: Floats) -> Floats:
        """Return the distance (radians) of directions to the nearest edge."""
        a, b, n = self._corners, np.roll(self._corners, -1, axis=0), self._normals
        beside = (points @ np.cross(n, a).T >= 0) & (points @ np.cross(b, n).T >= 0)
        to_line = np.where(beside, np.abs(np.arcsin(np.clip(points @ n.T, -1, 1))), np.inf).min(axis=1)
        chord = np.sqrt(((points[:, None] - a) ** 2).sum(axis=2).min(axis=1))
        return np.asarray(np.minimum(to_line, 2 * np.arcsin(np.clip(chord / 2, 0, 1))))

    def _must_be_simple(self) -> None:
        n = len(self.vertices)
        if n < 3:
            raise PlanError(f"a polygon needs at least 3 vertices and got {n}")
        corners = self._corners
        short = np.flatnonzero(np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1) <= _ON_EDGE)
        if short.size:
            raise PlanError(
                f"vertex {int(short[0])} of the polygon, {self.vertices[int(short[0])]}, stands twice in a row"
            )
        plane = corners @ self._plane.T / (corners @ self._axis)[:, None]
        _must_not_cross(plane, self.vertices)


def _must_not_cross(plane: Floats, vertices: Sequence[tuple[float, float]]) -> None:
    """Raise where straight edges of a plane polygon cross, or one folds back onto the last."""
    n = len(plane)
    following = np.roll(plane, -1, axis=0)
    for i in range(n):
        a, b = plane[i], following[i]
        back = following[(i + 1) % n]
        size = np.abs(b - a).max() * np.abs(back - b).max()
        if np.abs(_turn(a, b, back)) <= 1e-14 * size and (b - a) @ (back - b) < 0:
            raise PlanError(f"the polygon folds back onto itself at vertex {(i + 1) % n}, {vertices[(i + 1) % n]}")
        others = np.arange(i + 2, n if i else n - 1)
        c, d = plane[others], following[others]
        crossing = (_turn(a, b, c) * _turn(a, b, d) < 0) & (_turn(c, d, a) * _turn(c, d, b) < 0)
        if crossing.any():
            j = int(others[crossing.argmax()])
            raise PlanError(
                f"the edges of the polygon after vertices {i}, {vertices[i]}, and {j}, {vertices[j]}, cross: give the "
                f"vertices in the order of a walk around it"
            )


def _turn(a: Floats, b: Floats, c: Floats) -> Floats:
    """Return twice the area of plane triangles: above 0 where a, b, c turn left."""
    first, second = b - a, c - a
    return np.asarray(first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0])
