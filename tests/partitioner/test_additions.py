"""Nights added to a finished archive: the rows and curves of everything at once, only what is touched written."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import CatalogError, IdError, OutputError, PlanError, PositionError, SchemaError
from lsdb_ts.sky.pixel import MAX_ORDER, centre
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.index import find_ids, open_index
from lsdb_ts.store.index_writer import build_index
from lsdb_ts.store.read import read_rows
from lsdb_ts.store.sidecar_writer import build_sidecar
from lsdb_ts.store.source import HatsSource
from partitioner import Survey, run, verify
from partitioner.additions import append, compact
from partitioner.additions.switch import locked

CHILDREN = ("source", "forced_source")


@dataclass(frozen=True)
class Nights:
    """A survey that comes in three parts, and what is made of the first, and of all."""

    survey: Survey
    parts: tuple[Path, ...]
    base: Path
    whole: Path

    def of(self, night: int) -> dict[str, list[str]]:
        """Return the files of a night, by table."""
        folder = self.parts[night]
        return {t: [str(f)] for t in ("object", *CHILDREN) if (f := folder / f"{t}.parquet").exists()}


@pytest.fixture(scope="module")
def nights(make_raw, tmp_path_factory) -> Nights:
    """Sources at random in three parts; some objects come with the last one, after the first sources of theirs."""
    folder = tmp_path_factory.mktemp("nights")
    raw = make_raw(folder / "raw", n=120, max_rows=6)
    rng = np.random.default_rng(5)
    parts = tuple(folder / name for name in ("base", "one", "two"))
    late = np.isin(np.arange(raw.objects.num_rows), np.arange(60, 90))
    shares = {"object": (raw.objects, np.where(late, 2, 0))}
    for name, table in zip(CHILDREN, (raw.sources, raw.forced), strict=True):
        shares[name] = table, rng.choice(3, table.num_rows, p=[0.8, 0.1, 0.1])
    for i, part in enumerate(parts):
        part.mkdir()
        for name, (table, share) in shares.items():
            if (share == i).any():
                pq.write_table(table.filter(pa.array(share == i)), part / f"{name}.parquet")
    toml = (raw.folder / "survey.toml").read_text().replace("-*.parquet", ".parquet")
    (parts[0] / "survey.toml").write_text(toml)
    survey = Survey.read(parts[0] / "survey.toml")
    run(survey, folder / "sim")
    run(raw.survey, folder / "whole")
    return Nights(survey, parts, folder / "sim", folder / "whole")


@pytest.fixture
def archive(nights, tmp_path) -> Path:
    """The archive of the first part, to be changed."""
    shutil.copytree(nights.base, tmp_path / "sim")
    return tmp_path / "sim"


@pytest.fixture(scope="module")
def added(nights, tmp_path_factory) -> Path:
    """The archive with both nights; not to be changed."""
    out = tmp_path_factory.mktemp("added") / "sim"
    shutil.copytree(nights.base, out)
    append(out, nights.of(1))
    append(out, nights.of(2))
    return out


def rows_in(path: Path, margin: bool = False) -> list[str]:
    """Return all rows of a collection's catalog, or margin, in an order that does not depend on files."""
    catalog = open_hats(path)
    catalog = catalog.margin if margin else catalog
    names = catalog.schema.names
    found = []
    for pixel in catalog.layout:
        for file in catalog.leaf_files(pixel):
            found += [f"{pixel if margin else ''} {row}" for row in read_rows(file, names).to_pylist()]
    return sorted(found)


def leaves_of(path: Path) -> dict[str, Path]:
    """Return the files of a catalog's partitions."""
    return {f.relative_to(path).as_posix(): f for f in sorted((path / "dataset").rglob("*.parquet"))}


def state_of(path: Path) -> tuple[Path, ...]:
    """Return the folders that a collection consists of now."""
    catalog = open_hats(path)
    return (catalog.path, catalog.margin.path)


def account_of(path: Path) -> dict:
    return json.loads((path / "account.json").read_text())


@pytest.mark.parametrize("inner", ["", "source"])
def test_nights_give_the_rows_and_curves_of_everything_at_once(nights, added, inner):
    assert rows_in(added / inner) == rows_in(nights.whole / inner)


def test_nights_leave_a_sound_archive(added):
    report = verify(added)
    assert report.ok, report.faults


