"""What finds the pairs of a match: the protocol that algorithms follow, and the nearest rows, the built-in one.

How far beyond a pixel rows are read for it, and what becomes of the pairs, is decided elsewhere.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.identity import identify, settled
from lsdb_ts.kernels.matching.match import Positions, match

_MAX_RADIUS_ARCSEC = 3600.0
Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
Decided = Literal["pair", "left", "mutual", "around"]


@dataclass(frozen=True, eq=False)
class Side:
    """The rows of one side of a pixel and its halo, as an algorithm sees them.

    Attributes
    ----------
    positions : Positions
        Sorted by place; at the epoch of the match, where there is one.
    table : pyarrow.Table
        The columns that the algorithm declared, row by row beside the positions.
    """

    positions: Positions
    table: pa.Table


@dataclass(frozen=True, eq=False)
class Pairs:
    """Which left rows go with which right rows.

    Attributes
    ----------
    left_rows, right_rows : numpy.ndarray of int64, shape (m,)
        The pairs, by left row; those of one left row in the order in which they shall stand.
    separation_arcsec : numpy.ndarray of float64, shape (m,)
    added : mapping of str to array, shape (m,)
        Further columns, as the algorithm declared them.
    """

    left_rows: Indices
    right_rows: Indices
    separation_arcsec: Floats
    added: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.left_rows.size)

    def take(self, which: NDArray[np.bool_] | Indices) -> Pairs:
        """Return some of the pairs."""
        return Pairs(
            self.left_rows[which],
            self.right_rows[which],
            self.separation_arcsec[which],
            {name: np.asarray(values)[which] for name, values in self.added.items()},
        )


class Algorithm(ABC):
    """What makes pairs of two sides. Subclass it for an algorithm of your own; best as a frozen dataclass.

    A subclass has a ``radius_arcsec``, beyond which it never looks for a partner, and :meth:`pairs`. Whether two rows
    are a pair may depend on the rows within that radius of either of them, and on nothing else: then the result does
    not depend on how the sky is cut into pixels. All else has a default, and can be set as an attribute. An algorithm
    that only has to say how good a pair is needs no subclass: see :class:`~lsdb_ts.plan.matching.score.Scored`.

    Attributes
    ----------
    radius_arcsec : float
        Largest separation of a pair.
    """

    radius_arcsec: float

    @abstractmethod
    def pairs(self, left: Side, right: Side) -> Pairs:
        """Find the pairs of one pixel."""

    @property
    def left_columns(self) -> tuple[str, ...]:
        """Columns it needs of the left side, beside the positions."""
        return ()

    @property
    def right_columns(self) -> tuple[str, ...]:
        """Columns it needs of the right side, beside the positions."""
        return ()

    @property
    def added(self) -> tuple[pa.Field, ...]:
        """Columns it adds to each pair, with their units."""
        return ()

    @property
    def single(self) -> bool:
        """Whether no left row ever has more than one partner."""
        return False

    @property
    def decided(self) -> Decided:
        """What decides whether two rows are a pair.

        These two alone (``pair``); the right rows around the left one, too (``left``); and the left rows around the
        right one (``mutual``); or anything around either (``around``).
        """
        return "around"

    def partners(self, share: float, by_chance: float) -> float:
        """Return how many partners a left row is expected to have, for forecasts.

        Parameters
        ----------
        share : float
            Part of the left rows that have a counterpart.
        by_chance : float
            Right rows within the radius of any position.
        """
        return share + by_chance

    def identity(self) -> Mapping[str, Any]:
        """Return what makes it the same algorithm again, as JSON: its parameters and the code of :meth:`pairs`."""
        carried = asdict(self) if is_dataclass(self) else vars(self)
        return {"type": type(self).__qualname__, "values": settled(carried), "pairs": identify(type(self).pairs)}

    @property
    def summary(self) -> str:
        """The algorithm in some words, for people."""
        return f'{type(self).__name__} within {self.radius_arcsec:g}"'


@dataclass(frozen=True)
class Ranked(Algorithm):
    """Of the right rows near a left row, the best few; subclasses say what is best.

    Attributes
    ----------
    radius_arcsec, min_radius_arcsec : float
        Largest and smallest separation, both inclusive.
    n_neighbors : int or None
        At most so many; None for all.
    mutual : bool
        Only pairs in which each is the other's best.
    """

    radius_arcsec: float
    n_neighbors: int | None = 1
    min_radius_arcsec: float = 0.0
    mutual: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.radius_arcsec) and 0 < self.radius_arcsec <= _MAX_RADIUS_ARCSEC):
            raise PlanError(
                f"radius_arcsec={self.radius_arcsec}: need a radius above 0 and at most {_MAX_RADIUS_ARCSEC:.0f} "
                f"arcsec (1 degree)"
            )
        if not 0 <= self.min_radius_arcsec <= self.radius_arcsec:
            raise PlanError(
                f"min_radius_arcsec={self.min_radius_arcsec}: need 0 or more, and at most "
                f"radius_arcsec={self.radius_arcsec:g}"
            )
        if self.n_neighbors is not None and self.n_neighbors < 1:
            raise PlanError(f"n_neighbors={self.n_neighbors}: need at least 1, or None for all within the radius")
        if self.mutual and self.n_neighbors != 1:
            raise PlanError(f"one_to_one=True with n_neighbors={self.n_neighbors}: a mutual best is one, leave it out")

    @property
    def single(self) -> bool:
        """Whether one partner at most is asked for."""
        return self.n_neighbors == 1

    def partners(self, share: float, by_chance: float) -> float:
        """Return no more than are asked for; of one, how likely there is one."""
        if self.n_neighbors == 1:
            return 1 - (1 - share) * math.exp(-by_chance)
        return min(share + by_chance, float("inf") if self.n_neighbors is None else self.n_neighbors)

    @property
    def decided(self) -> Decided:
        """The pair alone if all are wanted."""
        return "mutual" if self.mutual else "pair" if self.n_neighbors is None else "left"

    @property
    def summary(self) -> str:
        """How many, and how far."""
        number = {None: "all", 1: "nearest"}.get(self.n_neighbors, f"{self.n_neighbors} nearest")
        least = f"{self.min_radius_arcsec:g} to " if self.min_radius_arcsec else ""
        return f'{"mutual " * self.mutual}{number} within {least}{self.radius_arcsec:g}"'

    def near(self, left: Side, right: Side) -> Pairs:
        """Return all rows near each other."""
        return Pairs(*match(left.positions, right.positions, self.radius_arcsec, None, self.min_radius_arcsec))

    def best(self, near: Pairs, cost: Floats) -> Pairs:
        """Order each left row's pairs by cost, then by right row, and keep as many as are wanted.

        Of equally good left rows, a right row's best is the first.
        """
        order = np.lexsort((near.right_rows, cost, near.left_rows))
        ranked = near.take(order)
        if self.n_neighbors is None:
            return ranked
        kept = _rank(ranked.left_rows) < self.n_neighbors
        if self.mutual:
            backward = np.lexsort((near.left_rows, cost, near.right_rows))
            first = np.zeros(len(near), dtype=bool)
            first[backward[_rank(near.right_rows[backward]) == 0]] = True
            kept &= first[order]
        return ranked.take(kept)


@dataclass(frozen=True)
class Nearest(Ranked):
    """The nearest right rows of each left row."""

    def pairs(self, left: Side, right: Side) -> Pairs:
        """Search."""
        least = self.min_radius_arcsec
        found = Pairs(*match(left.positions, right.positions, self.radius_arcsec, self.n_neighbors, least))
        if not self.mutual:
            return found
        backward = np.full(right.positions.place.size, -1, dtype=np.int64)
        right_rows, left_rows, _ = match(right.positions, left.positions, self.radius_arcsec, 1, least)
        backward[right_rows] = left_rows
        return found.take(backward[found.right_rows] == found.left_rows)

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters."""
        return {"type": "nearest", **asdict(self)}


def _rank(rows: Indices) -> Indices:
    """Return the place of each element among its equals, which stand together."""
    return np.arange(rows.size) - np.searchsorted(rows, rows)
