"""What every reader of raw files promises: a schema, pieces, and their rows in batches of bounded size.

Each format lives in a file beside this one, and which are known in the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.errors import InputError, LsdbTsError
from partitioner.inputs.readers.access import File, raw, unpacked

BATCH_BYTES = 64 << 20
"""A batch of rows takes about this much memory at most; a single row, or what a format cannot cut, may take more."""

_HEAD_BYTES = 512
WEB_PAGE = "a web page"
_WEB = (b"<!doctype html", b"<html")
_MAGIC = {
    b"PAR1": "Parquet",
    b"ARROW1": "an Arrow file",
    b"SIMPLE  =": "FITS",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "a zip archive",
    b"\x89HDF": "HDF5",
    b"<?xml": "XML",
    b"# %ECSV": "ECSV",
}


@dataclass(frozen=True)
class Piece:
    """The smallest part of a file that can be read by itself: a row group, a stretch of lines."""

    rows: int | None
    """None where only reading tells."""
    bytes: int
    """In memory, about."""


@dataclass(frozen=True)
class Contents:
    """What is in a file, as far as it can be known without reading its rows."""

    schema: pa.Schema
    """With units, UCDs and descriptions in the metadata of its fields (``unit``, ``ucd``, ``description``)."""
    pieces: tuple[Piece, ...]
    guessed: bool = False
    """Whether the types are only guessed from some values."""


@dataclass(frozen=True)
class Options:
    """What the survey file says of how the files of a table are to be read."""

    which: str = ""
    """Which of several tables in a file: what follows the colon in ``reader = "fits:2"``."""
    csv: tuple[tuple[str, Any], ...] = ()
    """Of text tables: see :class:`partitioner.inputs.readers.lines.CsvOptions`."""
    roles: tuple[tuple[str, str], ...] = ()
    """(role, column), as the catalog tells that the file is in."""
    promised: tuple[str, int] | None = None
    """That catalog, and how many rows it says it has."""
    absent: tuple[str, ...] = ()
    """Columns of the table that the file lacks, and whose values are null for that."""


PLAIN = Options()
"""Nothing is said."""


class Reader(Protocol):
    """A format. Readers are frozen, small, made with options alone, and travel to the workers."""

    options: Options
    name: ClassVar[str]
    """What a survey file calls it."""
    suffixes: ClassVar[tuple[str, ...]]
    """How names of its files end."""

    def __init__(self, options: Options = ...) -> None: ...

    def open(self, file: File) -> Contents:
        """Find out what is in a file from its metadata, or its head.

        Raises
        ------
        InputError
            The file cannot be read; names it.
        """
        ...

    def read(self, file: File, first: int, stop: int, schema: pa.Schema) -> Iterator[pa.Table]:
        """Read the rows of the pieces from ``first`` to before ``stop``, in the sequence of the file.

        Parameters
        ----------
        file : File
        first, stop : int
            Pieces, counted from 0.
        schema : pyarrow.Schema
            The columns to read; the format reads no others where it can.

        Yields
        ------
        pyarrow.Table
            Batches of at most about ``BATCH_BYTES``, small ones too; at least these columns, of these types or of types
            that can be cast to them.

        Raises
        ------
        InputError
            The file cannot be read; names it, and row and value where these are to blame.
        """
        ...


@contextmanager
def reading(file: File, kind: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into an InputError that names it, and what it seems to be."""
    try:
        yield
    except InputError:
        raise
    except _WRONG as error:
        raise InputError(f"cannot read {file.path} as {kind}: {_cause(file, error)}") from error


_WRONG = (LsdbTsError, OSError, EOFError, ValueError, KeyError, IndexError, TypeError, pa.ArrowException)
"""What libraries raise for bytes they do not understand."""


def _cause(file: File, error: Exception) -> str:
    if file.size == 0:
        return "the file is empty (0 bytes); remove it, or write it again"
    what = _begins_like(file, raw)
    if file.codec is not None and what != WEB_PAGE:
        what = _begins_like(file, unpacked)
    if what == WEB_PAGE:
        return f"it is {what}, perhaps the error of a server it was fetched from; fetch the file again"
    looks = f" (it begins like {what})" if what else ""
    said = " ".join(str(error).split()) or type(error).__name__
    return f"{said}{looks}; mend or remove the file, or name its format: reader = ... in the survey file"


