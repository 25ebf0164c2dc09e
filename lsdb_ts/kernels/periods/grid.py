"""Frequency grids that are bounded, whatever the times they are laid for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError

_MIN_OVERSAMPLING = 2.0
"""Coarsest grid allowed: half a step off the peak then still keeps 81 % of its power."""


@dataclass(frozen=True)
class FrequencyGrid:
    """Equally spaced frequencies ``first + step * k``, k = 0 .. count - 1, in cycles per day.

    >>> FrequencyGrid.spanning(100.0, (0.5, 50.0), oversampling=5, max_frequencies=100_000)
    FrequencyGrid(first=0.02, step=0.002, count=991)
    """

    first: float
    step: float
    count: int

    @classmethod
    def spanning(
        cls,
        baseline_days: float,
        period_range_days: tuple[float, float],
        oversampling: float = 5.0,
        max_frequencies: int = 100_000,
    ) -> FrequencyGrid:
        """Lay a grid over a range of periods, never of more than ``max_frequencies`` points.

        The step is ``1 / (oversampling * baseline)`` or a little less, so that the grid ends on the shortest period.
        Where that needs too many points the step grows, at most to an oversampling of 2; where even that is not enough
        the shortest periods are left out. So no baseline, however absurd, can make the grid large. Periods longer
        than the baseline are left out too (count 0 where none remain, or where the baseline is no number above 0).

        Raises
        ------
        PlanError
            For a range of periods or an oversampling that makes no sense.
        """
        shortest, longest = period_range_days
        if not 0.0 < shortest < longest or not 0.0 < oversampling < math.inf or 1.0 / shortest == math.inf:
            raise PlanError(
                "a frequency grid needs 0 < shortest < longest period and an oversampling above 0, "
                f"got {period_range_days} days and {oversampling}"
            )
        first, step, count = _grid(float(baseline_days), shortest, longest, oversampling, max_frequencies)
        return cls(float(first), float(step), int(count))

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """The frequencies in cycles per day, float64, shape (count,)."""
        return self.first + self.step * np.arange(self.count)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _grid(baseline, shortest, longest, oversampling, max_count):  # type: ignore[no-untyped-def]
    """Return (first, step, count) of a bounded grid."""
    if not 0.0 < baseline < math.inf or max_count < 1:
        return 0.0, 0.0, 0
    first, last = max(1.0 / longest, 1.0 / baseline), 1.0 / shortest
    if last < first:
        return first, 0.0, 0
    finest = 1.0 / (oversampling * baseline)
    widest = max(1.0 / (_MIN_OVERSAMPLING * baseline), finest)
    # Steps to the last frequency; the rounding of a division must not cost it, nor add one.
    steps = (last - first) / finest * (1.0 - 1e-12)
    if steps <= max_count - 1.0:
        n = math.ceil(steps)
        return first, (last - first) / n if n > 0 else finest, int(n) + 1
    if (last - first) <= widest * (max_count - 1.0):
        return first, (last - first) / (max_count - 1), max_count
    return first, widest, max_count
