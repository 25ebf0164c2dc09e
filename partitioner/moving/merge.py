"""Rows of many batches in one order: in memory where they fit, else merged from sorted runs on the scratch disk.

What they are ordered by, and what is made of them, is the business of the stages.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.kernels.rows.ordering import order_by_group, order_by_key
from lsdb_ts.sky.pixel import Indices
from lsdb_ts.store.write import memory_bits
from partitioner.moving.rows import scattered, taken_table
from partitioner.moving.spill import array_file, save_array

Keys = Callable[[pa.RecordBatch], list[Indices]]
"""Returns what the rows of a batch are ordered by, the first key first; int64, each of shape (n,)."""

_WINDOW_ROWS = 1 << 18
"""Rows of all runs together that are looked at in one step of a merge."""


class Ordered(Protocol):
    """Rows in order; those with equal keys in the sequence they were given in."""

    @property
    def keys(self) -> Sequence[Indices]:
        """The keys of all rows, in order; each of shape (n,), perhaps on disk."""
        ...

    def table(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Return some of the rows, in one piece."""
        ...

    def bits(self, start: int, stop: int, columns: Sequence[str] | None = None) -> int:
        """Return what some of the rows take in memory."""
        ...


@contextmanager
def in_order(
    batches: Sequence[pa.RecordBatch], schema: pa.Schema, keys: Keys, scratch: Path, *, stream: bool
) -> Iterator[Ordered]:
    """Order the rows of batches.

    Parameters
    ----------
    batches : sequence of pyarrow.RecordBatch
        With the columns of ``schema``.
    schema : pyarrow.Schema
        Of what is returned, metadata included.
    keys : callable
        From a batch to what its rows are ordered by.
    scratch : pathlib.Path
        An existing folder; what is written there is gone when the context is left.
    stream : bool
        Whether to merge them on the disk rather than in memory.
    """
    if not stream:
        yield _held(batches, schema, keys)
        return
    with tempfile.TemporaryDirectory(prefix=".merge-", dir=scratch) as folder:
        some, place = batches or [_empty(schema)], Path(folder)
        yield _merged([_sorted_run(batch, keys, place / f"{i}.npy") for i, batch in enumerate(some)], schema, place)


def order_of(keys: Sequence[Indices]) -> Indices:
    """Return the order of rows by keys, the first one first; equal rows keep their sequence.

    >>> order_of([np.array([2, 1, 1]), np.array([0, 5, 3])]).tolist()
    [2, 1, 0]
    """
    first, *others = keys
    order: Indices = order_by_key(first)
    if not others:
        return order
    # Ties alone are sorted by all keys.
    same = np.diff(first[order]) == 0
    tied = np.flatnonzero(np.append(False, same) | np.append(same, False))
    rows = order[tied]
    for key in (*reversed(others), first) if tied.size else ():
        rows = rows[order_by_key(key[rows])]
    order[tied] = rows
    return order


