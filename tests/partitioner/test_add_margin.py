"""A margin added later to any catalog: every row near an edge and no row group in vain, whatever was interrupted."""

import hashlib
import itertools
import json
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from lsdb_ts.catalog import open_catalog
from lsdb_ts.errors import OutputError, PlanError, ResumeError, RunError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Layout, Pixel, halo_members
from lsdb_ts.store.finish import finish_collection
from lsdb_ts.store.hats import WORK, open_hats, read_properties
from lsdb_ts.store.journal import Journal
from lsdb_ts.store.read import recording
from lsdb_ts.store.write import leaf_path
from partitioner import Survey, run, verify
from partitioner.margins import making as margin_making
from partitioner.margins.add import add_margin
from partitioner.margins.members import Edges
from partitioner.planning.product import margin_targets
from tests.oracles import near_pixel
from tests.store.catalogs import layout_for, places, rows_of_pixel, stars, write_catalog, write_foreign

N = 1000
RADII = (0.5, 20.0, 3 * 3600.0)
WRITERS = ("ours", "unsorted", "folders", "no index")


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return stars(N, seed=21)


@pytest.fixture(scope="module")
def layout(table) -> Layout:
    """Leaves of mixed orders, with holes among them."""
    found = layout_for(table, 50, order=6)
    return found.take(np.arange(len(found)) % 4 > 0)


@pytest.fixture(scope="module")
def covered(table, layout) -> pa.Table:
    return table.filter(pa.array(layout.ranges.contains(places(table))))


def written(root: Path, writer: str, table: pa.Table, layout: Layout) -> Path:
    if writer == "ours":
        return write_catalog(root, table, layout)
    if writer == "no index":
        return write_foreign(root, table, layout, stored=lambda rows: rows.drop_columns([HEALPIX]))
    told = f"hats_col_healpix={HEALPIX}\nhats_col_healpix_order=29"
    return write_foreign(root, table, layout, told, as_folders=writer == "folders")


def margin_ids(margin) -> dict[Pixel, list[int]]:
    return {
        pixel: pq.read_table(leaf_path(margin.path, pixel), partitioning=None).column("id").to_pylist()
        for pixel in margin.layout
    }


def expected_ids(table: pa.Table, layout: Layout, radius_arcsec: float) -> dict[Pixel, list[int]]:
    """Return whom the rule puts into which margin, from the rows in memory."""
    targets = margin_targets(layout)
    found: dict[Pixel, list[int]] = {}
    for home in layout:
        inside = rows_of_pixel(table, home)
        rows, of = halo_members(places(inside), home, targets, radius_arcsec)
        ids = inside.column("id").to_numpy()[rows]
        for target in np.unique(of).tolist():
            found.setdefault(targets[target], []).extend(ids[of == target].tolist())
    return found


@pytest.mark.parametrize("radius_arcsec", RADII)
def test_every_row_within_the_radius_is_there_and_none_of_the_pixel_itself(covered, layout, tmp_path, radius_arcsec):
    report = add_margin(write_catalog(tmp_path / "stars", covered, layout), radius_arcsec)
    margin = open_hats(report.path)
    found = margin_ids(margin)
    ra, dec, ids = (covered.column(name).to_numpy() for name in ("ra", "dec", "id"))
    checked = 0
    outside = [pixel for pixel in layout.complement() if pixel.order < 9]
    for pixel in itertools.chain(list(layout)[::3], outside[::3]):
        must = set(ids[near_pixel(pixel, ra, dec, radius_arcsec)].tolist())
        assert must <= set(found.get(pixel, ())), pixel
        own = rows_of_pixel(covered, pixel).column("id").to_pylist()
        assert not set(found.get(pixel, ())) & set(own)
        checked += len(must)
    assert checked > 20
    assert (report.rows, report.partitions) == (sum(map(len, found.values())), len(found))
    assert margin.margin_arcsec == radius_arcsec


@pytest.mark.parametrize("writer", WRITERS)
def test_the_margin_of_any_catalog_is_that_of_its_rows(covered, layout, tmp_path, writer):
    root = written(tmp_path / "stars", writer, covered, layout)
    report = add_margin(root, 60.0)
    expected = expected_ids(covered, layout, 60.0)
    found = margin_ids(open_hats(report.path))
    assert {pixel: sorted(ids) for pixel, ids in found.items()} == {p: sorted(ids) for p, ids in expected.items()}
    assert len(set(open_hats(report.path).layout) - set(layout)) > 5, "also pixels outside the coverage"


