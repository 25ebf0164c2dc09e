"""Where on the sky the rows of a table are: sparse counts per pixel, from ra and dec alone; and which rows are nowhere.

What partitions follow from the counts is decided by the layout.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PositionError
from lsdb_ts.kernels.rows.counting import add_counts, coarser_counts, count_cells, distinct_after
from lsdb_ts.schema import Roles
from lsdb_ts.sky import Layout, bad_positions, spatial_index
from lsdb_ts.sky.pixel import MAX_ORDER, Indices
from partitioner.inputs.tables import Chunk, PieceRows, TableInput, Unit, bad_input_as_value, floats, read_part

FIRST_ORDER = 12
"""Order of the pixels that rows are first counted in, 0.86 arcmin wide."""
MOST_CELLS = 1 << 20
"""A histogram of more occupied pixels than this is made coarser, if there are not thousands of rows for each."""
NOWHERE: Indices = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class BadRow:
    """A row whose position is not on the sky."""

    path: str
    piece: int
    row: int
    """Number of the row from the beginning of the piece of its file, counted from 0."""
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
    rows: PieceRows = field(default_factory=dict)
    """Rows of the pieces of files that did not know theirs."""

    @classmethod
    def add(cls, parts: Iterable[Histogram], order: int) -> Histogram:
        """Add histograms up, at ``order`` or that of the coarsest of them."""
        listed = list(parts)
        order = min([order, *(h.order for h in listed)])
        coarse = [h.coarser(order) for h in listed]
        some = [(h.cells, h.counts) for h in coarse if h.cells.size] or [(NOWHERE, NOWHERE)]
        while len(some) > 1:
            # Two by two, so that none is gone through for each of the others.
            added = [add_counts(*a, *b) for a, b in zip(some[::2], some[1::2], strict=False)]
            some = [*added, *some[2 * len(added) :]]
        cells, counts = some[0]
        bad = [h.first_bad for h in listed if h.first_bad]
        first_bad = min(bad, key=lambda b: (b.path, b.piece, b.row), default=None)
        rows: dict[tuple[str, int], int] = {}
        for part in listed:
            for key, n in part.rows.items():
                rows[key] = rows.get(key, 0) + n
        return cls(order, cells, counts, sum(h.bad for h in listed), first_bad, rows)

    def coarser(self, order: int) -> Histogram:
        """Return the histogram at a coarser order, or the same."""
        if order == self.order:
            return self
        cells, counts = coarser_counts(self.cells, self.counts, 2 * (self.order - order))
        return dataclasses.replace(self, order=order, cells=cells, counts=counts)

    def with_at_most(self, cells: int, coarsest: int = 0) -> Histogram:
        """Return the histogram at the finest order at which no more pixels are occupied, but at least ``coarsest``."""
        occupied = distinct_after(self.cells)[::2]
        order = self.order
        while occupied[self.order - order] > cells and order > coarsest:
            order -= 1
        return self.coarser(order)


@dataclass(frozen=True, eq=False)
class Look:
    """How the rows of a table are counted."""

    table: TableInput
    order: int
    """Order of the pixels."""
    within: Layout | None = None
    """Only rows in these pixels count; None for all."""
    coarsest: int = 0
    """The order may become this coarse where too many pixels are occupied."""

    def total(self, parts: Iterable[Histogram]) -> Histogram:
        """Add up what was counted, in pixels that are not too many."""
        most = max(MOST_CELLS, self.table.rows // 1000)
        return Histogram.add(parts, self.order).with_at_most(most, self.coarsest)


@bad_input_as_value
def count_unit(look: Look, unit: Unit) -> Histogram:
    """Count the rows of one unit per pixel.

    Reads the two coordinate columns; and all columns of what has to be read to know how many rows there are, so that a
    value that is not of its column's type is found before any rows are moved.
    """
    roles = look.table.roles
    place = [str(roles.ra), str(roles.dec)]
    parts = [Histogram(look.order, NOWHERE, NOWHERE, rows=_uncounted(unit))]
    for part in unit.parts:
        columns = None if part.rows is None else place
        parts += [_count_chunk(chunk, look) for chunk in read_part(part, look.table.schema, columns)]
    return Histogram.add(parts, look.order)


@bad_input_as_value
def count_rows(look: Look, unit: Unit) -> Histogram:
    """Count the rows of pieces that do not know theirs, of a table whose positions are not asked for."""
    rows = _uncounted(unit)
    for part in unit.parts:
        if part.rows is None:
            rows[part.file.path, part.first] = sum(c.table.num_rows for c in read_part(part, look.table.schema))
    return Histogram(0, NOWHERE, NOWHERE, rows=rows)


def _uncounted(unit: Unit) -> dict[tuple[str, int], int]:
    """Return the pieces whose rows are not known, with none yet."""
    return {(part.file.path, part.first): 0 for part in unit.parts if part.rows is None}


def _count_chunk(chunk: Chunk, look: Look) -> Histogram:
    ra, dec = positions(chunk.table, look.table.roles)
    bad = off_sky(ra, dec)
    n_bad = int(np.count_nonzero(bad))
    place = spatial_index(ra[~bad], dec[~bad]) if n_bad else spatial_index(ra, dec)
    if look.within is not None:
        place = place[look.within.leaf_of(place) >= 0]
    cells, counts = count_cells(place, 2 * (MAX_ORDER - look.order))
    first = first_bad(chunk, ra, dec, bad) if n_bad else None
    return Histogram(look.order, cells, counts, n_bad, first, _rows_of(chunk))


def first_bad(
    chunk: Chunk, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], bad: NDArray[np.bool_]
) -> BadRow:
    """Return the first row of a chunk that is marked as bad."""
    row = int(np.flatnonzero(bad)[0])
    return BadRow(chunk.path, chunk.part.first, chunk.offset + row, float(ra_deg[row]), float(dec_deg[row]))


def _rows_of(chunk: Chunk) -> PieceRows:
    return {(chunk.path, chunk.part.first): chunk.table.num_rows} if chunk.part.rows is None else {}


def positions(table: pa.Table, roles: Roles) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ra and dec in degrees, each of shape (n,); nulls are NaN."""
    return floats(table.column(roles.ra)), floats(table.column(roles.dec))


def off_sky(ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which positions cannot be meant: NaN, |dec| > 90, or ra outside [-180, 360] (sentinels like -999)."""
    if _spans(ra_deg, -180.0, 360.0) and _spans(dec_deg, -90.0, 90.0):
        return np.zeros(ra_deg.size, dtype=bool)
    with np.errstate(invalid="ignore"):
        return bad_positions(ra_deg, dec_deg) | (ra_deg < -180.0) | (ra_deg > 360.0)


def _spans(values: NDArray[np.float64], least: float, most: float) -> bool:
    """Tell whether no value lies outside of limits; of values with a NaN among them, which it hides, that is not so."""
    return not values.size or bool(values.min() >= least and values.max() <= most)


def position_error(table: TableInput, found: Histogram) -> PositionError:
    """Describe the rows that are not on the sky, and the way out."""
    first = found.first_bad
    assert first is not None
    rows = "1 row has a position that is" if found.bad == 1 else f"{found.bad} rows have positions that are"
    row = (table.first_row(first.path, first.piece) or 0) + first.row
    return PositionError(
        f'table "{table.name}": {rows} not on the sky; the first is row {row} of {first.path} (counted from 0): '
        f"ra={first.ra}, dec={first.dec}; need degrees with ra in [-180, 360] and dec in [-90, 90]. "
        "Mend the file, or run again with --on-bad refuse: such rows are then set aside and counted"
    )
