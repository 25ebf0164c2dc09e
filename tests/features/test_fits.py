"""Features of fits: sets of them, their units and nulls, and simulated supernovae and lenses through the whole way."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.features import Feature, FeatureSet, LightCurves
from lsdb_ts.features import fits as family
from lsdb_ts.features.fits import EVERY_MODEL, AmplitudeFit, BandFit, ObjectFit
from lsdb_ts.kernels.fits.least_squares import fit_curves
from lsdb_ts.kernels.fits.models import BAZIN, LENS, evaluate
from lsdb_ts.schema import Roles, unit_of

ROOT = Path(__file__).parents[2]
ROLES = Roles(time="t", band="band", flux="f", flux_error="e")
SHAPE = [60060.0, 4.0, 25.0]


def nested(curves, parts=("t", "band", "f", "e")):
    """Return the nested column of curves, each (times, bands, fluxes, errors), or None."""
    kind = pa.struct([(n, pa.list_(pa.string() if n == "band" else pa.float64())) for n in parts])
    rows = [None if c is None else dict(zip(parts, (list(p) for p in c), strict=True)) for c in curves]
    return pa.array(rows, kind)


def supernova(seed, n=60, model=BAZIN, shape=SHAPE, own=((100.0, 5.0), (60.0, -2.0))):
    rng = np.random.default_rng(seed)
    t, band = 60000 + np.sort(rng.uniform(0, 180, n)), rng.integers(0, 2, n)
    f = np.where(band == 0, *(evaluate(model, t, [*shape, *o]) for o in own)) + rng.normal(0, 2, n)
    return t, np.array(["g", "r"])[band], f, np.full(n, 2.0)


@pytest.fixture(scope="module")
def table():
    curves = nested([*(supernova(i) for i in range(30)), None, supernova(99, 3), ([], [], [], [])])
    return curves, FeatureSet.fits("gr").extract(curves, ROLES)


def test_fits_are_left_out_of_the_other_sets_and_make_one_of_their_own():
    fits = {f.name for f in FeatureSet.fits("gr").features}
    others = {f.name for s in (FeatureSet.full("gr"), FeatureSet.fast("gr")) for f in s.features}

    assert {"bazin_tau_rise", "villar_gamma_err", "linexp_tau", "tde_index", "fallback_t_decay", "ulens_u0"} <= fits
    assert {"bazin_joint_t0", "bazin_joint_a_err", "villar_joint_flag", "ulens_fs", "bazin_redchi2"} <= fits
    assert not fits & others
    assert len(fits) == len(FeatureSet.fits("gr").features)


def test_numbers_are_chosen_by_name_and_models_by_theirs():
    one = FeatureSet.of(["bazin_tau_rise", "ulens_te"], bands="gr")
    assert [type(f) for f in one.features] == [BandFit, ObjectFit]

    names = {f.name for f in FeatureSet.fits("gr", ["villar_joint"]).features}
    assert names >= {"villar_joint_a", "villar_joint_gamma", "villar_joint_redchi2"}
    assert all(name.startswith("villar_joint_") for name in names)


def test_every_number_has_a_unit_a_formula_a_source_and_survives_json_and_pickle():
    features = FeatureSet.fits("gr")
    units = {f.name: f.unit for f in features.features}

    assert {units[n] for n in ("bazin_a", "linexp_b_err", "ulens_fs", "villar_joint_a")} == {"value"}
    assert {units[n] for n in ("bazin_t0", "bazin_tau_fall_err", "ulens_te", "fallback_sigma")} == {"d"}
    assert {units[n] for n in ("villar_beta", "tde_index_err", "ulens_u0", "bazin_flag", "tde_redchi2")} == {"1"}
    for feature in features.features:
        assert feature.fit == "gp" or "; least squares fit of ``" in feature.formula
        assert feature.reference
        assert pickle.loads(pickle.dumps(feature)) == feature
        assert Feature.from_json(json.loads(json.dumps(feature.to_json()))) == feature
    assert FeatureSet.from_json(json.loads(json.dumps(features.to_json()))).fingerprint == features.fingerprint


def test_the_columns_are_those_declared_and_times_are_in_double_precision(table):
    _, found = table
    declared = pa.schema(list(FeatureSet.fits("gr").fields))

    assert found.schema.equals(declared, check_metadata=True)
    wide = {f.name for f in found.schema.field("features_g").type if f.type == pa.float64()}
    assert wide == {"bazin_t0", "villar_t0", "linexp_t0", "fleet_t0"}
    whole = found.schema.field("features_multiband").type
    assert {f.name for f in whole if f.type == pa.float64()} == {
        "bazin_joint_t0", "villar_joint_t0", "tde_t_peak", "fallback_t_peak", "ulens_t0", "rainbow_t0"
    }  # fmt: skip
    assert unit_of(whole.field("tde_t_peak")) == "d"


def test_supernovae_are_what_they_were_simulated_as(table):
    _, found = table
    whole, g = (found[name].combine_chunks() for name in ("features_multiband", "features_g"))
    for name, truth in zip(BAZIN.shape, SHAPE, strict=True):
        value, error = (whole.field(f"bazin_joint_{name}{e}").to_numpy(False)[:30] for e in ("", "_err"))
        assert np.median(np.abs(value - truth) / error) < 1.3
    assert np.median(g.field("bazin_joint_a").to_numpy(False)[:30]) == pytest.approx(100, rel=0.05)
    assert np.median(g.field("bazin_a").to_numpy(False)[:30]) == pytest.approx(100, rel=0.1)
    assert np.median(whole.field("bazin_joint_redchi2").to_numpy(False)[:30]) == pytest.approx(1.0, abs=0.15)
    assert (whole.field("bazin_joint_flag").to_numpy(False)[:30] == 0).mean() > 0.9


def test_numbers_are_those_of_the_kernel(table):
    curves, found = table
    flat = LightCurves.of(curves, ROLES, ("g", "r"))
    arrays = (flat.time_mjd, flat.values, flat.errors, flat.offsets)
    alone, together = fit_curves(BAZIN, *arrays), fit_curves(BAZIN, *arrays, n_bands=2)
    r, whole = (found[name].combine_chunks() for name in ("features_r", "features_multiband"))

    taken = np.arange(30)
    expected = alone.error("tau_fall").reshape(-1, 2)[taken, 1]
    np.testing.assert_allclose(r.field("bazin_tau_fall_err").to_numpy(False)[taken], expected, rtol=1e-6)
    np.testing.assert_allclose(
        r.field("bazin_joint_b").to_numpy(False)[taken], together.value("b")[taken, 1], rtol=1e-6
    )
    np.testing.assert_array_equal(whole.field("bazin_joint_t0").to_numpy(False)[taken], together.value("t0")[taken])


def test_all_numbers_of_a_model_are_one_fit(monkeypatch):
    called = []
    monkeypatch.setattr(family, "fit_curves", lambda *a, **k: called.append(a[0].name) or fit_curves(*a, **k))
    FeatureSet.fits("gr", ["bazin", "tde"]).extract(nested([supernova(0)]), ROLES)

    assert called == ["bazin", "tde"]


def test_without_epochs_only_the_flag_speaks(table):
    _, found = table
    for row in (30, 31, 32):
        for column in ("features_g", "features_r", "features_multiband"):
            numbers = {n: v for n, v in found[column][row].as_py().items() if not n.startswith("gp_")}
            assert {v for n, v in numbers.items() if n.endswith("_flag")} == {4.0}
            assert {v for n, v in numbers.items() if not n.endswith("_flag")} == {None}


def test_a_lens_is_one_in_all_bands():
    curves = nested([supernova(i, 80, LENS, [60090.0, 15.0, 0.3], ((50.0, 100.0), (200.0, 0.0))) for i in range(20)])
    found = FeatureSet.fits("gr", ["ulens"]).extract(curves, ROLES)
    whole, r = (found[name].combine_chunks() for name in ("features_multiband", "features_r"))

    assert np.median(whole.field("ulens_te").to_numpy()) == pytest.approx(15.0, rel=0.05)
    assert np.median(whole.field("ulens_u0").to_numpy()) == pytest.approx(0.3, rel=0.1)
    assert np.median(r.field("ulens_fs").to_numpy()) == pytest.approx(200.0, rel=0.1)
    pull = (r.field("ulens_fb").to_numpy() - 0.0) / r.field("ulens_fb_err").to_numpy()
    assert np.median(np.abs(pull)) < 1.3


def test_magnitudes_have_no_fits():
    t, band, f, e = supernova(0)
    curves = nested([(t, band, 25 - 0.01 * f, 0.01 * e)], ("t", "band", "m", "s"))
    features = FeatureSet.fits("gr")
    row = features.extract(curves, Roles(time="t", band="band", mag="m", mag_error="s")).to_pylist()[0]
    of_fluxes = {f.name for f in features.features if f.fluxes_only}

    assert {f.fit for f in features.features if not f.fluxes_only} == {"fleet", "tail"}
    assert {v for column in row.values() for n, v in column.items() if n in of_fluxes} == {None}


def test_models_and_numbers_that_there_are_not_are_named():
    with pytest.raises(PlanError, match=rf'there are fits of {", ".join(EVERY_MODEL)}; not of "salt2"'):
        FeatureSet.fits("gr", ["salt2"])
    with pytest.raises(PlanError, match='BandFit knows the models bazin, villar, linexp; not "ulens"'):
        BandFit("ulens", "u0")
    with pytest.raises(PlanError, match=r'ObjectFit of tde has the numbers t_peak, sigma, .* not "tau"'):
        ObjectFit("tde", "tau")
    with pytest.raises(PlanError, match='AmplitudeFit of tde has the numbers a, a_err; not "redchi2"'):
        AmplitudeFit("tde", "redchi2")


@pytest.fixture(scope="module")
def real():
    """Return light curves of 150 simulated DES supernovae Ia of good signal, and their times of maximum."""
    folder = Path(os.environ.get("LSDB_TS_DATA", ROOT.parent / "shared" / "data")) / "snpcc2010_sim"
    if not folder.exists():
        pytest.skip(f"no supernovae at {folder}: set LSDB_TS_DATA to the folder that holds snpcc2010_sim")
    objects = pq.read_table(folder / "objects.parquet", filters=[("sim_type", "=", "Ia")]).to_pandas()
    sources = pq.read_table(folder / "sources.parquet").to_pandas()
    bright = sources.groupby("snid")["snr"].max()
    chosen = objects[objects["snid"].map(bright) > 20].iloc[:150]
    groups = sources[sources["snid"].isin(chosen["snid"])].groupby("snid")
    parts = [groups.get_group(i)[["mjd", "band", "flux", "fluxerr"]].to_numpy().T for i in chosen["snid"]]
    return nested(parts), chosen["sim_peakmjd"].to_numpy()


def test_simulated_surveys_give_the_time_of_maximum(real):
    curves, peak = real
    table = FeatureSet.fits("griz", ["bazin_joint"]).extract(curves, ROLES)
    whole = table["features_multiband"].combine_chunks()
    t0, rise, fall, flag = (whole.field(f"bazin_joint_{n}").to_numpy(False) for n in (*BAZIN.shape, "flag"))
    late = t0 + rise * np.log(fall / rise - 1) - peak

    assert (flag == 0).mean() > 0.9
    assert abs(np.median(late)) < 3.0
    assert (np.abs(late - np.median(late)) < 5.0).mean() > 0.8


def test_all_bands_together_tell_peaks_and_temperatures_of_simulated_surveys(real):
    curves, peak = real
    table = FeatureSet.fits("griz", ["rainbow", "gp"]).extract(curves, ROLES)
    whole = table["features_multiband"].combine_chunks()
    flag, low, delta, late = (
        whole.field(n).to_numpy(False) for n in ("rainbow_flag", "rainbow_temp_min", "rainbow_delta_temp", "gp_t_peak")
    )

    assert (flag <= 1).mean() > 0.9
    # At t0, before maximum.
    assert 6000 < np.median(low + delta / 2) < 16000
    assert abs(np.median(late - peak)) < 3.0
    assert (np.abs(late - peak) < 6.0).mean() > 0.7
