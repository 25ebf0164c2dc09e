"""ECSV, also compressed: names, types, units and descriptions from its YAML header, rows as fast as CSV.

How lines are cut and parsed is written in lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from lsdb_ts.errors import InputError
from partitioner.inputs.readers.access import File, with_packed
from partitioner.inputs.readers.lines import NAMES_BYTES, CsvOptions, Head, Lines
from partitioner.inputs.readers.reader import PLAIN, Contents, Options, described, reading

_TYPES = {
    **{name: pa.type_for_alias(name) for name in ("bool", "int8", "int16", "int32", "int64", "string")},
    **{f"uint{bits}": pa.type_for_alias(f"uint{bits}") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": pa.type_for_alias(f"float{bits}") for bits in (16, 32, 64)},
}
_ARRAY = re.compile(r"(\w+)((?:\[(?:\d+|null)(?:,(?:\d+|null))*\])+)")


@dataclass(frozen=True)
class EcsvReader:
    """Reads ECSV 1.0 (Astropy APE 6); arrays in its cells become lists."""

    options: Options = PLAIN
    name: ClassVar[str] = "ecsv"
    suffixes: ClassVar[tuple[str, ...]] = with_packed(".ecsv")

    def open(self, file: File) -> Contents:
        """Read the header."""
        with reading(file, "ECSV"):
            lines, schema = _header(file)
            return Contents(schema, lines.pieces(file))

    def read(self, file: File, first: int, stop: int, schema: pa.Schema) -> Iterator[pa.Table]:
        """Read the lines that begin in some stretches of the file."""
        with reading(file, "ECSV"):
            lines, known = _header(file)
            # Arrays are text in JSON, and texts of other columns are what the table wants.
            arrays = {f.name: f.type for f in known if pa.types.is_list(f.type)}
            asked = pa.schema([f.with_type(pa.string()) if f.name in arrays else f for f in schema])
            for table in lines.read(file, first, stop, asked):
                for name in (n for n in table.column_names if n in arrays):
                    values = _arrays(table.column(name), arrays[name])
                    table = table.set_column(table.column_names.index(name), pa.field(name, arrays[name]), values)
                yield table


def _header(file: File) -> tuple[Lines, pa.Schema]:
    from astropy.table.meta import get_header_from_yaml

    head = Head.of(file, NAMES_BYTES)
    texts: list[str] = []
    start = 0
    for place, line in head.lines():
        start = place
        if line.startswith("# "):
            texts.append(line[2:])
        elif line.strip() and line != "#":
            break
    if not texts or not texts[0].startswith("%ECSV"):
        raise InputError(f"cannot read {file.path} as ECSV: it does not begin with # %ECSV; is it plain CSV?")
    header = get_header_from_yaml(texts[1:])
    options = CsvOptions(delimiter=header.get("delimiter", " "), nulls=("",))
    schema = pa.schema([_field(file, column) for column in header["datatype"]])
    stop = head.content.find(b"\n", start)
    return Lines(len(head.content) if stop < 0 else stop + 1, tuple(schema.names), options, quoted_nulls=True), schema


def _field(file: File, column: Mapping[str, Any]) -> pa.Field:
    told, name = str(column.get("subtype") or column["datatype"]), str(column["name"])
    array = _ARRAY.fullmatch(told)
    kind = _TYPES.get(array[1] if array else told)
    if kind is None and column["datatype"] == "string":
        kind = pa.string()
    if kind is None:
        raise InputError(
            f'{file.path}: the column "{name}" is {told}, which a catalog cannot hold; leave it out with '
            "columns = [...] in the survey file"
        )
    for _ in range(array[2].count(",") + array[2].count("[") if array else 0):
        kind = pa.list_(kind)
    return described(pa.field(name, kind), column.get("unit"), None, column.get("description"))


def _arrays(texts: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    joined = ",".join("null" if t is None else t for t in texts.to_pylist())
    return pa.array(json.loads(f"[{joined}]"), kind)
