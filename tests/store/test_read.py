"""Only what is asked for is read, and every read is counted."""

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Pixel, Ranges
from lsdb_ts.store import write
from lsdb_ts.store.cost import estimate
from lsdb_ts.store.footers import footer
from lsdb_ts.store.read import read_rows, recording
from lsdb_ts.store.write import leaf_path, write_leaf
from tests.store.catalogs import places, rows_of_pixel, stars

HOME = Pixel(0, 4)


@pytest.fixture(scope="module")
def table():
    found = rows_of_pixel(stars(6_000, seed=2), HOME)
    return found.set_column(found.schema.get_field_index("id"), "id", pa.array(np.arange(found.num_rows)))


@pytest.fixture(scope="module")
def path(table, tmp_path_factory):
    root = tmp_path_factory.mktemp("cat")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ROW_GROUP_ROWS", 50)
        write_leaf(table, root, HOME)
    return leaf_path(root, HOME)


def test_row_groups_outside_the_wanted_sky_are_not_read(table, path):
    wanted = Ranges.of_cells([HOME.number * 4**4 + 3, HOME.number * 4**4 + 200], 4)
    with recording() as reads:
        found = read_rows(path, ["id", HEALPIX], within=wanted)
    everything = set(table.column("id").to_numpy()[wanted.contains(places(table))].tolist())
    assert everything <= set(found.column("id").to_pylist())
    assert found.num_rows < table.num_rows / 2
    assert found.column_names == ["id", HEALPIX]
    (read,) = reads
    metadata = footer(path).metadata
    assert read.columns == ("id", HEALPIX)
    assert sum(metadata.row_group(g).num_rows for g in read.row_groups) == found.num_rows
    chunks = [
        metadata.row_group(g).column(c)
        for g in read.row_groups
        for c in range(metadata.num_columns)
        if metadata.row_group(g).column(c).path_in_schema in {"id", HEALPIX}
    ]
    assert read.bytes == sum(c.total_compressed_size for c in chunks)
    cost = estimate(path, ["id", HEALPIX], wanted)
    assert (cost.rows, cost.disk) == (found.num_rows, read.bytes)
    assert cost.memory == 2 * 8 * found.num_rows


def test_row_groups_a_bound_excludes_are_not_read(table, path):
    with recording() as reads:
        found = read_rows(path, ["id"], bounds={"id": (100, 150)})
    assert set(range(100, 151)) <= set(found.column("id").to_pylist())
    assert found.num_rows <= 51 + 2 * 50
    assert len(reads[0].row_groups) < footer(path).metadata.num_row_groups
    assert read_rows(path, ["id"], bounds={"id": (None, -1)}).num_rows == 0
    assert read_rows(path, ["id"], bounds={"id": (10**9, None)}).num_rows == 0


def test_bounds_that_say_nothing_exclude_nothing(table, path):
    for bounds in ({"nosuch": (1, 2)}, {"id": ("a", "b")}, {"lc": (1, 2)}, {"id": (None, None)}):
        assert read_rows(path, ["id"], bounds=bounds).num_rows == table.num_rows


def test_parts_of_a_nested_column_are_read_alone(table, path):
    with recording() as reads:
        found = read_rows(path, ["lc.flux", "ra"])
    assert found.column_names == ["lc", "ra"]
    assert [f.name for f in found.schema.field("lc").type] == ["flux"]
    ours, theirs = (t.column("lc").combine_chunks().field("flux") for t in (found, table))
    assert ours.to_pylist() == theirs.to_pylist()
    with recording() as whole:
        read_rows(path, ["lc", "ra"])
    assert reads[0].bytes < whole[0].bytes


def test_recorders_do_not_hear_each_other_once_closed(path):
    with recording() as outer:
        with recording() as inner:
            read_rows(path, ["id"])
        read_rows(path, ["ra"])
    read_rows(path, ["dec"])
    assert [r.columns for r in inner] == [("id",)]
    assert [r.columns for r in outer] == [("id",), ("ra",)]


def test_a_file_without_a_wanted_column_names_both(path):
    with pytest.raises(CatalogError, match=r'Npix=4.parquet has no column "radius"'):
        read_rows(path, ["ra", "radius"])


def test_a_missing_file_names_itself(path):
    with pytest.raises(CatalogError, match="Npix=77"):
        read_rows(path.with_name("Npix=77.parquet"), ["id"])


def test_a_file_written_anew_is_read_anew(table, tmp_path):
    path = leaf_path(tmp_path, HOME)
    write_leaf(table, tmp_path, HOME)
    assert read_rows(path, ["id"]).num_rows == table.num_rows
    write_leaf(table.slice(0, 7), tmp_path, HOME)
    assert read_rows(path, ["id"]).num_rows == 7


def test_bands_inside_light_curves_are_read_across_row_groups(tmp_path, monkeypatch):
    """Arrow cannot join dictionaries inside lists by itself, and bands are stored as such."""
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 2)
    bands = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 1, 0, 2, 2], pa.int8()), ["g", "r", "i"])
    lists = pa.ListArray.from_arrays(pa.array([0, 2, 2, 3, 5, 7], pa.int32()), bands)
    curves = pa.StructArray.from_arrays([lists], names=["band"])
    place = np.array([c.start for c in HOME.children(2)][:5])
    write_leaf(pa.table({HEALPIX: place, "lc": curves}), tmp_path, HOME)
    path = leaf_path(tmp_path, HOME)
    assert footer(path).metadata.num_row_groups > 1
    for columns in (["lc"], ["lc.band"], [HEALPIX, "lc.band"]):
        found = read_rows(path, columns).column("lc").to_pylist()
        assert [row["band"] for row in found] == [["g", "r"], [], ["i"], ["r", "g"], ["i", "i"]]
    assert read_rows(path, ["lc"], bounds={HEALPIX: (None, -1)}).num_rows == 0
