"""Features of the rainbow fit: their wavelengths, units and nulls, and black bodies through the whole way."""

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.features import FeatureSet
from lsdb_ts.features import rainbow as family
from lsdb_ts.features.rainbow import RainbowBase, RainbowFit
from lsdb_ts.kernels.fits.least_squares import fit_curves
from lsdb_ts.kernels.fits.models import RAINBOW, evaluate
from lsdb_ts.lightcurves.gaussian import ANGSTROM
from lsdb_ts.schema import Roles, unit_of

ROLES = Roles(time="t", band="band", flux="f", flux_error="e")
TRUTH = [60060.0, 4.0, 25.0, 5000.0, 6000.0, 10.0, 1e18]
BASES = {"g": 30.0, "r": -20.0, "i": 0.0}


def nested(seeds, bands="gri", per_band=25, error=20.0):
    rows = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        t = [np.sort(rng.uniform(60000, 60180, per_band)) for _ in bands]
        f = [evaluate(RAINBOW, t[k], [*TRUTH, BASES[b]], ANGSTROM[b]) for k, b in enumerate(bands)]
        f = np.concatenate(f) + rng.normal(0, error, per_band * len(bands))
        rows.append(
            {"t": np.concatenate(t), "band": np.repeat(list(bands), per_band), "f": f, "e": np.full(f.size, error)}
        )
    kind = pa.struct([(n, pa.list_(pa.string() if n == "band" else pa.float64())) for n in ("t", "band", "f", "e")])
    return pa.array(rows, kind)


@pytest.fixture(scope="module")
def table():
    return FeatureSet.fits("gri", ["rainbow"]).extract(nested(range(60)), ROLES)


def test_black_bodies_are_what_they_were_simulated_as(table):
    whole, r = (table[name].combine_chunks() for name in ("features_multiband", "features_r"))
    assert (whole.field("rainbow_flag").to_numpy() == 0).mean() > 0.9
    assert np.median(whole.field("rainbow_redchi2")) == pytest.approx(1.0, abs=0.06)
    for name, truth in zip(RAINBOW.shape, TRUTH, strict=True):
        value, error = (whole.field(f"rainbow_{name}{e}").to_numpy(False) for e in ("", "_err"))
        pull = (value - truth) / error
        assert 1.4826 * np.nanmedian(np.abs(pull)) == pytest.approx(1.0, abs=0.35)
    pull = (r.field("rainbow_b").to_numpy() - BASES["r"]) / r.field("rainbow_b_err").to_numpy()
    assert 1.4826 * np.median(np.abs(pull)) == pytest.approx(1.0, abs=0.35)


def test_units_and_types_are_those_of_its_physics(table):
    whole = table.schema.field("features_multiband").type
    units = {f.name.removeprefix("rainbow_"): unit_of(f) for f in whole}

    assert {units[n] for n in ("t0", "tau_rise", "tau_fall_err", "tau_temp")} == {"d"}
    assert {units[n] for n in ("temp_min", "temp_min_err", "delta_temp")} == {"K"}
    assert units["a"] == units["a_err"] == "value Hz"
    assert units["redchi2"] == units["flag"] == "1"
    assert whole.field("rainbow_t0").type == pa.float64()
    assert unit_of(table.schema.field("features_g").type.field("rainbow_b")) == "value"


def test_a_constant_temperature_has_errors_of_what_it_tells():
    rng = np.random.default_rng(2)
    truth = [60060.0, 4.0, 25.0, 9000.0, 0.0, 10.0, 1e18]
    t = np.sort(rng.uniform(60000, 60180, (40, 3, 25)), axis=2)
    f = np.array([[evaluate(RAINBOW, t[o, b], [*truth, 0.0], ANGSTROM["gri"[b]]) for b in range(3)] for o in range(40)])
    f += rng.normal(0, 10.0, f.shape)
    waves = np.array([ANGSTROM[b] for b in "gri"])
    fits = fit_curves(
        RAINBOW, t.ravel(), f.ravel(), np.full(f.size, 10.0), np.arange(121) * 25, n_bands=3, angstrom=waves
    )
    flat = fits.value("delta_temp") == 0.0

    assert flat.sum() >= 5
    assert (fits.status[flat] == 1).all()
    assert np.isnan(fits.error("tau_temp")[flat]).all()
    pull = (fits.value("temp_min") - 9000.0)[flat] / fits.error("temp_min")[flat]
    assert np.median(np.abs(pull)) < 1.5


def test_wavelengths_may_be_given_and_are_part_of_the_identity(table):
    waves = tuple(ANGSTROM[b] for b in "gri")
    by_name = FeatureSet.of(RainbowFit.of_bands(("g", "r", "i")), "gri")
    given = FeatureSet.of(
        [*RainbowFit.of_bands(("g", "r", "i"), waves), *RainbowBase.of_bands(tuple("gri"), waves)], "gri"
    )
    off = FeatureSet.of([RainbowFit("temp_min", (5000.0, 6000.0, 7000.0))], "gri")

    found = given.extract(nested(range(60)), ROLES)["features_multiband"]
    assert found.combine_chunks().equals(table["features_multiband"].combine_chunks().cast(found.type))
    assert len({s.fingerprint for s in (by_name, given, off)}) == 3
    assert off.extract(nested([0]), ROLES)["features_multiband"][0]["rainbow_temp_min"].as_py() != pytest.approx(
        table["features_multiband"][0]["rainbow_temp_min"].as_py(), rel=1e-3
    )


def test_bands_without_a_wavelength_have_no_rainbow():
    assert not any(f.fit in ("rainbow", "gp") for f in FeatureSet.fits(["BP", "RP"]).features)
    with pytest.raises(PlanError, match='no known wavelength of the band "BP", only of u, g, r, i, z, y'):
        FeatureSet.fits(["BP", "RP"], ["rainbow"])
    with pytest.raises(PlanError, match="2 wavelengths are not those of the bands g, r, i"):
        FeatureSet.of([RainbowFit("temp_min", (5000.0, 6000.0))], "gri").extract(nested([0]), ROLES)
    with pytest.raises(PlanError, match=r"wavelengths are positive, in Angstrom, and not \(-1.0,\)"):
        RainbowFit("temp_min", (-1.0,))
    with pytest.raises(PlanError, match=r'RainbowFit of rainbow has the numbers t0, .* not "tmin"'):
        RainbowFit("tmin")


def test_all_numbers_are_one_fit(monkeypatch):
    called = []
    monkeypatch.setattr(family, "fit_curves", lambda *a, **k: called.append(1) or fit_curves(*a, **k))
    FeatureSet.fits("gri", ["rainbow"]).extract(nested([0]), ROLES)

    assert called == [1]
