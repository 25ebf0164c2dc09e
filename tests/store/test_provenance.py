"""Where a catalog comes from can be read: which files with which hash, and the file itself is sound."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.catalog import open_catalog
from lsdb_ts.errors import CatalogError
from lsdb_ts.store import provenance
from lsdb_ts.store.files import read_files
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.provenance import PROVENANCE, PROVENANCE_KEY, Input, Provenance, hashed, read_provenance
from lsdb_ts.store.remote import RemotePath
from lsdb_ts.store.seal import text_is_sound
from lsdb_ts.store.write import leaf_path
from tests.store.catalogs import layout_for, stars, write_catalog


def parquet(path: Path, values: list) -> Path:
    pq.write_table(pa.table({"x": values}), path)
    return path


def test_a_parquet_file_is_hashed_by_its_footer_which_tells_other_values_apart(tmp_path):
    first = Input.of(parquet(tmp_path / "a.parquet", [1, 2]), table="object")
    content = (tmp_path / "a.parquet").read_bytes()
    length = int.from_bytes(content[-8:-4], "little") + 8
    assert first.hash == hashlib.sha256(content[-length:]).hexdigest()
    assert (first.hash_of, first.size, first.told) == ("footer", len(content), {"table": "object"})
    assert Input.of(parquet(tmp_path / "b.parquet", [1, 2])).hash == first.hash
    assert Input.of(parquet(tmp_path / "c.parquet", [1, 3])).hash != first.hash


def test_other_files_are_hashed_whole_or_where_they_are_long_by_their_end(tmp_path, monkeypatch):
    file = tmp_path / "a.csv"
    file.write_bytes(b"ra,dec\n" * 10)
    assert Input.of(file).hash == hashlib.sha256(file.read_bytes()).hexdigest()
    assert Input.of(file).hash_of == "content"
    monkeypatch.setattr(provenance, "_WHOLE_BYTES", 8)
    monkeypatch.setattr(provenance, "_END_BYTES", 5)
    assert (Input.of(file).hash, Input.of(file).hash_of) == (hashlib.sha256(b",dec\n").hexdigest(), "end")
    (tmp_path / "empty").write_bytes(b"")
    assert Input.of(tmp_path / "empty").hash == hashlib.sha256(b"").hexdigest()


def test_a_file_behind_a_url_has_the_hash_of_the_same_file_here(tmp_path):
    from tests.store.servers import http_server

    parquet(tmp_path / "a.parquet", [1, 2])
    with http_server(tmp_path) as served:
        there = Input.of(RemotePath.of(f"{served.url}/a.parquet", {}))
    here = Input.of(tmp_path / "a.parquet")
    assert (there.hash, there.size, there.hash_of) == (here.hash, here.size, here.hash_of)


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(CatalogError, match=r"gone\.parquet is missing"):
        hashed([(tmp_path / "gone.parquet", {})])


def test_the_file_explains_its_hashes_adds_up_sizes_and_is_sealed(tmp_path):
    files = [parquet(tmp_path / f"{i}.parquet", [i]) for i in range(3)]
    asked = {"max_rows": 5, "tables": [{"lsdb_ts_crc32": "0badcafe"}]}
    made = Provenance("repartition", asked, hashed((f, {"table": "t"}) for f in files), {"rows": 3})
    made.write(tmp_path)
    text = (tmp_path / PROVENANCE).read_bytes()
    told = json.loads(text)
    assert text_is_sound(text), "whatever checksums stand in what went in"
    assert (told["made_by"], told["parameters"], told["account"]) == (
        "repartition",
        {"max_rows": 5, "tables": [{}]},
        {"rows": 3},
    )
    assert (told["input_files"], told["input_bytes"]) == (3, sum(f.stat().st_size for f in files))
    assert list(told["hashes"]) == ["footer"]
    assert [i["path"] for i in told["inputs"]] == [str(f) for f in files]
    assert set(told["versions"]) == {"python", "lsdb_ts", "pyarrow", "numpy"}
    made.write(tmp_path)
    assert (tmp_path / PROVENANCE).read_bytes() == text


def test_a_written_catalog_says_what_it_was_made_of(tmp_path):
    table = stars(300, seed=2)
    source = write_catalog(tmp_path / "stars", table, layout_for(table, 100))
    open_catalog(source).query("mag < 20").write(tmp_path / "bright")
    catalog = open_hats(tmp_path / "bright")
    told = read_provenance(catalog.path, catalog.properties)
    assert told["made_by"] == "write"
    assert text_is_sound((catalog.path / PROVENANCE).read_bytes())
    (read,) = told["inputs"]
    assert (read["name"], read["path"]) == ("stars", str(source.resolve()))
    assert "mag" in json.dumps(told["parameters"]["plan"])
    assert "properties" not in read


def test_catalogs_of_a_collection_share_one_file(tmp_path):
    Provenance("repartition").write(tmp_path)
    assert read_provenance(tmp_path / "stars", {PROVENANCE_KEY: "../provenance.json"})["made_by"] == "repartition"
    assert read_provenance(tmp_path / "stars", {PROVENANCE_KEY: "provenance.json"}) is None
    assert read_provenance(tmp_path / "stars", {}) is None


def test_a_file_that_is_damaged_says_so(tmp_path):
    (tmp_path / PROVENANCE).write_text("{")
    with pytest.raises(CatalogError, match=r"cannot read .*provenance\.json.*remove it, it is not needed"):
        read_provenance(tmp_path, {PROVENANCE_KEY: PROVENANCE})


def test_hashing_reads_no_more_than_the_end_of_a_file(tmp_path):
    table = stars(300, seed=2)
    root = write_catalog(tmp_path / "stars", table, layout_for(table, 100))
    leaf = leaf_path(root, open_hats(root).layout[0])
    before = Input.of(leaf).hash
    content = bytearray(leaf.read_bytes())
    content[len(content) // 3] ^= 1
    leaf.write_bytes(content)
    assert Input.of(leaf).hash == before, "what a footer does not tell, verify finds"
    assert read_files([leaf]) == [bytes(content)]
