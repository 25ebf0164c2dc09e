"""Verbs that bring two catalogs together by id. Matches by position are next door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self, TypeVar

from lsdb_ts.catalog.base import CatalogBase, plan_of
from lsdb_ts.catalog.ids import IdVerbs
from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.join import AsOf, Direction
from lsdb_ts.plan.asof import JoinAsOf, tolerance_of
from lsdb_ts.plan.concat import Concat
from lsdb_ts.plan.join import Join
from lsdb_ts.plan.keys import Keys
from lsdb_ts.plan.nest import Nest
from lsdb_ts.plan.node import Node
from lsdb_ts.plan.sides import Sides

AnyCatalog = TypeVar("AnyCatalog", bound=CatalogBase)


class JoinVerbs(IdVerbs):
    """Joins and nestings."""

    def join(
        self,
        other: CatalogBase,
        on: str | None = None,
        left_on: str | None = None,
        right_on: str | None = None,
        how: Literal["inner", "left"] = "inner",
        suffixes: tuple[str, str] | None = None,
        max_separation_arcsec: float = 5.0,
    ) -> Self:
        """Join rows with the same id: all pairs, each at the place of its left row.

        Rows are partners if their ids are equal and they lie within ``max_separation_arcsec`` of each other; so the
        result does not depend on how the catalogs are cut into partitions, and no pair is lost at an edge. Ids may
        repeat on either side. A row without an id has no partner.

        Parameters
        ----------
        other : Catalog
            The right side.
        on : str, optional
            Id column of both sides; it is kept once.
        left_on, right_on : str, optional
            Id columns of the two sides, where they have different names; both are kept.
        how : {"inner", "left"}
            Whether left rows without a partner are dropped, or kept with nulls.
        suffixes : tuple of str, optional
            For names that stand on both sides; by default the catalogs' names (``_left``, ``_right`` if equal).
        max_separation_arcsec : float
            How far apart partners may lie; above 0, at most 3600.

        Raises
        ------
        PlanError
            There are no such columns, the ids are of different types, or a name would stand twice.
        """
        right = plan_of(other, "join")
        mine, theirs = on or left_on, on or right_on
        if mine is None or theirs is None or (on is not None and (left_on or right_on)):
            raise PlanError("a join needs on=, the id column of both sides, or left_on= and right_on=")
        sides = _sides(self.plan, right, suffixes, [mine] if mine == theirs else [])
        return self.with_plan(Join(sides, Keys(mine, theirs, float(max_separation_arcsec)), how))

    def merge_asof(
        self,
        other: CatalogBase,
        on: str,
        by: str,
        direction: Direction = "backward",
        tolerance: Any = None,
        allow_exact_matches: bool = True,
        suffixes: tuple[str, str] | None = None,
        max_separation_arcsec: float = 5.0,
    ) -> Self:
        """Give each row the row of another catalog with the same id that is nearest in time, as ``pandas.merge_asof``.

        Every row stays; where no row of the other side qualifies, its columns are null. Rows need not be sorted. Rows
        without an id or a time have no partner.

        Parameters
        ----------
        other : Catalog
            The right side.
        on : str
            Column of the times of both sides, in one unit; the left one is kept.
        by : str
            Id column of both sides; it is kept once.
        direction : {"backward", "forward", "nearest"}
            The last row not after the left one, the first not before it, or the nearer of these.
        tolerance : float or timedelta, optional
            Largest difference of the times, inclusive: a number in their unit, a time delta for timestamps.
        allow_exact_matches : bool
            Whether equal times count.
        suffixes : tuple of str, optional
            For names that stand on both sides; by default the catalogs' names (``_left``, ``_right`` if equal).
        max_separation_arcsec : float
            How far apart partners may lie: rows farther away are never chosen, whatever their id.
        """
        right = plan_of(other, "merge_asof")
        rule = AsOf(direction, tolerance_of(tolerance), allow_exact_matches)
        keys = Keys(by, by, float(max_separation_arcsec))
        return self.with_plan(JoinAsOf(_sides(self.plan, right, suffixes, [by, on]), keys, on, rule))

    def nest(
        self,
        sources: CatalogBase,
        on: str,
        name: str = "lc",
        max_separation_arcsec: float = 5.0,
        how: Literal["left", "inner"] = "left",
    ) -> Self:
        """Give each row its sources as a nested column: a light curve, sorted by time.

        Joined by id, not by position. Sources that name an unknown id, or lie farther from their object than
        ``max_separation_arcsec``, are counted as orphans (see :meth:`account`), so that nested + orphans = sources.
        Where this catalog was cut to a part of the sky (a cone, some partitions, some ids), sources are read there
        only, and orphans counted there: also those whose object was cut away.

        Parameters
        ----------
        sources : Catalog
            One row per epoch.
        on : str
            Id column of both sides, of one type; unique on the left (repeats are found where they lie near each other).
        name : str
            Name of the nested column.
        max_separation_arcsec : float
            How far from its object a source may lie.
        how : {"left", "inner"}
            Whether rows without sources keep an empty curve, or are dropped.
        """
        return self.with_plan(Nest(self.plan, plan_of(sources, "nest"), on, name, float(max_separation_arcsec), how))

    def concat(self, *others: CatalogBase) -> Self:
        """Put the rows of other catalogs to those of this one; see :func:`concat`."""
        return self.with_plan(Concat((self.plan, *(plan_of(other, "concat") for other in others))))


def concat(catalogs: Sequence[AnyCatalog]) -> AnyCatalog:
    """Put the rows of several catalogs into one.

    Parameters
    ----------
    catalogs : sequence of Catalog
        Their columns are told by name; a column that one lacks is null in its rows. Where types differ, the result has
        the narrowest that holds every value of both exactly.

    Returns
    -------
    Catalog
        Each row stays where it was; rows that stand in two catalogs stand twice.

    Raises
    ------
    PlanError
        A column has types that no type holds exactly (int64 and float64, numbers and text), or different units.
    """
    made = Concat(tuple(plan_of(catalog, "concat") for catalog in catalogs))
    return catalogs[0].with_plan(made)


def _sides(left: Node, right: Node, suffixes: tuple[str, str] | None, merged: Sequence[str]) -> Sides:
    """Return two sides whose common columns, but for the merged ones, get suffixes."""
    names = (left.name, right.name) if left.name != right.name else ("left", "right")
    kept_once = tuple(c for c in merged if c in left.schema.names and c in right.schema.names)
    return Sides(left, right, suffixes if suffixes is not None else (f"_{names[0]}", f"_{names[1]}"), kept_once)
