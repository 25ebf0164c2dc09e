"""Which leaves follow from what lies where: within limits of rows and bytes, split as deep as it helps, no deeper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsdb_ts.sky import Layout, spatial_index
from lsdb_ts.sky.pixel import MAX_ORDER, cell_of
from lsdb_ts.testing import hard_sky
from partitioner.planning.census import Census, Curves, Limits, Tiling
from partitioner.planning.histogram import Histogram

ORDER = 6


def histogram(place, order=ORDER):
    cells, counts = np.unique(cell_of(place, order), return_counts=True)
    return Histogram(order, cells, counts)


class Sky:
    """Rows with sizes, of which a census can be taken at any order; notes which orders were asked for."""

    def __init__(self, place, size):
        self.place, self.size, self.orders = place, size, []

    def census(self, order, within=None):
        inside = slice(None) if within is None else within.leaf_of(self.place) >= 0
        cells, which = np.unique(cell_of(self.place[inside], order), return_inverse=True)
        rows, size = np.bincount(which), np.bincount(which, weights=self.size[inside])
        return Census(order, cells, rows, size)

    def closer(self, pixels, order):
        self.orders.append(order)
        return self.census(order, pixels)

    def tiled(self, limits):
        return Tiling.of(self.census(ORDER), limits, self.closer)

    def inside(self, leaf):
        return (self.place >= leaf.start) & (self.place < leaf.stop)


@st.composite
def skies(draw):
    """Draw rows in clusters of any size down to one position."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    centres = rng.integers(0, 12 << (2 * MAX_ORDER), draw(st.integers(1, 4)))
    widths = [4 ** draw(st.integers(0, MAX_ORDER - 1)) for _ in centres]
    places = [
        np.minimum(c + rng.integers(0, w, draw(st.integers(1, 60))), (12 << 58) - 1)
        for c, w in zip(centres, widths, strict=True)
    ]
    place = np.concatenate(places)
    return Sky(place, rng.uniform(1, 10, place.size))


@settings(max_examples=150)
@given(skies(), st.integers(1, 40), st.integers(20, 300) | st.none())
def test_leaves_hold_no_more_than_asked_unless_all_is_at_one_position(sky, max_rows, max_bytes):
    tiling = sky.tiled(Limits(max_rows, max_bytes))

    assert (tiling.layout.leaf_of(sky.place) >= 0).all()
    Layout.of(list(tiling.layout))
    for leaf, rows, size in zip(tiling.layout, tiling.rows, tiling.bytes, strict=True):
        inside = sky.inside(leaf)
        assert rows == inside.sum() > 0
        assert size == pytest.approx(sky.size[inside].sum())
        one_place = np.unique(sky.place[inside]).size == 1
        assert one_place or (rows <= max_rows and (max_bytes is None or size <= max_bytes * (1 + 1e-9)))


@settings(max_examples=100)
@given(skies(), st.integers(1, 40))
def test_leaves_do_not_depend_on_the_order_of_the_first_census(sky, max_rows):
    limits = Limits(max_rows, None)
    coarse = Tiling.of(sky.census(2), limits, sky.closer)

    assert list(coarse.layout) == list(sky.tiled(limits).layout)
    assert coarse.rows.tolist() == sky.tiled(limits).rows.tolist()


def test_what_is_not_crowded_is_looked_at_once():
    ra, dec = hard_sky(500, seed=1)
    place = spatial_index(ra, dec)
    sky = Sky(place, np.ones(place.size))

    sky.tiled(Limits(int(histogram(place).counts.max()), None))

    assert sky.orders == []


def test_rows_at_one_position_are_a_leaf_as_large_as_can_be_without_others():
    place = np.array([5 << 40] * 50 + [(5 << 40) + (1 << 30)])
    sky = Sky(place, np.ones(place.size))

    tiling = sky.tiled(Limits(10, None))

    assert sorted(tiling.rows.tolist()) == [1, 50]
    crowd = tiling.layout[int(np.argmax(tiling.rows))]
    assert crowd.parent(crowd.order - 1).start <= place[-1] < crowd.parent(crowd.order - 1).stop
    alone = Sky(place[:50], np.ones(50)).tiled(Limits(10, None))
    assert [p.order for p in alone.layout] == [0]


def test_light_curves_weigh_where_they_are():
    found = Histogram(3, np.array([1, 4, 7]), np.array([10, 10, 20]))
    epochs = Histogram(3, np.array([1, 3, 7]), np.array([500, 9, 40]))

    census = Census.of(found, 2.0, [Curves(3.0, 5.0, epochs)])

    assert census.bytes.tolist() == [20 + 2500, 20, 40 + 200]


def test_light_curves_without_positions_are_spread_evenly():
    found = Histogram(3, np.array([1, 4]), np.array([10, 30]))

    assert Census.of(found, 2.0, [Curves(3.0, 5.0)]).bytes.tolist() == [170, 510]
    nothing = Histogram(3, np.empty(0, np.int64), np.empty(0, np.int64))
    assert Census.of(found, 2.0, [Curves(3.0, 5.0, nothing)]).bytes.tolist() == [20, 60]


def test_rows_that_follow_others_are_found_with_them():
    found = Histogram(3, np.array([1, 4]), np.array([10, 30]))

    census = Census.following(found, Curves(0.25, 8.0))

    assert (census.cells.tolist(), census.rows.tolist()) == ([1, 4], [3, 8])
