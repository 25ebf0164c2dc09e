"""False-alarm probabilities against Baluev's in astropy and against simulated noise, white and not."""

from itertools import pairwise

import numpy as np
import pytest

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.periods.false_alarm import effective_epochs, false_alarm_probability, nightly_correlation
from lsdb_ts.kernels.periods.grid import FrequencyGrid
from lsdb_ts.kernels.periods.periodogram import MultibandModel, multiband_powers

BASELINE, HIGHEST = 100.0, 2.0
GRID = FrequencyGrid.spanning(BASELINE, (1 / HIGHEST, BASELINE), 6.0)


def times(rng, n_objects, counts):
    """Return sorted epochs of every band of every object, and their offsets."""
    t = [np.sort(rng.uniform(0, BASELINE, n)) for _ in range(n_objects) for n in counts]
    return np.concatenate(t), np.concatenate([[0], np.cumsum(np.tile(counts, n_objects))])


def red_noise(rng, t, offsets, days):
    """Return a damped random walk of unit variance, band by band."""
    x = np.empty(t.size)
    for a, b in pairwise(offsets):
        x[a] = rng.normal()
        for i in range(a + 1, b):
            kept = np.exp(-(t[i] - t[i - 1]) / days)
            x[i] = kept * x[i - 1] + np.sqrt(1 - kept**2) * rng.normal()
    return x


def test_the_false_alarm_probability_is_that_of_baluev_in_astropy():
    from astropy.timeseries import LombScargle

    rng = np.random.default_rng(0)
    t, y, w = np.sort(rng.uniform(0, 300, 80)), rng.normal(size=80), rng.uniform(20, 200, 80)
    model = LombScargle(t, y, w**-0.5)
    spread = np.sqrt(np.cov(t, aweights=w, ddof=0))
    for power in (0.05, 0.2, 0.4, 0.6):
        expected = model.false_alarm_probability(power, method="baluev", maximum_frequency=5.0)
        assert false_alarm_probability(power, 5.0, spread, 80) == pytest.approx(expected, rel=1e-2)


def test_too_few_epochs_have_no_false_alarm_probability():
    assert np.isnan(false_alarm_probability(0.9, 5.0, 100.0, 4, 2))


@pytest.mark.parametrize(
    ("model", "harmonics", "independent"),
    [
        (MultibandModel(1, 0), 1, False),
        (MultibandModel(0, 1), 1, True),
        (MultibandModel(2, 0), 2, False),
        (MultibandModel(0, 2), 2, True),
    ],
)
def test_white_noise_is_taken_for_a_period_as_often_as_it_says(model, harmonics, independent):
    rng = np.random.default_rng(4)
    n_objects, counts = 1500, [25, 40, 30]
    t, offsets = times(rng, n_objects, counts)
    w = rng.uniform(0.5, 2.0, t.size)
    power = multiband_powers(t, rng.normal(size=t.size) / np.sqrt(w), w, offsets, 3, GRID, model).max(axis=1)
    found = false_alarm_probability(power, HIGHEST, BASELINE / np.sqrt(12), sum(counts), 3, harmonics, independent)

    for level in (0.3, 0.1, 0.03):
        # It is an upper limit, which the grid and the approximation of few independent peaks make somewhat too large.
        share = (found < level).mean()
        assert share <= level + 3 * np.sqrt(level / n_objects)
        assert share >= 0.4 * level - 3 * np.sqrt(level / n_objects)


def test_effective_epochs_are_all_of_white_noise_and_few_of_red():
    rng = np.random.default_rng(5)
    t, offsets = times(rng, 200, [80, 60])
    one = np.ones(t.size)
    n_white, white = effective_epochs(rng.normal(size=t.size), one, offsets, 2)
    n_red, red = effective_epochs(red_noise(rng, t, offsets, 3.0), one, offsets, 2)

    assert white.mean() > 0.98
    assert np.median(n_white) > 120
    assert not red.any()
    # The mean correlation over one step of 1.25 or 1.67 days is 0.67.
    assert np.median(n_red) == pytest.approx(140 * (1 - 0.67) / (1 + 0.67), rel=0.25)


def test_red_noise_gives_false_alarms_unless_its_effective_epochs_are_counted():
    rng = np.random.default_rng(6)
    t, offsets = times(rng, 400, [90])
    one, noise = np.ones(t.size), red_noise(rng, t, offsets, 1.5)
    power = multiband_powers(t, noise, one, offsets, 1, GRID).max(axis=1)
    n_effective, _ = effective_epochs(noise, one, offsets, 1)
    spread = BASELINE / np.sqrt(12)
    naive = false_alarm_probability(power, HIGHEST, spread, 90)
    careful = false_alarm_probability(power, HIGHEST, spread, n_effective)

    assert (naive < 0.01).mean() > 0.1
    assert (careful < 0.01).mean() < 0.02


def test_bands_are_not_correlated_with_each_other_and_single_epochs_not_with_anything():
    steps = np.repeat([5.0, -5.0], 20) + np.tile([0.1, -0.1], 20)
    n, white = effective_epochs(steps, np.ones(40), [0, 20, 40, 40, 40], 2)
    alone, _ = effective_epochs([1.0, 2.0, 3.0], np.ones(3), [0, 1, 2, 3], 3)

    assert n.tolist() == [40.0, 0.0]
    assert white.tolist() == [True, True]
    assert alone.tolist() == [3.0]


def test_residuals_that_do_not_fit_their_offsets_are_refused():
    with pytest.raises(InputError, match="do not fit offsets"):
        effective_epochs([1.0, 2.0, 3.0], np.ones(3), [0, 4], 1)
    with pytest.raises(InputError, match="1 curves are not those of objects with 2 bands"):
        effective_epochs([1.0, 2.0, 3.0], np.ones(3), [0, 3], 2)


def test_the_correlation_from_night_to_night_leaves_that_within_nights_out():
    rng = np.random.default_rng(5)
    nights, offsets, one = np.arange(200.0), np.array([0, 800]), np.ones(800)
    t = np.repeat(nights, 4) + np.tile([0.0, 0.01, 0.02, 0.03], 200)
    of_nights = np.repeat(rng.normal(size=200), 4)
    walk = np.repeat(red_noise(rng, nights, [0, 200], 5.0), 4)
    by_night, pairs = nightly_correlation(t, of_nights, one, offsets)
    by_walk, _ = nightly_correlation(t, walk, one, offsets)

    assert pairs == 199
    assert by_night < 3 / np.sqrt(pairs)
    assert by_walk == pytest.approx(np.exp(-1 / 5), abs=0.1)
    assert nightly_correlation(t[:3], walk[:3], one, np.array([0, 3]))[1] == 0
