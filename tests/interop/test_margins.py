"""What we add to a catalog, and what we say of it, LSDB and hats take as their own: margins, statistics, thumbnails."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Layout, Pixel
from lsdb_ts.sky.pixel import centre
from partitioner import add_margin
from tests.interop.conftest import MAX_ROWS, RADIUS_ARCSEC
from tests.store.catalogs import write_catalog

pytestmark = pytest.mark.peers

WIDER_ARCSEC = 40.0


@dataclass(frozen=True)
class Added:
    """Collections with a margin of ours, and what the peers made of them."""

    ours: Path
    theirs: Path
    lone: Path
    folder: Path
    reports: dict[str, dict]


def lone_star(folder: Path) -> Path:
    """Write a catalog of one star, far from the edges of its pixel."""
    home = Pixel(1, 20)
    place = np.array([home.start + (home.stop - home.start) // 5])
    ra, dec = centre(place, 29)
    return write_catalog(folder, pa.table({HEALPIX: place, "id": [1], "ra": ra, "dec": dec}), Layout.of([home]))


@pytest.fixture(scope="module")
def added(peer, ours, theirs, tmp_path_factory) -> Added:
    folder = tmp_path_factory.mktemp("added")
    mine, other = folder / "ours", folder / "theirs"
    shutil.copytree(ours.right, mine)
    shutil.copytree(theirs.right, other)
    for place in (mine, other):
        add_margin(place, WIDER_ARCSEC, default=True)
    lone = add_margin(lone_star(folder / "lone"), 10.0).collection
    jobs = {}
    for name, place in (("ours", mine), ("theirs", other)):
        match = {"left": str(ours.left), "right": str(place), "radius_arcsec": RADIUS_ARCSEC, "n_neighbors": 1}
        jobs[f"{name} valid"] = {"job": "validate", "path": str(place)}
        jobs[f"{name} margin"] = {
            "job": "margin_rows",
            "path": str(place),
            "margin": None,
            "out": str(folder / f"{name}_margin.parquet"),
        }
        jobs[f"{name} pairs"] = {
            "job": "crossmatch",
            **match,
            "columns": ["id_left", "id_right"],
            "require_right_margin": True,
            "out": str(folder / f"{name}_pairs.parquet"),
        }
    jobs["statistics"] = {
        "job": "statistics",
        "path": str(ours.left),
        "columns": ["mag"],
        "out": str(folder / "statistics.parquet"),
    }
    jobs["lone valid"] = {"job": "validate", "path": str(lone)}
    jobs["lone margin"] = {
        "job": "margin_rows",
        "path": str(lone),
        "margin": None,
        "out": str(folder / "lone_margin.parquet"),
    }
    jobs["lone pairs"] = {
        "job": "crossmatch",
        "left": str(lone),
        "right": str(lone),
        "columns": ["id_left", "id_right"],
        "radius_arcsec": RADIUS_ARCSEC,
        "require_right_margin": True,
        "out": str(folder / "lone_pairs.parquet"),
    }
    reports = dict(zip(jobs, peer.run(*jobs.values()), strict=True))
    return Added(mine, other, lone, folder, reports)


@pytest.mark.parametrize("whose", ["ours", "theirs", "lone"])
def test_hats_finds_a_collection_with_an_added_margin_valid(added, whose):
    report = added.reports[f"{whose} valid"]
    assert report["valid"], report["complaints"]


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_lsdb_opens_with_the_added_margin_and_reads_all_its_rows(added, whose):
    margin = lt.open_catalog(getattr(added, whose)).plan.source.catalog.margin
    report = added.reports[f"{whose} margin"]
    assert report["margin_arcsec"] == WIDER_ARCSEC == margin.margin_arcsec
    assert report["pixels"] == sorted([p.order, p.number] for p in margin.layout)
    rows = pd.read_parquet(added.folder / f"{whose}_margin.parquet")
    assert len(rows) == margin.n_rows


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_lsdb_matches_through_an_added_margin_without_loss(added, whose, ours):
    assert added.reports[f"{whose} pairs"]["warnings"] == []
    left, right = lt.open_catalog(ours.left), lt.open_catalog(getattr(added, whose))
    matched = left.crossmatch(right, radius_arcsec=RADIUS_ARCSEC, suffixes=("_left", "_right"))
    here = matched[["id_left", "id_right"]].to_arrow().to_pandas().sort_values("id_left")
    there = pd.read_parquet(added.folder / f"{whose}_pairs.parquet").sort_values("id_left")
    assert len(here) > 1000
    for column in here.columns:
        assert here[column].tolist() == there[column].tolist()


def test_lsdb_opens_and_matches_with_a_margin_without_rows(added):
    report = added.reports["lone margin"]
    assert (report["margin_arcsec"], report["pixels"]) == (10.0, [])
    assert len(pd.read_parquet(added.folder / "lone_margin.parquet")) == 0
    assert added.reports["lone pairs"]["warnings"] == []
    assert len(pd.read_parquet(added.folder / "lone_pairs.parquet")) == 1


def test_lsdb_takes_statistics_and_properties_from_what_we_wrote(added, ours, sky):
    layout = lt.open_catalog(ours.left).layout
    told = pd.read_parquet(added.folder / "statistics.parquet")
    assert len(told) == len(layout)
    assert told["mag: max_value"].max() == sky.left["mag"].max()
    assert told["mag: row_count"].sum() == len(sky.left)
    report = added.reports["statistics"]
    largest = int(report["properties"]["hats_max_rows"])
    assert largest <= MAX_ROWS
    assert report["thumbnail"] == min(len(layout), largest)
    assert report["columns"] == [HEALPIX, *sky.left.columns]
    for key in ("hats_nrows", "hats_order", "hats_estsize", "hats_skymap_order", "moc_sky_fraction", "hats_frame"):
        assert report["properties"][key], key