@pytest.mark.parametrize("night", [1, 2])
def test_the_account_tells_of_every_new_row(nights, added, night):
    told = account_of(added)["additions"][night - 1]
    for name in CHILDREN:
        rows = pq.read_metadata(nights.of(night)[name][0]).num_rows
        (nested,) = (t for t in told["tables"] if t["table"] == name and t["became"].endswith("of sim"))
        assert nested["rows_in"] == rows
        assert nested["rows_in"] + nested["taken_in"] == nested["added"] + nested["orphans"]
    assert (nested["taken_in"] > 0) == (night == 2)


def test_orphans_are_taken_in_when_their_object_comes(nights, added):
    for name in CHILDREN:
        left, before, never = (
            set(pq.read_table(p / "orphans" / f"{name}.parquet").column("objectId").to_pylist())
            for p in (added, nights.base, nights.whole)
        )
        assert left == never
        assert before - never


def test_folded_in_partitions_have_the_bytes_of_everything_at_once(nights, added, tmp_path):
    shutil.copytree(added, tmp_path / "sim")

    done = compact(tmp_path / "sim")

    assert done.split
    assert verify(tmp_path / "sim").ok
    for inner in ("", "source"):
        for folder, wanted in zip(state_of(tmp_path / "sim" / inner), state_of(nights.whole / inner), strict=True):
            mine, theirs = leaves_of(folder), leaves_of(wanted)
            assert mine.keys() == theirs.keys()
            assert [n for n in mine if mine[n].read_bytes() != theirs[n].read_bytes()] == []
            for name in ("skymap.fits", "partition_info.csv"):
                assert (folder / name).read_bytes() == (wanted / name).read_bytes()


def test_there_is_nothing_to_fold_in_twice(added, tmp_path):
    shutil.copytree(added, tmp_path / "sim")
    compact(tmp_path / "sim")
    before = sorted(p.name for p in (tmp_path / "sim").iterdir())

    done = compact(tmp_path / "sim")

    assert done.already_done
    assert sorted(p.name for p in (tmp_path / "sim").iterdir()) == before


def of_objects(nights: Nights, archive: Path, n: int, folder: Path) -> dict[str, list[str]]:
    """Write sources of the first objects of ``n`` partitions, and return the files by table."""
    catalog = open_hats(archive)
    homes = [read_rows(catalog.leaf_path(catalog.layout[i]), ["objectId"]).column(0)[0].as_py() for i in range(n)]
    sources = pq.read_table(nights.parts[1] / "source.parquet").slice(0, n)
    columns = {"objectId": pa.array(homes), "sourceId": pa.array(np.arange(n) + 5_000_000)}
    for name, values in columns.items():
        sources = sources.set_column(sources.schema.get_field_index(name), name, values)
    pq.write_table(sources, folder / "few.parquet")
    return {"source": [str(folder / "few.parquet")]}


def test_a_night_in_three_partitions_writes_three(nights, archive, tmp_path):
    before = leaves_of(state_of(archive)[0])

    done = append(archive, of_objects(nights, archive, 3, tmp_path))

    after = leaves_of(state_of(archive)[0])
    new = [n for n in after if after[n].stat().st_ino != before[n].stat().st_ino]
    assert len(new) == 3
    assert after.keys() == before.keys()
    assert {c.path: c.files for c in done.catalogs}["sim.1"] == 3
    assert done.catalogs[0].bytes == sum(after[n].stat().st_size for n in new)
    assert verify(archive).ok


def test_new_rows_of_a_plain_catalog_are_one_more_file_in_its_partitions(nights, archive, tmp_path):
    before = leaves_of(state_of(archive / "source")[0])

    append(archive, of_objects(nights, archive, 3, tmp_path))

    catalog = open_hats(archive / "source")
    assert catalog.properties["hats_npix_suffix"] == "/"
    after = leaves_of(catalog.path)
    old = {f.stat().st_ino for f in before.values()}
    new = [f for f in after.values() if f.stat().st_ino not in old]
    assert len(after) == len(before) + len(new)
    assert sum(pq.read_metadata(f).num_rows for f in new) == 3


def test_files_that_were_added_are_left_out_under_any_name(nights, archive, tmp_path):
    append(archive, nights.of(1))
    before = account_of(archive)
    shutil.copy(nights.of(1)["source"][0], tmp_path / "again.parquet")

    done = append(archive, {"source": [str(tmp_path / "again.parquet"), *nights.of(1)["source"]]})

    assert done.already_done
    assert len(done.skipped) == 2
    assert account_of(archive) == before


