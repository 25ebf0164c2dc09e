"""Proper motions, held against astropy."""

import astropy.units as u
import numpy as np
from astropy.coordinates import Distance, SkyCoord
from astropy.time import Time

from lsdb_ts.sky import propagate, separation_arcsec
from lsdb_ts.testing.skies import hard_sky


def test_positions_move_as_in_astropy_all_over_the_sky():
    rng = np.random.default_rng(1)
    ra, dec = hard_sky(500, seed=1)
    at_pole = np.abs(dec) > 89.99999  # there astropy's pm_ra_cosdec / cos(dec) has no meaning
    ra, dec = ra[~at_pole], dec[~at_pole]
    east, north, years = rng.normal(0, 3000, ra.size), rng.normal(0, 3000, ra.size), rng.uniform(0, 30, ra.size)
    start = Time(1990.0, format="jyear", scale="tdb")
    stars = SkyCoord(
        ra * u.deg,
        dec * u.deg,
        distance=Distance(np.full(ra.size, 10.0) * u.pc),
        pm_ra_cosdec=east * u.mas / u.yr,
        pm_dec=north * u.mas / u.yr,
        radial_velocity=np.zeros(ra.size) * u.km / u.s,
        obstime=start,
    )
    moved = stars.apply_space_motion(new_obstime=start + years * u.yr)
    ours = propagate(ra, dec, east, north, years)
    assert separation_arcsec(*ours, moved.ra.deg, moved.dec.deg).max() < 1e-3 * 0.3


def test_a_star_crosses_the_pole_and_ra_zero():
    ra, dec = propagate([30.0, 359.99], [89.99, 0.0], [0.0, 72.0], [72.0, 0.0], 1000.0)
    assert np.allclose(ra, [210.0, 0.01])
    assert np.allclose(dec, [89.99, 0.0], atol=1e-9)


def test_an_unknown_motion_is_none():
    ra, dec = propagate([10.0], [20.0], [np.nan], [5.0], 0.0)
    assert np.allclose([ra[0], dec[0]], [10.0, 20.0], atol=1e-12, rtol=0)
