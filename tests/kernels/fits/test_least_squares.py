"""Fits against scipy's of the same epochs and the truth of simulated curves, and of curves that tell too little."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.kernels.fits.least_squares import (
    AT_LIMIT,
    CONVERGED,
    MAX_ITERATIONS,
    SINGULAR,
    TOO_FEW_EPOCHS,
    fit_curves,
)
from lsdb_ts.kernels.fits.models import BAZIN, FALLBACK, LENS, LINEXP, MODELS, VILLAR, evaluate

START = 60000.0
OF_ONE_BAND = [model for model in MODELS.values() if not model.chromatic]
TRUTHS = {
    "bazin": [60.0, 4.0, 25.0, 100.0, 3.0],
    "villar": [50.0, 0.5, 40.0, 3.0, 15.0, 100.0],
    "linexp": [40.0, 15.0, 100.0, 5.0],
    "tde": [60.0, 8.0, 40.0, -1.7, 100.0],
    "fallback": [60.0, 8.0, 40.0, 100.0],
    "ulens": [100.0, 20.0, 0.2, 50.0, 30.0],
}


def simulated(model, n_curves, n_epochs=60, error=2.0, seed=0, truth=None):
    rng = np.random.default_rng(seed)
    truth = np.array(TRUTHS[model.name] if truth is None else truth) + START * (np.arange(len(model.parameters)) == 0)
    t = START + np.sort(rng.uniform(0, 200, (n_curves, n_epochs)), axis=1).ravel()
    y = evaluate(model, t, truth) + error * rng.normal(size=t.size)
    return t, y, np.full(t.size, error), np.arange(n_curves + 1) * n_epochs, truth


@pytest.mark.parametrize("model", OF_ONE_BAND, ids=lambda model: model.name)
def test_parameters_and_covariance_are_those_of_scipy(model):
    t, y, e, offsets, truth = simulated(model, 12)
    fits = fit_curves(model, t, y, e, offsets, covariance=True)
    low = [-np.inf, *model.lower, *([0.0, -np.inf][: len(model.own)])]
    agree = shallower = 0
    for i in range(12):
        s = slice(offsets[i], offsets[i + 1])
        found = least_squares(
            lambda p, s=s: (y[s] - evaluate(model, t[s] - START, p)) / e[s],
            truth - START * (np.arange(truth.size) == 0),
            bounds=(low, np.inf),
            x_scale=np.maximum(np.abs(TRUTHS[model.name]), 1e-3),
            jac="3-point",
            xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=2000,
        )  # fmt: skip
        chi2 = 2 * found.cost
        ours = fits.redchi2[i] * (60 - truth.size)
        shallower += ours > chi2 + (0.1 if model is VILLAR else 1e-4)
        if abs(ours - chi2) > 1e-4:
            continue
        agree += 1
        covariance = np.linalg.inv(found.jac.T @ found.jac)
        sigma = np.sqrt(np.diagonal(covariance))
        expected = found.x + START * (np.arange(truth.size) == 0)
        np.testing.assert_allclose(fits.parameters[i], expected, atol=2e-2 * sigma.min() + 1e-12, rtol=2e-3)
        np.testing.assert_array_less(np.abs(fits.parameters[i] - expected) / sigma, 0.02)
        np.testing.assert_allclose(
            fits.covariance[i] / np.outer(sigma, sigma), covariance / np.outer(sigma, sigma), atol=0.02
        )
    assert agree >= 8
    # Scipy begins at the truth. A corner makes a minimum between any two epochs: both may miss the lowest.
    assert shallower <= (2 if model is VILLAR else 0)


@pytest.mark.parametrize("model", OF_ONE_BAND, ids=lambda model: model.name)
def test_the_truth_is_within_the_errors(model):
    t, y, e, offsets, truth = simulated(model, 400, seed=1)
    fits = fit_curves(model, t, y, e, offsets)
    good = fits.status == CONVERGED
    pulls = ((fits.parameters - truth) / fits.errors)[good]

    assert good.mean() > 0.97
    assert np.median(fits.redchi2[good]) == pytest.approx(1.0, abs=0.04)
    # Robust: a time at which the slope jumps has a pull with tails.
    assert np.abs(np.median(pulls, axis=0)).max() < 0.25
    assert np.median(np.abs(pulls), axis=0) * 1.4826 == pytest.approx(1.0, abs=0.2)


def test_bands_share_the_shape_and_have_their_own_amplitudes():
    rng = np.random.default_rng(3)
    own = {0: (100.0, 5.0), 1: (40.0, -3.0), 2: (70.0, 0.0)}
    parts, lengths = [], []
    for _ in range(200):
        for b in range(4):
            n = (25, 12, 18, 0)[b]
            t = START + np.sort(rng.uniform(0, 150, n))
            y = evaluate(BAZIN, t, [START + 60, 4, 25, *own.get(b, (0, 0))]) + rng.normal(0, 2, n)
            parts.append((t, y))
            lengths.append(n)
    t, y = (np.concatenate([p[k] for p in parts]) for k in range(2))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    fits = fit_curves(BAZIN, t, y, np.full(t.size, 2.0), offsets, n_bands=4)

    assert (fits.status == CONVERGED).all()
    assert fits.value("t0").shape == (200,)
    assert fits.value("a").shape == fits.error("b").shape == (200, 4)
    assert np.isnan(fits.value("a")[:, 3]).all()
    for name, truth in {"t0": START + 60, "tau_rise": 4, "tau_fall": 25}.items():
        pull = (fits.value(name) - truth) / fits.error(name)
        assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1.0, abs=0.25)
    for k, name in enumerate("ab"):
        pull = (fits.value(name)[:, :3] - [own[b][k] for b in range(3)]) / fits.error(name)[:, :3]
        assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1.0, abs=0.2)
    # Together they know the shape better than the richest band alone.
    alone = fit_curves(BAZIN, *rows_of(t, y, offsets, range(0, 800, 4)))
    assert (fits.error("tau_fall") < alone.error("tau_fall")).mean() > 0.95


def rows_of(t, y, offsets, curves):
    rows = np.concatenate([np.arange(offsets[c], offsets[c + 1]) for c in curves])
    lengths = [offsets[c + 1] - offsets[c] for c in curves]
    return t[rows], y[rows], np.full(rows.size, 2.0), np.concatenate([[0], np.cumsum(lengths)])


def test_one_band_of_several_is_the_fit_of_that_band():
    t, y, e, offsets, _ = simulated(VILLAR, 6)
    alone = fit_curves(VILLAR, t, y, e, offsets, covariance=True)
    padded = np.repeat(offsets, 2)[1:]
    together = fit_curves(VILLAR, t, y, e, padded, n_bands=2, covariance=True)

    np.testing.assert_array_equal(together.parameters[:, :6], alone.parameters)
    np.testing.assert_array_equal(together.covariance[:, :6, :6], alone.covariance)
    np.testing.assert_array_equal(together.redchi2, alone.redchi2)


def test_the_result_depends_neither_on_zero_of_time_nor_on_unit_of_flux():
    t, y, e, offsets, _ = simulated(LENS, 10)
    one, other = fit_curves(LENS, t, y, e, offsets), fit_curves(LENS, t - 59000.0, 1e3 * y, 1e3 * e, offsets)

    scale = np.array([1, 1, 1, 1e3, 1e3])
    np.testing.assert_allclose(
        other.parameters - [1000, 0, 0, 0, 0], (one.parameters - [6e4, 0, 0, 0, 0]) * scale, rtol=1e-5
    )
    np.testing.assert_allclose(other.redchi2, one.redchi2, rtol=1e-8)


def test_errors_are_those_of_the_covariance_which_is_kept_where_asked_for():
    t, y, e, offsets, _ = simulated(BAZIN, 10)
    plain, kept = fit_curves(BAZIN, t, y, e, offsets), fit_curves(BAZIN, t, y, e, offsets, covariance=True)

    assert plain.covariance is None
    np.testing.assert_array_equal(plain.errors, kept.errors)
    np.testing.assert_allclose(kept.errors**2, np.diagonal(kept.covariance, axis1=1, axis2=2))


class TestCurvesThatTellTooLittle:
    def test_too_few_epochs_give_no_fit(self):
        t = np.arange(5.0)
        fits = fit_curves(BAZIN, t, t, np.ones(5), np.array([0, 5, 5, 5]))

        assert fits.status.tolist() == [TOO_FEW_EPOCHS] * 3
        assert np.isnan(fits.parameters).all()
        assert np.isnan(fits.redchi2).all()
        assert (fits.iterations == 0).all()

    def test_an_exponential_decay_has_no_peak_time(self):
        t = np.arange(0.0, 60.0, 3.0)
        fits = fit_curves(BAZIN, t, 100 * np.exp(-t / 20) + 1.0, np.ones(20), np.array([0, 20]))

        assert fits.status.tolist() == [SINGULAR]
        assert np.isnan(fits.errors).all()
        assert fits.redchi2[0] < 1e-3

    def test_a_dip_has_no_amplitude(self):
        t = np.arange(0.0, 100.0, 2.0)
        y = 50 - 30 * np.exp(-0.5 * ((t - 50) / 8) ** 2)
        fits = fit_curves(FALLBACK, t, -y, np.ones(50), np.array([0, 50]))

        assert fits.status[0] in (AT_LIMIT, SINGULAR)
        assert fits.value("a").tolist() == [[0.0]]
        assert np.isnan(fits.error("a")).all()

    def test_a_parameter_at_its_limit_has_no_error_and_the_others_have(self):
        t, y, e, offsets, _ = simulated(VILLAR, 40, truth=[50.0, 0.0, 40.0, 3.0, 15.0, 100.0])
        fits = fit_curves(VILLAR, t, y, e, offsets)
        flat = fits.value("beta") == 0.0

        assert 10 <= flat.sum() <= 30
        assert (fits.status[flat] == AT_LIMIT).all()
        assert np.isnan(fits.error("beta")[flat]).all()
        assert np.isfinite(fits.error("beta")[~flat & (fits.status == CONVERGED)]).all()
        assert np.isfinite(fits.error("gamma")[flat]).all()

    def test_constant_curves_and_epochs_at_one_time_come_to_an_end(self):
        t = np.concatenate([np.arange(30.0), np.full(30, 7.0)])
        fits = fit_curves(BAZIN, t, np.ones(60), np.ones(60), np.array([0, 30, 60]))

        assert (fits.redchi2 < 1e-6).all()
        assert not (fits.status == CONVERGED).any()

    def test_too_few_steps_say_so(self):
        t, y, e, offsets, _ = simulated(BAZIN, 20)
        fits = fit_curves(BAZIN, t, y, e, offsets, n_starts=1, max_iterations=1)

        assert (fits.status == MAX_ITERATIONS).all()


def test_fluxes_of_any_size_and_errors_that_differ_are_fitted():
    t, y, e, offsets, truth = simulated(LINEXP, 50)
    e = e * np.where(np.arange(e.size) % 2, 1.0, 1e6)
    y = np.where(np.arange(e.size) % 2, y, 1e5)
    fits = fit_curves(LINEXP, t, 1e-30 * y, 1e-30 * e, offsets)

    good = fits.status == CONVERGED
    assert good.mean() > 0.95
    np.testing.assert_allclose(np.median(fits.parameters[good], axis=0), truth * [1, 1, 1e-30, 1e-30], rtol=0.03)


@pytest.mark.parametrize("model", [BAZIN, VILLAR, LENS], ids=lambda model: model.name)
def test_a_fit_is_the_same_to_the_last_digit_wherever_its_arrays_lie_in_memory(model):
    rng = np.random.default_rng(12)
    t, y, e, offsets, _ = simulated(model, 30, n_epochs=90, error=20.0)
    first = fit_curves(model, t, y, e, offsets)
    for _ in range(12):
        between = [np.empty(rng.integers(1, 3000)) for _ in range(40)]
        columns = [column.copy() for column in (t, y, e)]
        del between[::2]
        again = fit_curves(model, *columns, offsets)
        np.testing.assert_array_equal(again.parameters, first.parameters)
        np.testing.assert_array_equal(again.errors, first.errors)


def test_what_does_not_fit_together_is_refused():
    t = np.arange(4.0)
    with pytest.raises(InputError, match="do not fit offsets"):
        fit_curves(BAZIN, t, t[:3], t, np.array([0, 4]))
    with pytest.raises(InputError, match="3 curves cannot be objects of 2 bands"):
        fit_curves(BAZIN, t, t, t, np.array([0, 1, 2, 4]), n_bands=2)
    with pytest.raises(PlanError, match=r"not tau$"):
        fit_curves(BAZIN, t, t, t, np.array([0, 4])).value("tau")
