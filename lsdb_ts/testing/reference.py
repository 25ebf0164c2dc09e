"""A Gaia-like catalog of the same sky as a simulated survey: another epoch, proper motions, errors of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.schema import with_unit
from lsdb_ts.sky import propagate
from lsdb_ts.sky.sphere import ARCSEC_PER_RADIAN, unit_vectors
from lsdb_ts.testing.skies import Positions, perturbed
from lsdb_ts.testing.universe import EPOCH_JYEAR, Floats

REFERENCE_JYEAR = 2016.0
"""Epoch of the reference positions, as in Gaia DR3."""

_LIMIT_MAG = 21.0
_COMPLETENESS = 0.95
_UNITS = {"ra": "deg", "dec": "deg", "ra_error": "mas", "dec_error": "mas", "pmra": "mas/yr", "pmdec": "mas/yr"}


def simulate_reference(folder: str | Path, *, seed: int = 2016) -> pa.Table:
    """Draw a second catalog that shares the brighter objects of a simulated survey.

    Holds 95 % of the objects brighter than r = 21, moved back to epoch 2016.0 by their proper motions and scattered by
    their errors, and a fifth as many stars that the survey does not have. One in 50 moves by up to 1.6 arcsec a year:
    only a match of the propagated positions finds it.

    Parameters
    ----------
    folder : path
        The folder that `simulate_survey` wrote.
    seed : int
        Equal seeds give equal tables.

    Returns
    -------
    pyarrow.Table
        source_id, ra, dec (ICRS degrees at 2016.0), ra_error, dec_error (mas), pmra (with cos dec), pmdec (mas/yr),
        phot_g_mean_mag, and true_object_id: the truth that no real catalog has, null for unrelated stars.
    """
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    stars = _shared(folder, rng)
    n_shared = stars["ra"].size
    n_other = n_shared // 5
    for name in ("ra", "dec", "mag", "pmra", "pmdec"):
        stars[name] = np.concatenate([stars[name], rng.choice(stars[name], n_other) if n_shared else []])
    # An unrelated star takes its place near a shared one and everything else from others.
    beside = rng.integers(0, max(n_shared, 1), n_other)
    other = perturbed(stars["ra"][beside], stars["dec"][beside], 120.0, seed=int(rng.integers(2**31)))
    stars["ra"][n_shared:], stars["dec"][n_shared:] = other
    error_mas = 0.03 + 1.5 * 10 ** (0.3 * (stars["mag"] - _LIMIT_MAG))
    years = EPOCH_JYEAR - REFERENCE_JYEAR
    ra, dec = propagate(stars["ra"], stars["dec"], stars["pmra"], stars["pmdec"], -years)
    # East and north turn on the way, near a pole by a lot: the motion is given along those of the older position.
    pmra, pmdec = _motion((ra, dec), (stars["ra"], stars["dec"]), years)
    ra, dec = perturbed(ra, dec, error_mas / 1000, seed=int(rng.integers(2**31)))
    known = np.concatenate([stars["id"], np.zeros(n_other, dtype=np.int64)])
    table = pa.table(
        {
            "source_id": 4_000_000_000_000_000_000 + rng.permutation(ra.size) * 7919,
            "ra": ra,
            "dec": dec,
            "ra_error": error_mas.astype(np.float32),
            "dec_error": error_mas.astype(np.float32),
            "pmra": pmra + rng.normal(size=ra.size) * error_mas,
            "pmdec": pmdec + rng.normal(size=ra.size) * error_mas,
            "phot_g_mean_mag": (stars["mag"] + rng.normal(0.1, 0.05, ra.size)).astype(np.float32),
            "true_object_id": pa.array(known, mask=np.arange(ra.size) >= n_shared),
        }
    )
    table = table.cast(pa.schema([with_unit(f, _UNITS[f.name]) if f.name in _UNITS else f for f in table.schema]))
    return table.take(pa.array(rng.permutation(ra.size)))


def _motion(start: Positions, stop: Positions, years: float) -> tuple[Floats, Floats]:
    """Return the proper motion in mas/yr (pmra with cos dec) at ``start`` that `propagate` takes to ``stop``."""
    here, there = unit_vectors(*start), unit_vectors(*stop)
    ra, dec = np.radians(start)
    east = np.stack([-np.sin(ra), np.cos(ra), np.zeros_like(ra)], axis=1)
    north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)], axis=1)
    step = there / (here * there).sum(axis=1, keepdims=True) - here
    mas_per_year = ARCSEC_PER_RADIAN * 1000 / years
    return (step * east).sum(axis=1) * mas_per_year, (step * north).sum(axis=1) * mas_per_year


def _shared(folder: Path, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return position, magnitude and motion of the objects that the reference catalog shares."""
    columns = ["objectId", "coord_ra", "coord_dec", "r_psfMag"]
    objects = pa.concat_tables(
        [pq.read_table(p, columns=columns) for p in sorted((folder / "object").glob("*.parquet"))]
    )
    truth = pq.read_table(folder / "truth.parquet", columns=["objectId", "pmra", "pmdec"])
    table = objects.join(truth, "objectId").sort_by("objectId")
    magnitude = table["r_psfMag"].to_numpy()
    kept = table.filter(pa.array((magnitude < _LIMIT_MAG) & (rng.random(magnitude.size) < _COMPLETENESS)))
    names = {
        "id": "objectId",
        "ra": "coord_ra",
        "dec": "coord_dec",
        "mag": "r_psfMag",
        "pmra": "pmra",
        "pmdec": "pmdec",
    }
    return {name: kept[column].to_numpy().astype("i8" if name == "id" else "f8") for name, column in names.items()}
