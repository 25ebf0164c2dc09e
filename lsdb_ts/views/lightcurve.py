"""Pictures of light curves: against time, folded on a period, several side by side. Periods are found elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.schema import Roles
from lsdb_ts.views.epochs import Epochs
from lsdb_ts.views.style import INK, SOFT_INK, band_style, dress, pyplot, title

FLAGGED = "flagged"
"""Legend entry of the hollow markers."""


def plot_lightcurve(
    curve: Any, *, heading: str = "", as_mag: bool = False, roles: Roles | None = None, ax: Any = None
) -> Any:
    """Draw one light curve against time, each band in its survey colour, with error bars.

    Parameters
    ----------
    curve : pandas.DataFrame, pyarrow.StructScalar, pyarrow.Table or mapping of arrays
        One object's measurements, for example ``objects.compute()["lc"].iloc[0]``.
    heading : str
        Title, for example the object's id.
    as_mag : bool
        Turn fluxes in nJy into AB magnitudes (epochs without a positive flux are counted, not shown).
    roles : Roles, optional
        Which column is which; by default known from metadata and well-known names.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    epochs = _read(curve, roles, as_mag)
    ax = ax if ax is not None else pyplot().subplots(figsize=(8.0, 3.8), layout="constrained")[1]
    _draw(ax, epochs, epochs.time_mjd)
    ax.set_xlabel("time (MJD, days)")
    ax.ticklabel_format(axis="x", style="plain", useOffset=False)
    title(ax, heading or "Light curve", _counts(epochs))
    return ax


