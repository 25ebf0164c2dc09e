"""What single formats have of their own: options of CSV, types of FITS, units, UCDs and arrays of VOTable and ECSV."""

import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsdb_ts.errors import InputError, SchemaError
from lsdb_ts.schema import Roles
from lsdb_ts.store.hats import open_hats
from partitioner import Survey, append, run, verify
from partitioner.inputs.readers import lines
from partitioner.inputs.tables import open_table, read_unit
from partitioner.surveys.survey import Table
from tests.partitioner.conftest import TOML


def table_of(path: Path, **more) -> Table:
    return Table("stars", (str(path),), **more)


def read(path: Path, **more) -> pa.Table:
    found = open_table(table_of(path, **more))
    parts = [c.table for u in found.units for c in read_unit(u, found.schema)]
    return pa.concat_tables([found.schema.empty_table(), *parts])


def told(schema: pa.Schema, name: str) -> dict[str, str]:
    return {k.decode(): v.decode() for k, v in schema.field(name).metadata.items() if k != b"role"}


def text(tmp_path: Path, content: str, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "csv"),
    [
        ("a,b\n1,x\n2,y\n", {}),
        ("a,b\r\n1,x\r\n2,y", {}),
        ("\ufeffa,b\n1,x\n\n2,y\n", {}),
        ("# made by a person\n# on a day\na,b\n1,x\n2,y\n", {}),
        ("% made\na;b\n1;x\n2;y\n", {"comment": "%", "delimiter": ";"}),
        ("1,x\n2,y\n", {"header": False, "names": ["a", "b"]}),
        ("1,'x'\n2,'y'\n", {"header": False, "names": ["a", "b"], "quote": "'"}),
        ("first, second\n1,x\n2,y\n", {"names": ["a", "b"]}),
        (" a , b\n1,x\n2,y\n", {}),
    ],
)
def test_text_is_read_as_its_options_say(tmp_path, content, csv):
    assert read(text(tmp_path, content), csv=csv).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_nulls_are_what_the_options_say_and_in_quotes_they_are_text(tmp_path):
    path = text(tmp_path, 'a,b\n1,null\n-99,"null"\n,\n')

    assert read(path).to_pydict() == {"a": [1, -99, None], "b": [None, "null", None]}
    assert read(path, csv={"nulls": ["", "-99"]}).to_pydict() == {"a": [1, None, None], "b": ["null", "null", None]}


def test_values_over_several_lines_are_read_where_the_options_say_so(tmp_path, monkeypatch):
    path = text(tmp_path, 'a,b\n1,"x\ny"\n2,z\n' * 1)

    assert read(path, csv={"newlines": True})["b"].to_pylist() == ["x\ny", "z"]


def test_a_file_with_a_header_and_no_rows_is_a_part_of_its_table(tmp_path):
    text(tmp_path, "a,b\n", "0.csv")
    text(tmp_path, "a,b\n1.5,x\n", "1.csv")

    assert read(tmp_path).to_pydict() == {"a": [1.5], "b": ["x"]}


def test_files_of_which_all_have_only_a_header_are_a_table_without_rows(raw, tmp_path):
    """A survey of which no source has come in yet has no light curves, and the night that brings them can be added."""
    sources = pq.read_table(raw.folder / "source-0.parquet")
    text(tmp_path, ",".join(sources.column_names) + "\n", "sources.csv")
    toml = TOML.format(max_rows=100).replace('["source-*.parquet"]', f'"{tmp_path}/sources.csv"')
    toml = toml.replace(', forced_source = "forced"', "").partition("[tables.forced_source]")[0]
    toml = toml.replace('"object-', f'"{raw.folder}/object-').replace("standalone = true", "standalone = false")
    (tmp_path / "survey.toml").write_text(toml)

    account = run(Survey.read(tmp_path / "survey.toml"), tmp_path / "out")

    assert [(t.rows_in, t.rows_out) for t in account.tables if t.table == "source"] == [(0, 0)]
    curves = open_hats(tmp_path / "out").schema.field("lc").type
    assert curves.field("midpointMjdTai").type.value_type == pa.float64()
    assert verify(tmp_path / "out").ok
    night = append(tmp_path / "out", {"source": [str(raw.folder / "source-0.parquet")]})
    assert night.tables[0].added + night.tables[0].orphans == sources.num_rows


def test_a_column_of_nothing_takes_the_type_of_other_files_and_is_else_text(tmp_path):
    text(tmp_path, "a,b\n,\n", "0.csv")
    text(tmp_path, "a,b\n1.5,\n", "1.csv")

    assert read(tmp_path).schema.types == [pa.float64(), pa.string()]


