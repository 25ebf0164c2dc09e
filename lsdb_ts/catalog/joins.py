"""Verbs that bring two catalogs together by id. Matches by position are next door."""

from __future__ import annotations

from typing import Literal, Self

from lsdb_ts.catalog.base import CatalogBase, plan_of
from lsdb_ts.plan.nest import Nest


class JoinVerbs(CatalogBase):
    """Joins and nestings."""

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
