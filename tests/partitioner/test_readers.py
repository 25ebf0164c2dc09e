"""One contract for all readers: whatever the format, the same rows come back, whole, by pieces, and by columns."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.schema import Roles
from partitioner import Survey, run
from partitioner.inputs.readers import parquet, reader
from partitioner.inputs.readers.registry import READERS, reader_for
from partitioner.inputs.tables import open_table, read_unit
from partitioner.surveys.survey import Table
from tests.partitioner.formats import CASES, ROWS, TYPES, WRITTEN, Written

every_format = pytest.mark.parametrize(("kind", "written"), CASES, ids=lambda c: getattr(c, "name", c))


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    """Where the formats are written, each once."""
    return tmp_path_factory.mktemp("formats")


@pytest.fixture
def folder(root, kind, written) -> Path:
    """The root, with one format in it."""
    path = root / kind / written.name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        written.write(ROWS.drop_columns(list(written.lacks)), path)
    return root


def opened(folder: Path, kind: str, written: Written, **more):
    types = {n: k for n, k in TYPES.items() if n not in written.lacks} if written.guessed else {}
    return open_table(
        Table("stars", (str(folder / kind / written.name),), Roles(ra="ra", dec="dec"), types=types, **more)
    )


def expected(written: Written) -> pa.Table:
    return written.becomes(ROWS.drop_columns(list(written.lacks)))


def same(found: pa.Table, wanted: pa.Table) -> None:
    """Check that two tables are equal, NaN being NaN."""
    assert found.column_names == wanted.column_names
    assert found.schema.types == wanted.schema.types
    for name in wanted.column_names:
        np.testing.assert_equal(found[name].to_pylist(), wanted[name].to_pylist(), name)


def read_all(found, columns=None) -> pa.Table:
    return pa.concat_tables([c.table for u in found.units for c in read_unit(u, found.schema, columns)])


def test_every_reader_there_is_keeps_the_contract():
    assert {r.name for r in READERS} == set(WRITTEN)
    assert all(reader_for("", r.name) == r() for r in READERS)
    for one in READERS:
        assert all(reader_for(f"x{suffix}").name == one.name for suffix in one.suffixes)


@every_format
def test_all_rows_come_back_in_their_sequence(folder, kind, written):
    found = opened(folder, kind, written)

    same(read_all(found), expected(written))
    assert {f.reader.name for f in found.files} == {kind}


@every_format
def test_pieces_hold_every_row_once_and_know_how_many_or_do_not(folder, kind, written):
    found = opened(folder, kind, written)
    (file,) = found.files

    tables = []
    for i, piece in enumerate(file.pieces):
        batches = list(file.reader.read(file.file, i, i + 1, found.schema))
        assert piece.rows in (None, sum(b.num_rows for b in batches))
        tables += [b.select(found.schema.names).cast(found.schema) for b in batches]

    same(pa.concat_tables(tables), expected(written))
    assert list(file.reader.read(file.file, 0, 0, found.schema)) == []


@every_format
def test_columns_are_read_alone(folder, kind, written):
    found = opened(folder, kind, written)

    same(read_all(found, ["dec", "mag"]), expected(written).select(["dec", "mag"]))


@every_format
def test_batches_are_bounded(folder, kind, written, monkeypatch):
    for module in (reader, parquet):
        monkeypatch.setattr(module, "BATCH_BYTES", 8 << 10)
    monkeypatch.setattr("partitioner.inputs.readers.lines.BLOCK_BYTES", 8 << 10)

    found = opened(folder, kind, written)
    batches = [b for f in found.files for b in f.reader.read(f.file, 0, len(f.pieces), found.schema)]

    assert max(b.get_total_buffer_size() if kind in {"csv", "ecsv"} else b.nbytes for b in batches) < 32 << 10
    same(read_all(found), expected(written))


@every_format
def test_the_catalog_is_that_of_parquet_files_of_the_same_rows(folder, kind, written, tmp_path):
    pq.write_table(expected(written), tmp_path / "same.parquet")
    types = {n: k for n, k in TYPES.items() if n not in written.lacks} if written.guessed else {}
    told = {"ra": "ra", "dec": "dec", "max_rows": 300}

    for name, files, kinds in (("a", folder / kind / written.name, types), ("b", tmp_path / "same.parquet", {})):
        run(Survey.of_single_table(str(files), **told, types=kinds), tmp_path / name, show=False)

    leaves = {n: {p.relative_to(tmp_path / n): p for p in (tmp_path / n).rglob("Npix=*.parquet")} for n in "ab"}
    assert leaves["a"].keys() == leaves["b"].keys()
    assert len(leaves["a"]) > 10
    for name, path in leaves["a"].items():
        same(pq.read_table(path), pq.read_table(leaves["b"][name]))
        assert path.read_bytes() == leaves["b"][name].read_bytes()
