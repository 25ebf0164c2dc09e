"""Features of fits to detections: names, units and nulls, and fluxes and magnitudes of the same events."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.features import Feature, FeatureSet
from lsdb_ts.features import detected as family
from lsdb_ts.features.detected import FleetFit, TailFit
from lsdb_ts.kernels.fits.magnitude_fits import fit_fleet
from lsdb_ts.schema import Roles, unit_of

FLUX = Roles(time="t", band="band", flux="x", flux_error="e")
MAG = Roles(time="t", band="band", mag="x", mag_error="e")
NAMES = ("a", "w", "t0", "a_err", "w_err", "t0_err", "redchi2", "flag")


def event(seed, n=40, error=0.02):
    """Return times and magnitudes of an event of a rise and a decline, in one band."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(-15, 85, n))
    return 60020.0 + x, np.exp(-0.1 * x) + 0.06 * x + 18 + rng.normal(0, error, n), np.full(n, error)


@pytest.fixture(scope="module")
def tables(nested_curves):
    """Return the features of the same events in magnitudes and in fluxes, with noise before those."""
    mags = [event(seed) for seed in range(20)]
    rng = np.random.default_rng(0)
    fluxes = []
    for t, m, e in mags:
        f, before = 10 ** (-0.4 * (m - 31.4)), 59900.0 + np.arange(30.0)
        noise = 0.4 * np.log(10) * e * f
        parts = (np.concatenate([before, t]), np.concatenate([rng.normal(0, 100, 30), f]))
        fluxes.append((*parts, np.concatenate([np.full(30, 100.0), noise])))
    features = FeatureSet.fits("gr", ["fleet", "tail"])
    by_mag, by_flux = nested_curves(mags, is_flux=False), nested_curves(fluxes)
    return features.extract(*by_mag), features.extract(*by_flux)


def column(table, name, band="g"):
    return table[f"features_{band}"].combine_chunks().field(name).to_numpy(False).astype(float)


def test_events_are_what_they_were_simulated_as(tables):
    for name, truth in {"a": 0.6, "w": -0.1, "t0": 60020.0}.items():
        value, error = column(tables[0], f"fleet_{name}"), column(tables[0], f"fleet_{name}_err")
        assert 1.4826 * np.median(np.abs(value - truth) / error) == pytest.approx(1.0, abs=0.5)
    assert (column(tables[0], "fleet_flag") == 0).all()
    assert np.median(column(tables[0], "fleet_redchi2")) == pytest.approx(1.0, abs=0.2)


def test_fluxes_give_what_their_magnitudes_give(tables):
    for name in ("fleet_a", "fleet_w", "fleet_a_err", "fleet_redchi2", "tail_index", "tail_redchi2"):
        np.testing.assert_allclose(column(tables[1], name), column(tables[0], name), rtol=1e-4)
    np.testing.assert_allclose(column(tables[1], "fleet_t0"), column(tables[0], "fleet_t0"), atol=1e-3)


def test_a_band_without_detections_has_a_flag_only(tables):
    for table in tables:
        assert (column(table, "fleet_flag", "r") == 4).all()
        row = table["features_r"][0].as_py()
        assert {v for n, v in row.items() if n != "fleet_flag"} == {None}


def test_a_tidal_disruption_has_its_power(nested_curves):
    t = 60000.0 + np.arange(0.0, 190.0, 5.0)
    curves, roles = nested_curves([(t, 1e4 * (1 + (t - t[0]) / 40) ** (-5 / 3), np.full(t.size, 10.0))])
    found = FeatureSet.of(["tail_index", "tail_index_err", "tail_redchi2"], "g").extract(curves, roles)

    assert found["features_g"][0].as_py()["tail_index"] == pytest.approx(5 / 3, rel=1e-5)
    assert found["features_g"][0].as_py()["tail_redchi2"] == pytest.approx(0.0, abs=1e-5)


def test_names_units_and_identities():
    features = FeatureSet.fits("g", ["fleet", "tail"])
    struct = features.fields[0].type
    units = {f.name: unit_of(f) for f in struct}

    assert list(units) == [f"fleet_{n}" for n in NAMES] + ["tail_index", "tail_index_err", "tail_redchi2"]
    assert [units[f"fleet_{n}"] for n in NAMES] == ["mag", "1/d", "d", "mag", "1/d", "d", "1", "1"]
    assert [f.name for f in struct if f.type == pa.float64()] == ["fleet_t0"]
    for feature in features.features:
        assert "; least squares fit of ``" in feature.formula
        assert pickle.loads(pickle.dumps(feature)) == feature
        assert Feature.from_json(json.loads(json.dumps(feature.to_json()))) == feature
    assert not {f.name for s in (FeatureSet.full("g"), FeatureSet.fast("g")) for f in s.features} & set(units)


def test_all_numbers_are_one_fit(monkeypatch, nested_curves):
    called = []
    monkeypatch.setattr(family, "fit_fleet", lambda *a: called.append(1) or fit_fleet(*a))
    FeatureSet.fits("g", ["fleet"]).extract(*nested_curves([event(0)], is_flux=False))
    assert called == [1]


def test_numbers_that_there_are_not_are_named():
    with pytest.raises(PlanError, match=r'FleetFit has the numbers a, w, t0, .* not "m0"'):
        FleetFit("m0")
    with pytest.raises(PlanError, match='TailFit has the numbers index, index_err, redchi2; not "slope"'):
        TailFit("slope")
