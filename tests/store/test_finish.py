"""What is finished has all that HATS knows of: statistics, thumbnail, maps, units for others; as hats makes it."""

import io
import itertools

import hats
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse, ucd
from hats.catalog import TableProperties
from hats.io.parquet_metadata import per_partition_statistics_from_cache, write_parquet_metadata
from hats.io.skymap import read_skymap as hats_skymap
from hats.io.validation import is_valid_catalog

from lsdb_ts.catalog import open_catalog
from lsdb_ts.schema import HEALPIX, Roles, with_role, with_unit
from lsdb_ts.sky import Layout
from lsdb_ts.sky.pixel import Pixel, cell_of
from lsdb_ts.store import finish, skymap, statistics, thumbnail, voparquet
from lsdb_ts.store.finish import _times, finish_collection
from lsdb_ts.store.hats import open_hats, read_properties
from lsdb_ts.store.seal import broken_seal, text_is_sound
from lsdb_ts.store.skymap import Skymap
from lsdb_ts.store.write import leaf_path, write_leaf
from tests.store.catalogs import layout_for, places, rows_of_pixel, stars, write_catalog

MAX_ROWS = 120


def described(table: pa.Table) -> pa.Table:
    """Say units, UCDs and roles of the columns, and of the parts of the nested one."""
    told = {
        "id": with_role(table.schema.field("id"), "id"),
        "ra": with_role(with_unit(table.schema.field("ra"), "deg"), "ra"),
        "dec": with_role(with_unit(table.schema.field("dec"), "deg"), "dec"),
        "mag": table.schema.field("mag").with_metadata({"unit": "mag", "ucd": "phot.mag;em.opt.V", "description": "V"}),
    }
    parts = [with_role(with_unit(f, "d"), "time") if f.name == "t" else f for f in table.schema.field("lc").type]
    told["lc"] = table.schema.field("lc").with_type(pa.struct(parts))
    return table.cast(pa.schema([told.get(f.name, f) for f in table.schema]))


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return described(stars(1500, seed=5))


@pytest.fixture(scope="module")
def layout(table) -> Layout:
    return layout_for(table, MAX_ROWS)


