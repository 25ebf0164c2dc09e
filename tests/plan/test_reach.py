"""The sky near the rows of one side is drawn closely, and once for all who ask."""

import numpy as np
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.plan.matching import reach
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import spatial_index
from lsdb_ts.sky.pixel import neighbours
from lsdb_ts.store.partition import sorted_by_place
from lsdb_ts.store.read import recording
from lsdb_ts.store.sidecar_writer import build_sidecar
from tests.store.catalogs import layout_for, write_catalog

N_ROWS = 40_000
ROW_BYTES = 32


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(40.0, 42.0, N_ROWS), rng.uniform(10.0, 12.0, N_ROWS)
    place = spatial_index(ra, dec)
    return sorted_by_place(pa.table({HEALPIX: place, "id": np.arange(N_ROWS), "ra": ra, "dec": dec}))


@pytest.fixture(scope="module")
def catalogs(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reach")
    opened = []
    for name in "abc":
        root = write_catalog(folder / name, table, layout_for(table, 15_000))
        build_sidecar(root, ["id"])
        opened.append(lt.open_catalog(root))
    return opened


def seen_in(table, k):
    return table.take(np.linspace(0, N_ROWS - 1, k).astype(int)).drop_columns([HEALPIX])


@pytest.mark.parametrize("k", [10, 300, 3_000])
def test_positions_take_about_as_many_rows_of_a_sidecar_as_they_are(k, table, catalogs):
    seen = lt.from_dataframe(seen_in(table, k), name="seen")
    with recording() as reads:
        found = seen.crossmatch(catalogs[0], radius_arcsec=1.0, suffixes=("_a", "_b")).to_arrow()
    assert found["id_a"].equals(found["id_b"])
    assert found.num_rows == k
    assert k * ROW_BYTES <= sum(read.bytes for read in reads) <= 1.5 * k * ROW_BYTES


def test_a_chain_of_matches_draws_the_sky_near_its_positions_once_a_pixel(table, catalogs, monkeypatch):
    drawn = []
    monkeypatch.setattr(reach, "neighbours", lambda cells, order: drawn.append(order) or neighbours(cells, order))
    seen = lt.from_dataframe(seen_in(table, 500), name="seen")
    chain = lt.crossmatch([seen, *catalogs], radius_arcsec=1.0)
    assert chain.to_arrow().num_rows == 500
    assert len(drawn) == chain.npartitions


def test_partitions_without_positions_are_no_piece_of_work(table, catalogs):
    one = catalogs[0].layout[0]
    place = table[HEALPIX].to_numpy()
    inside = table.filter(pa.array((place >= one.start) & (place < one.stop))).slice(0, 50).drop_columns([HEALPIX])
    chain = lt.crossmatch([lt.from_dataframe(inside, name="seen"), *catalogs], radius_arcsec=1.0)
    assert list(chain.layout) == [one]


def test_positions_of_other_partitions_are_not_looked_up_in_this_one(table, catalogs):
    one = catalogs[0].layout[0]
    place = table[HEALPIX].to_numpy()
    # Twenty rows on either side of an edge, none of them next to it.
    edge = int(np.searchsorted(place, one.stop))
    seen = lt.from_dataframe(table.slice(edge - 20, 40).drop_columns([HEALPIX]), name="seen")
    with recording() as reads:
        assert seen.crossmatch(catalogs[0], radius_arcsec=1.0).to_arrow().num_rows == 40
    assert sum(read.bytes for read in reads) == 40 * ROW_BYTES
