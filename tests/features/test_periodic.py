"""Features of periods and folds: what they tell of stars whose truth is known, and where they are null."""

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.features import FeatureSet, all_features
from lsdb_ts.features.periodic import Period
from lsdb_ts.kernels.periods.aliases import Alias, Quality
from lsdb_ts.kernels.periods.search import PeriodSearch

QUICK = PeriodSearch(period_range_days=(0.2, 5.0), max_frequencies=30_000)


def curve(seed, n, brightness):
    rng = np.random.default_rng(seed)
    t = 60000 + np.sort(rng.uniform(0, 700, n))
    return t, brightness(t) + rng.normal(0, 5, n), np.full(n, 5.0)


def pulsator(t):
    phase = 2 * np.pi * t / 0.613
    return 1000 + 200 * np.cos(phase) + 80 * np.cos(2 * phase + 1.0) + 40 * np.cos(3 * phase + 2.0)


def binary(t):
    phase = t / 1.234 % 1
    return 1000 - 400 * np.exp(-0.5 * ((phase - 0.3) / 0.05) ** 2) - 200 * np.exp(-0.5 * ((phase - 0.8) / 0.05) ** 2)


@pytest.fixture(scope="module")
def found(nested_curves):
    """Return the features of a pulsator, a binary, a constant star and an object of three epochs, in g and r."""
    constant, kinds = (lambda t: np.full(t.size, 1000.0)), (pulsator, binary)
    g = [curve(k, 60, kind) for k, kind in enumerate((*kinds, constant))] + [curve(3, 3, pulsator)]
    r = [curve(k, 50, kind) for k, kind in enumerate((*kinds, constant), 10)] + [curve(13, 3, pulsator)]
    nested, roles = nested_curves(g, r)
    features = [
        kind for kind in all_features() if kind.needs_period and kind.__module__.endswith(("periodic", "folded"))
    ]
    return FeatureSet.of(features, "gr", search=QUICK).extract(nested, roles).to_pylist()


def test_pulsators_and_binaries_have_their_periods_and_all_else_is_null(found):
    assert found[0]["features_multiband"]["period"] == pytest.approx(0.613, rel=1e-4)
    assert found[1]["features_multiband"]["period"] == pytest.approx(1.234, rel=1e-4)
    for row, why in zip(found[2:], (Quality.CONSTANT, Quality.FEW_EPOCHS), strict=True):
        assert row["features_multiband"].pop("period_quality") == why
        assert all(value is None for struct in row.values() for value in struct.values())


def test_five_periods_come_with_their_aliases(found):
    for row in found[:2]:
        whole = row["features_multiband"]
        periods = [whole["period"], *(whole[f"period_{k}"] for k in range(2, 6))]
        codes = [whole[f"period_alias_{k}"] for k in range(2, 6)]
        assert len({round(p, 5) for p in periods}) == 5
        assert all(code in set(Alias) for code in codes)
    whole = found[1]["features_multiband"]
    halves = [k for k in range(2, 6) if whole[f"period_alias_{k}"] == Alias.HALF]
    assert [whole[f"period_{k}"] for k in halves] == [pytest.approx(0.617, rel=1e-3)]


def test_good_periods_have_no_flags_and_no_false_alarms(found):
    whole = found[0]["features_multiband"]

    assert whole["period_quality"] == 0
    assert whole["period_fap"] < 1e-6
    assert whole["period_jitter"] < 0.1
    assert whole["period_phase_gap"] < 0.2
    assert whole["period_agreement"] == 3
    assert 0 < whole["ppe"] < 1
    assert whole["period_n_frequencies"] <= 30_000
    assert max(whole[f"power_rate_{m}"] for m in ("1_4", "1_3", "1_2", "2", "3", "4")) < 1
    assert whole["pdm_theta"] < 0.3 < whole["bls_power"]


def test_the_series_has_the_amplitudes_and_phases_of_the_star(found):
    for band in "gr":
        g = found[0][f"features_{band}"]
        assert [g[f"amp_h{k}"] for k in (1, 2, 3)] == pytest.approx([200, 80, 40], rel=0.12)
        assert [g["r21"], g["r31"]] == pytest.approx([0.4, 0.2], rel=0.12)
        assert g["amp_h4"] < 5
        # Phases of the star count from time 0, those of harmonics relative to the first from anywhere.
        assert np.cos([g["phi21"] - 1.0, g["phi31"] - 2.0]) == pytest.approx([1, 1], abs=0.02)
        assert g["var_ratio"] < 0.01
        assert 0.5 < g["fourier_redchi2"] < 2
        assert g["mad_ratio"] < 0.1
        assert g["delta_period"] < 1e-3


def test_folds_are_smooth_at_the_period_and_at_twice_that_of_a_binary(found):
    pulsating, eclipsing = found[0]["features_g"], found[1]["features_g"]

    assert pulsating["psi_eta"] < 0.3 < pulsating["psi_cs"]
    assert pulsating["lafler_kinman"] == pytest.approx(0.5 * pulsating["psi_eta"], rel=0.3)
    assert pulsating["p2p_p_ratio"] < 0.2
    assert eclipsing["p2p_2p_ratio"] < 1
    assert 0 < pulsating["phase_gap"] < 0.25


def test_a_search_for_fewer_periods_leaves_the_others_null(nested_curves):
    nested, roles = nested_curves([curve(0, 60, pulsator)])
    search = PeriodSearch(period_range_days=(0.2, 5.0), max_frequencies=30_000, n_periods=1, n_harmonics=2)
    names = ["period", "period_2", "period_alias_2", "period_margin", "amp_h2", "amp_h3", "phi31"]
    row = FeatureSet.of(names, "g", search=search).extract(nested, roles).to_pylist()[0]

    assert row["features_multiband"]["period"] == pytest.approx(0.613, rel=1e-4)
    assert {n for n, v in {**row["features_multiband"], **row["features_g"]}.items() if v is not None} == {
        "period", "amp_h2"
    }  # fmt: skip


def test_single_precision_columns_and_magnitudes_give_the_same_period(nested_curves):
    t, x, e = curve(0, 80, pulsator)
    mags = [(t, 31.4 - 2.5 * np.log10(x), 1.086 * e / x)]
    nested, roles = nested_curves(mags, is_flux=False)
    single = pa.array(nested.to_pylist(), nested.type)
    features = FeatureSet.of([Period], "g", search=QUICK)

    assert features.extract(single, roles).to_pylist()[0]["features_multiband"]["period"] == pytest.approx(
        0.613, rel=1e-4
    )
