"""Magnitudes of fluxes and fluxes of magnitudes: formulas, missing values, and the way there and back."""

import math

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.lightcurves.photometry import ToFlux, ToMagnitude
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.schema import Roles, in_njy, with_unit
from tests.lightcurves.curvecases import KINDS, after, awkward, close, each, number, shape

CURVES = awkward(5)
POGSON = 2.5 / math.log(10)


def good(value):
    return math.isfinite(number(value)) and number(value) > 0


def as_magnitude(epoch, zero=31.4, limit=None):
    f, e = epoch["psfFlux"], epoch["psfFluxErr"]
    made = {n: v for n, v in epoch.items() if n not in ("psfFlux", "psfFluxErr", "zp")}
    made["mag"] = zero - 2.5 * math.log10(f) if good(f) and not math.isnan(zero) else None
    made["mag_error"] = POGSON * e / f if good(f) and good(e) else None
    if limit:
        made["limit"] = zero - 2.5 * math.log10(limit * e) if good(e) and not math.isnan(zero) else None
    return made


def test_magnitudes_are_ab_and_a_flux_that_is_not_positive_has_none():
    close(after(ToMagnitude(), CURVES), each(CURVES, lambda c: [as_magnitude(e) for e in c]))


def test_limits_are_of_so_many_standard_errors():
    found = after(ToMagnitude(limit_sigma=5.0), CURVES)
    close(found, each(CURVES, lambda c: [as_magnitude(e, limit=5.0) for e in c]))


@pytest.mark.parametrize(("unit", "zero"), [("nJy", 31.4), ("uJy", 23.9), ("mJy", 16.4), ("Jy", 8.9)])
def test_the_unit_of_the_flux_tells_its_zero_point(unit, zero):
    from astropy import units

    (found,) = after(ToMagnitude(), [[CURVES[2][0] | {"psfFlux": 3.0, "psfFluxErr": 0.1}]], shape(unit=unit))
    exact = (3.0 * units.Unit(unit)).to_value(units.ABmag)
    assert found[0]["mag"] == pytest.approx(zero - 2.5 * math.log10(3), abs=1e-12)
    # astropy takes 3631 Jy for magnitude 0, which is 48.5999.
    assert found[0]["mag"] == pytest.approx(exact, abs=1e-4)


def test_zero_points_may_be_given_or_stand_in_a_part():
    like = shape({**KINDS, "zp": pa.float32()}, Roles(**ROLES, zero_point="zp"), unit=None)
    curves = each(CURVES, lambda c: [{**e, "zp": None if i % 5 == 4 else 25.0 + i % 3} for i, e in enumerate(c)])
    found = after(ToMagnitude(limit_sigma=3.0), curves, like)
    close(found, each(curves, lambda c: [as_magnitude(e, number(e["zp"]), 3.0) for e in c]))
    found = after(ToMagnitude(zero_point=20.0), curves, like)
    close(found, each(curves, lambda c: [as_magnitude(e, 20.0) for e in c]))
    with pytest.raises(PlanError, match=r'"psfFlux" are in no known unit.*to_magnitude\(zero_point=\.\.\.\)'):
        ToMagnitude().shape(shape(unit=None))
    with pytest.raises(PlanError, match="electron / s"):
        ToMagnitude().shape(shape(unit="electron / s"))


ROLES = {"time": "time", "band": "band", "flux": "psfFlux", "flux_error": "psfFluxErr"}


def test_roles_and_units_are_those_of_magnitudes_and_back():
    mags = ToMagnitude(limit_sigma=5.0).shape(shape())
    assert mags.names == ("time", "band", "flags", "visit", "mag", "mag_error", "limit")
    told = mags.roles
    assert (told.flux, told.flux_error, told.mag, told.mag_error, told.limit) == (
        None,
        None,
        "mag",
        "mag_error",
        "limit",
    )
    assert {mags.unit(n) for n in ("mag", "mag_error", "limit")} == {"mag"}
    fluxes = ToFlux().shape(mags)
    assert (fluxes.roles.flux, fluxes.roles.flux_error, fluxes.roles.mag) == ("flux", "flux_error", None)
    assert (fluxes.unit("flux"), fluxes.unit("flux_error"), fluxes.roles.limit) == ("nJy", "nJy", "limit")
    assert Shape.of(pa.field("lc", mags.type)).roles == told


def test_fluxes_of_magnitudes_are_in_njy_and_the_way_back_is_exact():
    mags = after(ToMagnitude(), CURVES)
    back = after(ToFlux(), mags, ToMagnitude().shape(shape()))
    for curve, mine in zip(CURVES, back, strict=True):
        for epoch, one in zip(curve or [], mine or [], strict=True):
            flux = epoch["psfFlux"] if good(epoch["psfFlux"]) else None
            error = epoch["psfFluxErr"] if flux and good(epoch["psfFluxErr"]) else None
            assert one["flux"] == (None if flux is None else pytest.approx(flux, rel=1e-12))
            assert one["flux_error"] == (None if error is None else pytest.approx(error, rel=1e-12))


