"""Make leaves: take the rows of one bucket from all scratch files, sort, nest, cut, write.

Margin rows leave in the same pass. Putting the margins together is the next stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import halo_members
from lsdb_ts.sky.pixel import Indices
from lsdb_ts.store.write import flush_names, leaf_path, write_leaf
from partitioner.account import Tally, child_keys, integers, row_keys
from partitioner.nest import nest_children, nested_field
from partitioner.plan import Plan
from partitioner.product import Product
from partitioner.shard import read_spill, spill_path, write_spill

TARGET = "_target"
"""Column of margin scratch files: place of the pixel whose margin the row belongs to."""


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

    def nested(self) -> list[tuple[str, pa.Field]]:
        """Return (child table, field) of each nested column."""
        return [(c, nested_field(self.planned, c, column)) for c, column in self.product.nest]

    @property
    def schema(self) -> pa.Schema:
        """Schema of the catalog and of its margin."""
        base = self.planned.schema(self.product.table)
        return pa.schema([*base, *(f for _, f in self.nested())], metadata=base.metadata)


@dataclass(frozen=True)
class Bucket:
    """One bucket of a catalog, as a piece of work."""

    catalog: str
    number: int

    def __str__(self) -> str:
        return f"{self.catalog}, bucket {self.number}"


def gather(work: Gathering, bucket: Bucket) -> dict[str, Any]:
    """Write the leaves of one bucket, and leave its margin rows for the next stage.

    Returns
    -------
    dict
        For the journal: the leaves, and tallies of rows, nested rows and margin rows as they were written.
    """
    planned, product = work.planned, work.product
    rows = _collect(planned, "shard", product.table, bucket.number, planned.schema(product.table))
    rows = sorted_rows(rows, planned.roles(product.table).id)
    nested: dict[str, list[int]] = {}
    for child, field in work.nested():
        rows, tally = _with_curves(work, child, field, rows, bucket.number)
        nested[child] = tally.to_json()
    place = rows.column(HEALPIX).to_numpy()
    leaves, kept = [], Tally()
    margin = _Margin(work)
    leaves_here = range(*product.leaves_of(bucket.number).indices(len(product.layout)))
    for i in leaves_here:
        start, stop = np.searchsorted(place, [product.layout.starts[i], product.layout.stops[i]]).tolist()
        piece = rows.slice(start, stop - start).replace_schema_metadata(work.schema.metadata)
        leaves.append(write_leaf(piece, work.root, product.layout[i]).to_json())
        kept += Tally.of(row_keys(piece, planned.roles(product.table).id))
        margin.add(place[start:stop], start, i)
    flush_names({leaf_path(work.root, product.layout[i]).parent for i in leaves_here})
    return {
        "leaves": leaves,
        "rows": kept.to_json(),
        "nested": nested,
        "margin": margin.spill(rows, bucket.number).to_json(),
    }


def _collect(planned: Plan, kind: str, table: str, bucket: int, schema: pa.Schema) -> pa.Table:
    """Return the rows of a bucket from all scratch files of a table, in the sequence of the inputs."""
    return pa.concat_tables([schema.empty_table(), *_slices(planned, kind, table, bucket, schema)])


def _slices(planned: Plan, kind: str, table: str, bucket: int, schema: pa.Schema) -> Iterator[pa.Table]:
    for unit in planned.units(table):
        part = read_spill(spill_path(planned, kind, table, unit.name), bucket)
        if part is not None:
            yield pa.table(part.columns, schema=schema)


def sorted_rows(rows: pa.Table, id_column: str | None, first: Indices | None = None) -> pa.Table:
    """Sort rows by (``first``,) ``_healpix_29`` and an integer id; ties keep their sequence, so that bytes repeat."""
    keys = [rows.column(HEALPIX).to_numpy()]
    if id_column is not None and pa.types.is_integer(rows.schema.field(id_column).type):
        keys.insert(0, integers(rows.column(id_column)))
    if first is not None:
        keys.append(first)
    return rows.take(pa.array(np.lexsort(keys))).combine_chunks()


def _with_curves(work: Gathering, child: str, field: pa.Field, rows: pa.Table, bucket: int) -> tuple[pa.Table, Tally]:
    planned = work.planned
    ids = integers(rows.column(planned.roles(work.product.table).id))
    children = _collect(planned, "route", child, bucket, planned.inputs[child].schema)
    curves = nest_children(planned, child, field, ids, children)
    return rows.append_column(field, curves), _tally_of_curves(curves, ids, planned.roles(child).id)


def _tally_of_curves(curves: pa.StructArray, parents: Indices, id_column: str | None) -> Tally:
    """Tally what is in the nested column itself: the parent each row ended up with, and its own id."""
    part = curves.field(id_column) if id_column is not None else curves.field(0)
    owners = np.repeat(parents, np.diff(part.offsets.to_numpy()))
    has_id = id_column is not None and pa.types.is_integer(part.type.value_type)
    return Tally.of(child_keys(owners, integers(part.values) if has_id else None))


class _Margin:
    """Collects which rows of a bucket belong into whose margin: row numbers only, the rows are taken at the end."""

    def __init__(self, work: Gathering) -> None:
        self.work = work
        self.rows: list[Indices] = []
        self.targets: list[Indices] = []

    def add(self, place: Indices, first: int, leaf: int) -> None:
        """Find the members among the rows of a leaf, the first of which is row ``first`` of the bucket."""
        product = self.work.product
        if product.margin_arcsec > 0:
            rows, targets = halo_members(place, product.layout[leaf], product.margin_targets, product.margin_arcsec)
            self.rows.append(rows + first)
            self.targets.append(targets)

    def spill(self, table: pa.Table, bucket: int) -> Tally:
        """Write the members to a scratch file, by the bucket of their target."""
        if not self.rows:
            return Tally()
        rows, targets = np.concatenate(self.rows), np.concatenate(self.targets)
        members = table.take(pa.array(rows)).append_column(TARGET, pa.array(targets))
        product = self.work.product
        path = spill_path(self.work.planned, "margin", product.table, f"{bucket:06d}")
        write_spill(members, product.margin_bucket_of(targets), path)
        return Tally.of(members.column(HEALPIX).to_numpy())
