"""Frames whose cells are light curves, as notebooks show them. The pictures in the cells are made next door."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from lsdb_ts.errors import PlanError
from lsdb_ts.schema import Roles
from lsdb_ts.views.epochs import Epochs, Stored
from lsdb_ts.views.sparkline import caption, sparkline
from lsdb_ts.views.style import band_styles

if TYPE_CHECKING:
    import pandas

_CELL = re.compile("\ue000(\\d+) (\\d+)\ue001")
"""Stands for a picture while pandas makes the table; these letters are no text's."""
_NESTED = (("nested_pandas.nestedframe.core", "NestedFrame"), ("nested_pandas.series.nestedseries", "NestedSeries"))


@dataclass(frozen=True, repr=False)
class Shown:
    """Something to look at, in HTML where that can be shown, else in words."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def show(what: Any, *, roles: Roles | None = None) -> Shown:
    """Show light curves in a notebook: one of them, a column of them, or a frame with a nested column.

    Frames from ``head()``, ``compute()`` and their like are shown like this by themselves where lsdb_ts runs in a
    notebook; this shows others too, and light curves whose columns have unusual names.

    Parameters
    ----------
    what : pandas.DataFrame, pandas.Series, or one light curve
        A frame or a series with nested columns, or one object's row or measurements, in a shape that
        :func:`~lsdb_ts.plot_lightcurve` takes.
    roles : Roles, optional
        Which column of the light curves is which; by default known from metadata and well-known names.

    Returns
    -------
    Shown
        Drawn by notebooks; its ``html`` can be written to a file.

    >>> show({"mjd": [1.0, 4.5], "mag": [18.0, 18.5], "band": ["g", "r"]})
    light curve: 2 epochs in g, r over 3.5 d
    """
    if hasattr(what, "to_frame") and hasattr(what, "dtype") and what.dtype != "object":
        what = what.to_frame()
    if hasattr(what, "dtypes") and not hasattr(what, "dtype") and _nested_columns(what):
        return Shown(_table(what, roles), repr(what))
    epochs = Epochs.of(what, roles)
    counts = {band: int((epochs.measured & (epochs.band == band)).sum()) for band in epochs.bands if band}
    looks = {band: look for band, look in band_styles(epochs.bands).items() if band}
    bands = " ".join(f'<b style="color:{looks[b].colour}">{escape(b)}</b>&nbsp;{counts[b]:,}' for b in looks)
    told = escape(caption(epochs, with_bands=False))
    line = f'<div style="font:12px system-ui,sans-serif;margin-top:3px">{told}&emsp;{bands}</div>'
    picture = sparkline(what, width=480, height=150, roles=roles)
    return Shown(f"<div>{picture}{line}</div>", f"light curve: {caption(epochs)}")


def draw_in_notebooks() -> None:
    """Let the running notebook, if there is one, draw the light curves of nested frames and series.

    The frames themselves stay what they are: only how this notebook shows them is changed, and only where they have
    light curves.
    """
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None else None
    if shell is None:
        return
    html = shell.display_formatter.formatters["text/html"]
    for module, name in _NESTED:
        html.for_type_by_name(module, name, nested_html)


def nested_html(what: Any) -> str | None:
    """Return the HTML of a nested frame or series, or None where pandas is told to show none."""
    import pandas as pd

    if not pd.get_option("display.notebook_repr_html"):
        return None
    if isinstance(what, pd.Series):
        return _table(what.to_frame(), None) if _nested_columns(what.to_frame()) else None
    if not _nested_columns(what):
        # As pandas shows it: nested-pandas would write structs, such as features, in full.
        return str(pd.DataFrame(what)._repr_html_())
    return _table(what, None) if what.columns.is_unique else what._repr_html_()


def _nested_columns(frame: pandas.DataFrame) -> list[int]:
    from nested_pandas import NestedDtype

    return [i for i, dtype in enumerate(frame.dtypes) if isinstance(dtype, NestedDtype)]


def _table(frame: pandas.DataFrame, roles: Roles | None) -> str:
    """Return a frame as pandas shows it, with a picture in each nested cell."""
    import pandas as pd

    table = pd.DataFrame(frame)
    formatters = {}
    for i in _nested_columns(frame):
        name = frame.columns[i]
        table[name] = np.arange(len(frame))
        formatters[name] = f"\ue000{i} {{}}\ue001".format
    most, fewer = pd.get_option("display.max_rows"), pd.get_option("display.min_rows")
    html = table.to_html(
        formatters=formatters,
        notebook=True,
        max_rows=fewer if most and len(table) > most else most,
        max_cols=pd.get_option("display.max_columns"),
        show_dimensions=pd.get_option("display.show_dimensions"),
    )

    def picture(cell: re.Match[str]) -> str:
        row, column = int(cell[2]), int(cell[1])
        return _cell(frame, frame.iloc[row, column], str(frame.columns[column]), roles)

    return _CELL.sub(picture, html)


def _cell(frame: pandas.DataFrame, curve: Any, column: str, roles: Roles | None) -> str:
    if curve is None or not hasattr(curve, "columns"):
        return "None"
    try:
        return sparkline(Stored.of(frame, column, curve), roles=roles)
    except (PlanError, TypeError, ValueError):
        # Not every nested column is a light curve.
        return f"{len(curve):,} row{'s' if len(curve) != 1 else ''} of {escape(', '.join(map(str, curve.columns[:4])))}"
