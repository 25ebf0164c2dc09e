"""Phases of a period, held against arithmetic on rows of Python."""

import math

import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.lightcurves.folding import Fold
from lsdb_ts.schema import Roles
from tests.lightcurves.curvecases import after, awkward, close, each, number, shape

CURVES = awkward(4)
N = len(CURVES)


def phase(epoch, period, zero):
    turns = (number(epoch["time"]) - zero) / period if period > 0 and math.isfinite(period) else math.nan
    return None if math.isnan(turns) else turns - math.floor(turns)


@pytest.mark.parametrize(("period", "zero"), [(0.7, 0.0), (13.0, 60_001.5), (1e5, -3.0)])
def test_a_phase_counts_turns_from_the_epoch(period, zero):
    found = after(Fold(period, zero), CURVES)
    close(found, each(CURVES, lambda c: [{**e, "phase": phase(e, period, zero)} for e in c]))
    assert all(0 <= e["phase"] < 1 for c in found for e in c or [] if e["phase"] is not None)


def test_period_and_epoch_may_be_columns_and_missing_ones_give_no_phase():
    odd = [None, math.nan, 0.0, -2.0, math.inf, 0.5, 3.0]
    periods = [odd[i % len(odd)] for i in range(N)]
    zeros = [None if i % 11 == 3 else 60_000.0 + i for i in range(N)]
    found = after(Fold("period", "t0"), CURVES, period=periods, t0=zeros)
    for curve, period, zero, mine in zip(CURVES, periods, zeros, found, strict=True):
        wanted = [{**e, "phase": phase(e, number(period), number(zero))} for e in curve or []]
        close([mine or []], [wanted])


def test_epochs_may_be_sorted_by_phase():
    found = after(Fold(0.7, sort=True), CURVES)
    plain = after(Fold(0.7), CURVES)
    for mine, curve in zip(found, plain, strict=True):
        last = [math.inf if e["phase"] is None else e["phase"] for e in mine or []]
        assert last == sorted(last)
        close([mine or []], [sorted(curve or [], key=lambda e: math.inf if e["phase"] is None else e["phase"])])


def test_a_phase_just_before_the_epoch_is_not_one():
    (found,) = after(Fold(1.0, 60_000.0), [[{**CURVES[2][0], "time": math.nextafter(60_000.0, 0)}]])
    assert 0.99 < found[0]["phase"] < 1
    (found,) = after(Fold(1e30, 1.0), [[{**CURVES[2][0], "time": 0.0}]])
    assert found[0]["phase"] == 0.0


def test_folding_again_replaces_the_phase():
    like = Fold(0.7).shape(shape())
    again = Fold(0.3).shape(like)
    assert again.names == like.names
    assert again.unit("phase") == "1"


def test_where_the_phase_is_not_wanted_nothing_is_read_for_it():
    assert Fold("period").inputs(shape(), ("visit",)) == ("visit",)
    assert Fold("period").columns(shape(), ("visit",)) == ()
    assert Fold("period", "t0").columns(shape(), ("phase",)) == ("period", "t0")
    assert Fold("period", sort=True).columns(shape(), ("visit",)) == ("period",)


def test_what_cannot_be_folded_is_told():
    for period in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(PlanError, match="positive period in days"):
            Fold(period)
    with pytest.raises(PlanError, match='the role "time"'):
        Fold(1.0).shape(shape(roles=Roles(flux="psfFlux")))
