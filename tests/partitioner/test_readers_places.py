"""Where raw files are: behind URLs, in catalogs old and new; and how often they are opened, and how much is held."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import InputError
from lsdb_ts.schema import HEALPIX, Roles, unit_of, with_role
from lsdb_ts.store import remote
from partitioner import Survey, plan, run
from partitioner.inputs.readers import lines, parquet
from partitioner.inputs.tables import TableInput, open_table, read_unit
from partitioner.surveys.survey import Table
from tests.partitioner.formats import CASES, ROWS, write_hats, write_hipscat
from tests.partitioner.test_readers import expected, read_all, same
from tests.store.servers import http_server, s3_server

SKY = Roles(ra="ra", dec="dec")


def of(*files: object, roles: Roles = SKY, **more) -> TableInput:
    return open_table(Table("stars", tuple(str(f) for f in files), roles, **more))


def types_of(written) -> dict[str, str]:
    return {"small": "int16", "mag": "float32", "seen": "timestamp[us]"} if written.guessed else {}


@pytest.fixture(scope="module")
def formats(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("served")
    for kind, written in CASES:
        path = root / kind / written.name
        path.parent.mkdir(exist_ok=True)
        written.write(ROWS.drop_columns(list(written.lacks)), path)
    return root


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.001)


@pytest.mark.parametrize(("kind", "written"), list(dict(CASES).items()), ids=lambda c: getattr(c, "name", c))
def test_files_behind_a_url_give_the_rows_of_local_ones(formats, quick, kind, written):
    with http_server(formats) as served:
        found = of(f"{served.url}/{kind}/{written.name}", types=types_of(written))

        same(read_all(found), expected(written))


def test_of_a_parquet_file_behind_a_url_only_what_is_asked_for_is_sent(tmp_path, quick):
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=20_000) for name in ("ra", "dec", *"abcdefgh")}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=5000)
    with http_server(tmp_path) as served:
        found = of(f"{served.url}/a.parquet")
        opening = served.bytes
        read_all(found, ["ra"])

    size = (tmp_path / "a.parquet").stat().st_size
    assert opening <= 64 << 10
    assert served.bytes - opening < size / 10 + (80 << 10)


def test_folders_and_patterns_of_a_bucket_are_listed(formats, monkeypatch, quick):
    with s3_server(formats, "raw") as storage:
        for url in ("s3://raw/parquet", "s3://raw/parq*/*.parquet", "s3://raw/hats/old", "s3://raw/hipscat/old"):
            same(read_all(of(url, storage=storage)), ROWS)
        with pytest.raises(InputError, match=r"nothing matches s3://raw/none-\*\.csv"):
            of("s3://raw/none-*.csv", storage=storage)


def test_what_a_server_cannot_do_is_told(formats, quick):
    with http_server(formats) as served:
        with pytest.raises(InputError, match="cannot be listed over http: name each"):
            of(f"{served.url}/parquet/*.parquet")
        with pytest.raises(InputError, match=r"there is no file http.*/none\.csv"):
            of(f"{served.url}/none.csv")


def test_keys_of_a_file_system_are_in_no_identity(formats, tmp_path):
    survey = Survey.of_single_table(str(formats / "parquet"), "ra", "dec", storage={"secret": "a-secret"})

    run(survey, tmp_path / "out", show=False)

    told = [p for p in tmp_path.rglob("*") if p.is_file() and b"a-secret" in p.read_bytes()]
    assert told == []


def test_a_catalog_is_made_again_with_roles_units_and_light_curves_and_without_its_old_places(finished, raw, tmp_path):
    found = of(finished, roles=Roles())

    assert HEALPIX not in found.schema.names
    assert found.roles == Roles(id="objectId", ra="coord_ra", dec="coord_dec")
    assert unit_of(found.schema.field("g_psfMag")) == "mag"
    parts = found.schema.field("lc").type
    assert unit_of(parts.field("psfFlux")) == "nJy"
    assert Roles.of(parts).time == "midpointMjdTai"
    survey = Survey("again", (Table("object", (str(finished),), max_rows=15, margin_arcsec=20),))
    run(survey, tmp_path / "again", show=False)

    leaves = {p.relative_to(finished / "sim"): p for p in (finished / "sim").rglob("Npix=*.parquet")}
    assert len(leaves) > 3
    for name, path in leaves.items():
        same(pq.read_table(tmp_path / "again" / "again" / name), pq.read_table(path))


def test_a_foreign_catalog_tells_where_its_positions_are(formats, tmp_path):
    rows = ROWS.rename_columns([{"ra": "alpha", "dec": "delta"}.get(n, n) for n in ROWS.column_names])
    for kind in ("hats", "hipscat"):
        old = tmp_path / kind
        leaf = old / ("dataset/Norder=0/Dir=0" if kind == "hats" else "Norder=0/Dir=0") / "Npix=0.parquet"
        leaf.parent.mkdir(parents=True)
        pq.write_table(rows, leaf)
    (tmp_path / "hats" / "properties").write_text(
        "dataproduct_type=object\nhats_col_ra=alpha\nhats_col_dec=delta\nobs_collection=old\n"
    )
    info = {"catalog_type": "object", "ra_column": "alpha", "dec_column": "delta"}
    (tmp_path / "hipscat" / "catalog_info.json").write_text(json.dumps(info))

    for kind in ("hats", "hipscat"):
        roles = of(tmp_path / kind, roles=Roles()).roles
        assert (roles.ra, roles.dec) == ("alpha", "delta")
    (tmp_path / "hipscat" / "catalog_info.json").write_text(json.dumps({**info, "catalog_type": "margin"}))
    with pytest.raises(InputError, match="is a margin, copies of rows of a catalog"):
        of(tmp_path / "hipscat")


def test_a_catalog_that_lacks_a_partition_is_not_read_as_if_it_were_whole(tmp_path):
    for number, (kind, write) in enumerate((("hats", write_hats), ("hipscat", write_hipscat))):
        path = tmp_path / kind
        write(ROWS, path)
        (path / "partition_info.csv").write_text(f"Norder,Npix\n0,0\n1,{40 + number}\n")

        with pytest.raises(InputError, match=rf"there is no file .*Norder=1/Dir=0/Npix={40 + number}\.parquet"):
            of(path)


def test_a_catalog_with_other_rows_than_it_says_is_refused(tmp_path):
    write_hipscat(ROWS, tmp_path / "old")
    told = json.loads((tmp_path / "old" / "catalog_info.json").read_text())
    (tmp_path / "old" / "catalog_info.json").write_text(json.dumps({**told, "total_rows": 1001}))

    with pytest.raises(InputError, match="old says that it has 1001 rows, and its partitions have 1000: copy it"):
        of(tmp_path / "old")
    assert of(tmp_path / "old" / "**" / "Npix=*.parquet").rows == 1000


def test_a_hipscat_catalog_loses_the_columns_of_its_old_places(tmp_path):
    write_hipscat(ROWS, tmp_path / "old")

    assert of(tmp_path / "old").schema.names == ROWS.column_names


def test_columns_that_were_marked_as_playing_no_role_play_none_again(tmp_path):
    rows = pa.table({"ra": [1.0], "dec": [2.0], "mag": [3.0]})
    fields = [with_role(f, "none") if f.name == "mag" else f for f in rows.schema]
    pq.write_table(rows.cast(pa.schema(fields)), tmp_path / "a.parquet")

    found = of(tmp_path / "a.parquet")

    assert found.roles == SKY
    assert Roles.find(found.schema) == SKY


def test_units_ucds_and_descriptions_are_in_the_catalog(tmp_path):
    from astropy.table import Table as AstropyTable

    made = AstropyTable({"ra": [1.0, 2.0], "dec": [0.0, 0.0], "g": [1.0, 2.0]})
    made["g"].unit, made["g"].description, made["g"].meta = "mag", "how bright", {"ucd": "phot.mag;em.opt.G"}
    made.write(tmp_path / "a.vot", format="votable")

    run(Survey.of_single_table(str(tmp_path / "a.vot"), "ra", "dec", name="vo"), tmp_path / "out", show=False)

    schema = pq.read_schema(tmp_path / "out" / "vo" / "dataset" / "_common_metadata")
    assert schema.field("g").metadata == {b"unit": b"mag", b"ucd": b"phot.mag;em.opt.G", b"description": b"how bright"}


def test_many_small_files_are_opened_once_to_plan_and_once_to_read_in_a_few_units(tmp_path, monkeypatch):
    rows = pa.table({"ra": [1.0, 2.0], "dec": [0.0, 0.0]})
    for i in range(40):
        pq.write_table(rows, tmp_path / f"{i:02d}.parquet")
        pa.csv.write_csv(rows, tmp_path / f"{i:02d}.csv")
    counts = {"footer": 0, "parquet": 0, "text": 0}

    def counted(module, name, key):
        whole = getattr(module, name)

        def call(*args, **kwargs):
            counts[key] += 1
            return whole(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    counted(parquet, "read_footer", "footer")
    counted(parquet, "_parquet", "parquet")
    counted(lines, "unpacked", "text")
    counted(lines, "raw", "text")
    found = of(tmp_path / "*.parquet")
    assert (counts["footer"], counts["parquet"], len(found.units)) == (40, 0, 1)
    chunks = list(read_unit(found.units[0], found.schema))
    assert (counts["footer"], counts["parquet"], len(chunks)) == (40, 40, 40)

    found = of(tmp_path / "*.csv")
    assert (counts["text"], len(found.units), found.is_counted) == (40, 1, True)


def test_a_survey_file_says_how_text_is_read_and_what_is_kept_of_it(tmp_path):
    (tmp_path / "night.txt").write_text("a night\nid|alpha|delta|g|note\n7|1.5|2.5|-99|x\n8|2.5|3.5|14|y\n")
    (tmp_path / "survey.toml").write_text("""
