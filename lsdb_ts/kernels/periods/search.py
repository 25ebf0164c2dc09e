"""The period search over many objects: which are searched, in what units, how, and what is told of the result.

The power of one object lives in ``periodogram.py``, the second stage in ``refinement.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.kernels.curves.statistics import check_bands, check_lengths
from lsdb_ts.kernels.periods.aliases import Quality, alias_classes, day_window, widest_gap, window_power
from lsdb_ts.kernels.periods.false_alarm import false_alarm_probability, nightly_correlation
from lsdb_ts.kernels.periods.fourier import fit_series, residuals, series_prior, sinusoid_power
from lsdb_ts.kernels.periods.grid import _grid
from lsdb_ts.kernels.periods.kinds import RR_LYRAE, RR_LYRAE_AMPLITUDES, StarKind, arrays
from lsdb_ts.kernels.periods.periodogram import FASTEST, MultibandModel, _peaks, _power
from lsdb_ts.kernels.periods.refinement import refine
from lsdb_ts.kernels.periods.scatter import about_means, scaled

POWER_RATES = (0.25, 1.0 / 3.0, 0.5, 2.0, 3.0, 4.0)
"""Multiples of the period whose power is compared with the period's own."""
_RANKED_PEAKS = 100
"""Peaks whose evenness the pseudo-entropy tells."""
_ABOUT = 14 + len(POWER_RATES)
_FEW_EPOCHS, _FEW_CYCLES, _HIGH_WINDOW, _LARGE_JITTER, _LARGE_GAP, _LIKELY_ALARM = 40, 3.0, 0.3, 0.5, 0.2, 1e-3
_UNSPANNED, _UNVARYING, _OUTSIDE = int(Quality.SHORT_BASELINE), int(Quality.CONSTANT), int(Quality.EDGE)
_SIGNIFICANT = 3.0
_RIVAL_ODDS = math.log(20.0)


