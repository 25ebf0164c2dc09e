"""Layouts tile the sky: leaves are disjoint, small enough, and nothing is left over."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.errors import CatalogError
from lsdb_ts.sky import Layout, Pixel, Ranges, spatial_index
from lsdb_ts.sky.pixel import MAX_ORDER, SKY_STOP, cell_of
from lsdb_ts.testing.skies import hard_sky

ORDER = 4
HISTOGRAMS = st.dictionaries(st.integers(0, (12 << (2 * ORDER)) - 1), st.integers(1, 50), max_size=60)


@st.composite
def layouts(draw, max_order=5):
    """Draw a layout by splitting pixels at will and dropping some."""
    todo, leaves = [Pixel(0, n) for n in draw(st.sets(st.integers(0, 11), max_size=4))], []
    while todo:
        pixel = todo.pop()
        fate = draw(st.sampled_from(["keep", "drop", "split"]))
        if fate == "split" and pixel.order < max_order and len(leaves) + len(todo) < 40:
            todo.extend(pixel.children(pixel.order + 1))
        elif fate != "drop":
            leaves.append(pixel)
    return Layout.of(leaves)


@given(HISTOGRAMS, st.integers(1, 120), st.integers(0, ORDER))
def test_leaves_hold_all_rows_and_no_more_than_allowed(histogram, max_rows, min_order):
    cells, counts = (np.array(list(part), dtype=np.int64) for part in (histogram, histogram.values()))
    layout = Layout.from_counts(cells, counts, ORDER, max_rows, min_order)
    place = layout.leaf_of(cells << (2 * (MAX_ORDER - ORDER)))
    assert (place >= 0).all(), "every occupied cell has a leaf"
    rows = np.bincount(place, weights=counts, minlength=len(layout)).astype(int)
    assert (rows > 0).all(), "no leaf is empty"
    assert (layout.orders >= min_order).all()
    for leaf, n in zip(layout, rows.tolist(), strict=True):
        assert n <= max_rows or leaf.order == ORDER
        if leaf.order > min_order:
            parent = leaf.parent(leaf.order - 1)
            inside = sum(k for c, k in histogram.items() if Pixel(ORDER, c).parent(parent.order) == parent)
            assert inside > max_rows, f"{leaf} was split off a parent that was small enough"


@given(HISTOGRAMS, st.data())
def test_a_leaf_is_split_where_any_of_its_loads_is_too_much(histogram, data):
    cells, counts = (np.array(list(part), dtype=np.int64) for part in (histogram, histogram.values()))
    sizes = np.array([data.draw(st.floats(0, 100)) for _ in histogram])
    limits = data.draw(st.tuples(st.integers(1, 120), st.floats(1, 300)))
    layout = Layout.from_loads(cells, [(counts, limits[0]), (sizes, limits[1])], ORDER)
    index = cells << (2 * (MAX_ORDER - ORDER))
    assert (layout.leaf_of(index) >= 0).all()
    for leaf in layout:
        inside = (index >= leaf.start) & (index < leaf.stop)
        assert leaf.order == ORDER or (counts[inside].sum() <= limits[0] and sizes[inside].sum() <= limits[1] + 1e-9)
        mother = leaf.parent(leaf.order - 1) if leaf.order else None
        if mother is not None:
            inside = (index >= mother.start) & (index < mother.stop)
            assert counts[inside].sum() > limits[0] or sizes[inside].sum() > limits[1] - 1e-9


@given(layouts())
def test_a_layout_and_its_complement_are_the_whole_sky(layout):
    rest = layout.complement()
    whole = Layout.of([*layout, *rest])
    assert list(whole.ranges) == [(0, SKY_STOP)]
    assert list(Layout.of_ranges(rest.ranges)) == list(rest), "in the fewest pixels"


@given(st.lists(st.tuples(st.integers(0, 12 * 4**3 - 1), st.integers(1, 30)), max_size=6))
def test_pixels_of_a_set_of_sky_are_exactly_that_sky_and_the_fewest(spans):
    unit = 4 ** (MAX_ORDER - 3)
    ranges = Ranges.of([a * unit for a, _ in spans], [min(a + n, 768) * unit for a, n in spans])
    layout = Layout.of_ranges(ranges)
    assert list(layout.ranges) == list(ranges)
    leaves = set(layout)
    parents = {leaf.parent(leaf.order - 1) for leaf in leaves if leaf.order > 0}
    assert not any(set(p.children(p.order + 1)) <= leaves for p in parents), "four sisters are their mother"


def test_odd_ends_of_a_range_are_covered_to_the_last_cell():
    ranges = Ranges.of([1, SKY_STOP - 5], [7, SKY_STOP])
    layout = Layout.of_ranges(ranges)
    assert list(layout.ranges) == list(ranges)
    assert layout.orders.max() == MAX_ORDER


@given(layouts(), st.integers(0, 100))
def test_every_place_finds_its_leaf_or_none(layout, seed):
    place = spatial_index(*hard_sky(50, seed))
    expected = [next((i for i, leaf in enumerate(layout) if leaf.start <= p < leaf.stop), -1) for p in place.tolist()]
    assert layout.leaf_of(place).tolist() == expected


@given(layouts(), layouts())
def test_overlapping_leaves_are_those_that_share_sky(layout, others):
    for pixel in others:
        expected = [i for i, leaf in enumerate(layout) if leaf.start < pixel.stop and leaf.stop > pixel.start]
        assert list(layout.overlapping(pixel.start, pixel.stop)) == expected


def test_overlapping_pixels_are_no_layout():
    with pytest.raises(CatalogError, match=r"Pixel\(1, 2\) and Pixel\(3, 40\) overlap|Pixel\(1, 2\)"):
        Layout.of([Pixel(3, 40), Pixel(1, 2)])
    with pytest.raises(CatalogError, match="overlap"):
        Layout.of([Pixel(3, 40), Pixel(3, 40)])


def test_the_whole_sky_is_all_pixels_of_an_order():
    sky = Layout.whole_sky(2)
    assert len(sky) == 192
    assert len(sky.complement()) == 0
    assert list(Layout.of_arrays([], []).complement()) == list(Layout.whole_sky())
    place = spatial_index(*hard_sky(500, seed=3))
    assert np.array_equal(sky.leaf_of(place), cell_of(place, 2))


@given(layouts())
def test_a_layout_travels_without_what_can_be_computed_again(layout):
    weight = len(pickle.dumps(layout))
    found = layout.starts, layout.stops, layout.ranges
    again = pickle.loads(pickle.dumps(layout))
    assert list(again) == list(layout)
    assert list(again.ranges) == list(found[2])
    assert len(pickle.dumps(layout)) == weight


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40)), max_size=12))
def test_pixels_of_touching_intervals_do_not_cross_from_one_to_the_next(spans):
    unit, edges = 4 ** (MAX_ORDER - 4), sorted({0, *(a for a, _ in spans), *(a + n for a, n in spans)})
    starts, stops = (np.array(part, dtype=np.int64) * unit for part in (edges[:-1], edges[1:]))
    layout = Layout.of_intervals(starts, stops)
    one_by_one = [p for a, b in zip(starts, stops, strict=True) for p in Layout.of_ranges(Ranges.of([a], [b]))]
    assert list(layout) == one_by_one
