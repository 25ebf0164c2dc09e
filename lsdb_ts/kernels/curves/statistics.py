"""Statistics of many light curves at once; curves are flat arrays plus offsets.

Definitions in words and their sources stand with the features (``features/``); periods live in ``kernels/periods``.
A statistic that is not defined (too few epochs, no scatter, a mean that is not positive under a ratio) is NaN. One that
several authors define differently has a column for each, named after the definition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import InputError, did_you_mean
from lsdb_ts.kernels.curves.ranked import central_shares, middle_of, normality, otsu, ranks, sort_into, tail_skew
from lsdb_ts.kernels.curves.sequences import cadence, line, runs, steps

_GROUPS = {
    "moments": ("n_epochs", "mean_w", "mean_w_err", "mean", "min", "max", "sigma", "sigma_alerce", "err_mean"),
    "cadence": ("t_first", "t_last", "duration", "dt_max"),
    "gaps": ("dt_median",),
    "ranks": (
        "median", "p05", "p10", "p25", "p75", "p90", "p95", "iqr", "iqr_light_curve", "mad",
        "amplitude", "amplitude_richards11", "amplitude_alerce",
        "percent_amplitude", "percent_amplitude_light_curve", "percent_diff_fp", "percent_diff_fp_light_curve",
        "median_brp", "median_brp_light_curve",
    ),
    "central_shares": (
        *(f"fpr_mid{share}" for share in (20, 35, 50, 65, 80)),
        *(f"fpr_mid{share}_light_curve" for share in (20, 35, 50, 65, 80)),
    ),
    "tail_skew": ("gskew",),
    "robust": ("roms",),
    "scatter": (
        "chi2", "redchi2", "chi2_mean", "excess_var", "excess_var_alerce", "excess_var_raw",
        "frac_sigma", "frac_sigma_light_curve", "frac_sigma_alerce", "stetson_k",
    ),
    "stetson": ("stetson_j",),
    "shape": (
        "skew", "skew_alerce", "kurt_small", "kurt_small_alerce",
        "beyond_1std", "beyond_1std_light_curve", "beyond_1std_alerce",
    ),
    "normality": ("anderson_darling", "anderson_darling_alerce"),
    "otsu": ("otsu_mean_diff", "otsu_std_lower", "otsu_std_upper", "otsu_lower_share"),
    "steps": (
        "max_slope", "max_abs_slope", "eta", "eta_e", "eta_e_light_curve", "eta_e_alerce", "rcs", "rcs_alerce",
    ),
    "runs": ("con", "con_alerce", "pair_slope_trend", "pair_slope_trend_alerce"),
    "line": ("lin_slope", "lin_slope_err", "lin_intercept", "lin_redchi2", "lin_slope_richards11"),
}  # fmt: skip
"""What is computed together, and in which order; the moments always are."""
STATISTICS = tuple(name for names in _GROUPS.values() for name in names)
"""The columns of :func:`curve_statistics`."""
_GROUP_OF = {name: place for place, names in enumerate(_GROUPS.values()) for name in names}
_PLACE_OF = {name: place for place, name in enumerate(STATISTICS)}
_STARTS = np.cumsum([0, *map(len, _GROUPS.values())])
_RANKED = [place for place, group in enumerate(_GROUPS) if group in ("tail_skew", "robust", "normality", "otsu")]
_STETSON_ROUNDS, _STETSON_TOLERANCE = 20, 1e-8


def check_lengths(offsets: NDArray[np.int64], *columns: NDArray[np.float64]) -> None:
    """Raise InputError unless every column is as long as the offsets say; compiled loops do not look."""
    lengths = [column.size for column in columns]
    if offsets.size == 0 or any(n != offsets[-1] for n in lengths):
        raise InputError(
            f"curves of {lengths} epochs, times first, do not fit offsets that end at {offsets[-1:].tolist()}"
        )


def check_bands(offsets: NDArray[np.int64], n_bands: int) -> None:
    """Raise InputError unless the curves are those of whole objects."""
    if n_bands < 1 or (offsets.size - 1) % n_bands:
        raise InputError(f"{offsets.size - 1} curves are not those of objects with {n_bands} bands each")


def check_each(n: int, *columns: NDArray[np.generic]) -> None:
    """Raise InputError unless every column has one number for each of n curves (or objects)."""
    lengths = [column.shape[0] for column in columns]
    if any(length != n for length in lengths):
        raise InputError(f"numbers of {lengths} curves or objects do not fit offsets of {n} of them")


def curve_statistics(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    names: Sequence[str] = STATISTICS,
    n_bands: int = 1,
) -> NDArray[np.float64]:
    """Return statistics of every curve.

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
        Epochs of all curves one after the other, all finite, errors positive, each curve sorted by time.
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
        Where each curve begins, object after object and band after band; curves may be empty.
    names : sequence of str
        Which of ``STATISTICS``; only what these need is computed.
    n_bands : int
        Curves of an object.

    Returns
    -------
    numpy.ndarray of float64, shape (len(names), n_bands, n_objects)

    >>> t, x = np.array([0.0, 1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0, 2.0])
    >>> mean, n = curve_statistics(t, x, np.ones(4), np.array([0, 4, 4]), ["mean", "n_epochs"])[:, 0]
    >>> mean[0].item(), n[1].item()
    (2.0, 0.0)
    """
    check_lengths(offsets, time_days, values, errors)
    check_bands(offsets, n_bands)
    for name in names:
        if name not in _PLACE_OF:
            raise InputError(f'there is no statistic "{name}"; {did_you_mean(name, STATISTICS)}')
    wanted = np.zeros(len(_GROUPS), np.bool_)
    wanted[[_GROUP_OF[name] for name in names]] = True
    wanted[_GROUP_OF["median"]] |= wanted[_RANKED].any() or wanted[_GROUP_OF["fpr_mid20"]]
    places = np.array([_PLACE_OF[name] for name in names], np.int64)
    table = np.empty((len(names), n_bands, (offsets.size - 1) // n_bands))
    _all_curves(time_days, values, errors, offsets, wanted, places, table)
    return table


@numba.njit(cache=True, nogil=True)
def sorted_within(time_days, offsets):  # type: ignore[no-untyped-def]
    """Tell whether every curve is sorted by time."""
    for c in range(offsets.size - 1):
        for i in range(offsets[c] + 1, offsets[c + 1]):
            if time_days[i] < time_days[i - 1]:
                return False
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all_curves(times, values, errors, offsets, wanted, places, table):  # type: ignore[no-untyped-def]
    """Fill the table; the room that curves need is asked for once."""
    longest = 0
    for c in range(offsets.size - 1):
        longest = max(longest, offsets[c + 1] - offsets[c])
    room, row, n_bands = np.empty((4, longest)), np.empty(_STARTS[-1]), table.shape[1]
    for c in range(offsets.size - 1):
        start, stop = offsets[c], offsets[c + 1]
        row[:] = np.nan
        row[0] = stop - start
        if stop > start:
            n = stop - start
            _curve(times[start:stop], values[start:stop], errors[start:stop], wanted, row,
                   room[0, :n], room[1, :n], room[2, :n], room[3, : n - 1])  # fmt: skip
        for k in range(places.size):
            table[k, c % n_bands, c // n_bands] = row[places[k]]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _curve(t, x, e, wanted, row, w, ranked, spare, gaps):  # type: ignore[no-untyped-def]
    """Fill the row of one curve, group after group."""
    m = row[0:9]
    moments(x, e, w, m)
    mean_w, mean, sigma = m[1], m[3], m[6]
    if wanted[1]:
        cadence(t, row[_STARTS[1] : _STARTS[2]])
    if wanted[2] and t.size > 1:
        for i in range(gaps.size):
            gaps[i] = t[i + 1] - t[i]
        sort_into(gaps, ranked[: gaps.size], spare)
        row[_STARTS[2]] = middle_of(ranked[: gaps.size])
    if wanted[3]:
        sort_into(x, ranked, spare)
        ranks(ranked, row[_STARTS[3] : _STARTS[4]])
    if wanted[4]:
        central_shares(ranked, row[_STARTS[4] : _STARTS[5]])
    if wanted[5]:
        tail_skew(ranked, row[_STARTS[5] : _STARTS[6]])
    if wanted[6] and x.size > 1:
        row[_STARTS[6]] = _robust(x, w, row[_STARTS[3]])
    if wanted[7]:
        _scatter(x, w, m, row[_STARTS[7] : _STARTS[8]])
    if wanted[8] and x.size > 1:
        row[_STARTS[8]] = _stetson_j(x, w, mean_w)
    if wanted[9]:
        _shape(x, m, row[_STARTS[9] : _STARTS[10]])
    if wanted[10]:
        normality(ranked, mean, sigma, row[_STARTS[10] : _STARTS[11]], spare)
    if wanted[11]:
        otsu(ranked, mean, row[_STARTS[11] : _STARTS[12]])
    if wanted[12]:
        steps(t, x, mean, sigma, row[_STARTS[12] : _STARTS[13]])
    if wanted[13]:
        runs(x, mean, sigma, row[_STARTS[13] : _STARTS[14]])
    if wanted[14]:
        line(t, x, w, mean_w, mean, row[_STARTS[14] : _STARTS[15]])


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def moments(x, e, w, out):  # type: ignore[no-untyped-def]
    """Fill the weights ``1 / e^2``, and mean_w .. err_mean in their places of ``out``."""
    n = x.size
    W, Y, X, E = 0.0, 0.0, 0.0, 0.0
    # A loop that writes and sums is compiled twice; where its arrays lie in memory would decide on the rounding.
    for i in range(n):
        w[i] = 1.0 / (e[i] * e[i])
    for i in range(n):
        W += w[i]
        Y += w[i] * x[i]
        X += x[i]
        E += e[i]
    low, high = math.inf, -math.inf
    for i in range(n):
        low, high = min(low, x[i]), max(high, x[i])
    # Where all are equal, rounding would make up a scatter.
    mean_w, mean = (low, low) if low == high else (Y / W, X / n)
    out[1], out[2], out[3], out[4], out[5], out[8] = mean_w, 1.0 / math.sqrt(W), mean, low, high, E / n
    if n > 1:
        squares = 0.0
        for i in range(n):
            squares += (x[i] - mean) ** 2
        out[6], out[7] = math.sqrt(squares / (n - 1)), math.sqrt(squares / n)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _robust(x, w, median):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(x.size):
        total += abs(x[i] - median) * math.sqrt(w[i])
    return total / (x.size - 1)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _scatter(x, w, m, out):  # type: ignore[no-untyped-def]
    """Fill chi2 .. stetson_k."""
    n, mean_w, mean, sigma = x.size, m[1], m[3], m[6]
    chi2, size, about_mean, errors2 = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        d, f = x[i] - mean_w, x[i] - mean
        chi2 += w[i] * d * d
        size += abs(d) * math.sqrt(w[i])
        about_mean += w[i] * f * f
        errors2 += 1.0 / w[i]
    out[0] = chi2
    if n < 2:
        return
    variance, noise = sigma * sigma, errors2 / n
    out[1], out[2], out[5] = chi2 / (n - 1), about_mean, variance - noise
    if mean > 0.0:
        out[3] = (variance - noise) / (mean * mean)
        out[4] = (variance * (n - 1) / n - noise) / (mean * mean)
        out[7], out[8] = sigma / mean, m[7] / mean
    if mean_w > 0.0:
        out[6] = sigma / mean_w
    if chi2 > 0.0:
        out[9] = size / math.sqrt(n * chi2)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _stetson_j(x, w, start):  # type: ignore[no-untyped-def]
    """Return J about the mean with weights ``w / (1 + (|delta| / 2)^2)``, iterated (Stetson 1996, PASP 108, 851)."""
    n, mean = x.size, start
    bias = n / (n - 1.0)
    for _ in range(_STETSON_ROUNDS):
        W, Y = 0.0, 0.0
        for i in range(n):
            d = x[i] - mean
            weight = w[i] / (1.0 + 0.25 * bias * w[i] * d * d)
            W += weight
            Y += weight * d
        mean += Y / W
        # In units of the mean's own error: the result must not depend on unit or zero point.
        if abs(Y / W) * math.sqrt(W) <= _STETSON_TOLERANCE:
            break
    total = 0.0
    for i in range(n):
        P = bias * w[i] * (x[i] - mean) ** 2 - 1.0
        total += math.copysign(math.sqrt(abs(P)), P)
    return total / n


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _shape(x, m, out):  # type: ignore[no-untyped-def]
    """Fill skew .. beyond_1std_alerce."""
    n, mean_w, mean, sigma = x.size, m[1], m[3], m[6]
    if not sigma > 0.0:
        return
    third, fourth, beyond, beyond_mean, about_w = 0.0, 0.0, 0, 0, 0.0
    for i in range(n):
        d, f = x[i] - mean, x[i] - mean_w
        third += d * d * d
        fourth += d * d * d * d
        about_w += f * f
        beyond += abs(f) > sigma
        beyond_mean += abs(d) > sigma
    third, fourth = third / sigma**3, fourth / sigma**4
    to_population = n / (n - 1.0)
    if n > 2:
        out[0] = n / ((n - 1.0) * (n - 2.0)) * third
        out[1] = third / n * to_population**1.5
    if n > 3:
        tail = 3.0 * (n - 1.0) ** 2 / ((n - 2.0) * (n - 3.0))
        scale = n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0))
        out[2] = scale * fourth - tail
        out[3] = scale * fourth * to_population**2 - tail
    about_w = math.sqrt(about_w / (n - 1))
    beyond_w = 0
    for i in range(n):
        beyond_w += abs(x[i] - mean_w) > about_w
    out[4], out[5], out[6] = beyond / n, beyond_mean / n, beyond_w / n
