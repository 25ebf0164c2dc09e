"""Multiband Lomb-Scargle power on a bounded frequency grid, and its peaks.

The sums come from ``direct`` or ``nufft``, whichever is cheaper, and ``multiband``
makes power of them. Which objects are searched, and the fits that follow, live in ``kernels/periods/search.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.kernels.curves.statistics import check_lengths
from lsdb_ts.kernels.periods.direct import BLOCK as DIRECT_BLOCK
from lsdb_ts.kernels.periods.direct import direct_block, prepare_direct
from lsdb_ts.kernels.periods.grid import FrequencyGrid
from lsdb_ts.kernels.periods.multiband import (
    centre,
    lanes_of,
    one_sinusoid,
    own_sinusoids,
    series,
    series_room,
    summed_again,
    weights_of_bands,
)
from lsdb_ts.kernels.periods.nufft import BLOCK as NUFFT_BLOCK
from lsdb_ts.kernels.periods.nufft import nufft_block, prepare_nufft
from lsdb_ts.kernels.vectors import aligned

METHODS = ("fastest", "direct", "nufft")
"""How the sums are made: by epochs and frequencies, by Fourier transforms, or whichever costs less."""
FASTEST = METHODS.index("fastest")
_TRANSFORM, _SPREAD, _TAPS = 50.0, 0.07, 1000.0
"""Costs of the Fourier way in units of an epoch summed directly at one frequency (0.089 ns with AVX-512), all measured:
a transform, an epoch in it, both at one frequency, and what an epoch costs once."""


@dataclass(frozen=True)
class MultibandModel:
    """A Fourier series through all bands and a deviation of each band: VanderPlas and Ivezic 2015 (ApJ 812, 18).

    ``MultibandModel(1, 0)`` is the shared-phase model, ``MultibandModel(0, 1)`` a sinusoid of its own for each band,
    more harmonics fit other shapes. Where both are above 0 they can say the same thing twice, so ``reg_band`` keeps the
    deviations small.
    """

    n_base: int = 1
    """Harmonics of the series through all bands."""
    n_band: int = 0
    """Harmonics of each band's deviation."""
    reg_base: float = 0.0
    """Ridge regularisation of the series: this share of the trace of the normal matrix is added to its diagonal."""
    reg_band: float = 0.0
    """The same for the deviations; the paper and astropy take 1e-6."""

    def __post_init__(self) -> None:
        if min(self.n_base, self.n_band) < 0 or max(self.n_base, self.n_band) < 1:
            raise PlanError(f"a multiband model needs harmonics, got n_base {self.n_base} and n_band {self.n_band}")
        if not (0.0 <= self.reg_base < math.inf and 0.0 <= self.reg_band < math.inf):
            raise PlanError(f"regularisation is 0 or more, got {self.reg_base} and {self.reg_band}")
        if self.n_base > 0 and self.n_band > 0 and self.reg_band == 0.0:
            raise PlanError(
                f"a series of {self.n_base} harmonics and deviations of {self.n_band} are not told apart without "
                "regularisation: give reg_band above 0, 1e-6 for instance"
            )

    @property
    def numbers(self) -> tuple[int, int, float, float]:
        """What the kernels know of it: n_base, n_band, reg_base, reg_band."""
        return self.n_base, self.n_band, float(self.reg_base), float(self.reg_band)


SHARED_PHASE = MultibandModel(1, 0).numbers


def multiband_power(
    time_days: ArrayLike,
    values: ArrayLike,
    weights: ArrayLike,
    offsets: ArrayLike,
    grid: FrequencyGrid,
    independent: bool = False,
) -> NDArray[np.float64]:
    """Return the generalized Lomb-Scargle power of one object over all its bands.

    Every band has a floating mean (Zechmeister and Kuerster 2009, A&A 496, 577). With a shared phase, one sinusoid of
    one amplitude goes through all bands: model (1, 0) of VanderPlas and Ivezic 2015 (ApJ 812, 18). Independent bands,
    model (0, 1), have a sinusoid each. The power is the share of the weighted variance about the bands' means that the
    model takes away, 0 to 1. A band of fewer than 4 epochs has no power of its own. Other models, and many objects at
    once, are the matter of :func:`multiband_powers`.

    Parameters
    ----------
    time_days, values, weights : array_like, shape (n,)
        Epochs, values and weights (1/error^2), all finite, band after band.
    offsets : array_like of int, shape (n_bands + 1,)
        Where each band begins; a band may be empty.
    grid : FrequencyGrid
        Frequencies in cycles per day.
    independent : bool
        Whether each band has its own sinusoid.

    Returns
    -------
    numpy.ndarray of float64, shape (grid.count,)

    >>> t = np.arange(40) * 0.37
    >>> grid = FrequencyGrid(0.5, 0.01, 60)
    >>> power = multiband_power(t, np.sin(2 * np.pi * 0.8 * t), np.ones(40), [0, 20, 40], grid)
    >>> round(float(grid.frequencies[power.argmax()]), 2), round(float(power.max()), 6)
    (0.8, 1.0)
    """
    model = MultibandModel(0, 1) if independent else MultibandModel(1, 0)
    return multiband_powers(time_days, values, weights, offsets, np.size(offsets) - 1, grid, model)[0]


