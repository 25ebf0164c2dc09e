"""Group child rows by the parent they name, in order of time: the core of nesting.

Building the nested column lives elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import InputError


def group_children(
    parent_ids: NDArray[np.generic],
    child_ids: NDArray[np.generic],
    child_times: NDArray[np.generic] | None = None,
    child_ties: NDArray[np.generic] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Sort child rows to their parents, each parent's children by time.

    Parameters
    ----------
    parent_ids : numpy.ndarray, shape (n,)
        Unique identifiers of the parents.
    child_ids : numpy.ndarray, shape (m,)
        The parent each child names.
    child_times : numpy.ndarray, shape (m,), optional
        What the children of one parent are sorted by. NaN comes last.
    child_ties : numpy.ndarray, shape (m,), optional
        What decides between equal times; by default the rows' own order.

    Returns
    -------
    order : numpy.ndarray of int64, shape (k,)
        Child rows with a parent, parent by parent.
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Children of parent i are ``order[offsets[i]:offsets[i + 1]]``.
    orphans : numpy.ndarray of int64, shape (m - k,)
        Child rows that name no known parent, in their own order.

    Raises
    ------
    InputError
        The ids can only be compared as floats, which tell integers apart up to 2^53 only.

    >>> order, offsets, orphans = group_children(
    ...     np.array([7, 5]), np.array([5, 7, 9, 5]), np.array([2.0, 1.0, 0.0, 1.0])
    ... )
    >>> order.tolist(), offsets.tolist(), orphans.tolist()
    ([1, 3, 0], [0, 1, 3], [2])
    """
    parents, children = np.asarray(parent_ids), np.asarray(child_ids)
    if np.issubdtype(np.result_type(parents, children), np.floating):
        raise InputError(
            f"the parents' ids are {parents.dtype} and the children's {children.dtype}, which compare as floats and "
            f"would mix up large ids: cast both to the same integer type, and leave out rows without an id"
        )
    by_id = np.argsort(parents, kind="stable")
    found = np.searchsorted(parents[by_id], children)
    candidate = np.minimum(found, max(parents.size - 1, 0))
    known = parents[by_id][candidate] == children if parents.size else np.zeros(children.size, dtype=bool)
    owned = np.flatnonzero(known)
    parent_row = by_id[candidate[owned]] if parents.size else np.empty(0, dtype=np.int64)
    keys = [k[owned] for k in (child_ties, child_times) if k is not None]
    order = owned[np.lexsort((*keys, parent_row))]
    counts = np.bincount(parent_row, minlength=parents.size)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return order.astype(np.int64), offsets, np.flatnonzero(~known).astype(np.int64)
