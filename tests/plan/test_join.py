"""Joins by id are those of pandas over whole tables, whatever the layouts, and can be matched again."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError, RunError
from lsdb_ts.sky.sphere import separation_arcsec
from lsdb_ts.store.read import recording
from lsdb_ts.testing import assert_reads, perturbed
from tests.oracles import pairs_within
from tests.skycases import in_memory, neighbours_table, objects_table, on_disk

LEFT = objects_table(1200, seed=9)
LAYOUTS = [(100_000, 100_000), (50, 400), (400, 60)]
MAX_ARCSEC = 3.0


def detections(seed: int = 10) -> pa.Table:
    """Three rows near each left row but some; ids repeat, some name nobody, some lie far away, some are missing."""
    owner = np.repeat(np.arange(100, LEFT.num_rows), 3)
    ra, dec = perturbed(LEFT["ra"].to_numpy()[owner], LEFT["dec"].to_numpy()[owner], 0.5, seed)
    rng = np.random.default_rng(seed)
    dec = np.where(np.arange(owner.size) % 37 == 0, np.clip(dec + 0.01, -90, 90), dec)
    ids = [None if i % 41 == 0 else -1 if i % 43 == 0 else int(o) for i, o in enumerate(owner)]
    order = pa.array(rng.permutation(owner.size))
    return pa.table(
        {
            "detId": np.arange(owner.size),
            "objectId": pa.array(ids, pa.int64()),
            "ra": ra,
            "dec": dec,
            "mag": rng.uniform(15, 25, owner.size),
            "mjd": rng.integers(0, 50, owner.size) / 2.0,
        }
    ).take(order)


RIGHT = detections()
TWICE = pa.concat_tables([LEFT, LEFT.slice(200, 300).set_column(3, "mag", pa.array(np.zeros(300)))])


def expected_pairs(left: pa.Table, right: pa.Table, how: str = "inner") -> pd.DataFrame:
    """What pandas joins, of that what is near: for a left join the rest comes back with nulls."""
    mine, theirs = left.to_pandas(), right.to_pandas().dropna(subset="objectId")
    mine["row"] = np.arange(len(mine))
    both = mine.merge(theirs, on="objectId", suffixes=("_l", "_r"))
    both = both[separation_arcsec(both.ra_l, both.dec_l, both.ra_r, both.dec_r) <= MAX_ARCSEC]
    if how == "left":
        alone = mine[~mine.row.isin(both.row)].rename(columns={c: f"{c}_l" for c in ("ra", "dec", "mag")})
        both = pd.concat([both, alone])
    return both


def keyed(rows):
    return sorted(rows, key=lambda row: tuple((v is None, v or 0.0) for v in row))


def joined(left, right, how="inner", **options):
    return left.join(right, on="objectId", how=how, suffixes=("_l", "_r"), max_separation_arcsec=MAX_ARCSEC, **options)


def rows_of(frame) -> list[tuple]:
    columns = ["objectId", "mag_l", "detId", "mag_r"]
    return keyed([tuple(None if pd.isna(v) else float(v) for v in row) for row in frame[columns].to_numpy(object)])


@pytest.mark.parametrize("how", ["inner", "left"])
@pytest.mark.parametrize("table", [LEFT, TWICE], ids=["unique", "repeated"])
def test_a_join_is_that_of_pandas_in_every_layout(how, table):
    truth = expected_pairs(table, RIGHT, how)
    for left_rows, right_rows in LAYOUTS:
        join = joined(in_memory(table, "l", left_rows), in_memory(RIGHT, "r", right_rows), how)
        frame = join.compute()
        assert rows_of(frame) == rows_of(truth)
        assert frame.index.is_monotonic_increasing
        account = frame.attrs["account"]["l_x_r"]
        pairs = truth.dropna(subset="detId")
        assert (account["matched"], account["pairs"]) == (pairs.row.nunique(), len(pairs))
        if how == "left":
            assert account["left_rows"] == table.num_rows == account["matched"] + account["unmatched"]


def test_the_columns_of_a_join_are_those_of_pandas():
    join = in_memory(LEFT, "l").join(in_memory(RIGHT, "r"), on="objectId")
    assert join.columns == ["objectId", "ra_l", "dec_l", "mag_l", "junk", "detId", "ra_r", "dec_r", "mag_r", "mjd"]
    renamed = RIGHT.rename_columns(["detId", "parent", "ra", "dec", "mag", "mjd"])
    both = in_memory(LEFT, "l").join(in_memory(renamed, "r"), left_on="objectId", right_on="parent")
    assert both.columns[5:7] == ["detId", "parent"]
    frame = both.compute()
    assert frame["objectId"].tolist() == frame["parent"].tolist()


def test_only_the_columns_asked_for_are_read(tmp_path):
    left, right = on_disk(tmp_path, LEFT, "l", 300), on_disk(tmp_path, RIGHT, "r", 300)
    with assert_reads({"objectId", "ra", "dec", "mag"}, tmp_path / "r"):
        joined(left, right)[["mag_r"]].compute()
    with assert_reads({"objectId", "ra", "dec", "junk"}, tmp_path / "l"):
        joined(left, right)[["junk", "detId"]].compute()


@pytest.mark.parametrize("how", ["inner", "left"])
def test_a_query_above_a_join_keeps_what_it_would_keep_of_its_rows(how):
    truth = expected_pairs(LEFT, RIGHT, how)
    for expr in ("mag_r < 17 and mag_l > 18", "objectId < 300", "detId > 2000"):
        for left_rows, right_rows in LAYOUTS:
            join = joined(in_memory(LEFT, "l", left_rows), in_memory(RIGHT, "r", right_rows), how)
            assert rows_of(join.query(expr).compute()) == rows_of(truth.query(expr))


def test_a_join_of_few_rows_reads_near_them_only(tmp_path):
    right = on_disk(tmp_path, RIGHT, "r", 100)
    few = in_memory(LEFT.slice(500, 2), "few")
    with recording() as reads:
        frame = joined(few, right).compute()
    assert len(frame) >= 4
    assert len({r.path for r in reads if r.row_groups}) <= 4 < right.npartitions


def test_a_join_can_be_matched_again():
    """A join as the right side of a match serves a halo, as its left side it finds neighbours across edges."""
    stars = neighbours_table(LEFT)
    truth = expected_pairs(LEFT, RIGHT)
    rows, partners, _ = pairs_within(
        stars["ra"].to_numpy(), stars["dec"].to_numpy(), LEFT["ra"].to_numpy(), LEFT["dec"].to_numpy(), 1.0
    )
    expected = pd.DataFrame(
        {"starId": stars["starId"].to_numpy()[rows], "objectId": LEFT["objectId"].to_numpy()[partners]}
    )
    expected = expected.merge(truth, on="objectId")
    for left_rows, right_rows in LAYOUTS:
        join = joined(in_memory(LEFT, "l", left_rows), in_memory(RIGHT, "r", right_rows))
        frame = in_memory(stars, "s", 170).crossmatch(join, radius_arcsec=1.0, n_neighbors=1200).compute()
        assert sorted(zip(frame.starId, frame.detId, strict=True)) == sorted(
            zip(expected.starId, expected.detId, strict=True)
        )


def test_cuts_and_lookups_above_a_join_give_its_rows():
    truth = expected_pairs(LEFT, RIGHT)
    for left_rows, right_rows in LAYOUTS:
        join = joined(in_memory(LEFT, "l", left_rows), in_memory(RIGHT, "r", right_rows))
        inside = truth[separation_arcsec(truth.ra_l, truth.dec_l, 10.0, 90.0) < 5000]
        assert rows_of(join.cone_search(10.0, 90.0, 5000.0).compute()) == rows_of(inside)


def test_what_cannot_be_joined_is_said_at_once():
    left, right = in_memory(LEFT, "l"), in_memory(RIGHT, "r")
    for options, message in (
        ({"on": "objctId"}, 'did you mean "objectId"'),
        ({"on": "mag"}, "ids must be of one type, whole numbers or text"),
        ({"left_on": "objectId"}, "needs on="),
        ({"on": "objectId", "how": "outer"}, 'a join is "inner"'),
        ({"on": "objectId", "suffixes": ("", "")}, '"ra" would stand twice'),
        ({"on": "objectId", "max_separation_arcsec": 0}, "need more than 0"),
    ):
        with pytest.raises(PlanError, match=message):
            left.join(right, **options)
    with pytest.raises(PlanError, match="needs a catalog and got a list"):
        left.join([RIGHT], on="objectId")


def test_ids_that_stand_for_none_are_found_out(monkeypatch):
    from lsdb_ts.kernels.rows import join as kernel

    monkeypatch.setattr(kernel, "MOST_PAIRS", 1000)
    same = LEFT.set_column(0, "objectId", pa.array(np.full(LEFT.num_rows, -1)))
    with pytest.raises(RunError, match=r"id -1 stands in .* a filler"):
        in_memory(same, "l").join(in_memory(same, "r"), on="objectId").compute()


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("tolerance", [None, 1.5])
def test_merge_asof_is_that_of_pandas_in_every_layout(direction, tolerance):
    rng = np.random.default_rng(5)
    left = LEFT.append_column("mjd", pa.array(rng.integers(0, 50, LEFT.num_rows) / 2.0 + 0.25))
    # One row for each id and time: which of several equal ones pandas takes depends on their order.
    flat = RIGHT.to_pandas().dropna(subset="objectId").drop_duplicates(["objectId", "mjd"])
    whole = pa.Table.from_pandas(flat.assign(objectId=flat.objectId.astype("int64")), preserve_index=False)
    theirs = whole.to_pandas().merge(LEFT.to_pandas()[["objectId", "ra", "dec"]], on="objectId", suffixes=("", "_o"))
    theirs = theirs[separation_arcsec(theirs.ra, theirs.dec, theirs.ra_o, theirs.dec_o) <= MAX_ARCSEC]
    expected = pd.merge_asof(
        left.to_pandas().sort_values("mjd"),
        theirs.sort_values("mjd")[["objectId", "mjd", "detId"]],
        on="mjd",
        by="objectId",
        direction=direction,
        tolerance=tolerance,
    ).sort_values("objectId")
    for left_rows, right_rows in LAYOUTS:
        merged = in_memory(left, "l", left_rows).merge_asof(
            in_memory(whole, "r", right_rows),
            on="mjd",
            by="objectId",
            direction=direction,
            tolerance=tolerance,
            max_separation_arcsec=MAX_ARCSEC,
        )
        assert len(merged) == LEFT.num_rows
        frame = pd.DataFrame(merged.compute()).sort_values("objectId")
        assert frame["detId"].fillna(-1).tolist() == expected["detId"].fillna(-1).astype(int).tolist()
        assert frame["mjd"].tolist() == expected["mjd"].tolist()
        account = merged.account()["l_x_r"]
        assert account["matched"] == account["pairs"] == expected["detId"].notna().sum()
        assert account["matched"] + account["unmatched"] == account["left_rows"] == len(expected)


def test_merge_asof_compares_timestamps_and_refuses_what_does_not_compare():
    times = pa.array(np.datetime64("2025-01-01", "us") + np.arange(LEFT.num_rows).astype("timedelta64[s]"))
    left, right = in_memory(LEFT.append_column("at", times), "l"), in_memory(LEFT.append_column("at", times), "r")
    frame = left.merge_asof(right, on="at", by="objectId", tolerance=pd.Timedelta("1s")).compute()
    assert frame["mag_r"].tolist() == frame["mag_l"].tolist()
    strict = left.merge_asof(right, on="at", by="objectId", allow_exact_matches=False).compute()
    assert strict["mag_r"].isna().all()
    with pytest.raises(PlanError, match="both numbers or both timestamps"):
        left.merge_asof(in_memory(LEFT.append_column("at", LEFT["mag"]), "r"), on="at", by="objectId")
    with pytest.raises(PlanError, match="backward, forward, nearest"):
        left.merge_asof(right, on="at", by="objectId", direction="sideways")
    with pytest.raises(PlanError, match="tolerance=-1"):
        left.merge_asof(right, on="at", by="objectId", tolerance=pd.Timedelta("-1s"))
    other = in_memory(LEFT.append_column("at", times.cast(pa.timestamp("us", "UTC"))), "r")
    with pytest.raises(PlanError, match="only one tells its time zone"):
        left.merge_asof(other, on="at", by="objectId")
    with pytest.raises(PlanError, match=r"tolerance=2.0: .* need a time delta"):
        left.merge_asof(right, on="at", by="objectId", tolerance=2.0)
    with pytest.raises(PlanError, match=r"double; need a number in their unit"):
        left.merge_asof(right, on="mag", by="objectId", tolerance=pd.Timedelta(days=1))


@pytest.mark.parametrize("kind", [np.uint8, np.uint32, np.uint64, np.int8])
def test_differences_of_narrow_or_unsigned_times_do_not_wrap_around(kind):
    n = LEFT.num_rows
    left = in_memory(LEFT.append_column("at", pa.array(np.full(n, 10, kind))), "l")
    later = LEFT.append_column("at", pa.array(np.full(n, 100, kind)))
    earlier = LEFT.append_column("at", pa.array(np.full(n, 9, kind)))
    right = in_memory(pa.concat_tables([earlier, later]).append_column("late", pa.array(np.arange(2 * n) >= n)), "r")

    def late(**rule):
        return left.merge_asof(right, on="at", by="objectId", **rule).compute()["late"]

    assert late(direction="forward", tolerance=90).all()
    assert late(direction="forward", tolerance=89).isna().all()
    assert not late(direction="nearest").any()