@dataclass(frozen=True)
class PeriodSearch:
    """How periods are searched for. Two stages: multiband power on a grid, then harmonic fits of its best peaks.

    Before it, each band is divided by its intrinsic scatter, so that one amplitude fits all bands in any unit, with no
    template of amplitudes. Where the class is known, ``amplitude_ratios`` and ``kinds`` say more.
    """

    period_range_days: tuple[float, float] = (0.1, 1000.0)
    """Shortest and longest period; none longer than the baseline is tried. A star of a period out of it is found at an
    alias within: delta Scuti and SX Phoenicis stars (HADS) need a shortest period of 0.03 days."""
    oversampling: float = 5.0
    """Grid points in one peak width 1 / baseline."""
    max_frequencies: int = 100_000
    """Most points a grid may have; see FrequencyGrid.spanning for what gives way."""
    model: MultibandModel = field(default_factory=MultibandModel)
    """Whose power is that of the first stage: by default a sinusoid of one phase in all bands. ``MultibandModel(0, 1)``
    has one for each band; more harmonics find other shapes, and cost more."""
    n_peaks: int = 20
    """Peaks of the first stage that are fitted again."""
    n_harmonics: int = 4
    """Harmonics of the second stage. Its last step averages over these, half as many (where no kind is named that tells
    of more) and half as many more."""
    n_periods: int = 5
    """Distinct periods reported, most probable first."""
    min_epochs: int = 15
    """Objects of fewer epochs, all bands together, are not searched; their quality is ``FEW_EPOCHS``."""
    max_p_const: float = 0.01
    """Objects that are constant with at least this probability (chi2 about the bands' means) are not searched; their
    quality is ``CONSTANT``."""
    error_floor: float = 0.3
    """Added in quadrature to the errors while peaks are sought, in units of the band's intrinsic scatter: no short
    series fits a real star. The second stage fits it."""
    double_log_odds: float = -6.0
    """Log odds of twice a period against the period, before the values are seen: stars do not repeat exactly. Cycles
    that look like eclipses raise them."""
    season_phase: float = 0.01
    """Standard deviation, in cycles, of the phase of a season, which ends where no epoch follows for 60 days: few stars
    keep time exactly."""
    amplitude_ratios: tuple[float, ...] = ()
    """Amplitudes of the bands relative to one another, one a band; where empty, each band's scatter tells."""
    kinds: tuple[StarKind, ...] = ()
    """Kinds of stars that the objects are known to be, such as ``RR_LYRAE``; where empty, all periods and shapes are
    equally probable."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "period_range_days", tuple(self.period_range_days))
        object.__setattr__(self, "amplitude_ratios", tuple(float(r) for r in self.amplitude_ratios))
        if isinstance(self.model, Mapping):
            object.__setattr__(self, "model", MultibandModel(**self.model))
        if not isinstance(self.model, MultibandModel):
            raise PlanError(f"the model of a period search is a MultibandModel, and not {self.model!r}")
        kinds = tuple(StarKind(**kind) if isinstance(kind, Mapping) else kind for kind in self.kinds)
        object.__setattr__(self, "kinds", kinds)
        shortest, longest = self.period_range_days
        if not 0.0 < shortest < longest < math.inf:
            raise PlanError(f"a period search needs 0 < shortest < longest, got {self.period_range_days} days")
        for name in ("max_frequencies", "n_peaks", "n_harmonics", "n_periods", "min_epochs"):
            if getattr(self, name) < 1:
                raise PlanError(f"a period search needs {name} of 1 or more, got {getattr(self, name)}")
        if not (0.0 < self.oversampling < math.inf and 0.0 <= self.error_floor < math.inf):
            raise PlanError(
                "a period search needs oversampling above 0 and an error_floor of 0 or more, "
                f"got {self.oversampling} and {self.error_floor}"
            )
        if not 0.0 <= self.season_phase < 0.25:
            raise PlanError(f"a period search needs a season_phase of 0 to 0.25 cycles, got {self.season_phase}")
        if not all(0.0 < ratio < math.inf for ratio in self.amplitude_ratios):
            raise PlanError(f"a period search needs amplitude_ratios above 0, got {self.amplitude_ratios}")
        told = {kind.n_harmonics for kind in kinds}
        if len(told) > 1 or max(told, default=0) > self.n_harmonics:
            raise PlanError(
                "a period search needs kinds that all tell of one number of harmonics, "
                f"{self.n_harmonics} (n_harmonics) at most; got {sorted(told)}"
            )

    @classmethod
    def rr_lyrae(cls, bands: Iterable[str] = "ugrizy") -> PeriodSearch:
        """Return the search for objects that are known to be RR Lyrae: their periods, amplitudes and shapes.

        Parameters
        ----------
        bands : iterable of str
            Bands of the light curves, in the sequence of the feature set.

        >>> PeriodSearch.rr_lyrae("gri").amplitude_ratios
        (1.0, 0.72, 0.57)
        """
        for band in (wanted := tuple(bands)):
            if band not in RR_LYRAE_AMPLITUDES:
                raise PlanError(
                    f'no amplitude of RR Lyrae is known in "{band}"; {did_you_mean(band, RR_LYRAE_AMPLITUDES)}; '
                    "give PeriodSearch(amplitude_ratios=..., kinds=RR_LYRAE) your own"
                )
        ratios = tuple(RR_LYRAE_AMPLITUDES[band] for band in wanted)
        return cls((0.2, 1.2), amplitude_ratios=ratios, kinds=RR_LYRAE, season_phase=0.015, double_log_odds=-20.0)


@dataclass(frozen=True, eq=False)
class Periods:
    """What the search found, one row per object; NaN where an object was not searched or the period does not exist."""

    period_days: NDArray[np.float64]
    """Shape (n_objects, n_periods), most probable first."""
    log_evidence: NDArray[np.float64]
    """Shape (n_objects, n_periods): ln of the odds of the harmonic model against constant bands. Measurements of one
    visit count as one; the kinds of stars expected, and that stars repeat, are taken into account."""
    alias: NDArray[np.float64]
    """Shape (n_objects, n_periods): code of ``aliases.Alias``, relative to the first period."""
    quality: NDArray[np.float64]
    """Shape (n_objects,): bits of ``aliases.Quality``; 0 where nothing speaks against the first period. Where there is
    no period, they say why; NaN for an object of no epochs."""
    power: NDArray[np.float64]
    """Shape (n_objects,): highest shared-phase power of the first stage, 0 to 1."""
    false_alarm_probability: NDArray[np.float64]
    """Shape (n_objects,): of that power in white noise, after Baluev 2008."""
    pseudo_entropy: NDArray[np.float64]
    """Shape (n_objects,): 1 - H / ln n of the n = 100 highest peaks, H their entropy: 0 where all are equally high."""
    power_rates: NDArray[np.float64]
    """Shape (n_objects, len(POWER_RATES)): power at multiples of the first period over its own."""
    phase_gap: NDArray[np.float64]
    """Shape (n_objects,): longest part of the first period's cycle without an epoch in any band."""
    jitter: NDArray[np.float64]
    """Shape (n_objects,): what the series leaves over beyond the errors, in units of the intrinsic scatter."""
    n_frequencies: NDArray[np.float64]
    """Shape (n_objects,): points of the grid."""
    series: NDArray[np.float64]
    """Shape (n_objects, n_bands, 2 * n_harmonics): cosine and sine amplitudes at the best period, in the unit of
    the values, phases counted from each object's first epoch."""


