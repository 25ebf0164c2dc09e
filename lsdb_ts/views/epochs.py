"""One light curve in any of its shapes, as plain arrays for pictures and tables. Drawing it is done next door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.schema import (
    AB_NJY,
    JD_OF_MJD,
    NO_MAGNITUDE,
    Roles,
    are_mjd,
    find,
    in_njy,
    unit_of,
    unit_of_zero_point,
    with_unit,
)

_PER_MAG = 2.5 / np.log(10.0)
_DETECTED_SIGMA, _LIMIT_SIGMA = 3.0, 5.0
"""Fluxes below the first are upper limits of the second, as ZTF's forced photometry service advises (Masci et al. 2023,
arXiv:2305.16279)."""
_FAR_IN_TIME_DAYS = 30_000.0
"""Epochs this far from the median one carry no time of a measurement, but a 0 or the like."""
_ONE_OF_MANY = "take one, as in frame.iloc[0], or draw several with plot_lightcurves"
_ZTF_FILTERS = {"1": "zg", "2": "zr", "3": "zi"}
"""What the numbers in ``fid`` stand for."""


@dataclass(frozen=True, eq=False)
class Epochs:
    """The measurements of one object, in time order."""

    time_days: NDArray[np.float64]
    """As they are stored; :func:`time_scale` tells what they are."""
    band: NDArray[np.object_]
    """Names of the bands; one empty name where the curve has no band column."""
    value: NDArray[np.float64]
    error: NDArray[np.float64]
    """One standard deviation; NaN where unknown."""
    good: NDArray[np.bool_]
    """False where the quality column flags the epoch, or is null."""
    limit: NDArray[np.float64]
    """Of non-detections: the faintest value that would have been seen. NaN of detections, and where it is not known."""
    is_mag: bool
    unit: str | None

    def __len__(self) -> int:
        return int(self.time_days.size)

    @property
    def timely(self) -> NDArray[np.bool_]:
        """False where the time cannot be that of a measurement beside the others: no number, or decades away."""
        finite = np.isfinite(self.time_days)
        middle = np.median(self.time_days[finite]) if finite.any() else 0.0
        return finite & (np.abs(self.time_days - middle) < _FAR_IN_TIME_DAYS)

    @property
    def measured(self) -> NDArray[np.bool_]:
        """True where there is a value at a time, not a limit."""
        return self.timely & np.isfinite(self.value) & ~np.isfinite(self.limit)

    @property
    def limited(self) -> NDArray[np.bool_]:
        """True where there is a limit at a time."""
        return self.timely & np.isfinite(self.limit)

    @property
    def bands(self) -> list[str]:
        """Bands that occur, each once."""
        return list(dict.fromkeys(self.band.tolist()))

    @classmethod
    def of(cls, curve: Any, roles: Roles | None = None, zero_point: float | None = None) -> Epochs:
        """Read a light curve.

        Fluxes with a zero point become nJy. Epochs without a value but with a limit are non-detections.

        Parameters
        ----------
        curve : pandas.Series, pandas.DataFrame, pyarrow.Table, pyarrow.StructScalar or mapping of arrays
            One object's measurements: a row of a frame of objects, a cell of a nested column, or anything with the same
            columns. A row knows the roles and units that its catalog declares, as Arrow does; a cell of pandas does
            not.
        roles : Roles, optional
            Which column is which; by default what metadata say, completed by well-known names.
        zero_point : float, optional
            AB magnitude of one unit of the fluxes; by default that of their unit, else as a column tells.

        Raises
        ------
        PlanError
            There is no time column, or neither a flux nor a magnitude, or the zero point is no number.
        """
        if zero_point is not None and not np.isfinite(zero_point):
            raise PlanError(f"zero_point={zero_point}: need the AB magnitude of one unit of the fluxes")
        columns, fields = _columns(curve)
        known = roles or _completed(Roles.of(fields) if fields is not None else Roles(), columns)
        value = known.flux or known.mag
        if known.time is None or value is None:
            lacks = "time" if known.time is None else "flux or magnitude"
            raise PlanError(
                f"a light curve with the columns {', '.join(columns) or '(none)'}: none is known as its {lacks}; "
                'say which, for example roles=Roles(time="mjd", band="filter", mag="mag", mag_error="magerr"); of a '
                f"frame of objects, {_ONE_OF_MANY}"
            )
        for column in (c for _, c in known.items() if c not in columns and c in (known.time, value)):
            raise PlanError(f'the light curve has no column "{column}"; {did_you_mean(column, columns)}')
        time = _numbers(columns[known.time])
        by_time = np.argsort(time, kind="stable")
        full = {name: np.asarray(column)[by_time] for name, column in columns.items()}
        unit = unit_of(found) if fields is not None and (found := find(pa.schema(fields), value)) is not None else None
        if zero_point is not None and known.flux is not None:
            unit = unit_of_zero_point(zero_point)
        values, errors, limits, unit = _brightness(full, known, unit)
        return cls(
            time_days=time[by_time],
            band=_names(full.get(known.band or ""), time.size, of_ztf=known.band == "fid"),
            value=values,
            error=errors,
            good=_unflagged(full.get(known.quality or ""), time.size),
            limit=np.where(np.isfinite(values), np.nan, limits),
            is_mag=known.flux is None,
            unit=unit,
        )

    def as_mag(self) -> Epochs:
        """Return AB magnitudes; epochs without a positive flux, which have none, become NaN.

        ``m = 31.4 - 2.5 log10(f / nJy)``, ``sigma_m = 2.5 / ln(10) * sigma_f / f``. Fluxes below 3 sigma are
        non-detections, with a limit of 5 sigma.
        """
        if self.is_mag:
            return self
        if in_njy(self.unit) is None:
            raise PlanError(
                f"fluxes in {self.unit or 'no known unit'} tell no AB magnitude: give zero_point=... (the magnitude of "
                'one unit) or roles=Roles(zero_point="...") (the column that holds it), or store their unit; of a '
                "frame give the row, frame.iloc[0]: it knows the unit, which the cell has lost"
            )
        known = self.in_njy()
        faint = (known.error > 0) & np.isfinite(known.error) & (known.value < _DETECTED_SIGMA * known.error)
        limit = np.where(faint, _LIMIT_SIGMA * known.error, known.limit)
        flux = np.where(known.value > 0, known.value, np.nan)
        return replace(
            known,
            value=AB_NJY - 2.5 * np.log10(flux),
            error=_PER_MAG * known.error / flux,
            limit=AB_NJY - 2.5 * np.log10(np.where(limit > 0, limit, np.nan)),
            is_mag=True,
            unit="AB",
        )

    def in_njy(self) -> Epochs:
        """Return fluxes of a known unit in nJy; others, and magnitudes, as they are."""
        per_unit = in_njy(self.unit)
        if self.is_mag or per_unit is None:
            return self
        scaled = {name: getattr(self, name) * per_unit for name in ("value", "error", "limit")}
        return replace(self, **scaled, unit="nJy")


_Numbers = NDArray[np.float64]


def _brightness(
    columns: Mapping[str, Any], known: Roles, unit: str | None
) -> tuple[_Numbers, _Numbers, _Numbers, str | None]:
    """Return values, errors and limits in one unit, and that unit."""
    n = next(iter(columns.values())).size

    def read(column: str | None) -> _Numbers:
        return _numbers(columns[column]) if column in columns else np.full(n, np.nan)

    def magnitudes(column: str | None) -> _Numbers:
        found = read(column)
        return np.where(np.abs(found) < NO_MAGNITUDE, found, np.nan)

    limits = magnitudes(known.limit)
    if known.flux is None:
        return magnitudes(known.mag), read(known.mag_error), limits, unit
    values, errors = read(known.flux), read(known.flux_error)
    if unit is None and known.flux in {"psfFlux", "psfDiffFlux"}:
        unit = "nJy"
    if known.zero_point in columns and in_njy(unit) is None:
        per_unit = 10 ** ((AB_NJY - magnitudes(known.zero_point)) / 2.5)
        values, errors, unit = values * per_unit, errors * per_unit, "nJy"
    return values, errors, 10 ** ((AB_NJY - limits) / 2.5) / (in_njy(unit) or np.nan), unit


def time_scale(time_days: NDArray[np.float64]) -> str:
    """Return what times are: MJD or JD, as far as their median tells, else nothing.

    >>> time_scale(np.array([60_000.0, 60_001.0])), time_scale(np.array([2_460_000.5])), time_scale(np.array([55.0]))
    ('MJD', 'JD', '')
    """
    finite = time_days[np.isfinite(time_days)]
    middle = float(np.median(finite)) if finite.size else 0.0
    return "MJD" if are_mjd(middle) else "JD" if are_mjd(middle - JD_OF_MJD) else ""


@dataclass(frozen=True, eq=False)
class Stored:
    """A light curve of a frame, with what the frame knows of it."""

    curve: Any
    roles: Mapping[str, str]
    units: Mapping[str, str]
    """By part."""

    @classmethod
    def of(cls, frame: Any, column: str, curve: Any) -> Stored:
        """Return a cell of a nested column of a frame, or of a row of it."""
        attrs = frame.attrs
        parts = {name: name.removeprefix(f"{column}.") for name in attrs.get("units", {})}
        units = {part: attrs["units"][name] for name, part in parts.items() if part != name}
        return cls(curve, attrs.get("roles", {}).get(column, {}), units)


def _columns(curve: Any) -> tuple[dict[str, NDArray[Any]], Any]:
    """Return the columns as arrays, and the Arrow fields where there are any."""
    if isinstance(curve, Stored):
        columns, fields = _columns(curve.curve)
        return columns, _told(columns, fields, curve.roles, curve.units)
    if isinstance(curve, pa.StructScalar):
        kind = curve.type
        if not curve.is_valid:
            return {f.name: np.empty(0) for f in kind}, list(kind)
        return {f.name: _array(curve[f.name].values) for f in kind}, list(kind)
    if isinstance(curve, pa.Table | pa.RecordBatch):
        return {name: _array(curve.column(name)) for name in curve.schema.names}, curve.schema
    if isinstance(curve, Mapping):
        return {str(name): np.asarray(column) for name, column in curve.items()}, None
    if hasattr(curve, "iloc") and (cell := _cell(curve)) is not None:
        return _columns(cell)
    if hasattr(curve, "columns") and hasattr(curve, "dtype"):
        raise PlanError(f"a column of {len(curve):,} light curves is not one of them: {_ONE_OF_MANY}")
    if hasattr(curve, "columns") and hasattr(curve, "to_numpy"):
        columns = {str(name): curve[name].to_numpy() for name in curve.columns}
        return columns, _told(columns, None, {}, getattr(curve, "attrs", {}).get("units", {}))
    raise PlanError(
        f"a {type(curve).__name__} is not a light curve: need a DataFrame, an Arrow table or a mapping of arrays; of "
        f"many objects, {_ONE_OF_MANY}"
    )


def _cell(objects: Any) -> Stored | None:
    """Return the light curve of the row of an object, or of a frame of one row, or None where it is neither."""
    is_series = hasattr(objects, "dtype")
    if len(objects) != 1 and not (is_series and objects.dtype == "object"):
        return None
    row = objects if is_series else objects.iloc[0]
    found = {str(name): cell for name, cell in row.items() if hasattr(cell, "columns") and hasattr(cell, "iloc")}
    if len(found) > 1:
        raise PlanError(
            f'an object with several light curves ({", ".join(found)}): keep one, as in frame[["{next(iter(found))}"]]'
        )
    return next((Stored.of(row, name, cell) for name, cell in found.items()), None)


def _told(
    columns: Mapping[str, Any], fields: Any, roles: Mapping[str, str], units: Mapping[str, str]
) -> list[pa.Field] | pa.Schema:
    """Return the fields of columns with roles and units that are told of them."""
    schema = pa.schema(list(fields) if fields is not None else [pa.field(name, pa.null()) for name in columns])
    schema = Roles(**{role: name for role, name in roles.items() if name in columns}).tag(schema)
    return [with_unit(f, units[f.name]) if f.name in units else f for f in schema]


def _array(column: Any) -> NDArray[Any]:
    return np.empty(0) if column is None else np.asarray(column.to_numpy(zero_copy_only=False))


def _completed(stored: Roles, columns: Mapping[str, Any]) -> Roles:
    """Fill the roles that no metadata give by well-known names, without mixing one's flux with the other's mag."""
    guessed = dict(Roles.guess(columns).items())
    if stored.flux or stored.mag:
        for role in ("flux", "flux_error", "mag", "mag_error"):
            guessed.pop(role, None)
    return Roles(**{**guessed, **dict(stored.items())})


def _unflagged(column: NDArray[Any] | None, n: int) -> NDArray[np.bool_]:
    if column is None:
        return np.ones(n, dtype=bool)
    import pandas as pd

    missing = pd.isna(column)
    return ~(missing | np.where(missing, False, column).astype(bool))


def _numbers(column: Any) -> NDArray[np.float64]:
    """Return a copy as float64, with NaN for what is missing."""
    array = np.asarray(column)
    if array.dtype == object:
        import pandas as pd

        array = np.where(pd.isna(array), np.nan, array)
    return array.astype(np.float64)


def _names(column: NDArray[Any] | None, n: int, *, of_ztf: bool) -> NDArray[np.object_]:
    if column is None:
        return np.full(n, "", dtype=object)
    names = [str(name) for name in column.tolist()]
    if of_ztf:
        names = [_ZTF_FILTERS.get(name.removesuffix(".0"), name) for name in names]
    return np.array(names, dtype=object)
