"""Steps that clean values: outliers dropped, trends taken away. The loops are in ``kernels``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.curves.cleaning import Centre, clipped, polynomial_trend, running_median
from lsdb_ts.lightcurves.curves import Curves, as_numbers, floating, nullable
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.step import Choice, Step, union

_ABOUT = ("median", "mean", "weighted")
_HIGHEST_DEGREE = 20


@dataclass(frozen=True)
class SigmaClip(Choice):
    """Without outliers of each band, looked for in rounds; missing values are none, and stay.

    About the median, a spread is 1.4826 times the median absolute deviation; about the mean the standard deviation,
    with n - 1; about the weighted mean the weighted one. Of a spread of 0 there are no outliers.
    """

    sigma: float = 3.0
    about: Centre = "median"
    rounds: int = 10
    """Rounds at most; less are made where a round finds nothing."""
    below: float | None = None
    """Spreads below the centre, where they are not to be as many as above; infinity for no bound."""
    above: float | None = None

    def __post_init__(self) -> None:
        if self.about not in _ABOUT:
            raise PlanError(f'sigma_clip works about one of {", ".join(_ABOUT)}, not about "{self.about}"')
        if not all(limit > 0 for limit in self._limits) or self.rounds < 1:
            raise PlanError(f"sigma_clip needs positive limits and a round at least; got {self._limits}, {self.rounds}")

    @property
    def _limits(self) -> tuple[float, float]:
        below = self.sigma if self.below is None else self.below
        return float(below), float(self.sigma if self.above is None else self.above)

    def needs(self, before: Shape) -> tuple[str, ...]:
        """Return value, band, and the error where it weights."""
        before.compared("sigma_clip")
        if self.about == "weighted":
            value, error = before.measured('sigma_clip(about="weighted")')
            return union((value, before.roles.band, error))
        return union(before.brightness("sigma_clip")[:1], (before.roles.band,))

    def __call__(self, curves: Curves) -> Curves:
        """Drop the outliers."""
        value, error = curves.shape.brightness("sigma_clip")
        rows, offsets = curves.groups(curves.shape.roles.band)
        errors = curves.errors(error if self.about == "weighted" else None)
        values = curves.numbers(value)
        outlier = clipped(values[rows], errors[rows], offsets, self._limits, self.about, self.rounds)
        # What stands for a missing magnitude is an outlier, too.
        keep = np.isfinite(values) | ~np.isfinite(as_numbers(curves.parts[value]))
        keep[rows] &= ~outlier
        return curves.keep(keep)


@dataclass(frozen=True)
class Detrend(Step):
    """Values minus the trend of their band.

    A polynomial is fitted with weights 1 / e^2 where there are errors: epochs whose error is missing are not fitted,
    but get their value of it. Values of bands with too few different times for the degree are null. A running median
    is over all values of the band within half a width, both ends included. Errors stay as they are.
    """

    degree: int = 1
    """0 is constant, 1 linear."""
    median_days: float | None = None
    """Width of the running median that is taken away instead of a polynomial."""

    def __post_init__(self) -> None:
        if not 0 <= self.degree <= _HIGHEST_DEGREE or (self.median_days is not None and not self.median_days > 0):
            raise PlanError(
                f"detrend takes a degree from 0 to {_HIGHEST_DEGREE}, or a positive width in days; got {self.degree} "
                f"and {self.median_days}"
            )

    def _roles(self, before: Shape) -> tuple[str, str | None, str, str | None]:
        value, error = before.compared("detrend")
        return before.number("time", "detrend"), before.roles.band, value, error if self.median_days is None else None

    def shape(self, before: Shape) -> Shape:
        """Return the shape as it was, but for values that are no floats: these become float64."""
        value = before.field(self._roles(before)[2])
        return before.with_parts([value.with_type(floating(value.type))])

    def inputs(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return what is wanted, and for values what the trend is made of."""
        roles = self._roles(before)
        return union(wanted, roles) if roles[2] in wanted else wanted

    def __call__(self, curves: Curves) -> Curves:
        """Take the trend away."""
        shape = self.shape(curves.shape)
        time, band, value, error = self._roles(curves.shape)
        if any(part is not None and part not in curves for part in (time, band, value, error)):
            return replace(curves.only(n for n in curves.parts if n != value), shape=shape)
        t, x = curves.numbers(time), curves.numbers(value)
        rows, offsets = curves.groups(band, time=time)
        if self.median_days is not None:
            trend = running_median(t[rows], x[rows], offsets, self.median_days)
        else:
            weights = 1.0 / np.square(curves.errors(error)[rows])
            trend = polynomial_trend(t[rows], x[rows], weights, offsets, self.degree)
        rest = np.full(x.size, np.nan)
        rest[rows] = x[rows] - trend
        return curves.with_parts({value: nullable(rest, shape.field(value).type)}, shape)
