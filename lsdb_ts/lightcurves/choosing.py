"""Steps that choose epochs, or order them: by time, by quality, by what they repeat. Conditions are the plan's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.curves.within import order_within
from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.step import Choice, union
from lsdb_ts.schema import plain

Keep = Literal["first", "last", "smallest_error"]
_KEEP: tuple[Keep, ...] = ("first", "last", "smallest_error")


@dataclass(frozen=True)
class Sort(Choice):
    """Epochs in the order of a part; equal ones keep their sequence, missing ones come last."""

    by: str | None = None
    """A part, or its role; by default the time."""
    ascending: bool = True

    def needs(self, before: Shape) -> tuple[str, ...]:
        """Return the part."""
        return (before.role("time", "sort") if self.by is None else before.part(self.by, "sort"),)

    def __call__(self, curves: Curves) -> Curves:
        """Sort."""
        (part,) = self.needs(curves.shape)
        values = curves.parts[part]
        values = values.cast(plain(values.type))
        if pa.types.is_floating(values.type):
            numbers = curves.numbers(part)
            sign = 1.0 if self.ascending else -1.0
            return curves.ordered(order_within(curves.offsets, np.isnan(numbers), sign * numbers))
        keys = [("curve", "ascending"), ("by", "ascending" if self.ascending else "descending")]
        table = pa.table({"curve": curves.parents, "by": values})
        return curves.ordered(pc.sort_indices(table, sort_keys=keys).to_numpy().astype(np.int64))


@dataclass(frozen=True)
class DropDuplicates(Choice):
    """One epoch of each set that is equal in some parts; epochs in which one of these is missing are all kept."""

    keep: Keep = "first"
    subset: tuple[str, ...] = ()
    """Parts or roles that are compared; by default time, and band where there is one."""

    def __post_init__(self) -> None:
        if self.keep not in _KEEP:
            raise PlanError(f'drop_duplicates keeps one of {", ".join(_KEEP)}, not "{self.keep}"')

    def _compared(self, before: Shape) -> tuple[str, ...]:
        if self.subset:
            return tuple(before.part(name, "drop_duplicates") for name in self.subset)
        return union((before.role("time", "drop_duplicates"), before.roles.band))

    def _error(self, before: Shape) -> str | None:
        if self.keep != "smallest_error":
            return None
        before.compared("drop_duplicates")
        return before.measured("drop_duplicates")[1]

    def needs(self, before: Shape) -> tuple[str, ...]:
        """Return the parts that are compared, and the errors where they decide."""
        return union(self._compared(before), (self._error(before),))

    def __call__(self, curves: Curves) -> Curves:
        """Drop the others."""
        compared, error = self._compared(curves.shape), self._error(curves.shape)
        rows, offsets = curves.groups(*compared)
        keep = np.zeros(curves.n_epochs, np.bool_)
        if error is not None:
            sizes = np.nan_to_num(curves.errors(error), nan=np.inf)
            # Stable: of equal errors, the first.
            rows = rows[order_within(offsets, sizes[rows])]
        keep[rows[offsets[1:] - 1 if self.keep == "last" else offsets[:-1]]] = True
        for part in compared:
            keep |= np.asarray(pc.is_null(curves.parts[part], nan_is_null=True))
        return curves.keep(keep)


@dataclass(frozen=True)
class Good(Choice):
    """Epochs whose quality is good: a flag of 0 or false. One that is missing is not."""

    bits: int | None = None
    """Bits of the flag that matter; by default all."""

    def needs(self, before: Shape) -> tuple[str, ...]:
        """Return the flag."""
        name = before.role("quality", "good")
        kind = before.field(name).type
        if not (pa.types.is_boolean(kind) or pa.types.is_integer(kind)) or (
            self.bits is not None and kind == pa.bool_()
        ):
            raise PlanError(
                f'good: the flag "{name}" is {kind}, and not {"true or false, or " if self.bits is None else ""}an '
                f'integer: write the condition with query, as in query("{name} < 0.5")'
            )
        return (name,)

    def __call__(self, curves: Curves) -> Curves:
        """Keep the good ones."""
        flags = curves.parts[self.needs(curves.shape)[0]]
        if self.bits is not None:
            flags = pc.bit_wise_and(flags, pa.scalar(self.bits, pa.int64()).cast(flags.type))
        good = pc.invert(flags) if pa.types.is_boolean(flags.type) else pc.equal(flags, pa.scalar(0, flags.type))
        return curves.keep(np.asarray(pc.fill_null(good, False)))


@dataclass(frozen=True)
class InBands(Choice):
    """Epochs of some bands."""

    bands: tuple[str | int, ...]

    def __post_init__(self) -> None:
        if not self.bands:
            raise PlanError('no bands are named, so no epoch would be left: in_bands("g", "r")')

    def needs(self, before: Shape) -> tuple[str, ...]:
        """Return the band."""
        name = before.role("band", "choosing bands")
        kind = plain(before.field(name).type)
        try:
            pa.array(list(self.bands), kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise PlanError(
                f'the bands {list(self.bands)} are not {kind}, as "{name}" is: name each as it is stored, as in '
                f'in_bands("g", "r")'
            ) from error
        return (name,)

    def __call__(self, curves: Curves) -> Curves:
        """Keep them."""
        codes, values = curves.codes(self.needs(curves.shape)[0])
        wanted = np.array([*(value in self.bands for value in values), False])
        return curves.keep(wanted[codes])


@dataclass(frozen=True)
class Between(Choice):
    """Epochs in an interval of time, both ends included; without a bound, or a time, there are none."""

    start: float | str | None = None
    """First time in days, or a base column of it; None is no bound."""
    stop: float | str | None = None

    def __post_init__(self) -> None:
        ends = (self.start, self.stop)
        if any(isinstance(end, float) and np.isnan(end) for end in ends) or (
            isinstance(self.start, float) and isinstance(self.stop, float) and self.start > self.stop
        ):
            raise PlanError(f"between keeps the epochs from a time to a later one; got {self.start} to {self.stop}")

    def needs(self, before: Shape) -> tuple[str, ...]:
        """Return the time."""
        return (before.number("time", "between"),)

    def columns(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns of the bounds."""
        return tuple(bound for bound in (self.start, self.stop) if isinstance(bound, str))

    def __call__(self, curves: Curves) -> Curves:
        """Keep them."""
        time = curves.numbers(self.needs(curves.shape)[0])
        keep = np.isfinite(time)
        if self.start is not None:
            keep &= time >= curves.row_numbers(self.start)[curves.parents]
        if self.stop is not None:
            keep &= time <= curves.row_numbers(self.stop)[curves.parents]
        return curves.keep(keep)


