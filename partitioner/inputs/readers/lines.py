"""Lines of text as columns: the head that tells names and types, and stretches of lines read as the types say.

Which text there is, CSV or ECSV, is written beside this.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from lsdb_ts.errors import InputError, PlanError, did_you_mean
from partitioner.inputs.readers.access import File, raw, unpacked
from partitioner.inputs.readers.reader import WEB_PAGE, Piece, disguise, misfit

HEAD_BYTES = 4 << 20
"""Types are inferred from so much of a file; the rest must follow."""
NAMES_BYTES = 1 << 20
"""The names of the columns, and what is said before them, are in so much of it."""
STRETCH_BYTES = 32 << 20
"""A file that is not compressed is cut to pieces of this size, at the ends of lines."""
BLOCK_BYTES = 1 << 20
"""So much is parsed at once; Arrow reads some blocks ahead."""
_UNPACKED = 4
"""A compressed text is about so many times as large."""
_ROW = re.compile(r"Row #(\d+): ")
_VALUE = re.compile(r"In CSV column #(\d+): .*invalid value '(.*)'", re.DOTALL)
_COUNT = re.compile(r"Expected (\d+) columns, got (\d+)")


@dataclass(frozen=True)
class CsvOptions:
    """How the lines of text tables are to be read: keys of ``[tables.x.csv]`` in a survey file."""

    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    """Whether the first line that is no comment has the names of the columns."""
    names: tuple[str, ...] = ()
    """Names of the columns: where there is no header, or instead of it."""
    comment: str = "#"
    """Lines at the head of a file that begin with this are no rows; an empty text where none are comments."""
    nulls: tuple[str, ...] = ("", "null", "NULL", "\\N")
    """What stands for a value that is not there, unless in quotes."""
    newlines: bool = False
    """Whether values in quotes may go on in the next line; a file is then read in one piece."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> CsvOptions:
        """Check and take the keys of a survey file.

        Raises
        ------
        PlanError
            A key is not known, or its value not of its kind.
        """
        found: dict[str, Any] = {}
        kinds = {f.name: type(f.default) for f in fields(cls)}
        for key, value in told.items():
            if key not in kinds:
                raise PlanError(f'csv has an unknown key "{key}"; {did_you_mean(key, kinds)}')
            given = tuple(value) if isinstance(value, list) else value
            is_texts = not isinstance(given, tuple) or all(isinstance(v, str) for v in given)
            if type(given) is not kinds[key] or not is_texts:
                wanted = {tuple: "a list of texts", bool: "true or false", str: "a text"}[kinds[key]]
                raise PlanError(f"csv.{key} must be {wanted}; got {value!r}")
            if key in {"delimiter", "quote"} and len(str(value)) != 1:
                raise PlanError(f"csv.{key} must be one character; got {value!r}")
            found[key] = given
        options = cls(**found)
        if not options.header and not options.names:
            raise PlanError('csv says that there is no header: name the columns, names = ["ra", "dec", ...]')
        return options


