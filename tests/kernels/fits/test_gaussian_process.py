"""Gaussian processes against dense numpy, against scikit-learn, and against the curves that were simulated."""

import numpy as np
import pytest
from scipy.optimize import minimize

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.kernels.fits.gaussian_process import Process, interpolate
from lsdb_ts.kernels.fits.linear import backward, cholesky, forward, inverse
from lsdb_ts.kernels.fits.models import BAZIN, evaluate

WAVELENGTHS = np.array([4827.0, 6223.0, 7546.0])
COLOURS = np.array([60.0, 100.0, 90.0])
AT = np.linspace(0.0, 100.0, 26)


def supernovae(n_objects, per_band=12, error=3.0, seed=0, base=0.0):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, 100, (n_objects, 3, per_band)), axis=2)
    y = np.array(
        [[evaluate(BAZIN, t[o, b], [40, 4, 25, COLOURS[b], base]) for b in range(3)] for o in range(n_objects)]
    )
    y += rng.normal(0, error, t.shape)
    return t.ravel(), y.ravel(), np.full(t.size, error), np.arange(3 * n_objects + 1) * per_band


def matern(t, x, t2, x2, amplitude, scale):
    r = np.hypot((t[:, None] - t2) / scale, x[:, None] - x2)
    return amplitude**2 * (1 + np.sqrt(3) * r) * np.exp(-np.sqrt(3) * r)


def dense(t, x, y, e, at, place, amplitude, scale):
    """Return means, errors and log likelihood, all by dense solves."""
    K = matern(t, x, t, x, amplitude, scale) + np.diag(e**2 + 1e-10 * amplitude**2)
    across = matern(at, np.full(at.size, place), t, x, amplitude, scale)
    mean = across @ np.linalg.solve(K, y)
    variance = amplitude**2 - np.einsum("ij,ji->i", across, np.linalg.solve(K, across.T))
    likelihood = -0.5 * (y @ np.linalg.solve(K, y) + np.linalg.slogdet(K)[1] + y.size * np.log(2 * np.pi))
    return mean, np.sqrt(np.maximum(variance, 0)), likelihood


@pytest.mark.parametrize("wavelength_scale", [6000.0, None])
def test_means_and_errors_are_those_of_dense_algebra(wavelength_scale):
    t, y, e, offsets = supernovae(4)
    found = interpolate(t, y, e, offsets, np.tile(AT, (4, 1)), WAVELENGTHS, Process(wavelength_scale))
    x = np.repeat(np.tile(WAVELENGTHS, 4), 12) / (wavelength_scale or np.inf)
    for o in range(4):
        for b in range(3):
            s = slice(36 * o, 36 * o + 36) if wavelength_scale else slice(36 * o + 12 * b, 36 * o + 12 * b + 12)
            known = found.amplitude[o, b], found.scale_days[o, b]
            place = WAVELENGTHS[b] / wavelength_scale if wavelength_scale else 0.0
            mean, error, likelihood = dense(t[s], x[s], y[s], e[s], AT, place, *known)
            np.testing.assert_allclose(found.mean[o, b], mean, rtol=1e-7, atol=1e-7)
            np.testing.assert_allclose(found.error[o, b], error, rtol=1e-6, atol=1e-6)
            assert found.log_likelihood[o, b] == pytest.approx(likelihood, rel=1e-9)
    assert (np.ptp(found.amplitude, axis=1) == 0).all() == bool(wavelength_scale)


def test_amplitude_and_scale_are_the_likeliest():
    t, y, e, offsets = supernovae(10)
    found = interpolate(t, y, e, offsets, np.tile(AT, (10, 1)), WAVELENGTHS)
    x = np.repeat(WAVELENGTHS, 12) / 6000.0
    for o in range(10):
        s = slice(36 * o, 36 * o + 36)

        def surprise(p, s=s):
            return -dense(t[s], x, y[s], e[s], AT[:1], 0.0, *np.exp(p))[2]

        starts = [np.log([a, b]) for a in (10, 50) for b in (3, 20, 100)]
        best = min((minimize(surprise, start, method="Nelder-Mead", tol=1e-9) for start in starts), key=lambda r: r.fun)
        assert found.log_likelihood[o, 0] == pytest.approx(-best.fun, abs=1e-4)
        assert (found.amplitude[o, 0], found.scale_days[o, 0]) == pytest.approx(tuple(np.exp(best.x)), rel=0.01)


