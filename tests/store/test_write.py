"""A leaf is written whole or not at all, cut along the sky, and a flipped bit is noticed."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import CatalogError, InputError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Pixel
from lsdb_ts.sky.pixel import cell_of
from lsdb_ts.store import write
from lsdb_ts.store.encoding import COMPRESSION_LEVEL, LIGHT_LEVEL, Encoding
from lsdb_ts.store.read import read_rows
from lsdb_ts.store.write import Leaf, atomic, begin_leaf, leaf_path, write_leaf
from tests.store.catalogs import places, rows_of_pixel, stars

HOME = Pixel(0, 4)


@pytest.fixture(scope="module")
def table():
    return rows_of_pixel(stars(8_000, seed=1), HOME)


def files_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_what_is_written_is_what_is_read(table, tmp_path):
    leaf = write_leaf(table, tmp_path, HOME)
    path = leaf_path(tmp_path, HOME)
    assert files_in(tmp_path) == ["dataset/Norder=0/Dir=0/Npix=4.parquet"]
    assert pq.read_table(path, partitioning=None).equals(table)
    assert (leaf.pixel, leaf.rows, leaf.bytes) == (HOME, table.num_rows, path.stat().st_size)
    cells, counts = np.unique(cell_of(places(table), leaf.skymap_order), return_counts=True)
    assert leaf.skymap == tuple(zip(cells.tolist(), counts.tolist(), strict=True))
    assert Leaf.from_json(leaf.to_json()) == leaf


def test_a_leaf_without_rows_is_a_file_without_rows(table, tmp_path):
    assert write_leaf(table.slice(0, 0), tmp_path, HOME).rows == 0
    assert pq.read_table(leaf_path(tmp_path, HOME), partitioning=None).schema.equals(table.schema)


def test_a_failure_leaves_nothing_and_keeps_what_was_there(tmp_path):
    path = tmp_path / "file"

    def write_half():
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_half()
    assert files_in(tmp_path) == []
    path.write_text("old")
    with pytest.raises(RuntimeError, match="killed"):
        write_half()
    assert path.read_text() == "old"
    assert files_in(tmp_path) == ["file"]


def test_a_write_that_fails_midway_leaves_no_leaf(table, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(write.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_leaf(table, tmp_path, HOME)
    assert files_in(tmp_path) == []


def test_unsorted_rows_are_refused(table, tmp_path):
    with pytest.raises(InputError, match=r"Pixel\(0, 4\) are not sorted by _healpix_29"):
        write_leaf(table.take(pa.array([1, 0])), tmp_path, HOME)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(("limit", "value"), [("ROW_GROUP_ROWS", 100), ("ROW_GROUP_BYTES", 8_000)])
def test_row_groups_are_bounded_and_cut_along_sub_pixels(table, tmp_path, monkeypatch, limit, value):
    monkeypatch.setattr(write, limit, value)
    write_leaf(table, tmp_path, HOME)
    metadata = pq.read_metadata(leaf_path(tmp_path, HOME))
    rows = [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)]
    bound = 100 if limit == "ROW_GROUP_ROWS" else 8 * 8_000 * table.num_rows // write.memory_bits(table)
    assert sum(rows) == table.num_rows
    assert max(rows) <= bound
    assert len(rows) <= 3 * table.num_rows / bound + 2, "not cut finer than needed"
    place = places(table)
    cuts = np.cumsum(rows)[:-1]
    # A cut between different places lies on the edge of a sub-pixel of some common order.
    real = cuts[place[cuts] != place[cuts - 1]]
    depth = next(k for k in range(30) if (cell_of(place[real], k) != cell_of(place[real - 1], k)).all())
    assert all(a <= b for a, b in itertools.pairwise(cell_of(place, depth).tolist()))
    assert len(real) > 3


def test_rows_at_one_position_are_cut_anywhere(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 10)
    one_place = pa.table({HEALPIX: np.full(95, HOME.start + 5), "x": np.arange(95.0)})
    write_leaf(one_place, tmp_path, HOME)
    metadata = pq.read_metadata(leaf_path(tmp_path, HOME))
    assert [metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)] == [10] * 9 + [5]


def test_columns_are_encoded_sorted_and_compressed_as_promised(table, tmp_path):
    # The index need not come first, and nested columns count as several in Parquet.
    write_leaf(table.select(["lc", "id", HEALPIX, "mag", "ra"]), tmp_path, HOME)
    group = pq.read_metadata(leaf_path(tmp_path, HOME)).row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    for name in ("mag", "ra", "lc.t.list.element", "lc.flux.list.element"):
        assert "BYTE_STREAM_SPLIT" in columns[name].encodings, name
    assert "DELTA_BINARY_PACKED" in columns[HEALPIX].encodings
    assert {c.compression for c in columns.values()} == {"ZSTD"}
    assert all(c.has_column_index and c.statistics is not None for c in columns.values())
    (sorting,) = group.sorting_columns
    assert group.column(sorting.column_index).path_in_schema == HEALPIX


def test_numbers_that_hardly_repeat_get_no_dictionary_and_others_do(tmp_path):
    n = 5_000
    table = pa.table(
        {
            HEALPIX: np.arange(n) + HOME.start,
            "id": np.random.default_rng(1).permutation(n),
            "flags": np.arange(n, dtype=np.int32) % 8,
            "lc": pa.array([{"visit": [k, k + n]} for k in range(n)], pa.struct([("visit", pa.list_(pa.int64()))])),
        }
    )
    write_leaf(table, tmp_path, HOME)
    group = pq.read_metadata(leaf_path(tmp_path, HOME)).row_group(0)
    encodings = {group.column(i).path_in_schema: group.column(i).encodings for i in range(group.num_columns)}
    assert "DELTA_BINARY_PACKED" in encodings["id"]
    assert "RLE_DICTIONARY" in encodings["flags"]
    assert "DELTA_BINARY_PACKED" in encodings["lc.visit.list.element"]
    assert pq.read_table(leaf_path(tmp_path, HOME)).equals(table)


def test_what_compression_does_not_shorten_is_stored_as_it_is_and_all_else_compressed(tmp_path):
    n = 5_000
    random = np.random.default_rng(2)
    texts = [f"object-{k}" for k in range(n)]
    table = pa.table(
        {
            HEALPIX: np.sort(random.integers(HOME.start, HOME.stop, n)),
            "noise.id": random.integers(0, 1 << 60, n),
            "even": np.arange(n) * 16,
            "mag": random.normal(size=n),
            "name": texts,
            "band": ["g", "r"] * (n // 2),
            "tags": pa.array([[(text, k)] for k, text in enumerate(texts)], pa.map_(pa.string(), pa.int64())),
        }
    )
    write_leaf(table, tmp_path, HOME)
    group = pq.read_metadata(leaf_path(tmp_path, HOME)).row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    bare = {name for name, column in columns.items() if column.compression == "UNCOMPRESSED"}
    assert bare == {HEALPIX, "noise.id"}
    assert {c.compression for name, c in columns.items() if name not in bare} == {"ZSTD"}
    assert "RLE_DICTIONARY" not in columns["name"].encodings
    assert "RLE_DICTIONARY" in columns["band"].encodings
    assert pq.read_table(leaf_path(tmp_path, HOME), page_checksum_verification=True).equals(table)
    first = leaf_path(tmp_path, HOME).read_bytes()
    write_leaf(table, tmp_path / "again", HOME)
    assert leaf_path(tmp_path / "again", HOME).read_bytes() == first


def test_floats_that_are_noise_are_compressed_lightly_and_cost_little_room_for_it(tmp_path):
    n = 20_000
    random = np.random.default_rng(3)
    table = pa.table(
        {
            HEALPIX: np.sort(random.integers(HOME.start, HOME.stop, n)),
            "noise": random.normal(size=n),
            "coarse": np.round(np.repeat(random.normal(size=n // 4), 4), 2),
            "few": pa.array([None] * (n - 3) + [0.25, 0.5, np.inf]),
        }
    )
    assert Encoding.of(table).light == {"noise"}
    assert Encoding.of(table.slice(0, 4_000)).light == set()
    options = Encoding.of(table).options()
    assert options["compression_level"] == {"noise": LIGHT_LEVEL, "coarse": COMPRESSION_LEVEL, "few": COMPRESSION_LEVEL}
    write_leaf(table, tmp_path, HOME)
    assert pq.read_table(leaf_path(tmp_path, HOME), page_checksum_verification=True).equals(table)
    for name in ("noise", "coarse"):
        full, chosen = (
            _written_bytes(table, name, level) for level in (COMPRESSION_LEVEL, options["compression_level"][name])
        )
        assert chosen <= 1.03 * full
        assert name == "noise" or _written_bytes(table, name, LIGHT_LEVEL) > 1.03 * full


def _written_bytes(table, name, level):
    file = pa.BufferOutputStream()
    split = {"use_dictionary": False, "column_encoding": {name: "BYTE_STREAM_SPLIT"}}
    pq.write_table(table.select([name]), file, compression="zstd", compression_level=level, **split)
    return file.tell()


def test_a_leaf_has_its_name_only_once_it_is_on_disk(table, tmp_path):
    unflushed = begin_leaf(table, tmp_path, HOME)
    assert not leaf_path(tmp_path, HOME).exists()
    assert unflushed.flush() == write_leaf(table, tmp_path / "again", HOME)
    assert files_in(tmp_path / "again") == [p for p in files_in(tmp_path) if not p.startswith("again")]


def test_a_flipped_bit_in_any_column_makes_reading_fail(table, tmp_path):
    write_leaf(table, tmp_path, HOME)
    path = leaf_path(tmp_path, HOME)
    whole = path.read_bytes()
    group = pq.read_metadata(path).row_group(0)
    for i in range(group.num_columns):
        column = group.column(i)
        damaged = bytearray(whole)
        damaged[column.data_page_offset + column.total_compressed_size * 3 // 4] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(CatalogError, match=r"Npix=4\.parquet"):
            read_rows(path, table.column_names)
    path.write_bytes(whole)
    assert read_rows(path, table.column_names).equals(table)


def test_a_file_cut_short_names_itself(table, tmp_path):
    write_leaf(table, tmp_path, HOME)
    path = leaf_path(tmp_path, HOME)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CatalogError, match=r"Npix=4\.parquet"):
        read_rows(path, ["id"])
