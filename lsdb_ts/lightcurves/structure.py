"""The structure function of each light curve, as a nested column of lag bins. The estimators are in ``kernels``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.kernels.curves.structure import ESTIMATORS, structure_function
from lsdb_ts.kernels.curves.within import order_within
from lsdb_ts.lightcurves.curves import Curves, nullable
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.summary import Summary
from lsdb_ts.schema import VALUE, in_unit, with_unit

_SQUARED = "basic"


@dataclass(frozen=True)
class StructureFunction(Summary):
    """Lag, structure function and number of pairs, in bins of lag; bins without pairs are null.

    Epochs whose time, value or error is missing, or whose error is not positive, are left out; without a part of
    errors these are 0.
    """

    lag_edges_days: tuple[float, ...]
    estimator: str = "bauer_2009a"

    def __post_init__(self) -> None:
        edges = np.asarray(self.lag_edges_days, dtype=float)
        if edges.size < 2 or not (edges[0] >= 0 and (np.diff(edges) > 0).all()):
            raise PlanError(f"edges of lag bins are increasing and not negative, at least two of them; got {edges}")
        if self.estimator not in ESTIMATORS:
            known = did_you_mean(self.estimator, ESTIMATORS)
            raise PlanError(f'there is no structure function "{self.estimator}"; {known}')

    def type(self, before: Shape) -> pa.DataType:
        """Return a nested column of lag, structure function and pairs."""
        value, _ = before.compared("structure_function")
        before.number("time", "structure_function")
        unit = before.unit(value)
        told = pa.field("structure", pa.list_(pa.float64()))
        if unit is not None:
            told = with_unit(told, in_unit(f"{VALUE}^2" if self.estimator == _SQUARED else VALUE, unit))
        lag = with_unit(pa.field("lag_days", pa.list_(pa.float64())), "d")
        return pa.struct([lag, told, pa.field("pairs", pa.list_(pa.int64()))])

    def inputs(self, before: Shape) -> tuple[str, ...]:
        """Return time, value and error."""
        value, error = before.brightness("structure_function")
        time = before.number("time", "structure_function")
        return (time, value) if error is None else (time, value, error)

    def __call__(self, curves: Curves) -> pa.Array:
        """Compute them."""
        time, value, *error = self.inputs(curves.shape)
        t = curves.numbers(time)
        e = curves.errors(error[0]) if error else np.zeros(t.size)
        order = order_within(curves.offsets, t)
        columns = (t[order], curves.numbers(value)[order], e[order])
        found = structure_function(*columns, curves.offsets, list(self.lag_edges_days), self.estimator)
        n_bins = len(self.lag_edges_days) - 1
        offsets = pa.array(np.arange(len(curves) + 1) * n_bins).cast(pa.int32())
        lag, structure, pairs = found
        flat = (nullable(lag.ravel()), nullable(structure.ravel()), pa.array(pairs.ravel()))
        arrays = [pa.ListArray.from_arrays(offsets, values) for values in flat]
        return pa.StructArray.from_arrays(arrays, fields=list(self.type(curves.shape)), mask=pa.array(curves.missing))
