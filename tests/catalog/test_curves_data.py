"""Verbs on real light curves: the 483 RR Lyrae stars of Stripe 82 (Sesar et al. 2010), beside the same in pandas."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lsdb_ts as lt

FOLDER = Path(os.environ.get("LSDB_TS_DATA", Path(__file__).parents[3] / "shared" / "data")) / "s82_rrlyrae"


@pytest.fixture(scope="module")
def sources():
    if not FOLDER.is_dir():
        pytest.skip(f"no Stripe 82 data in {FOLDER}: set LSDB_TS_DATA to the folder that holds s82_rrlyrae")
    return pd.read_parquet(FOLDER / "sources.parquet")


@pytest.fixture(scope="module")
def stars(sources):
    objects = pd.read_parquet(FOLDER / "objects.parquet")[["id", "ra", "dec", "P", "type"]]
    return lt.from_dataframe(objects, name="stars").nest(sources, on="id")


def test_folded_at_the_published_period_neighbours_are_alike(stars):
    """The period is right where the curve is smooth in phase: eta falls far below 2, its value for noise."""
    folded = stars.curves("lc").query("10 < mag < 25").in_bands("g").sigma_clip(6).fold("P", sort=True).assign()
    smooth = []
    for row in folded.to_arrow().to_pylist():
        mag, phase = np.array(row["lc"]["mag"]), np.array(row["lc"]["phase"])
        assert (np.diff(phase) >= 0).all()
        smooth.append(np.mean(np.diff(mag) ** 2) / np.var(mag))
    assert len(smooth) == 483
    assert np.mean(np.array(smooth) < 1.0) > 0.95


def test_nightly_bins_are_those_of_pandas(stars, sources):
    binned = stars.curves("lc").query("10 < mag < 25 and 0 < magerr < 1").to_flux().bin_nightly(-105.82).to_magnitude()
    found = binned.explode("id").to_arrow().to_pandas()
    good = sources.query("10 < mag < 25 and 0 < magerr < 1 and id in @ids", local_dict={"ids": found["id"].unique()})
    flux = 10 ** (0.4 * (31.4 - good["mag"]))
    weight = (flux * good["magerr"] * np.log(10) / 2.5) ** -2.0
    night = np.floor(good["time"] - 105.82 / 360 + 0.5)
    bins = (
        good.assign(w=weight, wf=weight * flux, night=night, n=1)
        .groupby(["id", "band", "night"])[["w", "wf", "n"]]
        .sum()
    )
    mags = 31.4 - 2.5 * np.log10(bins["wf"] / bins["w"])
    found["night"] = np.floor(found["time"].to_numpy() - 105.82 / 360 + 0.5)
    mine = found.set_index(["id", "band", "night"]).sort_index()
    assert len(mine) == len(mags)
    assert np.allclose(mine["mag"].to_numpy(dtype=float), mags.sort_index(), rtol=0, atol=1e-9)
    assert mine["n"].to_numpy(dtype=int).tolist() == bins["n"].sort_index().tolist()


def test_nights_and_seasons_are_those_of_pandas(stars, sources):
    table = stars.curves("lc").cadence(longitude_deg=-105.82).to_arrow().select(["id", "cadence"]).to_pylist()
    for row in table:
        t = np.sort(sources.loc[sources["id"] == row["id"], "time"].to_numpy())
        assert row["cadence"]["n_epochs"] == t.size
        assert row["cadence"]["n_nights"] == np.unique(np.floor(t - 105.82 / 360 + 0.5)).size
        assert row["cadence"]["n_seasons"] == 1 + np.count_nonzero(np.diff(t) > 80)
    assert max(row["cadence"]["n_seasons"] for row in table) >= 8


def test_magnitudes_of_fluxes_of_magnitudes_are_the_same(stars):
    there = stars.curves("lc").query("0 < mag < 40")
    one, other = there.assign().to_arrow(), there.to_flux().to_magnitude().assign().to_arrow()
    for before, after in zip(one.to_pylist(), other.to_pylist(), strict=True):
        assert np.allclose(before["lc"]["mag"], after["lc"]["mag"], rtol=0, atol=1e-11)
        assert np.allclose(before["lc"]["magerr"], after["lc"]["mag_error"], rtol=1e-11, atol=0)
