"""The work of the benchmarks of light curves as lsdb_ts does it; jobs of side_ours.py."""

import functools
import itertools
import shutil

import curves
import numpy as np
from meter import Measured, measured


def features(path: str, objects: int, out: str, names: list | None = None, definition: str | None = None) -> Measured:
    """Extract all features without a period or a fit from Arrow, or those named."""
    chosen, column, roles = _prepared(path, objects, None if names is None else tuple(names), definition)
    with measured() as found:
        table = chosen.extract(column, roles)
    parts = [table[f"features_{band}"].combine_chunks() for band in curves.BANDS]
    kept = {n: [_numbers(part.field(n)) for part in parts] for n in (f.name for f in parts[0].type)}
    found.rows, found.outputs = objects, len(kept)
    np.savez(out, **{name: np.stack(values, axis=1) for name, values in kept.items()})
    return found


def _numbers(column) -> np.ndarray:
    return column.to_numpy(zero_copy_only=False)


@functools.cache
def _prepared(path: str, objects: int, names: tuple | None, definition: str | None):
    from lsdb_ts.features import FeatureSet
    from lsdb_ts.schema import Roles

    roles = Roles(time="time", band="band", flux="flux", flux_error="error")
    if names is None:
        chosen = FeatureSet.fast(curves.BANDS)
    else:
        chosen = FeatureSet.of(names, curves.BANDS, definition=definition)
    return chosen, curves.nested(curves.opened(path, objects)), roles


def map_rows(path: str, objects: int, out: str) -> Measured:
    """Call a function of one row for every row of a catalog in memory."""
    catalog = _catalog(path, objects)
    columns = [f"lc.{part}" for part in (*curves.PARTS, "band")]
    meta = {f"{name}_{band}": "float64" for band in curves.BANDS for name in curves.BY_ROW}
    with measured() as found:
        made = catalog.reduce(curves.of_row, *columns, meta=meta).to_arrow()
    found.rows, found.outputs = made.num_rows, len(curves.BY_ROW)
    # Rows of a catalog are sorted by place, and places were drawn in the sequence of objects.
    table = {n: np.stack([made[f"{n}_{b}"].to_numpy() for b in curves.BANDS], axis=1) for n in curves.BY_ROW}
    np.savez(out, **table)
    return found


@functools.cache
def _catalog(path: str, objects: int):
    import pyarrow as pa

    import lsdb_ts as lt
    from lsdb_ts.sky.pixel import MAX_ORDER, centre

    ra, dec = centre(np.arange(objects, dtype=np.int64) << 30, MAX_ORDER)
    column = curves.nested(curves.opened(path, objects))
    return lt.from_dataframe(pa.table({"ra": ra, "dec": dec, "lc": column}))


def power(path: str, objects: int, out: str, line: list, every: int, independent: bool, method: str) -> Measured:
    """Compute the power of each object at all frequencies."""
    from lsdb_ts.kernels.periods.grid import FrequencyGrid
    from lsdb_ts.kernels.periods.periodogram import MultibandModel, multiband_powers

    time, flux, error, offsets = _flat(path, objects)
    model = MultibandModel(0, 1) if independent else MultibandModel(1, 0)
    with measured() as found:
        grid = FrequencyGrid(*line)
        powers = multiband_powers(time, flux, error**-2.0, offsets, len(curves.BANDS), grid, model, method)
    found.rows = objects
    np.save(out, powers[:, ::every])
    return found


def refined(path: str, objects: int, out: str, line: list, n_harmonics: int) -> Measured:
    """Search each object for its period: all frequencies, then harmonics at the highest peaks."""
    from lsdb_ts.kernels.periods.search import PeriodSearch, search_periods

    first, step, count = line
    settings = PeriodSearch(
        period_range_days=(1.0 / (first + step * (count - 1)), 1.0 / first),
        oversampling=1.0 / (step * curves.BASELINE_DAYS),
        max_frequencies=count,
        n_harmonics=n_harmonics,
        max_p_const=2.0,
    )
    with measured() as found:
        made = search_periods(*_flat(path, objects), len(curves.BANDS), settings, relative=True)
    found.rows = int(np.isfinite(made.period_days[:, 0]).sum())
    np.save(out, made.period_days[:, 0])
    return found


@functools.cache
def _flat(path: str, objects: int) -> tuple[np.ndarray, ...]:
    given = curves.opened(path, objects)
    bands, epochs = given["time"].shape[1:]
    offsets = np.arange(objects * bands + 1, dtype=np.int64) * epochs
    return *(given[part].ravel() for part in curves.PARTS), offsets


_turn = itertools.count()


def at_scale(catalogs: list, out: str, mode: str, workers: int, feature_set: str) -> Measured:
    """Write the features of a catalog: at the first call of a small one, so that all is loaded, then of the next."""
    import lsdb_ts as lt
    from lsdb_ts.features import FeatureSet

    if mode == "distributed":
        _client(workers)
    chosen = getattr(FeatureSet, feature_set)(curves.BANDS)
    shutil.rmtree(out, ignore_errors=True)
    catalog = lt.open_catalog(catalogs[min(next(_turn), len(catalogs) - 1)])
    with measured() as found:
        catalog.features(chosen, lightcurve="lc").write(out)
    found.rows = lt.open_catalog(out).plan.count or 0
    shutil.rmtree(out)
    return found


@functools.cache
def _client(workers: int):
    """Start the workers once, outside of what is measured."""
    from distributed import Client

    import lsdb_ts as lt

    return Client(lt.cluster("local", n_workers=workers))


JOBS = (features, map_rows, power, refined, at_scale)
