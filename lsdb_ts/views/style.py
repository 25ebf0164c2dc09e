"""How pictures look: survey colours of bands, and axes dressed alike. What is drawn lives in the modules beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
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
_JOHNSON = {
    "u": ("#9b30ff", "d"),
    "b": ("#0000cd", "D"),
    "v": ("#6b8e00", "P"),
    "r": ("#ff7061", "X"),
    "i": ("#8b4513", "h"),
}
_BLUE_TO_RED = (
    ("rubin", "u"),
    ("johnson", "u"),
    ("johnson", "b"),
    ("rubin", "g"),
    ("ztf", "g"),
    ("gaia", "bp"),
    ("johnson", "v"),
    ("rubin", "r"),
    ("ztf", "r"),
    ("gaia", "g"),
    ("johnson", "r"),
    ("rubin", "i"),
    ("ztf", "i"),
    ("gaia", "rp"),
    ("johnson", "i"),
    ("rubin", "z"),
    ("rubin", "y"),
)
_PALETTES = {"rubin": _RUBIN, "ztf": _ZTF, "gaia": _GAIA, "johnson": _JOHNSON}
_SURVEYS = "lsst|rubin|sdss|des|decam|ps1?|panstarrs|hsc|skymapper|megacam"
"""Whose bands are like Rubin's, also where they are written with large letters."""
_CODE = r"(?:/\w)?"
"""The code of one letter that SNANA writes behind a band: ``CSP-r/c``."""
_NAMES = (
    ("gaia", re.compile(r"(?:(?i:gaia)[^a-zA-Z0-9]*(?i:(?:g_?)?(bp|rp)|(g))|(?i:(?:g_?)?(bp|rp))|(G))")),
    ("ztf", re.compile(r"(?i:z(?:tf)?[^a-z0-9]*([gri]))")),
    ("rubin", re.compile(r"(?i:(?:.*[^a-z])?(?:" + _SURVEYS + r")[^a-z/]*([ugrizy]))" + _CODE)),
    ("johnson", re.compile(r"(?i:(?:johnson|cousins|bessell?|landolt)[^a-z/]*([ubvri]))" + _CODE)),
    ("johnson", re.compile(r"(?:.*[^a-zA-Z/])?([UBVRI])" + _CODE)),
    ("rubin", re.compile(r"(?:.*[^a-zA-Z/])?([ugrizyZY])" + _CODE)),
)
"""How the surveys write the names of their bands. A small letter alone is Rubin's, a large one Johnson's or Gaia's."""
_SPARE = ("#3b528b", "#21918c", "#7f7f7f", "#6a3d9a", "#00a5cf", "#111827", "#b08968", "#c97bb5", "#1b7837")
_SPARE_MARKERS = ("o", "s", "d", "^", "X", "v", "P")
"""Nine colours and seven markers are 63 pairs; neighbours differ in both."""
_SECOND_MARKERS = ("d", "P", "o", "X", "^", "v", "s")
"""Of bands that would look like another one, those least like the usual markers first."""


@dataclass(frozen=True)
class BandStyle:
    """How the epochs of one band are drawn."""

    colour: str
    marker: str
    rank: int
    """Place in the legend: blue bands first."""


def band_styles(bands: Iterable[str], taken: Mapping[str, BandStyle] | None = None) -> dict[str, BandStyle]:
    """Return the styles of the bands of a figure, bluest first: no two have the same colour and marker.

    Bands of Rubin, ZTF, Gaia and Johnson-Cousins look the same in every figure, but that of bands that would look alike
    the first by name only has its usual marker. Those of other names take turns.

    Parameters
    ----------
    bands : iterable of str
        Names of the bands: ``r``, ``lsst-r`` and ``DES_r`` are Rubin's, ``zr`` and ``ztf_r`` ZTF's, ``G``, ``BP`` and
        ``G_RP`` Gaia's, ``R`` and ``Bessell_R`` Johnson's.
    taken : mapping, optional
        Styles of what the figure shows already: bands among them keep theirs, and others get none of these.

    >>> list(band_styles(["W1", "z", "B", "u"]))
    ['u', 'B', 'z', 'W1']
    """
    styles, named = dict(taken or {}), set(bands)
    used = {(look.colour, look.marker) for look in styles.values()}
    spare = [look for look in _spare_looks() if look not in used] or _spare_looks()
    for band in sorted(named - set(styles), key=lambda name: (len(name), name)):
        known = _known(band)
        if known is None:
            continue
        markers = (known.marker, *_SECOND_MARKERS)
        if (marker := next((m for m in markers if (known.colour, m) not in used), None)) is not None:
            styles[band] = replace(known, marker=marker)
            used.add((known.colour, marker))
    for turn, band in enumerate(sorted(named - set(styles))):
        styles[band] = BandStyle(*spare[turn % len(spare)], len(_BLUE_TO_RED))
    return {band: styles[band] for band in sorted(styles, key=lambda name: (styles[name].rank, name))}


def band_style(band: str) -> BandStyle:
    """Return the style of a band that is alone in its figure.

    >>> band_style("lsst-g") == band_style("g"), band_style("zg") == band_style("ZTF_g"), band_style("g").rank
    (True, True, 3)
    """
    return band_styles([band])[band]


def _known(band: str) -> BandStyle | None:
    """Return the usual style of a band of a known survey."""
    for survey, name in _NAMES:
        if found := name.fullmatch(band):
            letter = next(part for part in found.groups() if part).lower()
            return BandStyle(*_PALETTES[survey][letter], _BLUE_TO_RED.index((survey, letter)))
    return None


def _spare_looks() -> list[tuple[str, str]]:
    n, m = len(_SPARE), len(_SPARE_MARKERS)
    return [(_SPARE[turn % n], _SPARE_MARKERS[turn % m]) for turn in range(n * m)]


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