def search_periods(
    time_days: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
    offsets: NDArray[np.int64],
    n_bands: int,
    settings: PeriodSearch,
    relative: bool = False,
) -> Periods:
    """Search many objects for periods.

    Parameters
    ----------
    time_days, values, errors : numpy.ndarray of float64, shape (n,)
        Epochs of all objects: object after object, band after band, each band sorted by time, all finite, errors
        positive.
    offsets : numpy.ndarray of int64, shape (n_objects * n_bands + 1,)
        Where each band of each object begins.
    n_bands : int
        Bands of an object.
    settings : PeriodSearch
    relative : bool
        Whether the values are fluxes: the scatter of the bands is then compared relative to their medians.
        A band fainter than its noise is compared relative to that, and the others borrow nothing from it.

    Returns
    -------
    Periods
    """
    check_lengths(offsets, time_days, values, errors)
    check_bands(offsets, n_bands)
    n_objects, s = (offsets.size - 1) // n_bands, settings
    if s.amplitude_ratios and len(s.amplitude_ratios) != n_bands:
        raise PlanError(f"the period search has {len(s.amplitude_ratios)} amplitude_ratios for {n_bands} bands")
    period, evidence = np.full((2, n_objects, s.n_periods), np.nan)
    series = np.full((n_objects, n_bands, 2 * s.n_harmonics), np.nan)
    about = np.full((n_objects, _ABOUT), np.nan)
    why_not = _why_not(values, errors, offsets, n_bands, s)
    _search(
        (time_days, values, errors, offsets, np.flatnonzero(why_not == 0)),
        (*s.period_range_days, s.oversampling, s.max_frequencies),
        s.model.numbers,
        (s.n_peaks, s.n_harmonics, s.error_floor, float(s.double_log_odds), float(s.season_phase), relative),
        (np.array(s.amplitude_ratios), arrays(s.kinds), _orders(s)),
        (period, evidence, series, about, why_not),
        n_bands,
    )
    power, spread, epochs, bands, count, baseline = about[:, :6].T
    alarm = _alarm(power, 1.0 / s.period_range_days[0], spread, epochs, bands, s.model)
    alias = np.where(np.isfinite(period), alias_classes(period, baseline), np.nan)
    quality = np.where(np.isfinite(period[:, 0]), _quality(period, evidence, about, alarm, s), why_not)
    rates = about[:, 14:]
    return Periods(
        period, evidence, alias, quality, power, alarm, about[:, 6], rates, about[:, 7], about[:, 9], count, series
    )


def _alarm(power, max_frequency, spread, epochs, bands, model):  # type: ignore[no-untyped-def]
    """Return the false-alarm probability of the objects that were searched."""
    n_harmonics, searched = max(model.n_base, model.n_band), np.isfinite(power)
    alarm = false_alarm_probability(
        power, max_frequency, spread, np.where(searched, epochs, 0.0), bands, n_harmonics, model.n_band > 0
    )
    return np.where(searched, alarm, np.nan)