@dataclass(frozen=True)
class Lines:
    """Where the rows of a text file begin, and how its lines are to be read."""

    start: int
    """Bytes before the first row."""
    names: tuple[str, ...]
    options: CsvOptions
    quoted_nulls: bool = False
    """Whether an empty text in quotes is null, too."""

    def pieces(self, file: File) -> tuple[Piece, ...]:
        """Cut the file: bytes of text are about as many as those in memory."""
        if file.codec is not None:
            return (Piece(None, _UNPACKED * file.size),)
        if self.options.newlines:
            return (Piece(None, file.size),)
        edges = itertools.pairwise([*range(0, file.size, STRETCH_BYTES), file.size])
        return tuple(Piece(None, b - a) for a, b in edges)

    def read(self, file: File, first: int, stop: int, schema: pa.Schema) -> Iterator[pa.Table]:
        """Read the lines that begin in some pieces of the file; without columns, only their number is right."""
        asked = schema if len(schema) else pa.schema([(self.names[0], pa.string())])
        for piece in range(first, stop):
            try:
                with self._stretch(file, piece) as source:
                    for batch in self.parsed(source, asked):
                        yield pa.Table.from_batches([batch])
            except pa.ArrowInvalid as error:
                raise self._explained(error, file, piece, asked) from error

    def inferred(self, content: bytes, file: File) -> pa.Table:
        """Return the rows at the head of a file, with the types that fit all of them."""
        try:
            batches = list(self.parsed(pa.BufferReader(content), None, len(content) + 1))
        except pa.ArrowInvalid as error:
            raise self._explained(error, file, 0, pa.schema([])) from error
        nothing = pa.schema([(name, pa.null()) for name in self.names])
        rows = pa.Table.from_batches(batches, batches[0].schema if batches else nothing)
        for i, column in enumerate(rows.schema):
            if pa.types.is_float64(column.type) and (pa.compute.max(rows[i]).as_py() or 0) >= 1 << 63:
                rows = rows.set_column(i, column.name, self._as_unsigned(content, column.name, rows[i]))
        return rows

    def _as_unsigned(self, content: bytes, name: str, otherwise: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return a column as unsigned integers, if that is what they are: as floats ids would be rounded."""
        asked = pa.schema([(name, pa.uint64())])
        try:
            return pa.Table.from_batches(self.parsed(pa.BufferReader(content), asked))[0]
        except pa.ArrowInvalid:
            return otherwise

    def parsed(self, source: Any, schema: pa.Schema | None, block: int | None = None) -> Iterator[pa.RecordBatch]:
        """Parse lines, with the types of a schema, or with those that fit the first block of bytes."""
        options, size = self.options, BLOCK_BYTES if block is None else block
        try:
            yield from pyarrow.csv.open_csv(
                source,
                # On one thread: there is one for each unit of work.
                pyarrow.csv.ReadOptions(use_threads=False, block_size=size, column_names=self.names),
                pyarrow.csv.ParseOptions(
                    delimiter=options.delimiter, quote_char=options.quote, newlines_in_values=options.newlines
                ),
                pyarrow.csv.ConvertOptions(
                    column_types=schema,
                    include_columns=None if schema is None else schema.names,
                    null_values=options.nulls,
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=self.quoted_nulls,
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV file" not in str(error):
                raise

    @contextmanager
    def _stretch(self, file: File, piece: int) -> Iterator[Any]:
        if file.codec is not None or self.options.newlines:
            with unpacked(file) as stream:
                stream.read(self.start)
                yield stream if file.codec is not None else pa.PythonFile(stream, mode="r")
            return
        with raw(file) as stream:
            start, stop = (self._line(stream, (piece + i) * STRETCH_BYTES, file) for i in (0, 1))
            stream.seek(start)
            content = stream.read(stop - start)
        yield pa.BufferReader(content)

    def _line(self, stream: Any, place: int, file: File) -> int:
        """Return where the first line begins that does not begin before ``place``."""
        if place <= self.start:
            return self.start
        if place >= file.size:
            return file.size
        stream.seek(place - 1)
        stream.readline()
        return int(stream.tell())

    def _explained(self, error: pa.ArrowInvalid, file: File, piece: int, schema: pa.Schema) -> InputError:
        """Return an error that names file, row and value; the rows of the pieces before are counted for it."""
        said = str(error)
        told = _ROW.search(said)
        if told is None:
            return InputError(f"cannot read {file.path}: {said}; mend or remove the file")
        row = int(told[1]) - 1 + sum(t.num_rows for t in self.read(file, 0, piece, pa.schema([])))
        if value := _VALUE.search(said):
            out = f', or what stands for no value with csv = {{nulls = ["", "{value[2]}"]}}'
            return misfit(file, row, schema.field(int(value[1])), value[2], out)
        if count := _COUNT.search(said):
            return InputError(
                f"{file.path}, row {row} (counted from 0): {count[2]} values for {count[1]} columns; the file was cut "
                f'short, or its delimiter is not "{self.options.delimiter}": mend it, or say csv = {{delimiter = "|"}} '
                "in the survey file"
            )
        return InputError(f"{file.path}, row {row} (counted from 0): {said}; mend the file")


@dataclass(frozen=True)
class Head:
    """The beginning of a text file, in whole lines."""

    content: bytes
    is_whole: bool
    """Whether there is no more in the file."""

    @classmethod
    def of(cls, file: File, n_bytes: int | None = None) -> Head:
        """Read it: ``HEAD_BYTES``, or fewer where only names are asked for.

        Raises
        ------
        InputError
            It is no text.
        """
        with unpacked(file) as stream:
            content = bytes(stream.read(HEAD_BYTES if n_bytes is None else n_bytes))
            is_whole = not stream.read(1)
        kind = disguise(content)
        if kind is not None and kind != "ECSV":
            out = "fetch the file again" if kind == WEB_PAGE else "give it the name of its format"
            raise InputError(f"cannot read {file.path} as text: it begins like {kind}; {out}")
        if b"\0" in content:
            raise InputError(
                f"cannot read {file.path} as text: it has bytes that are no text; is it of another format?"
            )
        if not content:
            raise InputError(
                f"cannot read {file.path}: the file is empty (0 bytes of text); remove it, or write it again"
            )
        stop = len(content) if is_whole else content.rfind(b"\n") + 1
        return cls(content[:stop], is_whole)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield where each line begins, and its text."""
        place = 0
        for line in self.content.splitlines(keepends=True):
            yield place, line.decode("utf-8-sig", "replace").rstrip("\r\n")
            place += len(line)
