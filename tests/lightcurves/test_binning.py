"""Bins of epochs, held against a loop over rows of Python."""

import math

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.lightcurves.binning import Bin
from lsdb_ts.lightcurves.choosing import DropDuplicates
from lsdb_ts.lightcurves.cleaning import Detrend, SigmaClip
from lsdb_ts.lightcurves.photometry import ToFlux
from lsdb_ts.lightcurves.structure import StructureFunction
from lsdb_ts.schema import Roles
from tests.lightcurves.curvecases import KINDS, after, awkward, close, each, number, shape

CURVES = awkward(2)


def slow(width, origin, weighted=True):
    def binned(curve):
        bins = {}
        for i, e in enumerate(curve):
            error = number(e["psfFluxErr"]) if weighted else 1.0
            if not all(map(math.isfinite, (number(e["time"]), number(e["psfFlux"]), error))) or error <= 0:
                continue
            night = math.floor((e["time"] - origin) / width)
            bins.setdefault((night, e["band"]), []).append((i, e["time"], e["psfFlux"], error**-2.0))
        found = []
        for (_, band), members in bins.items():
            w = sum(m[3] for m in members)
            made = {"time": sum(m[1] * m[3] for m in members) / w, "band": band}
            made["psfFlux"] = sum(m[2] * m[3] for m in members) / w
            made |= {"psfFluxErr": w**-0.5} if weighted else {}
            found.append({**made, "n": len(members)})
        return sorted(found, key=lambda e: (round(e["time"], 6), str(e["band"])))

    return binned


def in_order(curves):
    return each(curves, lambda c: sorted(c, key=lambda e: (round(e["time"], 6), str(e["band"]))))


@pytest.mark.parametrize(("width", "origin"), [(1.0, 0.0), (0.25, 60_000.1), (7.0, 3.0), (1e4, 0.0)])
def test_bins_are_weighted_means_of_each_band(width, origin):
    found = after(Bin(width, origin), CURVES)
    for curve in found:
        times = [e["time"] for e in curve or []]
        assert times == sorted(times)
    close(in_order(found), in_order(each(CURVES, slow(width, origin))), rel=1e-11)


def test_without_errors_all_epochs_count_the_same():
    like = shape(roles=Roles(time="time", band="band", flux="psfFlux"))
    found = after(Bin(3.0), CURVES, like)
    close(in_order(found), in_order(each(CURVES, slow(3.0, 0.0, weighted=False))), rel=1e-11)


def test_a_night_goes_from_noon_to_noon():
    # Local noon at -90 degrees is at 18:00 UT: a fraction of 0.75.
    like = shape({"time": pa.float64(), "psfFlux": pa.float64()}, Roles(time="time", flux="psfFlux"))
    times = [60_100.74, 60_100.76, 60_101.1, 60_101.74, 60_101.76]
    (found,) = after(Bin.nightly(-90.0), [[{"time": t, "psfFlux": 1.0} for t in times]], like)
    assert [e["n"] for e in found] == [1, 3, 1]


def test_single_precision_stays_and_integers_become_floats():
    kinds = {**KINDS, "psfFlux": pa.float32(), "psfFluxErr": pa.int16()}
    made = Bin(1.0).shape(shape(kinds))
    assert [made.field(n).type for n in ("psfFlux", "psfFluxErr", "n")] == [pa.float32(), pa.float64(), pa.int32()]
    assert made.names == ("time", "band", "psfFlux", "psfFluxErr", "n")
    assert made.unit("psfFlux") == "nJy"
    curves = each(CURVES, lambda c: [{**e, "psfFluxErr": 3} for e in c])
    found = after(Bin(2.0), each(curves, lambda c: [{**e, "psfFlux": _single(e["psfFlux"])} for e in c]), shape(kinds))
    close(in_order(found), in_order(each(curves, slow(2.0, 0.0))), rel=1e-6)


def _single(value):
    return None if value is None else float(np.float32(value))


def test_magnitudes_are_binned_where_there_are_no_fluxes():
    like = shape({"mjd": pa.float64(), "m": pa.float64(), "e": pa.float64()}, Roles(time="mjd", mag="m", mag_error="e"))
    (found,) = after(Bin(1.0), [[{"mjd": 5.1, "m": 20.0, "e": 0.1}, {"mjd": 5.3, "m": 21.0, "e": 0.2}]], like)
    close([found], [[{"mjd": 5.14, "m": 20.2, "e": 0.1 / math.sqrt(1.25), "n": 2}]])


