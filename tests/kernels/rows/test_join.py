"""Pairs by id are all pairs; as-of partners are those that pandas finds."""

import numpy as np
import pandas as pd
import pytest

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.rows import join
from lsdb_ts.kernels.rows.join import AsOf, Timed, join_ids

KINDS = {
    "int64": lambda i: i.astype(np.int64) - 3,
    "uint64": lambda i: i.astype(np.uint64) + np.uint64(2**63),
    "large": lambda i: i.astype(np.int64) + 600_000_000_000_000_000,
    "text": lambda i: np.array([f"o{n}" for n in i], dtype=object),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 5), (5, 0), (40, 60), (300, 20)])
def test_all_pairs_are_found_in_order(kind, n, m):
    rng = np.random.default_rng(n + m)
    left, right = (KINDS[kind](rng.integers(0, 12, size)) for size in (n, m))
    rows, partners = join_ids(left, right)
    expected = [(i, j) for i in range(n) for j in range(m) if left[i] == right[j]]
    assert list(zip(rows.tolist(), partners.tolist(), strict=True)) == expected


def test_ids_that_would_be_floats_and_fillers_are_refused(monkeypatch):
    with pytest.raises(InputError, match="compare as floats"):
        join_ids(np.array([1], np.uint64), np.array([1], np.int64))
    monkeypatch.setattr(join, "MOST_PAIRS", 99)
    with pytest.raises(InputError, match=r"the id -1 stands in 10 right rows.*100 pairs"):
        join_ids(np.full(10, -1), np.full(10, -1))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("tolerance", [None, 0, 2])
@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("kind", ["int64", "text"])
def test_partners_are_those_of_pandas(kind, direction, tolerance, exact):
    rng = np.random.default_rng(7)
    left, right = (
        pd.DataFrame(
            {"id": KINDS[kind](rng.integers(0, 9, n)), "time": rng.integers(0, 40, n) / 2.0, "row": np.arange(n)}
        ).sort_values("time", kind="stable", ignore_index=True)
        for n in (200, 150)
    )
    if tolerance == 0 and not exact:
        return
    expected = pd.merge_asof(
        left, right, on="time", by="id", direction=direction, tolerance=tolerance, allow_exact_matches=exact
    )["row_y"]
    sides = [Timed(f["id"].to_numpy(dtype=None), f["time"].to_numpy(), np.ones(len(f), bool)) for f in (left, right)]
    found = AsOf(direction, tolerance, exact).partners(*sides, lambda a, b: np.ones(a.size, dtype=bool))
    chosen = np.where(found >= 0, right["row"].to_numpy()[found], -1)
    assert chosen.tolist() == expected.fillna(-1).astype(int).tolist()


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
def test_rows_that_may_not_be_are_passed_over_for_the_next(direction):
    rng = np.random.default_rng(8)
    ids, times = [rng.integers(0, 5, n) for n in (120, 150)], [rng.permutation(300)[:n] for n in (120, 150)]
    allowed = rng.random((120, 150)) < 0.4
    left, right = (Timed(i, t, np.ones(i.size, bool)) for i, t in zip(ids, times, strict=True))
    found = AsOf(direction).partners(left, right, lambda a, b: allowed[a, b])
    for i in range(120):
        lag = np.where((ids[1] == ids[0][i]) & allowed[i], times[1] - times[0][i], 10**6)
        past, future = lag <= 0, (lag >= 0) & (lag < 10**6)
        best = {"backward": past, "forward": future, "nearest": past | future}[direction]
        rank = np.where(best, np.abs(lag) * 2 + (lag > 0), 10**7)
        assert found[i] == (rank.argmin() if best.any() else -1)


def test_rows_without_an_id_or_a_time_have_no_partner():
    times = np.array([1.0, np.nan, 1.0])
    left = Timed(np.array([1, 1, 1]), times, np.array([True, False, False]))
    right = Timed(np.array([1, 1]), np.array([0.5, 0.9]), np.array([True, False]))
    assert AsOf().partners(left, right, lambda a, b: np.ones(a.size, dtype=bool)).tolist() == [0, -1, -1]
    nobody = Timed(np.array([1, 1]), np.array([0.5, 0.9]), np.array([False, False]))
    assert AsOf("nearest").partners(left, nobody, lambda a, b: np.ones(a.size, dtype=bool)).tolist() == [-1, -1, -1]
