"""A glance at a catalog: the first row of each partition, or of some of them, in one small file.

It is put in its place next door.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.store.write import FILE, Leaf, leaf_files

THUMBNAIL = "data_thumbnail.parquet"
_MOST_ROWS = 1000
_TOGETHER = 32
"""Rows that are put together at a time: a table of one row takes a hundred times its bytes."""
_COLUMNS_AT_ONCE = 1000
_BUFFER_BYTES = 64 << 10
"""So much of each column is read at once, for only its first value is wanted."""


def thumbnail(root: Path, leaves: Sequence[Leaf], schema: pa.Schema, suffix: str = FILE) -> pa.Table:
    """Return the first row of each partition; of many, of some that are evenly spread over the catalog.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the catalog.
    leaves : sequence of Leaf
        Sorted by place.
    schema : pyarrow.Schema
        That of the catalog.
    suffix : str, optional
        Whether each partition is a file, or a folder of files.

    Returns
    -------
    pyarrow.Table
        Sorted by place; with no more rows than 1000, nor than the largest partition, as HATS asks.
    """
    filled = [leaf for leaf in leaves if leaf.rows]
    n = min(len(filled), _MOST_ROWS, max((leaf.rows for leaf in filled), default=0))
    chosen = [filled[i] for i in np.linspace(0, len(filled) - 1, n).round().astype(int).tolist()]
    paths = [leaf_files(root, leaf.pixel, suffix)[0] for leaf in chosen]
    tables = [schema.empty_table()]
    with ThreadPoolExecutor(_readers(paths), "thumbnail") as pool:
        for start in range(0, n, _TOGETHER):
            rows = pool.map(lambda path: _first_row(path, schema), paths[start : start + _TOGETHER])
            tables.append(pa.concat_tables(rows).combine_chunks())
    return pa.concat_tables(tables)


def _readers(paths: Sequence[Path]) -> int:
    """Return how many files are read at a time: of many columns each takes tens of megabytes."""
    columns = pq.read_metadata(paths[0]).num_columns if paths else 1
    return max(2, min(8, _COLUMNS_AT_ONCE // columns))


def _first_row(path: Path, schema: pa.Schema) -> pa.Table:
    file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, buffer_size=_BUFFER_BYTES)
    with file:
        batch = next(file.iter_batches(batch_size=1, row_groups=[0], use_threads=False))
        return pa.Table.from_batches([batch]).select(schema.names).cast(schema)