def plot_folded(
    curve: Any,
    period_days: float,
    *,
    heading: str = "",
    epoch_mjd: float | None = None,
    as_mag: bool = False,
    roles: Roles | None = None,
    ax: Any = None,
) -> Any:
    """Draw one light curve folded on a period, two cycles of it.

    Phase is ``(t - epoch) / period mod 1``.

    Parameters
    ----------
    curve : pandas.DataFrame, pyarrow.StructScalar, pyarrow.Table or mapping of arrays
        One object's measurements.
    period_days : float
        The period, in days; more than 0.
    heading : str
        Title, for example the object's id.
    epoch_mjd : float, optional
        Time of phase 0; the first epoch by default.
    as_mag, roles, ax
        As for :func:`plot_lightcurve`.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if not (np.isfinite(period_days) and period_days > 0):
        raise PlanError(f"a period of {period_days} days: need a finite number more than 0")
    epochs = _read(curve, roles, as_mag)
    ax = ax if ax is not None else pyplot().subplots(figsize=(6.4, 3.8), layout="constrained")[1]
    zero = epoch_mjd if epoch_mjd is not None else (epochs.time_mjd[0] if len(epochs) else 0.0)
    phase = np.mod((epochs.time_mjd - zero) / period_days, 1.0)
    _draw(ax, epochs, phase)
    _draw(ax, epochs, phase + 1.0, second_cycle=True)
    ax.axvline(1.0, color=SOFT_INK, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0.5)
    ax.set_xlim(0, 2)
    ax.set_xlabel("phase")
    title(ax, heading or "Folded light curve", f"period {period_days:.7g} d, {_counts(epochs)}")
    return ax


def plot_lightcurves(
    curves: Mapping[str, Any],
    *,
    period_days: Mapping[str, float] | None = None,
    as_mag: bool = False,
    n_columns: int = 3,
    roles: Roles | None = None,
) -> NDArray[np.object_]:
    """Draw several light curves side by side in one figure.

    Parameters
    ----------
    curves : mapping
        Title -> light curve, each in a shape that :func:`plot_lightcurve` takes.
    period_days : mapping, optional
        Title -> period: those curves are folded, the others drawn against time.
    as_mag, roles
        As for :func:`plot_lightcurve`.
    n_columns : int
        Pictures in a row.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes, shape (len(curves),)
    """
    if not curves:
        raise PlanError("no light curves to plot: need at least one, as a mapping of title -> light curve")
    wide = min(n_columns, len(curves))
    rows = -(-len(curves) // wide)
    size = (4.3 * wide, 2.9 * rows)
    figure, axes = pyplot().subplots(rows, wide, figsize=size, layout="constrained", squeeze=False)
    for ax, (name, curve) in zip(axes.flat, curves.items(), strict=False):
        period = (period_days or {}).get(name)
        if period is None:
            plot_lightcurve(curve, heading=str(name), as_mag=as_mag, roles=roles, ax=ax)
        else:
            plot_folded(curve, period, heading=str(name), as_mag=as_mag, roles=roles, ax=ax)
    for ax in axes.flat[len(curves) :]:
        ax.remove()
    _share_legend(figure, axes.flat[: len(curves)])
    return np.array(axes.flat[: len(curves)], dtype=object)


def _read(curve: Any, roles: Roles | None, as_mag: bool) -> Epochs:
    epochs = Epochs.of(curve, roles)
    return epochs.as_mag() if as_mag else epochs


def _counts(epochs: Epochs) -> str:
    shown = int(np.isfinite(epochs.value).sum())
    note = f"{shown:,} epochs" if shown != 1 else "1 epoch"
    hidden = len(epochs) - shown
    return note + (f", {hidden:,} without a magnitude not shown" if hidden and epochs.is_mag else "")


def _draw(ax: Any, epochs: Epochs, x: NDArray[np.float64], *, second_cycle: bool = False) -> None:
    """Draw the epochs of each band at places ``x``."""
    bands = sorted(epochs.bands, key=lambda band: band_style(band, epochs.bands).rank)
    size = float(np.clip(8.5 - 1.6 * np.log10(max(len(epochs), 1)), 2.5, 6.5))
    scale, unit = _scale(epochs)
    for band in bands:
        look = band_style(band, epochs.bands)
        for good in (True, False):
            rows = (epochs.band == band) & (epochs.good == good) & np.isfinite(epochs.value)
            if not rows.any():
                continue
            error = epochs.error[rows]
            known = np.isfinite(error) & (error > 0)
            ax.errorbar(
                x[rows],
                epochs.value[rows] / scale,
                yerr=np.where(known, error, 0.0) / scale if known.any() else None,
                fmt=look.marker,
                color=look.colour,
                markersize=size * (1.25 if look.marker == "*" else 1.0),
                markeredgecolor="white" if good else look.colour,
                markerfacecolor=look.colour if good else "none",
                markeredgewidth=0.4 if good else 0.8,
                elinewidth=0.8,
                ecolor=(look.colour, 0.45),
                label=band if band and good and not second_cycle else None,
                zorder=2,
            )
    if second_cycle:
        return
    dress(ax)
    if epochs.is_mag:
        ax.yaxis.set_inverted(True)
    what = "magnitude" if epochs.is_mag else "flux"
    ax.set_ylabel(f"{what} ({unit})" if unit else what, color=INK)
    if len(epochs) == 0:
        ax.text(0.5, 0.5, "no epochs", transform=ax.transAxes, ha="center", va="center", color=SOFT_INK)
    if not epochs.good.all():
        ax.errorbar([], [], fmt="o", markersize=size, markerfacecolor="none", color=SOFT_INK, label=FLAGGED)
    if ax.get_legend_handles_labels()[1]:
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.3}
        ax.legend(frameon=False, fontsize=9, handletextpad=0.1, **place)


def _scale(epochs: Epochs) -> tuple[float, str | None]:
    """Choose the unit in which bright fluxes have short numbers."""
    bright = np.nanmax(np.abs(epochs.value)) if np.isfinite(epochs.value).any() else 0.0
    if epochs.is_mag or epochs.unit != "nJy" or bright < 1e4:
        return 1.0, epochs.unit
    return (1e3, "µJy") if bright < 1e7 else (1e6, "mJy")


def _share_legend(figure: Any, axes: Any) -> None:
    """Replace the legends of the pictures by a single one below them."""
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
        if ax.get_legend() is not None:
            ax.get_legend().remove()
    if entries:
        names = sorted(entries, key=lambda label: (label == FLAGGED, band_style(label).rank, label))
        handles = [entries[name] for name in names]
        figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 8), frameon=False, fontsize=9)
