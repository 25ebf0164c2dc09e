"""Cells are counted, and counts added up, as slow counting does it."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.kernels.rows.counting import add_counts, coarser_counts, count_cells, distinct_after

PLACES = st.lists(st.one_of(st.integers(0, 40), st.integers(0, 12 * 4**29 - 1)), max_size=80)


def counted(places, shift) -> tuple[list[int], list[int]]:
    found = sorted(Counter(place >> shift for place in places).items())
    return [cell for cell, _ in found], [count for _, count in found]


@given(PLACES, st.sampled_from([0, 3, 34, 58]))
def test_each_cell_is_counted_once(places, shift):
    cells, counts = count_cells(np.array(places, dtype=np.int64), shift)

    assert (cells.tolist(), counts.tolist()) == counted(places, shift)


@given(PLACES, PLACES)
def test_counts_add_up(some, others):
    a, b = (count_cells(np.array(places, dtype=np.int64), 2) for places in (some, others))

    cells, counts = add_counts(*a, *b)

    assert (cells.tolist(), counts.tolist()) == counted([*some, *others], 2)


@given(PLACES, st.sampled_from([0, 1, 4, 30, 60]))
def test_coarser_cells_are_those_that_are_counted_there(places, shift):
    cells, counts = count_cells(np.array(places, dtype=np.int64), 0)

    coarse, total = coarser_counts(cells, counts, shift)

    assert (coarse.tolist(), total.tolist()) == counted(places, shift)
    assert distinct_after(cells)[shift] == coarse.size