def multiband_powers(
    time_days: ArrayLike,
    values: ArrayLike,
    weights: ArrayLike,
    offsets: ArrayLike,
    n_bands: int,
    grid: FrequencyGrid,
    model: MultibandModel | None = None,
    method: str = "fastest",
) -> NDArray[np.float64]:
    """Return the power of many objects on one grid, in one compiled call that holds no lock.

    The power is the share of the weighted variance about the bands' means that the (penalised) model takes away. A
    series is fitted where there are more epochs than its unknowns and the means; so are the deviations of a band,
    unless they are regularised.

    Parameters
    ----------
    time_days, values, weights : array_like, shape (n,)
        Epochs, values and weights (1/error^2) of all objects, all finite: object after object, band after band.
        An epoch of weight 0 (an infinite error) takes no part.
    offsets : array_like of int, shape (n_objects * n_bands + 1,)
        Where each band of each object begins; a band may be empty.
    n_bands : int
        Bands of an object.
    grid : FrequencyGrid
        Frequencies in cycles per day.
    model : MultibandModel, optional
        The shared-phase model unless given.
    method : str
        One of ``METHODS``; the cheaper one is found for each object. The numbers agree to 1e-8, but for several
        harmonics of hardly more epochs than unknowns, where the epochs do not tell them.

    Returns
    -------
    numpy.ndarray of float64, shape (n_objects, grid.count)

    Raises
    ------
    PlanError
        For an unknown method, or offsets that are not of whole objects.
    InputError
        For a time, value or weight that is not finite, or a weight below 0.

    >>> t = np.tile(np.arange(40) * 0.37, 2)
    >>> grid = FrequencyGrid(0.5, 0.01, 60)
    >>> wave = np.where(np.arange(80) < 40, np.sin(2 * np.pi * 0.8 * t), np.sin(2 * np.pi * t))
    >>> powers = multiband_powers(t, wave, np.ones(80), [0, 40, 80], 1, grid)
    >>> grid.frequencies[powers.argmax(axis=1)].round(2)
    array([0.8, 1. ])
    """
    m = model or MultibandModel()
    edges = np.ascontiguousarray(offsets, dtype=np.int64)
    if method not in METHODS:
        raise PlanError(f"no method {method!r} of a periodogram: there are {', '.join(METHODS)}")
    if n_bands < 1 or (edges.size - 1) % n_bands:
        raise PlanError(f"{edges.size - 1} bands are not a whole number of objects of {n_bands} bands")
    if edges[0] != 0 or (np.diff(edges) < 0).any():
        raise PlanError(f"offsets begin at 0 and never fall, got {edges[:5].tolist()} ...")
    powers = np.zeros(((edges.size - 1) // n_bands, grid.count))
    named = {"time_days": time_days, "values": values, "weights": weights}
    columns = {name: np.ascontiguousarray(x, dtype=np.float64) for name, x in named.items()}
    check_lengths(edges, *columns.values())
    for name, x in columns.items():
        wrong = np.flatnonzero(~np.isfinite(x) | (x < 0 if name == "weights" else False))
        if wrong.size:
            raise InputError(
                f"{name} of epoch {wrong[0]} is {x[wrong[0]]}: a periodogram takes finite numbers, and weights of 0 or "
                "more; leave such epochs out first"
            )
    _powers(
        *columns.values(),
        edges,
        (float(grid.first), float(grid.step)),
        m.numbers,
        METHODS.index(method),
        powers,
    )
    return powers


def highest_peaks(power: ArrayLike, n_peaks: int) -> NDArray[np.int64]:
    """Return the places of the highest local maxima, highest first; fewer than ``n_peaks`` where there are fewer.

    A flat top counts once. The two ends of the grid count where they are higher than their only neighbour.

    >>> highest_peaks([0, 3, 1, 1, 5, 2, 4], 2)
    array([4, 6])
    """
    p = np.ascontiguousarray(power, dtype=np.float64)
    places = np.empty(n_peaks, dtype=np.int64)
    return places[: _peaks(p, p.size, places)]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _powers(t, y, w, offsets, line, model, method, powers):  # type: ignore[no-untyped-def]
    n_bands = (offsets.size - 1) // max(powers.shape[0], 1)
    for place in range(powers.shape[0]):
        own = offsets[place * n_bands : (place + 1) * n_bands + 1]
        start, stop = own[0], own[-1]
        _power(t[start:stop], y[start:stop], w[start:stop], own - start, line, model, method, powers[place])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _power(t, y, w, offsets, line, model, method, power):  # type: ignore[no-untyped-def]
    """Fill the power of one object at frequencies ``line[0] + line[1] * k``; model and method are given as numbers."""
    n_base, n_band, reg_base, reg_band = model
    K = max(n_base, n_band)
    power[:] = 0.0
    W = weights_of_bands(w, offsets, 2 * n_band + 2 if n_base == 0 and reg_band == 0.0 else 1)
    values, variance = centre(y, w, offsets)
    total, free = 0.0, 0
    for b in range(W.size):
        total += W[b]
        free -= W[b] > 0.0
    for i in range(t.size):
        free += w[i] > 0.0
    if not (total > 0.0 and variance > 0.0 and free > 2 * n_base):
        return
    trace = total * (2 + n_base + n_band)
    lanes, places = lanes_of(offsets, W, K, n_band == 0)
    times, weights = _columns(t, w, values)
    direct = method == 1 or (method == 0 and _direct_is_cheaper(lanes, t.size, power.size))
    width = DIRECT_BLOCK if direct else NUFFT_BLOCK
    C, S = aligned(1, lanes.shape[0] + 1, width)[0], aligned(1, lanes.shape[0] + 1, width)[0]
    (gain, doubt), room = aligned(1, 2, width)[0], series_room(K)
    direct_state = prepare_direct(times if direct else times[:0], line, 2 * K)
    nufft_state = prepare_nufft(times[:0] if direct else times, line, 2 * K)
    for block in range((power.size + width - 1) // width):
        if direct:
            direct_block(block, times, weights, line, lanes, direct_state, C, S)
        else:
            nufft_block(block, times, weights, line, lanes, nufft_state, C, S)
        if n_base == 1 and n_band == 0 and reg_base == 0.0:
            one_sinusoid(C, S, places, W, gain, doubt)
        elif n_base == 0 and n_band == 1 and reg_band == 0.0:
            own_sinusoids(C, S, places, W, gain, doubt)
        else:
            series(C, S, places, W, (n_base, n_band), (reg_base * trace, reg_band * trace), room, gain)
        begin = block * width
        for j in range(min(width, power.size - begin)):
            if doubt[j] > 0.0:
                frequency = line[0] + line[1] * (begin + j)
                gain[j] = summed_again(times, weights, offsets, W, frequency, n_band == 0)
            power[begin + j] = gain[j] / variance


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _direct_is_cheaper(lanes, n_epochs, count):  # type: ignore[no-untyped-def]
    summed = 0
    for lane in range(lanes.shape[0]):
        summed += lanes[lane, 3] - lanes[lane, 2]
    whole, part = NUFFT_BLOCK, DIRECT_BLOCK
    transformed = (_TRANSFORM * lanes.shape[0] + _SPREAD * summed) * ((count + whole - 1) // whole * whole)
    return summed * ((count + part - 1) // part * part) <= transformed + _TAPS * n_epochs


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _columns(t, w, values):  # type: ignore[no-untyped-def]
    """Return the times, and the weights alone and times the values, with zeros up to a multiple of 8.

    From the middle of the times, phases are smallest, and so are their errors.
    """
    whole = (t.size + 7) // 8 * 8
    times, weights = aligned(1, 1, whole)[0, 0], aligned(1, 2, whole)[0]
    first, last = t[0], t[0]
    for i in range(t.size):
        first, last = min(first, t[i]), max(last, t[i])
    for i in range(t.size):
        times[i] = t[i] - 0.5 * (first + last)
        weights[0, i], weights[1, i] = w[i], w[i] * values[i]
    return times, weights


@numba.njit(cache=True, nogil=True)
def _peaks(power, count, places):  # type: ignore[no-untyped-def]
    """Write the places of the highest local maxima, highest first, and return how many there are."""
    found, wanted = 0, places.size
    for i in range(count):
        rises = i == 0 or power[i] > power[i - 1]
        if not rises or (i + 1 < count and power[i] < power[i + 1]) or not power[i] > 0.0:
            continue
        if i + 1 < count and power[i] == power[i + 1] and not _falls_after(power, count, i):
            continue
        if found == wanted and power[i] <= power[places[wanted - 1]]:
            continue
        at = min(found, wanted - 1)
        while at > 0 and power[places[at - 1]] < power[i]:
            places[at] = places[at - 1]
            at -= 1
        places[at] = i
        found = min(found + 1, wanted)
    return found


@numba.njit(cache=True, nogil=True)
def _falls_after(power, count, i):  # type: ignore[no-untyped-def]
    """Tell whether a flat top that begins at i ends by falling (or at the end of the grid)."""
    j = i
    while j + 1 < count and power[j + 1] == power[i]:
        j += 1
    return j + 1 == count or power[j + 1] < power[i]
