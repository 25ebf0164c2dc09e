"""Seals: Parquet readers do not notice them, every flipped bit is told by them, and reads refuse a damaged footer."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import CatalogError
from lsdb_ts.store.files import read_footer
from lsdb_ts.store.seal import (
    SEAL_BYTES,
    broken_seal,
    check_text,
    footer_size,
    seal,
    sealed_text,
    text_is_sound,
)

TEXT = b'{"rows": 12, "lsdb_ts_crc32": "00000000"}'


@pytest.fixture
def table() -> pa.Table:
    return pa.table({"a": pa.array(range(50), pa.int64()), "b": [str(i) for i in range(50)]})


@pytest.fixture
def path(table, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, write_page_index=True, write_page_checksum=True)
    seal(path)
    return path


def test_a_sealed_file_is_read_as_before_and_is_a_few_bytes_longer(table, path, tmp_path):
    pq.write_table(table, tmp_path / "b.parquet", write_page_index=True, write_page_checksum=True)

    assert pq.read_table(path).equals(table)
    assert pq.read_metadata(path).equals(pq.read_metadata(tmp_path / "b.parquet"))
    assert path.stat().st_size == (tmp_path / "b.parquet").stat().st_size + SEAL_BYTES
    assert broken_seal(path) is None


def test_to_seal_twice_is_to_seal_once_and_other_files_stay_as_they_are(path, tmp_path):
    content = path.read_bytes()
    seal(path)
    assert path.read_bytes() == content
    for text in (b"", b"PAR1", b"some other file, longer than a footer"):
        (tmp_path / "other").write_bytes(text)
        seal(tmp_path / "other")
        assert (tmp_path / "other").read_bytes() == text


def test_every_flipped_bit_of_a_parquet_file_is_told(path):
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 5):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        assert broken_seal(path) is not None, bit


def test_a_file_without_a_seal_says_so(table, tmp_path):
    pq.write_table(table, tmp_path / "bare.parquet")

    assert "has no checksums" in broken_seal(tmp_path / "bare.parquet")
    assert read_footer(tmp_path / "bare.parquet").num_rows == 50


def test_every_flipped_bit_of_a_footer_makes_it_unreadable(path):
    content = path.read_bytes()
    for bit in range(8 * (len(content) - footer_size(content)), 8 * len(content), 3):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises((CatalogError, OSError, pa.ArrowException)):
            read_footer(path)


def test_every_flipped_bit_of_a_text_is_told():
    text = sealed_text(TEXT)
    assert text_is_sound(text)
    for bit in range(8 * len(text)):
        damaged = bytearray(text)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not text_is_sound(bytes(damaged)), bit


def test_a_changed_text_is_refused_and_one_without_a_checksum_is_not():
    check_text(sealed_text(TEXT), "here")
    check_text(b"rows=12", "here")
    with pytest.raises(CatalogError, match=r"here is not what was written.*remove the lsdb_ts_crc32"):
        check_text(sealed_text(TEXT).replace(b"12", b"13"), "here")


def test_a_text_has_one_place_for_its_checksum():
    for text in (b"rows=12", TEXT + TEXT):
        with pytest.raises(ValueError, match="one place"):
            sealed_text(text)
