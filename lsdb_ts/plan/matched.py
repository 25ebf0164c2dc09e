"""The rows of a match, put together from its pairs and the rows without a partner: which row of either side each is.

Finding the pairs, and the names of the columns, are left to others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.plan.algorithm import Indices, Pairs
from lsdb_ts.schema import HEALPIX
from lsdb_ts.store.partition import Partition


@dataclass(frozen=True, eq=False)
class Rows:
    """What a match's rows are made of.

    Attributes
    ----------
    left, right, pair : pyarrow.Array of int64 or None
        The left row, the right row and the pair of each, null where there is none. None instead of an array stands for
        all there are, each once and in order.
    core : numpy.ndarray of bool
        Which of them lie inside the pixel.
    """

    left: pa.Array | None
    right: pa.Array
    pair: pa.Array | None
    core: NDArray[np.bool_]


def of_pairs(left: Partition, pairs: Pairs, matched: NDArray[np.bool_]) -> Rows:
    """Return the pairs; ``matched`` tells which left rows are in one."""
    if len(pairs) == len(left) and matched.all():
        return Rows(None, pa.array(pairs.right_rows), None, left.core)
    return Rows(pa.array(pairs.left_rows), pa.array(pairs.right_rows), None, left.core[pairs.left_rows])


def of_left(left: Partition, pairs: Pairs, matched: NDArray[np.bool_]) -> Rows:
    """Return the pairs and, between them, the left rows without one."""
    if matched.all():
        return of_pairs(left, pairs, matched)
    n = len(left)
    # Each pair stands as many rows later as left rows without a partner come before it.
    at = np.arange(len(pairs)) + np.cumsum(~matched)[pairs.left_rows]
    size = len(pairs) + n - np.count_nonzero(matched)
    absent = np.ones(size, dtype=bool)
    absent[at] = False
    pair, right = np.zeros(size, np.int64), np.zeros(size, np.int64)
    pair[at], right[at] = np.arange(len(pairs)), pairs.right_rows
    partners = pa.array(right, mask=absent), pa.array(pair, mask=absent)
    if size == n:
        return Rows(None, *partners, left.core)
    rows = np.repeat(np.arange(n), np.maximum(np.bincount(pairs.left_rows, minlength=n), 1))
    return Rows(pa.array(rows), *partners, left.core[rows])


def of_either(left: Partition, right: Partition, pairs: Pairs, alone: Indices, alone_right: Indices) -> Rows:
    """Return the pairs, and the left and right rows that stand alone, all by place."""
    blocks = len(pairs), alone.size, alone_right.size
    place = np.concatenate([place_of(left)[pairs.left_rows], place_of(left)[alone], place_of(right)[alone_right]])
    core = np.concatenate([left.core[pairs.left_rows], left.core[alone], right.core[alone_right]])
    order = np.argsort(place, kind="stable")

    def rows(pair: Indices | None, mine: Indices | None, theirs: Indices | None) -> pa.Array:
        parts = (pair, mine, theirs)
        values = [np.zeros(n, np.int64) if part is None else part for part, n in zip(parts, blocks, strict=True)]
        absent = [np.full(n, part is None) for part, n in zip(parts, blocks, strict=True)]
        return pa.array(np.concatenate(values)[order], mask=np.concatenate(absent)[order])

    return Rows(
        rows(pairs.left_rows, alone, None),
        rows(pairs.right_rows, None, alone_right),
        rows(np.arange(len(pairs)), None, None),
        core[order],
    )


def taken(column: pa.ChunkedArray, rows: pa.Array | None) -> pa.ChunkedArray | pa.Array:
    """Return the values of a column at some rows, null where there is no row; all of them, without a copy, for None."""
    if rows is None:
        return column
    if len(column) == 0:
        return pa.nulls(len(rows), column.type)
    whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return pc.take(whole, rows, boundscheck=False)


def marked(n: int, rows: Indices) -> NDArray[np.bool_]:
    """Tell which of n rows are among some."""
    marks = np.zeros(n, dtype=bool)
    marks[rows] = True
    return marks


def place_of(part: Partition) -> Indices:
    """Return the place of each row."""
    return np.asarray(part.table.column(HEALPIX).to_numpy())