def _begins_like(file: File, opening: Callable[[File], AbstractContextManager[Any]]) -> str | None:
    try:
        with opening(file) as stream:
            return disguise(bytes(stream.read(_HEAD_BYTES)))
    except _WRONG:
        return None


def disguise(head: bytes) -> str | None:
    """Tell what a file seems to be by its first bytes, or None.

    >>> disguise(b"<!DOCTYPE html><html>")
    'a web page'
    """
    if head.lstrip().lower().startswith(_WEB):
        return WEB_PAGE
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join small tables of one schema to batches of about ``BATCH_BYTES``."""
    held: list[pa.Table] = []
    size = 0
    for table in tables:
        if held and size + table.nbytes > BATCH_BYTES:
            yield pa.concat_tables(held)
            held, size = [], 0
        held.append(table)
        size += table.nbytes
    if held:
        yield pa.concat_tables(held)


def sliced(table: pa.Table) -> Iterator[pa.Table]:
    """Cut a table to batches of about ``BATCH_BYTES``."""
    rows = batch_rows(table.nbytes / max(table.num_rows, 1))
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)


def batch_rows(row_bytes: float) -> int:
    """Return how many rows of about ``row_bytes`` make a batch.

    >>> batch_rows(1 << 20)
    64
    """
    return max(1, int(BATCH_BYTES / max(row_bytes, 1.0)))


def described(column: pa.Field, unit: Any = None, ucd: Any = None, description: Any = None) -> pa.Field:
    """Return a field with what a file tells of the column in its metadata.

    >>> described(pa.field("flux", pa.float32()), "nJy", "phot.flux").metadata
    {b'unit': b'nJy', b'ucd': b'phot.flux'}
    """
    told = {"unit": unit, "ucd": ucd, "description": description}
    metadata = {key: str(value).strip() for key, value in told.items() if value is not None and str(value).strip()}
    return column.with_metadata(metadata) if metadata else column


def fitted(table: pa.Table, schema: pa.Schema, file: File, first_row: Callable[[], int]) -> pa.Table:
    """Return the columns of a schema with its types; floats may be rounded to shorter ones, nothing else is.

    Parameters
    ----------
    table : pyarrow.Table
        With at least the columns of ``schema``.
    schema : pyarrow.Schema
    file : File
        Where the rows are from, for the message.
    first_row : callable
        Tells the number in the file of the table's first row; asked only for the message.

    Raises
    ------
    InputError
        A value is not of the type; names file, row, value and the way out.
    """
    chosen = table.select(schema.names)
    if chosen.schema.equals(schema, check_metadata=True):
        return chosen
    try:
        made = chosen.cast(schema)
    except pa.ArrowException:
        for column in schema:
            _check_column(chosen.column(column.name), column, file, first_row)
        raise
    for column, before, after in zip(schema, chosen.columns, made.columns, strict=True):
        if _is_beyond(before, after):
            _check_column(before, column, file, first_row)
    return made


def _check_column(values: pa.ChunkedArray, column: pa.Field, file: File, first_row: Callable[[], int]) -> None:
    """Raise InputError for the first value of a column that is not of its type."""
    start, stop = 0, len(values)
    if _casts(values, column.type):
        return
    while stop - start > 1:
        middle = (start + stop) // 2
        if _casts(values.slice(start, middle - start), column.type):
            start = middle
        else:
            stop = middle
    raise misfit(file, first_row() + start, column, values[start].as_py())


def _casts(values: pa.ChunkedArray, kind: pa.DataType) -> bool:
    try:
        return not _is_beyond(values, values.cast(kind))
    except pa.ArrowException:
        return False


def _is_beyond(before: pa.ChunkedArray, after: pa.ChunkedArray) -> bool:
    """Tell whether finite numbers have become infinite, because the floats that hold them now do not go so far."""
    if not (pa.types.is_floating(before.type) and pa.types.is_floating(after.type)) or before.type == after.type:
        return False
    infinite = pc.is_inf(after)
    return bool(pc.any(infinite).as_py()) and bool(pc.any(pc.and_(infinite, pc.is_finite(before))).as_py())


def misfit(file: File, row: int, column: pa.Field, value: Any, out: str = "") -> InputError:
    """Return the error for a value that is not of the type of its column."""
    return InputError(
        f'{file.path}, row {row} (counted from 0): "{column.name}" is {value!r}, which is no {column.type}; '
        f'say what the column is with types = {{{column.name} = "float64"}} (or "string") in the survey file{out}'
    )
