"""Joins of any kind equal brute force over whole tables, on any small sky, in any layouts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lsdb_ts.kernels.rows.join import AsOf
from lsdb_ts.plan.joining.asof import JoinAsOf
from lsdb_ts.plan.joining.held import Held, Loose
from lsdb_ts.plan.joining.join import Join
from lsdb_ts.plan.joining.keys import Keys
from lsdb_ts.plan.joining.links import Links
from lsdb_ts.plan.joining.nest import Nest
from lsdb_ts.plan.joining.through import SLACK_ARCSEC, Through
from lsdb_ts.plan.scan import Scan
from lsdb_ts.plan.sides.columns import Sides
from lsdb_ts.plan.sides.nested import Nested
from lsdb_ts.sky import propagate
from lsdb_ts.sky.sphere import separation_arcsec
from lsdb_ts.store.association import Association
from lsdb_ts.store.memory import MemorySource
from tests.plan.matchcases import CENTRES, Blind, Dropping, computed, random_layout

SKIES = settings(max_examples=50, deadline=None)
SEEDS = st.integers(0, 1 << 30)
REACH_ARCSEC = 40.0


@dataclass(frozen=True, eq=False)
class LinksInMemory(Links):
    """Links that were never written."""

    told: Association

    @property
    def association(self) -> Association:
        return self.told


def side(name: str, where: tuple[float, float], n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows about the reach apart; few ids, some missing, and few times, so that both repeat."""
    east, north = rng.normal(0, 1.5, (2, n)) * REACH_ARCSEC * 1e3
    ra, dec = propagate(np.full(n, where[0]), np.full(n, where[1]), east, north, 1.0)
    ids = pd.array(rng.integers(0, 8, n), dtype="Int64")
    ids[rng.random(n) < 0.1] = pd.NA
    frame = pd.DataFrame({"id": ids, "time": rng.integers(0, 6, n), f"{name}_ra": ra, f"{name}_dec": dec})
    return frame.assign(**{f"{name}_row": np.arange(n)})


def scan(name: str, frame: pd.DataFrame, rng: np.random.Generator) -> Scan:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    source = MemorySource.of_table(table, f"{name}_ra", f"{name}_dec", name)
    layout = random_layout(source.table["_healpix_29"].to_numpy(), REACH_ARCSEC, rng)
    kind = (MemorySource, Blind, Dropping)[int(rng.integers(3))]
    return Scan(kind(name, source.table, source.positions, layout))


def sky(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, np.random.Generator]:
    rng = np.random.default_rng(seed)
    where = CENTRES[seed % len(CENTRES)] if seed % 3 else (rng.uniform(0, 360), rng.uniform(-90, 90))
    return side("l", where, int(rng.integers(0, 30)), rng), side("r", where, int(rng.integers(0, 30)), rng), rng


def apart(pairs: pd.DataFrame) -> np.ndarray:
    return separation_arcsec(*(pairs[c].to_numpy(float) for c in ("l_ra", "l_dec", "r_ra", "r_dec")))