@pytest.fixture(scope="module")
def root(table, layout, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lsdb_ts.store.write.ROW_GROUP_ROWS", 50)
        return write_catalog(tmp_path_factory.mktemp("finished") / "stars", table, layout)


@pytest.fixture(scope="module")
def theirs(root, tmp_path_factory):
    """What hats writes about the same files."""
    made = tmp_path_factory.mktemp("theirs")
    write_parquet_metadata(root, output_path=made, create_thumbnail=True, create_per_partition_stats=True)
    return made


def by_group(stored: pa.Table) -> pa.Table:
    return stored.sort_by([(name, "ascending") for name in ("Norder", "Npix", "row_group_index")])


def test_statistics_are_those_that_hats_takes_of_the_same_files(root, theirs):
    ours, made = (by_group(pq.read_table(folder / statistics.STATISTICS)) for folder in (root, theirs))
    assert ours.num_rows > 20
    assert ours.column_names == made.column_names
    assert ours.schema.types == made.schema.types
    assert ours.equals(made)


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_hats_reads_our_statistics(root, layout, table):
    frame = per_partition_statistics_from_cache(root / statistics.STATISTICS, include_columns=["mag"])
    assert len(frame) == len(layout)
    assert frame["mag: max_value"].max() == pytest.approx(np.nanmax(table.column("mag").to_numpy()))
    assert frame["mag: null_count"].sum() == table.column("mag").null_count


def test_ids_larger_than_signed_numbers_have_statistics(tmp_path):
    table = stars(50, seed=6)
    ids = pa.array(np.arange(50, dtype=np.uint64) + np.uint64(1 << 63))
    table = table.set_column(1, "id", ids)
    write_catalog(tmp_path / "stars", table, Layout.of([Pixel(0, n) for n in range(12)]))
    told = pq.read_table(tmp_path / "stars" / statistics.STATISTICS)
    assert max(told.column("id::max_value").to_pylist()) == (1 << 63) + 49


def test_of_too_many_row_groups_there_are_no_statistics_and_of_too_long_footers_no_metadata(
    table, layout, tmp_path, monkeypatch
):
    monkeypatch.setattr(statistics, "_MOST_CHUNKS", 20)
    monkeypatch.setattr(finish, "_METADATA_BYTES_LIMIT", 10_000)
    root = write_catalog(tmp_path / "stars", table, layout)
    assert not (root / statistics.STATISTICS).exists()
    assert not (root / "dataset" / "_metadata").exists()
    assert len(open_hats(root).layout) == len(layout)
    assert is_valid_catalog(root, strict=True)


def test_the_thumbnail_is_the_first_row_of_each_partition(root, layout, table, theirs):
    found = pq.read_table(root / thumbnail.THUMBNAIL)
    assert found.schema.equals(open_hats(root).schema, check_metadata=True)
    assert found.equals(pa.concat_tables([rows_of_pixel(table, pixel).slice(0, 1) for pixel in layout]))
    made = pq.read_table(theirs / thumbnail.THUMBNAIL)
    assert found.sort_by("id").equals(made.sort_by("id"))


def test_a_thumbnail_has_no_more_rows_than_its_limit_or_the_largest_partition(table, tmp_path, monkeypatch):
    fine = layout_for(table, 25)
    root = write_catalog(tmp_path / "fine", table, fine)
    largest = max(rows_of_pixel(table, pixel).num_rows for pixel in fine)
    assert largest < len(fine)
    assert pq.read_metadata(root / thumbnail.THUMBNAIL).num_rows == largest
    monkeypatch.setattr(thumbnail, "_MOST_ROWS", 4)
    found = pq.read_table(write_catalog(tmp_path / "few", table, fine) / thumbnail.THUMBNAIL)
    spread = np.diff(fine.leaf_of(places(found)))
    assert found.num_rows == 4
    assert spread.min() > 0.9 * spread.max(), "spread evenly over the partitions"


def test_properties_tell_all_that_is_known(root, table, layout):
    told = TableProperties.read_from_dir(root)
    leaves = [leaf_path(root, pixel) for pixel in layout]
    assert told.total_rows == table.num_rows
    assert told.hats_max_rows == max(rows_of_pixel(table, pixel).num_rows for pixel in layout)
    assert told.hats_max_bytes == max(path.stat().st_size for path in leaves)
    assert told.hats_estsize == sum(path.stat().st_size for path in leaves) >> 10
    cells = np.unique(cell_of(places(table), told.skymap_order)).size
    assert told.moc_sky_fraction == pytest.approx(cells / (12 << (2 * told.skymap_order)))
    plain = read_properties(root / "hats.properties")
    times = table.column("lc").combine_chunks().field("t").flatten().to_numpy()
    assert (float(plain["t_min"]), float(plain["t_max"])) == (times.min(), times.max())
    assert (plain["hats_frame"], plain["hats_cols_survey_id"]) == ("equatorial", "id")
    assert plain["hats_order"] == str(layout.orders.max())


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ((60_000.0, 60_010.5), {"t_min": 60_000.0, "t_max": 60_010.5}),
        ((2_460_000.5, 2_460_010.5), {"t_min": 60_000.0, "t_max": 60_010.0}),
        ((0.0, 60_000.0), {}),
        ((5_512.0, 6_000.0), {}),
        (("a", "b"), {}),
        (None, {}),
    ],
)
def test_times_are_told_in_mjd_where_they_are_known(limits, told):
    assert _times(limits) == told


