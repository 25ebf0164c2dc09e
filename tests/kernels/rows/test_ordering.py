"""Rows put in order quickly are in the order that slow sorting gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.kernels.rows.mixing import mix_keys, pair_keys, sum_of_mixed
from lsdb_ts.kernels.rows.ordering import (
    find_rows,
    mark_repeats,
    order_by_group,
    order_by_key,
    places_in,
    put_in_places,
    sort_groups,
    stretch_of,
)

TIMES = st.sampled_from([0.0, -1.5, 2.0, np.nan, np.inf])
ROWS = st.lists(st.tuples(st.integers(0, 3), TIMES, st.integers(0, 2)), max_size=120)
KEYS = st.integers(0, 2**64 - 1)
NEAR = st.integers(2**61, 2**61 + 3)
"""Keys that share their leading bits, where others are far."""


def columns(rows) -> list[np.ndarray]:
    kinds = (np.int64, np.float64, np.int64)
    return [np.array([row[i] for row in rows], dtype=kind) for i, kind in enumerate(kinds)]


@given(ROWS, st.booleans())
def test_groups_are_sorted_by_time_then_number_then_sequence(rows, with_numbers):
    group, time, number = columns(rows)
    order, offsets = order_by_group(group, 4)
    assert order.tolist() == sorted(range(len(rows)), key=lambda i: group[i])

    sort_groups(order, offsets, time, number if with_numbers else number[:0])

    late = [(np.isnan(t), 0.0 if np.isnan(t) else t) for t in time]
    wanted = sorted(range(len(rows)), key=lambda i: (group[i], late[i], number[i] if with_numbers else 0, i))
    assert order.tolist() == wanted
    assert np.diff(offsets).tolist() == [int((group == g).sum()) for g in range(4)]


@given(st.lists(st.one_of(NEAR, st.integers(-(2**63), 2**63 - 1)), max_size=300))
def test_the_order_by_a_key_is_that_of_a_stable_sort(keys):
    order = order_by_key(np.array(keys, dtype=np.int64))

    assert order.tolist() == sorted(range(len(keys)), key=lambda i: keys[i])


@pytest.mark.parametrize("crowd", [2**3, 2**20, 2**40])
def test_crowded_keys_are_sorted_by_their_last_bits_too(crowd):
    rng = np.random.default_rng(8)
    everywhere, crowded = rng.integers(-(2**62), 2**62, 3000), 10**17 + rng.integers(0, crowd, 3000)
    keys = rng.permutation(np.concatenate([everywhere, crowded]))

    assert order_by_key(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@given(st.permutations(range(20)))
def test_values_put_in_their_places_are_those_taken_in_order(order):
    values, order = np.arange(20, dtype=np.uint16) * 7, np.array(order)
    found = np.zeros_like(values)

    put_in_places(values, places_in(order), found)

    assert found.tolist() == values[order].tolist()


@given(ROWS, st.integers(1, 60))
def test_ids_that_come_again_in_their_group_are_marked(rows, most):
    group, _, _ = columns(rows)
    ids = np.arange(len(rows)) * 7 % most
    order, offsets = order_by_group(group, 4)

    found = mark_repeats(order, offsets, ids)

    seen = [(group[i], ids[i]) for i in order.tolist()]
    assert found.tolist() == [pair in seen[:k] for k, pair in enumerate(seen)]


@given(st.lists(KEYS, unique=True, max_size=40), st.lists(KEYS, max_size=40))
def test_keys_are_found_in_their_row(keys, others):
    known = np.sort(np.array(keys, dtype=np.uint64))
    wanted = np.array([*keys, *others], dtype=np.uint64)

    rows = {key: row for row, key in enumerate(known.tolist())}
    assert find_rows(known, wanted).tolist() == [rows.get(key, -1) for key in wanted.tolist()]


@given(st.lists(st.integers(0, 50), unique=True, max_size=20), st.lists(st.integers(-5, 60), max_size=30))
def test_the_stretch_of_a_place_is_the_last_that_starts_before_it(starts, places):
    edges, wanted = np.sort(np.array(starts, dtype=np.int64)), np.array(places, dtype=np.int64)

    assert stretch_of(edges, wanted).tolist() == (np.searchsorted(edges, wanted, side="right") - 1).tolist()


def test_keys_are_mixed_one_to_one_as_the_paper_has_it():
    # The first three outputs of SplitMix64 with seed 0.
    step = 0x9E3779B97F4A7C15
    seeds = np.array([0, step, 2 * step % 2**64], dtype=np.uint64)

    mixed = mix_keys(seeds)

    assert [hex(key) for key in mixed.tolist()] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4", "0x6c45d188009454f"]
    assert int(sum_of_mixed(seeds)) == sum(mixed.tolist()) % 2**64
    parents, ids = seeds.view(np.int64), np.array([1, 2, 3])
    assert pair_keys(parents, ids).tolist() == (mixed.view(np.int64) ^ ids).tolist()
