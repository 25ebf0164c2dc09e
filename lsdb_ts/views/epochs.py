"""One light curve in any of its shapes, as plain arrays for pictures and tables. Drawing it is done next door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.schema import AB_NJY, Roles, find, in_njy, unit_of

_PER_MAG = 2.5 / np.log(10.0)
_DETECTED_SIGMA, _LIMIT_SIGMA = 3.0, 5.0
"""Fluxes below the first are upper limits of the second, as ZTF's forced photometry service advises (Masci et al. 2023,
arXiv:2305.16279)."""
_NO_MAGNITUDE = 90.0
"""Magnitudes this far from 0 (99, -99.99, -999) are what surveys write where they have none."""
_FAR_IN_TIME_DAYS = 30_000.0
"""Epochs this far from the median one carry no time of a measurement, but a 0 or the like."""
_ONE_OF_MANY = 'take one, as in frame["lc"].iloc[0], or draw several with plot_lightcurves'
_ZTF_FILTERS = {"1": "zg", "2": "zr", "3": "zi"}
"""What the numbers in ``fid`` stand for."""


@dataclass(frozen=True, eq=False)
class Epochs:
    """The measurements of one object, in time order."""

    time_mjd: NDArray[np.float64]
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
        return int(self.time_mjd.size)

    @property
    def timely(self) -> NDArray[np.bool_]:
        """False where the time cannot be that of a measurement beside the others: no number, or decades away."""
        finite = np.isfinite(self.time_mjd)
        middle = np.median(self.time_mjd[finite]) if finite.any() else 0.0
        return finite & (np.abs(self.time_mjd - middle) < _FAR_IN_TIME_DAYS)

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
    def of(cls, curve: Any, roles: Roles | None = None) -> Epochs:
        """Read a light curve.

        Fluxes with a zero point become nJy. Epochs without a value but with a limit are non-detections.

        Parameters
        ----------
        curve : pandas.DataFrame, pyarrow.Table, pyarrow.StructScalar or mapping of arrays
            One object's measurements: a cell of a nested column, or anything with the same columns.
        roles : Roles, optional
            Which column is which; by default what Arrow metadata say, completed by well-known names.

        Raises
        ------
        PlanError
            There is no time column, or neither a flux nor a magnitude.
        """
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
        values, errors, limits, unit = _brightness(full, known, unit)
        return cls(
            time_mjd=time[by_time],
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
        if self.unit is not None and in_njy(self.unit) is None:
            raise PlanError(
                f"fluxes in {self.unit} cannot be turned into AB magnitudes: need nJy (or a zero point, "
                'roles=Roles(zero_point="...")); plot them with as_mag=False'
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
        return np.where(np.abs(found) < _NO_MAGNITUDE, found, np.nan)

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


def stored_roles(frame: Any, column: str) -> Roles | None:
    """Return the roles of the parts of a nested column that a frame of a catalog carries with it, or None."""
    stored = getattr(frame, "attrs", {}).get("roles", {}).get(column)
    return Roles(**stored) if stored else None


def _columns(curve: Any) -> tuple[dict[str, NDArray[Any]], Any]:
    """Return the columns as arrays, and the Arrow fields where there are any."""
    if isinstance(curve, pa.StructScalar):
        kind = curve.type
        if not curve.is_valid:
            return {f.name: np.empty(0) for f in kind}, list(kind)
        return {f.name: _array(curve[f.name].values) for f in kind}, list(kind)
    if isinstance(curve, pa.Table | pa.RecordBatch):
        return {name: _array(curve.column(name)) for name in curve.schema.names}, curve.schema
    if isinstance(curve, Mapping):
        return {str(name): np.asarray(column) for name, column in curve.items()}, None
    if hasattr(curve, "columns") and hasattr(curve, "dtype"):
        raise PlanError(f"a column of {len(curve):,} light curves is not one of them: {_ONE_OF_MANY}")
    if hasattr(curve, "columns") and hasattr(curve, "to_numpy"):
        return {str(name): curve[name].to_numpy() for name in curve.columns}, None
    raise PlanError(
        f"a {type(curve).__name__} is not a light curve: need a DataFrame, an Arrow table or a mapping of arrays; of "
        f"many objects, {_ONE_OF_MANY}"
    )


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
