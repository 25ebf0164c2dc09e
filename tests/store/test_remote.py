"""Catalogs behind URLs give the rows that local ones give, ask for little, and never take a cut answer for the data."""

import base64
import json
import pickle

import numpy as np
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.store import footers, read, remote, write
from lsdb_ts.store.files import located
from lsdb_ts.store.footers import footer
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.kept import Kept
from lsdb_ts.store.read import recording
from lsdb_ts.store.remote import RemotePath
from lsdb_ts.store.skymap import read_skymap
from lsdb_ts.store.source import HatsSource, Request
from tests.store.catalogs import layout_for, rows_of_pixel, stars, write_catalog, write_collection, write_foreign
from tests.store.servers import http_server, s3_server

COLUMNS = (HEALPIX, "id", "lc.flux")


@pytest.fixture(scope="module")
def table():
    return stars(4_000, seed=31)


@pytest.fixture(scope="module")
def layout(table):
    return layout_for(table, 700)


@pytest.fixture(scope="module")
def root(table, layout, tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ROW_GROUP_ROWS", 100)
        write_collection(root / "both", table, layout, 30.0)
        write_foreign(root / "folders", table, layout, as_folders=True)
    return root


@pytest.fixture
def server(root, monkeypatch):
    """Serve the folder, with nothing remembered of earlier tests."""
    monkeypatch.setattr(footers, "FOOTERS", Kept(1 << 24, lambda known: 1))
    monkeypatch.setattr(footers, "_LEARNT", Kept(1 << 24, lambda known: 1))
    monkeypatch.setattr(read, "DECODED", Kept(1 << 24, lambda known: 1))
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.001)
    with http_server(root) as served:
        yield served


def rows(catalog, columns=("id", "mag", "lc")):
    found = catalog[list(columns)].to_arrow(progress=False)
    return sorted(found.drop_columns([HEALPIX]).to_pylist(), key=lambda row: row["id"])


def test_a_remote_catalog_has_the_rows_of_the_local_one(root, server):
    here, there = (lt.open_catalog(place) for place in (str(root / "both"), f"{server.url}/both"))
    assert there.schema.equals(here.schema, check_metadata=True)
    assert list(there.layout) == list(here.layout)
    assert rows(there) == rows(here)
    assert len(there) == len(here)
    assert there.plan.limits("id") == here.plan.limits("id")


def test_opening_asks_for_a_handful_of_small_files(server):
    lt.open_catalog(f"{server.url}/both")
    assert not server.files(".parquet")
    assert len(server.asked) <= 3 * len(("collection", "primary", "margin")) * 2
    assert server.bytes < 20_000


def test_a_crossmatch_of_here_with_there_is_that_of_both_here(root, server, table):
    rng = np.random.default_rng(2)
    some = table.take(pa.array(np.sort(rng.choice(table.num_rows, 300, replace=False))))
    mine = lt.from_dataframe(some.select(["id", "ra", "dec"]), name="mine")
    found = [
        mine.crossmatch(lt.open_catalog(place), 20.0, n_neighbors=3)[["id_mine", "id_stars", "_dist_arcsec"]].to_arrow(
            progress=False
        )
        for place in (str(root / "both"), f"{server.url}/both")
    ]
    assert found[0].num_rows > 300
    assert found[0].equals(found[1])


@pytest.mark.parametrize("halo_arcsec", [0.0, 20.0, 200.0])
def test_little_more_is_fetched_than_the_chunks_needed(root, server, layout, halo_arcsec):
    here, there = (HatsSource(open_hats(place)) for place in (root / "both", f"{server.url}/both"))
    for leaf in list(layout)[:4]:
        for path in there.catalog.leaf_files(leaf):
            footer(path)
    there.partition(Request(layout[0], ("id",)))
    server.asked.clear()
    with recording() as reads:
        found = [there.partition(Request(leaf, COLUMNS, {}, halo_arcsec)) for leaf in list(layout)[:4]]
    data = [one for one in server.files() if one[1] != "bytes=-65536"]
    assert 0 < sum(r.bytes for r in reads) <= sum(size for _, _, size in data) <= 1.3 * sum(r.bytes for r in reads)
    for leaf, part in zip(layout, found, strict=False):
        expected = here.partition(Request(leaf, COLUMNS, {}, halo_arcsec))
        assert part.table.equals(expected.table)
        assert (part.core == expected.core).all()


def test_all_footers_of_a_small_catalog_come_with_one_request(server):
    source = HatsSource(open_hats(f"{server.url}/both/stars"))
    server.asked.clear()
    assert source.limits("id") is not None
    assert [path for path, _, _ in server.asked] == ["/both/stars/dataset/_metadata"]


