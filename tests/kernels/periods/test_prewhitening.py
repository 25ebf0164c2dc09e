"""Three frequencies of a curve against a slow search with numpy, step by step."""

import numpy as np
import pytest

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.periods.grid import FrequencyGrid
from lsdb_ts.kernels.periods.prewhitening import PARAMETERS, prewhiten

RANGE = (1.0, 40.0)


def power_of(t, x, w, frequency):
    """Share of the variance about the mean that a sinusoid takes away, by least squares."""
    roots = np.sqrt(w)
    columns = np.column_stack([np.ones_like(t), np.cos(2 * np.pi * frequency * t), np.sin(2 * np.pi * frequency * t)])
    fits = [c @ np.linalg.lstsq(c * roots[:, None], x * roots, rcond=None)[0] for c in (columns[:, :1], columns)]
    before, after = (((w * (x - fit) ** 2).sum()) for fit in fits)
    return 1 - after / before


def slow(t, x, e):
    """The model of one curve, by brute force."""
    t, w, left, found = t - t[0], 1 / e**2, x.copy(), []
    grid = FrequencyGrid.spanning(t[-1], RANGE).frequencies
    heights, trend, share = [], np.nan, np.nan
    for k in range(3):
        power = np.array([power_of(t, left, w, f) for f in grid])
        top = power.argmax()
        shift = 0.0
        if 0 < top < grid.size - 1:
            low, middle, high = power[top - 1 : top + 2]
            shift = 0.5 * (low - high) / (low - 2 * middle + high)
        frequency = grid[top] + shift * (grid[1] - grid[0])
        angles = 2 * np.pi * frequency * np.outer(t, np.arange(1, 5))
        columns = [np.ones_like(t), *np.cos(angles).T, *np.sin(angles).T, *([t] if k == 0 else [])]
        terms = np.column_stack(columns)
        best = np.linalg.lstsq(terms * np.sqrt(w)[:, None], left * np.sqrt(w), rcond=None)[0]
        before = (w * (left - np.average(left, weights=w)) ** 2).sum()
        left = left - terms @ best
        if k == 0:
            trend, share = best[-1], (w * (left - np.average(left, weights=w)) ** 2).sum() / before
        found += [frequency, *np.hypot(best[1:5], best[5:9]), *np.arctan2(-best[5:9], best[1:5])]
        heights.append(power[top])
    return np.array([trend, *found, *heights, grid[-1], share])


@pytest.fixture(scope="module")
def curves():
    rng = np.random.default_rng(2)
    sizes = [40, 0, 25, 9, 60]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    t = np.concatenate([np.sort(rng.uniform(0, 60, n)) for n in sizes])
    e = rng.uniform(0.5, 2, t.size)
    x = 30 + 6 * np.cos(2 * np.pi * t / 4.4) + 3 * np.cos(2 * np.pi * t / 1.9 + 1) + e * rng.normal(size=t.size)
    return t, x, e, offsets


def test_each_curve_is_what_a_slow_search_finds(curves):
    t, x, e, offsets = curves
    table = prewhiten(*curves, np.ones(5, bool), RANGE)

    assert table.shape == (5, PARAMETERS)
    for c in (0, 2, 4):
        part = slice(offsets[c], offsets[c + 1])
        np.testing.assert_allclose(table[c], slow(t[part], x[part], e[part]), rtol=1e-5, atol=1e-6)


def test_curves_that_are_short_or_not_chosen_are_nan(curves):
    table = prewhiten(*curves, np.array([True, True, True, True, False]), RANGE)

    assert np.isnan(table[[1, 3, 4]]).all()
    assert np.isfinite(table[[0, 2]]).all()


def test_epochs_at_few_times_and_periods_beyond_the_baseline_are_no_fit():
    t, e = np.repeat([0.0, 30.0], 10), np.ones(20)
    x = np.random.default_rng(0).normal(size=20)
    whole = np.array([0, 20]), np.array([True])

    assert np.isnan(prewhiten(t, x, e, *whole, RANGE)[0, 1:]).all()
    assert np.isnan(prewhiten(np.arange(20.0), x, e, *whole, (50.0, 90.0))).all()
    with pytest.raises(InputError, match="do not fit offsets"):
        prewhiten(t[:-1], x, e, *whole, RANGE)
