"""How the brightness of each kind of simulated object changes: periodic shapes, supernovae, damped random walks.

Times are MJD in days. Where the objects lie and when they are looked at is the business of universe.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_GRID = 1024


def _shape(weights: Floats, phases: Floats) -> Floats:
    """Tabulate a Fourier series of brightness over one cycle as a magnitude offset: mean 0, peak to peak 1."""
    phase = np.arange(_GRID) / _GRID
    harmonic = np.arange(1, weights.size + 1)[:, None]
    curve = (weights[:, None] * np.sin(2 * np.pi * harmonic * phase + phases[:, None])).sum(axis=0)
    return (curve.mean() - curve) / np.ptp(curve)


_STEEP = _shape(1 / np.arange(1, 7) * np.exp(-np.arange(6) / 4), np.zeros(6))
"""A fast rise and a slow decline, as of fundamental-mode RR Lyrae."""
_GENTLE = _shape(np.array([1.0, 0.12]), np.zeros(2))
"""Nearly a sine, as of first-overtone RR Lyrae."""
_CEPHEID = _shape(np.array([1.0, 0.38, 0.16, 0.06]), np.array([0.0, 0.3, 0.7, 1.2]))
_SHAPES = np.stack([_STEEP, _GENTLE, _CEPHEID])
STEEP, GENTLE, CEPHEID = range(3)


def pulsation(phase: Floats, shape: NDArray[np.int64]) -> Floats:
    """Return magnitude offsets of peak-to-peak size 1 and mean 0.

    Parameters
    ----------
    phase : numpy.ndarray of float64, shape (n, m)
        Cycles since the epoch; whole numbers are equal.
    shape : numpy.ndarray of int64, shape (n,)
        STEEP, GENTLE or CEPHEID.
    """
    place = (np.mod(phase, 1.0) * _GRID).astype(np.int64) % _GRID
    return _SHAPES[shape[:, None], place]


def eclipses(phase: Floats, depths: Floats, width: Floats) -> Floats:
    """Return magnitude offsets (positive: fainter) of two eclipses a cycle, at phases 0 and 1/2.

    Parameters
    ----------
    phase : numpy.ndarray of float64, shape (n, m)
    depths : numpy.ndarray of float64, shape (n, 2)
        Depths in mag of the first and the second eclipse.
    width : numpy.ndarray of float64, shape (n,)
        Standard deviation of the eclipse in cycles; close pairs have wide ones.
    """
    offset = np.zeros_like(phase)
    for which, centre in enumerate((0.0, 0.5)):
        apart = np.mod(phase - centre + 0.5, 1.0) - 0.5
        offset += depths[:, which, None] * np.exp(-0.5 * (apart / width[:, None]) ** 2)
    return offset


def damped_random_walk(times_mjd: Floats, tau_days: Floats, sigma: Floats, rng: np.random.Generator) -> Floats:
    """Draw damped random walks at common times: shape (n, m), mean 0, standard deviation sigma.

    Exact discretization ``x' = x exp(-dt/tau) + sigma sqrt(1 - exp(-2 dt/tau)) N(0, 1)``
    (Kelly, Bechtold & Siemiginowska 2009, ApJ 698, 895, eq. 1-5).

    Parameters
    ----------
    times_mjd : numpy.ndarray of float64, shape (m,)
        Rising.
    tau_days, sigma : numpy.ndarray of float64, shape (n,)
    """
    walk = np.empty((tau_days.size, times_mjd.size))
    state = sigma * rng.normal(size=sigma.size)
    before = times_mjd[0] if times_mjd.size else 0.0
    for column, time in enumerate(times_mjd):
        memory = np.exp(-(time - before) / tau_days)
        state = state * memory + sigma * np.sqrt(1 - memory**2) * rng.normal(size=sigma.size)
        walk[:, column], before = state, time
    return walk


def thermonuclear(days: Floats) -> Floats:
    """Return the flux of a Type Ia-like supernova over its peak flux: 17 days of rise, a fast decline, a slow tail."""
    rise = np.clip(1 + days / 17.0, 0, None) ** 2
    fall = 0.85 * np.exp(-0.5 * (days / 15.0) ** 2) + 0.15 * np.exp(-np.clip(days, 0, None) / 45.0)
    return np.where(days < 0, np.minimum(rise, 1.0), fall)


def plateau(days: Floats) -> Floats:
    """Return the flux of a Type II-P-like supernova over its peak flux: a rise of 8 days, a plateau of 90, a drop."""
    rise = np.clip(1 + days / 8.0, 0, None) ** 2
    level = 1 - 0.25 * np.clip(days, 0, 90) / 90
    drop = 0.08 + 0.92 / (1 + np.exp((days - 95) / 5.0))
    return np.where(days < 0, np.minimum(rise, 1.0), level * drop * np.exp(-np.clip(days - 95, 0, None) / 110))
