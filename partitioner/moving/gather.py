"""Make leaves: take the rows of one bucket from all scratch files, sort, nest, cut, write.

Margin rows leave in the same pass. Putting the margins together is the next stage.
"""

from __future__ import annotations

import functools
import itertools
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import halo_members
from lsdb_ts.sky.pixel import Indices
from lsdb_ts.store.write import Leaf, LeafFile, Unflushed, flush_names, leaf_path, row_group_edges
from partitioner.account import Tally, has_number, integers, row_keys
from partitioner.inputs.tables import bad_input_as_value
from partitioner.moving.curves import Curves, curves_of
from partitioner.moving.merge import Keys, Ordered, in_order
from partitioner.moving.nest import Nesting
from partitioner.moving.shard import scratch
from partitioner.moving.spill import Spill, read_bucket
from partitioner.planning.estimate import IN_MEMORY_BYTES
from partitioner.planning.plan import Plan
from partitioner.planning.product import Product

_FAR_TOO_LARGE = 2
"""A partition that is so many times as large as asked for is named in the account: light curves were misjudged."""
TARGET = "_target"
"""Column of margin scratch files: place of the pixel whose margin the row belongs to."""
_MEMBER_BYTES = 16 << 20
"""So much of margin rows is taken at once."""


@dataclass(frozen=True, eq=False)
class Gathering:
    """What every gather of one catalog shares."""

    planned: Plan
    product: Product

    @property
    def root(self) -> Path:
        """Folder of the catalog."""
        return self.planned.out / self.product.folder / self.product.name

    @property
    def margin_root(self) -> Path:
        """Folder of its margin."""
        return self.planned.out / self.product.folder / self.product.margin_name

    @functools.cached_property
    def nestings(self) -> tuple[Nesting, ...]:
        """What is nested in it."""
        return tuple(Nesting(self.planned, n, self.product.table) for n in self.product.nest)

    @property
    def schema(self) -> pa.Schema:
        """Schema of the catalog and of its margin."""
        base = self.planned.schema(self.product.table)
        return pa.schema([*base, *(n.column for n in self.nestings)], metadata=base.metadata)

    @property
    def id(self) -> str | None:
        """Column of the rows' ids."""
        return self.planned.roles(self.product.table).id


@dataclass(frozen=True)
class Bucket:
    """One bucket of a catalog, as a piece of work."""

    catalog: str
    number: int

    def __str__(self) -> str:
        return f"{self.catalog}, bucket {self.number}"


@bad_input_as_value
def gather(work: Gathering, bucket: Bucket) -> dict[str, Any]:
    """Write the leaves of one bucket, and leave its margin rows for the next stage.

    Returns
    -------
    dict
        For the journal: the leaves, the places of those that turned out much larger than asked for, tallies of rows,
        nested rows and margin rows as they were written, how many nested rows have the id of another in the same curve,
        and which bucket each batch of the margin's scratch file is of.
    """
    product = work.product
    with ExitStack() as opened:
        made = _Gather(work, bucket.number, opened)
        for i in range(*product.leaves_of(bucket.number).indices(len(product.layout))):
            made.leaf(i)
        leaves = made.disk.flushed()
    return {
        "leaves": [leaf.to_json() for leaf in leaves],
        "large": made.large,
        "rows": made.kept.to_json(),
        "nested": {c.work.nested.table: c.tally.to_json() for c in made.curves},
        "duplicated": {c.work.nested.table: c.repeats.rows for c in made.curves},
        "dropped": {c.work.nested.table: c.repeats.dropped.to_json() for c in made.curves},
        "margin": made.margin.tally.to_json(),
        "batches": made.margin.batches(),
    }


def in_memory_bytes(planned: Plan) -> int:
    """Return how large a bucket may be to be sorted in memory."""
    return min(IN_MEMORY_BYTES, planned.estimate.stream_bytes)


