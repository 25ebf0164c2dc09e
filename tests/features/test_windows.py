"""Features of sliding windows: those of the same epochs cut out one window after another."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.features import FeatureSet
from lsdb_ts.features.extraction import Extraction
from lsdb_ts.features.windows import WindowFeatures
from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.schema import Roles, unit_of
from tests.lightcurves.curvecases import ROLES, array, awkward, number, shape

FEATURES = FeatureSet.of(["mean_w", "sigma", "skew"], bands="gr")
CURVES = awkward(9)


def slow(curve, width, step):
    """Cut each window out and compute its features alone."""
    known = [e for e in curve if math.isfinite(number(e["time"]))]
    found, first = [], min((e["time"] for e in known), default=0.0)
    for k in range(int(40 / step) + 2):
        inside = [e for e in known if k * step <= e["time"] - first < k * step + width]
        if inside:
            made = {"time": first + k * step + width / 2, "n_epochs": len(inside)}
            table = FEATURES.extract(array([inside]), ROLES).to_pylist()[0]
            for band in "gr":
                made |= {f"{band}_{name}": value for name, value in table[f"features_{band}"].items()}
            found.append(made)
    return found


@pytest.mark.parametrize(("width", "step"), [(10.0, 10.0), (15.0, 4.0), (3.0, 7.0), (1000.0, 1000.0)])
def test_windows_have_the_features_of_their_epochs(width, step):
    found = WindowFeatures(FEATURES, width, step)(Curves.of(array(CURVES), shape())).to_pylist()
    for curve, mine in zip(CURVES, found, strict=True):
        if curve is None:
            assert mine is None
            continue
        windows = [dict(zip(mine, values, strict=True)) for values in zip(*mine.values(), strict=True)]
        expected = slow(curve, width, step)
        assert len(windows) == len(expected)
        for one, other in zip(windows, expected, strict=True):
            assert {n for n, v in one.items() if v is None} == {n for n, v in other.items() if v is None}
            values = {n: v for n, v in other.items() if v is not None}
            assert {n: one[n] for n in values} == pytest.approx(values, rel=1e-5)


def test_the_schema_is_known_before_with_units_and_the_role_of_time():
    windows = WindowFeatures(FEATURES, 10.0, 5.0)
    kind = windows.type(shape())
    assert [f.name for f in kind][:4] == ["time", "n_epochs", "g_mean_w", "g_sigma"]
    assert unit_of(kind.field("g_mean_w")) == "nJy"
    assert Roles.of(kind).time == "time"
    assert windows(Curves.of(array([]), shape())).type == kind
    assert windows.inputs(shape()) == ("time", "band", "psfFlux", "psfFluxErr", "flags")
    json.dumps(windows.identity())


def test_a_wild_date_makes_no_more_windows_than_epochs():
    curve = [{**e, "time": t} for e, t in zip(CURVES[2] * 3, (0.0, 60_000.0, 60_000.5), strict=False)]
    (found,) = WindowFeatures(FEATURES, 1.0, 1.0)(Curves.of(array([curve[:3]]), shape())).to_pylist()
    assert found["n_epochs"] == [1, 2]
    assert np.allclose(found["time"], [0.5, 60_000.5])


@pytest.mark.parametrize(("width", "step"), [(0.0, 1.0), (1.0, 0.0), (math.inf, 1.0), (1e4, 1.0), (1.0, math.nan)])
def test_widths_and_steps_are_bounded(width, step):
    with pytest.raises(PlanError, match="at most 1000 steps wide"):
        WindowFeatures(FEATURES, width, step)


def test_fluxes_whose_unit_changes_from_epoch_to_epoch_have_no_features():
    roles = Roles(time="time", band="band", flux="psfFlux", flux_error="psfFluxErr", zero_point="flags")
    scaled = shape(roles=roles, unit="adu")
    with pytest.raises(PlanError, match=r'features: .*"flags" tells epoch by epoch.*to_flux'):
        WindowFeatures(FEATURES, 1.0, 1.0).type(scaled)
    with pytest.raises(PlanError, match=r'features: .*"flags" tells epoch by epoch.*to_flux'):
        Extraction.of(FEATURES, pa.field("lc", scaled.type), "objects")
    assert Extraction.of(FEATURES, pa.field("lc", shape(roles=roles).type), "objects").unit == "nJy"


def test_sets_of_fluxes_alone_are_not_computed_of_magnitudes():
    kinds = {"time": pa.float64(), "band": pa.string(), "m": pa.float64(), "e": pa.float64()}
    mags = shape(kinds, Roles(time="time", band="band", mag="m", mag_error="e"))
    with pytest.raises(PlanError, match=r'are of fluxes, and lc has magnitudes: stars.curves\("lc"\).to_flux'):
        Extraction.of(FeatureSet.fits("gr", ["bazin"]), pa.field("lc", mags.type), "stars")
    dates = shape({**kinds, "time": pa.timestamp("ms")}, mags.roles)
    with pytest.raises(PlanError, match=r'features needs numbers, and the part "time" is timestamp'):
        Extraction.of(FEATURES, pa.field("lc", dates.type), "stars")


def test_a_missing_role_is_told():
    with pytest.raises(PlanError, match="time"):
        WindowFeatures(FEATURES, 1.0, 1.0).type(shape(roles=Roles(flux="psfFlux", flux_error="psfFluxErr")))
    assert pa.types.is_struct(WindowFeatures(FEATURES, 1.0, 1.0).type(shape()))
