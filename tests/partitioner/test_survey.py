"""The survey file: what it may say, and how it is told what is wrong with it."""

import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError, SchemaError
from lsdb_ts.schema import Roles, unit_of, with_unit
from partitioner.inputs.unify import agreed
from partitioner.surveys.survey import (
    MAX_BYTES,
    MAX_ROWS,
    Nested,
    Survey,
    Table,
    VisitColumns,
    resolved,
    with_units,
)


def read(tmp_path, text: str) -> Survey:
    (tmp_path / "survey.toml").write_text(text)
    return Survey.read(tmp_path / "survey.toml")


def test_a_profile_gives_the_roles_by_the_name_of_the_table(raw):
    survey = raw.survey

    assert [t.name for t in survey.tables] == ["object", "source", "forced_source"]
    assert survey.primary.nest == (Nested("source", "lc"), Nested("forced_source", "forced"))
    assert survey.table("source").known_roles["parent_id"] == ("objectId",)
    assert survey.table("source").files == (str(raw.folder / "source-*.parquet"),)


def test_a_nested_column_is_called_like_its_table_unless_told_otherwise(tmp_path):
    survey = read(tmp_path, '[tables.object]\nfiles = "o"\nnest = ["source"]\n[tables.source]\nfiles = "s"')

    assert survey.primary.nest == (Nested("source", "source"),)
    assert survey.name == "survey"


def test_a_role_that_is_given_wins_over_the_profile_and_the_profile_over_the_names():
    known = {"time": ("midpointMjdTai",), "flux": ("calibFlux", "psfFlux"), "id": ("sourceId",)}
    table = Table("source", ("x",), Roles(time="mjd"), known)

    roles = resolved(table, ["midpointMjdTai", "psfFlux", "filter", "mjd"])

    assert roles == Roles(time="mjd", flux="psfFlux", band="filter")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name = 'x'", "describes no table"),
        ("[tables.object]\nfile = 'o'", 'unknown key "file"; did you mean "files"'),
        ("nam = 'x'\n[tables.object]\nfiles = 'o'", 'unknown key "nam"; did you mean "name"'),
        ("[tables.object]\nfiles = 3", "needs files ="),
        ("[tables.object]\nfiles = 'o'\nroles = {r = 'ra'}", 'unknown key "r"; did you mean "ra"'),
        ("profile = 'ruby'\n[tables.object]\nfiles = 'o'", 'no profile "ruby"; did you mean "rubin"'),
        ("[tables.object]\nfiles = 'o'\nmax_rows = 0", "max_rows must be a number of at least 1; got 0"),
        ("[tables.object]\nfiles = 'o'\nmargin_arcsec = '5'", "margin_arcsec must be a number of at least 0; got '5'"),
        ("[tables.object]\nfiles = 'o'\nnest = 4", "nest must be a list"),
        (
            "[tables.object]\nfiles = 'o'\nnest = ['sorce']\n[tables.source]\nfiles = 's'",
            'did you mean "source"',
        ),
        (
            "[tables.a]\nfiles='o'\nnest=['b']\n[tables.b]\nfiles='s'\nnest=['d']\n[tables.d]\nfiles='s'",
            'the table "b" nests others and is nested itself in "a"',
        ),
        ("name = 'a/b'\n[tables.object]\nfiles = 'o'", "cannot be the name of a folder"),
        (
            "name = 'source'\n[tables.object]\nfiles = 'o'\n[tables.source]\nfiles = 's'\nstandalone = true",
            "give the survey another name",
        ),
        ("[tables.object\nfiles = 'o'", "not valid TOML"),
        ("[tables.object]\nfiles = ''", "Remove the section if there is no such table"),
        ("[tables.object]\nfiles = 'o'\nmax_bytes = '2 apples'", "[tables.object] max_bytes: '2 apples' is no size"),
        ("[tables.object]\nfiles = 'o'\nmax_bytes = 0", "max_bytes must be more than 0"),
        ("[tables.object]\nfiles = 'o'\nmargin_arcsec = inf", "must be a number of at least 0; got inf"),
        ("[tables.object]\nfiles = 'o'\nroles = {ra = []}", "ra is empty: name columns"),
        ("[tables.object]\nfiles = 'o'\ncolumns = 'ra'", "must be a list of columns"),
        ("[tables.object]\nfiles = 'o'\ntypes = {ra = 'flaot64'}", '"flaot64" is no type; write it like int64'),
        ("[tables.object]\nfiles = 'o'\non_bad = 'refus'", 'on_bad = "refus"; did you mean "refuse"?'),
        ("[tables.object]\nfiles = 'o'\ncsv = 3", "csv must be a section"),
        ("[tables.object]\nfiles = 'o'\nfollow = 'star'", 'follows "star": no such table'),
        (
            "[tables.a]\nfiles = 'a'\n[tables.b]\nfiles = 'b'\nfollow = 'a'\n[tables.c]\nfiles = 'c'\nfollow = 'b'",
            'which itself follows "a"',
        ),
        (
            "[tables.object]\nfiles = 'o'\nnest = [{table = 's', colums = []}]\n[tables.s]\nfiles = 's'",
            'nest has an unknown key "colums"; did you mean "columns"?',
        ),
        ("[tables.object]\nfiles = 'o'\nvisit = {table = 'visit'}", 'needs on = "visitId"'),
        ("[tables.object]\nfiles = 'o'\nvisit = {table = 'visit', on = 'visit'}", 'needs columns = ["expMidptMJD"'),
        (
            "[tables.object]\nfiles = 'o'\nvisit = {table = 'visit', on = 'v', columns = ['t']}",
            'looks its visits up in "visit": no such table',
        ),
    ],
)
def test_a_survey_file_that_makes_no_sense_says_where_and_what_may_be_meant(tmp_path, text, complaint):
    with pytest.raises(PlanError) as caught:
        read(tmp_path, text)

    assert complaint in str(caught.value)


