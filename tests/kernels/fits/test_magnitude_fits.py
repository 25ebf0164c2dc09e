"""FLEET's fits against scipy's and the truth of simulated curves, tails against numpy's straight lines."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.fits.least_squares import AT_LIMIT, CONVERGED, SINGULAR, TOO_FEW_EPOCHS
from lsdb_ts.kernels.fits.magnitude_fits import FASTEST, SLOWEST, fit_fleet, tail_slopes

START = 60000.0


def fleet(t, a, w, t0, m0):
    return np.exp(w * (t - t0)) - a * w * (t - t0) + m0


def simulated(n_curves, n_epochs=40, error=0.05, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.uniform([0.3, -0.2, 10, 17], [1.5, -0.03, 30, 20], (n_curves, 4))
    t = np.sort(rng.uniform(0, 100, (n_curves, n_epochs)), axis=1)
    m = fleet(t, *(truth[:, k : k + 1] for k in range(4))) + rng.normal(0, error, t.shape)
    return t, m, np.full(t.shape, error), truth + np.array([0, 0, START, 0])


def fitted(t, m, e):
    return fit_fleet(START + t.ravel(), m.ravel(), e.ravel(), np.arange(len(t) + 1) * t.shape[1])


def test_parameters_and_errors_are_those_of_scipy_from_the_truth():
    t, m, e, truth = simulated(15)
    found = fitted(t, m, e)
    for c in range(15):
        theirs = least_squares(
            lambda p, c=c: (m[c] - fleet(t[c], *p)) / e[c],
            truth[c] - [0, 0, START, 0], x_scale=[1, 0.1, 10, 1], xtol=1e-14, ftol=1e-14, gtol=1e-14,
        )  # fmt: skip
        sigma = np.sqrt(np.diagonal(np.linalg.inv(theirs.jac.T @ theirs.jac)))
        assert found.redchi2[c] * 36 == pytest.approx(2 * theirs.cost, abs=1e-6)
        np.testing.assert_allclose((found.parameters[c] - [0, 0, START, 0] - theirs.x) / sigma, 0.0, atol=1e-3)
        np.testing.assert_allclose(found.errors[c], sigma, rtol=1e-3)


def test_the_truth_is_within_the_errors():
    t, m, e, truth = simulated(500, seed=1)
    found = fitted(t, m, e)
    pulls = (found.parameters - truth) / found.errors

    assert (found.status == CONVERGED).mean() > 0.99
    assert np.median(found.redchi2) == pytest.approx(1.0, abs=0.05)
    assert 1.4826 * np.nanmedian(np.abs(pulls), axis=0) == pytest.approx(1.0, abs=0.15)


def test_no_start_is_deeper():
    t, m, e, _ = simulated(12, n_epochs=10, error=0.3, seed=2)
    found = fitted(t, m, e)
    rng = np.random.default_rng(3)
    for c in range(12):
        starts = rng.uniform([0.1, -0.5, -20, 16], [3, -0.01, 60, 21], (12, 4))
        limits = ([0, FASTEST, -np.inf, -np.inf], [np.inf, SLOWEST, np.inf, np.inf])
        costs = [2 * least_squares(_residuals, p, bounds=limits, args=(t[c], m[c], e[c])).cost for p in starts]
        assert found.redchi2[c] * 6 < min(costs) + 1e-4


def _residuals(p, t, m, e):
    return np.clip((m - fleet(t, *p)) / e, -1e6, 1e6)


def test_what_is_not_told_is_not_given():
    t = np.arange(0.0, 60.0, 3.0)
    fading, brightening = 17 + 0.05 * t - 1e-4 * t**2, np.exp(-0.1 * (t - 12)) - 1e-5 * t + 18
    rising = np.exp(-0.05 * (t - 12)) - 0.03 * t + 18
    mags, error = np.stack([fading, brightening, rising]), np.full((3, 20), 0.01)
    found = fitted(np.tile(t, (3, 1)), mags, error)

    assert found.status.tolist() == [SINGULAR, AT_LIMIT, AT_LIMIT]
    assert np.isnan(found.parameters[0]).all()
    assert 0.0 < found.redchi2[0] < 20.0
    assert found.parameters[1] == pytest.approx([0.0, -0.1, START + 12, 18.0], abs=0.01)
    assert np.isnan(found.errors[1]).tolist() == [True, False, False, False]
    assert found.parameters[2, 0] == 0.0


def test_few_epochs_and_epochs_at_one_time_come_to_an_end():
    t = np.array([0.0, 1, 2, 3, *np.full(6, 5.0)])
    found = fit_fleet(t, np.full(10, 18.0), np.full(10, 0.1), np.array([0, 4, 4, 10]))

    assert found.status.tolist() == [TOO_FEW_EPOCHS, TOO_FEW_EPOCHS, SINGULAR]
    assert np.isnan(found.redchi2).tolist() == [True, True, False]
    assert fit_fleet(np.empty(0), np.empty(0), np.empty(0), np.zeros(1, int)).parameters.shape == (0, 4)


def test_the_zero_of_magnitudes_and_times_does_not_matter():
    t, m, e, _ = simulated(10)
    one, other = fitted(t, m, e), fitted(t - 5e4, m + 30.0, e)
    np.testing.assert_allclose(other.parameters + np.array([0, 0, 5e4, -30]), one.parameters, rtol=1e-5)


def test_tails_are_weighted_straight_lines():
    rng = np.random.default_rng(4)
    t = np.sort(rng.uniform(0, 400, (30, 50)), axis=1)
    e = rng.uniform(0.02, 0.2, t.shape)
    m = 17 + 2.5 * 5 / 3 * np.log10(np.maximum(t - 30, 0) + 40) + 4.0 * (t < 30) + rng.normal(0, 1, t.shape) * e
    found = tail_slopes(t.ravel(), m.ravel(), e.ravel(), np.arange(31) * 50)
    for c in range(30):
        after = t[c] - t[c, m[c].argmin()]
        own = (after > 0) & (after <= 200)
        x = 2.5 * np.log10(after[own] + 40)
        (slope, _), covariance = np.polyfit(x, m[c, own], 1, w=1 / e[c, own], cov="unscaled")
        residual = np.polyval(np.polyfit(x, m[c, own], 1, w=1 / e[c, own]), x) - m[c, own]
        chi2 = ((residual / e[c, own]) ** 2).sum() / (own.sum() - 2)
        np.testing.assert_allclose(found[c], [slope, np.sqrt(covariance[0, 0]), chi2], rtol=1e-7)
    assert np.median(found[:, 0]) == pytest.approx(5 / 3, rel=0.1)


def test_tails_of_few_epochs_are_null():
    t = np.array([0.0, 1.0, 300.0, 0.0, 10.0, 20.0, 0.0, 10.0, 10.0])
    m = np.array([17.0, 18.0, 19.0, 17.0, 17.5, 18.0, 17.0, 18.0, 18.0])
    found = tail_slopes(t, m, np.full(9, 0.1), np.array([0, 0, 3, 6, 9]))

    assert np.isnan(found).tolist() == [[True] * 3, [True] * 3, [False, False, True], [True] * 3]


def test_what_does_not_fit_together_is_refused():
    t = np.arange(4.0)
    for call in (fit_fleet, tail_slopes):
        with pytest.raises(InputError, match="do not fit offsets"):
            call(t, t[:3], t, np.array([0, 4]))


def test_a_fit_is_the_same_to_the_last_digit_wherever_its_arrays_lie_in_memory():
    rng = np.random.default_rng(12)
    t, m, e, _ = simulated(20, n_epochs=61)
    first = fitted(t, m, e)
    for _ in range(12):
        between = [np.empty(rng.integers(1, 3000)) for _ in range(40)]
        columns = [column.copy() for column in (t, m, e)]
        del between[::2]
        again = fitted(*columns)
        np.testing.assert_array_equal(again.parameters, first.parameters)
        np.testing.assert_array_equal(again.errors, first.errors)
