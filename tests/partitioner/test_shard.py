"""Scratch files: every row comes back from the bucket it was sent to, and from no other."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from partitioner.product import bucket_edges
from partitioner.shard import read_spill, write_spill


@given(st.lists(st.integers(0, 6), max_size=60))
def test_rows_come_back_by_bucket_in_their_sequence(tmp_path_factory, buckets):
    path = tmp_path_factory.mktemp("spill") / "000000.arrow"
    rows = pa.table({"row": np.arange(len(buckets)), "text": [f"{b}-{i}" for i, b in enumerate(buckets)]})

    write_spill(rows, np.array(buckets, dtype=np.int64), path)

    for bucket in range(8):
        wanted = [i for i, b in enumerate(buckets) if b == bucket]
        found = read_spill(path, bucket)
        assert (found.column("row").to_pylist() if found is not None else []) == wanted
        if found is not None:
            assert found.column("text").to_pylist() == [f"{bucket}-{i}" for i in wanted]


def test_there_are_as_many_scratch_files_as_units_and_nothing_else_beside_them(tmp_path):
    write_spill(pa.table({"row": np.arange(1000)}), np.arange(1000) % 97, tmp_path / "shard" / "000000.arrow")

    assert [p.name for p in (tmp_path / "shard").iterdir()] == ["000000.arrow"]


@given(st.lists(st.integers(0, 100), min_size=1, max_size=50), st.integers(1, 300))
def test_buckets_hold_all_leaves_in_sequence_and_are_too_large_only_with_one(counts, limit):
    edges = bucket_edges(np.array(counts), bytes_per_row=1.0, limit=limit)

    assert edges[0] == 0
    assert (np.diff(edges) > 0).all()
    for stretch in np.split(np.array(counts), edges[1:]):
        assert stretch.sum() <= limit or np.count_nonzero(stretch) == 1 or stretch.size == 1
