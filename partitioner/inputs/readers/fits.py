"""FITS binary tables, also compressed: headers, pieces, and rows in batches. What a column is, fits_columns knows."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import InputError
from partitioner.inputs.readers.access import File, unpacked, with_packed
from partitioner.inputs.readers.fits_columns import FitsColumn, columns_of
from partitioner.inputs.readers.reader import PLAIN, Contents, Options, Piece, batch_rows, reading

_BLOCK = 2880
_SKIP_BYTES = 1 << 20
_PIECE_BYTES = 32 << 20
"""A file that is not compressed is cut to pieces of about this size."""


@dataclass(frozen=True)
class _Table:
    """Where a binary table is in its file, and what its columns are."""

    label: str
    start: int
    """Byte at which its rows begin."""
    rows: int
    row_bytes: int
    heap: int
    """Byte at which the heap begins, that holds the arrays of variable length."""
    columns: tuple[FitsColumn, ...]

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([c.field for c in self.columns])

    @property
    def has_heap(self) -> bool:
        return any(c.descriptor is not None for c in self.columns)

    @property
    def dtype(self) -> np.dtype[Any]:
        columns = self.columns
        return np.dtype(
            {
                "names": [c.name for c in columns],
                "formats": [c.dtype for c in columns],
                "offsets": [c.offset for c in columns],
                "itemsize": self.row_bytes,
            }
        )

    @property
    def piece_rows(self) -> int:
        return max(1, _PIECE_BYTES // max(self.row_bytes, 1))


@dataclass(frozen=True)
class FitsReader:
    """Reads the binary table of a FITS file; of several the one that is named, as ``reader = "fits:SOURCES"``."""

    options: Options = PLAIN
    name: ClassVar[str] = "fits"
    suffixes: ClassVar[tuple[str, ...]] = with_packed(".fits", ".fit", ".fts")

    def open(self, file: File) -> Contents:
        """Read the headers; of a file that is not compressed all, to find a second table or a missing end."""
        with reading(file, "FITS"), unpacked(file) as stream:
            tables = self._tables(file, _Forward(stream, file))
            table = next(tables)
            if file.codec is None:
                self._check_alone(file, table, tables)
            step = max(1, table.rows) if file.codec else table.piece_rows
            counts = [min(step, table.rows - start) for start in range(0, table.rows, step)]
            return Contents(table.schema, tuple(Piece(n, n * table.row_bytes) for n in counts))

    def read(self, file: File, first: int, stop: int, schema: pa.Schema) -> Iterator[pa.Table]:
        """Read rows from the table and, where they have arrays of variable length, from the heap behind it."""
        with reading(file, "FITS"), unpacked(file) as stream:
            source = _Forward(stream, file)
            tables = self._tables(file, source)
            table = next(tables)
            edges = (0, table.rows) if file.codec else (first * table.piece_rows, stop * table.piece_rows)
            rows = range(*(min(row, table.rows) for row in edges)) if first < stop else range(0)
            if file.codec and table.has_heap:
                with tempfile.TemporaryFile() as copy:
                    _copy(file, copy)
                    yield from _rows(table, _Forward(copy, None), rows, schema)
            else:
                yield from _rows(table, source, rows, schema)
            if file.codec:
                self._check_alone(file, table, tables)

    def _tables(self, file: File, source: _Forward) -> Iterator[_Table]:
        """Yield the tables that may be meant; the source then stands at the first row, and may be read."""
        labels = []
        for number, header, start in _headers(file, source):
            if number and header.get("XTENSION", "").strip() == "BINTABLE" and not header.get("ZIMAGE"):
                labels.append(str(header.get("EXTNAME", number)))
                if self.options.which in {"", labels[-1], str(number)}:
                    yield _table(file, header, labels[-1], start)
        asked = f' called "{self.options.which}"' if self.options.which else ""
        there = f"; there are: {', '.join(labels)}" if labels else ""
        raise _NoTable(f"{file.path} has no binary table{asked}{there}")

    def _check_alone(self, file: File, table: _Table, others: Iterator[_Table]) -> None:
        """Raise InputError where a second table may be meant as well."""
        try:
            other = next(others)
        except _NoTable:
            return
        raise InputError(
            f"{file.path} has several tables, {table.label} and {other.label}: name the one that is meant with "
            f'reader = "fits:{table.label}" in the survey file'
        )


class _NoTable(InputError):
    """There is no (further) table."""


class _Forward:
    """A stream that may not seek, and is read forward only; one that may does."""

    def __init__(self, stream: Any, file: File | None) -> None:
        self.stream, self.size = stream, None if file is None or file.codec else file.size
        self.is_packed = file is not None and file.codec is not None
        self.place = 0

    def read(self, n_bytes: int) -> bytes:
        """Read some bytes, fewer only at the end."""
        parts = []
        while n_bytes and (part := self.stream.read(n_bytes)):
            parts.append(part)
            n_bytes -= len(part)
            self.place += len(part)
        return b"".join(parts)

    def exactly(self, n_bytes: int) -> bytes:
        """Read so many bytes."""
        content = self.read(n_bytes)
        if len(content) < n_bytes:
            raise EOFError("the file ends before its table does: it was cut short")
        return content

    def go(self, place: int) -> None:
        """Go on to another place."""
        if not self.is_packed:
            if self.size is not None and place > self.size:
                raise EOFError(f"the file has {self.size} bytes, its headers promise {place}: it was cut short")
            self.stream.seek(place)
            self.place = place
        while self.place < place:
            self.exactly(min(_SKIP_BYTES, place - self.place))


def _headers(file: File, source: _Forward) -> Iterator[tuple[int, Any, int]]:
    """Yield number, header and begin of the data of each part of a file."""
    from astropy.io.fits import Header

    number = 0
    while True:
        cards = source.read(_BLOCK)
        if number and not cards.startswith(b"XTENSION"):
            break
        if not number and not cards.startswith(b"SIMPLE  ="):
            raise ValueError("it does not begin as a FITS file does")
        while not any(cards[i : i + 80].rstrip() == b"END" for i in range(len(cards) - _BLOCK, len(cards), 80)):
            cards += source.exactly(_BLOCK)
        header = Header.fromstring(cards.decode("latin-1"))
        start = source.place
        yield number, header, start
        shape = [int(header[f"NAXIS{i + 1}"]) for i in range(header["NAXIS"])]
        items = math.prod(shape) if shape else 0
        size = abs(header["BITPIX"]) // 8 * header.get("GCOUNT", 1) * (header.get("PCOUNT", 0) + items)
        source.go(start + size)
        source.read(-size % _BLOCK)
        number += 1


def _table(file: File, header: Any, label: str, start: int) -> _Table:
    if header.get("ZTABLE"):
        raise InputError(f"{file.path}: the table {label} is compressed column by column: unpack it with funpack first")
    rows, row_bytes = int(header["NAXIS2"]), int(header["NAXIS1"])
    columns = columns_of(header, file.path)
    return _Table(label, start, rows, row_bytes, start + int(header.get("THEAP", rows * row_bytes)), columns)


def _rows(table: _Table, source: _Forward, rows: range, schema: pa.Schema) -> Iterator[pa.Table]:
    wanted = [c for c in table.columns if c.name in schema.names] or list(table.columns[:1])
    step = batch_rows(table.row_bytes)
    for row in range(rows.start, rows.stop, step):
        source.go(table.start + row * table.row_bytes)
        content = source.exactly(min(step, rows.stop - row) * table.row_bytes)
        found = np.frombuffer(content, table.dtype)
        arrays = [c.values(found[c.name], lambda a, n: _from_heap(source, table.heap + a, n)) for c in wanted]
        yield pa.Table.from_arrays(arrays, schema=pa.schema([c.field for c in wanted]))


def _from_heap(source: _Forward, place: int, n_bytes: int) -> bytes:
    source.go(place)
    return source.exactly(n_bytes)


def _copy(file: File, copy: Any) -> None:
    """Unpack a file whose arrays are behind its rows to one that can be read from any place."""
    with unpacked(file) as stream:
        shutil.copyfileobj(stream, copy, _SKIP_BYTES)
