"""Features of aperiodic variability: their definitions, units of light curves, and what is null."""

import numpy as np
import pytest

from lsdb_ts.features import FeatureSet, LightCurves
from lsdb_ts.features.protocol import named
from lsdb_ts.features.stochastic import (
    AbbeExcess,
    DrwSigma,
    DrwTau,
    IarPhi,
    MhpsHigh,
    MhpsLow,
    MhpsRatio,
    QsoChi2,
    QsoChi2False,
    SfAmp,
)

NAMES = [
    "sf_amp", "sf_gamma", "drw_sigma", "drw_tau", "iar_phi", "mhps_low", "mhps_high", "mhps_ratio", "abbe_excess",
    "qso_chi2", "qso_chi2_false", "ema_2d", "ema_8d", "ema_28d",
]  # fmt: skip


def walk(n=80, sigma=0.3, tau=60.0, noise=0.02, seed=0):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(60000, 61000, n))
    matrix = sigma**2 * np.exp(-np.abs(t[:, None] - t) / tau)
    return t, 18 + rng.multivariate_normal(np.zeros(n), matrix) + noise * rng.normal(size=n), np.full(n, noise)


def curves_of(*parts, is_flux=False):
    """Return one object for each curve (t, x, e), in one band."""
    t, x, e = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    offsets = np.concatenate([[0], np.cumsum([len(p[0]) for p in parts])])
    return LightCurves(t, x, e, offsets, np.zeros((len(parts), 1), int), ("g",), is_flux)


def test_features_do_not_know_of_the_zero_point():
    t, x, e = walk()
    plain, shifted = (curves_of((t, x + shift, e)) for shift in (0.0, 3.0))

    for feature in named(NAMES[:9], ("g",)):
        np.testing.assert_allclose(feature.compute(shifted), feature.compute(plain), rtol=1e-3)


def test_power_of_magnitudes_is_that_of_their_fluxes():
    t, x, e = walk()
    flux = 10 ** (-0.4 * (x - 23.9))
    in_mag, in_flux = curves_of((t, x, e)), curves_of((t, flux, 0.4 * np.log(10) * flux * e), is_flux=True)

    for feature in (MhpsLow(), MhpsHigh(), MhpsRatio()):
        np.testing.assert_allclose(feature.compute(in_mag), feature.compute(in_flux), rtol=1e-9)


def test_the_ratio_of_powers_is_null_where_nothing_varies_fast():
    t = np.concatenate([np.arange(20.0), np.arange(300.0, 320.0)])
    step = np.where(t < 100, 18.1, 18.2)

    assert np.isnan(MhpsRatio().compute(curves_of((t, step, np.full(40, 0.02))))).all()


def test_a_quasar_is_told_from_a_pulsator_of_the_same_scatter():
    # In g: tau 832 d, variance 0.033 mag^2.
    quasars = [walk(60, np.sqrt(0.5 * 10 ** (-4.10 + 2.92)), 10**2.92, seed=seed) for seed in range(20)]
    pulsators = [(t, 18 + x.std() * np.sqrt(2) * np.sin(2 * np.pi * t / 0.57), e) for t, x, e in quasars]
    chi2, false = (kind().compute(curves_of(*quasars, *pulsators)).reshape(2, 20) for kind in (QsoChi2, QsoChi2False))

    assert np.median(chi2[0]) == pytest.approx(1.0, abs=0.15)
    assert (chi2[0] < 0.5 * false[0]).all()
    assert np.median(chi2[1] / false[1]) == pytest.approx(1.0, abs=0.15)


def test_quasars_are_judged_by_relative_fluxes_and_in_bands_that_were_measured(nested_curves):
    t, x, e = walk(sigma=0.02, noise=0.005)
    flux = 10 ** (-0.4 * (x - 23.9))
    relative = [(t, flux, 0.4 * np.log(10) * flux * e)]
    row = FeatureSet.of(["qso_chi2"], "g").extract(*nested_curves(relative))["features_g"][0].as_py()

    assert row["qso_chi2"] == pytest.approx(QsoChi2().compute(curves_of((t, x, e))).item(), rel=0.1)
    negative = FeatureSet.of(["qso_chi2"], "g").extract(*nested_curves([(t, -flux, flux)]))["features_g"][0].as_py()
    assert negative["qso_chi2"] is None
    other = LightCurves(t, x, e, np.array([0, t.size]), np.zeros((1, 1), int), ("V",), False)
    assert np.isnan(QsoChi2().compute(other)).all()


def test_alerce_calls_the_variance_sigma():
    curves = curves_of(walk())
    variance = DrwSigma("alerce")

    assert variance.unit == "value^2"
    assert DrwSigma().unit == "value"
    assert variance.compute(curves).item() == pytest.approx(DrwSigma().compute(curves).item() ** 2, rel=0.2)


def test_definitions_give_other_numbers():
    curves = curves_of(walk(noise=0.1))

    for kind in (SfAmp, DrwSigma, DrwTau, IarPhi):
        assert kind("alerce").compute(curves).item() != kind().compute(curves).item()


def test_a_drift_is_smooth_as_a_whole_and_noise_is_as_rough_in_windows():
    rng = np.random.default_rng(3)
    t = np.sort(rng.uniform(0, 2000, 300))
    noise, e = rng.normal(0, 0.1, 300), np.full(300, 0.1)
    excess = AbbeExcess().compute(curves_of((t, noise, e), (t, t / 400 + noise, e)))

    assert abs(excess[0, 0]) < 0.15
    assert excess[1, 0] > 0.7


def test_the_window_is_part_of_what_is_computed():
    curves = curves_of(walk())

    assert AbbeExcess(30.0).compute(curves) != AbbeExcess().compute(curves)
    assert AbbeExcess(30.0).to_json()["window_days"] == 30.0


def test_few_epochs_are_null_and_averages_need_one(nested_curves):
    table = FeatureSet.of(NAMES, "g").extract(*nested_curves([walk(4), walk(1), walk(60)]))
    rows = table["features_g"].to_pylist()

    for row in rows[:2]:
        assert {name for name, value in row.items() if value is not None} == {"ema_2d", "ema_8d", "ema_28d"}
    assert rows[1]["ema_2d"] == rows[1]["ema_28d"] == pytest.approx(walk(1)[1][0], rel=1e-6)
    assert all(value is not None for value in rows[2].values())
