"""One light curve in any of its shapes, as plain arrays for pictures and tables. Drawing it is done next door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.schema import Roles, find, unit_of

AB_ZERO_NJY = 31.4
"""AB magnitude of 1 nJy: -2.5 log10(1e-9 / 3631), to 0.0001 mag (Oke & Gunn 1983, ApJ 266, 713)."""
_PER_MAG = 2.5 / np.log(10.0)


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
    is_mag: bool
    unit: str | None

    def __len__(self) -> int:
        return int(self.time_mjd.size)

    @property
    def bands(self) -> list[str]:
        """Bands that occur, each once."""
        return list(dict.fromkeys(self.band.tolist()))

    @classmethod
    def of(cls, curve: Any, roles: Roles | None = None) -> Epochs:
        """Read a light curve.

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
                'say which, for example roles=Roles(time="mjd", band="filter", mag="mag", mag_error="magerr")'
            )
        for column in (c for _, c in known.items() if c not in columns and c in (known.time, value)):
            raise PlanError(f'the light curve has no column "{column}"; {did_you_mean(column, columns)}')
        error = known.flux_error if known.flux else known.mag_error
        time = np.asarray(columns[known.time], dtype=np.float64)
        by_time = np.argsort(time, kind="stable")
        unit = unit_of(found) if fields is not None and (found := find(pa.schema(fields), value)) is not None else None
        full = {name: np.asarray(column)[by_time] for name, column in columns.items()}
        return cls(
            time_mjd=time[by_time],
            band=_names(full.get(known.band or ""), time.size),
            value=full[value].astype(np.float64),
            error=full[error].astype(np.float64) if error in full else np.full(time.size, np.nan),
            good=_unflagged(full.get(known.quality or ""), time.size),
            is_mag=known.flux is None,
            unit=unit or ("nJy" if known.flux in {"psfFlux", "psfDiffFlux"} else None),
        )

    def as_mag(self) -> Epochs:
        """Return AB magnitudes; epochs without a positive flux, which have none, become NaN.

        ``m = 31.4 - 2.5 log10(f / nJy)``, ``sigma_m = 2.5 / ln(10) * sigma_f / f``.
        """
        if self.is_mag:
            return self
        if self.unit not in {None, "nJy"}:
            raise PlanError(
                f"fluxes in {self.unit} cannot be turned into AB magnitudes: need nJy; plot them with as_mag=False"
            )
        flux = np.where(self.value > 0, self.value, np.nan)
        mag, error = AB_ZERO_NJY - 2.5 * np.log10(flux), _PER_MAG * self.error / flux
        return replace(self, value=mag, error=error, is_mag=True, unit="AB")


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
    if hasattr(curve, "columns") and hasattr(curve, "to_numpy"):
        return {str(name): curve[name].to_numpy() for name in curve.columns}, None
    raise PlanError(
        f"a {type(curve).__name__} is not a light curve: need a DataFrame, an Arrow table or a mapping of arrays"
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


def _names(column: NDArray[Any] | None, n: int) -> NDArray[np.object_]:
    if column is None:
        return np.full(n, "", dtype=object)
    return np.array([str(name) for name in column.tolist()], dtype=object)
