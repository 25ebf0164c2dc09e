"""Write a small Rubin-like survey to disk as raw, unsorted Parquet: objects, sources, forced sources, and the truth.

What the sky holds is drawn in universe.py; the second catalog to match it with is in reference.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import OutputError
from lsdb_ts.schema import AB_NJY, with_unit
from lsdb_ts.sky import propagate
from lsdb_ts.testing import universe
from lsdb_ts.testing.skies import perturbed
from lsdb_ts.testing.universe import BANDS, CLASSES, EPOCH_MJD, Floats, Ints, Objects, Visits

_DETECTED_SIGMA = 5.0
_ORPHANS_PER_SOURCE = 1e-3
_SERIAL_BITS = 24
_UNITS = {
    "Mag": "mag(AB)",
    "MagErr": "mag(AB)",
    "Flux": "nJy",
    "FluxErr": "nJy",
    "Tai": "d",
    "_ra": "deg",
    "_dec": "deg",
}


@dataclass(frozen=True)
class SimulatedSurvey:
    """What was written where, and how many rows."""

    folder: Path
    n_objects: int
    n_sources: int
    """Rows of the source table, orphans among them."""
    n_forced_sources: int
    n_orphans: int
    """Sources whose ``objectId`` is in no object file."""

    @property
    def toml(self) -> Path:
        """The description that ``lsdb-ts repartition`` takes."""
        return self.folder / "survey.toml"

    @property
    def truth(self) -> Path:
        """Parquet file: objectId, class, period in days (null for none), pmra and pmdec in mas/yr."""
        return self.folder / "truth.parquet"

    def files(self, table: str) -> list[Path]:
        """Return the raw files of ``object``, ``source`` or ``forced_source``."""
        return sorted((self.folder / table).glob("*.parquet"))


def simulate_survey(
    folder: str | Path, n_objects: int = 20_000, *, seed: int = 42, files_per_table: int = 4, n_visits: int = 112
) -> SimulatedSurvey:
    """Simulate five years of a six-band survey and write its raw tables.

    Three patches of sky (one across RA 0, one around the south pole, one ordinary) with dense and thin parts; RR Lyrae,
    Cepheids, eclipsing binaries, two types of supernovae, active galaxies and constant stars. Each object is in nine of
    ten visits to its field; a forced source is measured at every visit (so fluxes may be negative), a source only above
    five sigma, at a noisy position that follows the proper motion. One source in a thousand belongs to no object.

    Column names and units are those of Rubin's DP1 tables: ICRS degrees, nJy, MJD (TAI).

    Parameters
    ----------
    folder : path
        New or empty. Gets ``object/``, ``source/``, ``forced_source/``, ``truth.parquet`` and ``survey.toml``.
    n_objects : int
        20,000 objects give about 1 M sources and 2 M forced sources.
    seed : int
        Equal seeds give equal files.
    files_per_table : int
        Files are cut by time (objects: at random), so each covers the whole sky.
    n_visits : int
        Visits to each field in the five years, all bands together.

    Returns
    -------
    SimulatedSurvey

    Raises
    ------
    OutputError
        If the folder is not empty.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise OutputError(f"{folder} is not empty: name a new folder for the simulated survey, or remove this one")
    rng = np.random.default_rng(seed)
    objects = universe.draw_objects(n_objects, rng)
    parts = [_observe(objects, field, n_visits, rng) for field in np.unique(objects.field)]
    tables = {
        "object": _object_table(objects, parts),
        "source": _in_time_order([p.sources for p in parts]),
        "forced_source": _in_time_order([p.forced for p in parts]),
    }
    for name, table in tables.items():
        _write(table, folder / name, files_per_table)
    pq.write_table(_truth_table(objects), folder / "truth.parquet")
    (folder / "survey.toml").write_text(_TOML.replace("MAX_ROWS", str(max(100, n_objects // 20))))
    return SimulatedSurvey(
        folder=folder,
        n_objects=tables["object"].num_rows,
        n_sources=tables["source"].num_rows,
        n_forced_sources=tables["forced_source"].num_rows,
        n_orphans=sum(p.n_orphans for p in parts),
    )


@dataclass(frozen=True)
class _Observed:
    """All that was measured in one field."""

    rows: Ints
    """Places of the field's objects among all objects."""
    flux: Floats
    """Mean measured flux, shape (n, 6)."""
    error: Floats
    sources: pa.Table
    forced: pa.Table
    n_orphans: int


def _observe(objects: Objects, field: int, n_visits: int, rng: np.random.Generator) -> _Observed:
    rows = np.flatnonzero(objects.field == field)
    mine, visits = objects.rows(rows), universe.draw_visits(int(field), n_visits, rng)
    truth = universe.true_fluxes(mine, visits, rng)
    error = universe.flux_errors(truth, visits)
    flux = truth + error * rng.normal(size=truth.shape)
    covered = universe.coverage(rows.size, visits, rng)
    visit, row = np.nonzero(covered.T)
    forced = _measurements(visits, visit, mine.id[row], rows[row], flux[row, visit], error[row, visit])
    forced = _with_positions(forced, mine.ra[row], mine.dec[row]).rename_columns({"sourceId": "forcedSourceId"})
    detected = flux[row, visit] > _DETECTED_SIGMA * error[row, visit]
    sources, n_orphans = _detections(mine, rows, visits, (visit[detected], row[detected]), (flux, error), rng)
    inverse = covered / error**2
    by_band = (visits.band[:, None] == np.arange(len(BANDS))).astype(float)
    weight = inverse @ by_band
    with np.errstate(divide="ignore", invalid="ignore"):
        return _Observed(rows, ((inverse * flux) @ by_band) / weight, weight**-0.5, sources, forced, n_orphans)


def _detections(
    objects: Objects,
    serial: Ints,
    visits: Visits,
    where: tuple[Ints, Ints],
    measured: tuple[Floats, Floats],
    rng: np.random.Generator,
) -> tuple[pa.Table, int]:
    """Return the source table of a field, with some spurious detections that belong to no object."""
    visit, row = where
    flux, error = (values[row, visit] for values in measured)
    n_orphans = round(visit.size * _ORPHANS_PER_SOURCE)
    years = (visits.time[visit] - EPOCH_MJD) / 365.25
    ra, dec = propagate(objects.ra[row], objects.dec[row], objects.pmra[row], objects.pmdec[row], years)
    sigma = 0.01 + 0.6 * visits.seeing_arcsec[visit] * error / flux
    ra, dec = perturbed(ra, dec, sigma, seed=int(rng.integers(2**31)))
    pick = rng.integers(0, max(visit.size, 1), n_orphans)
    ghost_ra, ghost_dec = perturbed(ra[pick], dec[pick], 30.0, seed=int(rng.integers(2**31)))
    ghost_id = 9 * 10**15 + rng.integers(0, 10**12, n_orphans)
    ghost_serial = (1 << (_SERIAL_BITS - 1)) + np.arange(n_orphans)
    table = _measurements(
        visits,
        np.concatenate([visit, visit[pick]]),
        np.concatenate([objects.id[row], ghost_id]),
        np.concatenate([serial[row], ghost_serial]),
        np.concatenate([flux, error[pick] * rng.uniform(5, 6, n_orphans)]),
        np.concatenate([error, error[pick]]),
    )
    return _with_positions(table, np.concatenate([ra, ghost_ra]), np.concatenate([dec, ghost_dec])), n_orphans


def _measurements(visits: Visits, visit: Ints, parent: Ints, serial: Ints, flux: Floats, error: Floats) -> pa.Table:
    band = pa.DictionaryArray.from_arrays(visits.band[visit].astype(np.int8), list(BANDS)).cast(pa.string())
    columns = {
        "sourceId": (visits.id[visit] << _SERIAL_BITS) | serial,
        "objectId": parent,
        "visit": visits.id[visit],
        "midpointMjdTai": visits.time[visit],
        "band": band,
        "psfFlux": flux,
        "psfFluxErr": error,
    }
    return pa.table(columns)


def _with_positions(table: pa.Table, ra: Floats, dec: Floats) -> pa.Table:
    return table.add_column(2, "coord_ra", pa.array(ra)).add_column(3, "coord_dec", pa.array(dec))


def _object_table(objects: Objects, parts: Iterable[_Observed]) -> pa.Table:
    flux, error = np.full((2, objects.id.size, len(BANDS)), np.nan)
    for part in parts:
        flux[part.rows], error[part.rows] = part.flux, part.error
    columns = {"objectId": objects.id, "coord_ra": objects.ra, "coord_dec": objects.dec}
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.where(flux > 0, AB_NJY - 2.5 * np.log10(flux), np.nan)
        spread = 2.5 / np.log(10) * error / flux
    for i, band in enumerate(BANDS):
        columns[f"{band}_psfMag"] = pa.array(magnitude[:, i].astype(np.float32), from_pandas=True)
        unknown = np.isnan(magnitude[:, i])
        columns[f"{band}_psfMagErr"] = pa.array(spread[:, i].astype(np.float32), mask=unknown)
    return pa.table(columns)


def _truth_table(objects: Objects) -> pa.Table:
    return pa.table(
        {
            "objectId": objects.id,
            "class": pa.array(np.array(CLASSES)[objects.kind]),
            "period": pa.array(objects.period, from_pandas=True),
            "pmra": objects.pmra,
            "pmdec": objects.pmdec,
        }
    )


def _in_time_order(parts: list[pa.Table]) -> pa.Table:
    table = pa.concat_tables(parts)
    return table.take(pa.array(np.argsort(table["midpointMjdTai"].to_numpy(), kind="stable")))


def _with_units(schema: pa.Schema) -> pa.Schema:
    def tagged(column: pa.Field) -> pa.Field:
        unit = next((unit for ending, unit in _UNITS.items() if column.name.endswith(ending)), None)
        return column if unit is None else with_unit(column, unit)

    return pa.schema([tagged(column) for column in schema])


def _write(table: pa.Table, folder: Path, n_files: int) -> None:
    folder.mkdir(parents=True)
    table = table.cast(_with_units(table.schema))
    edges = np.linspace(0, table.num_rows, n_files + 1).astype(int)
    for number, (start, stop) in enumerate(pairwise(edges)):
        pq.write_table(table.slice(start, stop - start), folder / f"part-{number:03d}.parquet", compression="zstd")


_TOML = """\
# What `lsdb-ts repartition survey.toml --out DIR` makes of these tables: one catalog of objects, in which every object
# carries its forced photometry as the light curve "lc", and what was detected of it as "detections".
name = "survey"
profile = "rubin"

[tables.object]
files = "object/*.parquet"
max_rows = MAX_ROWS
margin_arcsec = 10.0
nest = { forced_source = "lc", source = "detections" }

[tables.source]
files = "source/*.parquet"

[tables.forced_source]
files = "forced_source/*.parquet"
"""
