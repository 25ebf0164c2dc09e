"""How probable it is that noise alone gives a peak of the periodogram this high: analytic limits, no resampling."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.kernels.curves.statistics import check_bands, check_lengths

_NIGHT_DAYS = 0.5


def false_alarm_probability(
    power: ArrayLike,
    max_frequency: ArrayLike,
    time_std_days: ArrayLike,
    n_epochs: ArrayLike,
    n_bands: ArrayLike = 1,
    n_harmonics: int = 1,
    independent: bool = False,
) -> NDArray[np.float64]:
    """Return an upper limit of the probability that white noise gives a peak this high.

    For one sinusoid this is Baluev 2008 (MNRAS 385, 1279), for a least-squares periodogram normalised by the
    variance about the bands' means. For d unknowns (two for each harmonic, and for each band where these
    are independent), ``N = n_epochs - n_bands`` and ``W = max_frequency sqrt(4 pi var(t)) sqrt(mean(k^2))`` over
    harmonics k, the expected number of crossings of the level z is, by Rice's formula on the sphere of N dimensions,
    at most::

        tau = W Gamma(N/2) / (Gamma(d/2) Gamma((N-d+1)/2)) z^((d-1)/2) (1-z)^((N-d-1)/2)

    and the probability is ``1 - (1 - P(d/2, (N-d)/2; z)) exp(-tau)`` with P of the beta distribution. For several
    harmonics it agrees with Baluev 2009 (MNRAS 395, 1541) to 2 %.

    It holds for noise that is **white**: errors that are right up to a common factor, and not correlated in time.
    For noise that is not, give the epochs of :func:`effective_epochs`.

    Parameters
    ----------
    power : array_like
        Highest power of each object, 0 to 1.
    max_frequency : array_like
        Highest frequency searched, in cycles per day; the lowest is near 0.
    time_std_days : array_like
        Weighted standard deviation of the epochs in days.
    n_epochs, n_bands : array_like
        Epochs (whole or effective) and bands that took part.
    n_harmonics : int
        Harmonics of the model.
    independent : bool
        Whether each band has a series of its own.

    Returns
    -------
    numpy.ndarray of float64
        NaN where there are too few epochs.

    >>> false_alarm_probability([0.1, 0.3], 10.0, 300.0, 120).round(6)
    array([1.0e+00, 4.6e-05])
    """
    from scipy.special import betainc, gammaln

    z = np.clip(np.asarray(power, dtype=float), 0.0, 1.0)
    bands = np.asarray(n_bands, dtype=float)
    d = 2.0 * n_harmonics * (bands if independent else 1.0)
    free = np.asarray(n_epochs, dtype=float) - bands
    enough = free > d + 1.0
    free = np.where(enough, free, d + 2.0)
    harmonic = np.sqrt((n_harmonics + 1.0) * (2.0 * n_harmonics + 1.0) / 6.0)
    width = (
        np.asarray(max_frequency, dtype=float)
        * harmonic
        * np.sqrt(4.0 * np.pi)
        * np.asarray(time_std_days, dtype=float)
    )
    scale = np.exp(gammaln(free / 2.0) - gammaln(d / 2.0) - gammaln((free - d + 1.0) / 2.0))
    tau = width * scale * z ** ((d - 1.0) / 2.0) * (1.0 - z) ** ((free - d - 1.0) / 2.0)
    single = betainc((free - d) / 2.0, d / 2.0, 1.0 - z)
    # 1 - (1 - single) exp(-tau), without losing small numbers.
    probability = -np.expm1(-tau) + single * np.exp(-tau)
    return np.where(enough, np.clip(probability, 0.0, 1.0), np.nan)


def effective_epochs(
    residuals: ArrayLike, weights: ArrayLike, offsets: ArrayLike, n_bands: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return how many uncorrelated epochs the noise of each object is worth, and whether it looks white.

    The correlation rho of one epoch with the next of its band is estimated from the residuals of the best model; ``n``
    epochs of such noise are worth ``n (1 - rho) / (1 + rho)`` (Bartlett 1946, J. R. Stat. Soc. Suppl. 8, 27, for
    an autoregression of the first order). All bands of an object have one rho. It is white where rho is below three
    times its error, ``1 / sqrt(pairs)``. Residuals of a model without the period count the period as noise.

    Parameters
    ----------
    residuals, weights : array_like, shape (n,)
        Of all objects: object after object, band after band, each band sorted by time.
    offsets : array_like of int, shape (n_objects * n_bands + 1,)
        Where each band of each object begins.
    n_bands : int
        Bands of an object.

    Returns
    -------
    n_effective : numpy.ndarray of float64, shape (n_objects,)
        Never more than the epochs there are, never less than the number of bands with epochs.
    white : numpy.ndarray of bool, shape (n_objects,)

    >>> n, white = effective_epochs([1, 1.2, 0.9, -1, -1.1, -0.8] * 9, np.ones(54), [0, 54], 1)
    >>> round(float(n[0]), 1), bool(white[0])
    (21.0, False)
    """
    edges = np.ascontiguousarray(offsets, dtype=np.int64)
    left, w = (np.ascontiguousarray(column, dtype=np.float64) for column in (residuals, weights))
    check_lengths(edges, left, w)
    check_bands(edges, n_bands)
    return _effective(left, w, edges, n_bands)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _effective(residuals, weights, offsets, n_bands):  # type: ignore[no-untyped-def]
    n_objects = (offsets.size - 1) // n_bands
    effective, white = np.zeros(n_objects), np.ones(n_objects, np.bool_)
    for o in range(n_objects):
        together, alone, pairs, bands = 0.0, 0.0, 0, 0
        for b in range(o * n_bands, (o + 1) * n_bands):
            W, R = 0.0, 0.0
            for i in range(offsets[b], offsets[b + 1]):
                W += weights[i]
                R += weights[i] * residuals[i]
            bands += offsets[b + 1] > offsets[b]
            for i in range(offsets[b], offsets[b + 1] - 1):
                here, there = residuals[i] - R / W, residuals[i + 1] - R / W
                together += np.sqrt(weights[i] * weights[i + 1]) * here * there
                alone += 0.5 * (weights[i] * here * here + weights[i + 1] * there * there)
                pairs += 1
        n = offsets[(o + 1) * n_bands] - offsets[o * n_bands]
        rho = min(max(together / alone, 0.0), 1.0) if alone > 0.0 else 0.0
        effective[o] = max(n * (1.0 - rho) / (1.0 + rho), float(bands))
        white[o] = rho * rho * pairs < 9.0
    return effective, white


