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
Located = tuple[Node, pa.Table, NDArray[np.int64]]
"""A side's node, its table, and a row for each pair."""


@dataclass(frozen=True)
class Keys:
    """Which rows of two sides belong together: the same id, not farther apart than a separation.

    The second clause is what makes a join by id independent of layouts: without it the result would depend on how far
    a halo happens to reach.

    Attributes
    ----------
    left, right : str
        Columns of the ids.
    max_separation_arcsec : float or None
        None where ids alone decide, because all of the right side is there for every pixel.
    """

    left: str
    right: str
    max_separation_arcsec: float | None

    def check(self, left: Node, right: Node, verb: str) -> None:
        """Raise PlanError where two sides cannot be joined on these keys."""
        self.check_types(left, right, verb)
        needs_positions(left, verb)
        widest = self.max_separation_arcsec
        if widest is None:
            return
        needs_positions(right, verb)
        if not (math.isfinite(widest) and 0 < widest <= _WIDEST_ARCSEC):
            raise PlanError(f"max_separation_arcsec={widest}: need more than 0 and at most {_WIDEST_ARCSEC:.0f}")

    @property
    def reach_arcsec(self) -> float:
        """How far from a pixel partners of its rows may lie."""
        return self.max_separation_arcsec or 0.0

    @property
    def summary(self) -> str:
        """The ids, and how near."""
        on = self.left if self.left == self.right else f"{self.left} = {self.right}"
        return f"by {on}" + (f', within {self.reach_arcsec:g}"' if self.max_separation_arcsec is not None else "")

    def columns(self, left: Node, right: Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what is needed of either side: ids, and positions where they decide."""
        if self.max_separation_arcsec is None:
            return (self.left,), (self.right,)
        return (self.left, *needs_positions(left, "a join")), (self.right, *needs_positions(right, "a join"))

    def separations(self, left: Located, right: Located) -> NDArray[np.float64]:
        """Return how far apart pairs of rows lie, in arcsec; 0 where ids alone decide."""
        return np.zeros(left[2].size) if self.max_separation_arcsec is None else separations(left, right)

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


def separations(left: Located, right: Located) -> NDArray[np.float64]:
    """Return how far apart pairs of rows lie, in arcsec."""
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
