"""Numbers of curves as columns that are kept: in the type of the column, with a bit for each that is defined."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import DTypeLike, NDArray

from lsdb_ts.errors import InputError

_LARGEST = float(np.finfo(np.float32).max)
_GATHERING = np.uint64(0x0102040810204080)
"""Times eight bytes of 0 or 1, has these as bits in its highest byte: the lowest bit is that of the first."""


def nullable(
    values: NDArray[np.float64], counts: NDArray[np.int64], least: int, kind: DTypeLike
) -> tuple[NDArray[np.generic], NDArray[np.uint8], NDArray[np.int64]]:
    """Return columns of numbers, which of them are defined, and how many are not.

    Parameters
    ----------
    values : numpy.ndarray of float64, shape (n_columns, n)
        NaN, infinity, and what is too large for a float32 are not defined.
    counts : numpy.ndarray of int64, shape (n_columns, n)
        Epochs that each number was made of.
    least : int
        A number of fewer epochs is not defined.
    kind : dtype
        Type of the columns.

    Returns
    -------
    numbers : numpy.ndarray of kind, shape (n_columns, n)
        0 where they are not defined.
    bits : numpy.ndarray of uint8, shape (n_columns, ceil(n / 8))
        As Arrow has them: the first number's is the lowest bit.
    missing : numpy.ndarray of int64, shape (n_columns,)

    >>> numbers, bits, missing = nullable(np.array([[1.5, np.nan, 2.0]]), np.array([[4, 4, 1]]), 2, np.float32)
    >>> numbers.tolist(), bits.tolist(), missing.tolist()
    ([[1.5, 0.0, 0.0]], [[1]], [2])
    """
    if values.shape != counts.shape:
        raise InputError(f"numbers of shape {values.shape} do not fit counts of shape {counts.shape}")
    n_columns, n = values.shape
    numbers, bits = np.empty((n_columns, n), kind), np.empty((n_columns, (n + 7) // 8), np.uint8)
    missing, known = np.empty(n_columns, np.int64), np.zeros(8 * bits.shape[1], np.uint8)
    arrays = np.ascontiguousarray(values), np.ascontiguousarray(counts)
    _fill(*arrays, least, known, known.view(np.uint64), numbers, bits, missing)
    return numbers, bits, missing


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill(values, counts, least, known, eights, numbers, bits, missing):  # type: ignore[no-untyped-def]
    for k in range(values.shape[0]):
        row, n = values[k], 0
        for i in range(row.size):
            known[i] = (counts[k, i] >= least) & (abs(row[i]) <= _LARGEST)
        for i in range(row.size):
            numbers[k, i] = row[i] if known[i] else 0.0
            n += known[i]
        for byte in range(eights.size):
            bits[k, byte] = (eights[byte] * _GATHERING) >> np.uint64(56)
        missing[k] = row.size - n
