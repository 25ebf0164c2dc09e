"""VOTables, by astropy: units, UCDs and descriptions of their fields, and their rows. A file is read as a whole."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import InputError
from partitioner.inputs.readers.access import File, unpacked, with_packed
from partitioner.inputs.readers.reader import PLAIN, Contents, Options, Piece, described, reading, sliced

_TYPES = {
    "boolean": pa.bool_(),
    "bit": pa.bool_(),
    "unsignedByte": pa.uint8(),
    "short": pa.int16(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "char": pa.string(),
    "unicodeChar": pa.string(),
}


@dataclass(frozen=True)
class VoTableReader:
    """Reads the table of a VOTable; of several the one that is named, as ``reader = "votable:results"``."""

    options: Options = PLAIN
    name: ClassVar[str] = "votable"
    suffixes: ClassVar[tuple[str, ...]] = with_packed(".vot", ".votable", ".xml")

    def open(self, file: File) -> Contents:
        """Read the file: what its table holds is known only at its end."""
        with reading(file, "VOTable"):
            table = self._table(file)
            rows = _rows(table, [f.name for f in table.fields], file)
            return Contents(rows.schema, (Piece(rows.num_rows, rows.nbytes),))

    def read(self, file: File, first: int, stop: int, schema: pa.Schema) -> Iterator[pa.Table]:
        """Read the rows of the one piece there is."""
        with reading(file, "VOTable"):
            if first < stop:
                table = self._table(file)
                yield from sliced(_rows(table, schema.names or [table.fields[0].name], file))

    def _table(self, file: File) -> Any:
        from astropy.io import votable

        with unpacked(file) as stream:
            parsed = votable.parse(io.BytesIO(stream.read()), verify="ignore")
        _check_complete(parsed, file)
        which = self.options.which
        tables = [t for t in parsed.iter_tables() if len(t.fields)]
        labels = [str(t.name or t.ID or i) for i, t in enumerate(tables)]
        chosen = [t for i, t in enumerate(tables) if which in {"", labels[i], str(i)}]
        if len(chosen) == 1:
            return chosen[0]
        if not chosen:
            raise InputError(f'{file.path} has no table "{which}"; there are: {", ".join(labels) or "none"}')
        raise InputError(
            f"{file.path} has several tables ({', '.join(labels)}): name the one that is meant with "
            f'reader = "votable:{labels[0]}" in the survey file'
        )


def _check_complete(parsed: Any, file: File) -> None:
    """Raise InputError for the answer of a server that left rows out, or failed."""
    for resource in parsed.resources:
        for info in resource.infos:
            if info.name == "QUERY_STATUS" and info.value in {"OVERFLOW", "ERROR"}:
                raise InputError(
                    f"{file.path} is not all that was asked for: its server says QUERY_STATUS {info.value} "
                    f"{info.content or ''}".rstrip()
                    + "; ask again for fewer rows at a time (MAXREC), or remove that "
                    "line if these rows are what you want"
                )


def _rows(table: Any, names: list[str], file: File) -> pa.Table:
    fields, arrays = [], []
    for column in (f for f in table.fields if f.name in names):
        kind = _TYPES.get(column.datatype)
        if kind is None:
            raise InputError(
                f'{file.path}: the column "{column.name}" is {column.datatype}, which a catalog cannot hold'
            )
        array = _values(table.array[column.ID], kind)
        fields.append(described(pa.field(column.name, array.type), column.unit, column.ucd, column.description))
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _values(cells: np.ma.MaskedArray[Any, Any], kind: pa.DataType) -> pa.Array:
    """Return the cells of a column: numbers and texts, or lists of them; NaN is how the format says null."""
    if pa.types.is_string(kind):
        mask = np.ma.getmaskarray(cells)
        texts = [None if hidden else str(cell) for cell, hidden in zip(cells.data.tolist(), mask.tolist(), strict=True)]
        return pa.array(texts, kind)
    if cells.dtype == object:
        lists = [None if cell is None else np.ma.asarray(cell).reshape(-1).tolist() for cell in cells.data]
        return pa.array(lists, pa.list_(kind))
    mask = np.ma.getmaskarray(cells)
    if cells.ndim == 1:
        return pa.array(cells.data, kind, mask=mask)
    flat = pa.array(cells.data.reshape(-1), kind, mask=mask.reshape(-1))
    width = len(flat) // max(len(cells), 1)
    offsets = pa.array(np.arange(len(cells) + 1) * width, pa.int32())
    return pa.ListArray.from_arrays(offsets, flat)