def near(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """All pairs of one id and near each other, by pandas."""
    both = left.dropna(subset="id").merge(right.dropna(subset="id"), on="id", suffixes=("", "_r"))
    return both[apart(both) <= REACH_ARCSEC]


def rows_of(table: pa.Table, *columns: str) -> list[tuple]:
    found = zip(*(table[c].to_pylist() for c in columns), strict=True)
    return sorted(found, key=lambda row: [-1 if v is None else v for v in row])


def with_alone(pairs: list[tuple], left: pd.DataFrame, how: str, width: int = 1) -> list[tuple]:
    """Add the left rows without a partner, where they are kept."""
    alone = sorted(set(left.l_row) - {p[0] for p in pairs}) if how == "left" else []
    return sorted([*pairs, *((i, *(None,) * width) for i in alone)], key=lambda r: [-1 if v is None else v for v in r])


def assert_counted(account: dict, pairs: list[tuple], left: pd.DataFrame, everyone: bool) -> None:
    """Compare what was counted, if there was a pixel to count in, with the pairs by brute force."""
    if not account:
        assert not pairs
        return
    (counts,) = account.values()
    matched = len({p[0] for p in pairs})
    assert (counts["pairs"], counts["matched"]) == (len(pairs), matched)
    if everyone:
        assert (counts["left_rows"], counts["unmatched"]) == (len(left), len(left) - matched)
    else:
        assert matched <= counts["left_rows_near"] <= len(left)


@pytest.mark.parametrize("how", ["inner", "left"])
@SKIES
@given(seed=SEEDS)
def test_a_join_equals_pandas_on_any_sky(how, seed):
    left, right, rng = sky(seed)
    sides = Sides(scan("l", left, rng), scan("r", right, rng), ("_l", "_r"), ("id",))
    table, account = computed(Join(sides, Keys("id", "id", REACH_ARCSEC), how))
    pairs = [(int(i), int(j)) for i, j in near(left, right)[["l_row", "r_row"]].to_numpy()]
    assert rows_of(table, "l_row", "r_row") == with_alone(pairs, left, how)
    assert_counted(account, pairs, left, everyone=how == "left")


@pytest.mark.parametrize("how", ["inner", "left"])
@SKIES
@given(seed=SEEDS)
def test_a_join_with_a_table_without_positions_equals_pandas_on_any_sky(how, seed):
    left, right, rng = sky(seed)
    mine = scan("l", left, rng)
    held = Held(Loose(pa.Table.from_pandas(right, preserve_index=False)), "id", mine.layout)
    table, account = computed(Join(Sides(mine, held, ("_l", "_r"), ("id",)), Keys("id", "id", None), how))
    both = left.dropna(subset="id").merge(right, on="id", suffixes=("", "_r"))
    pairs = [(int(i), int(j)) for i, j in both[["l_row", "r_row"]].to_numpy()]
    assert rows_of(table, "l_row", "r_row") == with_alone(pairs, left, how)
    assert_counted(account, pairs, left, everyone=True)
    by_row = table.select(["l_row", "r_row"]).to_pandas().dropna().groupby("l_row")["r_row"]
    assert all(rows.is_monotonic_increasing for _, rows in by_row)


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@SKIES
@given(seed=SEEDS, tolerance=st.sampled_from([None, 1]), exact=st.booleans())
def test_an_as_of_join_equals_brute_force_on_any_sky(direction, seed, tolerance, exact):
    left, right, rng = sky(seed)
    # Which of two rows of one id and time is chosen, their order decides.
    right = right.drop_duplicates(["id", "time"])
    sides = Sides(scan("l", left, rng), scan("r", right, rng), ("_l", "_r"), ("id", "time"))
    rule = AsOf(direction, tolerance, exact)
    table, account = computed(JoinAsOf(sides, Keys("id", "id", REACH_ARCSEC), "time", rule))
    pairs = []
    for row, found in near(left, right).groupby("l_row"):
        gap = found.time_r - found.time
        good = (gap <= 0) if direction == "backward" else (gap >= 0) if direction == "forward" else gap == gap
        good &= (gap != 0) | exact
        good &= (gap.abs() <= tolerance) if tolerance is not None else True
        if good.any():
            kept = found[good].assign(gap=gap[good].abs()).sort_values(["gap", "time_r"])
            pairs.append((int(row), int(kept.r_row.iloc[0])))
    assert rows_of(table, "l_row", "r_row") == with_alone(pairs, left, "left")
    assert_counted(account, pairs, left, everyone=True)


@pytest.mark.parametrize("how", ["inner", "left"])
@SKIES
@given(seed=SEEDS)
def test_a_join_through_links_equals_brute_force_on_any_sky(how, seed):
    left, right, rng = sky(seed)
    left, right = (f.assign(id=f[f"{n}_row"].astype("int64")) for f, n in ((left, "l"), (right, "r")))
    both = left.merge(right, how="cross", suffixes=("", "_r"))
    linked = both[rng.random(len(both)) < 0.1].reset_index(drop=True)
    links = pd.DataFrame({"k_ra": linked.l_ra, "k_dec": linked.l_dec, "k_row": np.arange(len(linked))})
    links = links.assign(left_id=linked.l_row, right_id=linked.r_row.where(rng.random(len(linked)) < 0.9, 99))
    links = links.astype({"left_id": "int64", "right_id": "int64"})
    pairs = linked[(apart(linked) <= REACH_ARCSEC) & (links.right_id != 99)]
    pairs = [(int(i), int(j), int(k)) for i, j, k in zip(pairs.l_row, pairs.r_row, pairs.index, strict=True)]

    told = Association("l", "r", "id", "id", "left_id", "right_id", REACH_ARCSEC)
    association = LinksInMemory(scan("k", links, rng).source, told)
    sides = Sides(scan("l", left, rng), scan("r", right, rng), ("_l", "_r"))
    table, account = computed(Through(sides, association, REACH_ARCSEC - SLACK_ARCSEC, how))
    assert rows_of(table, "l_row", "r_row", "k_row") == with_alone(pairs, left, how, 2)
    assert_counted(account, pairs, left, everyone=how == "left")
    if account:
        (counts,) = account.values()
        if how == "left":
            assert (counts["links"], counts["right_missing"]) == (len(links), len(links) - len(pairs))


@SKIES
@given(seed=SEEDS, held=st.booleans())
def test_a_nesting_equals_groups_of_pandas_on_any_sky(seed, held):
    left, right, rng = sky(seed)
    left = left.dropna(subset="id").drop_duplicates("id")
    assume(len(left))
    mine, theirs = scan("l", left, rng), scan("r", right, rng)
    keys = Keys("id", "id", REACH_ARCSEC)
    if held:
        loose = Loose(pa.Table.from_pandas(right, preserve_index=False))
        theirs, keys = Held(loose, "id", mine.layout), Keys("id", "id", None)
    table, account = computed(Nest(Nested(mine, theirs, "lc", ("id",)), keys))
    both = left.merge(right.dropna(subset="id"), on="id", suffixes=("", "_r")) if held else near(left, right)
    expected = {int(i): sorted(rows.r_row) for i, rows in both.groupby("l_row")}
    found = {i: sorted(lc["r_row"]) for i, lc in zip(table["l_row"].to_pylist(), table["lc"].to_pylist(), strict=True)}
    assert found == {int(i): expected.get(i, []) for i in left.l_row}
    if account:
        assert account["lc"]["nested"] == len(both)
        if not held:
            assert account["lc"]["orphans"] == len(right) - len(both)
