"""An id index finds the places of ids, whatever the ids are and however it was built, and reads little for it."""

import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import CatalogError, PlanError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Layout
from lsdb_ts.store.hats import open_hats, read_properties
from lsdb_ts.store.index import find_ids, open_index
from lsdb_ts.store.index_writer import build_index
from lsdb_ts.store.read import recording
from lsdb_ts.store.source import HatsSource
from tests.store.catalogs import (
    layout_for,
    places,
    stars,
    unsealed,
    write_catalog,
    write_collection,
    write_foreign,
)

N = 3000
BIG = 600_000_000_000_000_000
KINDS = {
    "int64": lambda i: pa.array(i - 1000),
    "uint64": lambda i: pa.array(i.astype(np.uint64) + np.uint64(2**63)),
    "int32": lambda i: pa.array(i.astype(np.int32)),
    "string": lambda i: pa.array([f"é{n:x}" for n in i]),
    "large_string": lambda i: pa.array([f"o{n}" for n in i], pa.large_string()),
    "large": lambda i: pa.array(i + BIG),
}


def named(kind: str, n: int = N, epochs: int = 3) -> pa.Table:
    """Stars whose ids are drawn at random, so that they are in no order of the sky, and repeat."""
    table = stars(n, seed=5)
    numbers = np.random.default_rng(6).permutation(n) // epochs
    return table.set_column(table.column_names.index("id"), "id", KINDS[kind](numbers))


def held(table: pa.Table, wanted: pa.Array) -> set[int]:
    ids = table["id"].to_pylist()
    return {place for place, i in zip(places(table).tolist(), ids, strict=True) if i in set(wanted.to_pylist())}


def some(table: pa.Table, n: int, seed: int = 0) -> pa.Array:
    ids = sorted(set(table["id"].to_pylist()))
    rng = np.random.default_rng(seed)
    return pa.array(sorted(rng.choice(np.array(ids, dtype=object), n, replace=False)), table["id"].type)


@pytest.mark.parametrize("part_rows", [700, 100_000])
@pytest.mark.parametrize("kind", KINDS)
def test_ids_of_any_kind_are_found_where_their_rows_are(tmp_path, kind, part_rows):
    table = named(kind)
    root = write_catalog(tmp_path / "stars", table, layout_for(table, 300))
    report = build_index(root, "id", part_rows=part_rows)
    assert (report.rows, report.nameless, report.built) == (N, 0, True)
    source, wanted = HatsSource(open_hats(root)), some(table, 20)
    found = find_ids(source, "id", wanted)
    assert sorted(found.ids.to_pylist()) == wanted.to_pylist()
    assert set(found.sky.starts.tolist()) <= held(table, wanted)
    assert found.sky.contains(np.array(sorted(held(table, wanted)))).all()
    assert (found.sky.stops - found.sky.starts).max() < 10


def test_an_index_is_sorted_over_all_its_parts(tmp_path):
    table = named("int64")
    build_index(write_catalog(tmp_path / "stars", table, layout_for(table, 300)), "id", part_rows=700)
    folder = tmp_path / "stars_id_index" / "dataset"
    parts = [pq.read_table(folder / "index" / f"part.{i}.parquet") for i in range(5)]
    rows = pa.concat_tables(parts)
    assert rows.column_names == ["id", HEALPIX, "Norder", "Npix"]
    assert rows["id"].to_pylist() == sorted(table["id"].to_pylist())
    assert min(p.num_rows for p in parts) > 300
    assert pq.read_metadata(folder / "_metadata").num_rows == N
    assert read_properties(tmp_path / "stars_id_index" / "hats.properties")["hats_index_column"] == "id"


def dominated(n: int) -> pa.Table:
    """Sources most of which are of one object."""
    table = stars(n, seed=5)
    numbers = np.random.default_rng(6).permutation(n)
    return table.set_column(table.column_names.index("id"), "id", pa.array(np.where(numbers % 20, 7, numbers)))


def n_pairs(table: pa.Table) -> int:
    """Of id and place: what a catalog holds twice is indexed once."""
    return len(set(zip(table["id"].to_pylist(), places(table).tolist(), strict=True)))


def test_an_id_that_fills_many_parts_is_found_everywhere(tmp_path):
    table = dominated(20_000)
    root = write_catalog(tmp_path / "stars", table, layout_for(table, 2000))
    assert build_index(root, "id", part_rows=500).rows == n_pairs(table)
    parts = sorted((tmp_path / "stars_id_index" / "dataset" / "index").glob("*.parquet"))
    assert max(pq.read_metadata(part).num_rows for part in parts) <= 1000
    for wanted in (pa.array([7]), pa.array([0, 7, 20, 19_980])):
        found = find_ids(HatsSource(open_hats(root)), "id", wanted)
        assert found.ids.to_pylist() == wanted.to_pylist()
        assert set(places(table)[found.sky.contains(places(table))].tolist()) == held(table, wanted)


