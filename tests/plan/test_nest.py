"""Nesting joins by id, loses no row, and sorts every curve by time."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lsdb_ts.errors import IdError, PlanError
from lsdb_ts.schema import Roles
from lsdb_ts.store.read import recording
from lsdb_ts.testing import assert_reads, perturbed
from tests.skycases import in_memory, objects_table, on_disk

OBJECTS = objects_table(1500, seed=3)
EPOCHS = 6


def sources_table(seed: int = 4) -> pa.Table:
    """Several noisy epochs of each object but the last hundred, and some of unknown objects, in random order."""
    n = OBJECTS.num_rows - 100
    owner = np.repeat(np.arange(n), EPOCHS)
    ra, dec = perturbed(OBJECTS["ra"].to_numpy()[owner], OBJECTS["dec"].to_numpy()[owner], 0.3, seed)
    rng = np.random.default_rng(seed)
    ids = OBJECTS["objectId"].to_numpy()[owner].copy()
    ids[:40] = -1
    order = rng.permutation(owner.size)
    columns = {
        "sourceId": np.arange(owner.size),
        "objectId": ids,
        "ra": ra,
        "dec": dec,
        "midpointMjdTai": rng.uniform(60000, 61000, owner.size),
        "band": rng.choice(list("ugrizy"), owner.size),
        "psfFlux": rng.normal(1000, 10, owner.size),
    }
    return pa.table({name: np.asarray(values)[order] for name, values in columns.items()})


SOURCES = sources_table()


def curves_by_id(frame) -> pd.Series:
    curves = frame["lc"]
    curves.index = pd.Index(frame["objectId"].to_numpy(), name="objectId")
    return curves


@pytest.mark.parametrize(("object_rows", "source_rows"), [(10_000, 10_000), (60, 300), (400, 90)])
def test_nested_and_orphans_add_up_to_the_sources_and_curves_are_sorted(tmp_path, object_rows, source_rows):
    objects = on_disk(tmp_path, OBJECTS, "objects", object_rows)
    sources = on_disk(tmp_path, SOURCES, "sources", source_rows)

    frame = objects.nest(sources, on="objectId", name="lc").compute()

    account = frame.attrs["account"]["lc"]
    assert account == {"children": SOURCES.num_rows, "nested": SOURCES.num_rows - 40, "orphans": 40}
    assert len(frame) == OBJECTS.num_rows
    flat = curves_by_id(frame).nest.to_flat()
    assert len(flat) == account["nested"]
    expected = SOURCES.to_pandas().query("objectId >= 0").sort_values(["objectId", "midpointMjdTai"])
    got = flat.reset_index().sort_values("objectId", kind="stable")
    assert got["objectId"].tolist() == expected["objectId"].tolist()
    assert got["sourceId"].tolist() == expected["sourceId"].tolist()


def test_an_object_without_sources_keeps_an_empty_curve():
    frame = in_memory(OBJECTS, "o").nest(in_memory(SOURCES, "s"), on="objectId").compute()
    lengths = curves_by_id(frame).nest["sourceId"].groupby(level=0).size()
    assert len(frame) - len(lengths) >= 100
    assert frame["lc"].notna().all()


def test_sources_far_from_their_object_are_orphans_in_every_layout():
    moved = SOURCES.to_pandas()
    moved.loc[moved.index[:25], "dec"] = 10.0
    table = pa.Table.from_pandas(moved, preserve_index=False)
    accounts = [
        in_memory(OBJECTS, "o", rows)
        .nest(in_memory(table, "s", more), on="objectId", max_separation_arcsec=3.0)
        .account()
        for rows, more in [(50, 1000), (10_000, 10_000), (500, 60)]
    ]
    assert accounts[0] == accounts[1] == accounts[2]
    assert accounts[0]["lc"]["nested"] + accounts[0]["lc"]["orphans"] == SOURCES.num_rows
    assert accounts[0]["lc"]["orphans"] >= 60


def test_one_part_of_the_curve_is_read_alone(tmp_path):
    objects = on_disk(tmp_path, OBJECTS, "objects", 400)
    nested = objects.nest(in_memory(SOURCES, "s", 300), on="objectId").write(tmp_path / "nested")
    with assert_reads({"objectId", "lc.psfFlux"}):
        frame = nested[["objectId", "lc.psfFlux"]].compute()
    assert frame["lc"].nest.columns == ["psfFlux"]


def test_a_query_on_epochs_keeps_rows_and_drops_epochs():
    nested = in_memory(OBJECTS, "o", 300).nest(in_memory(SOURCES, "s", 300), on="objectId")
    frame = nested.query("lc.band == 'g' and lc.midpointMjdTai > 60500").compute()
    assert len(frame) == OBJECTS.num_rows
    flat = frame["lc"].nest.to_flat()
    table = SOURCES.to_pandas()
    expected = table[(table.objectId >= 0) & (table.band == "g") & (table.midpointMjdTai > 60500)]
    assert sorted(flat["sourceId"]) == sorted(expected.sourceId)


def test_an_id_that_is_not_unique_is_an_error_that_names_it():
    twice = pa.concat_tables([OBJECTS, OBJECTS.slice(7, 1)])
    from lsdb_ts.errors import RunError

    with pytest.raises(RunError, match="objectId=7 stands in more than one row") as caught:
        in_memory(twice, "o").nest(in_memory(SOURCES, "s"), on="objectId").compute()
    assert IdError.__name__ in caught.value.failures[0].error


def test_a_name_that_is_taken_and_a_key_that_is_not_there_are_refused_at_once():
    objects, sources = in_memory(OBJECTS, "o"), in_memory(SOURCES, "s")
    with pytest.raises(PlanError, match="already has a column"):
        objects.nest(sources, on="objectId", name="mag")
    with pytest.raises(PlanError, match='did you mean "objectId"'):
        objects.nest(sources, on="objctId")


def test_ids_may_be_text(tmp_path):
    objects = OBJECTS.set_column(0, "objectId", pa.array([f"o{i}" for i in OBJECTS["objectId"].to_pylist()]))
    sources = SOURCES.set_column(1, "objectId", pa.array([f"o{i}" for i in SOURCES["objectId"].to_pylist()]))
    account = in_memory(objects, "o", 300).nest(in_memory(sources, "s", 300), on="objectId").account()
    assert account["lc"]["nested"] == SOURCES.num_rows - 40


def test_a_frame_of_sources_in_pandas_nests_the_same():
    frame = pd.DataFrame(SOURCES.to_pandas())
    import lsdb_ts as lt

    account = in_memory(OBJECTS, "o", 300).nest(lt.from_dataframe(frame), on="objectId").account()
    assert account["lc"]["orphans"] == 40


def test_sources_without_an_id_are_orphans_and_do_not_touch_large_ids():
    big = 600_000_000_000_000_000
    objects = OBJECTS.set_column(0, "objectId", pa.array(np.arange(OBJECTS.num_rows) + big))
    ids = [None if i % 500 == 0 else i + big if i >= 0 else -1 for i in SOURCES["objectId"].to_pylist()]
    sources = SOURCES.set_column(1, "objectId", pa.array(ids, pa.int64()))
    frame = in_memory(objects, "o", 300).nest(in_memory(sources, "s", 300), on="objectId").compute()
    nameless = sum(i is None for i in ids)
    assert nameless > 10
    assert frame.attrs["account"]["lc"]["orphans"] == nameless + 40
    flat = curves_by_id(frame).nest.to_flat()
    truth = dict(zip(sources["sourceId"].to_pylist(), ids, strict=True))
    assert [truth[s] for s in flat["sourceId"]] == flat.index.tolist()


def test_ids_of_different_types_are_refused_at_once():
    sources = SOURCES.set_column(1, "objectId", SOURCES["objectId"].cast(pa.float64()))
    with pytest.raises(PlanError, match="ids must be of one type"):
        in_memory(OBJECTS, "o").nest(in_memory(sources, "s"), on="objectId")


def test_a_filter_above_does_not_turn_sources_into_orphans(tmp_path):
    objects, sources = on_disk(tmp_path, OBJECTS, "objects", 100), in_memory(SOURCES, "s", 300)
    nested = objects.nest(sources, on="objectId")
    assert nested.query("mag < 15.2").account() == nested.account()


@pytest.mark.parametrize("lists", [pa.list_, pa.large_list])
def test_epochs_are_kept_in_lists_of_either_size(lists):
    times = pa.array([[1.0, 5.0], [], [2.0, 3.0, 9.0]], lists(pa.float64()))
    curves = pa.StructArray.from_arrays(
        [times], fields=[pa.field("time", times.type)], mask=pa.array([False, True, False])
    )
    catalog = in_memory(OBJECTS.slice(0, 3).append_column("lc", curves), "either")
    rows = catalog.query("lc.time < 4").to_arrow().sort_by("objectId")
    assert rows.schema.field("lc").type == curves.type
    assert rows["lc"].to_pylist() == [{"time": [1.0]}, None, {"time": [2.0, 3.0]}]


def test_two_nestings_keep_their_accounts_apart():
    both = in_memory(OBJECTS, "o", 300)
    for name in ("lc", "again"):
        both = both.nest(in_memory(SOURCES, "s", 300), on="objectId", name=name)
    account = both.account()
    assert (
        account["lc"]
        == account["again"]
        == {"children": SOURCES.num_rows, "nested": SOURCES.num_rows - 40, "orphans": 40}
    )


def cone_of(table: pa.Table, ra: float, dec: float, radius_arcsec: float) -> np.ndarray:
    """The rows of a table within a radius of a position."""
    from lsdb_ts.sky.sphere import separation_arcsec

    return separation_arcsec(table["ra"].to_numpy(), table["dec"].to_numpy(), ra, dec) <= radius_arcsec


def curves_in(frame) -> dict[int, list[int]]:
    flat = curves_by_id(frame).nest.to_flat()
    return {int(i): part.tolist() for i, part in flat["sourceId"].groupby(level=0)}


def curves_of(ids) -> dict[int, list[int]]:
    table = SOURCES.to_pandas()
    table = table[table.objectId.isin(list(ids))].sort_values(["objectId", "midpointMjdTai"])
    return {int(i): part.tolist() for i, part in table.groupby("objectId")["sourceId"]}


CUTS = [(0.0, 90.0, 7200.0), (0.0, -90.0, 36_000.0), (0.0, 0.0, 72_000.0), (359.99, 0.0, 3600.0)]


@pytest.mark.parametrize("cone", CUTS)
def test_cut_objects_get_whole_curves_wherever_the_cut_is_made(cone):
    inside = cone_of(OBJECTS, *cone)
    expected = curves_of(OBJECTS["objectId"].to_numpy()[inside])
    accounts = []
    for object_rows, source_rows in [(60, 300), (10_000, 90), (400, 10_000)]:
        objects, sources = in_memory(OBJECTS, "o", object_rows), in_memory(SOURCES, "s", source_rows)
        before = objects.cone_search(*cone).nest(sources, on="objectId")
        after = objects.nest(sources, on="objectId").cone_search(*cone)
        for nested in (before, after):
            frame = nested.compute()
            assert len(frame) == inside.sum()
            assert curves_in(frame) == expected
        account = before.account()["lc"]
        assert account["nested"] == sum(map(len, expected.values()))
        assert account["children"] == account["nested"] + account["orphans"]
        accounts.append((account, after.account()))
    assert accounts[0] == accounts[1] == accounts[2]


def test_sources_far_from_cut_objects_are_not_read(tmp_path):
    objects = on_disk(tmp_path / "o", OBJECTS, "objects", 100)
    sources = on_disk(tmp_path / "s", SOURCES, "sources", 100)
    near = objects.cone_search(float(OBJECTS["ra"][500].as_py()), float(OBJECTS["dec"][500].as_py()), 60.0)
    with recording() as reads:
        near.nest(sources, on="objectId").compute()
    files = {r.path for r in reads if r.row_groups and "sources" in str(r.path)}
    assert 1 <= len(files) < sources.npartitions / 3


def test_picked_partitions_count_the_orphans_of_their_own_sky():
    objects, sources = in_memory(OBJECTS, "o", 60), in_memory(SOURCES, "s", 300)
    whole = objects.nest(sources, on="objectId")
    parts = [objects.partitions[i].nest(sources, on="objectId").account()["lc"] for i in range(objects.npartitions)]
    assert sum(p["nested"] for p in parts) == SOURCES.num_rows - 40
    assert len(whole) == OBJECTS.num_rows
    assert max(p["orphans"] for p in parts) < SOURCES.num_rows / 4


@pytest.mark.parametrize(("object_rows", "source_rows"), [(10_000, 10_000), (60, 300), (400, 90)])
def test_an_inner_nesting_drops_objects_without_sources(object_rows, source_rows):
    objects, sources = in_memory(OBJECTS, "o", object_rows), in_memory(SOURCES, "s", source_rows)
    inner = objects.nest(sources, on="objectId", how="inner")
    frame = inner.compute()
    expected = curves_of(range(OBJECTS.num_rows))
    assert sorted(frame["objectId"]) == sorted(expected)
    assert curves_in(frame) == expected
    assert inner.account()["lc"] == {"children": SOURCES.num_rows, "nested": SOURCES.num_rows - 40, "orphans": 40}
    with pytest.raises(PlanError, match='a nesting is "left"'):
        objects.nest(sources, on="objectId", how="outer")


def test_the_rows_of_a_nesting_are_counted_without_computing():
    objects = in_memory(OBJECTS, "o", 300)
    nested = objects.nest(in_memory(SOURCES, "s", 300), on="objectId")
    assert nested.plan.count == OBJECTS.num_rows
    assert nested.plan.limits("mag") == objects.plan.limits("mag")
    assert nested.plan.limits("lc.psfFlux") is None


def test_ids_of_several_integer_types_are_joined_and_those_that_would_be_floats_are_not():
    narrow = SOURCES.set_column(1, "objectId", SOURCES["objectId"].cast(pa.int32()))
    account = in_memory(OBJECTS, "o", 300).nest(in_memory(narrow, "s", 300), on="objectId").account()
    assert account["lc"]["orphans"] == 40
    unsigned = OBJECTS.set_column(0, "objectId", OBJECTS["objectId"].cast(pa.uint64()))
    with pytest.raises(PlanError, match="uint64 in o and int64 in s"):
        in_memory(unsigned, "o").nest(in_memory(SOURCES, "s"), on="objectId")


def test_missing_times_and_ids_come_last_in_a_curve():
    n = SOURCES.num_rows
    names = pa.array([None if i % 3 == 0 else f"s{i:05d}" for i in range(n)])
    times = pa.array([None if i % 5 == 0 else float(i % 2) for i in range(n)])
    table = SOURCES.set_column(0, "sourceId", names)
    table = table.set_column(table.column_names.index("midpointMjdTai"), "midpointMjdTai", times)
    table = table.cast(Roles(id="sourceId", time="midpointMjdTai").tag(table.schema))
    frame = in_memory(OBJECTS, "objects", 400).nest(in_memory(table, "sources", 700), on="objectId").compute()
    flat = curves_by_id(frame).nest.to_flat().reset_index()
    plain = pd.DataFrame({c: flat[c].tolist() for c in ("objectId", "midpointMjdTai", "sourceId")})
    expected = plain.sort_values(["objectId", "midpointMjdTai", "sourceId"], na_position="last", kind="stable")
    got = plain.sort_values("objectId", kind="stable")
    for column in ("midpointMjdTai", "sourceId"):
        assert got[column].isna().tolist() == expected[column].isna().tolist()
        assert got[column].dropna().tolist() == expected[column].dropna().tolist()


@pytest.mark.parametrize("other", [None, "name"])
def test_the_key_is_the_id_of_what_has_none(other):
    stars = OBJECTS.select(["objectId", "ra", "dec"]).rename_columns(["star", "ra", "dec"])
    if other is not None:
        stars = stars.append_column("name", stars["star"])
        stars = pa.table(stars.columns, schema=Roles(id=other).tag(stars.schema))
    epochs = SOURCES.rename_columns([{"objectId": "star"}.get(n, n) for n in SOURCES.column_names])
    nested = in_memory(stars, "stars", 400).nest(in_memory(epochs, "epochs", 900), on="star", name="lc")
    assert Roles.of(nested.schema).id == (other or "star")
    assert Roles.of(nested.to_arrow().schema).id == (other or "star")
