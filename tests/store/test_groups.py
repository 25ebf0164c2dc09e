"""A row group that many fine pixels want parts of is decoded once; a file that is wanted whole is not kept."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.store import partition, read, write
from lsdb_ts.store.footers import footer
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.kept import Kept
from lsdb_ts.store.read import read_rows, recording
from lsdb_ts.store.source import HatsSource, Request
from tests.store.catalogs import layout_for, places, rows_of_pixel, stars, write_catalog, write_foreign

COLUMNS = (HEALPIX, "id", "lc.flux")


@pytest.fixture(scope="module")
def table():
    return stars(3_000, seed=21)


@pytest.fixture(scope="module")
def source(table, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ROW_GROUP_ROWS", 60)
        root = write_catalog(tmp_path_factory.mktemp("groups") / "coarse", table, layout_for(table, 700))
    return HatsSource(open_hats(root))


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """Give each test a memory of its own."""
    kept = Kept(64 << 20, lambda column: column.nbytes)
    monkeypatch.setattr(read, "DECODED", kept)
    return kept


def fine_pixels(source):
    return [child for leaf in source.layout for child in leaf.children(leaf.order + 3)]


def size_of(path, groups, columns):
    found = footer(path)
    return sum(found.group(g).column(c).total_compressed_size for g in groups for c in found.chunks(columns))


def decoded(reads):
    return [(r.path, g) for r in reads for g in r.row_groups if g not in r.cached]


@pytest.mark.parametrize("halo_arcsec", [0.0, 30.0])
def test_orders_that_differ_by_three_decode_each_row_group_once(source, table, halo_arcsec):
    with recording() as reads, ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda p: source.partition(Request(p, COLUMNS, {}, halo_arcsec)), fine_pixels(source)))
    ids = np.concatenate([part.table.column("id").to_numpy()[part.core] for part in parts])
    assert sorted(ids.tolist()) == sorted(table.column("id").to_pylist())
    everything = {
        (path, g)
        for leaf in source.layout
        for path in source.catalog.leaf_files(leaf)
        for g in range(len(footer(path)))
    }
    assert set(decoded(reads)) == everything
    used = sum(len(r.row_groups) for r in reads)
    assert used > 2 * len(everything)
    # Not one column chunk more often than once, whichever thread came first.
    whole = sum(
        size_of(path, range(len(footer(path))), COLUMNS)
        for leaf in source.layout
        for path in source.catalog.leaf_files(leaf)
    )
    assert sum(r.bytes for r in reads) == whole


def test_what_comes_from_memory_is_marked_and_counts_no_bytes(source):
    small = fine_pixels(source)[0]
    with recording() as reads:
        first, second = (source.partition(Request(small, COLUMNS)) for _ in range(2))
    assert first.table.equals(second.table)
    assert (reads[0].cached, reads[0].bytes > 0) == ((), True)
    assert (reads[1].cached, reads[1].bytes) == (reads[1].row_groups, 0)


def test_a_further_column_is_read_alone(source):
    small = fine_pixels(source)[0]
    source.partition(Request(small, COLUMNS))
    with recording() as reads:
        part = source.partition(Request(small, (*COLUMNS, "mag")))
    (one,) = reads
    assert one.cached == ()
    assert one.bytes == size_of(one.path, one.row_groups, ["mag"])
    assert part.table.column_names == [HEALPIX, "id", "mag", "lc"]


def test_whole_leaves_are_read_plainly(source, memory):
    for leaf in source.layout:
        source.partition(Request(leaf, COLUMNS))
    assert memory.bytes == 0


def test_what_is_kept_stays_within_its_limit(source, table, memory):
    memory.limit_bytes = 4000
    for pixel in fine_pixels(source):
        part = source.partition(Request(pixel, COLUMNS))
        assert part.table.column("id").to_pylist() == rows_of_pixel(table, pixel).column("id").to_pylist()
        assert memory.bytes <= 4000


def test_a_few_rows_do_not_hold_a_row_group_in_memory(source):
    pixel = next(p for p in fine_pixels(source) if 0 < len(source.partition(Request(p, COLUMNS))) < 10)
    held = source.partition(Request(pixel, COLUMNS)).table
    assert held.get_total_buffer_size() < 4 * held.nbytes + 1000


def test_a_file_written_anew_is_not_taken_from_memory(table, tmp_path):
    pixel = layout_for(table, 10_000)[0]
    rows = rows_of_pixel(table, pixel)
    within = next(iter(pixel.children(pixel.order + 2)))
    root = tmp_path / "anew"
    for expected in (rows, rows.slice(0, rows.num_rows // 2)):
        write_catalog(root, expected, layout_for(table, 10_000).take([0]))
        found = HatsSource(open_hats(root)).partition(Request(within, ("id",))).table
        assert found.column("id").to_pylist() == rows_of_pixel(expected, within).column("id").to_pylist()


def test_rows_come_sorted_from_row_groups_in_any_order(table, tmp_path):
    rng = np.random.default_rng(5)
    layout = layout_for(table, 10_000)
    shuffled = table.take(pa.array(rng.permutation(table.num_rows)))
    root = write_catalog(tmp_path / "cat", table, layout)
    source = HatsSource(open_hats(root))
    for leaf in layout:
        place = places(shuffled)
        inside = shuffled.filter(pa.array((place >= leaf.start) & (place < leaf.stop)))
        pq.write_table(inside, source.catalog.leaf_path(leaf), row_group_size=100)
    flux = dict(zip(table.column("id").to_pylist(), table.column("lc").to_pylist(), strict=True))
    for pixel in [*layout, *fine_pixels(source)[:5], *layout]:
        part = source.partition(Request(pixel, (HEALPIX, "id"), {}, 20.0))
        curves = source.partition(Request(pixel, ("id", "lc"), {}, 20.0)).table
        assert curves.column("id").equals(part.table.column("id"))
        assert [flux[i] for i in curves.column("id").to_pylist()] == curves.column("lc").to_pylist()
        place = places(part.table)
        assert (place[1:] >= place[:-1]).all()
        expected = rows_of_pixel(table, pixel).column("id").to_pylist()
        assert sorted(part.table.column("id").to_numpy()[part.core].tolist()) == sorted(expected)


def test_rows_in_no_order_are_sorted_once(table, tmp_path, monkeypatch):
    source = HatsSource(open_hats(write_foreign(tmp_path / "cat", table, layout_for(table, 10_000))))
    sorting = []
    monkeypatch.setattr(read, "order_of", lambda place: sorting.append(place.size) or partition.order_of(place))
    pixels = fine_pixels(source)
    for pixel in pixels:
        found = source.partition(Request(pixel, (HEALPIX, "id"))).table
        assert found.column(HEALPIX).to_pylist() == rows_of_pixel(table, pixel).column(HEALPIX).to_pylist()
    assert len(sorting) == len(source.layout) < len(pixels)


def test_a_column_that_is_missing_is_named_whichever_way_rows_are_read(source):
    path = source.catalog.leaf_files(source.layout[0])[0]
    for within in (None, source.layout.take([1]).ranges):
        with pytest.raises(CatalogError, match='no column "nosuch"'):
            read_rows(path, ["nosuch.part"], within)
