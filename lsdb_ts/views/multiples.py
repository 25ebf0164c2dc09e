"""Small multiples: the light curves of several objects in one figure. How one of them is drawn lives next door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.schema import Roles, is_nested, require
from lsdb_ts.views.epochs import Epochs, Stored
from lsdb_ts.views.lightcurve import (
    Looks,
    Unit,
    against_phase,
    against_time,
    flux_scale,
    legend_entries,
    note_on,
    read_epochs,
)
from lsdb_ts.views.style import band_styles, pyplot, title

MOST = 36
"""More light curves in one figure cannot be read."""
_WIDTHS = (6.4, 4.9, 4.2, 3.4, 2.9, 2.6)
"""Width in inches of a picture, by how many there are in a row."""
_IDS = ("objectId", "diaObjectId", "source_id", "oid", "id")
"""Names of ids that known surveys use, where roles do not tell."""
_SMALL = 3.2
"""Narrower pictures have smaller letters, and shorter notes."""


@dataclass(frozen=True)
class Panel:
    """One light curve of the figure, and what is said of it."""

    heading: str
    note: str
    curve: Any
    period_days: float | None


def plot_lightcurves(
    curves: Any,
    *,
    period_days: str | Mapping[str, float] | None = None,
    titles: str | Sequence[str] | None = None,
    lightcurve: str | None = None,
    limit: int = 12,
    share_x: bool = False,
    share_y: bool = False,
    as_mag: bool = False,
    n_columns: int | None = None,
    roles: Roles | None = None,
    zero_point: float | None = None,
) -> NDArray[np.object_]:
    """Draw several light curves side by side in one figure, folded or against time.

    Parameters
    ----------
    curves : mapping, pandas.DataFrame, pyarrow.Table, Catalog or LightCurveVerbs
        Title -> light curve, each in a shape that :func:`plot_lightcurve` takes; or the rows of objects with a nested
        column, of which the first ones are drawn. A catalog computes these rows, and of them what is drawn; so do
        ``catalog.curves("lc")`` and its steps.
    period_days : str or mapping, optional
        Column that holds the period of each object in days, as ``"period"`` or ``"features_multiband.period"``, or
        title -> period. Curves with a period are folded on it, the others drawn against time.
    titles : str or sequence of str, optional
        Columns that make up the titles: the first is the heading, for example ``["objectId", "class"]``. By default
        the one with the ids. The period is added by itself.
    lightcurve : str, optional
        The nested column; by default the only one.
    limit : int
        Rows to draw of a catalog or a frame, at most 36.
    share_x, share_y : bool
        Give all pictures against time the same times, and all pictures the same fluxes or magnitudes. By default each
        has its own.
    as_mag, roles, zero_point
        As for :func:`plot_lightcurve`.
    n_columns : int, optional
        Pictures in a row; by default as many as rows.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes, shape (number of curves,)

    Raises
    ------
    PlanError
        There are no light curves, more than 36, or there is no such column.
    """
    if not 1 <= limit <= MOST:
        raise PlanError(f"limit={limit}: need 1 to {MOST} light curves in a figure")
    if n_columns is not None and n_columns < 1:
        raise PlanError(f"n_columns={n_columns}: need 1 at least")
    if hasattr(curves, "assign") and hasattr(curves, "steps") and hasattr(curves, "column"):
        curves, lightcurve = curves.assign(), curves.column
    panels = _panels(curves, period_days, titles, lightcurve, limit)
    if not panels:
        raise PlanError("no light curves to plot: need at least one, in a mapping of title -> light curve or in rows")
    if len(panels) > MOST:
        raise PlanError(f"{len(panels):,} light curves in one figure cannot be read: need at most {MOST}")
    wide = min(n_columns or int(np.ceil(np.sqrt(len(panels)))), len(panels))
    rows = -(-len(panels) // wide)
    width = _WIDTHS[min(wide, len(_WIDTHS)) - 1]
    size = (width * wide, max(0.66 * width, 1.9) * rows + 0.4)
    figure, grid = pyplot().subplots(rows, wide, figsize=size, layout="constrained", squeeze=False)
    axes = grid.flat[: len(panels)]
    layers = [(read_epochs(panel.curve, roles, as_mag, zero_point),) for panel in panels]
    looks = band_styles(band for (epochs,) in layers for band in epochs.bands)
    shared = flux_scale([epochs for (epochs,) in layers]) if share_y else None
    for ax, panel, epochs in zip(axes, panels, layers, strict=True):
        _draw(ax, panel, epochs, shared or flux_scale(epochs), looks, width)
    for ax in grid.flat[len(panels) :]:
        ax.remove()
    if share_x:
        _share(axes, [i for i, panel in enumerate(panels) if panel.period_days is None], "x")
    if share_y:
        _share(axes, range(len(panels)), "y")
    _keep_outer_labels(axes, wide)
    _share_legend(figure, axes, looks, wide * width)
    return np.array(axes, dtype=object)


def _panels(
    curves: Any,
    period_days: str | Mapping[str, float] | None,
    titles: str | Sequence[str] | None,
    lightcurve: str | None,
    limit: int,
) -> list[Panel]:
    if isinstance(curves, Mapping):
        if isinstance(period_days, str) or titles is not None or lightcurve is not None:
            raise PlanError("columns are named, but the light curves come as title -> curve: give rows of objects")
        periods = period_days or {}
        return [Panel(str(name), "", curve, _period(periods.get(name))) for name, curve in curves.items()]
    if period_days is not None and not isinstance(period_days, str):
        raise PlanError("periods by title need light curves by title; of rows, name the column with the periods")
    named = [titles] if isinstance(titles, str) else titles
    table, nested, titled = _rows(curves, lightcurve, named, period_days, limit)
    cells = list(table.column(nested))
    if hasattr(curves, "iloc"):
        cells = [Stored.of(curves, nested, cell) for cell in cells]
    return list(_panels_of_rows(table, cells, titled, period_days))


def _rows(
    curves: Any, lightcurve: str | None, titles: Sequence[str] | None, period: str | None, limit: int
) -> tuple[pa.Table, str, list[str]]:
    """Return the rows to draw, the name of their light curves, and the columns of their titles."""
    schema, take = _source(curves, limit)
    nested = _nested(schema, lightcurve)
    if titles is None:
        known = Roles.find(schema).id or next((name for name in _IDS if name in schema.names), None)
        titles = [known] if known else []
    named = [*titles, *([period] if period else [])]
    require(schema, named, "the rows of light curves")
    bases = [name if name in schema.names else name.partition(".")[0] for name in named]
    return take(list(dict.fromkeys([nested, *bases]))), nested, list(titles)


def _source(curves: Any, limit: int) -> tuple[pa.Schema, Any]:
    """Return the schema of a table, frame or catalog, and a function from columns to the first rows."""
    if isinstance(curves, pa.Table):
        return curves.schema, lambda columns: curves.select(columns).slice(0, limit)
    if hasattr(curves, "plan") and hasattr(curves, "schema"):
        return curves.schema, lambda columns: _first_rows(curves[columns], limit)
    if hasattr(curves, "columns") and hasattr(curves, "iloc"):
        from lsdb_ts.plan.functions.frame import from_frame

        table = from_frame(curves.iloc[:limit])
        return table.schema, table.select
    raise PlanError(
        f"a {type(curves).__name__} holds no light curves: need a mapping of title -> light curve, a catalog, or a "
        "frame with a nested column"
    )


def _first_rows(catalog: Any, n: int) -> pa.Table:
    from lsdb_ts.plan.node import whole
    from lsdb_ts.run.execute import first_rows

    return first_rows(catalog.plan, whole(catalog.plan), n)


def _nested(schema: pa.Schema, name: str | None) -> str:
    nested = [column.name for column in schema if is_nested(column)]
    if name is not None and name not in nested:
        raise PlanError(f'there is no nested column "{name}"; {did_you_mean(name, nested)}')
    if not nested or (name is None and len(nested) > 1):
        found = f"several nested columns ({', '.join(nested)})" if nested else "no nested column"
        raise PlanError(f'these rows have {found}: name the one with the light curves, lightcurve="..."')
    return name or nested[0]


def _panels_of_rows(
    table: pa.Table, curves: Sequence[Any], titles: Sequence[str], period: str | None
) -> Iterator[Panel]:
    words = [_values(table, name) for name in titles]
    periods = _values(table, period) if period else [None] * table.num_rows
    for i in range(table.num_rows):
        told = [_text(column[i]) for column in words] or [f"row {i}"]
        yield Panel(told[0], ", ".join(told[1:]), curves[i], _period(periods[i]))


def _values(table: pa.Table, name: str) -> list[Any]:
    """Return the values of a column, or of a part of a struct column."""
    if name in table.column_names:
        return list(table.column(name).to_pylist())
    base, _, part = name.partition(".")
    return [None if row is None else row[part] for row in table.column(base).to_pylist()]


def _text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _period(value: Any) -> float | None:
    """Return a period that can be folded on, or None."""
    return float(value) if value is not None and np.isfinite(value) and value > 0 else None


def _draw(ax: Any, panel: Panel, layers: tuple[Epochs], unit: Unit, looks: Looks, width: float) -> None:
    period, small, size = panel.period_days, width < _SMALL, min(1.0, width / 4.5)
    if period is None:
        against_time(ax, layers, unit, looks, size)
        ax.xaxis.set_major_locator(_few(3 if small else 5))
    else:
        against_phase(ax, layers, unit, looks, period, size=size)
    told = [panel.note, f"{period:.7g} d" if period is not None else "", "" if small else note_on(layers, ax)]
    title(ax, panel.heading, ", ".join(text for text in told if text), small=small)
    if small:
        ax.tick_params(labelsize=7.5)
        ax.xaxis.label.set_fontsize(8.5)
        ax.yaxis.label.set_fontsize(8.5)


def _few(n: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=n, steps=[1, 2, 5, 10], min_n_ticks=2)


def _share(axes: Sequence[Any], places: Sequence[int], axis: str) -> None:
    """Give pictures the widest limits among them."""
    limits = np.array([sorted(getattr(axes[i], f"get_{axis}lim")()) for i in places])
    for i in places:
        ax = axes[i]
        ends = (float(limits[:, 0].min()), float(limits[:, 1].max()))
        turned = getattr(ax, f"{axis}axis_inverted")()
        getattr(ax, f"set_{axis}lim")(*(ends[::-1] if turned else ends))


def _keep_outer_labels(axes: Sequence[Any], wide: int) -> None:
    """Leave out labels of axes that say the same as those below or to the left."""
    for i, ax in enumerate(axes):
        below = i + wide
        if below < len(axes) and axes[below].get_xlabel() == ax.get_xlabel():
            ax.set_xlabel("")
    for i, ax in reversed(list(enumerate(axes))):
        if i % wide and axes[i - 1].get_ylabel() == ax.get_ylabel():
            ax.set_ylabel("")


def _share_legend(figure: Any, axes: Sequence[Any], looks: Looks, width: float) -> None:
    """Replace the legends of the pictures by a single one below them."""
    names, handles = legend_entries(axes, looks)
    for ax in axes:
        if ax.get_legend() is not None:
            ax.get_legend().remove()
    if names:
        per_row = max(1, min(len(names), int(width / 0.9)))
        where = {"loc": "outside lower center", "ncols": per_row}
        figure.legend(handles, names, frameon=False, fontsize=9, handletextpad=0.1, **where)
