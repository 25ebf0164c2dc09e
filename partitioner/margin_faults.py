"""Hold a margin that others wrote against its catalog: it must have every row within the radius, and may have more.

Margins of this version follow an exact rule, and are compared with it in verify.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import CatalogError
from lsdb_ts.run.pool import each
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Pixel, border, propagate, spatial_index
from lsdb_ts.store.hats import HatsCatalog
from lsdb_ts.store.read import read_rows
from partitioner.faults import Fault
from partitioner.inputs import floats

_DIRECTIONS = 16


class _Pair:
    """A catalog and its margin, as they travel to the workers."""

    def __init__(self, primary: HatsCatalog, margin: HatsCatalog) -> None:
        self.primary = primary
        self.margin = margin


def foreign_margin_faults(primary: HatsCatalog, margin: HatsCatalog, name_of: Callable[[Path], str]) -> Iterator[Fault]:
    """Yield where a margin lacks a row that is certainly within its radius, or holds one that the catalog has not.

    Parameters
    ----------
    primary, margin : HatsCatalog
    name_of : callable
        Names a file in the report.
    """
    if HEALPIX not in primary.schema.names or primary.ra is None or primary.dec is None:
        yield Fault(
            name_of(margin.path), None, f"without {HEALPIX}, ra and dec the margin cannot be checked", is_note=True
        )
        return
    pixels = sorted({*primary.layout, *margin.layout}, key=lambda p: (p.start, p.order))
    found: dict[Pixel, tuple[int, int]] = {}
    for outcome in each(_compare, pixels, _Pair(primary, margin)):
        if outcome.failure is not None:
            yield Fault(
                name_of(margin.path), None, f"the margin of {outcome.item} cannot be checked: {outcome.failure.error}"
            )
        else:
            found[outcome.item] = outcome.value
    for pixel in pixels:
        missing, alien = found.get(pixel, (0, 0))
        file = name_of(margin.leaf_path(pixel))
        if missing:
            yield Fault(
                file, None, f"the margin of {pixel} lacks {missing} rows within {margin.margin_arcsec:g} arcsec of it"
            )
        if alien:
            yield Fault(file, None, f"the margin of {pixel} holds {alien} rows that the catalog does not have")


def _compare(pair: _Pair, pixel: Pixel) -> tuple[int, int]:
    """Return (rows missing, rows the catalog does not have) of the margin of one pixel."""
    has = _places(pair.margin, pixel) if pixel in set(pair.margin.layout) else np.empty(0, dtype=np.int64)
    must = _surely_near(pair.primary, pixel, pair.margin.margin_arcsec)
    homes = np.unique(pair.primary.layout.leaf_of(has))
    known = [
        np.empty(0, dtype=np.int64),
        *(_places(pair.primary, pair.primary.layout[i]) for i in homes.tolist() if i >= 0),
    ]
    return int((~np.isin(must, has)).sum()), int((~np.isin(has, np.concatenate(known))).sum())


def _places(catalog: HatsCatalog, pixel: Pixel) -> NDArray[np.int64]:
    found = [np.empty(0, dtype=np.int64)]
    for path in catalog.leaf_files(pixel):
        try:
            found.append(read_rows(path, [HEALPIX]).column(0).to_numpy())
        except CatalogError:  # reported where the file itself was examined
            continue
    return np.concatenate(found)


def _surely_near(primary: HatsCatalog, pixel: Pixel, radius_arcsec: float) -> NDArray[np.int64]:
    """Return the indices of rows outside a pixel with a point of it within the radius, found by trying some around."""
    near = border(pixel, radius_arcsec)
    found = [np.empty(0, dtype=np.int64)]
    for i in np.flatnonzero(near.overlaps(primary.layout.starts, primary.layout.stops)).tolist():
        for path in primary.leaf_files(primary.layout[i]):
            try:
                table = read_rows(path, [HEALPIX, str(primary.ra), str(primary.dec)], within=near)
            except CatalogError:  # reported where the file itself was examined
                continue
            place = table.column(HEALPIX).to_numpy()
            outside = (place < pixel.start) | (place >= pixel.stop)
            rows = np.flatnonzero(near.contains(place) & outside)
            ra, dec = floats(table.column(primary.ra))[rows], floats(table.column(primary.dec))[rows]
            found.append(place[rows[_reaches(ra, dec, pixel, radius_arcsec)]])
    return np.concatenate(found)


def _reaches(
    ra: NDArray[np.float64], dec: NDArray[np.float64], pixel: Pixel, radius_arcsec: float
) -> NDArray[np.bool_]:
    reached = np.zeros(ra.size, dtype=bool)
    for angle in np.linspace(0, 2 * np.pi, _DIRECTIONS, endpoint=False):
        for part in (0.5, 0.999):
            step = radius_arcsec * part * 1000.0
            place = spatial_index(*propagate(ra, dec, step * np.sin(angle), step * np.cos(angle), 1.0))
            reached |= (place >= pixel.start) & (place < pixel.stop)
    return reached
