"""Bands coded as dictionaries inside light curves are read as text, from however many row groups."""

import pyarrow as pa
import pytest

from lsdb_ts.catalog import open_catalog
from lsdb_ts.schema import HEALPIX, is_nested, plain_nested
from lsdb_ts.sky import Pixel, spatial_index
from lsdb_ts.store import write
from lsdb_ts.store.finish import CatalogInfo, finish_catalog
from lsdb_ts.store.partition import sorted_by_place
from tests.skycases import objects_table

BANDS = pa.list_(pa.dictionary(pa.int8(), pa.string()))


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 40)
    table = objects_table(400)
    table = table.add_column(0, HEALPIX, pa.array(spatial_index(table["ra"].to_numpy(), table["dec"].to_numpy())))
    bands = pa.array([[("g", "r")[i % 2], "i"] for i in range(400)]).cast(BANDS)
    times = pa.array([[float(i), i + 0.5] for i in range(400)])
    table = sorted_by_place(table.append_column("lc", pa.StructArray.from_arrays([times, bands], ["t", "band"])))
    place = table[HEALPIX].to_numpy()
    leaves = []
    for number in range(12):
        pixel = Pixel(0, number)
        rows = table.filter(pa.array((place >= pixel.start) & (place < pixel.stop)))
        if rows.num_rows:
            leaves.append(write.write_leaf(rows, tmp_path / "coded", pixel))
    finish_catalog(tmp_path / "coded", CatalogInfo("coded", "object", table.schema, "ra", "dec"), leaves)
    return open_catalog(tmp_path / "coded"), table


def test_coded_bands_come_back_as_text(catalog):
    opened, table = catalog
    assert opened.schema.field("lc").type.field("band").type == pa.list_(pa.string())
    assert is_nested(opened.schema.field("lc"))
    got, expected = opened.to_arrow(), table.cast(plain_nested(table.schema))
    by_id = [("objectId", "ascending")]
    assert got.sort_by(by_id)["lc"].to_pylist() == expected.sort_by(by_id)["lc"].to_pylist()


def test_a_query_on_coded_bands_means_the_text(catalog):
    opened, table = catalog
    kept = opened.query("lc.band == 'g'").to_arrow()["lc"].to_pylist()
    assert sum(len(curve["t"]) for curve in kept) == sum(c["band"].count("g") for c in table["lc"].to_pylist()) > 100
