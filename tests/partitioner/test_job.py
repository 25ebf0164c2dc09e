"""A survey repartitioned: nothing is lost, everything is where it belongs, and bad input is told apart and named."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import IdError, InputError, OutputError, ResumeError, SchemaError
from lsdb_ts.schema import HEALPIX, Roles, is_nested, unit_of
from lsdb_ts.sky import spatial_index
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.read import read_rows
from partitioner import Account, Survey, plan, run
from partitioner.account import Tally
from partitioner.moving import gather
from partitioner.running import verbs


def as_sets(table: pa.Table) -> set[tuple]:
    return set(zip(*(column.to_pylist() for column in table.columns), strict=True))


def flat(rows: pa.Table, column: str, parent: str = "objectId") -> pa.Table:
    """Unfold a nested column the slow way."""
    found: dict[str, list] = {}
    for owner, curve in zip(rows.column(parent).to_pylist(), rows.column(column).to_pylist(), strict=True):
        n = len(next(iter(curve.values())))
        found.setdefault(parent, []).extend([owner] * n)
        for name, values in curve.items():
            found.setdefault(name, []).extend(values)
    return pa.table(found)


def known(children: pa.Table, objects: pa.Table) -> pa.Table:
    return children.filter(
        pa.array(np.isin(children.column("objectId").to_numpy(), objects.column("objectId").to_numpy()))
    )


def test_every_object_comes_out_once_with_its_own_values(raw, finished, rows_of):
    rows = rows_of(finished).select(raw.objects.column_names)

    assert rows.num_rows == raw.objects.num_rows
    assert as_sets(rows) == as_sets(raw.objects)


@pytest.mark.parametrize(("column", "table"), [("lc", "sources"), ("forced", "forced")])
def test_light_curves_hold_every_row_of_their_object_and_no_other(raw, finished, rows_of, column, table):
    children = known(getattr(raw, table), raw.objects)

    nested = flat(rows_of(finished), column)

    assert nested.num_rows == children.num_rows
    assert as_sets(nested.select(children.column_names)) == as_sets(children)


@pytest.mark.parametrize(("column", "id_column"), [("lc", "sourceId"), ("forced", "forcedSourceId")])
def test_each_light_curve_is_sorted_by_time_and_then_by_id(finished, rows_of, column, id_column):
    for curve in rows_of(finished).column(column).to_pylist():
        pairs = list(zip(curve["midpointMjdTai"], curve[id_column], strict=True))
        assert pairs == sorted(pairs)


def test_an_object_without_sources_keeps_an_empty_curve(raw, finished, rows_of):
    rows = rows_of(finished)
    lonely = set(raw.objects.column("objectId").to_pylist()[-20:])

    curves = [
        c
        for i, c in zip(rows.column("objectId").to_pylist(), rows.column("lc").to_pylist(), strict=True)
        if i in lonely
    ]

    assert len(curves) == 20
    assert all(values == [] for curve in curves for values in curve.values())
    assert rows.column("lc").null_count == 0


def test_rows_without_an_object_are_set_aside_whole(raw, finished):
    for name, table in (("source", raw.sources), ("forced_source", raw.forced)):
        aside = pq.read_table(finished / "orphans" / f"{name}.parquet")
        strangers = as_sets(table) - as_sets(known(table, raw.objects))
        assert as_sets(aside) == strangers
        assert aside.num_rows == len(strangers) > 0


def test_rows_lie_in_their_pixel_sorted_with_the_index_of_their_position(finished):
    for path in (finished, finished / "source"):
        catalog = open_hats(path)
        for pixel in catalog.layout:
            rows = read_rows(catalog.leaf_path(pixel), [HEALPIX, "coord_ra", "coord_dec"])
            place = rows.column(HEALPIX).to_numpy()
            assert ((place >= pixel.start) & (place < pixel.stop)).all()
            assert (np.diff(place) >= 0).all()
            assert (place == spatial_index(rows.column("coord_ra"), rows.column("coord_dec"))).all()


def test_no_leaf_is_larger_than_asked_unless_it_is_named(raw, finished):
    account = Account.read(finished)
    catalog = open_hats(finished)

    sizes = {str(p): pq.read_metadata(catalog.leaf_path(p)).num_rows for p in catalog.layout}

    assert account.catalogs[0].dense == ()
    assert max(sizes.values()) <= 15
    assert max(p.order for p in catalog.layout) > 12, "the hard sky has a crowd that the histogram cannot split"


def test_a_standalone_table_is_a_catalog_of_its_own_in_the_place_of_its_own_positions(raw, finished, rows_of):
    rows = rows_of(finished / "source").select(raw.sources.column_names)

    assert as_sets(rows) == as_sets(raw.sources)
    assert open_hats(finished / "source").properties["dataproduct_type"] == "source"


def test_units_and_roles_stay_with_the_columns_and_with_the_parts_of_curves(finished):
    schema = open_hats(finished).schema
    curve = schema.field("lc")

    assert unit_of(schema.field("g_psfMag")) == "mag"
    assert Roles.of(schema) == Roles(id="objectId", ra="coord_ra", dec="coord_dec")
    assert is_nested(curve)
    assert unit_of(curve.type.field("psfFlux")) == "nJy"
    roles = Roles.of(curve.type)
    assert (roles.time, roles.band, roles.flux, roles.parent_id) == ("midpointMjdTai", "band", "psfFlux", None)
    assert curve.type.field("band").type.value_type == pa.string()


def test_the_account_balances_and_counts_what_was_set_aside(raw, finished):
    account = Account.read(finished)

    assert all(t.balances for t in account.tables)
    by_name = {(t.table, t.became): t for t in account.tables}
    assert by_name["source", "lc of sim"].orphans == 7
    assert by_name["forced_source", "forced of sim"].orphans == 11
    assert by_name["source", "catalog source"].rows_out == raw.sources.num_rows
    assert not (finished / ".lsdb_ts").exists()


def test_an_account_that_does_not_balance_stops_the_commit(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(gather, "row_keys", lambda table, column: np.zeros(table.num_rows, dtype=np.int64))

    with pytest.raises(Exception, match='books do not balance for the table "object"'):
        run(raw.survey, tmp_path / "out")

    assert not (tmp_path / "out" / "collection.properties").exists()


def test_other_layouts_hold_the_same_rows(raw, finished, rows_of, tmp_path):
    tables = [dataclasses.replace(t, max_rows=250) for t in raw.survey.tables]

    run(dataclasses.replace(raw.survey, tables=tuple(tables)), tmp_path / "out")

    assert len(open_hats(tmp_path / "out").layout) != len(open_hats(finished).layout)
    sequence = [(HEALPIX, "ascending"), ("objectId", "ascending")]
    ours, theirs = (rows_of(path).sort_by(sequence) for path in (tmp_path / "out", finished))
    assert ours.to_pylist() == theirs.to_pylist()


def test_how_leaves_are_put_into_buckets_does_not_change_a_byte(raw, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(verbs, "plan", with_buckets_of_one_leaf)

    run(raw.survey, tmp_path / "out")

    for path in sorted(finished.rglob("Npix=*.parquet")):
        assert path.read_bytes() == (tmp_path / "out" / path.relative_to(finished)).read_bytes()


def with_buckets_of_one_leaf(*args, **kwargs):
    from partitioner.planning.plan import plan

    planned = plan(*args, **kwargs)
    products = [dataclasses.replace(p, edges=np.arange(len(p.layout))) for p in planned.products]
    return dataclasses.replace(planned, products=tuple(products))


def test_a_single_table_needs_no_more_than_its_coordinates(raw, rows_of, tmp_path):
    survey = Survey.of_single_table(
        str(raw.folder / "source-*.parquet"),
        ra="coord_ra",
        dec="coord_dec",
        max_rows=500,
        margin_arcsec=0,
        name="epochs",
    )

    account = run(survey, tmp_path / "out")

    assert as_sets(rows_of(tmp_path / "out").select(raw.sources.column_names)) == as_sets(raw.sources)
    assert open_hats(tmp_path / "out").name == "epochs"
    assert open_hats(tmp_path / "out").margin is None
    assert account.catalogs[0].partitions == len(open_hats(tmp_path / "out").layout)


def test_bad_rows_can_be_set_aside_with_their_reason(tmp_path, rows_of):
    rows = {"id": [1, 2, 3, 4], "ra": [10.0, np.nan, 12.0, 13.0], "dec": [0.0, 0.0, -91.0, 0.0]}
    pq.write_table(pa.table(rows), tmp_path / "in.parquet")
    survey = Survey.of_single_table(str(tmp_path / "in.parquet"), ra="ra", dec="dec")

    account = run(survey, tmp_path / "out", on_bad="refuse")

    (table,) = account.tables
    assert (table.rows_in, table.rows_out, table.refused) == (4, 2, {"position not on the sky": 2})
    assert rows_of(tmp_path / "out").column("id").to_pylist() == [4, 1]
    aside = pq.read_table(tmp_path / "out" / "refused" / "catalog.parquet")
    assert aside.column("id").to_pylist() == [2, 3]
    assert aside.column("_row").to_pylist() == [1, 2]
    assert aside.column("_reason").to_pylist()[1] == "not on the sky: ra=12.0, dec=-91.0"


def test_an_id_that_is_not_unique_is_named_with_both_places(make_raw, tmp_path):
    raw = make_raw(tmp_path / "raw", n=90)
    path = raw.folder / "object-2.parquet"
    rows = pq.read_table(path)
    ids = rows.column("objectId").to_pylist()
    ids[4] = raw.objects.column("objectId")[1].as_py()
    pq.write_table(rows.set_column(0, rows.schema.field(0), pa.array(ids)), path)

    with pytest.raises(IdError) as caught:
        run(raw.survey, tmp_path / "out")

    assert f"objectId {ids[4]}" in str(caught.value)
    assert f"row 1 of {raw.folder / 'object-0.parquet'} and row 4 of {path}" in str(caught.value)


def test_an_id_that_is_missing_is_named(make_raw, tmp_path):
    raw = make_raw(tmp_path / "raw", n=90)
    path = raw.folder / "object-1.parquet"
    rows = pq.read_table(path)
    ids = [None, *rows.column("objectId").to_pylist()[1:]]
    pq.write_table(rows.set_column(0, rows.schema.field(0), pa.array(ids, pa.int64())), path)

    with pytest.raises(IdError, match=r"row 0 of .*object-1\.parquet .* has no objectId"):
        run(raw.survey, tmp_path / "out")


def test_a_child_without_a_parent_column_says_which_role_to_give(raw, tmp_path):
    tables = [dataclasses.replace(t, known_roles={}) if t.name == "source" else t for t in raw.survey.tables]

    with pytest.raises(
        SchemaError, match=r'"source" has no known dec column: add dec = "..." to \[tables.source.roles\]'
    ):
        run(dataclasses.replace(raw.survey, tables=tuple(tables)), tmp_path / "out")


def test_a_folder_that_holds_something_else_is_left_alone(raw, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")

    with pytest.raises(OutputError, match="is not empty and holds no half-done run"):
        run(raw.survey, tmp_path)

    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


def test_a_finished_run_started_again_does_nothing(raw, finished):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}

    account = run(raw.survey, finished)

    assert account.already_done
    assert account.tables == Account.read(finished).tables
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*")} == before


def test_a_finished_folder_is_not_overwritten_by_another_survey(raw, finished):
    with pytest.raises(OutputError, match=r"name: sim -> other") as caught:
        run(dataclasses.replace(raw.survey, name="other"), finished)

    assert not isinstance(caught.value, ResumeError)


def test_what_a_finished_folder_was_made_from_is_told_in_lines_that_can_be_read(raw, finished):
    survey = Survey.of_single_table(str(raw.folder / "object-*.parquet"), "coord_ra", "coord_dec", "stars")

    with pytest.raises(OutputError, match="was finished from something else") as caught:
        plan(survey, finished)

    told = str(caught.value).splitlines()
    assert len(told) < 12
    assert max(map(len, told)) < 250


def test_a_tally_does_not_depend_on_the_sequence_but_on_every_row():
    rows = np.arange(1000)

    assert Tally.of(rows) == Tally.of(rows[::-1])
    assert Tally.of(rows) != Tally.of(np.where(rows == 5, 6, rows))
    assert Tally.of(rows[:400]) + Tally.of(rows[400:]) == Tally.of(rows)


def test_a_plan_alone_writes_nothing(raw, tmp_path):
    planned = plan(raw.survey, tmp_path / "out")

    assert not (tmp_path / "out").exists()
    summary = planned.to_json()
    assert summary["tables"]["source"]["rows"] == raw.sources.num_rows
    assert [c["path"] for c in summary["catalogs"]] == ["sim", "source/source"]


def test_a_table_without_any_row_on_the_sky_is_an_error(tmp_path):
    pq.write_table(pa.table({"ra": [np.nan], "dec": [0.0]}), tmp_path / "in.parquet")

    with pytest.raises(InputError, match='"catalog" has no row with a place on the sky'):
        run(Survey.of_single_table(str(tmp_path / "in.parquet"), "ra", "dec"), tmp_path / "out", on_bad="refuse")


@pytest.mark.filterwarnings("ignore")
def test_the_hats_library_finds_the_collections_valid(finished, capsys):
    from hats.io.validation import is_valid_collection

    assert is_valid_collection(finished, strict=True)
    assert is_valid_collection(finished / "source", strict=True)


@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_makes_the_same_bytes(raw, finished, tmp_path):
    from distributed import Client

    with Client(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None):
        run(raw.survey, tmp_path / "out")

    for path in sorted(finished.rglob("Npix=*.parquet")):
        assert path.read_bytes() == (tmp_path / "out" / path.relative_to(finished)).read_bytes()


def test_light_curves_are_read_back_from_files_of_several_row_groups(raw, finished, rows_of, tmp_path, monkeypatch):
    monkeypatch.setattr("lsdb_ts.store.write.ROW_GROUP_ROWS", 5)

    run(raw.survey, tmp_path / "out")

    catalog = open_hats(tmp_path / "out")
    assert max(pq.read_metadata(catalog.leaf_path(p)).num_row_groups for p in catalog.layout) > 1
    assert rows_of(tmp_path / "out").to_pylist() == rows_of(finished).to_pylist()
