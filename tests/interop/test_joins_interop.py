"""Indexes and associations both ways: LSDB looks up and joins through ours, we look up and join through theirs."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lsdb_ts as lt
from lsdb_ts.store.index_writer import build_index
from tests.interop.conftest import RADIUS_ARCSEC

pytestmark = pytest.mark.peers

SOUGHT = [0, 7, 1234, 2499, 10**9]


@dataclass(frozen=True)
class Joined:
    """What we wrote, what the peers wrote, and what they made of either."""

    indexed: Path
    links: Path
    reports: list[dict]
    found: Path
    through: Path
    their_links: Path


@pytest.fixture(scope="module")
def pairs(ours) -> pd.DataFrame:
    matched = lt.open_catalog(ours.left).crossmatch(
        lt.open_catalog(ours.right), radius_arcsec=RADIUS_ARCSEC, suffixes=("_left", "_right")
    )
    return ids_of(matched.compute())


@pytest.fixture(scope="module")
def joined(peer, ours, tmp_path_factory) -> Joined:
    folder = tmp_path_factory.mktemp("joins")
    indexed, links = folder / "indexed", folder / "links"
    shutil.copytree(ours.left, indexed)
    build_index(indexed, "id", part_rows=1000)
    left, right = lt.open_catalog(ours.left), lt.open_catalog(ours.right)
    left.crossmatch(right, radius_arcsec=RADIUS_ARCSEC, suffixes=("_left", "_right")).write_association(
        links, left, right, on=("id", "id"), columns=("id_left", "id_right")
    )
    found, through, theirs = folder / "found.parquet", folder / "through.parquet", folder / "theirs"
    reports = peer.run(
        {"job": "validate", "path": str(indexed)},
        {"job": "id_search", "path": str(indexed), "column": "id", "values": SOUGHT, "out": str(found)},
        {"job": "validate", "path": str(links)},
        {
            "job": "join_through",
            "left": str(ours.left),
            "right": str(ours.right),
            "through": str(links),
            "out": str(through),
        },
        {
            "job": "write_association",
            "left": str(ours.left),
            "right": str(ours.right),
            "radius_arcsec": RADIUS_ARCSEC,
            "out": str(theirs),
        },
    )
    return Joined(indexed, links, reports, found, through, theirs)


def ids_of(frame: pd.DataFrame) -> pd.DataFrame:
    kept = pd.DataFrame({name: frame[name].to_numpy() for name in ("id_left", "id_right", "_dist_arcsec")})
    return kept.sort_values(["id_left", "id_right"], ignore_index=True)


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    np.testing.assert_array_equal(found["id_left"], expected["id_left"])
    np.testing.assert_array_equal(found["id_right"], expected["id_right"])
    np.testing.assert_allclose(found["_dist_arcsec"], expected["_dist_arcsec"], atol=1e-6)


def test_hats_finds_our_index_and_our_association_valid(joined):
    assert joined.reports[0] == {"valid": True, "collection": True, "complaints": []}
    assert joined.reports[2] == {"valid": True, "collection": False, "complaints": []}


def test_lsdb_finds_rows_through_our_index_in_the_pixels_that_hold_them(joined, sky):
    rows = pd.read_parquet(joined.found)
    assert sorted(rows["id"]) == SOUGHT[:-1]
    assert 1 <= len(joined.reports[1]["pixels"]) <= 4
    ours = lt.open_catalog(joined.indexed).loc_ids(SOUGHT, on="id", missing="ignore")
    assert sorted(ours.compute()["mag"]) == sorted(rows["mag"])
    assert sorted([p.order, p.number] for p in ours.layout) == joined.reports[1]["pixels"]


def test_lsdb_joins_through_our_association_without_loss(joined, pairs):
    assert joined.reports[3]["warnings"] == []
    assert_same(ids_of(pd.read_parquet(joined.through)), pairs)


def test_we_join_through_our_association_and_theirs_alike(joined, ours, pairs):
    left, right = lt.open_catalog(ours.left), lt.open_catalog(ours.right)
    for links in (joined.links, joined.their_links):
        result = left.join(right, through=links, suffixes=("_left", "_right"))
        frame = result.compute()
        assert_same(ids_of(frame), pairs)
        assert frame.attrs["account"][result.name]["right_missing"] == 0
