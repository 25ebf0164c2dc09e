"""Pairs within a radius are those of the full distance matrix, on skies that are hard to get right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.kernels.match import Positions, match
from lsdb_ts.sky import separation_arcsec, spatial_index
from lsdb_ts.testing.skies import hard_sky, perturbed
from tests.oracles import pairs_within

ROUNDING_ARCSEC = 1e-9


def sorted_sky(ra, dec):
    """Sort positions by place, as tables are; returns (place, ra, dec)."""
    place = spatial_index(ra, dec)
    order = np.argsort(place, kind="stable")
    return place[order], np.asarray(ra, dtype=float)[order], np.asarray(dec, dtype=float)[order]


def found_and_true(left, right, radius, n_neighbors):
    found = match(Positions.of(*left), Positions.of(*right), radius, n_neighbors)
    return found, pairs_within(*left[1:], *right[1:], radius, n_neighbors)


def assert_same(left, right, radius, n_neighbors):
    """Compare with the oracle: exactly, but for pairs whose separations differ by less than rounding."""
    (i, j, separation), (true_i, true_j, true_separation) = found_and_true(left, right, radius, n_neighbors)
    assert i.dtype == j.dtype == np.int64
    assert np.array_equal(i, true_i)
    assert np.allclose(separation, true_separation, rtol=0, atol=ROUNDING_ARCSEC)
    assert (separation <= radius).all()
    for k in np.flatnonzero(j != true_j):
        # Another partner is right only if it is as near as the one the oracle took.
        assert abs(separation_arcsec(left[1][i[k]], left[2][i[k]], right[1][j[k]], right[2][j[k]]) - separation[k]) < (
            ROUNDING_ARCSEC
        )
    pairs = np.stack([i, j])
    assert np.unique(pairs, axis=1).shape == pairs.shape, "no pair twice"
    return i.size


@pytest.mark.parametrize("n_neighbors", [1, 3])
@pytest.mark.parametrize("radius", [0.001, 0.5, 30.0, 1800.0, 7 * 3600.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_pairs_are_those_of_brute_force_on_a_hard_sky(radius, n_neighbors, seed):
    left = hard_sky(1_200, seed)
    near = perturbed(*left, min(radius, 300.0) / 2, seed=seed + 10)
    right = [np.concatenate(pair) for pair in zip(near, hard_sky(400, seed + 20), strict=True)]
    n = assert_same(sorted_sky(*left), sorted_sky(*right), radius, n_neighbors)
    assert n > 500


@pytest.mark.parametrize("dec", [-90.0, -30.0, 0.0, 41.8103, 89.9999])
def test_a_crowd_within_the_radius_is_matched_all_to_all(dec):
    left = sorted_sky(*perturbed(np.full(60, 45.0), np.full(60, dec), 0.2, seed=1))
    right = sorted_sky(*perturbed(np.full(50, 45.0), np.full(50, dec), 0.2, seed=2))
    assert assert_same(left, right, 5.0, 100) == 60 * 50


def test_many_left_rows_may_share_one_right_row_and_buffers_grow():
    left, right = sorted_sky(*hard_sky(300, 3)), sorted_sky([10.0], [90.0])
    assert assert_same(left, right, 26 * 3600.0, 1) > 30
    dense = sorted_sky(*perturbed(np.full(40, 1.0), np.full(40, 2.0), 0.1, seed=3))
    assert assert_same(dense, dense, 5.0, 40) == 1600


@given(st.integers(0, 10**6), st.floats(0.0, 2.0), st.integers(1, 4))
def test_small_crowds_anywhere_are_matched_right(seed, log_radius, n_neighbors):
    """Edges of pixels of every order, sizes of sides that differ, right sides of one row or none."""
    rng = np.random.default_rng(seed)
    where = hard_sky(1, seed)
    if rng.random() < 0.5:
        where = (rng.choice([0.0, 45.0, 90.0, 360.0], 1), rng.choice([0.0, 41.8103149, -41.8103149, 90.0], 1))
    radius = 10**log_radius
    sizes = rng.integers(0, 30, 2)
    left, right = (
        sorted_sky(*perturbed(np.repeat(where[0], n), np.repeat(where[1], n), radius, seed=seed + k))
        for k, n in enumerate(sizes.tolist())
    )
    assert_same(left, right, radius, n_neighbors)


def test_ties_go_to_the_first_row_and_the_same_way_every_time():
    left = sorted_sky([10.0, 10.0], [20.0, 20.0])
    right = sorted_sky(np.full(6, 10.0), np.full(6, 20.0))
    i, j, separation = match(Positions.of(*left), Positions.of(*right), 1.0, 3)
    assert i.tolist() == [0, 0, 0, 1, 1, 1]
    assert j.tolist() == [0, 1, 2, 0, 1, 2]
    assert (separation == 0).all()


def test_nearest_come_first_and_no_more_than_asked():
    left = sorted_sky([10.0], [0.0])
    right = sorted_sky(10.0 + np.array([3.0, 1.0, 4.0, 2.0]) / 3600, np.zeros(4))
    for n in (1, 2, 4, 9):
        i, _, separation = match(Positions.of(*left), Positions.of(*right), 3.5, n)
        assert i.size == min(n, 3)
        assert np.allclose(separation, [1.0, 2.0, 3.0][:n], atol=ROUNDING_ARCSEC)


@given(st.floats(0, 360), st.floats(-90, 90), st.floats(1e-3, 3600))
def test_exactly_the_radius_apart_is_within(ra, dec, offset):
    left = sorted_sky([ra], [dec])
    right = sorted_sky(*perturbed([ra], [dec], offset, seed=1))
    radius = float(separation_arcsec(ra, dec, right[1][0], right[2][0]))
    assert match(Positions.of(*left), Positions.of(*right), radius)[0].size == 1
    assert match(Positions.of(*left), Positions.of(*right), radius - 2 * ROUNDING_ARCSEC)[0].size == 0


def test_the_pairs_do_not_depend_on_what_else_is_on_the_right():
    left, near = hard_sky(500, 5), hard_sky(500, 5)
    sides = [sorted_sky(*near), sorted_sky(*(np.concatenate(p) for p in zip(near, hard_sky(5_000, 6), strict=True)))]
    kept = []
    for right in sides:
        i, j, separation = match(Positions.of(*sorted_sky(*left)), Positions.of(*right), 1e-6)
        kept.append((i.tolist(), right[0][j].tolist(), separation.tolist()))
    assert kept[0] == kept[1]


def test_an_empty_side_has_no_pairs():
    sky, none = sorted_sky(*hard_sky(10, 1)), sorted_sky([], [])
    for left, right in ((sky, none), (none, sky), (none, none)):
        i, j, separation = match(Positions.of(*left), Positions.of(*right), 10.0)
        assert (i.size, j.size, separation.size) == (0, 0, 0)
        assert (i.dtype, j.dtype, separation.dtype) == (np.int64, np.int64, np.float64)
