"""Features of single events, on a supernova that is written down by hand."""

import numpy as np
import pytest

from lsdb_ts.features import FeatureSet
from lsdb_ts.features.transient import DETECTION_SNR
from lsdb_ts.kernels.curves.detections import PEAKS, SURROUNDINGS

G = [(60000.0, -2.0), (60002.0, 3.0), (60004.0, 1.0), (60010.0, 20.0), (60014.0, 80.0), (60024.0, 30.0), (60040.0, 4.0)]
R = [(60003.0, 1.0), (60009.0, 10.0), (60020.0, 60.0), (60030.0, 60.0), (60050.0, -3.0)]
NEVER = [(60000.0, 1.0), (60010.0, -2.0)]


def curve(epochs):
    t, f = np.transpose(epochs)
    return t, f, np.ones(t.size)


@pytest.fixture(scope="module")
def rows(nested_curves):
    names = [*PEAKS, *SURROUNDINGS, "n_neg", "positive_fraction"]
    table = FeatureSet.of(names, "gr").extract(*nested_curves([curve(G), curve(NEVER)], [curve(R), curve(NEVER)]))
    return [table[f"features_{band}"].to_pylist() for band in "gr"]


def test_the_peak_is_that_of_the_detections(rows):
    g, r = rows[0][0], rows[1][0]

    assert DETECTION_SNR == 5.0
    assert {name: g[name] for name in PEAKS} == {
        "t_peak": 60014.0, "f_peak": 80.0, "rise_time": 4.0, "fade_time": 10.0, "rise_slope": 15.0, "fade_slope": -5.0,
    }  # fmt: skip
    assert (r["t_peak"], r["rise_time"], r["fade_time"], r["fade_slope"]) == (60020.0, 11.0, 10.0, 0.0)


def test_before_and_after_is_of_the_first_detection_in_any_band(rows):
    g, r = rows[0][0], rows[1][0]

    assert {name: g[name] for name in SURROUNDINGS} == {
        "n_non_det_before": 3.0, "last_flux_before": 1.0, "median_flux_before": 1.0, "max_flux_before": 3.0,
        "dflux_first_det": 9.0, "dflux_non_det": 9.0,
        "n_non_det_after": 1.0, "median_flux_after": 4.0, "max_flux_after": 4.0,
    }  # fmt: skip
    assert (r["n_non_det_before"], r["dflux_first_det"], r["median_flux_after"]) == (1.0, 9.0, -3.0)


def test_signs_are_counted_of_all_epochs(rows):
    assert (rows[0][0]["n_neg"], rows[0][0]["positive_fraction"]) == (1.0, pytest.approx(6 / 7))
    assert (rows[0][1]["n_neg"], rows[0][1]["positive_fraction"]) == (1.0, 0.5)


def test_what_was_never_detected_has_no_event(rows):
    never = rows[0][1]

    assert {never[name] for name in (*PEAKS, *SURROUNDINGS)} == {None}


def test_times_keep_their_minutes(nested_curves):
    minute = 1.0 / 1440
    table = FeatureSet.of(["t_peak"], "g").extract(*nested_curves([curve([(60000.0, 9.0), (60000.0 + minute, 10.0)])]))

    assert table["features_g"][0]["t_peak"].as_py() == 60000.0 + minute


def test_magnitudes_peak_where_they_are_least_and_fade_upwards(nested_curves):
    t, m = np.array([60000.0, 60003.0, 60005.0, 60015.0]), np.array([17.0, 15.5, 15.0, 16.0])
    errors = np.array([0.5, 0.1, 0.1, 0.2])
    names = [*PEAKS, *SURROUNDINGS, "n_neg"]
    row = FeatureSet.of(names, "g").extract(*nested_curves([(t, m, errors)], is_flux=False))["features_g"][0].as_py()

    assert {name: row[name] for name in PEAKS} == {
        "t_peak": 60005.0, "f_peak": 15.0, "rise_time": 2.0, "fade_time": 10.0,
        "rise_slope": -0.25, "fade_slope": pytest.approx(0.1),
    }  # fmt: skip
    assert {row[name] for name in (*SURROUNDINGS, "n_neg")} == {None}
