"""Raw files: found, agreed on a schema before any work, cut into units that hold every row once."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner
from lsdb_ts.errors import InputError, SchemaError
from lsdb_ts.schema import Roles, unit_of
from partitioner.inputs import tables as inputs
from partitioner.inputs.tables import TableInput, open_table, read_unit
from partitioner.surveys.survey import Table, VisitColumns

SKY = Roles(ra="ra", dec="dec")


def rows_of(found: TableInput, columns: list[str] | None = None) -> pa.Table:
    """Read all rows of a table, unit by unit."""
    chunks = [c.table for u in found.units for c in read_unit(u, found.schema, columns)]
    return pa.concat_tables(chunks)


def table_of(tmp_path, *tables: pa.Table, roles: Roles = SKY) -> Table:
    for i, table in enumerate(tables):
        pq.write_table(table, tmp_path / f"part-{i}.parquet", row_group_size=10)
    return Table("stars", (str(tmp_path / "*.parquet"),), roles)


def sky(n: int = 25, **more) -> pa.Table:
    return pa.table({"ra": np.arange(n) * 1.0, "dec": np.zeros(n), **more})


def test_columns_in_another_sequence_are_brought_into_that_of_the_first_file(tmp_path):
    first = sky(5, x=pa.array(range(5), pa.int32()))
    second = sky(3, x=pa.array(range(3), pa.int64())).select(["x", "dec", "ra"])

    found = open_table(table_of(tmp_path, first, second))

    rows = rows_of(found)
    assert rows.schema.names == ["ra", "dec", "x"]
    assert rows.schema.field("x").type == pa.int64()
    assert rows.column("x").to_pylist() == [0, 1, 2, 3, 4, 0, 1, 2]


def test_a_dictionary_counts_as_what_it_holds(tmp_path):
    plain = sky(2, band=["g", "r"])
    coded = sky(2, band=pa.array(["g", "y"]).dictionary_encode())

    found = open_table(table_of(tmp_path, plain, coded))

    assert rows_of(found).column("band").to_pylist() == ["g", "r", "g", "y"]


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        (sky(3), 'part-1.parquet has no column "x", which .*part-0.parquet has'),
        (sky(3, x=np.zeros(3), y=np.zeros(3)), 'part-0.parquet has no column "y", which .*part-1.parquet has'),
        (sky(3, x=["a", "b", "c"]), 'column "x" is double in .*part-0.parquet and string in .*part-1.parquet'),
        (sky(3, x=pa.array([1, 2, 3])), 'column "x" is double in .*part-0.parquet and int64 in .*part-1.parquet'),
    ],
)
def test_files_that_disagree_are_named_with_the_column(tmp_path, other, complaint):
    with pytest.raises(SchemaError, match=complaint):
        open_table(table_of(tmp_path, sky(3, x=np.zeros(3)), other))


def test_a_missing_coordinate_column_is_named_with_the_nearest(tmp_path):
    table = table_of(tmp_path, sky(3), roles=Roles(ra="ra", dec="decl"))

    with pytest.raises(SchemaError, match=r'part-0\.parquet has no column "decl", .* did you mean "dec"'):
        open_table(table)


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    table = table_of(tmp_path, sky(3))
    (tmp_path / "bad.parquet").write_bytes(b"garbage")

    with pytest.raises(InputError, match=r"cannot read .*bad\.parquet as Parquet"):
        open_table(table)


def test_a_pattern_that_matches_nothing_is_named(tmp_path):
    with pytest.raises(InputError, match=r'table "stars" has no files: nothing matches .*\*\.parquet'):
        open_table(Table("stars", (str(tmp_path / "*.parquet"),)))


def test_a_file_cut_short_after_it_was_opened_is_named(tmp_path):
    found = open_table(table_of(tmp_path, sky(30)))
    path = tmp_path / "part-0.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])

    with pytest.raises(InputError, match=r"cannot read .*part-0\.parquet"):
        list(read_unit(found.units[0], found.schema))


def test_units_hold_every_row_once_and_never_cut_a_row_group(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "UNIT_ROWS", 20)

    found = open_table(table_of(tmp_path, sky(45, x=np.arange(45)), sky(7, x=np.arange(7) + 45)))

    assert [u.rows for u in found.units] == [20, 20, 12]
    chunks = [c for u in found.units for c in read_unit(u, found.schema)]
    assert [c.first_row for c in chunks] == [0, 20, 40, 0]
    assert [u.origin(5) for u in found.units] == [(chunks[i].path, row) for i, row in ((0, 5), (0, 25), (3, 0))]
    rows = rows_of(found)
    assert rows.column("x").to_pylist() == list(range(52))


def test_units_of_measurement_survive(raw):
    found = open_table(raw.survey.table("source"))

    assert unit_of(found.schema.field("psfFlux")) == "nJy"
    assert found.roles.flux == "psfFlux"


def test_a_folder_stands_for_the_parquet_files_in_it(tmp_path):
    table_of(tmp_path, sky(3), sky(4))

    found = open_table(Table("stars", (str(tmp_path),), Roles(ra="ra", dec="dec")))

    assert [f.rows for f in found.files] == [3, 4]


def test_brackets_in_the_path_of_a_survey_file_are_no_pattern(make_raw, tmp_path):
    raw = make_raw(tmp_path / "night[1]", n=60)

    assert open_table(raw.survey.table("object")).rows == 60


def test_a_hats_catalog_stands_for_its_partitions(raw, finished):
    rows = open_table(Table("object", (str(finished / "sim"),), Roles(ra="coord_ra", dec="coord_dec"))).rows

    assert rows == raw.objects.num_rows
    assert open_table(Table("object", (str(finished),))).rows == rows
    with pytest.raises(InputError, match="is a margin, copies of rows"):
        open_table(Table("object", (str(finished / "sim_20arcs"),)))


def test_roles_that_files_tell_are_kept_unless_others_are_given(finished):
    table = Table("object", (str(finished / "sim"),), Roles(id="other"))
    files = Table("object", (str(finished / "sim"),))

    assert open_table(files).roles == Roles(id="objectId", ra="coord_ra", dec="coord_dec")
    with pytest.raises(SchemaError, match='has no column "other"'):
        open_table(table)


def nested_bands(*curves: list[str]) -> pa.Table:
    """Return a table with light curves whose bands are dictionaries."""
    offsets = pa.array(np.cumsum([0, *map(len, curves)]), pa.int32())
    bands = pa.array([b for curve in curves for b in curve]).dictionary_encode()
    column = pa.StructArray.from_arrays([pa.ListArray.from_arrays(offsets, bands)], ["band"])
    return sky(len(curves), lc=column)


def test_dictionaries_inside_light_curves_are_written_out_whatever_each_row_group_has(tmp_path):
    curves = [["g", "r"], [], ["z"] * 3, ["u"]] * 5

    found = open_table(table_of(tmp_path, nested_bands(*curves), nested_bands(["y"], ["g", "u"])))

    rows = rows_of(found).combine_chunks()
    assert [lc["band"] for lc in rows.column("lc").to_pylist()] == [*curves, ["y"], ["g", "u"]]


def test_float32_coordinates_are_refused_with_the_size_of_their_error(tmp_path):
    table = pa.table({"ra": pa.array([1.0, 2.0], pa.float32()), "dec": pa.array([1.0, 2.0], pa.float32())})
    pq.write_table(table, tmp_path / "coarse.parquet")
    survey = partitioner.Survey.of_single_table(str(tmp_path / "coarse.parquet"), "ra", "dec")
    with pytest.raises(SchemaError, match=r'"dec" of .*coarse\.parquet is float, which rounds .*0\.05 arcsec'):
        partitioner.plan(survey, tmp_path / "out", show=False)


def test_columns_that_are_not_named_are_left_out_but_for_those_that_find_the_rows_their_place(tmp_path):
    rows = pa.table({"star": [1], "ra": [1.0], "dec": [2.0], "mag": [3.0], "v": [4], "note": ["x"]})
    pq.write_table(rows, tmp_path / "a.parquet")
    visit = VisitColumns("visit", ("v", "v"), ("mjd",))
    named = Table(
        "stars", (str(tmp_path),), Roles(id="star", ra="ra", dec="dec", time="mjd"), columns=("mag",), visit=visit
    )

    opened = open_table(named)

    assert opened.schema.names == ["star", "ra", "dec", "mag", "v"]
    assert opened.roles == Roles(id="star", ra="ra", dec="dec", mag="mag")
    with pytest.raises(
        SchemaError, match='no column "mga", which is to be kept of the table "stars"; did you mean "mag"'
    ):
        open_table(dataclasses.replace(named, columns=("mga",)))
