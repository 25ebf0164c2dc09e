"""Fewer points that look like many: the lowest and the highest of each stretch. Drawing them is done next door."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def extremes(x: NDArray[np.float64], values: NDArray[np.float64], n_bins: int) -> NDArray[np.int64]:
    """Return the places of the lowest and the highest value in each of ``n_bins`` equal stretches of ``x``.

    A picture ``n_bins`` pixels wide looks the same without the others. Where there are no more than ``2 * n_bins``
    points, all of them are returned.

    Parameters
    ----------
    x, values : numpy.ndarray of float64, shape (n,)
        All finite; in any order.
    n_bins : int

    Returns
    -------
    numpy.ndarray of int64
        Ascending.

    >>> extremes(np.arange(8.0), np.array([0.0, 3.0, 1.0, 2.0, 5.0, 5.0, 4.0, 7.0]), 2)
    array([0, 1, 6, 7])
    """
    if x.size <= 2 * n_bins:
        return np.arange(x.size)
    low, high = x.min(), x.max()
    bins = np.minimum((x - low) / max(high - low, np.finfo(float).tiny) * n_bins, n_bins - 1).astype(np.int64)
    by_value = np.lexsort((values, bins))
    first = np.flatnonzero(np.diff(bins[by_value], prepend=-1))
    last = np.append(first[1:], by_value.size) - 1
    return np.unique(by_value[np.concatenate([first, last])])
