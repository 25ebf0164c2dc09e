"""Borders hold everything within the radius and nothing of the pixel itself; members are their transpose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.sky import Layout, Pixel, border, dilated, halo, halo_members, spatial_index
from lsdb_ts.sky.pixel import MAX_ORDER, cell_of, neighbours
from lsdb_ts.testing.skies import hard_sky
from tests.oracles import near_pixel, points_around
from tests.sky.test_layout import layouts

PLACES = {
    "north pole": (0.0, 90.0),
    "beside the south pole": (271.0, -89.999),
    "ra 0": (0.0, 12.3),
    "just below ra 360": (359.99999, -33.0),
    "three base pixels meet": (90.0, float(np.degrees(np.arcsin(2 / 3)))),
    "three base pixels meet in the south": (180.0, -float(np.degrees(np.arcsin(2 / 3)))),
    "four base pixels meet": (45.0, 0.0),
    "an edge of base pixels": (60.0, float(np.degrees(np.arcsin(2 / 9)))),
    "nothing special": (123.4, 56.7),
}


def pixel_at(where: str, order: int) -> Pixel:
    ra, dec = PLACES[where]
    return Pixel(order, int(cell_of(spatial_index([ra], [dec]), order)[0]))


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("order", [0, 1, 3, 8, 18, 29])
def test_a_border_holds_every_point_within_the_radius(where, order):
    pixel = pixel_at(where, order)
    side = 3600 * 58.6 / (1 << order)
    for i, radius in enumerate([side * 1e-6, side * 1e-3, side * 0.1, side * 0.9, side * 7, 1.0, 60.0]):
        if radius > 90_000:
            continue
        place = spatial_index(*points_around(pixel, radius, 400, seed=i))
        around = border(pixel, radius)
        if radius > 1e-3:  # below that, points are not outside but on the edge, to the precision of doubles
            assert place.size > 0
        assert around.contains(place).all()
        assert not around.overlaps([pixel.start], [pixel.stop])[0], "the pixel itself is not its border"


def test_a_border_is_not_much_wider_than_asked():
    for where in PLACES:
        pixel = pixel_at(where, 6)
        around = border(pixel, 1.0)
        assert (around.stops - around.starts).sum() < 0.05 * (pixel.stop - pixel.start)


def test_no_radius_is_no_border():
    assert len(border(Pixel(5, 77), 0.0)) == 0


@given(st.sampled_from(sorted(PLACES)), st.integers(0, 9), st.integers(0, 9), st.floats(0.01, 3600), st.integers(0, 99))
def test_members_are_all_rows_within_the_radius_of_another_pixel(where, order, other_order, radius, seed):
    """Rows are drawn around each target; those that fall into the home pixel must be among the target's members."""
    home = pixel_at(where, order)
    around = Layout.of_ranges(border(home, radius))
    cells = np.unique(cell_of(around.starts, other_order))[:6]
    targets = Layout.of(Pixel(other_order, int(c)) for c in cells)
    rows = [spatial_index(*points_around(t, radius, 200, seed)) for t in targets]
    place = np.sort(np.concatenate(rows))
    place = place[(place >= home.start) & (place < home.stop)]
    found_rows, found_targets = halo_members(place, home, targets, radius)
    found = set(zip(found_rows.tolist(), found_targets.tolist(), strict=True))
    assert len(found) == found_rows.size, "no repeats"
    assert np.array_equal(np.lexsort((found_rows, found_targets)), np.arange(found_rows.size))
    for t, (target, near) in enumerate(zip(targets, rows, strict=True)):
        if target.start < home.stop and target.stop > home.start:
            assert t not in found_targets, "what overlaps home has no halo in it"
            continue
        expected = np.searchsorted(place, near[(near >= home.start) & (near < home.stop)])
        assert {(int(r), t) for r in expected} <= found


