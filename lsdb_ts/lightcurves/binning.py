"""The step that makes one epoch of several near in time: weighted means by band and night, or by a width in days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.curves.binning import bin_means
from lsdb_ts.kernels.curves.within import order_within
from lsdb_ts.lightcurves.cadence import in_mjd, noon_mjd
from lsdb_ts.lightcurves.curves import Curves, floating, nullable
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.step import Step, union

COUNT = "n"
"""Part that tells how many epochs a bin was made of."""


@dataclass(frozen=True)
class Bin(Step):
    """Weighted means of the epochs of one band in each bin of time.

    With w = 1 / e^2, time and value are sum(w x) / sum(w), and the error is 1 / sqrt(sum w). Epochs whose time, value
    or error is missing, or whose error is not positive, are left out; where the curves have no errors, all weights are
    1, and no error comes out. Of fluxes and magnitudes the fluxes are binned: the mean of a magnitude is not that of
    the light. What is left are time, band, value, error and the part ``n``, in order of time.
    """

    width_days: float
    origin_mjd: float = 0.0
    """Where a bin begins: ``[origin + k width, origin + (k + 1) width)``, in the days of the times."""
    nights: bool = False
    """Whether the origin is in MJD also where the times are JD."""

    def __post_init__(self) -> None:
        if not 0 < self.width_days < np.inf or not np.isfinite(self.origin_mjd):
            raise PlanError(
                f"bin needs a positive width in days and a finite origin; got {self.width_days}, {self.origin_mjd}"
            )

    @classmethod
    def nightly(cls, longitude_deg: float) -> Bin:
        """Return bins of one night: from noon to noon of the mean sun at a longitude, east positive.

        >>> Bin.nightly(-70.7494).origin_mjd
        0.69652611...
        """
        return cls(1.0, noon_mjd(longitude_deg), nights=True)

    def _roles(self, before: Shape) -> tuple[str, str | None, str, str | None]:
        value, error = before.compared("bin")
        return before.number("time", "bin"), before.roles.band, value, error

    def shape(self, before: Shape) -> Shape:
        """Return time, band, value, error and ``n``."""
        time, band, value, error = self._roles(before)
        floats = {n: before.field(n) for n in union((time, value, error))}
        made = [f.with_type(floating(f.type)) for f in floats.values()]
        kept = union((time, band, value, error))
        return before.only(kept).with_parts([*made, pa.field(COUNT, pa.int32())])

    def inputs(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return all it makes bins of: which bins there are depends on all."""
        return union(self._roles(before))

    def __call__(self, curves: Curves) -> Curves:
        """Make the bins."""
        time, band, value, error = self._roles(curves.shape)
        t, x, e = curves.numbers(time), curves.numbers(value), curves.errors(error)
        used = np.flatnonzero(np.isfinite(t) & np.isfinite(x) & np.isfinite(e))
        counts = np.bincount(curves.parents[used], minlength=len(curves))
        bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        number = np.floor(((in_mjd(t) if self.nights else t) - self.origin_mjd) / self.width_days)
        code = np.zeros(t.size) if band is None else curves.codes(band)[0].astype(np.float64)
        rows = used[order_within(bounds, number[used], code[used])]
        first, n_epochs, means, offsets = bin_means(rows, bounds, number, code, t, x, e)
        sequence = order_within(offsets, means[0])
        shape = self.shape(curves.shape)
        made: dict[str, pa.Array] = {
            time: nullable(means[0, sequence], shape.field(time).type),
            value: nullable(means[1, sequence], shape.field(value).type),
            COUNT: pa.array(n_epochs[sequence]),
        }
        if band is not None:
            made[band] = curves.parts[band].take(pa.array(first[sequence]))
        if error is not None:
            made[error] = nullable(means[2, sequence], shape.field(error).type)
        return Curves(made, offsets, curves.missing, shape, curves.rows)
