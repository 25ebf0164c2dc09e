"""Where the rows of ids lie that other rows name: from an id index, or else from the columns of ids themselves.

What is done with the places is written next door.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.errors import CatalogError, RunError
from lsdb_ts.run.pool import each
from lsdb_ts.schema import HEALPIX, plain
from lsdb_ts.sky import Layout, Pixel
from lsdb_ts.sky.pixel import Indices
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.files import AnyPath
from lsdb_ts.store.hats import HatsCatalog
from lsdb_ts.store.index import open_index
from lsdb_ts.store.read import read_rows
from partitioner.account import child_keys, integers


def keys_of(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return ids so that those of two tables compare: whole numbers as int64, uint64 by their bits, or text."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_integer(whole.type):
        return whole.cast(pa.large_string())
    return pc.if_else(whole.is_valid(), pa.array(integers(whole)), pa.scalar(None, pa.int64()))


def keys_in_account(rows: pa.Table, parent_id: str, own_id: str | None) -> Indices:
    """Return what identifies child rows in the account: their parent, and their own id where it counts; shape (n,)."""
    has_ids = own_id is not None and pa.types.is_integer(rows.schema.field(own_id).type)
    return child_keys(integers(rows.column(parent_id)), integers(rows.column(own_id)) if has_ids else None)


@dataclass(frozen=True, eq=False)
class Homes:
    """Some ids of a catalog, and the order-29 place of the row of each."""

    ids: pa.Array
    """As :func:`keys_of` gives them, without repeats."""
    places: Indices

    @classmethod
    def none(cls) -> Homes:
        """Return what is known before anything is."""
        return cls(pa.array([], pa.int64()), np.empty(0, dtype=np.int64))

    @classmethod
    def joined(cls, parts: Sequence[Homes]) -> Homes:
        """Return what several know, none of them the same."""
        some = [part for part in parts if len(part.ids)]
        if not some:
            return cls.none()
        return cls(pa.concat_arrays([p.ids for p in some]), np.concatenate([p.places for p in some]))

    def of(self, column: pa.ChunkedArray | pa.Array) -> Indices:
        """Return the place for each id of a column, -1 where there is none; shape (n,)."""
        if len(self.ids) == 0:
            return np.full(len(column), -1, dtype=np.int64)
        at = pc.index_in(keys_of(column), value_set=self.ids, skip_nulls=True).fill_null(-1).to_numpy()
        return np.where(at >= 0, self.places[np.maximum(at, 0)], -1)


def find_homes(catalog: HatsCatalog, column: str, wanted: pa.Array, near: Indices) -> Homes:
    """Find the rows of some ids in a catalog.

    Parameters
    ----------
    catalog : HatsCatalog
    column : str
        Of the ids.
    wanted : pyarrow.Array
        As :func:`keys_of` gives them, without repeats.
    near : numpy.ndarray of int64
        Order-29 places where the rows may well be: looked at first, where there is no index.
    """
    if len(wanted) == 0:
        return Homes.none()
    told = _from_index(catalog, column, wanted)
    if told is not None:
        return _read(catalog, column, wanted, range(len(catalog.layout)), told)
    first = np.unique(catalog.layout.leaf_of(near))
    found = _read(catalog, column, wanted, first[first >= 0].tolist(), None)
    if len(found.ids) == len(wanted):
        return found
    rest = np.setdiff1d(np.arange(len(catalog.layout)), first)
    left = wanted.filter(pa.array(found.of(wanted) < 0))
    return Homes.joined([found, _read(catalog, column, left, rest.tolist(), None)])


def _from_index(catalog: HatsCatalog, column: str, wanted: pa.Array) -> Ranges | None:
    """Return the sky of all wanted rows, or None where no index of the present state tells."""
    try:
        index = open_index(catalog, column)
    except CatalogError:
        return None
    if index is None:
        return None
    kind = plain(catalog.schema.field(column).type)
    whole = wanted.cast(kind) if not pa.types.is_uint64(kind) else wanted.view(kind)
    return index.find(whole.take(pc.sort_indices(whole)), catalog.layout).sky


@dataclass(frozen=True, eq=False)
class _Look:
    """What is looked for in each partition."""

    column: str
    wanted: pa.Array
    sky: Ranges | None
    files: dict[Pixel, Sequence[AnyPath]]


def _read(catalog: HatsCatalog, column: str, wanted: pa.Array, leaves: Sequence[int], sky: Ranges | None) -> Homes:
    layout: Layout = catalog.layout
    pixels = [layout[i] for i in leaves if sky is None or sky.overlaps([layout[i].start], [layout[i].stop])[0]]
    look = _Look(column, wanted, sky, {pixel: catalog.leaf_files(pixel) for pixel in pixels})
    found: list[Homes] = []
    for outcome in each(_look_in, pixels, look):
        if outcome.value is None:
            raise RunError(f"cannot look for ids: {outcome.failure}", [outcome.failure] if outcome.failure else [])
        found.append(outcome.value)
    return Homes.joined(found)


def _look_in(look: _Look, pixel: Pixel) -> Homes:
    tables = [read_rows(file, [HEALPIX, look.column], within=look.sky) for file in look.files[pixel]]
    rows = pa.concat_tables([t.select([HEALPIX, look.column]) for t in tables])
    ids = keys_of(rows.column(look.column))
    hit = pc.is_in(ids, value_set=look.wanted)
    return Homes(ids.filter(hit), rows.column(HEALPIX).filter(hit).to_numpy())
