"""Weighted means of epochs in bins of time, for many light curves at once, as flat arrays and offsets."""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, error_model="numpy")
def bin_means(rows, offsets, bins, band, time, values, errors):  # type: ignore[no-untyped-def]
    """Return the means of each bin, with weights 1 / e^2.

    Parameters
    ----------
    rows : numpy.ndarray of int64, shape (n,)
        Epochs, curve after curve, those of one bin and band together; all finite, their errors positive.
    offsets : numpy.ndarray of int64, shape (n_curves + 1,)
        Where each curve begins among the rows.
    bins, band : numpy.ndarray
        By epoch: what those of one bin have in common.
    time, values, errors : numpy.ndarray of float64
        By epoch.

    Returns
    -------
    first : numpy.ndarray of int64, shape (n_bins,)
        First epoch of each bin.
    counts : numpy.ndarray of int32, shape (n_bins,)
    means : numpy.ndarray of float64, shape (3, n_bins)
        Time, value, and error of the value, 1 / sqrt(sum 1 / e^2).
    bounds : numpy.ndarray of int64, shape (n_curves + 1,)
        Where each curve begins among the bins.

    >>> t, x, e = np.array([0.1, 0.3, 1.2]), np.array([1.0, 3.0, 5.0]), np.ones(3)
    >>> found = bin_means(np.arange(3), np.array([0, 3]), np.floor(t), np.zeros(3), t, x, e)
    >>> found[1].tolist(), found[2][1].tolist(), found[3].tolist()
    ([2, 1], [2.0, 5.0], [0, 2])
    """
    first, counts = np.empty(rows.size, np.int64), np.empty(rows.size, np.int32)
    means, bounds = np.empty((3, rows.size)), np.zeros(offsets.size, np.int64)
    n = 0
    for c in range(offsets.size - 1):
        k = offsets[c]
        while k < offsets[c + 1]:
            start = rows[k]
            total, late, high, count = 0.0, 0.0, 0.0, 0
            while k < offsets[c + 1] and bins[rows[k]] == bins[start] and band[rows[k]] == band[start]:
                w = 1.0 / (errors[rows[k]] * errors[rows[k]])
                total += w
                # From the first epoch on: times of a night differ in their last digits only.
                late += w * (time[rows[k]] - time[start])
                high += w * (values[rows[k]] - values[start])
                count += 1
                k += 1
            first[n], counts[n] = start, count
            means[0, n], means[1, n] = time[start] + late / total, values[start] + high / total
            means[2, n] = 1.0 / math.sqrt(total)
            n += 1
        bounds[c + 1] = n
    return first[:n], counts[:n], means[:, :n], bounds