@dataclass(frozen=True)
class FirstDays(Choice):
    """Epochs up to some days after a trigger, and from some days before it; curves without a trigger have none.

    The trigger is a time, or the first detection: the first epoch with a signal over noise of at least ``snr``, which
    is 2.5 / ln(10) over the error of a magnitude.
    """

    days: float
    since: float | str | None = None
    """Time of the trigger, or a base column of it; None is the first detection."""
    snr: float = 5.0
    before_days: float = 0.0
    """Earlier epochs that are kept too; infinity is all."""

    def __post_init__(self) -> None:
        if not self.days >= 0 or not self.before_days >= 0:
            raise PlanError(
                f"first_days counts from the trigger: {self.days} and {self.before_days} must not be negative"
            )

    def needs(self, before: Shape) -> tuple[str, ...]:
        """Return the time, and what tells of detections if these are looked for."""
        time = (before.number("time", "first_days"),)
        return time if self.since is not None else union(time, before.measured("first_days without since="))

    def columns(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the column of the trigger."""
        return (self.since,) if isinstance(self.since, str) else ()

    def __call__(self, curves: Curves) -> Curves:
        """Keep them."""
        time = curves.numbers(self.needs(curves.shape)[0])
        first = curves.row_numbers(self.since) if self.since is not None else self._detected(curves, time)
        trigger = first[curves.parents]
        return curves.keep((time >= trigger - self.before_days) & (time <= trigger + self.days))

    def _detected(self, curves: Curves, time: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the time of the first detection of each curve; NaN where there is none."""
        part, error = curves.shape.measured("first_days")
        value = curves.numbers(part)
        signal = np.where(np.isfinite(value), value if curves.shape.roles.flux else 2.5 / np.log(10), np.nan)
        first = np.full(len(curves), np.inf)
        seen = (signal / curves.errors(error) >= self.snr) & np.isfinite(time)
        np.minimum.at(first, curves.parents[seen], time[seen])
        return np.where(np.isfinite(first), first, np.nan)


@dataclass(frozen=True)
class Last(Choice):
    """The last epochs of each curve: some of them, or those of the last days. Epochs without a time are left out."""

    n: int | None = None
    days: float | None = None

    def __post_init__(self) -> None:
        whole = self.n is None or (isinstance(self.n, int) and self.n >= 0)
        if (self.n is None) == (self.days is None) or not whole or not (self.days or 0.0) >= 0:
            raise PlanError(
                f"last takes a number of epochs, last(5), or of days, last(days=30); got {self.n} and {self.days}"
            )

    def needs(self, before: Shape) -> tuple[str, ...]:
        """Return the time."""
        return (before.number("time", "last"),)

    def __call__(self, curves: Curves) -> Curves:
        """Keep them."""
        time = curves.numbers(self.needs(curves.shape)[0])
        known = np.isfinite(time)
        if self.n is None:
            latest = np.full(len(curves), -np.inf)
            np.maximum.at(latest, curves.parents[known], time[known])
            return curves.keep(known & (time >= latest[curves.parents] - (self.days or 0.0)))
        # Those without a time first, where they are not among the last.
        order = order_within(curves.offsets, known, time)
        place = np.empty(order.size, np.int64)
        place[order] = curves.offsets[1:][curves.parents[order]] - np.arange(order.size)
        return curves.keep(known & (place <= self.n))
