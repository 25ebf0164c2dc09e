"""Features of sliding windows of each light curve, as a nested column. What the features mean stands next door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.features.protocol import unit_of_values
from lsdb_ts.features.sets import FeatureSet
from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.summary import Summary
from lsdb_ts.schema import in_unit, unit_of, with_role, with_unit

_MOST_OVERLAPS = 1000
_TIME, _COUNT = "time", "n_epochs"


@dataclass(frozen=True)
class WindowFeatures(Summary):
    """The features of a set in windows ``[first + k step, first + k step + width)``, from the first epoch of a curve.

    The parts are ``time``, the middle of the window, ``n_epochs``, and the features with their band before them.
    Windows without epochs are left out; epochs without a time are in none.
    """

    feature_set: FeatureSet
    width_days: float
    step_days: float

    def __post_init__(self) -> None:
        if not (0 < self.step_days < np.inf and 0 < self.width_days <= _MOST_OVERLAPS * self.step_days):
            raise PlanError(
                f"windows need a positive width, at most {_MOST_OVERLAPS} steps wide; got {self.width_days} days with "
                f"a step of {self.step_days}"
            )

    @property
    def copies(self) -> float:
        """As many times as windows overlap."""
        return 1.0 + self.width_days / self.step_days

    def type(self, before: Shape) -> pa.DataType:
        """Return a nested column of middle, count and features."""
        unit = unit_of_values(before)
        middle = with_role(with_unit(pa.field(_TIME, pa.list_(pa.float64())), "d"), "time")
        parts = [middle, pa.field(_COUNT, pa.list_(pa.int32()))]
        self.inputs(before)
        self.feature_set.require_second(before.names)
        for column in self.feature_set.fields:
            group = column.name.removeprefix("features_")
            for part in column.type:
                told = in_unit(unit_of(part) or "", unit)
                parts.append(with_unit(pa.field(f"{group}_{part.name}", pa.list_(part.type)), told))
        return pa.struct(parts)

    def inputs(self, before: Shape) -> tuple[str, ...]:
        """Return what the features need."""
        return self.feature_set.inputs(before.roles)

    def __call__(self, curves: Curves) -> pa.Array:
        """Cut the windows and compute the features of all at once."""
        time = curves.numbers(curves.shape.role("time", "windows"))
        epochs, window, owner, number = self._windows(time, curves)
        bounds = np.concatenate([[0], np.cumsum(np.bincount(window, minlength=owner.size))]).astype(np.int64)
        cut = replace(curves.take(epochs, bounds), missing=np.zeros(owner.size, np.bool_))
        found = self.feature_set.extract(cut.to_arrow(), curves.shape.roles)
        first = _first_times(time, curves)
        middle = first[owner] + number * self.step_days + 0.5 * self.width_days
        values: list[pa.Array] = [pa.array(middle), pa.array(np.diff(bounds).astype(np.int32))]
        for column in found.columns:
            values += column.combine_chunks().flatten()
        counts = np.bincount(owner, minlength=len(curves))
        offsets = pa.array(np.concatenate([[0], np.cumsum(counts)])).cast(pa.int32())
        arrays = [pa.ListArray.from_arrays(offsets, v) for v in values]
        return pa.StructArray.from_arrays(arrays, fields=list(self.type(curves.shape)), mask=pa.array(curves.missing))

    def _windows(self, time: NDArray[np.float64], curves: Curves) -> tuple[NDArray[np.int64], ...]:
        """Return the epoch and the window of each membership, and the curve and number of each window."""
        first = _first_times(time, curves)
        known = np.flatnonzero(np.isfinite(time))
        since = time[known] - first[curves.parents[known]]
        # Windows k with k step <= since < k step + width; rounding is put right by the test below.
        overlaps = int(np.ceil(self.width_days / self.step_days)) + 1
        k = np.floor(since / self.step_days)[:, None] - np.arange(overlaps)[None, :] + 1
        inside = (
            (k >= 0) & (k * self.step_days <= since[:, None]) & (since[:, None] < k * self.step_days + self.width_days)
        )
        epoch, numbers = np.broadcast_to(known[:, None], k.shape)[inside], k[inside].astype(np.int64)
        owner = curves.parents[epoch]
        order = np.lexsort((epoch, numbers, owner))
        epoch, numbers, owner = epoch[order], numbers[order], owner[order]
        new = np.ones(epoch.size, np.bool_)
        new[1:] = (owner[1:] != owner[:-1]) | (numbers[1:] != numbers[:-1])
        return epoch, np.cumsum(new) - 1, owner[new], numbers[new]

    def identity(self) -> Mapping[str, Any]:
        """Return the features and the windows."""
        return {
            "summary": "WindowFeatures",
            "version": self.version,
            "features": self.feature_set.fingerprint,
            "width_days": self.width_days,
            "step_days": self.step_days,
        }


def _first_times(time: NDArray[np.float64], curves: Curves) -> NDArray[np.float64]:
    first = np.full(len(curves), np.inf)
    known = np.isfinite(time)
    np.minimum.at(first, curves.parents[known], time[known])
    return first
