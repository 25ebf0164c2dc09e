"""The period search: series against least squares, periods of simulated stars found again, objects passed over."""

import numpy as np
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.fourier import DEVIATION, fit_series, log_evidence, normal_equations
from lsdb_ts.kernels.periods import PeriodSearch, search_periods

N_BANDS = 5
QUICK = PeriodSearch(period_range_days=(0.2, 1.2), max_frequencies=30_000)


def rr_lyrae(period, rng, per_band=14, baseline=1000.0):
    """Return times, magnitudes, errors and offsets of a sawtooth with other amplitudes and lags in each band."""
    t = 60000 + np.sort(rng.uniform(0, baseline, (N_BANDS, per_band)), axis=1)
    phase = t / period - 0.02 * np.arange(N_BANDS)[:, None]
    k = np.arange(1, 6)[:, None, None]
    shape = (np.sin(2 * np.pi * k * phase + 0.3 * k) / k**1.2).sum(axis=0)
    amplitude = np.array([0.4, 0.42, 0.3, 0.24, 0.22])[:, None]
    x = rng.normal(17, 1, (N_BANDS, 1)) + amplitude * shape + rng.normal(0, 0.02, t.shape)
    return t.ravel(), x.ravel(), np.full(t.size, 0.02), np.arange(N_BANDS + 1) * per_band


def stack(curves):
    t, x, e = (np.concatenate([c[k] for c in curves]) for k in range(3))
    sizes = np.concatenate([np.diff(c[3]) for c in curves])
    return t, x, e, np.concatenate([[0], np.cumsum(sizes)])


def design(t, frequency, K):
    k = np.repeat(np.arange(1, K + 1), 2)
    angle = 2 * np.pi * k * frequency * t[:, None]
    return np.where(np.arange(2 * K) % 2 == 0, np.cos(angle), np.sin(angle))


def test_normal_equations_are_those_of_the_design_matrix_about_its_mean():
    rng = np.random.default_rng(1)
    t, x, w = rng.uniform(0, 50, 30), rng.normal(size=30), rng.uniform(1, 9, 30)
    G, r = np.empty((8, 8)), np.empty(8)
    normal_equations(t, x, w, 3, 28, 0.77, G, r)
    H = design(t[3:28], 0.77, 4)
    H = H - np.average(H, axis=0, weights=w[3:28])

    np.testing.assert_allclose(G, (H * w[3:28, None]).T @ H, atol=1e-9)
    np.testing.assert_allclose(r, (H * w[3:28, None]).T @ x[3:28], atol=1e-9)


def joint_model(t, x, w, offsets, frequency, K):
    """Return the precision matrix and right side of shared and deviating series of all bands together."""
    n_bands, m = len(offsets) - 1, 2 * K
    k2 = np.repeat(np.arange(1.0, K + 1), 2) ** 2
    P = np.diag(np.concatenate([k2, np.tile(k2 / DEVIATION**2, n_bands)]))
    prior, right = P.copy(), np.zeros(len(P))
    for b in range(n_bands):
        s = slice(offsets[b], offsets[b + 1])
        H = np.zeros((offsets[b + 1] - offsets[b], len(P)))
        h = design(t[s], frequency, K)
        H[:, :m] = H[:, m * (b + 1) : m * (b + 2)] = h - np.average(h, axis=0, weights=w[s])
        P += (H * w[s, None]).T @ H
        right += (H * w[s, None]).T @ x[s]
    return P, prior, right


def test_series_and_evidence_are_those_of_the_joint_model_written_out():
    rng = np.random.default_rng(2)
    offsets = np.array([0, 12, 15, 40])
    t, x, w = rng.uniform(0, 90, 40), rng.normal(size=40), rng.uniform(1, 9, 40)
    P, prior, right = joint_model(t, x, w, offsets, 0.61, 3)
    solution = np.linalg.solve(P, right)
    series = np.empty((3, 6))
    fit_series(t, x, w, offsets, 0.61, 3, series)
    evidence = 0.5 * right @ solution - 0.5 * (np.linalg.slogdet(P)[1] - np.linalg.slogdet(prior)[1])

    np.testing.assert_allclose(series, solution[:6] + solution[6:].reshape(3, 6), atol=1e-9)
    assert log_evidence(t, x, w, offsets, 0.61, 3) == pytest.approx(evidence, abs=1e-8)


def test_periods_of_sparse_sawtooth_stars_are_found_in_magnitudes_and_in_fluxes():
    rng = np.random.default_rng(7)
    periods = rng.uniform(0.25, 1.1, 30)
    t, x, e, offsets = stack([rr_lyrae(p, rng) for p in periods])
    in_mag = search_periods(t, x, e, offsets, N_BANDS, QUICK)
    flux = 10 ** (-0.4 * (x - 31.4))
    in_flux = search_periods(t, flux, flux * e * 0.921, offsets, N_BANDS, QUICK, relative=True)

    for found in (in_mag, in_flux):
        assert (np.abs(found.period_days[:, 0] / periods - 1) < 1e-4).mean() >= 0.95
        assert (found.false_alarm_probability < 1e-3).all()
        assert (np.diff(found.log_evidence[:, :2], axis=1) < 0).mean() > 0.9
        assert ((found.power > 0) & (found.power < 1)).all()


