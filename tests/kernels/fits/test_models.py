"""Models of light curves against their formulas in numpy and against differences of their values."""

import numpy as np
import pytest
from scipy import constants
from scipy.integrate import trapezoid

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.fits.models import (
    BAZIN,
    FALLBACK,
    LENS,
    LINEXP,
    MODELS,
    RAINBOW,
    TDE,
    VILLAR,
    evaluate,
    values_and_slopes,
)

TIMES = np.array([-500.0, 3.0, 39.99, 41.0, 52.0, 79.0, 83.0, 400.0])
TRUTHS = {
    "bazin": [40.0, 4.0, 25.0, 100.0, 3.0],
    "villar": [40.0, 0.5, 40.0, 3.0, 15.0, 100.0],
    "linexp": [40.0, 15.0, 100.0, 5.0],
    "tde": [40.0, 8.0, 40.0, -1.7, 100.0],
    "fallback": [40.0, 8.0, 40.0, 100.0],
    "ulens": [40.0, 20.0, 0.2, 50.0, 30.0],
    "rainbow": [40.0, 4.0, 25.0, 5000.0, 7000.0, 8.0, 1e18, 30.0],
}
GREEN = 4827.0


def bazin(x, tau_rise, tau_fall, a, b):
    return a * np.exp(-x / tau_fall) / (1 + np.exp(-x / tau_rise)) + b


def villar(x, beta, gamma, tau_rise, tau_fall, a):
    """Villar et al. 2019, eq. 1: their A is a, their slope -a beta / gamma."""
    slope = -a * beta / gamma
    plateau, tail = a + slope * x, (a + slope * gamma) * np.exp(-(x - gamma) / tau_fall)
    return np.where(x < gamma, plateau, tail) / (1 + np.exp(-x / tau_rise))


def linexp(x, tau, a, b):
    return np.where(x > 0, a * x / tau * np.exp(1 - x / tau), 0.0) + b


def tde(x, sigma, t_decay, index, a):
    return a * np.where(x < 0, np.exp(-(x**2) / 2 / sigma**2), (1 + np.maximum(x, 0) / t_decay) ** index)


def fallback(x, sigma, t_decay, a):
    return tde(x, sigma, t_decay, -5 / 3, a)


def ulens(x, te, u0, a, b):
    u = np.hypot(u0, x / te)
    return a * (u**2 + 2) / (u * np.sqrt(u**2 + 4)) + b


def rainbow(x, tau_rise, tau_fall, temp_min, delta_temp, tau_temp, a, b):
    """In SI, constants from scipy: a fraction of the bolometric flux at the frequency of the g band."""
    T, nu = temp_min + delta_temp / (1 + np.exp(x / tau_temp)), constants.c / (GREEN * 1e-10)
    planck = 2 * constants.h * nu**3 / constants.c**2 / np.expm1(constants.h * nu / (constants.k * T))
    return bazin(x, tau_rise, tau_fall, a, 0.0) * np.pi * planck / (constants.sigma * T**4) + b


FORMULAS = {f.__name__: f for f in (bazin, villar, linexp, tde, fallback, ulens, rainbow)}


def filled(model, q, blur, times):
    values, slopes = np.empty(times.size), np.empty((q.size, times.size))
    values_and_slopes(model.code, times, q, blur, GREEN, values, slopes)
    return values, slopes


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
class TestEveryModel:
    def test_its_values_are_those_of_the_formula(self, model):
        truth = TRUTHS[model.name]
        with np.errstate(over="ignore", invalid="ignore"):
            expected = FORMULAS[model.name](TIMES[1:] - truth[0], *truth[1:])
        np.testing.assert_allclose(evaluate(model, TIMES[1:], truth, GREEN), expected, rtol=1e-8)

    def test_far_from_the_peak_nothing_overflows(self, model):
        values = evaluate(model, [-1e5, 1e5], TRUTHS[model.name], GREEN)
        own = TRUTHS[model.name][len(model.shape) :]
        level = sum(own) if model is LENS or model.chromatic else sum(own[1:])
        np.testing.assert_allclose(values, level, atol=1e-3)

    @pytest.mark.parametrize("blur", [0.0, 3.0])
    def test_its_slopes_are_those_of_its_values(self, model, blur):
        q = np.array(TRUTHS[model.name])
        if model.excess:
            q[model.excess_at] -= q[model.excess_at - 1]
        slopes = filled(model, q, blur, TIMES)[1]
        for k in range(q.size):
            h = 1e-6 * max(1.0, abs(q[k])) * np.eye(q.size)[k]
            high, low = (filled(model, q + step, blur, TIMES)[0] for step in (h, -h))
            np.testing.assert_allclose(slopes[k], (high - low) / (2 * h[k]), rtol=1e-4, atol=1e-6)

    def test_it_says_what_it_is_and_where_fits_begin(self, model):
        assert model.formula
        assert model.reference
        assert len(model.lower) == len(model.upper) == len(model.starts) == len(model.shape) - 1
        for low, high, starts in zip(model.lower, model.upper, model.starts, strict=True):
            assert all(low < start < high for start in starts)
        assert model.blurs_days[-1] == 0.0

    def test_a_wrong_number_of_parameters_is_refused(self, model):
        with pytest.raises(InputError, match=f"{model.name} has the parameters {model.shape[0]}"):
            evaluate(model, [0.0], [1.0])


def test_the_corner_of_the_plateau_is_rounded_over_the_blur_only():
    q, times = np.array(TRUTHS["villar"]), np.array([45.0, 79.0, 80.0, 81.0, 120.0])
    exact, rounded = (filled(VILLAR, q, blur, times)[0] for blur in (0.0, 0.5))
    assert rounded[[0, 4]] == pytest.approx(exact[[0, 4]], rel=1e-6)
    assert (np.abs(rounded - exact)[1:4] > 1e-3).all()


def test_tails_and_baselines_are_what_they_should_be():
    assert evaluate(FALLBACK, [40.0 + 40.0 * 7], TRUTHS["fallback"]) == pytest.approx(100 * 8 ** (-5 / 3))
    assert evaluate(TDE, [40.0], TRUTHS["tde"]) == pytest.approx(100.0)
    assert evaluate(LINEXP, [55.0], TRUTHS["linexp"]) == pytest.approx(105.0)
    assert evaluate(LENS, [40.0], [40.0, 20.0, 1.0, 50.0, 30.0]) == pytest.approx(50 * 3 / 5**0.5 + 30)
    assert evaluate(BAZIN, [-300.0, 900.0], TRUTHS["bazin"]) == pytest.approx([3.0, 3.0], abs=1e-9)


def test_a_rainbow_over_all_frequencies_is_its_bolometric_flux():
    truth = [*TRUTHS["rainbow"][:-1], 0.0]
    angstrom = np.geomspace(100.0, 1e7, 3000)
    flux = np.array([evaluate(RAINBOW, [30.0, 60.0], truth, wave) for wave in angstrom])
    total = trapezoid(flux[::-1], constants.c / (angstrom[::-1] * 1e-10), axis=0)

    np.testing.assert_allclose(total, evaluate(BAZIN, [30.0, 60.0], [*truth[:3], 1e18, 0.0]), rtol=1e-5)