def test_integers_and_floats_agree_only_where_every_integer_has_its_float(tmp_path):
    pq.write_table(pa.table({"a": pa.array([1], pa.int32()), "b": pa.array([1], pa.int16())}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"a": [1.5], "b": pa.array([0.5], pa.float32())}), tmp_path / "1.parquet")

    assert read(tmp_path).schema.types == [pa.float64(), pa.float32()]
    text(tmp_path, "a\n1\n", "0.csv")
    text(tmp_path, "a\n1.5\n", "1.csv")
    with pytest.raises(
        SchemaError, match=r'"a" is int64 in .*0\.csv and double in .*1\.csv.*types = \{a = "float64"\}'
    ):
        read(tmp_path / "*.csv")
    assert read(tmp_path / "*.csv", types={"a": "float64"})["a"].to_pylist() == [1.0, 1.5]


def test_files_need_not_agree_on_columns_that_are_not_kept(tmp_path):
    pq.write_table(pa.table({"ra": [1.0], "dec": [1.0], "x": [1], "y": ["a"]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"ra": [1.0], "dec": [1.0], "x": ["no"]}), tmp_path / "1.parquet")

    with pytest.raises(SchemaError, match=r"columns = \[\.\.\.\]|types = "):
        read(tmp_path)
    assert read(tmp_path, columns=("dec",), roles=Roles(ra="ra", dec="dec")).column_names == ["ra", "dec"]


def test_ids_that_only_unsigned_integers_hold_are_not_rounded_to_floats(tmp_path):
    found = read(text(tmp_path, f"a,b\n{2**64 - 1},{2**64 - 1}\n,1.5\n7,\n"))

    assert found.schema.types == [pa.uint64(), pa.float64()]
    assert found["a"].to_pylist() == [2**64 - 1, None, 7]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text("ab é", max_size=12), min_size=1, max_size=40), st.integers(1, 80), st.sampled_from(["\n", "\r\n"])
)
def test_however_a_text_is_cut_each_line_is_read_once(tmp_path_factory, words, size, end):
    path = tmp_path_factory.mktemp("cut") / "a.csv"
    path.write_bytes(("n,word" + end + end.join(f"{i},x{w}" for i, w in enumerate(words))).encode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "STRETCH_BYTES", size)
        patch.setattr(lines, "HEAD_BYTES", len(f"n,word{end}0,x{words[0]}{end}".encode()))
        found = read(path, types={"word": "string"})

    assert found.to_pydict() == {"n": list(range(len(words))), "word": [f"x{w}" for w in words]}


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_columns_of_fits_are_what_its_standard_says(tmp_path, packed):
    from astropy.io import fits

    n = 40
    rng = np.random.default_rng(0)
    values = {
        "u16": ("I", rng.integers(0, 65536, n, "u2"), {"bzero": 1 << 15}),
        "u64": ("K", rng.integers(0, 2**64, n, "u8"), {"bzero": 1 << 63}),
        "i8": ("B", rng.integers(-128, 128, n, "i1"), {"bzero": -128}),
        "b": ("B", rng.integers(0, 256, n, "u1"), {}),
        "scaled": ("I", rng.integers(-99, 99, n, "i2"), {}),
        "void": ("J", np.where(rng.uniform(size=n) < 0.5, -99, 7), {"null": -99, "unit": "mag"}),
        "yes": ("L", rng.uniform(size=n) < 0.5, {}),
        "flags": ("11X", rng.uniform(size=(n, 11)) < 0.5, {}),
        "cube": ("6E", rng.normal(size=(n, 2, 3)).astype("f4"), {"dim": "(3,2)"}),
        "word": ("9A", np.array(["", "a b", "nine char", " lead"])[rng.integers(0, 4, n)], {}),
        "words": ("12A", np.array([["ab", "", "abcd"]] * n), {"dim": "(4,3)"}),
        "z": ("C", (rng.normal(size=n) + 1j * rng.normal(size=n)).astype("c8"), {}),
        "long": ("PJ()", np.array([np.arange(i % 4) for i in range(n)] + [None], object)[:-1], {}),
        "far": ("QA()", np.array([["star", "x" * 20, ""][i % 3] for i in range(n)], object), {}),
        "none": ("0D", None, {}),
        "end": ("D", rng.normal(size=n), {}),
    }
    path = tmp_path / f"a.fits{packed}"
    columns = [fits.Column(k, form, array=v, **more) for k, (form, v, more) in values.items()]
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.header["TUCD6"], hdu.header["TCOMM6"] = "phot.mag", "of nothing"
    # Put in later: astropy would scale them.
    hdu.header["XSCAL5"], hdu.header["XZERO5"] = 0.5, 10.0
    stream = io.BytesIO()
    hdu.writeto(stream)
    content = stream.getvalue().replace(b"XSCAL5", b"TSCAL5").replace(b"XZERO5", b"TZERO5")
    path.write_bytes(gzip.compress(content) if packed else content)

    found = read(path)

    values["scaled"] = ("I", values["scaled"][1] * 0.5 + 10, {})
    assert found.column_names == [name for name in values if name != "none"]
    kinds = {"u16": "uint16", "u64": "uint64", "i8": "int8", "b": "uint8", "scaled": "float64", "end": "float64"}
    for name, kind in kinds.items():
        assert found.schema.field(name).type == pa.type_for_alias(kind)
        np.testing.assert_array_equal(found[name].to_numpy(), values[name][1])
    assert found["void"].to_pylist() == [None if v == -99 else 7 for v in values["void"][1]]
    assert told(found.schema, "void") == {"unit": "mag", "ucd": "phot.mag", "description": "of nothing"}
    for name in ("yes", "flags", "cube", "word", "words"):
        assert found[name].to_pylist() == values[name][1].tolist()
    assert [complex(v["real"], v["imag"]) for v in found["z"].to_pylist()] == values["z"][1].tolist()
    assert found["long"].to_pylist() == [v.tolist() for v in values["long"][1]]
    assert found["far"].to_pylist() == values["far"][1].tolist()


