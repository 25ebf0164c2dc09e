"""The 22 columns of Rubin's DP1 for six bands, against a slow transcription of their published formulas."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.optimize import lsq_linear

from lsdb_ts.errors import PlanError
from lsdb_ts.features import FeatureSet
from lsdb_ts.features.extraction import Extraction
from lsdb_ts.schema import Roles, unit_of

BANDS = "ugrizy"
ROLES = Roles(time="midpointMjdTai", band="band", flux="psfFlux", flux_error="psfFluxErr", quality="psfFlux_flag")
COLUMNS = [
    "psfFluxMean", "psfFluxMeanErr", "psfFluxSigma", "psfFluxChi2", "psfFluxNdata", "psfFluxMAD", "psfFluxSkew",
    "psfFluxPercentile05", "psfFluxPercentile25", "psfFluxPercentile50", "psfFluxPercentile75", "psfFluxPercentile95",
    "psfFluxMin", "psfFluxMax", "psfFluxStetsonJ", "psfFluxLinearSlope", "psfFluxLinearIntercept", "psfFluxMaxSlope",
    "psfFluxErrMean", "scienceFluxMean", "scienceFluxMeanErr", "scienceFluxSigma",
]  # fmt: skip


def forced_photometry(n_objects=60, seed=8, kind=np.float64):
    """Return epochs as a frame: negative fluxes, flags, gaps, equal times, bands of one epoch and of none."""
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(n_objects):
        for band in BANDS:
            n = int(rng.choice([0, 1, 2, 3, 5, 20, 60, 90]))
            t = 60000 + np.sort(rng.uniform(0, 900, n)).round(int(rng.choice([0, 1, 5])))
            e = rng.uniform(40, 300, n)
            level = rng.choice([-400.0, 0.0, 3000.0])
            flux = level + rng.choice([0, 2000]) * np.sin(t) + e * rng.standard_t(3, n)
            frame = pd.DataFrame({"object": i, "band": band, "midpointMjdTai": t, "psfFlux": flux, "psfFluxErr": e})
            frame["scienceFlux"], frame["scienceFluxErr"] = flux + 5000 + rng.normal(0, 30, n), e * 1.1
            frame["psfFlux_flag"] = rng.random(n) < 0.1
            lost = rng.random(n) < 0.05
            frame.loc[lost, ["psfFlux", "psfFluxErr"]] = np.nan
            frame.loc[rng.random(n) < 0.05, ["scienceFlux", "scienceFluxErr"]] = np.nan
            if rng.random() < 0.1:
                frame[["psfFlux", "psfFluxErr", "scienceFlux", "scienceFluxErr"]] = np.nan
            frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    fluxes = ["psfFlux", "psfFluxErr", "scienceFlux", "scienceFluxErr"]
    table[fluxes] = table[fluxes].astype(kind)
    return table.sample(frac=1, random_state=seed).sort_values("object", kind="stable").reset_index(drop=True)


def nested(frame, n_objects=60):
    offsets = pa.array(np.searchsorted(frame["object"], np.arange(n_objects + 1)), pa.int32())
    parts = frame.columns.drop("object")
    lists = [pa.ListArray.from_arrays(offsets, pa.array(frame[p], from_pandas=True)) for p in parts]
    return pa.StructArray.from_arrays(lists, names=list(parts))


def weighted_mean(x, e):
    weights = 1 / e**2
    return (x * weights).sum() / weights.sum()


def stetson_mean(x, e):
    """The iterated mean in which an epoch two of its errors away counts half."""
    mean, n = weighted_mean(x, e), x.size
    for _ in range(20):
        far = np.sqrt(n / (n - 1)) * np.abs(x - mean) / e
        new = np.average(x, weights=1 / e**2 / (1 + (far / 2) ** 2))
        moved, mean = abs(new - mean), new
        if moved < 1e-6 and moved / mean < 1e-6:
            break
    return mean


def transcribed(epochs):
    """Return the columns of one band of one object."""
    good = epochs[~epochs["psfFlux_flag"]]
    psf = good.dropna(subset=["psfFlux", "psfFluxErr"]).sort_values("midpointMjdTai", kind="stable")
    science = good.dropna(subset=["scienceFlux", "scienceFluxErr"])
    found = dict.fromkeys(COLUMNS, np.nan) | {"psfFluxNdata": len(psf)}
    t, x, e = (psf[c].to_numpy(np.float64) for c in ("midpointMjdTai", "psfFlux", "psfFluxErr"))
    n = x.size
    if n > 0:
        mean = weighted_mean(x, e)
        found |= {
            "psfFluxMean": mean, "psfFluxMeanErr": np.sqrt(1 / (1 / e**2).sum()), "psfFluxErrMean": e.mean(),
            "psfFluxChi2": (((x - mean) / e) ** 2).sum(), "psfFluxMAD": np.median(np.abs(x - np.median(x))),
            "psfFluxMin": x.min(), "psfFluxMax": x.max(),
        } | {f"psfFluxPercentile{q:02d}": np.percentile(x, q) for q in (5, 25, 50, 75, 95)}  # fmt: skip
    if n > 1:
        delta = np.sqrt(n / (n - 1)) * (x - stetson_mean(x, e)) / e
        product = delta**2 - 1
        found |= {
            "psfFluxSigma": np.sqrt(((x - x.mean()) ** 2).sum() / (n - 1)),
            "psfFluxStetsonJ": np.mean(np.sign(product) * np.sqrt(np.abs(product))),
        }
        apart = np.diff(t) > 0
        if apart.any():
            found["psfFluxMaxSlope"] = (np.diff(x)[apart] / np.diff(t)[apart]).max()
            line = lsq_linear(np.column_stack([t / e, 1 / e]), x / e).x
            found["psfFluxLinearSlope"], found["psfFluxLinearIntercept"] = line
    if n > 2:
        found["psfFluxSkew"] = pd.Series(x).skew()
    y, f = science["scienceFlux"].to_numpy(np.float64), science["scienceFluxErr"].to_numpy(np.float64)
    if y.size > 0:
        found |= {"scienceFluxMean": weighted_mean(y, f), "scienceFluxMeanErr": np.sqrt(1 / (1 / f**2).sum())}
    if y.size > 1:
        found["scienceFluxSigma"] = y.std(ddof=1)
    return found


@pytest.fixture(scope="module", params=[np.float64, np.float32])
def pair(request):
    """Return what the set gives, and what the transcription does, by band."""
    frame = forced_photometry(kind=request.param)
    table = FeatureSet.rubin().extract(nested(frame), ROLES)
    by_object = dict(list(frame.groupby(["object", "band"])))
    empty = frame.iloc[:0]
    expected = {b: pd.DataFrame([transcribed(by_object.get((i, b), empty)) for i in range(60)]) for b in BANDS}
    return table, expected


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_is_what_the_published_formula_gives(pair, column):
    table, expected = pair
    for band in BANDS:
        found = table[f"features_{band}"].combine_chunks().field(column).to_numpy(zero_copy_only=False)
        wanted = expected[band][column].to_numpy(np.float64)
        assert np.isnan(wanted).any() == (column != "psfFluxNdata")
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=2e-7 * np.nanstd(wanted), err_msg=band)


def test_the_columns_are_those_of_dp1_with_their_units_before_anything_is_computed():
    fields = FeatureSet.rubin().fields

    assert [f.name for f in fields] == [f"features_{b}" for b in BANDS]
    assert sorted(p.name for p in fields[0].type) == sorted(COLUMNS)
    assert {p.type for p in fields[0].type} == {pa.float32()}
    assert unit_of(fields[0].type.field("psfFluxMaxSlope")) == "value/d"
    assert FeatureSet.rubin().inputs(ROLES)[-2:] == ("scienceFlux", "scienceFluxErr")


def test_without_a_science_flux_its_columns_are_left_out_or_asked_for():
    curves = nested(forced_photometry(4), 4)
    plain = pa.StructArray.from_arrays(curves.flatten()[:4] + curves.flatten()[6:], names=[
        "band", "midpointMjdTai", "psfFlux", "psfFluxErr", "psfFlux_flag"])  # fmt: skip
    without = FeatureSet.rubin(science_flux=None)

    assert without.extract(plain, ROLES)["features_g"].type.num_fields == 19
    with pytest.raises(PlanError, match=r'no part "scienceFlux".*science_flux=None'):
        FeatureSet.rubin().extract(plain, ROLES)
    with pytest.raises(PlanError, match=r'no part "scienceFlux".*science_flux=None'):
        Extraction.of(FeatureSet.rubin(), pa.field("lc", plain.type), "objects")
