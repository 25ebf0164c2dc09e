"""Pieces of work: one partition with its new rows, and one partition of a margin. Each writes files nobody sees yet.

Which partitions there are to do, and what becomes of the others, is decided next door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Layout, halo_members
from lsdb_ts.sky.pixel import Indices
from lsdb_ts.store.write import Leaf, memory_bits
from partitioner.account import Tally, row_keys
from partitioner.additions.homes import keys_in_account, keys_of
from partitioner.additions.member import Member
from partitioner.additions.union import Curve, in_sequence, is_new, with_new_rows
from partitioner.moving.spill import Place, Spill, read_bucket


@dataclass(frozen=True, eq=False)
class Nested:
    """Rows on their way into light curves."""

    table: str
    curve: Curve
    parent_id: str
    """Their column with the ids of the objects."""
    place: Place

    def keys(self, tables: Sequence[pa.Table]) -> Indices:
        """Return what identifies rows in the account: their object, and their own id where the curves have it."""
        return np.concatenate([keys_in_account(t, self.parent_id, self.curve.id) for t in tables])


@dataclass(frozen=True, eq=False)
class Growth:
    """What every partition of one catalog shares."""

    catalog: Member
    margins: tuple[Member, ...]
    tiles: Layout
    """All sky: the leaves, and pixels that may become leaves. Each has a margin, or could have."""
    id_column: str | None
    placed: Place | None
    """New rows of the catalog itself."""
    nested: tuple[Nested, ...]
    curves: tuple[Curve, ...]
    """All nested columns, also those that get nothing this time."""
    scratch: Path

    @property
    def replaces(self) -> bool:
        """Whether partitions are written anew, because rows of theirs change; else files are added to them."""
        return bool(self.curves)

    def margin_place(self, number: int) -> Place:
        """Return where rows on their way into a margin are."""
        return Place(self.scratch / "margins" / str(number))


@dataclass(frozen=True)
class Done:
    """What was done to one partition."""

    tile: int
    leaf: Leaf | None
    """What was written; None where all rows were known."""
    rows: int
    """In the partition now, and the bytes they take in memory."""
    bytes: int
    placed: Tally
    """New rows."""
    known: int
    """Rows that were there already."""
    nested: Mapping[str, tuple[Tally, int]]
    """For each table: rows that were added to light curves, and how many were there already."""
    margins: tuple[list[list[int]], ...]
    """Which batches of the scratch file are of which margin partition; for each margin."""


def grow(work: Growth, tile: int) -> Done:
    """Write a partition with its new rows."""
    return _replaced(work, tile) if work.replaces else _with_a_file(work, tile)


def new_rows(work: Growth, tile: int) -> pa.Table:
    """Return the rows of the catalog itself that are new in a partition; some may be known."""
    schema = pa.schema([f for f in work.catalog.schema if f.name not in {c.field.name for c in work.curves}])
    if work.placed is None:
        return schema.empty_table()
    return _gathered(work.placed, tile, schema)


def _gathered(place: Place, bucket: int, schema: pa.Schema) -> pa.Table:
    tables = [pa.Table.from_batches([batch]).select(schema.names).cast(schema) for batch in read_bucket(place, bucket)]
    return pa.concat_tables([schema.empty_table(), *tables])


def _with_a_file(work: Growth, tile: int) -> Done:
    pixel, rows = work.tiles[tile], new_rows(work, tile)
    plain = [f.name for f in rows.schema if not pa.types.is_nested(f.type)]
    keys = [HEALPIX, work.id_column] if work.id_column is not None else plain
    fresh = is_new(work.catalog.rows(pixel, keys), rows.select(keys), work.id_column)
    rows = in_sequence(rows.filter(pa.array(fresh)), work.id_column)
    known = int(fresh.size) - rows.num_rows
    if not rows.num_rows:
        return Done(tile, None, 0, 0, Tally(), known, {}, tuple([[], []] for _ in work.margins))
    leaf = work.catalog.write(rows, pixel)
    held = rows.num_rows + work.catalog.count(pixel)
    size = memory_bits(rows) // 8 * held // rows.num_rows
    return Done(tile, leaf, held, size, Tally.of(row_keys(rows, work.id_column)), known, {}, _spilled(work, tile, rows))


def _replaced(work: Growth, tile: int) -> Done:
    pixel, schema = work.tiles[tile], work.catalog.schema
    old, new = work.catalog.rows(pixel), new_rows(work, tile)
    for curve in work.curves:
        new = new.append_column(curve.field, curve.empty(new.num_rows))
    rows = pa.concat_tables([old, new.select(schema.names).cast(schema)]).combine_chunks()
    touched = [np.arange(old.num_rows, rows.num_rows)]
    nested: dict[str, tuple[Tally, int]] = {}
    for child in work.nested:
        rows, at, nested[child.table] = _with_curves(work, child, rows, tile)
        touched.append(at)
    if not new.num_rows and not any(added.rows for added, _ in nested.values()):
        return Done(tile, None, 0, 0, Tally(), 0, nested, tuple([[], []] for _ in work.margins))
    changed = np.zeros(rows.num_rows, dtype=bool)
    changed[np.concatenate(touched)] = True
    flagged = in_sequence(rows.append_column("_changed", pa.array(changed)), work.id_column)
    rows = flagged.drop_columns(["_changed"])
    leaf = work.catalog.write(rows, pixel)
    moved = rows.filter(flagged.column("_changed"))
    spilled = _spilled(work, tile, moved)
    placed = Tally.of(row_keys(new, work.id_column))
    return Done(tile, leaf, rows.num_rows, memory_bits(rows) // 8, placed, 0, nested, spilled)


def _with_curves(work: Growth, child: Nested, rows: pa.Table, tile: int) -> tuple[pa.Table, Indices, tuple[Tally, int]]:
    """Add new rows to the light curves of a partition; returns it, the rows with a new curve, and counts."""
    tables = [pa.Table.from_batches([batch]) for batch in read_bucket(child.place, tile)]
    if not tables:
        return rows, np.empty(0, dtype=np.int64), (Tally(), 0)
    new = pa.concat_tables([t.select(child.curve.names).cast(child.curve.schema) for t in tables])
    named = pa.concat_arrays([keys_of(t.column(child.parent_id)) for t in tables])
    owner = pc.index_in(named, value_set=keys_of(rows.column(work.id_column)))
    at = rows.schema.get_field_index(child.curve.field.name)
    grown = with_new_rows(child.curve, rows.column(at).combine_chunks(), owner.to_numpy(), new)
    added = Tally.of(child.keys(tables)[grown.fresh])
    known = int(grown.fresh.size) - added.rows
    return rows.set_column(at, rows.schema.field(at), grown.curves), grown.touched, (added, known)


def _spilled(work: Growth, tile: int, rows: pa.Table) -> tuple[list[list[int]], ...]:
    """Leave the rows of a partition that belong into margins for the pieces that make these."""
    place = rows.column(HEALPIX).to_numpy()
    noted: list[list[list[int]]] = []
    for number, margin in enumerate(work.margins):
        at, targets = halo_members(place, work.tiles[tile], work.tiles, margin.old.margin_arcsec)
        if not at.size:
            noted.append([[], []])
            continue
        with Spill(work.margin_place(number).file(tile), margin.schema, len(work.tiles)) as spill:
            spill.add(rows.take(pa.array(at)).select(margin.schema.names), targets)
        noted.append(spill.to_json())
    return tuple(noted)


@dataclass(frozen=True)
class Target:
    """A partition of a margin, as a piece of work."""

    margin: int
    tile: int


def grow_margin(work: Growth, target: Target) -> tuple[Target, Leaf]:
    """Write a partition of a margin with the rows that are new or have changed."""
    margin, pixel = work.margins[target.margin], work.tiles[target.tile]
    rows = _gathered(work.margin_place(target.margin), target.tile, margin.schema)
    if work.replaces:
        old, ids = margin.rows(pixel), keys_of(rows.column(work.id_column))
        stays = pc.invert(pc.is_in(keys_of(old.column(work.id_column)), value_set=ids))
        rows = pa.concat_tables([old.filter(stays), rows])
    return target, margin.write(in_sequence(rows, work.id_column), pixel)


def targets_of(done: Sequence[Done], n_margins: int) -> list[list[tuple[int, list[list[int]]]]]:
    """Return, for each margin, what :func:`partitioner.moving.spill.write_index` takes."""
    return [[(d.tile, d.margins[m]) for d in done if d.margins[m][0]] for m in range(n_margins)]


def touched_tiles(batches: Sequence[Any]) -> list[int]:
    """Return the partitions that have a part in some scratch files, in sequence."""
    return sorted({bucket for _, (buckets, _) in batches for bucket in buckets})
