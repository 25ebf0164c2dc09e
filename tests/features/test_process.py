"""Features of the Gaussian process through all bands: names, units and nulls, and supernovae through the whole way."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.features import Feature, FeatureSet
from lsdb_ts.features import process as family
from lsdb_ts.features.process import BandProcess, ObjectProcess, ProcessColour
from lsdb_ts.kernels.fits.models import BAZIN, evaluate
from lsdb_ts.kernels.fits.process_peaks import process_peaks
from lsdb_ts.lightcurves.gaussian import ANGSTROM
from lsdb_ts.schema import Roles, unit_of

ROLES = Roles(time="t", band="band", flux="f", flux_error="e")
AMPLITUDES = {"g": 100.0, "r": 60.0}


def nested(curves, parts=("t", "band", "f", "e")):
    """Return the nested column of curves, each (times, bands, fluxes, errors), or None."""
    kind = pa.struct([(n, pa.list_(pa.string() if n == "band" else pa.float64())) for n in parts])
    rows = [None if c is None else dict(zip(parts, (list(p) for p in c), strict=True)) for c in curves]
    return pa.array(rows, kind)


def supernova(seed, n=60, bands="gr"):
    rng = np.random.default_rng(seed)
    t, band = 60000 + np.sort(rng.uniform(0, 180, n)), np.array(list(bands))[rng.integers(0, len(bands), n)]
    f = np.array([evaluate(BAZIN, [x], [60060.0, 4, 25, AMPLITUDES[b], 0])[0] for x, b in zip(t, band, strict=True)])
    return t, band, f + rng.normal(0, 2, n), np.full(n, 2.0)


@pytest.fixture(scope="module")
def table():
    curves = nested([*(supernova(i) for i in range(30)), supernova(50, bands="g"), None, supernova(99, 2), ([],) * 4])
    return curves, FeatureSet.fits("gr", ["gp"]).extract(curves, ROLES)


def test_the_set_holds_scale_peaks_spans_and_colours_with_their_units(table):
    _, found = table
    units = {f.name: unit_of(f) for name in ("features_g", "features_multiband") for f in found.schema.field(name).type}

    spans = {f"gp_{way}_{p}" for way in ("rise", "fade") for p in (80, 50, 20)}
    assert set(units) == {
        "gp_f_peak",
        "gp_peak_delay",
        *spans,
        "gp_scale",
        "gp_amplitude",
        "gp_t_peak",
        "gp_colour_g_r",
    }
    assert {n for n, unit in units.items() if unit == "value"} == {"gp_f_peak", "gp_amplitude"}
    assert units["gp_colour_g_r"] == "mag"
    assert {unit for n, unit in units.items() if n in spans | {"gp_scale", "gp_t_peak", "gp_peak_delay"}} == {"d"}
    whole = found.schema.field("features_multiband").type
    assert [f.name for f in whole if f.type == pa.float64()] == ["gp_t_peak"]


def test_supernovae_are_what_they_were_simulated_as(table):
    _, found = table
    whole, g, r = (found[f"features_{name}"].combine_chunks() for name in ("multiband", "g", "r"))
    days = np.linspace(0, 180, 10001)
    truth = evaluate(BAZIN, days, [60, 4, 25, 1, 0])
    peak = days[truth.argmax()]

    assert np.median(whole.field("gp_t_peak").to_numpy(False)[:30]) == pytest.approx(60000 + peak, abs=2.0)
    # Bands are alike to the process before it sees them.
    assert np.median(whole.field("gp_colour_g_r").to_numpy(False)[:30]) == pytest.approx(-0.555, abs=0.08)
    for band, own in ((g, 100.0), (r, 60.0)):
        assert np.median(band.field("gp_f_peak").to_numpy(False)[:30]) == pytest.approx(own * truth.max(), rel=0.1)
        fade = days[np.flatnonzero(truth > 0.5 * truth.max())[-1]] - peak
        assert np.median(band.field("gp_fade_50").to_numpy(False)[:30]) == pytest.approx(fade, rel=0.15)
    assert (g.field("gp_rise_80").to_numpy(False) < g.field("gp_rise_20").to_numpy(False))[:30].all()


def test_nulls_are_where_there_is_nothing_to_tell(table):
    _, found = table
    rows = {n: found[f"features_{n}"].to_pylist() for n in ("g", "r", "multiband")}

    assert set(rows["r"][30].values()) == {None}
    assert rows["g"][30]["gp_f_peak"] is not None
    assert rows["multiband"][30]["gp_t_peak"] is not None
    assert rows["multiband"][30]["gp_colour_g_r"] is None
    for empty in (31, 32, 33):
        assert {v for row in rows.values() for v in row[empty].values()} == {None}


def test_magnitudes_have_no_process():
    t, band, f, e = supernova(0)
    curves = nested([(t, band, 25 - 0.01 * f, 0.01 * e)], ("t", "band", "m", "s"))
    found = FeatureSet.fits("gr", ["gp"]).extract(curves, Roles(time="t", band="band", mag="m", mag_error="s"))
    assert {v for column in found.to_pylist()[0].values() for v in column.values()} == {None}


def test_every_feature_is_one_process_and_says_what_it_is(monkeypatch):
    called = []
    monkeypatch.setattr(family, "process_peaks", lambda *a: called.append(1) or process_peaks(*a))
    chosen = FeatureSet.fits("gr", ["gp"])
    chosen.extract(nested([supernova(0)]), ROLES)

    assert called == [1]
    for feature in chosen.features:
        assert feature.reference == "Boone 2019, AJ 158, 257"
        assert len(feature.formula) > 40
        assert pickle.loads(pickle.dumps(feature)) == feature
        assert Feature.from_json(json.loads(json.dumps(feature.to_json()))) == feature


def test_other_sets_do_not_hold_them():
    names = {f.name for s in (FeatureSet.full("gr"), FeatureSet.fast("gr")) for f in s.features}
    assert not any(name.startswith("gp_") for name in names)


def test_wavelengths_of_other_bands_may_be_given(table):
    curves, found = table
    waves = (ANGSTROM["g"], ANGSTROM["r"])
    given = FeatureSet.of(
        [BandProcess("f_peak", waves), ProcessColour("g", "r", waves), *ObjectProcess.of_bands(("g", "r"), waves)], "gr"
    )
    again = given.extract(curves, ROLES)

    assert (
        again["features_multiband"]
        .combine_chunks()
        .field("gp_scale")
        .equals(found["features_multiband"].combine_chunks().field("gp_scale"))
    )
    assert ObjectProcess.of_bands(("BP", "RP")) == BandProcess.of_bands(("BP", "RP")) == ()
    assert ProcessColour.of_bands(("BP", "RP"), waves)[0].name == "gp_colour_BP_RP"


def test_numbers_that_there_are_not_are_named():
    with pytest.raises(PlanError, match=r'BandProcess has the numbers f_peak, peak_delay, rise_80, .* not "width"'):
        BandProcess("width")
    with pytest.raises(PlanError, match='ObjectProcess has the numbers scale, amplitude, t_peak; not "f_peak"'):
        ObjectProcess("f_peak")
