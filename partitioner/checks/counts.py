"""What catalog-wide files count against what the files hold: properties, partition_info, `_metadata`, skymaps.

Counting is done where partitions are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import CatalogError
from lsdb_ts.sky import Layout, Pixel
from lsdb_ts.sky.pixel import MAX_ORDER, Indices
from lsdb_ts.store.footers import footer
from lsdb_ts.store.hats import read_properties
from lsdb_ts.store.skymap import SKYMAPS, read_skymap
from lsdb_ts.store.statistics import STATISTICS, Statistics
from partitioner.checks.fault import AGAIN, Fault
from partitioner.checks.footers import listing_of
from partitioner.checks.partition import Found
from partitioner.checks.subject import Subject

_LINE = re.compile(r"-?[0-9]+(?:,[^,]*)*")


def count_faults(subject: Subject, by_pixel: Mapping[Pixel, Found]) -> Iterator[Fault]:
    """Yield what properties, partition_info and `_metadata` count otherwise than the files."""
    yield from _property_faults(subject, by_pixel)
    yield from _partition_info_faults(subject, by_pixel)
    rows = sum(found.rows for found in by_pixel.values())
    try:
        listing = listing_of(subject.root)
    except (CatalogError, OSError, pa.ArrowException):  # told of where catalog-wide files are looked at
        return
    if listing is None:
        return
    file = subject.name_of(subject.root / "dataset" / "_metadata")
    if listing.metadata.num_rows != rows:
        yield Fault(file, None, f"counts {listing.metadata.num_rows} rows, the files hold {rows}")
    dataset = subject.root / "dataset"
    files = (path for pixel in by_pixel for path in subject.catalog.leaf_files(pixel) if isinstance(path, Path))
    names = {path.relative_to(dataset).as_posix() for path in files}
    for name in sorted(set(listing.groups) - names):
        yield Fault(file, None, f"tells of {name}, where no partition is kept")


def _property_faults(subject: Subject, by_pixel: Mapping[Pixel, Found]) -> Iterator[Fault]:
    catalog, root = subject.catalog, subject.root
    files = [root / name for name in ("hats.properties", "properties") if (root / name).exists()]
    file = subject.name_of(files[0])
    rows = [found.rows for found in by_pixel.values()]
    if catalog.n_rows is not None and catalog.n_rows != sum(rows):
        yield Fault(file, None, f"says hats_nrows={catalog.n_rows}, the files hold {sum(rows)} rows")
    orders = [pixel.order for pixel in by_pixel]
    counted = {"hats_max_rows": max(rows, default=0), "hats_order": max(orders, default=0)}
    counted["hats_estsize"] = max(1, sum(found.bytes for found in by_pixel.values()) >> 10)
    for key, value in counted.items() if subject.is_exact else ():
        told = catalog.properties.get(key)
        if told is not None and told != str(value):
            yield Fault(file, None, f"says {key}={told}, the files have {value}")
    if len(files) == 2:
        try:
            same = read_properties(files[0]) == read_properties(files[1])
        except (CatalogError, ValueError):  # told of where catalog-wide files are looked at
            return
        if not same:
            yield Fault(subject.name_of(files[1]), None, "differs from hats.properties", not subject.is_exact, "twins")


def _partition_info_faults(subject: Subject, by_pixel: Mapping[Pixel, Found]) -> Iterator[Fault]:
    path = subject.root / "partition_info.csv"
    if not path.exists():
        return
    file = subject.name_of(path)
    head, *lines = path.read_bytes().decode(errors="replace").split("\n")
    names = head.strip().split(",")
    strange = [n for n, line in enumerate(lines[:-1]) if not _LINE.fullmatch(line.rstrip("\r"))]
    if strange or (lines and lines[-1]):
        row = strange[0] if strange else len(lines) - 1
        yield Fault(file, row, "is no line of numbers, or is not ended", got=repr(lines[row]))
    if "num_rows" not in names or not {"Norder", "Npix"} <= set(names):
        return
    order, number, rows = (names.index(name) for name in ("Norder", "Npix", "num_rows"))
    for row, line in enumerate(lines[:-1]):
        cells = line.split(",")
        found = by_pixel.get(Pixel(int(cells[order]), int(cells[number])))
        if found is not None and found.rows != int(cells[rows]):
            yield Fault(file, row, "counts other rows than the partition has", got=cells[rows], need=str(found.rows))


def statistics_table_faults(subject: Subject, by_pixel: Mapping[Pixel, Found]) -> Iterator[Fault]:
    """Hold the table of the statistics of all row groups, as we write it, against the footers."""
    path = subject.root / STATISTICS
    if not (path.exists() and subject.is_exact):
        return
    statistics = Statistics()
    try:
        told = pq.read_table(path, page_checksum_verification=True)
        for pixel in sorted(by_pixel, key=lambda pixel: (pixel.order, pixel.number)):
            for file in subject.catalog.leaf_files(pixel):
                statistics.add(pixel, footer(file).metadata)
    except (CatalogError, OSError, pa.ArrowException):  # told of where the files themselves are looked at
        return
    held = statistics.table()
    if held is None or told.equals(held):
        return
    name = subject.name_of(path)
    if told.num_rows != held.num_rows or told.column_names != held.column_names:
        yield Fault(name, None, "tells of other row groups or columns than the files have")
        return
    for column in held.column_names:
        pairs = enumerate(zip(told.column(column).to_pylist(), held.column(column).to_pylist(), strict=True))
        for row, (got, need) in pairs:
            if got != need:
                yield Fault(name, row, f'tells another "{column}" than the footer', got=str(got), need=str(need))
                return


def map_order(subject: Subject) -> int | None:
    """Return the order of a catalog's skymap; None where there is none, or it cannot be read."""
    try:
        found = read_skymap(subject.root)
    except CatalogError:
        return None
    return None if found is None else found[0]


