"""Verbs that take one more step with light curves; nothing is computed. What the steps do is in ``lightcurves``."""

from __future__ import annotations

import operator
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, Self, TypeVar

import pyarrow as pa

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.catalog.columns import variables_of
from lsdb_ts.errors import PlanError
from lsdb_ts.lightcurves.binning import Bin
from lsdb_ts.lightcurves.choosing import Between, DropDuplicates, FirstDays, Good, InBands, Keep, Last, Sort
from lsdb_ts.lightcurves.cleaning import Detrend, SigmaClip
from lsdb_ts.lightcurves.folding import Fold
from lsdb_ts.lightcurves.gaussian import ANGSTROM, Interpolate
from lsdb_ts.lightcurves.merging import Merge, is_merged
from lsdb_ts.lightcurves.photometry import ToFlux, ToMagnitude
from lsdb_ts.lightcurves.pipeline import Pipeline
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.step import Step
from lsdb_ts.plan.functions.epochquery import Query
from lsdb_ts.schema import find, require, unit_of

AnyCatalog = TypeVar("AnyCatalog", bound=CatalogBase)
Value = float | str
"""A number, or the name of a base column that has one for each row."""


class StepVerbs(Generic[AnyCatalog]):
    """The light curves of a catalog and the steps to be taken with them."""

    def __init__(self, catalog: AnyCatalog, pipeline: Pipeline) -> None:
        self._catalog = catalog
        self._pipeline = pipeline

    @property
    def column(self) -> str:
        """Name of the nested column."""
        return self._pipeline.column

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps so far."""
        return self._pipeline.steps

    @property
    def shape(self) -> Shape:
        """The parts after these steps, with their roles."""
        return self._pipeline.shape

    def __repr__(self) -> str:
        roles = {column: role for role, column in self.shape.roles.items()}
        told = []
        for part in self.shape.parts:
            notes = [note for note in (roles.get(part.name), unit_of(part)) if note and note != part.name]
            told.append(f"{part.name} ({', '.join(notes)})" if notes else part.name)
        steps = [f"  {i}. {step.summary}" for i, step in enumerate(self.steps, 1)]
        return "\n".join([f"light curves {self.column} of {self._catalog.name}", *steps, f"  parts: {', '.join(told)}"])

    def apply(self, step: Step) -> Self:
        """Take a step of your own, or of ``lsdb_ts.lightcurves``; its class and parameters become part of the plan."""
        if not isinstance(step, Step):
            raise PlanError(f"a step is a lsdb_ts.lightcurves.step.Step, and not a {type(step).__name__}")
        return type(self)(self._catalog, self._pipeline.then(step))

    def query(self, expr: str, local_dict: Mapping[str, Any] | None = None) -> Self:
        """Keep the epochs for which a condition holds.

        Parameters
        ----------
        expr : str
            In the language of :meth:`Catalog.query`, in which parts stand by their own names: ``"band == 'g' and flags
            == 0"``. Base columns stand for each epoch of their row, but for those that have the name of a part;
            ``psfFlux.max()`` is of all epochs that the curve has at this step.
        local_dict : mapping, optional
            Variables for ``@name``; by default the caller's.
        """
        variables = variables_of(sys._getframe(1)) if local_dict is None and "@" in expr else local_dict
        catalog = self._catalog
        return self.apply(Query.parse(expr, variables, self.column, self.shape, catalog.schema, catalog.name))

    def sort(self, by: str | None = None, ascending: bool = True) -> Self:
        """Sort the epochs by time, or a part or role; equal ones keep their sequence, missing ones come last."""
        return self.apply(Sort(by, ascending))

    def drop_duplicates(self, subset: str | Sequence[str] = (), keep: Keep = "first") -> Self:
        """Keep one epoch of each set of equal ones.

        Parameters
        ----------
        subset : str or sequence of str
            Parts or roles that are compared; by default time, and band where there is one. Epochs in which one of them
            is missing are all kept.
        keep : {"first", "last", "smallest_error"}
            Which one stays.
        """
        return self.apply(DropDuplicates(keep, (subset,) if isinstance(subset, str) else tuple(subset)))

    def good(self, bits: int | None = None) -> Self:
        """Keep the epochs whose quality flag is 0 or false, or has none of some bits set; a missing one is not good."""
        return self.apply(Good(bits))

    def in_bands(self, *bands: str | int) -> Self:
        """Keep the epochs of some bands, as they are stored: ``in_bands("g", "r")``."""
        return self.apply(InBands(bands))

    def between(self, start: Value | None = None, stop: Value | None = None) -> Self:
        """Keep the epochs in an interval of time, both ends included.

        Parameters
        ----------
        start, stop : float or str, optional
            Times in days (MJD, as the part has them), or base columns of them; None is no bound. Rows in which a
            column is missing keep none.
        """
        return self.apply(Between(self._value(start, "between"), self._value(stop, "between")))

    def first_days(self, days: float, since: Value | None = None, snr: float = 5.0, before_days: float = 0.0) -> Self:
        """Keep the epochs up to some days after a trigger: what was known of it then.

        Parameters
        ----------
        days : float or Quantity
            Days after the trigger, inclusive; such as 1, 4, 16 and 64.
        since : float or str, optional
            Time of the trigger, or a base column of it. By default that of the first detection: an epoch with a signal
            over noise of at least ``snr``. Curves without a trigger keep no epochs.
        snr : float
            What a detection is.
        before_days : float or Quantity
            Epochs before the trigger that are kept too; ``math.inf`` for all.
        """
        trigger = self._value(since, "first_days")
        return self.apply(FirstDays(days_of(days, "days"), trigger, float(snr), days_of(before_days, "before_days")))

    def last(self, n: int | None = None, *, days: float | None = None) -> Self:
        """Keep the last n epochs of each curve, or those of its last days; epochs without a time are left out."""
        epochs = operator.index(n) if hasattr(n, "__index__") else n
        return self.apply(Last(epochs, None if days is None else days_of(days, "days")))

    def bin(self, width_days: float, origin_mjd: float = 0.0) -> Self:
        """Make one epoch of those of each band in ``[origin + k width, origin + (k + 1) width)``.

        Time and value are means with weights 1 / e^2, the error is 1 / sqrt(sum of weights), and the part ``n`` tells
        of how many epochs. Fluxes are binned rather than magnitudes, where there are both. Parts without one of these
        roles, or that of the band, are gone; epochs in which one is missing do not count.
        """
        return self.apply(Bin(days_of(width_days, "width_days"), days_of(origin_mjd, "origin_mjd")))

    def bin_nightly(self, longitude_deg: float) -> Self:
        """Make one epoch of those of each band and night: from noon to noon at a longitude, positive to the east.

        As :meth:`bin`. Times are MJD or JD. Rubin lies at -70.7494, Palomar at -116.8650 degrees.
        """
        return self.apply(Bin.nightly(degrees_of(longitude_deg)))

    def sigma_clip(
        self,
        sigma: float = 3.0,
        about: Literal["median", "mean", "weighted"] = "median",
        rounds: int = 10,
        below: float | None = None,
        above: float | None = None,
    ) -> Self:
        """Drop the outliers of each band, in rounds, until there are no more.

        Parameters
        ----------
        sigma : float
            Spreads from the centre beyond which an epoch is an outlier.
        about : {"median", "mean", "weighted"}
            The centre. The spread is 1.4826 times the median absolute deviation, the standard deviation (with n - 1),
            or the weighted one.
        rounds : int
            Rounds at most.
        below, above : float, optional
            Spreads on either side, where they are not the same: ``above=math.inf`` keeps what brightens in fluxes.
        """
        return self.apply(SigmaClip(sigma, about, rounds, below, above))

    def detrend(
        self, how: Literal["linear", "constant", "median"] | int = "linear", width_days: float | None = None
    ) -> Self:
        """Take the trend of each band away from its values; errors stay.

        Parameters
        ----------
        how : {"linear", "constant", "median"} or int
            A straight line, the weighted mean, a running median, or a polynomial of that degree; lines and polynomials
            are fitted with weights 1 / e^2. Where a band has too few different times, its values are null.
        width_days : float, optional
            Width of the running median.
        """
        if (how == "median") != (width_days is not None):
            raise PlanError('detrend by a running median needs its width, as in detrend("median", width_days=30)')
        if isinstance(how, str) and how not in ("linear", "constant", "median"):
            raise PlanError(f'detrend takes "linear", "constant", "median" or a degree, and not "{how}"')
        if width_days is not None:
            return self.apply(Detrend(median_days=days_of(width_days, "width_days")))
        return self.apply(Detrend({"constant": 0, "linear": 1}.get(how, 1) if isinstance(how, str) else int(how)))

    def fold(self, period: Value, epoch: Value = 0.0, sort: bool = False) -> Self:
        """Add the part ``phase``, ((t - epoch) / period) mod 1.

        Parameters
        ----------
        period : float or str
            Days, or a base column of them; phases are null where it is missing or not positive.
        epoch : float or str
            Time of phase 0, or a base column of it.
        sort : bool
            Whether epochs come in order of phase.
        """
        return self.apply(Fold(_told(self._value(period, "fold")), _told(self._value(epoch, "fold")), sort))

    def interpolate(
        self,
        start_days: float,
        stop_days: float,
        n_times: int,
        bands: Sequence[str | int] | Mapping[str | int, float] = "ugrizy",
        *,
        zero: Literal["peak", "first"] = "peak",
        since: Value | None = None,
        wavelength_scale: float | None = 6000.0,
        scale_range_days: tuple[float, float] = (1.0, 1000.0),
        centred: bool | None = None,
        min_epochs: int = 3,
    ) -> Self:
        """Give values at regular times in all of some bands, by a Gaussian process: the grid an autoencoder reads.

        Every curve gets ``len(bands) * n_times`` epochs, band after band, with standard errors; curves of too few
        epochs get none. Parts without one of these roles are gone.

        Parameters
        ----------
        start_days, stop_days : float
            First and last time, counted from day 0.
        n_times : int
            How many there are, both ends included.
        bands : sequence, or mapping to float
            Bands as they are stored, of u, g, r, i, z and y; or any with their wavelengths in Angstrom.
        zero : {"peak", "first"}
            Day 0: the brightest epoch, by its value less its error, or the first.
        since : float or str, optional
            Time of day 0 instead, or a base column of it, such as that of a trigger.
        wavelength_scale : float or None
            How far bands tell about one another, in Angstrom; None takes each band by itself.
        scale_range_days : (float, float)
            Limits of the time scale, which is the likeliest for each curve; equal ones fix it.
        centred : bool, optional
            Whether values are about the median of their band. By default magnitudes are; fluxes are about 0, as those
            of difference images.
        min_epochs : int
            With fewer there is no process.
        """
        if isinstance(bands, Mapping):
            wavelengths = {band: float(value) for band, value in bands.items()}
        elif unknown := [band for band in bands if band not in ANGSTROM]:
            raise PlanError(
                f"interpolate does not know the wavelengths of {unknown}: give bands={{band: Angstrom, ...}}"
            )
        else:
            wavelengths = {band: ANGSTROM[band] for band in bands}
        day, (shortest, longest) = self._value(since, "interpolate"), scale_range_days
        ends = (days_of(start_days, "start_days"), days_of(stop_days, "stop_days"))
        grid = (*ends, int(n_times), tuple(wavelengths), tuple(wavelengths.values()))
        return self.apply(
            Interpolate(*grid, zero, day, wavelength_scale, (float(shortest), float(longest)), centred, int(min_epochs))
        )

    def to_magnitude(self, zero_point: float | None = None, limit_sigma: float | None = None) -> Self:
        """Give AB magnitudes in place of fluxes: ``mag`` and ``mag_error``; null where a flux is not positive.

        Parameters
        ----------
        zero_point : float, optional
            AB magnitude of one unit of the flux. By default what the unit of the fluxes tells, 31.4 for nJy, else the
            part with that role.
        limit_sigma : float, optional
            Add the part ``limit``, the magnitude of so many standard errors of the flux; 5 is usual.
        """
        return self.apply(ToMagnitude(zero_point, limit_sigma))

    def to_flux(self, zero_point: float | None = None) -> Self:
        """Give fluxes in nJy, ``flux`` and ``flux_error``: of AB magnitudes, or of fluxes in another unit.

        Parameters
        ----------
        zero_point : float, optional
            AB magnitude of one unit of the flux, as of :meth:`to_magnitude`.
        """
        return self.apply(ToFlux(zero_point))

    def merge(
        self,
        other: str | Self,
        on_duplicates: Literal["keep", "first", "smallest_error"] = "keep",
    ) -> Self:
        """Put the epochs of another nested column to these, in order of time: detections with forced photometry.

        Parts of one role become one, under the name they have here; the part ``source`` tells which column an epoch
        comes from, also after several merges. What only one of them has is null for the other.

        Parameters
        ----------
        other : str or LightCurveVerbs
            A nested column of the same catalog, with steps of its own if need be:
            ``catalog.curves("detections").merge(catalog.curves("lc").good())``.
        on_duplicates : {"keep", "first", "smallest_error"}
            What becomes of epochs of one time and band: all stay, or that of this column, or the most exact one.
        """
        theirs = type(self)(self._catalog, pipeline_of(self._catalog, other)) if isinstance(other, str) else other
        if not isinstance(theirs, StepVerbs):
            raise PlanError(
                f'merge takes a nested column, by its name or as catalog.curves("..."), and not a '
                f"{type(other).__name__}"
            )
        if theirs._catalog.plan is not self._catalog.plan:
            raise PlanError(
                f"merge: {theirs.column} is of another catalog, or of this one before it changed: take both from the "
                f"very catalog"
            )
        labels = (self.column, theirs.column if theirs.column != self.column else f"{theirs.column}_2")
        mine, other_curves = self._pipeline, theirs._pipeline
        merged = self.apply(Merge(other_curves, labels, (is_merged(mine), is_merged(other_curves))))
        return merged if on_duplicates == "keep" else merged.drop_duplicates(keep=on_duplicates)

    def _value(self, value: Value | None, verb: str) -> Value | None:
        """Return a number, or the name of a base column of numbers."""
        if value is None:
            return None
        if not isinstance(value, str):
            return days_of(value, verb)
        catalog = self._catalog
        require(catalog.schema, [value], catalog.name)
        kind = getattr(find(catalog.schema, value), "type", pa.null())
        if value not in catalog.schema.names or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise PlanError(f'{verb} needs a number for each row, and "{value}" of {catalog.name} is {kind}')
        return value


def pipeline_of(catalog: CatalogBase, column: str) -> Pipeline:
    """Return the nested column of a catalog as a pipeline without steps; raises PlanError where it is none."""
    require(catalog.schema, [column], catalog.name)
    return Pipeline(column, Shape.of(catalog.schema.field(column)))


def degrees_of(value: Any) -> float:
    """Return a number of degrees, or an angle in degrees."""
    try:
        return float(value.to_value("deg") if hasattr(value, "unit") else value)
    except (TypeError, ValueError) as error:
        raise PlanError(
            f"longitude_deg={value!r}: need a number of degrees, or an astropy quantity of angle"
        ) from error


def days_of(value: Any, what: str) -> float:
    """Return a number of days, or a quantity of time in days."""
    try:
        return float(value.to_value("d") if hasattr(value, "unit") else value)
    except (TypeError, ValueError) as error:
        raise PlanError(
            f"{what}={value!r} is no time: need a number of days, an astropy quantity of time, or of an astropy Time "
            f"its .mjd"
        ) from error


def _told(value: Value | None) -> Value:
    if value is None:
        raise PlanError("fold needs a period, and an epoch of phase 0: days, or names of columns")
    return value
