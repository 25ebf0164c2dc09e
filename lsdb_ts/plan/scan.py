"""The leaves of every plan: read a source. Which files and row groups that takes, the store decides."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.forecast import Forecast
from lsdb_ts.plan.node import Node, expanded
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import Partition
from lsdb_ts.store.source import Request, Source


@dataclass(frozen=True, eq=False)
class Scan(Node):
    """Rows of a catalog on disk or in memory."""

    source: Source

    @property
    def children(self) -> tuple[Node, ...]:
        """No node below."""
        return ()

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """All columns of the source."""
        return self.source.schema

    @functools.cached_property
    def layout(self) -> Layout:
        """The leaves of the source."""
        return self.source.layout

    @property
    def name(self) -> str:
        """Name of the source."""
        return self.source.name

    @property
    def positions(self) -> tuple[str, str] | None:
        """RA and Dec columns of the source."""
        return self.source.positions

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The sky of the source."""
        return self.source.sky

    @property
    def count(self) -> int | None:
        """The rows of the source."""
        return self.source.count

    @property
    def is_local(self) -> bool:
        """Whether the rows are on this machine."""
        return self.source.is_local

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return what the source's metadata tell."""
        return self.source.limits(column)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask nobody."""
        return ()

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Read the pixel."""
        return self.source.partition(self._request(demand))

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Return what a demand for one pixel will read, from metadata."""
        cost = self.source.estimate(self._request(demand))
        kept = cost.memory * cost.kept / cost.rows if cost.rows else 0.0
        likely = kept * cost.likely / cost.kept if cost.kept else 0.0
        # Row groups are decoded whole out of their compressed pages, then their wanted rows are taken; those that stay
        # decoded are held beside what is made of them.
        peak = cost.disk + cost.memory * (2 if cost.shared else 1) + kept
        return Forecast(cost.likely, likely, kept, cost.disk, peak, cost.area_arcsec2, cost.shared)

    def identity(self) -> Mapping[str, Any]:
        """Return the identity of the source."""
        return {"source": self.source.identity()}

    @property
    def summary(self) -> str:
        """Name of the source."""
        return f"scan {self.name}"

    def _request(self, demand: Demand) -> Request:
        place = (HEALPIX,) if HEALPIX in demand.columns else ()
        columns = (*place, *expanded(self.schema, [c for c in demand.columns if c != HEALPIX]))
        return Request(demand.pixel, columns, demand.rows, demand.halo_arcsec, demand.sky)
