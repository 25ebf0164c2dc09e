"""A catalog as a Dask DataFrame: Dask's own operations work on it, light curves and empty catalogs included."""

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.store.read import recording
from tests.skycases import in_memory, objects_table, on_disk

TABLE = objects_table(300)


@pytest.fixture(scope="module")
def curves():
    offsets = np.arange(TABLE.num_rows + 1) * 2
    times = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(np.arange(offsets[-1], dtype=float)))
    nested = pa.StructArray.from_arrays([times], fields=[pa.field("time", times.type)])
    return in_memory(TABLE.append_column("lc", nested), "curves", 50)


def test_dask_counts_filters_and_maps_rows_with_light_curves(curves):
    frame = curves.to_dask()
    assert len(frame) == TABLE.num_rows
    assert len(frame[frame.mag < 20].compute()) == (TABLE["mag"].to_numpy() < 20).sum()
    assert frame.map_partitions(len).compute().sum() == TABLE.num_rows
    assert frame["lc"].compute().nest["time"].tolist() == curves.compute()["lc"].nest["time"].tolist()


def test_a_catalog_without_partitions_is_an_empty_frame(curves):
    nowhere = in_memory(TABLE.append_column("lc", curves.to_arrow()["lc"]).slice(0, 0), "nowhere")
    assert nowhere.npartitions == 0
    frame = nowhere.to_dask().compute()
    assert len(frame) == 0
    assert list(frame.columns) == nowhere.columns


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    table = TABLE.append_column("band", pa.array(np.where(TABLE["mag"].to_numpy() < 20, "g", "r")))
    return on_disk(tmp_path_factory.mktemp("bridge"), table, "objects", 30)


def read_by(compute) -> tuple[set[str], int, int]:
    """Return the columns, the bytes and the row groups that are read."""
    with recording() as reads:
        compute()
    columns = {column for read in reads for column in read.columns} - {"_healpix_29"}
    return columns, sum(read.bytes for read in reads), sum(len(read.row_groups) for read in reads)


def twice_mag(frame):
    def double(part):
        return part[["mag"]].assign(x=part.mag * 2)

    # An empty frame: of a dict Dask cannot take the projected columns.
    meta = double(frame[["mag"]].partitions[0].compute()).iloc[:0]
    return frame.map_partitions(double, required_columns=["mag"], meta=meta)[["x"]]


@pytest.mark.parametrize(
    ("name", "query", "columns"),
    [
        ("a projection", lambda frame: frame[["mag"]], ["mag"]),
        ("a column's mean", lambda frame: frame.mag.mean(), ["mag"]),
        ("a group's mean", lambda frame: frame.groupby("band").mag.mean(), ["band", "mag"]),
        ("a mask", lambda frame: frame[frame.mag < 20][["objectId"]], ["mag", "objectId"]),
        ("an assignment", lambda frame: frame.assign(x=frame.mag + 1)[["x"]], ["mag"]),
        ("a new name", lambda frame: frame.rename(columns={"mag": "m"})[["m"]], ["mag"]),
        (
            "a function that says what it needs",
            twice_mag,
            ["mag"],
        ),
    ],
)
def test_what_dask_projects_is_what_is_read_to_the_byte(stored, name, query, columns):
    alone, asked = read_by(stored[columns].compute), query(stored.to_dask())
    assert alone[0] == set(columns)
    assert read_by(asked.compute) == alone, name


def test_the_partitions_that_dask_picks_are_what_is_read(stored):
    frame = stored.to_dask()
    assert frame.npartitions == stored.npartitions > 3
    for picked in (frame.partitions[1][["mag"]], frame[["mag"]].partitions[1]):
        assert read_by(picked.compute) == read_by(stored.partitions[1][["mag"]].compute)
    assert read_by(frame.partitions[[0, 2]].compute)[2] == read_by(stored.partitions[[0, 2]].compute)[2] == 2


def test_rows_are_pruned_by_filtering_before_the_bridge(stored):
    polar = stored.query("dec > 80")
    columns, size, groups = read_by(polar.to_dask()[["objectId"]].compute)
    assert columns == {"dec", "objectId"}
    frame = stored.to_dask()
    unpruned = read_by(frame[frame.dec > 80][["objectId"]].compute)
    assert unpruned[0] == columns
    assert groups < unpruned[2] / 2
    assert size < unpruned[1] / 2
    assert sorted(polar.to_dask().objectId.compute()) == sorted(polar.compute().objectId)


def test_columns_made_here_are_computed_where_dask_wants_them(stored):
    frame = stored.assign(colour="mag - junk").rename(columns={"mag": "g"}).to_dask()
    assert read_by(frame.colour.max().compute)[0] == {"mag", "junk"}
    assert read_by(frame[["g"]].compute)[0] == {"mag"}
    assert float(frame.colour.max().compute()) == np.max(TABLE["mag"].to_numpy() - TABLE["junk"].to_numpy())
