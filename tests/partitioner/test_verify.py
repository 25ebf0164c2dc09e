"""Verification: a sound catalog is called sound, and each way to damage one is found and named."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Pixel
from lsdb_ts.store.hats import HatsCatalog, open_hats
from lsdb_ts.store.read import read_rows
from lsdb_ts.store.write import write_leaf
from partitioner import Report, verify


@pytest.fixture
def catalog(finished, tmp_path) -> HatsCatalog:
    """A collection to be damaged."""
    shutil.copytree(finished, tmp_path / "sim")
    return open_hats(tmp_path / "sim")


def check(catalog: HatsCatalog) -> Report:
    return verify(catalog.path.parent)


def leaf(catalog: HatsCatalog, pixel: Pixel) -> pa.Table:
    return read_rows(catalog.leaf_path(pixel), catalog.schema.names)


def full_leaves(catalog: HatsCatalog) -> list[Pixel]:
    return sorted(catalog.layout, key=lambda p: pq.read_metadata(catalog.leaf_path(p)).num_rows, reverse=True)


def reverse(catalog: HatsCatalog, pixel: Pixel) -> None:
    rows = leaf(catalog, pixel)
    pq.write_table(rows.take(pa.array(np.arange(rows.num_rows)[::-1])), catalog.leaf_path(pixel))


def said(report: Report, catalog: HatsCatalog, pixel: Pixel) -> str:
    name = catalog.leaf_path(pixel).relative_to(catalog.path.parent).as_posix()
    return "; ".join(str(f) for f in report.faults if f.file == name)


def test_what_was_just_made_is_sound(finished):
    report = verify(finished)

    assert report.ok, report.faults
    assert not report.notes
    assert report.catalogs == ("sim", "sim_20arcs", "source/source", "source/source_5arcs")


def test_a_catalog_inside_a_collection_can_be_checked_alone(finished):
    assert verify(finished / "sim").ok


def test_two_swapped_partitions_are_found(catalog):
    a, b = full_leaves(catalog)[:2]
    one, two = catalog.leaf_path(a), catalog.leaf_path(b)
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)

    report = check(catalog)

    assert f"does not lie in {a}" in said(report, catalog, a)
    assert f"does not lie in {b}" in said(report, catalog, b)


def test_reversed_rows_are_found(catalog):
    pixel = full_leaves(catalog)[0]
    reverse(catalog, pixel)

    assert f"is not sorted by {HEALPIX}, the first of" in said(check(catalog), catalog, pixel)


def test_garbage_is_found(catalog):
    pixel = catalog.layout[0]
    catalog.leaf_path(pixel).write_bytes(b"garbage")

    assert "the file cannot be read" in said(check(catalog), catalog, pixel)


def test_a_missing_file_and_one_too_many_are_found(catalog):
    pixel = catalog.layout[0]
    path = catalog.leaf_path(pixel)
    path.rename(path.with_name("Npix=9999.parquet"))

    report = check(catalog)

    assert "the file cannot be read" in said(report, catalog, pixel)
    assert [f.what for f in report.faults if "9999" in f.file] == ["no partition of the catalog is kept in this file"]


def test_one_row_in_the_wrong_pixel_is_found(catalog):
    a, b = full_leaves(catalog)[:2]
    moved = pa.concat_tables([leaf(catalog, b), leaf(catalog, a).slice(0, 1)]).sort_by(HEALPIX)
    row = moved.column(HEALPIX).to_pylist().index(leaf(catalog, a).column(HEALPIX)[0].as_py())
    write_leaf(leaf(catalog, a).slice(1), catalog.path, a)
    write_leaf(moved, catalog.path, b)

    report = check(catalog)

    assert f"row {row}: does not lie in {b}" in said(report, catalog, b)


def test_a_flipped_bit_is_found(catalog):
    pixel = full_leaves(catalog)[0]
    path = catalog.leaf_path(pixel)
    chunk = pq.read_metadata(path).row_group(0).column(3)
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size - 3] ^= 4
    path.write_bytes(bytes(content))

    assert "the file cannot be read" in said(check(catalog), catalog, pixel)


def test_a_position_that_was_changed_is_found(catalog):
    pixel = full_leaves(catalog)[0]
    rows = leaf(catalog, pixel)
    ra = rows.column("coord_ra").to_numpy().copy()
    ra[2] += 0.001
    write_leaf(rows.set_column(2, rows.schema.field(2), pa.array(ra)), catalog.path, pixel)

    assert f"row 2: has a {HEALPIX} that is not that of its ra and dec" in said(check(catalog), catalog, pixel)


def test_a_light_curve_out_of_sequence_or_with_unequal_lists_is_found(catalog):
    pixel = full_leaves(catalog)[0]
    rows = leaf(catalog, pixel)
    curves = rows.column("lc").to_pylist()
    row = next(i for i, c in enumerate(curves) if len(set(c["midpointMjdTai"])) > 1)
    curves[row]["midpointMjdTai"].reverse()
    curves[-1]["psfFlux"].append(1.0)
    at = rows.schema.get_field_index("lc")
    write_leaf(
        rows.set_column(at, rows.schema.field(at), pa.array(curves, rows.schema.field(at).type)), catalog.path, pixel
    )

    found = said(check(catalog), catalog, pixel)

    assert f"row {row}: has a lc that is not sorted by midpointMjdTai" in found
    assert f"row {rows.num_rows - 1}: has lists of unequal lengths in lc" in found


def test_an_id_that_repeats_across_partitions_is_found(catalog):
    a, b = full_leaves(catalog)[:2]
    rows = leaf(catalog, b)
    ids = rows.column("objectId").to_pylist()
    ids[0] = leaf(catalog, a).column("objectId")[3].as_py()
    write_leaf(rows.set_column(1, rows.schema.field(1), pa.array(ids)), catalog.path, b)

    faults = [f.what for f in check(catalog).faults if "repeat" in f.what]

    assert len(faults) == 1
    assert f"objectId {ids[0]}" in faults[0]


def test_a_count_that_disagrees_with_the_metadata_is_found(catalog):
    pixel = full_leaves(catalog)[0]
    rows = leaf(catalog, pixel)
    write_leaf(rows.slice(1), catalog.path, pixel)

    faults = [str(f) for f in check(catalog).faults]

    assert any("says hats_nrows=300, the files hold 299 rows" in f for f in faults)
    assert any("_metadata: counts 300 rows, the files hold 299" in f for f in faults)


def test_a_truncated_margin_is_found(catalog):
    margin = catalog.margin
    pixel = full_leaves(margin)[0]
    rows = leaf(margin, pixel)
    write_leaf(rows.slice(0, rows.num_rows - 1), margin.path, pixel)

    wanted = f"holds {rows.num_rows - 1} rows, the catalog has {rows.num_rows} that belong there"
    assert wanted in said(check(catalog), margin, pixel)


def test_a_margin_with_rows_of_its_own_pixel_or_strange_ones_is_found(catalog):
    margin = catalog.margin
    home, pixel = [p for p in full_leaves(catalog) if p in set(margin.layout)][:2]
    rows = leaf(margin, pixel)
    write_leaf(leaf(catalog, home), margin.path, home)
    ids = pa.array([1, *rows.column("objectId").to_pylist()[1:]])
    write_leaf(rows.set_column(1, rows.schema.field(1), ids), margin.path, pixel)

    report = check(catalog)

    assert f"lies in {home} itself, whose margin this is" in said(report, margin, home)
    assert "holds other rows than those of the catalog that belong there" in said(report, margin, pixel)


def test_other_writers_are_held_to_the_format_not_to_our_habits(catalog):
    disown(catalog.path)
    disown(catalog.margin.path)
    for pixel in full_leaves(catalog)[:3]:
        reverse(catalog, pixel)

    report = check(catalog)

    assert report.ok, report.faults
    (note,) = report.notes
    assert f"is not sorted by {HEALPIX}" in note.what
    assert "the same in 2 more files" in note.what


def test_a_margin_of_another_writer_that_lacks_a_row_or_has_a_strange_one_is_found(catalog):
    disown(catalog.margin.path)
    margin = catalog.margin
    # Pixels so large that rows within the radius of them are in their margins for certain.
    first, second = [p for p in full_leaves(margin) if p.order <= 1][:2]
    margin.leaf_path(first).unlink()
    rows = leaf(margin, second)
    place = rows.column(HEALPIX).to_numpy().copy()
    place[-1] = 1
    strange = rows.set_column(0, rows.schema.field(0), pa.array(place)).sort_by(HEALPIX)
    write_leaf(strange, margin.path, second)

    report = check(catalog)

    assert f"the margin of {first} lacks" in said(report, margin, first)
    assert "holds 1 rows that the catalog does not have" in said(report, margin, second)


def disown(path: Path) -> None:
    for name in ("properties", "hats.properties"):
        text = (path / name).read_text()
        (path / name).write_text(text.replace("hats_builder=lsdb_ts", "hats_builder=someone"))


def test_a_folder_that_is_no_catalog_is_named(tmp_path):
    with pytest.raises(CatalogError, match="is not a HATS catalog"):
        verify(tmp_path)


def test_a_report_can_be_read_by_machines(catalog):
    catalog.leaf_path(catalog.layout[0]).write_bytes(b"garbage")

    report = check(catalog)

    assert report.to_json()["ok"] is False
    assert report.to_json()["faults"][0]["file"].startswith("sim/dataset/Norder=")
