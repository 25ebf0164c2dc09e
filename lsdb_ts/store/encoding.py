"""How each column of a leaf is stored, decided by its kind and by a trial on a few of its values.

The file itself is written next door.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lsdb_ts.schema import HEALPIX

COMPRESSION, COMPRESSION_LEVEL, LIGHT_LEVEL = "zstd", 3, -1
"""The light level finds what repeats in the bytes of floats as well, and leaves out the rest, mostly noise: floats are
written in two thirds of the time."""
_DELTA, _SPLIT, _PLAIN = "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT", "PLAIN"
_SAMPLED_VALUES = 4096
_LEAST_GAIN = 0.03
"""Numbers packed by their differences that compression shortens by less than this part are stored as they are."""
_MOST_LOSS = 0.03
"""Floats that the light level makes longer by no more than this part are compressed with it."""


@dataclass(frozen=True)
class Encoding:
    """How the Parquet leaf columns of a file are stored, each under its path (``lc.t.list.element``)."""

    dictionaries: tuple[str, ...]
    others: Mapping[str, str]
    """Encodings of the columns that get no dictionary."""
    bare: frozenset[str]
    """Columns that are not compressed."""
    light: frozenset[str]
    """Columns that are compressed with the light level."""
    place: int
    """Which of them is ``_healpix_29``."""

    @classmethod
    def of(cls, table: pa.Table) -> Encoding:
        """Choose for a table with a column ``_healpix_29``; the same rows always get the same."""
        leaves = {".".join(path): (path, kind) for path, kind in _leaf_columns(table.schema)}
        found = {name: _encoding(table, path, kind) for name, (path, kind) in leaves.items()}
        encodings = {name: encoding for name, encoding in found.items() if encoding is not None}
        samples = {name: _sample(table, leaves[name][0]) for name, e in encodings.items() if e in (_DELTA, _SPLIT)}
        telling = {name: values for name, values in samples.items() if len(values) == _SAMPLED_VALUES}
        bare = _incompressible({name: values for name, values in telling.items() if encodings[name] == _DELTA})
        light = frozenset(n for n, values in telling.items() if encodings[n] == _SPLIT and _is_noise(values))
        names = list(leaves)
        return cls(tuple(n for n in names if n not in encodings), encodings, bare, light, names.index(HEALPIX))

    def options(self) -> dict[str, Any]:
        """Return the arguments of Arrow's Parquet writer."""
        names = [*self.dictionaries, *self.others]
        return {
            "use_dictionary": list(self.dictionaries),
            "column_encoding": dict(self.others),
            "compression": {name: "none" if name in self.bare else COMPRESSION for name in names},
            "compression_level": {name: self._level(name) for name in names if name not in self.bare},
            "sorting_columns": [pq.SortingColumn(self.place)],
        }

    def _level(self, name: str) -> int:
        return LIGHT_LEVEL if name in self.light else COMPRESSION_LEVEL


def _encoding(table: pa.Table, path: tuple[str, ...], kind: pa.DataType) -> str | None:
    """Return the encoding of a Parquet leaf column; None is a dictionary."""
    if path == (HEALPIX,):
        return _DELTA
    if pa.types.is_float32(kind) or pa.types.is_float64(kind):
        return _SPLIT
    # A dictionary of values that hardly repeat takes twice the time to write, and is then thrown away.
    counted = pa.types.is_integer(kind) and kind.bit_width >= 32
    if (counted or _is_text(kind)) and _hardly_repeats(_sample(table, path)):
        return _DELTA if counted else _PLAIN
    return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _sample(table: pa.Table, path: tuple[str, ...]) -> pa.ChunkedArray:
    """Return the first values of a Parquet leaf column."""
    values: Any = table.column(path[0]).slice(0, _SAMPLED_VALUES)
    for part in path[1:]:
        if part == "list":
            values = pc.list_flatten(values).slice(0, _SAMPLED_VALUES)
        elif part != "element":
            values = pc.struct_field(values, part)
    return values


def _hardly_repeats(values: pa.ChunkedArray) -> bool:
    return bool(2 * pc.count_distinct(values).as_py() > len(values))


def _incompressible(columns: Mapping[str, pa.ChunkedArray]) -> frozenset[str]:
    """Tell which columns compression hardly shortens once they are packed by differences, from values of each."""
    if not columns:
        return frozenset()
    # Under numbers, for a dot in a name would be taken for a nested column's.
    trial = pa.table({str(i): values for i, values in enumerate(columns.values())})
    file = pa.BufferOutputStream()
    pq.write_table(
        trial,
        file,
        compression=COMPRESSION,
        compression_level=COMPRESSION_LEVEL,
        use_dictionary=False,
        column_encoding=dict.fromkeys(trial.column_names, _DELTA),
        write_statistics=False,
    )
    group = pq.read_metadata(pa.BufferReader(file.getvalue())).row_group(0)
    stored = {name: group.column(i) for i, name in enumerate(columns)}
    return frozenset(
        name for name, c in stored.items() if c.total_compressed_size > (1 - _LEAST_GAIN) * c.total_uncompressed_size
    )


def _is_noise(values: pa.ChunkedArray) -> bool:
    """Tell whether the light level compresses floats about as well, once their bytes are split into streams."""
    if 2 * values.null_count > len(values):
        return False
    numbers = values.drop_null().to_numpy()
    streams = np.ascontiguousarray(numbers.view(np.uint8).reshape(numbers.size, numbers.itemsize).T)
    light, full = (
        pa.Codec(COMPRESSION, compression_level=level).compress(streams).size
        for level in (LIGHT_LEVEL, COMPRESSION_LEVEL)
    )
    return bool(light <= (1 + _MOST_LOSS) * full)


def _leaf_columns(schema: pa.Schema) -> list[tuple[tuple[str, ...], pa.DataType]]:
    """Return the Parquet leaf columns of a schema: (path, type)."""

    def walk(path: tuple[str, ...], kind: pa.DataType) -> Iterator[tuple[tuple[str, ...], pa.DataType]]:
        if pa.types.is_struct(kind):
            for part in kind:
                yield from walk((*path, part.name), part.type)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            yield from walk((*path, "list", "element"), kind.value_type)
        elif pa.types.is_map(kind):
            # Nothing is looked at in there: their kind is of no matter.
            yield from (((*path, "key_value", part), pa.null()) for part in ("key", "value"))
        else:
            yield path, kind

    return [leaf for column in schema for leaf in walk((column.name,), column.type)]
