"""The survey file: what it may say, and how it is told what is wrong with it."""

import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.schema import Roles
from partitioner.survey import Survey, Table, resolved


def read(tmp_path, text: str) -> Survey:
    (tmp_path / "survey.toml").write_text(text)
    return Survey.read(tmp_path / "survey.toml")


def test_a_profile_gives_the_roles_by_the_name_of_the_table(raw):
    survey = raw.survey

    assert [t.name for t in survey.tables] == ["object", "source", "forced_source"]
    assert survey.primary.nest == (("source", "lc"), ("forced_source", "forced"))
    assert survey.table("source").known_roles.parent_id == "objectId"
    assert survey.table("source").files == (str(raw.folder / "source-*.parquet"),)


def test_a_nested_column_is_called_like_its_table_unless_told_otherwise(tmp_path):
    survey = read(tmp_path, '[tables.object]\nfiles = "o"\nnest = ["source"]\n[tables.source]\nfiles = "s"')

    assert survey.primary.nest == (("source", "source"),)
    assert survey.name == "survey"


def test_a_role_that_is_given_wins_over_the_profile_and_the_profile_over_the_names():
    table = Table("source", ("x",), Roles(time="mjd"), Roles(time="midpointMjdTai", flux="psfFlux", id="sourceId"))

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
            "both nest others",
        ),
        ("name = 'a/b'\n[tables.object]\nfiles = 'o'", "cannot be the name of a folder"),
        (
            "name = 'source'\n[tables.object]\nfiles = 'o'\n[tables.source]\nfiles = 's'\nstandalone = true",
            "give the survey another name",
        ),
        ("[tables.object\nfiles = 'o'", "not valid TOML"),
    ],
)
def test_a_survey_file_that_makes_no_sense_says_where_and_what_may_be_meant(tmp_path, text, complaint):
    with pytest.raises(PlanError) as caught:
        read(tmp_path, text)

    assert complaint in str(caught.value)


def test_a_survey_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PlanError, match=r"cannot read the survey file .*nowhere\.toml"):
        Survey.read(tmp_path / "nowhere.toml")
