"""Maps of the sky: there and back again, and lines that are cut where the map is."""

import numpy as np
import pytest

from lsdb_ts.sky import Layout, Pixel
from lsdb_ts.sky.sphere import separation_arcsec
from lsdb_ts.testing import hard_sky
from lsdb_ts.views.projection import Mollweide, Zenithal
from lsdb_ts.views.skymap import outline

RA, DEC = hard_sky(3000, seed=3)


@pytest.mark.parametrize("centre", [0.0, 180.0, 123.4])
def test_a_place_on_the_mollweide_map_leads_back_to_its_position(centre):
    sky = Mollweide(centre)
    x, y = sky.to_plane(RA, DEC)
    back = sky.to_sky(x * (1 - 1e-12), y * (1 - 1e-12))
    assert separation_arcsec(RA, DEC, *back).max() < 1.0
    assert (np.abs(x) <= sky.half_size[0]).all()
    assert (np.abs(y) <= sky.half_size[1]).all()


@pytest.mark.parametrize("centre", [(0.0, 0.0), (359.9, -2.0), (0.0, 90.0), (77.0, -90.0)])
def test_a_place_on_a_patch_leads_back_to_its_position(centre):
    patch = Zenithal(*centre, radius_deg=10.0)
    x, y = patch.to_plane(RA, DEC)
    seen = np.isfinite(x)
    assert seen.mean() > 0.8
    assert separation_arcsec(RA[seen], DEC[seen], *patch.to_sky(x[seen], y[seen])).max() < 1e-3


@pytest.mark.parametrize("sky", [Mollweide(), Zenithal(0.0, 0.0, 5.0)])
def test_east_is_left_and_north_is_up(sky):
    x, y = sky.to_plane([0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
    assert x[1] < x[0]
    assert y[2] > y[0]


def test_the_corners_of_a_map_are_not_on_the_sky():
    wide, high = Mollweide().half_size
    assert np.isnan(Mollweide().to_sky(wide * 0.95, high * 0.95)[0])


def test_both_maps_keep_areas_equal():
    rng = np.random.default_rng(0)
    inside = []
    for sky in (Mollweide(), Zenithal(30.0, 60.0, 40.0)):
        wide, high = sky.half_size
        ra, dec = sky.to_sky(rng.uniform(-wide, wide, 200_000), rng.uniform(-high, high, 200_000))
        near = separation_arcsec(30.0, 60.0, ra[np.isfinite(ra)], dec[np.isfinite(ra)])
        inside.append((near < 15 * 3600).sum() / (near < 30 * 3600).sum())
    expected = (1 - np.cos(np.radians(15))) / (1 - np.cos(np.radians(30)))
    assert inside == pytest.approx([expected, expected], rel=0.03)


@pytest.mark.parametrize("centre", [0.0, 45.0, 180.0, 200.0])
def test_no_line_of_an_outline_runs_across_the_whole_map(centre):
    sky = Mollweide(centre)
    segments = sky.lines(*outline(Layout.whole_sky(1), steps=32))
    assert np.isfinite(segments).all()
    assert np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1).max() < 0.35


def test_an_edge_across_the_cut_is_drawn_on_both_sides_of_the_map():
    sky = Mollweide(0.0)
    segments = sky.lines(np.array([[170.0, 190.0]]), np.array([[0.0, 0.0]]))
    wide = sky.half_size[0]
    assert segments.shape == (2, 2, 2)
    assert sorted(np.abs(segments[:, :, 0]).max(axis=1)) == pytest.approx([wide, wide])
    assert np.sign(segments[:, :, 0]).sum() == 0


def test_an_outline_is_closed_and_follows_curved_edges():
    ra, dec = outline(Layout.of([Pixel(0, 4), Pixel(3, 1)]), steps=8)
    assert ra.shape == (2, 33)
    assert (ra[:, 0] == ra[:, -1]).all()
    assert len(np.unique(dec[0].round(6))) > 4
