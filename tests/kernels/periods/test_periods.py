"""The period search: series against least squares, periods of simulated stars found again, objects passed over."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.periods.aliases import Alias, Quality
from lsdb_ts.kernels.periods.fourier import (
    DEVIATION,
    SIZE,
    fit_series,
    log_evidence,
    normal_equations,
    series_prior,
    sinusoid_power,
    wave_at,
)
from lsdb_ts.kernels.periods.grid import FrequencyGrid
from lsdb_ts.kernels.periods.kinds import RR_LYRAE, StarKind
from lsdb_ts.kernels.periods.periodogram import MultibandModel, multiband_power
from lsdb_ts.kernels.periods.search import PeriodSearch, search_periods

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


def sinusoid(period):
    """Return a kind of stars of nearly one period and no second harmonic."""
    widths = (0.05, 0.5, 0.1, 0.1)
    covariance = tuple((*(0.0,) * i, width**2) for i, width in enumerate(widths))
    return StarKind(1.0, (np.log(period), np.log(0.3), 0.0, 0.0), covariance)


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
    normal_equations(wave_at(t, 0.77), x, w, 3, 28, G, r)
    H = design(t[3:28], 0.77, 4)
    H = H - np.average(H, axis=0, weights=w[3:28])

    np.testing.assert_allclose(G, (H * w[3:28, None]).T @ H, atol=1e-9)
    np.testing.assert_allclose(r, (H * w[3:28, None]).T @ x[3:28], atol=1e-9)


def joint_model(t, x, w, offsets, frequency, K):
    """Return the precision matrix and right side of shared and deviating series of all bands together."""
    n_bands, m = len(offsets) - 1, 2 * K
    k2 = np.repeat(np.arange(1.0, K + 1), 2) ** 2 / SIZE**2
    P = np.diag(np.concatenate([k2, np.tile(k2 / DEVIATION**2, n_bands)]))
    prior, right = P.copy(), np.zeros(len(P))
    for b in range(n_bands):
        s = slice(offsets[b], offsets[b + 1])
        if s.start == s.stop:
            continue
        H = np.zeros((offsets[b + 1] - offsets[b], len(P)))
        h = design(t[s], frequency, K)
        H[:, :m] = H[:, m * (b + 1) : m * (b + 2)] = h - np.average(h, axis=0, weights=w[s])
        P += (H * w[s, None]).T @ H
        right += (H * w[s, None]).T @ x[s]
    return P, prior, right


def some_epochs():
    rng = np.random.default_rng(2)
    return rng.uniform(0, 90, 40), rng.normal(size=40), rng.uniform(1, 9, 40), np.array([0, 12, 15, 15, 40])


def test_series_and_evidence_are_those_of_the_joint_model_written_out():
    t, x, w, offsets = some_epochs()
    P, prior, right = joint_model(t, x, w, offsets, 0.61, 3)
    solution = np.linalg.solve(P, right)
    shared, series = np.empty(6), np.empty((4, 6))
    volume = fit_series(t, x, w, offsets, 0.61, series_prior(3), shared, series)
    determinants = 0.5 * (np.linalg.slogdet(P)[1] - np.linalg.slogdet(prior)[1])

    there = [0, 1, 3]
    np.testing.assert_allclose(shared, solution[:6], atol=1e-9)
    np.testing.assert_allclose(series[there], (solution[:6] + solution[6:].reshape(4, 6))[there], atol=1e-9)
    assert np.isnan(series[2]).all()
    assert volume == pytest.approx(-0.5 * solution @ prior @ solution - determinants, abs=1e-8)
    evidence = log_evidence(t, x, w, offsets, 0.61, series_prior(3))
    assert evidence == pytest.approx(0.5 * right @ solution - determinants, abs=1e-8)


def test_power_at_one_frequency_is_that_of_the_periodogram():
    t, x, w, offsets = some_epochs()
    grid = FrequencyGrid(0.3, 0.1, 5)
    at_each = [sinusoid_power(t, x, w, offsets, f) for f in grid.frequencies]

    np.testing.assert_allclose(at_each, multiband_power(t, x, w, offsets, grid), atol=1e-9)


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
        {"amplitude_ratios": (1.0, 0.0)},
        {"season_phase": -0.1},
        {"kinds": RR_LYRAE, "n_harmonics": 3},
        {"kinds": (RR_LYRAE[0], sinusoid(0.3))},
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
    sparse = rr_lyrae(0.6, rng, per_band=2)
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


def test_amplitude_ratios_are_one_a_band_and_serve_where_bands_are_sparse():
    rng = np.random.default_rng(15)
    with pytest.raises(PlanError, match="2 amplitude_ratios for 5 bands"):
        search_periods(*rr_lyrae(0.6, rng), N_BANDS, PeriodSearch(amplitude_ratios=(1.0, 0.9)))
    periods = rng.uniform(0.3, 1.0, 30)
    sparse = stack([rr_lyrae(p, rng, per_band=5) for p in periods])
    known = PeriodSearch(
        period_range_days=(0.2, 1.2), max_frequencies=30_000, amplitude_ratios=(0.4, 0.42, 0.3, 0.24, 0.22)
    )
    right = [np.abs(search_periods(*sparse, N_BANDS, s).period_days[:, 0] / periods - 1) < 1e-3 for s in (QUICK, known)]

    assert right[1].sum() >= right[0].sum()
    assert right[1].mean() >= 0.7


def test_the_first_stage_may_be_any_multiband_model():
    """A star whose bands are out of phase has no power in the shared-phase model."""
    rng = np.random.default_rng(17)
    t = np.sort(rng.uniform(0, 400, (N_BANDS, 30)), axis=1)
    phases = np.arange(N_BANDS)[:, None] / N_BANDS
    x = 17 + 0.3 * np.cos(2 * np.pi * (t / 0.71 + phases)) + rng.normal(0, 0.02, t.shape)
    star = (t.ravel(), x.ravel(), np.full(x.size, 0.02), np.arange(N_BANDS + 1) * 30)
    wide = {"period_range_days": (0.2, 2.0), "max_frequencies": 20_000}
    shared, own, both = (
        search_periods(*star, N_BANDS, PeriodSearch(**wide, model=model))
        for model in (MultibandModel(1, 0), MultibandModel(0, 1), MultibandModel(2, 1, reg_band=1e-6))
    )

    assert shared.power[0] < 0.3
    assert own.power[0] > 0.98
    assert both.power[0] > 0.97
    assert own.false_alarm_probability[0] < 1e-100 < shared.false_alarm_probability[0]
    assert own.period_days[0, 0] == pytest.approx(0.71, rel=1e-3)


def test_a_period_whose_half_is_a_candidate_does_not_lose_to_its_double():
    """What is taken off a period because it may be a double is taken off its own double, too."""
    rng = np.random.default_rng(23)
    periods = rng.uniform(0.45, 0.8, 40)
    stars = stack([rr_lyrae(p, rng, per_band=12) for p in periods])
    found = search_periods(*stars, N_BANDS, PeriodSearch((0.2, 100.0))).period_days[:, 0] / periods
    assert not (np.abs(found - 2) < 0.02).any()
    assert (np.abs(found - 1) < 0.001).mean() > 0.9


@pytest.mark.parametrize("period", [0.5, 9.9999])
def test_periods_at_the_ends_of_the_range_are_found(period):
    rng = np.random.default_rng(19)
    found = search_periods(*stack([rr_lyrae(period, rng) for _ in range(12)]), N_BANDS, PeriodSearch((0.5, 10.0)))
    assert (np.abs(found.period_days[:, 0] / period - 1) < 2e-3).sum() >= 11


def test_the_kind_of_star_decides_between_periods_that_fit_alike():
    rng = np.random.default_rng(16)
    night = np.sort(rng.choice(1000, (N_BANDS, 12)), axis=1) + rng.normal(0, 0.002, (N_BANDS, 12))
    x = 17 + 0.3 * np.cos(2 * np.pi * night / 0.32) + rng.normal(0, 0.02, night.shape)
    epochs = (night.ravel(), x.ravel(), np.full(x.size, 0.02), np.arange(N_BANDS + 1) * 12)
    found = [
        search_periods(*epochs, N_BANDS, PeriodSearch((0.2, 1.2), kinds=(sinusoid(p),)))
        for p in (0.32, 1 / (1 / 0.32 - 1))
    ]

    assert found[0].period_days[0, 0] == pytest.approx(0.32, rel=1e-3)
    assert found[1].period_days[0, 0] == pytest.approx(1 / (1 / 0.32 - 1), rel=1e-3)
    assert found[0].alias[0, 0] == Alias.NONE
    assert Alias.DAY in found[0].alias[0, 1:]


def test_the_search_for_rr_lyrae_knows_their_bands():
    with pytest.raises(PlanError, match='no amplitude of RR Lyrae is known in "K"'):
        PeriodSearch.rr_lyrae("gK")
    rng = np.random.default_rng(20)
    periods = np.array([0.52, 0.61, 0.67])
    found = search_periods(*stack([rr_lyrae(p, rng) for p in periods]), N_BANDS, PeriodSearch.rr_lyrae("ugriz"))

    np.testing.assert_allclose(found.period_days[:, 0], periods, rtol=1e-4)


def test_kinds_are_the_same_in_magnitudes_and_in_fluxes_and_survive_json():
    rng = np.random.default_rng(22)
    t, x, e, offsets = stack([rr_lyrae(p, rng) for p in (0.31, 0.52, 0.61, 0.67)])
    flux, search = 10 ** (-0.4 * (x - 31.4)), PeriodSearch.rr_lyrae("ugriz")
    in_mag = search_periods(t, x, e, offsets, N_BANDS, search)
    in_flux = search_periods(t, flux, flux * e * 0.921, offsets, N_BANDS, search, relative=True)

    np.testing.assert_allclose(in_flux.period_days[:, 0], in_mag.period_days[:, 0], rtol=3e-5)
    assert PeriodSearch(**json.loads(json.dumps(asdict(search)))) == search


def test_a_star_whose_phase_wanders_keeps_its_period():
    rng = np.random.default_rng(23)
    periods, stars = rng.uniform(0.3, 0.8, 20), []
    for period in periods:
        night = np.concatenate([365 * k + rng.choice(100, 9, replace=False) for k in range(6)])
        late = np.repeat(rng.normal(0, 0.02, 6), 9)
        t = 60000 + np.tile(night, N_BANDS) + rng.normal(0, 0.03, N_BANDS * 54)
        phase = t / period + np.tile(late, N_BANDS)
        x = 17 + 0.3 * sum(np.sin(2 * np.pi * k * phase + 0.3 * k) / k**1.2 for k in range(1, 6))
        stars.append((t, x + rng.normal(0, 0.01, t.size), np.full(t.size, 0.01), np.arange(N_BANDS + 1) * 54))
    right = [
        np.abs(
            1 / search_periods(*stack(stars), N_BANDS, PeriodSearch((0.2, 1.2), season_phase=s)).period_days[:, 0]
            - 1 / periods
        )
        < 1e-3
        for s in (0.0, 0.02)
    ]

    assert right[1].sum() >= right[0].sum()
    assert right[1].mean() >= 0.9


def test_a_binary_is_told_from_a_pulsator_of_half_its_period():
    rng = np.random.default_rng(17)
    found = []
    for second in (0.5, 0.1):
        t = np.sort(rng.uniform(0, 1500, (N_BANDS, 18)), axis=1)
        phase = t / 2.31 % 1
        dips = [depth * np.exp(-0.5 * ((phase - c) / 0.05) ** 2) for depth, c in ((0.25, 0.25), (second * 0.5, 0.75))]
        x = 17 + sum(dips) + rng.normal(0, 0.01, t.shape)
        curve = (t.ravel(), x.ravel(), np.full(t.size, 0.01), np.arange(N_BANDS + 1) * 18)
        found.append(search_periods(*curve, N_BANDS, PeriodSearch((0.2, 10.0))).period_days[0])

    assert found[0][0] == pytest.approx(2.31 / 2, rel=1e-3)
    assert found[1][0] == pytest.approx(2.31, rel=1e-3)


@pytest.mark.parametrize("is_flux", [False, True])
def test_a_pair_in_contact_is_told_by_its_sharp_minima_and_a_pulsator_by_its_sharp_maxima(is_flux):
    rng = np.random.default_rng(21)
    t = np.sort(rng.uniform(0, 1500, (N_BANDS, 30)), axis=1).ravel()
    angle, found = 2 * np.pi * t / 0.171, []
    for sharp in (0.2, -0.2):
        x = 0.2 * (np.cos(angle) + sharp * np.cos(2 * angle)) + rng.normal(0, 0.01, t.size)
        curve = 1000 * 10 ** (-0.4 * x) if is_flux else 17 + x
        errors = np.full(t.size, 10.0 if is_flux else 0.01)
        offsets = np.arange(N_BANDS + 1) * 30
        search = PeriodSearch((0.1, 10.0))
        found.append(search_periods(t, curve, errors, offsets, N_BANDS, search, relative=is_flux).period_days[0, 0])

    assert found == pytest.approx([0.342, 0.171], rel=1e-3)


def test_quality_tells_what_is_doubtful():
    rng = np.random.default_rng(18)
    good = rr_lyrae(0.613, rng, per_band=40)
    sparse = rr_lyrae(0.613, rng, per_band=4)
    nightly = rr_lyrae(0.9973, rng, per_band=40)
    at_night = np.sort(
        (np.round(nightly[0] / 0.9973) * 0.9973).reshape(N_BANDS, -1) + rng.normal(0, 0.05, (N_BANDS, 40))
    )
    slow = (at_night.ravel(), 17 + 0.4 * np.sin(2 * np.pi * at_night.ravel() / 0.9973), *nightly[2:])
    hours = np.sort(rng.uniform(0, 1.5, (N_BANDS, 40)), axis=1).ravel()
    short = (60000 + hours, 17 + np.sin(2 * np.pi * hours), np.full(200, 0.02), np.arange(N_BANDS + 1) * 40)
    found = search_periods(*stack([good, sparse, slow, short]), N_BANDS, QUICK)
    bits = [Quality(int(q)) for q in found.quality]

    assert bits[0] == 0
    assert Quality.FEW_EPOCHS in bits[1]
    assert Quality.WINDOW in bits[2]
    assert Quality.SHORT_BASELINE in bits[3]
    assert (found.n_frequencies > 0).all()
    assert found.n_frequencies.max() <= QUICK.max_frequencies
    assert found.power_rates.shape == (4, 6)
    assert ((found.pseudo_entropy > 0) & (found.pseudo_entropy < 1)).all()
    assert found.jitter[0] < 0.2


def test_a_period_near_the_shortest_of_a_grid_that_was_cut_is_marked():
    rng = np.random.default_rng(19)
    t, x, e, offsets = rr_lyrae(0.6, rng, per_band=40)
    near, far = (
        search_periods(t, x, e, offsets, N_BANDS, PeriodSearch((0.01, 1.2), max_frequencies=n)) for n in (4000, 40_000)
    )

    assert [near.n_frequencies[0], far.n_frequencies[0]] == [4000, 40_000]
    assert Quality.GRID_CUT in Quality(int(near.quality[0]))
    assert far.quality[0] == 0


def test_objects_without_a_period_say_why():
    rng = np.random.default_rng(24)
    t, x, e, offsets = rr_lyrae(0.6, rng, per_band=40)
    few = rr_lyrae(0.6, rng, per_band=2)
    brief = (60000 + (t - 60000) * 1e-5, x, e, offsets)
    none = (np.empty(0), np.empty(0), np.empty(0), np.zeros(N_BANDS + 1, np.int64))
    constant = (t, rng.normal(17, e), e, offsets)
    found = search_periods(*stack([few, constant, brief, none]), N_BANDS, QUICK)

    assert np.isnan(found.period_days).all()
    assert found.quality[:3].tolist() == [Quality.FEW_EPOCHS, Quality.CONSTANT, Quality.SHORT_BASELINE]
    assert np.isnan(found.quality[3])


def seen_nightly(rng, brightness, n=250):
    """Return a curve of one band, seen at most once a night for eight years."""
    t = 60000 + np.sort(rng.choice(2900, n, replace=False)) + rng.uniform(-0.15, 0.15, n)
    return t, brightness(t) + rng.normal(0, 0.02, n), np.full(n, 0.02), np.array([0, n])


def test_slow_variation_found_at_a_day_is_marked_and_walks_are_told_from_slow_stars():
    rng = np.random.default_rng(25)

    def walk(t):
        x = np.zeros(t.size)
        for i in range(1, t.size):
            kept = np.exp(-(t[i] - t[i - 1]) / 100)
            x[i] = kept * x[i - 1] + np.sqrt(1 - kept**2) * rng.normal(0, 0.2)
        return 17 + x

    walks = search_periods(*stack([seen_nightly(rng, walk) for _ in range(30)]), 1, PeriodSearch((0.2, 1000.0)))
    stars = [seen_nightly(rng, lambda t, p=p: 17 + 0.2 * np.cos(2 * np.pi * t / p)) for p in (97.0, 173.0, 311.0)]
    found = search_periods(*stack(stars), 1, PeriodSearch((0.2, 1000.0)))
    of_walks, f = walks.quality.astype(int), 1 / walks.period_days[:, 0]
    daily = (np.abs(f - np.round(f)) < 0.009) & (f > 0.5)

    assert daily.any()
    assert (of_walks[daily] & Quality.WINDOW > 0).all()
    assert (of_walks & Quality.RED_NOISE > 0).mean() > 0.6
    assert (of_walks == 0).mean() < 0.1
    assert (found.quality.astype(int) & (Quality.RED_NOISE | Quality.WINDOW) == 0).all()