@pytest.mark.parametrize("offset", [0.0, 2_400_000.5])
def test_nights_are_those_of_the_place_in_mjd_and_in_jd(offset):
    """Ten nights at longitude -70, with epochs before and after local midnight (4.7 h UT)."""
    longitude = -70.0
    nights = [60_000 + n + hour / 24 for n in range(10) for hour in (1.0, 3.0, 4.0, 6.0, 9.0)]
    one = [{**CURVES[2][0], "time": t + offset, "psfFlux": 10.0, "psfFluxErr": 1.0, "band": "g"} for t in nights]
    (found,) = after(Bin.nightly(longitude), [one])
    assert [epoch["n"] for epoch in found] == [5] * 10
    np.testing.assert_allclose([e["time"] - offset for e in found], np.reshape(nights, (10, 5)).mean(axis=1), atol=1e-8)


def test_times_that_are_neither_mjd_nor_jd_are_warned_of():
    one = [{**CURVES[2][0], "time": 5512.3, "psfFlux": 10.0, "psfFluxErr": 1.0, "band": "g"}]
    with pytest.warns(UserWarning, match="times such as 5512.3 are neither MJD nor JD"):
        after(Bin.nightly(-70.0), [one])
    with pytest.raises(PlanError, match="a longitude is from"):
        Bin.nightly(-700.0)


def test_what_stands_for_a_missing_magnitude_is_not_binned():
    like = shape({"mjd": pa.float64(), "m": pa.float64(), "e": pa.float64()}, Roles(time="mjd", mag="m", mag_error="e"))
    epochs = [{"mjd": 5.1, "m": 20.0, "e": 0.1}, {"mjd": 5.2, "m": 99.0, "e": 0.1}, {"mjd": 5.3, "m": -999.0, "e": 0.1}]
    (found,) = after(Bin(1.0), [epochs], like)
    close([found], [[{"mjd": 5.1, "m": 20.0, "e": 0.1, "n": 1}]])


@pytest.mark.parametrize(
    "step",
    [SigmaClip(), SigmaClip(about="weighted"), Detrend(), Detrend(median_days=5.0), DropDuplicates("smallest_error")],
)
def test_fluxes_of_different_zero_points_are_not_compared(step):
    roles = Roles(time="time", flux="psfFlux", flux_error="psfFluxErr", zero_point="zp")
    like = shape({**KINDS, "zp": pa.float64()}, roles, unit="adu")
    with pytest.raises(PlanError, match=r'"zp" tells epoch by epoch: bring them to one with \.to_flux\(\) first'):
        step.shape(like)
    with pytest.raises(PlanError, match=r"structure_function.*\.to_flux\(\) first"):
        StructureFunction((1.0, 2.0)).type(like)
    assert step.shape(ToFlux().shape(like)).roles.flux == "flux"


def test_fluxes_of_different_zero_points_are_not_averaged():
    like = shape({**KINDS, "zp": pa.float64()}, Roles(time="time", flux="psfFlux", zero_point="zp"), unit="adu")
    with pytest.raises(PlanError, match=r'"zp" tells epoch by epoch: bring them to one with \.to_flux\(\) first'):
        Bin(1.0).shape(like)


@pytest.mark.parametrize("width", [0.0, -1.0, math.nan, math.inf])
def test_a_width_is_positive_and_finite(width):
    with pytest.raises(PlanError, match="positive width"):
        Bin(width)


def test_what_stands_for_a_missing_magnitude_is_clipped():
    like = shape({"mjd": pa.float64(), "m": pa.float64(), "e": pa.float64()}, Roles(time="mjd", mag="m", mag_error="e"))
    epochs = [{"mjd": float(i), "m": m, "e": 0.1} for i, m in enumerate([20.0, 99.0, 20.1, -999.0, 19.9, None])]
    (found,) = after(SigmaClip(), [epochs], like)
    assert [e["m"] for e in found] == [20.0, 20.1, 19.9, None]
