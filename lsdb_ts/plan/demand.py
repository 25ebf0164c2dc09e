"""What is asked of a node: columns, rows that may be skipped, pixels, and sky beyond the edge.

Nodes translate it for their children.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import Pixel
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.read import Bounds


@dataclass(frozen=True, eq=False)
class Demand:
    """The one value that is pushed from the root of a plan to its scans."""

    columns: tuple[str, ...]
    """Columns wanted.

    Parts of nested columns one by one (``lc.psfFlux``), and ``_healpix_29`` where the place is wanted.
    """
    pixels: Layout
    """Pixels wanted."""
    rows: Bounds = field(default_factory=dict)
    """Closed interval by column that rows must touch to matter; others may be left out, or not."""
    sky: Ranges | None = None
    """Sky outside of which rows do not matter; they may be left out, or not. None is all sky."""
    halo_arcsec: float = 0.0
    """Width of the border beyond each pixel's edge that is wanted too."""

    def at(self, pixel: Pixel) -> Demand:
        """Ask the same of one pixel."""
        return replace(self, pixels=Layout.of([pixel]))

    @property
    def pixel(self) -> Pixel:
        """The pixel of a demand for one."""
        if len(self.pixels) != 1:
            raise ValueError(f"a piece of work is one pixel, not {len(self.pixels)}")
        return self.pixels[0]

    def plus(self, columns: Iterable[str] = (), halo_arcsec: float = 0.0, rows: Bounds | None = None) -> Demand:
        """Ask for more columns or a wider halo, and less of the rows."""
        return replace(
            self,
            columns=tuple(dict.fromkeys([*self.columns, *columns])),
            halo_arcsec=self.halo_arcsec + halo_arcsec,
            rows=intersected(self.rows, (rows or {}).items()),
        )


def common(sky: Ranges | None, more: Ranges | None) -> Ranges | None:
    """Return the sky in both, where None is all sky."""
    return more if sky is None else sky if more is None else sky.intersection(more)


def intersected(bounds: Bounds, more: Iterable[tuple[str, tuple[Any, Any]]]) -> Bounds:
    """Narrow bounds by further intervals.

    >>> intersected({"mag": (None, 20)}, [("mag", (18, 22)), ("ra", (0, None))])
    {'mag': (18, 20), 'ra': (0, None)}
    """
    joined = dict(bounds)
    for name, (low, high) in more:
        if name in joined:
            old_low, old_high = joined[name]
            low = old_low if low is None else low if old_low is None else max(low, old_low)
            high = old_high if high is None else high if old_high is None else min(high, old_high)
        joined[name] = (low, high)
    return joined
