"""Say what a plan will do before it does it: per node the columns, pixels, halo, and for scans the rows and bytes.

Metadata only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.node import Node
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import HEALPIX

_SAMPLED_PIXELS = 64
"""Estimates are exact up to so many pixels and scaled up from an even sample beyond."""


@dataclass(frozen=True)
class Line:
    """What one node of a plan is asked for."""

    depth: int
    text: str
    columns: tuple[str, ...]
    pixels: int
    halo_arcsec: float
    rows: int | None = None
    """Rows read in all; scans only."""
    bytes: int | None = None
    """Uncompressed bytes read in all; scans only."""
    bytes_per_task: int | None = None
    """Of the largest piece of work sampled; scans only."""


def explain(node: Node, demand: Demand) -> list[Line]:
    """Return a line for each node, root first."""
    return list(_lines(node, demand, 0))


def bytes_per_task(node: Node, demand: Demand) -> int:
    """Return the uncompressed bytes that the largest piece of work sampled reads, over all scans of the plan."""
    return sum(line.bytes_per_task or 0 for line in explain(node, demand))


def _lines(node: Node, demand: Demand, depth: int) -> list[Line]:
    shown = tuple(c for c in demand.columns if c != HEALPIX)
    numbers = _measured(node, demand) if isinstance(node, Scan) else (None, None, None)
    lines = [Line(depth, node.summary, shown, len(demand.pixels), demand.halo_arcsec, *numbers)]
    for child, asked in zip(node.children, node.demands(demand), strict=True):
        lines.extend(_lines(child, asked, depth + 1))
    return lines


def _measured(scan: Scan, demand: Demand) -> tuple[int, int, int]:
    n = len(demand.pixels)
    if n == 0:
        return 0, 0, 0
    sample = np.unique(np.linspace(0, n - 1, min(n, _SAMPLED_PIXELS)).astype(int))
    found = [scan.estimate(demand.at(demand.pixels[int(i)])) for i in sample]
    scale = n / len(found)
    return round(sum(r for r, _ in found) * scale), round(sum(b for _, b in found) * scale), max(b for _, b in found)


def as_text(lines: list[Line]) -> str:
    """Return the lines as an indented text."""
    texts = []
    for line in lines:
        columns = ", ".join(line.columns[:8]) + (f", ... ({len(line.columns)})" if len(line.columns) > 8 else "")
        parts = [f"{line.pixels} pixels", f"columns: {columns or 'none'}"]
        if line.halo_arcsec:
            parts.append(f'halo {line.halo_arcsec:g}"')
        if line.rows is not None and line.bytes is not None and line.bytes_per_task is not None:
            parts.append(f"{line.rows:,} rows, {in_bytes(line.bytes)}, at most {in_bytes(line.bytes_per_task)} a task")
        texts.append("  " * line.depth + line.text + "  [" + "; ".join(parts) + "]")
    return "\n".join(texts)


def in_bytes(n: float) -> str:
    """Return a number of bytes for people.

    >>> in_bytes(1536)
    '1.5 KiB'
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} TiB"
