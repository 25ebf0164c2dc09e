"""What the shape of a cycle says of eclipses: sharp minima count as far as they are significant."""

import numpy as np
import pytest

from lsdb_ts.kernels.periods.aliases import Quality
from lsdb_ts.kernels.periods.eclipses import eclipses, farthest, series_at
from lsdb_ts.kernels.periods.search import PeriodSearch, search_periods


def series(*cosines, sines=()):
    """Return a series of these cosine and sine amplitudes."""
    out = np.zeros(2 * max(len(cosines), len(sines)))
    out[: 2 * len(cosines) : 2], out[1 : 2 * len(sines) : 2] = cosines, sines
    return out


ROUND, SHARP, BLUNT = series(1.0, 0.0, 0.0, 0.0), series(1.0, 0.2, 0.0, 0.0), series(1.0, -0.2, 0.0, 0.0)
DIP, RAMP = series(1.0, 0.5, 0.2, 0.1), series(0.0, 0.0, 0.0, 0.0, sines=(1.0, 0.5, 0.33, 0.25))


@pytest.mark.parametrize(
    ("shape", "error", "log_odds", "possible"),
    [
        (ROUND, 0.01, 0.0, True),
        (SHARP, 0.01, 14.0, True),
        (SHARP, 0.1, 2.0, True),
        (SHARP, 0.2, 0.0, True),
        (BLUNT, 0.01, 0.0, False),
        (BLUNT, 0.2, 0.0, True),
        (DIP, 0.01, 6.0, True),
        (RAMP, 0.01, 0.0, False),
    ],
)
def test_the_odds_of_eclipses_grow_with_the_significance_of_the_shape(shape, error, log_odds, possible):
    of_flux = eclipses(-shape, error, 1.0, 0.05, True)
    of_magnitudes = eclipses(shape, error, 0.001, 0.001, False)

    for found in (of_flux, of_magnitudes):
        assert found[0] == pytest.approx(log_odds, abs=0.05)
        assert found[1] is possible


def test_a_pair_cannot_hide_most_of_its_light_in_each_of_two_eclipses():
    assert eclipses(ROUND, 0.01, 1.0, 0.3, True)[1]
    assert not eclipses(ROUND, 0.01, 1.0, 0.6, True)[1]


def test_the_phase_farthest_from_the_mean_is_that_of_the_deepest_point():
    turned = series(np.cos(2 * np.pi * 0.25), sines=(np.sin(2 * np.pi * 0.25),))

    assert farthest(turned) == 0.25
    assert series_at(DIP, 0.0) == pytest.approx(1.8)
    assert series_at(DIP, 0.5) == pytest.approx(-1.0 + 0.5 - 0.2 + 0.1)


def test_noisy_sinusoids_are_not_given_twice_their_period_and_are_said_to_allow_it():
    rng = np.random.default_rng(31)
    n, periods = 80, 10 ** rng.uniform(-0.5, 1.0, 60)
    t = 60000 + np.sort(rng.uniform(0, 2000, (periods.size, n)), axis=1)
    x = 17 + 0.1 * np.sin(2 * np.pi * t / periods[:, None]) + rng.normal(0, 0.02, t.shape)
    offsets = np.arange(periods.size + 1) * n
    found = search_periods(t.ravel(), x.ravel(), np.full(t.size, 0.02), offsets, 1, PeriodSearch((0.2, 50.0)))

    assert (np.abs(found.period_days[:, 0] / periods - 2) < 0.01).sum() <= 1
    assert (found.quality.astype(int) & Quality.DOUBLE > 0).mean() > 0.8
