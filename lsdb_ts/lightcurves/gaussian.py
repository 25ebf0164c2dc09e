"""The step that puts light curves on a regular grid of times and bands, by Gaussian processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.fits.gaussian_process import Process, interpolate
from lsdb_ts.lightcurves.curves import Curves, floating, nullable
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.step import Step, union

ANGSTROM: Mapping[str | int, float] = {"u": 3671.0, "g": 4827.0, "r": 6223.0, "i": 7546.0, "z": 8691.0, "y": 9710.0}
"""Nominal wavelengths: of use for how far bands lie apart, and nothing finer."""
_MOST_EPOCHS = 100_000


@dataclass(frozen=True)
class Interpolate(Step):
    """Values and standard errors at regular times in all of some bands, band after band: the grid of an autoencoder.

    They are those of a Gaussian process in time and wavelength (Boone 2019, AJ 158, 257), or in time alone of each
    band, whose amplitude and time scale are the likeliest for the curve; see ``kernels.fits``. Every curve
    has the same number of epochs: values are null in a band that no process tells of, and a curve without a process,
    or without a day 0, has no epochs. What is left are time, band, value and error. Epochs of which one of them is
    missing, or whose error is not positive, do not count. Of fluxes and magnitudes it is fluxes that are interpolated.
    """

    start_days: float
    """First time, counted from day 0."""
    stop_days: float
    """Last time, included."""
    n_times: int
    bands: tuple[str | int, ...]
    wavelengths: tuple[float, ...]
    zero: Literal["peak", "first"] = "peak"
    """Day 0, unless ``since`` tells: the brightest epoch, by its value less its error, or the first."""
    since: float | str | None = None
    """Time of day 0, or a base column of it."""
    wavelength_scale: float | None = 6000.0
    """In the unit of the wavelengths; None takes each band by itself."""
    scale_range_days: tuple[float, float] = (1.0, 1000.0)
    """Limits of the time scale; equal ones fix it."""
    centred: bool | None = None
    """Whether values are about the median of their band and not about 0; None: magnitudes are, and fluxes are not."""
    min_epochs: int = 3

    def __post_init__(self) -> None:
        if not -np.inf < self.start_days <= self.stop_days < np.inf or self.n_times < 1 + (
            self.start_days < self.stop_days
        ):
            raise PlanError(
                f"interpolate needs finite first and last days, and times at both; got {self.start_days} to "
                f"{self.stop_days} with {self.n_times} times"
            )
        if not self.bands or len(set(self.bands)) < len(self.bands) or len(self.wavelengths) != len(self.bands):
            raise PlanError(
                f"interpolate needs bands, each once and with a wavelength; got {self.bands} and {self.wavelengths}"
            )
        if not all(0 < w < np.inf for w in self.wavelengths):
            raise PlanError(f"wavelengths are positive, and not {self.wavelengths}")
        if self.n_times * len(self.bands) > _MOST_EPOCHS:
            raise PlanError(
                f"interpolate makes at most {_MOST_EPOCHS} epochs a curve; {self.n_times} times are too many"
            )
        if self.zero not in ("peak", "first"):
            raise PlanError(
                f'interpolate counts days from the "peak" or the "first" epoch, or since=; not "{self.zero}"'
            )
        self._process(centred=True)

    @property
    def epochs_each(self) -> int:
        """All bands at all times."""
        return self.n_times * len(self.bands)

    def _process(self, *, centred: bool) -> Process:
        return Process(self.wavelength_scale, self.scale_range_days, centred=centred, min_epochs=self.min_epochs)

    def _roles(self, before: Shape) -> tuple[str, str, str, str]:
        before.compared("interpolate")
        value, error = before.measured("interpolate")
        return before.number("time", "interpolate"), before.role("band", "interpolate"), value, error

    def shape(self, before: Shape) -> Shape:
        """Return time, band, value and error."""
        time, band, value, error = self._roles(before)
        made = [before.field(n).with_type(floating(before.field(n).type)) for n in (time, value, error)]
        return before.only((time, band, value, error)).with_parts(made)

    def inputs(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return all four: each tells which curves have a process."""
        return union(self._roles(before))

    def columns(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the column of day 0."""
        return (self.since,) if isinstance(self.since, str) else ()

    def __call__(self, curves: Curves) -> Curves:
        """Interpolate."""
        time, band, value, error = self._roles(curves.shape)
        is_mag = curves.shape.roles.flux is None
        t, x, e = curves.numbers(time), curves.numbers(value), curves.errors(error)
        code = self._codes(curves, band)
        used = np.flatnonzero(np.isfinite(t) & np.isfinite(x) & np.isfinite(e) & (code >= 0))
        owner = curves.parents[used]
        zero = self._zero(curves, owner, t[used], (-x if is_mag else x)[used] - e[used])
        rows = used[np.lexsort((t[used], code[used], owner))]
        n_bands = len(self.bands)
        counts = np.bincount(curves.parents[rows] * n_bands + code[rows], minlength=len(curves) * n_bands)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        days = np.linspace(self.start_days, self.stop_days, self.n_times)
        at = zero[:, None] + days
        process = self._process(centred=is_mag if self.centred is None else self.centred)
        # Counted from day 0, where there is one: times of day have lost some digits.
        origin = np.where(np.isfinite(zero), zero, 0.0)
        found = interpolate(
            t[rows] - origin[curves.parents[rows]], x[rows], e[rows], offsets, np.tile(days, (len(curves), 1)),
            np.array(self.wavelengths, np.float64), process,
        )  # fmt: skip
        there = np.isfinite(found.amplitude).any(axis=1) & np.isfinite(zero)
        shape, n = self.shape(curves.shape), int(there.sum())
        every = np.tile(np.repeat(np.arange(n_bands), self.n_times), n)
        made: dict[str, pa.Array] = {
            time: nullable(np.repeat(at[there], n_bands, axis=0).ravel(), shape.field(time).type),
            band: self._named(every, shape.field(band).type),
            value: nullable(found.mean[there].ravel(), shape.field(value).type),
            error: nullable(found.error[there].ravel(), shape.field(error).type),
        }
        ends = np.concatenate([[0], np.cumsum(there * (n_bands * self.n_times))]).astype(np.int64)
        return Curves(made, ends, curves.missing, shape, curves.rows)

    def _codes(self, curves: Curves, band: str) -> NDArray[np.int64]:
        """Return the place of each epoch's band among the bands asked for, -1 for others."""
        codes, values = curves.codes(band)
        return np.array([*(self.bands.index(v) if v in self.bands else -1 for v in values), -1])[codes]

    def _named(self, codes: NDArray[np.int64], kind: pa.DataType) -> pa.Array:
        if pa.types.is_dictionary(kind):
            return pa.DictionaryArray.from_arrays(
                pa.array(codes).cast(kind.index_type), pa.array(self.bands).cast(kind.value_type)
            )
        return pa.array(self.bands).cast(kind).take(pa.array(codes))

    def _zero(
        self, curves: Curves, owner: NDArray[np.int64], time: NDArray[np.float64], height: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the time of day 0 of each curve, NaN where there is none."""
        if self.since is not None:
            return curves.row_numbers(self.since)
        # The first of each curve in this order.
        order = np.lexsort((time, owner) if self.zero == "first" else (time, -height, owner))
        zero, first = np.full(len(curves), np.nan), order[np.diff(owner[order], prepend=-1) > 0]
        zero[owner[first]] = time[first]
        return zero
