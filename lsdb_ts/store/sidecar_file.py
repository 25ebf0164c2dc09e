"""One file of a sidecar: rows, where those of each fine cell begin, and a checksum of all. Of which leaf, others know.

Two Arrow streams, uncompressed, and an end of fixed length. What is mapped is read only where it is looked at.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky.pixel import MAX_ORDER, Indices
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import runs, slices

_SIGN = b"lsdbts_2"
_END = struct.Struct("<8sQI")
"""Sign, bytes before the end, and their CRC-32."""
_ABOUT = b"lsdb_ts_sidecar"
_CELLS_A_ROW = 2
"""At most so many cells for each row: the numbers of their first rows then take an eighth of the file on average."""
_FEW_PIECES = 64
"""So few pieces of sky are searched for one by one."""


@dataclass(frozen=True, eq=False)
class SidecarFile:
    """What a file holds, mapped into memory.

    Attributes
    ----------
    rows : pyarrow.Table
        Sorted by place, in one chunk.
    about : mapping
        What the writer said of it, as JSON.
    order, cell : int
        Order of the fine cells, and number of the first of them.
    first : numpy.ndarray of int32, shape (cells + 1,)
        The first row of each cell, and one past the last row.
    """

    rows: pa.Table
    about: Mapping[str, Any]
    order: int
    cell: int
    first: NDArray[np.int32]

    def within(self, wanted: Ranges) -> slice | Indices:
        """Return the numbers of the rows inside a set of sky, ascending."""
        place = self.rows.column(HEALPIX).to_numpy()
        shift = 2 * (MAX_ORDER - self.order)
        here = wanted.clipped(self.cell << shift, (self.cell + self.first.size - 1) << shift)
        if len(here) > _FEW_PIECES:
            # Compiled code takes its time to load, and a few pieces need none.
            from lsdb_ts.kernels.matching.cell_rows import rows_inside

            inside: Indices = rows_inside(place, self.first, self.cell, shift, here.starts, here.stops)
            return inside
        starts, counts = slices(place, here)
        if starts.size <= 1:
            return slice(int(starts[0]), int(starts[0] + counts[0])) if starts.size else slice(0, 0)
        return runs(starts, counts)


def open_file(path: Path) -> SidecarFile:
    """Map a file; raises ValueError where it does not end as it was written to."""
    with pa.memory_map(str(path)) as file:
        size = file.size()
        file.seek(max(size - _END.size, 0))
        _stated(file.read(), size)
        file.seek(0)
        cells = pa.ipc.open_stream(file).read_all()
        rows = pa.ipc.open_stream(file).read_all()
    about = json.loads((cells.schema.metadata or {})[_ABOUT])
    return SidecarFile(rows, about["about"], about["order"], about["cell"], cells.column(0).to_numpy())


def is_sound(path: Path) -> bool:
    """Tell whether every byte of a file is what was written; reads it all."""
    content = memoryview(path.read_bytes())
    try:
        return zlib.crc32(content[: -_END.size]) == _stated(bytes(content[-_END.size :]), len(content))
    except ValueError:
        return False


def write_file(path: Path, rows: pa.Table, about: Mapping[str, Any]) -> None:
    """Write rows that are sorted by place."""
    order, cell, first = _cells(rows.column(HEALPIX).to_numpy())
    told = json.dumps({"about": about, "order": order, "cell": cell})
    cells = pa.table({"first": first}).replace_schema_metadata({_ABOUT: told.encode()})
    with pa.OSFile(str(path), "wb") as sink:
        for part in (cells, rows.combine_chunks()):
            with pa.ipc.new_stream(sink, part.schema) as writer:
                writer.write_table(part)
    with path.open("r+b") as file:
        content = file.read()
        file.write(_END.pack(_SIGN, len(content), zlib.crc32(content)))


def _stated(end: bytes, size: int) -> int:
    """Return the checksum that the end of a file states."""
    if len(end) != _END.size:
        raise ValueError(f"it has {size} bytes, too few to be whole")
    sign, before, checksum = _END.unpack(end)
    if sign != _SIGN or before + _END.size != size:
        raise ValueError("it does not end as it should: it was cut off, or written by another version")
    return int(checksum)


def _cells(place: Indices) -> tuple[int, int, NDArray[np.int32]]:
    """Choose the finest cells that are not too many, and return where the rows of each begin."""
    if place.size == 0:
        return 0, 0, np.zeros(1, dtype=np.int32)
    low, high = int(place[0]), int(place[-1])
    shift = 0
    while (high >> shift) - (low >> shift) >= _CELLS_A_ROW * place.size:
        shift += 2
    edges = np.arange(low >> shift, (high >> shift) + 2) << np.int64(shift)
    return MAX_ORDER - shift // 2, low >> shift, np.searchsorted(place, edges).astype(np.int32)