def test_a_survey_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PlanError, match=r"cannot read the survey file .*nowhere\.toml"):
        Survey.read(tmp_path / "nowhere.toml")


def test_a_table_can_say_all_there_is_to_say(tmp_path):
    survey = read(
        tmp_path,
        """
        [tables.object]
        files = ["https://host/o.parquet", "/data/o", "o"]
        max_bytes = "256MB"
        nest = [{ table = "source", name = "lc", columns = ["t", "flux"] }, "forced"]
        columns = ["id", "ra", "dec"]

        [tables.source]
        files = "s/*.csv"
        follow = "object"
        standalone = true
        reader = "csv"
        csv = { delimiter = ";" }
        types = { flux = "float32" }
        units = { flux = "nJy" }
        on_bad = "refuse"
        roles = { time = ["t", "mjd"], limit = "m5", zero_point = "zp" }
        visit = { table = "visit", on = { v = "visitId" }, columns = ["mjd"] }

        [tables.forced]
        files = "f"

        [tables.visit]
        files = "v"
        """,
    )

    parent, source = survey.table("object"), survey.table("source")
    assert parent.files == ("https://host/o.parquet", "/data/o", f"{tmp_path}/o")
    assert parent.nest == (Nested("source", "lc", ("t", "flux")), Nested("forced", "forced"))
    assert (parent.byte_limit, parent.row_limit, parent.columns) == (256_000_000, None, ("id", "ra", "dec"))
    assert (source.follow, source.reader, source.csv, source.on_bad) == ("object", "csv", {"delimiter": ";"}, "refuse")
    assert (source.types, source.units) == ({"flux": "float32"}, {"flux": "nJy"})
    assert source.roles == Roles(limit="m5", zero_point="zp")
    assert source.known_roles == {"time": ("t", "mjd")}
    assert source.visit == VisitColumns("visit", ("v", "visitId"), ("mjd",))
    assert survey.only_looked_up == {"visit"}
    assert [t.name for t in survey.catalogs] == ["object", "source"]


def test_what_a_table_says_about_a_partition_holds_and_otherwise_both_limits_do():
    assert Table("a", ("x",)).row_limit == MAX_ROWS
    assert Table("a", ("x",)).byte_limit == MAX_BYTES
    assert Table("a", ("x",), max_rows=10).byte_limit is None
    assert Table("a", ("x",), max_bytes=10).row_limit is None
    both = Table("a", ("x",), max_rows=10, max_bytes=20)
    assert (both.row_limit, both.byte_limit) == (10, 20)


def test_a_table_that_is_only_looked_up_is_never_the_primary_one(tmp_path):
    visit = "[tables.visit]\nfiles = 'v'\n"
    survey = read(
        tmp_path, visit + "[tables.star]\nfiles = 's'\nvisit = {table = 'visit', on = 'visit', columns = ['mjd']}"
    )

    assert survey.primary.name == "star"
    with pytest.raises(PlanError, match="every table of the survey x is only looked up"):
        Survey(
            "x",
            (
                Table("a", ("f",), visit=VisitColumns("b", ("v", "v"), ("t",))),
                Table("b", ("f",), visit=VisitColumns("a", ("v", "v"), ("t",))),
            ),
        )


def test_a_zero_point_is_a_column_or_a_number_for_all(tmp_path):
    text = """
        [tables.source]
        files = "s.csv"
        roles = {{ id = "id", flux = "flux", zero_point = {} }}
        """
    assert read(tmp_path, text.format("27.5")).table("source").zero_point == 27.5
    assert read(tmp_path, text.format('"zp"')).table("source").roles.zero_point == "zp"
    with pytest.raises(PlanError, match=r"zero_point must be a number"):
        read(tmp_path, text.format("nan"))


def test_units_are_those_of_the_files_and_else_those_of_the_survey():
    schema = pa.schema([with_unit(pa.field("flux", pa.float32()), "Jy"), pa.field("error", pa.float32())])
    table = Table("source", ("x",), units={"flux": "nJy", "error": "nJy", "other": "mag"})

    assert [unit_of(f) for f in with_units(table, schema)] == ["Jy", "nJy"]


FLUXES = pa.schema([("id", pa.int64()), ("f", pa.float32()), ("e", pa.float32()), ("other", pa.float32())])


@pytest.mark.parametrize("told", [None, "adu", "nmgy"])
def test_a_zero_point_is_the_unit_of_fluxes_and_their_errors(told):
    fields = [with_unit(f, told) if told and f.name == "f" else f for f in FLUXES]
    table = Table("source", ("x",), Roles(parent_id="id", flux="f", flux_error="e"), zero_point=22.5)
    found = agreed(table, [pa.schema(fields)], ["x"])
    assert [unit_of(f) for f in found] == [None, "3630.7805477 nJy", "3630.7805477 nJy", None]


def test_a_zero_point_without_fluxes_or_beside_another_unit_is_refused():
    table = Table("source", ("x",), Roles(parent_id="id", flux="f"), zero_point=27.5)
    other = pa.schema([FLUXES.field("id"), with_unit(FLUXES.field("f"), "nJy")])
    with pytest.raises(SchemaError, match=r'fluxes "f" of x are in nJy, and the zero point 27\.5 .* means 36\.3'):
        agreed(table, [other], ["x"])
    with pytest.raises(SchemaError, match=r"zero point 27\.5, and x no column of fluxes"):
        agreed(Table("source", ("x",), Roles(parent_id="id"), zero_point=27.5), [FLUXES], ["x"])
