"""The verbs that match catalogs by position, as a user meets them: what they return, read, count, and refuse."""

import dataclasses

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.catalog.matching import crossmatch
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.matching.algorithm import Algorithm, Pairs
from lsdb_ts.schema import Roles, with_unit
from lsdb_ts.store.read import recording
from lsdb_ts.testing import assert_lazy, assert_reads
from tests.oracles import pairs_within
from tests.skycases import in_memory, neighbours_table, objects_table, on_disk
from tests.store.catalogs import unsealed

LEFT = objects_table(600)
RIGHT = neighbours_table(LEFT, 0.6).slice(0, 450)
RADIUS_ARCSEC = 1.0
L, R = in_memory(LEFT, "l", 60), in_memory(RIGHT, "r", 90)
PAIRS = pairs_within(
    *(LEFT[c].to_numpy() for c in ("ra", "dec")), *(RIGHT[c].to_numpy() for c in ("ra", "dec")), RADIUS_ARCSEC
)
HOWS = ("inner", "left", "right", "outer", "semi", "anti")


def nearest_ids(n: int | None = 1) -> list[tuple[int, int]]:
    rows, partners, _ = PAIRS
    rank = np.arange(rows.size) - np.searchsorted(rows, rows)
    kept = rank < (n or rows.size)
    mine, theirs = LEFT["objectId"].to_numpy()[rows[kept]], RIGHT["starId"].to_numpy()[partners[kept]]
    return list(zip(mine.tolist(), theirs.tolist(), strict=True))


def ids(frame: pd.DataFrame) -> list[tuple[int | None, int | None]]:
    columns = [[None if pd.isna(v) else int(v) for v in frame[c]] for c in ("objectId", "starId")]
    return sorted(zip(*columns, strict=True), key=lambda pair: [-1 if v is None else v for v in pair])


def test_columns_stand_in_the_order_left_right_separation_and_positions_of_either_side():
    inner = ["objectId", "ra_l", "dec_l", "mag", "junk_l", "starId", "ra_r", "dec_r", "gmag", "junk_r", "_dist_arcsec"]
    expected = {
        "right": [*inner, "_ra", "_dec"],
        "outer": [*inner, "_ra", "_dec"],
        "semi": L.columns,
        "anti": L.columns,
    }
    for how in HOWS:
        pairs = L.crossmatch(R, RADIUS_ARCSEC, how=how)
        assert pairs.columns == list(pairs.compute().columns) == expected.get(how, inner)


def test_an_outer_match_has_a_position_in_every_row_and_is_written_and_opened_again(tmp_path):
    outer = L.crossmatch(R, RADIUS_ARCSEC, how="outer")
    assert outer.plan.positions == ("_ra", "_dec")
    assert Roles.of(outer.schema).items() == [("ra", "_ra"), ("dec", "_dec")]
    frame = outer.compute()
    assert frame._ra.notna().all()
    assert frame._ra.equals(frame.ra_l.fillna(frame.ra_r))
    assert frame.index.is_monotonic_increasing
    assert len(frame) == len(nearest_ids()) + frame.objectId.isna().sum() + frame.starId.isna().sum()
    again = outer.write(tmp_path / "outer")
    assert ids(again.compute()) == ids(frame)
    assert len(again.crossmatch(outer, 0.001, how="semi")) == len(frame)


def test_right_and_left_are_mirrors_for_mutual_pairs():
    ahead = L.crossmatch(R, RADIUS_ARCSEC, how="left", one_to_one=True).compute()
    behind = R.crossmatch(L, RADIUS_ARCSEC, how="right", one_to_one=True).compute()
    assert ids(ahead) == ids(behind)
    assert sorted(ahead.objectId) == LEFT["objectId"].to_pylist()


