"""Put rows in order where general sorting is too slow: by a small number, by keys within it, and by ids looked up.

Rows here are their numbers; what moves whole rows, and why, lives elsewhere.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

_FEW = 12
"""So few rows are sorted by insertion, which beats merging them."""
_COMPARED = 48
"""Of so few rows each is compared with each, which beats sorting them by anything cleverer."""
_DIGIT_BITS = 11
"""Numbers are sorted by so many bits at a time: what they are dealt to then fits the nearest memory."""
_ROW_BITS = 32
_ROW_MASK = np.uint64((1 << _ROW_BITS) - 1)


@numba.njit(cache=True, nogil=True)
def order_by_group(groups, n_groups):  # type: ignore[no-untyped-def]
    """Sort rows by a number below ``n_groups``; those of one group keep their sequence.

    Parameters
    ----------
    groups : numpy.ndarray of int64, shape (n,)
    n_groups : int

    Returns
    -------
    order : numpy.ndarray of int64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_groups + 1,)
        The rows of group g are ``order[offsets[g]:offsets[g + 1]]``.
    """
    offsets = np.zeros(n_groups + 1, np.int64)
    for i in range(groups.size):
        offsets[groups[i] + 1] += 1
    for g in range(n_groups):
        offsets[g + 1] += offsets[g]
    free = offsets[:-1].copy()
    order = np.empty(groups.size, np.int64)
    for i in range(groups.size):
        order[free[groups[i]]] = i
        free[groups[i]] += 1
    return order, offsets


@numba.njit(cache=True, nogil=True)
def bits_of(number):  # type: ignore[no-untyped-def]
    """Return how many bits a uint64 takes, leading zeros left out."""
    bits = 0
    while number > 0:
        number >>= np.uint64(1)
        bits += 1
    return bits


@numba.njit(cache=True, nogil=True)
def sorted_by_bits(values, first, stop):  # type: ignore[no-untyped-def]
    """Return uint64 numbers sorted by their bits from ``first`` to before ``stop``, the lowest being bit 0.

    Those with the same bits keep their sequence. ``values`` is used as a spare and afterwards holds nothing of use.
    """
    spare = np.empty_like(values)
    free = np.empty((1 << _DIGIT_BITS) + 1, np.int64)
    for low in range(first, stop, _DIGIT_BITS):
        shift, mask = np.uint64(low), np.uint64((1 << min(_DIGIT_BITS, stop - low)) - 1)
        free[:] = 0
        for i in range(values.size):
            free[np.int64((values[i] >> shift) & mask) + 1] += 1
        for d in range(1 << _DIGIT_BITS):
            free[d + 1] += free[d]
        for i in range(values.size):
            d = np.int64((values[i] >> shift) & mask)
            spare[free[d]] = values[i]
            free[d] += 1
        values, spare = spare, values
    return values


@numba.njit(cache=True, nogil=True)
def order_by_key(keys):  # type: ignore[no-untyped-def]
    """Sort rows by a key; those with the same one keep their sequence.

    They are sorted by the leading bits in which keys differ, then those that share them by the rest. On places and ids
    this takes less time than comparing.

    Parameters
    ----------
    keys : numpy.ndarray of int64, shape (n,)
        Fewer than 2^32.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
        The rows in order.
    """
    order = np.empty(keys.size, np.int64)
    if keys.size == 0:
        return order
    least = np.uint64(keys.min())
    bits = bits_of(np.uint64(keys.max()) - least)
    rest = max(0, bits - (64 - _ROW_BITS))
    packed = np.empty(keys.size, np.uint64)
    for i in range(keys.size):
        packed[i] = (((np.uint64(keys[i]) - least) >> np.uint64(rest)) << np.uint64(_ROW_BITS)) | np.uint64(i)
    packed = sorted_by_bits(packed, _ROW_BITS, _ROW_BITS + bits - rest)
    for i in range(keys.size):
        order[i] = np.int64(packed[i] & _ROW_MASK)
    stop = 0
    while rest > 0 and stop < keys.size:
        start, stop = stop, stop + 1
        while stop < keys.size and (packed[stop] ^ packed[start]) <= _ROW_MASK:
            stop += 1
        if stop - start > _COMPARED:
            _order_by_rest(order[start:stop], keys, least, rest)
        elif stop - start > 1:
            _insert(order, start, stop, keys, keys[:0])
    return order


@numba.njit(cache=True, nogil=True)
def _order_by_rest(rows, keys, least, rest):  # type: ignore[no-untyped-def]
    """Sort rows, in place, by the last ``rest`` bits of their keys."""
    mask = (np.uint64(1) << np.uint64(rest)) - np.uint64(1)
    packed = np.empty(rows.size, np.uint64)
    for i in range(rows.size):
        packed[i] = (((np.uint64(keys[rows[i]]) - least) & mask) << np.uint64(_ROW_BITS)) | np.uint64(i)
    packed = sorted_by_bits(packed, _ROW_BITS, _ROW_BITS + rest)
    before = rows.copy()
    for i in range(rows.size):
        rows[i] = before[np.int64(packed[i] & _ROW_MASK)]


@numba.njit(cache=True, nogil=True)
def places_in(order):  # type: ignore[no-untyped-def]
    """Return where in an order, int64, each of its rows comes: as int64, shape (n,)."""
    places = np.empty(order.size, np.int64)
    for i in range(order.size):
        places[order[i]] = i
    return places


@numba.njit(cache=True, nogil=True)
def put_in_places(values, places, found):  # type: ignore[no-untyped-def]
    """Write each of some values, shape (n,), to its place, int64, among those that are ``found``."""
    for i in range(values.size):
        found[places[i]] = values[i]


@numba.njit(cache=True, nogil=True)
def sort_groups(order, offsets, times, ties):  # type: ignore[no-untyped-def]
    """Sort the rows of each group by time, then by a number, then by their sequence, in place.

    Parameters
    ----------
    order : numpy.ndarray of int64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_groups + 1,)
        As :func:`order_by_group` returns them.
    times : numpy.ndarray of float64, shape (n,)
        NaN comes last.
    ties : numpy.ndarray of int64, shape (n,) or (0,)
        What decides between equal times; empty for the sequence alone.
    """
    widest = 0
    for g in range(offsets.size - 1):
        widest = max(widest, offsets[g + 1] - offsets[g])
    spare = np.empty(widest if widest > _FEW else 0, np.int64)
    for g in range(offsets.size - 1):
        start, stop = offsets[g], offsets[g + 1]
        for low in range(start, stop, _FEW):
            _insert(order, low, min(low + _FEW, stop), times, ties)
        width = _FEW
        while width < stop - start:
            for low in range(start, stop - width, 2 * width):
                _merge(order, low, low + width, min(low + 2 * width, stop), times, ties, spare)
            width *= 2


@numba.njit(cache=True, nogil=True, inline="always")
def _is_before(a, b, times, ties):  # type: ignore[no-untyped-def]
    """Tell whether row a comes before row b for another reason than the sequence."""
    x, y = times[a], times[b]
    if x < y:
        return True
    if x > y:
        return False
    if x != x or y != y:
        if y == y:
            return False
        if x == x:
            return True
    return ties.size > 0 and ties[a] < ties[b]


@numba.njit(cache=True, nogil=True)
def _insert(order, start, stop, times, ties):  # type: ignore[no-untyped-def]
    for i in range(start + 1, stop):
        row = order[i]
        j = i
        while j > start and _is_before(row, order[j - 1], times, ties):
            order[j] = order[j - 1]
            j -= 1
        order[j] = row


@numba.njit(cache=True, nogil=True)
def _merge(order, start, middle, stop, times, ties, spare):  # type: ignore[no-untyped-def]
    """Merge two neighbouring sorted stretches."""
    if not _is_before(order[middle], order[middle - 1], times, ties):
        return
    n = middle - start
    spare[:n] = order[start:middle]
    left, right, at = 0, middle, start
    while left < n:
        if right < stop and _is_before(order[right], spare[left], times, ties):
            order[at] = order[right]
            right += 1
        else:
            order[at] = spare[left]
            left += 1
        at += 1


@numba.njit(cache=True, nogil=True)
def mark_repeats(order, offsets, ids):  # type: ignore[no-untyped-def]
    """Tell which rows, in order, have an id that came before in their group.

    Parameters
    ----------
    order : numpy.ndarray of int64, shape (n,)
    offsets : numpy.ndarray of int64, shape (n_groups + 1,)
    ids : numpy.ndarray of int64, shape (n,)

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
    """
    repeated = np.zeros(order.size, np.bool_)
    for g in range(offsets.size - 1):
        start, stop = offsets[g], offsets[g + 1]
        if stop - start <= _COMPARED:
            for i in range(start + 1, stop):
                wanted = ids[order[i]]
                for j in range(start, i):
                    if ids[order[j]] == wanted:
                        repeated[i] = True
                        break
        else:
            named = ids[order[start:stop]]
            by_id = np.argsort(named, kind="mergesort")
            for k in range(1, by_id.size):
                if named[by_id[k]] == named[by_id[k - 1]]:
                    repeated[start + by_id[k]] = True
    return repeated


@numba.njit(cache=True, nogil=True)
def stretch_of(starts, places):  # type: ignore[no-untyped-def]
    """Return the last of the sorted ``starts`` that is not above each place, or -1; both int64."""
    found = np.empty(places.size, np.int64)
    for i in range(places.size):
        place = places[i]
        low, n = 0, starts.size
        while n > 0:
            half = n >> 1
            # Without a branch: where a random place goes cannot be guessed.
            low, n = (low + half + 1, n - half - 1) if starts[low + half] <= place else (low, half)
        found[i] = low - 1
    return found


@numba.njit(cache=True, nogil=True)
def directory_of(keys, left_out, shift):  # type: ignore[no-untyped-def]
    """Return where the keys with each value of ``(key << left_out) >> shift`` begin, and where the last of them end.

    Parameters
    ----------
    keys : numpy.ndarray of uint64, shape (n,)
        Sorted, with the same leading ``left_out`` bits.
    left_out : int
        From 0 to 63.
    shift : int
        From 1 to 63.

    Returns
    -------
    numpy.ndarray of int32, shape (2^(64 - shift) + 1,)
    """
    size = 1 << (64 - shift)
    first = np.empty(size + 1, np.int32)
    at = 0
    for k in range(size):
        while at < keys.size and np.int64((keys[at] << np.uint64(left_out)) >> np.uint64(shift)) < k:
            at += 1
        first[k] = at
    first[size] = keys.size
    return first


@numba.njit(cache=True, nogil=True)
def find_keys(keys, directory, left_out, shift, wanted):  # type: ignore[no-untyped-def]
    """Return the row of each wanted key, or -1.

    Parameters
    ----------
    keys : numpy.ndarray of uint64, shape (n,)
        Sorted, with the same leading bits, and spread evenly otherwise: then a stretch of the directory holds a few.
    directory : numpy.ndarray of int32
        From :func:`directory_of`.
    left_out, shift : int
        As they were given to it.
    wanted : numpy.ndarray of uint64, shape (m,)
        With the same leading bits as the keys.

    Returns
    -------
    numpy.ndarray of int64, shape (m,)
    """
    found = np.empty(wanted.size, np.int64)
    for i in range(wanted.size):
        key = wanted[i]
        stretch = np.int64((key << np.uint64(left_out)) >> np.uint64(shift))
        at, stop = directory[stretch], directory[stretch + 1]
        while at < stop and keys[at] < key:
            at += 1
        found[i] = at if at < stop and keys[at] == key else -1
    return found


def stretch_shift(n_keys: int) -> int:
    """Return the ``shift`` with which a directory has about one stretch for each of so many keys.

    >>> stretch_shift(1000)
    54
    """
    return 64 - min(max(n_keys, 1).bit_length(), 30)


def find_rows(keys: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return, for each wanted key, its row among sorted keys that are spread evenly over all values, or -1.

    >>> find_rows(np.array([3, 1 << 63], dtype=np.uint64), np.array([1 << 63, 4], dtype=np.uint64))
    array([ 1, -1])
    """
    shift = stretch_shift(keys.size)
    found: NDArray[np.int64] = find_keys(keys, directory_of(keys, 0, shift), 0, shift, wanted)
    return found
