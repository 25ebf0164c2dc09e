"""Deal new rows to the partitions they belong in, by scratch files: by their own position, or by that of their object.

What the partitions make of them is written next door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.errors import IdError
from lsdb_ts.schema import HEALPIX, Roles
from lsdb_ts.sky import Layout, separation_arcsec, spatial_index
from lsdb_ts.sky.pixel import MAX_ORDER, Indices, centre
from partitioner.account import Tally
from partitioner.additions.homes import Homes, keys_in_account, keys_of
from partitioner.additions.weighing import Buckets, CountedBuckets, CountedHeap, Heap
from partitioner.inputs.tables import Chunk, Unit, bad_input_as_value, read_unit
from partitioner.moving.lookup import with_visits
from partitioner.moving.shard import off_sky_rows
from partitioner.moving.spill import Aside, Place, Spill
from partitioner.planning.histogram import NOWHERE, Histogram, first_bad, off_sky, position_error, positions
from partitioner.planning.plan import Plan
from partitioner.surveys.survey import Table


@dataclass(frozen=True, eq=False)
class Dealing:
    """What all units of a table share."""

    planned: Plan
    table: Table
    """As the archive has it."""
    columns: pa.Schema
    """Of its rows, with those of their visits."""
    tiles: Mapping[str, Layout]
    """All sky in pixels, by the table whose catalog they are of: its leaves, and what could become leaves."""
    homes: Mapping[str, Homes]
    """Where the rows lie that new ones name, by table."""
    own: Homes
    """Rows of the table itself that are there already, where ids are unique in all the catalog."""
    parent: str | None
    """The table whose light curves the rows become part of."""
    counted_id: str | None
    """The column with the rows' own ids, where the light curves have it."""
    leads: bool
    """Whether other tables' rows belong to the rows, so that each of these needs an id."""
    scratch: Path | None
    """Folder for scratch files; None where rows are only counted."""

    @property
    def roles(self) -> Roles:
        """Which column is what."""
        return self.table.roles

    @property
    def is_placed(self) -> bool:
        """Whether the rows are in a catalog of their own."""
        return self.table.name in self.tiles

    def keys(self, rows: pa.Table) -> Indices:
        """Return what identifies rows of light curves in the account."""
        return keys_in_account(rows, str(self.roles.parent_id), self.counted_id)

    def buckets(self, kind: str, number: int, columns: pa.Schema, n_buckets: int) -> Buckets:
        """Return where rows of one unit go that are ``placed`` in a catalog, or ``nested``."""
        if self.scratch is None:
            return CountedBuckets(n_buckets)
        return Spill(place_of(self.scratch, kind, self.table.name).file(number), columns, n_buckets)

    def heap(self, kind: str, name: str) -> Heap:
        """Return where rows of one unit go that are ``refused`` or ``orphans``."""
        if self.scratch is None:
            return CountedHeap()
        return Aside(self.scratch / kind / self.table.name / f"{name}.parquet")


def place_of(scratch: Path, kind: str, table: str) -> Place:
    """Return where scratch files are: of rows ``placed`` in a catalog, or ``nested``."""
    return Place(scratch / kind / table)


@dataclass(frozen=True)
class Dealt:
    """What became of the rows of one unit, or of all of them."""

    rows: int = 0
    placed: int = 0
    nested: int = 0
    refused: int = 0
    orphans: int = 0
    lost: int = 0
    """Rows of a catalog that follows another table, without a row to follow."""
    known: int = 0
    """Rows whose id the catalog has already."""
    unvisited: int = 0

    def __add__(self, other: Dealt) -> Dealt:
        return Dealt(**{name: value + getattr(other, name) for name, value in vars(self).items()})


@dataclass
class _Counts:
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, n: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + n