def test_footers_are_read_one_by_one_where_metadata_are_missing_or_of_another_state(table, layout, server, tmp_path):
    for spoil in (
        lambda path: path.unlink(),
        lambda path: path.write_bytes((tmp_path / "b" / "dataset" / "_metadata").read_bytes()),
    ):
        write_catalog(tmp_path / "b", table.slice(0, 500), layout_for(table.slice(0, 500), 700))
        spoil(write_catalog(tmp_path / "a", table, layout) / "dataset" / "_metadata")
        with http_server(tmp_path) as other:
            source = HatsSource(open_hats(f"{other.url}/a"))
            assert source.limits("id") == (0, table.num_rows - 1)
            assert len(other.files()) == len(layout)
            assert {wanted for _, wanted, _ in other.files()} == {"bytes=-65536"}


def test_footers_are_fetched_once(server, layout):
    source = HatsSource(open_hats(f"{server.url}/both/stars"))
    for _ in range(3):
        source.partition(Request(layout[0], ("id",)))
    paths = [path for path, wanted, _ in server.asked if wanted == "bytes=-65536"]
    assert paths == ["/both/stars/dataset/_metadata"]


def test_the_files_of_a_halo_are_asked_for_at_once(root, server, layout):
    source = HatsSource(open_hats(f"{server.url}/both/stars"))
    request = Request(layout[0], ("id",), {}, 3000.0)
    with recording() as reads:
        expected = HatsSource(open_hats(root / "both" / "stars")).partition(request)
    source.limits("id")
    server.until = sum(1 for read in reads if read.row_groups)
    assert server.until > 1
    assert source.partition(request).table.equals(expected.table)
    assert server.enough.is_set()


def test_a_long_footer_takes_a_second_request(tmp_path, server):
    wide = pa.table({f"a_rather_long_name_of_a_column_{i}": [1.0] for i in range(1500)})
    pa.parquet.write_table(wide, tmp_path / "wide.parquet")
    with http_server(tmp_path) as other:
        found = footer(located(f"{other.url}/wide.parquet"))
        assert found.schema.names == wide.column_names
        assert len(other.asked) == 2


def test_a_busy_server_is_asked_again(root, server):
    catalog = lt.open_catalog(f"{server.url}/both")
    server.busy = 2
    assert rows(catalog) == rows(lt.open_catalog(root / "both"))
    server.busy = 1
    assert lt.open_catalog(f"{server.url}/both").columns == catalog.columns


def test_a_server_that_stays_busy_is_an_error_that_names_the_file(server, layout):
    source = HatsSource(open_hats(f"{server.url}/both/stars"))
    server.busy = 1000
    with pytest.raises(CatalogError, match=rf"cannot read {server.url}/both/stars/.*Npix=\d+.parquet.*503"):
        source.partition(Request(layout[0], ("id",)))


@pytest.mark.parametrize("fault", [{"cut": 0.7}, {"short": 3}])
def test_an_answer_cut_short_is_an_error_and_not_data(server, layout, fault):
    source = HatsSource(open_hats(f"{server.url}/both/stars"))
    source.limits("id")
    vars(server).update(fault)
    with pytest.raises(CatalogError, match=rf"cannot read {server.url}/both/stars/dataset/Norder"):
        source.partition(Request(layout[0], ("id",)))


def test_a_server_without_ranges_is_told_from_one_with(server, layout):
    source = HatsSource(open_hats(f"{server.url}/both/stars"))
    source.limits("id")
    server.ranges = False
    with pytest.raises(CatalogError, match=r"does not send parts of files \(HTTP ranges\)"):
        source.partition(Request(layout[0], ("id",)))


def test_what_is_no_catalog_is_an_error_that_names_the_url(server):
    with pytest.raises(CatalogError, match=f"{server.url}/nothing has neither hats.properties"):
        open_hats(f"{server.url}/nothing")
    with pytest.raises(CatalogError, match=r"nowhere://x.*no file system for nowhere://"):
        open_hats("nowhere://x")
    with pytest.raises(CatalogError, match=r"cannot read http://127.0.0.1:9/cat"):
        open_hats("http://127.0.0.1:9/cat")


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    def missing(*_):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(remote, "_file_system", missing)
    with pytest.raises(CatalogError, match=r's3://b/cat.*: reading over s3 .*pip install "lsdb_ts\[s3\]"'):
        open_hats("s3://b/cat")


def test_a_host_that_cannot_be_reached_is_named_where_file_systems_connect_at_once():
    with pytest.raises(CatalogError, match=r"cannot read ftp://127\.0\.0\.1:9/cat"):
        open_hats("ftp://me:hush@127.0.0.1:9/cat")