@pytest.mark.parametrize("writer", WRITERS)
def test_rows_of_a_margin_have_the_columns_of_the_catalog_and_are_sorted(covered, layout, tmp_path, writer):
    root = written(tmp_path / "stars", writer, covered, layout)
    margin = open_hats(add_margin(root, 60.0).path)
    assert margin.schema.equals(open_hats(root).schema, check_metadata=True)
    rows = {row["id"]: row for row in covered.to_pylist()}
    for pixel in margin.layout:
        stored = pq.read_table(leaf_path(margin.path, pixel), partitioning=None, page_checksum_verification=True)
        assert stored.column_names == margin.schema.names
        expected = [rows[i] for i in stored.column("id").to_pylist()]
        assert stored.to_pylist() == [{name: row[name] for name in stored.column_names} for row in expected]
        assert [row[HEALPIX] for row in expected] == sorted(row[HEALPIX] for row in expected)


def test_a_match_across_edges_finds_the_same_through_the_added_margin(covered, layout, tmp_path):
    root = write_catalog(tmp_path / "stars", covered, layout)
    pairs = []
    for place in (root, add_margin(root, 10.0).collection):
        catalog = open_catalog(place)
        found = catalog.crossmatch(open_catalog(place), radius_arcsec=5.0, n_neighbors=3)
        ids = [name for name in found.columns if name.startswith("id")]
        pairs.append(sorted(map(tuple, found[ids].compute().to_numpy().tolist())))
    assert pairs[0] == pairs[1]
    assert len(pairs[0]) > covered.num_rows


def digest(folder: Path) -> dict[str, str]:
    dated = {"properties", "hats.properties"}
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in dated]
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


class PowerCut(BaseException):
    """What no piece of code expects."""


@pytest.fixture
def stored(covered, layout, tmp_path) -> Path:
    return write_catalog(tmp_path / "stars", covered, layout)


@pytest.fixture(scope="module")
def whole(covered, layout, tmp_path_factory) -> dict[str, str]:
    """The files of the margin, made without interruption in another folder."""
    folder = tmp_path_factory.mktemp("whole") / "stars"
    return digest(add_margin(write_catalog(folder, covered, layout), 30.0).path / "dataset")


@pytest.mark.parametrize("pieces", [0, 7, 40])
def test_a_run_cut_off_after_any_piece_ends_in_the_same_bytes(stored, whole, pieces):
    recorded = iter(range(pieces))
    record = Journal.record

    def cut(self, key, value):
        if next(recorded, None) is None:
            raise PowerCut
        record(self, key, value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "record", cut)
        with pytest.raises(PowerCut):
            add_margin(stored, 30.0)
    home = stored.parent / "stars_collection"
    assert not (home / "collection.properties").exists()
    assert [p.name for p in home.iterdir()] == [".stars_30arcs.tmp"]

    report = add_margin(stored, 30.0)

    assert report.built
    assert digest(report.path / "dataset") == whole
    assert sorted(p.name for p in home.iterdir()) == ["collection.properties", "stars_30arcs"]
    assert not (report.path / WORK).exists()


@pytest.mark.parametrize("name", ["_replace", "stamp_of", "write_collection"])
def test_a_run_cut_off_while_it_is_put_in_place_is_finished_by_the_next(stored, whole, name):
    def cut(*args):
        raise PowerCut

    with pytest.MonkeyPatch.context() as patch:
        if name == "stamp_of":
            patch.setattr("partitioner.margins.making.finish_catalog", cut)
        else:
            patch.setattr(import_module("partitioner.margins.add"), name, cut)
        with pytest.raises(PowerCut):
            add_margin(stored, 30.0)
    report = add_margin(stored, 30.0)
    assert digest(report.path / "dataset") == whole
    assert open_hats(report.collection).margin.margin_arcsec == 30.0
    assert not (report.path / WORK).exists()


def test_a_second_start_does_only_what_is_missing(stored, whole, monkeypatch):
    def fails(making, item):
        raise OSError("out of order")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(margin_making, "assemble", fails)
        with pytest.raises(RunError, match=r"pieces of the margin failed, the first: OSError: out of order"):
            add_margin(stored, 30.0)
    monkeypatch.setattr(margin_making, "find", fails)
    assert digest(add_margin(stored, 30.0).path / "dataset") == whole


