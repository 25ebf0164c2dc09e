"""Raw files that are not what they seem: errors that name the file, and where it can be told row and value."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import InputError, PlanError, PositionError, SchemaError
from lsdb_ts.schema import Roles
from partitioner import Survey, plan
from partitioner.inputs.readers import lines
from partitioner.inputs.readers.registry import READERS
from partitioner.inputs.tables import open_table, read_unit
from partitioner.surveys.survey import Table
from tests.partitioner.formats import CASES, ROWS

SKY = Roles(ra="ra", dec="dec")
SUFFIXES = sorted({suffix for reader in READERS for suffix in reader.suffixes})


def table_of(path: Path, **more) -> Table:
    return Table("stars", (str(path),), SKY, **more)


def read(path: Path, **more) -> pa.Table:
    found = open_table(table_of(path, **more))
    return pa.concat_tables([c.table for u in found.units for c in read_unit(u, found.schema)])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"0 bytes"),
        (b"<!DOCTYPE html>\n<html><body>404, not here</body></html>\n" * 40, "web page"),
        (b"garbage\0\1\2" * 900, "cannot read"),
    ],
    ids=["empty", "html", "garbage"],
)
def test_a_file_that_is_no_table_is_named(tmp_path, suffix, content, said):
    path = tmp_path / f"night{suffix}"
    packed = {".gz": gzip.compress, ".bz2": lambda b: pa.compress(b, "bz2", asbytes=True)} if content else {}
    plain = packed.get(path.suffix, bytes)(content) if path.suffix == ".gz" else content
    path.write_bytes(plain)

    with pytest.raises(InputError, match=said) as caught:
        read(path)

    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("kind", "written"), CASES, ids=lambda c: getattr(c, "name", c))
def test_a_file_that_was_cut_short_is_named(tmp_path, kind, written):
    path = tmp_path / written.name
    written.write(ROWS.drop_columns(list(written.lacks)), path)
    file = next(path.rglob("*.parquet")) if path.is_dir() else path
    content = file.read_bytes()
    place = content.rindex(b",", 0, int(len(content) * 0.7)) if path.suffix in {".csv"} else int(len(content) * 0.7)
    file.write_bytes(content[:place])

    with pytest.raises(InputError) as caught:
        read(path, types={"small": "int16"} if kind == "csv" else {})

    assert str(file) in str(caught.value)


@pytest.mark.parametrize(("kind", "written"), CASES[:1] + CASES[4:5] + CASES[8:9], ids=lambda c: getattr(c, "name", c))
def test_a_file_with_the_suffix_of_another_format_says_what_it_begins_like(tmp_path, kind, written):
    right = tmp_path / written.name
    written.write(ROWS.drop_columns(list(written.lacks)), right)
    wrong = right.rename(tmp_path / "wrong.vot")

    with pytest.raises(InputError, match=r"cannot read .*wrong\.vot as VOTable: .*reader = "):
        open_table(table_of(wrong))


def test_a_name_that_tells_no_format_and_a_format_that_is_not_known(tmp_path):
    (tmp_path / "stars.dat").write_text("ra,dec\n1,2\n")

    with pytest.raises(InputError, match=r"stars\.dat: the name does not tell the format; .*\.parquet.*reader ="):
        open_table(table_of(tmp_path / "stars.dat"))
    with pytest.raises(PlanError, match='there is no reader "cvs"; did you mean "csv"'):
        open_table(table_of(tmp_path / "stars.dat", reader="cvs"))
    assert read(tmp_path / "stars.dat", reader="csv").num_rows == 1
    assert read(tmp_path, reader="csv").num_rows == 1


def test_a_folder_of_several_formats_is_not_guessed_about(tmp_path):
    pa.csv.write_csv(pa.table({"ra": [1.0], "dec": [2.0]}), tmp_path / "a.csv")
    pq.write_table(pa.table({"ra": [1.0], "dec": [2.0]}), tmp_path / "a.parquet")

    with pytest.raises(InputError, match=r"several formats \(csv, parquet\)"):
        open_table(table_of(tmp_path))
    assert read(tmp_path, reader="csv").num_rows == 1
    assert read(tmp_path / "*.parquet").num_rows == 1


def many_lines(bad: str, at: int, n: int = 400_000) -> bytes:
    good = b"".join(b"%d.5,1.5,%d\n" % (i % 360, i) for i in range(1000)) * (n // 1000)
    cut = [i for i, c in enumerate(good[: at * 20]) if c == 10][at - 1] + 1
    return b"ra,dec,n\n" + good[:cut] + bad.encode() + b"\n" + good[cut:]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_value_that_the_head_did_not_foretell_is_named_with_its_row_and_the_way_out(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(lines, "HEAD_BYTES", 1000)
    monkeypatch.setattr(lines, "STRETCH_BYTES", 5000)
    content = many_lines("1.5,2.5,3.5", at=1234, n=3000)
    path = tmp_path / f"night{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)

    with pytest.raises(InputError) as caught:
        plan(Survey.of_single_table(str(path), "ra", "dec"), tmp_path / "out", show=False)

    said = str(caught.value)
    assert f"{path}, row 1234 (counted from 0): \"n\" is '3.5', which is no int64" in said
    assert 'types = {n = "float64"}' in said
    assert "nulls = " in said
    assert read(path, types={"n": "float64"}).column("n")[1234].as_py() == 3.5


def test_types_are_inferred_from_the_whole_head_however_little_of_it_is_parsed_at_once(tmp_path):
    (tmp_path / "night.csv").write_bytes(many_lines("1.5,2.5,3.5", at=90_000, n=120_000))

    assert read(tmp_path / "night.csv").schema.field("n").type == pa.float64()


@pytest.mark.parametrize("head", [1000, 1 << 20])
@pytest.mark.parametrize("bad", ["1.5,2.5", "1.5,2.5,3,4"])
def test_a_line_with_too_few_or_too_many_values_is_named(tmp_path, bad, head, monkeypatch):
    monkeypatch.setattr(lines, "HEAD_BYTES", head)
    monkeypatch.setattr(lines, "STRETCH_BYTES", max(5000, head))
    (tmp_path / "night.csv").write_bytes(many_lines(bad, at=777, n=2000))

    with pytest.raises(InputError, match=r"night\.csv, row 777 \(counted from 0\): \d values for 3 columns"):
        read(tmp_path / "night.csv")


def test_a_position_that_is_not_on_the_sky_is_named_by_its_row_in_a_file_of_many_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "HEAD_BYTES", 1000)
    monkeypatch.setattr(lines, "STRETCH_BYTES", 5000)
    (tmp_path / "night.csv").write_bytes(many_lines("-999,2.5,3", at=1234, n=2000))

    with pytest.raises(PositionError, match=r"row 1234 of .*night\.csv \(counted from 0\): ra=-999\.0, dec=2\.5"):
        plan(Survey.of_single_table(str(tmp_path / "night.csv"), "ra", "dec"), tmp_path / "out", show=False)


@pytest.mark.parametrize(
    ("content", "csv", "said"),
    [
        ("1.5,2.5\n3,4\n", {}, r"begins with numbers \(1\.5, 2\.5\).*header = false"),
        ("ra|dec\n3|4\n", {}, r"one column, \"ra\|dec\".*delimiter = '\|'"),
        ("ra,ra\n3,4\n", {}, 'two columns called "ra"'),
        ("# nothing\n", {}, "no line with the names"),
        ("ra,dec\n1,2\n", {"names": ["a", "b", "c"]}, "2 columns, and csv.names .* names 3"),
        ("ra,dec,name\n1,2,\xe5ngstr\xf6m\n", {}, '"name" is text that is not UTF-8'),
    ],
)
def test_a_text_that_begins_strangely_is_explained(tmp_path, content, csv, said):
    (tmp_path / "a.csv").write_bytes(content.encode("latin-1"))

    with pytest.raises(InputError, match=said):
        read(tmp_path / "a.csv", csv=csv)


@pytest.mark.parametrize(
    ("csv", "said"),
    [
        ({"delimeter": ";"}, 'unknown key "delimeter"; did you mean "delimiter"'),
        ({"delimiter": ", "}, "must be one character"),
        ({"header": "no"}, "must be true or false"),
        ({"nulls": "NA"}, "must be a list of texts"),
        ({"header": False}, "no header: name the columns"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_a_file_is_opened(tmp_path, csv, said):
    with pytest.raises(PlanError, match=said):
        open_table(table_of(tmp_path / "nowhere.csv", csv=csv))


def test_a_value_that_does_not_fit_the_type_asked_for_is_named(tmp_path):
    rows = pa.table({"ra": np.arange(500.0) / 2, "dec": np.zeros(500), "n": [*range(300), 2**40, *range(199)]})
    pq.write_table(rows, tmp_path / "a.parquet", row_group_size=50)

    with pytest.raises(InputError, match=r'a\.parquet, row 300 \(counted from 0\): "n" is 1099511627776, which is no'):
        read(tmp_path / "a.parquet", types={"n": "int32"})
    with pytest.raises(SchemaError, match='has no column "m", which is to be read as another type'):
        read(tmp_path / "a.parquet", types={"m": "int32"})


def test_a_file_that_grows_while_it_is_read_is_named(tmp_path):
    rows = pa.table({"ra": [1.0], "dec": [2.0]})
    pq.write_table(rows, tmp_path / "a.parquet")
    found = open_table(table_of(tmp_path / "a.parquet"))
    pq.write_table(pa.concat_tables([rows, rows]), tmp_path / "a.parquet")

    with pytest.raises(InputError, match=r"a\.parquet had 1 rows and has 2 now"):
        list(read_unit(found.units[0], found.schema))
