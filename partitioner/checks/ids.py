"""Ids of objects: none twice, and none among them that orphans were said to lack. Two passes read nothing but ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lsdb_ts.errors import CatalogError
from lsdb_ts.run.pool import each
from lsdb_ts.run.progress import stage
from lsdb_ts.schema import Roles
from lsdb_ts.sky import Pixel
from lsdb_ts.store.read import read_rows
from partitioner.account import integers, mixed
from partitioner.checks.curves import whole
from partitioner.checks.fault import Fault
from partitioner.checks.fingerprints import value_hashes
from partitioner.checks.subject import Subject

_AT_ONCE = 20_000_000
"""Ids compared in one pass; more take more passes, not more memory."""
_WAY_OUT = "make the catalog again from tables without repeated ids: nobody could tell which light curve is whose"


@dataclass(frozen=True, eq=False)
class _Pass:
    """One pass over the ids of a catalog."""

    subject: Subject
    part: int
    parts: int


def id_faults(subject: Subject, orphans: Sequence[Path], show: bool | None = None) -> Iterator[Fault]:
    """Yield the first id of an object catalog that comes more than once, and where; and objects that orphans name.

    Parameters
    ----------
    subject : Subject
        A catalog of objects whose metadata say which column holds the ids; of others there is nothing to say.
    orphans : sequence of pathlib.Path
        Files of rows that were set aside because no object has their id.
    show : bool, optional
        Whether to show progress.
    """
    column, catalog = subject.id_column, subject.catalog
    if column is None or catalog.kind != "object":
        return
    strays = {path: ids for path in orphans if (ids := _parents(path)) is not None}
    parts = 1 + (catalog.n_rows or 0) // _AT_ONCE
    with stage(f"ids of {subject.name}", parts * len(catalog.layout), "partitions", show) as advance:
        for part in range(parts):
            by_pixel: dict[Pixel, NDArray[np.uint64]] = {}
            for outcome in each(_ids_of, list(catalog.layout), _Pass(subject, part, parts)):
                if outcome.value is not None:
                    by_pixel[outcome.item] = outcome.value
                advance(1)
            keys = np.sort(np.concatenate([np.empty(0, dtype=np.uint64), *by_pixel.values()]))
            yield from _repeated(subject, column, keys, by_pixel)
            for path, ids in strays.items():
                yield from _found_strays(subject, path, ids, keys)


def _keys(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    known = column.drop_null()
    if pa.types.is_integer(known.type):
        return mixed(integers(known))
    return value_hashes(whole(known))


def _ids_of(work: _Pass, pixel: Pixel) -> NDArray[np.uint64]:
    found = [np.empty(0, dtype=np.uint64)]
    for path in work.subject.catalog.leaf_files(pixel):
        try:
            keys = _keys(read_rows(path, [str(work.subject.id_column)]).column(0))
        except CatalogError:  # told of where the file itself was looked at
            continue
        found.append(keys[keys % np.uint64(work.parts) == work.part])
    return np.concatenate(found)


def _repeated(
    subject: Subject, column: str, keys: NDArray[np.uint64], by_pixel: dict[Pixel, NDArray[np.uint64]]
) -> Iterator[Fault]:
    twice = np.unique(keys[1:][keys[1:] == keys[:-1]])
    if not twice.size:
        return
    places = []
    for pixel in sorted(p for p, found in by_pixel.items() if (found == twice[0]).any()):
        for path in subject.catalog.leaf_files(pixel):
            ids = read_rows(path, [column]).column(0)
            hits = np.flatnonzero(ids.is_valid().to_numpy())[_keys(ids) == twice[0]]
            places += [(path, int(row), ids[int(row)].as_py()) for row in hits]
    (path, row, value), (again, other, _) = places[0], places[1]
    where = f"in row {other}" if again == path else f"in {subject.name_of(Path(str(again)))}, row {other}"
    what = f"{twice.size} ids repeat, this one first: {column} {value}, again {where}"
    yield Fault(subject.name_of(Path(str(path))), row, what, kind="ids", way_out=_WAY_OUT)


def _parents(path: Path) -> tuple[pa.ChunkedArray, str] | None:
    """Return the parents' ids of rows set aside, and their column; None where they cannot be told."""
    try:
        schema = pq.read_schema(path)
        name = Roles.of(schema).parent_id
        if name is None or not pa.types.is_integer(schema.field(name).type):
            return None
        return read_rows(path, [name]).column(0), name
    except (CatalogError, OSError, pa.ArrowException):  # told of where the file itself is looked at
        return None


def _found_strays(
    subject: Subject, path: Path, strays: tuple[pa.ChunkedArray, str], keys: NDArray[np.uint64]
) -> Iterator[Fault]:
    ids, name = strays
    # A row that names nobody is an orphan whatever there is.
    rows = np.flatnonzero(ids.is_valid().to_numpy())
    wanted = _keys(ids)
    at = np.minimum(np.searchsorted(keys, wanted), max(keys.size - 1, 0))
    known = rows[keys[at] == wanted] if keys.size else rows[:0]
    if known.size:
        row = int(known[0])
        what = f"is no orphan: {subject.name} has an object with its {name}"
        yield Fault(subject.name_of(path), row, what, kind="strays", got=str(ids[row]), rows=int(known.size))
