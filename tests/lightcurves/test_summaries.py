"""What is computed of each light curve: cadence and structure functions, held against loops over rows of Python."""

import math
from itertools import combinations, pairwise

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.lightcurves.cadence import Cadence
from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.lightcurves.structure import StructureFunction
from lsdb_ts.schema import Roles, unit_of
from tests.lightcurves.curvecases import array, awkward, number, shape

CURVES = awkward(8)


def times_of(curve):
    return sorted(e["time"] for e in curve if math.isfinite(number(e["time"])))


@pytest.mark.parametrize(("longitude", "season"), [(None, 80.0), (None, 3.0), (-70.7, 5.0), (200.0, 1.5)])
def test_nights_gaps_and_seasons(longitude, season):
    found = Cadence(longitude, season)(Curves.of(array(CURVES), shape())).to_pylist()
    for curve, mine in zip(CURVES, found, strict=True):
        if curve is None:
            assert mine is None
            continue
        t = times_of(curve)
        gaps = [b - a for a, b in pairwise(t)]
        nights = 1 + sum(g > 0.5 for g in gaps)
        if longitude is not None:
            nights = len({math.floor(x + longitude / 360 + 0.5) for x in t})
        seasons, last = [], []
        for x in t:
            if last and x - last[-1] > season:
                seasons.append(last[-1] - last[0])
                last = []
            last.append(x)
        seasons += [last[-1] - last[0]] if last else []
        assert mine == pytest.approx(
            {
                "n_epochs": len(t),
                "n_nights": nights if t else 0,
                "n_seasons": len(seasons),
                "duration_days": t[-1] - t[0] if t else None,
                "median_gap_days": float(np.median(gaps)) if gaps else None,
                "longest_gap_days": max(gaps) if gaps else None,
                "median_season_days": float(np.median(seasons)) if seasons else None,
                "longest_season_days": max(seasons) if seasons else None,
            }
        )


def test_cadence_reads_times_only_and_tells_units():
    assert Cadence().inputs(shape()) == ("time",)
    kind = Cadence().type(shape())
    assert unit_of(kind.field("median_gap_days")) == "d"
    assert kind.field("n_nights").type == pa.int32()
    with pytest.raises(PlanError, match='the role "time"'):
        Cadence().type(shape(roles=Roles()))
    with pytest.raises(PlanError, match="positive number of days"):
        Cadence(None, 0.0)


def test_structure_functions_are_those_of_all_pairs():
    edges = (0.0, 1.0, 5.0, 40.0)
    found = StructureFunction(edges, "bauer_2009a")(Curves.of(array(CURVES), shape())).to_pylist()
    for curve, mine in zip(CURVES, found, strict=True):
        if curve is None:
            assert mine is None
            continue
        used = [
            (e["time"], e["psfFlux"], e["psfFluxErr"])
            for e in curve
            if all(math.isfinite(number(e[p])) for p in ("time", "psfFlux", "psfFluxErr")) and e["psfFluxErr"] > 0
        ]
        for k, (low, high) in enumerate(pairwise(edges)):
            pairs = [(abs(b[0] - a[0]), (b[1] - a[1]) ** 2, a[2] ** 2 + b[2] ** 2) for a, b in combinations(used, 2)]
            pairs = [p for p in pairs if low <= p[0] < high]
            assert mine["pairs"][k] == len(pairs)
            if not pairs:
                assert (mine["lag_days"][k], mine["structure"][k]) == (None, None)
                continue
            lag, square, noise = np.mean(pairs, axis=0)
            assert mine["lag_days"][k] == pytest.approx(lag)
            value = math.sqrt(square - noise) if square >= noise else None
            assert mine["structure"][k] == (None if value is None else pytest.approx(value))


def test_a_structure_function_has_units_and_needs_edges_and_a_known_estimator():
    assert unit_of(StructureFunction((0.0, 1.0)).type(shape()).field("structure")) == "nJy"
    assert unit_of(StructureFunction((0.0, 1.0), "basic").type(shape()).field("structure")) == "nJy^2"
    assert StructureFunction((0.0, 1.0)).inputs(shape()) == ("time", "psfFlux", "psfFluxErr")
    no_errors = shape(roles=Roles(time="time", flux="psfFlux"))
    assert StructureFunction((0.0, 1.0)).inputs(no_errors) == ("time", "psfFlux")
    for edges in ((), (1.0,), (1.0, 1.0), (-1.0, 2.0), (3.0, 2.0)):
        with pytest.raises(PlanError, match="edges of lag bins"):
            StructureFunction(edges)
    with pytest.raises(PlanError, match="bauer_2009a"):
        StructureFunction((0.0, 1.0), "bauer")


@pytest.mark.parametrize("summary", [Cadence(), StructureFunction((0.0, 10.0))])
def test_tables_without_rows_have_the_same_type(summary):
    made = summary(Curves.of(array([]), shape()))
    assert made.type == summary.type(shape())
    assert len(made) == 0
