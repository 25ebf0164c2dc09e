"""How pictures look: survey colours of bands, and axes dressed alike. What is drawn lives in the modules beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsdb_ts.errors import LsdbTsError, PlanError

INK, SOFT_INK, GRID = "#1f2430", "#5b6270", "#d9dde3"

_LSST: dict[str, tuple[str, str]] = {
    "u": ("#0c71ff", "o"),
    "g": ("#49be61", "^"),
    "r": ("#c61c00", "v"),
    "i": ("#ffc200", "s"),
    "z": ("#f341a2", "*"),
    "y": ("#5d0000", "p"),
}
"""Colour on white and marker of each band, as the Rubin Observatory's technical note RTN-045 gives them."""
_SPARE = ("#3b528b", "#21918c", "#8b5a2b", "#7f7f7f", "#6a3d9a", "#1b7837")


@dataclass(frozen=True)
class BandStyle:
    """How the epochs of one band are drawn."""

    colour: str
    marker: str
    rank: int
    """Place in the legend: blue bands first."""


def band_style(band: str, others: list[str] | None = None) -> BandStyle:
    """Return the style of a band; ``lsst-r``, ``zr`` and ``r`` look alike, and unknown bands take turns.

    Parameters
    ----------
    band : str
        Name of the band.
    others : list of str, optional
        All bands of the picture, so that two unknown ones differ.

    >>> band_style("zg") == band_style("g"), band_style("g").rank
    (True, 1)
    """
    letter = band[-1:].lower()
    if letter in _LSST and (len(band) == 1 or not band.isalpha() or band.lower() == f"z{letter}"):
        colour, marker = _LSST[letter]
        return BandStyle(colour, marker, list(_LSST).index(letter))
    turn = sorted(others or [band]).index(band)
    return BandStyle(_SPARE[turn % len(_SPARE)], "oDsP^v"[turn % 6], len(_LSST) + turn)


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


def title(ax: Any, text: str, note: str = "") -> None:
    """Write a left-aligned title and, below it in a softer ink, a note."""
    ax.set_title(text, loc="left", fontsize=11, fontweight="bold", color=INK, pad=20 if note else 7)
    if note:
        where = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 6), "textcoords": "offset points"}
        ax.annotate(note, **where, va="bottom", ha="left", fontsize=9, color=SOFT_INK)


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
