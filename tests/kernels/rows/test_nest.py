"""Children come to the parent they name, sorted by time, and none is lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.rows.nest import group_children

IDS = st.integers(-(2**62), 2**62) | st.integers(0, 5)


@given(st.lists(IDS, unique=True, max_size=8), st.data())
def test_grouping_is_that_of_brute_force(parents, data):
    known = st.sampled_from(parents) if parents else IDS
    children = data.draw(st.lists(known | IDS, max_size=30))
    times = data.draw(
        st.lists(st.sampled_from([0.0, -1.5, 2.0, np.nan]), min_size=len(children), max_size=len(children))
    )
    order, offsets, orphans = group_children(
        np.array(parents, dtype=np.int64), np.array(children, dtype=np.int64), np.array(times)
    )
    assert (order.dtype, offsets.dtype, orphans.dtype) == (np.int64,) * 3
    late = [np.inf if np.isnan(t) else t for t in times]
    for i, parent in enumerate(parents):
        mine = [c for c, named in enumerate(children) if named == parent]
        assert order[offsets[i] : offsets[i + 1]].tolist() == sorted(mine, key=lambda c: (late[c], c))
    assert orphans.tolist() == [c for c, named in enumerate(children) if named not in parents]
    assert order.size + orphans.size == len(children)
    assert offsets.size == len(parents) + 1


def test_ties_in_time_are_settled_by_the_value_given_for_it():
    parents, children = np.array([1]), np.array([1, 1, 1])
    times, ties = np.array([5.0, 5.0, 4.0]), np.array([9, 3, 7])
    assert group_children(parents, children, times)[0].tolist() == [2, 0, 1]
    assert group_children(parents, children, times, ties)[0].tolist() == [2, 1, 0]


def test_without_times_the_rows_keep_their_order():
    order, offsets, _ = group_children(np.array([2, 1]), np.array([1, 2, 1, 2]))
    assert order.tolist() == [1, 3, 0, 2]
    assert offsets.tolist() == [0, 2, 4]


@pytest.mark.parametrize("kind", [np.uint64, np.int64, "U8"])
def test_ids_may_be_of_any_kind(kind):
    parents, children = np.array([30, 7]).astype(kind), np.array([7, 30, 8, 7]).astype(kind)
    order, offsets, orphans = group_children(parents, children)
    assert order.tolist() == [1, 0, 3]
    assert offsets.tolist() == [0, 1, 3]
    assert orphans.tolist() == [2]


def test_ids_beyond_the_precision_of_floats_are_told_apart():
    parents = np.array([2**63 + 1, 2**63 + 2], dtype=np.uint64)
    order, offsets, orphans = group_children(parents, parents[[1, 0, 1]])
    assert order.tolist() == [1, 0, 2]
    assert offsets.tolist() == [0, 1, 3]
    assert orphans.size == 0


@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_ids_that_only_compare_as_floats_are_refused(kind):
    ids = np.array([2**60, 2**60 + 1], dtype=np.uint64)
    with pytest.raises(InputError, match=r"uint64.*cast both to the same integer type"):
        group_children(ids, ids.astype(kind))
