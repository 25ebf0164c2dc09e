"""Write one leaf of a catalog as Parquet: whole or not at all, with checksums.

Catalog-wide metadata are written next door.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lsdb_ts.errors import InputError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky.pixel import MAX_ORDER, Pixel, cell_of

ROW_GROUP_ROWS = 100_000
ROW_GROUP_BYTES = 64 << 20
"""Row groups are cut at sub-pixel edges so that none is larger than this, in rows or in Arrow bytes."""
SKYMAP_ORDER = 10
_SKYMAP_DEPTH = 6
_SAMPLED_VALUES = 4096


@contextmanager
def atomic(path: Path, name_too: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``.

    On success flush it to disk and give it its final name, else remove it.

    Parameters
    ----------
    path : pathlib.Path
        The final name.
    name_too : bool
        Flush the name, too, which is in the folder. Of many files in one folder, :func:`flush_names` does it once.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        if name_too:
            flush_names([path.parent])
    finally:
        temporary.unlink(missing_ok=True)


def flush_names(folders: Iterable[Path]) -> None:
    """Flush to disk which files folders hold."""
    for path in folders:
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_leftovers(root: Path) -> None:
    """Remove what killed processes left under temporary names; nobody may be writing there."""
    for leftover in list(root.rglob(".*.tmp")):
        leftover.unlink()


@dataclass(frozen=True)
class Leaf:
    """A partition file that is safely on disk."""

    pixel: Pixel
    rows: int
    bytes: int
    """Size of the file."""
    skymap_order: int = 0
    skymap: tuple[tuple[int, int], ...] = ()
    """(cell, rows) at ``skymap_order``; occupied cells only."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form, for journals."""
        return {
            "order": self.pixel.order,
            "number": self.pixel.number,
            "rows": self.rows,
            "bytes": self.bytes,
            "skymap_order": self.skymap_order,
            "skymap": [list(pair) for pair in self.skymap],
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Leaf:
        """Read the JSON form."""
        return cls(
            pixel=Pixel(entry["order"], entry["number"]),
            rows=entry["rows"],
            bytes=entry["bytes"],
            skymap_order=entry["skymap_order"],
            skymap=tuple((int(c), int(n)) for c, n in entry["skymap"]),
        )


def leaf_name(pixel: Pixel, suffix: str = ".parquet") -> str:
    """Return where HATS keeps the rows of a pixel inside the folder of a catalog.

    >>> leaf_name(Pixel(6, 12345))
    'dataset/Norder=6/Dir=10000/Npix=12345.parquet'
    """
    directory = pixel.number // 10_000 * 10_000
    return f"dataset/Norder={pixel.order}/Dir={directory}/Npix={pixel.number}{suffix.rstrip('/')}"


def leaf_path(root: Path, pixel: Pixel, suffix: str = ".parquet") -> Path:
    """Return the file of a pixel on this machine."""
    return root / leaf_name(pixel, suffix)


def write_leaf(table: pa.Table, root: Path, pixel: Pixel) -> Leaf:
    """Write the rows of one pixel; the file appears under its name only when it is complete.

    Parameters
    ----------
    table : pyarrow.Table
        Sorted by ``_healpix_29``, which must be a column.
    root : pathlib.Path
        Folder of the catalog.
    pixel : Pixel
        Where the file belongs. That the rows lie inside is the caller's promise (margins hold rows from outside).
    """
    place = table.column(HEALPIX).to_numpy()
    if place.size > 1 and not bool((place[1:] >= place[:-1]).all()):
        raise InputError(f"the rows of {pixel} are not sorted by {HEALPIX}")
    path = leaf_path(root, pixel)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that a power failure takes is missing where the journal has it, and then the leaf is made again.
    with atomic(path, name_too=False) as temporary:
        _write_parquet(table, temporary, _row_group_edges(place, table.nbytes, pixel.order))
        size = temporary.stat().st_size
    order = min(max(SKYMAP_ORDER, pixel.order), pixel.order + _SKYMAP_DEPTH)
    cells = cell_of(place, order)
    first = np.flatnonzero(np.append(True, cells[1:] != cells[:-1])) if cells.size else np.empty(0, np.int64)
    counts = np.diff(np.append(first, cells.size))
    return Leaf(pixel, table.num_rows, size, order, tuple(zip(cells[first].tolist(), counts.tolist(), strict=True)))


def _write_parquet(table: pa.Table, path: Path, edges: np.ndarray) -> None:
    leaves = [(".".join(parts), kind) for parts, kind in _leaf_columns(table.schema)]
    encodings = {name: e for name, kind in leaves if (e := _encoding(name, kind, table)) is not None}
    with pq.ParquetWriter(
        path,
        table.schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=[name for name, _ in leaves if name not in encodings],
        column_encoding=encodings,
        write_page_checksum=True,
        write_page_index=True,
        sorting_columns=[pq.SortingColumn([name for name, _ in leaves].index(HEALPIX))],
        data_page_size=128 << 10,
    ) as writer:
        for start, stop in itertools.pairwise(edges):
            writer.write_table(table.slice(int(start), int(stop - start)), row_group_size=max(int(stop - start), 1))
        if table.num_rows == 0:
            writer.write_table(table)


def _row_group_edges(place: np.ndarray, n_bytes: int, order: int) -> np.ndarray:
    """Cut sorted rows into row groups at the edges of sub-pixels, none too large if the sky allows it."""
    n = place.size
    limit = max(1, min(ROW_GROUP_ROWS, int(ROW_GROUP_BYTES * n / max(n_bytes, 1))))
    if n <= limit:
        return np.array([0, n]) if n else np.array([0])
    cuts = np.array([0, n])
    for depth in range(1, MAX_ORDER + 1 - order):
        cells = cell_of(place, order + depth)
        cuts = np.concatenate([[0], np.flatnonzero(cells[1:] != cells[:-1]) + 1, [n]])
        if np.diff(cuts).max() <= limit:
            break
    # Join neighbouring sub-pixels as long as they stay within the limit; rows at one position are cut anywhere.
    edges = [0]
    while edges[-1] < n:
        furthest = int(cuts[np.searchsorted(cuts, edges[-1] + limit, side="right") - 1])
        edges.append(furthest if furthest > edges[-1] else min(edges[-1] + limit, n))
    return np.array(edges)


def _leaf_columns(schema: pa.Schema) -> list[tuple[tuple[str, ...], pa.DataType]]:
    """Return the Parquet leaf columns of a schema: (path, type)."""

    def walk(path: tuple[str, ...], kind: pa.DataType) -> Iterator[tuple[tuple[str, ...], pa.DataType]]:
        if pa.types.is_struct(kind):
            for part in kind:
                yield from walk((*path, part.name), part.type)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            yield from walk((*path, "list", "element"), kind.value_type)
        else:
            yield path, kind

    return [leaf for column in schema for leaf in walk((column.name,), column.type)]


def _encoding(name: str, kind: pa.DataType, table: pa.Table) -> str | None:
    """Return the encoding of a Parquet leaf column; None is a dictionary."""
    if name == HEALPIX:
        return "DELTA_BINARY_PACKED"
    if pa.types.is_float32(kind) or pa.types.is_float64(kind):
        return "BYTE_STREAM_SPLIT"
    # Ids: a dictionary of numbers that hardly repeat takes twice the time to write, and is then thrown away.
    if pa.types.is_integer(kind) and kind.bit_width >= 32 and _hardly_repeats(table, name.split(".")):
        return "DELTA_BINARY_PACKED"
    return None


def _hardly_repeats(table: pa.Table, path: list[str]) -> bool:
    values: Any = table.column(path[0]).slice(0, _SAMPLED_VALUES)
    for part in path[1:]:
        if part == "list":
            values = pc.list_flatten(values).slice(0, _SAMPLED_VALUES)
        elif part != "element":
            values = pc.struct_field(values, part)
    return bool(2 * pc.count_distinct(values).as_py() > len(values))
