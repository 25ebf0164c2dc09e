"""The features of the Data Products Definition Document: their numbers, and the two lists of fixed size."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import SchemaError
from lsdb_ts.features import FeatureSet, dpdd_lists
from lsdb_ts.features.dpdd import NON_PERIODIC, PERIODIC
from lsdb_ts.features.extraction import Extraction
from lsdb_ts.kernels.periods.search import PeriodSearch
from lsdb_ts.schema import Roles
from tests.features.test_contract import nested

ROLES = Roles(time="t", band="band", flux="f", flux_error="e")
SET = FeatureSet.dpdd("gr", (0.5, 30.0), PeriodSearch(max_frequencies=30_000))


def pulsator(n=150, seed=0, shift=0.0, noise=1.0):
    """Return epochs in g of two frequencies, with harmonics and a trend; and fewer in r, of noise."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, 120, n))
    first = 2 * np.pi * t / 3.21
    f = 900 + 0.5 * t + 60 * np.cos(first + 0.4) + 20 * np.cos(2 * first + 2.0) + 15 * np.cos(2 * np.pi * t / 1.37)
    curve = [(60000 + shift + t[i], "g", f[i] + rng.normal(0, noise), noise) for i in range(n)]
    return curve + [(60000 + 2.5 * i, "r", 50 + rng.normal(0, 1), 1.0) for i in range(40)]


@pytest.fixture(scope="module")
def table():
    return SET.extract(nested(pulsator(), [], pulsator(12)), ROLES)


def test_the_frequencies_of_a_pulsator_are_found_one_after_the_other(table):
    g = table["features_g"][0].as_py()

    assert 1 / g["freq1"] == pytest.approx(3.21, rel=2e-3)
    assert 1 / g["freq2"] == pytest.approx(1.37, rel=2e-3)
    assert g["freq1_amp1"] == pytest.approx(60, rel=0.1)
    assert g["freq1_amp2"] == pytest.approx(20, rel=0.2)
    assert g["freq2_amp1"] == pytest.approx(15, rel=0.2)
    assert g["freq3_amp1"] < 3
    assert g["linear_trend"] == pytest.approx(0.5, abs=0.06)
    # A phase that does not depend on when time begins: 2.0 - 2 * 0.4.
    assert g["freq1_phase2"] == pytest.approx(1.2, abs=0.25)
    assert g["freq1_signif"] > 5
    assert g["freq2_signif_ratio"] > 0.5 > g["freq3_signif_ratio"]
    assert g["freq1_var_ratio"] < 0.3


def test_phases_do_not_depend_on_when_time_begins():
    rows = [SET.extract(nested(pulsator(shift=shift)), ROLES)["features_g"][0].as_py() for shift in (0.0, 1234.5)]

    for name in PERIODIC:
        assert rows[0][name] == pytest.approx(rows[1][name], rel=1e-3, abs=1e-3), name


def test_few_epochs_and_constant_bands_have_no_periods_and_all_else(table):
    noise, few = table["features_r"][0].as_py(), table["features_g"][2].as_py()

    assert {noise[name] for name in PERIODIC} == {few[name] for name in PERIODIC} == {None}
    assert noise["sigma"] == pytest.approx(1, rel=0.3)
    assert few["qso_chi2"] is not None
    assert set(table["features_g"][1].as_py().values()) == {None}


def test_the_lists_have_the_shape_of_the_document_and_survive_parquet(table, tmp_path):
    lists = dpdd_lists(table.append_column("id", pa.array([1, 2, 3])))

    assert lists.schema.names == ["id", "lcPeriodic", "lcNonPeriodic"]
    assert lists["lcPeriodic"].type == pa.list_(pa.list_(pa.float32(), 32), 6)
    assert lists["lcNonPeriodic"].type == pa.list_(pa.list_(pa.float32(), 20), 6)
    periodic, others = (lists[name][0].as_py() for name in ("lcPeriodic", "lcNonPeriodic"))
    g = table["features_g"][0].as_py()
    assert periodic[1] == [*(g[name] for name in PERIODIC), None]
    assert others[1] == [g[name] for name in NON_PERIODIC]
    assert others[0] == [None] * 20
    pq.write_table(lists, tmp_path / "lists.parquet")
    assert pq.read_table(tmp_path / "lists.parquet")["lcPeriodic"].to_pylist() == lists["lcPeriodic"].to_pylist()


def test_the_set_itself_gives_the_lists_where_asked_to(table):
    lists = FeatureSet.dpdd("gr", (0.5, 30.0), PeriodSearch(max_frequencies=30_000), lists=True)
    curves = nested(pulsator(), [], pulsator(12))
    found = lists.extract(curves, ROLES)

    assert found.schema.equals(pa.schema(list(lists.fields)), check_metadata=True)
    assert found.equals(dpdd_lists(table, "gr"))
    assert Extraction.of(lists, pa.field("lc", curves.type), "objects").fields == lists.fields
    assert lists.fingerprint != SET.fingerprint
    assert FeatureSet.from_json(json.loads(json.dumps(lists.to_json()))) == lists


def test_features_of_another_set_are_no_lists():
    with pytest.raises(SchemaError, match='"features_g" has no feature "linear_trend": extract'):
        dpdd_lists(FeatureSet.fast("gr").extract(nested([]), ROLES))


def test_there_are_thirty_one_and_twenty_by_the_definitions_of_richards():
    assert len(PERIODIC) == 31
    assert len(NON_PERIODIC) == 20
    assert [f.name for f in SET.features] == [*PERIODIC, *NON_PERIODIC]
    by = {f.name: f.definition for f in SET.features if f.definitions}
    assert by.pop("skew") == by.pop("sigma") == "lsst"
    assert set(by.values()) == {"richards11"}
    assert FeatureSet.from_json(json.loads(json.dumps(SET.to_json()))) == SET == pickle.loads(pickle.dumps(SET))
