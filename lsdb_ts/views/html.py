"""A catalog as HTML, for notebooks. Nothing is computed, and nothing is fetched from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from lsdb_ts.sky import Layout
from lsdb_ts.views.columns import Column, columns_of
from lsdb_ts.views.projection import Mollweide
from lsdb_ts.views.skymap import SkyMap, outline
from lsdb_ts.views.text import plan_line, shortened, size_text

_MAX_COLUMNS = 40
_FINEST_ORDER = 4
_MAP_WIDTH = 220

_STYLE = """
.lsdb-ts {font: 13px/1.45 system-ui, sans-serif; display: flex; gap: 8px 28px; align-items: flex-start; flex-wrap: wrap;
  max-width: 1000px}
.lsdb-ts-head {flex-basis: 100%; display: flex; gap: 14px; align-items: baseline; flex-wrap: wrap}
.lsdb-ts-head b {font-size: 15px}
.lsdb-ts-soft {opacity: .65}
.lsdb-ts .lsdb-ts-columns table {border-collapse: collapse; margin: 0; font-size: 12.5px; color: inherit}
.lsdb-ts .lsdb-ts-columns tr {background: none}
.lsdb-ts .lsdb-ts-columns th, .lsdb-ts .lsdb-ts-columns td {text-align: left; padding: 2px 16px 2px 0; border: 0;
  background: none; vertical-align: top; white-space: nowrap}
.lsdb-ts .lsdb-ts-columns th {font-weight: 600; opacity: .65; border-bottom: 1px solid currentColor}
.lsdb-ts .lsdb-ts-columns tr.lsdb-ts-part td:first-child {padding-left: 18px}
.lsdb-ts .lsdb-ts-columns code, .lsdb-ts .lsdb-ts-plan code {font: 12px ui-monospace, monospace; background: none;
  color: inherit; padding: 0}
.lsdb-ts-columns {max-height: 420px; overflow: auto; flex: 0 1 auto}
.lsdb-ts-role {border: 1px solid currentColor; border-radius: 7px; padding: 0 6px; font-size: 11px; opacity: .75}
.lsdb-ts-map {text-align: center; font-size: 11.5px}
.lsdb-ts-plan {flex-basis: 100%; opacity: .8}
"""


def catalog_html(catalog: Any) -> str:
    """Return the HTML ``repr`` of a catalog: its size, columns with type, unit and role, coverage and plan."""
    columns = columns_of(catalog.schema)
    shown = shortened(columns, _MAX_COLUMNS)
    rows = "".join(_row(c) + "".join(_row(p, part=True) for p in c.parts) for c in shown)
    more = len(columns) - len(shown)
    if more:
        rows += f'<tr><td colspan="4" class="lsdb-ts-soft">and {more:,} more columns</td></tr>'
    head = "<tr><th>column</th><th>type</th><th>unit</th><th>role</th></tr>"
    count = f"lazy catalog, {len(columns):,} column{'s' if len(columns) != 1 else ''}"
    return (
        f'<style>{_STYLE}</style><div class="lsdb-ts">'
        f'<div class="lsdb-ts-head"><b>{escape(catalog.name)}</b><span>{escape(size_text(catalog))}</span>'
        f'<span class="lsdb-ts-soft">{count}</span></div>'
        f'<div class="lsdb-ts-columns"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
        f'<div class="lsdb-ts-map">{coverage_svg(catalog.layout)}'
        f'<div class="lsdb-ts-soft">partitions on the sky</div></div>'
        f'<div class="lsdb-ts-plan">plan: <code>{escape(plan_line(catalog.plan))}</code></div></div>'
    )


def coverage_svg(layout: Layout) -> str:
    """Return a small all-sky map of the pixels of a layout (Mollweide, RA 0 in the middle, rising to the left)."""
    sky = Mollweide()
    half_wide, half_high = sky.half_size
    scale = _MAP_WIDTH / (2 * half_wide)
    wide, high = _MAP_WIDTH + 4, 2 * half_high * scale + 4
    frame = f'cx="{wide / 2:g}" cy="{high / 2:.1f}" rx="{_MAP_WIDTH / 2:g}" ry="{half_high * scale:.1f}"'
    n = 110
    x = (np.arange(2 * n) + 0.5) / n - 1.0
    y = (np.arange(n) + 0.5) / n * 2 - 1.0
    covered = np.isfinite(_covered(layout, *sky.to_sky(x[None, :] * half_wide, -y[:, None] * half_high)))
    path = "".join(_runs(covered, 2 * half_wide * scale / (2 * n), 2 * half_high * scale / n))
    lines = "".join(_segments(layout, sky, scale))
    return (
        f'<svg width="{wide:g}" height="{high:.0f}" viewBox="0 0 {wide:g} {high:.1f}" role="img" '
        f'aria-label="coverage of the sky: {len(layout)} partitions">'
        f'<ellipse {frame} fill="#8a93a3" fill-opacity=".10" stroke="#8a93a3" stroke-width="1"/>'
        f'<path d="{path}" fill="#3585b5" fill-opacity=".75"/>'
        f'<path d="{lines}" fill="none" stroke="#1d4f74" stroke-width=".7"/></svg>'
    )


def _covered(layout: Layout, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    return SkyMap(layout, np.ones(len(layout))).density_at(ra, dec)


def _runs(covered: np.ndarray, dx: float, dy: float) -> list[str]:
    """Return the covered points of each row of a picture as flat rectangles."""
    drawn = []
    for i, row in enumerate(covered):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            drawn.append(
                f"M{2 + start * dx:.1f} {2 + i * dy:.1f}h{(stop - start) * dx:.1f}v{dy:.1f}h{(start - stop) * dx:.1f}z"
            )
    return drawn


def _segments(layout: Layout, sky: Mollweide, scale: float) -> list[str]:
    drawn = SkyMap(layout, np.ones(len(layout))).coarsened(_FINEST_ORDER).layout
    if len(drawn) == 0 or len(drawn) > 1000:
        return []
    wide, high = sky.half_size
    lines = sky.lines(*outline(drawn, 4 if len(drawn) > 100 else 8))
    x, y = 2 + (lines[:, :, 0] + wide) * scale, 2 + (high - lines[:, :, 1]) * scale
    return [f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" for (a, c), (b, d) in zip(x.tolist(), y.tolist(), strict=True)]


def _row(column: Column, *, part: bool = False) -> str:
    kind = f"nested, {len(column.parts)} columns" if column.parts else column.kind
    role = f'<span class="lsdb-ts-role">{escape(column.role)}</span>' if column.role else ""
    cells = (f"<code>{escape(column.name)}</code>", escape(kind), escape(column.unit), role)
    return f"<tr{' class=lsdb-ts-part' if part else ''}>{''.join(f'<td>{c}</td>' for c in cells)}</tr>"