def test_one_band_is_what_scikit_learn_makes_of_it():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern

    t, y, e, _ = supernovae(1, 40)
    t, y, e = t[:40], y[:40], e[:40]
    found = interpolate(t, y, e, np.array([0, 40]), AT[None], np.ones(1), Process(None))
    kernel = ConstantKernel(900.0, (1, 1e6)) * Matern(20.0, (1, 1e3), nu=1.5)
    theirs = GaussianProcessRegressor(kernel, alpha=e**2, n_restarts_optimizer=3, random_state=0).fit(t[:, None], y)
    mean, error = theirs.predict(AT[:, None], return_std=True)

    assert found.scale_days[0, 0] == pytest.approx(theirs.kernel_.k2.length_scale, rel=0.01)
    assert found.log_likelihood[0, 0] == pytest.approx(theirs.log_marginal_likelihood_value_, abs=1e-3)
    np.testing.assert_allclose(found.mean[0, 0], mean, atol=0.1)
    np.testing.assert_allclose(found.error[0, 0], error, rtol=0.02)


def test_the_curves_come_back_within_their_errors():
    t, y, e, offsets = supernovae(60, seed=4)
    at = np.tile(AT, (60, 1))
    truth = np.array([evaluate(BAZIN, AT, [40, 4, 25, colour, 0]) for colour in COLOURS])
    together = interpolate(t, y, e, offsets, at, WAVELENGTHS)
    alone = interpolate(t, y, e, offsets, at, WAVELENGTHS, Process(None))

    assert ((together.mean - truth) / together.error).std() == pytest.approx(1.0, abs=0.2)
    # Bands tell about one another.
    assert np.sqrt(((together.mean - truth) ** 2).mean()) < 0.8 * np.sqrt(((alone.mean - truth) ** 2).mean())


def test_a_band_without_epochs_is_told_by_the_others_and_not_alone():
    t, y, e, offsets = supernovae(1, 30)
    lengths = np.array([30, 0, 30])
    kept = np.r_[0:30, 60:90]
    cut = np.concatenate([[0], np.cumsum(lengths)])
    together = interpolate(t[kept], y[kept], e[kept], cut, AT[None], WAVELENGTHS)
    alone = interpolate(t[kept], y[kept], e[kept], cut, AT[None], WAVELENGTHS, Process(None))
    whole = interpolate(t, y, e, offsets, AT[None], WAVELENGTHS)

    assert np.isnan(alone.mean[0, 1]).all()
    assert np.isfinite(alone.mean[0, [0, 2]]).all()
    assert np.isfinite(together.mean).all()
    assert np.median(together.error[0, 1]) > 1.3 * np.median(whole.error[0, 1])


def test_a_fixed_scale_is_kept_and_limits_are_not_crossed():
    t, y, e, offsets = supernovae(5)
    at = np.tile(AT, (5, 1))
    fixed = interpolate(t, y, e, offsets, at, WAVELENGTHS, Process(scale_range_days=(20.0, 20.0)))
    free = interpolate(t, y, e, offsets, at, WAVELENGTHS)
    short = interpolate(t, y, e, offsets, at, WAVELENGTHS, Process(scale_range_days=(1.0, 5.0)))

    assert fixed.scale_days == pytest.approx(20.0)
    assert short.scale_days == pytest.approx(5.0)
    assert (free.log_likelihood >= fixed.log_likelihood).all()
    assert (fixed.log_likelihood > short.log_likelihood).all()


def test_a_centred_process_does_not_see_the_zero_point():
    t, y, e, offsets = supernovae(3)
    at = np.tile(AT, (3, 1))
    plain = interpolate(t, y, e, offsets, at, WAVELENGTHS, Process(centred=True))
    shifted = interpolate(t, y + 5000.0, e, offsets, at, WAVELENGTHS, Process(centred=True))
    alone = interpolate(t, y + 5000.0, e, offsets, at, WAVELENGTHS, Process(None, centred=True))

    np.testing.assert_allclose(shifted.mean, plain.mean + 5000.0, rtol=1e-6)
    far = interpolate(t, y + 5000.0, e, offsets, at + 1e6, WAVELENGTHS, Process(centred=True))
    np.testing.assert_allclose(far.mean[:, :, 0], np.median((y + 5000.0).reshape(3, 3, 12), axis=2))
    assert np.abs(alone.mean - shifted.mean).max() < 60


