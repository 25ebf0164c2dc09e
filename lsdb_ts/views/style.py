"""How pictures look: survey colours of bands, and axes dressed alike. What is drawn lives in the modules beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsdb_ts.errors import LsdbTsError, PlanError

INK, SOFT_INK, GRID = "#1f2430", "#5b6270", "#d9dde3"

_RUBIN = {
    "u": ("#0c71ff", "o"),
    "g": ("#49be61", "^"),
    "r": ("#c61c00", "v"),
    "i": ("#ffc200", "s"),
    "z": ("#f341a2", "*"),
    "y": ("#5d0000", "p"),
}
"""Colour on white and marker of each band, as the Rubin Observatory's technical note RTN-045 gives them."""
_ZTF = {"g": ("#2ca02c", "<"), "r": ("#d62728", ">"), "i": ("#ff7f0e", "D")}
"""Green, red and orange, as in the collaboration's own tools; markers that Rubin's bands do not have."""
_GAIA = {"bp": ("#2a6fbb", "P"), "g": ("#4d5563", "h"), "rp": ("#b5342f", "X")}
_BLUE_TO_RED = (
    ("rubin", "u"),
    ("rubin", "g"),
    ("ztf", "g"),
    ("gaia", "bp"),
    ("rubin", "r"),
    ("ztf", "r"),
    ("gaia", "g"),
    ("rubin", "i"),
    ("ztf", "i"),
    ("gaia", "rp"),
    ("rubin", "z"),
    ("rubin", "y"),
)
_PALETTES = {"rubin": _RUBIN, "ztf": _ZTF, "gaia": _GAIA}
_NAMES = (
    ("gaia", re.compile(r"(?:(?i:gaia)[^a-zA-Z0-9]*(?i:(?:g_?)?(bp|rp)|(g))|(?i:(?:g_?)?(bp|rp))|(G))")),
    ("ztf", re.compile(r"(?i:z(?:tf)?[^a-z0-9]*([gri]))")),
    ("rubin", re.compile(r"(?i:(?:.*[^a-z]|lsst|rubin|sdss|des|decam|ps1?)?([ugrizy]))")),
)
"""How the surveys write the names of their bands. A letter alone is Rubin's, but for a large G."""
_SPARE = ("#3b528b", "#21918c", "#8b5a2b", "#7f7f7f", "#6a3d9a", "#1b7837")


@dataclass(frozen=True)
class BandStyle:
    """How the epochs of one band are drawn."""

    colour: str
    marker: str
    rank: int
    """Place in the legend: blue bands first."""


def band_style(band: str, others: list[str] | None = None) -> BandStyle:
    """Return the style of a band of Rubin, ZTF or Gaia; those of other names take turns.

    Parameters
    ----------
    band : str
        Name of the band: ``r``, ``lsst-r`` and ``DES_r`` look alike, ``zr`` and ``ztf_r`` are ZTF's, ``G``, ``BP``
        and ``G_RP`` Gaia's.
    others : list of str, optional
        All bands of the picture, so that two unknown ones differ.

    >>> band_style("lsst-g") == band_style("g"), band_style("zg") == band_style("ZTF_g"), band_style("g").rank
    (True, True, 1)
    """
    for survey, name in _NAMES:
        if found := name.fullmatch(band):
            letter = next(part for part in found.groups() if part).lower()
            colour, marker = _PALETTES[survey][letter]
            return BandStyle(colour, marker, _BLUE_TO_RED.index((survey, letter)))
    turn = sorted(others or [band]).index(band)
    return BandStyle(_SPARE[turn % len(_SPARE)], "oHd8^v"[turn % 6], len(_BLUE_TO_RED) + turn)


def pyplot() -> Any:
    """Import ``matplotlib.pyplot``, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise LsdbTsError(f'pictures need matplotlib ({error}): pip install "lsdb_ts[plot]"') from error
    return plt


def dress(ax: Any) -> None:
    """Give axes the house's look: a light grid behind the data, thin frame, no top and right lines."""
    ax.set_axisbelow(True)
    ax.grid(True, color=GRID, linewidth=0.6)
    ax.tick_params(colors=SOFT_INK, labelsize=9, length=3)
    for side, spine in ax.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(SOFT_INK)
        spine.set_linewidth(0.8)
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)


def title(ax: Any, text: str, note: str = "", *, small: bool = False) -> None:
    """Write a left-aligned title and, below it in a softer ink, a note."""
    size, below = (9.0, 7.5) if small else (11.0, 9.0)
    pad = 11.0 + below if note else 7.0
    ax.set_title(text, loc="left", fontsize=size, fontweight="bold", color=INK, pad=pad)
    if note:
        where = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 6), "textcoords": "offset points"}
        ax.annotate(note, **where, va="bottom", ha="left", fontsize=below, color=SOFT_INK)


def arrow_down() -> Any:
    """Return a marker for upper limits: a bar at the limit, and an arrow from it to the bottom of the picture."""
    from matplotlib.path import Path as Outline

    line, arrow = Outline.MOVETO, Outline.LINETO
    # Markers are scaled to the largest coordinate.
    points = [(-0.35, 0.0), (0.35, 0.0), (0.0, 0.0), (0.0, -1.0), (-0.22, -0.68), (0.0, -1.0), (0.22, -0.68)]
    return Outline(points, [line, arrow, line, arrow, line, arrow, arrow])


def halo(text: Any) -> None:
    """Put a white rim around a text, so that it can be read on anything."""
    from matplotlib.patheffects import withStroke

    text.set_path_effects([withStroke(linewidth=2.4, foreground="white")])


def save(figure: Any, path: Path) -> None:
    """Write a figure to a file and forget it; the kind of file follows from its name."""
    plt = pyplot()
    known = figure.canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise PlanError(f'cannot draw into "{path}": its name must end in one of {", ".join(f".{k}" for k in known)}')
    figure.savefig(path, dpi=150)
    plt.close(figure)
