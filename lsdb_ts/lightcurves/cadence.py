"""When each light curve was observed: epochs, nights, gaps and seasons."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numba
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.curves.ranked import middle_of
from lsdb_ts.kernels.curves.within import order_within
from lsdb_ts.lightcurves.curves import Curves, nullable
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.summary import Summary
from lsdb_ts.schema import JD_OF_MJD, are_mjd, with_unit

_NIGHT_GAP_DAYS = 0.5
_DAYS = ("duration", "median_gap", "longest_gap", "median_season", "longest_season")


def noon_mjd(longitude_deg: float) -> float:
    """Return the time of day, in MJD, at which the mean sun is highest at a longitude, east positive.

    Raises
    ------
    PlanError
        It is no longitude.
    """
    if not -360.0 <= longitude_deg <= 360.0:
        raise PlanError(f"a longitude is from -180 to 180 degrees, or from 0 to 360, and not {longitude_deg}")
    return 0.5 - longitude_deg / 360.0


def in_mjd(time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return times in MJD where they are MJD or JD, epoch by epoch; nights begin half a day apart in the two.

    Other times stay as they are, and are warned of: where their days begin, nobody knows.
    """
    found = np.where(are_mjd(time - JD_OF_MJD), time - JD_OF_MJD, time)
    known = found[np.isfinite(found)]
    if known.size and not are_mjd(known).any():
        warnings.warn(
            f"times such as {known[0]:g} are neither MJD nor JD, so nights may be cut at midnight: bin them with "
            f"bin(1.0, origin_mjd=...), a time at noon",
            stacklevel=2,
        )
    return found


@dataclass(frozen=True)
class Cadence(Summary):
    """Epochs, nights, gaps and seasons of each curve; epochs without a time do not count.

    A night is from noon to noon of the mean sun at a longitude; without one, a night ends where no epoch follows for
    half a day, which is right where no night is longer. A season ends where no epoch follows for ``season_gap_days``;
    its length is from its first epoch to its last. Gaps are between one epoch and the next; with less than two epochs
    they are null, and lengths are null without an epoch.
    """

    longitude_deg: float | None = None
    season_gap_days: float = 80.0

    def __post_init__(self) -> None:
        if self.longitude_deg is not None:
            noon_mjd(self.longitude_deg)
        if not self.season_gap_days > 0:
            raise PlanError(f"seasons end with a gap of a positive number of days, and not {self.season_gap_days}")

    def type(self, before: Shape) -> pa.DataType:
        """Return a struct of the numbers."""
        before.number("time", "cadence")
        counts = [pa.field(name, pa.int32()) for name in ("n_epochs", "n_nights", "n_seasons")]
        return pa.struct([*counts, *(with_unit(pa.field(f"{name}_days", pa.float64()), "d") for name in _DAYS)])

    def inputs(self, before: Shape) -> tuple[str, ...]:
        """Return the time."""
        return (before.number("time", "cadence"),)

    def __call__(self, curves: Curves) -> pa.Array:
        """Count and measure."""
        time = self.inputs(curves.shape)[0]
        known = curves.keep(np.isfinite(curves.numbers(time)))
        t = known.numbers(time)
        t = t[order_within(known.offsets, t)]
        table = np.full((len(curves), 8), np.nan)
        noon = np.nan
        if self.longitude_deg is not None:
            t, noon = in_mjd(t), noon_mjd(self.longitude_deg)
        _all_curves(t, known.offsets, noon, self.season_gap_days, table)
        kind = self.type(curves.shape)
        arrays = [nullable(table[:, k], part.type) for k, part in enumerate(kind)]
        return pa.StructArray.from_arrays(arrays, fields=list(kind), mask=pa.array(curves.missing))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _all_curves(t, offsets, noon, season_gap, table):  # type: ignore[no-untyped-def]
    for c in range(offsets.size - 1):
        curve, row = t[offsets[c] : offsets[c + 1]], table[c]
        row[0] = curve.size
        row[1], row[2] = 0.0, 0.0
        if curve.size == 0:
            continue
        seasons, first = np.empty(curve.size), 0
        row[1] = 1.0
        n_seasons = 0
        for i in range(1, curve.size + 1):
            if i < curve.size:
                gap = curve[i] - curve[i - 1]
                if np.isnan(noon):
                    row[1] += gap > _NIGHT_GAP_DAYS
                else:
                    row[1] += np.floor(curve[i] - noon) != np.floor(curve[i - 1] - noon)
            if i == curve.size or gap > season_gap:
                seasons[n_seasons] = curve[i - 1] - curve[first]
                n_seasons += 1
                first = i
        row[2], row[3] = n_seasons, curve[-1] - curve[0]
        lengths = np.sort(seasons[:n_seasons])
        row[6], row[7] = middle_of(lengths), lengths[-1]
        if curve.size > 1:
            gaps = np.sort(curve[1:] - curve[:-1])
            row[4], row[5] = middle_of(gaps), gaps[-1]