def _quality(period, evidence, about, alarm, settings):  # type: ignore[no-untyped-def]
    """Return the quality bits of the best periods."""
    power, spread, epochs, bands, _, baseline, _, gap, window, jitter, highest, double, red, worth = about[:, :14].T
    first, (shortest, longest) = period[:, 0], settings.period_range_days
    second = evidence[:, 1] if evidence.shape[1] > 1 else np.full(first.size, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        edge = np.minimum(np.abs(1 / first - 1 / shortest), np.abs(1 / first - np.maximum(1 / longest, 1 / baseline)))
        # Noise that is worth n nights has no power beyond their Nyquist frequency, but for the aliases of what it has.
        correlated = _alarm(power, 0.5 * worth / baseline, spread, worth, bands, settings.model)
        bits = {
            Quality.FEW_EPOCHS: epochs < _FEW_EPOCHS,
            Quality.SHORT_BASELINE: baseline < _FEW_CYCLES * first,
            Quality.WINDOW: window > _HIGH_WINDOW,
            Quality.POOR_FIT: jitter > _LARGE_JITTER,
            Quality.PHASE_GAP: gap > _LARGE_GAP,
            Quality.RIVAL: evidence[:, 0] - second < _RIVAL_ODDS,
            Quality.EDGE: edge < 0.5 / baseline,
            Quality.FALSE_ALARM: alarm > _LIKELY_ALARM,
            Quality.GRID_CUT: (highest < 1 / shortest) & (2 / first > highest),
            Quality.RED_NOISE: (red > _SIGNIFICANT) & ~(correlated < _LIKELY_ALARM),
            Quality.DOUBLE: double > 0,
        }
    return sum(int(bit) * holds for bit, holds in bits.items())


def _orders(settings: PeriodSearch) -> NDArray[np.int64]:
    """Return the numbers of harmonics that are averaged over: as many as a kind tells of, at least."""
    n, least = settings.n_harmonics, max((kind.n_harmonics for kind in settings.kinds), default=1)
    return np.unique([max(n // 2, least), n, n + n // 2])


def _why_not(values, errors, offsets, n_bands, settings):  # type: ignore[no-untyped-def]
    """Return the quality bit of the objects that are not searched, 0 for the others; NaN for those of no epochs."""
    from scipy.special import chdtrc

    chi2, epochs, means = about_means(values, errors, offsets, n_bands)
    constant = ~(chdtrc(np.maximum(epochs - means, 1), chi2) < settings.max_p_const)
    few = epochs < settings.min_epochs
    return np.select([epochs == 0, few, constant], [np.nan, int(Quality.FEW_EPOCHS), int(Quality.CONSTANT)], 0.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _search(curves, wanted, model, how, known, found, n_bands):  # type: ignore[no-untyped-def]
    """Search the chosen objects one after the other, into the rows of ``found``."""
    times, values, errors, all_offsets, chosen = curves
    shortest, longest, oversampling, max_frequencies = wanted
    n_peaks, n_harmonics, floor, double_odds, season_phase, relative = how
    ratios, kinds, orders = known
    periods, evidences, series, about, why_not = found
    prior, shared = series_prior(n_harmonics), np.empty(2 * n_harmonics)
    for place in chosen:
        offsets = all_offsets[place * n_bands : (place + 1) * n_bands + 1]
        start, stop = offsets[0], offsets[-1]
        offsets = offsets - start
        t = times[start:stop] - times[start:stop].min()
        x, variances, scale, common = scaled(values[start:stop], errors[start:stop], offsets, relative, ratios)
        first, step, count = _grid(t.max(), shortest, longest, oversampling, max_frequencies)
        why_not[place] = _UNSPANNED if count == 0 else _UNVARYING
        if count == 0 or not scale.max() > 0.0:
            continue
        w = 1.0 / (variances + floor * floor)
        power = np.empty(count)
        _power(t, x, w, offsets, (first, step), model, FASTEST, power)
        peaks = np.empty(max(n_peaks, _RANKED_PEAKS), np.int64)
        n_found = _peaks(power, count, peaks)
        if n_found == 0:
            continue
        row = about[place]
        row[0], row[1], row[2], row[3] = power[peaks[0]], _spread(t, w), t.size, _occupied(offsets)
        row[4], row[5], row[6] = count, t.max(), _evenness(power, peaks[:n_found])
        row[10] = first + step * (count - 0.5)
        centres = first + step * peaks[: min(n_found, n_peaks)]
        mean_scale = scale.sum() / (scale > 0.0).sum()
        best, row[9], row[11] = refine(
            (t, x, variances, offsets),
            centres,
            step,
            (first, 1.0 / shortest),
            (n_harmonics, orders, floor, double_odds, season_phase, kinds, mean_scale, common, relative),
            periods[place],
            evidences[place],
        )
        if not best > 0.0:
            why_not[place] = _OUTSIDE
            continue
        row[7], row[8] = widest_gap(t, best), max(window_power(t, w, best), window_power(t, w, 2.0 * best))
        row[8] = max(row[8], day_window(t, w, best))
        own = sinusoid_power(t, x, w, offsets, best)
        for k in range(len(POWER_RATES)):
            row[14 + k] = sinusoid_power(t, x, w, offsets, best / POWER_RATES[k]) / own
        fit_series(t, x, w, offsets, best, prior, shared, series[place])
        row[12], row[13] = _correlation(t, x, w, offsets, best, series[place])
        for b in range(n_bands):
            series[place, b] *= scale[b]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _correlation(t, x, w, offsets, frequency, series):  # type: ignore[no-untyped-def]
    """Return by how many errors what a series leaves over is correlated, and how many nights it is worth."""
    left = np.empty(t.size)
    residuals(t, x, w, offsets, frequency, series, left)
    rho, pairs = nightly_correlation(t, left, w, offsets)
    return rho * math.sqrt(pairs), (pairs + _occupied(offsets)) * (1.0 - rho) / (1.0 + rho)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _evenness(power, peaks):  # type: ignore[no-untyped-def]
    """Return 1 - H / ln n of the highest peaks; NaN for one peak alone."""
    total, entropy = 0.0, 0.0
    n = min(peaks.size, _RANKED_PEAKS)
    for k in range(n):
        total += power[peaks[k]]
    for k in range(n):
        share = power[peaks[k]] / total
        entropy -= share * math.log(share)
    return 1.0 - entropy / math.log(n) if n > 1 else math.nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _spread(t, w):  # type: ignore[no-untyped-def]
    mean = (w * t).sum() / w.sum()
    return math.sqrt((w * (t - mean) ** 2).sum() / w.sum())


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _occupied(offsets):  # type: ignore[no-untyped-def]
    count = 0
    for b in range(offsets.size - 1):
        count += offsets[b + 1] > offsets[b]
    return count
