"""Rows grouped by the values of columns: what ``catalog.groupby`` returns. Plans and Dask sum them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.plan.functions.grouping import GroupMoments
from lsdb_ts.plan.functions.reduction import FUNCTIONS, is_number, over
from lsdb_ts.plan.node import whole
from lsdb_ts.schema import has_parts, require

if TYPE_CHECKING:
    import pandas

_ADDING = ("sum", "mean", "std", "var")
_OF_DASK = ("median", "nunique", "first", "last", "prod")


class Groups:
    """Rows of a catalog, grouped by base columns.

    Nothing is computed until a function is asked for; then only its columns and those grouped by are read.

    Examples
    --------
    >>> import pandas as pd
    >>> import lsdb_ts as lt
    >>> frame = pd.DataFrame({"ra": [1.0, 2.0, 3.0], "dec": 0.0, "type": ["qso", "RRL", "qso"], "mag": [19, 16, 21.0]})
    >>> lt.from_dataframe(frame).groupby("type").agg({"mag": "mean"})["mag"].to_dict()
    {'RRL': 16.0, 'qso': 20.0}
    """

    def __init__(self, catalog: CatalogBase, by: str | Sequence[str]) -> None:
        self.catalog = catalog
        self.by = [by] if isinstance(by, str) else list(by)
        if not self.by:
            raise PlanError("groupby needs a column")
        self._check(self.by)

    def agg(self, functions: str | Sequence[str] | Mapping[str, str | Sequence[str]]) -> pandas.DataFrame:
        """Sum up the groups.

        Parameters
        ----------
        functions : str, sequence of str, or mapping by column
            As for ``pandas`` groups. Of count, sum, mean, std, var, min and max a few numbers a partition and group
            travel; median, nunique, first, last and prod are Dask's. Without names of columns they are applied to all
            other numbers.

        Returns
        -------
        pandas.DataFrame
            A row a group, sorted by it; rows where a column grouped by is missing are in none. All groups must fit into
            memory.

        Raises
        ------
        PlanError
            A column is unknown or nested, or there is no such function.
        """
        import pandas

        schema = self.catalog.schema
        numbers = [f.name for f in schema if is_number(f.type) and f.name not in self.by]
        asked = functions if isinstance(functions, Mapping) else dict.fromkeys(numbers, functions)
        self._check(list(asked))
        pairs = [(c, f) for c, names in asked.items() for f in ([names] if isinstance(names, str) else names)]
        for column, function in pairs:
            if function not in (*FUNCTIONS, *_OF_DASK):
                raise PlanError(f'groups have no "{function}"; {did_you_mean(function, [*FUNCTIONS, *_OF_DASK])}')
            if function in _ADDING and not is_number(schema.field(column).type):
                raise PlanError(f'"{column}" is {schema.field(column).type}, which has no {function}')
        made = self._added_up([c for c, f in pairs if f in FUNCTIONS])
        found = {(c, f): made[c, f] if f in FUNCTIONS else self._by_dask(c, f).reindex(made.index) for c, f in pairs}
        if all(isinstance(names, str) for names in asked.values()):
            return pandas.DataFrame({c: values for (c, _), values in found.items()}, index=made.index)
        frame = pandas.DataFrame(dict(enumerate(found.values())), index=made.index)
        frame.columns = pandas.MultiIndex.from_tuples(list(found))
        return frame

    aggregate = agg

    def size(self) -> pandas.Series[Any]:
        """Count the rows of each group."""
        return self._added_up([])["", "size"].rename(None)

    def _added_up(self, columns: Sequence[str]) -> pandas.DataFrame:
        from lsdb_ts.run.execute import compute

        moments = GroupMoments.of(self.catalog.plan, self.by, list(dict.fromkeys(columns)))
        plan = over(self.catalog.plan, moments)
        return moments.merged(compute(plan, whole(plan)).table)

    def _by_dask(self, column: str, function: str) -> Any:
        from lsdb_ts.run.group import aggregate_groups

        return aggregate_groups(self.catalog.plan, self.by, column, function)

    def _check(self, columns: Sequence[str]) -> None:
        require(self.catalog.schema, columns, self.catalog.name)
        for name in columns:
            if name not in self.catalog.schema.names or has_parts(self.catalog.schema.field(name)):
                raise PlanError(
                    f'"{name}" is not a base column, and groups are of rows: make a column of it first, with '
                    f"map_rows or features"
                )