@pytest.mark.parametrize("how", HOWS)
def test_the_account_of_a_match_adds_up(how):
    pairs = L.crossmatch(R, RADIUS_ARCSEC, how=how)
    counts = pairs.account()["l_x_r"]
    assert counts["matched"] == len({left for left, _ in nearest_ids()})
    if how in ("left", "outer", "anti"):
        assert counts["left_rows"] == len(LEFT)
        assert counts["unmatched"] == len(LEFT) - counts["matched"]
    else:
        assert counts["matched"] <= counts["left_rows_near"] <= len(LEFT)
        assert not {"left_rows", "unmatched"} & counts.keys()
    assert counts["pairs"] == len(nearest_ids())
    assert counts["pairs_from_halo"] > 10
    if how in ("right", "outer"):
        assert counts["right_rows"] == len(RIGHT)
        assert counts["right_unmatched"] == pairs.compute().objectId.isna().sum()


def test_all_within_the_radius_and_quantities():
    assert ids(L.crossmatch(R, 1 * u.arcsec, n_neighbors=None).compute()) == sorted(nearest_ids(None))
    assert ids(L.crossmatch(R, (1 / 3600) * u.deg, n_neighbors=2).compute()) == sorted(nearest_ids(2))
    ring = L.crossmatch(R, 1.0, n_neighbors=None, min_radius_arcsec=500 * u.mas).compute()
    assert ((ring._dist_arcsec >= 0.5) & (ring._dist_arcsec <= 1.0)).all()
    assert len(ring) == (PAIRS[2] >= 0.5).sum()


def test_a_table_in_memory_is_matched_as_it_is():
    expected = ids(L.crossmatch(R, RADIUS_ARCSEC).compute())
    assert ids(L.crossmatch(RIGHT.to_pandas(), RADIUS_ARCSEC).compute()) == expected
    assert ids(L.crossmatch(RIGHT, RADIUS_ARCSEC).compute()) == expected


def test_only_what_is_asked_for_is_read(tmp_path):
    left = on_disk(tmp_path, LEFT, "objects", 200)
    right = on_disk(tmp_path, RIGHT, "stars", 200)
    with assert_lazy():
        pairs = left.crossmatch(right, RADIUS_ARCSEC, how="outer")[["mag", "starId"]]
    mine = assert_reads({"mag", "ra", "dec"}, tmp_path / "objects")
    with mine, assert_reads({"starId", "ra", "dec"}, tmp_path / "stars"):
        pairs.compute()


def test_what_is_near_few_rows_is_read_only_near_them(tmp_path):
    big = on_disk(tmp_path, objects_table(4000), "big", 500)
    few = big.head(3)[["objectId", "ra", "dec"]]
    with recording() as reads:
        found = lt.from_dataframe(few, name="few").crossmatch(big, 0.01, suffixes=("_few", "")).compute()
    assert found.objectId.tolist() == found.objectId_few.tolist() != []
    assert 3 * len({read.path for read in reads}) < big.npartitions


def test_filters_above_a_match_of_any_kind_select_what_they_say():
    for how in HOWS[:4]:
        for options in ({}, {"n_neighbors": None}, {"one_to_one": True}):
            pairs = L.crossmatch(R, RADIUS_ARCSEC, how=how, **options)
            whole = pairs.compute()
            for text in ("mag < 20", "gmag > 15", "_dist_arcsec < 0.5"):
                assert ids(pairs.query(text).compute()) == ids(pd.DataFrame(whole).query(text))
            cut = pairs.cone_search(0.0, 90.0, 3600.0 * 50)
            ra, dec = (whole[c].to_numpy(float) for c in pairs.plan.positions)
            inside = pairs_within(ra, dec, [0.0], [90.0], 3600.0 * 50)[0]
            assert ids(cut.compute()) == ids(whole.iloc[inside])


def test_counts_and_limits_come_from_metadata():
    one = L.crossmatch(R, RADIUS_ARCSEC, how="left")
    assert one.plan.count == len(LEFT) == len(one.compute())
    assert L.crossmatch(R, RADIUS_ARCSEC, how="left", n_neighbors=2).plan.count is None
    assert one.plan.limits("_dist_arcsec") == (0.0, 1.0)
    assert one.plan.limits("gmag") == R.plan.limits("gmag")
    outer = L.crossmatch(R, RADIUS_ARCSEC, how="outer")
    frame = outer.compute()
    low, high = outer.plan.limits("_ra")
    assert low <= frame._ra.min()
    assert frame._ra.max() <= high


