"""Light curves on a regular grid, held against the kernel one curve at a time; awkward ones, and whole catalogs."""

import math
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.fits.gaussian_process import Process, interpolate
from lsdb_ts.kernels.fits.models import BAZIN, evaluate
from lsdb_ts.lightcurves.gaussian import ANGSTROM, Interpolate
from lsdb_ts.schema import Roles
from tests.lightcurves.curvecases import KINDS, after, awkward, number, shape

CURVES = awkward(5)
BANDS = ("g", "r")
PLACES = (4827.0, 6223.0)


def step(**changes):
    given = {"start_days": -10.0, "stop_days": 20.0, "n_times": 7, "bands": BANDS, "wavelengths": PLACES, **changes}
    return Interpolate(**given)


def good(curve, bands=BANDS):
    """Return times, fluxes and errors of each band, sorted by time, of epochs in which nothing is missing."""
    found = []
    for band in bands:
        rows = [tuple(number(e[n]) for n in ("time", "psfFlux", "psfFluxErr")) for e in curve if e["band"] == band]
        rows = sorted((r for r in rows if all(map(math.isfinite, r)) and r[2] > 0), key=lambda r: r[0])
        found.append(np.array(rows).reshape(-1, 3))
    return found


def slow(curve, zero, days, process, bands=BANDS, places=PLACES):
    """Return (time, band, value, error) of the grid of one curve; nothing where there is no process."""
    by_band = good(curve, bands)
    rows = np.concatenate(by_band)
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in by_band])])
    if not len(rows) or not math.isfinite(zero):
        return []
    found = interpolate(rows[:, 0] - zero, rows[:, 1], rows[:, 2], offsets, days[None], np.array(places), process)
    if np.isnan(found.amplitude).all():
        return []
    values = [(b, k) for b in range(len(bands)) for k in range(days.size)]
    return [(zero + days[k], bands[b], found.mean[0, b, k], found.error[0, b, k]) for b, k in values]


@pytest.mark.parametrize("zero", ["peak", "first"])
@pytest.mark.parametrize("scale", [6000.0, None])
def test_the_grid_is_that_of_each_curve_alone(zero, scale):
    found = after(step(zero=zero, wavelength_scale=scale), CURVES)
    grids = 0
    for curve, made in zip(CURVES, found, strict=True):
        if curve is None:
            assert made is None
            continue
        rows = np.concatenate(good(curve))
        rank = rows[:, 2] - rows[:, 1] if zero == "peak" else rows[:, 0]
        day = rows[np.lexsort((rows[:, 0], rank))[0], 0] if len(rows) else np.nan
        expected = slow(curve, day, np.linspace(-10, 20, 7), Process(scale))
        assert len(made) == len(expected)
        grids += bool(made)
        for epoch, (time, band, value, error) in zip(made, expected, strict=True):
            assert (epoch["time"], epoch["band"]) == (pytest.approx(time, abs=1e-9), band)
            assert number(epoch["psfFlux"]) == pytest.approx(value, rel=1e-6, abs=1e-6, nan_ok=True)
            assert number(epoch["psfFluxErr"]) == pytest.approx(error, rel=1e-6, abs=1e-6, nan_ok=True)
    assert grids > 20


def test_what_comes_out_are_four_parts_with_their_types():
    kinds = {**KINDS, "psfFlux": pa.float32(), "band": pa.dictionary(pa.int8(), pa.string())}
    like = shape(kinds)
    after_it = step().shape(like)

    assert after_it.names == ("time", "band", "psfFlux", "psfFluxErr")
    assert after_it.field("psfFlux").type == pa.float32()
    assert after_it.unit("psfFlux") == "nJy"
    assert after_it.roles.quality is None
    plain, encoded = after(step(), CURVES), after(step(), CURVES, like)
    assert [c and [e["band"] for e in c] for c in encoded] == [c and [e["band"] for e in c] for c in plain]


def test_day_zero_may_be_a_number_or_a_column_and_without_one_there_is_no_grid():
    days = [60_010.0 if i % 3 else None for i in range(len(CURVES))]
    column, constant = after(step(since="trigger"), CURVES, trigger=days), after(step(since=60_010.0), CURVES)

    for curve, by_column, by_number, day in zip(CURVES, column, constant, days, strict=True):
        if curve is None:
            continue
        assert by_column == (by_number if day else [])
        if by_number:
            assert by_number[0]["time"] == 60_000.0
    assert step(since="trigger").columns(shape(), ("time",)) == ("trigger",)
    assert step().columns(shape(), ("time",)) == ()


def test_a_band_that_no_process_tells_of_is_null_and_still_there():
    found = after(step(bands=(*BANDS, "y"), wavelengths=(*PLACES, 9710.0), wavelength_scale=None), CURVES)
    grid = next(c for c in found if c)

    assert len(grid) == 21
    assert [e["band"] for e in grid] == ["g"] * 7 + ["r"] * 7 + ["y"] * 7
    assert {e["psfFlux"] for e in grid[14:]} == {e["psfFluxErr"] for e in grid[14:]} == {None}
    together = after(step(bands=(*BANDS, "y"), wavelengths=(*PLACES, 9710.0)), CURVES)
    assert None not in {e["psfFlux"] for c in together if c for e in c}


