"""Nodes of association tables: their rows read, and pairs made ready to be written as one. Joining is next door."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.node import Node, Unary, needs_positions
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import HEALPIX, require, without_role
from lsdb_ts.store.association import DISTANCE, KIND, Association
from lsdb_ts.store.hats import HatsCatalog
from lsdb_ts.store.partition import Partition
from lsdb_ts.store.source import HatsSource


@dataclass(frozen=True, eq=False)
class Links(Scan):
    """Rows of an association on disk: ids of two catalogs, at the places of the left rows, which they do not name."""

    source: HatsSource

    @property
    def positions(self) -> tuple[str, str] | None:
        """None: there are places, and no coordinates."""
        return None

    @functools.cached_property
    def association(self) -> Association:
        """What the association says of itself."""
        return Association.of(self.source.catalog)


def scan_of(catalog: HatsCatalog) -> Scan:
    """Return the node that reads a catalog, or an association."""
    source = HatsSource(catalog)
    return Links(source) if catalog.kind == KIND else Scan(source)


@dataclass(frozen=True, eq=False)
class Associate(Unary):
    """Pairs of rows as the links of an association: the two ids, and the separation where it is known.

    Attributes
    ----------
    association : Association
        What the columns are called.
    ids : (str, str)
        What the columns of ids are called in the pairs. Rows in which one is null are no link.
    """

    association: Association
    ids: tuple[str, str]

    def __post_init__(self) -> None:
        require(self.child.schema, self.ids, self.child.name)
        needs_positions(self.child, "an association")

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The ids, and the separation."""
        fields = [without_role(self.child.schema.field(old)).with_name(new) for new, old in self._old.items()]
        measured = [self.child.schema.field(DISTANCE)] if DISTANCE in self.child.schema.names else []
        return pa.schema([*fields, *measured])

    @property
    def positions(self) -> tuple[str, str] | None:
        """None: the coordinates are in the catalogs that are linked."""
        return None

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the pairs'."""
        return self.child.limits(self._old.get(column, column))

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the ids, by the names they have in the pairs."""
        rows = {self._old.get(name, name): limits for name, limits in demand.rows.items()}
        columns = [self._old.get(name, name) for name in demand.columns]
        return (replace(demand, columns=self.ids, rows=rows).plus(columns),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Keep the pairs and name their ids; after a join on one column both are that one."""
        table = parts[0].table
        whole = pc.and_(*(pc.is_valid(table.column(name)) for name in self.ids)).to_numpy()
        part = parts[0].filter(whole)
        others = [name for name in (HEALPIX, DISTANCE) if name in part.table.column_names]
        columns = {name: part.table.column(self._old.get(name, name)) for name in (*others, *self._old)}
        return part.with_table(pa.table(columns))

    def identity(self) -> Mapping[str, Any]:
        """Return what is linked."""
        return {"association": vars(self.association), "ids": list(self.ids)}

    @property
    def summary(self) -> str:
        """The ids."""
        return f"links of {self.ids[0]} to {self.ids[1]}"

    @property
    def _old(self) -> Mapping[str, str]:
        return {self.association.primary_ids: self.ids[0], self.association.other_ids: self.ids[1]}


def place_too(node: Node) -> Demand:
    """Ask for everything a node has, and for the places of rows that name no coordinates."""
    return Demand((HEALPIX, *node.schema.names), node.layout)
