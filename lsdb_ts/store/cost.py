"""What reading costs, as told by metadata: rows, bytes on disk and in memory, sky. Reading itself is next door."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsdb_ts.sky.pixel import MAX_ORDER, pixel_area_arcsec2
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.files import AnyPath
from lsdb_ts.store.footers import Footer, footer

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}
"""Bytes a value takes in memory, by its physical type in Parquet."""
_OFFSET = 4
_CELL_ARCSEC2 = pixel_area_arcsec2(MAX_ORDER)
_SPHERE_ARCSEC2 = pixel_area_arcsec2(0) * 12


@dataclass(frozen=True)
class Shared:
    """A row group that stays decoded, because a pixel wants a part of it: others do not read it again."""

    key: Hashable
    """File and row group."""
    start: int
    """Its first ``_healpix_29``."""
    stop: int
    """One past its last."""
    disk: int
    """Compressed bytes read."""


@dataclass(frozen=True)
class Cost:
    """Rows and bytes of a read. Costs add up."""

    rows: int = 0
    """Rows of the row groups read."""
    kept: float = 0.0
    """Rows of these that are expected inside the wanted sky."""
    likely: float = 0.0
    """Rows of these that are expected within the bounds, too."""
    disk: int = 0
    """Compressed bytes read."""
    memory: int = 0
    """Bytes of the rows read, as Arrow columns."""
    area_arcsec2: float = 0.0
    """Sky that the kept rows lie on, at most; 0 where it is not known."""
    shared: tuple[Shared, ...] = ()
    """Row groups, of those counted above, that are read once for all pixels."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.rows + other.rows,
            self.kept + other.kept,
            self.likely + other.likely,
            self.disk + other.disk,
            self.memory + other.memory,
            self.area_arcsec2 + other.area_arcsec2,
            self.shared + other.shared,
        )


def estimate(
    path: AnyPath,
    columns: Sequence[str],
    within: Ranges | None = None,
    bounds: Mapping[str, tuple[Any, Any]] | None = None,
    positions: Sequence[str | None] = (),
) -> Cost:
    """Return what :func:`lsdb_ts.store.read.read_rows` would read.

    Parameters
    ----------
    path, columns, within, bounds
        As there.
    positions : sequence of str, optional
        Names of RA and Dec (degrees), whose statistics tell how much of its sky a row group fills.
    """
    found = footer(path)
    chunks = found.chunks(columns)
    groups = found.groups(within, bounds or {})
    is_whole = not groups or found.lies_inside(within)
    starts, stops = found.places
    total = Cost(area_arcsec2=_occupied_arcsec2(found, groups, within, positions))
    for g in groups:
        group = found.group(g)
        read = [group.column(c) for c in chunks]
        kept = group.num_rows * found.share(g, within)
        disk = sum(c.total_compressed_size for c in read)
        total += Cost(
            group.num_rows,
            kept,
            kept * found.share_within(g, bounds or {}),
            disk,
            sum(bytes_in_memory(c) for c in read),
            shared=() if is_whole else (Shared((found.key, g), int(starts[g]), int(stops[g]), disk),),
        )
    return total


def _occupied_arcsec2(
    found: Footer, groups: Sequence[int], within: Ranges | None, positions: Sequence[str | None]
) -> float:
    """Return the wanted sky on which rows lie: of groups of row groups that overlap, the interval or the box."""
    area = 0.0
    for overlapping in _overlapping(found, groups):
        starts, stops = (ends[overlapping] for ends in found.places)
        interval = float(stops.max() - starts.min()) * _CELL_ARCSEC2
        share = max(found.share(g, within) for g in overlapping)
        area += share * min(interval, _box_arcsec2(found, overlapping, positions))
    return area


def _overlapping(found: Footer, groups: Sequence[int]) -> Iterator[list[int]]:
    """Put row groups together whose places overlap, as those of unsorted files do."""
    starts, stops = found.places
    together: list[int] = []
    end = 0
    for g in sorted(groups, key=lambda g: int(starts[g])):
        if together and starts[g] >= end:
            yield together
            together = []
        together.append(g)
        end = max(end, int(stops[g]))
    if together:
        yield together


def _box_arcsec2(found: Footer, groups: Sequence[int], positions: Sequence[str | None]) -> float:
    """Return the area between the extreme coordinates of some row groups; that of the sphere where they do not tell."""
    ends = []
    for name in positions:
        chunk = found.paths.get(name) if name is not None else None
        stated = [found.group(g).column(chunk).statistics for g in groups] if chunk is not None else []
        known = [(float(s.min), float(s.max)) for s in stated if s is not None and s.has_min_max]
        if len(known) < len(groups):
            return _SPHERE_ARCSEC2
        ends.append((min(low for low, _ in known), max(high for _, high in known)))
    if len(ends) != 2:
        return _SPHERE_ARCSEC2
    (west, east), (south, north) = ends
    height = math.sin(math.radians(north)) - math.sin(math.radians(south))
    # A field of one row has no extent; NaN is no statistic.
    box = _SPHERE_ARCSEC2 * (east - west) / 360 * height / 2
    return box if box > 0 else _SPHERE_ARCSEC2


def bytes_in_memory(chunk: Any) -> int:
    """Return the bytes that a Parquet column chunk takes as an Arrow column.

    The lengths of texts are told by their smallest and largest value: what a dictionary saves on disk is not saved in
    memory.
    """
    width = _WIDTHS.get(chunk.physical_type)
    if width is None:
        known = chunk.statistics
        ends = (known.min, known.max) if known is not None and known.has_min_max else ()
        lengths = [len(v) for v in ends if isinstance(v, str | bytes)]
        if not lengths:
            return int(chunk.total_uncompressed_size) + _OFFSET * int(chunk.num_values)
        width = _OFFSET + max(lengths)
    offsets = _OFFSET if "." in chunk.path_in_schema else 0
    return int(chunk.num_values) * (width + offsets)
