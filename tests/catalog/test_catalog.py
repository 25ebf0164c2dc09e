"""The verbs of a catalog, as a user meets them: lazy, alike on disk and in memory, and clear about what cannot be."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import CatalogError, InputError, PlanError, PositionError, RunError
from lsdb_ts.testing import assert_lazy, assert_reads
from tests.skycases import in_memory, objects_table, on_disk

TABLE = objects_table(2000)
FRAME = TABLE.to_pandas()


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("catalog"), TABLE, "objects", 200)


def test_a_catalog_on_disk_and_one_in_memory_hold_the_same_rows(catalog):
    memory = lt.from_dataframe(FRAME)
    columns = ["objectId", "ra", "dec", "mag", "junk"]
    a, b = catalog.compute(), memory.compute()
    assert list(a.columns) == list(b.columns) == columns == catalog.columns
    assert a.index.name == "_healpix_29"
    assert a.index.is_monotonic_increasing
    by_id = pd.DataFrame(a).sort_values("objectId")
    assert np.array_equal(by_id[columns].to_numpy(float), FRAME[columns].to_numpy(float))
    assert sorted(b.objectId) == sorted(a.objectId)


def test_len_head_and_columns(catalog):
    assert len(catalog) == len(TABLE)
    assert len(catalog.query("mag < 20")) == (FRAME.mag < 20).sum()
    head = catalog.head(7)
    assert head.equals(catalog.compute().head(7))
    assert list(catalog[["mag", "objectId"]].head(1).columns) == ["mag", "objectId"]
    assert catalog.npartitions == len(catalog.layout) > 5


def test_the_columns_argument_of_open_keeps_columns(catalog):
    path = catalog.plan.source.catalog.path
    assert lt.open_catalog(path, columns=["objectId", "mag"]).columns == ["objectId", "mag"]


@pytest.mark.parametrize(
    "expr",
    ["mag < 20", "18 <= mag <= 19 and junk > 0", "not (mag > 20) or objectId in [1, 2, 3]", "abs(junk) > 1 & dec > 0"],
)
def test_query_means_what_pandas_means(catalog, expr):
    expected = FRAME.query(expr)
    assert sorted(catalog.query(expr).compute().objectId) == sorted(expected.objectId)


def test_query_takes_the_callers_variables(catalog):
    limit = 17.5
    assert len(catalog.query("mag < @limit")) == (FRAME.mag < limit).sum()
    assert len(catalog.query("mag < @faint", local_dict={"faint": 16})) == (FRAME.mag < 16).sum()
    with pytest.raises(PlanError, match="@nothing"):
        catalog.query("mag < @nothing")


def test_a_cone_holds_exactly_what_lies_within(catalog):
    for ra, dec, radius in [(0.0, 90.0, 3000.0), (359.9999, 0.0, 10.0), (45.0, 41.81, 36000.0)]:
        found = catalog.cone_search(ra, dec, radius).compute()
        from lsdb_ts.sky import separation_arcsec

        expected = FRAME[separation_arcsec(ra, dec, FRAME.ra, FRAME.dec) <= radius]
        assert sorted(found.objectId) == sorted(expected.objectId)


def colour(frame, shift=0.0):
    return frame.assign(bright=frame["mag"] < 20 + shift)


def test_map_partitions_reads_the_declared_columns_and_keeps_positions(catalog, tmp_path):
    mapped = catalog.map_partitions(colour, columns=["objectId", "ra", "dec", "mag"], rowwise=True, shift=1.0)
    with assert_lazy():
        assert mapped.columns == ["objectId", "ra", "dec", "mag", "bright"]
    with assert_reads({"objectId", "ra", "dec", "mag"}):
        frame = mapped.compute()
    assert frame.bright.sum() == (FRAME.mag < 21).sum()
    again = mapped.write(tmp_path / "mapped").crossmatch(mapped, 0.01, suffixes=("_a", "_b")).compute()
    assert len(again) == len(TABLE)


def test_a_function_on_whole_partitions_cannot_serve_a_halo_and_says_so_before_any_task(catalog):
    mapped = catalog.map_partitions(colour)
    with assert_lazy(), pytest.raises(PlanError, match="rowwise=True"):
        catalog.crossmatch(mapped, 1.0).compute()


def test_meta_may_be_a_frame_a_dict_or_found(catalog):
    def count(frame):
        return pd.DataFrame({"n": [len(frame)]}, index=pd.Index(frame.index[:1], name="_healpix_29"))

    for meta in ({"n": "int64"}, pa.schema([("n", pa.int64())])):
        assert catalog.map_partitions(count, meta=meta).compute()["n"].sum() == len(TABLE)
    with pytest.raises(PlanError, match="Say it with meta="):
        catalog.map_partitions(lambda frame: frame.iloc[[0]])


def test_a_function_that_breaks_its_promise_names_the_column(catalog):
    with pytest.raises(RunError, match='did not return the column "amplitude"'):
        catalog.map_partitions(colour, meta={"amplitude": "float64"}).compute()


def test_unknown_columns_are_refused_at_once_with_the_nearest_names(catalog):
    with assert_lazy():
        with pytest.raises(PlanError, match='did you mean "objectId"'):
            catalog[["objctId"]]
        with pytest.raises(PlanError, match='no column "magg"'):
            catalog.query("magg < 20")
        with pytest.raises(PlanError, match='no column "lc"'):
            catalog.features(lt.FeatureSet.fast())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"ra": np.nan}, PositionError, r"row 3 has ra=nan"),
        ({"dec": 90.5}, PositionError, r"row 3 has .*dec=90\.5"),
        ({"dec": -np.inf}, PositionError, r"row 3 has .*dec=-inf"),
    ],
)
def test_a_bad_position_names_row_value_and_the_way_out(change, error, message):
    frame = FRAME.copy()
    for column, value in change.items():
        frame.loc[3, column] = value
    with pytest.raises(error, match=message) as caught:
        lt.from_dataframe(frame)
    assert "drop them first" in str(caught.value)


def test_float32_coordinates_are_refused_with_the_size_of_their_error():
    with pytest.raises(InputError, match=r"float, which rounds positions .*0\.05 arcsec"):
        lt.from_dataframe(FRAME.astype({"ra": "float32"}))


def test_paths_that_are_no_catalogs_say_what_they_are(tmp_path):
    with pytest.raises(CatalogError, match="is not a folder"):
        lt.open_catalog(tmp_path / "nowhere")
    with pytest.raises(CatalogError, match=r"neither hats\.properties nor collection\.properties"):
        lt.open_catalog(tmp_path)


def test_explain_says_what_each_node_is_asked_for(catalog):
    matched = catalog.query("mag < 20").crossmatch(catalog, 2.0, suffixes=("_a", "_b"))[["objectId_a"]]
    text = repr(matched.explain())
    lines = text.splitlines()
    assert lines[0].startswith("select objectId_a")
    assert any('halo 2"' in line and "scan" in line for line in lines)
    assert any("filter mag < 20" in line for line in lines)
    assert "a task" in text


def test_an_empty_frame_is_a_catalog_of_no_rows():
    empty = lt.from_dataframe(FRAME.iloc[:0])
    assert len(empty) == 0
    assert len(empty.compute()) == 0
    assert len(in_memory(TABLE, "o").crossmatch(empty, 1.0).compute()) == 0
    assert len(empty.crossmatch(in_memory(TABLE, "o"), 1.0).compute()) == 0


def test_a_function_sees_the_columns_in_the_order_they_were_selected(catalog):
    first = catalog[["mag", "objectId"]].map_partitions(lambda frame: frame.iloc[:, :1])
    assert first.columns == ["mag"]
    assert first.compute()["mag"].tolist() == catalog.compute()["mag"].tolist()


def test_two_columns_of_one_name_are_refused(catalog):
    twice = FRAME.rename(columns={"junk": "mag"})
    with pytest.raises(PlanError, match='two columns called "mag"'):
        lt.from_dataframe(twice)
    with pytest.raises(InputError, match='two columns called "mag"'):
        lt.from_dataframe(TABLE.rename_columns({"junk": "mag"}))


def test_a_function_sees_whole_partitions_whatever_is_matched_above(catalog):
    coarse, fine = in_memory(TABLE, "coarse", 5000), in_memory(TABLE, "fine", 40)
    brightest = coarse.map_partitions(lambda frame: frame.nsmallest(3, "mag"))
    expected = brightest.compute().objectId.tolist()
    matched = brightest.crossmatch(fine[["junk"]], 0.001, how="left")
    assert matched.npartitions > brightest.npartitions
    assert matched.compute().objectId.tolist() == expected


def test_a_rowwise_function_that_sorts_is_refused(catalog):
    with pytest.raises(RunError, match="another order"):
        catalog.map_partitions(lambda frame: frame.iloc[::-1], rowwise=True).compute()


def test_features_come_in_the_unit_of_the_light_curves(tmp_path):
    import partitioner
    from lsdb_ts.schema import unit_of
    from lsdb_ts.testing import simulate_survey

    raw = simulate_survey(tmp_path / "raw", n_objects=100)
    partitioner.run(partitioner.Survey.read(raw.toml), tmp_path / "survey", show=False)
    features = lt.open_catalog(tmp_path / "survey").features(lt.FeatureSet.fast(bands="gr"))
    written = features.write(tmp_path / "features")
    for catalog in (features, written):
        kind = catalog.schema.field("features_g").type
        assert unit_of(kind.field("mean")) == "nJy"
        assert unit_of(kind.field("lin_slope")) == "nJy/d"
        assert catalog.schema.field("features_g").metadata[b"feature_set"]


def test_a_part_of_a_struct_can_be_asked_for_and_queried(tmp_path):
    struct = pa.StructArray.from_arrays(
        [TABLE["mag"].combine_chunks(), TABLE["junk"].combine_chunks()], ["mean", "skew"]
    )
    table = TABLE.select(["objectId", "ra", "dec"]).append_column("features_g", struct)
    for catalog in (in_memory(table, "o", 200), on_disk(tmp_path, table, "objects", 200)):
        bright = catalog.query("features_g.mean < 18 and objectId < 1500")[["objectId", "features_g.skew"]]
        frame = bright.compute()
        expected = FRAME.query("mag < 18 and objectId < 1500")
        assert sorted(frame.objectId) == sorted(expected.objectId)
        assert bright.schema.field("features_g").type.num_fields == 1
    with assert_reads({"objectId", "features_g.mean", "features_g.skew"}, "objects"):
        bright.compute()
    with pytest.raises(PlanError, match=r'did you mean "features_g\.mean"'):
        catalog.query("features_g.maen < 18")


def with_roles() -> pa.Table:
    from lsdb_ts.schema import Roles, with_unit

    table = TABLE.cast(TABLE.schema.set(3, with_unit(TABLE.schema.field("mag"), "mag")))
    return table.cast(Roles(id="objectId", ra="ra", dec="dec", mag="mag").tag(table.schema))


def test_the_roles_of_a_match_are_those_of_the_left_rows():
    from lsdb_ts.schema import Roles

    catalog = in_memory(with_roles(), "a")
    roles = Roles.of(catalog.crossmatch(catalog, 1.0, suffixes=("", "_b")).schema)
    assert (roles.id, roles.ra, roles.mag) == ("objectId", "ra", "mag")


def test_columns_that_a_function_hands_on_keep_their_units_and_roles():
    from lsdb_ts.schema import Roles, unit_of

    catalog = in_memory(with_roles(), "a", 300)
    for meta in (None, {"objectId": "int64", "ra": "float64", "dec": "float64", "mag": "float64"}):
        mapped = catalog.map_partitions(colour, meta=meta)
        assert unit_of(mapped.schema.field("mag")) == "mag"
        assert Roles.of(mapped.schema).id == "objectId"
        assert len(mapped.cone_search(0, 90, 36_000).compute()) > 0, "its rows keep their place"


def test_roles_can_be_given_to_a_frame():
    from lsdb_ts.schema import Roles

    catalog = lt.from_dataframe(FRAME, roles={"mag": "mag", "id": "objectId"})
    assert Roles.of(catalog.schema).mag == "mag"
    with pytest.raises(PlanError, match='did you mean "mag"'):
        lt.from_dataframe(FRAME, roles={"mag": "magg"})
    with pytest.raises(PlanError, match=r'no column for ra="RA".*lt\.from_dataframe\(df, ra='):
        lt.from_dataframe(FRAME, ra="RA")


def test_a_frame_where_a_catalog_is_needed_says_how_to_make_one(catalog):
    with pytest.raises(PlanError, match=r"got a DataFrame: make one with lt\.from_dataframe"):
        catalog.concat(FRAME)
    with pytest.raises(PlanError, match=r"no columns ra and dec.*lt\.from_dataframe"):
        catalog.crossmatch(FRAME.rename(columns={"ra": "lon"}))


def test_a_catalog_is_asked_for_its_columns_like_a_frame(catalog):
    assert "mag" in catalog
    assert "magg" not in catalog
    assert list(catalog) == catalog.columns
    with pytest.raises(PlanError, match=r"\.head\(n\)"):
        catalog[:5]
