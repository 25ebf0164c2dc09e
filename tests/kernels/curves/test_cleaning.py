"""Outliers and trends of many curves, held against numpy curve by curve."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.curves.cleaning import clipped, polynomial_trend, running_median

CASES = {
    "none": [],
    "empty curves": [0, 0, 0],
    "one epoch": [1, 1],
    "two": [2, 0, 2],
    "many": [30, 1, 0, 200, 7, 3],
}


def curves(lengths, seed=0):
    """Draw times, values and errors with NaN, infinite ones, and equal times."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    n = int(offsets[-1])
    t, x, e = rng.uniform(0, 50, n).round(1), rng.normal(5, 1, n), rng.uniform(0.5, 2, n)
    x[rng.random(n) < 0.1] += 20
    for column, odd in ((t, math.nan), (x, math.nan), (x, math.inf), (e, math.nan), (e, math.inf), (e, 0.0)):
        column[rng.random(n) < 0.05] = odd
    return t, x, e, offsets


@pytest.mark.parametrize("about", ["median", "mean", "weighted"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("limits", [(3.0, 3.0), (1.0, math.inf), (0.7, 1.3)])
def test_outliers_are_those_of_a_loop(case, about, limits):
    _, x, e, offsets = curves(CASES[case])
    expected = np.zeros(x.size, bool)
    for start, stop in pairwise(offsets):
        out = expected[start:stop]
        while True:
            left = np.isfinite(x[start:stop]) & ~out
            w = np.ones(left.size)
            if about == "weighted":
                with np.errstate(divide="ignore"):
                    w = 1 / e[start:stop] ** 2
                left &= np.isfinite(w) & (w > 0)
            y, w = x[start:stop][left], w[left]
            if y.size < 2:
                break
            centre = np.median(y) if about == "median" else np.average(y, weights=w)
            spread = 1.482602218505602 * np.median(abs(y - centre))
            if about != "median":
                spread = math.sqrt(np.average((y - centre) ** 2, weights=w) * y.size / (y.size - 1))
            new = (x[start:stop] - centre > limits[1] * spread) | (centre - x[start:stop] > limits[0] * spread)
            new &= ~out & (spread > 0)
            if not new.any():
                break
            out |= new
    assert clipped(x, e, offsets, limits, about, 1000).tolist() == expected.tolist()


def test_a_round_looks_once():
    x, one = np.array([0.0, 0.1, -0.1, 0.05, 5.0, 1000.0]), np.ones(6)
    first = clipped(x, one, np.array([0, 6]), (2.0, 2.0), "mean", 1)
    assert first.tolist() == [False] * 5 + [True]
    assert clipped(x, one, np.array([0, 6]), (1.7, 1.7), "mean", 10).tolist() == [False] * 4 + [True] * 2


def test_equal_values_have_no_outliers():
    x = np.array([1.0, 1.0, 1.0, 9.0])
    assert not clipped(x, np.ones(4), np.array([0, 4]), (3.0, 3.0)).any()


def test_an_unknown_centre_is_refused():
    with pytest.raises(InputError, match="median, mean, weighted"):
        clipped(np.ones(1), np.ones(1), np.array([0, 1]), (3.0, 3.0), "mode")


@pytest.mark.parametrize("degree", [0, 1, 2, 5])
@pytest.mark.parametrize("case", CASES)
def test_polynomials_are_those_of_numpy(case, degree):
    t, x, e, offsets = curves(CASES[case], 1)
    with np.errstate(divide="ignore"):
        weights = np.where(np.isfinite(e) & (e > 0), 1 / e**2, np.nan)
    x[np.isinf(x)] = math.nan
    expected = np.full(x.size, math.nan)
    for start, stop in pairwise(offsets):
        u, y, w = (t[start:stop] - 25) / 25, x[start:stop], weights[start:stop]
        used = np.isfinite(u) & np.isfinite(y) & np.isfinite(w)
        if np.unique(u[used]).size > degree:
            expected[start:stop] = np.polyval(np.polyfit(u[used], y[used], degree, w=np.sqrt(w[used])), u)
    found = polynomial_trend(t, x, weights, offsets, degree)
    assert np.isnan(found).tolist() == np.isnan(expected).tolist()
    assert np.allclose(found, expected, rtol=1e-7, atol=1e-7, equal_nan=True)


def test_high_degrees_at_real_dates_are_exact():
    t = 60_000.0 + np.linspace(0, 3000, 400)
    u = (t - 61_500) / 1500
    x = np.polynomial.chebyshev.chebval(u, np.arange(1.0, 14.0))
    trend = polynomial_trend(t, x, np.ones(t.size), np.array([0, t.size]), 12)
    assert np.allclose(trend, x, rtol=0, atol=1e-9)


@pytest.mark.parametrize("width", [0.0, 1.0, 10.0, 1000.0])
@pytest.mark.parametrize("case", CASES)
def test_running_medians_are_those_of_a_loop(case, width):
    t, x, _, offsets = curves(CASES[case], 2)
    t = np.concatenate([np.sort(t[a:b]) for a, b in pairwise(offsets)]) if len(CASES[case]) else t
    expected = np.full(x.size, math.nan)
    for start, stop in pairwise(offsets):
        for i in range(start, stop):
            near = (t[start:stop] >= t[i] - width / 2) & (t[start:stop] <= t[i] + width / 2)
            near &= np.isfinite(x[start:stop])
            if near.any():
                expected[i] = np.median(x[start:stop][near])
    assert np.array_equal(running_median(t, x, offsets, width), expected, equal_nan=True)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(-5, 5)), max_size=40), st.integers(0, 8))
def test_running_medians_of_crowded_times(epochs, width):
    t, x = (np.array(c, dtype=float) for c in zip(*sorted(epochs), strict=True)) if epochs else (np.empty(0),) * 2
    found = running_median(t, x, np.array([0, t.size]), width)
    assert found.tolist() == [float(np.median(x[abs(t - ti) <= width / 2])) for ti in t]


def test_columns_must_be_as_long_as_the_offsets_say():
    for call in (
        lambda: clipped(np.ones(2), np.ones(3), np.array([0, 3]), (3.0, 3.0)),
        lambda: polynomial_trend(np.ones(2), np.ones(3), np.ones(3), np.array([0, 3]), 1),
        lambda: running_median(np.ones(2), np.ones(3), np.array([0, 3]), 1.0),
    ):
        with pytest.raises(InputError, match="do not fit offsets"):
            call()
