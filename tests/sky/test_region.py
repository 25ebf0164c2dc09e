"""Cones, exact at poles and RA 0."""

import numpy as np
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.sky import Cone, spatial_index
from lsdb_ts.testing.skies import hard_sky, perturbed
from tests.oracles import pairs_within

CENTRES = [(0.0, 90.0), (200.0, -90.0), (0.0, 0.0), (359.9999, 20.0), (-10.0, 41.81), (45.0, 0.0), (123.0, -56.0)]


@pytest.mark.parametrize("centre", CENTRES)
@pytest.mark.parametrize("radius", [0.05, 5.0, 3600.0, 30 * 3600.0, 170 * 3600.0, 180 * 3600.0])
def test_a_cone_holds_what_is_near_and_its_ranges_hold_the_cone(centre, radius):
    ra, dec = hard_sky(3_000, seed=1)
    near = perturbed(np.full(500, centre[0]), np.full(500, centre[1]), min(radius, 3600.0), seed=2)
    ra, dec = np.concatenate([ra, near[0]]), np.concatenate([dec, near[1]])
    cone = Cone(*centre, radius_arcsec=radius)
    expected = np.zeros(ra.size, dtype=bool)
    expected[pairs_within(ra, dec, [centre[0]], [centre[1]], radius)[0]] = True
    inside = cone.contains(ra, dec)
    assert np.array_equal(inside, expected)
    assert inside.sum() > 100
    assert cone.ranges().contains(spatial_index(ra, dec)[inside]).all()


def test_the_ranges_of_a_cone_are_not_much_more_than_the_cone():
    for ra, dec in CENTRES:
        sky = Cone(ra, dec, 60.0).ranges()
        area = (sky.stops - sky.starts).sum() / (12 * 4**29) * 4 * np.pi * np.degrees(1) ** 2 * 3600**2
        assert area < 4 * np.pi * 60**2


def test_the_edge_of_a_cone_is_inside():
    assert Cone(10.0, 0.0, 3600.0).contains([10.0, 11.0], [1.0, 0.0]).all()


@pytest.mark.parametrize(
    ("cone", "message"),
    [
        ((np.nan, 0.0, 1.0), "ra=nan"),
        ((0.0, 90.5, 1.0), "dec=90.5"),
        ((0.0, 0.0, 0.0), "radius 0.0"),
        ((0.0, 0.0, np.nan), "radius nan"),
        ((0.0, 0.0, 648001.0), "648000"),
    ],
)
def test_a_cone_that_is_none_says_why(cone, message):
    with pytest.raises(PlanError, match=message):
        Cone(*cone)
