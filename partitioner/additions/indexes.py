"""An id index in its next state: the files it has, and one more for the ids that are new.

How an index is built from a whole catalog, and looked up, is known in the store.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lsdb_ts.schema import HEALPIX, plain
from lsdb_ts.sky import Pixel
from lsdb_ts.store.finish import properties_stamp, write_properties
from lsdb_ts.store.hats import open_hats, read_properties
from lsdb_ts.store.index import NUMBER, ORDER, STAMP, stamp_of
from lsdb_ts.store.index_writer import GROUP_ROWS
from lsdb_ts.store.seal import seal
from lsdb_ts.store.write import atomic


def grow_index(old: Path, root: Path, catalog: Path, rows: pa.Table, mark: str) -> None:
    """Write an index with more ids than it had.

    Parameters
    ----------
    old, root : pathlib.Path
        Folders of the present index and of the next one.
    catalog : pathlib.Path
        The catalog in its next state, finished.
    rows : pyarrow.Table
        New ids and the places of their rows, as :func:`index_rows` gives them.
    mark : str
        What tells the new file from others.
    """
    for file in sorted((old / "dataset").rglob("*.parquet")):
        target = root / file.relative_to(old)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, target)
    told = read_properties(old / "hats.properties")
    metadata = pq.read_metadata(old / "dataset" / "_metadata")
    column = told["hats_index_column"]
    if rows.num_rows:
        schema = pq.read_schema(old / "dataset" / "_metadata").remove_metadata()
        name = f"index/part{mark}.parquet"
        footer = _write(rows, schema, column, root / "dataset" / name)
        footer.set_file_path(name)
        metadata.append_row_groups(footer)
    with atomic(root / "dataset" / "_metadata") as temporary:
        metadata.write_metadata_file(temporary)
        seal(temporary)
    os.link(old / "dataset" / "_common_metadata", root / "dataset" / "_common_metadata")
    size = sum(file.stat().st_size for file in root.rglob("*.parquet"))
    about = {
        "obs_collection": root.name,
        "hats_nrows": int(told["hats_nrows"]) + rows.num_rows,
        "hats_primary_table_url": catalog.name,
        "hats_estsize": max(1, size >> 10),
        **properties_stamp(),
        STAMP: stamp_of(open_hats(catalog)),
    }
    write_properties(root, {**told, **about})


def index_rows(rows: pa.Table, column: str, pixel: Pixel) -> pa.Table:
    """Return the ids of rows of a partition, their places, and the partition; rows without an id are left out."""
    n = rows.num_rows
    order, number = np.full(n, pixel.order, np.uint8), np.full(n, pixel.number, np.uint64)
    kept = pa.table({column: rows.column(column), HEALPIX: rows.column(HEALPIX), ORDER: order, NUMBER: number})
    return kept.filter(pc.is_valid(kept.column(column)))


def is_whole(folder: Path) -> bool:
    """Tell whether an index is as it was built, without parts that were added."""
    return not any(file.name.count(".") > 2 for file in (folder / "dataset" / "index").glob("part.*"))


def _write(rows: pa.Table, schema: pa.Schema, column: str, path: Path) -> pq.FileMetaData:
    ordered = rows.take(pc.sort_indices(rows, [(column, "ascending"), (HEALPIX, "ascending")]))
    kept = pa.table([ordered.column(f.name).cast(plain(f.type)) for f in schema], schema=schema)
    with atomic(path) as temporary:
        pq.write_table(
            kept,
            temporary,
            row_group_size=GROUP_ROWS,
            data_page_size=16 << 10,
            compression="zstd",
            compression_level=3,
            use_dictionary=[name for name in (ORDER, NUMBER) if name in schema.names],
            write_page_index=True,
            write_page_checksum=True,
            sorting_columns=pq.SortingColumn.from_ordering(schema, [(column, "ascending")]),
        )
        seal(temporary)
    return pq.read_metadata(path)
