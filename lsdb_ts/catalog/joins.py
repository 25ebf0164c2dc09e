"""Verbs that bring two catalogs together by id. Matches by position are next door."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar

import pyarrow as pa

from lsdb_ts.catalog.base import CatalogBase, plan_of
from lsdb_ts.catalog.ids import IdVerbs
from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.rows.join import AsOf, Direction
from lsdb_ts.plan.functions.frame import from_frame
from lsdb_ts.plan.joining.asof import JoinAsOf, tolerance_of
from lsdb_ts.plan.joining.concat import Concat
from lsdb_ts.plan.joining.held import Held, Loose
from lsdb_ts.plan.joining.join import Join
from lsdb_ts.plan.joining.keys import Keys
from lsdb_ts.plan.joining.links import Associate, Links, place_too, scan_of
from lsdb_ts.plan.joining.nest import Nest
from lsdb_ts.plan.joining.through import Through
from lsdb_ts.plan.node import Node, Unary
from lsdb_ts.plan.scan import Scan
from lsdb_ts.plan.sides.columns import Sides
from lsdb_ts.plan.sides.nested import Nested
from lsdb_ts.schema import HEALPIX, require
from lsdb_ts.store.association import DISTANCE, Association
from lsdb_ts.store.files import local
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.source import HatsSource

if TYPE_CHECKING:
    import pandas

    Table: TypeAlias = CatalogBase | pandas.DataFrame | pa.Table

_SEPARATION_ARCSEC = 5.0

AnyCatalog = TypeVar("AnyCatalog", bound=CatalogBase)


class JoinVerbs(IdVerbs):
    """Joins and nestings."""

    def join(
        self,
        other: Table,
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

        A right side without positions is joined by ids alone, as ``pandas.merge`` does, and each process holds all of
        it: at most 2 GiB of the columns that are wanted in the end. A catalog among these, such as what
        :meth:`map_partitions` made of another one, is computed once in each process.

        Parameters
        ----------
        other : Catalog, pandas.DataFrame or pyarrow.Table
            The right side. A table has no positions, whatever its columns: to be joined near only, make a catalog of
            it with ``lt.from_dataframe``.
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
            There are no such columns, the ids are of different types, a name would stand twice, or a right side without
            positions is too large to be held.

        Examples
        --------
        >>> import lsdb_ts as lt, pandas as pd
        >>> stars = lt.from_dataframe(pd.DataFrame({"star": [1, 2], "ra": [10.0, 20.0], "dec": [0.0, 0.0]}))
        >>> names = pd.DataFrame({"star": [2, 2], "called": ["Mira", "omicron Cet"]})
        >>> stars.join(names, on="star").compute()["called"].tolist()
        ['Mira', 'omicron Cet']
        """
        if through is not None:
            if on or left_on or right_on:
                raise PlanError("a join through an association takes its keys from there: leave out on=")
            sides = _sides(self.plan, plan_of(other, "join"), suffixes, [])
            return self.with_plan(_through(sides, _links_of(through), how, max_separation_arcsec))
        mine, theirs = on or left_on, on or right_on
        if mine is None or theirs is None or (on is not None and (left_on or right_on)):
            raise PlanError("a join needs on=, the id column of both sides, or left_on= and right_on=")
        right, keys = self._by_id(other, "join", (mine, theirs), max_separation_arcsec)
        return self.with_plan(Join(_sides(self.plan, right, suffixes, [mine] if mine == theirs else []), keys, how))

    def merge_asof(
        self,
        other: Table,
        on: str,
        by: str,
        direction: Direction = "backward",
        tolerance: Any = None,
        allow_exact_matches: bool = True,
        suffixes: tuple[str, str] | None = None,
        max_separation_arcsec: float | None = None,
    ) -> Self:
        """Give each row the row of another catalog with the same id that is nearest in time, as ``pandas.merge_asof``.

        Every row stays; where no row of the other side qualifies, its columns are null. Rows need not be sorted. Rows
        without an id or a time have no partner.

        Parameters
        ----------
        other : Catalog, pandas.DataFrame or pyarrow.Table
            The right side; without positions as in :meth:`join`.
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
        max_separation_arcsec : float, optional
            How far apart partners may lie, by default 5: rows farther away are never chosen, whatever their id.
        """
        right, keys = self._by_id(other, "merge_asof", (by, by), max_separation_arcsec)
        rule = AsOf(direction, tolerance_of(tolerance, self.plan, on), allow_exact_matches)
        return self.with_plan(JoinAsOf(_sides(self.plan, right, suffixes, [by, on]), keys, on, rule))

    def nest(
        self,
        sources: Table,
        on: str,
        name: str = "lc",
        max_separation_arcsec: float | None = None,
        how: Literal["left", "inner"] = "left",
    ) -> Self:
        """Give each row its sources as a nested column: a light curve, sorted by time.

        Joined by id, not by position. Sources that name an unknown id, or lie farther from their object than
        ``max_separation_arcsec``, are counted as orphans (see :meth:`account`), so that nested + orphans = sources.
        Where this catalog was cut to a part of the sky (a cone, some partitions, some ids), sources are read there
        only, and orphans counted there: also those whose object was cut away. Orphans among sources without positions
        lie nowhere, and are not counted.

        Parameters
        ----------
        sources : Catalog, pandas.DataFrame or pyarrow.Table
            One row per epoch; without positions as in :meth:`join`.
        on : str
            Id column of both sides, of one type; unique on the left (repeats are found where they lie near each other).
        name : str
            Name of the nested column.
        max_separation_arcsec : float, optional
            How far from its object a source may lie, by default 5.
        how : {"left", "inner"}
            Whether rows without sources keep an empty curve, or are dropped.
        """
        right, keys = self._by_id(sources, "nest", (on, on), max_separation_arcsec)
        return self.with_plan(Nest(Nested(self.plan, right, name, merged=(on,)), keys, how))

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

    def _by_id(self, other: Table, verb: str, ids: tuple[str, str], widest_arcsec: float | None) -> tuple[Node, Keys]:
        """Return the right side of a join by id, and its keys; without positions it is held, and ids alone decide."""
        right = _rows_of(other, verb)
        if right.positions is not None:
            return right, Keys(*ids, _SEPARATION_ARCSEC if widest_arcsec is None else float(widest_arcsec))
        if widest_arcsec is not None:
            raise PlanError(
                f"{right.name} has no positions, so how far its rows lie from others is not known: leave out "
                f"max_separation_arcsec=, or make a catalog of it with lt.from_dataframe(df, ra=..., dec=...)"
            )
        require(right.schema, [ids[1]], right.name)
        return Held(right, ids[1], self.plan.layout), Keys(*ids, None)

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


def _rows_of(other: Any, verb: str) -> Node:
    """Return the plan of a catalog, or of a table in memory without positions."""
    if hasattr(other, "iloc") and hasattr(other, "columns"):
        # An index with a name is a column that was put aside, unless it is the place that compute() gives its rows.
        named = other.index.name is not None and other.index.name != HEALPIX
        other = from_frame(other.reset_index(drop=not named))
    return Loose(other) if isinstance(other, pa.Table) else plan_of(other, verb)


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