def test_leaves_that_are_folders_need_a_listing(server):
    with pytest.raises(CatalogError, match=r"cannot be listed|no partition_info.csv"):
        lt.open_catalog(f"{server.url}/folders").to_arrow(progress=False)


def test_a_catalog_written_anew_is_read_anew_once_it_is_opened_again(table, layout, server, tmp_path):
    with http_server(tmp_path) as other:
        for rows_then in (table, table.slice(0, 1000)):
            write_catalog(tmp_path / "cat", rows_then, layout_for(rows_then, 700))
            found = lt.open_catalog(f"{other.url}/cat")[["id"]].to_arrow(progress=False)
            assert sorted(found.column("id").to_pylist()) == sorted(rows_then.column("id").to_pylist())


def test_the_identity_tells_the_state_of_the_files_and_no_secret(root, server):
    url = server.url.replace("http://", "http://me:hush@") + "/both/stars?token=hush"
    source = HatsSource(open_hats(url, {"headers": {"X-Key": "hush"}}))
    again = HatsSource(open_hats(f"{server.url}/both/stars"))
    assert source.identity() == again.identity()
    size, etag, changed = source.identity()["stamp"]
    state = (root / "both" / "stars" / "partition_info.csv").stat()
    assert (size, etag, changed) == (state.st_size, f'"{state.st_mtime_ns}-{state.st_size}"', str(state.st_mtime_ns))
    told = json.dumps(source.identity()) + repr(source) + str(source.catalog.path) + repr(source.catalog.path)
    assert "hush" not in told
    with pytest.raises(CatalogError) as caught:
        footer(source.catalog.path / "dataset/none.parquet")
    assert "hush" not in str(caught.value)


def test_credentials_of_the_url_and_its_query_reach_the_server_for_every_file(server, layout, table):
    server.password = "Basic bWU6aHVzaA=="
    url = server.url.replace("http://", "http://me:hush@") + "/both/stars?token=t"
    source = pickle.loads(pickle.dumps(HatsSource(open_hats(url))))
    found = source.partition(Request(layout[0], ("id",))).table
    assert found.column("id").to_pylist() == rows_of_pixel(table, layout[0]).column("id").to_pylist()
    assert server.asked
    assert all(path.endswith("?token=t") for path, _, _ in server.asked)


@pytest.mark.parametrize(("who", "login"), [("me:h%40sh", "me:h@sh"), ("token", "token:")])
def test_a_name_alone_and_quoted_letters_log_in_too(server, who, login):
    server.password = f"Basic {base64.b64encode(login.encode()).decode()}"
    found = open_hats(server.url.replace("http://", f"http://{who}@") + "/both/stars")
    assert found.name == "stars"
    assert who not in str(found.path)


def test_a_container_in_a_url_is_no_login():
    path = located("abfs://survey@account.dfs.core.windows.net/gaia")
    assert str(path / "x") == "abfs://survey@account.dfs.core.windows.net/gaia/x"
    assert path.options == {}


def test_skymaps_are_read_from_afar(root, server):
    here, there = (read_skymap(open_hats(place).path) for place in (root / "both", f"{server.url}/both"))
    assert here[0] == there[0]
    assert all((a == b).all() for a, b in zip(here[1:], there[1:], strict=True))


def test_ranges_are_joined_over_small_gaps_only_and_cut_apart_again(root, server):
    path = located(f"{server.url}/both/stars/partition_info.csv")
    content = (root / "both" / "stars" / "partition_info.csv").read_bytes()
    wanted = [(40, 60), (0, 20), (21, 30), (0, 5)]
    assert path.ranges(wanted) == [content[a:b] for a, b in wanted]
    assert sorted(asked for _, asked, _ in server.asked) == ["bytes=0-29", "bytes=40-59"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_bucket_is_read_like_a_folder(root):
    with s3_server(root, "survey") as options:
        there = lt.open_catalog("s3://survey/both", storage_options=options)
        assert rows(there) == rows(lt.open_catalog(root / "both"))
        folders = lt.open_catalog("s3://survey/folders", storage_options=options)
        assert rows(folders) == rows(lt.open_catalog(root / "folders"))
        stamp = there.plan.source.identity()["stamp"]
        assert len(stamp) == 3
        assert "a-secret" not in repr(there.plan) + json.dumps(there.plan.source.identity())
        assert isinstance(there.plan.source.catalog.path, RemotePath)
        with pytest.raises(CatalogError, match="s3://survey/none has neither"):
            lt.open_catalog("s3://survey/none", storage_options=options)
