"""What we finish is HATS, and what is no finished catalog says what it is."""

import hats
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from hats.io.validation import is_valid_catalog, is_valid_collection

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import unit_of, with_unit
from lsdb_ts.sky import Layout
from lsdb_ts.sky.pixel import cell_of
from lsdb_ts.store.hats import WORK, open_hats
from lsdb_ts.store.skymap import read_skymap
from tests.store.catalogs import (
    layout_for,
    places,
    rows_of_pixel,
    stars,
    write_catalog,
    write_collection,
    write_foreign,
)


@pytest.fixture(scope="module")
def table():
    found = stars(3_000, seed=3)
    return found.cast(found.schema.set(4, with_unit(found.schema.field("mag"), "mag")))


@pytest.fixture(scope="module")
def layout(table):
    return layout_for(table, 300)


@pytest.fixture(scope="module")
def root(table, layout, tmp_path_factory):
    return write_catalog(
        tmp_path_factory.mktemp("cat") / "stars", table, layout, default_columns=("id", "mag"), extra={"survey": "hard"}
    )


def test_the_hats_library_reads_what_we_finish(root, table, layout):
    theirs = hats.read_hats(root)
    assert [(p.order, p.pixel) for p in theirs.get_healpix_pixels()] == [(p.order, p.number) for p in layout]
    assert theirs.catalog_info.total_rows == table.num_rows
    assert (theirs.catalog_info.ra_column, theirs.catalog_info.dec_column) == ("ra", "dec")
    assert theirs.catalog_info.default_columns == ["id", "mag"]
    assert theirs.schema.names == table.schema.names
    assert is_valid_catalog(root, strict=True, verbose=False)


def test_we_open_what_we_finish(root, table, layout):
    catalog = open_hats(root)
    assert (catalog.name, catalog.kind, catalog.n_rows) == ("stars", "object", table.num_rows)
    assert (catalog.ra, catalog.dec, catalog.margin) == ("ra", "dec", None)
    assert list(catalog.layout) == list(layout)
    assert catalog.schema.equals(table.schema)
    assert unit_of(catalog.schema.field("mag")) == "mag"
    assert catalog.properties["survey"] == "hard"
    for pixel in layout:
        (file,) = catalog.leaf_files(pixel)
        assert pq.read_table(file, partitioning=None).equals(rows_of_pixel(table, pixel))


def test_the_skymap_counts_every_row(root, table):
    order, cells, rows = read_skymap(root)
    expected = np.unique(cell_of(places(table), order), return_counts=True)
    assert np.array_equal(cells, expected[0])
    assert np.array_equal(rows, expected[1])


def test_all_footers_are_in_metadata_breadth_first(root, layout, table):
    metadata = pq.read_metadata(root / "dataset" / "_metadata")
    assert metadata.num_rows == table.num_rows
    paths = [metadata.row_group(g).column(0).file_path for g in range(metadata.num_row_groups)]
    leaves = sorted(layout)
    assert paths == [f"Norder={p.order}/Dir={p.number // 10_000 * 10_000}/Npix={p.number}.parquet" for p in leaves]


def test_a_catalog_without_rows_opens(table, tmp_path):
    catalog = open_hats(write_catalog(tmp_path / "empty", table.slice(0, 0), Layout.of([])))
    assert len(catalog.layout) == 0
    assert catalog.n_rows == 0
    assert catalog.schema.equals(table.schema)


def test_a_collection_opens_as_its_primary_with_its_margin(table, layout, tmp_path):
    catalog = open_hats(write_collection(tmp_path / "both", table, layout, margin_arcsec=20.0))
    assert catalog.name == "stars"
    assert catalog.margin is not None
    assert catalog.margin.kind == "margin"
    assert catalog.margin.margin_arcsec == 20.0
    theirs = hats.read_hats(tmp_path / "both")
    assert theirs.main_catalog.catalog_info.total_rows == table.num_rows
    assert is_valid_collection(tmp_path / "both", strict=True, verbose=False)


@pytest.mark.parametrize("as_folders", [False, True])
def test_a_foreign_catalog_without_a_listing_is_found_by_its_files(table, layout, tmp_path, as_folders):
    catalog = open_hats(write_foreign(tmp_path / "foreign", table, layout, as_folders=as_folders))
    assert list(catalog.layout) == list(layout)
    assert len(catalog.leaf_files(layout[0])) == (2 if as_folders else 1)
    (tmp_path / "foreign" / "dataset" / "_common_metadata").unlink()
    names = open_hats(tmp_path / "foreign").schema.names
    assert set(names) == set(table.schema.names), "columns come from a file where no metadata tells them"


def test_a_folder_that_is_no_finished_catalog_says_what_it_is(tmp_path):
    with pytest.raises(CatalogError, match="nowhere is not a folder"):
        open_hats(tmp_path / "nowhere")
    for name, entry, message in (
        ("plain", "some.txt", "not a HATS catalog"),
        ("half", f"{WORK}/run.json", "half-done run: start the same command again"),
        ("old", "catalog_info.json", "HiPSCat catalog.*hats-import"),
    ):
        (tmp_path / name / entry).parent.mkdir(parents=True)
        (tmp_path / name / entry).write_text("{}")
        with pytest.raises(CatalogError, match=message):
            open_hats(tmp_path / name)


def test_an_index_is_no_catalog_to_query(tmp_path):
    (tmp_path / "hats.properties").write_text("obs_collection=ids\ndataproduct_type=index\n")
    with pytest.raises(CatalogError, match="'index' product; need an object, source or margin catalog"):
        open_hats(tmp_path)


def test_a_catalog_without_any_file_or_schema_says_so(tmp_path):
    (tmp_path / "hats.properties").write_text("obs_collection=x\ndataproduct_type=object\n")
    (tmp_path / "dataset").mkdir()
    with pytest.raises(CatalogError, match="no dataset/_common_metadata and no partition file"):
        open_hats(tmp_path)


def test_notes_of_pandas_in_the_schema_are_not_believed(table, layout, tmp_path):
    root = write_catalog(tmp_path / "noted", table, layout)
    noted = table.schema.with_metadata({b"pandas": b'{"index_columns": ["id"]}', b"kept": b"1"})
    pq.write_metadata(noted, root / "dataset" / "_common_metadata")
    assert open_hats(root).schema.metadata == {b"kept": b"1"}
    assert pa.schema(open_hats(root).schema).names == table.schema.names


def test_a_skymap_that_does_not_tell_its_order_is_an_error_that_names_it(tmp_path):
    fits.HDUList(
        [fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("VALUE", "K", array=[1] * 12)])]
    ).writeto(tmp_path / "skymap.fits")
    with pytest.raises(CatalogError, match=r"cannot read the skymap .*skymap\.fits.*NSIDE"):
        read_skymap(tmp_path)


@pytest.mark.parametrize("rows", ["0,51", "0,q", "-1,0", "30,1"])
def test_a_list_of_partitions_that_names_none_is_refused(table, layout, tmp_path, rows):
    root = write_catalog(tmp_path / "stars", table, layout)
    (root / "partition_info.csv").write_text(f"Norder,Npix\n{rows}\n")

    with pytest.raises(CatalogError, match=r"(?s)partition_info.csv.*restore it from a copy"):
        open_hats(root)
