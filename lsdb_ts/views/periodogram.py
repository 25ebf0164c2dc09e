"""Pictures of periodograms: power, aliases, false-alarm levels, window function, fold. Power is computed by kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.schema import Roles
from lsdb_ts.views.epochs import Epochs
from lsdb_ts.views.lightcurve import plot_folded, read_epochs
from lsdb_ts.views.style import INK, SOFT_INK, dress, halo, pyplot, title
from lsdb_ts.views.thinning import extremes

if TYPE_CHECKING:
    from lsdb_ts.kernels.periods.grid import FrequencyGrid

_LINE, _MARK, _ALIAS = "#7089b0", "#b83a08", "#5b6270"
_MIN_EPOCHS = 4
"""Bands of fewer epochs say nothing of a period beside their own mean."""
_PIXELS = 4000
"""Stretches of a long periodogram of which only the extremes are drawn."""
_REFINED = 50
"""The highest peak is looked for again between its neighbours, this many times finer."""
_OVERSAMPLING, _MAX_FREQUENCIES = 5.0, 200_000
_ERROR_FLOOR = 0.3
"""Least error, in units of a band's scatter: no sinusoid fits a real star better."""
_DAY, _YEAR = 1.0, 1.0 / 365.25
_DECADE = 4.0
"""Periods are on a logarithmic axis where the longest is this many times the shortest."""
_EDGE = 0.06
"""Labels of lines this near to an end of the axis are written to the inside of them."""
_LEVEL = 0.065
"""Height of a line of labels, of the height of the picture."""


@dataclass(frozen=True, eq=False)
class _Samples:
    """Epochs as the kernels take them: band after band, each about its mean and in units of its scatter."""

    time_days: NDArray[np.float64]
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    offsets: NDArray[np.int64]

    @property
    def n_bands(self) -> int:
        return self.offsets.size - 1

    @classmethod
    def of(cls, epochs: Epochs) -> _Samples:
        parts = [part for band in epochs.bands if (part := _scaled(epochs, epochs.band == band)) is not None]
        time, values, weights = (np.concatenate([p[i] for p in parts] or [np.empty(0)]) for i in range(3))
        return cls(time, values, weights, np.cumsum([0, *(p[0].size for p in parts)]))

    def power(self, grid: FrequencyGrid, independent: bool) -> NDArray[np.float64]:
        from lsdb_ts.kernels.periods.periodogram import multiband_power

        return multiband_power(self.time_days, self.values, self.weights, self.offsets, grid, independent)

    def false_alarm(self, power: Any, grid: FrequencyGrid, independent: bool) -> NDArray[np.float64]:
        """Return the probability that noise alone has a peak this high on the grid."""
        from lsdb_ts.kernels.periods.false_alarm import false_alarm_probability

        mean = np.average(self.time_days, weights=self.weights)
        spread = np.sqrt(np.average((self.time_days - mean) ** 2, weights=self.weights))
        highest = grid.first + grid.step * (grid.count - 1)
        n = self.time_days.size
        return false_alarm_probability(power, highest, spread, n, self.n_bands, independent=independent)

    def power_at(self, probabilities: Sequence[float], grid: FrequencyGrid, independent: bool) -> NDArray[np.float64]:
        """Return the power whose false-alarm probability is as given; none where there are too few epochs to tell."""
        if np.isnan(self.false_alarm(0.5, grid, independent)):
            return np.empty(0)
        low, high = np.zeros(len(probabilities)), np.ones(len(probabilities))
        for _ in range(60):
            middle = 0.5 * (low + high)
            likely = self.false_alarm(middle, grid, independent) > np.asarray(probabilities)
            low, high = np.where(likely, middle, low), np.where(likely, high, middle)
        return high


