"""Structure functions against sums over all pairs in plain numpy, one curve at a time."""

import itertools

import numpy as np
import pytest

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.curves.structure import ESTIMATORS, structure_function

EDGES = np.array([0.0, 0.5, 3.0, 30.0, 200.0])


def all_pairs(t, x, e):
    i, j = np.triu_indices(len(t), 1)
    return t[j] - t[i], x[j] - x[i], e[i] ** 2 + e[j] ** 2


def brute_force(t, x, e, low, high, estimator):
    lag, d, v = all_pairs(t, x, e)
    inside = (lag >= low) & (lag < high)
    lag, d, v = lag[inside], d[inside], v[inside]
    if not lag.size:
        return np.nan, np.nan, 0
    with np.errstate(invalid="ignore"):
        value = {
            "basic": np.mean(d**2 - v),
            "bauer_2009a": np.sqrt(np.mean(d**2) - np.mean(v)),
            "bauer_2009b": np.sqrt(np.pi / 2 * np.mean(np.abs(d)) ** 2 - np.mean(v)),
            "macleod_2012": 0.74 * np.subtract(*np.percentile(d, [75, 25])),
            "schmidt_2010": np.mean(np.sqrt(np.pi / 2) * np.abs(d) - np.sqrt(v)),
        }[estimator]
    return lag.mean(), value, lag.size


@pytest.fixture(scope="module")
def curves():
    """Return random walks, of one, two and no epochs, too, and times that come twice."""
    rng = np.random.default_rng(3)
    sizes = np.array([40, 0, 1, 25, 2, 60, 0, 12])
    t = np.concatenate([np.sort(rng.uniform(0, 150, n).round(1)) for n in sizes])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    e = rng.uniform(0.05, 0.4, t.size)
    x = np.concatenate([rng.normal(0, 0.3, n).cumsum() for n in sizes]) + e * rng.normal(size=t.size)
    return t, x, e, offsets


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_estimator_is_what_numpy_says_of_all_pairs(curves, estimator):
    t, x, e, offsets = curves
    lag, value, pairs = structure_function(t, x, e, offsets, EDGES, estimator)

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        for k, (low, high) in enumerate(itertools.pairwise(EDGES)):
            expected = brute_force(t[a:b], x[a:b], e[a:b], low, high, estimator)
            np.testing.assert_allclose([lag[c, k], value[c, k], pairs[c, k]], expected, rtol=1e-10, atol=1e-12)
    assert np.isnan(value[[1, 2, 6]]).all()
    assert (pairs[[1, 2, 6]] == 0).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_epochs_that_are_not_finite_are_left_out(curves, estimator):
    t, x, e, offsets = curves
    bad = np.random.default_rng(0).random(t.size) < 0.2
    spoiled = [column.copy() for column in (t, x, e)]
    for k, (column, nothing) in enumerate(zip(spoiled, (np.nan, np.inf, np.inf), strict=True)):
        column[bad & (np.arange(t.size) % 3 == k)] = nothing
    kept = np.concatenate([[0], np.cumsum(~bad)])[offsets]

    found = structure_function(*spoiled, offsets, EDGES, estimator)
    expected = structure_function(t[~bad], x[~bad], e[~bad], kept, EDGES, estimator)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_single_precision_and_lists_are_taken(curves):
    t, x, e, offsets = curves
    short = [column.astype(np.float32) for column in (t, x, e)]
    found = structure_function(*short, offsets, EDGES.tolist(), "schmidt_2010")
    expected = structure_function(*(c.astype(np.float64) for c in short), offsets, EDGES, "schmidt_2010")

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_noise_has_no_structure_and_may_have_a_negative_square():
    rng = np.random.default_rng(1)
    t, x = np.sort(rng.uniform(0, 100, 400)), rng.normal(0, 0.5, 400)
    _, square, _ = structure_function(t, x, np.full(400, 0.55), np.array([0, 400]), [1.0, 90.0], "basic")
    _, value, _ = structure_function(t, x, np.full(400, 0.55), np.array([0, 400]), [1.0, 90.0], "bauer_2009a")

    assert square[0, 0] < 0
    assert np.isnan(value[0, 0])


def test_what_makes_no_sense_is_refused():
    one = np.arange(3.0)
    with pytest.raises(InputError, match='did you mean "schmidt_2010"'):
        structure_function(one, one, one, np.array([0, 3]), [0, 1], "schmidt2010")
    with pytest.raises(InputError, match="increasing and not negative"):
        structure_function(one, one, one, np.array([0, 3]), [1, 1])
    with pytest.raises(InputError, match="increasing and not negative"):
        structure_function(one, one, one, np.array([0, 3]), [-1, 1])
    with pytest.raises(InputError, match="not sorted by time"):
        structure_function(one[::-1], one, one, np.array([0, 3]), [0, 1])
    with pytest.raises(InputError, match="do not fit offsets"):
        structure_function(one, one, one, np.array([0, 4]), [0, 1])
