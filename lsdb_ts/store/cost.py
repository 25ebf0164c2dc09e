"""What reading costs, as told by metadata: rows and bytes on disk and in memory. Reading itself is next door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}
"""Bytes a value takes in memory, by its physical type in Parquet."""
_OFFSET = 4


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

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.rows + other.rows,
            self.kept + other.kept,
            self.likely + other.likely,
            self.disk + other.disk,
            self.memory + other.memory,
        )


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
