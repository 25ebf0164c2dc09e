"""Two layouts brought together cover what they promise, in pixels as fine as the finer side."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.sky import Layout, Pixel, Ranges, align, border
from lsdb_ts.sky.align import align_outer
from tests.sky.test_layout import layouts

RADIUS = 30.0


def leaf_holding(layout: Layout, pixel: Pixel) -> Pixel | None:
    return next((leaf for leaf in layout if leaf.start <= pixel.start and pixel.stop <= leaf.stop), None)


def cut_by(layout: Layout, pixel: Pixel) -> bool:
    """Tell whether a leaf is strictly inside the pixel."""
    return any(pixel.start <= leaf.start and leaf.stop <= pixel.stop and leaf != pixel for leaf in layout)


@given(layouts(), layouts())
def test_all_left_sky_is_covered_when_the_unmatched_are_kept(left, right):
    pixels = align(left, right, RADIUS, keep_unmatched=True)
    assert list(pixels.ranges) == list(left.ranges)
    for pixel in pixels:
        assert leaf_holding(left, pixel) is not None, "each pixel lies inside one left leaf"
        assert not cut_by(right, pixel), "no pixel is coarser than the right leaf there"


@given(layouts(), layouts())
def test_left_sky_within_reach_of_the_right_is_covered(left, right):
    everywhere, pixels = align(left, right, RADIUS, keep_unmatched=True), align(left, right, RADIUS, False)
    assert set(pixels) <= set(everywhere)
    for pixel in set(everywhere) - set(pixels):
        assert not right.ranges.overlaps([pixel.start], [pixel.stop])[0]
        around = border(pixel, RADIUS / 2)  # a border is wider than it says, by less than twice
        touched = right.ranges.overlaps(around.starts, around.stops).any()
        assert not touched, f"{pixel} is dropped and has right sky next door"


@given(layouts(), layouts())
def test_an_outer_alignment_covers_both_skies_in_the_finer_of_the_two(left, right):
    pixels = align_outer(left, right)
    both = Ranges.of(np.concatenate([left.starts, right.starts]), np.concatenate([left.stops, right.stops]))
    assert list(pixels.ranges) == list(both)
    for pixel in pixels:
        assert not cut_by(left, pixel)
        assert not cut_by(right, pixel)
        homes = [leaf_holding(layout, pixel) for layout in (left, right)]
        assert any(home is not None for home in homes)


@given(st.booleans())
def test_nothing_aligned_with_nothing_is_nothing(keep):
    nothing, sky = Layout.of([]), Layout.whole_sky(1)
    assert len(align(nothing, sky, RADIUS, keep)) == 0
    assert list(align(sky, nothing, RADIUS, keep)) == (list(sky) if keep else [])
    assert list(align_outer(nothing, sky)) == list(align_outer(sky, nothing)) == list(sky)


def slowly_aligned(left: Layout, right: Layout) -> list[Pixel]:
    """Cut each left leaf, again and again, wherever a right leaf lies strictly inside the piece."""
    todo, found = list(left), []
    while todo:
        pixel = todo.pop()
        if cut_by(right, pixel):
            todo.extend(pixel.children(pixel.order + 1))
        else:
            found.append(pixel)
    return sorted(found, key=lambda pixel: pixel.start)


@given(layouts(), layouts())
def test_alignment_is_the_fewest_pixels_that_no_right_leaf_cuts(left, right):
    assert list(align(left, right, RADIUS, keep_unmatched=True)) == slowly_aligned(left, right)


@given(layouts(), layouts())
def test_an_outer_alignment_is_that_of_the_left_and_that_of_the_right_where_the_left_has_nothing(left, right):
    theirs = [p for p in slowly_aligned(right, left) if not left.ranges.overlaps([p.start], [p.stop])[0]]
    expected = sorted([*slowly_aligned(left, right), *theirs], key=lambda pixel: pixel.start)
    assert list(align_outer(left, right)) == expected


@given(layouts(), layouts(), st.booleans())
def test_pixels_without_sky_that_matters_are_left_out(left, right, keep):
    sky = left.take(slice(0, None, 2)).ranges
    every, some = align(left, right, RADIUS, keep), align(left, right, RADIUS, keep, sky)
    assert list(some) == [p for p in every if sky.overlaps([p.start], [p.stop])[0]]
