"""Rows per piece of sky: nothing is lost by adding up, and separate patches are found where they are."""

import numpy as np
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import CatalogError
from lsdb_ts.sky import Layout, Pixel, spatial_index
from lsdb_ts.sky.pixel import cell_of
from lsdb_ts.store.skymap import read_skymap
from lsdb_ts.testing import hard_sky
from lsdb_ts.views.skymap import SkyMap, patches, pixel_area_deg2


@pytest.fixture(scope="module")
def hard():
    return SkyMap.of_index(spatial_index(*hard_sky(5000, seed=1)))


@pytest.mark.parametrize("order", [0, 3, 9])
def test_coarsening_adds_rows_up_as_counting_coarsely_does(hard, order):
    index = spatial_index(*hard_sky(5000, seed=1))
    cells, rows = np.unique(cell_of(index, order), return_counts=True)
    coarse = hard.coarsened(order)
    assert (coarse.layout.numbers == cells).all()
    assert (coarse.rows == rows).all()


def test_coarsening_leaves_coarser_pixels_alone():
    mixed = SkyMap(Layout.of([Pixel(0, 0), Pixel(3, 64), Pixel(3, 65), Pixel(2, 17)]), np.array([5.0, 1.0, 2.0, 4.0]))
    coarse = mixed.coarsened(2)
    assert list(coarse.layout) == [Pixel(0, 0), Pixel(2, 16), Pixel(2, 17)]
    assert coarse.rows.tolist() == [5.0, 3.0, 4.0]


def test_density_is_rows_by_area_and_nan_where_there_are_none():
    one = SkyMap(Layout.of([Pixel(0, 4)]), np.array([100.0]))
    found = one.density_at(np.array([[0.0, 180.0], [np.nan, 1.0]]), np.array([[0.0, 0.0], [0.0, 1.0]]))
    assert found[0, 0] == pytest.approx(100 / pixel_area_deg2(np.array([0]))[0])
    assert np.isnan(found[0, 1])
    assert np.isnan(found[1, 0])


def test_patches_across_ra_zero_and_at_a_pole_are_found_whole(two_patches):
    found = patches(SkyMap.of(two_patches), at_most=4)
    assert len(found) == 2
    first, second = found
    assert min(first.ra_deg, 360 - first.ra_deg) < 0.1
    assert first.dec_deg == pytest.approx(-2, abs=0.1)
    assert 1.9 < first.radius_deg < 2.8
    assert second.dec_deg == 90.0
    assert 0.9 < second.radius_deg < 1.8


def test_an_empty_catalog_has_an_empty_map(catalog_of):
    empty = SkyMap.of(catalog_of(np.empty(0), np.empty(0)))
    assert empty.n_rows == 0
    assert empty.coarsened(3).n_rows == 0
    assert patches(empty, at_most=4) == []
    assert np.isnan(empty.density_at(np.array([1.0]), np.array([2.0]))).all()


@pytest.mark.parametrize("sparse", [True, False])
def test_a_skymap_written_by_hats_is_read_as_it_was(tmp_path, sparse):
    from hats.io.skymap import write_skymap

    histogram = np.zeros(12 * 4**4, dtype=np.int64)
    histogram[:: 7 if sparse else 1] = np.arange(1, len(histogram[:: 7 if sparse else 1]) + 1)
    write_skymap(histogram, tmp_path)
    order, cells, rows = read_skymap(tmp_path)
    assert order == 4
    assert (cells == np.flatnonzero(histogram)).all()
    assert (rows == histogram[cells]).all()


@pytest.mark.parametrize("lazy", [False, True])
def test_rows_are_counted_where_they_are_if_the_stored_map_is_coarse(tmp_path, lazy):
    ra, dec = hard_sky(500, seed=8)
    catalog = lt.from_dataframe(pa.table({"ra": ra, "dec": dec, "mag": np.arange(500.0)})).write(tmp_path / "made")
    assert read_skymap(catalog.plan.source.catalog.path)[0] < 8
    seen = SkyMap.of(catalog.query("mag >= 100") if lazy else catalog[["mag"]])
    expected = SkyMap.of_index(spatial_index(ra, dec)[100 if lazy else 0 :])
    assert (seen.layout.numbers == expected.layout.numbers).all()
    assert (seen.rows == expected.rows).all()


def test_a_catalog_without_a_skymap_is_told_from_one_with_a_broken_one(tmp_path):
    assert read_skymap(tmp_path) is None
    (tmp_path / "skymap.fits").write_bytes(b"nothing of the kind")
    with pytest.raises(CatalogError, match=r"skymap\.fits.*remove it"):
        read_skymap(tmp_path)
