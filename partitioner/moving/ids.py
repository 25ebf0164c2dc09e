"""From ids to places: an index of the tables whose rows others go to, built in parts of bounded size.

What is done with the places is written in the stages.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import IdError
from lsdb_ts.kernels.rows.mixing import mix_keys
from lsdb_ts.kernels.rows.ordering import directory_of, find_keys, order_by_group, stretch_shift
from lsdb_ts.sky.pixel import Indices
from partitioner.account import integers
from partitioner.inputs.tables import Chunk, Unit, bad_input_as_value, read_unit
from partitioner.moving.spill import save_array
from partitioner.planning.plan import Plan

INDEX_ROWS = 4_000_000
"""A part of the index is sorted in memory at once, and holds about so many ids."""


@dataclass(frozen=True)
class IndexPart:
    """A piece of work: the ids of a table whose mixed bits begin with a number."""

    table: str
    number: int

    def __str__(self) -> str:
        return f"{self.table}, part {self.number} of the ids"


def indexed_tables(planned: Plan) -> tuple[str, ...]:
    """Return the tables whose ids are indexed, and must be unique: those that others are nested in, or follow."""
    named = {p.table for p in planned.products if p.nest}
    named |= {p.follow for p in planned.products if p.follow is not None}
    return tuple(p.table for p in planned.products if p.table in named)


def is_indexed(planned: Plan, table: str) -> bool:
    """Tell whether the ids of a table are indexed."""
    return table in indexed_tables(planned)


def index_parts(planned: Plan) -> list[IndexPart]:
    """Return the pieces of work of the index."""
    return [IndexPart(t, i) for t in indexed_tables(planned) for i in range(1 << index_bits(planned, t))]


def index_bits(planned: Plan, table: str) -> int:
    """Return b where the index of a table is cut into 2^b parts, by the leading bits of the mixed ids."""
    return max(0, math.ceil(math.log2(max(planned.inputs[table].rows, 1) / INDEX_ROWS)))


class IdNotes:
    """The ids of one unit, noted for the index with the places of their rows."""

    def __init__(self, planned: Plan, unit: Unit) -> None:
        self._path = _notes(planned, unit)
        self._column = planned.roles(unit.table).id
        self._keys: list[NDArray[np.uint64]] = []
        self._places: list[Indices] = []

    def add(self, chunk: Chunk, rows: pa.Table, place: Indices) -> None:
        """Note the ids of rows of a chunk; raises IdError where one has none."""
        ids = rows.column(self._column)
        if ids.null_count:
            missing = np.flatnonzero(chunk.table.column(self._column).is_null().to_numpy())
            row = chunk.first_row + int(missing[0])
            raise IdError(f"row {row} of {chunk.path} (counted from 0) has no {self._column}: every row needs one")
        self._keys.append(mix_keys(integers(ids)))
        self._places.append(place)

    def save(self) -> None:
        """Write what was noted, sorted by mixed id."""
        if self._keys:
            keys, places = np.concatenate(self._keys), np.concatenate(self._places)
            order = np.argsort(keys)
            save_array(np.stack([keys[order], places[order].view(np.uint64)]), self._path)


def _notes(planned: Plan, unit: Unit) -> Path:
    return planned.work / "ids" / unit.table / f"{unit.name}.npy"


@bad_input_as_value
def build_index(planned: Plan, part: IndexPart) -> dict[str, Any]:
    """Sort one part of the ids of a table; raises IdError where one comes twice."""
    bits = index_bits(planned, part.table)
    first, beyond = part.number << (64 - bits), (part.number + 1) << (64 - bits)
    slices = [np.empty((2, 0), dtype=np.uint64)]
    for unit in planned.units(part.table):
        if (path := _notes(planned, unit)).exists():
            noted = np.load(path, mmap_mode="r")
            start = np.searchsorted(noted[0], np.uint64(first))
            stop = noted.shape[1] if beyond >> 64 else np.searchsorted(noted[0], np.uint64(beyond))
            slices.append(noted[:, start:stop])
    keys, places = np.concatenate(slices, axis=1)
    order = np.argsort(keys)
    keys = keys[order]
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    if twice.size:
        raise _id_error(planned, part.table, keys[twice[0]], int(twice.size))
    directory = directory_of(keys, bits, stretch_shift(keys.size))
    for name, array in (("keys", keys), ("places", places[order].view(np.int64)), ("directory", directory)):
        save_array(array, _part(planned, part, name))
    return {"rows": int(keys.size)}


def _part(planned: Plan, part: IndexPart, name: str) -> Path:
    return planned.work / "index" / part.table / f"{name}-{part.number}.npy"


def _id_error(planned: Plan, table: str, key: np.uint64, n: int) -> IdError:
    """Find the first two rows with a mixed id."""
    column = str(planned.roles(table).id)
    rows = list(itertools.islice(_rows_with(planned, table, column, key), 2))
    places = " and ".join(f"row {row} of {path}" for path, row, _ in rows)
    more = f" ({n} ids come more than once)" if n > 1 else ""
    return IdError(
        f'{column} {rows[0][2]} of the table "{table}" is not unique: {places} (counted from 0){more}. '
        "Rows that belong to it could not be told apart: remove one of the rows"
    )


def _rows_with(planned: Plan, table: str, column: str, key: np.uint64) -> Iterator[tuple[str, int, Any]]:
    for unit in planned.units(table):
        if not (path := _notes(planned, unit)).exists() or not np.isin(key, np.load(path, mmap_mode="r")[0]):
            continue
        for chunk in read_unit(unit, planned.inputs[table].schema, [column]):
            ids = chunk.table.column(column)
            for row in np.flatnonzero(mix_keys(integers(ids)) == key).tolist():
                yield chunk.path, chunk.first_row + row, ids[row].as_py()


def find_places(planned: Plan, table: str, ids: pa.ChunkedArray) -> Indices:
    """Return, for each id, the place of its row in a table that is indexed, or -1 where there is none; shape (n,)."""
    keys, bits = mix_keys(integers(ids)), index_bits(planned, table)
    parts = (keys >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(keys.size, dtype=np.int64)
    order, offsets = order_by_group(parts, 1 << bits)
    places = np.full(keys.size, -1, dtype=np.int64)
    for p, (start, stop) in enumerate(itertools.pairwise(offsets.tolist())):
        if stop == start:
            continue
        known, known_places, directory = (
            _load(planned, IndexPart(table, p), n) for n in ("keys", "places", "directory")
        )
        rows = order[start:stop] if bits else slice(None)
        at = find_keys(known, directory, bits, stretch_shift(known.size), keys[rows])
        places[rows] = np.where(at >= 0, known_places[np.maximum(at, 0)] if known.size else -1, -1)
    if ids.null_count:
        places[ids.is_null().to_numpy()] = -1
    return places


def _load(planned: Plan, part: IndexPart, name: str) -> NDArray[Any]:
    path = _part(planned, part, name)
    return _mapped(str(path), path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _mapped(path: str, stamp: int) -> NDArray[Any]:
    return np.asarray(np.load(path, mmap_mode="r"))