def test_nested_partners_stand_nearest_first_with_their_separation():
    nested = L.crossmatch_nested(R, 4.0, name="near")
    frame = nested.compute()
    flat = L.crossmatch(R, 4.0, n_neighbors=None).compute()
    assert sorted(frame.objectId) == LEFT["objectId"].to_pylist()
    assert nested.plan.count == len(LEFT)
    for objectid, curve in zip(frame.objectId, frame.near, strict=True):
        mine = flat[flat.objectId == objectid]
        assert list(curve.starId) == mine.starId.tolist()
        assert list(curve._dist_arcsec) == mine._dist_arcsec.tolist() == sorted(mine._dist_arcsec)
    inner = L.crossmatch_nested(R, 4.0, how="inner", n_neighbors=1, name="near").compute()
    assert len(inner) == flat.objectId.nunique()
    assert inner["near"].map(len).eq(1).all()
    account = nested.account()["l.near"]
    assert account["pairs"] == len(flat)


def test_a_part_of_nested_partners_is_read_alone(tmp_path):
    right = on_disk(tmp_path, RIGHT, "stars", 200)
    with assert_reads({"gmag", "ra", "dec"}, tmp_path / "stars"):
        frame = L.crossmatch_nested(right, 4.0, name="near")[["near.gmag"]].compute()
    assert frame["near"].map(len).sum() > 0


def test_several_catalogs_are_matched_with_the_first_at_once():
    third = in_memory(
        neighbours_table(LEFT, 0.4, seed=5).rename_columns(["thirdId", "ra", "dec", "z", "junk"]), "t", 70
    )
    triple = crossmatch([L, R, third], radius_arcsec=[RADIUS_ARCSEC, 0.8 * u.arcsec], how=["left", "inner"])
    assert triple.columns == [
        *("objectId", "ra_l", "dec_l", "mag", "junk_l", "starId", "ra_r", "dec_r", "gmag", "junk_r", "_dist_arcsec_r"),
        *("thirdId", "ra_t", "dec_t", "z", "junk_t", "_dist_arcsec_t"),
    ]
    frame = triple.compute()
    one = L.crossmatch(R, RADIUS_ARCSEC, how="left").compute()
    two = L.crossmatch(third, 0.8).compute()
    expected = pd.DataFrame(one)[["objectId", "starId"]].merge(
        pd.DataFrame(two)[["objectId", "thirdId"]], on="objectId"
    )
    columns = ["objectId", "starId", "thirdId"]
    found = pd.DataFrame(frame)[columns].sort_values(columns).reset_index(drop=True)
    assert found.equals(expected.sort_values(columns).reset_index(drop=True))
    assert crossmatch([L, L, L]).columns[-2:] == ["junk_l_3", "_dist_arcsec_l_3"]


@dataclasses.dataclass(frozen=True)
class Brightest(Algorithm):
    """The brightest right row within the radius, by brute force."""

    radius_arcsec: float
    right_columns: tuple[str, ...] = ("gmag",)
    added: tuple[pa.Field, ...] = (with_unit(pa.field("magnitude", pa.float64()), "mag"),)
    decided = "left"

    def pairs(self, left, right):
        positions = (p for side in (left, right) for p in (side.positions.ra_deg, side.positions.dec_deg))
        rows, partners, separation = pairs_within(*positions, self.radius_arcsec)
        mag = right.table["gmag"].to_numpy()[partners]
        order = np.lexsort((mag, rows))
        first = order[np.flatnonzero(np.diff(rows[order], prepend=-1))]
        return Pairs(rows[first], partners[first], separation[first], {"magnitude": mag[first]})


def brightness(left, right):
    return -right["gmag"].where(right["_dist_arcsec"] <= 4.0)


def test_an_algorithm_of_ones_own_finds_the_pairs_in_any_layout():
    frame = L.crossmatch(R, algorithm=Brightest(4.0), how="left").compute()
    flat = pd.DataFrame(L.crossmatch(R, 4.0, n_neighbors=None).compute())
    best = flat.sort_values("gmag").groupby("objectId").starId.first()
    matched = frame[frame.starId.notna()]
    assert dict(zip(matched.objectId, matched.starId, strict=True)) == best.to_dict()
    assert (matched.magnitude == matched.gmag).all()
    scored = L.crossmatch(R, 5.0, score=brightness, how="left").compute()
    assert ids(scored) == ids(frame)
    assert (-scored._score).dropna().tolist() == matched.gmag.tolist()
    assert "brightness" in str(L.crossmatch(R, 5.0, score=brightness).explain())