def test_rows_that_are_there_are_not_added_again(nights, archive, tmp_path):
    append(archive, nights.of(1))
    rows = {path: rows_in(archive / path) for path in ("", "source")}
    table = pq.read_table(nights.of(1)["source"][0])
    pq.write_table(table.slice(3), tmp_path / "delivered-again.parquet")

    done = append(archive, {"source": [str(tmp_path / "delivered-again.parquet")]})

    assert {t.became: t.added for t in done.tables} == {"lc of sim": 0, "catalog source": 0}
    assert not done.catalogs
    assert rows == {path: rows_in(archive / path) for path in ("", "source")}


def test_rows_without_ids_are_known_by_all_their_values(nights, archive, tmp_path):
    append(archive, nights.of(1))
    table = pq.read_table(nights.of(1)["source"][0]).slice(0, 50)
    column = table.schema.get_field_index("sourceId")
    pq.write_table(table.set_column(column, "sourceId", pa.nulls(50, pa.int64())), tmp_path / "nameless.parquet")

    done = append(archive, {"source": [str(tmp_path / "nameless.parquet")]})

    assert {t.known for t in done.tables} == {0}


def test_an_object_that_is_there_is_not_added_again(nights, archive, tmp_path):
    known = pq.read_table(nights.parts[0] / "object.parquet").slice(0, 5)
    new = pq.read_table(nights.parts[2] / "object.parquet")
    pq.write_table(pa.concat_tables([known, new]), tmp_path / "objects.parquet")

    done = append(archive, {"object": [str(tmp_path / "objects.parquet")]})

    (objects,) = (t for t in done.tables if t.table == "object")
    assert (objects.added, objects.known) == (new.num_rows, 5)
    assert verify(archive).ok


def test_ids_that_repeat_among_new_objects_are_refused(nights, archive, tmp_path):
    new = pq.read_table(nights.parts[2] / "object.parquet").slice(0, 1)
    pq.write_table(pa.concat_tables([new, new]), tmp_path / "twins.parquet")
    before = sorted(archive.rglob("*"))

    with pytest.raises(IdError, match="comes 2 times among the new rows"):
        append(archive, {"object": [str(tmp_path / "twins.parquet")]})

    assert sorted(archive.rglob("*")) == before


def test_rows_that_are_not_on_the_sky_are_an_error_or_refused(nights, archive, tmp_path):
    table = pq.read_table(nights.of(1)["source"][0]).slice(0, 4)
    column = table.schema.get_field_index("coord_dec")
    pq.write_table(table.set_column(column, "coord_dec", pa.array([1.0, -999.0, 2.0, 3.0])), tmp_path / "bad.parquet")
    before = sorted(archive.rglob("*"))

    with pytest.raises(PositionError, match=r"row 1 of .*bad\.parquet"):
        append(archive, {"source": [str(tmp_path / "bad.parquet")]})
    assert sorted(archive.rglob("*")) == before
    done = append(archive, {"source": [str(tmp_path / "bad.parquet")]}, on_bad="refuse")

    assert {t.became: t.refused for t in done.tables} == {"lc of sim": 0, "catalog source": 1}
    assert pq.read_table(archive / "refused" / "source.parquet").column("_row").to_pylist() == [1]
    assert verify(archive).ok


