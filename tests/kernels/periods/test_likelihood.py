"""Noise with tails, seasons with phases of their own, and frequencies that move to the maximum."""

import numpy as np
import pytest

from lsdb_ts.kernels.periods.fourier import residuals, series_prior
from lsdb_ts.kernels.periods.likelihood import TAILS, _fit_phases, _move, seasons, student_evidence

NO_SHAPE = (np.zeros(0), np.zeros((0, 0)))


def evidence(t, x, error, frequency, w=None, rounds=60, phase=0.0, reach=0.0, fit=None, K=1, shape=NO_SHAPE):
    """Return what student_evidence gives for one band."""
    data = (t, x, np.full(t.size, error**2), np.array([0, t.size]), seasons(t))
    fit = (np.zeros(2 * K), np.zeros((1, 2 * K))) if fit is None else fit
    w = np.full(t.size, 10.0) if w is None else w
    return student_evidence(data, frequency, (series_prior(K), *shape, phase, reach), 0.09, rounds, w, fit)


def test_noise_with_tails_is_at_the_maximum_of_its_likelihood_and_forgives_wrong_epochs():
    rng = np.random.default_rng(3)
    t, w = np.sort(rng.uniform(0, 90, 300)), np.full(300, 10.0)
    x = np.cos(2 * np.pi * 0.61 * t) + 0.1 * rng.standard_t(TAILS, 300)
    value, jitter2, frequency = evidence(t, x, 0.01, 0.61, w)
    x[::50] += 3.0
    again, jitter2_again, _ = evidence(t, x, 0.01, 0.61)
    wrong, constant = (evidence(t, x, 0.01, f)[0] for f in (0.53, 0.0))

    assert frequency == 0.61
    assert np.sqrt(jitter2 + 1e-4) == pytest.approx(0.1, rel=0.15)
    assert np.sqrt(jitter2_again) == pytest.approx(np.sqrt(jitter2), rel=0.3)
    assert again < value
    assert again > constant + 100 > wrong + 90
    left = np.empty(300)
    residuals(t, x, w, np.array([0, 300]), 0.61, np.array([[1.0, 0.0]]), left)
    assert np.median(np.abs(left)) < 0.12


def test_a_season_begins_after_sixty_days_without_an_epoch():
    assert seasons(np.array([500.0, 0.0, 59.0, 118.0, 191.0, 130.0])).tolist() == [2, 0, 0, 0, 1, 0]
    assert seasons(np.array([7.0])).tolist() == [0]


def test_phases_of_seasons_are_those_of_the_linear_model_with_their_prior():
    rng = np.random.default_rng(4)
    w, slope, left, season = rng.uniform(1, 9, 40), rng.normal(size=40), rng.normal(size=40), rng.integers(0, 3, 40)
    phase = np.zeros(3)
    volume = _fit_phases(w, slope, left, season, 0.2, phase)
    S = slope[:, None] * (season[:, None] == np.arange(3))
    P = S.T @ (w[:, None] * S) + np.eye(3) / 0.2**2
    solution = np.linalg.solve(P, S.T @ (w * left))

    np.testing.assert_allclose(phase, solution, atol=1e-12)
    # Prior times volume, and the fit: the integral over the phases, relative to none.
    gained = 0.5 * (w * (left**2 - (left - S @ phase) ** 2)).sum()
    C = np.diag(1 / w)
    ratio = sum(
        sign * 0.5 * (np.linalg.slogdet(V)[1] + left @ np.linalg.solve(V, left))
        for sign, V in ((1, C), (-1, C + 0.2**2 * S @ S.T))
    )
    assert volume + gained == pytest.approx(ratio, abs=1e-9)
    rest = left - S @ phase
    assert _fit_phases(w, slope, rest, season, 0.2, phase) == pytest.approx(volume, abs=1e-9)
    np.testing.assert_allclose(phase, solution, atol=1e-12)


def test_the_frequency_moves_as_least_squares_ask_and_no_farther_than_it_may():
    rng = np.random.default_rng(5)
    t, w, slope, left = rng.uniform(0, 90, 40), rng.uniform(1, 9, 40), rng.normal(size=40), rng.normal(size=40)
    columns = np.sqrt(w)[:, None] * np.stack([slope, slope * t], axis=1)
    wanted = np.linalg.lstsq(columns, np.sqrt(w) * left, rcond=None)[0][1]
    rest = left.copy()

    assert _move(t, w, slope, rest, 1.0) == pytest.approx(wanted, abs=1e-12)
    mean = np.average(t, weights=w * slope**2)
    np.testing.assert_allclose(rest, left - wanted * slope * (t - mean), atol=1e-12)
    assert abs(_move(t, w, slope, left.copy(), 1e-5)) == 1e-5


def test_a_frequency_beside_the_maximum_is_brought_there():
    rng = np.random.default_rng(6)
    t = np.sort(rng.uniform(0, 500, 150))
    x = np.cos(2 * np.pi * 1.7 * t) + rng.normal(0, 0.02, t.size)
    moved, _, frequency = evidence(t, x, 0.02, 1.7 + 0.2 / 500, rounds=12, reach=0.05 / 500)

    assert frequency == pytest.approx(1.7, abs=0.01 / 500)
    assert moved == pytest.approx(evidence(t, x, 0.02, 1.7)[0], abs=1.0)


def test_a_star_that_is_late_in_some_seasons_is_not_taken_for_noisy():
    rng = np.random.default_rng(7)
    t = np.sort(np.concatenate([rng.uniform(365 * k, 365 * k + 120, 30) for k in range(6)]))
    late = np.array([0.03, -0.02, 0.0, 0.025, -0.03, 0.01])[seasons(t)]
    noise = rng.normal(0, 0.02, t.size)
    regular, irregular = (np.cos(2 * np.pi * (1.7 * t + shift)) + noise for shift in (0.0, late))

    assert evidence(t, irregular, 0.02, 1.7, phase=0.02)[0] > evidence(t, irregular, 0.02, 1.7)[0] + 100
    assert (
        np.sqrt(evidence(t, irregular, 0.02, 1.7, phase=0.02)[1]) < 0.03 < np.sqrt(evidence(t, irregular, 0.02, 1.7)[1])
    )
    assert evidence(t, regular, 0.02, 1.7, phase=0.02)[0] < evidence(t, regular, 0.02, 1.7)[0]


def test_a_shape_that_is_known_is_worth_more_than_one_that_is_not_and_another_less():
    rng = np.random.default_rng(8)
    t = np.sort(rng.uniform(0, 200, 25))
    x = np.cos(2 * np.pi * (0.61 * t + 0.2)) - 0.3 * np.cos(2 * np.pi * (1.22 * t + 0.4)) + rng.normal(0, 0.05, 25)
    precision = np.eye(2) / 0.05**2
    known, other = (evidence(t, x, 0.05, 0.61, K=3, shape=(np.array(s), precision))[0] for s in ([-0.3, 0], [0.3, 0]))

    assert known > evidence(t, x, 0.05, 0.61, K=3)[0] + 1 > other + 10
