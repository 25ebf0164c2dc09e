"""How much the bands of an object vary beyond their noise, and values in units of that; which objects vary at all."""

from __future__ import annotations

import math

import numba
import numpy as np

from lsdb_ts.kernels.curves.ranked import middle_of

_SHRINK_EPOCHS = 5.0
"""A band's own scatter counts as many epochs as it has, the bands' common one as this many."""


@numba.njit(cache=True, nogil=True, error_model="numpy")
def about_means(x, e, offsets, n_bands):  # type: ignore[no-untyped-def]
    """Return, per object, chi2 about the weighted means of its bands, its epochs and its occupied bands."""
    n_objects = (offsets.size - 1) // n_bands
    chi2, epochs, means = np.zeros(n_objects), np.zeros(n_objects, np.int64), np.zeros(n_objects, np.int64)
    for segment in range(offsets.size - 1):
        start, stop = offsets[segment], offsets[segment + 1]
        if stop == start:
            continue
        W, Y = 0.0, 0.0
        for i in range(start, stop):
            W += 1.0 / (e[i] * e[i])
            Y += x[i] / (e[i] * e[i])
        for i in range(start, stop):
            chi2[segment // n_bands] += ((x[i] - Y / W) / e[i]) ** 2
        epochs[segment // n_bands] += stop - start
        means[segment // n_bands] += 1
    return chi2, epochs, means


@numba.njit(cache=True, nogil=True, error_model="numpy")
def scaled(values, errors, offsets, relative, ratios):  # type: ignore[no-untyped-def]
    """Return the values about their band's median in units of its intrinsic scatter, their variances, and the units.

    Parameters
    ----------
    values, errors, offsets
        Of one object, band after band.
    relative : bool
        Whether the scatter of the bands is compared relative to their medians.
    ratios : numpy.ndarray of float64
        Amplitudes of the bands relative to one another; empty where each band tells its own, as far as its epochs do.

    Returns
    -------
    x, variances, scale : numpy.ndarray of float64
        All scales are 0 where no band varies.
    common : float
        The scatter of a band of amplitude 1, or of all bands together where no amplitudes are known.
    """
    n_bands = offsets.size - 1
    scatter, unit = np.zeros(n_bands), np.ones(n_bands)
    mean, bright = np.zeros(n_bands), np.zeros(n_bands, np.bool_)
    for b in range(n_bands):
        x, e = values[offsets[b] : offsets[b + 1]], errors[offsets[b] : offsets[b + 1]]
        if x.size == 0:
            continue
        mean[b], noise = middle_of(np.sort(x)), (e * e).sum() / x.size
        bright[b] = x.size > 1 and (not relative or mean[b] > math.sqrt(noise))
        if relative:
            # Noise over a mean near zero or below would be an enormous scatter, which no other band should borrow.
            unit[b] = max(mean[b], math.sqrt(noise))
        if x.size > 1:
            variance = ((x - x.sum() / x.size) ** 2).sum() / (x.size - 1)
            scatter[b] = max(variance - noise, 0.0) / unit[b] ** 2
    pooled = _pooled(scatter, offsets, bright, ratios)
    if not pooled > 0.0:
        pooled = _pooled(scatter, offsets, np.ones(n_bands, np.bool_), ratios)
    x, variances, scale = np.zeros(values.size), np.zeros(values.size), np.zeros(n_bands)
    for b in range(n_bands):
        m = offsets[b + 1] - offsets[b]
        if ratios.size > 0:
            scale[b] = unit[b] * ratios[b] * math.sqrt(pooled)
        else:
            scale[b] = unit[b] * math.sqrt((m * scatter[b] + _SHRINK_EPOCHS * pooled) / (m + _SHRINK_EPOCHS))
        if scale[b] > 0.0:
            for i in range(offsets[b], offsets[b + 1]):
                x[i] = (values[i] - mean[b]) / scale[b]
                variances[i] = (errors[i] / scale[b]) ** 2
    return x, variances, scale, math.sqrt(pooled)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pooled(scatter, offsets, chosen, ratios):  # type: ignore[no-untyped-def]
    """Return the common variance of the chosen bands: of a band of amplitude 1, where the ratios are known."""
    total, n = 0.0, 0.0
    for b in range(scatter.size):
        if chosen[b]:
            m = float(offsets[b + 1] - offsets[b])
            total += m * scatter[b]
            n += m * ratios[b] ** 2 if ratios.size > 0 else m
    return total / n if n > 0.0 else 0.0