def test_an_algorithm_that_looks_around_sees_far_enough():
    assert ids(L.crossmatch(R, algorithm=Around(2.0)).compute()) == ids(
        in_memory(LEFT, "l").crossmatch(in_memory(RIGHT, "r"), algorithm=Around(2.0)).compute()
    )


class Around(Algorithm):
    """Pairs of which neither has another left row within the radius."""

    def __init__(self, radius_arcsec):
        self.radius_arcsec = radius_arcsec

    def pairs(self, left, right):
        mine, theirs = ((s.positions.ra_deg, s.positions.dec_deg) for s in (left, right))
        rows, partners, separation = pairs_within(*mine, *theirs, self.radius_arcsec)
        crowd = np.bincount(partners, minlength=right.positions.place.size)
        kept = crowd[partners] == 1
        return Pairs(rows[kept], partners[kept], separation[kept])


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda p: p.take(np.arange(len(p))[::-1]), "out of order"),
        (lambda p: dataclasses.replace(p, right_rows=p.right_rows + 10**6), "rows that are not there"),
        (lambda p: dataclasses.replace(p, separation_arcsec=p.separation_arcsec + 9), "beyond its radius_arcsec=4"),
        (lambda p: dataclasses.replace(p, added={}), 'did not give the column "magnitude"'),
    ],
)
def test_an_algorithm_that_breaks_the_protocol_is_told_how(broken, message):
    class Broken(Brightest):
        def pairs(self, left, right):
            return broken(super().pairs(left, right))

    with pytest.raises(Exception, match=message):
        L.crossmatch(R, algorithm=Broken(4.0)).compute()


def test_the_identity_of_an_algorithm_holds_its_parameters_and_code():
    plans = [L.crossmatch(R, algorithm=a).plan for a in (Brightest(1.0), Brightest(2.0), Around(1.0), Around(2.0))]
    plans += [L.crossmatch(R, score=brightness).plan, L.crossmatch(R, score=lambda left, right: -right["gmag"]).plan]
    assert len({str(plan.identity()) for plan in plans}) == len(plans)
    assert str(plans[0].identity()) == str(L.crossmatch(R, algorithm=Brightest(1.0)).plan.identity())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"how": "outher"}, 'did you mean "outer"'),
        ({"radius_arcsec": 4000.0}, "above 0 and at most 3600"),
        ({"radius_arcsec": 1 * u.s}, "not an angle"),
        ({"n_neighbors": 0}, "at least 1, or None"),
        ({"min_radius_arcsec": 2.0}, "at most radius_arcsec=1"),
        ({"one_to_one": True, "n_neighbors": 2}, "a mutual best is one"),
        ({"onetoone": True}, 'no argument "onetoone"; did you mean "one_to_one"'),
        ({"suffixes": ("", "")}, '"ra" would stand twice'),
        ({"suffixes": ("_a",)}, "one for the left side and one for the right"),
        ({"epoch": 2026.0}, "neither l nor r has proper motions"),
        ({"epoch": 60000.0}, "need a Julian year"),
        ({"left_epoch": 2016.0}, "means nothing without epoch="),
        ({"n_sigma": 5}, "l has no errors of positions: give left_error="),
        ({"n_sigma": -1, "left_error": 0.1, "right_error": 0.1}, "number above 0"),
        ({"left_error": 0.1}, "means nothing without n_sigma="),
        ({"n_sigma": 5, "left_error": "mga", "right_error": 0.1}, 'did you mean "mag"'),
        ({"score": "likelihood_ratio"}, r"density_per_arcmin2=.*450 rows in pixels of .* square degrees are"),
        ({"score": "distance"}, 'need "likelihood_ratio" or a function'),
        ({"algorithm": brightness}, "goes to score="),
        ({"algorithm": Brightest(1.0), "one_to_one": True}, "leave one_to_one out"),
    ],
)
def test_what_cannot_be_is_refused_while_planning(options, message):
    with pytest.raises(PlanError, match=message):
        L.crossmatch(R, **{"radius_arcsec": 1.0, **options})


