"""Tables without positions, held whole: what of them is joined to a pixel, ids alone tell. Joining is next door."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.explain import explain, in_bytes
from lsdb_ts.plan.forecast import Forecast
from lsdb_ts.plan.node import Node, Shelf, expanded, identity_of, output_schema, produce
from lsdb_ts.schema import HEALPIX, project
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import Pixel
from lsdb_ts.store.memory import content_hash
from lsdb_ts.store.partition import Partition, keep_parts

MOST_BYTES = 2 << 30
"""What each process holds of a table without positions, at most."""
_RUNNING = threading.RLock()
_ROWS: WeakKeyDictionary[Held, tuple[tuple[str, ...], pa.Table]] = WeakKeyDictionary()
"""What this process holds; not with the nodes, for these travel."""


@dataclass(frozen=True, eq=False)
class Loose(Node):
    """Rows of a table in memory that have no place on the sky."""

    table: pa.Table
    called: str = "table"

    def __post_init__(self) -> None:
        names = self.table.column_names
        twice = [n for n in names if names.count(n) > 1]
        if twice:
            raise InputError(f'{self.called} has two columns called "{twice[0]}": rename one of them')

    @property
    def children(self) -> tuple[Node, ...]:
        """No node below."""
        return ()

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """All columns."""
        return self.table.schema

    @functools.cached_property
    def layout(self) -> Layout:
        """One piece of work, which stands for no pixel."""
        return Layout.of([Pixel(0, 0)])

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.called

    @property
    def positions(self) -> None:
        """None."""
        return None

    @property
    def count(self) -> int:
        """The rows of the table."""
        return int(self.table.num_rows)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask nobody."""
        return ()

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Return the demanded columns."""
        schema = project(self.table.schema, demand.columns)
        arrays = [keep_parts(self.table.column(f.name), f.type) for f in schema]
        return Partition.all_core(pa.table(arrays, schema=schema))

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Return the size of the demanded columns."""
        size = self.combine(demand, ()).table.nbytes
        return Forecast(self.count, size, size)

    def identity(self) -> Mapping[str, Any]:
        """Return the name and a hash of the content."""
        return {"name": self.called, "sha256": self._hash}

    @functools.cached_property
    def _hash(self) -> str:
        return content_hash(self.table)

    @property
    def summary(self) -> str:
        """Name of the table."""
        return f"table {self.called}"


@dataclass(frozen=True, eq=False)
class Held(Node):
    """All rows that have an id of a catalog without positions, for every pixel of the one they are joined to.

    Each process computes them once, of the columns that are demanded, sorted by id.

    Attributes
    ----------
    rows : Node
        Computes them; no child, because it is asked for all of its rows, whatever the pixel.
    id : str
        Column of the ids.
    among : Layout
        The pixels of the catalog they are joined to.
    """

    rows: Node
    id: str
    among: Layout
    _expected: dict[tuple[str, ...], Forecast] = field(default_factory=dict, init=False, repr=False)

    @property
    def children(self) -> tuple[Node, ...]:
        """None that is asked for pixels."""
        return ()

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """All columns."""
        return self.rows.schema

    @functools.cached_property
    def layout(self) -> Layout:
        """The pixels of the catalog they are joined to."""
        return self.among

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.rows.name

    @property
    def positions(self) -> None:
        """None: else they need not be held."""
        return None

    @property
    def count(self) -> int | None:
        """All rows."""
        return self.rows.count

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return those of the rows."""
        return self.rows.limits(column)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask nobody; raises PlanError if there are too many rows to be held."""
        needed = self._total(self._wanted(demand)).most_bytes
        if needed > MOST_BYTES:
            raise PlanError(
                f"{self.name} has no positions, so each process holds all of it, and that takes {in_bytes(needed)}, "
                f"more than {in_bytes(MOST_BYTES)}: select fewer of its columns; or bring its rows to their objects "
                f"once, with `lsdb-ts repartition`, which nests by id; or look up the ids you need with loc_ids"
            )
        return ()

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Return all rows, whatever the pixel."""
        columns = self._wanted(demand)
        with _RUNNING:
            kept = _ROWS.get(self)
            if kept is None or kept[0] != columns:
                kept = _ROWS[self] = columns, self._computed(columns)
        return Partition.all_core(kept[1])

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Expect the rows to spread evenly over the pixels, and memory for all of them in each."""
        whole, n = self._total(self._wanted(demand)), max(len(self.among), 1)
        return Forecast(whole.rows / n, whole.bytes / n, whole.most_bytes, whole.disk / n, peak=2 * whole.most_bytes)

    def identity(self) -> Mapping[str, Any]:
        """Return what the rows are."""
        return {"id": self.id, "rows": identity_of(self.rows)}

    @property
    def summary(self) -> str:
        """Name and id."""
        return f"hold {self.name}, by {self.id}"

    def _wanted(self, demand: Demand) -> tuple[str, ...]:
        return tuple(sorted(expanded(self.schema, [c for c in demand.columns if c != HEALPIX])))

    def _total(self, columns: tuple[str, ...]) -> Forecast:
        if columns not in self._expected:
            found = explain(self.rows, Demand(columns, self.rows.layout))
            self._expected[columns] = replace(found.lines[0].expected, disk=float(found.bytes_read))
        return self._expected[columns]

    def _computed(self, columns: tuple[str, ...]) -> pa.Table:
        demand = Demand(columns, self.rows.layout)
        schema, shelf = output_schema(self.rows, demand), Shelf(demand.pixels)
        found = [produce(self.rows, demand.at(pixel), shelf).core_table() for pixel in demand.pixels]
        table = pa.concat_tables([schema.empty_table(), *(part.select(schema.names).cast(schema) for part in found)])
        table = table.filter(pc.is_valid(table.column(self.id)))
        return table.take(pc.sort_indices(table.column(self.id))).combine_chunks()