name = "nights"
[tables.stars]
files = "night.txt"
reader = "csv"
roles = { ra = "alpha", dec = "delta" }
columns = ["g"]
types = { g = "float32" }
margin_arcsec = 0
[tables.stars.csv]
comment = "a"
delimiter = "|"
nulls = ["", "-99"]
""")

    run(Survey.read(tmp_path / "survey.toml"), tmp_path / "out", show=False)

    tables = [pq.read_table(p) for p in (tmp_path / "out").rglob("Npix=*.parquet")]
    rows = pa.concat_tables(tables).drop_columns([HEALPIX]).sort_by("alpha")
    assert rows.to_pydict() == {"alpha": [1.5, 2.5], "delta": [2.5, 3.5], "g": [None, 14.0]}
    assert rows.schema.field("g").type == pa.float32()


def test_one_unit_holds_parts_of_files_of_several_readers_and_pieces_that_do_not_know_their_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "HEAD_BYTES", 40)
    monkeypatch.setattr(lines, "STRETCH_BYTES", 50)
    rows = pa.table({"ra": np.arange(90.0), "dec": np.zeros(90)})
    pa.csv.write_csv(rows, tmp_path / "b.csv")
    pq.write_table(rows, tmp_path / "a.parquet", row_group_size=20)
    pq.write_table(rows, tmp_path / "c.parquet")
    files = [tmp_path / name for name in ("a.parquet", "b.csv", "c.parquet")]

    found = of(*files, types={"ra": "float64", "dec": "float64"})
    planned = plan(
        Survey("mixed", (Table("stars", tuple(map(str, files)), SKY, types={"ra": "float64", "dec": "float64"}),)),
        tmp_path / "out",
        show=False,
    )

    assert not found.is_counted
    counted = planned.inputs["stars"]
    assert counted.is_counted
    assert [f.rows for f in counted.files] == [90, 90, 90]
    for table in (found, counted):
        assert read_all(table)["ra"].to_pylist() == [*range(90)] * 3
    (unit,) = counted.units
    assert [unit.origin(row) for row in (0, 89, 90, 179, 180)] == [
        (str(files[0]), 0),
        (str(files[0]), 89),
        (str(files[1]), 0),
        (str(files[1]), 89),
        (str(files[2]), 0),
    ]
    chunks = list(read_unit(unit, counted.schema))
    starts = {path: [c.first_row for c in chunks if c.path == str(path)] for path in map(str, files)}
    assert all(listed == sorted(listed) and listed[0] == 0 for listed in starts.values())


READ = """
import sys
from pathlib import Path
import numpy as np
import pyarrow as pa
from partitioner.inputs.tables import open_table, read_unit
from partitioner.inputs.readers import lines, parquet, reader
from partitioner.surveys.survey import Table

