"""The crossmatch of catalogs equals brute force, whatever the layouts and wherever the halo comes from."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.store.read import recording
from tests.oracles import pairs_within
from tests.skycases import in_memory, neighbours_table, objects_table, on_disk

RADIUS_ARCSEC = 1.5
LEFT, RIGHT = objects_table(), neighbours_table(objects_table())


def nearest(left: pa.Table, right: pa.Table, radius_arcsec: float, n_neighbors: int = 1) -> set[tuple[int, int]]:
    """Pairs of (objectId, starId) by brute force."""
    rows, partners, separations = pairs_within(
        left["ra"].to_numpy(), left["dec"].to_numpy(), right["ra"].to_numpy(), right["dec"].to_numpy(), radius_arcsec
    )
    order = np.lexsort((separations, rows))
    rows, partners = rows[order], partners[order]
    rank = np.arange(rows.size) - np.searchsorted(rows, rows)
    kept = rank < n_neighbors
    return set(
        zip(
            left["objectId"].to_numpy()[rows[kept]].tolist(),
            right["starId"].to_numpy()[partners[kept]].tolist(),
            strict=True,
        )
    )


def found(frame) -> set[tuple[int, int]]:
    return set(zip(frame.objectId.tolist(), frame.starId.tolist(), strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("match")


@pytest.mark.parametrize(
    ("left_rows", "right_rows", "margin_arcsec"),
    [(150, 1200, None), (1200, 150, None), (150, 150, 5.0), (150, 1200, 5.0), (1200, 400, 0.5)],
)
def test_a_match_equals_brute_force_with_a_stored_margin_and_without(folder, left_rows, right_rows, margin_arcsec):
    left = on_disk(folder / f"left{left_rows}{right_rows}{margin_arcsec}", LEFT, "objects", left_rows)
    right = on_disk(folder / f"right{left_rows}{right_rows}{margin_arcsec}", RIGHT, "stars", right_rows, margin_arcsec)

    with recording() as reads:
        frame = left.crossmatch(right, RADIUS_ARCSEC).compute()

    assert found(frame) == nearest(LEFT, RIGHT, RADIUS_ARCSEC)
    account = frame.attrs["account"]["objects_x_stars"]
    assert account["pairs"] == len(frame)
    assert account["pairs_from_halo"] > 50, "the sky must straddle edges"
    from_margin = any("stars_margin" in str(r.path) for r in reads)
    assert from_margin == (margin_arcsec == 5.0)


@pytest.mark.parametrize("margin_arcsec", [None, 5.0])
def test_matches_of_every_kind_are_the_same_on_disk_and_in_memory(folder, margin_arcsec):
    left, right = LEFT.slice(0, 900), RIGHT.slice(300, 900)
    stored = on_disk(folder / f"every_l{margin_arcsec}", left, "objects", 100, margin_arcsec)
    stars = on_disk(folder / f"every_r{margin_arcsec}", right, "stars", 70, margin_arcsec)
    for how in ("left", "right", "outer", "semi", "anti"):
        for one_to_one in (False, True):
            frames = [
                pd.DataFrame(a.crossmatch(b, RADIUS_ARCSEC, how=how, one_to_one=one_to_one).compute())
                for a, b in ((stored, stars), (in_memory(left, "objects"), in_memory(right, "stars")))
            ]
            columns = [c for c in ("objectId", "starId") if c in frames[0]]
            disk, memory = (f.sort_values(columns).reset_index(drop=True) for f in frames)
            assert disk.equals(memory)


def test_the_nearest_three_equal_brute_force():
    frame = in_memory(LEFT, "l", 200).crossmatch(in_memory(RIGHT, "r", 700), 4.0, n_neighbors=3).compute()
    assert found(frame) == nearest(LEFT, RIGHT, 4.0, 3)
    assert (frame._dist_arcsec <= 4.0).all()


def test_a_left_match_keeps_every_row_once_and_its_nulls_apart():
    left, right = in_memory(LEFT, "l", 200), in_memory(RIGHT.slice(0, 500), "r")
    frame = left.crossmatch(right, RADIUS_ARCSEC, how="left").compute()
    assert sorted(frame.objectId) == LEFT["objectId"].to_pylist()
    matched = frame[frame.starId.notna()]
    assert found(matched) == nearest(LEFT, RIGHT.slice(0, 500), RADIUS_ARCSEC)
    assert frame._dist_arcsec.isna().sum() == len(frame) - len(matched) > 0
    assert frame.index.is_monotonic_increasing


def test_a_result_can_be_matched_again_as_the_right_side(folder):
    first = on_disk(folder / "again_l", LEFT, "objects", 200).crossmatch(
        on_disk(folder / "again_r", RIGHT, "stars", 300), RADIUS_ARCSEC, suffixes=("", "_star")
    )
    third = neighbours_table(LEFT, 0.3, seed=9).rename_columns(["thirdId", "ra", "dec", "rmag", "junk"])
    frame = in_memory(third, "third", 250).crossmatch(first, 2.0).compute()
    plain = in_memory(first.to_arrow().drop_columns(["_healpix_29"]), "first")
    whole = in_memory(third, "third").crossmatch(plain, 2.0).compute()
    assert set(zip(frame.thirdId, frame.objectId, strict=True)) == set(zip(whole.thirdId, whole.objectId, strict=True))
    assert len(frame) == len(whole)


def test_filters_regions_and_columns_do_not_change_which_pairs_are_found():
    left, right = in_memory(LEFT, "l", 150), in_memory(RIGHT, "r", 400)
    pairs = left.crossmatch(right, RADIUS_ARCSEC).compute()
    filtered = (
        left.query("mag < 20").cone_search(0.0, 90.0, 3600.0 * 30).crossmatch(right.query("gmag < 99"), RADIUS_ARCSEC)
    )
    late = left.crossmatch(right, RADIUS_ARCSEC).query("mag < 20").cone_search(0.0, 90.0, 3600.0 * 30)
    assert found(filtered.compute()) == found(late.compute()) <= found(pairs)


def test_a_filter_on_right_columns_after_the_match_does_not_change_who_is_nearest():
    left, right = in_memory(LEFT, "l", 150), in_memory(RIGHT, "r", 400)
    frame = left.crossmatch(right, 4.0).query("gmag > 15").compute()
    nearest_ones = left.crossmatch(right, 4.0).compute()
    assert found(frame) == found(nearest_ones[nearest_ones.gmag > 15])


def test_an_empty_side_gives_an_empty_result_with_the_same_columns():
    left, right = in_memory(LEFT, "l", 400), in_memory(RIGHT, "r", 400)
    full = left.crossmatch(right, 1.0)
    for empty in (left.query("mag > 99").crossmatch(right, 1.0), left.crossmatch(right.query("gmag > 99"), 1.0)):
        frame = empty.compute()
        assert len(frame) == 0
        assert list(frame.columns) == full.columns
        assert frame.dtypes.equals(full.head(3).dtypes)


@pytest.mark.parametrize("radius_arcsec", [0.0, -1.0, float("nan"), 7200.0])
def test_a_radius_that_makes_no_sense_is_refused_with_the_limits(radius_arcsec):
    with pytest.raises(PlanError, match="above 0 and at most 3600"):
        in_memory(LEFT, "l").crossmatch(in_memory(RIGHT, "r"), radius_arcsec)


def test_suffixes_that_clash_are_refused_by_name():
    with pytest.raises(PlanError, match='"ra" would stand twice'):
        in_memory(LEFT, "l").crossmatch(in_memory(RIGHT, "r"), 1.0, suffixes=("", ""))


def test_an_unknown_join_is_refused_with_the_known_ones():
    with pytest.raises(PlanError, match=r"inner.*left"):
        in_memory(LEFT, "l").crossmatch(in_memory(RIGHT, "r"), 1.0, how="sideways")


def test_nodes_above_a_match_do_not_count_its_pairs_again():
    pairs = in_memory(LEFT, "l", 200).crossmatch(in_memory(RIGHT, "r", 700), RADIUS_ARCSEC)
    above = pairs.query("mag < 99")[["objectId", "ra_l", "dec_l"]].cone_search(0.0, 0.0, 3600.0 * 180)
    assert above.account() == pairs.account()


def test_picked_partitions_hold_only_their_own_rows_on_either_side():
    left, right = in_memory(LEFT, "l", 4000), in_memory(RIGHT, "r", 100)
    picked = right.partitions[:5]
    stars = RIGHT.filter(pa.array(np.isin(RIGHT["starId"].to_numpy(), picked.compute().starId)))
    assert found(left.crossmatch(picked, 600.0).compute()) == nearest(LEFT, stars, 600.0)
    swapped = nearest(stars.rename_columns({"starId": "objectId"}), LEFT.rename_columns({"objectId": "starId"}), 600.0)
    assert found(picked.crossmatch(left, 600.0).compute()) == {(o, s) for s, o in swapped}


@pytest.mark.parametrize("columns", [["starId"], ["starId", "ra", "dec"]])
def test_positions_that_were_not_selected_are_still_those_of_the_left_rows(columns):
    left, right = in_memory(LEFT, "l", 300), in_memory(RIGHT, "r", 700)
    whole = left.crossmatch(right, RADIUS_ARCSEC, how="left")
    pairs = left[["objectId"]].crossmatch(right[columns], RADIUS_ARCSEC, how="left")
    assert pairs.columns == ["objectId", *columns, "_dist_arcsec"]
    inside, expected = (c.cone_search(0.0, 0.0, 40 * 3600.0).compute() for c in (pairs, whole))
    assert inside.objectId.tolist() == expected.objectId.tolist() != []
    again = pairs.crossmatch(in_memory(LEFT, "m", 500)[["mag"]], 0.001)
    assert len(again.compute()) == len(whole)