def plot_periodogram(
    curve: Any,
    *,
    grid: FrequencyGrid | None = None,
    period_range_days: tuple[float, float] = (0.1, 1000.0),
    period_days: float | None = None,
    against: Literal["period", "frequency"] = "period",
    independent: bool = False,
    false_alarm: Sequence[float] = (0.1, 0.001),
    window: bool = False,
    folded: bool = False,
    as_mag: bool = False,
    heading: str = "",
    roles: Roles | None = None,
    zero_point: float | None = None,
    ax: Any = None,
) -> NDArray[np.object_]:
    """Draw the multiband Lomb-Scargle power of a light curve, with its best period and the aliases of it marked.

    Aliases are the frequencies half and twice that of the best period, and those a day or a year away from it
    (``f +- 1 / d``, ``f +- 1 / 365.25 d``). Flagged epochs are left out; each band is taken about its mean in units of
    its scatter, with errors of no less than 0.3 of that.

    Parameters
    ----------
    curve : light curve, or numpy.ndarray of float64
        One object's measurements, in a shape that :func:`plot_lightcurve` takes, or power that was computed before.
    grid : FrequencyGrid, optional
        Frequencies in cycles per day; needed with power. By default they span ``period_range_days``.
    period_range_days : tuple of float
        Shortest and longest period; none longer than the light curve is tried.
    period_days : float, optional
        Period to mark and to fold on; by default that of the highest peak.
    against : str
        ``"period"`` or ``"frequency"``.
    independent : bool
        Whether each band has a sinusoid of its own; by default they share one.
    false_alarm : sequence of float
        False-alarm probabilities whose power is drawn as lines; not with power alone. They hold for white noise, see
        :func:`~lsdb_ts.kernels.periods.false_alarm.false_alarm_probability`.
    window, folded : bool
        Draw the window function, and the light curve folded on the period, below.
    as_mag, roles, zero_point
        As for :func:`plot_lightcurve`.
    heading : str
        Title, for example the object's id.
    ax : matplotlib.axes.Axes or sequence of them, optional
        Axes to draw on, one for each picture; new ones by default.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        Power; window function and fold where asked for.
    """
    if against not in {"period", "frequency"}:
        raise PlanError(f'against="{against}": need "period" or "frequency"')
    if period_days is not None and not (np.isfinite(period_days) and period_days > 0):
        raise PlanError(f"a period of {period_days} days: need a finite number more than 0")
    samples, power, grid = _power_of(curve, grid, period_range_days, independent, roles, as_mag, zero_point)
    if samples is None and (window or folded):
        raise PlanError("power alone has no window function and cannot be folded: give the light curve")
    axes = _axes(ax, 1 + window + folded, folded)
    best = 1.0 / period_days if period_days is not None else _best(samples, power, grid, independent)
    note = _note(samples, power, grid, best, independent, chosen=period_days is not None)
    title(axes[0], heading or "Periodogram", note)
    if not power.any() or best is None:
        _say_too_few(axes[0])
    else:
        dress(axes[0])
        levels = samples.power_at(false_alarm, grid, independent) if samples is not None else np.empty(0)
        _draw_power(axes[0], grid, power, levels, against)
        _mark(axes[0], best, grid, against)
        _name_levels(axes[0], levels, false_alarm)
    if window and samples is not None and grid.count:
        _draw_window(axes[1], samples, grid, against)
        axes[0].set_xlabel("")
    elif window:
        _say_too_few(axes[1])
    if folded and best is not None:
        plot_folded(curve, 1.0 / best, heading="Fold", as_mag=as_mag, roles=roles, zero_point=zero_point, ax=axes[-1])
    elif folded:
        _say_too_few(axes[-1])
    return axes


def _say_too_few(ax: Any) -> None:
    dress(ax)
    ax.text(0.5, 0.5, "too few epochs", transform=ax.transAxes, ha="center", va="center", color=SOFT_INK)