@dataclass(frozen=True, eq=False)
class _Held:
    """Rows in memory."""

    keys: Sequence[Indices]
    rows: pa.Table

    def table(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        rows = self.rows if columns is None else self.rows.select(list(columns))
        return rows.slice(start, stop - start)

    def bits(self, start: int, stop: int, columns: Sequence[str] | None = None) -> int:
        return memory_bits(self.table(start, stop, columns))


def _held(batches: Sequence[pa.RecordBatch], schema: pa.Schema, keys: Keys) -> _Held:
    found = [keys(batch) for batch in batches] or [keys(_empty(schema))]
    joined = [np.concatenate(of_all) for of_all in zip(*found, strict=True)]
    order = order_of(joined)
    return _Held([key[order] for key in joined], taken_table(batches, order, schema))


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


@dataclass(frozen=True, eq=False)
class _Run:
    """The rows of one batch, and in which order they are."""

    batch: pa.RecordBatch
    keys: NDArray[np.int64]
    """Keys in order, and at last the row; on disk; shape (k + 1, n)."""


def _sorted_run(batch: pa.RecordBatch, keys: Keys, path: Path) -> _Run:
    found = keys(batch)
    order = order_of(found)
    save_array(np.stack([*(key[order] for key in found), order]), path)
    return _Run(batch, np.load(path, mmap_mode="r"))


@dataclass(frozen=True, eq=False)
class _Merged:
    """Rows on disk, with their order."""

    runs: Sequence[_Run]
    schema: pa.Schema
    keys: Sequence[Indices]
    """In order; on disk."""
    places: tuple[Indices, Indices]
    """Run of each row, and its place there; on disk."""

    def table(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        run, row = (np.array(of_all[start:stop]) for of_all in self.places)
        by_run, offsets = order_by_group(run, len(self.runs))
        back = np.empty_like(by_run)
        back[by_run] = np.arange(by_run.size)
        names = self.schema.names if columns is None else list(columns)
        some = [(r, row[by_run[a:b]]) for r, (a, b) in enumerate(itertools.pairwise(offsets.tolist())) if b > a]
        found = []
        for name in names:
            i = self.schema.get_field_index(name)
            pieces = [scattered([self.runs[r].batch.column(i)], rows, self.schema.types[i]) for r, rows in some]
            found.append(scattered(pieces, back, self.schema.types[i]))
        return pa.table(
            found, schema=pa.schema([self.schema.field(name) for name in names], metadata=self.schema.metadata)
        )

    def bits(self, start: int, stop: int, columns: Sequence[str] | None = None) -> int:
        widths = {n: _fixed_bits(self.schema.field(n).type) for n in columns or self.schema.names}
        others = [name for name, width in widths.items() if width is None]
        found = (stop - start) * sum(width for width in widths.values() if width is not None)
        for first in range(start, stop, _WINDOW_ROWS) if others else ():
            found += memory_bits(self.table(first, min(first + _WINDOW_ROWS, stop), others))
        return found


def _fixed_bits(kind: pa.DataType) -> int | None:
    return int(kind.bit_width) if pa.types.is_primitive(kind) else None


def _merged(runs: Sequence[_Run], schema: pa.Schema, folder: Path) -> _Merged:
    """Merge sorted runs to the disk."""
    n_keys = runs[0].keys.shape[0] - 1
    sizes = [run.keys.shape[1] for run in runs]
    paths = [folder / f"{name}.npy" for name in (*(f"key-{k}" for k in range(n_keys)), "run", "row")]
    with ExitStack() as stack:
        files = [stack.enter_context(array_file(path, (sum(sizes),), np.int64)) for path in paths]
        for rows in _in_order(runs, sizes, n_keys):
            for file, of_rows in zip(files, rows, strict=True):
                file.write(np.ascontiguousarray(of_rows).data)
    *keys, run, row = (np.load(path, mmap_mode="r") for path in paths)
    return _Merged(runs, schema, keys, (run, row))


def _in_order(runs: Sequence[_Run], sizes: Sequence[int], n_keys: int) -> Iterator[NDArray[np.int64]]:
    """Yield keys, runs and rows in order, shape (k + 2, m): of each run a window, to the least of the last rows."""
    begun = [0] * len(runs)
    while alive := [r for r, size in enumerate(sizes) if begun[r] < size]:
        width = max(1, _WINDOW_ROWS // len(alive))
        windows = {r: np.array(runs[r].keys[:, begun[r] : begun[r] + width]) for r in alive}
        cut = min((*window[:-1, -1].tolist(), r) for r, window in windows.items())
        parts = []
        for r, window in windows.items():
            n = rows_up_to(list(window[:-1]), cut[:-1], included=r <= cut[-1])
            parts.append(np.concatenate([window[:-1, :n], np.full((1, n), r), window[-1:, :n]]))
            begun[r] += n
        joined = np.concatenate(parts, axis=1)
        # Runs and their rows come in sequence, which a stable sort keeps where keys are equal.
        yield joined[:, np.lexsort(joined[n_keys - 1 :: -1])]


def rows_up_to(keys: Sequence[Indices], cut: Sequence[int], *, included: bool) -> int:
    """Return how many rows, which are in the order of their keys, come before one with others, or with the same, too.

    >>> rows_up_to([np.array([1, 2, 2, 2]), np.array([9, 4, 5, 5])], [2, 5], included=False)
    2
    """
    start, stop = 0, keys[0].size
    for key, value in zip(keys, cut, strict=True):
        here = key[start:stop]
        first, last = np.searchsorted(here, value, "left"), np.searchsorted(here, value, "right")
        start, stop = start + int(first), start + int(last)
    return stop if included else start
