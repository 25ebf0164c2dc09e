"""What a piece of work is expected to read, hold in memory and hand on, before it is done. Nodes say what they add."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_DISTANCE_BYTES = 8
_OVERHEAD = 1.15
"""What index arrays and allocators take beyond the tables themselves; measured by the tests."""


@dataclass(frozen=True)
class Forecast:
    """Expectations of one node for one pixel."""

    rows: float
    """Rows handed on, likely."""
    bytes: float
    """Bytes in memory of these."""
    most_bytes: float
    """Bytes handed on if no predicate drops a row: the worst case that memory is planned for."""
    disk: float = 0.0
    """Compressed bytes read, by this node itself."""
    peak: float = 0.0
    """Most bytes in memory at a time while this and all below is made."""


def pairs_of(left: Forecast, right: Forecast, partners: float, alone: tuple[bool, bool]) -> Forecast:
    """Return what is expected of a match.

    Parameters
    ----------
    left, right : Forecast
        The sides.
    partners : float
        Partners of a left row.
    alone : (bool, bool)
        Whether left rows and right rows without a partner are kept.
    """
    found = left.rows * partners
    width = sum(side.bytes / side.rows for side in (left, right) if side.rows) + _DISTANCE_BYTES
    rows = found
    rows += max(left.rows - found, 0.0) if alone[0] else 0.0
    rows += max(right.rows - found, 0.0) if alone[1] else 0.0
    # If predicates drop nothing, and each left row has one partner at least.
    most = (left.most_bytes + right.most_bytes) * max(partners, 1.0)
    return Forecast(rows, rows * width, max(most, rows * width))


def peak_of(own: Forecast, parts: Sequence[Forecast]) -> float:
    """Return the most memory that making a node's table takes.

    Children are made one after another and held until theirs is made of them; a table is copied once at most when its
    rows are taken.
    """
    held = 0.0
    peak = own.peak
    for part in parts:
        peak = max(peak, held + part.peak)
        held += part.most_bytes
    return max(peak, _OVERHEAD * (held + 2 * own.most_bytes))


def total(forecasts: Iterable[Forecast], scale: float) -> Forecast:
    """Add up the forecasts of one node for some pixels, scaled up to all; the peak is that of the largest."""
    listed = list(forecasts)
    rows, size, most, disk = (
        scale * sum(getattr(f, name) for f in listed) for name in ("rows", "bytes", "most_bytes", "disk")
    )
    return Forecast(rows, size, most, disk, max((f.peak for f in listed), default=0.0))
