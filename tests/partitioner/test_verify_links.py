"""Verification of associations: both ids must be there, in the catalogs beside, and not too far apart."""

from pathlib import Path

import pyarrow as pa
import pytest

from lsdb_ts.sky import Layout
from lsdb_ts.store.hats import HatsCatalog, open_hats
from lsdb_ts.store.read import read_rows
from lsdb_ts.store.write import write_leaf
from partitioner import verify
from tests.skycases import neighbours_table, objects_table, on_disk

RADIUS_ARCSEC = 20.0
LEFT = objects_table(300)
RIGHT = neighbours_table(LEFT)


@pytest.fixture
def links(tmp_path) -> HatsCatalog:
    left, right = on_disk(tmp_path / "left", LEFT, "objects", 200), on_disk(tmp_path / "right", RIGHT, "stars", 200)
    pairs = left.crossmatch(right, RADIUS_ARCSEC)
    pairs.write_association(tmp_path / "links", left, right, on=("objectId", "starId"))
    for name in ("objects", "stars"):
        side = next(p for p in tmp_path.rglob("hats.properties") if f"obs_collection={name}\n" in p.read_text())
        (tmp_path / name).symlink_to(side.parent)
    return open_hats(tmp_path / "links")


def change(links: HatsCatalog, column: str, value: object) -> Path:
    """Write another value into the first row of the first partition."""
    pixel = links.layout[0]
    rows = read_rows(links.leaf_path(pixel), links.schema.names)
    at = rows.schema.get_field_index(column)
    values = pa.array([value, *rows.column(at).to_pylist()[1:]], rows.schema.field(at).type)
    write_leaf(rows.set_column(at, links.schema.field(at), values), links.path, pixel)
    (links.path / "dataset" / "_metadata").unlink()
    return links.leaf_path(pixel).relative_to(links.path)


def test_an_association_that_was_just_written_is_sound(links):
    report = verify(links.path)

    assert isinstance(links.layout, Layout)
    assert report.ok, report.faults
    assert not report.notes


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("objectId_objects", -5, "names a row that objects does not have: got objectId_objects -5"),
        ("starId_stars", -6, "names a row that stars does not have: got starId_stars -6"),
        ("_dist_arcsec", 3600.0, "has a _dist_arcsec larger than the catalog says: got 3600"),
    ],
)
def test_a_link_to_nothing_or_too_long_is_named(links, column, value, what):
    file = change(links, column, value)

    assert any(str(fault).startswith(f"{file.as_posix()}, row 0: {what}") for fault in verify(links.path).faults)


def test_catalogs_that_are_not_there_are_a_note(links):
    (links.path.parent / "stars").unlink()

    report = verify(links.path)

    assert report.ok
    assert 'the catalog "stars" that it links is not beside it' in report.notes[0].what
