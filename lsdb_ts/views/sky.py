"""Pictures of where a catalog's rows are on the sky, with its partitions. Counting them lives in ``skymap``."""

from __future__ import annotations

from typing import Any

import numpy as np

from lsdb_ts.sky import Cone, Layout
from lsdb_ts.views.graticule import draw_graticule
from lsdb_ts.views.projection import Mollweide, Projection, Zenithal
from lsdb_ts.views.skymap import Patch, SkyMap, outline, patches
from lsdb_ts.views.style import INK, SOFT_INK, halo, pyplot, title

_COVERAGE_ORDER = 4
_SMALL_FRACTION = 0.1
"""A catalog in fewer of the order-4 cells (3.7 degrees) than this covers little of the sky."""
_MAX_PATCHES = 4
_FINEST_OVERVIEW = 6
"""Pixels finer than this are under four points wide on an all-sky picture; their parents are drawn instead."""
_COLOURS = ("#f4eebb", "#cfe9b8", "#93d3bd", "#52b0bd", "#3585b5", "#345aa3")
"""From few to many rows; never so dark that outlines drown."""
_RING = "#d1495b"


def plot_sky(
    catalog: Any,
    *,
    pixels: bool = True,
    region: Cone | None = None,
    centre_ra_deg: float = 0.0,
    heading: str = "",
    ax: Any = None,
) -> Any:
    """Draw the density of a catalog's rows on the sky, with the outlines of its partitions.

    The whole sky in a Mollweide map, RA rising to the left. Where a catalog covers little of the sky, its (up to four)
    richest patches are drawn enlarged below. Counts come from the stored skymap, or else are computed.

    Parameters
    ----------
    catalog : Catalog or SkyMap
        What to draw; a map has no partitions and no name.
    pixels : bool
        Draw the partitions' outlines.
    region : Cone, optional
        Draw this part of the sky only.
    centre_ra_deg : float
        RA in the middle of the all-sky map, in degrees.
    heading : str
        Title; by default the catalog's name. Rows and partitions are added.
    ax : matplotlib.axes.Axes, optional
        Plain axes to draw a single map on; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the main map; ``.figure`` is the whole picture.
    """
    skymap = catalog if isinstance(catalog, SkyMap) else SkyMap.of(catalog)
    leaves = None if isinstance(catalog, SkyMap) else catalog.layout
    layout = leaves if pixels else None
    own_figure = ax is None
    zooms = _zooms(skymap) if own_figure and region is None else []
    figure, ax, panels = _figure(ax, len(zooms), square=region is not None)
    norm = _norm(skymap)
    where = Zenithal(region.ra_deg, region.dec_deg, region.radius_arcsec / 3600) if region else Mollweide(centre_ra_deg)
    image = _draw_map(ax, where, skymap, layout, norm)
    for letter, panel, patch in zip("ABCD", panels, zooms, strict=False):
        _draw_map(panel, Zenithal(patch.ra_deg, patch.dec_deg, patch.radius_deg * 1.08), skymap, layout, norm)
        place = f"{round(patch.ra_deg, 1) % 360:.1f}° {patch.dec_deg:+.1f}°"
        panel.set_title(f"{letter}   {place}", fontsize=9, fontweight="bold", color=INK, loc="left", pad=15)
        _mark(ax, where, patch, letter)
    bar = figure.colorbar(image, ax=[ax, *panels], shrink=0.6, aspect=32, pad=0.02, fraction=0.04)
    bar.set_label("rows per square degree", color=INK, fontsize=9)
    bar.ax.tick_params(labelsize=8, colors=SOFT_INK)
    bar.outline.set_visible(False)
    note = f"{skymap.n_rows:,} rows"
    if leaves is not None:
        note += f", {len(leaves):,} partition{'s' if len(leaves) != 1 else ''}"
    if region is not None:
        note += f"; shown: {region.radius_arcsec / 3600:g}° around RA {region.ra_deg:g}°, Dec {region.dec_deg:+g}°"
    title(ax, heading or getattr(catalog, "name", ""), note)
    if own_figure:
        # The layout does not count the title of an ellipse of axes, and cropping (as notebooks do) would cut it.
        figure.get_layout_engine().set(rect=(0, 0, 1, 0.96))
    return ax


def _zooms(skymap: SkyMap) -> list[Patch]:
    if skymap.n_rows == 0 or skymap.coarsened(_COVERAGE_ORDER).covered_fraction() > _SMALL_FRACTION:
        return []
    return [p for p in patches(skymap, _MAX_PATCHES) if p.radius_deg < 60]


def _figure(ax: Any, n_panels: int, *, square: bool) -> tuple[Any, Any, list[Any]]:
    """Return the figure, the main axes and the axes of the enlarged patches."""
    if ax is not None:
        return ax.figure, ax, []
    plt = pyplot()
    if not n_panels:
        figure, ax = plt.subplots(figsize=(6.2, 5.4) if square else (9.0, 4.6), layout="constrained")
        return figure, ax, []
    wide = max(n_panels, 2)
    below = 9.0 / wide if n_panels > 1 else 4.2
    figure = plt.figure(figsize=(9.0, 3.8 + below), layout="constrained")
    grid = figure.add_gridspec(2, n_panels, height_ratios=[3.6, below])
    return figure, figure.add_subplot(grid[0, :]), [figure.add_subplot(grid[1, i]) for i in range(n_panels)]


