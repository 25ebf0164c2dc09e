"""Verbs that look rows up by their ids. Joins by id are next door."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.errors import IdError, PlanError
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.functions.frame import to_frame
from lsdb_ts.plan.joining.lookup import Lookup, arrow_ids, as_ids, home_of
from lsdb_ts.plan.node import Node, expanded
from lsdb_ts.schema import Roles, is_nested, require
from lsdb_ts.store.hats import HatsCatalog
from lsdb_ts.store.index import find_ids, index_folders
from lsdb_ts.store.source import HatsSource

if TYPE_CHECKING:
    import nested_pandas

_SHOWN = 5
_FEW_PIXELS = 4


class IdVerbs(CatalogBase):
    """Rows and light curves by id."""

    def loc_ids(self, ids: Any, on: str | None = None, missing: Literal["raise", "ignore"] = "raise") -> Self:
        """Keep the rows with certain ids, reading only the row groups that hold them.

        Where they are is looked up at once in the catalog's index (built by ``lsdb-ts index``); a table in memory needs
        none. Ids that the catalog has and that steps before left out, such as a query, are not in the result.

        Parameters
        ----------
        ids : int, str, or array_like of these
            One id, a list, a numpy array, a column of a frame; in any order, and each counts once.
        on : str, optional
            Column of the ids; by default the one with the role ``id``, or else the only one with an index.
        missing : {"raise", "ignore"}
            What to do about ids that the catalog does not have. Without an index that cannot be told before all is
            computed, so there "raise" asks for one; "ignore" then leaves out row groups by their statistics.

        Raises
        ------
        IdError
            Ids are missing; names the first.
        PlanError
            There is no such column, no index, or the ids are of another type than the column.
        """
        column = on if on is not None else self._id_column()
        found = self._looked_up(ids, column, missing)
        if found.places is None and missing == "raise":
            raise PlanError(
                f"{self.name} has no index of {column}, without which ids that are missing cannot be told: "
                f'{self._index_command(column)}, or pass missing="ignore"'
            )
        return self.with_plan(found)

    def lightcurves(
        self, ids: Any, name: str = "lc", on: str | None = None, missing: Literal["raise", "ignore"] = "raise"
    ) -> nested_pandas.NestedFrame:
        """Compute the light curves of some objects, reading only the row groups that hold them.

        Parameters
        ----------
        ids : int, str, or array_like of these
            One id, a list, a numpy array, a column of a frame.
        name : str
            The nested column.
        on : str, optional
            Column of the ids, as for :meth:`loc_ids`.
        missing : {"raise", "ignore"}
            What to do about ids that there are not.

        Returns
        -------
        nested_pandas.NestedFrame
            Indexed by the ids, in the order asked for, with the one nested column.

        Raises
        ------
        IdError
            Ids are missing; names the first.
        """
        column = on if on is not None else self._id_column()
        require(self.schema, [name], self.name)
        if not is_nested(self.schema.field(name)):
            raise PlanError(f'"{name}" of {self.name} holds no light curves: it is {self.schema.field(name).type}')
        found = self._looked_up(ids, column, missing)
        rows = _computed(found, (column, name))
        held = rows.column(column).cast(found.ids.type)
        if missing == "raise":
            _raise_missing(found.ids.filter(pc.invert(pc.is_in(found.ids, value_set=held))), column, self.name)
        asked = pc.index_in(held, value_set=_in_order(ids, found.ids))
        rows = rows.take(pc.sort_indices(asked))
        frame = to_frame(rows.select([name]))
        frame.index = to_frame(rows.select([column]))[column].to_numpy()
        return frame.rename_axis(column)

    def _looked_up(self, ids: Any, column: str, missing: str) -> Lookup:
        """Return the look-up of ids, and raise IdError at once where an index tells that some are missing."""
        if missing not in ("raise", "ignore"):
            raise PlanError(f'missing="{missing}": what to do about missing ids is "raise" or "ignore"')
        require(self.schema, [column], self.name)
        wanted = as_ids(ids, self.schema.field(column), self.name)
        home = home_of(self.plan, column)
        found = find_ids(*home, wanted) if home is not None else None
        if found is not None and missing == "raise":
            _raise_missing(wanted.filter(pc.invert(pc.is_in(wanted, value_set=found.ids))), column, self.name)
        return Lookup(self.plan, column, wanted, found.sky if found is not None else None)

    def _id_column(self) -> str:
        named = Roles.of(self.schema).id
        if named is not None:
            return named
        indexed = [c for c in self.columns if (home := self._catalog_of(c)) and home[1] in index_folders(home[0])]
        if len(indexed) != 1:
            raise PlanError(
                f"{self.name} does not say which column holds its ids: name it with on=; there are: "
                f"{', '.join(indexed or self.columns[:12])}"
            )
        return indexed[0]

    def _catalog_of(self, column: str) -> tuple[HatsCatalog, str] | None:
        """Return the catalog on disk whose ids a column holds, and what they are called there."""
        home = home_of(self.plan, column)
        return (home[0].catalog, home[1]) if home is not None and isinstance(home[0], HatsSource) else None

    def _index_command(self, column: str) -> str:
        home = self._catalog_of(column)
        if home is None:
            return "look them up before the step that makes them, or write the catalog and index it"
        return f'run "lsdb-ts index {home[0].path} --column {home[1]}"'


def _computed(plan: Node, columns: tuple[str, ...]) -> pa.Table:
    from lsdb_ts.run.execute import compute, first_rows

    demand = Demand(expanded(plan.schema, columns), plan.layout)
    if len(demand.pixels) <= _FEW_PIXELS:
        # Here and now: handing so little to other threads takes longer than doing it.
        return first_rows(plan, demand, sys.maxsize)
    return compute(plan, demand, progress=False).table


def _in_order(ids: Any, distinct: pa.Array) -> pa.Array:
    """Return the distinct ids in the order they were given in."""
    if isinstance(ids, str) or not hasattr(ids, "__len__"):
        return distinct
    given = arrow_ids(ids)
    given = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
    return pc.unique(given.cast(distinct.type))


def _raise_missing(lost: pa.Array, column: str, where: str) -> None:
    if len(lost):
        shown = ", ".join(str(i) for i in lost.slice(0, _SHOWN).to_pylist()) + (", ..." if len(lost) > _SHOWN else "")
        raise IdError(
            f'{where} has no row with {column} = {shown} ({len(lost)} of the ids asked for): pass missing="ignore" to '
            f"go on without them"
        )
