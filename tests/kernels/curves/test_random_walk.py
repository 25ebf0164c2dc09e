"""Damped random walks against dense covariance matrices, celerite2 and a general optimiser."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import multivariate_normal

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.curves.random_walk import drw_log_likelihood, fit_drw, iar_phi, walk_chi2


def covariance(t, e, variance, tau):
    return variance * np.exp(-np.abs(t[:, None] - t) / tau) + np.diag(e**2)


def walks(seed=0, n_curves=12, n_epochs=60, sigma=0.3, tau=40.0, noise=0.05, days=1500.0):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, days, (n_curves, n_epochs)), axis=1)
    e = rng.uniform(0.5, 1.5, t.shape) * noise
    matrices = [covariance(*curve, sigma**2, tau) for curve in zip(t, e, strict=True)]
    x = np.array([rng.multivariate_normal(np.full(n_epochs, 18.0), matrix) for matrix in matrices])
    return t.ravel(), x.ravel(), e.ravel(), np.arange(n_curves + 1) * n_epochs


def test_the_likelihood_is_that_of_the_dense_matrix():
    t, x, e, offsets = walks()
    x = x - 18
    x[3], t[4] = 2.0, t[3]
    sigma, tau = np.linspace(0.05, 2, 12), np.geomspace(0.01, 1e5, 12)
    found = drw_log_likelihood(t, x, e, offsets, sigma, tau)

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        dense = multivariate_normal(np.zeros(b - a), covariance(t[a:b], e[a:b], sigma[c] ** 2, tau[c]))
        assert found[c] == pytest.approx(dense.logpdf(x[a:b]), rel=1e-9)


def test_the_likelihood_is_that_of_celerite2():
    celerite2 = pytest.importorskip("celerite2")
    t, x, e, offsets = walks(1)
    sigma, tau = np.linspace(0.05, 2, 12), np.geomspace(0.1, 1e4, 12)
    found = drw_log_likelihood(t, x - 18, e, offsets, sigma, tau)

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        process = celerite2.GaussianProcess(celerite2.terms.RealTerm(a=sigma[c] ** 2, c=1 / tau[c]))
        process.compute(t[a:b], diag=e[a:b] ** 2)
        assert found[c] == pytest.approx(process.log_likelihood(x[a:b] - 18), rel=1e-9)


@pytest.mark.parametrize("free_mean", [True, False])
def test_no_optimiser_finds_a_higher_likelihood(free_mean):
    t, x, e, offsets = walks(2, 20)
    sigma, tau = fit_drw(t, x, e, offsets, free_mean)

    def cost(p, t, x, e):
        inverse = np.linalg.inv(covariance(t, e, np.exp(p[0]), np.exp(p[1])))
        mean = inverse.sum(axis=0) @ x / inverse.sum() if free_mean else x.mean()
        return 0.5 * (x - mean) @ inverse @ (x - mean) - 0.5 * np.linalg.slogdet(inverse)[1]

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        one = (t[a:b], x[a:b], e[a:b])
        starts = [(np.log(0.1), np.log(guess)) for guess in (2.0, 40.0, 500.0)]
        best = min((minimize(cost, p, one, method="Nelder-Mead") for p in starts), key=lambda r: r.fun)
        assert cost([2 * np.log(sigma[c]), np.log(tau[c])], *one) <= best.fun + 1e-4


def test_the_walk_that_was_put_in_comes_out():
    sigma, tau = fit_drw(*walks(3, 60, 150, days=3000.0))

    assert np.median(sigma) == pytest.approx(0.3, rel=0.1)
    assert np.median(tau) == pytest.approx(40.0, rel=0.2)


def test_noise_that_the_errors_explain_has_no_walk():
    rng = np.random.default_rng(4)
    t, e = np.sort(rng.uniform(0, 500, 80)), np.full(80, 0.1)
    sigma, tau = fit_drw(t, rng.normal(18, 0.05, 80), e, np.array([0, 80]))

    assert sigma.item() == 0.0
    assert np.isnan(tau).all()


def test_zero_point_unit_and_first_date_do_not_matter():
    t, x, e, offsets = walks(5)
    sigma, tau = fit_drw(t, x, e, offsets)
    other_sigma, other_tau = fit_drw(t + 60000, 1e4 * x + 7, 1e4 * e, offsets)

    np.testing.assert_allclose(other_sigma, 1e4 * sigma, rtol=1e-3)
    np.testing.assert_allclose(other_tau, tau, rtol=1e-3)


def test_few_times_fit_nothing_and_equal_times_do_no_harm():
    t = np.array([1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 6.0, 7.0, 7.0, 9.0])
    x = np.array([1.0, 3.0, 2.0, 0.0, 1.0, 2.0, 5.0, 6.0, 5.5, 2.0])
    offsets = np.array([0, 0, 1, 3, 6, 10])
    sigma, tau = fit_drw(t, x, np.full(10, 0.1), offsets)
    phi = iar_phi(t, x, np.full(10, 0.1), offsets)

    assert np.isnan(sigma[:4]).all()
    assert np.isnan(tau[:4]).all()
    assert np.isnan(phi[:4]).all()
    assert sigma[4] > 0
    assert 0 <= phi[4] <= 1


def test_chi2_of_a_given_walk_is_that_of_the_dense_matrix():
    t, x, e, offsets = walks(8)
    t[4] = t[3]
    offsets = np.concatenate([[0, 0, 1], offsets[1:]])
    variance, tau = np.geomspace(1e-3, 1, 14), np.geomspace(1e3, 0.1, 14)
    variance[5] = np.nan
    chi2, false = walk_chi2(t, x, e, offsets, variance, tau)

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        if b - a < 2 or c == 5:
            assert np.isnan([chi2[c], false[c]]).all()
            continue
        inverse = np.linalg.inv(covariance(t[a:b], e[a:b], variance[c], tau[c]))
        y = x[a:b] - (inverse @ x[a:b]).sum() / inverse.sum()
        assert chi2[c] == pytest.approx(y @ inverse @ y / (b - a - 1), rel=1e-8)
        assert false[c] == pytest.approx(x[a:b].var() * np.trace(inverse) / (b - a - 1), rel=1e-8)


def test_chi2_of_what_does_not_vary_is_not_negative():
    rng = np.random.default_rng(10)
    n = 40
    t = np.sort(rng.uniform(0, 2000, (200, n)), axis=1).ravel()
    e = 10.0 ** rng.uniform(-6, 3, t.size)
    x = np.repeat(10.0 ** rng.uniform(-3, 6, 200), n)
    offsets, variance = np.arange(201) * n, 10.0 ** rng.uniform(-8, 4, 200)
    chi2, false = walk_chi2(t, x, e, offsets, variance, np.full(200, 800.0))

    assert (chi2 >= 0).all()
    assert (false >= 0).all()
    assert chi2.max() < 1e-6


def test_chi2_does_not_know_of_the_zero_point():
    t, x, e, offsets = walks(11)
    e[::7] *= 1e-4
    known = np.full(12, 0.09), np.full(12, 40.0)
    plain, moved = walk_chi2(t, x, e, offsets, *known), walk_chi2(t, x + 1000, e, offsets, *known)

    np.testing.assert_allclose(moved, plain, rtol=1e-6)


def iar_cost(phi, t, x, e):
    y = x - x.mean()
    if not 0 < phi < 1:
        return np.inf
    tau = -1 / np.log(phi)
    return -multivariate_normal(np.zeros(y.size), covariance(t, e, x.var(ddof=1), tau)).logpdf(y)


def test_phi_is_where_the_likelihood_of_an_autoregressive_process_is_highest():
    t, x, e, offsets = walks(6, tau=3.0, days=200.0)
    phi = iar_phi(t, x, e, offsets)

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        best = minimize_scalar(iar_cost, args=(t[a:b], x[a:b], e[a:b]), bounds=(0, 1), method="bounded")
        assert phi[c] == pytest.approx(best.x, abs=1e-3)


def test_errors_of_the_next_epochs_are_another_likelihood():
    t, x, e, offsets = walks(7, 1, tau=3.0, days=200.0)
    e[::2] *= 20
    phi = iar_phi(t, x, e, offsets, next_errors=True).item()
    y, mean, variance = x, x.mean(), x.var(ddof=1)

    def cost(phi):
        dense = covariance(t[:-1], e[1:], variance, -1 / np.log(phi))
        return -multivariate_normal(np.zeros(59), dense).logpdf(y[:-1] - mean)

    assert phi == pytest.approx(minimize_scalar(cost, bounds=(0, 1), method="bounded").x, abs=1e-3)
    assert phi != pytest.approx(iar_phi(t, x, e, offsets).item(), abs=1e-3)


def test_equal_values_have_no_phi():
    assert np.isnan(iar_phi(np.arange(9.0), np.full(9, 3.0), np.ones(9), np.array([0, 9]))).all()


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="do not fit offsets"):
        fit_drw(np.arange(4.0), np.ones(3), np.ones(4), np.array([0, 4]))
    with pytest.raises(InputError, match=r"numbers of \[2, 1\] curves or objects do not fit offsets of 1 of them"):
        walk_chi2(np.arange(4.0), np.ones(4), np.ones(4), np.array([0, 4]), np.ones(2), np.ones(1))
