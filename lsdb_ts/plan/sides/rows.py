"""Rows of two sides, put together from pairs and rows without a partner: which row of either side each is, and counts.

Finding the pairs, and the names of the columns, are left to others.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.plan.matching.algorithm import Indices, Pairs
from lsdb_ts.schema import HEALPIX
from lsdb_ts.store.partition import Partition


@dataclass(frozen=True, eq=False)
class Choice:
    """Rows of a table, in any order and repeated at will.

    Attributes
    ----------
    rows : numpy.ndarray of int64, shape (n,)
        Which ones; 0 where there is none.
    present : numpy.ndarray of bool, shape (n,), or None
        Where there is one; None for everywhere.
    """

    rows: Indices
    present: NDArray[np.bool_] | None = None

    def of(self, column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
        """Return the values of a column, null where there is no row."""
        if len(column) == 0:
            return pa.nulls(self.rows.size, column.type)
        whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        if self.present is None:
            return pc.take(whole, self._indices, boundscheck=False)
        if pa.types.is_primitive(whole.type) and whole.null_count == 0:
            # Arrow takes with nulls among the indices 20 times slower than without: their validity is put on top.
            values = pc.take(whole, self._indices, boundscheck=False).buffers()[1]
            return pa.Array.from_buffers(whole.type, self.rows.size, [self._validity, values])
        return pc.take(whole, self._nullable, boundscheck=False)

    def or_else(self, column: pa.ChunkedArray, other: Choice, beside: pa.ChunkedArray) -> pa.Array:
        """Return the values of a column or, where there is no row, those of another choice from the one beside it."""
        if len(column) == 0:
            return other.of(beside)
        if len(beside) == 0 or self.present is None:
            return self.of(column)
        return pa.array(np.where(self.present, column.to_numpy()[self.rows], beside.to_numpy()[other.rows]))

    @functools.cached_property
    def _indices(self) -> pa.Array:
        return pa.array(self.rows)

    @functools.cached_property
    def _nullable(self) -> pa.Array:
        assert self.present is not None
        return pa.array(self.rows, mask=~self.present)

    @functools.cached_property
    def _validity(self) -> pa.Buffer:
        assert self.present is not None
        return pa.py_buffer(np.packbits(self.present, bitorder="little"))


@dataclass(frozen=True, eq=False)
class Rows:
    """What the rows of two sides are made of.

    Attributes
    ----------
    left, right, pair : Choice or None
        The left row, the right row and the pair of each. None stands for all there are, each once and in order.
    core : numpy.ndarray of bool
        Which of them lie inside the pixel.
    """

    left: Choice | None
    right: Choice
    pair: Choice | None
    core: NDArray[np.bool_]


def of_pairs(left: Partition, pairs: Pairs, matched: NDArray[np.bool_]) -> Rows:
    """Return the pairs; ``matched`` tells which left rows are in one."""
    if len(pairs) == len(left) and matched.all():
        return Rows(None, Choice(pairs.right_rows), None, left.core)
    return Rows(Choice(pairs.left_rows), Choice(pairs.right_rows), None, left.core[pairs.left_rows])


def of_left(left: Partition, pairs: Pairs, matched: NDArray[np.bool_]) -> Rows:
    """Return the pairs and, between them, the left rows without one."""
    if matched.all():
        return of_pairs(left, pairs, matched)
    n = len(left)
    # Each pair stands as many rows later as left rows without a partner come before it.
    at = np.arange(len(pairs)) + np.cumsum(~matched)[pairs.left_rows]
    size = len(pairs) + n - int(np.count_nonzero(matched))
    present = marked(size, at)
    pair, right = np.zeros(size, np.int64), np.zeros(size, np.int64)
    pair[at], right[at] = np.arange(len(pairs)), pairs.right_rows
    partners = Choice(right, present), Choice(pair, present)
    if size == n:
        return Rows(None, *partners, left.core)
    rows = np.repeat(np.arange(n), np.maximum(np.bincount(pairs.left_rows, minlength=n), 1))
    return Rows(Choice(rows), *partners, left.core[rows])


def of_some(left: Partition, which: NDArray[np.bool_]) -> Rows:
    """Return some left rows by themselves."""
    rows = np.flatnonzero(which)
    nobody = Choice(np.zeros(rows.size, np.int64), np.zeros(rows.size, bool))
    return Rows(Choice(rows), nobody, nobody, left.core[rows])


def of_either(
    left: Partition, right: Partition, pairs: Pairs, left_alone: NDArray[np.bool_], right_alone: NDArray[np.bool_]
) -> Rows:
    """Return the pairs, and the left and right rows that stand alone, all by place."""
    alone, alone_right = np.flatnonzero(left_alone), np.flatnonzero(right_alone)
    blocks = len(pairs), alone.size, alone_right.size
    place = np.concatenate([place_of(left)[pairs.left_rows], place_of(left)[alone], place_of(right)[alone_right]])
    core = np.concatenate([left.core[pairs.left_rows], left.core[alone], right.core[alone_right]])
    order = np.argsort(place, kind="stable")

    def chosen(pair: Indices, mine: Indices | None, theirs: Indices | None) -> Choice:
        parts = (pair, mine, theirs)
        values = [np.zeros(n, np.int64) if part is None else part for part, n in zip(parts, blocks, strict=True)]
        there = [np.full(n, part is not None) for part, n in zip(parts, blocks, strict=True)]
        return Choice(np.concatenate(values)[order], np.concatenate(there)[order])

    return Rows(
        chosen(pairs.left_rows, alone, None),
        chosen(pairs.right_rows, None, alone_right),
        chosen(np.arange(len(pairs)), None, None),
        core[order],
    )


def taken(column: pa.ChunkedArray, rows: Choice | None) -> pa.ChunkedArray | pa.Array:
    """Return the values of a column at some rows; all of them, without a copy, for None."""
    return column if rows is None else rows.of(column)


def within(wanted: NDArray[np.bool_], left: Partition, pairs: Pairs) -> tuple[Partition, Pairs]:
    """Drop left rows that were read only to decide on pairs; ``wanted`` tells which are kept."""
    if wanted.all():
        return left, pairs
    pairs = pairs.take(wanted[pairs.left_rows])
    return left.filter(wanted), replace(pairs, left_rows=(np.cumsum(wanted) - 1)[pairs.left_rows])


def counted(
    left: Partition, right: Partition, pairs: Pairs, matched: NDArray[np.bool_], everyone: bool
) -> dict[str, int]:
    """Count what is in the pixel itself: left rows with and without a partner, pairs, and those that a halo served.

    Where not every left row is looked at, because those far from the right side's sky have no partner, those that were
    are called ``left_rows_near``, and nothing is said of rows without a partner: there are more of them.
    """
    here = left.core[pairs.left_rows]
    counts = {"left_rows" if everyone else "left_rows_near": left.core, "matched": left.core & matched}
    counts |= {"unmatched": left.core & ~matched} if everyone else {}
    counts |= {"pairs": here, "pairs_from_halo": here & ~right.core[pairs.right_rows]}
    return {name: int(np.count_nonzero(mask)) for name, mask in counts.items()}


def marked(n: int, rows: Indices) -> NDArray[np.bool_]:
    """Tell which of n rows are among some."""
    marks = np.zeros(n, dtype=bool)
    marks[rows] = True
    return marks


def place_of(part: Partition) -> Indices:
    """Return the place of each row."""
    return np.asarray(part.table.column(HEALPIX).to_numpy())
