"""The columns of two sides side by side: what they are called, and what a demand on them means for either side.

Nested ones, and how rows are taken, live in the modules beside this one.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.node import Node
from lsdb_ts.plan.sides.rows import Rows, taken
from lsdb_ts.schema import HEALPIX, with_astrometry, without_role
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.read import Bounds


@dataclass(frozen=True, eq=False)
class Columns(ABC):
    """What the columns of two sides become."""

    left: Node
    right: Node

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the result."""

    @functools.cached_property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Columns of the result."""

    @property
    @abstractmethod
    def positions(self) -> tuple[str, str] | None:
        """The left positions, as they are called in the result."""

    @abstractmethod
    def asked(self, columns: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Translate demanded columns back to what each side calls them."""

    @abstractmethod
    def bounds(self, rows: Bounds) -> tuple[Bounds, Bounds]:
        """Translate bounds on values back to what each side calls the columns."""

    @abstractmethod
    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return bounds on a column's values, from the side it is from."""


@dataclass(frozen=True, eq=False)
class Sides(Columns):
    """The columns of two sides, side by side.

    Attributes
    ----------
    suffixes : (str, str)
        For names that stand on both sides.
    merged : tuple of str
        Right columns that are left out: those that the left side has, too, and that are kept once.
    added : tuple of str
        Names of columns that the node adds; a column of either side that is called so gets its suffix.
    shared : frozenset of str
        Further names that get a suffix.
    """

    suffixes: tuple[str, str]
    merged: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    shared: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if len(self.suffixes) != 2 or not all(isinstance(s, str) for s in self.suffixes):
            raise PlanError(f"suffixes={self.suffixes!r}: need one for the left side and one for the right")
        names = [*self.left_names.values(), *self.right_names.values(), *self.added]
        twice = [n for n in names if names.count(n) > 1]
        if twice:
            raise PlanError(
                f'the column "{twice[0]}" would stand twice in {self.name}: choose other suffixes than '
                f"{self.suffixes}, or select fewer columns of the two before"
            )

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.left.name}_x_{self.right.name}"

    @functools.cached_property
    def left_names(self) -> Mapping[str, str]:
        """New names by old ones; the left positions are the result's, even where they were not selected."""
        names = dict.fromkeys([*self.left.schema.names, *(self.left.positions or ())])
        return self._suffixed(names, self._right_columns, self.suffixes[0])

    @functools.cached_property
    def right_names(self) -> Mapping[str, str]:
        """New names by old ones."""
        return self._suffixed(self._right_columns, self.left.schema.names, self.suffixes[1])

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Left columns, then right ones, which may be missing; roles are those of the left rows."""
        left = [f.with_name(self.left_names[f.name]) for f in with_astrometry(self.left.schema)]
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
            for names in ({**self.left_names, HEALPIX: HEALPIX}, self.right_names)
        )
        return left, right

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return bounds on a column's values, from the side it is from."""
        for node, found in zip((self.left, self.right), self.asked([column]), strict=True):
            if found:
                return node.limits(found[0])
        return None

    def taken(self, columns: Iterable[str], left: pa.Table, right: pa.Table, rows: Rows) -> dict[str, Any]:
        """Return the demanded columns of rows of both sides, null where there is no row."""
        wanted = {part for c in columns for part in (c, c.partition(".")[0])}
        found: dict[str, Any] = {}
        for table, names, chosen in ((left, self.left_names, rows.left), (right, self.right_names, rows.right)):
            for old in table.column_names:
                if names.get(old) in wanted:
                    found[names[old]] = taken(table.column(old), chosen)
        return found

    @property
    def _right_columns(self) -> Sequence[str]:
        return [c for c in self.right.schema.names if c not in self.merged]

    def _suffixed(self, names: Iterable[str], others: Iterable[str], suffix: str) -> dict[str, str]:
        shared = {*others, *self.added, *self.shared}
        return {n: n + suffix if n in shared else n for n in names}


class TwoSided(Node):
    """A node whose rows are left rows, with what belongs to them of the right side, at the left rows' places."""

    @property
    @abstractmethod
    def columns(self) -> Columns:
        """What the columns of the two sides become."""

    @property
    def left(self) -> Node:
        """The left side."""
        return self.columns.left

    @property
    def right(self) -> Node:
        """The right side."""
        return self.columns.right

    @property
    def children(self) -> tuple[Node, ...]:
        """Left and right."""
        return self.left, self.right

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The columns of both sides."""
        return self.columns.schema

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
        """What the columns together are called."""
        return self.columns.name

    @property
    def positions(self) -> tuple[str, str] | None:
        """The left positions."""
        return self.columns.positions

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return those of the side the column is from."""
        return self.columns.limits(column)


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
