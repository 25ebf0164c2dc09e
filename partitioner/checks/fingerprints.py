"""One number for a row in all its columns, equal for equal rows. What is compared by it, others decide."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from partitioner.account import mixed

_NULL = np.uint64(0x5BD1E9955BD1E995)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
_UNSIGNED = {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}


def row_hashes(table: pa.Table, columns: Iterable[str]) -> NDArray[np.uint64]:
    """Return a hash of some columns of every row, bit by bit: NaN is not null; shape (n,).

    Two different rows have the same one with a probability of 2^-64.
    """
    total = np.zeros(table.num_rows, dtype=np.uint64)
    for name in sorted(columns):
        column = table.column(name).combine_chunks()
        values = column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
        total += _mixed(value_hashes(values) ^ np.uint64(zlib.crc32(name.encode())))
    return _mixed(total)


def value_hashes(array: pa.Array) -> NDArray[np.uint64]:
    """Return a hash of every value of an array of any type; shape (n,)."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    kind = array.type
    if pa.types.is_dictionary(kind):
        return value_hashes(array.dictionary_decode())
    if pa.types.is_struct(kind):
        parts = enumerate(array.flatten())
        found = np.zeros(len(array), dtype=np.uint64)
        for i, part in parts:
            found += _mixed(value_hashes(part) + np.uint64(i))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        found = _of_lists(array)
    elif pa.types.is_boolean(kind):
        found = _of_numbers(array.cast(pa.uint8()))
    elif _is_number(kind):
        found = _of_numbers(array.view(_UNSIGNED[kind.bit_width]))
    else:
        found = _of_texts(array)
    if array.null_count:
        found[array.is_null().to_numpy(zero_copy_only=False)] = _NULL
    return found


def _is_number(kind: pa.DataType) -> bool:
    try:
        return kind.bit_width in _UNSIGNED
    except ValueError:
        return False


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return mixed(values.view(np.int64))


def _of_numbers(array: pa.Array) -> NDArray[np.uint64]:
    filled = array.fill_null(0) if array.null_count else array
    return _mixed(filled.to_numpy(zero_copy_only=False).astype(np.uint64))


def _of_lists(array: pa.Array) -> NDArray[np.uint64]:
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    stops = np.cumsum(lengths)
    place = np.arange(int(lengths.sum())) - np.repeat(stops - lengths, lengths)
    each = _mixed(value_hashes(array.flatten()) + place.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    # Sums wrap around, and so does their difference.
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(each, dtype=np.uint64)])
    found: NDArray[np.uint64] = _mixed(sums[stops] - sums[stops - lengths]) + lengths.astype(np.uint64)
    return found


def _of_texts(array: pa.Array) -> NDArray[np.uint64]:
    """Hash texts and bytes, each that there is once; of all other kinds what they are written as."""
    kind = array.type
    texts = any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, *_BYTES))
    coded = (array if texts else array.cast(pa.string())).dictionary_encode()
    known = np.array([_of_text(value) for value in coded.dictionary.to_pylist()] or [0], dtype=np.uint64)
    found: NDArray[np.uint64] = known[coded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    return found


def _of_text(value: str | bytes) -> int:
    content = value.encode() if isinstance(value, str) else value
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
