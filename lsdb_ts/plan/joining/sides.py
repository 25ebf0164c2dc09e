"""Rows made of a left and a right row: what their columns are called, and how they are put together.

Which rows belong together, the nodes decide.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.node import Node
from lsdb_ts.schema import HEALPIX, without_role
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.read import Bounds


@dataclass(frozen=True, eq=False)
class Sides:
    """The columns of two sides, side by side.

    Attributes
    ----------
    left, right : Node
        The sides.
    suffixes : (str, str)
        For names that stand on both sides.
    merged : tuple of str
        Columns that both sides have and that are kept once: the left one.
    """

    left: Node
    right: Node
    suffixes: tuple[str, str]
    merged: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.suffixes) != 2 or not all(isinstance(s, str) for s in self.suffixes):
            raise PlanError(f"suffixes={self.suffixes!r}: need one for the left side and one for the right")
        names = [*self.left_names.values(), *self.right_names.values()]
        twice = [n for n in names if names.count(n) > 1]
        if twice:
            raise PlanError(
                f'the column "{twice[0]}" would stand twice in {self.name}: choose other suffixes than '
                f"{self.suffixes}, or select fewer columns before the join"
            )

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.left.name}_x_{self.right.name}"

    @functools.cached_property
    def left_names(self) -> Mapping[str, str]:
        """New names by old ones; the left positions are the result's, even where they were not selected."""
        names = dict.fromkeys([*self.left.schema.names, *(self.left.positions or ())])
        return _suffixed(names, set(self._right_columns), self.suffixes[0])

    @functools.cached_property
    def right_names(self) -> Mapping[str, str]:
        """New names by old ones."""
        return _suffixed(self._right_columns, set(self.left.schema.names), self.suffixes[1])

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Left columns, then right ones, which may be missing; roles are those of the left rows."""
        left = [f.with_name(self.left_names[f.name]) for f in self.left.schema]
        right = [self.right.schema.field(c) for c in self._right_columns]
        return pa.schema(
            [*left, *(without_role(f).with_name(self.right_names[f.name]).with_nullable(True) for f in right)]
        )

    @property
    def positions(self) -> tuple[str, str] | None:
        """The left positions, as they are called now."""
        names = self.left.positions
        return (self.left_names[names[0]], self.left_names[names[1]]) if names else None

    def asked(self, columns: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Translate demanded columns back to what each side calls them."""
        listed = list(columns)
        return _translated(listed, self.left_names), _translated(listed, self.right_names)

    def bounds(self, rows: Bounds) -> tuple[Bounds, Bounds]:
        """Translate bounds on values back to what each side calls the columns."""
        left, right = (
            {old: rows[new] for old, new in names.items() if new in rows}
            for names in (self.left_names, self.right_names)
        )
        return left | ({HEALPIX: rows[HEALPIX]} if HEALPIX in rows else {}), right

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return bounds on a column's values, from the side it is from."""
        for node, names in ((self.left, self.left_names), (self.right, self.right_names)):
            for old, new in names.items():
                if new == column and old in node.schema.names:
                    return node.limits(old)
        return None

    def joined(self, left: pa.Table, right: pa.Table, left_rows: NDArray[np.int64], right_rows: pa.Array) -> pa.Table:
        """Put rows together; a right row that is null makes nulls."""
        mine = pa.array(left_rows)
        columns = {HEALPIX: left.column(HEALPIX).take(mine)}
        for old, new in self.left_names.items():
            if old in left.column_names:
                columns[new] = left.column(old).take(mine)
        for old, new in self.right_names.items():
            if old in right.column_names:
                columns[new] = _take_or_null(right.column(old), right_rows)
        return pa.table(columns)

    @property
    def _right_columns(self) -> Sequence[str]:
        return [c for c in self.right.schema.names if c not in self.merged]


@dataclass(frozen=True, eq=False)
class SideBySide(Node):
    """A node whose rows are left rows with right ones beside them, at the left rows' places."""

    sides: Sides

    @property
    def left(self) -> Node:
        """The left side."""
        return self.sides.left

    @property
    def right(self) -> Node:
        """The right side."""
        return self.sides.right

    @property
    def children(self) -> tuple[Node, ...]:
        """Left and right."""
        return self.left, self.right

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Left columns, then right ones."""
        return self.sides.schema

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The sky of the left rows."""
        return self.left.sky

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """The sky the left rows were cut to."""
        return self.left.footprint

    @property
    def name(self) -> str:
        """Both names."""
        return self.sides.name

    @property
    def positions(self) -> tuple[str, str] | None:
        """The left positions."""
        return self.sides.positions

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return those of the side the column is from."""
        return self.sides.limits(column)


def with_unpaired(
    left_rows: NDArray[np.int64], right_rows: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int64], pa.Array]:
    """Add the left rows that are in no pair, each with a right row that is null, and keep the order of left rows."""
    alone = np.ones(n, dtype=bool)
    alone[left_rows] = False
    unpaired = np.flatnonzero(alone)
    rows = np.concatenate([left_rows, unpaired])
    order = np.argsort(rows, kind="stable")
    absent = np.concatenate([np.zeros(left_rows.size, dtype=bool), np.ones(unpaired.size, dtype=bool)])[order]
    partners = np.concatenate([right_rows, np.zeros(unpaired.size, dtype=np.int64)])[order]
    return rows[order], pa.array(partners, mask=absent)


def _suffixed(names: Iterable[str], others: set[str], suffix: str) -> dict[str, str]:
    return {n: n + suffix if n in others else n for n in names}


def _translated(columns: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    back = {new: old for old, new in names.items()}
    found = []
    for column in columns:
        base, dot, part = column.partition(".")
        if column in back:
            found.append(back[column])
        elif dot and base in back:
            found.append(f"{back[base]}.{part}")
    return tuple(found)


def _take_or_null(column: pa.ChunkedArray, rows: pa.Array) -> pa.ChunkedArray:
    if len(column) == 0:
        return pa.chunked_array([pa.nulls(len(rows), column.type)])
    return column.take(rows)
