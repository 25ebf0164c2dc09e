"""What a piece of work is expected to read, hold in memory and hand on, before it is done. Nodes say what they add."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from lsdb_ts.store.cost import Shared

_COUNTERPARTS = 0.9
"""Of the rows that may have a counterpart, so many are expected to: within a factor of 2 from 0.45 to all."""
_PAIR_BYTES = 24
"""Two numbers of rows and a distance."""
_OVERHEAD = 1.3
"""What index arrays and allocators take beyond the tables themselves; measured by the tests."""
BUFFERS_BYTES = 32 << 20
"""What reading and making tables takes however small they are, and what a thread's allocator keeps of it."""
_TEXT_BYTES, _LIST_LENGTH = 16.0, 64
"""Of a text and of a list, whose types do not tell."""
EPOCH_TEXT_BYTES = 5.0
"""Of a text that each epoch has, as a rule the band: a letter and where it begins."""


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
    area_arcsec2: float = 0.0
    """Sky that the rows lie on, at most; 0 where it is not known."""
    shared: tuple[Shared, ...] = ()
    """Row groups among what is read that other pixels do not read again."""


def width_of(column: pa.Field | None, text: float = _TEXT_BYTES) -> float:
    """Return the bytes of a value: of a struct those of its parts, of texts and lists a guess; None is the place."""
    kind = pa.int64() if column is None else column.type
    if pa.types.is_struct(kind):
        return sum(width_of(part, text) for part in kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _LIST_LENGTH * width_of(kind.value_field, text)
    try:
        return float(kind.bit_width) / 8
    except ValueError:
        return text


def partners_of(left: Forecast, right: Forecast, radius_arcsec: float, pixel_arcsec2: float) -> tuple[float, float]:
    """Return (share of left rows with a counterpart, right rows within the radius of a left row by chance).

    By chance: as if the rows of either side were spread evenly over the sky they lie on, and the smaller of the two
    skies lay inside the larger.

    Parameters
    ----------
    left, right : Forecast
        The sides.
    radius_arcsec : float
        Largest separation.
    pixel_arcsec2 : float
        Area of the pixel: what is assumed of rows whose own sky is not known.
    """
    areas = [min(side.area_arcsec2 or pixel_arcsec2, pixel_arcsec2) for side in (left, right)]
    share = _COUNTERPARTS * min(1.0, right.rows / left.rows) if left.rows else 0.0
    return share, right.rows * math.pi * radius_arcsec**2 / max(areas)


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
    # The place stands on both sides, and the distance in place of one.
    width = sum(side.bytes / side.rows for side in (left, right) if side.rows)
    rows = found
    rows += max(left.rows - found, 0.0) if alone[0] else 0.0
    rows += max(right.rows - found, 0.0) if alone[1] else 0.0
    # If predicates drop nothing, and each left row has one partner at least; pairs are found before they are made.
    most = (left.most_bytes + right.most_bytes) * max(partners, 1.0) + _PAIR_BYTES * found
    return Forecast(rows, rows * width, max(most, rows * width))


def peak_of(own: Forecast, parts: Sequence[Forecast]) -> float:
    """Return the most memory that making a node's table takes.

    Children are made one after another and held until theirs is made of them; a table is copied once at most when its
    rows are taken.
    """
    held = 0.0
    peak = BUFFERS_BYTES + _OVERHEAD * own.peak
    for part in parts:
        peak = max(peak, held + part.peak)
        held += part.most_bytes
    return max(peak, BUFFERS_BYTES + _OVERHEAD * (held + 2 * own.most_bytes))


def total(forecasts: Iterable[Forecast], scale: float, readers: Callable[[Shared], int]) -> Forecast:
    """Add up the forecasts of one node for some pixels, scaled up to all; the peak is that of the largest.

    Parameters
    ----------
    forecasts : iterable of Forecast
        One for each pixel looked at.
    scale : float
        All pixels over those looked at.
    readers : callable
        How many of all pixels want some of a row group; asked where only some were looked at.
    """
    listed = list(forecasts)
    rows, size, most, disk = (
        scale * sum(getattr(f, name) for f in listed) for name in ("rows", "bytes", "most_bytes", "disk")
    )
    reads: dict[Hashable, list[Shared]] = {}
    for shared in (group for f in listed for group in f.shared):
        reads.setdefault(shared.key, []).append(shared)
    for first, *others in reads.values():
        n = 1 + len(others)
        once = 1.0 if scale == 1 else scale * n / max(n, readers(first))
        disk -= (scale * n - once) * first.disk
    return Forecast(rows, size, most, disk, max((f.peak for f in listed), default=0.0))