def test_one_epoch_of_all_positions_is_told_and_several_are_not(table, tmp_path):
    for name, epochs in (("one", [2016.0] * table.num_rows), ("two", [2015.5, 2016.0] * (table.num_rows // 2))):
        with_epoch = table.append_column(with_role(pa.field("ref_epoch", pa.float64()), "ref_epoch"), [epochs])
        write_catalog(tmp_path / name, with_epoch, layout_for(table, 900))
    told = [read_properties(tmp_path / name / "properties").get("hats_coordinate_epoch") for name in ("one", "two")]
    assert told == ["J2016.0", None]


def test_every_file_holds_checksums_of_its_bytes(root):
    files = [p for p in root.rglob("*") if p.is_file() and "Norder" not in str(p)]
    tables = [p for p in files if p.suffix == ".parquet" or p.name in {"_metadata", "_common_metadata"}]
    assert len(tables) == 4
    assert [broken_seal(p) for p in tables] == [None] * 4
    assert [text_is_sound((root / name).read_bytes()) for name in ("properties", "hats.properties")] == [True, True]


def test_the_same_rows_give_the_same_files(root, table, layout, tmp_path, monkeypatch):
    monkeypatch.setattr("lsdb_ts.store.write.ROW_GROUP_ROWS", 50)
    again = write_catalog(tmp_path / "stars", table, layout)
    names = sorted(p.relative_to(root) for p in root.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    dated = {"properties", "hats.properties"}
    assert [n for n in names if n.name not in dated and (root / n).read_bytes() != (again / n).read_bytes()] == []


def test_maps_of_mixed_orders_add_up(table):
    leaves = [(Pixel(1, 3), 7, ((49152 // 12 + 3, 5),)), (Pixel(4, 9), 10, ((9 << 12, 2), ((9 << 12) + 1, 3)))]
    found = Skymap.of([_leaf(*told) for told in leaves])
    assert found.order == 7
    assert dict(zip(found.cells.tolist(), found.rows.tolist(), strict=True)) == {4099: 5, (9 << 12) >> 6: 5}
    coarse = found.at(1)
    assert coarse.rows.sum() == 10


def _leaf(pixel, order, counts):
    from lsdb_ts.store.write import Leaf

    return Leaf(pixel, sum(n for _, n in counts), 1, order, counts)


def test_beside_a_long_map_lie_coarser_ones_that_hats_reads(table, layout, tmp_path, monkeypatch):
    monkeypatch.setattr(skymap, "_LONG", 100)
    root = write_catalog(tmp_path / "stars", table, layout)
    theirs = hats.read_hats(root)
    orders = theirs.catalog_info.skymap_alt_orders
    assert orders == [k for k in (4, 6, 8) if k < theirs.catalog_info.skymap_order]
    assert orders
    for order in orders:
        cells, rows = np.unique(cell_of(places(table), order), return_counts=True)
        found = hats_skymap(theirs, order)
        assert np.array_equal(np.flatnonzero(found), cells)
        assert np.array_equal(found[cells], rows)
        assert (root / f"skymap.{order}.fits").exists()


def votable_of(root):
    told = pq.read_schema(root / "dataset" / "_common_metadata").metadata
    assert told[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    return parse(io.BytesIO(told[b"IVOA.VOTable-Parquet.content"]), verify="exception").get_first_table()


def test_units_and_ucds_are_found_by_those_who_know_votables_only(root, table):
    found = {f.name: f for f in votable_of(root).fields}
    assert list(found) == [f.name for f in table.schema if f.name != "lc"] + ["lc.t", "lc.flux"]
    assert (str(found["ra"].unit), found["ra"].ucd) == ("deg", "pos.eq.ra;meta.main")
    assert (found["mag"].datatype, str(found["mag"].unit), found["mag"].ucd) == ("float", "mag", "phot.mag;em.opt.V")
    assert (found["mag"].description, found["id"].ucd) == ("V", "meta.id;meta.main")
    assert (found["lc.t"].datatype, str(found["lc.t"].unit), found["lc.t"].ucd) == ("double", "d", "time.epoch")
    (group,) = votable_of(root).groups
    told = [entry.get_ref().name for entry in group.entries if hasattr(entry, "get_ref")]
    assert (group.name, told) == ("lc", ["lc.t", "lc.flux"])


def test_columns_of_any_type_and_name_have_a_field(tmp_path):
    kinds = [pa.bool_(), pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64()]
    kinds += [pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.string(), pa.large_string(), pa.binary()]
    kinds += [pa.timestamp("us"), pa.date32(), pa.decimal128(9, 2), pa.dictionary(pa.int8(), pa.string())]
    kinds += [pa.list_(pa.float32()), pa.struct([("a b", pa.int32()), ("c", pa.string())]), pa.map_("string", "int64")]
    names = ["1st", "a b", "a_b", "a<b", "µ", "a&b", *(f"c{i}" for i in range(len(kinds) - 6))]
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    pq.write_metadata(voparquet.voparquet(schema), tmp_path / "told")
    content = pq.read_schema(tmp_path / "told").metadata[b"IVOA.VOTable-Parquet.content"]
    fields = parse(io.BytesIO(content), verify="exception").get_first_table().fields
    assert len({f.ID for f in fields}) == len(fields) == len(kinds) + 1
    assert [f.name for f in fields][:6] == names[:6]


def test_every_ucd_is_one_of_the_vocabulary():
    for role, words in voparquet._UCDS.items():
        assert role in Roles.names()
        ucd.parse_ucd(words, check_controlled_vocabulary=True, has_colon=False)


def test_words_for_the_observatory_do_not_travel_to_a_catalog_of_other_columns(root, tmp_path):
    assert not open_hats(root).schema.metadata
    catalog = open_catalog(root)[["id", "ra", "dec"]].write(tmp_path / "few")
    assert [f.name for f in votable_of(tmp_path / "few").fields] == [HEALPIX, "id", "ra", "dec"]
    leaf = next((tmp_path / "few" / "dataset").rglob("Npix=*.parquet"))
    assert not set(voparquet.KEYS) & set(pq.read_schema(leaf).metadata or {})
    assert not catalog.schema.metadata


def test_a_catalog_without_rows_is_valid_to_hats(table, tmp_path):
    root = write_catalog(tmp_path / "empty", table.slice(0, 0), Layout.of([]))
    assert is_valid_catalog(root, strict=True)
    assert hats.read_hats(root).catalog_info.total_rows == 0
    assert not (root / thumbnail.THUMBNAIL).exists()


def test_a_collection_may_say_more_of_itself(root, tmp_path):
    finish_collection(tmp_path, "both", "stars", ["a", "b"], {"obs_title": "Stars", "hats_creation_date": "then"})
    told = read_properties(tmp_path / "collection.properties")
    assert (told["all_margins"], told["default_margin"]) == ("a b", "a")
    assert (told["obs_title"], told["hats_creation_date"]) == ("Stars", "then")


def skewed_curves(n: int, longest: int) -> pa.Table:
    """Return rows of one pixel, sorted by place, a few of which have nearly all epochs."""
    rng = np.random.default_rng(8)
    lengths = np.where(rng.random(n) < 0.02, longest, 1)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    times = pa.ListArray.from_arrays(offsets, pa.array(rng.random(int(lengths.sum()))))
    place = np.sort(rng.integers(Pixel(2, 7).start, Pixel(2, 7).stop, n))
    return pa.table({HEALPIX: place, "lc": pa.StructArray.from_arrays([times], names=["t"])})


def test_row_groups_of_light_curves_are_bounded_in_bytes_and_aligned_to_sub_pixels(tmp_path, monkeypatch):
    table, limit = skewed_curves(2000, longest=200), 16_000
    monkeypatch.setattr("lsdb_ts.store.write.ROW_GROUP_BYTES", limit)
    write_leaf(table, tmp_path, Pixel(2, 7))
    found = pq.ParquetFile(leaf_path(tmp_path, Pixel(2, 7)))
    sizes = [found.read_row_group(g).nbytes for g in range(found.num_row_groups)]
    rows = [found.metadata.row_group(g).num_rows for g in range(found.num_row_groups)]
    assert len(sizes) > table.nbytes / limit
    assert np.mean(sizes) < limit
    place = places(table)
    edges = np.cumsum(rows)
    for first, stop in itertools.pairwise([0, *edges.tolist()]):
        assert _is_whole(place, first, stop), "cells of some order are not torn apart"


def _is_whole(place: np.ndarray, first: int, stop: int) -> bool:
    """Tell whether a cut between rows lies on the edge of cells that are larger than a row."""
    if stop == place.size:
        return True
    return any(place[stop] >> (2 * (29 - k)) != place[stop - 1] >> (2 * (29 - k)) for k in range(3, 29))