def _power_of(
    curve: Any,
    grid: FrequencyGrid | None,
    period_range_days: tuple[float, float],
    independent: bool,
    roles: Roles | None,
    as_mag: bool,
    zero_point: float | None,
) -> tuple[_Samples | None, NDArray[np.float64], FrequencyGrid]:
    if isinstance(curve, np.ndarray) and curve.ndim == 1 and curve.dtype.kind == "f":
        if grid is None or grid.count != curve.size:
            needs = f"one of {curve.size:,} frequencies, not of {grid.count:,}" if grid else "the grid it is on"
            raise PlanError(f"power alone needs {needs}: plot_periodogram(power, grid=...)")
        return None, curve.astype(np.float64), grid
    from lsdb_ts.kernels.periods.grid import FrequencyGrid

    samples = _Samples.of(read_epochs(curve, roles, as_mag, zero_point))
    if grid is None:
        baseline = float(np.ptp(samples.time_days)) if samples.time_days.size else 0.0
        grid = FrequencyGrid.spanning(baseline, period_range_days, _OVERSAMPLING, _MAX_FREQUENCIES)
    power = samples.power(grid, independent) if samples.n_bands and grid.count else np.zeros(grid.count)
    return samples, power, grid


def _scaled(epochs: Epochs, of_band: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...] | None:
    """Return times, values and weights of a band, or None where there is nothing to be had from it."""
    rows = of_band & epochs.measured & epochs.good
    known = rows & np.isfinite(epochs.error) & (epochs.error > 0)
    rows = known if known.any() else rows
    values, errors = epochs.value[rows], np.where(known, epochs.error, 0.0)[rows]
    if values.size < _MIN_EPOCHS or not np.ptp(values) > 0.0:
        return None
    # Epochs of errors far beyond the others' say nothing of the scatter.
    sensible = 1.0 / (errors**2 + max(float(np.median(errors)), 1e-6 * float(np.ptp(values))) ** 2)
    mean = np.average(values, weights=sensible)
    variance, noise = (np.average(squares, weights=sensible) for squares in ((values - mean) ** 2, errors**2))
    # Where errors are larger than the scatter, a tenth of it keeps the band from being divided by nothing.
    scatter = np.sqrt(max(variance - noise, 0.01 * variance))
    weights = 1.0 / ((errors / scatter) ** 2 + _ERROR_FLOOR**2)
    return epochs.time_days[rows], (values - mean) / scatter, weights


def _best(samples: _Samples | None, power: NDArray[np.float64], grid: FrequencyGrid, independent: bool) -> float | None:
    """Return the frequency of the highest peak, finer than the grid where there are epochs to tell."""
    from lsdb_ts.kernels.periods.grid import FrequencyGrid
    from lsdb_ts.kernels.periods.periodogram import highest_peaks

    peaks = highest_peaks(power, 1)
    if peaks.size == 0:
        return None
    found = float(grid.frequencies[peaks[0]])
    if samples is None:
        return found
    around = FrequencyGrid(max(found - grid.step, 0.5 * found), grid.step / _REFINED, 2 * _REFINED + 1)
    return float(around.frequencies[samples.power(around, independent).argmax()])


def _aliases(best: float) -> dict[str, float]:
    """Return the frequencies that are easily taken for the best one, by what they are called."""
    return {
        "P/2": 2.0 * best,
        "2P": 0.5 * best,
        "+1/d": best + _DAY,
        "−1/d": abs(best - _DAY),
        "+1/yr": best + _YEAR,
        "−1/yr": abs(best - _YEAR),
    }


def _axes(ax: Any, n: int, folded: bool) -> NDArray[np.object_]:
    if ax is None:
        heights = [3.4, *[1.7] * (n - 1 - folded), *[3.0] * folded]
        shape = {"figsize": (8.6, sum(heights)), "height_ratios": heights, "squeeze": False}
        return np.array(pyplot().subplots(n, 1, layout="constrained", **shape)[1][:, 0], dtype=object)
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if axes.size != n:
        raise PlanError(f"{n} pictures were asked for and {axes.size} axes given: need one for each")
    return axes


