"""Many cones at once. Regions in general, and one cone, live in region.py."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.sky.pixel import (
    MAX_ORDER,
    Floats,
    Indices,
    bad_positions,
    cell_of,
    cell_radius_arcsec,
    centre,
    finest_order_reaching,
    neighbour_reach_arcsec,
    neighbours,
    spatial_index,
)
from lsdb_ts.sky.ranges import Ranges, counted
from lsdb_ts.sky.region import Cone, fingerprint
from lsdb_ts.sky.sphere import chord, separation_arcsec, unit_vectors

_PAIRS_AT_ONCE = 1 << 20
_FEW = 4
_EVEN_FINER = 1
"""The sky of cones is drawn with cells so many orders finer than those in which they are looked up."""


@dataclass(frozen=True, eq=False, repr=False)
class Cones:
    """All positions within one or more cones: the union of many :class:`Cone`.

    Parameters
    ----------
    ra_deg, dec_deg : array_like, shape (n,)
        Centres.
    radius_arcsec : float or array_like, shape (n,)
        Radii, above 0 and at most 648000.

    >>> Cones([10.0, 20.0], [0.0, 0.0], 3600.0).contains([10.5, 15.0, 20.5], [0.0, 0.0, 0.0])
    array([ True, False,  True])
    """

    ra_deg: ArrayLike
    dec_deg: ArrayLike
    radius_arcsec: ArrayLike

    def __post_init__(self) -> None:
        given = [np.asarray(x, dtype=np.float64).ravel() for x in (self.ra_deg, self.dec_deg, self.radius_arcsec)]
        try:
            ra, dec, radius = (np.array(x) for x in np.broadcast_arrays(*given))
        except ValueError as error:
            sizes = ", ".join(str(x.size) for x in given)
            raise PlanError(
                f"cones of {sizes} right ascensions, declinations and radii: need as many of each"
            ) from error
        bad = bad_positions(ra, dec) | ~((radius > 0) & (radius <= 180 * 3600))
        if bad.any():
            i = int(bad.argmax())
            raise PlanError(
                f"cone {i} of {ra.size} is ra={ra[i]}, dec={dec[i]}, radius {radius[i]} arcsec: need finite degrees, "
                f"|dec| <= 90, and a radius above 0 and at most 648000 ({int(bad.sum())} such cones)"
            )
        for name, values in (("ra_deg", ra), ("dec_deg", dec), ("radius_arcsec", radius)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return int(self._arrays[0].size)

    def __repr__(self) -> str:
        radius = self._arrays[2]
        span = f", {radius.min():g} to {radius.max():g} arcsec" if radius.size else ""
        return f"Cones({len(self)}{span}, {fingerprint(*self._arrays)})"

    def contains(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.bool_]:
        """Tell which positions (degrees) lie inside of any cone, exactly; the edge counts as inside."""
        ra, dec = (np.asarray(x, dtype=np.float64).ravel() for x in (ra_deg, dec_deg))
        inside, known = np.zeros(ra.size, dtype=bool), ~bad_positions(ra, dec)
        place = np.zeros(ra.size, dtype=np.int64)
        place[known] = spatial_index(ra[known], dec[known])
        known &= self._sky.contains(place)
        for table in self._tables:
            rows = np.flatnonzero(known & ~inside)
            first, last = table.cones_of(cell_of(place[rows], table.order))
            # In a crowd the first few cones hold most rows, and these need not be held against the others.
            few = _FEW
            while rows.size:
                stop = np.minimum(first + few, last)
                for at, cones in _pairs(first, stop):
                    hit = self._hold(table.cones[cones], ra[rows[at]], dec[rows[at]])
                    inside[rows[at[hit]]] = True
                more = (stop < last) & ~inside[rows]
                rows, first, last, few = rows[more], stop[more], last[more], few * 2
        for i in self._wide.tolist():
            inside |= self._one(i).contains(ra, dec)
        return inside.reshape(np.shape(ra_deg))

    def ranges(self) -> Ranges:
        """Return sky that holds the cones and somewhat more."""
        return self._sky

    @functools.cached_property
    def _sky(self) -> Ranges:
        found = [Ranges.of([], [])]
        ra, dec, radius = self._arrays
        for table in self._tables:
            order, cells, cones = table.order, table.cells, table.cones
            for finer in (0, _EVEN_FINER):
                finer = min(finer, MAX_ORDER - order)
                cells = (cells[:, None] * 4**finer + np.arange(4**finer)).ravel()
                cones, order = np.repeat(cones, 4**finer), order + finer
                reach = radius[cones] + cell_radius_arcsec(order) + 1e-6
                lon, lat = centre(cells, order)
                touching = separation_arcsec(lon, lat, ra[cones], dec[cones]) <= reach
                cells, cones = cells[touching], cones[touching]
            found.append(Ranges.of_cells(cells, order))
        found += [self._one(i).ranges() for i in self._wide.tolist()]
        return Ranges.of(np.concatenate([r.starts for r in found]), np.concatenate([r.stops for r in found]))

    @property
    def _arrays(self) -> tuple[Floats, Floats, Floats]:
        return np.asarray(self.ra_deg), np.asarray(self.dec_deg), np.asarray(self.radius_arcsec)

    @functools.cached_property
    def _wide(self) -> Indices:
        """Cones too wide to be looked up by the neighbours of a cell."""
        return np.flatnonzero(self._arrays[2] > neighbour_reach_arcsec(0))

    @functools.cached_property
    def _tables(self) -> tuple[_CellTable, ...]:
        """The other cones by the cells they may reach, one table for each size of cells."""
        ra, dec, radius = self._arrays
        orders = np.array([finest_order_reaching(r) if r <= neighbour_reach_arcsec(0) else -1 for r in radius.tolist()])
        place = spatial_index(ra, dec)
        return tuple(
            _CellTable.of(np.flatnonzero(orders == order), cell_of(place[orders == order], order), order)
            for order in np.unique(orders[orders >= 0]).tolist()
        )

    @functools.cached_property
    def _directions(self) -> tuple[Floats, Floats]:
        """Unit vectors of the centres, and squared chords that none of their positions exceeds."""
        ra, dec, radius = self._arrays
        return unit_vectors(ra, dec), np.array([chord(r) for r in radius.tolist()]) ** 2 * (1 + 1e-6) + 1e-14

    def _hold(self, cones: Indices, ra: Floats, dec: Floats) -> NDArray[np.bool_]:
        """Tell, pair by pair, whether a cone holds a position: roughly first, then with the formula of one cone."""
        centres, limits = self._directions
        near = np.flatnonzero(((centres[cones] - unit_vectors(ra, dec)) ** 2).sum(axis=1) <= limits[cones])
        held = np.zeros(cones.size, dtype=bool)
        lon, lat, radius = (values[cones[near]] for values in self._arrays)
        held[near] = separation_arcsec(lon, lat, ra[near], dec[near]) <= radius
        return held

    def _one(self, i: int) -> Cone:
        ra, dec, radius = self._arrays
        return Cone(float(ra[i]), float(dec[i]), float(radius[i]))


@dataclass(frozen=True, eq=False)
class _CellTable:
    """Which cones may reach into which cells of one order: pairs, sorted by cell."""

    order: int
    cells: Indices
    cones: Indices

    @classmethod
    def of(cls, cones: Indices, homes: Indices, order: int) -> _CellTable:
        """Enter each cone in the cell of its centre and those around."""
        around = np.sort(neighbours(homes, order), axis=1)
        # Free places among the neighbours repeat the cell itself.
        first = np.diff(around, axis=1, prepend=-1) > 0
        cells, members = around[first], np.repeat(cones, first.sum(axis=1))
        by_cell = np.argsort(cells, kind="stable")
        return cls(order, cells[by_cell], members[by_cell])

    def cones_of(self, cells: Indices) -> tuple[Indices, Indices]:
        """Return where the cones of given cells begin and end in ``cones``."""
        return np.searchsorted(self.cells, cells, side="left"), np.searchsorted(self.cells, cells, side="right")


def _pairs(first: Indices, last: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Yield (row, number) of all numbers from ``first`` to ``last`` of each row, so many at a time as memory allows."""
    ends = np.cumsum(last - first)
    done = 0
    while done < first.size:
        before = ends[done - 1] if done else 0
        stop = max(int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, side="right")), done + 1)
        part = np.arange(done, stop)
        yield np.repeat(part, last[part] - first[part]), counted(first[part], last[part])
        done = stop
