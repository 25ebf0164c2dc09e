"""Verification: a sound catalog is called sound, and each way to damage one is found and named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import CatalogError, PlanError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Pixel
from lsdb_ts.store.footers import footer
from lsdb_ts.store.hats import HatsCatalog, open_hats
from lsdb_ts.store.index_writer import build_index
from lsdb_ts.store.read import read_rows
from lsdb_ts.store.seal import TEXT_BLANK, TEXT_KEY, seal, sealed_text
from lsdb_ts.store.sidecar import FOLDER
from lsdb_ts.store.sidecar_writer import build_sidecar
from lsdb_ts.store.write import write_leaf
from partitioner import Report, Survey, run, verify
from partitioner.checks.footers import schema_faults, statistics_faults


@pytest.fixture(scope="module")
def small(make_raw, tmp_path_factory) -> Path:
    """A collection with few partitions, because each test reads all of it."""
    folder = tmp_path_factory.mktemp("small")
    raw = make_raw(folder / "raw", n=150, max_rows=40, seed=3)
    run(Survey.read(raw.folder / "survey.toml"), folder / "sim")
    return folder / "sim"


@pytest.fixture
def catalog(small, tmp_path) -> HatsCatalog:
    """A collection to be damaged."""
    shutil.copytree(small, tmp_path / "sim")
    return open_hats(tmp_path / "sim")


def check(catalog: HatsCatalog) -> Report:
    return verify(catalog.path.parent)


def leaf(catalog: HatsCatalog, pixel: Pixel) -> pa.Table:
    return read_rows(catalog.leaf_path(pixel), catalog.schema.names)


def full_leaves(catalog: HatsCatalog) -> list[Pixel]:
    return sorted(catalog.layout, key=lambda p: pq.read_metadata(catalog.leaf_path(p)).num_rows, reverse=True)


def reverse(catalog: HatsCatalog, pixel: Pixel) -> None:
    rows = leaf(catalog, pixel)
    path = catalog.leaf_path(pixel)
    pq.write_table(pa.table(rows.columns, catalog.schema).take(pa.array(np.arange(rows.num_rows)[::-1])), path)
    seal(path)


def said(report: Report, catalog: HatsCatalog, pixel: Pixel) -> str:
    name = catalog.leaf_path(pixel).relative_to(catalog.path.parent).as_posix()
    return "; ".join(str(f) for f in report.faults if f.file == name)


def without_footers(catalog: HatsCatalog) -> None:
    """Remove the list of footers, so that it does not tell of a file that is written again."""
    (catalog.path / "dataset" / "_metadata").unlink()


def test_what_was_just_made_is_sound(small):
    report = verify(small)

    assert report.ok, report.faults
    assert not report.notes
    assert report.catalogs == ("sim", "sim_20arcs", "source/source", "source/source_5arcs")


def test_a_flipped_bit_in_a_sidecar_is_found(catalog):
    build_sidecar(catalog.path.parent)
    assert check(catalog).ok
    file = sorted((catalog.path / FOLDER).rglob("*.arrow"))[0]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)

    report = check(catalog)

    assert [(fault.file, "lsdb-ts sidecar" in fault.way_out) for fault in report.faults] == [
        (file.relative_to(catalog.path.parent).as_posix(), True)
    ]


def test_a_catalog_inside_a_collection_can_be_checked_alone(small):
    assert verify(small / "sim").ok


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


def test_a_flipped_bit_in_a_footer_is_told_in_a_sentence(catalog):
    path = catalog.leaf_path(full_leaves(catalog)[0])
    content = bytearray(path.read_bytes())
    content[-20] ^= 4
    path.write_bytes(bytes(content))

    (fault,) = [f for f in check(catalog).faults if "footer" in f.what]

    assert fault.what.startswith("the file cannot be read: the footer is damaged, its checksum differs")


def test_a_position_that_was_changed_is_found(catalog):
    pixel = full_leaves(catalog)[0]
    rows = leaf(catalog, pixel)
    ra, dec = rows.column("coord_ra").to_numpy().copy(), rows.column("coord_dec").to_numpy()
    row = int(np.argmin(abs(dec)))
    ra[row] += 0.001
    write_leaf(rows.set_column(2, rows.schema.field(2), pa.array(ra)), catalog.path, pixel)

    found = said(check(catalog), catalog, pixel)

    assert f"row {row}: has a {HEALPIX} that is not that of its coord_ra and coord_dec: got " in found
    assert f"coord_ra {ra[row]!r}".replace("np.float64(", "").replace(")", "") in found


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

    assert any("says hats_nrows=150, the files hold 149 rows" in f for f in faults)
    assert any("_metadata: counts 150 rows, the files hold 149" in f for f in faults)
    assert any("skymap.fits: counts 150 rows, the files hold 149" in f for f in faults)


def test_a_truncated_margin_is_found(catalog):
    margin = catalog.margin
    pixel = full_leaves(margin)[0]
    rows = leaf(margin, pixel)
    write_leaf(rows.slice(0, rows.num_rows - 1), margin.path, pixel)

    lost = rows.column(HEALPIX)[-1].as_py()
    wanted = f"the margin of {pixel} lacks 1 rows within 20 arcsec of it: got no row at {HEALPIX} {lost}"
    report = check(catalog)
    assert wanted in said(report, margin, pixel)
    assert f"make the margin again: lsdb-ts margin {catalog.path} --radius 20" in report.ways_out


def test_a_margin_with_rows_of_its_own_pixel_or_strange_ones_is_found(catalog):
    margin = catalog.margin
    home, pixel = [p for p in full_leaves(catalog) if p in set(margin.layout)][:2]
    rows = leaf(margin, pixel)
    write_leaf(leaf(catalog, home), margin.path, home)
    ids = pa.array([1, *rows.column("objectId").to_pylist()[1:]])
    write_leaf(rows.set_column(1, rows.schema.field(1), ids), margin.path, pixel)

    report = check(catalog)

    assert f"lies in {home} itself, whose margin this is" in said(report, margin, home)
    assert "row 0: the margin of" in said(report, margin, pixel)
    assert "holds a row that the catalog does not have: got objectId 1," in said(report, margin, pixel)


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
    assert "row 0: the margin of" in said(report, margin, second)
    assert "holds a row that the catalog does not have: got objectId" in said(report, margin, second)


def disown(path: Path) -> None:
    for name in ("properties", "hats.properties"):
        text = (path / name).read_text()
        lines = text.replace("hats_builder=lsdb_ts", "hats_builder=someone").splitlines()
        (path / name).write_text("\n".join(line for line in lines if "lsdb_ts_" not in line) + "\n")
    (path / "dataset" / "_metadata").unlink()


def test_a_margin_row_that_differs_from_the_catalog_in_one_column_is_found(catalog):
    margin = catalog.margin
    pixel = full_leaves(margin)[0]
    rows = leaf(margin, pixel)
    at = rows.schema.get_field_index("g_psfMag")
    values = rows.column(at).to_pylist()
    values[1] += 1.0
    changed = rows.set_column(at, rows.schema.field(at), pa.array(values, pa.float32()))
    write_leaf(changed, margin.path, pixel)

    found = said(check(catalog), margin, pixel)

    assert f'row 1: has another "g_psfMag" than the same row of the catalog: got {values[1]}' in found


def test_a_margin_row_that_does_not_belong_there_is_found(catalog):
    margin = catalog.margin
    pixel = full_leaves(margin)[0]
    far = next(p for p in full_leaves(catalog) if abs(p.start - pixel.start) > 1 << 58)
    both = pa.concat_tables([leaf(margin, pixel), leaf(catalog, far).slice(0, 1)]).sort_by(HEALPIX)
    write_leaf(both, margin.path, pixel)

    assert f"does not belong into the margin of {pixel}" in said(check(catalog), margin, pixel)


def test_null_light_curves_are_found(catalog):
    pixel = full_leaves(catalog)[0]
    rows = leaf(catalog, pixel)
    curves = rows.column("lc").to_pylist()
    curves[1] = None
    curves[2]["psfFlux"] = None
    at = rows.schema.get_field_index("lc")
    column = pa.array(curves, rows.schema.field(at).type)
    write_leaf(rows.set_column(at, rows.schema.field(at), column), catalog.path, pixel)

    assert "row 1: has null for lc, or for a list in it, the first of 2" in said(check(catalog), catalog, pixel)


def test_another_light_curve_under_an_object_does_not_balance(catalog):
    a = full_leaves(catalog)[0]
    rows = leaf(catalog, a)
    at = rows.schema.get_field_index("lc")
    curves = rows.column(at).to_pylist()
    first, second = [i for i, c in enumerate(curves) if c["sourceId"]][:2]
    curves[first], curves[second] = curves[second], curves[first]
    column = pa.array(curves, rows.schema.field(at).type)
    write_leaf(rows.set_column(at, rows.schema.field(at), column), catalog.path, a)

    faults = [f.what for f in check(catalog).faults if f.file == "account.json"]

    assert faults == ["the rows in lc of sim, with the orphans, are not those that came in"]


def test_statistics_that_are_not_those_of_the_data_are_found(catalog):
    pixel = full_leaves(catalog)[0]
    found, rows = footer(catalog.leaf_path(pixel)), leaf(catalog, pixel)
    assert list(statistics_faults(found, 0, rows, "f", is_ours=True)) == []
    at = rows.schema.get_field_index("g_psfMag")
    values = rows.column(at).to_numpy().copy()
    top = int(values.argmax())
    values[top] += 5

    def told(values: list, is_ours: bool = True) -> list[str]:
        changed = rows.set_column(at, rows.schema.field(at), pa.array(values, pa.float32()))
        return [str(f) for f in statistics_faults(found, 0, changed, "f", is_ours=is_ours)]

    (too_narrow,) = told(values, is_ours=False)
    assert "row group 0 tell a maximum of" in too_narrow
    assert f"need {values[top]}" in too_narrow
    values[top] = values.min()
    assert told(values, is_ours=False) == []
    assert len(told(values)) == 1
    nulls = told([None, *values.tolist()[1:]], is_ours=False)
    assert 'tell nulls of "g_psfMag" that the data do not have: got 0, need 1' in nulls[0]
    assert "tell rows that the data do not have" in str(
        next(statistics_faults(found, 0, rows.slice(1), "f", is_ours=False))
    )


def test_another_unit_type_or_sequence_of_columns_is_found():
    mag = pa.field("mag", pa.float32(), metadata={b"unit": b"mag"})
    wanted = pa.schema([("id", pa.int64()), mag])

    def told(*fields: pa.Field, is_ours: bool = True) -> list[str]:
        return [f.what for f in schema_faults(pa.schema(fields), wanted, "f", is_ours=is_ours)]

    ids = pa.field("id", pa.int64())
    assert told(ids, mag) == []
    assert told(ids, mag.with_metadata(None)) == [
        'the column "mag" has another unit, role or rule of nulls here than in the catalog'
    ]
    assert told(ids, mag.with_metadata(None), is_ours=False) == []
    assert told(mag, ids) == ["has its columns in another sequence than the catalog"]
    assert told(ids, pa.field("mag", pa.float64())) == ['the column "mag" is double here and float in the catalog']
    assert told(ids) == ['has no column "mag", which the catalog has']


def test_a_footer_that_differs_from_the_list_of_footers_is_found(catalog):
    pixel = full_leaves(catalog)[0]
    rows = leaf(catalog, pixel)
    path = catalog.leaf_path(pixel)
    pq.write_table(pa.table(rows.columns, catalog.schema), path, compression="none")
    seal(path)

    (fault,) = [f for f in check(catalog).faults if "the footer differs" in f.what]

    assert fault.what.endswith("the footer differs from dataset/_metadata")
    assert fault.got != fault.need


def test_a_skymap_that_counts_other_rows_is_found(catalog):
    from astropy.io import fits

    for name in ("skymap.fits", "point_map.fits"):
        with fits.open(catalog.path / name, mode="update", checksum=True) as parts:
            parts[1].data["VALUE"][0] += 1

    faults = [str(f) for f in check(catalog).faults]

    assert any("sim/skymap.fits: counts 151 rows, the files hold 150" in f for f in faults)
    assert any("sim/skymap.fits: counts other rows than there are in" in f for f in faults)


def test_a_missing_or_changed_file_of_rows_set_aside_is_found(catalog):
    orphans = catalog.path.parent / "orphans"
    path = orphans / "source.parquet"
    rows = pq.read_table(path)
    known = leaf(catalog, full_leaves(catalog)[0]).column("objectId")[0].as_py()
    owners = pa.array([*rows.column("objectId").to_pylist()[:-1], known])
    at = rows.schema.get_field_index("objectId")
    pq.write_table(rows.set_column(at, rows.schema.field(at), owners), path, write_page_checksum=True)
    seal(path)
    (orphans / "forced_source.parquet").unlink()

    faults = [str(f) for f in check(catalog).faults]

    stray = f"orphans/source.parquet, row {rows.num_rows - 1}: is no orphan: sim has an object with its objectId"
    assert any(f == f"{stray}: got {known}" for f in faults)
    assert any(f.startswith("orphans/forced_source.parquet: the file of 11 orphans is missing") for f in faults)


def test_an_account_that_tells_other_numbers_is_found(catalog):
    path = catalog.path.parent / "account.json"
    told = json.loads(path.read_text())
    told["tables"][0]["rows_out"] -= 1
    told["catalogs"][0]["rows"] -= 1
    told["catalogs"][1]["margin_rows"] += 1
    path.write_bytes(sealed_text(json.dumps({**told, TEXT_KEY: TEXT_BLANK}).encode()))

    faults = [f.what for f in check(catalog).faults]

    assert 'the account of "object" (catalog sim) does not balance' in faults
    assert "tells of 149 rows in sim, it has 150" in faults
    assert any("margin rows in source/source, it has" in f for f in faults)


def test_light_curves_are_held_against_the_sources_by_themselves(catalog):
    source = open_hats(catalog.path.parent / "source")
    pixel = full_leaves(source)[0]
    rows = leaf(source, pixel)
    ids = pa.array([1, *rows.column("sourceId").to_pylist()[1:]])
    at = rows.schema.get_field_index("sourceId")
    write_leaf(rows.set_column(at, rows.schema.field(at), ids), source.path, pixel)

    assert "lc of sim and its orphans hold other rows than the catalog source" in [
        f.what for f in check(catalog).faults
    ]


def test_an_index_that_lacks_an_id_or_points_elsewhere_is_found(catalog):
    build_index(catalog.path.parent, "objectId")
    assert check(catalog).ok
    folder = catalog.path.parent / "sim_objectId_index"
    (path,) = (folder / "dataset" / "index").glob("*.parquet")
    rows = pq.read_table(path)
    npix = rows.column("Npix").to_pylist()
    npix[4] += 1
    at = rows.schema.get_field_index("Npix")
    wrong = rows.set_column(at, rows.schema.field(at), pa.array(npix, pa.uint64())).slice(1)
    pq.write_table(wrong, path)
    seal(path)

    faults = [str(f) for f in check(catalog).faults]

    value, lost = rows.column("objectId")[4].as_py(), rows.column("objectId")[0].as_py()
    pointing = f"row 3: points objectId {value} at another partition than it is in"
    assert any(pointing in f for f in faults)
    assert any(f"is not in the index sim_objectId_index: got objectId {lost}" in f for f in faults)
    assert any("hats_nrows=150, the files hold 149" in f for f in faults)


def test_an_index_of_an_older_state_of_the_catalog_is_found(catalog):
    build_index(catalog.path.parent, "objectId")
    info = catalog.path / "dataset" / "_metadata"
    info.unlink()

    assert any("is the index of an older state of sim" in f.what for f in check(catalog).faults)


def test_leftovers_and_strange_files_are_notes(catalog):
    (catalog.path / "dataset" / ".Npix=1.parquet.77.88.tmp").write_bytes(b"half")
    (catalog.path / "README.txt").write_text("hello")

    report = check(catalog)

    assert report.ok
    assert {(n.file, n.way_out.split(",")[0]) for n in report.notes} == {
        ("sim/dataset/.Npix=1.parquet.77.88.tmp", "remove it"),
        ("sim/README.txt", "nothing needs to be done"),
    }


@pytest.mark.parametrize("name", ["hats.properties", "partition_info.csv", "dataset/_common_metadata", "skymap.fits"])
def test_a_missing_file_that_every_catalog_has_is_found(catalog, name):
    (catalog.path / name).unlink()

    report = check(catalog)

    assert any(name in f.file or name in f.what for f in report.faults + report.notes)


def test_a_sample_reads_some_partitions_and_all_metadata(catalog):
    report = verify(catalog.path.parent, sample=2)
    assert report.ok, report.faults
    assert (report.partitions, len(report.skipped)) == (8, 3)
    assert report.rows < check(catalog).rows / 2
    assert verify(catalog.path.parent, sample="2").rows == report.rows
    assert verify(catalog.path.parent, sample=2, seed=1).rows != report.rows
    gone = full_leaves(catalog)[0]
    catalog.leaf_path(gone).unlink()
    assert "the file cannot be read" in said(verify(catalog.path.parent, sample=1, seed=5), catalog, gone)


def test_a_sampled_margin_is_held_against_the_catalog(catalog):
    margin = catalog.margin
    for pixel in margin.layout:
        rows = leaf(margin, pixel)
        if rows.num_rows > 1:
            write_leaf(rows.slice(1), margin.path, pixel)

    found = [f.what for f in verify(catalog.path.parent, sample=0.5).faults]

    assert any("lacks 1 rows within 20 arcsec" in what for what in found)


@pytest.mark.parametrize("sample", ["many", "0", "-3", "1.5"])
def test_a_sample_is_a_share_or_a_number(small, sample):
    with pytest.raises(PlanError, match=r"need a share of the partitions like 0.01, or a number of them like 100"):
        verify(small, sample=sample)


def test_a_folder_that_is_no_catalog_is_named(tmp_path):
    with pytest.raises(CatalogError, match="is not a HATS catalog"):
        verify(tmp_path)


def test_a_report_can_be_read_by_machines(catalog):
    catalog.leaf_path(catalog.layout[0]).write_bytes(b"garbage")

    report = check(catalog)

    assert report.to_json()["ok"] is False
    assert report.to_json()["faults"][0]["file"].startswith("sim/dataset/Norder=")


def test_the_command_samples_reports_and_ends_with_a_code(catalog):
    from typer.testing import CliRunner

    from lsdb_ts import cli

    def command(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli.app, ["verify", str(catalog.path.parent), *arguments])
        return done.exit_code, done.output

    code, text = command("--sample", "2", "--seed", "3", "--json")
    told = json.loads(text)
    assert (code, told["ok"], told["partitions"], len(told["skipped"])) == (cli.DONE, True, 8, 3)
    code, text = command("--sample", "half")
    assert (code, "need a share of the partitions" in text) == (cli.MISUSE, True)
    reverse(catalog, full_leaves(catalog)[0])
    code, text = command()
    assert (code, "what to do:" in text) == (cli.FAILED, True)
    assert "restore the file from a copy, or make the catalog again" in text
