"""Verbs on columns and rows: select and filter. Regions of the sky are next door."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Self

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.expression import Predicate
from lsdb_ts.plan.rows import Filter, FilterEpochs, Select
from lsdb_ts.schema import is_nested, require


class ColumnVerbs(CatalogBase):
    """Select and filter."""

    def __getitem__(self, columns: str | Sequence[str]) -> Self:
        """Keep some columns; ``["objectId", "lc.psfFlux"]`` keeps one part of a nested one."""
        if not isinstance(columns, str | list | tuple):
            raise PlanError(
                "a catalog takes names of columns in its brackets; for rows there are .query(...), .head(n) and "
                ".partitions[...]"
            )
        names = (columns,) if isinstance(columns, str) else tuple(columns)
        return self.with_plan(Select(self.plan, names))

    def query(self, expr: str, local_dict: Mapping[str, Any] | None = None) -> Self:
        """Keep the rows for which a condition holds.

        Parameters
        ----------
        expr : str
            As for ``pandas.DataFrame.query``: ``"g_mag < 20 and features_g.skew > 1"``. Where all its columns are parts
            of one nested column (``"lc.band == 'g'"``) it keeps epochs instead: every row stays, with those epochs.
        local_dict : mapping, optional
            Variables for ``@name``; by default the caller's.
        """
        variables = local_dict
        if variables is None and "@" in expr:
            caller = sys._getframe(1)
            variables = {**caller.f_globals, **caller.f_locals}
        predicate = Predicate.parse(expr, variables)
        require(self.schema, predicate.columns, self.name)
        bases = [c if c in self.schema.names else c.partition(".")[0] for c in predicate.columns]
        nested = {c for c in bases if is_nested(self.schema.field(c))}
        if not nested:
            return self.with_plan(Filter(self.plan, predicate))
        if len(nested) > 1 or len(set(bases)) > 1:
            raise PlanError(
                f'"{expr}" mixes rows and epochs: use one query for the base columns and one for each nested column'
            )
        return self.with_plan(FilterEpochs(self.plan, predicate, nested.pop()))
