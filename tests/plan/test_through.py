"""Associations are written and read as HATS has them, and joins through them are the matches they were made of."""

import numpy as np
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import CatalogError, PlanError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.store.hats import open_hats, read_properties
from lsdb_ts.store.read import recording
from lsdb_ts.testing import assert_reads
from tests.skycases import in_memory, neighbours_table, objects_table, on_disk
from tests.store.catalogs import unsealed

LEFT = objects_table(1500, seed=31)
RIGHT = neighbours_table(LEFT, 0.6, seed=32).slice(0, 1300)
LAYOUTS = [(100_000, 100_000), (60, 500), (500, 60)]
RADIUS_ARCSEC = 1.2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("through")


@pytest.fixture(scope="module")
def catalogs(folder):
    return on_disk(folder / "left", LEFT, "objects", 200), on_disk(folder / "right", RIGHT, "stars", 90)


@pytest.fixture(scope="module")
def matched(catalogs):
    return catalogs[0].crossmatch(catalogs[1], RADIUS_ARCSEC, n_neighbors=3)


@pytest.fixture(scope="module")
def links(folder, catalogs, matched):
    return matched.write_association(folder / "links", *catalogs, on=("objectId", "starId"))


def pairs(frame) -> list[tuple]:
    return sorted(zip(frame["objectId"], frame["starId"], frame["_dist_arcsec"].round(9), strict=True))


@pytest.fixture(scope="module")
def truth(matched):
    return pairs(matched.compute())


def test_an_association_has_the_pairs_and_says_what_hats_requires(links, truth, folder, matched):
    table = links.to_arrow()
    assert table.column_names == ["objectId_objects", "starId_stars", "_dist_arcsec"]
    assert sorted(zip(*(table.column(i).to_pylist() for i in range(2)), strict=True)) == [t[:2] for t in truth]
    told = read_properties(folder / "links" / "hats.properties")
    assert {k: v for k, v in told.items() if "assn" in k or k in ("dataproduct_type", "hats_primary_table_url")} == {
        "dataproduct_type": "association",
        "hats_primary_table_url": "objects",
        "hats_col_assn_primary": "objectId",
        "hats_col_assn_primary_assn": "objectId_objects",
        "hats_assn_join_table_url": "stars",
        "hats_col_assn_join": "starId",
        "hats_col_assn_join_assn": "starId_stars",
        "hats_assn_leaf_files": "True",
        "hats_assn_max_separation": told["hats_assn_max_separation"],
    }
    assert "hats_col_ra" not in told
    largest = max(t[2] for t in truth)
    assert largest <= float(told["hats_assn_max_separation"]) + 1e-8 <= RADIUS_ARCSEC + 1e-6
    places = links.plan.source.catalog
    assert HEALPIX in places.schema.names
    assert len(lt.open_catalog(folder / "links")) == len(truth)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_join_through_an_association_is_the_match_in_every_layout(links, truth, folder, layout):
    left, right = in_memory(LEFT, "objects", layout[0]), in_memory(RIGHT, "stars", layout[1])
    for through in (links, folder / "links", str(folder / "links"), lt.open_catalog(folder / "links")):
        frame = left.join(right, through=through).compute()
        assert pairs(frame) == truth
    account = frame.attrs["account"]["objects_x_stars"]
    assert (account["links"], account["pairs"], account["right_missing"]) == (len(truth), len(truth), 0)
    assert account["matched"] == len({t[0] for t in truth}) <= account["left_rows_near"]
    assert list(frame.columns) == [
        "objectId",
        "ra_objects",
        "dec_objects",
        "mag",
        "junk_objects",
        "starId",
        "ra_stars",
        "dec_stars",
        "gmag",
        "junk_stars",
        "_dist_arcsec",
    ]
    own = left.rename(columns={"mag": "_dist_arcsec"})
    with pytest.raises(PlanError, match='both the association links and the catalogs have a column "_dist_arcsec"'):
        own.join(right, through=links)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_that_links_name_and_that_are_gone_are_counted(links, truth, layout):
    left = in_memory(LEFT.slice(300), "objects", layout[0])
    right = in_memory(RIGHT.slice(0, 1000), "stars", layout[1])
    kept = [t for t in truth if t[0] >= 300 and t[1] < 11_000]
    for how in ("inner", "left"):
        frame = left.join(right, through=links, how=how).compute()
        assert pairs(frame[frame["starId"].notna()]) == kept
        if how == "left":
            assert set(frame["objectId"]) == set(range(300, LEFT.num_rows))
            assert frame["starId"].isna().sum() == 1200 - len({t[0] for t in kept})
            assert frame["_dist_arcsec"].isna().sum() == frame["starId"].isna().sum()
        account = frame.attrs["account"]["objects_x_stars"]
        assert account["links"] == sum(t[0] >= 300 for t in truth)
        assert account["right_missing"] == sum(t[0] >= 300 and t[1] >= 11_000 for t in truth)
        assert (account["pairs"], account["matched"]) == (len(kept), len({t[0] for t in kept}))
        if how == "left":
            assert account["unmatched"] == 1200 - account["matched"] == account["left_rows"] - account["matched"]


