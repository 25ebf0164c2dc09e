"""What joins by id share: keys of one kind, and who lies near whom. Nodes decide what to join."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.node import Node, needs_positions
from lsdb_ts.schema import plain, require
from lsdb_ts.sky.sphere import separation_arcsec

_WIDEST_ARCSEC = 3600.0


@dataclass(frozen=True)
class Keys:
    """Which rows of two sides belong together: the same id, not farther apart than a separation.

    The second clause is what makes a join by id independent of layouts: without it the result would depend on how far
    a halo happens to reach.
    """

    left: str
    right: str
    max_separation_arcsec: float

    def check(self, left: Node, right: Node, verb: str) -> None:
        """Raise PlanError where two sides cannot be joined on these keys."""
        self.check_types(left, right, verb)
        needs_positions(left, verb)
        needs_positions(right, verb)
        if not (math.isfinite(self.max_separation_arcsec) and 0 < self.max_separation_arcsec <= _WIDEST_ARCSEC):
            raise PlanError(
                f"max_separation_arcsec={self.max_separation_arcsec}: need more than 0 and at most {_WIDEST_ARCSEC:.0f}"
            )

    def check_types(self, left: Node, right: Node, verb: str) -> None:
        """Raise PlanError where the ids of two sides are missing, or cannot be compared exactly."""
        require(left.schema, [self.left], left.name)
        require(right.schema, [self.right], right.name)
        mine, theirs = plain(left.schema.field(self.left).type), plain(right.schema.field(self.right).type)
        if not (_is_text(mine) and _is_text(theirs)) and not _both_integers(mine, theirs):
            named = f'"{self.left}"' if self.left == self.right else f'"{self.left}" and "{self.right}"'
            raise PlanError(
                f"{verb} on {named}: {mine} in {left.name} and {theirs} in {right.name}: ids must be of one type, "
                f"whole numbers or text, or large ones are mixed up; cast one side"
            )


def ids_of(table: pa.Table, column: str) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return a column of ids, and which of them are missing.

    Missing ones get any value: numpy has no null among integers, and would make large ids floats.
    """
    ids = table.column(column)
    ids = ids.cast(plain(ids.type))
    missing = ids.is_null().to_numpy()
    if missing.any():
        ids = ids.fill_null(0 if pa.types.is_integer(ids.type) else "")
    return ids.to_numpy(), missing


def separations(
    left: tuple[Node, pa.Table, NDArray[np.int64]], right: tuple[Node, pa.Table, NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Return how far apart pairs of rows lie, in arcsec: each side is its node, its table, and a row for each pair."""
    places = []
    for node, table, rows in (left, right):
        places += [table.column(c).to_numpy()[rows] for c in needs_positions(node, "a join")]
    return separation_arcsec(*places)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _both_integers(mine: pa.DataType, theirs: pa.DataType) -> bool:
    if not (pa.types.is_integer(mine) and pa.types.is_integer(theirs)):
        return False
    common = np.result_type(mine.to_pandas_dtype(), theirs.to_pandas_dtype())
    return bool(np.issubdtype(common, np.integer))
