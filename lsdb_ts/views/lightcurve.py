"""Pictures of light curves: against time, and folded on a period. Several at a time are drawn next door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.schema import Roles
from lsdb_ts.views.epochs import Epochs, time_scale
from lsdb_ts.views.style import INK, SOFT_INK, BandStyle, arrow_down, band_style, band_styles, dress, pyplot, title

FLAGGED, LIMIT, FORCED = "flagged", "upper limit", "forced"
"""Legend entries that are no bands: hollow markers, arrows, and small ones."""
_MANY = 2000
"""Of more epochs than this, vector formats get a picture of the points, not each one."""
_BARS = 10_000
"""Of more epochs than this no error bars are drawn: they would be one block."""
Unit = tuple[float, str | None]
"""How many of the unit of the values one unit of the axis is, and its name."""
Looks = Mapping[str, BandStyle]
"""Styles of the bands of a figure, bluest first."""
_LONG_BARS = 5.0
"""Error bars count for the limits of the axis up to so many times the median error."""


def plot_lightcurve(
    curve: Any,
    *,
    heading: str = "",
    as_mag: bool = False,
    forced: Any = None,
    roles: Roles | None = None,
    forced_roles: Roles | None = None,
    zero_point: float | None = None,
    ax: Any = None,
) -> Any:
    """Draw one light curve against time, each band in its survey's colour and with a marker of its own.

    Errors are bars, flagged epochs hollow, non-detections with a known limit arrows that point down. Fluxes may be
    negative; those with a zero point are drawn in nJy.

    Parameters
    ----------
    curve : pandas.Series, pandas.DataFrame, pyarrow.StructScalar, pyarrow.Table or mapping of arrays
        One object's measurements: the row of an object, for example ``objects.compute().iloc[0]``, or the light curve
        itself. A cell, ``objects.compute()["lc"].iloc[0]``, has lost its units and roles, and goes by its names.
    heading : str
        Title, for example the object's id.
    as_mag : bool
        Turn fluxes into AB magnitudes. Those below 3 sigma are shown as limits of 5 sigma; epochs without a positive
        flux and without an error are counted, not shown. The unit of the fluxes, or their zero point, must be known.
    forced : optional
        Forced photometry of the same object, in any shape that a curve has: drawn smaller and paler, behind it.
    roles : Roles, optional
        Which column is which; by default known from metadata and well-known names.
    forced_roles : Roles, optional
        The same for the forced photometry.
    zero_point : float, optional
        AB magnitude of one unit of the fluxes, those of the forced photometry too; by default as their unit or a column
        tells.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    layers = _layers(curve, forced, roles, forced_roles, as_mag, zero_point)
    ax = ax if ax is not None else pyplot().subplots(figsize=(8.0, 3.8), layout="constrained")[1]
    against_time(ax, layers, flux_scale(layers), _looks_beside(ax, layers))
    title(ax, heading or "Light curve", note_on(layers, ax))
    return ax