def test_only_what_is_asked_for_is_read_of_all_three(links, catalogs, folder):
    joined = catalogs[0].join(catalogs[1], through=links)[["mag", "gmag"]]
    for columns, name in (
        ({"objectId", "ra", "dec", "mag"}, "left"),
        ({"objectId_objects", "starId_stars"}, "links"),
        ({"starId", "ra", "dec", "gmag"}, "right"),
    ):
        with assert_reads(columns, folder / name):
            joined.compute()


def test_few_rows_read_near_them_only(links, catalogs):
    few = in_memory(LEFT.slice(700, 2), "few")
    with recording() as reads:
        frame = few.join(catalogs[1], through=links).compute()
    assert set(frame["objectId"]) <= {700, 701}
    assert len({r.path for r in reads if r.row_groups}) <= 6


def test_a_join_through_links_can_be_cut_queried_and_matched_again(links, catalogs, truth):
    joined = catalogs[0].join(catalogs[1], through=links)
    left = LEFT.to_pandas().set_index("objectId")
    near = [t for t in truth if left.dec[t[0]] > 89]
    assert pairs(joined.query("dec_objects > 89").compute()) == near
    cone = joined.cone_search(0.0, 90.0, 3600.0).compute()
    assert pairs(cone) == near
    again = in_memory(LEFT, "again", 130).crossmatch(joined, radius_arcsec=0.01, n_neighbors=1000).compute()
    assert len(again) >= len(truth)
    same = again[again["objectId_again"] == again[next(c for c in again.columns if c.startswith("objectId_o"))]]
    assert len(same) == len(truth)


def test_a_join_by_id_is_written_too_and_rows_without_a_partner_are_no_links(folder, catalogs):
    left, right = (
        in_memory(LEFT, "l", 100),
        in_memory(RIGHT.append_column("objectId", LEFT["objectId"].slice(0, 1300)), "r"),
    )
    both = left.join(right, on="objectId", how="left")
    with pytest.raises(PlanError, match="no column _dist_arcsec"):
        both.write_association(folder / "by_id", left, right, on=("objectId", "starId"))
    made = both.write_association(folder / "by_id", left, right, on=("objectId", "starId"), max_separation_arcsec=5.0)
    assert len(made) == both.compute()["starId"].notna().sum()
    assert left.join(right, through=made).account()["l_x_r"]["pairs"] == len(made)
    again = both.write_association(folder / "by_id", left, right, on=("objectId", "starId"), max_separation_arcsec=5.0)
    assert len(again) == len(made)


