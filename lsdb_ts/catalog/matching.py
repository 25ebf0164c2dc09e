"""Verbs that bring two catalogs together by position. Joins by id are next door."""

from __future__ import annotations

from typing import Self

from lsdb_ts.catalog.base import CatalogBase, plan_of
from lsdb_ts.plan.match import Match


class MatchVerbs(CatalogBase):
    """Crossmatches."""

    def crossmatch(
        self,
        other: CatalogBase,
        radius_arcsec: float = 1.0,
        n_neighbors: int = 1,
        how: str = "inner",
        suffixes: tuple[str, str] | None = None,
    ) -> Self:
        """Find, for each row, the nearest rows of another catalog; adds ``_dist_arcsec``.

        No pair is lost at a partition's edge: the other side's rows beyond it come from its margin if that is wide
        enough, and else from the neighbouring partitions.

        Parameters
        ----------
        other : Catalog
            The right side.
        radius_arcsec : float
            Largest separation, inclusive; above 0, at most 3600.
        n_neighbors : int
            At most so many right rows for each left row.
        how : {"inner", "left"}
            Whether left rows without a partner are dropped, or kept with nulls.
        suffixes : tuple of str, optional
            For names that stand on both sides; by default the catalogs' names (``_left``, ``_right`` if equal).
        """
        right = plan_of(other, "crossmatch")
        names = (self.name, right.name) if self.name != right.name else ("left", "right")
        chosen = suffixes if suffixes is not None else (f"_{names[0]}", f"_{names[1]}")
        return self.with_plan(
            Match(self.plan, right, float(radius_arcsec), int(n_neighbors), how, (chosen[0], chosen[1]))
        )
