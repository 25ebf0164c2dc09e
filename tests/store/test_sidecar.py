"""With a sidecar the same rows come in the same order, nothing is decoded, and what is out of date is not used."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import CatalogError, PlanError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Layout, Pixel
from lsdb_ts.sky.pixel import centre, spatial_index
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store import write
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.read import recording
from lsdb_ts.store.sidecar import FOLDER, LISTING
from lsdb_ts.store.sidecar_file import is_sound, open_file, write_file
from lsdb_ts.store.sidecar_writer import build_sidecar
from lsdb_ts.store.source import HatsSource, Request
from tests.store.catalogs import (
    layout_for,
    places,
    rows_of_pixel,
    stars,
    write_catalog,
    write_collection,
    write_foreign,
)

MARGIN = 30.0
COLUMNS = (HEALPIX, "id", "ra", "dec")


@pytest.fixture(scope="module")
def table():
    return stars(3_000, seed=41)


@pytest.fixture(scope="module")
def layout(table):
    return layout_for(table, 700)


def build(kind, root, table, layout):
    if kind == "ours":
        return write_catalog(root, table, layout)
    if kind == "with a margin":
        return write_collection(root, table, layout, MARGIN)
    stored = {"no index": lambda t: t.drop_columns([HEALPIX])}.get(kind, lambda t: t)
    return write_foreign(root, table, layout, as_folders=kind == "folders", stored=stored)


def requests(layout, table):
    fine = [next(iter(leaf.children(leaf.order + 2))) for leaf in list(layout)[:3]]
    few = Ranges.of_cells(places(table)[::50] >> 30, 14)
    pixels = [*list(layout)[:4], *fine, max(layout).parent(0)]
    return [Request(p, COLUMNS, {}, halo, sky) for p in pixels for halo in (0.0, 20.0, 300.0) for sky in (None, few)]


@pytest.mark.parametrize("kind", ["ours", "with a margin", "unsorted", "no index", "folders"])
def test_rows_are_the_same_with_and_without(kind, table, layout, tmp_path):
    root = build(kind, tmp_path / "cat", table, layout)
    asked = requests(layout, table)
    before = [HatsSource(open_hats(root)).partition(request) for request in asked]
    report = build_sidecar(root, ["id"])
    assert report.written == report.leaves > 0
    source = HatsSource(open_hats(root))
    with recording() as reads:
        after = [source.partition(request) for request in asked]
    assert reads
    assert all(FOLDER in read.path.parts and not read.row_groups for read in reads)
    for one, other in zip(before, after, strict=True):
        assert one.table.equals(other.table)
        assert (one.core == other.core).all()


def test_a_column_it_lacks_is_read_from_the_leaf(table, layout, tmp_path):
    root = write_catalog(tmp_path / "cat", table, layout)
    build_sidecar(root, ["id"])
    source = HatsSource(open_hats(root))
    for columns in (("mag",), (*COLUMNS, "lc.flux")):
        with recording() as reads:
            part = source.partition(Request(layout[0], columns))
        assert not any(FOLDER in read.path.parts for read in reads)
        assert len(part) == rows_of_pixel(table, layout[0]).num_rows


def test_a_few_positions_take_a_few_rows_of_it(table, layout, tmp_path):
    root = write_catalog(tmp_path / "cat", table, layout)
    build_sidecar(root, ["id"])
    near = Ranges.of_cells(places(table)[[5, 9]] >> 20, 19)
    with recording() as reads:
        HatsSource(open_hats(root)).partition(Request(layout[0], COLUMNS, {}, 0.0, near))
    assert 0 < sum(read.bytes for read in reads) < 40 * 32


def test_a_leaf_that_changed_is_read_itself_until_the_sidecar_is_built_again(table, layout, tmp_path):
    root = write_catalog(tmp_path / "cat", table, layout)
    build_sidecar(root, ["id"])
    fewer = rows_of_pixel(table, layout[1]).slice(0, 3)
    write.write_leaf(fewer, root, layout[1])
    source = HatsSource(open_hats(root))
    for leaf, expected in ((layout[1], fewer), (layout[0], rows_of_pixel(table, layout[0]))):
        assert source.partition(Request(leaf, COLUMNS)).table.column("id").equals(expected.column("id"))
    assert build_sidecar(root, ["id"]).written == 1
    with recording() as reads:
        found = source.partition(Request(layout[1], COLUMNS)).table
    assert found.column("id").equals(fewer.column("id"))
    assert FOLDER in reads[0].path.parts


def test_building_again_does_what_is_missing_and_sweeps_up(table, layout, tmp_path):
    root = write_catalog(tmp_path / "cat", table, layout)
    first = build_sidecar(root, ["id"])
    assert build_sidecar(root, ["id"]).written == 0
    files = sorted((root / FOLDER).rglob("*.arrow"))
    assert sum(file.stat().st_size for file in files) == first.bytes
    files[0].unlink()
    (files[1].with_name("99.arrow")).write_bytes(b"old")
    seen = []
    assert build_sidecar(root, ["id"], seen.append).written == 1
    assert len(seen) == len(layout)
    assert sorted((root / FOLDER).rglob("*.arrow")) == files
    assert build_sidecar(root, ["id", "mag"]).written == len(layout)


def test_estimates_are_what_is_taken(table, layout, tmp_path):
    root = write_catalog(tmp_path / "cat", table, layout)
    build_sidecar(root, ["id"])
    source = HatsSource(open_hats(root))
    asked = [request for request in requests(layout, table) if len(request.wanted) <= 100]
    assert len(asked) > 10
    for request in asked:
        cost = source.estimate(request)
        assert cost.rows == cost.kept == len(source.partition(request))
        assert cost.memory == 32 * cost.rows


def test_of_many_pieces_of_sky_an_even_share_is_expected(tmp_path):
    home = Pixel(3, 100)
    ra, dec = centre(np.sort(np.random.default_rng(7).integers(home.start, home.stop, 2000)), 29)
    even = pa.table({HEALPIX: spatial_index(ra, dec), "id": np.arange(2000), "ra": ra, "dec": dec})
    root = write_catalog(tmp_path / "cat", even, Layout.of([home]))
    build_sidecar(root, ["id"])
    cells = np.array([cell.number for cell in home.children(8)][::2])
    request = Request(home, COLUMNS, {}, 0.0, Ranges.of_cells(cells, 8))
    assert len(request.wanted) > 100
    source = HatsSource(open_hats(root))
    assert 0.9 < source.estimate(request).rows / len(source.partition(request)) < 1.1


def test_the_id_is_held_where_the_catalog_says_which_it_is(layout, tmp_path):
    sky = stars(100, seed=1)
    frame = sky.drop_columns([HEALPIX, "lc", "mag"])
    lt.from_dataframe(frame, roles={"id": "id"}).write(tmp_path / "named", progress=False)
    assert build_sidecar(tmp_path / "named").columns == ("ra", "dec", "id")
    plain = write_catalog(tmp_path / "plain", sky, layout_for(sky, 1000))
    assert build_sidecar(plain).columns == ("ra", "dec")


def test_what_cannot_be_built_says_why(table, layout, tmp_path):
    root = write_catalog(tmp_path / "cat", table, layout)
    with pytest.raises(PlanError, match='no column "idd"'):
        build_sidecar(root, ["idd"])
    assert not (root / FOLDER).exists()


def test_a_damaged_file_is_named_with_the_way_out(table, layout, tmp_path):
    root = write_catalog(tmp_path / "cat", table, layout)
    build_sidecar(root, ["id"])
    file = next((root / FOLDER).rglob("*.arrow"))
    file.write_bytes(b"garbage")
    source = HatsSource(open_hats(root))
    with pytest.raises(CatalogError, match=rf"{file.name}.*lsdb-ts sidecar {root}"):
        source.partition(Request(Pixel(0, int(file.stem)), COLUMNS))
    assert build_sidecar(root, ["id"]).written == 1
    assert len(source.partition(Request(layout[0], COLUMNS)))
    shutil.rmtree(root / FOLDER)
    assert len(HatsSource(open_hats(root)).partition(Request(layout[0], COLUMNS)))


@pytest.mark.parametrize("kept", [0, 10, 500, -1])
def test_a_file_that_was_cut_off_is_refused(kept, table, layout, tmp_path):
    root = write_catalog(tmp_path / "cat", table, layout)
    build_sidecar(root, ["id"])
    file = open_hats(root).sidecar.file_of(open_hats(root).leaf_files(layout[0])[0])
    file.write_bytes(file.read_bytes()[:kept])
    assert not is_sound(file)
    with pytest.raises(CatalogError, match="build it again"):
        HatsSource(open_hats(root)).partition(Request(layout[0], COLUMNS))


def test_every_flipped_bit_is_found_and_mended(table, layout, tmp_path):
    root = write_catalog(tmp_path / "cat", table, layout)
    build_sidecar(root, ["id"])
    file = open_hats(root).sidecar.file_of(open_hats(root).leaf_files(layout[0])[0])
    whole = file.read_bytes()
    assert is_sound(file)
    for place in np.linspace(0, len(whole) - 1, 40).astype(int):
        for bit in (0, 7):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
            assert not is_sound(file)
    assert build_sidecar(root, ["id"]).written == 1
    assert file.read_bytes() == whole


@pytest.mark.parametrize("spread", ["even", "clusters", "one place", "corners"])
@pytest.mark.parametrize("pieces", [0, 1, 3, 90, 2_000])
def test_rows_within_any_sky_are_found(spread, pieces, tmp_path):
    rng = np.random.default_rng(11)
    home = Pixel(4, 77)
    width = home.stop - home.start
    if spread == "even":
        place = rng.integers(home.start, home.stop, 5_000)
    elif spread == "clusters":
        place = home.start + np.repeat(rng.integers(0, width - 600, 10), 500) + rng.integers(0, 600, 5_000)
    else:
        place = np.repeat([home.start] if spread == "one place" else [home.start, home.stop - 1], 300)
    place = np.sort(place)
    write_file(tmp_path / "a", pa.table({HEALPIX: place, "n": np.arange(place.size)}), {})
    held = open_file(tmp_path / "a")
    assert held.rows.column("n").to_pylist() == list(range(place.size))
    for size in (1, 1 << 20, width // 1000, width):
        starts = rng.integers(home.start - width, home.stop + width, pieces)
        starts[::2] = rng.choice(place, starts[::2].size) - size // 2
        for wanted in (Ranges.of(starts, starts + size), Ranges.of_cells(starts >> 30, 14)):
            assert (
                np.arange(place.size)[held.within(wanted)].tolist() == np.flatnonzero(wanted.contains(place)).tolist()
            )


def test_a_file_without_rows_holds_none(tmp_path):
    write_file(tmp_path / "a", pa.table({HEALPIX: pa.array([], pa.int64())}), {})
    assert is_sound(tmp_path / "a")
    everywhere = Ranges.of([0], [12 << 58])
    assert np.arange(0)[open_file(tmp_path / "a").within(everywhere)].size == 0


def test_matches_are_the_same_with_and_without(table, layout, tmp_path):
    root = write_collection(tmp_path / "both", table, layout, MARGIN)
    rng = np.random.default_rng(3)
    mine = lt.from_dataframe(table.take(np.sort(rng.choice(3_000, 200, replace=False))).select(["ra", "dec"]))
    found = []
    for _ in range(2):
        matched = mine.crossmatch(lt.open_catalog(root), 20.0, n_neighbors=5)[["id", "_dist_arcsec"]]
        found.append(matched.to_arrow(progress=False))
        build_sidecar(root, ["id"])
    assert found[0].num_rows > 200
    assert found[0].equals(found[1])


def test_the_listing_appears_last(table, layout, tmp_path, monkeypatch):
    root = write_catalog(tmp_path / "cat", table, layout)

    def fail(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_sidecar(root, ["id"], fail)
    assert open_hats(root).sidecar is None
    build_sidecar(root, ["id"])
    assert json.loads((root / FOLDER / LISTING).read_text())["columns"] == ["ra", "dec", "id"]


def test_hats_still_finds_the_catalog_valid(table, layout, tmp_path):
    from hats.io.validation import is_valid_catalog

    root = write_catalog(tmp_path / "cat", table, layout)
    build_sidecar(root, ["id"])
    assert is_valid_catalog(root, strict=True, verbose=False)
