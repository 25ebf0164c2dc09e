"""Send rows to where they belong: read a unit once, find each row's bucket, write one scratch file.

A bucket is a run of contiguous leaves. Rows go by their own position, or by that of the row they follow. Rows that
become light curves are routed next door, in nest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.rows.ordering import stretch_of
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import separation_arcsec, spatial_index
from lsdb_ts.sky.pixel import MAX_ORDER, Indices, centre
from partitioner.account import Tally, row_keys
from partitioner.inputs.tables import Chunk, Unit, bad_input_as_value, read_unit
from partitioner.moving.ids import IdNotes, find_places, is_indexed
from partitioner.moving.lookup import with_visits
from partitioner.moving.spill import Aside, Place, Spill, written_here
from partitioner.planning.histogram import NOWHERE, Histogram, first_bad, off_sky, position_error, positions
from partitioner.planning.plan import Plan
from partitioner.planning.product import Product


def scratch(planned: Plan, kind: str, table: str) -> Place:
    """Return where the scratch files of one stage of one table are."""
    return Place(planned.work / kind / table)


@bad_input_as_value
def shard(planned: Plan, unit: Unit) -> dict[str, Any]:
    """Send the rows of one unit to the buckets of their own positions, or of those they follow.

    Returns
    -------
    dict
        For the journal: rows read, tallies of those that were kept and of orphans, how many were refused, and which
        bucket each batch of the scratch file is of.
    """
    work = _Shard(planned, unit)
    with work.spill, work.refused, work.orphans:
        for chunk in read_unit(unit, planned.inputs[unit.table].schema):
            work.move(chunk)
    work.notes.save()
    return {
        "rows": work.rows,
        "kept": work.kept.to_json(),
        "refused": work.refused.rows,
        "orphans": work.lost.to_json(),
        "unvisited": work.unvisited,
        "offset_arcsec": work.offset_arcsec,
        "batches": work.spill.to_json(),
        **written_here(),
    }


class _Shard:
    """One unit on its way."""

    def __init__(self, planned: Plan, unit: Unit) -> None:
        self.planned, self.unit = planned, unit
        self.product = next(p for p in planned.products if p.table == unit.table)
        self.roles = planned.roles(unit.table)
        self.schema = planned.schema(unit.table)
        self.spill = Spill(scratch(planned, "shard", unit.table).file(unit.number), self.schema, self.product.buckets)
        self.refused = Aside(planned.work / "refused" / unit.table / f"{unit.name}.parquet")
        self.orphans = Aside(planned.work / "orphans" / unit.table / f"{unit.name}.parquet")
        self.notes = IdNotes(planned, unit)
        self.rows, self.kept, self.lost, self.unvisited, self.offset_arcsec = 0, Tally(), Tally(), 0, 0.0
        self._starts, self._stops = self.product.layout.starts, self.product.layout.stops
        self._buckets = self.product.bucket_of(np.arange(len(self.product.layout)))

    def move(self, chunk: Chunk) -> None:
        """Send the rows of a chunk on."""
        self.rows += chunk.table.num_rows
        rows, missed = with_visits(self.planned, self.unit.table, chunk.table)
        self.unvisited += missed
        rows, place = self._with_parents(rows) if self.product.follow else self._with_positions(chunk, rows)
        leaf = stretch_of(self._starts, place)
        if place.size and (leaf.min() < 0 or (place >= self._stops[leaf]).any()):
            raise InputError(f"{chunk.path} was changed while it was read: start again when it rests")
        if is_indexed(self.planned, self.unit.table):
            self.notes.add(chunk, rows, place)
        rows = rows.add_column(0, pa.field(HEALPIX, pa.int64()), pa.array(place))
        self.kept += Tally.of(row_keys(rows, self.roles.id))
        self.spill.add(rows, self._buckets[leaf])

    def _with_positions(self, chunk: Chunk, rows: pa.Table) -> tuple[pa.Table, Indices]:
        ra, dec = positions(rows, self.roles)
        bad = off_sky(ra, dec)
        if bad.any():
            self.refused.add(_refused(self.planned, self.product, chunk, ra, dec, bad))
            on_sky = ~bad
            rows, ra, dec = rows.filter(pa.array(on_sky)), ra[on_sky], dec[on_sky]
        return rows, spatial_index(ra, dec)

    def _with_parents(self, rows: pa.Table) -> tuple[pa.Table, Indices]:
        """Return the rows whose parent there is, and its place; set the others aside."""
        parents = rows.column(self.roles.parent_id)
        place = find_places(self.planned, str(self.product.follow), parents)
        if (place < 0).any():
            orphan = place < 0
            aside = rows.filter(pa.array(orphan))
            self.orphans.add(aside)
            keys = row_keys(aside.add_column(0, HEALPIX, pa.array(place[orphan])), self.roles.id)
            self.lost += Tally.of(keys)
            rows, place = rows.filter(pa.array(~orphan)), place[~orphan]
        if self.roles.ra is not None and self.roles.dec is not None:
            ra, dec = positions(rows, self.roles)
            known = ~off_sky(ra, dec)
            far = separation_arcsec(ra[known], dec[known], *centre(place[known], MAX_ORDER))
            self.offset_arcsec = max(self.offset_arcsec, float(far.max(initial=0.0)))
        return rows, place


def _refused(
    planned: Plan,
    product: Product,
    chunk: Chunk,
    ra_deg: NDArray[np.float64],
    dec_deg: NDArray[np.float64],
    bad: NDArray[np.bool_],
) -> pa.Table:
    """Return the rows without a place on the sky, with the reason and where they are from."""
    rows = np.flatnonzero(bad)
    if not planned.refuses(product.table):
        found = Histogram(0, NOWHERE, NOWHERE, rows.size, first_bad(chunk, ra_deg, dec_deg, bad))
        raise position_error(planned.inputs[product.table], found)
    return off_sky_rows(chunk, chunk.table, ra_deg, dec_deg, rows)


def off_sky_rows(
    chunk: Chunk, table: pa.Table, ra_deg: NDArray[np.float64], dec_deg: NDArray[np.float64], rows: Indices
) -> pa.Table:
    """Return some rows of a chunk's table, each with the reason why it is nowhere and where it is from."""
    places = zip(ra_deg[rows].tolist(), dec_deg[rows].tolist(), strict=True)
    told = (
        ("_reason", [f"not on the sky: ra={ra}, dec={dec}" for ra, dec in places]),
        ("_file", [chunk.path] * rows.size),
        ("_row", rows + chunk.first_row),
    )
    aside = table.take(pa.array(rows))
    for name, values in told:
        aside = aside.append_column(name, pa.array(values))
    return aside
