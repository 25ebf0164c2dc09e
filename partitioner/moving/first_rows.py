"""The first row of each leaf, kept aside while leaves are made: the thumbnail of a catalog then decodes none of them.

Which of them a thumbnail shows is decided where it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from lsdb_ts.schema import HEALPIX
from lsdb_ts.store.write import Leaf, unflushed
from partitioner.moving.spill import Place
from partitioner.planning.product import Product


def write_first_rows(path: Path, schema: pa.Schema, rows: Sequence[pa.Table]) -> None:
    """Write the first rows of the leaves of one bucket that have any, in their sequence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with unflushed(path) as temporary, pa.ipc.new_file(str(temporary), schema) as file:
        for row in rows:
            file.write_table(row)


def first_rows(place: Place, product: Product) -> Callable[[Leaf], pa.Table]:
    """Return what finds the first row of a leaf that has some, in the files of a catalog's buckets."""

    def find(leaf: Leaf) -> pa.Table:
        at = product.layout.leaf_of(np.array([leaf.pixel.start]))
        rows = pa.ipc.open_file(pa.memory_map(str(place.file(int(product.bucket_of(at)[0]))))).read_all()
        first = int(np.searchsorted(rows.column(HEALPIX).to_numpy(), leaf.pixel.start))
        return rows.slice(first, 1)

    return find
