"""Put margins together: for each pixel the rows just outside it, as a second catalog with the same columns.

Which rows those are was found when the leaves were made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.schema import HEALPIX
from lsdb_ts.store.write import flush_names, leaf_path, write_leaf
from partitioner.account import Tally
from partitioner.gather import TARGET, Bucket, Gathering, sorted_rows
from partitioner.shard import read_spill, spill_path


def assemble(work: Gathering, bucket: Bucket) -> dict[str, Any]:
    """Write the margins of the pixels that begin in one bucket; pixels with nothing near get no file.

    Returns
    -------
    dict
        For the journal: the leaves, and a tally of the rows as they were written.
    """
    planned, product = work.planned, work.product
    schema = work.schema
    parts = [schema.append(pa.field(TARGET, pa.int64())).empty_table()]
    for source in range(product.buckets):
        part = read_spill(spill_path(planned, "margin", product.table, f"{source:06d}"), bucket.number)
        if part is not None:
            parts.append(pa.table(part.columns, schema=parts[0].schema))
    rows = pa.concat_tables(parts)
    rows = sorted_rows(rows, planned.roles(product.table).id, first=rows.column(TARGET).to_numpy())
    targets, starts = np.unique(rows.column(TARGET).to_numpy(), return_index=True)
    stops = np.append(starts, rows.num_rows)[1:]
    rows = rows.drop_columns([TARGET]).replace_schema_metadata(schema.metadata)
    leaves = []
    for target, start, stop in zip(targets.tolist(), starts.tolist(), stops.tolist(), strict=True):
        pixel = product.margin_targets[target]
        leaves.append(write_leaf(rows.slice(start, stop - start), work.margin_root, pixel).to_json())
    flush_names({leaf_path(work.margin_root, product.margin_targets[t]).parent for t in targets.tolist()})
    return {"leaves": leaves, "rows": Tally.of(rows.column(HEALPIX).to_numpy()).to_json()}