def test_too_few_epochs_have_no_process_and_many_are_averaged():
    t, y, e, _ = supernovae(1, 40)
    few = interpolate(t[:5], y[:5], e[:5], np.array([0, 2, 2, 2, 5, 5, 5]), AT[None].repeat(2, 0), WAVELENGTHS)
    assert np.isnan(few.mean[0]).all()
    assert np.isfinite(few.mean[1]).all()

    pairs = np.repeat(np.arange(60), 2)
    t2, y2, e2 = t[:120:2][pairs], y[:120:2][pairs], np.sqrt(2) * e[:120:2][pairs]
    offsets = np.array([0, 40, 80, 120])
    averaged = interpolate(t2, y2, e2, offsets, AT[None], WAVELENGTHS, Process(max_epochs=60))
    halves = interpolate(t[:120:2], y[:120:2], e[:120:2], offsets // 2, AT[None], WAVELENGTHS)
    np.testing.assert_allclose(averaged.mean, halves.mean, rtol=1e-6, atol=1e-6)


def test_awkward_curves_come_to_an_end():
    t = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 4.0])
    y = np.array([5.0, 5.1, 4.9, 5.0, 0.0, 0.0, 0.0, 1e9, -1e9, 1e9, -1e9])
    e = np.array([0.1, 0.1, 0.1, 0.1, 1.0, 1.0, 1.0, 1e-9, 1e-9, 1e9, 1e-3])
    found = interpolate(t, y, e, np.array([0, 4, 7, 11]), np.array([[1.0], [2.5], [2.5]]), np.ones(1))

    assert found.mean[0, 0, 0] == pytest.approx(5.0, abs=0.3)
    assert found.mean[1, 0, 0] == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(found.error[:2]).all()


def test_the_unit_of_fluxes_does_not_matter():
    t, y, e, offsets = supernovae(3)
    at = np.tile(AT, (3, 1))
    one, other = (interpolate(t, f * y, f * e, offsets, at, WAVELENGTHS) for f in (1.0, 1e-30))

    np.testing.assert_allclose(other.mean, 1e-30 * one.mean, rtol=1e-5, atol=1e-33)
    np.testing.assert_allclose(other.scale_days, one.scale_days, rtol=1e-5)


def test_no_objects_are_no_objects():
    found = interpolate(np.empty(0), np.empty(0), np.empty(0), np.zeros(1, int), np.empty((0, 5)), WAVELENGTHS)
    assert found.mean.shape == (0, 3, 5)


def test_what_makes_no_sense_is_refused():
    t = np.arange(3.0)
    with pytest.raises(InputError, match="1 curves are not 3 bands"):
        interpolate(t, t, t, np.array([0, 3]), AT[None], WAVELENGTHS)
    with pytest.raises(PlanError, match="0 < shortest <= longest"):
        Process(scale_range_days=(0.0, 5.0))
    with pytest.raises(PlanError, match="positive, or None for single bands"):
        Process(wavelength_scale=-1.0)
    with pytest.raises(PlanError, match="1 <= min_epochs <= max_epochs"):
        Process(min_epochs=9, max_epochs=5)


def test_triangles_are_those_of_numpy():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(9, 7))
    A = A.T @ A
    L, b = A.copy(), rng.normal(size=7)
    assert cholesky(L, 7)
    np.testing.assert_allclose(np.tril(L), np.linalg.cholesky(A))
    z = b.copy()
    forward(L, 7, z)
    np.testing.assert_allclose(z, np.linalg.solve(np.tril(L), b))
    backward(L, 7, z)
    np.testing.assert_allclose(z, np.linalg.solve(A, b))
    of_factor, out = np.empty((7, 7)), np.empty((7, 7))
    inverse(L, 7, of_factor, out)
    np.testing.assert_allclose(np.tril(of_factor), np.linalg.inv(np.tril(L)), atol=1e-12)
    np.testing.assert_allclose(np.tril(out), np.tril(np.linalg.inv(A)), rtol=1e-8, atol=1e-12)
    assert not cholesky(np.ones((2, 2)), 2)
    assert not cholesky(np.array([[np.nan]]), 1)
