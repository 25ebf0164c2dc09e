"""The one idea: what is asked at the root is what is read at the scans, and nothing else."""

import pyarrow.parquet as pq
import pytest

from lsdb_ts.sky import Pixel, border
from lsdb_ts.store.read import recording
from lsdb_ts.testing import assert_lazy, assert_reads
from tests.skycases import in_memory, neighbours_table, objects_table, on_disk


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    table = objects_table()
    left = on_disk(folder, table, "objects", max_rows=300)
    right = on_disk(folder, neighbours_table(table), "stars", max_rows=300)
    return left, right


def test_two_columns_of_one_pixel_of_a_filtered_crossmatch_read_just_those_and_their_neighbourhood(pair):
    left, right = pair
    pixel = left.layout[len(left.layout) // 2]
    matched = left.query("mag < 20").crossmatch(right, 1.0)[["objectId", "gmag"]].partitions[pixel]

    with (
        assert_reads({"objectId", "ra", "dec", "mag"}, "objects"),
        assert_reads({"gmag", "ra", "dec"}, "stars") as reads,
    ):
        frame = matched.compute()

    assert list(frame.columns) == ["objectId", "gmag"]
    assert len(frame) > 0
    left_files = {r.path for r in reads if "objects" in str(r.path)}
    assert len(left_files) == 1
    right_files = {r.path for r in reads if "stars" in str(r.path)}
    around = border(pixel, 1.0)
    near = [
        p
        for p in right.layout
        if around.overlaps([p.start], [p.stop])[0] or (p.start < pixel.stop and pixel.start < p.stop)
    ]
    assert right_files == {right.plan.source.catalog.leaf_path(p) for p in near}
    assert len(near) < right.npartitions
    assert len(reads) == len(left_files) + len(right_files), "each file is read once"


def test_columns_asked_for_last_are_the_ones_read_whatever_was_opened(pair):
    left, _ = pair
    with assert_reads({"mag"}):
        left[["mag"]].compute()


def test_verbs_and_plans_read_no_rows(pair):
    left, right = pair
    with assert_lazy():
        query = left.query("mag < 20 and junk > 0").cone_search(0.0, 0.0, 3600.0).crossmatch(right, 2.0)
        query.explain()
        assert query.npartitions >= 1
        repr(query)
        query._repr_html_()
        query.to_dask()
        len(left)


def test_a_dask_projection_reaches_the_parquet_reader(pair):
    left, right = pair
    frame = left.crossmatch(right, 1.0).to_dask()
    with assert_reads({"objectId", "ra", "dec"}, "objects"), assert_reads({"ra", "dec"}, "stars") as reads:
        one = frame[["objectId"]].partitions[3].compute(scheduler="sync")
    assert list(one.columns) == ["objectId"]
    assert len({r.path for r in reads if "objects" in str(r.path)}) == 1


def test_a_cone_reads_only_the_partitions_it_touches(pair):
    left, _ = pair
    with recording() as reads:
        found = left.cone_search(45.0, 41.8103, 5.0).compute()
    assert len({r.path for r in reads}) <= 4 < left.npartitions
    inside = in_memory(objects_table(), "all").cone_search(45.0, 41.8103, 5.0).compute()
    assert sorted(found.objectId) == sorted(inside.objectId)


def _id_range(path):
    ids = pq.read_table(path, columns=["objectId"])["objectId"].to_numpy()
    return ids.min(), ids.max()


def test_a_predicate_skips_row_groups_by_their_statistics(pair, tmp_path):
    left, _ = pair
    with recording() as reads:
        found = left.query("objectId == 1234").compute()
    assert found.objectId.tolist() == [1234]
    may_hold = [r.path for r in reads if _id_range(r.path)[0] <= 1234 <= _id_range(r.path)[1]]
    assert [r.path for r in reads if r.row_groups] == may_hold
    with recording() as nothing:
        assert len(left.query("mag > 90")) == 0
    assert all(not r.row_groups and r.bytes == 0 for r in nothing)


def test_picking_a_pixel_that_holds_leaves_picks_them_all(pair):
    left, _ = pair
    base = Pixel(0, 3)
    inside = [p for p in left.layout if p.start < base.stop and p.stop > base.start]
    assert list(left.partitions[base].layout) == inside
