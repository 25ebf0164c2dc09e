"""Coordinates and angles as people give them: numbers, quantities, columns, coordinates in any frame."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, SkyCoord
from astropy.table import Table
from astropy.utils.masked import Masked

from lsdb_ts.errors import PlanError
from lsdb_ts.sky.angles import arcseconds, degrees, positions


def test_plain_numbers_are_in_the_named_unit():
    assert float(arcseconds(1.5)) == 1.5
    assert degrees([1, 2]).tolist() == [1.0, 2.0]
    assert degrees(np.float32(0.5)).dtype == np.float64


def test_quantities_are_converted():
    assert float(arcseconds(1 * u.arcmin)) == pytest.approx(60.0)
    assert np.allclose(degrees([1, 2] * u.hourangle), [15.0, 30.0], rtol=1e-15)
    assert degrees(Table({"ra": [3600.0] * u.arcsec})["ra"]).tolist() == [1.0]


@pytest.mark.parametrize("masked", [np.ma.array([1.0, 2.0], mask=[False, True]), Masked([1, 2] * u.deg, [False, True])])
def test_masked_angles_are_nan(masked):
    assert np.array_equal(degrees(masked), [1.0, np.nan], equal_nan=True)


@pytest.mark.parametrize("bad", [1 * u.m, "far", None, object()])
def test_what_is_no_angle_says_so(bad):
    with pytest.raises(PlanError, match=r"radius=.* is not an angle"):
        arcseconds(bad)


def test_coordinates_of_any_frame_become_icrs():
    centre = SkyCoord(l=[0.0, 90.0] * u.deg, b=[0.0, 0.0] * u.deg, frame="galactic")
    ra, dec = positions(centre)
    assert np.allclose(ra, centre.icrs.ra.deg, rtol=0, atol=1e-12)
    assert np.allclose(dec, centre.icrs.dec.deg, rtol=0, atol=1e-12)
    assert ra[0] == pytest.approx(266.405, abs=1e-3)
    assert [part.shape for part in positions(centre[0])] == [(), ()]


def test_one_declination_serves_many_right_ascensions():
    ra, dec = positions([1, 2, 3] * u.hourangle, -5)
    assert np.allclose(ra, [15.0, 30.0, 45.0], rtol=1e-15)
    assert dec.tolist() == [-5.0] * 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((10.0,), "no dec"),
        ((SkyCoord(1 * u.deg, 2 * u.deg), 3.0), "beside it"),
        (([1.0, 2.0], [1.0, 2.0, 3.0]), "as many of each"),
        ((AltAz(az=1 * u.deg, alt=2 * u.deg),), "to ICRS"),
    ],
)
def test_positions_that_are_none_say_why(given, message):
    with pytest.raises(PlanError, match=message):
        positions(*given)
