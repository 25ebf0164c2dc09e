"""Verbs that bring two catalogs together by id. Matches by position are next door."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from lsdb_ts.catalog.base import CatalogBase, plan_of
from lsdb_ts.catalog.ids import IdVerbs
from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.join import AsOf, Direction
from lsdb_ts.plan.joining.asof import JoinAsOf, tolerance_of
from lsdb_ts.plan.joining.concat import Concat
from lsdb_ts.plan.joining.join import Join
from lsdb_ts.plan.joining.keys import Keys
from lsdb_ts.plan.joining.links import Associate, Links, place_too, scan_of
from lsdb_ts.plan.joining.nest import Nest
from lsdb_ts.plan.joining.sides import Sides
from lsdb_ts.plan.joining.through import Through
from lsdb_ts.plan.node import Node, Unary
from lsdb_ts.plan.scan import Scan
from lsdb_ts.store.association import DISTANCE, Association
from lsdb_ts.store.files import local
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.source import HatsSource

_SEPARATION_ARCSEC = 5.0

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
        max_separation_arcsec: float | None = None,
        through: CatalogBase | str | Path | None = None,
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
        max_separation_arcsec : float, optional
            How far apart partners may lie; above 0, at most 3600. By default 5, or what the association says.
        through : Catalog, str or pathlib.Path, optional
            An association table of the two catalogs, opened or its folder: its links make the pairs, and its own
            columns come last. Then no other key is needed.

        Raises
        ------
        PlanError
            There are no such columns, the ids are of different types, or a name would stand twice.
        """
        right = plan_of(other, "join")
        if through is not None:
            if on or left_on or right_on:
                raise PlanError("a join through an association takes its keys from there: leave out on=")
            sides = _sides(self.plan, right, suffixes, [])
            return self.with_plan(_through(sides, _links_of(through), how, max_separation_arcsec))
        mine, theirs = on or left_on, on or right_on
        if mine is None or theirs is None or (on is not None and (left_on or right_on)):
            raise PlanError("a join needs on=, the id column of both sides, or left_on= and right_on=")
        sides = _sides(self.plan, right, suffixes, [mine] if mine == theirs else [])
        widest = _SEPARATION_ARCSEC if max_separation_arcsec is None else float(max_separation_arcsec)
        return self.with_plan(Join(sides, Keys(mine, theirs, widest), how))

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
        rule = AsOf(direction, tolerance_of(tolerance, self.plan, on), allow_exact_matches)
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

    def write_association(
        self,
        path: str | Path,
        primary: CatalogBase,
        other: CatalogBase,
        on: tuple[str, str],
        columns: tuple[str, str] | None = None,
        max_separation_arcsec: float | None = None,
        progress: bool | None = None,
    ) -> Self:
        """Write which rows of two catalogs belong together, as a HATS association table, and open it.

        This catalog has the pairs: a crossmatch or a join of the two. Stored are their ids and, where there is one, the
        column ``_dist_arcsec``, at the places of the left rows. ``primary.join(other, through=...)`` makes the pairs
        again, with any columns; so does LSDB.

        Parameters
        ----------
        path : str or pathlib.Path
            Folder of the new association.
        primary, other : Catalog
            The left and the right catalog, as they were opened.
        on : (str, str)
            The column of each that tells its rows apart, as it is called there.
        columns : (str, str), optional
            What these columns are called here; by default the same, with the suffix of the catalog's name if need be.
        max_separation_arcsec : float, optional
            Largest distance of two linked rows; needed only where there is no ``_dist_arcsec``.
        """
        from lsdb_ts.run.execute import write

        folder, names = local(path, "writing an association"), (primary.name, other.name)
        ids = columns if columns is not None else (self._id_named(on[0], names[0]), self._id_named(on[1], names[1]))
        if max_separation_arcsec is None and DISTANCE not in self.schema.names:
            raise PlanError(
                f"{self.name} has no column {DISTANCE}, which tells how far apart linked rows lie: keep that of the "
                f"crossmatch, or give max_separation_arcsec="
            )
        told = Association(
            primary=_folder_of(primary),
            other=_folder_of(other),
            primary_on=on[0],
            other_on=on[1],
            primary_ids=f"{on[0]}_{names[0]}",
            other_ids=f"{on[1]}_{names[1]}",
            max_separation_arcsec=max_separation_arcsec,
        )
        plan = Associate(self.plan, told, ids)
        write(plan, place_too(plan), folder, folder.name, progress, told.info)
        return self.with_plan(scan_of(open_hats(folder)))

    def _id_named(self, column: str, catalog: str) -> str:
        found = [name for name in (f"{column}_{catalog}", column) if name in self.schema.names]
        if not found:
            raise PlanError(f'{self.name} has neither "{column}" nor "{column}_{catalog}": name the ids with columns=')
        return found[0]

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


def _links_of(through: CatalogBase | str | Path) -> Links:
    """Return the node of an association that is given as a catalog or by its folder."""
    plan = through.plan if isinstance(through, CatalogBase) else scan_of(open_hats(through))
    if not isinstance(plan, Links):
        raise PlanError(f"{plan.name} is no association table as it was written: open it and give it unchanged")
    return plan


def _through(sides: Sides, links: Links, how: str, max_separation_arcsec: float | None) -> Node:
    """Return the join through an association; one without rows says only which columns of ids are equal."""
    told = links.association
    if not told.has_rows:
        known = told.max_separation_arcsec if max_separation_arcsec is None else max_separation_arcsec
        known = _SEPARATION_ARCSEC if known is None else known
        return Join(sides, Keys(told.primary_on, told.other_on, float(known)), how)
    widest = told.max_separation_arcsec if max_separation_arcsec is None else float(max_separation_arcsec)
    if widest is None:
        raise PlanError(
            f"the association {links.name} does not say how far apart linked rows lie (hats_assn_max_separation): give "
            f"max_separation_arcsec="
        )
    return Through(sides, links, widest, how)


def _folder_of(catalog: CatalogBase) -> str:
    """Return what the folder of a catalog is called, or its name."""
    plan = catalog.plan
    while isinstance(plan, Unary):
        plan = plan.child
    return (
        plan.source.catalog.path.name if isinstance(plan, Scan) and isinstance(plan.source, HatsSource) else plan.name
    )


def _sides(left: Node, right: Node, suffixes: tuple[str, str] | None, merged: Sequence[str]) -> Sides:
    """Return two sides whose common columns, but for the merged ones, get suffixes."""
    names = (left.name, right.name) if left.name != right.name else ("left", "right")
    kept_once = tuple(c for c in merged if c in left.schema.names and c in right.schema.names)
    return Sides(left, right, suffixes if suffixes is not None else (f"_{names[0]}", f"_{names[1]}"), kept_once)
