"""Searches on the sky keep the rows that brute force keeps, whatever the angles are given as."""

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from mocpy import MOC

import lsdb_ts as lt
from lsdb_ts.errors import PlanError
from lsdb_ts.sky import Box, Cone, Cones, Moc, Pixel, Polygon, separation_arcsec, spatial_index
from tests.skycases import objects_table, on_disk

TABLE = objects_table(3000)
RA, DEC = TABLE["ra"].to_numpy(), TABLE["dec"].to_numpy()
CENTRE = SkyCoord(10 * u.deg, 85 * u.deg)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("regions"), TABLE, "objects", 200)


def ids(catalog):
    return sorted(catalog[["objectId"]].compute().objectId)


def kept(inside):
    return np.flatnonzero(inside).tolist()


def test_a_cone_is_the_same_however_it_is_given(catalog):
    expected = kept(separation_arcsec(10, 85, RA, DEC) <= 36_000)
    assert len(expected) > 50
    for found in (
        catalog.cone_search(10, 85, 36_000),
        catalog.cone_search(10 * u.deg, 85 * u.deg, radius_arcsec=10 * u.deg),
        catalog.cone_search(CENTRE, radius=10 * u.deg),
        catalog.cone_search(CENTRE.galactic, radius_arcsec=36_000),
        catalog.search(Cone(10, 85, 36_000)),
    ):
        assert ids(found) == expected


def test_many_cones_keep_each_row_once(catalog):
    centres, radii = (RA[:40], DEC[:40]), np.linspace(10, 9000, 40)
    inside = np.zeros(RA.size, dtype=bool)
    for ra, dec, radius in zip(*centres, radii, strict=True):
        inside |= separation_arcsec(ra, dec, RA, DEC) <= radius
    assert ids(catalog.cone_search(*centres, radii)) == kept(inside)
    coordinates = SkyCoord(*centres, unit="deg")
    assert ids(catalog.cone_search(coordinates, radius=radii * u.arcsec)) == kept(inside)
    assert ids(catalog.search(Cones(*centres, radii))) == kept(inside)


def test_a_box_may_lie_across_ra_0_and_leave_out_limits(catalog):
    high = kept(DEC >= 80)
    assert ids(catalog.box_search(dec=(80, 90))) == high
    assert ids(catalog.box_search(ra=(0, 360), dec=(80 * u.deg, 90 * u.deg))) == high
    across = kept((RA >= 350) | (RA <= 10) | (np.abs(DEC) == 90))
    assert ids(catalog.box_search(ra=(350, 10))) == across
    assert ids(catalog.box_search(ra=(-10 * u.deg, 10 * u.deg))) == across
    assert ids(catalog.search(Box((350, 10), (-90, 90)))) == across


def test_a_polygon_is_the_same_however_it_is_given(catalog):
    corners = [(0, 70), (120, 60), (240, 75)]
    expected = kept(Polygon(corners).contains(RA, DEC))
    assert len(expected) > 50
    for given in (corners, np.array(corners), np.array(corners) * u.deg, SkyCoord(np.array(corners), unit="deg")):
        assert ids(catalog.polygon_search(given)) == expected


def test_pixels_and_maps_keep_what_lies_in_them(catalog):
    pixels = [Pixel(0, 2), Pixel(3, 77), Pixel(5, 11_000)]
    place = spatial_index(RA, DEC)
    expected = kept(np.logical_or.reduce([(place >= p.start) & (place < p.stop) for p in pixels]))
    assert expected
    assert ids(catalog.pixel_search(pixels)) == expected
    assert ids(catalog.pixel_search([(p.order, p.number) for p in pixels])) == expected
    assert ids(catalog.pixel_search(pixels[0])) == kept((place >= pixels[0].start) & (place < pixels[0].stop))
    assert ids(catalog.moc_search("0/2 3/77 5/11000")) == expected
    assert ids(catalog.moc_search(MOC.from_string("0/2 3/77 5/11000"))) == expected
    assert ids(catalog.search(Moc.of_pixels(pixels))) == expected


def test_orders_pick_partitions(catalog):
    orders = catalog.layout.orders
    middle = int(np.median(orders))
    low, high = catalog.order_search(max_order=middle), catalog.order_search(min_order=middle + 1)
    assert (low.layout.orders <= middle).all()
    assert low.npartitions + high.npartitions == catalog.npartitions
    assert sorted(ids(low) + ids(high)) == list(range(len(TABLE)))


def test_a_search_plans_only_the_partitions_it_touches(catalog):
    place = spatial_index([RA[5]], [DEC[5]])
    small = catalog.cone_search(RA[5], DEC[5], 0.01)
    home = catalog.layout[int(catalog.layout.leaf_of(place)[0])]
    assert home in list(small.layout)
    assert small.npartitions < 5


def test_searches_combine_and_match(catalog):
    inside = Box((0, 360), (60, 90)).contains(RA, DEC) & (separation_arcsec(10, 85, RA, DEC) <= 60_000)
    both = catalog.box_search(dec=(60, 90)).cone_search(CENTRE, radius=60_000 * u.arcsec)
    assert ids(both) == kept(inside)
    other = lt.from_dataframe(pd.DataFrame({"ra": RA, "dec": DEC, "otherId": np.arange(RA.size)}), name="other")
    matched = both.crossmatch(other, radius_arcsec=0.001)[["objectId"]].compute()
    assert sorted(matched.objectId) == kept(inside), "partners outside of the region count"


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (lambda c: c.cone_search(10, 20), "one radius"),
        (lambda c: c.cone_search(CENTRE, 5), "its own declination"),
        (lambda c: c.cone_search(CENTRE, radius=5), "no unit"),
        (lambda c: c.cone_search(CENTRE, radius=5 * u.m), "not an angle"),
        (lambda c: c.cone_search([1, 2], [3, 4], [5, 6, 7]), "as many of each"),
        (lambda c: c.box_search(ra=5), "two limits"),
        (lambda c: c.polygon_search([(0, 0), (1, 1)]), "at least 3"),
        (lambda c: c.polygon_search([(0, 0), (1,), (2, 2)]), "vertices"),
        (lambda c: c.pixel_search([(1, 99)]), "order, number"),
        (lambda c: c.moc_search("no such file.fits"), "neither the path"),
        (lambda c: c.order_search(5, 2), "min_order"),
        (lambda c: c.search([1, 2]), "pixel_search"),
    ],
)
def test_what_cannot_be_searched_is_known_before_anything_is_read(catalog, search, message):
    with pytest.raises(PlanError, match=message):
        search(catalog)


def test_partitions_are_picked_by_any_integer_list_or_mask(catalog):
    n = catalog.npartitions
    every = list(catalog.layout)
    mask = np.arange(n) % 2 == 1
    picks = [
        (np.int64(1), [1]),
        (-1, [n - 1]),
        ([2, 0, 2], [0, 2]),
        (range(2), [0, 1]),
        ([], []),
        (slice(1, 3), [1, 2]),
    ]
    for which, places in [*picks, (mask, np.flatnonzero(mask)), (mask.tolist(), np.flatnonzero(mask))]:
        assert list(catalog.partitions[which].layout) == [every[i] for i in places]
    with pytest.raises(IndexError):
        catalog.partitions[n]
