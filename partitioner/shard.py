"""Send rows to where they belong: read a unit once, find each row's bucket, write one scratch file.

A bucket is a run of contiguous leaves. There are as many scratch files as units, never units times pixels; a bucket's
rows lie together in each, so that gathering a bucket maps just its slices into memory. Rows that follow an id rather
than their own position are routed next door, in nest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import IdError, InputError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import spatial_index
from lsdb_ts.sky.pixel import Indices
from lsdb_ts.store.write import atomic
from partitioner.account import Tally, integers, mixed, row_keys
from partitioner.histogram import BadRow, Histogram, off_sky, position_error, positions
from partitioner.inputs import Unit, bad_input_as_value, read_unit
from partitioner.plan import Plan
from partitioner.product import Product

_BUCKETS = b"buckets"


def write_spill(table: pa.Table, buckets: Indices, path: Path) -> None:
    """Write rows into one Arrow file, one record batch per bucket, with the list of buckets in its metadata.

    Parameters
    ----------
    table : pyarrow.Table, n rows
    buckets : numpy.ndarray of int64, shape (n,)
        Bucket of each row; rows of one bucket keep their sequence.
    path : pathlib.Path
        Appears only when complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    order = np.argsort(buckets, kind="stable")
    present, starts = np.unique(buckets[order], return_index=True)
    grouped = table.take(pa.array(order)).combine_chunks()
    schema = grouped.schema.with_metadata({_BUCKETS: present.astype("<i8").tobytes()})
    stops = np.append(starts, buckets.size)[1:]
    with atomic(path) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            (batch,) = grouped.slice(start, stop - start).to_batches()
            writer.write_batch(batch)


def read_spill(path: Path, bucket: int) -> pa.Table | None:
    """Map the rows of one bucket into memory; None where the file has none."""
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    present = np.frombuffer(reader.schema.metadata[_BUCKETS], dtype="<i8")
    place = int(np.searchsorted(present, bucket))
    if place == present.size or present[place] != bucket:
        return None
    return pa.Table.from_batches([reader.get_batch(place)]).replace_schema_metadata(None)


def spill_path(planned: Plan, kind: str, table: str, name: str) -> Path:
    """Return the scratch file of one piece of work."""
    return planned.work / kind / table / f"{name}.arrow"


@bad_input_as_value
def shard(planned: Plan, unit: Unit) -> dict[str, Any]:
    """Send the rows of one unit to the buckets of their own positions.

    Returns
    -------
    dict
        For the journal: rows written, their tally, and how many were refused.
    """
    product = next(p for p in planned.products if p.table == unit.table)
    table = read_unit(unit, planned.inputs[unit.table].schema)
    ra, dec = positions(table, planned.roles(unit.table))
    bad = off_sky(ra, dec)
    if bad.any():
        _refuse(planned, unit, table, ra, dec, bad)
    rows = np.flatnonzero(~bad)
    place = spatial_index(ra[rows], dec[rows])
    leaf = product.layout.leaf_of(place)
    if (leaf < 0).any():
        raise InputError(f"{unit.path} was changed while it was read: start again when it rests")
    kept = table if rows.size == table.num_rows else table.take(pa.array(rows))
    kept = kept.add_column(0, pa.field(HEALPIX, pa.int64()), pa.array(place))
    write_spill(kept, product.bucket_of(leaf), spill_path(planned, "shard", unit.table, unit.name))
    id_column = planned.roles(unit.table).id
    if has_index(planned, product):
        _note_ids(planned, unit, table, leaf, rows)
    tally = Tally.of(row_keys(kept, id_column))
    return {"rows": table.num_rows, "kept": tally.to_json(), "refused": int(bad.sum())}


def has_index(planned: Plan, product: Product) -> bool:
    """Tell whether the ids of a catalog are indexed, and must be unique: those of the primary one, if it has any."""
    column = planned.roles(product.table).id
    is_primary = product.table == planned.primary.table
    return (
        is_primary
        and column is not None
        and pa.types.is_integer(planned.inputs[product.table].schema.field(column).type)
    )


def _note_ids(planned: Plan, unit: Unit, table: pa.Table, leaf: Indices, rows: Indices) -> None:
    """Leave (mixed id, leaf, row in file) of each row for the index, sorted by mixed id."""
    column = table.column(planned.roles(unit.table).id)
    if column.null_count:
        row = unit.first_row + int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise IdError(
            f"row {row} of {unit.path} (counted from 0) has no {planned.roles(unit.table).id}: every row needs one"
        )
    keys = mixed(integers(column)[rows])
    order = np.argsort(keys)
    noted = np.stack([keys[order], leaf[order].astype(np.uint64), (rows[order] + unit.first_row).astype(np.uint64)])
    save_array(noted, planned.work / "ids" / f"{unit.name}.npy")


def save_array(array: np.ndarray, path: Path) -> None:
    """Write a ``.npy`` file that appears only when complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


def _refuse(planned: Plan, unit: Unit, table: pa.Table, ra: np.ndarray, dec: np.ndarray, bad: np.ndarray) -> None:
    """Set rows without a place on the sky aside, with the reason."""
    rows = np.flatnonzero(bad)
    if planned.on_bad == "raise":
        first = BadRow(unit.path, unit.first_row + int(rows[0]), float(ra[rows[0]]), float(dec[rows[0]]))
        raise position_error(unit.table, Histogram(0, rows[:0], rows[:0], rows.size, first))
    reasons = [f"not on the sky: ra={a}, dec={d}" for a, d in zip(ra[rows].tolist(), dec[rows].tolist(), strict=True)]
    aside = table.take(pa.array(rows))
    for name, values in (("_reason", reasons), ("_file", [unit.path] * rows.size), ("_row", rows + unit.first_row)):
        aside = aside.append_column(name, pa.array(values))
    set_aside(aside, planned.work / "refused" / unit.table / f"{unit.name}.parquet")


def set_aside(table: pa.Table, path: Path) -> None:
    """Write rows that will be in no catalog to a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)
