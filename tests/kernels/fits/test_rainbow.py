"""The fit of black bodies to all bands against scipy's from the truth and against the light-curve package's."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.fits.least_squares import CONVERGED, fit_curves
from lsdb_ts.kernels.fits.models import RAINBOW, evaluate

WAVES = np.array([3671.0, 4827.0, 6223.0, 7546.0, 8691.0, 9710.0])
BASES = np.array([50.0, -30.0, 20.0, 0.0, 80.0, 10.0])
PER_BAND = 15
UNITS = np.array([1, 1, 1, 1e3, 1e3, 1, 1e18, *np.ones(6)])
LOW = np.array([-np.inf, 1e-2, 1e-2, 1.0, 0.0, 0.1, 0.0, *np.full(6, -np.inf)])


def simulated(n_objects, error=100.0, seed=0, span=(-40.0, 120.0)):
    """Return epochs and truths of black bodies of all kinds, of fluxes up to some thousand."""
    rng = np.random.default_rng(seed)
    low, high = [0, 2, 15, 4e3, 3e3, 5, 1e18], [0, 6, 40, 7e3, 9e3, 15, 5e18]
    truth = rng.uniform(low, high, (n_objects, 7))
    t = np.sort(rng.uniform(*span, (n_objects, 6, PER_BAND)), axis=2)
    f = np.array(
        [[evaluate(RAINBOW, t[o, b], [*truth[o], BASES[b]], WAVES[b]) for b in range(6)] for o in range(n_objects)]
    )
    f += rng.normal(0, error, f.shape)
    return t, f, np.full(f.shape, error), truth


def fitted(t, f, e, **options):
    offsets = np.arange(6 * len(t) + 1) * PER_BAND
    return fit_curves(RAINBOW, t.ravel(), f.ravel(), e.ravel(), offsets, n_bands=6, angstrom=WAVES, **options)


def chi2(fits):
    return fits.redchi2 * (6 * PER_BAND - 13)


def test_minima_and_covariances_are_those_of_scipy_from_the_truth():
    t, f, e, truth = simulated(12)
    fits = fitted(t, f, e, covariance=True)
    agree = 0
    for o in range(12):

        def residuals(p, o=o):
            p = p * UNITS
            model = [evaluate(RAINBOW, t[o, b], [*p[:7], p[7 + b]], WAVES[b]) for b in range(6)]
            return ((f[o] - model) / e[o]).ravel()

        found = least_squares(
            residuals, np.concatenate([truth[o], BASES]) / UNITS, bounds=(LOW / UNITS, np.inf), x_scale="jac",
            jac="3-point", xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=1000,
        )  # fmt: skip
        # Where the last temperature is hardly told, both creep along its valley.
        assert chi2(fits)[o] < 2 * found.cost + 0.2
        if abs(chi2(fits)[o] - 2 * found.cost) < 1e-6:
            agree += 1
            covariance = np.linalg.inv(found.jac.T @ found.jac)
            sigma = np.sqrt(np.diagonal(covariance))
            np.testing.assert_array_less(np.abs(fits.parameters[o] / UNITS - found.x) / sigma, 0.01)
            ours = fits.covariance[o] / np.outer(UNITS, UNITS) / np.outer(sigma, sigma)
            np.testing.assert_allclose(ours, covariance / np.outer(sigma, sigma), atol=0.01)
    assert agree >= 8


def test_the_truth_is_within_the_errors():
    t, f, e, truth = simulated(200, seed=1)
    fits = fitted(t, f, e)
    good = fits.status == CONVERGED
    pulls = ((fits.parameters - np.c_[truth, np.tile(BASES, (200, 1))]) / fits.errors)[good]

    assert good.mean() > 0.95
    assert np.median(fits.redchi2[good]) == pytest.approx(1.0, abs=0.05)
    assert np.abs(np.median(pulls, axis=0)).max() < 0.3
    assert np.median(np.abs(pulls), axis=0) * 1.4826 == pytest.approx(1.0, abs=0.25)


@pytest.mark.filterwarnings("ignore:Function light_curve:UserWarning")
def test_the_model_and_its_depth_are_at_least_those_of_the_light_curve_package():
    pytest.importorskip("iminuit")
    rainbow = pytest.importorskip("light_curve.light_curve_py").RainbowFit
    names = np.array(list("ugrizy"))
    theirs = rainbow.from_angstrom(dict(zip(names, WAVES, strict=True)), fail_on_divergence=False)
    t, f, e, truth = simulated(8, seed=3)
    ours, band = chi2(fitted(t, f, e)), np.repeat(names, PER_BAND)
    for o in range(8):
        order = np.argsort(t[o], axis=None)
        arrays = t[o].ravel()[order], f[o].ravel()[order], e[o].ravel()[order], band[order]
        model = theirs.model(arrays[0], arrays[3], *theirs(*arrays)[:-1])
        assert ours[o] < (((model - arrays[1]) / arrays[2]) ** 2).sum() + 0.01

    # Theirs has the mean temperature, the relative half range, and the rise as that of the early exponential.
    t0, rise, fall, low, delta, tau, a = truth[0]
    early, middle = 1 / (1 / rise - 1 / fall), low + delta / 2
    model = theirs.model(arrays[0], arrays[3], t0, a, early, fall, middle, delta / 2 / middle, tau, *np.zeros(6))
    mine = np.select(
        [arrays[3] == name for name in names],
        [evaluate(RAINBOW, arrays[0], [*truth[0], 0.0], wave) for wave in WAVES],
    )
    ratio = model / mine
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)


def test_bands_of_too_few_epochs_take_no_part():
    t, f, e, _ = simulated(5)
    whole = np.arange(t.size).reshape(t.shape)
    kept = [whole[o, b, : (0, 1, 15, 15, 15, 15)[b]] for o in range(5) for b in range(6)]
    offsets = np.concatenate([[0], np.cumsum([len(k) for k in kept])])
    rows = np.concatenate(kept)
    four = [fit_curves(RAINBOW, *(x.ravel()[rows] for x in (t, f, e)), offsets, n_bands=6, angstrom=WAVES)]
    rows = whole[:, 2:].ravel()
    arrays = [x.ravel()[rows] for x in (t, f, e)]
    four.append(fit_curves(RAINBOW, *arrays, np.arange(21) * PER_BAND, n_bands=4, angstrom=WAVES[2:]))

    assert np.isnan(four[0].value("b")[:, :2]).all()
    np.testing.assert_allclose(four[0].redchi2, four[1].redchi2, rtol=1e-6)
    np.testing.assert_allclose(four[0].value("b")[:, 2:], four[1].value("b"), rtol=1e-3, atol=0.1)


def test_wavelengths_are_needed():
    t, f, e, _ = simulated(1)
    arrays = (t.ravel(), f.ravel(), e.ravel(), np.arange(7) * PER_BAND)
    for wrong in (None, WAVES[:2], -WAVES):
        with pytest.raises(InputError, match="rainbow needs the positive wavelengths of 6 bands in Angstrom"):
            fit_curves(RAINBOW, *arrays, n_bands=6, angstrom=wrong)


def test_a_fit_is_the_same_to_the_last_digit_wherever_its_arrays_lie_in_memory():
    rng = np.random.default_rng(12)
    t, f, e, _ = simulated(20)
    first = fitted(t, f, e)
    for _ in range(12):
        between = [np.empty(rng.integers(1, 3000)) for _ in range(40)]
        columns = [column.copy() for column in (t, f, e)]
        del between[::2]
        again = fitted(*columns)
        np.testing.assert_array_equal(again.parameters, first.parameters)
        np.testing.assert_array_equal(again.errors, first.errors)
