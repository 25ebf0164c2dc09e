"""Margins: whoever stands at a pixel's edge finds every neighbour in the radius, and none of the pixel's own rows."""

import numpy as np
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from cdshealpix.nested import lonlat_to_healpix

from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Layout, Pixel
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.read import read_rows
from partitioner import Survey, run

ORDER = 29


def within_reach(table: pa.Table, radius_arcsec: float) -> set[tuple[int, int]]:
    """Find (row, order-29 pixel) for points on circles of at most the radius around each row, with other libraries."""
    here = SkyCoord(table.column("coord_ra").to_numpy() * u.deg, table.column("coord_dec").to_numpy() * u.deg)
    found: set[tuple[int, int]] = set()
    for angle in np.arange(0, 360, 15) * u.deg:
        for part in (0.3, 0.7, 0.999):
            there = here.directional_offset_by(angle, radius_arcsec * part * u.arcsec)
            pixels = lonlat_to_healpix(there.ra, there.dec, ORDER).astype(np.int64)
            found.update(enumerate(pixels.tolist()))
    return found


def margin_rows(path) -> dict[Pixel, pa.Table]:
    margin = open_hats(path).margin
    return {p: read_rows(margin.leaf_path(p), ["objectId", HEALPIX]) for p in margin.layout}


def targets_of(path) -> Layout:
    layout = open_hats(path).layout
    return Layout.of([*layout, *layout.complement()])


def test_every_row_within_the_radius_of_a_pixel_is_in_its_margin(raw, finished):
    margins = {p: set(t.column("objectId").to_pylist()) for p, t in margin_rows(finished).items()}
    ids = raw.objects.column("objectId").to_pylist()
    targets = targets_of(finished)
    home = targets.leaf_of(
        lonlat_to_healpix(
            raw.objects.column("coord_ra").to_numpy() * u.deg, raw.objects.column("coord_dec").to_numpy() * u.deg, ORDER
        ).astype(np.int64)
    )
    reached = within_reach(raw.objects, 20.0)
    rows, pixels = (np.array(x) for x in zip(*reached, strict=True))
    target = targets.leaf_of(pixels)
    abroad = target != home[rows]

    missing = [
        (targets[t], ids[r])
        for r, t in zip(rows[abroad].tolist(), target[abroad].tolist(), strict=True)
        if ids[r] not in margins.get(targets[t], ())
    ]

    assert abroad.sum() > 500
    assert not missing


def test_no_margin_holds_rows_of_its_own_pixel_and_none_twice(finished):
    for pixel, table in margin_rows(finished).items():
        place = table.column(HEALPIX).to_numpy()
        assert not ((place >= pixel.start) & (place < pixel.stop)).any()
        assert (np.diff(place) >= 0).all()
        assert len(set(table.column("objectId").to_pylist())) == table.num_rows


def test_margin_rows_are_those_of_the_catalog_light_curves_and_all(finished, rows_of):
    rows = {row["objectId"]: row for row in rows_of(finished).to_pylist()}

    for row in rows_of(finished, margin=True).to_pylist():
        assert row == rows[row["objectId"]]


def test_a_margin_says_how_wide_it_is_and_whose_it_is(finished):
    margin = open_hats(finished).margin

    assert margin.path.name == "sim_20arcs"
    assert margin.margin_arcsec == 20.0
    assert margin.properties["hats_primary_table_url"] == "sim"
    assert margin.schema.equals(open_hats(finished).schema, check_metadata=True)


def test_a_margin_without_rows_is_one_all_the_same(tmp_path):
    pa.parquet.write_table(pa.table({"ra": [45.0], "dec": [1.0]}), tmp_path / "in.parquet")

    run(Survey.of_single_table(str(tmp_path / "in.parquet"), ra="ra", dec="dec"), tmp_path / "out")

    margin = open_hats(tmp_path / "out").margin
    assert (margin.n_rows, margin.margin_arcsec) == (0, 5.0)


@pytest.mark.parametrize("margin_arcsec", [0.5, 3600.0])
def test_margins_far_thinner_or_wider_than_the_pixels_can_be_made(raw, tmp_path, margin_arcsec):
    survey = Survey.of_single_table(
        str(raw.folder / "object-*.parquet"), "coord_ra", "coord_dec", max_rows=40, margin_arcsec=margin_arcsec
    )

    account = run(survey, tmp_path / "out")

    assert account.catalogs[0].margin_rows > 0
    assert open_hats(tmp_path / "out").margin.margin_arcsec == margin_arcsec
