"""HATS both ways: `hats` and LSDB accept what we write, we accept what hats-import writes, and all get the same."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lsdb_ts as lt
from lsdb_ts.store.hats import open_hats
from tests.interop.conftest import MARGIN_ARCSEC, RADIUS_ARCSEC

pytestmark = pytest.mark.peers

SEPARATION_TOLERANCE_ARCSEC = 1e-6


def unit_vectors(table: pd.DataFrame) -> np.ndarray:
    ra, dec = np.radians(table["ra"].to_numpy()), np.radians(table["dec"].to_numpy())
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def nearest_by_brute_force(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """Try every pair; the nearest right row of each left row, if it is within the radius."""
    there = unit_vectors(right)
    found = []
    for name, here in zip(left["id"], unit_vectors(left), strict=True):
        chord = np.sqrt(((there - here) ** 2).sum(axis=1))
        best = int(chord.argmin())
        distance = np.degrees(2 * np.arcsin(chord[best] / 2)) * 3600
        if distance <= RADIUS_ARCSEC:
            found.append((name, right["id"].iloc[best], distance))
    return pd.DataFrame(found, columns=["id_left", "id_right", "_dist_arcsec"]).sort_values("id_left")


@pytest.fixture(scope="module")
def expected(sky) -> pd.DataFrame:
    return nearest_by_brute_force(sky.left, sky.right)


def assert_same_pairs(pairs: pd.DataFrame, expected: pd.DataFrame) -> None:
    found = pairs.sort_values("id_left")
    np.testing.assert_array_equal(found["id_left"].to_numpy(), expected["id_left"].to_numpy())
    np.testing.assert_array_equal(found["id_right"].to_numpy(), expected["id_right"].to_numpy())
    np.testing.assert_allclose(
        found["_dist_arcsec"].to_numpy(float), expected["_dist_arcsec"].to_numpy(), atol=SEPARATION_TOLERANCE_ARCSEC
    )


def assert_same_rows(found: pa.Table, expected: pd.DataFrame) -> None:
    rows = found.select(list(expected.columns)).to_pandas().sort_values("id")
    for column in expected.columns:
        np.testing.assert_array_equal(rows[column].to_numpy(), expected.sort_values("id")[column].to_numpy())


def our_pairs(left, right) -> pd.DataFrame:
    matched = lt.open_catalog(left).crossmatch(
        lt.open_catalog(right), radius_arcsec=RADIUS_ARCSEC, suffixes=("_left", "_right")
    )
    return matched[["id_left", "id_right", "_dist_arcsec"]].to_arrow().to_pandas()


def test_the_sky_of_these_tests_has_matches_and_misses(sky, expected):
    assert 0.5 * len(sky.left) < len(expected) < len(sky.left)


def test_hats_finds_our_collection_valid(ours):
    assert ours.reports[0] == {"valid": True, "collection": True, "complaints": []}


def test_lsdb_computes_the_rows_we_wrote_from_the_same_pixels(ours, sky):
    report = ours.reports[1]
    assert report["rows"] == len(sky.left)
    assert report["margin_arcsec"] == MARGIN_ARCSEC
    assert report["pixels"] == sorted([p.order, p.number] for p in lt.open_catalog(ours.left).layout)
    assert_same_rows(pq.read_table(ours.rows), sky.left)


def test_lsdb_matches_our_collections_through_our_margin_without_loss(ours, expected):
    assert ours.reports[2]["warnings"] == []
    assert_same_pairs(pd.read_parquet(ours.pairs), expected)


def test_we_match_our_collections_as_brute_force_does(ours, expected):
    assert_same_pairs(our_pairs(ours.left, ours.right), expected)


def test_hats_finds_our_written_result_valid_and_lsdb_reads_it(ours, expected):
    assert ours.reports[3]["valid"], ours.reports[3]["complaints"]
    assert ours.reports[4]["rows"] == len(expected)
    matched = pd.read_parquet(ours.matched.with_suffix(".parquet"))
    names = [c for c in matched.columns if c.startswith("id")]
    assert_same_pairs(matched.rename(columns=dict(zip(names, ("id_left", "id_right"), strict=True))), expected)


@pytest.fixture(scope="module")
def again(ours, peer, tmp_path_factory):
    """What LSDB makes of our collection, and of what we wrote ourselves."""
    out = tmp_path_factory.mktemp("again")
    peer.run(
        *({"job": "write_again", "path": str(path), "out": str(out / path.name)} for path in (ours.left, ours.matched))
    )
    return out


def test_what_lsdb_makes_of_our_catalogs_is_not_taken_for_ours(again, ours, sky):
    collection = lt.open_catalog(again / ours.left.name)
    assert_same_rows(collection.to_arrow(), sky.left)
    for name in (ours.left.name, ours.matched.name):
        properties = open_hats(again / name).properties
        assert properties["hats_builder"].startswith("lsdb v")
        assert not [key for key in properties if key.startswith("lsdb_ts_")]


def test_hats_finds_a_survey_with_nested_light_curves_valid(ours):
    assert ours.reports[5] == {"valid": True, "collection": True, "complaints": []}


def test_lsdb_reads_nested_light_curves_point_by_point_as_we_do(ours):
    survey = lt.open_catalog(ours.survey)
    nested = [f.name for f in survey.schema if pa.types.is_struct(f.type)]
    assert nested
    assert sorted(ours.reports[6]["nested"]) == sorted(nested)
    here, there = (t.sort_by("objectId") for t in (survey.to_arrow(), pq.read_table(ours.survey_rows)))
    assert set(here.column_names) <= set(there.column_names)
    for column in here.column_names:
        if column in nested:
            assert_same_curves(here.column(column).combine_chunks(), there.column(column).combine_chunks())
        else:
            assert here.column(column).to_pylist() == there.column(column).to_pylist()


def assert_same_curves(here: pa.StructArray, there: pa.StructArray) -> None:
    parts = {there.type.field(i).name for i in range(there.type.num_fields)}
    assert parts == {here.type.field(i).name for i in range(here.type.num_fields)}
    for part in parts:
        assert here.field(part).to_pylist() == there.field(part).to_pylist()


def test_we_compute_the_rows_that_hats_import_wrote(theirs, sky):
    catalog = lt.open_catalog(theirs.left)
    assert len(catalog) == len(sky.left)
    assert_same_rows(catalog.to_arrow(), sky.left)
    assert_same_rows(pq.read_table(theirs.rows), sky.left)


def test_we_match_what_hats_import_wrote_as_brute_force_and_lsdb_do(theirs, expected):
    assert_same_pairs(our_pairs(theirs.left, theirs.right), expected)
    assert_same_pairs(pd.read_parquet(theirs.pairs), expected)


def test_we_match_one_collection_of_each_side(ours, theirs, expected):
    assert_same_pairs(our_pairs(ours.left, theirs.right), expected)
    assert_same_pairs(our_pairs(theirs.left, ours.right), expected)
