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
    owner = find_parents(parent_ids, child_ids)
    owned = np.flatnonzero(owner >= 0)
    keys = [k[owned] for k in (child_times, child_ties) if k is not None]
    order, offsets = group_owned(owner[owned], np.asarray(parent_ids).size, *keys)
    return owned[order], offsets, np.flatnonzero(owner < 0)


def find_parents(parent_ids: NDArray[np.generic], child_ids: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return for each child the row of the parent it names, or -1.

    Parameters
    ----------
    parent_ids : numpy.ndarray, shape (n,)
        Unique identifiers.
    child_ids : numpy.ndarray, shape (m,)
        Identifiers of the same kind.

    Raises
    ------
    InputError
        The ids compare as floats only, which would mix up large ones.
    """
    parents, children = np.asarray(parent_ids), np.asarray(child_ids)
    if parents.size == 0 or children.size == 0:
        return np.full(children.size, -1, dtype=np.int64)
    if np.issubdtype(np.result_type(parents, children), np.floating):
        raise InputError(
            f"the parents' ids are {parents.dtype} and the children's {children.dtype}, which compare as floats and "
            f"would mix up large ids: cast both to the same integer type, and leave out rows without an id"
        )
    by_id = np.argsort(parents, kind="stable")
    candidate = by_id[np.minimum(np.searchsorted(parents, children, sorter=by_id), parents.size - 1)]
    return np.where(parents[candidate] == children, candidate, -1).astype(np.int64)


def group_owned(
    owner: NDArray[np.int64], n_parents: int, *keys: NDArray[np.generic]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort children to their parents, each parent's by the keys, the first one first.

    Parameters
    ----------
    owner : numpy.ndarray of int64, shape (k,)
        Row of each child's parent.
    n_parents : int
        Number of parents, n.
    *keys : numpy.ndarray, shape (k,)
        What the children of one parent are sorted by; equal ones stay in their own order.

    Returns
    -------
    order : numpy.ndarray of int64, shape (k,)
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Children of parent i are ``order[offsets[i]:offsets[i + 1]]``.
    """
    order = np.lexsort((*reversed(keys), owner)).astype(np.int64)
    counts = np.bincount(owner, minlength=n_parents)
    return order, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
