"""Write one leaf of a catalog as Parquet: whole or not at all, with checksums.

How columns are stored is decided, and catalog-wide metadata are written, next door.
"""

from __future__ import annotations

import base64
import errno
import itertools
import os
import shutil
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lsdb_ts.errors import InputError, OutputError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky.pixel import MAX_ORDER, Pixel, cell_of
from lsdb_ts.store.encoding import Encoding
from lsdb_ts.store.seal import seal

ROW_GROUP_ROWS = 100_000
ROW_GROUP_BYTES = 64 << 20
"""Row groups are cut at sub-pixel edges so that none is larger than this, in rows or in Arrow bytes."""
SKYMAP_ORDER = 10
FILE, FOLDERS = ".parquet", "/"
"""What ``hats_npix_suffix`` says of a catalog: each partition is a file, or a folder of files."""
_SKYMAP_DEPTH = 6
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_WINDOW_ROWS = 1 << 20
"""Rows whose places are looked at at once, where edges of row groups are sought."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it to disk and give it its final name, else remove it.

    The name is flushed, too, which is in the folder.
    """
    with unflushed(path) as temporary:
        yield temporary
        _flush(temporary)
    flush_names([path.parent])


@contextmanager
def unflushed(path: Path) -> Iterator[Path]:
    """Yield a temporary path as :func:`atomic` does, for what may be lost when the machine fails.

    Raises
    ------
    OutputError
        The disk is full; tells the file, how large it had become, and how much room there is.
    """
    temporary = _beside(path)
    try:
        with told_if_full(temporary, path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def told_if_full(temporary: Path, path: Path) -> Iterator[None]:
    """Say which file the disk had no room for, while it is written under a temporary name."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        size = temporary.stat().st_size if temporary.exists() else 0
        free = shutil.disk_usage(path.parent).free
        raise OutputError(
            f"no room to write {path}: {error.strerror or error} after {size:,} bytes, with {free:,} bytes free on "
            "that disk for this user; make room (or raise the quota) and start again: what is done is kept"
        ) from error


def _beside(path: Path) -> Path:
    # Processes of several nodes may write the same piece.
    return path.with_name(f".{path.name}.{os.uname().nodename}.{os.getpid()}.{threading.get_ident()}.tmp")


def _flush(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def flush_names(folders: Iterable[Path]) -> None:
    """Flush to disk which files folders hold."""
    for path in folders:
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_leftovers(root: Path) -> None:
    """Remove a file, or all in a folder, that killed processes left under temporary names; nobody may write there."""
    for leftover in [root] if root.match(".*.tmp") else list(root.rglob(".*.tmp")):
        leftover.unlink(missing_ok=True)


class CellRows(Sequence[tuple[int, int]]):
    """Pairs of a cell and the rows in it, kept as an array: a leaf has thousands.

    >>> CellRows(np.array([[7, 2], [9, 1]])) == ((7, 2), (9, 1))
    True
    """

    def __init__(self, pairs: NDArray[np.int64]) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return int(self._pairs.shape[0])

    def __getitem__(self, at: Any) -> Any:
        found = self._pairs[at]
        return CellRows(found) if found.ndim == 2 else tuple(found.tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._pairs, dtype=dtype)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and np.array_equal(self._pairs, np.array(other).reshape(-1, 2))

    def __hash__(self) -> int:
        return hash(self._pairs.tobytes())

    def __repr__(self) -> str:
        return f"CellRows({self._pairs.tolist()})"


@dataclass(frozen=True)
class Leaf:
    """A partition file that is safely on disk."""

    pixel: Pixel
    rows: int
    bytes: int
    """Size of the file."""
    skymap_order: int = 0
    skymap: Sequence[tuple[int, int]] = ()
    """(cell, rows) at ``skymap_order``; occupied cells only."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form, for journals."""
        return {
            "order": self.pixel.order,
            "number": self.pixel.number,
            "rows": self.rows,
            "bytes": self.bytes,
            "skymap_order": self.skymap_order,
            "skymap": _packed(np.array(self.skymap, dtype=np.int64).reshape(-1, 2)),
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Leaf:
        """Read the JSON form."""
        return cls(
            pixel=Pixel(entry["order"], entry["number"]),
            rows=entry["rows"],
            bytes=entry["bytes"],
            skymap_order=entry["skymap_order"],
            skymap=CellRows(_unpacked(entry["skymap"])),
        )


def _packed(skymap: np.ndarray) -> str:
    """Return cells and rows as text that is short, and quick to read: journals hold millions of them."""
    steps = np.column_stack([np.diff(skymap[:, 0], prepend=0), skymap[:, 1]]).astype("<i8")
    return base64.b64encode(zlib.compress(steps.tobytes(), 1)).decode()


def _unpacked(text: str) -> np.ndarray:
    steps = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<i8").reshape(-1, 2)
    return np.column_stack([np.cumsum(steps[:, 0]), steps[:, 1]])


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


def leaf_files(root: Path, pixel: Pixel, suffix: str = FILE) -> list[Path]:
    """Return the files of a pixel on this machine: the only one, or those in its folder."""
    path = leaf_path(root, pixel, suffix)
    return sorted(path.glob("*.parquet")) if suffix == FOLDERS else [path]


@dataclass(frozen=True)
class Unflushed:
    """A partition file that is written, but under a temporary name, and may be in the memory of the machine only."""

    leaf: Leaf
    temporary: Path
    path: Path

    def flush(self) -> Leaf:
        """Flush the file to disk and give it its final name, or remove it."""
        try:
            # A name that a power failure takes is missing where the journal has it, and then the leaf is made again.
            with told_if_full(self.temporary, self.path):
                _flush(self.temporary)
                self.temporary.replace(self.path)
        finally:
            self.temporary.unlink(missing_ok=True)
        return self.leaf


def write_leaf(table: pa.Table, root: Path, pixel: Pixel) -> Leaf:
    """Write the rows of one pixel; the file appears under its name only when it is complete and on disk.

    Parameters
    ----------
    table : pyarrow.Table
        Sorted by ``_healpix_29``, which must be a column.
    root : pathlib.Path
        Folder of the catalog.
    pixel : Pixel
        Where the file belongs. That the rows lie inside is the caller's promise (margins hold rows from outside).
    """
    return begin_leaf(table, root, pixel).flush()


def begin_leaf(table: pa.Table, root: Path, pixel: Pixel) -> Unflushed:
    """Write the rows of one pixel as :func:`write_leaf` does, and leave to the caller when the disk is waited for."""
    with LeafFile(root, pixel) as file:
        file.add_rows(table)
        if not table.num_rows:
            file.add(table)
        return file.close()


class LeafFile:
    """The file of one pixel while it is written, a row group at a time; a context that tidies up after an error.

    ``rows`` counts those written.
    """

    def __init__(self, root: Path, pixel: Pixel) -> None:
        self._pixel = pixel
        self._path = leaf_path(root, pixel)
        self._temporary = _beside(self._path)
        self._order = min(max(SKYMAP_ORDER, pixel.order), pixel.order + _SKYMAP_DEPTH)
        self._skymap: list[np.ndarray] = []
        self.rows, self._last = 0, -1
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        if kind is not None:
            if self._writer is not None:
                with suppress(OSError):
                    self._writer.close()
                # Else it would be closed once more when it is forgotten.
                self._writer.is_open = False
            self._temporary.unlink(missing_ok=True)

    def add_rows(self, table: pa.Table) -> None:
        """Write rows as row groups, cut where :func:`row_group_edges` says; for :meth:`add` they must be sorted."""
        edges = row_group_edges(table.column(HEALPIX).to_numpy(), memory_bits(table) // 8, self._pixel.order)
        for start, stop in itertools.pairwise(edges):
            self.add(table.slice(start, stop - start))

    def add(self, group: pa.Table) -> None:
        """Write one row group; the values of the first one decide how columns are stored.

        Parameters
        ----------
        group : pyarrow.Table
            Sorted by ``_healpix_29``, and after the rows that were written before.
        """
        place = group.column(HEALPIX).to_numpy()
        if place.size and (place[0] < self._last or not bool((place[1:] >= place[:-1]).all())):
            raise InputError(f"the rows of {self._pixel} are not sorted by {HEALPIX}")
        with told_if_full(self._temporary, self._path):
            if self._writer is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._writer = pq.ParquetWriter(
                    self._temporary,
                    group.schema,
                    **Encoding.of(group).options(),
                    write_page_checksum=True,
                    write_page_index=True,
                    data_page_size=128 << 10,
                )
            self._writer.write_table(group, row_group_size=max(group.num_rows, 1))
        if place.size:
            self._count(place)

    def _count(self, place: np.ndarray) -> None:
        cells = cell_of(place, self._order)
        first = np.flatnonzero(np.append(True, cells[1:] != cells[:-1]))
        self._skymap.append(np.column_stack([cells[first], np.diff(np.append(first, cells.size))]))
        self.rows += place.size
        self._last = int(place[-1])

    def _counted(self) -> np.ndarray:
        """Return cells and rows; a cell that two row groups share counts once."""
        cells, rows = np.concatenate([np.empty((0, 2), dtype=np.int64), *self._skymap]).T
        first = np.flatnonzero(np.append(True, cells[1:] != cells[:-1])[: cells.size])
        return np.column_stack([cells[first], np.add.reduceat(rows, first) if first.size else rows])

    def close(self) -> Unflushed:
        """End the file; it waits for its name until it is flushed."""
        assert self._writer is not None, "a leaf has a row group at least, be it an empty one"
        with told_if_full(self._temporary, self._path):
            self._writer.close()
            seal(self._temporary)
        skymap = CellRows(self._counted())
        leaf = Leaf(self._pixel, self.rows, self._temporary.stat().st_size, self._order, skymap)
        return Unflushed(leaf, self._temporary, self._path)


def memory_bits(table: pa.Table) -> int:
    """Return the bits of a table's values: the same however its columns are laid out in memory.

    >>> memory_bits(pa.table({"a": [1, 2], "b": ["x", "yz"]})) // 8
    27
    """
    return sum(_bits(chunk) for column in table.columns for chunk in column.chunks)


def _bits(array: pa.Array) -> int:
    kind = array.type
    if pa.types.is_struct(kind):
        return sum(_bits(part) for part in array.flatten())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _bits(array.flatten()) + 32 * len(array)
    if _is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return 8 * int(pc.sum(pc.binary_length(array)).as_py() or 0) + 32 * len(array)
    try:
        return int(kind.bit_width) * len(array)
    except ValueError:
        return 8 * int(array.nbytes)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def row_group_edges(place: np.ndarray, n_bytes: int, order: int) -> list[int]:
    """Cut sorted rows into row groups at the edges of sub-pixels, none too large if the sky allows it.

    Parameters
    ----------
    place : numpy.ndarray of int64, shape (n,)
        Order-29 numbers, sorted; may be on disk.
    n_bytes : int
        What the rows take in memory, see :func:`memory_bits`.
    order : int
        That of the pixel they are in.

    Returns
    -------
    list of int
        Beginning with 0 and ending with n.
    """
    n = place.size
    limit = max(1, min(ROW_GROUP_ROWS, int(ROW_GROUP_BYTES * n / max(n_bytes, 1))))
    if n <= limit:
        return [0, n] if n else [0]
    finer = itertools.count(min(order + 1, MAX_ORDER))
    cut_at = next(k for k in finer if k == MAX_ORDER or _longest(_cuts(place, k)) <= limit)
    # Neighbouring sub-pixels are joined as long as they stay within the limit; rows at one position are cut anywhere.
    edges, last = [0], 0
    for cuts in _cuts(place, cut_at):
        while edges[-1] + limit < cuts[-1]:
            reached = int(np.searchsorted(cuts, edges[-1] + limit, side="right"))
            furthest = int(cuts[reached - 1]) if reached else last
            edges.append(furthest if furthest > edges[-1] else edges[-1] + limit)
        last = int(cuts[-1])
    return [*edges, n]


def _cuts(place: np.ndarray, order: int) -> Iterator[np.ndarray]:
    """Yield the rows with which another cell begins, some at a time, and at last the number of rows."""
    for start in range(1, place.size, _WINDOW_ROWS):
        cells = cell_of(place[start - 1 : start + _WINDOW_ROWS], order)
        found = np.flatnonzero(cells[1:] != cells[:-1]) + start
        if found.size:
            yield found
    yield np.array([place.size])


def _longest(cuts: Iterable[np.ndarray]) -> int:
    """Return the most rows between two cuts."""
    longest, last = 0, 0
    for found in cuts:
        longest = max(longest, int(np.diff(found, prepend=last).max()))
        last = int(found[-1])
    return longest