def test_a_logical_of_fits_may_be_unknown_and_a_text_ends_at_its_nul(tmp_path):
    from astropy.io import fits

    hdu = fits.BinTableHDU.from_columns([fits.Column("a", "L", array=[True, False, True]), fits.Column("b", "4A")])
    stream = io.BytesIO()
    hdu.writeto(stream)
    content = stream.getvalue()
    place = content.index(b"T\0\0\0\0F\0\0\0\0T")
    path = tmp_path / "a.fit"
    path.write_bytes(content[:place] + b"\0ab\0xFcd  T\0zzz" + content[place + 15 :])

    assert read(path).to_pydict() == {"a": [None, False, True], "b": ["ab", "cd", ""]}


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_of_several_tables_in_a_file_one_must_be_named(tmp_path, packed):
    from astropy.io import fits

    tables = [fits.BinTableHDU.from_columns([fits.Column(n, "J", array=[1, 2])], name=n) for n in ("STARS", "SKY")]
    path = tmp_path / f"a.fits{packed}"
    fits.HDUList([fits.PrimaryHDU(np.zeros((5, 5))), *tables, fits.ImageHDU(np.zeros(3))]).writeto(path)

    with pytest.raises(InputError, match=r'several tables, STARS and SKY: .*reader = "fits:STARS"'):
        read(path)
    assert read(path, reader="fits:SKY").column_names == ["SKY"]
    assert read(path, reader="fits:1").column_names == ["STARS"]
    with pytest.raises(InputError, match=r'no binary table called "X"; there are: STARS, SKY'):
        read(path, reader="fits:X")


def test_a_fits_file_without_rows_or_without_a_table(tmp_path):
    from astropy.io import fits

    fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[])]).writeto(tmp_path / "a.fits")
    fits.PrimaryHDU(np.zeros(3)).writeto(tmp_path / "b.fits")

    assert read(tmp_path / "a.fits").num_rows == 0
    with pytest.raises(InputError, match=r"b\.fits has no binary table"):
        read(tmp_path / "b.fits")


