"""Boxes, polygons, many cones and sets of pixels: exact at poles, RA 0 and pixel corners, and none loses sky."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mocpy import MOC

from lsdb_ts.errors import PlanError
from lsdb_ts.sky import Box, Cone, Cones, Layout, Moc, Pixel, Polygon, propagate, spatial_index
from lsdb_ts.testing.skies import hard_sky, perturbed
from tests.oracles import directions
from tests.sky.test_layout import layouts

CORNER = float(np.degrees(np.arcsin(2 / 3)))
PLACES = st.sampled_from(
    [
        (0.0, 90.0),
        (77.0, -90.0),
        (0.0, 0.0),
        (359.9999, 20.0),
        (90.0, CORNER),
        (45.0, 0.0),
        (180.0, -CORNER),
        (123, -56),
    ]
)
SEEDS = st.integers(0, 2**20)


def around(ra, dec, distances_deg, angles):
    """Return the points that lie some distances off in some directions."""
    step = np.tan(np.radians(distances_deg)) * np.degrees(1) * 3.6e6
    one = np.ones(np.shape(angles))
    return propagate(ra * one, dec * one, step * np.sin(angles), step * np.cos(angles), 1.0)


def area_of(sky) -> float:
    """Return the part of the whole sky."""
    return float((sky.stops - sky.starts).sum() / (12 * 4**29))


def sample(seed, ra, dec, scale_deg):
    """Draw from the hard sky, and crowd as many around some points."""
    some = hard_sky(400, seed)
    near = perturbed(np.resize(ra, 400), np.resize(dec, 400), scale_deg * 3600, seed)
    return np.concatenate([some[0], near[0]]), np.concatenate([some[1], near[1]])


# Boxes


@st.composite
def boxes(draw):
    ra, dec = draw(PLACES)
    width = draw(st.sampled_from([1e-4, 0.3, 20.0, 170.0, 290.0, 360.0]))
    height = draw(st.sampled_from([1e-4, 0.5, 30.0, 100.0]))
    low = max(dec - height * draw(st.floats(0.1, 1.0)), -90.0)
    first = ra - width * draw(st.floats(0, 1))
    return Box((first, first + width), (low, min(low + height, 90.0)))


@given(boxes(), SEEDS)
def test_a_box_holds_what_is_between_its_limits_and_its_ranges_hold_the_box(box, seed):
    (first, last), (low, high) = box.ra_deg, box.dec_deg
    t = np.linspace(0, 1, 60)
    edge_ra = np.concatenate([first + t * (last - first)] * 2 + [np.full(60, first), np.full(60, last)])
    edge_dec = np.concatenate([np.full(60, low), np.full(60, high), *[low + t * (high - low)] * 2])
    ra, dec = sample(seed, edge_ra, edge_dec, min(last - first, high - low) / 10)
    between = ((ra - first) % 360 <= last - first) | (dec == 90) | (dec == -90)
    inside = box.contains(ra, dec)
    assert np.array_equal(inside, between & (dec >= low) & (dec <= high))
    sky = box.ranges()
    assert sky.contains(spatial_index(ra[inside], dec[inside])).all()
    assert sky.contains(spatial_index(edge_ra, np.clip(edge_dec, low, high))).all()
    assert len(sky) < 2000


def test_the_limits_of_a_box_are_inside_and_ra_runs_eastward():
    box = Box((350.1, 10.3), (-0.1, 0.3))
    assert box.contains([350.1, 10.3, -9.9 + 360, 370.3 - 360, 0.0, 360.0], [-0.1, 0.3, 0, 0, 0, 0]).tolist() == [
        True,
        True,
        350.1 <= -9.9 + 360,
        370.3 - 360 <= 10.3,
        True,
        True,
    ]
    assert not box.contains([180.0, np.nextafter(10.3, 11), 0.0], [0.0, 0.0, np.nextafter(0.3, 1)]).any()
    assert Box((10, 5), (0, 1)).contains([9.0, 7.0, 11.0, 4.0], [0.5] * 4).tolist() == [False, False, True, True]


def test_the_ranges_of_shapes_are_not_much_more_than_the_shapes():
    for ra, dec in ((0.0, 0.0), (359.0, 41.0), (100.0, -70.0)):
        box = Box((ra, ra + 1), (dec, dec + 1))
        exact = (np.sin(np.radians(dec + 1)) - np.sin(np.radians(dec))) / 720
        assert area_of(box.ranges()) < 2.5 * exact
        corners = [(ra, dec), (ra + 1, dec), (ra + 1, dec + 1), (ra, dec + 1)]
        assert area_of(Polygon(corners).ranges()) < 2.5 * exact


def test_a_pole_in_a_box_has_any_ra():
    assert Box((10, 20), (80, 90)).contains([10.0, 200.0], [90.0, 90.0]).all()
    assert not Box((10, 20), (80, 89)).contains([10.0], [90.0]).any()


@pytest.mark.parametrize(
    ("ra", "dec", "message"),
    [((0, 1), (2, 1), "dec"), ((0, np.nan), (0, 1), "finite"), ((0, 1), (-91, 0), "-90"), ((5, 5), (0, 1), "no width")],
)
def test_a_box_that_is_none_says_why(ra, dec, message):
    with pytest.raises(PlanError, match=message):
        Box(ra, dec)


# Polygons


@st.composite
def polygons(draw):
    """Draw stars: simple, mostly concave, about a hard place, arcseconds to 60 degrees wide, in either sense."""
    ra, dec = draw(PLACES)
    rng = np.random.default_rng(draw(SEEDS))
    n = int(rng.integers(3, 12))
    radius = draw(st.sampled_from([0.5 / 3600, 0.01, 1.0, 20.0, 60.0]))
    angles = (np.arange(n) + rng.uniform(0, 0.4 if n > 3 else 0.1, n)) * 2 * np.pi / n
    lon, lat = around(ra, dec, radius * rng.uniform(0.2, 1, n), angles)
    step = draw(st.sampled_from([1, -1]))
    return Polygon(list(zip(lon.tolist()[::step], lat.tolist()[::step], strict=True)))


def turns_around(polygon, ra, dec):
    """Return how often the edge winds around each position, from the directions in which its vertices are seen."""
    corners, points = directions(*np.array(polygon.vertices).T), directions(ra, dec)
    corners, points = corners[None], points[:, None]
    seen = corners - (corners * points).sum(axis=2, keepdims=True) * points
    after = np.roll(seen, -1, axis=1)
    angle = np.arctan2((np.cross(seen, after) * points).sum(axis=2), (seen * after).sum(axis=2))
    ahead = (points[:, 0] @ corners[0].sum(axis=0)) > 0
    return np.where(ahead, np.abs(angle.sum(axis=1)) / (2 * np.pi), 0)


def edge_points(polygon, steps):
    a = directions(*np.array(polygon.vertices).T).astype(float)
    b, t = np.roll(a, -1, axis=0), np.linspace(0, 1, steps)[:, None, None]
    x, y, z = (a * (1 - t) + b * t).reshape(-1, 3).T
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


@given(polygons(), SEEDS)
def test_a_polygon_holds_what_its_edge_winds_around_and_its_ranges_hold_the_polygon(polygon, seed):
    edge = edge_points(polygon, 50)
    scale = np.degrees(np.ptp(directions(*edge).astype(float), axis=0).max())
    ra, dec = sample(seed, *edge, scale / 5)
    turns = turns_around(polygon, ra, dec)
    inside = polygon.contains(ra, dec)
    # A position on the edge itself, to rounding, may be told either way.
    sure = np.abs(turns - np.round(turns)) < 1e-6
    assert sure.mean() > 0.8
    assert np.array_equal(inside[sure], np.round(turns[sure]) == 1)
    sky = polygon.ranges()
    assert sky.contains(spatial_index(ra[inside], dec[inside])).all()
    assert sky.contains(spatial_index(*edge)).all()
    assert len(sky) < 2000


@given(polygons())
def test_the_edge_of_a_polygon_is_inside(polygon):
    assert polygon.contains(*np.array(polygon.vertices).T).all()
    assert polygon.contains(*edge_points(polygon, 5)).mean() > 0.9, "but for the rounding of points between vertices"


@given(polygons(), SEEDS)
def test_a_polygon_is_the_same_in_either_sense_and_from_any_vertex(polygon, seed):
    corners = list(polygon.vertices)
    ra, dec = sample(seed, *edge_points(polygon, 9), 1e-3)
    inside = polygon.contains(ra, dec)
    assert np.array_equal(Polygon(corners[::-1]).contains(ra, dec), inside)
    assert np.array_equal(Polygon(corners[1:] + corners[:2]).contains(ra, dec), inside), "a closing vertex is dropped"


def test_a_polygon_knows_an_octant_and_a_cap():
    octant = Polygon([(0, 0), (90, 0), (0, 90)])
    assert octant.contains([45, 0, 90, 200, 91, 300], [30, 0, 0, 90, 10, -30]).tolist() == [True] * 4 + [False] * 2
    cap = Polygon([(a, 60.0) for a in range(0, 360, 60)])
    assert cap.contains([10, 30, 123], [90, 61, -90]).tolist() == [True, False, False], (
        "a pole, in reach of an arc, below"
    )
    assert abs(area_of(octant.ranges()) - 1 / 8) < 0.02


@pytest.mark.parametrize(
    ("vertices", "message"),
    [
        ([(0, 0), (1, 1)], "at least 3"),
        ([(0, 0), (1, 1), (0, 0)], "at least 3"),
        ([(0, 0), (1, 1), (np.nan, 0)], "vertex 2"),
        ([(0, 0), (1, 0), (1, 0), (0, 1)], "twice in a row"),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], "cross"),
        ([(0, 0), (1, 0), (0.5, 0)], "folds back"),
        ([(0, 0), (120, 0), (240, 0)], "one half of the sky"),
        ([(0, 0), (180, 0), (90, 45)], "one half of the sky"),
        ([1, 2, 3], "pairs"),
    ],
)
def test_a_polygon_that_is_none_says_why(vertices, message):
    with pytest.raises(PlanError, match=message):
        Polygon(vertices)


# Many cones


@given(SEEDS, st.integers(1, 60))
def test_many_cones_hold_what_one_of_them_holds(seed, n):
    rng = np.random.default_rng(seed)
    lon, lat = hard_sky(n, seed)
    radius = 10 ** rng.uniform(-1, 5.8 if seed % 3 == 0 else 4, n).clip(max=np.log10(648000))
    cones = Cones(lon, lat, radius)
    ra, dec = sample(seed, lon, lat, float(np.median(radius)) / 3600)
    single = [Cone(*values) for values in zip(lon.tolist(), lat.tolist(), radius.tolist(), strict=True)]
    expected = np.logical_or.reduce([cone.contains(ra, dec) for cone in single])
    inside = cones.contains(ra, dec)
    assert np.array_equal(inside, expected)
    assert cones.ranges().contains(spatial_index(ra[inside], dec[inside])).all()


@settings(max_examples=25)
@given(SEEDS, st.sampled_from([0.01, 1.0, 500.0, 36_000.0, 200_000.0]))
def test_the_ranges_of_cones_hold_their_edges(seed, radius):
    lon, lat = hard_sky(20, seed)
    sky = Cones(lon, lat, radius).ranges()
    for ra, dec in zip(lon.tolist(), lat.tolist(), strict=True):
        edge = around(ra, dec, np.full(90, radius / 3600 * (1 - 1e-9)), np.linspace(0, 2 * np.pi, 90))
        assert sky.contains(spatial_index(*edge)).all()
        assert Cone(ra, dec, radius).ranges().contains(spatial_index(*edge)).all()


def test_the_ranges_of_many_cones_are_not_much_more_than_the_cones():
    ra, dec = hard_sky(2000, 5)
    apart = np.unique(np.stack([ra, dec]).round(1), axis=1)
    n = apart.shape[1]
    assert area_of(Cones(*apart, 10.0).ranges()) < 9 * n * (10 / 3600 / np.degrees(1)) ** 2 / 4


def test_candidates_of_crowded_cones_come_a_few_at_a_time(monkeypatch):
    ra, dec = perturbed(np.full(300, 10.0), np.full(300, 90.0), 2.0, 1)
    expected = Cones(ra, dec, 1.0).contains(ra + 0.1, dec)
    single = [Cone(*centre, 1.0) for centre in zip(ra.tolist(), dec.tolist(), strict=True)]
    assert np.array_equal(expected, np.logical_or.reduce([cone.contains(ra + 0.1, dec) for cone in single]))
    monkeypatch.setattr("lsdb_ts.sky.cones._PAIRS_AT_ONCE", 100)
    assert np.array_equal(Cones(ra, dec, 1.0).contains(ra + 0.1, dec), expected)


@pytest.mark.parametrize(
    ("cones", "message"),
    [
        (([0, 1], [0, 91], 1), "cone 1 of 2"),
        (([0], [0], [0.0]), "above 0"),
        (([0, 1], [0, 1, 2], 1), "as many of each"),
    ],
)
def test_cones_that_are_none_say_why(cones, message):
    with pytest.raises(PlanError, match=message):
        Cones(*cones)


# Sets of pixels


@given(layouts(), SEEDS)
def test_a_moc_holds_what_mocpy_says(layout, seed):
    theirs = MOC.from_depth29_ranges(29, np.stack([layout.starts, layout.stops], axis=1).astype(np.uint64))
    ra, dec = hard_sky(300, seed)
    expected = Moc.of_pixels(layout).contains(ra, dec)
    assert np.array_equal(Moc.of(theirs).contains(ra, dec), expected)
    place = spatial_index(ra, dec)
    assert np.array_equal(layout.leaf_of(place) >= 0, expected)
    assert repr(Moc.of(theirs)) == repr(Moc.of_pixels(list(layout)))


@pytest.mark.parametrize(("suffix", "form"), [(".fits", "fits"), (".json", "json"), (".txt", "ascii")])
def test_a_moc_is_read_from_its_file_or_its_text(tmp_path, suffix, form):
    path = tmp_path / f"map{suffix}"
    MOC.from_string("3/17 4/100-102").save(path, format=form)
    for form_of_it in (path, str(path), "3/17 4/100-102"):
        assert list(Moc.of(form_of_it).sky) == list(
            Layout.of([Pixel(3, 17), *(Pixel(4, n) for n in (100, 101, 102))]).ranges
        )


@pytest.mark.parametrize("bad", [17, "nowhere.fits", "3/banana", None])
def test_what_is_no_moc_says_so(bad):
    with pytest.raises(PlanError, match="MOC"):
        Moc.of(bad)


def test_what_is_no_pixel_says_so():
    with pytest.raises(PlanError, match="order, number"):
        Moc.of_pixels([(3, 12 * 4**3)])
    assert list(Moc.of_pixels([(0, 1), (1, 4)]).sky) == [(4**29, 2 * 4**29)]


# Identity


SHAPES = """[
    Cone(1.0, 2.0, 3.0),
    Box((350, 10), (-5, 5)),
    Polygon([(0, 0), (10, 0), (0, 10)]),
    Polygon([(a, 80 + 0.5 * (a % 20 == 0)) for a in range(0, 360, 10)]),
    Cones(range(200), [0.1 * a for a in range(200)], range(1, 201)),
    Moc.of_pixels([Pixel(3, 17)]),
    Moc.of_pixels([Pixel(9, n) for n in range(0, 900, 3)]),
]"""


def test_the_repr_of_a_shape_is_its_identity_in_every_process():
    shapes = eval(SHAPES)
    code = f"from lsdb_ts.sky import *\nfor shape in {SHAPES}:\n    print(repr(shape))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [repr(shape) for shape in shapes]
    assert len({hash(shape) for shape in shapes}) == len(shapes)


def test_other_content_is_another_identity():
    ra, dec = hard_sky(200, 3)
    assert repr(Cones(ra, dec, 1.0)) != repr(Cones(np.nextafter(ra, 400), dec, 1.0))
    assert repr(Moc.of_pixels([Pixel(9, n) for n in range(0, 900, 3)])) != repr(
        Moc.of_pixels([Pixel(9, n) for n in range(0, 903, 3)])
    )
