"""What every family of verbs builds on: the plan a catalog holds, and how one plan becomes the next catalog.

The verbs themselves live in the modules beside this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.node import Node

if TYPE_CHECKING:
    import pyarrow as pa

    from lsdb_ts.sky.layout import Layout


class CatalogBase:
    """A plan, and what can be told of it without computing."""

    def __init__(self, plan: Node) -> None:
        self.plan = plan

    def with_plan(self, plan: Node) -> Self:
        """Return the catalog of another plan."""
        return type(self)(plan)

    @property
    def name(self) -> str:
        """Name of the catalog."""
        return self.plan.name

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the columns, with units and roles in the fields' metadata."""
        return self.plan.schema

    @property
    def columns(self) -> list[str]:
        """Names of the columns. The index ``_healpix_29`` is not one of them."""
        return list(self.plan.schema.names)

    @property
    def layout(self) -> Layout:
        """Pixels of the partitions."""
        return self.plan.layout

    @property
    def npartitions(self) -> int:
        """Number of partitions, one piece of work each."""
        return len(self.plan.layout)


def plan_of(other: Any, verb: str) -> Node:
    """Return the plan of a catalog, or say how to make one."""
    if not isinstance(other, CatalogBase):
        raise PlanError(
            f"{verb} needs a catalog and got a {type(other).__name__}: make one with "
            "lt.from_dataframe(df, ra=..., dec=...) or lt.open_catalog(path)"
        )
    return other.plan
