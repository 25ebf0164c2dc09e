"""Alias classes, spectral window and phase gap of single frequencies."""

import numpy as np
import pytest

from lsdb_ts.kernels.periods.aliases import Alias, alias_classes, day_window, widest_gap, window_power

F = 1 / 0.5673


@pytest.mark.parametrize(
    ("frequency", "alias"),
    [
        (F + 1.0, Alias.DAY),
        (F - 1.00274, Alias.DAY),
        (3.0 - F, Alias.DAY),
        (F + 1 / 365.25, Alias.YEAR),
        (F - 2 / 365.25, Alias.YEAR),
        (F + 1 / 29.530589, Alias.LUNAR),
        (2 * F, Alias.HALF),
        (F / 2, Alias.DOUBLE),
        (F / 3, Alias.RATIO),
        (1.5 * F, Alias.RATIO),
        (2 * F + 1.0, Alias.DAY_OF_MULTIPLE),
        (5.4321, Alias.NONE),
        (np.nan, Alias.NONE),
    ],
)
def test_each_kind_of_alias_is_told(frequency, alias):
    assert alias_classes([[1 / F, 1 / frequency]], [3000.0]).tolist() == [[Alias.NONE, alias]]


def test_a_year_is_not_told_from_a_baseline_shorter_than_it():
    assert alias_classes([[1 / F, 1 / (F + 1 / 365.25)]], [200.0])[0, 1] != Alias.YEAR


def test_an_object_without_a_period_has_no_aliases():
    assert alias_classes([[np.nan, np.nan]], [np.nan]).tolist() == [[0, 0]]


def test_window_and_gap_are_those_written_out():
    rng = np.random.default_rng(1)
    t, w = rng.uniform(0, 100, 50), rng.uniform(1, 2, 50)
    phase = np.sort(0.37 * t % 1)
    gaps = np.diff(np.append(phase, phase[0] + 1))

    assert window_power(t, w, 0.37) == pytest.approx(abs((w * np.exp(2j * np.pi * 0.37 * t)).sum() / w.sum()) ** 2)
    assert widest_gap(t, 0.37) == pytest.approx(gaps.max())
    assert widest_gap(t[:1], 0.37) == 1.0


def test_the_window_near_a_day_is_the_highest_of_its_comb_and_elsewhere_none():
    rng = np.random.default_rng(2)
    t = np.sort(rng.choice(3000, 400, replace=False) + rng.uniform(-0.1, 0.1, 400))
    comb = [window_power(t, np.ones(400), 1 + k / 365.25) for k in range(-2, 4)]

    assert window_power(t, np.ones(400), 1.0042) < 0.05
    assert day_window(t, np.ones(400), 1.0042) == pytest.approx(max(comb))
    assert day_window(t, np.ones(400), 0.9921) > 0.5
    assert [day_window(t, np.ones(400), f) for f in (0.004, 0.98, 1.03, 1.5)] == [0, 0, 0, 0]
