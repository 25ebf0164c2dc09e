"""Sets of intervals, held against sets of numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.sky import Pixel, Ranges
from lsdb_ts.sky.pixel import MAX_ORDER

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=12)


def ranges_of(spans):
    return Ranges.of([a for a, _ in spans], [a + n for a, n in spans])


def members(spans):
    return {k for a, n in spans for k in range(a, a + n)}


@given(SPANS)
def test_a_union_holds_what_its_intervals_hold_in_the_fewest_pieces(spans):
    united = ranges_of(spans)
    assert [k for a, b in united for k in range(a, b)] == sorted(members(spans))
    assert (united.starts[1:] > united.stops[:-1]).all(), "touching pieces are one piece"


@given(SPANS)
def test_membership_is_that_of_a_set(spans):
    numbers = np.arange(-3, 80)
    assert ranges_of(spans).contains(numbers).tolist() == [k in members(spans) for k in numbers.tolist()]


@given(SPANS, SPANS)
def test_an_overlap_is_a_common_number(spans, others):
    starts, stops = [a for a, _ in others], [a + n for a, n in others]
    expected = [bool(members(spans) & set(range(a, b))) for a, b in zip(starts, stops, strict=True)]
    assert ranges_of(spans).overlaps(starts, stops).tolist() == expected


def test_cells_of_one_order_unite_into_their_parent():
    pixel = Pixel(3, 41)
    children = [c.number for c in pixel.children(5)]
    united = Ranges.of_cells(np.array([*children[::-1], *children]), 5)
    assert list(united) == [(pixel.start, pixel.stop)]
    assert pixel.stop - pixel.start == 4 ** (MAX_ORDER - 3)


@given(SPANS, SPANS)
def test_an_intersection_holds_the_common_numbers(spans, others):
    common = ranges_of(spans).intersection(ranges_of(others))
    assert [k for a, b in common for k in range(a, b)] == sorted(members(spans) & members(others))


@given(SPANS, st.integers(-2, 75), st.integers(0, 30))
def test_clipping_is_the_intersection_with_one_interval(spans, start, length):
    clipped = ranges_of(spans).clipped(start, start + length)
    assert [k for a, b in clipped for k in range(a, b)] == sorted(members(spans) & set(range(start, start + length)))


@given(SPANS, SPANS)
def test_an_interval_is_covered_where_all_its_numbers_are_in_the_set(spans, others):
    expected = [set(range(a, a + n)) <= members(spans) for a, n in others]
    assert ranges_of(spans).covers([a for a, _ in others], [a + n for a, n in others]).tolist() == expected


@given(st.lists(st.integers(0, 40), max_size=30))
def test_cells_unite_as_their_intervals_do(cells):
    shift = 2 * (MAX_ORDER - 2)
    expected = Ranges.of([c << shift for c in cells], [(c + 1) << shift for c in cells])
    assert list(Ranges.of_cells(cells, 2)) == list(expected)
