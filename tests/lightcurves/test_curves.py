"""Curves as flat arrays and offsets, and shapes: what goes in comes out, and what does not fit is told."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.schema import Roles, unit_of
from tests.lightcurves.curvecases import ROLES, array, awkward, shape

CURVES = awkward()


@pytest.mark.parametrize("large", [False, True])
def test_curves_come_out_as_they_went_in(large):
    column = array(CURVES, large=large)
    for given in (column, pa.chunked_array([column.slice(0, 7), column.slice(7)])):
        out = Curves.of(given).to_arrow()
        assert out.type == column.type
        assert repr(out.to_pylist()) == repr(column.to_pylist())


def test_what_stands_below_a_null_curve_does_not_count():
    lists = pa.array([[1.0, 2.0], [3.0]])
    column = pa.StructArray.from_arrays([lists], ["time"], mask=pa.array([True, False]))
    curves = Curves.of(column)
    assert curves.offsets.tolist() == [0, 0, 1]
    assert curves.numbers("time").tolist() == [3.0]
    assert curves.to_arrow().to_pylist() == [None, {"time": [3.0]}]


def test_lists_of_different_lengths_are_told_with_the_row():
    lists = {"time": pa.array([[1.0], [2.0, 3.0]]), "flux": pa.array([[1.0], [2.0]])}
    with pytest.raises(InputError, match=r'light curve 1: the list "flux" has 1 items and "time" has 2'):
        Curves.of(pa.StructArray.from_arrays(list(lists.values()), list(lists)))


def test_a_column_of_no_rows_has_a_shape_and_no_epochs():
    curves = Curves.of(array([]))
    assert (len(curves), curves.n_epochs, curves.groups("band", time="time")[1].tolist()) == (0, 0, [0])
    assert curves.to_arrow().type == array([]).type


def test_groups_are_of_one_curve_and_band_in_order_of_time():
    curves = Curves.of(array(CURVES))
    rows, offsets = curves.groups("band", time="time")
    time, bands, parents = curves.numbers("time"), curves.parts["band"].to_pylist(), curves.parents
    assert sorted(rows.tolist()) == list(range(curves.n_epochs))
    seen = set()
    for start, stop in pairwise(offsets):
        group = rows[start:stop]
        (key,) = {(parents[i], bands[i]) for i in group}
        assert key not in seen
        seen.add(key)
        known = time[group][np.isfinite(time[group])]
        assert (np.diff(known) >= 0).all()
        assert np.isfinite(time[group][: known.size]).all()
    assert len(seen) == len({(p, b) for p, b in zip(parents, bands, strict=True)})


def test_epochs_can_be_taken_kept_and_given_more_parts():
    curves = Curves.of(array([[*(c or [])] for c in CURVES]), shape())
    mask = curves.numbers("psfFlux") > 100
    kept = curves.keep(mask)
    assert kept.numbers("psfFlux").tolist() == curves.numbers("psfFlux")[mask].tolist()
    assert kept.parents.tolist() == curves.parents[mask].tolist()
    more = kept.with_parts({"snr": pa.array(kept.numbers("psfFlux") / 2)})
    assert more.shape.names == (*curves.shape.names, "snr")
    assert more.to_arrow().field("snr").flatten().to_pylist() == (kept.numbers("psfFlux") / 2).tolist()
    assert kept.keep(np.ones(kept.n_epochs, bool)) is kept


def test_the_type_of_a_shape_holds_roles_and_units():
    kind = shape().type
    assert Roles.of(kind) == ROLES
    assert unit_of(kind.field("psfFlux")) == "nJy"
    assert Shape.of(pa.field("lc", kind)).roles == ROLES


def test_a_role_that_was_given_up_is_not_guessed_again():
    fields = [pa.field("mjd", pa.float64()), pa.field("magzpsci", pa.float64())]
    kept = Shape(tuple(fields), Roles(time="mjd"))
    assert Shape.of(pa.field("lc", kept.type)).roles == Roles(time="mjd")


def test_a_missing_role_or_part_is_told_with_what_there_is():
    like = shape(roles=Roles(time="time"))
    with pytest.raises(
        PlanError, match=r'bin needs a part with the role "flux".*time, band, psfFlux.*Roles\(flux=\.\.\.\)'
    ):
        like.brightness("bin")
    with pytest.raises(PlanError, match=r'no part "psfFlx".*psfFlux'):
        like.part("psfFlx", "sort")
    with pytest.raises(PlanError, match=r'needs numbers, and the part "band" is string'):
        shape(roles=Roles(time="band")).number("time", "between")
    with pytest.raises(PlanError, match="not a light curve"):
        Shape.of(pa.field("mag", pa.float64()))


def test_a_part_that_has_the_name_of_a_role_does_not_play_it_for_that():
    kinds = {"hmjd": pa.float64(), "time": pa.string()}
    like = shape(kinds, Roles(time="hmjd"))
    assert (like.number("time", "bin"), like.part("time", "sort")) == ("hmjd", "time")
