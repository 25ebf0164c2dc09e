"""Feature sets: what they read, declare and give, from nested columns of every kind."""

import json
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.features import FeatureSet, LightCurves, all_features
from lsdb_ts.features.colour import MeanColour
from lsdb_ts.features.curves import blocks_of
from lsdb_ts.features.sets import always_defined
from lsdb_ts.features.variability import Amplitude
from lsdb_ts.kernels.periods.search import PeriodSearch
from lsdb_ts.schema import Roles

ROLES = Roles(time="t", band="band", flux="f", flux_error="e")
QUICK = PeriodSearch(max_frequencies=20_000)
FULL_GR = FeatureSet.full("gr", (0.2, 2.0), QUICK)


def column(n_objects=12, n_epochs=70, seed=0, band_type=None, extra=None):
    """Return a nested column of variables of period 0.41 d + 0.07 d i, and its epochs as plain arrays."""
    rng = np.random.default_rng(seed)
    n = n_objects * n_epochs
    offsets = pa.array(np.arange(n_objects + 1) * n_epochs, pa.int32())
    owner = np.repeat(np.arange(n_objects), n_epochs)
    t = np.sort(60000 + rng.uniform(0, 400, (n_objects, n_epochs)), axis=1).ravel()
    band = rng.choice(list("ugr"), n)
    f = (1000 + 400 * np.sin(2 * np.pi * t / (0.41 + 0.07 * owner)) + rng.normal(0, 10, n)).astype(np.float32)
    e = np.full(n, 10, np.float32)
    bands = pa.array(band) if band_type is None else pa.array(band).cast(band_type)
    parts = {"t": pa.array(t), "band": bands, "f": pa.array(f), "e": pa.array(e), **(extra or {})}
    lists = [pa.ListArray.from_arrays(offsets, part) for part in parts.values()]
    return pa.StructArray.from_arrays(lists, names=list(parts)), (owner, t, band, f, e)


def test_the_output_is_the_one_declared_before():
    for features in (FULL_GR, FeatureSet.fast("gr")):
        nothing = column()[0].slice(0, 0)
        assert features.extract(column()[0], ROLES).schema.equals(pa.schema(list(features.fields)), check_metadata=True)
        assert features.extract(nothing, ROLES).schema.equals(pa.schema(list(features.fields)), check_metadata=True)
        assert features.extract(pa.chunked_array([], nothing.type), ROLES).num_rows == 0


def test_periods_and_colours_come_with_the_full_set_and_not_with_the_fast_one():
    multiband = {f.name for f in FULL_GR.fields[-1].type}

    assert {"period", "period_2", "period_power", "period_fap", "n_total", "colour_g_r"} <= multiband
    assert {"amp_h1", "r21", "phi21", "mean_w", "stetson_j"} <= {f.name for f in FULL_GR.fields[0].type}
    assert not any(f.name.startswith("period") for f in FeatureSet.fast("gr").fields[-1].type)
    assert [f.name for f in FeatureSet.full().fields][::6] == ["features_u", "features_multiband"]


def test_periods_are_found_and_statistics_are_those_of_the_band():
    curves, (owner, t, band, f, e) = column()
    table = FULL_GR.extract(curves, ROLES)
    period = table["features_multiband"].combine_chunks().field("period").to_numpy()
    in_g = (owner == 3) & (band == "g")

    np.testing.assert_allclose(period, 0.41 + 0.07 * np.arange(12), rtol=1e-4)
    g = table["features_g"][3].as_py()
    assert g["n_epochs"] == in_g.sum()
    assert g["mean_w"] == pytest.approx(np.average(f[in_g], weights=1 / e[in_g] ** 2), rel=1e-6)
    assert g["duration"] == pytest.approx(np.ptp(t[in_g]), rel=1e-6)
    assert g["amp_h1"] == pytest.approx(400, rel=0.1)
    assert g["r21"] < 0.1


def test_a_missing_band_is_null_in_its_members_and_in_its_colours():
    row = FeatureSet.full("gry", (0.2, 2.0), QUICK).extract(column(1)[0], ROLES).to_pylist()[0]

    assert row["features_y"].pop("n_epochs") == row["features_y"].pop("n_all") == 0
    assert set(row["features_y"].values()) == {None}
    assert row["features_multiband"]["colour_g_r"] is not None
    assert row["features_multiband"]["colour_r_y"] is None


