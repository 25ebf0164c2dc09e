"""Numbers for texts, so that ids that are texts are sorted and found like others; where texts are, others know."""

from __future__ import annotations

import numba
import numpy as np

_SHORT = 7


@numba.njit(cache=True, nogil=True, inline="always")
def _mix(key):  # type: ignore[no-untyped-def]
    z = key + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@numba.njit(cache=True, nogil=True, inline="always")
def _word(data, start, stop):  # type: ignore[no-untyped-def]
    word = np.uint64(0)
    for i in range(start, stop):
        word |= np.uint64(data[i]) << np.uint64(8 * (i - start))
    return word


@numba.njit(cache=True, nogil=True)
def text_keys(offsets, data):  # type: ignore[no-untyped-def]
    """Return a number for each text.

    Texts of up to seven bytes have each their own. Longer ones are mixed word by word with the finaliser of SplitMix64
    (G. Steele, D. Lea, C. Flood, OOPSLA 2014, fig. 17): among n of them, two are expected to share a number with a
    probability of n^2 / 2^65, which is one in 4,000 for a hundred million.

    Parameters
    ----------
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Where each text begins, and where the last one ends.
    data : numpy.ndarray of uint8
        The bytes of all texts.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
    """
    keys = np.empty(offsets.size - 1, np.int64)
    for i in range(keys.size):
        start, stop = offsets[i], offsets[i + 1]
        length = stop - start
        if length <= _SHORT:
            keys[i] = np.int64(_word(data, start, stop) | (np.uint64(length) << np.uint64(56)))
            continue
        key = _mix(np.uint64(length))
        for at in range(start, stop, 8):
            key = _mix(key ^ _word(data, at, min(at + 8, stop)))
        keys[i] = np.int64(key)
    return keys
