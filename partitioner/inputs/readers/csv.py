"""CSV, also compressed: names from the header, types from the first megabytes, to which all other lines are held.

How lines are cut and parsed is written in lines.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from lsdb_ts.errors import InputError
from partitioner.inputs.readers.access import File, with_packed
from partitioner.inputs.readers.lines import NAMES_BYTES, CsvOptions, Head, Lines
from partitioner.inputs.readers.reader import PLAIN, Contents, Options, Piece, reading

_OTHER_DELIMITERS = "\t;| "


@dataclass(frozen=True)
class CsvReader:
    """Reads comma-separated values, or values separated by what the options say; tabs in files called ``.tsv``."""

    options: Options = PLAIN
    name: ClassVar[str] = "csv"
    suffixes: ClassVar[tuple[str, ...]] = with_packed(".csv", ".tsv")

    def open(self, file: File) -> Contents:
        """Infer names and types from the head; the rows of a file that is all head are known."""
        with reading(file, "CSV"):
            head = Head.of(file)
            lines = self._lines(file, head)
            rows = lines.inferred(head.content[lines.start :], file)
            for column in rows.schema:
                if pa.types.is_binary(column.type):
                    raise InputError(f'{file.path}: "{column.name}" is text that is not UTF-8: write the file as UTF-8')
            pieces = lines.pieces(file)
            if head.is_whole and len(pieces) == 1:
                pieces = (Piece(rows.num_rows, rows.nbytes),)
            return Contents(rows.schema, pieces, guessed=True)

    def read(self, file: File, first: int, stop: int, schema: pa.Schema) -> Iterator[pa.Table]:
        """Read the lines that begin in some stretches of the file."""
        with reading(file, "CSV"):
            yield from self._lines(file, Head.of(file, NAMES_BYTES)).read(file, first, stop, schema)

    def _lines(self, file: File, head: Head) -> Lines:
        """Find the names of the columns, and where the rows begin."""
        told = dict(self.options.csv)
        if ".tsv" in file.path.lower():
            told.setdefault("delimiter", "\t")
        options = CsvOptions.of(told)
        for place, line in head.lines():
            if not line.strip() or (options.comment and line.startswith(options.comment)):
                continue
            if not options.header:
                return Lines(place, options.names, options)
            found = next(csv.reader([line], delimiter=options.delimiter, quotechar=options.quote))
            names = options.names or tuple(name.strip() for name in found)
            _check_names(file, names, len(found), options)
            return Lines(place + _length(head, place), names, options)
        raise InputError(f"{file.path} has no line with the names of its columns; remove it, or write it again")


def _length(head: Head, place: int) -> int:
    stop = head.content.find(b"\n", place)
    return (len(head.content) if stop < 0 else stop + 1) - place


def _check_names(file: File, names: tuple[str, ...], found: int, options: CsvOptions) -> None:
    if len(names) != found:
        raise InputError(f"{file.path} has {found} columns, and csv.names in the survey file names {len(names)}")
    if any(_is_number(name) for name in names):
        raise InputError(
            f"{file.path} begins with numbers ({', '.join(names[:4])}) where names of columns are expected: "
            'say csv = {header = false, names = ["ra", "dec", ...]} in the survey file'
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f'{file.path} has two columns called "{twice}": name them with csv = {{names = [...]}}')
    other = next((d for d in _OTHER_DELIMITERS if len(names) == 1 and d in names[0]), None)
    if other is not None:
        raise InputError(
            f'{file.path} seems to have one column, "{names[0]}": if its columns are separated by {other!r}, say '
            f"csv = {{delimiter = {other!r}}} in the survey file"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in {"nan", "inf", "infinity"}