def test_members_of_mixed_targets_are_found_row_by_row():
    ra, dec = hard_sky(3_000, seed=5)
    place = np.sort(spatial_index(ra, dec))
    ra, dec = (x[np.argsort(spatial_index(ra, dec), kind="stable")] for x in (ra, dec))
    targets = Layout.of([*Pixel(0, 4).children(2), *Pixel(0, 0).children(1), Pixel(0, 5), *Pixel(0, 7).children(3)])
    radius = 400.0
    near = [near_pixel(target, ra, dec, radius) for target in targets]
    n_expected = 0
    for home in targets:
        inside = (place >= home.start) & (place < home.stop)
        rows, places = halo_members(place[inside], home, targets, radius)
        for t in range(len(targets)):
            expected = np.flatnonzero(near[t][inside])
            n_expected += expected.size
            assert set(expected.tolist()) <= set(rows[places == t].tolist())
    assert n_expected > 100


def test_no_targets_and_no_rows_have_no_members():
    home = Pixel(4, 9)
    for index, targets in ((np.array([home.start]), Layout.of([])), (np.empty(0, np.int64), Layout.whole_sky(1))):
        rows, places = halo_members(index, home, targets, 10.0)
        assert rows.size == places.size == 0


@pytest.mark.parametrize("radius", [0.1, 30.0, 5_000.0, 80_000.0])
def test_a_dilated_layout_holds_itself_and_every_border(radius):
    layout = Layout.of([pixel_at("north pole", 3), pixel_at("four base pixels meet", 6), pixel_at("ra 0", 1)])
    wide = dilated(layout, radius)
    for i, pixel in enumerate(layout):
        assert wide.contains(np.array([pixel.start, pixel.stop - 1])).all()
        assert wide.contains(spatial_index(*points_around(pixel, radius, 400, seed=i))).all()
    assert list(dilated(layout, 0.0)) == list(layout.ranges)


@pytest.mark.parametrize("order", [2, 3])
def test_a_border_is_the_ring_of_cells_that_touch_the_pixel(order):
    for number in range(12 << (2 * order)):
        pixel = Pixel(order, number)
        cells = np.array([c.number for c in pixel.children(order + 4)])
        ring = np.setdiff1d(neighbours(cells, order + 4), cells)
        width = 2 * (MAX_ORDER - order - 4)
        expected = [(c << width, (c + 1) << width) for c in ring.tolist()]
        found = border(pixel, 3600 * 58.6 / (1 << (order + 5)))
        assert found.covers(*np.array(expected).T).all()
        assert (found.stops - found.starts).sum() == ring.size << width


@given(layouts(), layouts(), st.sampled_from([1.0, 3600.0, 36_000.0, 120_000.0]), st.booleans())
def test_no_pixel_within_reach_is_left_out(layout, other, radius, many):
    """The border of a pixel is at least the radius wide and less than twice that: it meets the sky of what is near."""
    found = halo.within_reach(layout, other.ranges, radius)
    for pixel, near in zip(layout, found.tolist(), strict=True):
        around = border(pixel, radius / 2.1)
        touched = other.ranges.overlaps([pixel.start, *around.starts], [pixel.stop, *around.stops]).any()
        assert near or not touched


@given(layouts(), layouts(), st.sampled_from([1.0, 3600.0, 120_000.0]))
def test_looking_at_a_map_of_the_sky_is_searching_it(layout, other, radius):
    cells = np.arange(12 << 6)
    width = np.int64(2 * (MAX_ORDER - 3))
    around = neighbours(cells, 3)
    expected = other.ranges.overlaps(around << width, (around + 1) << width).any(axis=1)
    assert np.array_equal(halo._cells_touch(cells, 3, other.ranges), expected), "many cells, by the map"
    assert np.array_equal(halo._cells_touch(cells[:5], 3, other.ranges), expected[:5]), "few cells, by search"


@given(layouts(max_order=7), st.sampled_from([1.0, 3600.0, 120_000.0]))
def test_leaves_in_the_midst_of_others_widen_nothing(layout, radius):
    with pytest.MonkeyPatch.context() as patch:
        expected = list(dilated(layout, radius))
        patch.setattr(halo, "_MANY", 0)
        patch.setattr(halo, "_COARSE", 3)
        assert list(dilated(layout, radius)) == expected
