"""Association tables against the two catalogs they link: both ids are there, in the partition named, and near enough.

What their files are like is told as for any catalog.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import CatalogError
from lsdb_ts.run.pool import each
from lsdb_ts.sky import Pixel
from lsdb_ts.store.association import DISTANCE, Association
from lsdb_ts.store.hats import HatsCatalog, open_hats
from lsdb_ts.store.read import read_rows
from partitioner.account import integers, mixed
from partitioner.checks.curves import whole
from partitioner.checks.fault import NOTHING, Fault
from partitioner.checks.fingerprints import value_hashes
from partitioner.checks.subject import Subject
from partitioner.inputs.tables import floats

_WAY_OUT = "write the association again, from the catalogs it links"
_AT_ONCE = 20_000_000


@dataclass(frozen=True, eq=False)
class _Pass:
    """One pass over a column of ids of a catalog."""

    catalog: HatsCatalog
    column: str
    part: int
    parts: int


def association_faults(subject: Subject) -> Iterator[Fault]:
    """Yield where an association names rows that are not in the catalogs it links, or too far apart."""
    catalog = subject.catalog
    try:
        told = Association.of(catalog)
    except CatalogError as error:
        yield Fault(subject.name, None, str(error), way_out=_WAY_OUT)
        return
    if not told.has_rows:
        return
    yield from _separations(subject, told)
    for name, column, ids in (
        (told.primary, told.primary_on, told.primary_ids),
        (told.other, told.other_on, told.other_ids),
    ):
        linked = _linked(subject.root, name)
        if linked is None or column not in linked.schema.names:
            what = f'the catalog "{name}" that it links is not beside it: whether its ids are there is not known'
            yield Fault(subject.name, None, what, True, "association", way_out=NOTHING)
            continue
        yield from _strangers(subject, linked, column, ids)


def _linked(root: Path, name: str) -> HatsCatalog | None:
    """Open a catalog that an association links: by its path, or beside the association or its collection."""
    for folder in (Path(name), root.parent / name, root.parent.parent / name):
        try:
            return open_hats(folder)
        except (CatalogError, OSError):
            continue
    return None


def _separations(subject: Subject, told: Association) -> Iterator[Fault]:
    most = told.max_separation_arcsec
    if most is None or DISTANCE not in subject.catalog.schema.names:
        return
    for pixel in subject.catalog.layout:
        for path in subject.catalog.leaf_files(pixel):
            try:
                distance = floats(read_rows(path, [DISTANCE]).column(0))
            except CatalogError:  # told of where the file itself was looked at
                continue
            wrong = ~(distance <= most)
            if wrong.any():
                row, file = int(np.argmax(wrong)), subject.name_of(Path(str(path)))
                what = f"has a {DISTANCE} larger than the catalog says"
                need = f"{most:g} at most"
                got, n = f"{distance[row]:g}", int(wrong.sum())
                yield Fault(file, row, what, kind=what, got=got, need=need, way_out=_WAY_OUT, rows=n)


def _strangers(subject: Subject, linked: HatsCatalog, column: str, ids: str) -> Iterator[Fault]:
    parts = 1 + (linked.n_rows or 0) // _AT_ONCE
    for part in range(parts):
        known = _all_keys(_Pass(linked, column, part, parts))
        named = dict(_keys_by_pixel(_Pass(subject.catalog, ids, part, parts)))
        for pixel in (p for p in subject.catalog.layout if p in named):
            wrong = ~np.isin(named[pixel], known)
            if wrong.any():
                path = Path(str(subject.catalog.leaf_files(pixel)[0]))
                values = read_rows(path, [ids]).column(0)
                row = int(np.flatnonzero(_keys(values) == named[pixel][wrong][0])[0])
                what = f"names a row that {linked.name} does not have"
                got, n = f"{ids} {values[row].as_py()}", int(wrong.sum())
                yield Fault(subject.name_of(path), row, what, kind=what, got=got, way_out=_WAY_OUT, rows=n)


def _keys(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    return mixed(integers(column)) if pa.types.is_integer(column.type) else value_hashes(whole(column))


def _all_keys(work: _Pass) -> NDArray[np.uint64]:
    return np.concatenate([np.empty(0, dtype=np.uint64), *(keys for _, keys in _keys_by_pixel(work))])


def _keys_by_pixel(work: _Pass) -> Iterator[tuple[Pixel, NDArray[np.uint64]]]:
    for outcome in each(_keys_of, list(work.catalog.layout), work):
        if outcome.value is not None:
            yield outcome.item, outcome.value


def _keys_of(work: _Pass, pixel: Pixel) -> NDArray[np.uint64]:
    found = [np.empty(0, dtype=np.uint64)]
    for path in work.catalog.leaf_files(pixel):
        try:
            keys = _keys(read_rows(path, [work.column]).column(0))
        except CatalogError:  # told of where the file itself was looked at
            continue
        found.append(keys[keys % np.uint64(work.parts) == work.part])
    return np.concatenate(found)
