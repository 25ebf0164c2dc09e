"""Grids that cannot explode, whatever the times, and that end where they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.periods.grid import FrequencyGrid


@given(
    baseline=st.floats(allow_nan=True, allow_infinity=True),
    shortest=st.floats(1e-4, 10),
    ratio=st.floats(1.01, 1e6),
    oversampling=st.floats(0.1, 100),
    most=st.integers(-1, 100_000),
)
def test_a_grid_is_bounded_and_within_its_range_whatever_the_baseline(baseline, shortest, ratio, oversampling, most):
    grid = FrequencyGrid.spanning(baseline, (shortest, shortest * ratio), oversampling, most)

    assert 0 <= grid.count <= max(most, 0)
    if grid.count:
        assert grid.first >= 1 / (shortest * ratio) * (1 - 1e-12)
        assert grid.first >= 1 / baseline * (1 - 1e-12)
        assert grid.step > 0
        assert grid.frequencies[-1] <= 1 / shortest * (1 + 1e-9)
        assert grid.step <= 1 / (min(oversampling, 2.0) * baseline) * (1 + 1e-9)


@given(
    baseline=st.floats(1e-2, 1e7),
    shortest=st.floats(1e-2, 10),
    ratio=st.floats(1.01, 1e4),
    oversampling=st.floats(2, 20),
    most=st.integers(2, 100_000),
)
def test_a_grid_ends_on_the_shortest_period_unless_twice_oversampled_it_would_be_too_long(
    baseline, shortest, ratio, oversampling, most
):
    grid = FrequencyGrid.spanning(baseline, (shortest, shortest * ratio), oversampling, most)
    first, last = max(1 / (shortest * ratio), 1 / baseline), 1 / shortest
    if last <= first:
        assert grid.count == 0 or grid.frequencies.tolist() == [first]
    elif (last - first) * 2 * baseline <= (most - 1) * (1 - 1e-9):
        assert grid.frequencies[-1] == pytest.approx(last, rel=1e-9)
        steps = (last - first) * oversampling * baseline
        assert grid.count == min(most, np.ceil(steps * (1 - 1e-12)) + 1)
    elif (last - first) * 2 * baseline >= (most - 1) * (1 + 1e-9):
        assert grid.count == most
        assert grid.step == pytest.approx(1 / (2 * baseline))


def test_a_grid_grows_its_step_to_twice_oversampled_and_then_leaves_out_short_periods():
    roomy = FrequencyGrid.spanning(1000.0, (0.1, 1000.0), 5.0, 100_000)
    coarser = FrequencyGrid.spanning(4000.0, (0.1, 1000.0), 5.0, 100_000)
    cut = FrequencyGrid.spanning(2.4e6, (0.1, 1000.0), 5.0, 100_000)

    assert roomy.step == pytest.approx(1 / 5000)
    assert 1 / 20000 < coarser.step < 1 / 8000
    assert coarser.count == 100_000
    assert coarser.frequencies[-1] == pytest.approx(10.0, rel=1e-12)
    assert cut.step == pytest.approx(1 / 4.8e6)
    assert cut.count == 100_000


@pytest.mark.parametrize("baseline", [0.0, -1.0, np.nan, np.inf, 1e-300])
def test_no_baseline_no_grid(baseline):
    assert FrequencyGrid.spanning(baseline, (0.1, 100.0)).count == 0


@pytest.mark.parametrize(
    ("periods", "oversampling"),
    [
        ((0.0, 1.0), 5.0),
        ((2.0, 1.0), 5.0),
        ((np.nan, 1.0), 5.0),
        ((0.1, 1.0), 0.0),
        ((0.1, 1.0), np.nan),
        ((1e-320, 1.0), 5.0),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(periods, oversampling):
    with pytest.raises(PlanError, match="a frequency grid needs"):
        FrequencyGrid.spanning(100.0, periods, oversampling)
