"""Steps between fluxes and magnitudes: magnitudes are a view of fluxes. Both keep the number of epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.lightcurves.curves import Curves, nullable
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.step import Step, union
from lsdb_ts.schema import AB_NJY, IN_NJY, are_magnitudes, in_njy, with_unit

_POGSON = 2.5 / np.log(10)
FLUX, FLUX_ERROR, MAG, MAG_ERROR, LIMIT = "flux", "flux_error", "mag", "mag_error", "limit"


@dataclass(frozen=True)
class ToMagnitude(Step):
    """AB magnitudes in place of fluxes: m = z - 2.5 log10(f), with errors of 2.5 / ln(10) e / f.

    z is the magnitude of one unit of the flux: as given, else that of the unit of the fluxes (31.4 for nJy), else as
    the part with the role of a zero point tells epoch by epoch. Fluxes that are not positive have no magnitude: null.
    The parts are called ``mag`` and ``mag_error``, and ``limit`` if it is asked for: z - 2.5 log10(k e), the magnitude
    of a flux of k standard errors. Parts of fluxes and zero points are gone; the type of the fluxes stays.
    """

    zero_point: float | None = None
    limit_sigma: float | None = None
    """Standard errors above which an epoch would have been a detection."""

    def __post_init__(self) -> None:
        _check(self.zero_point)
        if self.limit_sigma is not None and not self.limit_sigma > 0:
            raise PlanError(f"the limit is a positive number of standard errors, and not {self.limit_sigma}")

    def _sources(self, before: Shape) -> tuple[str, str | None, str | None]:
        """Return the parts of fluxes, errors and zero points."""
        flux = before.number("flux", "to_magnitude")
        error = before.roles.flux_error
        if self.limit_sigma is not None:
            error = before.role("flux_error", "to_magnitude(limit_sigma=...)")
        return flux, error, _point(before, flux, self.zero_point, "to_magnitude")

    def shape(self, before: Shape) -> Shape:
        """Return magnitudes in place of fluxes."""
        flux, error, _ = self._sources(before)
        gone = {flux, error, before.roles.zero_point}
        kind = _float_type(before, flux)
        new = {MAG: kind, **({MAG_ERROR: kind} if error else {}), **({LIMIT: kind} if self.limit_sigma else {})}
        made = [with_unit(pa.field(name, kind), "mag") for name, kind in new.items()]
        return before.only(n for n in before.names if n not in gone).with_parts(made, **{name: name for name in new})

    def inputs(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return what each wanted part is made of."""
        flux, error, point = self._sources(before)
        made: dict[str, tuple[str | None, ...]] = {MAG: (flux, point)}
        if error is not None:
            made[MAG_ERROR] = (flux, error)
        if self.limit_sigma is not None:
            made[LIMIT] = (error, point)
        return union(*(made.get(name, (name,)) for name in wanted))

    def __call__(self, curves: Curves) -> Curves:
        """Convert."""
        flux, error, point = self._sources(curves.shape)
        shape = self.shape(curves.shape)
        made: dict[str, NDArray[np.float64]] = {}
        with np.errstate(all="ignore"):
            f = _positive(curves.numbers(flux)) if flux in curves else None
            e = curves.errors(error) if error is not None and error in curves else None
            z = self._zero_points(curves, flux, point)
            if f is not None and z is not None:
                made[MAG] = z - 2.5 * np.log10(f)
            if f is not None and e is not None:
                made[MAG_ERROR] = _POGSON * e / f
            if self.limit_sigma is not None and e is not None and z is not None:
                made[LIMIT] = z - 2.5 * np.log10(self.limit_sigma * e)
        return _exchanged(curves, made, shape)

    def _zero_points(self, curves: Curves, flux: str, point: str | None) -> NDArray[np.float64] | float | None:
        if point is not None:
            return curves.numbers(point) if point in curves else None
        return _zero_point(curves.shape, flux, self.zero_point)