def test_parts_that_the_sampled_leaves_do_not_tell_of_are_dealt_again(tmp_path, monkeypatch):
    """Of the one leaf that is looked at no id is large."""
    monkeypatch.setattr("lsdb_ts.store.index_writer._SAMPLED_LEAVES", 1)
    table = stars(6000, seed=5)
    table = table.set_column(table.column_names.index("id"), "id", pa.array(places(table)))
    root = write_catalog(tmp_path / "stars", table, layout_for(table, 300))
    assert build_index(root, "id", part_rows=400).rows == n_pairs(table)
    index = tmp_path / "stars_id_index" / "dataset" / "index"
    parts = [pq.read_table(index / f"part.{i}.parquet") for i in range(len(list(index.iterdir())))]
    assert len(parts) > 6000 / 800 / 2
    assert max(part.num_rows for part in parts) <= 800
    rows = pa.concat_tables(parts)["id"].to_pylist()
    assert rows == sorted(rows)


BUILD = """
import sys
import pyarrow as pa
from lsdb_ts.store import index_writer
index_writer._SAMPLE = 256
index_writer.build_index(sys.argv[1], "id", part_rows=int(sys.argv[2]))
print(pa.default_memory_pool().max_memory())
"""


def test_memory_is_bounded_by_the_rows_of_a_part_whatever_the_ids(tmp_path):
    table = dominated(600_000)
    root = write_catalog(tmp_path / "stars", table, layout_for(table, 20_000))
    taken = {}
    for part_rows in (20_000, 10**9):
        command = [sys.executable, "-c", BUILD, str(root), str(part_rows)]
        taken[part_rows] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        shutil.rmtree(tmp_path / "stars_id_index")
    bytes_of_a_part = 20_000 * 25
    assert taken[10**9] > 600_000 * 25
    assert taken[20_000] < 12 * bytes_of_a_part


def test_a_look_up_reads_only_the_row_groups_that_can_hold_the_ids(tmp_path, monkeypatch):
    monkeypatch.setattr("lsdb_ts.store.index_writer.GROUP_ROWS", 100)
    table = named("int64")
    root = write_catalog(tmp_path / "stars", table, layout_for(table, 300))
    build_index(root, "id", part_rows=1000)
    with recording() as reads:
        find_ids(HatsSource(open_hats(root)), "id", pa.array([-1000, -999, 10**9]))
    assert [(r.path.name, r.row_groups) for r in reads] == [("part.0.parquet", (0,))]


def test_an_index_in_a_collection_is_listed_there_and_others_stay(tmp_path):
    table = named("int64")
    root = write_collection(tmp_path / "both", table, layout_for(table, 300), 10.0)
    build_index(root, "id")
    told = read_properties(root / "collection.properties")
    assert told["all_indexes"] == "id stars_id_index"
    assert told["default_margin"] == "margin"
    assert open_hats(root).margin is not None
    assert open_index(open_hats(root), "id").folder == root / "stars_id_index"


def test_an_index_that_is_up_to_date_is_kept_and_a_stale_one_is_refused_and_replaced(tmp_path):
    table = named("int64")
    root = write_catalog(tmp_path / "stars", table, layout_for(table, 300))
    build_index(root, "id")
    before = (tmp_path / "stars_id_index" / "dataset" / "_metadata").stat().st_mtime_ns
    assert not build_index(root, "id").built
    assert (tmp_path / "stars_id_index" / "dataset" / "_metadata").stat().st_mtime_ns == before

    properties = unsealed(root / "hats.properties")
    (root / "hats.properties").write_text(properties.replace("hats_creation_date=2", "hats_creation_date=3"))
    with pytest.raises(CatalogError, match=r"older state.*lsdb-ts index"):
        find_ids(HatsSource(open_hats(root)), "id", pa.array([5]))
    assert build_index(root, "id").built
    assert find_ids(HatsSource(open_hats(root)), "id", pa.array([5])) is not None
    assert not list(tmp_path.glob(".*"))


def test_rows_without_an_id_are_counted_and_leave_large_ids_alone(tmp_path):
    table = named("large", epochs=1)
    ids = [None if i % 7 == 0 else i for i in table["id"].to_pylist()]
    table = table.set_column(table.column_names.index("id"), "id", pa.array(ids, pa.int64()))
    root = write_catalog(tmp_path / "stars", table, layout_for(table, 300))
    report = build_index(root, "id", part_rows=700)
    assert report.nameless == ids.count(None) > 100
    wanted = pa.array(sorted(i for i in ids if i is not None)[:50])
    found = find_ids(HatsSource(open_hats(root)), "id", wanted)
    assert found.ids.to_pylist() == wanted.to_pylist()


