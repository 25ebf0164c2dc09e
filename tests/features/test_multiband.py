"""Features of several bands together, on curves whose answer is known."""

import numpy as np
import pytest

from lsdb_ts.features import FeatureSet
from lsdb_ts.features.multiband import PeakColour
from lsdb_ts.features.protocol import Feature


def visits(n=200, seed=0):
    """Return times of two bands, half of them a quarter of an hour apart."""
    rng = np.random.default_rng(seed)
    g = np.sort(rng.uniform(60000, 61000, n))
    r = g + np.where(np.arange(n) % 2, 0.01, 1.0)
    return g, r, rng


def one(nested_curves, names, g, r, is_flux=True):
    table = FeatureSet.of(names, "gr").extract(*nested_curves([g], [r], is_flux=is_flux))
    return table["features_multiband"][0].as_py()


STETSON = ["n_band_pairs", "welch_stetson_j", "welch_stetson_k", "welch_stetson_l"]


def test_bands_that_vary_together_have_a_large_index_and_noise_has_none(nested_curves):
    g, r, rng = visits()
    e = np.full(200, 10.0)
    noise = [(t, 500 + 10 * rng.normal(size=200), e) for t in (g, r)]
    together = [(t, 500 + 100 * np.sin(t / 5), e) for t in (g, r)]
    against = [(g, 500 + 100 * np.sin(g / 5), e), (r, 500 - 100 * np.sin(r / 5), e)]

    quiet, loud, opposed = (one(nested_curves, STETSON, *pair) for pair in (noise, together, against))
    assert quiet["n_band_pairs"] >= 100
    assert abs(quiet["welch_stetson_j"]) < 0.3
    assert quiet["welch_stetson_k"] == pytest.approx(0.798, abs=0.05)
    assert loud["welch_stetson_j"] > 5
    assert opposed["welch_stetson_j"] < -5
    assert loud["welch_stetson_l"] == pytest.approx(loud["welch_stetson_j"] * loud["welch_stetson_k"] / 0.798, rel=1e-6)


def test_without_pairs_there_is_a_count_and_no_index(nested_curves):
    t = np.arange(60000.0, 60040.0, 4)
    row = one(nested_curves, STETSON, (t, t - 59000, np.ones(10)), (t + 2, t - 59000, np.ones(10)))

    assert row == {"n_band_pairs": 0.0, "welch_stetson_j": None, "welch_stetson_k": None, "welch_stetson_l": None}


def test_the_ratio_of_amplitudes_is_that_of_the_waves(nested_curves):
    g, r, _ = visits()
    wave = [(t, 500 + a * np.sin(t / 5), np.ones(200)) for t, a in ((g, 100.0), (r, 72.0))]

    assert one(nested_curves, ["amp_ratio_g_r"], *wave)["amp_ratio_g_r"] == pytest.approx(100 / 72, rel=0.05)
    still = (r, np.full(200, 5.0), np.ones(200))
    assert one(nested_curves, ["amp_ratio_g_r"], wave[0], still)["amp_ratio_g_r"] is None


def supernova(t, peak, width=10.0):
    return peak * np.exp(-0.5 * ((t - 60050) / width) ** 2) + 1.0


def test_colours_at_the_peak_and_around_it_are_those_of_the_event(nested_curves):
    g, r = np.arange(60000.0, 60100.0, 2.0), np.arange(60001.0, 60100.0, 2.0)
    # Red peaks at the same time and is wider, so the colour grows redder before and after.
    curves = (g, supernova(g, 1000), np.ones(50)), (r, supernova(r, 900, 14), np.ones(50))
    features = [PeakColour("g", "r", days) for days in (-7.0, 0.0, 7.0)]
    row = one(nested_curves, [*features, "colour_max_g_r"], *curves)

    assert list(row) == ["colour_peak_m7_g_r", "colour_peak_g_r", "colour_peak_p7_g_r", "colour_max_g_r"]
    for feature in features:
        t = 60050 + feature.days
        expected = -2.5 * np.log10(supernova(t, 1000) / supernova(t, 900, 14))
        assert row[feature.name] == pytest.approx(expected, abs=0.02)
        assert Feature.from_json(feature.to_json()) == feature
    assert row["colour_max_g_r"] == pytest.approx(-2.5 * np.log10(1001 / supernova(60051, 900, 14)), rel=1e-5)


def test_colours_are_the_same_of_fluxes_and_of_magnitudes(nested_curves):
    g, r = np.arange(60000.0, 60100.0, 2.0), np.arange(60000.0, 60100.0, 2.0) + 0.01
    names = ["colour_max_g_r", "colour_peak_g_r", "colour_slope_g_r"]
    fluxes = [(t, supernova(t, peak) + 50, np.full(50, 0.5)) for t, peak in ((g, 1000), (r, 700))]
    magnitudes = [(t, 23.9 - 2.5 * np.log10(f), 2.5 / np.log(10) * e / f) for t, f, e in fluxes]
    in_flux, in_mag = (one(nested_curves, names, *c, is_flux=c is fluxes) for c in (fluxes, magnitudes))

    for name in names:
        assert in_mag[name] == pytest.approx(in_flux[name], rel=1e-3)


def test_the_slope_of_the_colour_is_that_of_a_weighted_line(nested_curves):
    g, r, rng = visits(60)
    f = 1000 * 10 ** (-0.4 * 0.002 * (g - 60000)) * rng.lognormal(0, 0.02, 60)
    e, red = rng.uniform(5, 30, 60), np.full(60, 800.0)
    f[3] = -5.0
    row = one(nested_curves, ["colour_slope_g_r"], (g, f, e), (r, red, e))
    near = (np.abs(r - g) < 0.5) & (f > 0)
    colour, error = -2.5 * np.log10(f[near] / red[near]), np.hypot(e / f, e / red)[near]

    expected = np.polyfit(0.5 * (g + r)[near] - 60000, colour, 1, w=1 / error)[0]
    assert row["colour_slope_g_r"] == pytest.approx(expected, rel=1e-3)
    assert row["colour_slope_g_r"] == pytest.approx(0.002, rel=0.1)


def test_colours_of_fluxes_that_are_not_positive_or_not_there_are_null(nested_curves):
    t = np.arange(60000.0, 60020.0)
    names = ["colour_max_g_r", "colour_peak_g_r", "colour_slope_g_r"]
    faint = one(nested_curves, names, (t, np.full(20, 50.0), np.ones(20)), (t, np.full(20, -5.0), np.ones(20)))
    far = one(nested_curves, names, (t, t - 59990, np.ones(20)), (t + 500, np.full(20, 9.0), np.ones(20)))

    assert set(faint.values()) == {None}
    assert far["colour_max_g_r"] is not None
    assert (far["colour_peak_g_r"], far["colour_slope_g_r"]) == (None, None)


def test_each_two_neighbouring_bands_have_their_own():
    names = [f.name for f in FeatureSet.fast("gri").features]

    for kind in ("amp_ratio", "colour_max", "colour_peak", "colour_slope"):
        assert [n for n in names if n.startswith(kind)] == [f"{kind}_g_r", f"{kind}_r_i"]