def test_a_halo_that_cannot_be_had_is_refused_while_planning():
    whole = L.map_partitions(lambda frame: frame)
    assert whole.crossmatch(R, 1.0).npartitions > 0
    for options in ({"one_to_one": True}, {"how": "outer"}):
        with pytest.raises(PlanError, match="rowwise=True"):
            whole.crossmatch(R, 1.0, **options)
    for verb in (R.crossmatch, R.crossmatch_nested):
        with pytest.raises(PlanError, match="rowwise=True"):
            verb(whole, 1.0)
    with pytest.raises(PlanError, match="rowwise=True"):
        R.crossmatch(whole.crossmatch(R, 1.0, suffixes=("", "_star")), 1.0)


def test_a_catalog_in_another_frame_is_refused(tmp_path):
    right = on_disk(tmp_path, RIGHT, "stars", 200)
    file = tmp_path / "stars" / "hats.properties"
    file.write_text(unsealed(file) + "hats_frame=galactic\n")
    with pytest.raises(PlanError, match="those of stars are galactic"):
        L.crossmatch(lt.open_catalog(tmp_path / "stars"), 1.0)
    assert right.crossmatch(L, 1.0).npartitions > 0


def test_a_nested_match_refuses_what_it_cannot_name():
    with pytest.raises(PlanError, match='already has a column "mag"'):
        L.crossmatch_nested(R, 1.0, name="mag")
    with pytest.raises(PlanError, match="a nested crossmatch is"):
        L.crossmatch_nested(R, 1.0, how="outer")
    with pytest.raises(PlanError, match="drop it before nesting"):
        L.crossmatch_nested(L.crossmatch_nested(R, 1.0, name="near"), 1.0)
    with pytest.raises(PlanError, match="as a list"):
        crossmatch(L, R)
    with pytest.raises(PlanError, match="2 values: need one for all"):
        crossmatch([L, R], radius_arcsec=[1.0, 2.0])
    with pytest.raises(PlanError, match='"inner" or "left"'):
        crossmatch([L, R], how="outer")


def test_every_argument_is_part_of_the_identity():
    base = {"n_neighbors": 1, "left_error": 0.1, "right_error": 0.2, "n_sigma": 4.0}
    others = [
        {"n_neighbors": 2},
        {"left_error": 0.2},
        {"n_sigma": 5.0},
        {"min_radius_arcsec": 0.1},
        {"one_to_one": True},
    ]
    others += [{"score": "likelihood_ratio", "density_per_arcmin2": d} for d in (1.0, 2.0)]
    found = [str(L.crossmatch(R, 1.0, **{**base, **other}).plan.identity()) for other in [{}, *others]]
    found += [str(L.crossmatch(R, 1.0, how=how).plan.identity()) for how in HOWS]
    assert len(set(found)) == len(found)


def test_strings_flags_and_times_of_rows_without_partner_are_null():
    n = len(RIGHT)
    more = RIGHT.append_column("text", pa.array([f"star {i}" for i in range(n)]))
    more = more.append_column("flag", pa.array(np.arange(n) % 2 == 0))
    more = more.append_column("seen", pa.array(np.arange(n), pa.timestamp("us")))
    more = more.append_column("gaps", pa.array([None if i % 3 == 0 else i for i in range(n)]))
    frame = L.crossmatch(in_memory(more, "r", 90), RADIUS_ARCSEC, how="outer").compute()
    alone = frame.starId.isna()
    assert 0 < alone.sum() < len(frame)
    by_star = more.to_pandas().set_index("starId")
    for column in ("text", "flag", "seen", "gaps"):
        assert frame[column][alone].isna().all()
        found, expected = frame[column][~alone], by_star[column].loc[frame.starId[~alone]]
        assert found.isna().to_numpy().tolist() == expected.isna().to_numpy().tolist()
        assert found.dropna().tolist() == expected.dropna().tolist()
