"""What can be wrong with the rows of a partition: their pixel, their index, their position, their sequence.

Light curves inside them are looked at next door.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.schema import HEALPIX, is_nested
from lsdb_ts.sky import Pixel, bad_positions, separation_arcsec, spatial_index
from lsdb_ts.sky.pixel import MAX_ORDER, SKY_STOP, centre
from partitioner.checks.fault import NOTHING, Fault, first
from partitioner.inputs.tables import floats

_SAME_PLACE_ARCSEC = 0.01
"""HEALPix libraries may differ by one order-29 pixel (0.0004 arcsec) on its edges; more than this is another place."""


@dataclass(frozen=True)
class Expected:
    """What the rows of a file are held against."""

    file: str
    pixel: Pixel
    is_margin: bool
    is_ours: bool
    """Whether this package wrote the catalog: then rows are sorted, and indices are exact."""
    ra: str | None
    dec: str | None
    id_column: str | None = None
    offset_arcsec: float | None = None
    """Of rows that are stored with others: how far they may be from the place of these; None for all others."""


def row_faults(table: pa.Table, expected: Expected, first_row: int = 0, before: int = -1) -> Iterator[Fault]:
    """Yield everything that is wrong with where the rows of one row group lie.

    Parameters
    ----------
    table : pyarrow.Table
    expected : Expected
    first_row : int
        Number in the file of the table's first row.
    before : int
        Place of the row before it.
    """
    file, pixel = expected.file, expected.pixel
    if HEALPIX not in table.column_names:
        what = f"has no column {HEALPIX}: where its rows lie cannot be checked"
        yield Fault(file, None, what, True, HEALPIX, way_out=NOTHING)
        return
    column = table.column(HEALPIX)
    if column.null_count:
        nulls = column.is_null().to_numpy()
        yield from first(file, nulls, f"has no {HEALPIX}", first_row=first_row)
        return
    place = column.to_numpy()
    inside = (place >= pixel.start) & (place < pixel.stop)
    wrong, what = (inside, f"lies in {pixel} itself, whose margin this is") if expected.is_margin else (~inside, "")
    what = what or f"does not lie in {pixel}"
    limits = f"{'outside of' if expected.is_margin else 'inside'} {pixel.start} to {pixel.stop - 1}"
    yield from first(
        file, wrong, what, first_row=first_row, told=lambda row: (f"{HEALPIX} {_where(int(place[row]), pixel)}", limits)
    )
    previous = np.concatenate([[before], place[:-1]])
    yield from first(
        file,
        place < previous,
        f"is not sorted by {HEALPIX}",
        first_row=first_row,
        told=lambda row: (f"{place[row]}", f"at least {previous[row]}, as in the row before"),
        is_note=not expected.is_ours,
    )
    if expected.ra in table.column_names and expected.dec in table.column_names:
        yield from _position_faults(table, place, expected, first_row)
    yield from _nameless(table, expected, first_row)


def _where(place: int, pixel: Pixel) -> str:
    if not 0 <= place < SKY_STOP:
        return f"{place}, which is no place on the sky"
    return f"{place}, in {Pixel(MAX_ORDER, place).parent(pixel.order)}"


def _position_faults(table: pa.Table, place: NDArray[np.int64], expected: Expected, first_row: int) -> Iterator[Fault]:
    ra, dec = floats(table.column(expected.ra)), floats(table.column(expected.dec))
    nowhere = bad_positions(ra, dec)

    def position(row: int) -> str:
        return f"{expected.ra} {ra[row]!r}, {expected.dec} {dec[row]!r}".replace("np.float64(", "").replace(")", "")

    yield from first(
        expected.file,
        nowhere,
        "has a position that is not on the sky",
        first_row=first_row,
        told=lambda row: (position(row), "degrees on the sky"),
    )
    rows = np.flatnonzero(~nowhere)
    there = np.zeros(place.size, dtype=np.int64)
    there[rows] = spatial_index(ra[rows], dec[rows])
    rows = rows[there[rows] != place[rows]]
    in_range = (place[rows] >= 0) & (place[rows] < SKY_STOP)
    reach_arcsec = (expected.offset_arcsec or 0.0) + _SAME_PLACE_ARCSEC
    if (expected.offset_arcsec is not None or not expected.is_ours) and in_range.all():
        rows = rows[separation_arcsec(ra[rows], dec[rows], *centre(place[rows], MAX_ORDER)) > reach_arcsec]
    elsewhere = np.zeros(place.size, dtype=bool)
    elsewhere[rows] = True
    yield from first(
        expected.file,
        elsewhere,
        f"has a {HEALPIX} that is not that of its {expected.ra} and {expected.dec}",
        first_row=first_row,
        told=lambda row: (f"{place[row]} for {position(row)}", f"{there[row]}"),
    )


def _nameless(table: pa.Table, expected: Expected, first_row: int) -> Iterator[Fault]:
    """Yield rows without an id, in a catalog of ours of objects: where rows belong to these, none could to them."""
    name = expected.id_column
    if name not in table.column_names or not table.column(name).null_count:
        return
    bad = table.column(name).is_null().to_numpy()
    is_named = expected.is_ours and any(is_nested(f) for f in table.schema)
    yield from first(expected.file, bad, f"has no {name}", first_row=first_row, is_note=not is_named)