def test_magnitudes_are_about_their_median_and_brightest_where_smallest():
    kinds = {"time": pa.float64(), "band": pa.string(), "mag": pa.float64(), "magErr": pa.float64()}
    like = shape(kinds, Roles(time="time", band="band", mag="mag", mag_error="magErr"), None)
    mags = [20.0, 19.0, 18.0, 19.5, 20.0]
    curve = [{"time": 100.0 + 5 * i, "band": "g", "mag": m, "magErr": 0.05} for i, m in enumerate(mags)]
    (found,) = after(
        step(start_days=0.0, stop_days=1000.0, n_times=2, bands=("g",), wavelengths=(4827.0,)), [curve], like
    )

    assert found[0]["time"] == 110.0
    assert found[0]["mag"] == pytest.approx(18.0, abs=0.15)
    assert found[1]["mag"] == pytest.approx(19.5, abs=0.3)


def test_supernovae_of_a_catalog_become_grids_of_one_size():
    rng = np.random.default_rng(1)
    objects = pd.DataFrame({"id": range(8), "ra": np.linspace(10, 11, 8), "dec": np.zeros(8), "trigger": 60_040.0})
    parts = []
    for i in range(8):
        t, band = 60_000 + np.sort(rng.uniform(0, 100, 60)), rng.integers(0, 3, 60)
        flux = evaluate(BAZIN, t, [60_040, 4, 25, 1.0, 0.0]) * np.array([60, 100, 90])[band] + rng.normal(0, 2, 60)
        made = {"id": i, "mjd": t, "band": np.array(list("gri"))[band], "psfFlux": flux, "psfFluxErr": 2.0, "flag": 0}
        parts.append(pd.DataFrame(made))
    catalog = lt.from_dataframe(objects).nest(pd.concat(parts), on="id")
    curves = catalog.curves("lc").interpolate(-10, 50, 31, "gri", since="trigger")
    made = curves.assign("grid").compute()

    grid = made["grid"].iloc[3]
    assert len(made) == 8
    assert {len(g) for g in made["grid"]} == {93}
    assert grid["mjd"].to_numpy().reshape(3, 31)[:, [0, -1]].tolist() == [[60_030.0, 60_090.0]] * 3
    truth = evaluate(BAZIN, grid["mjd"], [60_040, 4, 25, 1.0, 0.0]) * np.repeat([60.0, 100, 90], 31)
    pulls = np.concatenate([(g["psfFlux"] - truth) / g["psfFluxErr"] for g in made["grid"]])
    assert pulls.std() == pytest.approx(1.0, abs=0.35)
    assert "interpolate(" in repr(curves)
    assert set(curves.assign().compute()["lc"].iloc[0].columns) == {"mjd", "band", "psfFlux", "psfFluxErr"}


def test_memory_is_planned_for_the_epochs_that_are_made():
    objects = pd.DataFrame({"id": range(300), "ra": np.linspace(10, 11, 300), "dec": np.zeros(300)})
    rng = np.random.default_rng(0)
    t = 60_000 + rng.uniform(0, 100, 3000)
    epochs = {
        "id": np.repeat(range(300), 10),
        "mjd": t,
        "band": "g",
        "psfFlux": rng.normal(0, 1, 3000),
        "psfFluxErr": 1.0,
    }
    catalog = lt.from_dataframe(objects).nest(pd.DataFrame(epochs), on="id")
    grid = catalog.curves("lc").interpolate(0, 100, 500, "ugrizy", scale_range_days=(10.0, 10.0)).assign()
    expected = grid.explain()

    tracemalloc.start()
    made = grid.compute()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(made["lc"].iloc[0]) == 3000
    assert expected.bytes > 300 * 3000 * 20
    assert expected.bytes_per_task > max(peak, 300 * 3000 * 100)


def test_what_makes_no_sense_is_refused():
    bad = {
        "finite first and last days": [{"start_days": 30.0}, {"n_times": 1}, {"stop_days": math.inf}],
        "bands, each once": [{"bands": ("g", "g")}, {"bands": ()}, {"wavelengths": (1.0,)}],
        "wavelengths are positive": [{"wavelengths": (0.0, 1.0)}],
        "at most 100000 epochs": [{"n_times": 60_000}],
        '"peak" or the "first"': [{"zero": "last"}],
        "0 < shortest <= longest": [{"scale_range_days": (5.0, 1.0)}],
    }
    for message, changes in bad.items():
        for change in changes:
            with pytest.raises(PlanError, match=message):
                step(**change)
    with pytest.raises(PlanError, match='role "band"'):
        step().shape(shape(roles=Roles(time="time", flux="psfFlux", flux_error="psfFluxErr")))
    with pytest.raises(PlanError, match="to_flux"):
        step().shape(
            shape(
                roles=Roles(time="time", band="band", flux="psfFlux", flux_error="psfFluxErr", zero_point="flags"),
                unit="adu",
            )
        )


def test_bands_without_a_known_wavelength_are_named():
    objects = pd.DataFrame({"id": [1], "ra": [10.0], "dec": [0.0]})
    epochs = pd.DataFrame({"id": [1, 1, 1], "mjd": [1.0, 2, 3], "band": ["V", "V", "I"], "mag": 20.0, "magerr": 0.1})
    curves = lt.from_dataframe(objects).nest(epochs, on="id").curves("lc")
    with pytest.raises(PlanError, match=r"does not know the wavelengths of \['V', 'I'\]: give bands="):
        curves.interpolate(0, 2, 3, "VI")

    made = curves.interpolate(0, 2, 3, {"V": 5450.0, "I": 8060.0}, zero="first").compute()
    assert made["lc.band"].tolist() == ["V"] * 3 + ["I"] * 3
    assert list(ANGSTROM) == list("ugrizy")
