"""The simulated sky and the visits to it: who is where, how bright, of what class, and seen when and how deeply.

Light-curve shapes live in variability.py, files in survey.py. Fluxes are in nJy, magnitudes AB, times MJD (TAI).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.schema import AB_NJY
from lsdb_ts.sky import propagate
from lsdb_ts.testing import variability as shapes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BANDS = ("u", "g", "r", "i", "z", "y")
CLASSES = ("star", "rr_lyrae", "cepheid", "eclipsing_binary", "supernova_ia", "supernova_ii", "agn")
STAR, RR_LYRAE, CEPHEID, ECLIPSING, SN_IA, SN_II, AGN = range(7)
FIRST_MJD, LAST_MJD = 60_980.0, 62_806.0
"""Five years from late 2025."""
EPOCH_MJD = 0.5 * (FIRST_MJD + LAST_MJD)
"""The epoch of the positions in the object table."""
EPOCH_JYEAR = 2000.0 + (EPOCH_MJD - 51_544.5) / 365.25
"""The same as a Julian year."""

_SHARES = np.array([0.70, 0.06, 0.04, 0.07, 0.03, 0.03, 0.07])
_FIELDS = ((0.0, -4.0), (90.0, -90.0), (150.1, 2.2))
_FIELD_SIGMA_DEG = 0.9
_COVERAGE = 0.9
_YEAR_SHARES = np.array([0.1, 0.35, 0.1, 0.35, 0.1])
"""A rolling cadence: every other year dense."""
_DEPTH = np.array([23.7, 24.9, 24.4, 23.9, 23.3, 22.4])
_BAND_SHARES = np.array([0.08, 0.14, 0.24, 0.22, 0.18, 0.14])
_PULSATION = np.array([1.0, 1.0, 0.72, 0.57, 0.54, 0.5])
_AGN_BLUER = np.array([1.3, 1.15, 1.0, 0.9, 0.8, 0.75])
# Rows: classes; columns: mean colour of a band relative to r, in mag.
_COLOURS = np.array(
    [
        [2.2, 0.8, 0.0, -0.30, -0.45, -0.5],
        [1.3, 0.2, 0.0, -0.05, -0.05, -0.05],
        [1.6, 0.5, 0.0, -0.15, -0.2, -0.25],
        [1.9, 0.6, 0.0, -0.2, -0.3, -0.35],
        [2.0, 0.8, 0.0, -0.35, -0.6, -0.7],
        [1.6, 0.6, 0.0, -0.25, -0.4, -0.5],
        [0.5, 0.2, 0.0, -0.1, -0.15, -0.2],
    ]
)
_SUPERNOVA_COLOURS = {
    SN_IA: np.array([1.1, 0.1, 0.0, 0.25, 0.3, 0.4]),
    SN_II: np.array([0.3, 0.1, 0.0, 0.0, 0.05, 0.1]),
}


def nanojansky(magnitude: Floats) -> Floats:
    """Turn AB magnitudes into nJy (zero point 31.4)."""
    return 10 ** (-0.4 * (np.asarray(magnitude) - AB_NJY))


@dataclass(frozen=True)
class Objects:
    """Every simulated object; all arrays of shape (n,), magnitudes (n, 6)."""

    id: Ints
    field: Ints
    """Which patch of sky: index into the fields."""
    kind: Ints
    """Class: index into CLASSES."""
    ra: Floats
    dec: Floats
    pmra: Floats
    """Proper motion in mas/yr, with cos(dec)."""
    pmdec: Floats
    magnitudes: Floats
    """Quiescent AB magnitude in each band."""
    period: Floats
    """Days; NaN where there is none."""

    def rows(self, keep: NDArray[np.bool_] | Ints) -> Objects:
        """Return some of the objects."""
        return Objects(**{name: values[keep] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Visits:
    """The visits to one field in time order; arrays of shape (m,)."""

    id: Ints
    time: Floats
    band: Ints
    depth: Floats
    """Five-sigma depth in AB magnitudes."""
    seeing_arcsec: Floats


def draw_objects(n: int, rng: np.random.Generator) -> Objects:
    """Draw objects in three crowded patches: one across RA 0, one around the south pole, one ordinary."""
    field = rng.integers(0, len(_FIELDS), n)
    # Half of each patch is a clump: densities differ a hundredfold, so partitions of several orders are made.
    spread = np.where(rng.random(n) < 0.5, _FIELD_SIGMA_DEG, 0.2 * _FIELD_SIGMA_DEG)
    centres = np.array(_FIELDS)[field]
    step = rng.normal(size=(2, n)) * spread * 3.6e6
    ra, dec = propagate(centres[:, 0], centres[:, 1], step[0], step[1], 1.0)
    kind = rng.choice(len(CLASSES), n, p=_SHARES)
    brightness = 16.5 + 10.0 * rng.random(n) ** 0.3
    brightness = np.where(np.isin(kind, (RR_LYRAE, CEPHEID)), 16.0 + 7.5 * rng.random(n), brightness)
    brightness = np.where(kind == ECLIPSING, 16.0 + 7.5 * rng.random(n), brightness)
    brightness = np.where(kind == AGN, 18.0 + 5.5 * rng.random(n) ** 0.6, brightness)
    brightness = np.where(np.isin(kind, (SN_IA, SN_II)), 23.0 + 3.0 * rng.random(n), brightness)
    tilt = rng.normal(0, 0.35, n)
    magnitudes = brightness[:, None] + _COLOURS[kind] * (1 + tilt[:, None]) + rng.normal(0, 0.04, (n, 6))
    pmra, pmdec = _proper_motions(kind, rng)
    serial = rng.permutation(n).astype(np.int64)
    return Objects(
        (field + 1) * 10**15 + serial * 1009, field, kind, ra, dec, pmra, pmdec, magnitudes, _periods(kind, rng)
    )


def _proper_motions(kind: Ints, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Give stars some mas/yr, one in 50 up to 1.6 arcsec/yr; galaxies stand still."""
    size = np.where(rng.random(kind.size) < 0.02, 10 ** rng.uniform(2, 3.2, kind.size), rng.gamma(1.5, 4.0, kind.size))
    size = np.where(np.isin(kind, (SN_IA, SN_II, AGN)), 0.0, size)
    angle = rng.uniform(0, 2 * np.pi, kind.size)
    return size * np.cos(angle), size * np.sin(angle)