def resident(key):
    (found,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key)]
    return int(found.split()[1]) << 10

reader.BATCH_BYTES = parquet.BATCH_BYTES = 2 << 20
lines.BLOCK_BYTES = 256 << 10
lines.HEAD_BYTES = 1 << 20
found = open_table(Table("stars", (sys.argv[1],)))
# Arrow loads pandas to look at its first array, and code is in memory when it has run once: neither is of the rows.
pa.array(np.zeros(1))
next(read_unit(found.units[0], found.schema))
before = resident("VmRSS")
rows = sum(c.table.num_rows for u in found.units for c in read_unit(u, found.schema))
print(rows, pa.default_memory_pool().max_memory(), resident("VmHWM") - before)
"""


@pytest.mark.parametrize("name", ["a.csv.gz", "a.fits.gz", "a.parquet", "a.fits"])
def test_reading_holds_no_more_than_some_batches(tmp_path, name):
    """Of 2 MB here, out of 48 MB."""
    from astropy.io import fits

    n, path = 1_500_000, tmp_path / name
    rows = pa.table({"ra": np.arange(n) % 360.0, "dec": np.zeros(n), "x": np.arange(n) % 7.0, "y": np.zeros(n)})
    if ".fits" in name:
        columns = [fits.Column(c, "D", array=rows[c].to_numpy()) for c in rows.column_names]
        plain = tmp_path / "plain.fits"
        fits.BinTableHDU.from_columns(columns).writeto(plain)
        path.write_bytes(gzip.compress(plain.read_bytes(), 1) if name.endswith("gz") else plain.read_bytes())
    elif name == "a.parquet":
        pq.write_table(rows, path, row_group_size=n)
    else:
        with pa.CompressedOutputStream(str(path), "gzip") as file:
            pa.csv.write_csv(rows, file)

    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    read, pool, resident = map(int, done.stdout.split())

    assert read == n
    assert pool < 24 << 20
    assert resident < 24 << 20
