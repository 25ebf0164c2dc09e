"""The peers' environment, made once, and what each side wrote in one session."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lsdb_ts as lt
from lsdb_ts.testing import hard_sky, perturbed, simulate_survey
from partitioner import Survey, run
from tests.interop.environment import Peer, peer_environment

N_ROWS = 2500
MAX_ROWS = 300
MARGIN_ARCSEC = 10.0
RADIUS_ARCSEC = 1.0


@dataclass(frozen=True)
class Sky:
    """Two catalogs of the same stars, the second a little off, as tables and as raw files."""

    left: pd.DataFrame
    right: pd.DataFrame
    left_files: list[str]
    right_files: list[str]


@dataclass(frozen=True)
class Exchange:
    """Collections that one side wrote, and what the peers made of them."""

    left: Path
    right: Path
    reports: list[dict]
    rows: Path
    pairs: Path


@pytest.fixture(scope="session")
def peer() -> Peer:
    return peer_environment()


@pytest.fixture(scope="session")
def sky(tmp_path_factory) -> Sky:
    raw = tmp_path_factory.mktemp("raw")
    ra, dec = hard_sky(N_ROWS, seed=11)
    rng = np.random.default_rng(12)
    left = pd.DataFrame({"id": np.arange(N_ROWS), "ra": ra, "dec": dec, "mag": rng.normal(20, 1, N_ROWS)})
    ra, dec = perturbed(ra, dec, 0.4, seed=13)
    right = pd.DataFrame({"id": np.arange(N_ROWS) + 1_000_000, "ra": ra, "dec": dec}).sample(frac=0.8, random_state=14)
    return Sky(left, right, write_halves(left, raw / "left"), write_halves(right, raw / "right"))


def write_halves(table: pd.DataFrame, folder: Path) -> list[str]:
    folder.mkdir()
    paths = [folder / "a.parquet", folder / "b.parquet"]
    for path, half in zip(paths, (table[::2], table[1::2]), strict=True):
        half.to_parquet(path, index=False)
    return [str(p) for p in paths]


def peer_jobs(left: Path, right: Path, folder: Path) -> list[dict]:
    return [
        {"job": "validate", "path": str(left)},
        {"job": "rows", "path": str(left), "out": str(folder / "rows.parquet")},
        {
            "job": "crossmatch",
            "left": str(left),
            "right": str(right),
            "columns": ["id_left", "id_right", "_dist_arcsec"],
            "radius_arcsec": RADIUS_ARCSEC,
            "n_neighbors": 1,
            "out": str(folder / "pairs.parquet"),
        },
    ]


@pytest.fixture(scope="session")
def theirs(peer, sky, tmp_path_factory) -> Exchange:
    """Collections by hats-import, the left one from CSV."""
    folder = tmp_path_factory.mktemp("theirs")
    csv = folder / "left.csv"
    sky.left.to_csv(csv, index=False)
    made = {
        "job": "import_collection",
        "ra": "ra",
        "dec": "dec",
        "max_rows": MAX_ROWS,
        "margin_arcsec": MARGIN_ARCSEC,
        "out": str(folder),
    }
    left, right = folder / "left", folder / "right"
    reports = peer.run(
        {**made, "name": "left", "files": [str(csv)], "reader": "csv"},
        {**made, "name": "right", "files": sky.right_files, "reader": "parquet"},
        *peer_jobs(left, right, folder),
    )
    return Exchange(left, right, reports[2:], folder / "rows.parquet", folder / "pairs.parquet")


@dataclass(frozen=True)
class Ours(Exchange):
    """What we wrote of every kind: also a result, and a survey with nested light curves."""

    matched: Path
    survey: Path
    survey_rows: Path


@pytest.fixture(scope="session")
def ours(peer, sky, tmp_path_factory) -> Ours:
    """Collections by our partitioner, and a crossmatch of them written by our catalog."""
    folder = tmp_path_factory.mktemp("ours")
    left, right, matched, survey = (folder / name for name in ("left", "right", "matched", "survey"))
    for files, out in ((sky.left_files, left), (sky.right_files, right)):
        options = {"max_rows": MAX_ROWS, "margin_arcsec": MARGIN_ARCSEC}
        run(Survey.of_single_table(files, "ra", "dec", out.name, **options), out)
    lt.open_catalog(left).crossmatch(lt.open_catalog(right), radius_arcsec=RADIUS_ARCSEC).write(matched)
    run(Survey.read(simulate_survey(folder / "simulated", n_objects=300, seed=15).toml), survey)
    reports = peer.run(
        *peer_jobs(left, right, folder),
        {"job": "validate", "path": str(matched)},
        {"job": "rows", "path": str(matched), "out": str(folder / "matched.parquet")},
        {"job": "validate", "path": str(survey)},
        {"job": "rows", "path": str(survey), "out": str(folder / "survey.parquet")},
    )
    return Ours(
        left=left,
        right=right,
        reports=reports,
        rows=folder / "rows.parquet",
        pairs=folder / "pairs.parquet",
        matched=matched,
        survey=survey,
        survey_rows=folder / "survey.parquet",
    )
