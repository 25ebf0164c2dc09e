"""Mix the bits of keys, so that sums of them tell whether any was lost; which keys, those who count rows know."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, inline="always")
def _mix(key):  # type: ignore[no-untyped-def]
    z = np.uint64(key) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def mix_keys(keys):  # type: ignore[no-untyped-def]
    """Mix 64-bit keys one to one, so that every bit of a key touches every bit of the result.

    The finaliser of SplitMix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014, fig. 17).

    Parameters
    ----------
    keys : numpy.ndarray of int64 or uint64, shape (n,)

    Returns
    -------
    numpy.ndarray of uint64, shape (n,)
    """
    mixed = np.empty(keys.size, np.uint64)
    for i in range(keys.size):
        mixed[i] = _mix(keys[i])
    return mixed


@numba.njit(cache=True, nogil=True)
def sum_of_mixed(keys):  # type: ignore[no-untyped-def]
    """Return the sum of mixed keys modulo 2^64."""
    total = np.uint64(0)
    for i in range(keys.size):
        total += _mix(keys[i])
    return total


@numba.njit(cache=True, nogil=True)
def pair_keys(parents, ids):  # type: ignore[no-untyped-def]
    """Return one key, int64, for each pair of a parent and an id, both int64 and of shape (n,)."""
    keys = np.empty(parents.size, np.int64)
    for i in range(parents.size):
        keys[i] = np.int64(_mix(parents[i])) ^ ids[i]
    return keys
