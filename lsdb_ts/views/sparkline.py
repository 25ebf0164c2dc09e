"""A light curve as a picture of the size of a table's cell: plain SVG, no matplotlib. Tables of them are next door."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.schema import Roles
from lsdb_ts.views.epochs import Epochs
from lsdb_ts.views.style import SOFT_INK, band_styles
from lsdb_ts.views.thinning import extremes

_PER_PIXEL = 1.1
"""Of light curves with more epochs than this for each pixel across, the extremes of each stretch of time are drawn."""
_NOTHING = '<text x="{x:g}" y="{y:g}" font-size="11" text-anchor="middle" fill="{ink}">no epochs</text>'
_POLYGONS: dict[str, tuple[int, float, float]] = {
    "^": (3, -90.0, 1.0),
    "v": (3, 90.0, 1.0),
    "<": (3, 180.0, 1.0),
    ">": (3, 0.0, 1.0),
    "D": (4, 0.0, 1.0),
    "d": (4, 0.0, 1.0),
    "p": (5, -90.0, 1.0),
    "h": (6, -90.0, 1.0),
    "H": (6, 0.0, 1.0),
    "8": (8, 22.5, 1.0),
    "*": (5, -90.0, 0.4),
    "P": (4, 0.0, 0.35),
    "X": (4, 45.0, 0.35),
}
"""Markers as polygons: corners, direction of the first in degrees, and how deep the sides are pulled in."""


def sparkline(curve: Any, *, width: int = 180, height: int = 44, roles: Roles | None = None) -> str:
    """Return a light curve as a small SVG picture: bands in colours, bright at the top, errors and limits left out.

    Parameters
    ----------
    curve : pandas.DataFrame, pyarrow.StructScalar, pyarrow.Table or mapping of arrays
        One object's measurements.
    width, height : int
        Size in pixels.
    roles : Roles, optional
        Which column is which; by default known from metadata and well-known names.

    Returns
    -------
    str
        An ``<svg>`` element that names the number of epochs and their span in its title. Flagged epochs are left out;
        where there are more than pixels across, so are all but the faintest and brightest of each stretch of time.

    >>> sparkline({"mjd": [1.0, 4.5], "mag": [18.0, 18.5], "band": ["g", "r"]}).partition("</title>")[0][-34:]
    '<title>2 epochs in g, r over 3.5 d'
    """
    epochs = Epochs.of(curve, roles)
    told = escape(caption(epochs))
    rows = _shown(epochs)
    x = _along(epochs.time_days, rows, 4.0, width - 4.0)
    y = _along(epochs.value if epochs.is_mag else -epochs.value, rows, 4.0, height - 4.0)
    total = max(int(rows.sum()), 1)
    most = int(_PER_PIXEL * width)
    size = (2.6 if total < 60 else 2.1) * min(1.5, max(1.0, height / 80))
    marks = []
    for band, look in band_styles(epochs.bands).items():
        places = np.flatnonzero(rows & (epochs.band == band))
        n_bins = max(1, most * places.size // (2 * total)) if total > most else places.size
        places = places[extremes(x[places], y[places], n_bins)]
        marks.append(_marks(x[places], y[places], look.marker, look.colour, size))
    zero = "" if epochs.is_mag else _zero_line(epochs.value[rows], width, height)
    if not rows.any():
        marks = [_NOTHING.format(x=width / 2, y=height / 2 + 4, ink=SOFT_INK)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{told}"><title>{told}</title>'
        f'<rect width="{width}" height="{height}" rx="3" fill="#fff"/>{zero}{"".join(marks)}</svg>'
    )


def caption(epochs: Epochs, *, with_bands: bool = True) -> str:
    """Say how many epochs there are, in which bands, over how long a time."""
    rows = epochs.measured
    n = int(rows.sum())
    bands = ", ".join(band for band in band_styles(epochs.bands) if band)
    told = f"{n:,} epoch{'s' if n != 1 else ''}" if n else "no epochs"
    told += f" in {bands}" if with_bands and bands and n else ""
    told += f" over {np.ptp(epochs.time_days[rows]):,.1f} d" if n > 1 else ""
    limits, flagged = int(epochs.limited.sum()), int((rows & ~epochs.good).sum())
    told += f", {limits:,} upper limit{'s' if limits != 1 else ''}" if limits else ""
    return told + (f", {flagged:,} flagged" if flagged else "")


def _shown(epochs: Epochs) -> NDArray[np.bool_]:
    good = epochs.measured & epochs.good
    return good if good.any() else epochs.measured


def _along(values: NDArray[np.float64], rows: NDArray[np.bool_], start: float, stop: float) -> NDArray[np.float64]:
    """Return where values are between two ends of the picture; in the middle where they are all the same."""
    low, high = (float(values[rows].min()), float(values[rows].max())) if rows.any() else (0.0, 0.0)
    if not low < high:
        return np.full(values.size, 0.5 * (start + stop))
    return start + (values - low) / (high - low) * (stop - start)


def _marks(x: NDArray[np.float64], y: NDArray[np.float64], marker: str, colour: str, size: float) -> str:
    """Return one path with a mark at each place; circles and squares are ends of lines of no length."""
    places = zip(x.tolist(), y.tolist(), strict=True)
    if marker not in _POLYGONS:
        path = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in places)
        cap = "square" if marker == "s" else "round"
        width = 1.5 * size if marker == "s" else 1.7 * size
        return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:.1f}" stroke-linecap="{cap}"/>'
    start, outline = _polygon(*_POLYGONS[marker], size)
    path = "".join(f"M{a + start[0]:.1f} {b + start[1]:.1f}{outline}" for a, b in places)
    return f'<path d="{path}" fill="{colour}"/>'


def _polygon(corners: int, first_deg: float, inner: float, size: float) -> tuple[tuple[float, float], str]:
    """Return the first corner of a marker about its middle, and the way around it from there."""
    n = corners if inner == 1.0 else 2 * corners
    angle = np.radians(first_deg + 360.0 / n * np.arange(n))
    reach = size * (1.15 if inner == 1.0 else np.where(np.arange(n) % 2, inner, 1.0) * 1.35)
    corner = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=1).round(1)
    steps = "".join(f"l{dx:g} {dy:g}" for dx, dy in np.diff(corner, axis=0).round(1).tolist())
    return (float(corner[0, 0]), float(corner[0, 1])), f"{steps}z"


def _zero_line(values: NDArray[np.float64], width: int, height: int) -> str:
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not low < 0.0 < high:
        return ""
    y = 4.0 + high / (high - low) * (height - 8.0)
    return f'<path d="M0 {y:.1f}h{width}" stroke="#aab2bf" stroke-width=".7" stroke-dasharray="3 2"/>'