def _norm(skymap: SkyMap) -> Any:
    """Choose the colour scale: logarithmic where densities differ by more than a factor of twenty."""
    pyplot()
    from matplotlib.colors import LogNorm, Normalize

    density = skymap.readable(10).density
    density = density[density > 0]
    if density.size == 0:
        return Normalize(0, 1)
    low, high = np.quantile(density, [0.02, 0.995]).tolist()
    if high > 20 * low:
        return LogNorm(low, high)
    return Normalize(0, high)


def _colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("rows", _COLOURS)


def _draw_map(ax: Any, where: Projection, skymap: SkyMap, layout: Layout | None, norm: Any) -> Any:
    wide, high = where.half_size
    n = 1400 if isinstance(where, Mollweide) else 700
    x = (np.arange(n) + 0.5) / n * 2 * wide - wide
    y = (np.arange(n * high / wide) + 0.5) / (n * high / wide) * 2 * high - high
    ra, dec = where.to_sky(x[None, :], y[:, None])
    # A cell should be at least three points wide.
    degrees_per_point = 360.0 / n if isinstance(where, Mollweide) else 2 * where.half_size[0] / n
    finest = int(np.clip(np.log2(58.6 / (3 * degrees_per_point)), 0, 29))
    density = skymap.readable(finest).density_at(ra, dec)
    if isinstance(where, Mollweide):
        _ground(ax, where)
    drawn = {"extent": (-wide, wide, -high, high), "origin": "lower", "interpolation": "nearest", "zorder": 1}
    image = ax.imshow(density, cmap=_colours(), norm=norm, **drawn)
    draw_graticule(ax, where)
    if layout is not None and len(layout):
        _outline(ax, where, layout)
    room = 1.01 if isinstance(where, Mollweide) else 1.0
    ax.set_xlim(-wide * room, wide * room)
    ax.set_ylim(-high * room, high * room)
    ax.set_aspect("equal")
    return image


def _ground(ax: Any, where: Mollweide) -> None:
    """Draw the ellipse of the sky, and nothing of the axes' own frame."""
    from matplotlib.patches import Ellipse

    wide, high = where.half_size
    ax.add_patch(Ellipse((0, 0), 2 * wide, 2 * high, facecolor="#f6f7f9", edgecolor="none", zorder=0))
    ax.add_patch(Ellipse((0, 0), 2 * wide, 2 * high, facecolor="none", edgecolor=SOFT_INK, linewidth=0.9, zorder=4))


def _outline(ax: Any, where: Projection, layout: Layout) -> None:
    from matplotlib.collections import LineCollection

    if isinstance(where, Mollweide):
        drawn = SkyMap(layout, np.ones(len(layout))).coarsened(_FINEST_OVERVIEW).layout
    else:
        drawn = layout.take(_near(where, layout))
    # Edges that a coarse and a fine pixel share are drawn on one another only if both follow the curve closely.
    steps = 32 if len(drawn) < 1000 else 8 if len(drawn) < 10_000 else 3
    width = 0.7 if len(drawn) < 400 else 0.35
    lines = where.lines(*outline(drawn, steps))
    ax.add_collection(LineCollection(lines, colors=INK, linewidths=width, alpha=0.85, capstyle="round", zorder=3))


def _near(where: Zenithal, layout: Layout) -> Any:
    """Tell which pixels can reach into a patch's frame."""
    corner = min(where.radius_deg * 1.5 + 0.01, 180.0)
    cone = Cone(where.ra_deg, where.dec_deg, corner * 3600).ranges()
    return cone.overlaps(layout.starts, layout.stops)


def _mark(ax: Any, where: Projection, patch: Patch, letter: str) -> None:
    """Ring and name a patch on the all-sky map."""
    from matplotlib.collections import LineCollection

    radius = max(patch.radius_deg * 1.08, 3.0)
    turn = np.radians(np.linspace(0, 360, 121))
    around = Zenithal(patch.ra_deg, patch.dec_deg, radius)
    ra, dec = around.to_sky(radius * np.cos(turn), radius * np.sin(turn))
    ax.add_collection(LineCollection(where.lines(ra[None, :], dec[None, :]), colors=_RING, linewidths=1.3, zorder=5))
    x, y = (float(place) for place in where.to_plane(patch.ra_deg, patch.dec_deg))
    offset = (18, -18 if y > 0 else 18)
    style = {"textcoords": "offset points", "ha": "center", "va": "center", "zorder": 6, "annotation_clip": False}
    text = ax.annotate(letter, (x, y), offset, **style, fontsize=11, fontweight="bold", color=_RING)
    halo(text)
