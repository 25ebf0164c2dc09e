"""The raw files of a table: found, opened, agreed on one schema, cut into units of work, and read.

How a format is read is written in readers; what becomes of the rows lives elsewhere.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import InputError
from lsdb_ts.schema import Roles
from partitioner.inputs.readers.access import File
from partitioner.inputs.readers.listing import each_of, listed
from partitioner.inputs.readers.reader import Contents, Piece, Reader, fitted, gathered
from partitioner.inputs.unify import agreed
from partitioner.surveys.survey import Table

UNIT_ROWS = 1_000_000
UNIT_BYTES = 128 << 20
"""A unit is closed before it holds more than this, in rows or in bytes in memory; one piece of a file is never cut."""

PieceRows = Mapping[tuple[str, int], int]
"""Rows of pieces that had to be read to be counted, by path and number of the piece."""


@dataclass(frozen=True)
class InputFile:
    """One raw file, as it was when the job was planned."""

    file: File
    reader: Reader
    pieces: tuple[Piece, ...]

    @property
    def path(self) -> str:
        """Path or URL."""
        return self.file.path

    @property
    def rows(self) -> int | None:
        """Rows in the file, or None as long as that is not known."""
        known = [p.rows for p in self.pieces if p.rows is not None]
        return sum(known) if len(known) == len(self.pieces) else None

    @property
    def bytes(self) -> int:
        """Bytes in memory, about."""
        return sum(p.bytes for p in self.pieces)

    def counted(self, rows: PieceRows) -> InputFile:
        """Return the file with the rows that were counted."""
        if self.rows is not None:
            return self
        pieces = [
            p if p.rows is not None else dataclasses.replace(p, rows=rows.get((self.path, i)))
            for i, p in enumerate(self.pieces)
        ]
        return dataclasses.replace(self, pieces=tuple(pieces))

    def first_row(self, piece: int) -> int | None:
        """Return where a piece begins in the file, counted from 0, or None where that is not known."""
        rows = [p.rows for p in self.pieces[:piece]]
        return None if None in rows else sum(r for r in rows if r is not None)


@dataclass(frozen=True)
class Part:
    """Some pieces of one file: a run of pieces whose rows are known, or a single one of which they are not."""

    file: File
    reader: Reader
    first: int
    stop: int
    """One past the last piece."""
    first_row: int | None
    """Where it begins in the file, counted from 0; None where that is not known."""
    rows: int | None

    def __str__(self) -> str:
        if self.first_row is None or self.rows is None:
            return f"{self.file.path}, piece {self.first}"
        return f"{self.file.path}, rows {self.first_row} to {self.first_row + self.rows - 1}"


@dataclass(frozen=True)
class Unit:
    """A piece of work: parts of one file, or of several small ones."""

    table: str
    number: int
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """Name for files that belong to this unit."""
        return f"{self.number:06d}"

    @property
    def rows(self) -> int | None:
        """Rows of all parts, or None where that is not known."""
        known = [p.rows for p in self.parts if p.rows is not None]
        return sum(known) if len(known) == len(self.parts) else None

    def origin(self, row: int) -> tuple[str, int]:
        """Return where a row of this unit comes from: path, and number in the file, counted from 0."""
        for part in self.parts:
            if part.rows is None or part.first_row is None:
                break
            if row < part.rows:
                return part.file.path, part.first_row + row
            row -= part.rows
        raise ValueError(f"row {row} of {self} is not known to be in any file")

    def __str__(self) -> str:
        more = f", and parts of {len(self.parts) - 1} more files" if len(self.parts) > 1 else ""
        return f"{self.table}: {self.parts[0]}{more}"


@dataclass(frozen=True)
class Chunk:
    """Some rows of one file, as many as are in memory at once."""

    table: pa.Table
    part: Part
    offset: int
    """Rows between the beginning of the part and that of the chunk."""
    first_in_unit: int
    """Rows between the beginning of the unit and that of the chunk."""

    @property
    def path(self) -> str:
        """File that the rows are from."""
        return self.part.file.path

    @property
    def first_row(self) -> int:
        """Number of the first row in the file, counted from 0; reads what is before it where that is not known."""
        return _first_row(self.part) + self.offset


@dataclass(frozen=True)
class TableInput:
    """All raw files of a table, and the one schema they share (with units and roles in the metadata of its fields)."""

    name: str
    files: tuple[InputFile, ...]
    schema: pa.Schema
    unit_rows: int
    unit_bytes: int
    """Limits of a unit; a job that is taken up again keeps those it was planned with."""

    @property
    def roles(self) -> Roles:
        """Which column is what."""
        return Roles.of(self.schema)

    @property
    def is_counted(self) -> bool:
        """Whether the rows of every piece are known."""
        return all(p.rows is not None for f in self.files for p in f.pieces)

    @functools.cached_property
    def rows(self) -> int:
        """Rows in all files; where some are not counted yet, about."""
        pieces = [p for f in self.files for p in f.pieces]
        row_bytes = sum(width_of(f.type) for f in self.schema) or 1
        return sum(p.bytes // row_bytes if p.rows is None else p.rows for p in pieces)

    @functools.cached_property
    def bytes(self) -> int:
        """Bytes in memory, of all files, about."""
        return sum(f.bytes for f in self.files)

    @functools.cached_property
    def units(self) -> tuple[Unit, ...]:
        """The work, cut in pieces."""
        return tuple(Unit(self.name, i, parts) for i, parts in enumerate(self._cut()))

    def counted(self, rows: PieceRows) -> TableInput:
        """Return the table with the rows of pieces that did not know theirs, as they were counted."""
        return dataclasses.replace(self, files=tuple(f.counted(rows) for f in self.files))

    def _cut(self) -> Iterator[tuple[Part, ...]]:
        """Cut files into runs of pieces that are not too large, each to be read at once."""
        parts: list[Part] = []
        rows, size = 0, 0
        for file in self.files:
            row: int | None = 0
            for i, piece in enumerate(file.pieces):
                if parts and (rows + (piece.rows or 0) > self.unit_rows or size + piece.bytes > self.unit_bytes):
                    yield tuple(parts)
                    parts, rows, size = [], 0, 0
                single = Part(file.file, file.reader, i, i + 1, row, piece.rows)
                joined = _join(parts[-1], single) if parts else None
                parts = [*parts, single] if joined is None else [*parts[:-1], joined]
                rows, size = rows + (piece.rows or 0), size + piece.bytes
                row = None if row is None or piece.rows is None else row + piece.rows
        if parts:
            yield tuple(parts)

    def first_row(self, path: str, piece: int) -> int | None:
        """Return where a piece of a file begins in it, counted from 0, or None where that is not known."""
        return next((f.first_row(piece) for f in self.files if f.path == path), None)


def width_of(kind: pa.DataType) -> int:
    """Return about how many bytes a value takes.

    >>> width_of(pa.float32()), width_of(pa.string())
    (4, 16)
    """
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return 16


def _join(a: Part, b: Part) -> Part | None:
    """Return two parts as one, where they follow each other in a file and their rows are known."""
    if a.file is not b.file or a.rows is None or b.rows is None:
        return None
    return dataclasses.replace(a, stop=b.stop, rows=a.rows + b.rows)


def open_table(table: Table) -> TableInput:
    """Find the files of a table, read their metadata or heads, and agree on one schema.

    Raises
    ------
    InputError
        There are no files, or one cannot be read; names it.
    SchemaError
        Two files disagree, or a column that a role needs is missing; names files and column.
    """
    opened = opened_files(table)
    return agreed_on(table, tuple(file for file, _ in opened), [contents.schema for _, contents in opened])


def opened_files(table: Table) -> list[tuple[InputFile, Contents]]:
    """Find the files of a table, and read the metadata or head of each; raises InputError."""
    sources = listed(table)
    opened = [
        (InputFile(file, how, contents.pieces), contents)
        for (file, how), contents in zip(sources, each_of(_opened, sources), strict=True)
    ]
    _check_promises([file for file, _ in opened])
    return opened


def agreed_on(table: Table, files: tuple[InputFile, ...], schemas: Sequence[pa.Schema]) -> TableInput:
    """Return the files of a table with the one schema that all of them can be read with; raises SchemaError."""
    schema = agreed(table, schemas, [f.path for f in files])
    return TableInput(table.name, files, schema, UNIT_ROWS, UNIT_BYTES)


def _check_promises(files: Sequence[InputFile]) -> None:
    """Raise InputError where a catalog has not the rows it says it has."""
    rows: dict[tuple[str, int], int] = {}
    for file in files:
        if (promised := file.reader.options.promised) is not None:
            rows[promised] = rows.get(promised, 0) + (file.rows or 0)
    for (catalog, wanted), found in rows.items():
        if found != wanted:
            raise InputError(
                f"{catalog} says that it has {wanted} rows, and its partitions have {found}: copy it again, or name "
                f'its files if these are the rows you want, "{catalog}/**/Npix=*.parquet"'
            )


def _opened(source: tuple[File, Reader]) -> Contents:
    file, reader = source
    return reader.open(file)


def read_unit(unit: Unit, schema: pa.Schema, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
    """Read the rows of a unit, with the types of the table's schema; ``columns`` limits what is read.

    Yields
    ------
    Chunk
        In the sequence of the files, and of the rows in them; each of at most about ``BATCH_BYTES``.

    Raises
    ------
    InputError
        A file cannot be read, or has changed; names it.
    """
    seen = 0
    for part in unit.parts:
        before = seen
        for chunk in read_part(part, schema, columns, before):
            yield chunk
            seen += chunk.table.num_rows


def read_part(part: Part, schema: pa.Schema, columns: Sequence[str] | None = None, before: int = 0) -> Iterator[Chunk]:
    """Read the rows of one part of a unit, ``before`` which there are so many rows of others; see :func:`read_unit`."""
    names = schema.names if columns is None else [n for n in schema.names if n in set(columns)]
    kept = pa.schema([schema.field(n) for n in names], metadata=schema.metadata)
    offset = 0
    for table in gathered(_fitted(part, kept)):
        yield Chunk(table, part, offset, before + offset)
        offset += table.num_rows
    if part.rows is not None and offset != part.rows:
        raise InputError(f"{part.file.path} had {part.rows} rows and has {offset} now: start again when it rests")


def _fitted(part: Part, schema: pa.Schema) -> Iterator[pa.Table]:
    """Read the batches of a part that have rows, as the types they must have, with nothing where it has no column."""
    absent = [schema.field(name) for name in part.reader.options.absent if name in schema.names]
    there = pa.schema([f for f in schema if f not in absent])
    offset = 0
    for batch in part.reader.read(part.file, part.first, part.stop, there):
        if batch.num_rows:
            rows = batch
            for column in absent:
                rows = rows.append_column(column, pa.nulls(batch.num_rows, column.type))
            yield fitted(rows, schema, part.file, functools.partial(_row_of, part, offset))
            offset += batch.num_rows


def _row_of(part: Part, offset: int) -> int:
    return _first_row(part) + offset


def _first_row(part: Part) -> int:
    """Return where a part begins in its file; counts the rows before it where nobody has."""
    if part.first_row is not None:
        return part.first_row
    batches = part.reader.read(part.file, 0, part.first, pa.schema([]))
    return sum(int(batch.num_rows) for batch in batches)


def floats(column: pa.ChunkedArray | pa.Array) -> NDArray[np.float64]:
    """Return a numeric column as float64, nulls as NaN."""
    values: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values


def times(column: pa.ChunkedArray | pa.Array) -> NDArray[np.int64] | NDArray[np.float64]:
    """Return a column of times as numbers in their order: integers as int64, nulls largest; else float64, nulls as NaN.

    Nanoseconds since an epoch are more than float64 tells apart.

    >>> times(pa.array([2**60 + 1, None, 2**60])).argsort().tolist()
    [2, 0, 1]
    """
    if not pa.types.is_integer(column.type):
        return floats(column)
    values: NDArray[np.int64] = column.cast(pa.int64()).fill_null(np.iinfo(np.int64).max).to_numpy()
    return values


def bad_input_as_value(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Make a piece of work return an InputError rather than raise it.

    What is wrong with the input will be wrong again: there is no use in a retry, and the caller wants the error itself.
    """

    @functools.wraps(function)
    def careful(shared: Any, item: Any) -> Any:
        try:
            return function(shared, item)
        except InputError as error:
            return error

    return careful