def test_objects_beyond_the_partitions_get_one_of_their_own(nights, archive, tmp_path):
    layout = open_hats(archive).layout
    outside = max(layout.complement(), key=lambda p: p.stop - p.start)
    ra, dec = centre(np.array([(outside.start + outside.stop) // 2]), MAX_ORDER)
    objects = pq.read_table(nights.parts[0] / "object.parquet").slice(0, 1)
    columns = {"objectId": pa.array([42]), "coord_ra": pa.array(ra), "coord_dec": pa.array(dec)}
    for name, values in columns.items():
        objects = objects.set_column(objects.schema.get_field_index(name), name, values)
    pq.write_table(objects, tmp_path / "far.parquet")

    done = append(archive, {"object": [str(tmp_path / "far.parquet")]})

    assert done.catalogs[0].new_partitions == 1
    assert outside in set(open_hats(archive).layout)
    assert verify(archive).ok


def test_partitions_that_grow_too_large_are_named(nights, archive):
    done = [append(archive, nights.of(night)) for night in (1, 2)]

    large = [pixel for each in done for w in each.catalogs for pixel in w.too_large]
    assert large
    assert {text.split(", ", 1)[1] for text in compact(archive).split} <= set(large)


def test_who_opened_before_reads_the_former_state(nights, archive):
    catalog = open_hats(archive)
    before = rows_in(archive)

    append(archive, nights.of(1))

    names = catalog.schema.names
    read = [str(r) for p in catalog.layout for r in read_rows(catalog.leaf_path(p), names).to_pylist()]
    assert sorted(f" {row}" for row in read) == before
    assert rows_in(archive) != before


def test_states_older_than_asked_for_are_removed_and_their_readers_told(nights, archive):
    catalog = open_hats(archive)

    append(archive, nights.of(1))
    append(archive, nights.of(2))

    assert sorted(p.name for p in archive.glob("sim*")) == ["sim.1", "sim.2", "sim_20arcs.1", "sim_20arcs.2"]
    with pytest.raises(CatalogError, match="No such file"):
        read_rows(catalog.leaf_path(catalog.layout[0]), ["objectId"])


def test_no_former_state_is_kept_where_none_is_wanted(nights, archive):
    append(archive, nights.of(1), keep=0)

    assert sorted(p.name for p in archive.glob("sim*")) == ["sim.1", "sim_20arcs.1"]


def test_an_id_index_finds_new_objects_and_stays_right(nights, archive):
    build_index(archive, "objectId")
    ids = pq.read_table(nights.parts[2] / "object.parquet").column("objectId").combine_chunks()
    wanted = pa.array(
        sorted([*ids.to_pylist(), *pq.read_table(nights.parts[0] / "object.parquet")["objectId"][:9].to_pylist()])
    )

    for night in (1, 2):
        append(archive, nights.of(night))
        found = find_ids(HatsSource(open_hats(archive)), "objectId", wanted)
        assert len(found.ids) == (9 if night == 1 else 9 + len(ids))
    compact(archive)

    assert len(find_ids(HatsSource(open_hats(archive)), "objectId", wanted).ids) == 9 + len(ids)
    assert open_index(open_hats(archive), "objectId") is not None
    assert not list(archive.glob(".*"))


def test_an_archive_with_an_id_index_is_sound_after_nights_with_and_without_new_objects(nights, archive):
    build_index(archive, "objectId")

    for night in (1, 2):
        append(archive, nights.of(night))
        assert verify(archive).faults == ()


def test_a_sidecar_serves_partitions_that_stay(nights, archive, tmp_path):
    build_sidecar(archive)

    append(archive, of_objects(nights, archive, 3, tmp_path))

    catalog = open_hats(archive)
    current = [catalog.sidecar.is_current(catalog.leaf_path(p), ("objectId",)) for p in catalog.layout]
    assert current.count(False) == 3


def test_former_states_of_a_margin_and_a_catalog_are_never_mixed(nights, archive):
    append(archive, nights.of(1))

    for path in (archive, archive / "source"):
        catalog = open_hats(path)
        assert catalog.margin.properties["hats_primary_table_url"] == catalog.path.name


def test_two_additions_at_once_are_refused(nights, archive):
    with locked(archive), pytest.raises(OutputError, match="another process is adding"):
        append(archive, nights.of(1))


def test_a_disk_without_hard_links_is_told_of(nights, archive, monkeypatch):
    def refuse(*args: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("partitioner.additions.member.os.link", refuse)
    with pytest.raises(OutputError, match="hard links"):
        append(archive, nights.of(1))


def test_misuse_is_told_before_anything_is_done(nights, archive, tmp_path):
    source = nights.of(1)["source"]
    with pytest.raises(PlanError, match=r"has no account\.json"):
        append(tmp_path, {"": source})
    with pytest.raises(PlanError, match="say which one"):
        append(archive, {"": source})
    with pytest.raises(PlanError, match=r'no table "sourc".*did you mean "source"'):
        append(archive, {"sourc": source})
    table = pq.read_table(source[0])
    pq.write_table(table.drop_columns(["psfFlux"]), tmp_path / "less.parquet")
    with pytest.raises(SchemaError, match='has no column "psfFlux"'):
        append(archive, {"source": [str(tmp_path / "less.parquet")]})
    assert rows_in(archive) == rows_in(nights.base)
    assert not list(archive.glob(".*"))