@bad_input_as_value
def ids_of(dealing: Dealing, unit: Unit) -> dict[str, Any]:
    """Return the ids that the rows of a unit have, those that they name, each once, and the places they lie at."""
    roles, planned = dealing.roles, dealing.planned
    known = planned.inputs[unit.table].schema.names
    named = [c for c in (roles.id, roles.parent_id, roles.ra, roles.dec) if c is not None and c in known]
    found: dict[str, list[Any]] = {"own": [], "parents": [], "near": []}
    for chunk in read_unit(unit, planned.inputs[unit.table].schema, named):
        if roles.id in named:
            ids = chunk.table.column(roles.id)
            if dealing.leads and ids.null_count:
                row = chunk.first_row + int(np.flatnonzero(ids.is_null().to_numpy())[0])
                raise IdError(f"row {row} of {chunk.path} (counted from 0) has no {roles.id}: every row needs one")
            found["own"].append(keys_of(ids))
        if roles.parent_id in named:
            found["parents"].append(pc.unique(keys_of(chunk.table.column(roles.parent_id))))
        if roles.ra in named and roles.dec in named:
            ra, dec = positions(chunk.table, roles)
            on_sky = ~off_sky(ra, dec)
            found["near"].append(np.unique(spatial_index(ra[on_sky], dec[on_sky])))
    return {
        "own": found["own"],
        "parents": united(found["parents"]),
        "near": np.unique(np.concatenate([np.empty(0, np.int64), *found["near"]])),
    }


def united(arrays: Sequence[pa.Array]) -> pa.Array:
    """Return the ids in some arrays, each once; no nulls."""
    some = [a for a in arrays if len(a)]
    return pc.unique(pa.concat_arrays(some).drop_null()) if some else pa.array([], pa.int64())


@bad_input_as_value
def deal(dealing: Dealing, unit: Unit) -> dict[str, Any]:
    """Send the rows of one unit to the partitions they belong in; those without one are set aside.

    Returns
    -------
    dict
        Counts, and which batches of the scratch files are of which partition.
    """
    work, planned = _Unit(dealing, unit.number, unit.name), dealing.planned
    with work.placed, work.nested, work.refused, work.orphans, work.lost:
        for chunk in read_unit(unit, planned.inputs[unit.table].schema):
            # Where rows are only counted, what their visits would tell is not asked for.
            rows, missed = chunk.table, 0
            if dealing.scratch is not None:
                rows, missed = with_visits(planned, unit.table, rows)
            work.counts.add("rows", rows.num_rows)
            work.counts.add("unvisited", missed)
            if dealing.is_placed:
                work.place(rows, chunk)
            if dealing.parent is not None:
                work.nest(rows)
    return work.report()


def deal_orphans(dealing: Dealing, number: int, rows: pa.Table) -> dict[str, Any]:
    """Send rows that had no object so far, and have one now, to its partition; see :func:`deal`."""
    work = _Unit(dealing, number, f"{number:06d}")
    with work.placed, work.nested, work.refused, work.orphans, work.lost:
        if dealing.is_placed and dealing.table.follow is not None:
            work.follow(rows)
        if dealing.parent is not None:
            work.nest(rows)
    return work.report()


