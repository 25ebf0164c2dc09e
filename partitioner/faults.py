"""What can be wrong with the rows of one partition file: each check looks at a table and names the first bad row.

Opening the files, and what concerns several of them, is done in verify.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.schema import HEALPIX, Roles, is_nested
from lsdb_ts.sky import Pixel, bad_positions, separation_arcsec, spatial_index
from lsdb_ts.sky.pixel import MAX_ORDER, centre
from partitioner.inputs import floats

_SAME_PLACE_ARCSEC = 0.01
"""HEALPix libraries may differ by one order-29 pixel (0.0004 arcsec) on its edges; more than this is another place."""


@dataclass(frozen=True)
class Fault:
    """Something wrong, and where."""

    file: str
    row: int | None
    """Number of the first row concerned, counted from 0; None where it is not about a row."""
    what: str
    is_note: bool = False
    """True for what other writers do differently and readers live with: worth knowing, not corrupt."""
    kind: str = ""
    """The same for all rows with the same trouble."""

    def __str__(self) -> str:
        return f"{self.file}{'' if self.row is None else f', row {self.row}'}: {self.what}"


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


def table_faults(table: pa.Table, expected: Expected) -> Iterator[Fault]:
    """Yield everything that is wrong with the rows of one partition."""
    for name in (n for n in table.column_names if is_nested(table.schema.field(n))):
        yield from _nested_faults(table.column(name).combine_chunks(), table.schema.field(name), expected)
    if HEALPIX not in table.column_names:
        yield Fault(
            expected.file, None, f"has no column {HEALPIX}: where its rows lie cannot be checked", True, HEALPIX
        )
        return
    place = table.column(HEALPIX).to_numpy()
    inside = (place >= expected.pixel.start) & (place < expected.pixel.stop)
    if expected.is_margin:
        yield from _first(expected, inside, f"lies in {expected.pixel} itself, whose margin this is")
    else:
        yield from _first(expected, ~inside, f"does not lie in {expected.pixel}")
    backwards = np.concatenate([[False], place[1:] < place[:-1]])
    yield from _first(expected, backwards, f"is not sorted by {HEALPIX}", is_note=not expected.is_ours)
    if expected.ra in table.column_names and expected.dec in table.column_names:
        yield from _position_faults(table, place, expected)


def _position_faults(table: pa.Table, place: NDArray[np.int64], expected: Expected) -> Iterator[Fault]:
    ra, dec = floats(table.column(expected.ra)), floats(table.column(expected.dec))
    nowhere = bad_positions(ra, dec)
    yield from _first(expected, nowhere, "has a position that is not on the sky")
    rows = np.flatnonzero(~nowhere)
    rows = rows[spatial_index(ra[rows], dec[rows]) != place[rows]]
    in_range = (place[rows] >= 0) & (place[rows] < 12 << (2 * MAX_ORDER))
    if not expected.is_ours and in_range.all():
        there = centre(place[rows], MAX_ORDER)
        rows = rows[separation_arcsec(ra[rows], dec[rows], *there) > _SAME_PLACE_ARCSEC]
    elsewhere = np.zeros(place.size, dtype=bool)
    elsewhere[rows] = True
    yield from _first(expected, elsewhere, f"has a {HEALPIX} that is not that of its ra and dec")


def _nested_faults(column: pa.StructArray, field: pa.Field, expected: Expected) -> Iterator[Fault]:
    parts = [(f, column.field(i)) for i, f in enumerate(field.type)]
    lengths = [_lengths(values) for _, values in parts]
    unequal = np.zeros(len(column), dtype=bool)
    for other in lengths[1:]:
        unequal |= other != lengths[0]
    yield from _first(expected, unequal, f"has lists of unequal lengths in {field.name}")
    name = Roles.of(field.type).time or Roles.guess(f.name for f, _ in parts).time
    times = next((values for f, values in parts if f.name == name), None)
    if times is not None:
        unsorted = _unsorted_lists(times)
        yield from _first(
            expected, unsorted, f"has a {field.name} that is not sorted by {name}", is_note=not expected.is_ours
        )


def _lengths(values: pa.Array) -> NDArray[np.int64]:
    return np.diff(values.offsets.to_numpy()).astype(np.int64)


def _unsorted_lists(values: pa.ListArray) -> NDArray[np.bool_]:
    """Tell in which lists a value is smaller than the one before it; NaN counts as largest."""
    offsets = values.offsets.to_numpy()
    flat = floats(values.values)
    flat = np.where(np.isnan(flat), np.inf, flat)
    backwards = np.flatnonzero(flat[1:] < flat[:-1]) + 1
    # A step down between two lists is none within one.
    backwards = backwards[(backwards > offsets[0]) & (backwards < offsets[-1])]
    owner = np.searchsorted(offsets, backwards, side="right") - 1
    owner = owner[offsets[owner] != backwards]
    found = np.zeros(len(values), dtype=bool)
    found[owner] = True
    return found


def _first(expected: Expected, bad: NDArray[np.bool_], what: str, is_note: bool = False) -> Iterator[Fault]:
    n = int(bad.sum())
    if n:
        more = f", the first of {n} such rows" if n > 1 else ""
        yield Fault(expected.file, int(np.flatnonzero(bad)[0]), f"{what}{more}", is_note, what)
