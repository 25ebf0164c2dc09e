"""Matches by a user's own score: a function that says, for each candidate pair, how good it is.

Algorithms that want to find the pairs themselves follow the protocol next door.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.identity import identify, name_of
from lsdb_ts.plan.functions.frame import to_frame
from lsdb_ts.plan.matching.algorithm import Floats, Pairs, Ranked, Side
from lsdb_ts.schema import project

SCORE, DISTANCE = "_score", "_dist_arcsec"


@dataclass(frozen=True, kw_only=True)
class Scored(Ranked):
    """The right rows that a function finds best.

    Attributes
    ----------
    function : callable
        ``function(left, right)`` of two frames with a row for each candidate pair, in the same order: the declared
        columns of its left row and of its right row, the latter with ``_dist_arcsec``. Returns the scores: the higher
        the better, null or NaN where the two are no pair. A score may depend on its own two rows only.
    left_columns, right_columns : tuple of str
        The columns the function reads.
    """

    function: Callable[[Any, Any], Any]
    left_columns: tuple[str, ...] = ()
    right_columns: tuple[str, ...] = ()

    @property
    def added(self) -> tuple[pa.Field, ...]:
        """The score."""
        return (pa.field(SCORE, pa.float64()),)

    def pairs(self, left: Side, right: Side) -> Pairs:
        """Find all near ones, score them, and keep the best."""
        near = self.near(left, right)
        scores = self._scores(
            left.table.take(pa.array(near.left_rows)),
            right.table.take(pa.array(near.right_rows)).append_column(DISTANCE, pa.array(near.separation_arcsec)),
        )
        kept = ~np.isnan(scores)
        near, scores = near.take(kept), scores[kept]
        scored = Pairs(near.left_rows, near.right_rows, near.separation_arcsec, {SCORE: scores})
        return self.best(scored, -scores)

    def check(self, left: pa.Schema, right: pa.Schema) -> None:
        """Call the function on no pairs of such sides, so that what is wrong with it is known at once."""
        beside = project(right, self.right_columns).append(pa.field(DISTANCE, pa.float64()))
        try:
            self._scores(project(left, self.left_columns).empty_table(), beside.empty_table())
        except PlanError:
            raise
        except Exception as error:
            raise PlanError(
                f"{name_of(self.function)} raised {type(error).__name__} on frames without rows, with the columns "
                f"{list(self.left_columns)} and {beside.names}: {error}"
            ) from error

    def identity(self) -> Mapping[str, Any]:
        """Return the parameters and the function's code."""
        return {
            "type": "scored",
            "function": identify(self.function),
            "left_columns": list(self.left_columns),
            "right_columns": list(self.right_columns),
            "radius_arcsec": self.radius_arcsec,
            "n_neighbors": self.n_neighbors,
            "min_radius_arcsec": self.min_radius_arcsec,
            "mutual": self.mutual,
        }

    @property
    def summary(self) -> str:
        """The function, how many, and how far."""
        return f"{super().summary} by {name_of(self.function)}"

    def _scores(self, left: pa.Table, right: pa.Table) -> Floats:
        scores = _numbers(self.function(to_frame(left), to_frame(right)), self.function)
        if scores.shape != (len(right),):
            raise PlanError(f"{name_of(self.function)} made scores of shape {scores.shape} for {len(right)} pairs")
        return scores


def _numbers(found: Any, function: Callable[[Any, Any], Any]) -> Floats:
    try:
        if hasattr(found, "to_numpy"):
            return np.asarray(found.to_numpy(dtype=np.float64, na_value=np.nan))
        return np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PlanError(f"{name_of(function)} made no numbers of the pairs: {error}") from error