def _periods(kind: Ints, rng: np.random.Generator) -> Floats:
    n = kind.size
    overtone = rng.random(n) < 0.28
    rr_lyrae = np.where(overtone, rng.uniform(0.26, 0.42, n), np.clip(rng.normal(0.58, 0.08, n), 0.44, 0.9))
    period = np.full(n, np.nan)
    period = np.where(kind == RR_LYRAE, rr_lyrae, period)
    period = np.where(kind == CEPHEID, 10 ** rng.uniform(0.1, 1.5, n), period)
    return np.where(kind == ECLIPSING, 10 ** rng.uniform(-0.3, 0.8, n), period)


def draw_visits(field: int, n_visits: int, rng: np.random.Generator) -> Visits:
    """Draw the visits to a field: pairs half an hour apart, seven months a year, six bands of uneven shares."""
    nights = n_visits // 2
    year = rng.choice(5, nights, p=_YEAR_SHARES)
    night = np.floor(FIRST_MJD + 365.25 * year + 75.0 * field % 150 + rng.uniform(0, 213, nights))
    first = night + 0.02 + rng.uniform(-0.16, 0.16, nights)
    pairs = np.stack([first, first + 0.021 + rng.uniform(-0.003, 0.003, nights)], axis=1)
    time = np.sort(pairs.ravel())
    band = rng.choice(6, time.size, p=_BAND_SHARES)
    depth = _DEPTH[band] + rng.normal(0, 0.2, time.size)
    number = 2_025_000_000 + np.int64(field) * 10_000_000 + np.arange(time.size)
    return Visits(number, time, band, depth, np.clip(rng.normal(0.9, 0.15, time.size), 0.6, None))