def plot_folded(
    curve: Any,
    period_days: float,
    *,
    heading: str = "",
    epoch_mjd: float | None = None,
    as_mag: bool = False,
    forced: Any = None,
    roles: Roles | None = None,
    forced_roles: Roles | None = None,
    zero_point: float | None = None,
    ax: Any = None,
) -> Any:
    """Draw one light curve folded on a period, two cycles of it.

    Phase is ``(t - epoch) / period mod 1``.

    Parameters
    ----------
    curve : pandas.Series, pandas.DataFrame, pyarrow.StructScalar, pyarrow.Table or mapping of arrays
        One object's measurements, as for :func:`plot_lightcurve`.
    period_days : float
        The period, in days; more than 0.
    heading : str
        Title, for example the object's id.
    epoch_mjd : float, optional
        Time of phase 0, counted as the times of the curve are; the first epoch by default.
    as_mag, forced, roles, forced_roles, zero_point, ax
        As for :func:`plot_lightcurve`.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if not (np.isfinite(period_days) and period_days > 0):
        raise PlanError(f"a period of {period_days} days: need a finite number more than 0")
    layers = _layers(curve, forced, roles, forced_roles, as_mag, zero_point)
    ax = ax if ax is not None else pyplot().subplots(figsize=(6.4, 3.8), layout="constrained")[1]
    against_phase(ax, layers, flux_scale(layers), _looks_beside(ax, layers), period_days, epoch_mjd)
    title(ax, heading or "Folded light curve", f"period {period_days:.7g} d, {note_on(layers, ax)}")
    return ax


def against_time(ax: Any, layers: Sequence[Epochs], unit: Unit, looks: Looks, size: float = 1.0) -> None:
    """Draw a light curve, and behind it forced photometry where there is some, against time."""
    _draw_layers(ax, layers, [epochs.time_days for epochs in layers], unit, looks, size)
    times = np.concatenate([epochs.time_days[epochs.measured | epochs.limited] for epochs in layers])
    if times.size and not np.ptp(times):
        ax.set_xlim(times[0] - 1.0, times[0] + 1.0)
    scale = time_scale(times)
    ax.set_xlabel(f"time ({scale}, days)" if scale else "time (days)")
    ax.ticklabel_format(axis="x", style="plain", useOffset=False)


def against_phase(
    ax: Any,
    layers: Sequence[Epochs],
    unit: Unit,
    looks: Looks,
    period_days: float,
    epoch_mjd: float | None = None,
    size: float = 1.0,
) -> None:
    """Draw two cycles of a light curve, and behind it forced photometry where there is some."""
    zero = epoch_mjd if epoch_mjd is not None else _first(layers[0])
    phases = [np.mod((epochs.time_days - zero) / period_days, 1.0) for epochs in layers]
    _draw_layers(ax, layers, phases, unit, looks, size)
    for depth, (epochs, phase) in enumerate(zip(layers, phases, strict=True)):
        smaller = size * (0.6 if depth else 1.0)
        _draw(ax, epochs, phase + 1.0, unit[0], looks, set(epochs.bands), smaller, behind=depth > 0)
    ax.axvline(1.0, color=SOFT_INK, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0.5)
    ax.set_xlim(0, 2)
    ax.set_xlabel("phase")


def _draw_layers(
    ax: Any, layers: Sequence[Epochs], places: Sequence[NDArray[np.float64]], unit: Unit, looks: Looks, size: float
) -> None:
    scale, name = unit
    drawn_before = sorted(ax.get_ylim()) if ax.has_data() else []
    seen: set[str] = set()
    for depth, (epochs, x) in enumerate(zip(layers, places, strict=True)):
        _draw(ax, epochs, x, scale, looks, seen, size * (0.6 if depth else 1.0), behind=depth > 0)
    dress(ax)
    ends = [*_range(layers, scale), *drawn_before]
    ax.set_ylim(min(ends), max(ends))
    if layers[0].is_mag:
        ax.yaxis.set_inverted(True)
    elif ax.get_ylim()[0] < 0 < ax.get_ylim()[1]:
        ax.axhline(0.0, color=SOFT_INK, linewidth=0.7, zorder=0.5)
    what = "magnitude" if layers[0].is_mag else "flux"
    ax.set_ylabel(f"{what} ({name})" if name else what, color=INK)
    if not any(len(epochs) for epochs in layers):
        ax.text(0.5, 0.5, "no epochs", transform=ax.transAxes, ha="center", va="center", color=SOFT_INK)
    _explain(ax, layers, looks)


def flux_scale(layers: Sequence[Epochs]) -> Unit:
    """Choose the unit in which bright fluxes have short numbers, and return it with its size."""
    bright = max((float(np.abs(e.value[e.measured]).max(initial=0.0)) for e in layers), default=0.0)
    if layers[0].is_mag or layers[0].unit != "nJy" or bright < 1e4:
        return 1.0, layers[0].unit
    return (1e3, "µJy") if bright < 1e7 else (1e6, "mJy")


def note_on(layers: Sequence[Epochs], ax: Any) -> str:
    """Count what is drawn and what is not."""
    epochs = layers[0]
    low, high = sorted(ax.get_ylim())
    flagged = epochs.measured & ~epochs.good
    value = epochs.value / flux_scale(layers)[0]
    outside = int((flagged & ((value < low) | (value > high))).sum())
    missing = int((epochs.timely & ~epochs.measured & ~epochs.limited).sum())
    late = int((~epochs.timely).sum())
    counts = [
        _counted(int(epochs.measured.sum()), "epoch"),
        _counted(sum(int(e.measured.sum()) for e in layers[1:]), "forced", ""),
        _counted(sum(int(e.limited.sum()) for e in layers), "upper limit"),
        _counted(int(flagged.sum()), "flagged", "") + (f" ({outside:,} outside)" if outside else ""),
        f"{missing:,} without a {'magnitude' if epochs.is_mag else 'flux'} not shown" if missing else "",
        f"{late:,} without a possible time not shown" if late else "",
    ]
    if len(epochs) > _BARS:
        counts.append("errors not shown")
    return ", ".join(text for i, text in enumerate(counts) if i == 0 or (text and not text.startswith("0 ")))


def _counted(n: int, noun: str, plural: str = "s") -> str:
    return f"{n:,} {noun}{plural if n != 1 else ''}"


def _layers(
    curve: Any, forced: Any, roles: Roles | None, forced_roles: Roles | None, as_mag: bool, zero_point: float | None
) -> tuple[Epochs, ...]:
    """Read a light curve, and forced photometry in the same unit."""
    epochs = read_epochs(curve, roles, as_mag, zero_point)
    if forced is None:
        return (epochs,)
    beside = read_epochs(forced, forced_roles, epochs.is_mag, zero_point)
    names = ["magnitudes" if found.is_mag else found.unit for found in (epochs, beside)]
    if names[0] != names[1] and None not in names:
        raise PlanError(
            f"the light curve is in {names[0]} and the forced photometry in {names[1]}: "
            "need both in one unit, for example as_mag=True"
        )
    return epochs, beside


def read_epochs(curve: Any, roles: Roles | None, as_mag: bool, zero_point: float | None = None) -> Epochs:
    """Read a light curve as it is drawn: fluxes in nJy where that can be, or magnitudes."""
    epochs = Epochs.of(curve, roles, zero_point)
    return epochs.as_mag() if as_mag else epochs.in_njy()


def _looks_beside(ax: Any, layers: Sequence[Epochs]) -> Looks:
    """Return the styles of the bands of a light curve, unlike those that the figure of the axes shows already."""
    from matplotlib.colors import to_hex
    from matplotlib.container import ErrorbarContainer

    drawn: dict[str, BandStyle] = {}
    for beside in ax.figure.axes:
        for handle, name in zip(*beside.get_legend_handles_labels(), strict=True):
            line = handle.lines[0] if isinstance(handle, ErrorbarContainer) else None
            if line is not None and line.get_marker() != "None":
                drawn[name] = BandStyle(to_hex(line.get_color()), line.get_marker(), band_style(name).rank)
    return band_styles((band for epochs in layers for band in epochs.bands), drawn)


def _first(epochs: Epochs) -> float:
    times = epochs.time_days[epochs.timely]
    return float(times[0]) if times.size else 0.0


def _draw(
    ax: Any,
    epochs: Epochs,
    x: NDArray[np.float64],
    scale: float,
    looks: Looks,
    seen: set[str],
    size: float,
    *,
    behind: bool,
) -> None:
    """Draw the epochs of each band; bands in ``seen`` have their legend entry already."""
    there = set(epochs.bands)
    n = len(epochs)
    size *= float(np.clip(8.5 - 1.6 * np.log10(max(n, 1)), 1.2, 6.5))
    shared = {"rasterized": n > _MANY, "alpha": 0.5 if behind or n > _BARS else None}
    for band in (band for band in looks if band in there):
        look = looks[band]
        wide = size * (1.35 if look.marker in "*PX" else 1.15 if look.marker in "^v<>" else 1.0)
        of_band = epochs.band == band
        for good in (True, False):
            rows = of_band & (epochs.good == good) & epochs.measured
            if not rows.any():
                continue
            error = epochs.error[rows]
            known = np.isfinite(error) & (error > 0)
            edge = 0.4 if wide > 3.0 and look.marker != "*" else 0.0
            ax.errorbar(
                x[rows],
                epochs.value[rows] / scale,
                yerr=np.where(known, error, 0.0) / scale if known.any() and n <= _BARS else None,
                fmt=look.marker,
                color=look.colour,
                markersize=wide,
                markeredgecolor="white" if good else look.colour,
                markerfacecolor=look.colour if good else "none",
                markeredgewidth=edge if good else 0.8,
                elinewidth=0.8 if wide > 3.0 else 0.5,
                ecolor=(look.colour, 0.45),
                label=_entry(band, seen),
                zorder=1.8 if behind else 2,
                **shared,
            )
        rows = of_band & epochs.limited
        if rows.any():
            ax.plot(
                x[rows],
                epochs.limit[rows] / scale,
                linestyle="none",
                marker=arrow_down(),
                markersize=max(2.6 * size, 10.0),
                color=look.colour,
                markerfacecolor="none",
                markeredgewidth=0.9,
                label=_entry(band, seen),
                zorder=1.6,
                **shared,
            )


def _entry(band: str, seen: set[str]) -> str | None:
    """Return the legend entry of a band, once."""
    if not band or band in seen:
        return None
    seen.add(band)
    return band


def _range(layers: Sequence[Epochs], scale: float) -> tuple[float, float]:
    """Return the ends of the axis: good epochs, with bars of sensible length, limits, and flagged epochs near them."""
    ends: list[float] = []
    flagged = [epochs.value[epochs.measured & ~epochs.good] for epochs in layers]
    for epochs in layers:
        rows = epochs.measured & epochs.good
        error = np.where(np.isfinite(epochs.error[rows]) & (epochs.error[rows] > 0), epochs.error[rows], 0.0)
        if (error > 0).any():
            error = np.minimum(error, _LONG_BARS * np.median(error[error > 0]))
        for found in (epochs.value[rows] - error, epochs.value[rows] + error, epochs.limit[epochs.limited]):
            ends += [float(found.min()), float(found.max())] if found.size else []
    doubtful = np.concatenate(flagged)
    if ends:
        span = max(ends) - min(ends)
        doubtful = doubtful[(doubtful > min(ends) - span) & (doubtful < max(ends) + span)]
    ends += doubtful.tolist()
    low, high = (min(ends) / scale, max(ends) / scale) if ends else (0.0, 1.0)
    room = 0.05 * (high - low) or 0.5 * abs(high) or 0.5
    return low - room, high + room


def _explain(ax: Any, layers: Sequence[Epochs], looks: Looks) -> None:
    """Put the legend beside the picture, where it covers no points."""
    grey = {"color": SOFT_INK, "linestyle": "none", "markersize": 5.5}
    if any((epochs.measured & ~epochs.good).any() for epochs in layers):
        ax.plot([], [], marker="o", markerfacecolor="none", label=FLAGGED, **grey)
    if any(epochs.limited.any() for epochs in layers):
        ax.plot([], [], marker=arrow_down(), markerfacecolor="none", label=LIMIT, **{**grey, "markersize": 11})
    if len(layers) > 1:
        ax.plot([], [], marker="o", alpha=0.5, label=FORCED, **{**grey, "markersize": 3.5})
    names, handles = legend_entries([ax], looks)
    if names:
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.3}
        ax.legend(handles, names, frameon=False, fontsize=9, handletextpad=0.1, **place)


def legend_entries(axes: Sequence[Any], looks: Looks) -> tuple[list[str], list[Any]]:
    """Return the names in the legend of some pictures, each once: bands from blue to red, then what is no band."""
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(name, handle)
    bands = [name for name in looks if name in entries]
    kinds = [name for name in (FLAGGED, LIMIT, FORCED) if name in entries]
    others = [*(name for name in entries if name not in {*bands, *kinds}), *kinds]
    return [*bands, *others], [*(_mark_of(looks[band]) for band in bands), *(entries[name] for name in others)]


def _mark_of(look: BandStyle) -> Any:
    """Return the mark of a band in a legend, as large as that of few epochs, however many there are."""
    from matplotlib.lines import Line2D

    size = 7.5 if look.marker in "*PX" else 6.5 if look.marker in "^v<>" else 6.0
    return Line2D([], [], linestyle="none", marker=look.marker, color=look.colour, markersize=size, markeredgewidth=0)