def test_margins_that_do_not_fit_the_memory_have_the_same_bytes(stored, whole, monkeypatch):
    monkeypatch.setattr(margin_making, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("partitioner.margins.members._BATCH_BYTES", 1)
    monkeypatch.setattr("partitioner.margins.members._MOST_PAIRS", 1)
    monkeypatch.setattr("partitioner.margins.members._MOST_ROWS", 7)
    assert digest(add_margin(stored, 30.0).path / "dataset") == whole


def test_a_half_done_run_is_not_taken_up_for_a_catalog_that_has_changed(stored, covered, layout):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(margin_making, "assemble", None)
        with pytest.raises(RunError):
            add_margin(stored, 30.0)
    shutil.rmtree(stored)
    fewer = covered.slice(0, covered.num_rows - 1)
    write_catalog(stored, fewer, layout)
    with pytest.raises(ResumeError, match=rf"catalog: {covered.num_rows} .* -> {fewer.num_rows} "):
        add_margin(stored, 30.0)


def test_a_margin_that_is_up_to_date_is_left_alone_and_one_that_is_not_is_replaced(stored, covered, layout):
    first = add_margin(stored, 30.0)
    before = {p: p.stat().st_mtime_ns for p in first.path.rglob("*")}
    again = add_margin(first.collection, 30.0)
    assert (first.built, again.built) == (True, False)
    assert {p: p.stat().st_mtime_ns for p in first.path.rglob("*")} == before
    assert again.to_json() == {**first.to_json(), "built": False}
    shutil.rmtree(stored)
    half = covered.filter(pc.less(covered.column("id"), N // 2))
    write_catalog(stored, half, layout)
    renewed = add_margin(stored, 30.0)
    assert renewed.built
    assert renewed.path == first.path
    found = margin_ids(open_hats(renewed.path))
    assert {p: sorted(i) for p, i in found.items()} == {
        p: sorted(i) for p, i in expected_ids(half, layout, 30.0).items()
    }


def test_a_margin_that_came_with_the_catalog_is_left_alone(finished):
    report = add_margin(finished, 20.0)
    assert not report.built
    assert report.path == finished / "sim_20arcs"
    assert report.is_default
    assert report.is_in_place


def test_it_has_the_bytes_of_a_margin_that_comes_with_the_catalog(finished, tmp_path):
    """Light curves and all, with the same radius."""
    copy = tmp_path / "sim"
    shutil.copytree(finished, copy)
    shutil.rmtree(copy / "sim_20arcs")
    finish_collection(copy, "sim", "sim", [])
    report = add_margin(copy, 20.0)
    assert report.rows > 100
    assert digest(report.path / "dataset") == digest(finished / "sim_20arcs" / "dataset")
    told, made = (read_properties(p / "sim_20arcs" / "hats.properties") for p in (copy, finished))
    differing = {key for key in {*told, *made} if told.get(key) != made.get(key)}
    assert differing <= {"hats_creation_date", "lsdb_ts_margin_of", "lsdb_ts_provenance"}
    verified = json.loads(json.dumps(_verified(copy)))
    assert verified == []


def _verified(path: Path) -> list[str]:
    import partitioner

    return [fault.what for fault in partitioner.verify(path, show=False).faults]


def test_a_collection_keeps_its_default_margin_unless_told_otherwise(finished, tmp_path):
    copy = tmp_path / "sim"
    shutil.copytree(finished, copy)
    report = add_margin(copy / "sim", 7.5)
    told = read_properties(copy / "collection.properties")
    assert report.collection == copy
    assert report.path.name == "sim_7.5arcs"
    assert not report.is_default
    assert (told["all_margins"], told["default_margin"]) == ("sim_20arcs sim_7.5arcs", "sim_20arcs")
    assert open_hats(copy).margin.margin_arcsec == 20.0
    again = add_margin(copy, 7.5, default=True)
    assert (again.built, again.is_default) == (False, True)
    assert open_hats(copy).margin.margin_arcsec == 7.5


def test_a_catalog_in_no_collection_is_not_touched_and_gets_one_beside_it(stored):
    before = {p: p.stat().st_mtime_ns for p in stored.rglob("*")}
    report = add_margin(stored, 30.0)
    assert {p: p.stat().st_mtime_ns for p in stored.rglob("*")} == before
    assert report.collection == stored.parent / "stars_collection"
    assert not report.is_in_place
    opened = open_hats(report.collection)
    assert (opened.name, opened.n_rows, opened.margin.margin_arcsec) == ("stars", N - (N - opened.n_rows), 30.0)
    assert add_margin(stored, 5.0).collection == report.collection
    assert read_properties(report.collection / "collection.properties")["all_margins"] == "stars_30arcs stars_5arcs"


def test_only_row_groups_that_can_hold_rows_near_an_edge_are_read(tmp_path, monkeypatch):
    """A leaf of an even sky, in row groups of 1/64 of it: those along its sides and no others."""
    rng = np.random.default_rng(4)
    home = Pixel(3, 300)
    place = np.sort(rng.integers(home.start, home.stop, 20_000))
    from lsdb_ts.sky.pixel import centre

    ra, dec = centre(place, 29)
    even = pa.table({HEALPIX: place, "id": np.arange(place.size), "ra": ra, "dec": dec})
    monkeypatch.setattr("lsdb_ts.store.write.ROW_GROUP_ROWS", 330)
    root = write_catalog(tmp_path / "even", even, Layout.of([home]))
    edges = Edges(open_hats(root), 10.0)
    with recording() as reads:
        found = pa.concat_tables(edges.near(home))
    groups = {name: {g for r in reads if name in r.columns for g in r.row_groups} for name in ("id", HEALPIX)}
    n = pq.read_metadata(leaf_path(root, home)).num_row_groups
    assert n > 60
    assert len(groups[HEALPIX]) < 0.6 * n
    with_members = np.searchsorted(
        np.cumsum([pq.read_metadata(leaf_path(root, home)).row_group(g).num_rows for g in range(n)]),
        found.column("id").to_numpy(),
        side="right",
    )
    assert groups["id"] == set(with_members.tolist()), "other columns only where there are rows"
    assert found.num_rows < 0.05 * place.size


def test_a_catalog_with_nothing_near_an_edge_has_a_margin_without_rows(tmp_path):
    from lsdb_ts.sky.pixel import centre

    ra, dec = centre([Pixel(1, 20).children(12).__next__().number + 12 * 4**9], 12)
    place = np.array([Pixel(1, 20).start + (Pixel(1, 20).stop - Pixel(1, 20).start) // 5])
    ra, dec = centre(place, 29)
    single = pa.table({HEALPIX: place, "id": [1], "ra": ra, "dec": dec})
    report = add_margin(write_catalog(tmp_path / "one", single, Layout.of([Pixel(1, 20)])), 10.0)
    assert (report.rows, report.partitions) == (0, 0)
    opened = open_catalog(report.collection)
    assert opened.plan.source.catalog.margin.margin_arcsec == 10.0
    with recording() as reads:
        assert opened.crossmatch(opened, radius_arcsec=10.0).compute().shape[0] == 1
    assert reads
    assert not add_margin(tmp_path / "one", 10.0).built


def test_rows_that_are_nowhere_on_the_sky_are_in_no_margin(covered, layout, tmp_path):
    def stored(rows: pa.Table) -> pa.Table:
        """Spoil the position of one row of each partition; it has no index that would tell where it was."""
        dec = rows.column("dec").to_numpy().copy()
        if dec.size:
            dec[0] = np.nan
        return rows.set_column(3, "dec", pa.array(dec)).drop_columns([HEALPIX])

    root = write_foreign(tmp_path / "stars", covered, layout, stored=stored)
    found = margin_ids(open_hats(add_margin(root, 60.0).path))
    spoiled = {
        rows_of_pixel(covered, pixel).column("id")[0].as_py() for pixel in layout if rows_of_pixel(covered, pixel)
    }
    assert not spoiled & set(itertools.chain(*found.values()))
    expected = expected_ids(covered, layout, 60.0)
    assert sum(map(len, found.values())) == sum(i not in spoiled for ids in expected.values() for i in ids)


@pytest.mark.parametrize("radius_arcsec", [0.0, -1.0, float("nan"), 150_000.0])
def test_a_radius_that_is_none_says_so(stored, radius_arcsec):
    with pytest.raises(PlanError, match=r"need (a radius|at most)"):
        add_margin(stored, radius_arcsec)
    assert [p.name for p in stored.parent.iterdir()] == ["stars"]


def test_what_cannot_have_a_margin_says_so(finished, stored):
    with pytest.raises(PlanError, match="is a HATS margin: margins are made of catalogs"):
        add_margin(finished / "sim_20arcs", 5.0)
    with pytest.raises(PlanError, match="takes a folder of this machine"):
        add_margin("https://host/gaia", 5.0)
    (stored.parent / "stars_collection" / "stars_5arcs").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"stars_5arcs is not a margin of 5 arcsec, and that is where it would be"):
        add_margin(stored, 5.0)


def test_it_says_what_it_was_made_of(stored):
    report = add_margin(stored, 30.0)
    told = json.loads((report.path / "provenance.json").read_text())
    assert (told["made_by"], told["parameters"]) == ("margin", {"radius_arcsec": 30.0})
    assert told["inputs"][0]["path"] == str(stored)
    assert told["account"] == {"rows": report.rows, "partitions": report.partitions}


def test_a_wider_default_margin_of_a_repartition_leaves_its_account_sound(tmp_path):
    rng = np.random.default_rng(3)
    table = pa.table({"ra": rng.uniform(0, 360, 3000), "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, 3000)))})
    pq.write_table(table, tmp_path / "in.parquet")
    run(Survey.of_single_table(str(tmp_path / "in.parquet"), "ra", "dec", "sim", max_rows=300), tmp_path / "out")

    add_margin(tmp_path / "out", 3600.0, default=True)

    assert verify(tmp_path / "out").ok
