"""What the footers of Parquet files tell: columns, and which row groups can hold wanted rows. Kept in memory.

Reading the rows is done next door.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import HEALPIX, plain_nested
from lsdb_ts.sky.pixel import SKY_STOP, Indices
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.files import AnyPath, key_of, read_footer
from lsdb_ts.store.kept import Kept
from lsdb_ts.store.remote import RemotePath

_LIMIT_BYTES = 32 << 20
"""Of all footers kept, as stored; in memory they take a few times that."""
_SHORT_METADATA = 1 << 20
"""Bytes of all footers of a catalog that are fetched at once rather than one by one."""


@dataclass(frozen=True, eq=False)
class Footer:
    """The footer of one Parquet file, and what was worked out of it."""

    metadata: pq.FileMetaData
    key: tuple[Any, ...]
    """What makes the file the same file again."""
    first: int = 0
    """Place of the file's first row group in the metadata, which may be those of a whole catalog."""
    n_groups: int = -1
    """Row groups of the file; negative for all that are in the metadata."""

    def __len__(self) -> int:
        return self.metadata.num_row_groups if self.n_groups < 0 else self.n_groups

    def group(self, g: int) -> pq.RowGroupMetaData:
        """Return what is known of one of the file's row groups."""
        return self.metadata.row_group(self.first + g)

    @property
    def n_rows(self) -> int:
        """Rows of the file."""
        return sum(self.group(g).num_rows for g in range(len(self)))

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Columns as stored."""
        return self.metadata.schema.to_arrow_schema()

    @functools.cached_property
    def has_nested_dictionaries(self) -> bool:
        """Tell whether there are dictionaries inside lists, which Arrow cannot join from several row groups."""
        return not self.schema.equals(plain_nested(self.schema))

    @functools.cached_property
    def paths(self) -> dict[str, int]:
        """Parquet leaf columns by path (``lc.t.list.element``), in stored order."""
        return {self.metadata.schema.column(i).path: i for i in range(self.metadata.num_columns)}

    @functools.cached_property
    def places(self) -> tuple[Indices, Indices]:
        """First and one past the last ``_healpix_29`` of each row group; all sky where statistics do not tell."""
        n = len(self)
        starts, stops = np.zeros(n, dtype=np.int64), np.full(n, SKY_STOP, dtype=np.int64)
        column = self.paths.get(HEALPIX)
        for g in range(n) if column is not None else ():
            known = self.group(g).column(column).statistics
            if known is not None and known.has_min_max:
                starts[g], stops[g] = known.min, known.max + 1
        return starts, stops

    def chunks(self, columns: Iterable[str]) -> list[int]:
        """Return the Parquet leaf columns that belong to the named columns and parts of nested ones."""
        wanted = set(columns)
        found = []
        for path, i in self.paths.items():
            parts = path.split(".")
            if path in wanted or parts[0] in wanted or ".".join(parts[:2]) in wanted:
                found.append(i)
        return found

    def groups(self, within: Ranges | None, bounds: Mapping[str, tuple[Any, Any]]) -> list[int]:
        """Return the row groups that can hold rows inside a set of sky and inside bounds."""
        tested = {self.paths[name]: limits for name, limits in bounds.items() if name in self.paths}
        n = len(self)
        touched = np.ones(n, dtype=bool) if within is None else within.overlaps(*self.places)
        return [
            g
            for g in np.flatnonzero(touched).tolist()
            if all(_touches(self.group(g).column(c).statistics, *limits) for c, limits in tested.items())
        ]

    def lies_inside(self, within: Ranges | None) -> bool:
        """Tell whether all row groups surely lie inside a set of sky, each as a whole."""
        if within is None or len(self) == 0:
            return True
        starts, stops = self.places
        interval = np.searchsorted(within.starts, starts, side="right") - 1
        return len(within) > 0 and bool(((interval >= 0) & (stops <= within.stops[interval])).all())

    def share(self, group: int, within: Ranges | None) -> float:
        """Return which part of a row group's sky is wanted."""
        start, stop = (int(ends[group]) for ends in self.places)
        if within is None or (start, stop) == (0, SKY_STOP):
            return 1.0
        wanted = within.intersection(Ranges.of([start], [stop]))
        return float((wanted.stops - wanted.starts).sum() / (stop - start))

    def share_within(self, group: int, bounds: Mapping[str, tuple[Any, Any]]) -> float:
        """Return which part of a row group's rows is likely within bounds, as if values were spread evenly."""
        share = 1.0
        for name, (low, high) in bounds.items():
            known = self.group(group).column(self.paths[name]).statistics if name in self.paths else None
            if known is None or not known.has_min_max or not isinstance(known.min, int | float):
                continue
            span = float(known.max) - float(known.min)
            ends = [float(end) if isinstance(end, int | float) else None for end in (low, high)]
            first = known.min if ends[0] is None else max(ends[0], known.min)
            last = known.max if ends[1] is None else min(ends[1], known.max)
            share *= min(max((last - first) / span, 0.0), 1.0) if span > 0 else 1.0
        return share


FOOTERS: Kept[tuple[Any, ...], Footer] = Kept(
    _LIMIT_BYTES,
    lambda footer: int(footer.metadata.serialized_size * len(footer) / max(footer.metadata.num_row_groups, 1)),
)
_LEARNT: Kept[tuple[Any, ...], bool] = Kept(1 << 20, lambda _: 1 << 10)


def footer(path: AnyPath) -> Footer:
    """Return a file's footer; kept in memory while the file stays the same.

    Raises
    ------
    CatalogError
        The file is missing or damaged.
    """
    try:
        key = key_of(path)
        return FOOTERS.take([key], lambda _: [Footer(read_footer(path), key)])[0]
    except (OSError, pa.ArrowException) as error:
        raise CatalogError(f"cannot read {path}: {error}") from error


def learn_footers(folder: RemotePath, n_rows: int | None, files: Sequence[RemotePath]) -> None:
    """Take the footers of all files of a small remote catalog from its ``_metadata``, with one request or two.

    Only where that is short, and speaks of just these files and rows; else every footer is read by itself. Once for
    each process.
    """

    def learn(_: object) -> list[bool]:
        try:
            metadata = read_footer(folder / "dataset" / "_metadata", _SHORT_METADATA)
        except CatalogError:
            return [False]
        paths = [metadata.row_group(g).column(0).file_path for g in range(metadata.num_row_groups)]
        firsts = {path: paths.index(path) for path in dict.fromkeys(paths)}
        stored = {str(folder / "dataset" / path): first for path, first in firsts.items()}
        if metadata.num_rows != n_rows or sorted(stored) != sorted(map(str, files)):
            return [False]
        found = {
            key_of(file): Footer(metadata, key_of(file), first, paths.count(paths[first]))
            for file in files
            for first in [stored[str(file)]]
        }
        FOOTERS.take(list(found), lambda missing: [found[key] for key in missing])
        return [True]

    _LEARNT.take([(folder.url, folder.stamp)], learn)


def _touches(statistics: Any, low: Any, high: Any) -> bool:
    if statistics is None or not statistics.has_min_max:
        return True
    try:
        return not ((low is not None and statistics.max < low) or (high is not None and statistics.min > high))
    except TypeError:
        # The literal and the column are of kinds that do not compare; the row filter will say so with the column's
        # name.
        return True
