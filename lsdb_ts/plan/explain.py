"""Say what a plan will do before it does it: per node the columns, pixels, halo, and the rows and bytes expected.

Metadata only.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.forecast import Forecast, peak_of, total, width_of
from lsdb_ts.plan.node import Node, nodes_of
from lsdb_ts.schema import HEALPIX, find
from lsdb_ts.sky.halo import dilated
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import MAX_ORDER, Pixel, cell_of
from lsdb_ts.store.cost import Shared

_SAMPLED_PIXELS = 64
"""Forecasts are made for each pixel up to so many, and scaled up from an even sample beyond."""
_FIRST_PIXELS = 8
"""So many of them are looked at first where the largest is sought."""

Asked = tuple[Node, Demand]


@dataclass(frozen=True)
class Line:
    """What one node of a plan is asked for, and expected to give over all pixels."""

    depth: int
    text: str
    columns: tuple[str, ...]
    pixels: int
    halo_arcsec: float
    expected: Forecast


@dataclass(frozen=True, repr=False)
class Explanation:
    """What a plan will do: a line for each node, root first."""

    lines: tuple[Line, ...]

    @property
    def tasks(self) -> int:
        """Pixels of the result: pieces of work that succeed or fail on their own."""
        return self.lines[0].pixels

    @property
    def rows(self) -> int:
        """Rows of the result, expected."""
        return round(self.lines[0].expected.rows)

    @property
    def bytes(self) -> int:
        """Bytes in memory of the result, expected."""
        return round(self.lines[0].expected.bytes)

    @property
    def bytes_read(self) -> int:
        """Compressed bytes read from files, expected."""
        return round(sum(line.expected.disk for line in self.lines))

    @property
    def bytes_per_task(self) -> int:
        """Most memory that the largest piece of work is expected to hold at a time."""
        return round(self.lines[0].expected.peak)

    def __repr__(self) -> str:
        texts = [_text(line) for line in self.lines]
        reads = f", reading {in_bytes(self.bytes_read)}" if self.bytes_read else ""
        return "\n".join(
            [
                *texts,
                f"total: {self.tasks:,} tasks{reads}, making {_size(self.lines[0].expected)}; at most "
                f"{in_bytes(self.bytes_per_task)} of memory a task",
            ]
        )


def explain(node: Node, demand: Demand) -> Explanation:
    """Walk a demand down a plan, and forecast what comes up, for a sample of the pixels."""
    n = len(demand.pixels)
    forecasts = [_forecasts(node, demand.at(demand.pixels[i])) for i in _sampled(n, _SAMPLED_PIXELS)]
    columns = zip(*forecasts, strict=True) if forecasts else ([] for _ in nodes_of(node))
    scale = n / max(len(forecasts), 1)
    return Explanation(
        tuple(
            Line(
                depth,
                at.summary,
                tuple(c for c in d.columns if c != HEALPIX),
                len(d.pixels),
                d.halo_arcsec,
                total(found, scale, functools.partial(_readers, d)),
            )
            for (depth, at, d), found in zip(_asked(node, demand, 0), columns, strict=True)
        )
    )


def peaks(node: Node, demand: Demand) -> Iterator[tuple[Pixel, float]]:
    """Yield pixels with the bytes of memory that computing them is expected to take: some spread over all first."""
    n = len(demand.pixels)
    first = _sampled(n, _FIRST_PIXELS)
    for i in [*first, *(j for j in _sampled(n, _SAMPLED_PIXELS) if j not in first)]:
        pixel = demand.pixels[i]
        yield pixel, peak(node, demand.at(pixel))


def peak(node: Node, demand: Demand) -> float:
    """Return the bytes of memory that computing one pixel is expected to take."""
    return _forecasts(node, demand)[0].peak


def _sampled(n: int, most: int) -> list[int]:
    """Return at most so many numbers below n, evenly spread and without repeats."""
    spread: list[int] = np.unique(np.linspace(0, max(n - 1, 0), min(n, most)).astype(int)).tolist()
    return spread


def _readers(demand: Demand, group: Shared) -> int:
    """Return how many of the demanded pixels, with their halos, want some of a row group."""
    # Drawn with a few cells of about its size: its ends need not be exact.
    order = max(0, MAX_ORDER - ((group.stop - group.start).bit_length() + 1) // 2)
    cells = np.unique(cell_of(np.linspace(group.start, group.stop - 1, 9).astype(np.int64), order))
    sky = dilated(Layout.of_arrays(np.full(cells.size, order), cells), demand.halo_arcsec)
    return int(np.count_nonzero(sky.overlaps(demand.pixels.starts, demand.pixels.stops)))


def _asked(node: Node, demand: Demand, depth: int) -> Iterator[tuple[int, Node, Demand]]:
    yield depth, node, demand
    for child, asked in zip(node.children, node.demands(demand), strict=True):
        yield from _asked(child, asked, depth + 1)


def _forecasts(node: Node, demand: Demand) -> list[Forecast]:
    """Return the forecasts of one pixel, in the order of the nodes: root first."""
    if len(demand.pixels) == 0:
        return [Forecast(0, 0, 0) for _ in nodes_of(node)]
    children = list(zip(node.children, node.demands(demand), strict=True))
    below = [_forecasts(child, asked.at(asked.pixels[0]) if len(asked.pixels) else asked) for child, asked in children]
    parts = [forecasts[0] for forecasts in below]
    own = node.forecast(demand, parts)
    own = replace(own, peak=peak_of(own, parts))
    if children:
        # Rows stay where those of the first child are; what is read is told below.
        own = replace(own, area_arcsec2=parts[0].area_arcsec2, shared=())
        # Columns that a node needs and nobody above it wants are not handed on.
        share = 1.0 if node.forecasts_demand else _handed_on((node, demand), children, parts)
        own = replace(own, bytes=own.bytes * share, most_bytes=own.most_bytes * share)
    return [own, *(f for forecasts in below for f in forecasts)]


def _handed_on(at: Asked, children: Sequence[Asked], parts: Sequence[Forecast]) -> float:
    """Return which part of the bytes that a node's children give it is wanted of the node."""
    node, demand = at
    given = [_width(*pair) for pair in children]
    nested = [c for c in demand.columns if "." in c and not any(c in asked.columns for _, asked in children)]
    if not nested or len(children) < 2:
        return min(1.0, _width(node, demand) / max(sum(given), 1))
    # Rows of the second child become lists: as many values as it has rows.
    each = parts[1].rows / max(parts[0].rows, 1)
    flat = replace(demand, columns=tuple(c for c in demand.columns if c not in nested))
    second = replace(demand, columns=tuple(c.partition(".")[2] for c in nested))
    wanted = _width(node, flat) + each * _width(children[1][0], second)
    return min(1.0, wanted / max(given[0] + each * given[1], 1))


def _width(node: Node, demand: Demand) -> float:
    """Return the bytes a row of a demand takes, roughly: for shares of bytes that are known better."""
    return sum(width_of(find(node.schema, c)) for c in demand.columns)


def _text(line: Line) -> str:
    columns = ", ".join(line.columns[:8]) + (f", ... ({len(line.columns)})" if len(line.columns) > 8 else "")
    parts = [f"{line.pixels:,} pixels", f"columns: {columns or 'none'}"]
    if line.halo_arcsec:
        parts.append(f'halo {line.halo_arcsec:g}"')
    if line.expected.disk:
        parts.append(f"reads {in_bytes(line.expected.disk)}")
    parts.append(_size(line.expected))
    return "  " * line.depth + line.text + "  [" + "; ".join(parts) + "]"


def _size(expected: Forecast) -> str:
    """Return rows and bytes for people; less than a row is expected of a sky that is asked for few positions only."""
    if 0 < expected.rows < 0.5:
        return "few rows"
    return f"{round(expected.rows):,} rows, {in_bytes(expected.bytes)}"


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
