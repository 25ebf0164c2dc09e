"""Rows and light curves are found by id, read from where they are, and what is missing is said."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import IdError, PlanError
from lsdb_ts.schema import Roles
from lsdb_ts.store.index_writer import build_index
from lsdb_ts.store.read import recording
from lsdb_ts.store.write import ROW_GROUP_ROWS
from lsdb_ts.testing import assert_reads
from tests.skycases import in_memory, objects_table, on_disk

N = 3000
ORDER = np.random.default_rng(3).permutation(N)
TABLE = objects_table(N, seed=7)
TABLE = TABLE.set_column(0, "objectId", pa.array(ORDER))
EPOCHS = 5


def with_curves(table: pa.Table) -> pa.Table:
    """Objects whose light curve tells their id."""
    n = table.num_rows
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * EPOCHS)
    times = pa.ListArray.from_arrays(offsets, pa.array(np.tile(np.arange(EPOCHS, dtype=float), n)))
    flux = pa.ListArray.from_arrays(offsets, pa.array(np.repeat(table["objectId"].to_numpy().astype(float), EPOCHS)))
    curves = pa.StructArray.from_arrays([times, flux], names=["time", "flux"])
    tagged = table.append_column("lc", curves)
    return pa.table(tagged.columns, schema=Roles(id="objectId").tag(tagged.schema))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ids")


@pytest.fixture(scope="module")
def catalog(folder):
    """Leaves of several row groups each, and an index."""
    import lsdb_ts.store.write as write

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ROW_GROUP_ROWS", 100)
        made = on_disk(folder, with_curves(TABLE), "objects", 1000)
    assert write.ROW_GROUP_ROWS == ROW_GROUP_ROWS
    build_index(folder / "objects", "objectId")
    return made


def by_id(frame) -> dict[int, float]:
    return dict(zip(frame["objectId"].tolist(), frame["mag"].tolist(), strict=True))


def truth(ids) -> dict[int, float]:
    rows = TABLE.to_pandas().set_index("objectId")["mag"]
    return {int(i): rows[i] for i in ids}


@pytest.mark.parametrize(
    "ids",
    [
        [5],
        5,
        np.int64(5),
        [5, 17, 5, 2999],
        np.array([8, 3, 1]),
        pd.Series([8, 3], dtype="int64[pyarrow]"),
        range(0, 3000, 11),
        pa.array([4, 2], pa.int32()),
        [],
    ],
)
def test_rows_are_found_by_ids_of_any_form(catalog, ids):
    wanted = {int(i) for i in ([ids] if np.ndim(ids) == 0 else np.asarray(ids))}
    assert by_id(catalog.loc_ids(ids).compute()) == truth(wanted)


def test_only_row_groups_that_hold_the_ids_are_read(catalog):
    with recording() as reads:
        frame = catalog.loc_ids([123]).compute()
    assert len(frame) == 1
    rows = [r for r in reads if "objects_objectId_index" not in str(r.path)]
    assert [len(r.row_groups) for r in rows] == [1]
    assert rows[0].path.name.startswith("Npix=")


def test_as_many_row_groups_are_read_as_hold_the_ids(catalog):
    import pyarrow.parquet as pq

    ids = [int(i) for i in ORDER[:40]]
    files = list(catalog.plan.source.catalog.path.rglob("Npix=*.parquet"))
    groups = [(f, g) for f in files for g in range(pq.read_metadata(f).num_row_groups)]
    holding = {
        (f.name, g)
        for f, g in groups
        if set(pq.ParquetFile(f).read_row_group(g, columns=["objectId"])["objectId"].to_pylist()) & set(ids)
    }
    assert len(groups) > 1.4 * len(holding)
    with recording() as reads:
        catalog.loc_ids(ids)[["mag"]].compute()
    read = {(r.path.name, g) for r in reads for g in r.row_groups if r.path.name.startswith("Npix")}
    assert read == holding


def test_missing_ids_are_named_at_once_or_ignored_on_request(catalog):
    with pytest.raises(IdError, match=r"no row with objectId = 3000, 3001 \(2 of the ids asked for\).*missing="):
        catalog.loc_ids([1, 3000, 3001])
    assert by_id(catalog.loc_ids([1, 3000], missing="ignore").compute()) == truth([1])
    with pytest.raises(PlanError, match='"raise" or "ignore"'):
        catalog.loc_ids([1], missing="drop")


def test_without_an_index_the_command_that_builds_it_is_named(folder):
    bare = on_disk(folder / "bare", TABLE, "bare", 300)
    with pytest.raises(PlanError, match=r"no index of objectId.*lsdb-ts index .*bare --column objectId"):
        bare.loc_ids([1], on="objectId")
    found = bare.loc_ids([1, 2, 9999], on="objectId", missing="ignore")
    assert by_id(found.compute()) == truth([1, 2])
    assert "it has no index" in str(found.explain())
    with pytest.raises(PlanError, match="does not say which column holds its ids: name it with on="):
        bare.loc_ids([1])


def test_an_index_is_seen_as_soon_as_it_is_there_and_names_the_column(folder):
    late = on_disk(folder / "late", TABLE, "late", 300)
    with pytest.raises(PlanError, match="no index"):
        late.loc_ids([1], on="objectId")
    build_index(folder / "late" / "late", "objectId")
    assert by_id(late.loc_ids([1]).compute()) == truth([1])


def test_a_table_in_memory_needs_no_index(folder):
    catalog = in_memory(TABLE, "memory", 300)
    assert by_id(catalog.loc_ids([1, 2], on="objectId").compute()) == truth([1, 2])
    with pytest.raises(IdError, match="no row with objectId = -4"):
        catalog.loc_ids([-4], on="objectId")


def test_results_do_not_depend_on_the_layout_or_on_steps_before(catalog):
    ids = list(range(0, 3000, 7))
    expected = {i: mag for i, mag in truth(ids).items() if mag < 20}
    for rows in (50, 900, 100_000):
        here = in_memory(TABLE, "memory", rows)
        assert by_id(here.query("mag < 20").loc_ids(ids, on="objectId").compute()) == expected
    assert by_id(catalog.query("mag < 20").loc_ids(ids).compute()) == expected
    assert by_id(catalog.loc_ids(ids).query("mag < 20").compute()) == expected
    account = catalog.loc_ids(ids).account()
    assert account == {"objectId": {"rows_with_ids": len(ids)}}


def test_ids_of_another_type_are_refused(catalog):
    for ids, message in (
        ([1.5], "int64 and the ids are double"),
        (["1"], "int64 and the ids are string"),
        ([1, None], "1 of the 2 ids are missing"),
        ([2**70], "no ids of"),
        ([True], "int64 and the ids are bool"),
    ):
        with pytest.raises(PlanError, match=message):
            catalog.loc_ids(ids)


def test_light_curves_come_by_id_in_the_order_asked_for(catalog):
    with assert_reads({"objectId", "lc.time", "lc.flux", "Norder", "Npix"}) as reads:
        frame = catalog.lightcurves([17, 5, 2999])
    assert frame.index.tolist() == [17, 5, 2999]
    assert frame.index.name == "objectId"
    assert list(frame.columns) == ["lc"]
    assert frame["lc"].nest["flux"].groupby(level=0, sort=False).first().tolist() == [17.0, 5.0, 2999.0]
    assert sum(len(r.row_groups) for r in reads if r.path.name.startswith("Npix")) <= 3
    assert catalog.lightcurves(5).index.tolist() == [5]


def test_light_curves_of_missing_ids_are_said_with_an_index_and_without(catalog, folder):
    bare = on_disk(folder / "curves", with_curves(TABLE), "curves", 300)
    for each in (catalog, bare):
        with pytest.raises(IdError, match="no row with objectId = 7777"):
            each.lightcurves([3, 7777])
        assert each.lightcurves([3, 7777], missing="ignore").index.tolist() == [3]
    assert bare.lightcurves([9, 3]).index.tolist() == [9, 3]
    with pytest.raises(PlanError, match="holds no light curves"):
        catalog.lightcurves([1], "mag")


def test_sources_of_an_object_are_found_by_the_objects_id(folder):
    """Ids repeat: five sources of each object, not at its place but near it."""
    owner = np.repeat(np.arange(N), EPOCHS)
    ra, dec = lt.testing.perturbed(TABLE["ra"].to_numpy()[owner], TABLE["dec"].to_numpy()[owner], 0.5, 1)
    table = pa.table({"sourceId": np.arange(owner.size), "objectId": ORDER[owner], "ra": ra, "dec": dec})
    sources = on_disk(folder / "sources", table, "sources", 2000)
    build_index(folder / "sources" / "sources", "objectId")
    frame = sources.loc_ids([5, 6], on="objectId").compute()
    expected = table.to_pandas()
    assert sorted(frame["sourceId"]) == sorted(expected.sourceId[expected.objectId.isin([5, 6])])


def test_curves_nested_lazily_come_by_id_too(catalog, folder):
    owner = np.repeat(np.arange(N), EPOCHS)
    ra, dec = lt.testing.perturbed(TABLE["ra"].to_numpy()[owner], TABLE["dec"].to_numpy()[owner], 0.5, 1)
    table = pa.table({"objectId": ORDER[owner], "ra": ra, "dec": dec, "mjd": np.arange(owner.size)[::-1] * 1.0})
    sources = on_disk(folder / "epochs", table, "epochs", 1500)
    nested = catalog[["objectId", "ra", "dec"]].nest(sources, on="objectId", name="again")
    with recording() as reads:
        frame = nested.lightcurves([40, 3], "again")
    flat = frame["again"].nest.to_flat()
    assert flat.index.tolist() == [40] * EPOCHS + [3] * EPOCHS
    assert flat["mjd"].groupby(level=0).is_monotonic_increasing.all()
    assert len({r.path for r in reads if "epochs" in str(r.path) and r.row_groups}) <= 2


def test_ids_are_found_through_steps_that_keep_them_under_another_name_too(catalog):
    renamed = catalog.rename(columns={"objectId": "name"}).assign(double="mag * 2")
    with recording() as reads:
        frame = renamed.loc_ids([5], on="name").compute()
    assert (frame["double"] == 2 * frame["mag"]).all()
    assert len([r for r in reads if r.path.name.startswith("Npix")]) == 1
    made = catalog.assign(other="objectId + 1")
    with pytest.raises(PlanError, match="look them up before the step that makes them"):
        made.loc_ids([5], on="other")
    assert made.loc_ids([6], on="other", missing="ignore").compute()["objectId"].tolist() == [5]
    joined = catalog.join(in_memory(TABLE, "again"), on="objectId").loc_ids([5, 6])
    assert sorted(joined.compute()["objectId"]) == [5, 6]
    assert joined.npartitions <= 2


def test_ids_that_a_function_made_anew_are_not_those_of_the_source(catalog):
    def double(row):
        return 10_000 + row["objectId"]

    anew = catalog.map_rows(double, ["objectId"], meta={"objectId": "int64"}, append=False)
    assert anew.loc_ids([10_007], on="objectId", missing="ignore").compute()["objectId"].tolist() == [10_007]
    with pytest.raises(PlanError, match="has no index"):
        anew.loc_ids([10_007], on="objectId")


def test_large_unsigned_ids_and_categories_are_looked_up():
    large = TABLE.set_column(0, "objectId", pa.array(ORDER.astype(np.uint64) + np.uint64(2**63)))
    wanted = [2**63 + 5, 2**63 + 1]
    made = in_memory(large, "large", 300)
    assert sorted(made.loc_ids(wanted, on="objectId").compute()["objectId"].tolist()) == sorted(wanted)
    assert len(made.loc_ids([1, *wanted], on="objectId", missing="ignore").compute()) == 2
    names = pa.array([f"o{i}" for i in ORDER]).dictionary_encode()
    named = in_memory(TABLE.set_column(0, "objectId", names), "named", 300)
    assert sorted(named.loc_ids(["o7", "o3"], on="objectId").compute()["objectId"].tolist()) == ["o3", "o7"]


def test_ids_are_found_in_the_parts_of_a_split(catalog):
    wanted = list(range(40))
    parts = [part.loc_ids(wanted, on="objectId").compute() for part in catalog.random_split([0.5, 0.5], seed=2)]
    assert sorted(i for part in parts for i in part["objectId"]) == wanted
    assert all(0 < len(part) < 40 for part in parts)
