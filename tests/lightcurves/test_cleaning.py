"""Outliers and trends by band: the loops are tested with the kernels, here what steps make of them."""

import math

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.lightcurves.cleaning import Detrend, SigmaClip
from lsdb_ts.schema import Roles
from tests.lightcurves.curvecases import KINDS, after, awkward, close, each, number, shape

CURVES = awkward(3)


def by_band(curve):
    bands = {}
    for i, epoch in enumerate(curve):
        bands.setdefault(epoch["band"], []).append(i)
    return bands.values()


def error_of(epoch):
    error = number(epoch["psfFluxErr"])
    return error if error > 0 and math.isfinite(error) else math.nan


@pytest.mark.parametrize("about", ["median", "mean", "weighted"])
@pytest.mark.parametrize(("limits", "rounds"), [((2.0, 2.0), 10), ((1.0, math.inf), 10), ((1.5, 2.5), 1)])
def test_outliers_of_each_band_are_dropped_and_missing_values_stay(about, limits, rounds):
    def slow(curve):
        out = set()
        for members in by_band(curve):
            for _ in range(rounds):
                left = [i for i in members if i not in out and math.isfinite(number(curve[i]["psfFlux"]))]
                used = [i for i in left if about != "weighted" or not math.isnan(error_of(curve[i]))]
                if len(used) < 2:
                    break
                x = np.array([curve[i]["psfFlux"] for i in used])
                w = np.array([error_of(curve[i]) ** -2.0 for i in used]) if about == "weighted" else np.ones(x.size)
                centre = np.median(x) if about == "median" else np.average(x, weights=w)
                spread = math.sqrt(np.average((x - centre) ** 2, weights=w) * x.size / (x.size - 1))
                if about == "median":
                    spread = 1.482602218505602 * np.median(abs(x - centre))
                new = {
                    i
                    for i in left
                    if spread > 0
                    if not -limits[0] * spread <= curve[i]["psfFlux"] - centre <= limits[1] * spread
                }
                if not new:
                    break
                out |= new
        # What is infinite is missing: it has no place among the others.
        return [e for i, e in enumerate(curve) if i not in out]

    finite = each(CURVES, lambda c: [{**e, "psfFlux": None if e["psfFlux"] == math.inf else e["psfFlux"]} for e in c])
    step = SigmaClip(3.0, about, rounds, *limits)
    close(after(step, finite), each(finite, slow))


def test_clipping_twice_is_clipping_once():
    once = after(SigmaClip(2.5), CURVES)
    close(after(SigmaClip(2.5), once), once)


@pytest.mark.parametrize("degree", [0, 1, 3])
@pytest.mark.parametrize("weighted", [True, False])
def test_a_polynomial_of_each_band_is_taken_away(degree, weighted):
    def slow(curve):
        made = [{**e, "psfFlux": None} for e in curve]
        for members in by_band(curve):
            t, x = (np.array([number(curve[i][p]) for i in members]) for p in ("time", "psfFlux"))
            w = np.array([1 / error_of(curve[i]) if weighted else 1.0 for i in members])
            used = np.isfinite(t) & np.isfinite(x) & np.isfinite(w)
            if np.unique(t[used]).size <= degree:
                continue
            t = (t - 60_020.0) / 20.0
            trend = np.polyval(np.polyfit(t[used], x[used], degree, w=w[used]), t)
            for i, value in zip(members, x - trend, strict=True):
                made[i]["psfFlux"] = None if math.isnan(value) else float(value)
        return made

    like = shape() if weighted else shape(roles=Roles(time="time", band="band", flux="psfFlux"))
    finite = each(CURVES, lambda c: [{**e, "psfFlux": None if e["psfFlux"] == math.inf else e["psfFlux"]} for e in c])
    found = after(Detrend(degree), finite, like)
    expected = each(finite, slow)
    for mine, theirs in zip(found, expected, strict=True):
        for one, other in zip(mine or [], theirs or [], strict=True):
            assert (one["psfFlux"] is None) == (other["psfFlux"] is None)
            assert one["psfFlux"] is None or math.isclose(one["psfFlux"], other["psfFlux"], rel_tol=1e-6, abs_tol=1e-5)
            assert repr({**one, "psfFlux": 0}) == repr({**other, "psfFlux": 0})


def test_a_running_median_of_each_band_is_taken_away():
    def slow(curve):
        made = [{**e, "psfFlux": None} for e in curve]
        for members in by_band(curve):
            for i in members:
                near = [
                    number(curve[j]["psfFlux"])
                    for j in members
                    if number(curve[i]["time"]) - 5 <= number(curve[j]["time"]) <= number(curve[i]["time"]) + 5
                    if math.isfinite(number(curve[j]["psfFlux"]))
                ]
                value = number(curve[i]["psfFlux"]) - float(np.median(near)) if near else math.nan
                made[i]["psfFlux"] = None if math.isnan(value) else value
        return made

    close(after(Detrend(median_days=10.0), CURVES), each(CURVES, slow))


def test_the_type_of_floats_stays_and_integers_become_floats():
    assert Detrend().shape(shape({**KINDS, "psfFlux": pa.float32()})).field("psfFlux").type == pa.float32()
    assert Detrend().shape(shape({**KINDS, "psfFlux": pa.int32()})).field("psfFlux").type == pa.float64()


def test_what_is_not_wanted_is_not_read():
    assert Detrend().inputs(shape(), ("visit",)) == ("visit",)
    assert Detrend().inputs(shape(), ("psfFlux",)) == ("psfFlux", "time", "band", "psfFluxErr")
    assert Detrend(median_days=3).inputs(shape(), ("psfFlux",)) == ("psfFlux", "time", "band")
    assert SigmaClip().inputs(shape(), ("visit",)) == ("visit", "psfFlux", "band")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda: SigmaClip(about="mode"), "about one of median, mean, weighted"),
        (lambda: SigmaClip(0.0), "positive limits"),
        (lambda: SigmaClip(3.0, rounds=0), "a round at least"),
        (lambda: SigmaClip(about="weighted").shape(shape(roles=Roles(time="time", flux="psfFlux"))), "flux_error"),
        (lambda: Detrend(-1), "a degree from 0 to 20"),
        (lambda: Detrend(median_days=0.0), "a positive width"),
        (lambda: Detrend().shape(shape(roles=Roles(flux="psfFlux"))), 'the role "time"'),
    ],
)
def test_what_cannot_be_done_is_told_when_the_step_is_named(step, message):
    with pytest.raises(PlanError, match=message):
        step()