@dataclass(frozen=True)
class ToFlux(Step):
    """Fluxes in nJy: of AB magnitudes, f = 10^(0.4 (31.4 - m)) with errors of ln(10) / 2.5 f e; or of other fluxes.

    Fluxes whose unit has the magnitude z are multiplied by 10^(0.4 (31.4 - z)): z is as given, else that of the unit,
    else as the part with the role of a zero point tells epoch by epoch. Where there are fluxes and magnitudes, it is
    the fluxes that count. The parts are called ``flux`` and ``flux_error``; those that they are made of, and zero
    points, are gone. It is the inverse of :class:`ToMagnitude` but for fluxes that have no magnitude.
    """

    zero_point: float | None = None

    def __post_init__(self) -> None:
        _check(self.zero_point)

    def _sources(self, before: Shape) -> tuple[str, str | None, str | None]:
        """Return the parts of values, errors and zero points."""
        value, error = before.brightness("to_flux")
        if before.roles.flux is None:
            if self.zero_point is not None:
                raise PlanError(f'to_flux: "{value}" are magnitudes, of which no zero point is to be told')
            if not are_magnitudes(before.unit(value)):
                raise PlanError(f'to_flux: "{value}" are in {before.unit(value)}: bring them to mag first, with assign')
            return value, error, None
        return value, error, _point(before, value, self.zero_point, "to_flux")

    def shape(self, before: Shape) -> Shape:
        """Return fluxes in nJy."""
        value, error, _ = self._sources(before)
        roles = before.roles
        gone = {value, error, roles.zero_point, roles.mag, roles.mag_error}
        kind = _float_type(before, value)
        names = (FLUX, FLUX_ERROR) if error else (FLUX,)
        made = [with_unit(pa.field(name, kind), "nJy") for name in names]
        return before.only(n for n in before.names if n not in gone).with_parts(made, **{name: name for name in names})

    def inputs(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return what each wanted part is made of."""
        value, error, point = self._sources(before)
        errors = (value, error) if before.roles.flux is None else (error, point)
        made: dict[str, tuple[str | None, ...]] = {FLUX: (value, point)}
        if error is not None:
            made[FLUX_ERROR] = errors
        return union(*(made.get(name, (name,)) for name in wanted))

    def __call__(self, curves: Curves) -> Curves:
        """Convert."""
        value, error, point = self._sources(curves.shape)
        shape, made = self.shape(curves.shape), dict[str, NDArray[np.float64]]()
        x = curves.numbers(value) if value in curves else None
        e = curves.errors(error) if error is not None and error in curves else None
        with np.errstate(all="ignore"):
            if curves.shape.roles.flux is None:
                if x is not None:
                    made[FLUX] = 10 ** (0.4 * (AB_NJY - x))
                if x is not None and e is not None:
                    made[FLUX_ERROR] = made[FLUX] * e / _POGSON
            elif point is None or point in curves:
                z = _zero_point(curves.shape, value, self.zero_point) if point is None else curves.numbers(point)
                scale = 10 ** (0.4 * (AB_NJY - z))
                made |= {n: v * scale for n, v in ((FLUX, x), (FLUX_ERROR, e)) if v is not None}
        return _exchanged(curves, made, shape)


def _check(zero_point: float | None) -> None:
    if zero_point is not None and not (isinstance(zero_point, int | float) and math.isfinite(zero_point)):
        raise PlanError(f"a zero point is the AB magnitude of a flux of 1, and not {zero_point!r}")


def _point(shape: Shape, flux: str, given: float | None, verb: str) -> str | None:
    """Return the part that tells zero points, where neither the user nor the unit of the fluxes does.

    Raises
    ------
    PlanError
        None of the three does.
    """
    if given is not None or in_njy(shape.unit(flux)) is not None:
        return None
    if shape.roles.zero_point is None:
        raise PlanError(
            f'{verb}: the fluxes "{flux}" are in {shape.unit(flux) or "no known unit"}, which tells no AB magnitude: '
            f"give {verb}(zero_point=...), store the unit ({', '.join(IN_NJY)}), or the role zero_point"
        )
    return shape.roles.zero_point


def _zero_point(shape: Shape, flux: str, given: float | None) -> float:
    """Return the AB magnitude of one unit of the fluxes, which :func:`_point` found to be known."""
    return given if given is not None else AB_NJY - 2.5 * math.log10(in_njy(shape.unit(flux)) or math.nan)


def _float_type(before: Shape, name: str) -> pa.DataType:
    kind = before.field(name).type
    return kind if pa.types.is_float32(kind) or pa.types.is_float64(kind) else pa.float64()


def _positive(flux: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where((flux > 0) & np.isfinite(flux), flux, np.nan)


def _exchanged(curves: Curves, made: Mapping[str, NDArray[np.float64]], shape: Shape) -> Curves:
    """Return the curves with what was made, and of the other parts those that the shape still has as they were."""
    new = {n: nullable(np.where(np.isfinite(v), v, np.nan), shape.field(n).type) for n, v in made.items()}
    fresh = {FLUX, FLUX_ERROR} if shape.roles.flux == FLUX else {MAG, MAG_ERROR, LIMIT}
    kept = {n: v for n, v in curves.parts.items() if n in shape.names and (n not in fresh or n == shape.roles.limit)}
    return Curves({**kept, **new}, curves.offsets, curves.missing, shape, curves.rows)
