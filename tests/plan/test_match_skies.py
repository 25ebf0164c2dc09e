"""A crossmatch equals brute force as multisets, of any kind, on any sky, in any layouts, and can be matched again."""

import numpy as np
import pytest

from lsdb_ts.catalog import Catalog
from lsdb_ts.plan.matching.algorithm import Nearest
from lsdb_ts.plan.matching.match import Match, Naming
from lsdb_ts.plan.matching.pairing import Pairing
from lsdb_ts.plan.node import nodes_of, produce, whole
from tests.oracles import pairs_within
from tests.plan.matchcases import Rows, brute_pairs, computed, joined, mag_of, random_side, random_sky

HOWS = ("inner", "left", "right", "outer", "semi", "anti")
N_SKIES, BLOCKS = 1000, 20


def random_nearest(rng, radius):
    n_neighbors = [1, 1, 2, 3, None][int(rng.integers(5))]
    least = radius * rng.uniform(0, 0.5) if rng.random() < 0.3 else 0.0
    mutual = n_neighbors == 1 and rng.random() < 0.5
    return Nearest(radius, n_neighbors, least, mutual)


def crossmatched(left, right, algorithm, how):
    return Match(Pairing(left, right, algorithm), how, Naming(("_l", "_r")))


def as_rows(node, table):
    keys = [c for c in table.column_names if c.endswith("_id")]
    place = [table[c].to_pylist() for c in node.positions]
    match = next(n for n in nodes_of(node) if isinstance(n, Match))
    own = "_dist_arcsec" in table.column_names and match.how not in ("semi", "anti")
    separation = table["_dist_arcsec"].to_pylist() if own else [None] * len(table)
    rows = zip(zip(*(table[k].to_pylist() for k in keys), strict=True), *place, separation, strict=True)
    return [(key, (ra, dec), d) for key, ra, dec, d in rows]


def in_order(rows):
    return sorted(rows, key=lambda row: [-1 if k is None else k for k in row[0]])


def assert_same_rows(found, expected):
    found, expected = in_order(found), in_order(expected)
    assert [r[:2] for r in found] == [r[:2] for r in expected]
    assert [r[2] is None for r in found] == [r[2] is None for r in expected]
    separations = [(a[2], b[2]) for a, b in zip(found, expected, strict=True) if a[2] is not None]
    assert all(abs(a - b) < 1e-6 for a, b in separations)


def add_up(account, found, how):
    """Tell whether what a match counted is what it returned."""
    if not account:
        return not found
    (counts,) = account.values()
    if how in ("left", "outer", "anti"):
        whole = counts["left_rows"] == counts["matched"] + counts["unmatched"]
    else:
        whole = counts["left_rows_near"] >= counts["matched"] and "unmatched" not in counts
    alone, right_alone = counts.get("unmatched", 0), counts.get("right_unmatched", 0)
    rows = {
        "inner": counts["pairs"],
        "left": counts["pairs"] + alone,
        "right": counts["pairs"] + right_alone,
        "outer": counts["pairs"] + alone + right_alone,
        "semi": counts["matched"],
        "anti": alone,
    }
    return whole and rows[how] == len(found)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_match_of_any_kind_equals_brute_force_on_a_thousand_skies(block):
    for seed in range(block, N_SKIES, BLOCKS):
        left, right, radius, rng = random_sky(seed)
        algorithm = random_nearest(rng, radius)
        a, b = Rows.of(left, "l"), Rows.of(right, "r")
        pairs = brute_pairs(a, b, algorithm)
        how = HOWS[seed // BLOCKS % len(HOWS)]
        node = crossmatched(left, right, algorithm, how)
        table, account = computed(node)
        found = as_rows(node, table)
        assert_same_rows(found, joined(a, b, pairs, how))
        assert add_up(account, found, how)
        assert node.count in (None, len(found))


@pytest.mark.parametrize("seed", range(2000, 2040))
@pytest.mark.parametrize("again_on", ["left", "right"])
def test_a_result_can_be_matched_again_on_either_side(seed, again_on):
    left, right, radius, rng = random_sky(seed)
    third = random_side("t", *random_positions(left, right), radius, rng)
    first, second = random_nearest(rng, radius), random_nearest(rng, radius * 0.7)
    how, then = rng.choice(HOWS, 2)
    inner = crossmatched(left, right, first, how)
    sides = (inner, third) if again_on == "left" else (third, inner)
    node = crossmatched(*sides, second, then)

    a, b, c = Rows.of(left, "l"), Rows.of(right, "r"), Rows.of(third, "t")
    made = Rows.joined(joined(a, b, brute_pairs(a, b, first), how), 1 if how in ("semi", "anti") else 2)
    mine, theirs = (made, c) if again_on == "left" else (c, made)
    pairs = brute_pairs(mine, theirs, second)
    table, _ = computed(node)
    assert_same_rows(as_rows(node, table), joined(mine, theirs, pairs, then))


@pytest.mark.parametrize("seed", range(3000, 3120))
def test_what_is_selected_above_a_match_may_be_left_out_below_it_and_changes_no_pair(seed):
    left, right, radius, rng = random_sky(seed)
    algorithm, how = random_nearest(rng, radius), HOWS[seed % len(HOWS)]
    a, b = Rows.of(left, "l"), Rows.of(right, "r")
    rows = joined(a, b, brute_pairs(a, b, algorithm), how)
    pairs = Catalog(crossmatched(left, right, algorithm, how))

    side = 0 if how in ("semi", "anti") else int(rng.integers(2))
    chosen = pairs.query(f"{'lr'[side]}_mag < 0.5").plan
    expected = [row for row in rows if row[0][side] is not None and mag_of(row[0][side]) < 0.5]
    assert_same_rows(as_rows(chosen, computed(chosen)[0]), expected)

    if rows:
        where, width = rows[int(rng.integers(len(rows)))][1], radius * 2.0
        inside = pairs.cone_search(*where, width).plan
        ra, dec = (np.array([row[1][k] for row in rows]) for k in (0, 1))
        near = set(pairs_within([where[0]], [where[1]], ra, dec, width)[1].tolist())
        assert_same_rows(as_rows(inside, computed(inside)[0]), [row for k, row in enumerate(rows) if k in near])


def random_positions(left, right):
    """Return positions near some of both sides."""
    ra, dec = (
        np.concatenate([side.source.table[side.positions[k]].to_numpy() for side in (left, right)]) for k in (0, 1)
    )
    return ra[::2], dec[::2]


def test_rows_of_a_result_are_sorted_by_place():
    left, right, radius, _ = random_sky(12)
    for how in HOWS:
        node = crossmatched(left, right, Nearest(radius, None), how)
        for pixel in node.layout:
            place = produce(node, whole(node).at(pixel)).table["_healpix_29"].to_numpy()
            assert (np.diff(place) >= 0).all()
