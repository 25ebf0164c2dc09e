"""Id indexes against their catalog: every id is in them, with the place and the partition of its rows, and no other.

What their files are like is told as for any catalog.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import CatalogError
from lsdb_ts.run.pool import each
from lsdb_ts.run.progress import stage
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Pixel
from lsdb_ts.sky.pixel import MAX_ORDER
from lsdb_ts.store.footers import footer
from lsdb_ts.store.hats import read_properties
from lsdb_ts.store.index import NUMBER, ORDER, STAMP, stamp_of
from lsdb_ts.store.read import read_rows
from partitioner.account import Tally, child_keys, integers
from partitioner.checks.curves import whole
from partitioner.checks.fault import Fault
from partitioner.checks.files import PROPERTIES, parquet_faults, reason, text_faults
from partitioner.checks.fingerprints import value_hashes
from partitioner.checks.footers import listing_faults, listing_of
from partitioner.checks.partition import row_groups
from partitioner.checks.subject import Subject


@dataclass(frozen=True, eq=False)
class IndexCheck:
    """An index that is held against its catalog."""

    subject: Subject
    """The catalog."""
    column: str
    folder: Path

    @property
    def way_out(self) -> str:
        """What to do about an index that is wrong."""
        return f"build it again: lsdb-ts index {self.subject.root} --column {self.column}"

    def name_of(self, path: Path) -> str:
        """Return how a file is named in the report."""
        return self.subject.name_of(path)


@dataclass(frozen=True, eq=False)
class _Part:
    """What a file of the index holds, or a partition of the catalog."""

    pairs: Tally = field(default_factory=Tally)
    """Of ids and where they are."""
    rows: int = 0
    faults: tuple[Fault, ...] = ()
    ends: tuple[object, object] | None = None
    """First and last id."""


def index_faults(work: IndexCheck, show: bool | None = None, *, rows: bool = True) -> Iterator[Fault | int]:
    """Yield what is wrong with an index, and the number of rows of each of its files that were read.

    Parameters
    ----------
    work : IndexCheck
    show : bool, optional
        Whether to show progress.
    rows : bool, optional
        Whether the catalog is read, to hold the index against it; else the index alone is looked at.
    """
    try:
        properties = read_properties(work.folder / "hats.properties")
        ours = properties.get("hats_builder", "").startswith("lsdb_ts")
    except (CatalogError, OSError, ValueError) as error:
        yield Fault(work.name_of(work.folder), None, f"cannot be opened: {error}", way_out=work.way_out)
        return
    for name in (n for n in PROPERTIES if (work.folder / n).exists()):
        yield from text_faults(work.folder / name, work.name_of(work.folder / name), work.way_out, is_ours=ours)
    for name in ("_common_metadata", "_metadata"):
        path = work.folder / "dataset" / name
        if path.exists():
            yield from parquet_faults(path, work.name_of(path), is_ours=ours, rows=False)
    stamp = properties.get(STAMP)
    if stamp is not None and stamp != stamp_of(work.subject.catalog):
        what = f"is the index of an older state of {work.subject.name}"
        yield Fault(work.name_of(work.folder), None, what, way_out=work.way_out)
        return
    files = sorted((work.folder / "dataset").rglob("*.parquet"))
    total = Tally()
    held = 0
    with stage(f"index {work.column}", len(files), "files", show) as advance:
        for outcome in each(_look, files, (work, ours)):
            advance(1)
            if outcome.failure is not None or outcome.value is None:
                what = f"could not be checked: {outcome.failure and outcome.failure.error}"
                yield Fault(work.name_of(outcome.item), None, what, way_out=work.way_out)
                continue
            yield from outcome.value.faults
            yield outcome.value.rows
            held += outcome.value.rows
            total += outcome.value.pairs
    told = properties.get("hats_nrows")
    if told is not None and told != str(held):
        file = work.name_of(work.folder / "hats.properties")
        yield Fault(file, None, f"says hats_nrows={told}, the files hold {held} rows", way_out=work.way_out)
    if rows:
        yield from _completeness(work, files, total if ours else None, show)


def _look(shared: tuple[IndexCheck, bool], path: Path) -> _Part:
    """Look at one file: each row group sorted after the one before, and pointing at the partition of its place."""
    work, ours = shared
    file, faults = work.name_of(path), list[Fault]()
    faults += parquet_faults(path, file, is_ours=ours, rows=False)
    pairs, first_row, previous = Tally(), 0, None
    try:
        found = footer(path)
        listing = listing_of(work.folder)
        if listing is not None:
            faults += listing_faults(listing, path, work.folder / "dataset", found, file)
        for _, table in row_groups(path, found):
            pairs += Tally.of(_pair_keys(work, table.column(work.column), _places(table)))
            faults += _pointing(work, table, file, first_row)
            previous, fault = _sequence(work, table, previous, file, first_row)
            faults += fault
            first_row += table.num_rows
    except (CatalogError, KeyError, OSError, pa.ArrowException) as error:
        faults.append(Fault(file, None, f"the file cannot be read: {reason(error, path)}", way_out=work.way_out))
    return _Part(pairs, first_row, tuple(faults))


def _places(table: pa.Table) -> NDArray[np.int64]:
    """Return the place of each row, or of its partition where the index does not hold places."""
    if HEALPIX in table.column_names:
        place: NDArray[np.int64] = table.column(HEALPIX).to_numpy()
        return place
    return _stated(table)


def _stated(table: pa.Table) -> NDArray[np.int64]:
    order, number = (table.column(name).to_numpy().astype(np.int64) for name in (ORDER, NUMBER))
    stated: NDArray[np.int64] = number << (2 * (MAX_ORDER - order))
    return stated


def _pair_keys(work: IndexCheck, ids: pa.ChunkedArray, place: NDArray[np.int64]) -> NDArray[np.int64]:
    if pa.types.is_integer(ids.type):
        return child_keys(place, integers(ids))
    return child_keys(place, value_hashes(whole(ids)).view(np.int64))


def _pointing(work: IndexCheck, table: pa.Table, file: str, first_row: int) -> Iterator[Fault]:
    """Yield rows that name a partition that there is not, or not at their place."""
    if not {ORDER, NUMBER} <= set(table.column_names):
        return
    layout = work.subject.catalog.layout
    leaf = layout.leaf_of(_places(table))
    stated = _stated(table)
    order = table.column(ORDER).to_numpy().astype(np.int64)
    known = np.maximum(leaf, 0)
    wrong = (leaf < 0) | (layout.starts[known] != stated) | (layout.orders[known] != order)
    if wrong.any():
        row = int(np.argmax(wrong))
        number = table.column(NUMBER)[row].as_py()
        need = str(layout[int(leaf[row])]) if leaf[row] >= 0 else "a partition of the catalog"
        what = f"points {work.column} {table.column(work.column)[row].as_py()} at another partition than it is in"
        got = f"order {order[row]}, number {number}"
        more = int(wrong.sum())
        yield Fault(file, first_row + row, what, kind="pointing", got=got, need=need, way_out=work.way_out, rows=more)


def _sequence(
    work: IndexCheck, table: pa.Table, previous: object, file: str, first_row: int
) -> tuple[object, list[Fault]]:
    """Return the last id of a row group, and the fault where ids do not rise."""
    ids = table.column(work.column)
    if len(ids) == 0:
        return previous, []
    values = ids.to_numpy(zero_copy_only=False)
    falls = np.concatenate([[previous is not None and values[0] < previous], values[1:] < values[:-1]]).astype(bool)
    if not falls.any():
        return values[-1], []
    row = int(np.argmax(falls))
    what = f"is not sorted by {work.column}: ids in it would not be found"
    return values[-1], [Fault(file, first_row + row, what, got=str(values[row]), way_out=work.way_out)]


def _completeness(work: IndexCheck, files: list[Path], total: Tally | None, show: bool | None) -> Iterator[Fault]:
    """Hold all pairs of the index against those of the catalog; those of other writers may stand there twice."""
    has_places = bool(files) and HEALPIX in _names(files[0])
    wanted = Tally()
    layout = work.subject.catalog.layout
    with stage(f"ids of {work.subject.name}", len(layout), "partitions", show) as advance:
        for outcome in each(_pairs_of, list(layout), (work, has_places)):
            advance(1)
            if outcome.value is not None:
                wanted += Tally.of(outcome.value)
    if wanted == total:
        return
    file = work.name_of(work.folder)
    if total is not None and wanted.rows != total.rows:
        what = f"holds {total.rows} pairs of {work.column} and place, {work.subject.name} has {wanted.rows}"
        yield Fault(file, None, what, way_out=work.way_out)
    yield from _first_missing(work, files, has_places, is_ours=total is not None)


def _names(path: Path) -> list[str]:
    try:
        return list(footer(path).schema.names)
    except CatalogError:
        return []


def _pairs_of(shared: tuple[IndexCheck, bool], pixel: Pixel) -> NDArray[np.int64]:
    """Return the keys of the distinct pairs of id and place (or partition) of one partition."""
    work, has_places = shared
    found = [np.empty(0, dtype=np.int64)]
    for path in work.subject.catalog.leaf_files(pixel):
        try:
            table = read_rows(path, [work.column, *([HEALPIX] if has_places else [])])
        except CatalogError:  # told of where the file itself was looked at
            continue
        table = table.filter(table.column(work.column).is_valid())
        place = table.column(HEALPIX).to_numpy() if has_places else np.full(table.num_rows, pixel.start)
        found.append(_pair_keys(work, table.column(work.column), place))
    return np.unique(np.concatenate(found))


def _first_missing(work: IndexCheck, files: list[Path], has_places: bool, *, is_ours: bool) -> Iterator[Fault]:
    """Name the first row of the catalog that is not in the index."""
    held = [np.empty(0, dtype=np.int64)]
    for path in files:
        try:
            for _, table in row_groups(path, footer(path)):
                held.append(_pair_keys(work, table.column(work.column), _places(table)))
        except (CatalogError, KeyError, OSError, pa.ArrowException):  # told of where the file itself was looked at
            continue
    known = np.sort(np.concatenate(held))
    for pixel in work.subject.catalog.layout:
        lacking = np.setdiff1d(_pairs_of((work, has_places), pixel), known)
        if lacking.size:
            path = Path(str(work.subject.catalog.leaf_files(pixel)[0]))
            row, value = _row_of(work, path, pixel, has_places, int(lacking[0]))
            what = f"is not in the index {work.name_of(work.folder)}"
            got = f"{work.column} {value}"
            file = work.subject.name_of(path)
            yield Fault(file, row, what, kind="index", got=got, way_out=work.way_out, rows=int(lacking.size))
            return
    if is_ours:
        what = f"holds an id that is not in {work.subject.name}, or a place where it is not"
        yield Fault(work.name_of(work.folder), None, what, way_out=work.way_out)


def _row_of(work: IndexCheck, path: Path, pixel: Pixel, has_places: bool, key: int) -> tuple[int | None, object]:
    table = read_rows(path, [work.column, *([HEALPIX] if has_places else [])])
    place = table.column(HEALPIX).to_numpy() if has_places else np.full(table.num_rows, pixel.start)
    hits = np.flatnonzero(_pair_keys(work, table.column(work.column), place) == key)
    return (int(hits[0]), table.column(work.column)[int(hits[0])].as_py()) if hits.size else (None, None)
