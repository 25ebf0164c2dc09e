"""The hard sky holds what it promises, and perturbing is exact where coordinates are not."""

import numpy as np

from lsdb_ts.sky import separation_arcsec, spatial_index
from lsdb_ts.testing.skies import hard_sky, perturbed


def test_equal_seeds_give_equal_skies():
    first, again, other = hard_sky(500, seed=3), hard_sky(500, seed=3), hard_sky(500, seed=4)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_size_is_the_size_asked_for():
    for n in (0, 1, 2, 7, 1000):
        ra, dec = hard_sky(n, seed=0)
        assert ra.shape == dec.shape == (n,)


def test_all_positions_are_on_the_sky():
    ra, dec = hard_sky(20_000, seed=5)
    assert ((ra >= 0) & (ra < 360)).all()
    assert (np.abs(dec) <= 90).all()


def test_poles_ra_zero_repeats_clusters_and_all_base_pixels_are_there():
    ra, dec = hard_sky(20_000, seed=6)
    assert dec.max() == 90.0
    assert dec.min() == -90.0
    assert (separation_arcsec(ra, dec, 0.0, dec)[np.abs(dec) < 89] < 5).sum() > 50
    assert ((ra > 359.9) & (np.abs(dec) < 80)).any()
    assert np.unique(np.stack([ra, dec]), axis=1).shape[1] < 20_000
    index = spatial_index(ra, dec)
    assert set((index >> 58).tolist()) == set(range(12))
    _, counts = np.unique(index >> (2 * 11), return_counts=True)
    assert counts.max() > 10, "no clusters"


def test_many_positions_lie_close_to_pixel_edges():
    ra, dec = hard_sky(7_000, seed=7)
    home = spatial_index(ra, dec) >> (2 * 21)
    moved = [spatial_index(*perturbed(ra, dec, 5.0, seed=s)) >> (2 * 21) for s in range(8)]
    assert np.mean(np.any([home != m for m in moved], axis=0)) > 0.2


def test_perturbing_moves_by_the_stated_amount_everywhere():
    ra, dec = hard_sky(20_000, seed=8)
    moved = separation_arcsec(ra, dec, *perturbed(ra, dec, 2.0, seed=9))
    assert abs(np.sqrt(np.mean(moved**2) / 2) - 2.0) < 0.03


def test_each_position_may_have_its_own_sigma():
    ra, dec = np.full(2, 10.0), np.full(2, -90.0)
    moved = separation_arcsec(ra, dec, *perturbed(ra, dec, [0.0, 1.0], seed=1))
    assert moved[0] < 1e-9
    assert moved[1] > 0.01