VOTABLE = """<?xml version="1.0"?><VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>{}
</RESOURCE></VOTABLE>"""
STARS = """<TABLE name="{name}">
<FIELD name="n" datatype="int" ucd="meta.id;meta.main"><VALUES null="-9"/></FIELD>
<FIELD name="mag" datatype="double" unit="mag" ucd="phot.mag"><DESCRIPTION>how bright</DESCRIPTION></FIELD>
<FIELD name="s" datatype="char" arraysize="*"/><FIELD name="u" datatype="unicodeChar" arraysize="*"/>
<FIELD name="b" datatype="boolean"/><FIELD name="v" datatype="float" arraysize="*"/>
<FIELD name="w" datatype="short" arraysize="2"/>
<DATA><TABLEDATA>
<TR><TD>1</TD><TD>1.5</TD><TD>x y</TD><TD>é</TD><TD>T</TD><TD>1 2</TD><TD>1 2</TD></TR>
<TR><TD>-9</TD><TD></TD><TD></TD><TD></TD><TD>?</TD><TD></TD><TD>3 4</TD></TR>
</TABLEDATA></DATA></TABLE>"""


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_votables_keep_units_ucds_descriptions_arrays_and_nulls(tmp_path, packed):
    content = VOTABLE.format(STARS.format(name="stars")).encode()
    path = tmp_path / f"a.vot{packed}"
    path.write_bytes(gzip.compress(content) if packed else content)

    found = read(path)

    assert found.to_pydict() == {
        "n": [1, None],
        "mag": [1.5, None],
        "s": ["x y", ""],
        "u": ["é", ""],
        "b": [True, None],
        "v": [[1.0, 2.0], []],
        "w": [[1, 2], [3, 4]],
    }
    assert told(found.schema, "mag") == {"unit": "mag", "ucd": "phot.mag", "description": "how bright"}


@pytest.mark.parametrize("status", ["OVERFLOW", "ERROR"])
def test_an_answer_that_a_server_cut_short_is_refused(tmp_path, status):
    path = tmp_path / "a.vot"
    path.write_text(VOTABLE.format(STARS.format(name="a") + f'<INFO name="QUERY_STATUS" value="{status}">no</INFO>'))

    with pytest.raises(InputError, match=rf"QUERY_STATUS {status} no; ask again"):
        read(path)


def test_of_several_votables_in_a_file_one_must_be_named(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(VOTABLE.format(STARS.format(name="a") + STARS.format(name="b")))

    with pytest.raises(InputError, match=r'several tables \(a, b\).*reader = "votable:a"'):
        read(path)
    assert read(path, reader="votable:b").num_rows == 2


def test_ecsv_keeps_types_units_and_descriptions_and_has_arrays(tmp_path):
    from astropy.table import Table as AstropyTable

    made = AstropyTable({"n": np.array([1, 2], "u1"), "mag": np.array([1.5, np.nan], "f4"), "b": [True, False]})
    made["mag"].unit, made["mag"].description = "mag", "how bright"
    made["cube"] = np.arange(8.0).reshape(2, 2, 2)
    made["text"] = ["a b", 'c,"d"']
    for delimiter in (" ", ","):
        path = tmp_path / f"a{ord(delimiter)}.ecsv"
        made.write(path, format="ascii.ecsv", delimiter=delimiter)

        found = read(path)

        assert [str(t) for t in found.schema.types[:3]] == ["uint8", "float", "bool"]
        assert found["cube"].to_pylist() == made["cube"].tolist()
        assert found["text"].to_pylist() == made["text"].tolist()
        assert told(found.schema, "mag") == {"unit": "mag", "description": "how bright"}


def test_ecsv_of_what_a_catalog_cannot_hold_names_the_column(tmp_path):
    header = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: z, datatype: complex128}\n# schema: astropy-2.0\nz\n"

    with pytest.raises(InputError, match=r'a\.ecsv: the column "z" is complex128, which a catalog cannot hold'):
        read(text(tmp_path, header + "1+2j\n", "a.ecsv"))
    with pytest.raises(InputError, match=r"does not begin with # %ECSV; is it plain CSV"):
        read(text(tmp_path, "a,b\n1,2\n", "b.ecsv"))


def test_dictionaries_in_arrow_files_count_as_what_they_hold(tmp_path):
    bands = pa.array(["g", "r", None]).dictionary_encode()
    lists = pa.ListArray.from_arrays(pa.array([0, 2, 2, 3], pa.int32()), bands)
    rows = pa.table({"band": bands, "bands": lists, "pair": pa.array([[1, 2]] * 3, pa.list_(pa.int8(), 2))})
    for name, other in (("0.arrow", rows), ("1.arrow", rows.slice(1))):
        with pa.ipc.new_file(str(tmp_path / name), rows.schema) as writer:
            writer.write_table(other)

    found = read(tmp_path)

    assert found.schema.types == [pa.string(), pa.list_(pa.string()), pa.list_(pa.int8())]
    assert found.to_pydict() == pa.concat_tables([rows, rows.slice(1)]).to_pydict()


def test_a_stream_that_ends_between_two_batches_was_cut_short(tmp_path):
    rows = pa.table({"a": range(10)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=5)
    (tmp_path / "a.ipc").write_bytes(sink.getvalue().to_pybytes()[:-8])

    with pytest.raises(InputError, match=r"a\.ipc as Arrow: the stream has no end"):
        read(tmp_path / "a.ipc")
