"""The light curves of ordered rows: nested all at once in memory, or some rows at a time from the scratch disk.

How child rows become a nested column is written in nest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.sky.pixel import Indices
from lsdb_ts.store.write import memory_bits
from partitioner.account import Tally, integers
from partitioner.inputs.tables import times
from partitioner.moving.ids import find_places
from partitioner.moving.merge import Keys, Ordered, in_order, rows_up_to
from partitioner.moving.nest import Nesting, Repeats, nest_children, tally_of_curves

_WINDOW_ROWS = 1 << 10
"""Light curves that are put together at once only to learn what they take."""


class _Source(Protocol):
    repeats: Repeats
    """Of what was nested so far."""

    def nested(self, start: int, stop: int) -> pa.StructArray: ...

    def bits(self, start: int, stop: int) -> int: ...


class Curves:
    """What is nested in rows that are ordered by place and id."""

    def __init__(self, work: Nesting, rows: Ordered, source: _Source) -> None:
        self.work = work
        self.tally = Tally()
        """Of the child rows that were nested so far."""
        self._rows, self._source = rows, source

    @property
    def repeats(self) -> Repeats:
        """Rows that were nested so far whose id comes in the same curve before them."""
        return self._source.repeats

    def column(self, start: int, stop: int) -> pa.StructArray:
        """Return the light curves of some rows; each row may be asked for once."""
        curves = self._source.nested(start, stop)
        self.tally += tally_of_curves(self.work, curves, np.asarray(self._rows.keys[1][start:stop]))
        return curves

    def bits(self, start: int, stop: int) -> int:
        """Return what the light curves of some rows take in memory."""
        return self._source.bits(start, stop)


@contextmanager
def curves_of(
    work: Nesting, batches: Sequence[pa.RecordBatch], rows: Ordered, scratch: Path, *, stream: bool
) -> Iterator[Curves]:
    """Nest the child rows of batches in ordered rows; see :func:`partitioner.moving.merge.in_order`."""
    if not stream:
        yield Curves(work, rows, _Held(work, rows, batches))
        return
    with in_order(batches, work.schema, _by_parent(work), scratch, stream=True) as children:
        yield Curves(work, rows, _Merged(work, rows, children))


class _Held:
    """All light curves, in memory."""

    def __init__(self, work: Nesting, rows: Ordered, batches: Sequence[pa.RecordBatch]) -> None:
        self.curves, self.repeats = nest_children(work, np.asarray(rows.keys[1]), batches)

    def nested(self, start: int, stop: int) -> pa.StructArray:
        return self.curves.slice(start, stop - start)

    def bits(self, start: int, stop: int) -> int:
        return memory_bits(pa.table([self.nested(start, stop)], names=["curves"]))


class _Merged:
    """Light curves that are put together when asked for, of child rows in the order of their parents."""

    def __init__(self, work: Nesting, rows: Ordered, children: Ordered) -> None:
        self.work, self.rows, self.children = work, rows, children
        self.repeats = Repeats()

    def nested(self, start: int, stop: int) -> pa.StructArray:
        curves, repeats = self._put_together(start, stop)
        self.repeats += repeats
        return curves

    def bits(self, start: int, stop: int) -> int:
        if self.work.nested.on_duplicates == "drop":
            # What stays is known only when it is put together.
            firsts = range(start, stop, _WINDOW_ROWS)
            parts = (self._put_together(first, min(first + _WINDOW_ROWS, stop))[0] for first in firsts)
            return sum(memory_bits(pa.table([part], names=["curves"])) for part in parts)
        names = [part.name for part in self.work.column.type]
        return self.children.bits(*self._children(start, stop), names) + 32 * (stop - start) * len(names)

    def _put_together(self, start: int, stop: int) -> tuple[pa.StructArray, Repeats]:
        rows = self.children.table(*self._children(start, stop))
        return nest_children(self.work, np.asarray(self.rows.keys[1][start:stop]), [rows])

    def _children(self, start: int, stop: int) -> tuple[int, int]:
        if stop == start:
            return 0, 0
        place, ids = self.rows.keys[:2]
        of = self.children.keys[:2]
        first, last = ((int(place[i]), int(ids[i])) for i in (start, stop - 1))
        return rows_up_to(of, first, included=False), rows_up_to(of, last, included=True)


def _by_parent(work: Nesting) -> Keys:
    """Return what child rows are ordered by: place and id of their parents, time, and their own ids."""

    def keys(rows: pa.RecordBatch) -> list[Indices]:
        parents = rows.column(work.parent_id)
        place = find_places(work.planned, work.parent, parents)
        found = [place, integers(parents), _in_order(times(rows.column(work.time)))]
        ids = work.ids(rows)
        return found if ids is None else [*found, ids]

    return keys


def _in_order(when: NDArray[np.generic]) -> Indices:
    """Return integers that are ordered as times are, NaN last."""
    if when.dtype == np.int64:
        return when.view(np.int64)
    bits = (np.asarray(when, np.float64) + 0.0).view(np.int64)
    ordered = np.where(bits < 0, bits ^ np.iinfo(np.int64).max, bits)
    ordered[np.isnan(bits.view(np.float64))] = np.iinfo(np.int64).max
    return ordered
