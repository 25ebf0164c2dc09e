"""Columns of FITS binary tables in Arrow: their types by TFORM, TZERO and TDIM, nulls by TNULL, texts without padding.

Sources: FITS Standard 4.0, section 7.3 (binary tables), table 18 (TFORM), section 7.3.5 (arrays of variable length).
Where the bytes are read is written in fits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import InputError
from partitioner.inputs.readers.reader import described

_FORM = re.compile(r"(\d*)([LXBIJKAEDCMPQ])([LXBIJKAEDCM]?)(.*)")
_NUMPY = {"L": "i1", "X": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "A": "S1"} | {
    "C": ">c8",
    "M": ">c16",
}
_UNSIGNED = {"B": (-128, "int8"), "I": (1 << 15, "uint16"), "J": (1 << 31, "uint32"), "K": (1 << 63, "uint64")}
"""By the letter of TFORM: the TZERO that stands for a type of the other sign, and that type."""

Heap = Callable[[int, int], bytes]
"""Returns bytes of the heap, by place and number."""


@dataclass(frozen=True)
class FitsColumn:
    """One column: where it is in a row, and how its values are made."""

    field: pa.Field
    offset: int
    letter: str
    repeat: int
    """Values in a cell; bytes for texts."""
    shape: tuple[int, ...]
    """Lengths of the lists in a cell, the outermost first; of texts without the characters."""
    scale: float
    zero: float
    null: int | None
    descriptor: str | None
    """P or Q where the values are in the heap."""

    @property
    def name(self) -> str:
        """Name of the column."""
        return str(self.field.name)

    @property
    def dtype(self) -> Any:
        """What numpy reads of a row."""
        if self.descriptor is not None:
            return (">i4" if self.descriptor == "P" else ">i8", (2,))
        if self.letter == "A":
            width = self.repeat // max(1, math.prod(self.shape))
            return (f"S{max(width, 1)}", self.shape) if self.repeat else ("u1", (0,))
        if self.letter == "X":
            return ("u1", (-(-self.repeat // 8),))
        return (_NUMPY[self.letter], (self.repeat,)) if self.is_list else _NUMPY[self.letter]

    @property
    def is_list(self) -> bool:
        """Whether a cell holds several values."""
        return bool(self.shape) or self.descriptor is not None

    def values(self, cells: np.ndarray[Any, Any], heap: Heap) -> pa.Array:
        """Return the cells of some rows; shape (n,) or (n, repeat)."""
        if self.descriptor is not None:
            return self._from_heap(cells.reshape(-1, 2).astype(np.int64), heap)
        if self.letter == "A" and not self.repeat:
            return pa.array([""] * len(cells), pa.string())
        if self.letter == "X":
            cells = np.unpackbits(cells, axis=1, count=self.repeat)
        flat = self._flat(np.ascontiguousarray(cells).reshape(-1))
        for length in reversed(self.shape):
            offsets = np.arange(0, len(flat) + 1, length) if length else np.zeros(len(cells) + 1)
            flat = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)
        return flat.cast(self.field.type)

    def _from_heap(self, cells: np.ndarray[Any, Any], heap: Heap) -> pa.Array:
        counts, places = cells[:, 0], cells[:, 1]
        width = 1 if self.letter == "A" else np.dtype(_NUMPY[self.letter]).itemsize
        sizes = -(-counts // 8) if self.letter == "X" else counts * width
        if self.letter == "A":
            texts = [_text(heap(p, n)) if n else "" for p, n in zip(places.tolist(), sizes.tolist(), strict=True)]
            return pa.array(texts, pa.string())
        content = _in_one(places, sizes, heap)
        read = np.frombuffer(content, _NUMPY[self.letter])
        if self.letter == "X":
            stops = np.cumsum(sizes)
            bits = [np.unpackbits(read[b - s : b], count=n) for b, s, n in zip(stops, sizes, counts, strict=True)]
            read = np.concatenate([np.empty(0, "u1"), *bits])
        offsets = np.concatenate([[0], np.cumsum(counts)])
        values = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), self._flat(read))
        return values.cast(self.field.type)

    def _flat(self, raw: np.ndarray[Any, Any]) -> pa.Array:
        """Return values one after the other."""
        if self.letter == "A":
            return _texts(raw)
        if self.letter == "X":
            return pa.array(raw.astype(bool))
        if self.letter == "L":
            return pa.array(raw == ord("T"), mask=raw == 0)
        native = raw.astype(raw.dtype.newbyteorder("="))
        if self.letter in "CM":
            return pa.StructArray.from_arrays([pa.array(native.real), pa.array(native.imag)], ["real", "imag"])
        nothing = native == self.null if self.null is not None and raw.dtype.kind in "iu" else None
        if self.zero == _UNSIGNED.get(self.letter, (None,))[0] and self.scale == 1:
            # Moving the zero by half the range is turning the first bit.
            kind = np.dtype(_UNSIGNED[self.letter][1])
            native = (native ^ native.dtype.type(1 << 7 if self.letter == "B" else np.iinfo(native.dtype).min)).view(
                kind
            )
        elif self.scale != 1 or self.zero != 0:
            native = native.astype(np.float64) * self.scale + self.zero
        return pa.array(native, mask=nothing)


def _in_one(places: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any], heap: Heap) -> bytes:
    """Read arrays of the heap; those that lie one behind the other, as most do, at once."""
    full = sizes > 0
    places, sizes = places[full], sizes[full]
    if not places.size:
        return b""
    breaks = np.flatnonzero(places[1:] != places[:-1] + sizes[:-1]) + 1
    firsts, stops = np.concatenate([[0], breaks]), np.concatenate([breaks, [places.size]])
    ends = places[stops - 1] + sizes[stops - 1]
    return b"".join(heap(int(a), int(b - a)) for a, b in zip(places[firsts], ends, strict=True))


def _texts(raw: np.ndarray[Any, Any]) -> pa.Array:
    """Return texts that end at the first NUL, or before the spaces they were filled up with."""
    width = raw.dtype.itemsize
    letters = raw.view("u1").reshape(-1, width)
    ended = np.logical_or.accumulate(letters == 0, axis=1)
    kept = ~ended & (letters != 32)
    lengths = np.where(kept.any(axis=1), width - np.argmax(kept[:, ::-1], axis=1), 0)
    content = letters[np.arange(width) < lengths[:, None]]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    array = pa.Array.from_buffers(pa.binary(), len(raw), [None, pa.py_buffer(offsets), pa.py_buffer(content.tobytes())])
    try:
        return array.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([t.decode("latin-1") for t in array.to_pylist()], pa.string())


def _text(content: bytes) -> str:
    cut = content.partition(b"\0")[0].rstrip(b" ")
    try:
        return cut.decode()
    except UnicodeDecodeError:
        return cut.decode("latin-1")


def columns_of(header: Any, path: str) -> tuple[FitsColumn, ...]:
    """Return the columns that the header of a binary table describes.

    Raises
    ------
    InputError
        A column is of a type that a catalog cannot hold; names it.
    """
    found: list[FitsColumn] = []
    offset = 0
    for i in range(1, int(header["TFIELDS"]) + 1):
        column, size = _column(header, i, offset, path)
        found += [column] if column is not None else []
        offset += size
    names = [c.name for c in found]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise InputError(f'{path} has two columns called "{twice}"; rename one of them')
    return tuple(found)


def _column(header: Any, i: int, offset: int, path: str) -> tuple[FitsColumn | None, int]:
    """Return a column, or None for one without values, and the bytes it takes in a row."""
    name = str(header.get(f"TTYPE{i}", f"col{i}")).strip()
    form = _FORM.match(str(header[f"TFORM{i}"]).strip())
    if form is None:
        raise InputError(f'{path}: the column "{name}" is {header[f"TFORM{i}"]}, which a catalog cannot hold')
    repeat, descriptor = int(form[1] or 1), form[2] if form[2] in "PQ" else None
    letter = form[3] if descriptor else form[2]
    shape = () if descriptor else _shape(header.get(f"TDIM{i}"), letter, repeat, form[3] + form[4])
    scale, zero = float(header.get(f"TSCAL{i}", 1)), header.get(f"TZERO{i}", 0)
    kind = _type(letter, scale, zero)
    for _ in shape if descriptor is None else "L" if letter != "A" else "":
        kind = pa.list_(kind)
    told = (header.get(f"{key}{i}") for key in ("TUNIT", "TUCD", "TCOMM"))
    column = FitsColumn(
        described(pa.field(name, kind), *told),
        offset,
        letter,
        repeat,
        shape,
        scale,
        zero,
        header.get(f"TNULL{i}"),
        descriptor,
    )
    size = np.dtype(column.dtype).itemsize if not descriptor else (8 if descriptor == "P" else 16) * repeat
    return (column if repeat or letter == "A" else None), size


def _shape(told: Any, letter: str, repeat: int, rest: str) -> tuple[int, ...]:
    """Return the lengths of the lists in a cell, the outermost first; TDIM names the innermost first."""
    lengths = [int(n) for n in re.findall(r"\d+", str(told or ""))]
    if letter == "A":
        width = re.match(r"\d+", rest)
        if not lengths and width and int(width[0]) and repeat > int(width[0]):
            lengths = [int(width[0]), repeat // int(width[0])]
        return tuple(reversed(lengths[1:]))
    if lengths and math.prod(lengths) == repeat:
        return tuple(reversed(lengths))
    return (repeat,) if repeat != 1 or letter == "X" else ()


def _type(letter: str, scale: float, zero: Any) -> pa.DataType:
    if letter in "LX":
        return pa.bool_()
    if letter == "A":
        return pa.string()
    if scale == 1 and zero == _UNSIGNED.get(letter, (None,))[0]:
        return pa.from_numpy_dtype(np.dtype(_UNSIGNED[letter][1]))
    if letter in "CM":
        part = pa.float32() if letter == "C" else pa.float64()
        return pa.struct([("real", part), ("imag", part)])
    if scale != 1 or zero != 0:
        return pa.float64()
    return pa.from_numpy_dtype(np.dtype(_NUMPY[letter]).newbyteorder("="))
