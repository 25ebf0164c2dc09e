"""The step that adds the phase of a period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.curves.within import order_within
from lsdb_ts.lightcurves.curves import Curves, nullable
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.step import Step, union
from lsdb_ts.schema import with_unit

PHASE = "phase"
"""Part that the step adds, or replaces: float64 in [0, 1)."""


@dataclass(frozen=True)
class Fold(Step):
    """The part ``phase``: ((t - epoch) / period) mod 1; null where time or period is missing, or it is not positive."""

    period: float | str
    """Days, or a base column of them."""
    epoch: float | str = 0.0
    """Time of phase 0, or a base column of it."""
    sort: bool = False
    """Whether epochs come in order of phase, those without one last."""

    def __post_init__(self) -> None:
        if not isinstance(self.period, str) and not 0 < self.period < np.inf:
            raise PlanError(f"fold needs a positive period in days, or the name of a column; got {self.period}")

    def shape(self, before: Shape) -> Shape:
        """Return the shape with the phase."""
        before.number("time", "fold")
        return before.with_parts([with_unit(pa.field(PHASE, pa.float64()), "1")])

    def inputs(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return what is wanted, and the time where the phase is needed."""
        others = tuple(name for name in wanted if name != PHASE)
        return union(others, (before.role("time", "fold"),)) if self.sort or PHASE in wanted else others

    def columns(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns of period and epoch, where the phase is needed."""
        told = tuple(value for value in (self.period, self.epoch) if isinstance(value, str))
        return told if self.sort or PHASE in wanted else ()

    def __call__(self, curves: Curves) -> Curves:
        """Add the phase."""
        shape, time = self.shape(curves.shape), curves.shape.role("time", "fold")
        told = [value for value in (self.period, self.epoch) if isinstance(value, str)]
        if time not in curves or any(name not in curves.rows for name in told):
            kept = {name: values for name, values in curves.parts.items() if name != PHASE}
            return Curves(kept, curves.offsets, curves.missing, shape, curves.rows)
        period, epoch = curves.row_numbers(self.period), curves.row_numbers(self.epoch)
        period = np.where((period > 0) & np.isfinite(period), period, np.nan)[curves.parents]
        turns = (curves.numbers(time) - epoch[curves.parents]) / period
        phase = turns - np.floor(turns)
        # A tiny negative number of turns rounds to 1.
        phase = np.where(phase < 1.0, phase, np.where(np.isfinite(phase), 0.0, np.nan))
        folded = curves.with_parts({PHASE: nullable(phase)}, shape)
        return folded.ordered(order_within(curves.offsets, phase)) if self.sort else folded