@pytest.mark.parametrize("band_type", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_bands_may_be_stored_in_any_way_and_in_chunks_that_disagree(band_type):
    curves, _ = column(band_type=band_type)
    expected = FULL_GR.extract(column()[0], ROLES)
    chunked = pa.chunked_array([curves.slice(0, 5), curves.slice(5, 0), curves.slice(5)])

    assert FULL_GR.extract(curves, ROLES).equals(expected)
    assert FULL_GR.extract(chunked, ROLES).equals(expected)


def test_flagged_epochs_are_dropped_and_counted_and_a_null_flag_is_a_flag():
    flags = np.zeros(12 * 70, dtype=bool)
    flags[:30] = True
    unknown = np.arange(flags.size) == 40
    curves, (_, _, band, _, _) = column(extra={"bad": pa.array(flags, mask=unknown)})
    roles = Roles(time="t", band="band", flux="f", flux_error="e", quality="bad")
    table = FeatureSet.fast("gr").extract(curves, roles)
    mine = np.isin(band[:70], ["g", "r"])
    refused = flags[:70] | unknown[:70]

    assert FeatureSet.fast("gr").inputs(roles) == ("t", "band", "f", "e", "bad")
    assert table["features_multiband"][0]["n_total"].as_py() == (mine & ~refused).sum()
    assert table["features_multiband"][0]["n_dropped"].as_py() == (mine & refused).sum()
    assert table["features_multiband"][1]["n_dropped"].as_py() == 0


def test_an_absurd_time_is_dropped_and_the_period_found_all_the_same():
    curves, (_, t, _, f, e) = column(1)
    absurd = t.copy()
    absurd[7] = -2409998.5
    lists = [pa.ListArray.from_arrays(pa.array([0, 70], pa.int32()), part) for part in map(pa.array, (absurd, f, e))]
    spoiled = pa.StructArray.from_arrays([lists[0], curves.field("band"), *lists[1:]], names=["t", "band", "f", "e"])
    row = FeatureSet.full("ugr", (0.2, 2.0), QUICK).extract(spoiled, ROLES).to_pylist()[0]["features_multiband"]

    assert row["n_dropped"] == 1
    assert row["period"] == pytest.approx(0.41, rel=1e-4)


def test_magnitudes_serve_where_there_are_no_fluxes():
    curves, (owner, t, band, f, e) = column()
    mags = (31.4 - 2.5 * np.log10(f)).astype(np.float32)
    lists = [pa.ListArray.from_arrays(curves.field("t").offsets, pa.array(p)) for p in (t, band, mags, 1.0857 * e / f)]
    in_mag = pa.StructArray.from_arrays(lists, names=["t", "band", "m", "s"])
    roles = Roles(time="t", band="band", mag="m", mag_error="s")
    row = FULL_GR.extract(in_mag, roles).to_pylist()[2]

    assert FULL_GR.inputs(roles) == ("t", "band", "m", "s")
    assert row["features_multiband"]["period"] == pytest.approx(0.55, rel=1e-4)
    assert row["features_g"]["excess_var"] is None
    assert row["features_g"]["frac_sigma"] is None
    g, r = (np.average(mags[s], weights=(f[s] / e[s]) ** 2) for s in ((owner == 2) & (band == b) for b in "gr"))
    assert row["features_multiband"]["colour_g_r"] == pytest.approx(g - r, abs=1e-5)


def test_null_curves_hide_their_lists_and_null_lists_are_empty():
    curves, _ = column(3)
    masked = pa.StructArray.from_arrays(
        curves.flatten(), names=["t", "band", "f", "e"], mask=pa.array([False, True, False])
    )
    table = FeatureSet.fast("gr").extract(masked, ROLES)

    assert table["features_multiband"][1]["n_total"].as_py() == 0
    assert table["features_g"][1]["mean_w"].as_py() is None
    assert table.slice(2, 1).equals(FeatureSet.fast("gr").extract(curves.slice(2, 1), ROLES))


def test_a_set_is_the_same_after_json_and_pickle_and_its_fingerprint_tells_sets_apart():
    sets = [FeatureSet.full(), FULL_GR, FeatureSet.fast("gr"), FeatureSet.full("gr", (0.2, 3.0), QUICK)]
    for features in sets:
        again = FeatureSet.from_json(json.loads(json.dumps(features.to_json())))
        assert again == features == pickle.loads(pickle.dumps(features))
        assert again.fingerprint == features.fingerprint
    assert len({features.fingerprint for features in sets}) == len(sets)


def test_periods_and_harmonics_that_were_not_asked_for_are_null():
    table = FeatureSet.full("gr", (0.2, 2.0), replace(QUICK, n_periods=1, n_harmonics=1)).extract(column()[0], ROLES)
    whole, band = (table[name].combine_chunks() for name in ("features_multiband", "features_g"))
    assert whole.field("period").null_count == 0
    assert {whole.field(name).null_count for name in ("period_2", "period_3", "period_margin")} == {12}
    assert band.field("amp_h1").null_count == 0
    assert {band.field(name).null_count for name in ("amp_h2", "r21", "phi21", "phi31")} == {12}


def test_what_is_missing_is_named():
    curves, _ = column()
    with pytest.raises(PlanError, match="flux and flux_error, or mag and mag_error"):
        FULL_GR.inputs(Roles(time="t", band="band", flux="f"))
    with pytest.raises(PlanError, match="a time and a band"):
        FULL_GR.inputs(Roles(band="band", flux="f", flux_error="e"))
    with pytest.raises(PlanError, match='no part "flux"'):
        FULL_GR.extract(curves, Roles(time="t", band="band", flux="flux", flux_error="e"))
    with pytest.raises(PlanError, match="a struct of lists"):
        FULL_GR.extract(pa.array([{"t": 1.0}]), ROLES)


def test_lists_of_different_lengths_name_the_curve():
    rows = [
        {"t": [1.0], "band": ["g"], "f": [1.0], "e": [1.0]},
        {"t": [1.0, 2.0], "band": ["g"], "f": [1.0], "e": [1.0]},
    ]

    with pytest.raises(InputError, match=r'light curve 1: the list "band" has 1 items and "t" has 2'):
        FULL_GR.extract(pa.array(rows), ROLES)


def test_sets_that_make_no_sense_are_refused():
    with pytest.raises(PlanError, match="each once"):
        FeatureSet.full("grg")
    with pytest.raises(PlanError, match="0 < shortest < longest"):
        FeatureSet.full("gr", (1.0, 0.2))
    with pytest.raises(PlanError, match="need a period search"):
        FeatureSet("x", ("g",), FULL_GR.features)
    with pytest.raises(PlanError, match="needs features"):
        FeatureSet("x", ("g",), ())
    with pytest.raises(PlanError, match="in the set twice"):
        FeatureSet("x", ("g",), FULL_GR.features + FULL_GR.features, QUICK)


def test_a_set_for_other_bands_than_those_there_are_warns_which_there_are():
    curve = {"t": [float(i) for i in range(600)], "band": ["V", "I"] * 300, "m": [15.0] * 600, "e": [0.1] * 600}
    curves = pa.array([curve, curve])
    roles = Roles(time="t", band="band", mag="m", mag_error="e")
    told = r"none of 1200 epochs is in the bands u, g.* not in the set are V, I: if one is the other, name it"
    with pytest.warns(UserWarning, match=told):
        table = FeatureSet.fast().extract(curves, roles)
    assert table.num_rows == 2
    assert FeatureSet.fast(bands="VI").extract(curves, roles).num_rows == 2
    with pytest.warns(UserWarning, match=r"in the bands R of .* not in the set are I: if one"):
        FeatureSet.fast(bands="VR").extract(curves, roles)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FeatureSet.fast(bands="V").extract(curves, roles)
        FeatureSet.fast(bands="VIU").extract(curves, roles)


def test_bands_may_be_bytes_and_must_be_names():
    text, _ = column()
    parts = dict(zip((f.name for f in text.type), text.flatten(), strict=True))
    parts["band"] = parts["band"].cast(pa.list_(pa.binary()))
    in_bytes = pa.StructArray.from_arrays(list(parts.values()), list(parts))
    assert FeatureSet.fast("gr").extract(in_bytes, ROLES).equals(FeatureSet.fast("gr").extract(text, ROLES))
    with pytest.raises(PlanError, match='are no bands: give letters, "gr", or a list'):
        FeatureSet.fast("g,r")


def test_curves_of_one_band_need_not_name_it():
    curves, _ = column()
    g = pc.equal(curves.field("band").flatten(), "g").to_numpy(zero_copy_only=False)
    parent = np.repeat(np.arange(len(curves)), pc.list_value_length(curves.field("t")).to_numpy())
    offsets = pa.array(np.concatenate([[0], np.cumsum(np.bincount(parent[g], minlength=len(curves)))]), pa.int32())
    lists = [pa.ListArray.from_arrays(offsets, curves.field(n).flatten().filter(pa.array(g))) for n in ("t", "f", "e")]
    alone = pa.StructArray.from_arrays(lists, ["t", "f", "e"])
    found = FeatureSet.fast("g").extract(alone, Roles(time="t", flux="f", flux_error="e"))
    assert found.equals(FeatureSet.fast("g").extract(curves, ROLES))
    with pytest.raises(PlanError, match=r"a set of a single one, as in FeatureSet.fast\(\['V'\]\)"):
        FeatureSet.fast("gr").extract(alone, Roles(time="t", flux="f", flux_error="e"))


@pytest.mark.parametrize("none", [99.0, 99.999, -999.0, -99.0])
def test_what_stands_for_a_missing_magnitude_is_none(none):
    curve = {"t": list(map(float, range(9))), "band": ["g"] * 9, "m": [15.0, 15.2, 15.1] * 3, "e": [0.1] * 9}
    spoilt = {n: [*v[:5], {"t": 4.5, "band": "g", "m": none, "e": 0.1}[n], *v[5:]] for n, v in curve.items()}
    roles = Roles(time="t", band="band", mag="m", mag_error="e")
    clean, dirty = (FeatureSet.fast("g").extract(pa.array([c]), roles).to_pylist()[0] for c in (curve, spoilt))
    assert dirty["features_multiband"].pop("n_dropped") == clean["features_multiband"].pop("n_dropped") + 1
    differ = {n for n, v in clean["features_g"].items() if v != dirty["features_g"][n]}
    assert differ <= {"n_all", "n_dropped"}


def test_sets_are_added_where_they_agree():
    both = FeatureSet.fast("gr") + FULL_GR
    assert both.search == FULL_GR.search
    assert [f.name for f in both.features] == list(
        dict.fromkeys(f.name for f in (*FeatureSet.fast("gr").features, *FULL_GR.features))
    )
    with pytest.raises(PlanError, match="differ in their bands"):
        FeatureSet.fast("gr") + FeatureSet.fast("ri")
    with pytest.raises(PlanError, match="differ in their search"):
        FULL_GR + FeatureSet.full("gr", (0.3, 0.4))


def test_a_set_of_names_classes_and_features_holds_them_in_their_sequence():
    chosen = FeatureSet.of(["sigma", MeanColour, Amplitude("alerce")], "gri")
    names = [f.name for f in chosen.features]

    assert names == ["sigma", "colour_g_r", "colour_r_i", "amplitude"]
    assert chosen.search is None
    assert FeatureSet.of(["period", "colour_g_r"], "gr").search == PeriodSearch()
    with pytest.raises(PlanError, match=r'no feature "sigmaa" for the bands .*did you mean "sigma"'):
        FeatureSet.of(["sigmaa"], "gr")
    with pytest.raises(PlanError, match='no feature "colour_g_r" for the bands'):
        FeatureSet.of(["colour_g_r"], "ri")


def test_a_definition_is_taken_for_all_that_have_it():
    names = ["amplitude", "mean_w", "sigma", "max_slope"]
    first, alerce, richards = (FeatureSet.of(names, "gr", definition=d) for d in (None, "alerce", "richards11"))

    assert [f.definition for f in alerce.features if f.definitions] == ["alerce"] * 3
    assert [f.definition for f in richards.features if f.definitions] == ["richards11", "lsst", "richards11"]
    assert len({s.fingerprint for s in (first, alerce, richards)}) == 3
    rows = [s.extract(column()[0], ROLES)["features_g"][0].as_py() for s in (first, alerce, richards)]
    assert rows[0]["amplitude"] == pytest.approx(rows[2]["amplitude"] / 2)
    assert rows[1]["amplitude"] < rows[0]["amplitude"]
    assert len({row["mean_w"] for row in rows}) == 1
    with pytest.raises(PlanError, match='none of these features has a definition "alerse"'):
        FeatureSet.of(names, "gr", definition="alerse")
    with pytest.raises(PlanError, match=r"\['amplitude'\] are in the set twice; by another definition"):
        FeatureSet.of(["amplitude", Amplitude("alerce")], "gr")


def test_a_set_tells_its_features_with_units_formulas_and_sources():
    chosen = FeatureSet.of(["amplitude", "lin_slope", "n_total"], "gr", definition="richards11")
    text, page = repr(chosen), chosen._repr_html_()

    assert text.splitlines()[0] == "FeatureSet own: 2 for each of the bands g, r; 1 over all"
    assert "  amplitude  value    Amplitude of the values. The range, max - min; Richards" in text
    assert "features_multiband\n  n_total    1 " in text
    assert max(map(len, text.splitlines())) <= 118
    for told in ("amplitude", "value/d", "max - min", "Richards et al. 2011, ApJ 733, 10, linear_trend", "n_total"):
        assert told in page
    assert page.count("<tr>") == 6


def test_the_fast_set_has_neither_periods_nor_fits_and_the_full_one_has_all():
    fast, full = ({f.name for f in s.features} for s in (FeatureSet.fast("gr"), FeatureSet.full("gr")))

    assert fast < full
    kinds = [kind for kind in all_features() if not kind.on_request]
    assert {f.name for kind in kinds for f in kind.of_bands(("g", "r"))} == full
    assert not any(kind.needs_period or kind.costly for kind in map(type, FeatureSet.fast("gr").features))
    assert {"n_all", "t_first", "excess_var_raw", "lin_redchi2", "otsu_std_upper", "con", "gskew", "fpr_mid80"} <= fast


def test_large_tables_are_worked_on_part_by_part(monkeypatch):
    curves, _ = column(40)
    chunked = pa.chunked_array([curves.slice(0, 7), curves.slice(7, 0), curves.slice(7, 20), curves.slice(27)])
    features = FeatureSet.of(["mean_w", "eta", "colour_g_r", "n_dropped"], "gr")
    whole = features.extract(chunked, ROLES)
    parts = list(blocks_of(chunked, "t", 5 * 70))
    monkeypatch.setattr("lsdb_ts.features.sets._BLOCK_EPOCHS", 5 * 70)

    assert [row for row, _ in parts] == [0, 5, 10, 15, 20, 25, 30, 35]
    assert pa.chunked_array([c for _, part in parts for c in part.chunks]).equals(chunked)
    assert features.extract(chunked, ROLES).equals(whole)
    rows = [*chunked.to_pylist(), {"t": [1.0, 2.0], "band": ["g"], "f": [1.0], "e": [1.0]}]
    with pytest.raises(InputError, match=r'light curve 40: the list "band" has 1 items and "t" has 2'):
        features.extract(pa.chunked_array([pa.array(rows, chunked.type)]), ROLES)


def test_counts_tell_of_no_measurement():
    assert {"n_epochs", "n_all", "n_total", "n_bands", "n_dropped", "psfFluxNdata"} <= always_defined()
    assert not {"mean_w", "psfFluxMean", "duration"} & always_defined()


def test_times_of_epochs_keep_their_seconds():
    row = FeatureSet.of(["t_first", "t_last"], "gr").extract(column()[0], ROLES)["features_g"][0].as_py()
    _, (owner, t, band, _, _) = column()
    mine = t[(owner == 0) & (band == "g")]

    assert (row["t_first"], row["t_last"]) == (mine[0], mine[-1])


def test_statistics_asked_for_one_by_one_are_those_of_one_pass():
    curves = LightCurves.of(column()[0], ROLES, ("g", "r"))
    together = LightCurves.of(column()[0], ROLES, ("g", "r"))
    names = ["roms", "mad", "stetson_j", "eta"]
    together.prepare(names)

    for name in names:
        np.testing.assert_array_equal(curves.statistic(name), together.statistic(name))
    assert curves.statistic("roms").shape == (12, 2)


@pytest.mark.parametrize("names", ["gr", ["g", "red"]])
def test_bands_of_one_letter_and_of_several_are_read_alike(names):
    curves, (_, t, band, f, e) = column()
    texts = np.where(band == "g", names[0], np.where(band == "r", names[1], "u"))
    lists = [pa.ListArray.from_arrays(curves.field("t").offsets, pa.array(p)) for p in (t, texts, f, e)]
    named = pa.StructArray.from_arrays(lists, names=["t", "band", "f", "e"])
    found = FeatureSet.of(["mean_w"], names).extract(named, ROLES)
    expected = FeatureSet.of(["mean_w"], "gr").extract(curves.slice(3), ROLES)

    assert found.slice(3).columns[1].combine_chunks().equals(expected.columns[1].combine_chunks())
    assert FeatureSet.of(["mean_w"], names).extract(named.slice(3), ROLES).columns[0].equals(found.slice(3).columns[0])
