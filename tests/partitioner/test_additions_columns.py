"""Nights whose columns are not those of the archive: nothing is lost without a word, what may differ is told."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import lsdb_ts as lt
from lsdb_ts.cli import app
from lsdb_ts.errors import InputError, PlanError, SchemaError
from lsdb_ts.schema import in_njy, unit_of, with_unit
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.read import read_rows
from partitioner import Survey, run, verify
from partitioner.additions import append, forecast_append
from tests.partitioner.conftest import child_rows
from tests.partitioner.runs import digest

N = 40
FIRST = 9 * 10**15


@pytest.fixture
def archive(finished, tmp_path) -> Path:
    """A finished archive, to be changed."""
    shutil.copytree(finished, tmp_path / "sim")
    return tmp_path / "sim"


@pytest.fixture
def night(raw) -> pa.Table:
    """New sources of objects that are there."""
    rows = child_rows(np.random.default_rng(3), raw.objects, N, "sourceId", orphans=0)
    return rows.set_column(0, "sourceId", pa.array(np.arange(N) + FIRST))


def with_column(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def written(table: pa.Table, path: Path) -> dict[str, list[str]]:
    pq.write_table(table, path)
    return {"source": [str(path)]}


def new_rows(archive: Path) -> list[dict]:
    """Return the new rows of the catalog of sources."""
    catalog = open_hats(archive / "source")
    names = [name for name in catalog.schema.names if name != "_healpix_29"]
    rows = [r for p in catalog.layout for f in catalog.leaf_files(p) for r in read_rows(f, names).to_pylist()]
    return sorted((row for row in rows if row["sourceId"] >= FIRST), key=lambda row: row["sourceId"])


def test_a_column_that_the_archive_has_not_is_left_out_only_where_that_is_said(archive, night, tmp_path):
    files = written(night.append_column("snr", pa.array(np.arange(N) / 2)), tmp_path / "more.parquet")
    before = digest(archive)

    with pytest.raises(SchemaError, match=r'more\.parquet has the column "snr", .* --drop-column snr'):
        append(archive, files)
    assert digest(archive) == before
    done = append(archive, files, drop=["snr"])

    assert {t.added for t in done.tables} == {N}
    assert "snr" not in open_hats(archive / "source").schema.names
    (told,) = json.loads((archive / "account.json").read_text())["additions"]
    assert told["columns"] == [{"table": "source", "column": "snr", "how": "drop", "type": "double", "files": 1}]
    assert verify(archive).ok


def test_a_column_that_files_lack_is_null_only_where_that_is_said(archive, night, tmp_path):
    files = written(night.drop_columns(["psfFlux"]), tmp_path / "less.parquet")
    whole = with_column(night, "sourceId", pa.array(np.arange(N) + FIRST + N))
    files["source"] += written(whole, tmp_path / "whole.parquet")["source"]

    with pytest.raises(SchemaError, match=r'less\.parquet has no column "psfFlux".* --null-column psfFlux'):
        append(archive, files)
    done = append(archive, files, null=["psfFlux"])

    assert [(c.column, c.how, c.files) for c in done.columns] == [("psfFlux", "null", 1)]
    rows = new_rows(archive)
    assert [row["psfFlux"] for row in rows] == [None] * N + night["psfFlux"].to_pylist()
    assert [row["psfFluxErr"] for row in rows] == night["psfFluxErr"].to_pylist() * 2
    assert verify(archive).ok


def test_two_columns_of_one_name_are_refused(archive, night, tmp_path):
    twice = pa.Table.from_arrays([*night.columns, night["psfFlux"]], names=[*night.column_names, "psfFlux"])

    with pytest.raises(SchemaError, match=r'twice\.parquet has two columns called "psfFlux"'):
        append(archive, written(twice, tmp_path / "twice.parquet"))


def test_a_column_under_another_name_is_told_of(archive, night, tmp_path):
    renamed = night.rename_columns([{"psfFlux": "psf_Flux"}.get(n, n) for n in night.column_names])

    with pytest.raises(SchemaError, match=r'no column "psfFlux".*did you mean "psf_Flux"'):
        append(archive, written(renamed, tmp_path / "renamed.parquet"))


@pytest.mark.parametrize(
    ("name", "kind"), [("psfFlux", pa.float64()), ("psfFlux", pa.int64()), ("sourceId", pa.string())]
)
def test_a_column_of_another_type_is_converted_only_where_that_is_said(archive, night, tmp_path, name, kind):
    files = written(with_column(night, name, night[name].cast(kind, safe=False)), tmp_path / "other.parquet")

    with pytest.raises(SchemaError, match=rf'"{name}" is {kind} in .*other\.parquet and .*--cast-column {name}'):
        append(archive, files)
    done = append(archive, files, cast=[name])

    assert [(c.column, c.how, c.type) for c in done.columns] == [(name, "cast", str(kind))]
    held = night.schema.field(name).type
    assert [row[name] for row in new_rows(archive)] == night[name].cast(kind, safe=False).cast(held).to_pylist()
    assert verify(archive).ok


def test_a_value_that_does_not_fit_the_type_is_an_error_though_it_may_be_rounded(archive, night, tmp_path):
    flux = night["psfFlux"].to_numpy().astype("f8")
    flux[7] = 1e300
    before = digest(archive)

    with pytest.raises(InputError, match=r'far\.parquet, row 7 .*"psfFlux" is 1e\+300'):
        append(
            archive, written(with_column(night, "psfFlux", pa.array(flux)), tmp_path / "far.parquet"), cast=["psfFlux"]
        )

    assert digest(archive) == before


def test_types_that_lose_nothing_need_no_word(archive, night, tmp_path):
    small = with_column(night, "sourceId", pa.array(np.arange(N), pa.int32()))
    small = with_column(small, "psfFlux", pa.array(np.arange(N), pa.float16()))

    done = append(archive, written(small, tmp_path / "small.parquet"))

    assert ({t.added for t in done.tables}, done.columns) == ({N}, ())


def test_types_that_a_text_file_only_seems_to_have_are_those_of_the_archive(archive, night, tmp_path):
    whole = with_column(night, "psfFlux", pa.array(np.arange(N)))
    pc.write_csv(whole, tmp_path / "night.csv")

    done = append(archive, {"source": [str(tmp_path / "night.csv")]})

    assert done.columns == ()
    assert [row["psfFlux"] for row in new_rows(archive)] == list(range(N))


def test_values_in_another_unit_are_refused_and_another_spelling_is_not(archive, night, tmp_path):
    stored = open_hats(archive / "source").schema.field("psfFlux")
    assert unit_of(stored) == "nJy"
    for unit, name in (("uJy", "micro.parquet"), ("10**-9 Jy", "nano.parquet")):
        fields = [with_unit(f, unit) if f.name == "psfFlux" else f for f in night.schema]
        pq.write_table(night.cast(pa.schema(fields)), tmp_path / name)

    with pytest.raises(SchemaError, match=r'"psfFlux" is in "uJy" in .*micro\.parquet and in "nJy"'):
        append(archive, {"source": [str(tmp_path / "micro.parquet")]}, cast=["psfFlux"])
    assert append(archive, {"source": [str(tmp_path / "nano.parquet")]}).tables[0].added == N


def test_what_others_look_for_must_be_of_their_type(archive, raw, tmp_path):
    forced = child_rows(np.random.default_rng(4), raw.objects, N, "forcedSourceId", orphans=0)
    named = with_column(forced, "objectId", forced["objectId"].cast(pa.string()))
    pq.write_table(named, tmp_path / "named.parquet")

    with pytest.raises(SchemaError, match='"objectId" is string in'):
        append(archive, {"forced_source": [str(tmp_path / "named.parquet")]})


def test_what_a_survey_leaves_out_a_night_leaves_out(raw, night, tmp_path):
    toml = (raw.folder / "survey.toml").read_text().replace('"object-', f'"{raw.folder}/object-')
    toml = toml.replace('"source-', f'"{raw.folder}/source-').replace('"forced_', f'"{raw.folder}/forced_')
    toml = toml.replace("[tables.source]", '[tables.source]\ncolumns = ["sourceId", "band", "psfFlux"]')
    (tmp_path / "survey.toml").write_text(toml)
    run(Survey.read(tmp_path / "survey.toml"), tmp_path / "sim")

    done = append(tmp_path / "sim", written(night.append_column("snr", pa.array(np.arange(N))), tmp_path / "n.parquet"))

    assert ({t.added for t in done.tables}, done.columns) == ({N}, ())


@pytest.mark.parametrize(
    ("allowed", "match"),
    [
        ({"cast": ["psFlux"]}, r'cast "psFlux": .*did you mean "psfFlux"'),
        ({"null": ["snr"]}, r'null "snr": the archive has no such column'),
        ({"null": ["objectId"]}, r'it is the parent_id of "source"'),
        ({"drop": ["psfFlux"]}, r'drop "psfFlux": .* has this column'),
    ],
)
def test_names_that_cannot_be_meant_are_refused(archive, night, tmp_path, allowed, match):
    with pytest.raises(PlanError, match=match):
        append(archive, written(night, tmp_path / "night.parquet"), **allowed)


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(archive, raw, night, tmp_path):
    files = written(night.append_column("snr", pa.array(np.arange(N))), tmp_path / "night.parquet")
    waiting = pq.read_table(archive / "orphans" / "source.parquet")["objectId"]
    new = with_column(raw.objects.slice(0, 2), "objectId", pa.array([waiting[0].as_py(), 7]))
    pq.write_table(new, tmp_path / "new.parquet")
    files["object"] = [str(tmp_path / "new.parquet")]
    before = digest(archive)

    told = forecast_append(archive, files, drop=["snr"])

    assert digest(archive) == before
    done = append(archive, files, drop=["snr"])
    counts = [(t.became, t.rows_in, t.taken_in, t.added, t.orphans, t.refused) for t in told.tables]
    assert counts == [(t.became, t.rows_in, t.taken_in, t.added, t.orphans, t.refused) for t in done.tables]
    assert [t.taken_in for t in told.tables if t.became == "lc of sim"] == [1]
    assert told.columns == done.columns
    wrote = {w.replaces: w for w in done.catalogs}
    for touched in told.catalogs:
        assert (touched.partitions, touched.new_partitions) == (
            wrote[touched.path].files,
            wrote[touched.path].new_partitions,
        )
    (objects,) = (t for t in told.catalogs if t.path == "sim")
    assert 0.7 < objects.bytes / wrote["sim"].bytes < 1.5


def test_a_dry_run_on_the_command_line(archive, night, tmp_path):
    (file,) = written(night, tmp_path / "night.parquet")["source"]
    before = digest(archive)

    shown, told, refused = (
        CliRunner().invoke(app, ["append", str(archive), f"source={file}", "--dry-run", *more])
        for more in ([], ["--json"], ["--null-column", "objectId"])
    )

    assert "would be added to" in shown.output
    assert [t["added"] for t in json.loads(told.stdout)["tables"]] == [N, N]
    assert refused.exit_code == 2
    assert digest(archive) == before
    append(archive, {"source": [file]})
    assert "nothing new" in CliRunner().invoke(app, ["append", str(archive), f"source={file}", "--dry-run"]).output


def test_the_zero_point_of_a_survey_holds_for_new_files_whatever_they_say(tmp_path):
    def raw_files(folder: Path, first: int) -> Path:
        folder.mkdir()
        stars = pa.table({"id": np.arange(4) + 1, "ra": [10.0, 11.0, 12.0, 13.0], "dec": [0.0, 1.0, 2.0, 3.0]})
        flux = with_unit(pa.field("flux", pa.float64()), "adu")
        epochs = pa.table(
            {"id": np.arange(4) + 1, "epoch_id": np.arange(4) + first, "mjd": np.arange(4) + 6e4, "flux": [1.0] * 4}
        )
        pq.write_table(stars, folder / "stars.parquet")
        pq.write_table(epochs.set_column(3, flux, epochs["flux"]), folder / "epochs.parquet")
        return folder

    survey = raw_files(tmp_path / "raw", 1) / "survey.toml"
    survey.write_text("""
        name = "counts"
        [tables.object]
        files = "stars.parquet"
        roles = { id = "id", ra = "ra", dec = "dec" }
        nest = { source = "lc" }
        [tables.source]
        files = "epochs.parquet"
        roles = { id = "epoch_id", parent_id = "id", time = "mjd", flux = "flux", zero_point = 25.0 }
        """)
    run(Survey.read(survey), tmp_path / "counts")
    night = raw_files(tmp_path / "night", 101) / "epochs.parquet"
    assert append(tmp_path / "counts", {"source": [str(night)]}).tables[0].added == 4
    stars = lt.open_catalog(tmp_path / "counts")
    assert in_njy(unit_of(stars.schema.field("lc").type.field("flux"))) == pytest.approx(10**2.56)
    magnitudes = stars.curves("lc").to_magnitude().assign().compute()["lc.mag"]
    assert magnitudes.to_numpy().tolist() == pytest.approx([25.0] * 8)
