"""Buckets are runs of leaves whose rows fit in memory."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from partitioner.planning.product import bucket_edges


@given(st.lists(st.integers(0, 100), min_size=1, max_size=50), st.integers(1, 300))
def test_buckets_hold_all_leaves_in_sequence_and_are_too_large_only_with_one(counts, limit):
    edges = bucket_edges(np.array(counts), limit)

    assert edges[0] == 0
    assert (np.diff(edges) > 0).all()
    for stretch in np.split(np.array(counts), edges[1:]):
        assert stretch.sum() <= limit or np.count_nonzero(stretch) == 1 or stretch.size == 1