@numba.njit(cache=True, nogil=True, error_model="numpy")
def nightly_correlation(t, x, w, offsets):  # type: ignore[no-untyped-def]
    """Return how correlated the first value of a night is with that of the next, bands together, and the pairs.

    Within a night all that a model lacks is correlated, so a night counts once; it ends half a day after its first
    epoch. Each band is sorted by time.

    >>> rho, pairs = nightly_correlation(np.arange(5.0), np.array([1.0, 1, 1, -1, -1]), np.ones(5), np.array([0, 5]))
    >>> round(float(rho), 2), pairs
    (0.47, 4)
    """
    together, alone, pairs = 0.0, 0.0, 0
    for b in range(offsets.size - 1):
        W, R, here = 0.0, 0.0, offsets[b]
        for i in range(offsets[b], offsets[b + 1]):
            W += w[i]
            R += w[i] * x[i]
        for i in range(offsets[b] + 1, offsets[b + 1]):
            if t[i] - t[here] > _NIGHT_DAYS:
                a, z = x[here] - R / W, x[i] - R / W
                together += math.sqrt(w[here] * w[i]) * a * z
                alone += 0.5 * (w[here] * a * a + w[i] * z * z)
                pairs += 1
                here = i
    return min(max(together / alone, 0.0), 1.0) if alone > 0.0 else 0.0, pairs
