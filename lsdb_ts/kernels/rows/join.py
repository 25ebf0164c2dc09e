"""Pair rows of two sides by id: all pairs, or for each left row the one nearest in time. Tables live elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import InputError

Rows = NDArray[np.int64]
Direction = Literal["backward", "forward", "nearest"]
Accept = Callable[[Rows, Rows], NDArray[np.bool_]]
"""Tells which pairs of a left and a right row may be: takes the rows of either side, shape (n,)."""

MOST_PAIRS = 200_000_000
"""More pairs than this of two tables are a mistake in their ids: a filler that stands for "none", for instance."""


def join_ids(left_ids: NDArray[np.generic], right_ids: NDArray[np.generic]) -> tuple[Rows, Rows]:
    """Return all pairs of rows with the same id, by left row, then right row.

    Parameters
    ----------
    left_ids : numpy.ndarray, shape (n,)
        Integers or texts; they may repeat.
    right_ids : numpy.ndarray, shape (m,)
        Of the same kind; they may repeat.

    Returns
    -------
    left_rows, right_rows : numpy.ndarray of int64, shape (k,)

    Raises
    ------
    InputError
        The ids compare as floats only, which would mix up large ones; or one id makes too many pairs.

    >>> left, right = join_ids(np.array([7, 5, 7]), np.array([5, 7, 9, 5]))
    >>> left.tolist(), right.tolist()
    ([0, 1, 1, 2], [1, 0, 3, 1])
    """
    check_ids(left_ids, right_ids)
    order = np.argsort(right_ids, kind="stable")
    ordered = right_ids[order]
    first = np.searchsorted(ordered, left_ids, side="left")
    counts = np.searchsorted(ordered, left_ids, side="right") - first
    total = int(counts.sum())
    if total > MOST_PAIRS:
        worst = int(counts.argmax())
        raise InputError(
            f"the id {left_ids[worst]} stands in {counts[worst]} right rows, and the ids make {total} pairs in all: is "
            f"it a filler for rows without an id? Drop these rows before the join"
        )
    left_rows = np.repeat(np.arange(left_ids.size, dtype=np.int64), counts)
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return left_rows, order[np.repeat(first, counts) + within].astype(np.int64)


def check_ids(left_ids: NDArray[np.generic], right_ids: NDArray[np.generic]) -> None:
    """Raise InputError where ids compare as floats, which tell integers apart up to 2^53 only."""
    if np.issubdtype(np.result_type(left_ids, right_ids), np.floating):
        raise InputError(
            f"the left ids are {left_ids.dtype} and the right ones {right_ids.dtype}, which compare as floats and "
            f"would mix up large ids: cast both to the same integer type, and leave out rows without an id"
        )


@dataclass(frozen=True, eq=False)
class Timed:
    """Rows with an id and a time.

    Attributes
    ----------
    ids : numpy.ndarray, shape (n,)
        Integers or texts.
    times : numpy.ndarray of int64 or float64, shape (n,)
        In one unit on both sides.
    known : numpy.ndarray of bool, shape (n,)
        Rows with both; others have no partner.
    """

    ids: NDArray[np.generic]
    times: NDArray[np.generic]
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class AsOf:
    """Which right row is chosen for a left row, of those with its id.

    Attributes
    ----------
    direction : {"backward", "forward", "nearest"}
        The last one not after the left row's time, the first one not before it, or the nearer of these two, the
        earlier one if they are equally near.
    tolerance : int or float, optional
        Largest difference of the times, in their unit, inclusive.
    exact : bool
        Whether equal times count.
    """

    direction: Direction = "backward"
    tolerance: float | None = None
    exact: bool = True

    def partners(self, left: Timed, right: Timed, accept: Accept) -> Rows:
        """Return for each left row its right row, or -1.

        Among right rows of one id and time, the last one is chosen looking backward, the first one looking forward.

        >>> left = Timed(np.array([7, 7]), np.array([1.0, 5.0]), np.array([True, True]))
        >>> right = Timed(np.array([7, 8, 7]), np.array([4.0, 4.5, 2.0]), np.array([True, True, True]))
        >>> AsOf().partners(left, right, lambda a, b: np.ones(a.size, dtype=bool)).tolist()
        [-1, 0]
        """
        check_ids(left.ids, right.ids)
        codes, n_codes = np.unique(right.ids[right.known], return_inverse=True)
        rows = np.flatnonzero(right.known)
        ranks, place = np.unique(
            np.concatenate([left.times[left.known], right.times[right.known]]), return_inverse=True
        )
        here = np.flatnonzero(left.known)
        code = np.searchsorted(codes, left.ids[here])
        code = np.where((code < codes.size) & (_at(codes, code) == left.ids[here]), code, -1)
        width = np.int64(ranks.size + 1)
        asked = code.astype(np.int64) * width + place[: here.size]
        key = n_codes.astype(np.int64) * width + place[here.size :]
        order = np.argsort(key, kind="stable")
        search = _Search(here, code, asked, rows[order], n_codes[order], key[order], left.times, right.times)
        back = search.run(-1, self, accept) if self.direction != "forward" else None
        ahead = search.run(+1, self, accept) if self.direction != "backward" else None
        found = np.full(left.ids.size, -1, dtype=np.int64)
        found[here] = _nearer(back, ahead, left.times[here], right.times)
        return found


@dataclass(frozen=True, eq=False)
class _Search:
    """Left rows, and right rows sorted by id and time, both as one integer key a row."""

    here: Rows
    code: Rows
    asked: Rows
    rows: Rows
    codes: Rows
    key: Rows
    left_times: NDArray[np.generic]
    right_times: NDArray[np.generic]

    def run(self, step: int, rule: AsOf, accept: Accept) -> Rows:
        """Walk from each left row's time backward (-1) or forward (+1) to the first right row that may be."""
        side: Literal["left", "right"] = "right" if (step < 0) == rule.exact else "left"
        place = np.searchsorted(self.key, self.asked, side=side) - (1 if step < 0 else 0)
        found = np.full(self.here.size, -1, dtype=np.int64)
        open_rows = np.flatnonzero(self.code >= 0)
        while open_rows.size:
            at = place[open_rows]
            inside = (at >= 0) & (at < self.rows.size)
            inside[inside] = self.codes[at[inside]] == self.code[open_rows[inside]]
            open_rows = open_rows[inside]
            mine, theirs = self.here[open_rows], self.rows[place[open_rows]]
            if rule.tolerance is not None:
                near = np.abs(self.left_times[mine] - self.right_times[theirs]) <= rule.tolerance
                open_rows, mine, theirs = open_rows[near], mine[near], theirs[near]
            good = accept(mine, theirs)
            found[open_rows[good]] = theirs[good]
            open_rows = open_rows[~good]
            place[open_rows] += step
        return found


def _at(values: NDArray[np.generic], places: Rows) -> NDArray[np.generic]:
    return values[np.minimum(places, values.size - 1)] if values.size else np.zeros(places.size, dtype=values.dtype)


def _nearer(
    back: Rows | None, ahead: Rows | None, times: NDArray[np.generic], right_times: NDArray[np.generic]
) -> Rows:
    """Return the earlier or later partner of each row, whichever there is, or is nearer."""
    if back is None or ahead is None:
        return back if ahead is None and back is not None else ahead if ahead is not None else np.empty(0, np.int64)
    if right_times.size == 0:
        return back
    later = np.abs(right_times[ahead] - times) < np.abs(times - right_times[back])
    return np.where((back < 0) | ((ahead >= 0) & later), ahead, back)