@pytest.mark.parametrize("level", [0.0, 0.02])
def test_a_band_without_the_star_does_not_hide_its_period(level):
    rng = np.random.default_rng(14)
    periods = rng.uniform(0.25, 1.1, 20)
    t, x, _, offsets = stack([rr_lyrae(p, rng) for p in periods])
    flux = 10 ** (-0.4 * (x - 31.4))
    absent = np.repeat(np.tile(np.arange(N_BANDS) == 0, 20), np.diff(offsets))
    noise = np.where(absent, 2e4, 0.1 * flux)
    flux = np.where(absent, level * flux, flux) + rng.normal(0, noise)
    found = search_periods(t, flux, noise, offsets, N_BANDS, QUICK, relative=True)

    assert (np.abs(found.period_days[:, 0] / periods - 1) < 1e-4).mean() >= 0.9


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_peaks": 0},
        {"n_harmonics": 0},
        {"n_periods": 0},
        {"min_epochs": 0},
        {"max_frequencies": 0},
        {"oversampling": 0.0},
        {"error_floor": -1.0},
        {"period_range_days": (1.0, 0.2)},
    ],
)
def test_a_search_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(PlanError, match="a period search needs"):
        PeriodSearch(**wrong)


def test_the_series_gives_back_the_curve_of_a_well_covered_star():
    rng = np.random.default_rng(8)
    t, x, e, offsets = rr_lyrae(0.6, rng, per_band=200)
    found = search_periods(t, x, e, offsets, N_BANDS, QUICK)
    series = found.series[0]
    amplitudes = np.hypot(series[:, 0::2], series[:, 1::2])

    np.testing.assert_allclose(amplitudes[:, 0], [0.4, 0.42, 0.3, 0.24, 0.22], rtol=0.03)
    np.testing.assert_allclose(amplitudes[:, 1] / amplitudes[:, 0], 2**-1.2, rtol=0.08)


def test_a_binary_of_two_unequal_eclipses_gets_its_full_period():
    rng = np.random.default_rng(9)
    t = np.sort(rng.uniform(0, 1000, (N_BANDS, 40)), axis=1)
    phase = t / 0.83 % 1
    dip = np.exp(-0.5 * (np.minimum(phase, 1 - phase) / 0.08) ** 2) + 0.5 * np.exp(-0.5 * ((phase - 0.5) / 0.08) ** 2)
    x = 17 + 0.5 * dip + rng.normal(0, 0.02, t.shape)
    offsets = np.arange(N_BANDS + 1) * 40
    found = search_periods(t.ravel(), x.ravel(), np.full(t.size, 0.02), offsets, N_BANDS, QUICK)

    assert found.period_days[0, 0] == pytest.approx(0.83, rel=1e-4)


def test_constant_sparse_and_empty_objects_are_not_searched():
    rng = np.random.default_rng(10)
    star = rr_lyrae(0.6, rng)
    constant = (star[0], 17 + rng.normal(0, 0.02, star[0].size), star[2], star[3])
    same = (star[0], np.full(star[0].size, 17.0), star[2], star[3])
    sparse = rr_lyrae(0.6, rng, per_band=3)
    empty = (np.empty(0), np.empty(0), np.empty(0), np.zeros(N_BANDS + 1, dtype=int))
    found = search_periods(*stack([constant, same, sparse, empty, star]), N_BANDS, QUICK)

    assert np.isfinite(found.period_days[:, 0]).tolist() == [False, False, False, False, True]
    assert np.isnan(found.false_alarm_probability[:4]).all()
    assert np.isnan(found.series[:4]).all()


def test_bands_without_epochs_have_no_series_and_do_not_disturb_the_period():
    rng = np.random.default_rng(11)
    t, x, e, _ = rr_lyrae(0.6, rng, per_band=20)
    found = search_periods(t[:60], x[:60], e[:60], np.array([0, 20, 20, 40, 60, 60]), N_BANDS, QUICK)

    assert np.isnan(found.series[0, [1, 4]]).all()
    assert np.isfinite(found.series[0, [0, 2, 3]]).all()
    assert found.period_days[0, 0] > 0


def test_epochs_at_one_time_have_no_period():
    x = np.random.default_rng(12).normal(0, 1, 40)
    found = search_periods(np.full(40, 6e4), x, np.full(40, 0.1), np.array([0, 40]), 1, QUICK)

    assert np.isnan(found.period_days).all()


def test_an_object_gets_the_same_numbers_alone_and_in_company():
    rng = np.random.default_rng(13)
    stars = [rr_lyrae(p, rng) for p in (0.3, 0.5, 0.9)]
    together = search_periods(*stack(stars), N_BANDS, QUICK)
    alone = search_periods(*stars[1], N_BANDS, QUICK)

    assert (together.period_days[1] == alone.period_days[0]).all()
    assert (together.series[1] == alone.series[0]).all()
