"""Verbs that bring catalogs together by position. Joins by id are next door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

import pyarrow as pa

from lsdb_ts.catalog.base import CatalogBase, plan_of
from lsdb_ts.catalog.match_options import MatchOptions
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.functions.frame import from_frame
from lsdb_ts.plan.matching.algorithm import Algorithm
from lsdb_ts.plan.matching.crossnest import MatchNested
from lsdb_ts.plan.matching.match import Match, Naming
from lsdb_ts.plan.node import Node
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import COORDINATES
from lsdb_ts.store.memory import MemorySource

if TYPE_CHECKING:
    import astropy.table
    import pandas

    from lsdb_ts.catalog.match_options import Angle

    Table: TypeAlias = CatalogBase | pandas.DataFrame | pa.Table | astropy.table.Table


class MatchVerbs(CatalogBase):
    """Crossmatches."""

    def crossmatch(
        self,
        other: Table,
        radius_arcsec: Angle = 1.0,
        n_neighbors: int | None = 1,
        how: str = "inner",
        suffixes: tuple[str, str] | None = None,
        algorithm: Algorithm | None = None,
        **options: Any,
    ) -> Self:
        """Find, for each row, the nearest rows of another catalog; adds ``_dist_arcsec``.

        No pair is lost at a partition's edge: rows beyond it come from a margin if one is wide enough, and else from
        the neighbouring partitions. Rows of the result lie where their left row does, and it can be matched again.

        Parameters
        ----------
        other : Catalog or table
            The right side: a catalog, or a DataFrame or table with ``ra`` and ``dec`` in degrees.
        radius_arcsec : float or Quantity
            Largest separation, inclusive; above 0, at most 3600.
        n_neighbors : int or None
            At most so many right rows for each left row, the nearest first; None for all within the radius.
        how : {"inner", "left", "right", "outer", "semi", "anti"}
            Which rows without a partner are kept, with nulls: none, those of one side, or of both. Results of "right"
            and "outer" have their positions in the columns ``_ra`` and ``_dec``. "semi" and "anti" keep left columns
            only: of the rows that have a partner, each once, and of those that have none.
        suffixes : tuple of str, optional
            For names that stand on both sides; by default the catalogs' names (``_left``, ``_right`` if equal).
        algorithm : Algorithm, optional
            What finds the pairs instead of the radius and the number: an object of a subclass of
            :class:`lsdb_ts.plan.matching.algorithm.Algorithm`.

        Other Parameters
        ----------------
        min_radius_arcsec : float or Quantity
            Smallest separation, inclusive.
        one_to_one : bool
            Keep only pairs in which each row is the other's nearest.
        epoch : float or astropy.time.Time
            Julian year at which the two are compared. A side with proper motions (roles ``pm_ra``, ``pm_dec``; in their
            unit, else mas/yr) is moved there from its own epoch. The result has the positions of the catalog.
        left_epoch, right_epoch : float or astropy.time.Time
            Julian year of a side's positions. Needed where neither a column (role ``ref_epoch``) nor its properties
            tell; where they do, it stands in their place.
        max_proper_motion_mas_yr : float
            Largest proper motion on either side, where metadata do not tell.
        n_sigma : float
            Largest separation in units of ``sqrt(sigma_left^2 + sigma_right^2)``; partners are then ranked by it.
        left_error, right_error : str, float or Quantity
            Standard error of a side's positions: a column, or one for all rows; arcsec where there is no unit. By
            default the columns with the roles ``ra_error`` and ``dec_error``. A row without error has no partner.
        score : {"likelihood_ratio"} or callable
            Rank partners by likelihood ratio (Sutherland & Saunders 1992; adds ``_likelihood_ratio``), or by a function
            ``score(left, right)`` (adds ``_score``). It is given two frames with a row for each candidate pair, and
            returns how good each is: the higher the better, NaN for no pair. It is given all columns of both sides, so
            select those it needs before, or name them: ``algorithm=Scored(function=..., right_columns=("mag",), ...)``
            (:class:`lsdb_ts.plan.matching.score.Scored`).
        density_per_arcmin2 : float
            Rows of the right side in a square arcminute; for likelihood ratios.

        Raises
        ------
        PlanError
            An argument makes no sense, a name would stand twice, or frames or epochs do not go together.

        Examples
        --------
        >>> import lsdb_ts as lt, pandas as pd
        >>> stars = lt.from_dataframe(pd.DataFrame({"star": [1, 2], "ra": [10.0, 20.0], "dec": [0.0, 0.0]}))
        >>> seen = pd.DataFrame({"obs": [7], "ra": [10.0], "dec": [0.5 / 3600]})
        >>> stars.crossmatch(seen, radius_arcsec=1, how="anti").compute().star.tolist()
        [2]
        """
        right = _right_of(other, "crossmatch")
        names = (self.name, right.name) if self.name != right.name else ("left", "right")
        naming = Naming((f"_{names[0]}", f"_{names[1]}") if suffixes is None else suffixes)
        pairing = MatchOptions.of(options).pairing(self.plan, right, radius_arcsec, n_neighbors, algorithm)
        return self.with_plan(Match(pairing, how, naming))

    def crossmatch_nested(
        self,
        other: Table,
        radius_arcsec: Angle = 1.0,
        n_neighbors: int | None = None,
        how: str = "left",
        name: str | None = None,
        algorithm: Algorithm | None = None,
        **options: Any,
    ) -> Self:
        """Give each row its partners in another catalog as one nested column, the nearest first.

        Parameters
        ----------
        other, radius_arcsec, n_neighbors, algorithm, **options
            As in :meth:`crossmatch`.
        how : {"left", "inner"}
            Whether rows without a partner are kept, with no rows nested.
        name : str, optional
            Name of the nested column, which has the other catalog's columns and ``_dist_arcsec``; by default the other
            catalog's name.
        """
        right = _right_of(other, "crossmatch_nested")
        pairing = MatchOptions.of(options).pairing(self.plan, right, radius_arcsec, n_neighbors, algorithm)
        return self.with_plan(MatchNested(pairing, how, name or right.name))


_Catalog = TypeVar("_Catalog", bound=MatchVerbs)


def crossmatch(
    catalogs: Sequence[_Catalog],
    radius_arcsec: Angle | Sequence[Angle] = 1.0,
    how: str | Sequence[str] = "inner",
    n_neighbors: int | None = 1,
    **options: Any,
) -> _Catalog:
    """Match several catalogs with the first one, in one pass over the sky.

    Parameters
    ----------
    catalogs : sequence of Catalog
        The first is the anchor: all others are matched with its positions.
    radius_arcsec : float, Quantity, or sequence of them
        Largest separation from the anchor; one for all the others, or one each.
    how : {"inner", "left"} or sequence of them
        Whether rows without a partner in a catalog are dropped or kept; one for all the others, or one each.
    n_neighbors : int or None
        At most so many partners in each catalog; of several, every combination is a row.
    **options
        As in :meth:`Catalog.crossmatch`.

    Returns
    -------
    Catalog
        The anchor's columns and the others', with the catalogs' names as suffixes where a name stands in more than one,
        and the separations ``_dist_arcsec_<name>``.
    """
    if isinstance(catalogs, CatalogBase) or len(catalogs) < 2:
        raise PlanError("crossmatch needs two catalogs or more, as a list: lt.crossmatch([a, b, c], radius_arcsec=1)")
    plans = [_right_of(c, "crossmatch") for c in catalogs]
    radii, hows = (_one_each(v, len(plans) - 1, n) for v, n in ((radius_arcsec, "radius_arcsec"), (how, "how")))
    names = _distinct([plan.name for plan in plans])
    columns = [c for plan in plans for c in plan.schema.names]
    shared = frozenset(c for c in columns if columns.count(c) > 1)
    chosen = MatchOptions.of(options)
    result = plans[0]
    for i, right in enumerate(plans[1:]):
        if hows[i] not in ("inner", "left"):
            raise PlanError(f'how="{hows[i]}": several catalogs are matched "inner" or "left"')
        # The anchor's shared names get their suffix in the first match, and are no longer shared in those after it.
        naming = Naming((f"_{names[0]}", f"_{names[i + 1]}"), f"_{names[i + 1]}", shared)
        result = Match(chosen.pairing(result, right, radii[i], n_neighbors, None), hows[i], naming)
    return catalogs[0].with_plan(result)


def _right_of(other: Any, verb: str) -> Node:
    """Return the plan of a catalog, or of a table in memory that has positions."""
    if hasattr(other, "to_pandas") and hasattr(other, "colnames"):
        other = other.to_pandas()
    if hasattr(other, "iloc") and hasattr(other, "columns"):
        other = from_frame(other.reset_index(drop=True))
    if not isinstance(other, pa.Table):
        return plan_of(other, verb)
    for ra, dec in COORDINATES:
        if {ra, dec} <= set(other.column_names):
            return Scan(MemorySource.of_table(other, ra, dec, "table"))
    known = ", ".join(f"{ra} and {dec}" for ra, dec in COORDINATES)
    raise PlanError(
        f"{verb}: the table has no columns {known}; name its coordinates with lt.from_dataframe(df, ra=..., dec=...)"
    )


def _one_each(value: Any, n: int, name: str) -> list[Any]:
    """Return a value for each of n catalogs."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return [value] * n
    if len(value) != n:
        raise PlanError(f"{name} has {len(value)} values: need one for all, or one for each of the {n} after the first")
    return list(value)


def _distinct(names: list[str]) -> list[str]:
    """Return the names, with a number where one stands a second time.

    >>> _distinct(["gaia", "ztf", "gaia"])
    ['gaia', 'ztf', 'gaia_2']
    """
    return [n if (k := names[:i].count(n)) == 0 else f"{n}_{k + 1}" for i, n in enumerate(names)]
