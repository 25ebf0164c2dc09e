"""Counting rows per pixel, and rows that are nowhere."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import PositionError
from lsdb_ts.schema import Roles
from lsdb_ts.testing import hard_sky
from partitioner.inputs.tables import open_table
from partitioner.planning import histogram, measure
from partitioner.planning.histogram import FIRST_ORDER, Histogram, Look, count_unit
from partitioner.planning.plan import plan
from partitioner.surveys.survey import Survey, Table


def write(tmp_path, ra, dec) -> SimpleNamespace:
    pq.write_table(pa.table({"ra": ra, "dec": dec}), tmp_path / "in.parquet")
    table = open_table(Table("stars", (str(tmp_path / "in.parquet"),), Roles(ra="ra", dec="dec")))
    return SimpleNamespace(table=table, unit=table.units[0])


def test_counts_equal_those_of_another_healpix_library(tmp_path):
    from astropy import units
    from cdshealpix.nested import lonlat_to_healpix

    ra, dec = hard_sky(3000, seed=3)
    case = write(tmp_path, ra, dec)

    found = count_unit(Look(case.table, FIRST_ORDER), case.unit)

    there = lonlat_to_healpix(ra * units.deg, dec * units.deg, found.order).astype(np.int64)
    cells, counts = np.unique(there, return_counts=True)
    # The two libraries may round points on an edge to either side.
    differing = np.setxor1d(cells, found.cells)
    assert differing.size <= 0.01 * cells.size
    assert found.counts.sum() == 3000
    both = np.isin(found.cells, cells)
    assert np.abs(found.counts[both] - counts[np.isin(cells, found.cells)]).sum() <= 30


def test_histograms_add_up():
    a = Histogram(12, np.array([1, 5]), np.array([2, 3]))
    b = Histogram(12, np.array([5, 9]), np.array([10, 1]))

    total = Histogram.add([a, b], 12)

    assert total.cells.tolist() == [1, 5, 9]
    assert total.counts.tolist() == [2, 13, 1]


@pytest.mark.parametrize("most", [1, 40, 10**6])
def test_the_histogram_does_not_depend_on_when_counts_are_added_up(tmp_path, monkeypatch, most):
    ra, dec = hard_sky(900, seed=4)
    paths = [str(tmp_path / f"{i}.parquet") for i in range(9)]
    for i, path in enumerate(paths):
        pq.write_table(pa.table({"ra": ra[i::9], "dec": dec[i::9]}), path)
    table = dataclasses.replace(open_table(Table("stars", tuple(paths), Roles(ra="ra", dec="dec"))), unit_rows=100)
    look = Look(table, FIRST_ORDER)
    monkeypatch.setattr(histogram, "MOST_CELLS", most)
    monkeypatch.setattr(measure, "MOST_CELLS", most)

    found = measure._counted(look, count_unit, show=False)

    whole = Histogram.add([count_unit(look, unit) for unit in table.units], FIRST_ORDER).with_at_most(most)
    assert len(table.units) == 9
    assert found.order == whole.order
    assert found.cells.tolist() == whole.cells.tolist()
    assert found.counts.tolist() == whole.counts.tolist()


@pytest.mark.parametrize(
    ("ra", "dec", "said"),
    [
        (np.nan, 10.0, "ra=nan, dec=10.0"),
        (10.0, None, "ra=10.0, dec=nan"),
        (10.0, 90.1, "ra=10.0, dec=90.1"),
        (-999.0, 10.0, "ra=-999.0, dec=10.0"),
        (np.inf, 10.0, "ra=inf, dec=10.0"),
        (361.0, 0.0, "ra=361.0, dec=0.0"),
    ],
)
def test_a_position_that_is_not_on_the_sky_is_named_with_file_row_value_and_way_out(tmp_path, ra, dec, said):
    rows = pa.table({"ra": [1.0, 2.0, ra, 4.0], "dec": [0.0, 0.0, dec, 0.0]})
    pq.write_table(rows, tmp_path / "in.parquet")
    survey = Survey.of_single_table(str(tmp_path / "in.parquet"), ra="ra", dec="dec")

    with pytest.raises(PositionError) as caught:
        plan(survey, tmp_path / "out")

    assert f"row 2 of {tmp_path / 'in.parquet'} (counted from 0): {said}" in str(caught.value)
    assert "--on-bad refuse" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ra", [0.0, 360.0, -180.0, -1e-12])
def test_both_ways_to_count_right_ascension_are_on_the_sky(tmp_path, ra):
    case = write(tmp_path, [ra], [0.0])

    assert count_unit(Look(case.table, FIRST_ORDER), case.unit).bad == 0