class _Gather:
    """One bucket on its way to its leaves."""

    def __init__(self, work: Gathering, bucket: int, opened: ExitStack) -> None:
        planned, self.work = work.planned, work
        batches = read_bucket(scratch(planned, "shard", work.product.table), bucket)
        children = {n: read_bucket(scratch(planned, "route", n.nested.table), bucket) for n in work.nestings}
        # Rows and what is nested in them come to lie in memory together, or not at all.
        stream = sum(b.nbytes for found in (batches, *children.values()) for b in found) > in_memory_bytes(planned)
        schema = planned.schema(work.product.table)
        self.rows: Ordered = opened.enter_context(
            in_order(batches, schema, by_place(work.id), planned.work, stream=stream)
        )
        self.curves: list[Curves] = [
            opened.enter_context(curves_of(n, found, self.rows, planned.work, stream=stream))
            for n, found in children.items()
        ]
        self.margin = opened.enter_context(_Margin(work, bucket))
        self.disk = opened.enter_context(_Disk(work.root))
        self.kept = Tally()
        self.large: list[int] = []

    def leaf(self, i: int) -> None:
        """Write one leaf, a row group at a time."""
        product, place = self.work.product, self.rows.keys[0]
        first, stop = np.searchsorted(place, [product.layout.starts[i], product.layout.stops[i]]).tolist()
        pixel, size = product.layout[i], self._bytes(first, stop)
        if product.limits.bytes is not None and size > _FAR_TOO_LARGE * product.limits.bytes:
            self.large.append(i)
        edges = row_group_edges(place[first:stop], size, pixel.order)
        with LeafFile(self.work.root, pixel) as file:
            for start, end in itertools.pairwise(first + e for e in (*edges, *edges[:1] * (len(edges) == 1))):
                group = self._group(start, end)
                self.kept += Tally.of(row_keys(group, self.work.id))
                self.margin.add(group, i)
                file.add(group)
            self.disk.wait_for(file.close())

    def _bytes(self, first: int, stop: int) -> int:
        return (self.rows.bits(first, stop) + sum(c.bits(first, stop) for c in self.curves)) // 8

    def _group(self, start: int, stop: int) -> pa.Table:
        rows = self.rows.table(start, stop)
        for curves in self.curves:
            rows = rows.append_column(curves.work.column, curves.column(start, stop))
        return rows.replace_schema_metadata(self.work.schema.metadata)


def by_place(id_column: str | None) -> Keys:
    """Return what rows are ordered by: ``_healpix_29``, and their ids where these are integers or texts."""

    def keys(rows: pa.RecordBatch) -> list[Indices]:
        place = rows.column(rows.schema.get_field_index(HEALPIX)).to_numpy()
        if id_column is None or not has_number(rows.schema.field(id_column).type):
            return [place]
        return [place, integers(rows.column(id_column))]

    return keys


class _Margin:
    """The margin rows of one bucket, on their way to a scratch file, by the bucket of their target."""

    def __init__(self, work: Gathering, bucket: int) -> None:
        self._product = work.product
        schema = work.schema.append(pa.field(TARGET, pa.int64()))
        file = scratch(work.planned, "margin", work.product.table).file(bucket)
        self._spill = Spill(file, schema, work.product.buckets, flush=True) if work.product.margin_arcsec > 0 else None
        self.tally = Tally()

    def __enter__(self) -> Self:
        if self._spill is not None:
            self._spill.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._spill is not None:
            self._spill.__exit__(*error)

    def add(self, group: pa.Table, leaf: int) -> None:
        """Find the members among some rows of a leaf."""
        if self._spill is None:
            return
        place, product = group.column(HEALPIX).to_numpy(), self._product
        rows, targets = halo_members(place, product.layout[leaf], product.margin_targets, product.margin_arcsec)
        # Where pixels are smaller than the margin is wide, a row is in those of many.
        step = max(1, int(_MEMBER_BYTES * group.num_rows / max(group.nbytes, 1)))
        for start in range(0, rows.size, step):
            some = targets[start : start + step]
            members = group.take(pa.array(rows[start : start + step])).append_column(TARGET, pa.array(some))
            self._spill.add(members, product.margin_bucket_of(some))
        self.tally += Tally.of(place[rows])

    def batches(self) -> list[list[int]]:
        """Return what the scratch file's index needs to know of it."""
        return [[], []] if self._spill is None else self._spill.to_json()


class _Disk:
    """Leaves that wait for the disk, while the next are made."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._waiting: list[Future[Leaf]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._pool.shutdown()

    def wait_for(self, file: Unflushed) -> None:
        """Flush a file, in a while."""
        self._waiting.append(self._pool.submit(file.flush))

    def flushed(self) -> list[Leaf]:
        """Wait until all are on disk."""
        leaves = [each.result() for each in self._waiting]
        flush_names({leaf_path(self._root, leaf.pixel).parent for leaf in leaves})
        return leaves