def test_a_known_unit_tells_more_than_a_part_with_zero_points():
    known = shape({**KINDS, "zp": pa.float64()}, Roles(**ROLES, zero_point="zp"), unit="36.307805477 nJy")
    curves = [[CURVES[2][0] | {"psfFlux": 10.0, "zp": 30.0}]]
    assert not known.scaled
    (found,) = after(ToMagnitude(), curves, known)
    assert found[0]["mag"] == pytest.approx(25.0)
    (found,) = after(ToFlux(), curves, known)
    assert found[0]["flux"] == pytest.approx(363.078, rel=1e-5)
    (found,) = after(ToFlux(zero_point=31.4), curves, known)
    assert found[0]["flux"] == pytest.approx(10.0)


def test_fluxes_with_zero_points_become_njy_also_where_they_are_negative():
    like = shape({**KINDS, "zp": pa.float64()}, Roles(**ROLES, zero_point="zp"), unit=None)
    curves = [
        [
            {**CURVES[2][0], "psfFlux": f, "psfFluxErr": 2.0, "zp": z}
            for f, z in [(10.0, 31.4), (-10.0, 28.9), (1.0, None)]
        ]
    ]
    (found,) = after(ToFlux(), curves, like)
    assert [e["flux"] for e in found] == [pytest.approx(10.0), pytest.approx(-100.0), None]
    assert [e["flux_error"] for e in found] == [pytest.approx(2.0), pytest.approx(20.0), None]
    (found,) = after(ToFlux(), [[CURVES[2][0] | {"psfFlux": 2.0, "psfFluxErr": 1.0}]], shape(unit="uJy"))
    assert (found[0]["flux"], found[0]["flux_error"]) == (pytest.approx(2000.0), pytest.approx(1000.0))


def test_fluxes_count_where_there_are_magnitudes_too():
    kinds = {"time": pa.float64(), "f": pa.float64(), "m": pa.float64(), "me": pa.float64()}
    like = shape(kinds, Roles(time="time", flux="f", mag="m", mag_error="me"))
    (found,) = after(ToFlux(), [[{"time": 1.0, "f": 5.0, "m": 20.0, "me": 0.1}]], like)
    assert found == [{"time": 1.0, "flux": pytest.approx(5.0)}]


def test_single_precision_stays_and_other_numbers_become_double():
    kinds = {**KINDS, "psfFlux": pa.float32(), "psfFluxErr": pa.float32()}
    step = ToMagnitude()
    assert {step.shape(shape(kinds)).field(n).type for n in ("mag", "mag_error")} == {pa.float32()}
    curve = [{**CURVES[2][0], "psfFlux": 100.0, "psfFluxErr": 5.0}]
    (found,) = after(step, [curve], shape(kinds))
    assert found[0]["mag"] == float(np.float32(31.4 - 5.0))
    assert step.shape(shape({**kinds, "psfFlux": pa.int32()})).field("mag").type == pa.float64()


def test_only_what_a_part_is_made_of_is_read():
    step = ToMagnitude(limit_sigma=5.0)
    like = shape()
    assert step.inputs(like, ("mag",)) == ("psfFlux",)
    assert step.inputs(like, ("limit", "visit")) == ("psfFluxErr", "visit")
    assert step.inputs(like, ("mag_error",)) == ("psfFlux", "psfFluxErr")
    mags = step.shape(like)
    assert ToFlux().inputs(mags, ("flux",)) == ("mag",)
    assert ToFlux().inputs(mags, ("flux_error", "time")) == ("mag", "mag_error", "time")


def test_what_cannot_be_converted_is_told():
    with pytest.raises(PlanError, match="positive number of standard errors"):
        ToMagnitude(limit_sigma=0.0)
    with pytest.raises(PlanError, match='the role "flux_error"'):
        ToMagnitude(limit_sigma=5.0).shape(shape(roles=Roles(time="time", flux="psfFlux")))
    with pytest.raises(PlanError, match='the role "flux"'):
        ToFlux().shape(shape(roles=Roles(time="time")))


def test_zero_points_and_units_that_make_no_sense_are_refused():
    kinds = {"mjd": pa.float64(), "m": pa.float64()}
    like = Shape(
        (pa.field("mjd", pa.float64()), with_unit(pa.field("m", pa.float64()), "mmag")), Roles(time="mjd", mag="m")
    )
    with pytest.raises(PlanError, match='"m" are in mmag'):
        ToFlux().shape(like)
    with pytest.raises(PlanError, match='"m" are magnitudes, of which no zero point'):
        ToFlux(25.0).shape(shape(kinds, Roles(time="mjd", mag="m")))
    for wrong in (math.nan, math.inf, "zp"):
        with pytest.raises(PlanError, match="a zero point is the AB magnitude"):
            ToMagnitude(zero_point=wrong)
    assert [in_njy(text) for text in ("nan nJy", "0 nJy", "-5 nJy", "x nJy")] == [None] * 4