def true_fluxes(objects: Objects, visits: Visits, rng: np.random.Generator) -> Floats:
    """Return the flux in nJy of each object at each visit, without noise: shape (n, m)."""
    flux = nanojansky(objects.magnitudes)[:, visits.band]
    for kinds, change in _CHANGES:
        rows = np.flatnonzero(np.isin(objects.kind, kinds))
        if rows.size:
            flux[rows] = change(flux[rows], objects.rows(rows), visits, rng)
    return flux


def _pulsate(flux: Floats, objects: Objects, visits: Visits, rng: np.random.Generator) -> Floats:
    n = objects.id.size
    overtone = objects.period < 0.43
    shape = np.where(objects.kind == CEPHEID, shapes.CEPHEID, np.where(overtone, shapes.GENTLE, shapes.STEEP))
    least, most = np.array([(0.4, 1.2), (0.25, 0.6), (0.15, 1.0)])[shape].T
    amplitude = rng.uniform(least, most)
    phase = (visits.time - FIRST_MJD) / objects.period[:, None] + rng.random((n, 1))
    offset = shapes.pulsation(phase, shape) * amplitude[:, None] * _PULSATION[visits.band]
    return flux * 10 ** (-0.4 * offset)


def _eclipse(flux: Floats, objects: Objects, visits: Visits, rng: np.random.Generator) -> Floats:
    n = objects.id.size
    first = rng.uniform(0.08, 0.9, n)
    depths = np.stack([first, first * rng.uniform(0.3, 0.85, n)], axis=1)
    width = np.clip(0.075 / objects.period**0.6 * rng.uniform(0.8, 1.3, n), 0.02, 0.1)
    phase = (visits.time - FIRST_MJD) / objects.period[:, None] + rng.random((n, 1))
    return flux * 10 ** (-0.4 * shapes.eclipses(phase, depths, width))


def _explode(flux: Floats, objects: Objects, visits: Visits, rng: np.random.Generator) -> Floats:
    n = objects.id.size
    peak_mjd = rng.choice(visits.time, n) + rng.uniform(-20, 20, n)
    peak = rng.uniform(18.0, 20.5, n)
    days = (visits.time - peak_mjd[:, None]) / (1 + rng.uniform(0.02, 0.3, (n, 1)))
    thermonuclear = (objects.kind == SN_IA)[:, None]
    course = np.where(thermonuclear, shapes.thermonuclear(days), shapes.plateau(days))
    colour = np.where(thermonuclear, _SUPERNOVA_COLOURS[SN_IA], _SUPERNOVA_COLOURS[SN_II])
    return flux + course * nanojansky(peak[:, None] + colour)[:, visits.band]


def _flicker(flux: Floats, objects: Objects, visits: Visits, rng: np.random.Generator) -> Floats:
    n = objects.id.size
    walk = shapes.damped_random_walk(visits.time, 10 ** rng.uniform(1.8, 2.8, n), rng.uniform(0.03, 0.25, n), rng)
    return flux * 10 ** (-0.4 * walk * _AGN_BLUER[visits.band])


_CHANGES: tuple[tuple[tuple[int, ...], Callable[[Floats, Objects, Visits, np.random.Generator], Floats]], ...] = (
    ((RR_LYRAE, CEPHEID), _pulsate),
    ((ECLIPSING,), _eclipse),
    ((SN_IA, SN_II), _explode),
    ((AGN,), _flicker),
)


def flux_errors(flux: Floats, visits: Visits) -> Floats:
    """Return the standard error in nJy of fluxes of shape (n, m).

    ``sigma^2 = (0.04 - g) f f5 + g f5^2 + (0.005 f)^2`` with g = 0.039 and f5 the flux at the five-sigma depth
    (Ivezic et al. 2019, ApJ 873, 111, eq. 5, written in flux).
    """
    limit = nanojansky(visits.depth)
    bright = np.clip(flux, 0, None)
    return np.sqrt(0.001 * bright * limit + 0.039 * limit**2 + (0.005 * bright) ** 2)


def coverage(n: int, visits: Visits, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Tell which visits covered which objects (the others fell into gaps between detectors): shape (n, m)."""
    return rng.random((n, visits.time.size)) < _COVERAGE