def test_soft_associations_join_by_the_columns_they_name(folder, links, truth):
    copy = folder / "soft"
    (copy / "dataset").mkdir(parents=True)
    text = unsealed(folder / "links" / "hats.properties")
    (copy / "hats.properties").write_text(
        text.replace("hats_assn_leaf_files=True", "hats_assn_leaf_files=False").replace("join=starId", "join=objectId")
    )
    (copy / "partition_info.csv").write_text("Norder,Npix\n")
    (copy / "dataset" / "_common_metadata").write_bytes((folder / "links/dataset/_common_metadata").read_bytes())
    right = in_memory(RIGHT.append_column("objectId", LEFT["objectId"].slice(0, 1300)), "stars")
    frame = in_memory(LEFT, "objects").join(right, through=copy, max_separation_arcsec=20.0).compute()
    assert (frame["starId"] - 10_000 == frame["objectId_objects"]).all()
    assert len(frame) > 1000


def test_the_separation_is_that_of_the_rows_where_no_property_tells_it(folder, links):
    path = folder / "links" / "hats.properties"
    text = unsealed(path)
    try:
        path.write_text("\n".join(line for line in text.splitlines() if "max_separation" not in line))
        told = lt.open_catalog(folder / "links").plan.association
        assert 1.0 < told.max_separation_arcsec <= RADIUS_ARCSEC
        path.write_text(text.replace("hats_col_assn_join=starId\n", ""))
        with pytest.raises(CatalogError, match="does not say hats_col_assn_join"):
            in_memory(LEFT, "l").join(in_memory(RIGHT, "r"), through=folder / "links")
    finally:
        path.write_text(text)


def test_what_cannot_be_joined_through_is_said_at_once(links, catalogs, folder):
    left, right = catalogs
    with pytest.raises(PlanError, match="leave out on="):
        left.join(right, on="objectId", through=links)
    with pytest.raises(PlanError, match="is no association table"):
        left.join(right, through=right)
    with pytest.raises(PlanError, match='has no column "starId"'):
        left.join(left, through=links)
    with pytest.raises(PlanError, match='a join is "inner"'):
        left.join(right, through=links, how="outer")
    with pytest.raises(PlanError, match="needs positions, and the rows of links have none"):
        links.cone_search(0.0, 0.0, 10.0)
    assert "objectId_objects" in repr(links)
    assert open_hats(folder / "links").kind == "association"


def test_ids_that_a_join_kept_once_are_linked_too(folder):
    left, right = in_memory(LEFT, "l", 100), in_memory(LEFT.select(["objectId", "ra", "dec"]), "r", 300)
    same = ("objectId", "objectId")
    made = left.join(right, on="objectId").write_association(
        folder / "once", left, right, on=same, max_separation_arcsec=1.0
    )
    assert made.columns == ["objectId_l", "objectId_r"]
    again = left.join(right, through=made).compute()
    assert sorted(again["objectId_l"]) == sorted(again["objectId_r"]) == sorted(LEFT["objectId"].to_pylist())


def test_of_rows_that_share_an_id_a_link_is_of_the_one_it_lies_at(folder):
    rng = np.random.default_rng(4)
    table = pa.table({"id": np.arange(200) // 2, "ra": rng.uniform(0, 0.2, 200), "dec": rng.uniform(-0.1, 0.1, 200)})
    stars = table.append_column("starId", pa.array(np.arange(200))).drop_columns(["id"])
    left, right = in_memory(table, "l"), in_memory(stars, "r")
    made = left.crossmatch(right, radius_arcsec=0.1).write_association(
        folder / "shared", left, right, on=("id", "starId")
    )
    for rows in ((1000, 1000), (20, 1000), (3, 7)):
        one, two = in_memory(table, "l", rows[0]), in_memory(stars, "r", rows[1])
        frame = one.join(two, through=made, max_separation_arcsec=2000.0).compute()
        assert sorted(frame["starId"].tolist()) == list(range(200))
        assert (frame["id"] == frame["starId"] // 2).all()
