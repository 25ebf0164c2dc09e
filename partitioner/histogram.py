"""Where on the sky the rows of a table are: sparse counts per pixel, from ra and dec alone; and which rows are nowhere.

What partitions follow from the counts is decided by the layout.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PositionError
from lsdb_ts.schema import Roles
from lsdb_ts.sky import bad_positions, spatial_index
from lsdb_ts.sky.pixel import Indices, cell_of
from partitioner.inputs import TableInput, Unit, bad_input_as_value, floats, read_unit

FINE_ORDER, COARSE_ORDER = 12, 10
_FINE_ROWS = 100_000_000
"""Up to so many rows the histogram is kept at the finer order: the occupied cells cannot be more than the rows."""


@dataclass(frozen=True)
class BadRow:
    """A row whose position is not on the sky."""

    path: str
    row: int
    """Number of the row in its file, counted from 0."""
    ra: float
    dec: float


@dataclass(frozen=True, eq=False)
class Histogram:
    """Rows per occupied pixel, and how many rows have no place on the sky."""

    order: int
    cells: Indices
    """Occupied pixels of ``order``, NESTED, sorted, each once; shape (n,)."""
    counts: Indices
    """Rows in each; shape (n,)."""
    bad: int = 0
    first_bad: BadRow | None = None

    @classmethod
    def add(cls, parts: Iterable[Histogram], order: int) -> Histogram:
        """Add histograms of one order up."""
        listed = list(parts)
        cells = np.concatenate([np.empty(0, dtype=np.int64), *(h.cells for h in listed)])
        weights = np.concatenate([np.empty(0, dtype=np.int64), *(h.counts for h in listed)])
        unique, place = np.unique(cells, return_inverse=True)
        counts = np.zeros(unique.size, dtype=np.int64)
        np.add.at(counts, place, weights)
        first_bad = min((h.first_bad for h in listed if h.first_bad), key=lambda b: (b.path, b.row), default=None)
        return cls(order, unique, counts, sum(h.bad for h in listed), first_bad)


def histogram_order(rows: int) -> int:
    """Choose the order of the histogram of so many rows: the finest partition possible.

    >>> histogram_order(20_000), histogram_order(10**9)
    (12, 10)
    """
    return FINE_ORDER if rows <= _FINE_ROWS else COARSE_ORDER


@bad_input_as_value
def count_unit(table: TableInput, unit: Unit) -> Histogram:
    """Count the rows of one unit per pixel; reads the two coordinate columns only."""
    roles = table.roles
    ra, dec = positions(read_unit(unit, table.schema, [str(roles.ra), str(roles.dec)]), roles)
    bad = off_sky(ra, dec)
    order = histogram_order(table.rows)
    cells, counts = np.unique(cell_of(spatial_index(ra[~bad], dec[~bad]), order), return_counts=True)
    first = None
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        first = BadRow(unit.path, unit.first_row + row, float(ra[row]), float(dec[row]))
    return Histogram(order, cells, counts.astype(np.int64), int(bad.sum()), first)


def positions(table: pa.Table, roles: Roles) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ra and dec in degrees, each of shape (n,); nulls are NaN."""
    return floats(table.column(roles.ra)), floats(table.column(roles.dec))


def off_sky(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which positions cannot be meant: NaN, |dec| > 90, or ra outside [-180, 360] (sentinels like -999)."""
    with np.errstate(invalid="ignore"):
        return bad_positions(ra_deg, dec_deg) | (ra_deg < -180.0) | (ra_deg > 360.0)


def position_error(table: str, found: Histogram) -> PositionError:
    """Describe the rows that are not on the sky, and the way out."""
    first = found.first_bad
    assert first is not None
    rows = "1 row has a position that is" if found.bad == 1 else f"{found.bad} rows have positions that are"
    return PositionError(
        f'table "{table}": {rows} not on the sky; the first is row {first.row} of {first.path} (counted from 0): '
        f"ra={first.ra}, dec={first.dec}; need degrees with ra in [-180, 360] and dec in [-90, 90]. "
        "Mend the file, or run again with --on-bad refuse: such rows are then set aside and counted"
    )
