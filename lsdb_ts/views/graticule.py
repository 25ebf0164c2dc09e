"""Lines of equal RA and Dec on a map, labelled in degrees. The maps themselves live in ``projection``."""

from __future__ import annotations

from typing import Any

import numpy as np

from lsdb_ts.views.projection import Mollweide, Projection, Zenithal
from lsdb_ts.views.style import SOFT_INK, halo

_STEPS_DEG = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 45, 60, 90])
_LINES_ACROSS = 3.0


def draw_graticule(ax: Any, where: Projection) -> None:
    """Draw and label the lines, and hide the axes' own ticks."""
    ax.set_xticks([])
    ax.set_yticks([])
    if isinstance(where, Mollweide):
        ax.spines[:].set_visible(False)
        _whole_sky(ax, where)
    elif isinstance(where, Zenithal):
        ax.spines[:].set_color(SOFT_INK)
        _patch(ax, where)


def _lines(ax: Any, where: Projection, ra_deg: Any, dec_deg: Any) -> None:
    from matplotlib.collections import LineCollection

    segments = where.lines(np.atleast_2d(ra_deg), np.atleast_2d(dec_deg))
    ax.add_collection(LineCollection(segments, colors="#8a93a3", linewidths=0.5, alpha=0.55, zorder=2))


def _whole_sky(ax: Any, where: Mollweide) -> None:
    dec = np.linspace(-90, 90, 91)
    ra = np.linspace(0, 360, 181) + where.centre_ra_deg
    for meridian in range(0, 360, 30):
        _lines(ax, where, np.full(dec.size, float(meridian)), dec)
    for parallel in range(-60, 90, 30):
        _lines(ax, where, ra, np.full(ra.size, float(parallel)))
        x, y = where.to_plane(where.centre_ra_deg + 179.999, parallel)
        ax.annotate(
            f"{parallel:+d}°" if parallel else "0°",
            (float(x), float(y)),
            (-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8,
            color=SOFT_INK,
        )
    for offset in range(-120, 180, 60):
        meridian = where.centre_ra_deg + offset
        x, y = where.to_plane(meridian, 0.0)
        text = ax.text(
            float(x),
            float(y) - 0.03,
            f"{meridian % 360:g}°",
            ha="center",
            va="top",
            fontsize=8,
            color=SOFT_INK,
            zorder=5,
        )
        halo(text)


def _patch(ax: Any, where: Zenithal) -> None:
    half = where.half_size[0]
    has_pole = abs(where.dec_deg) + where.radius_deg * 1.05 >= 90.0
    dec_step = _step(half if has_pole else 2 * half)
    ra_step = 45.0 if has_pole else _step(2 * half / np.cos(np.radians(where.dec_deg)))
    reach = where.radius_deg * 1.5
    low, high = max(where.dec_deg - reach, -90.0), min(where.dec_deg + reach, 90.0)
    parallels = np.arange(np.ceil(low / dec_step), np.floor(high / dec_step) + 1) * dec_step
    wide = 180.0 if has_pole else min(reach / np.cos(np.radians(min(max(abs(low), abs(high)), 89.0))), 180.0)
    first, last = np.ceil((where.ra_deg - wide) / ra_step), np.floor((where.ra_deg + wide) / ra_step)
    meridians = np.unique(np.mod(np.arange(first, last + 1) * ra_step, 360.0).round(9))
    span = np.linspace(low, high, 400)
    around = np.linspace(-wide, wide, 800) + where.ra_deg
    for meridian in meridians:
        _lines(ax, where, np.full(span.size, meridian), span)
        _label_meridian(ax, where, meridian, span)
    for parallel in parallels:
        if abs(parallel) < 90.0:
            _lines(ax, where, around, np.full(around.size, parallel))
            _label_parallel(ax, where, parallel, around)


def _step(width_deg: float) -> float:
    return float(
        _STEPS_DEG[min(int(np.searchsorted(_STEPS_DEG, width_deg / _LINES_ACROSS / 1.3)), _STEPS_DEG.size - 1)]
    )


def _label_meridian(ax: Any, where: Zenithal, meridian: float, span: Any) -> None:
    """Write the RA where its line leaves the frame, at the lower end if it leaves twice."""
    half = where.half_size[0]
    x, y = where.to_plane(np.full(span.size, meridian), span)
    inside = np.flatnonzero((np.abs(x) <= half) & (np.abs(y) <= half))
    if inside.size == 0:
        return
    ends = [i for i in (inside[0], inside[-1]) if np.abs([x[i], y[i]]).max() > 0.96 * half]
    if not ends:
        return
    i = min(ends, key=lambda place: y[place])
    _label_edge(ax, float(x[i]) / half, float(y[i]) / half, f"{meridian:g}°")


def _label_parallel(ax: Any, where: Zenithal, parallel: float, around: Any) -> None:
    """Write the Dec where its line meets the left frame; a circle inside the frame is labelled at its top."""
    half = where.half_size[0]
    x, y = where.to_plane(around, np.full(around.size, parallel))
    inside = (np.abs(x) <= half) & (np.abs(y) <= half)
    left = np.flatnonzero(inside & (x < -0.97 * half))
    text = f"{parallel:+g}°" if parallel else "0°"
    if left.size:
        i = left[np.argmin(x[left])]
        _label_edge(ax, -1.0, float(y[i]) / half, text)
    elif inside.all():
        i = int(np.argmax(y))
        halo(ax.text(x[i], y[i], text, ha="center", va="center", fontsize=7.5, color=SOFT_INK, zorder=5))


def _label_edge(ax: Any, x: float, y: float, text: str) -> None:
    """Write outside the frame, at the side nearest to a place given in units of half the frame."""
    if abs(y) >= abs(x):
        dx, dy, ha, va = 0, 3 * np.sign(y), "center", "bottom" if y > 0 else "top"
    else:
        dx, dy, ha, va = 3 * np.sign(x), 0, "left" if x > 0 else "right", "center"
    place = ((x + 1) / 2, (y + 1) / 2)
    style = {"fontsize": 7.5, "color": SOFT_INK, "annotation_clip": False}
    ax.annotate(text, place, (dx, dy), xycoords="axes fraction", textcoords="offset points", ha=ha, va=va, **style)
