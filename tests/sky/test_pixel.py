"""Pixels and the spatial index, held against cdshealpix."""

import itertools

import astropy.units as u
import cdshealpix.nested as cdshealpix
import numpy as np
import pytest
from astropy.coordinates import Latitude, Longitude
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.errors import PlanError
from lsdb_ts.sky import Pixel, bad_positions, spatial_index
from lsdb_ts.sky.pixel import (
    MAX_ORDER,
    SKY_STOP,
    cell_of,
    centre,
    finest_order_reaching,
    neighbour_reach_arcsec,
    neighbours,
)
from lsdb_ts.testing.skies import hard_sky
from tests.oracles import ARCSEC, directions


def cdshealpix_index(ra, dec, order=MAX_ORDER):
    return cdshealpix.lonlat_to_healpix(Longitude(ra, u.deg), Latitude(dec, u.deg), order).astype(np.int64)


def test_the_spatial_index_is_that_of_cdshealpix_on_a_hard_sky():
    ra, dec = hard_sky(20_000, seed=1)
    ours, theirs = spatial_index(ra, dec), cdshealpix_index(ra, dec)
    # Positions within rounding of an edge may go either way, but not farther than to the cell next door.
    differs = np.flatnonzero(ours != theirs)
    assert differs.size < 0.01 * ra.size
    assert all(theirs[i] in neighbours(ours[i], MAX_ORDER) for i in differs)


def test_the_index_takes_poles_and_any_turn_of_ra():
    ra = np.array([0.0, 360.0, -10.0, 350.0, 370.0, 10.0, -1e-18, 0.0, 123.0, 77.0])
    dec = np.array([10.0, 10.0, 5.0, 5.0, -5.0, -5.0, 20.0, 20.0, 90.0, -90.0])
    index = spatial_index(ra, dec)
    assert index.dtype == np.int64
    assert index[0] == index[1]
    assert index[2] == index[3]
    assert index[4] == index[5]
    assert index[6] == index[7]
    assert ((index >= 0) & (index < SKY_STOP)).all()
    assert cell_of(index[8:], 0).tolist() == [1, 8]
    assert spatial_index([], []).size == 0


def test_positions_off_the_sky_are_told():
    ra = [0.0, np.nan, 1.0, np.inf, 1.0, -500.0, 3.0]
    dec = [90.0, 0.0, np.nan, 0.0, 90.0001, -90.0, -91.0]
    assert bad_positions(ra, dec).tolist() == [False, True, True, True, True, False, True]


@given(st.integers(0, MAX_ORDER), st.data())
def test_a_pixel_is_the_interval_of_its_children(order, data):
    pixel = Pixel(order, data.draw(st.integers(0, (12 << (2 * order)) - 1)))
    finer = data.draw(st.integers(order, min(order + 3, MAX_ORDER)))
    children = list(pixel.children(finer))
    assert len(children) == 4 ** (finer - order)
    assert children[0].start == pixel.start
    assert children[-1].stop == pixel.stop
    assert all(a.stop == b.start for a, b in itertools.pairwise(children))
    assert {c.parent(order) for c in children} == {pixel}


@pytest.mark.parametrize(("order", "number"), [(-1, 0), (30, 0), (0, 12), (3, -1), (2, 192)])
def test_there_is_no_pixel_off_the_sky(order, number):
    with pytest.raises(ValueError, match=f"no HEALPix pixel {number} at order {order}"):
        Pixel(order, number)


@pytest.mark.parametrize("order", [0, 1, 2, 5, 8, 29])
def test_neighbours_are_those_of_cdshealpix_also_where_base_pixels_meet(order):
    n = 12 << (2 * order)
    side = np.int64(1) << (2 * order)
    corners = np.unique([np.arange(12) * side + k for k in (0, side // 3, 2 * (side // 3), side - 1)])
    cells = np.arange(n) if order < 4 else np.concatenate([corners, np.random.default_rng(order).integers(0, n, 500)])
    theirs = cdshealpix.neighbours(cells.astype(np.uint64), order)
    for cell, ours, expected in zip(cells.tolist(), neighbours(cells, order).tolist(), theirs.tolist(), strict=True):
        assert set(ours) == {cell, *(e for e in expected if e >= 0)}


@pytest.mark.parametrize("order", range(5))
def test_everything_within_reach_of_any_cell_lies_in_its_neighbours(order):
    """The promise that borders and matches rest on: from the edge of a cell to beyond its neighbours, for all cells."""
    cells = np.arange(12 << (2 * order))
    lon, lat = cdshealpix.vertices(cells.astype(np.uint64), order, step=4)
    edge = directions(lon.deg.ravel(), lat.deg.ravel()).astype(float).reshape(cells.size, -1, 3)
    around = neighbours(cells, order)
    beyond = neighbours(around.ravel(), order).reshape(cells.size, -1)
    for column in beyond.T:
        far = np.flatnonzero(~(column[:, None] == around).any(axis=1))
        cosine = np.einsum("nik,njk->nij", edge[far], edge[column[far]])
        if far.size:
            assert np.degrees(np.arccos(cosine.max())) * 3600 > neighbour_reach_arcsec(order)


@given(st.floats(1e-4, 9e4))
def test_the_finest_order_that_reaches_does_and_the_next_does_not(radius):
    order = finest_order_reaching(radius)
    assert neighbour_reach_arcsec(order) >= radius * (1 - 1e-12)
    assert order == MAX_ORDER or neighbour_reach_arcsec(order + 1) <= radius * (1 + 1e-12)


def test_a_radius_that_no_neighbours_reach_is_refused():
    with pytest.raises(PlanError, match="200000"):
        finest_order_reaching(200_000.0)


def test_the_centre_of_a_cell_is_in_it():
    rng = np.random.default_rng(2)
    for order in (0, 3, 17, 29):
        cells = rng.integers(0, 12 << (2 * order), 200)
        assert np.array_equal(cell_of(spatial_index(*centre(cells, order)), order), cells)


def test_the_oracle_itself_knows_a_right_angle():
    x, z = directions([0.0], [0.0]), directions([0.0], [90.0])
    assert abs(float(np.arccos((x * z).sum())) * float(ARCSEC) - 90 * 3600) < 1e-9