def _note(
    samples: _Samples | None,
    power: NDArray[np.float64],
    grid: FrequencyGrid,
    best: float | None,
    independent: bool,
    chosen: bool,
) -> str:
    if best is None or not power.any():
        return ""
    told = [f"{'period' if chosen else 'highest peak'} {1.0 / best:.7g} d"]
    if samples is not None:
        probability = float(samples.false_alarm(power.max(), grid, independent))
        if not chosen and np.isfinite(probability):
            told.append(f"false-alarm probability {f'{probability:.1g}' if probability >= 1e-12 else '< 1e-12'}")
        bands = f"{samples.n_bands} band{'s' if samples.n_bands != 1 else ''}"
        how = f"{bands}, {'each its own phase' if independent else 'one phase'}" if samples.n_bands > 1 else bands
        told.append(f"{samples.time_days.size:,} epochs in {how}")
    return ", ".join(told)


def _place(frequency: Any, against: str) -> Any:
    """Return where frequencies are on the axis."""
    return 1.0 / np.asarray(frequency) if against == "period" else np.asarray(frequency)


def _dress_frequencies(ax: Any, grid: FrequencyGrid, against: str) -> None:
    dress(ax)
    ends = _place(grid.frequencies[[0, -1]], against)
    low, high = float(ends.min()), float(ends.max())
    if against == "period" and high > _DECADE * low:
        from matplotlib.ticker import LogLocator, NullFormatter

        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 1e3 * low else (1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
    if low < high:
        ax.set_xlim(low, high)
    ax.set_xlabel("period (days)" if against == "period" else "frequency (cycles per day)")


def _line(ax: Any, grid: FrequencyGrid, values: NDArray[np.float64], against: str) -> None:
    x = _place(grid.frequencies, against)
    shown = extremes(np.log(x) if against == "period" else x, values, _PIXELS)
    ax.plot(x[shown], values[shown], color=_LINE, linewidth=0.7, rasterized=shown.size > _PIXELS, label="power")


def _draw_power(
    ax: Any, grid: FrequencyGrid, power: NDArray[np.float64], levels: NDArray[np.float64], against: str
) -> None:
    _line(ax, grid, power, against)
    _dress_frequencies(ax, grid, against)
    top = max(float(power.max()), float(levels.max(initial=0.0)))
    ax.set_ylim(0.0, top * 1.05)
    ax.set_ylabel("power", color=INK)
    for level in levels:
        ax.axhline(level, color=INK, linewidth=0.9, linestyle=(0, (5, 3)), zorder=3, label="false alarm")


def _mark(ax: Any, best: float, grid: FrequencyGrid, against: str) -> None:
    """Draw lines at the best period and at its aliases, with labels above the power that do not meet."""
    low, high = sorted(ax.get_xlim())
    along = ax.transData + ax.transAxes.inverted()
    last = grid.first + grid.step * (grid.count - 1)
    within = {name: f for name, f in _aliases(best).items() if grid.first <= f <= last}
    names = {f"{1.0 / best:.6g} d": best, **within}
    labels: list[tuple[float, str, bool]] = []
    for name, frequency in names.items():
        x = float(_place(frequency, against))
        if not low <= x <= high:
            continue
        first = frequency == best
        style = {"color": _MARK if first else _ALIAS, "linestyle": "-" if first else (0, (2, 2))}
        ax.axvline(x, linewidth=1.0 if first else 0.9, zorder=1.2, label=name, alpha=0.9, **style)
        labels.append((float(along.transform((x, 0.0))[0]), name, first))
    labels = _merged(labels)
    wide = ax.bbox.width * 72.0 / ax.figure.dpi
    rows = _rows([(place, 4.9 * len(name) / wide) for place, name, _ in labels])
    room = 0.02 + _LEVEL * (1 + max(rows, default=0))
    ax.set_ylim(0.0, ax.get_ylim()[1] / (1.0 - room))
    for (place, name, first), row in zip(labels, rows, strict=True):
        side = "left" if place < _EDGE else "right" if place > 1.0 - _EDGE else "center"
        where = {"x": place, "y": 0.985 - _LEVEL * row, "transform": ax.transAxes, "ha": side, "va": "top"}
        text = ax.text(s=name, fontsize=8, color=_MARK if first else SOFT_INK, **where)
        text.set_fontweight("bold" if first else "normal")
        halo(text)


def _merged(labels: list[tuple[float, str, bool]]) -> list[tuple[float, str, bool]]:
    """Join the labels of lines that cannot be told apart, so that ``+1/yr`` and ``-1/yr`` become one."""
    merged: list[tuple[float, str, bool]] = []
    for place, name, first in labels:
        near = next((i for i, (other, _, _) in enumerate(merged) if abs(other - place) < 0.006), None)
        if near is None:
            merged.append((place, name, first))
        else:
            there, said, best = merged[near]
            both = said.replace("+1/yr", "±1/yr") if name == "−1/yr" and "+1/yr" in said else f"{said}, {name}"
            merged[near] = (there, both, best or first)
    return merged


def _rows(labels: list[tuple[float, float]]) -> list[int]:
    """Return a row for each label of a place and a width, so that none overlaps another in its row."""
    rows, taken = list[int](), list[list[tuple[float, float]]]()
    for place, width in labels:
        left = place if place < _EDGE else place - width if place > 1.0 - _EDGE else place - 0.5 * width
        free = (k for k, row in enumerate(taken) if all(left > end or left + width < start for start, end in row))
        row = next(free, len(taken))
        taken[row:] = taken[row:] or [[]]
        taken[row].append((left, left + width))
        rows.append(row)
    return rows


def _name_levels(ax: Any, levels: NDArray[np.float64], probabilities: Sequence[float]) -> None:
    """Write the false-alarm probabilities beside their lines, apart from each other."""
    top, free = ax.get_ylim()[1], -1.0
    for k in np.argsort(levels):
        free = max(levels[k] / top, free + 0.06)
        text = f"FAP {100 * probabilities[k]:g}%"
        ax.text(1.008, free, text, transform=ax.transAxes, fontsize=8, color=SOFT_INK, va="center", ha="left")


def _draw_window(ax: Any, samples: _Samples, grid: FrequencyGrid, against: str) -> None:
    _line(ax, grid, window_power(samples.time_days, samples.weights, grid), against)
    _dress_frequencies(ax, grid, against)
    ax.set_ylim(0.0, 1.02)
    ax.set_ylabel("window", color=INK)


def window_power(
    time_days: NDArray[np.float64], weights: NDArray[np.float64], grid: FrequencyGrid
) -> NDArray[np.float64]:
    """Return the window function ``|sum w exp(2 pi i f t)|^2 / (sum w)^2`` (Deeming 1975, Ap&SS 36, 137).

    On an equally spaced grid the exponential is a product of a coarse and a fine one, so the sum is a product of
    two small matrices.

    >>> from lsdb_ts.kernels.periods.grid import FrequencyGrid
    >>> grid = FrequencyGrid(0.25, 0.25, 4)
    >>> window_power(np.arange(100.0), np.ones(100), grid).round(6)
    array([0., 0., 0., 1.])
    """
    block = max(1, int(np.ceil(np.sqrt(grid.count))))
    n_blocks = -(-grid.count // block)
    found = np.zeros((n_blocks, block), dtype=np.complex128)
    time = time_days - (time_days.min() if time_days.size else 0.0)
    for start in range(0, time.size, 4096):
        t, w = time[start : start + 4096], weights[start : start + 4096]
        coarse = np.exp(2j * np.pi * np.outer(grid.first + grid.step * block * np.arange(n_blocks), t))
        fine = np.exp(2j * np.pi * np.outer(t, grid.step * np.arange(block)))
        found += (coarse * w) @ fine
    total = weights.sum()
    return np.abs(found.ravel()[: grid.count]) ** 2 / total**2 if total > 0 else np.zeros(grid.count)
