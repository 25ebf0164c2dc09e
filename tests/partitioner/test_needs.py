"""What the part of a table in its survey asks of its columns."""

import pyarrow as pa
import pytest

from lsdb_ts.errors import SchemaError
from lsdb_ts.schema import Roles, with_unit
from partitioner.planning.needs import check_needs
from partitioner.surveys.survey import Nested, Survey, Table

STAR = pa.schema([("id", pa.int64()), ("ra", pa.float64()), ("dec", pa.float64())])
EPOCH = pa.schema([("star", pa.int64()), ("t", pa.float64())])


def check(star=STAR, epoch=EPOCH, **epoch_options):
    parent = Table("star", ("s",), nest=(Nested("epoch", "lc"),))
    if epoch_options.get("follow"):
        parent = Table("star", ("s",))
    child = Table("epoch", ("e",), **epoch_options)
    roles = {"star": Roles(id="id", ra="ra", dec="dec"), "epoch": Roles(parent_id="star", time="t")}
    schemas = {}
    for name, schema in (("star", star), ("epoch", epoch)):
        there = {r: c for r, c in roles[name].items() if c in schema.names}
        schemas[name] = Roles(**there).tag(schema)
    check_needs(Survey("x", (parent, child)), schemas, {"star": "s.parquet", "epoch": "e.parquet"})


def test_a_survey_that_has_what_it_needs_passes():
    check()
    check(follow="star")


@pytest.mark.parametrize("column", ["id", "ra", "dec"])
def test_a_parent_needs_an_id_and_a_place(column):
    with pytest.raises(SchemaError, match=f'the table "star" has no known {column} column'):
        check(star=pa.schema([f for f in STAR if f.name != column]))


def test_a_child_needs_its_parent_and_a_time_and_nothing_else():
    with pytest.raises(SchemaError, match='the table "epoch" has no known parent_id column'):
        check(epoch=pa.schema([EPOCH.field("t")]))
    with pytest.raises(SchemaError, match='the table "epoch" has no known time column'):
        check(epoch=pa.schema([EPOCH.field("star")]))


def test_a_table_that_follows_needs_no_place_and_one_that_stands_alone_does():
    check(follow="star", epoch=pa.schema([EPOCH.field("star")]))
    with pytest.raises(SchemaError, match='the table "epoch" has no known dec column'):
        check(standalone=True)


def test_a_nested_column_must_not_take_the_name_of_another():
    with pytest.raises(
        SchemaError, match='the table "star" has a column "lc" already: nest "epoch" under another name'
    ):
        check(star=STAR.append(pa.field("lc", pa.int8())))


@pytest.mark.parametrize(
    ("star", "complaint"),
    [
        (STAR.set(1, pa.field("ra", pa.float32())), "is float, which rounds positions"),
        (
            STAR.set(1, pa.field("ra", pa.string())),
            '"ra" of s.parquet is string; as the ra of the table "star" it must',
        ),
        (STAR.set(0, pa.field("id", pa.float64())), '"id" of s.parquet is double; as the id of the table "star"'),
    ],
)
def test_columns_must_be_of_a_type_that_can_play_the_role(star, complaint):
    with pytest.raises(SchemaError) as caught:
        check(star=star)

    assert complaint in str(caught.value)


@pytest.mark.parametrize("unit", ["rad", "h", "hourangle", "arcsec", "RAD"])
@pytest.mark.parametrize("column", [1, 2])
def test_positions_that_the_files_say_are_no_degrees_are_refused(column, unit):
    star = STAR.set(column, with_unit(STAR.field(column), unit))

    with pytest.raises(SchemaError, match=f'of s.parquet is in "{unit}": need ICRS degrees'):
        check(star=star)


@pytest.mark.parametrize("unit", ["deg", "degree", "degrees", "Angle[deg]"])
def test_positions_in_degrees_pass_under_any_name(unit):
    check(star=pa.schema([STAR.field("id"), *(with_unit(STAR.field(c), unit) for c in ("ra", "dec"))]))


def test_ids_may_be_texts_where_those_who_name_them_write_them_so():
    text = STAR.set(0, pa.field("id", pa.string()))
    check(star=text, epoch=EPOCH.set(0, pa.field("star", pa.large_string())))
    with pytest.raises(
        SchemaError, match='"id" of the table "star" is string, "star" of "epoch" is int64: no row would'
    ):
        check(star=text)
    with pytest.raises(SchemaError, match='"id" of the table "star" is int64, "star" of "epoch" is string'):
        check(epoch=EPOCH.set(0, pa.field("star", pa.string())), follow="star")
