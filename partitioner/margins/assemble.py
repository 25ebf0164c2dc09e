"""Put margins together: for each pixel the rows just outside it, as a second catalog with the same columns.

Which rows those are was found when the leaves were made.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky.pixel import Indices
from lsdb_ts.store.write import LeafFile, flush_names, leaf_path, row_group_edges
from partitioner.account import Tally
from partitioner.moving.gather import TARGET, Bucket, Gathering, by_place, in_memory_bytes
from partitioner.moving.merge import Ordered, in_order
from partitioner.moving.shard import scratch
from partitioner.moving.spill import read_bucket


def assemble(work: Gathering, bucket: Bucket) -> dict[str, Any]:
    """Write the margins of the pixels that begin in one bucket; pixels with nothing near get no file.

    Returns
    -------
    dict
        For the journal: the leaves, and a tally of the rows as they were written.
    """
    product = work.product
    batches = read_bucket(scratch(work.planned, "margin", product.table), bucket.number)
    stream = sum(batch.nbytes for batch in batches) > in_memory_bytes(work.planned)
    placed = by_place(work.id)

    def keys(rows: pa.RecordBatch) -> list[Indices]:
        return [rows.column(TARGET).to_numpy(), *placed(rows)]

    schema = work.schema.append(pa.field(TARGET, pa.int64()))
    leaves, tally = [], Tally()
    with in_order(batches, schema, keys, work.planned.work, stream=stream) as rows:
        targets = np.asarray(rows.keys[0])
        for target in np.unique(targets).tolist():
            first, stop = np.searchsorted(targets, [target, target + 1]).tolist()
            leaf, found = _write(work, rows, target, range(first, stop))
            leaves.append(leaf)
            tally += found
    flush_names({leaf_path(work.margin_root, product.margin_targets[t]).parent for t in np.unique(targets).tolist()})
    return {"leaves": leaves, "rows": tally.to_json()}


def _write(work: Gathering, rows: Ordered, target: int, which: range) -> tuple[dict[str, Any], Tally]:
    """Write the margin of one pixel, a row group at a time."""
    pixel, names, tally = work.product.margin_targets[target], work.schema.names, Tally()
    size = rows.bits(which.start, which.stop, names) // 8
    edges = row_group_edges(rows.keys[1][which.start : which.stop], size, pixel.order)
    with LeafFile(work.margin_root, pixel) as file:
        for start, stop in itertools.pairwise(which.start + e for e in edges):
            group = rows.table(start, stop, names).replace_schema_metadata(work.schema.metadata)
            tally += Tally.of(group.column(HEALPIX).to_numpy())
            file.add(group)
        return file.close().flush().to_json(), tally
