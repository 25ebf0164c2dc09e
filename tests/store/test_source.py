"""A source gives a pixel's rows exactly and its halo completely, however the catalog is stored."""

import functools

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import CatalogError, InputError, PlanError, PositionError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Pixel, Ranges, border
from lsdb_ts.sky.pixel import cell_of
from lsdb_ts.store import write
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.memory import MemorySource
from lsdb_ts.store.read import recording
from lsdb_ts.store.source import HatsSource, Request
from tests.oracles import near_pixel
from tests.store.catalogs import layout_for, places, stars, write_catalog, write_collection, write_foreign

MARGIN = 60.0
COLUMNS = (HEALPIX, "id", "ra", "lc.flux")


def without_place(table):
    return table.drop_columns([HEALPIX])


@pytest.fixture(scope="module")
def table():
    return stars(4_000, seed=4)


@pytest.fixture(scope="module")
def layout(table):
    return layout_for(table, 400)


@pytest.fixture(scope="module")
def sources(table, layout, tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ROW_GROUP_ROWS", 50)
        collection = write_collection(root / "both", table, layout, MARGIN)
        plain = write_catalog(root / "plain", table, layout)
    paths = {
        "ours with a margin": collection,
        "ours without": plain,
        "foreign, unsorted": write_foreign(root / "foreign", table, layout),
        "foreign, unsigned index": write_foreign(
            root / "unsigned",
            table,
            layout,
            "hats_col_healpix=_hipscat_index\nhats_col_healpix_order=29",
            stored=lambda t: without_place(t).append_column("_hipscat_index", pa.array(places(t).astype(np.uint64))),
        ),
        "foreign, coarse index": write_foreign(
            root / "coarse",
            table,
            layout,
            "hats_col_healpix=_healpix_13\nhats_col_healpix_order=13",
            stored=lambda t: without_place(t).append_column("_healpix_13", pa.array(cell_of(places(t), 13))),
        ),
        "foreign, no index": write_foreign(root / "bare", table, layout, stored=without_place),
        "foreign, folders": write_foreign(root / "folders", table, layout, as_folders=True, stored=without_place),
    }
    found = {name: HatsSource(open_hats(path)) for name, path in paths.items()}
    return {**found, "in memory": MemorySource.of_table(table, "ra", "dec", "memory", max_rows=400)}


SOURCES = (
    "ours with a margin",
    "ours without",
    "foreign, unsorted",
    "foreign, unsigned index",
    "foreign, no index",
    "foreign, coarse index",
    "foreign, folders",
    "in memory",
)


def some_pixels(layout):
    """Leaves, pieces of leaves, pixels above leaves, and one where there is nothing."""
    leaves = list(layout)[::8]
    finer = [next(iter(leaf.children(leaf.order + 1))) for leaf in leaves[:3]]
    above = [leaf.parent(max(leaf.order - 1, 0)) for leaf in leaves[-2:]]
    return [*leaves, *finer, *above, *list(layout.complement())[:1]]


@pytest.fixture(scope="module")
def near_of(table):
    """Brute force, once for all sources: ids of the rows outside a pixel and surely within a radius of it."""
    ra, dec, ids = (table.column(c).to_numpy() for c in ("ra", "dec", "id"))
    return functools.cache(lambda pixel, radius: set(ids[near_pixel(pixel, ra, dec, radius)].tolist()))


@pytest.mark.parametrize("halo_arcsec", [0.0, 5.0, MARGIN, 600.0])
@pytest.mark.parametrize("name", SOURCES)
def test_core_is_exact_and_halo_complete(sources, table, layout, near_of, name, halo_arcsec):
    source = sources[name]
    place, ids = places(table), table.column("id").to_numpy()
    flux = dict(zip(ids.tolist(), table.column("lc").combine_chunks().field("flux").to_pylist(), strict=True))
    n_halo = 0
    for pixel in some_pixels(layout):
        part = source.partition(Request(pixel, COLUMNS, {}, halo_arcsec))
        assert set(part.table.column_names) == {HEALPIX, "id", "ra", "lc"}
        assert part.table.column_names[0] == HEALPIX
        found, core = part.table.column("id").to_numpy(), part.core
        index = part.table.column(HEALPIX).to_numpy()
        assert index.dtype == np.int64
        assert (index[1:] >= index[:-1]).all()
        assert len(set(found.tolist())) == len(part), "no row twice"
        inside = (place >= pixel.start) & (place < pixel.stop)
        assert sorted(found[core].tolist()) == sorted(ids[inside].tolist())
        halo = set(found[~core].tolist())
        if halo_arcsec == 0:
            assert not halo
        else:
            assert near_of(pixel, halo_arcsec) <= halo
            assert halo <= set(ids[border(pixel, halo_arcsec).contains(place)].tolist())
        n_halo += len(halo)
        curves = part.table.column("lc").combine_chunks()
        assert [f.name for f in curves.type] == ["flux"]
        assert curves.field("flux").to_pylist() == [flux[i] for i in found.tolist()]
    assert (n_halo > 20) == (halo_arcsec > 0)


def test_a_margin_wide_enough_is_read_instead_of_the_neighbours(sources, layout):
    source = sources["ours with a margin"]
    leaf = max(layout)
    for halo_arcsec, stored in ((MARGIN, True), (MARGIN + 0.1, False)):
        assert source.serves_halo(halo_arcsec) == stored
        with recording() as reads:
            source.partition(Request(leaf, COLUMNS, {}, halo_arcsec))
        roots = {r.path.relative_to(source.catalog.path.parent).parts[0] for r in reads}
        assert roots == ({"stars", "margin"} if stored else {"stars"})


@pytest.mark.parametrize("kind", ["ours without", "ours with a margin"])
def test_what_lies_beyond_a_leaf_is_not_opened_for_sky_inside_it(kind, sources, layout):
    leaf = max(layout)
    inside = next(iter(leaf.children(leaf.order + 1)))
    for sky, one in ((inside, True), (leaf, True), (leaf.parent(leaf.order - 1), False)):
        with recording() as reads:
            wanted = Ranges.of([sky.start], [sky.stop])
            sources[kind].partition(Request(leaf, COLUMNS, {}, MARGIN, wanted))
        assert (len({r.path for r in reads}) == 1) == one


def test_only_the_row_groups_of_the_pixel_and_its_halo_are_read(sources, layout):
    source = sources["ours without"]
    leaf = min(layout)
    small = next(iter(leaf.children(leaf.order + 2)))
    with recording() as reads:
        source.partition(Request(small, ("id",), {}, 0.0))
        cost = source.estimate(Request(small, ("id",)))
    assert {r.columns for r in reads} == {(HEALPIX, "id")}
    n_groups = sum(len(r.row_groups) for r in reads)
    assert n_groups <= 4
    assert cost.rows <= 50 * n_groups
    assert cost.kept <= cost.rows
    assert cost.disk == sum(r.bytes for r in reads)
    assert cost.memory == 16 * cost.rows


def test_the_place_is_left_out_unless_it_is_wanted(sources, layout):
    for source in sources.values():
        assert source.partition(Request(layout[0], ("id",), {}, 5.0)).table.column_names == ["id"]
        assert HEALPIX not in source.schema.names


def test_bounds_let_rows_be_skipped_and_keep_those_that_matter(sources, table, layout):
    ids = table.column("id").to_numpy()
    wanted = set(range(1000, 1200))
    for source in sources.values():
        found = [
            source.partition(Request(p, ("id",), {"id": (1000, 1199)}, 0.0)).table.column("id").to_numpy()
            for p in layout
        ]
        assert wanted & set(ids.tolist()) <= set(np.concatenate(found).tolist())


def test_a_stored_index_column_is_not_a_column_of_the_catalog(sources, table):
    names = [n for n in table.column_names if n != HEALPIX]
    for name, source in sources.items():
        assert source.schema.names == names, name


def test_identities_change_with_the_content_and_only_then(sources, table, layout, tmp_path):
    first = sources["in memory"]
    same, other = (MemorySource.of_table(t, "ra", "dec", "memory") for t in (table, table.slice(1)))
    assert first.identity() == same.identity() != other.identity()
    before = sources["ours without"].identity()
    assert before == HatsSource(open_hats(sources["ours without"].catalog.path)).identity()
    write_catalog(tmp_path / "plain", table, layout)
    written = HatsSource(open_hats(tmp_path / "plain")).identity()
    write_catalog(tmp_path / "plain", table, layout_for(table, 300))
    assert written != HatsSource(open_hats(tmp_path / "plain")).identity() != before


def test_a_missing_leaf_names_its_file(table, layout, tmp_path):
    catalog = open_hats(write_catalog(tmp_path / "holed", table, layout))
    catalog.leaf_path(layout[0]).unlink()
    with pytest.raises(CatalogError, match=f"Npix={layout[0].number}.parquet"):
        HatsSource(catalog).partition(Request(layout[0], ("id",), {}, 0.0))


def test_a_catalog_that_does_not_name_its_positions_says_so(table, layout, tmp_path):
    root = write_foreign(tmp_path / "foreign", table, layout)
    (root / "hats.properties").write_text("dataproduct_type=object\nobs_collection=x\n")
    with pytest.raises(InputError, match="hats_col_ra"):
        HatsSource(open_hats(root)).positions


@pytest.mark.parametrize(
    ("ra", "dec", "error", "message"),
    [
        ([1.0, np.nan], [0.0, 0.0], PositionError, "row 1 has ra=nan"),
        ([1.0, None], [0.0, 0.0], PositionError, "row 1 has ra=nan"),
        ([1.0, 2.0, 3.0], [0.0, 91.0, -92.0], PositionError, r"row 1 has ra=2.0, dec=91.0.*2 such rows"),
        ([np.inf], [0.0], PositionError, "row 0 has ra=inf"),
        (np.array([1.0], np.float32), [0.0], InputError, '"ra" is float, which rounds positions'),
    ],
)
def test_positions_that_would_make_science_wrong_are_refused(ra, dec, error, message):
    with pytest.raises(error, match=message) as caught:
        MemorySource.of_table(pa.table({"ra": ra, "dec": dec}), "ra", "dec", "mine")
    assert str(caught.value).startswith("mine")


def test_a_coordinate_that_is_not_there_is_named_with_its_neighbours():
    with pytest.raises(PlanError, match=r'no column "dec".*did you mean "decl"'):
        MemorySource.of_table(pa.table({"ra": [1.0], "decl": [2.0]}), "ra", "dec", "mine")


def test_a_table_without_rows_is_a_source_without_pixels():
    source = MemorySource.of_table(stars(0, seed=1), "ra", "dec", "none")
    assert len(source.layout) == 0
    assert len(source.partition(Request(Pixel(0, 3), ("id",), {}, 10.0))) == 0


def test_the_place_alone_can_be_read(tmp_path):
    from tests.skycases import objects_table, on_disk

    catalog = on_disk(tmp_path, objects_table(500), "objects", 100)
    assert len(catalog.partitions[:2]) == sum(len(catalog.partitions[i].compute()) for i in range(2))