class _Unit:
    """One unit on its way."""

    def __init__(self, dealing: Dealing, number: int, name: str) -> None:
        self.dealing, self.number, self.counts = dealing, number, _Counts()
        columns = dealing.columns
        tiles = dealing.tiles.get(dealing.table.name)
        placed = pa.schema([pa.field(HEALPIX, pa.int64()), *columns])
        self.placed = dealing.buckets("placed", number, placed, len(tiles) if tiles else 1)
        around = dealing.tiles[dealing.parent] if dealing.parent else None
        self.nested = dealing.buckets("nested", number, columns, len(around) if around else 1)
        self.refused = dealing.heap("refused", name)
        self.orphans = dealing.heap("orphans", name)
        self.lost = dealing.heap("lost", name)
        self.orphaned, self.offset_arcsec = Tally(), 0.0
        self.fresh: list[Homes] = []

    def place(self, rows: pa.Table, chunk: Chunk) -> None:
        """Send rows to the leaves of their own catalog."""
        if self.dealing.table.follow is not None:
            self.follow(rows)
        else:
            self._put(*self._positioned(rows, chunk))

    def _put(self, rows: pa.Table, place: Indices) -> None:
        if len(self.dealing.own.ids):
            there = self.dealing.own.of(rows.column(self.dealing.roles.id)) >= 0
            self.counts.add("known", int(there.sum()))
            rows, place = rows.filter(pa.array(~there)), place[~there]
        if self.dealing.leads:
            self.fresh.append(Homes(keys_of(rows.column(self.dealing.roles.id)), place))
        rows = rows.add_column(0, pa.field(HEALPIX, pa.int64()), pa.array(place))
        self.counts.add("placed", rows.num_rows)
        self.placed.add(rows, self.dealing.tiles[self.dealing.table.name].leaf_of(place))

    def nest(self, rows: pa.Table) -> None:
        """Send rows to the leaves of their objects."""
        assert self.dealing.parent is not None
        place = self.dealing.homes[self.dealing.parent].of(rows.column(self.dealing.roles.parent_id))
        orphan = place < 0
        self.counts.add("orphans", int(orphan.sum()))
        self.orphans.add(rows.filter(pa.array(orphan)))
        self.orphaned += Tally.of(self.dealing.keys(rows.filter(pa.array(orphan))))
        rows, place = rows.filter(pa.array(~orphan)), place[~orphan]
        self.counts.add("nested", rows.num_rows)
        self.nested.add(rows, self.dealing.tiles[self.dealing.parent].leaf_of(place))

    def report(self) -> dict[str, Any]:
        """Return what became of the rows."""
        return {
            "number": self.number,
            "orphaned": self.orphaned,
            "offset_arcsec": self.offset_arcsec,
            "dealt": Dealt(**{**self.counts.counts, "refused": self.refused.rows, "lost": self.lost.rows}),
            "fresh": Homes.joined(self.fresh),
            "placed": self.placed.to_json(),
            "nested": self.nested.to_json(),
        }

    def _positioned(self, rows: pa.Table, chunk: Chunk) -> tuple[pa.Table, Indices]:
        """Return the rows that are on the sky, and where; others are an error or set aside."""
        dealing = self.dealing
        ra, dec = positions(rows, dealing.roles)
        bad = off_sky(ra, dec)
        if bad.any():
            if not dealing.planned.refuses(dealing.table.name):
                found = Histogram(0, NOWHERE, NOWHERE, int(bad.sum()), first_bad(chunk, ra, dec, bad))
                raise position_error(dealing.planned.inputs[dealing.table.name], found)
            self.refused.add(off_sky_rows(chunk, rows, ra, dec, np.flatnonzero(bad)))
            rows, ra, dec = rows.filter(pa.array(~bad)), ra[~bad], dec[~bad]
        return rows, spatial_index(ra, dec)

    def follow(self, rows: pa.Table) -> None:
        """Send rows to the leaves of those that they follow; those that follow none are set aside."""
        dealing = self.dealing
        place = dealing.homes[str(dealing.table.follow)].of(rows.column(dealing.roles.parent_id))
        alone = place < 0
        self.lost.add(rows.filter(pa.array(alone)))
        rows, place = rows.filter(pa.array(~alone)), place[~alone]
        if dealing.roles.ra is not None and dealing.roles.dec is not None:
            ra, dec = positions(rows, dealing.roles)
            known = ~off_sky(ra, dec)
            far = separation_arcsec(ra[known], dec[known], *centre(place[known], MAX_ORDER))
            self.offset_arcsec = max(self.offset_arcsec, float(far.max(initial=0.0)))
        self._put(rows, place)


def check_ids(table: str, column: str, ids: Sequence[pa.Array]) -> None:
    """Raise IdError where the ids of new rows repeat: rows that belong to one of them could not be told apart."""
    some = [a for a in ids if len(a)]
    if not some:
        return
    counted = pc.value_counts(pa.concat_arrays(some).drop_null())
    twice = counted.filter(pc.greater(counted.field("counts"), 1))
    if len(twice):
        raise IdError(
            f"{column} {twice[0]['values'].as_py()} comes {twice[0]['counts'].as_py()} times among the new rows of "
            f'"{table}" ({len(twice)} ids do so): remove the others'
        )
