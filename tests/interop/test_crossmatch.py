"""Our crossmatch equals LSDB's own on the same catalogs, in every mode that LSDB has, as multisets of pairs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lsdb_ts as lt
from tests.interop.peer import pairs_of

pytestmark = pytest.mark.peers

PAIR = ["id_left", "id_right", "_dist_arcsec"]
RADIUS_ARCSEC = 4.0
DISTANCE_TOLERANCE_ARCSEC = 1e-6
CONE = (0.0, 89.0, 3 * 3600.0)
"""Around the north pole, where the sky of these tests has a seventh of its stars."""
MODES: dict[str, dict[str, Any]] = {
    "inner": {},
    "inner-3": {"n_neighbors": 3},
    "left": {"how": "left"},
    "left-3": {"how": "left", "n_neighbors": 3},
    "outer": {"how": "outer"},
    "outer-3": {"how": "outer", "n_neighbors": 3},
    "beyond": {"min_radius_arcsec": 0.5},
    "beyond-3": {"min_radius_arcsec": 0.5, "n_neighbors": 3},
    "left-beyond": {"min_radius_arcsec": 0.5, "how": "left"},
}
NESTED: dict[str, dict[str, Any]] = {
    "nested": {"n_neighbors": 3, "how": "inner"},
    "nested-left": {"n_neighbors": 3, "how": "left"},
}


@dataclass(frozen=True)
class Theirs:
    """What LSDB found: by mode, within the cone, and again what it read of a result we wrote."""

    folder: Path
    reports: dict[str, dict]

    def pairs(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.folder / f"{name}.parquet")


def ours_of(ours, **options) -> lt.Catalog:
    return lt.open_catalog(ours.left).crossmatch(
        lt.open_catalog(ours.right), radius_arcsec=RADIUS_ARCSEC, suffixes=("_left", "_right"), **options
    )


@pytest.fixture(scope="module")
def lsdb(peer, ours, tmp_path_factory) -> Theirs:
    """All of LSDB's work, in one process of its own."""
    folder = tmp_path_factory.mktemp("lsdb")
    written = folder / "written"
    ours_of(ours, how="left", n_neighbors=3).write(written)
    asked = {"job": "crossmatch", "left": str(ours.left), "right": str(ours.right), "columns": PAIR}
    options = {**MODES, "cone": {"cone": CONE}}
    jobs = {
        name: {**asked, "radius_arcsec": RADIUS_ARCSEC, "out": str(folder / f"{name}.parquet"), **option}
        for name, option in options.items()
    }
    asked = {"job": "crossmatch_nested", "left": str(ours.left), "right": str(ours.right)}
    for name, option in NESTED.items():
        jobs[name] = {**asked, "radius_arcsec": RADIUS_ARCSEC, "out": str(folder / f"{name}.parquet"), **option}
    jobs["validated"] = {"job": "validate", "path": str(written)}
    jobs["written"] = {"job": "rows", "path": str(written), "out": str(folder / "written.parquet")}
    return Theirs(folder, dict(zip(jobs, peer.run(*jobs.values()), strict=True)))


def assert_same_multiset(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Compare pairs by ids, and the distances of equal pairs; a missing partner is a pair with none."""
    found, expected = (_in_order(pairs) for pairs in (found, expected))
    np.testing.assert_array_equal(found[PAIR[:2]].to_numpy(), expected[PAIR[:2]].to_numpy())
    np.testing.assert_allclose(found[PAIR[2]], expected[PAIR[2]], rtol=0, atol=DISTANCE_TOLERANCE_ARCSEC)


def _in_order(pairs: pd.DataFrame) -> pd.DataFrame:
    plain = {name: pairs[name].to_numpy(dtype="f8", na_value=np.nan) for name in PAIR}
    ids = {name: np.nan_to_num(plain[name], nan=-1).astype("i8") for name in PAIR[:2]}
    return pd.DataFrame({**ids, PAIR[2]: plain[PAIR[2]]}).sort_values(PAIR).reset_index(drop=True)


@pytest.mark.parametrize("mode", MODES)
def test_our_pairs_are_those_of_lsdb(mode, ours, lsdb):
    assert lsdb.reports[mode]["warnings"] == []
    assert_same_multiset(ours_of(ours, **MODES[mode])[PAIR].compute(), lsdb.pairs(mode))


def test_the_modes_differ_on_this_sky(sky, lsdb):
    rows = {mode: len(lsdb.pairs(mode)) for mode in MODES}
    assert rows["inner"] < rows["inner-3"] < rows["left-3"]
    assert rows["inner"] < rows["left"] == len(sky.left) < rows["outer"]
    assert 0 < rows["beyond"] < rows["inner"]


@pytest.mark.parametrize("mode", NESTED)
def test_our_nested_partners_are_those_of_lsdb(mode, ours, lsdb):
    found = lt.open_catalog(ours.left).crossmatch_nested(
        lt.open_catalog(ours.right), radius_arcsec=RADIUS_ARCSEC, name="partners", **NESTED[mode]
    )
    frame = found[["id", "partners"]].compute()
    assert len(frame) == lsdb.reports[mode]["rows"]
    assert_same_multiset(pairs_of(frame), lsdb.pairs(mode))


def test_our_pairs_within_a_cone_are_those_of_lsdb(ours, lsdb):
    pairs = ours_of(ours).cone_search(*CONE)[PAIR].compute()
    assert 0 < len(pairs) < len(lsdb.pairs("inner"))
    assert_same_multiset(pairs, lsdb.pairs("cone"))


def test_lsdb_opens_a_left_match_that_we_wrote_and_gets_its_rows(lsdb):
    assert lsdb.reports["validated"]["valid"], lsdb.reports["validated"]["complaints"]
    assert_same_multiset(lsdb.pairs("written"), lsdb.pairs("left-3"))