def test_a_foreign_catalog_without_places_can_be_indexed(tmp_path):
    table = named("int64")
    root = write_foreign(
        tmp_path / "foreign", table, layout_for(table, 300), stored=lambda rows: rows.drop_columns([HEALPIX])
    )
    assert build_index(root, "id").rows == N
    wanted = some(table, 5)
    found = find_ids(HatsSource(open_hats(root)), "id", wanted)
    assert found.sky.contains(np.array(sorted(held(table, wanted)))).all()


def test_an_index_of_pixels_only_and_one_of_places_only_are_read(tmp_path):
    table = named("int64")
    root = write_catalog(tmp_path / "stars", table, layout_for(table, 300))
    build_index(root, "id")
    dataset = tmp_path / "stars_id_index" / "dataset"
    whole = pq.read_table(dataset / "index" / "part.0.parquet")
    wanted = some(table, 5)
    for columns in (["id", "Norder", "Npix"], ["id", HEALPIX]):
        pq.write_table(whole.select(columns), dataset / "index" / "part.0.parquet", row_group_size=100)
        metadata = pq.read_metadata(dataset / "index" / "part.0.parquet")
        metadata.set_file_path("index/part.0.parquet")
        metadata.write_metadata_file(dataset / "_metadata")
        found = find_ids(HatsSource(open_hats(root)), "id", wanted)
        assert found.ids.to_pylist() == wanted.to_pylist()
        assert found.sky.contains(np.array(sorted(held(table, wanted)))).all()


def test_an_index_that_points_beyond_the_catalog_is_refused(tmp_path):
    table = named("int64")
    layout = layout_for(table, 300)
    root = write_catalog(tmp_path / "stars", table, layout)
    build_index(root, "id")
    source = HatsSource(open_hats(root))
    far = places(table)[0]
    kept = layout.take(~((layout.starts <= far) & (layout.stops > far)))
    with pytest.raises(CatalogError, match=r"pixels that .* does not have.*lsdb-ts index"):
        open_index(source.catalog, "id").find(table["id"].slice(0, 1).combine_chunks(), kept)


def test_an_empty_catalog_has_an_empty_index(tmp_path):
    root = write_catalog(tmp_path / "none", named("int64").slice(0, 0), Layout.of([]))
    assert build_index(root, "id").rows == 0
    assert len(find_ids(HatsSource(open_hats(root)), "id", pa.array([1])).ids) == 0


def test_what_holds_no_ids_is_not_indexed(tmp_path):
    table = named("int64")
    root = write_catalog(tmp_path / "stars", table, layout_for(table, 3000))
    with pytest.raises(PlanError, match='"mag" of stars is float: an index is of ids'):
        build_index(root, "mag")
    with pytest.raises(PlanError, match='has no column "idd"; did you mean "id"'):
        build_index(root, "idd")


def test_ids_are_looked_up_behind_a_url_and_indexes_are_built_where_the_files_are(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    table = named("int64")
    root = write_collection(tmp_path / "both", table, layout_for(table, 300), 10.0)
    build_index(root, "id")
    memory = fsspec.filesystem("memory")
    memory.put(str(root), "/looked_up", recursive=True)
    try:
        source = HatsSource(open_hats("memory://looked_up"))
        wanted = some(table, 5)
        found = find_ids(source, "id", wanted)
        assert found.ids.to_pylist() == wanted.to_pylist()
        with pytest.raises(PlanError, match="takes a folder of this machine"):
            build_index("memory://looked_up", "id")
    finally:
        memory.rm("/looked_up", recursive=True)


def test_a_catalog_written_again_within_the_minute_makes_its_index_stale_and_a_copy_does_not(tmp_path):
    table = named("int64")
    root = write_catalog(tmp_path / "stars", table, layout_for(table, 300))
    build_index(root, "id")
    properties = (root / "hats.properties").read_bytes()
    shutil.copytree(tmp_path / "stars", tmp_path / "copy" / "stars")
    shutil.copytree(tmp_path / "stars_id_index", tmp_path / "copy" / "stars_id_index")
    assert find_ids(HatsSource(open_hats(tmp_path / "copy" / "stars")), "id", pa.array([5])) is not None

    shutil.rmtree(root)
    other = table.set_column(table.column_names.index("id"), "id", pa.array(table["id"].to_numpy()[::-1]))
    write_catalog(root, other, layout_for(table, 300))
    (root / "hats.properties").write_bytes(properties)
    with pytest.raises(CatalogError, match="older state"):
        find_ids(HatsSource(open_hats(root)), "id", pa.array([5]))


def test_a_catalog_in_which_no_row_has_an_id_has_an_empty_index(tmp_path):
    table = named("int64")
    table = table.set_column(table.column_names.index("id"), "id", pa.nulls(N, pa.int64()))
    root = write_catalog(tmp_path / "stars", table, layout_for(table, 300))
    report = build_index(root, "id", part_rows=700)
    assert (report.rows, report.nameless) == (0, N)
    assert len(find_ids(HatsSource(open_hats(root)), "id", pa.array([5])).ids) == 0
