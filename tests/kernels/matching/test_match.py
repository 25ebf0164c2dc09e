"""Pairs within a radius are those of the full distance matrix, on skies that are hard to get right."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.matching.blocks import match_rows
from lsdb_ts.kernels.matching.faces import SIDE, face_beyond, seen_from_beyond, spread, steps_within, stretch
from lsdb_ts.kernels.matching.match import Positions, match
from lsdb_ts.sky import propagate, separation_arcsec, spatial_index
from lsdb_ts.sky.pixel import neighbours
from lsdb_ts.testing.skies import hard_sky, perturbed
from tests.oracles import ARCSEC, pairs_within

ROUNDING_ARCSEC = 1e-9
CORNER_DEC = float(np.degrees(np.arcsin(2 / 3)))
MEETING_POINTS = [(0.0, 90.0), (0.0, -90.0), (0.0, CORNER_DEC), (90.0, -CORNER_DEC), (45.0, 0.0), (360.0, 0.0)]
"""Both poles, corners at which three and four base pixels meet, and RA 0/360 on a plain edge."""


def sorted_sky(ra, dec):
    """Sort positions by place, as tables are; returns (place, ra, dec)."""
    place = spatial_index(ra, dec)
    order = np.argsort(place, kind="stable")
    return place[order], np.asarray(ra, dtype=float)[order], np.asarray(dec, dtype=float)[order]


def true_pairs(left, right, radius, n_neighbors, least):
    """Leave the nearer ones out first, then take the nearest."""
    i, j, separation = pairs_within(*left[1:], *right[1:], radius)
    i, j, separation = (part[separation >= least] for part in (i, j, separation))
    rank = np.arange(i.size) - np.searchsorted(i, i)
    return tuple(part[rank < (n_neighbors or np.inf)] for part in (i, j, separation))


def assert_same(left, right, radius, n_neighbors, least=0.0):
    """Compare with the oracle: exactly, but for pairs whose separations differ by less than rounding."""
    i, j, separation = match(Positions.of(*left), Positions.of(*right), radius, n_neighbors, least)
    true_i, true_j, true_separation = true_pairs(left, right, radius, n_neighbors, least)
    assert i.dtype == j.dtype == np.int64
    assert np.array_equal(i, true_i)
    assert np.allclose(separation, true_separation, rtol=0, atol=ROUNDING_ARCSEC)
    assert (separation <= radius).all()
    other = np.flatnonzero(j != true_j)
    # Another partner is right only if it is as near as the one the oracle took.
    between = separation_arcsec(left[1][i[other]], left[2][i[other]], right[1][j[other]], right[2][j[other]])
    assert np.allclose(between, true_separation[other], rtol=0, atol=ROUNDING_ARCSEC)
    pairs = np.stack([i, j])
    assert np.unique(pairs, axis=1).shape == pairs.shape, "no pair twice"
    again = match(Positions.of(*left), Positions.of(*right), radius, n_neighbors, least)
    assert all(np.array_equal(a, b) for a, b in zip(again, (i, j, separation), strict=True))
    return i.size


@pytest.mark.parametrize("n_neighbors", [1, 3, None])
@pytest.mark.parametrize("radius", [0.001, 0.5, 30.0, 1800.0, 3600.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_pairs_are_those_of_brute_force_on_a_hard_sky(radius, n_neighbors, seed):
    left = hard_sky(1_200, seed)
    near = perturbed(*left, min(radius, 300.0) / 2, seed=seed + 10)
    right = [np.concatenate(pair) for pair in zip(near, hard_sky(400, seed + 20), strict=True)]
    n = assert_same(sorted_sky(*left), sorted_sky(*right), radius, n_neighbors)
    assert n > 500


@pytest.mark.parametrize("n_neighbors", [1, 3, None])
@pytest.mark.parametrize("least", [0.2, 5.0, 29.0, 30.0])
def test_rows_nearer_than_the_least_separation_do_not_count(n_neighbors, least):
    left = sorted_sky(*hard_sky(800, 3))
    right = sorted_sky(*perturbed(*hard_sky(800, 3), 10.0, seed=4))
    assert assert_same(left, right, 30.0, n_neighbors, least) > 0 or least == 30.0


@pytest.mark.parametrize("n_neighbors", [1, 5, None])
@pytest.mark.parametrize("where", MEETING_POINTS)
@pytest.mark.parametrize("sizes", [(900, 1000), (40, 1000), (900, 7), (1, 1), (64, 20_000)])
def test_a_field_where_base_pixels_meet_is_matched_right(where, sizes, n_neighbors):
    """By blocks, and row by row."""
    left, right = (
        sorted_sky(*perturbed(np.full(n, where[0]), np.full(n, where[1]), 30.0, seed=n + k))
        for k, n in enumerate(sizes)
    )
    assert_same(left, right, 5.0, n_neighbors)


@pytest.mark.parametrize("n_neighbors", [1, 4, 60])
@pytest.mark.parametrize("where", [*MEETING_POINTS, (45.0, 30.0), (200.0, 89.9999), (10.0, -60.0)])
def test_a_crowd_within_the_radius_is_matched_right(where, n_neighbors):
    crowd, field = (sorted_sky(*perturbed(np.full(700, where[0]), np.full(700, where[1]), s, 1)) for s in (0.3, 60.0))
    both = sorted_sky(*(np.concatenate(pair) for pair in zip(crowd[1:], field[1:], strict=True)))
    assert assert_same(both, crowd, 2.0, n_neighbors) > 700
    assert assert_same(field, both, 2.0, n_neighbors) > 0


@pytest.mark.parametrize("where", [(0.0, CORNER_DEC), (90.0, -CORNER_DEC)])
def test_rows_beyond_the_third_of_three_base_pixels_are_found(where):
    """The way to them turns, as it leads around the point where the three meet."""
    for seed in range(6):
        left, right = (sorted_sky(*perturbed(*np.tile(where, (n, 1)).T, 0.4, seed + n)) for n in (120, 350))
        for n_neighbors in (2, None):
            assert_same(left, right, 0.5, n_neighbors)


@pytest.mark.parametrize("dec", [-90.0, -30.0, 0.0, 41.8103, 89.9999])
def test_all_of_a_crowd_are_found(dec):
    left = sorted_sky(*perturbed(np.full(160, 45.0), np.full(160, dec), 0.2, seed=1))
    right = sorted_sky(*perturbed(np.full(150, 45.0), np.full(150, dec), 0.2, seed=2))
    for n_neighbors in (None, 150):
        assert assert_same(left, right, 5.0, n_neighbors) == 160 * 150


@pytest.mark.parametrize("where", MEETING_POINTS)
def test_more_than_there_is_room_for_are_found_beyond_the_edges(where):
    """Room is made, and the search begun again, wherever it runs out."""
    left, right = (sorted_sky(*perturbed(*np.tile(where, (n, 1)).T, 0.2, seed=n)) for n in (70, 600))
    assert assert_same(left, right, 5.0, None) == 70 * 600


@pytest.mark.parametrize("n_neighbors", [1, 5, 16, 17, 40])
def test_groups_of_rows_that_lie_apart_or_have_few_around_them_are_matched_right(n_neighbors):
    """A dense middle, a thin edge, and rows far from all others, with as many asked for as a look around shows."""
    widths = np.geomspace(1e-3, 300.0, 400)
    edge = [perturbed([33.0], [5.0], width, seed) for seed, width in enumerate(widths)]
    crowd = perturbed(np.full(200, 33.0), np.full(200, 5.0), 0.02, seed=5)
    left = sorted_sky(*(np.concatenate(parts) for parts in zip(*edge, crowd, strict=True)))
    right = sorted_sky(*perturbed(*left[1:], 0.01, seed=6))
    for radius in (0.05, 20.0):
        assert assert_same(left, right, radius, n_neighbors) > 400


def test_crowds_of_one_place_are_told_apart():
    """Closer together than an order-29 cell is wide."""
    sky = sorted_sky(*perturbed(np.full(400, 12.0), np.full(400, -3.0), 1e-5, seed=1))
    for n_neighbors in (1, 2):
        assert assert_same(sky, sky, 1.0, n_neighbors) == 400 * n_neighbors


@given(st.integers(0, 10**6), st.floats(-2.0, 3.5563), st.sampled_from([1, 2, 4, None]), st.booleans())
def test_small_crowds_anywhere_are_matched_right(seed, log_radius, n_neighbors, ring):
    """Edges of pixels of every order, exact repeats, sizes of sides that differ, right sides of one row or none."""
    rng = np.random.default_rng(seed)
    where = hard_sky(1, seed)
    if rng.random() < 0.5:
        where = tuple(np.array([part]) for part in MEETING_POINTS[rng.integers(len(MEETING_POINTS))])
    radius = 10**log_radius
    sides = []
    for k, n in enumerate((10 ** rng.uniform(0, 2.3, 2) - 1).astype(int).tolist()):
        ra, dec = perturbed(np.repeat(where[0], n), np.repeat(where[1], n), radius, seed=seed + k)
        again = rng.integers(0, max(n, 1), n // 3)
        turns = 360.0 * rng.integers(-1, 2, n + again.size)
        ra, dec = np.concatenate([ra, ra[again]]) + turns, np.concatenate([dec, dec[again]])
        sides.append(sorted_sky(ra, dec))
    assert_same(*sides, radius, n_neighbors, 0.5 * radius if ring else 0.0)


def test_ties_go_to_the_first_row_and_the_same_way_every_time():
    left = sorted_sky([10.0, 10.0], [20.0, 20.0])
    right = sorted_sky(np.full(6, 10.0), np.full(6, 20.0))
    for n_neighbors in (3, None):
        i, j, separation = match(Positions.of(*left), Positions.of(*right), 1.0, n_neighbors)
        assert i.tolist() == np.repeat([0, 1], n_neighbors or 6).tolist()
        assert j.tolist() == [*range(n_neighbors or 6)] * 2
        assert (separation == 0).all()


@pytest.mark.parametrize("copies", [3, 30, 300])
@pytest.mark.parametrize("n_left", [10, 500])
def test_repeats_of_a_position_are_taken_in_row_order(copies, n_left):
    """Whichever way the rows are searched."""
    ra, dec = perturbed(np.full(n_left, 77.0), np.full(n_left, 33.0), 100.0, seed=1)
    left = sorted_sky(*perturbed(ra, dec, 0.1, seed=2))
    right = sorted_sky(np.repeat(ra, copies), np.repeat(dec, copies))
    i, j, _ = match(Positions.of(*left), Positions.of(*right), 0.8)
    assert i.size > 0.9 * n_left
    assert (j % copies == 0).all()
    _, j, _ = match(Positions.of(*left), Positions.of(*right), 0.8, 3)
    assert (j.reshape(-1, 3) % copies == [0, 1, 2]).all()


def test_at_a_pole_right_ascension_does_not_matter():
    right = sorted_sky(np.arange(0.0, 360.0, 10.0), np.full(36, 90.0))
    left = sorted_sky([5.0, 123.0], [90.0, 90.0 - 1e-9])
    i, j, separation = match(Positions.of(*left), Positions.of(*right), 1.0)
    assert i.tolist() == [0, 1]
    assert np.allclose(separation, [0.0, 3600e-9], atol=ROUNDING_ARCSEC)
    assert j[0] == 0


def test_nearest_come_first_and_no_more_than_asked():
    left = sorted_sky([10.0], [0.0])
    right = sorted_sky(10.0 + np.array([3.0, 1.0, 4.0, 2.0]) / 3600, np.zeros(4))
    for n in (1, 2, 4, 9, None):
        i, _, separation = match(Positions.of(*left), Positions.of(*right), 3.5, n)
        assert i.size == min(n or 3, 3)
        assert np.allclose(separation, [1.0, 2.0, 3.0][:n], atol=ROUNDING_ARCSEC)


@given(st.floats(0, 360), st.floats(-90, 90), st.floats(1e-3, 3500))
def test_exactly_the_radius_apart_is_within(ra, dec, offset):
    left = sorted_sky([ra], [dec])
    # A step along the tangent plane is not one along the sphere: measure it.
    right = sorted_sky(*propagate([ra], [dec], [offset * 600.0], [offset * 800.0], 1.0))
    radius = float(separation_arcsec(ra, dec, right[1][0], right[2][0]))
    assert match(Positions.of(*left), Positions.of(*right), radius)[0].size == 1
    assert match(Positions.of(*left), Positions.of(*right), radius - 2 * ROUNDING_ARCSEC)[0].size == 0
    assert match(Positions.of(*left), Positions.of(*right), 3600.0, 1, radius)[0].size == 1
    assert match(Positions.of(*left), Positions.of(*right), 3600.0, 1, radius + 2 * ROUNDING_ARCSEC)[0].size == 0


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


@pytest.mark.parametrize(
    ("asked", "message"),
    [((0.0,), "above 0"), ((np.nan,), "above 0"), ((3601.0,), "at most 3600"), ((1.0, 0), "at least 1"),
     ((1.0, 1, -1.0), "not negative")],
)  # fmt: skip
def test_what_cannot_be_matched_is_refused(asked, message):
    sky = Positions.of(*sorted_sky(*hard_sky(10, 1)))
    with pytest.raises(InputError, match=message):
        match(sky, sky, *asked)


def test_read_only_mapped_and_plain_arrays_are_matched_by_one_compiled_kernel(tmp_path):
    plain = sorted_sky(*hard_sky(300, 1))
    expected = match(Positions.of(*plain), Positions.of(*plain), 10.0, None)
    arrow = [pa.array(part).to_numpy() for part in plain]
    mapped = []
    for k, part in enumerate(plain):
        part.tofile(tmp_path / f"{k}")
        mapped.append(np.memmap(tmp_path / f"{k}", dtype=part.dtype, mode="r"))
    strided = [np.stack([part, part], axis=1)[:, 0] for part in plain]
    compiled = len(match_rows.signatures)
    for left in (arrow, mapped, strided):
        for right in (plain, arrow, mapped):
            found = match(Positions.of(*left), Positions.of(*right), 10.0, None)
            assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert len(match_rows.signatures) == compiled == 1
    held = Positions.of(*mapped)
    assert all(np.shares_memory(a, b) for a, b in zip((held.place, held.ra_deg, held.dec_deg), mapped, strict=True))
    assert plain[0].flags.writeable


def test_threads_do_not_disturb_each_other():
    skies = [Positions.of(*sorted_sky(*hard_sky(3000, seed))) for seed in range(4)]
    asked = [(a, b, n) for a in skies for b in skies for n in (1, None)] * 3
    expected = [match(a, b, 60.0, n) for a, b, n in asked]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda job: match(job[0], job[1], 60.0, job[2]), asked))
    for one, other in zip(found, expected, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("radius", [1.0, 60.0, 3600.0])
def test_no_step_on_the_sky_changes_x_or_y_by_more_than_the_bound(radius):
    ra, dec = hard_sky(4_000, 1)
    angle = np.random.default_rng(2).uniform(0, 2 * np.pi, ra.size)
    length = np.tan(float(radius / ARCSEC)) * float(ARCSEC) * 1000
    moved = propagate(ra, dec, length * np.cos(angle), length * np.sin(angle), 1.0)
    before, after = spatial_index(ra, dec), spatial_index(*moved)
    for k in np.flatnonzero(before >> 58 == after >> 58):
        bound = steps_within(float(radius / ARCSEC), stretch(ra, dec, k, k + 1, float(radius / ARCSEC)))
        for axis in (0, 1):
            bits = [int(f"{p & (2**58 - 1):058b}"[1 - axis :: 2], 2) for p in (int(before[k]), int(after[k]))]
            assert abs(bits[0] - bits[1]) <= bound


@pytest.mark.parametrize("face", range(12))
def test_cells_around_a_cell_are_those_of_healpix(face):
    ends, middle = [0, 1, SIDE - 1], 123_456_789
    for x, y in [(a, b) for a in ends for b in [*ends, middle]] + [(middle, b) for b in ends]:
        cell = (face << 58) | int(spread(x)) | (int(spread(y)) << 1)
        around = set()
        for to_x, to_y in ((x + a, y + b) for a in (-1, 0, 1) for b in (-1, 0, 1)):
            beyond = face_beyond(face, to_x // SIDE, to_y // SIDE)
            if beyond >= 0:
                to_x, to_y = seen_from_beyond(face, to_x // SIDE, to_y // SIDE, to_x, to_y)
                around.add((beyond << 58) | int(spread(to_x)) | (int(spread(to_y)) << 1))
        assert around == set(neighbours(cell, 29)[0].tolist())