def skymap_faults(subject: Subject, by_pixel: Mapping[Pixel, Found]) -> Iterator[Fault]:
    """Hold the skymap against the rows, cell by cell; where only some partitions were read, in these."""
    root = subject.root
    paths = [root / name for name in SKYMAPS if (root / name).exists()]
    if not paths or subject.is_margin:
        return
    file = subject.name_of(paths[0])
    try:
        found = read_skymap(root)
    except CatalogError as error:
        yield Fault(file, None, f"the file cannot be read: {error.__cause__ or error}")
        return
    if found is None:
        return
    way_out = f"{AGAIN}; or remove it, it is not needed"
    rows = found[2]
    deep = {pixel: one for pixel, one in by_pixel.items() if one.deep}
    if len(deep) == len(by_pixel):
        total = sum(one.rows for one in by_pixel.values())
        if int(rows.sum()) != total:
            yield Fault(file, None, f"counts {int(rows.sum())} rows, the files hold {total}", way_out=way_out)
    yield from _cell_faults(file, found, by_pixel, way_out)
    if len(paths) == 2 and subject.is_exact and paths[0].read_bytes() != paths[1].read_bytes():
        yield Fault(subject.name_of(paths[1]), None, f"differs from {paths[0].name}", way_out=way_out)


def _cell_faults(
    file: str, told: tuple[int, Indices, Indices], by_pixel: Mapping[Pixel, Found], way_out: str
) -> Iterator[Fault]:
    """Compare cells in which all partitions were read."""
    order, cells, rows = told
    read = [one for one in by_pixel.values() if one.deep]
    held_cells = np.concatenate([np.empty(0, dtype=np.int64), *(one.cells for one in read)])
    held = np.concatenate([np.empty(0, dtype=np.int64), *(one.counts for one in read)])
    looked_at = np.union1d(cells, held_cells)
    unread = Layout.of(pixel for pixel, one in by_pixel.items() if not one.deep).ranges
    width = np.int64(2 * (MAX_ORDER - order))
    looked_at = looked_at[~unread.overlaps(looked_at << width, (looked_at + 1) << width)]
    stated, known = (
        _sums(looked_at, where[keep], counts[keep])
        for where, counts in ((cells, rows), (held_cells, held))
        for keep in [np.isin(where, looked_at)]
    )
    wrong = np.flatnonzero(stated != known)
    if wrong.size:
        at = int(wrong[0])
        more = f", the first of {wrong.size} such cells" if wrong.size > 1 else ""
        what = f"counts other rows than there are in {Pixel(order, int(looked_at[at]))}{more}"
        yield Fault(file, None, what, got=str(int(stated[at])), need=str(int(known[at])), way_out=way_out)


def _sums(cells: Indices, where: Indices, counts: Indices) -> Indices:
    found = np.zeros(cells.size, dtype=np.int64)
    np.add.at(found, np.searchsorted(cells, where), counts)
    return found
