"""What an archive tells of its nights: in its provenance, and in what `lsdb-ts info` says."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lsdb_ts.cli import app
from lsdb_ts.store.provenance import PROVENANCE, Input
from lsdb_ts.store.seal import check_text
from lsdb_ts.views.info import info
from partitioner import verify
from partitioner.additions import append, compact
from tests.partitioner.conftest import child_rows


@pytest.fixture
def archive(finished, raw, tmp_path) -> Path:
    """An archive to be changed, with three nights of sources beside it."""
    shutil.copytree(finished, tmp_path / "sim")
    for night in range(3):
        rows = child_rows(np.random.default_rng(night), raw.objects, 30, "sourceId", orphans=2)
        rows = rows.set_column(0, "sourceId", pa.array(np.arange(30) + 10**16 * (night + 1)))
        pq.write_table(rows, tmp_path / f"night-{night}.parquet")
    return tmp_path / "sim"


def files(archive: Path, *nights: int) -> dict[str, list[str]]:
    return {"source": [str(archive.parent / f"night-{night}.parquet") for night in nights]}


def told_by(folder: Path) -> dict:
    text = (folder / PROVENANCE).read_bytes()
    check_text(text, folder / PROVENANCE)
    return json.loads(text)


def test_provenance_holds_every_night_with_its_files_and_rows(archive):
    before = told_by(archive)

    append(archive, files(archive, 0))
    append(archive, files(archive, 1, 2))
    compact(archive)

    for folder in (archive, archive / "source"):
        told = told_by(folder)
        assert {key: told[key] for key in before if key != "lsdb_ts_crc32"} == {
            key: before[key] for key in before if key != "lsdb_ts_crc32"
        }
        first, second, folded = told["additions"]
        assert [(c["made_by"], c["generation"], c["input_files"]) for c in (first, second, folded)] == [
            ("append", 1, 1),
            ("append", 2, 2),
            ("compact", 3, 0),
        ]
        (path,) = files(archive, 0)["source"]
        expected = Input.of(Path(path))
        assert first["inputs"] == [{**expected.to_json(), "table": "source", "format": "parquet", "rows": 30}]
        nights = json.loads((archive / "account.json").read_text())["additions"]
        assert [c["date"] for c in (first, second)] == [night["date"] for night in nights]
        assert second["account"]["tables"] == nights[1]["tables"]
    assert verify(archive).ok


def test_info_tells_the_nights_and_whether_compaction_is_due(archive):
    assert info(archive).to_json()["additions"] is None
    append(archive, files(archive, 0))
    append(archive, files(archive, 0, 1))
    pq.write_table(pq.read_table(archive.parent / "night-1.parquet").slice(1), archive.parent / "again.parquet")
    append(archive, {"source": [str(archive.parent / "again.parquet")]})

    told = info(archive).to_json()["additions"]
    shown = CliRunner().invoke(app, ["info", str(archive)]).output

    assert [(c["files"], c["rows"]) for c in told["changes"]] == [(1, {"source": n}) for n in (30, 30, 29)]
    assert [c["known"] for c in told["changes"]] == [{"source": n} for n in (0, 0, 29)]
    assert "partitions of source in several files" in told["compaction_due"]
    assert "appended: 3 nights, 89 rows" in shown
    assert "29 rows of source (29 there already) in 1 file" in shown
    assert f"lsdb-ts compact {archive}" in shown

    compact(archive)

    assert info(archive / "source").to_json()["additions"]["compaction_due"] == []
    assert "folded in\n  compaction is not due" in CliRunner().invoke(app, ["info", str(archive)]).output


def test_partitions_that_are_too_large_make_compaction_due(archive, raw):
    crowd = raw.objects.take(pa.array(np.zeros(40, dtype=np.int64)))
    places = pa.array(crowd["coord_ra"].to_numpy() + np.arange(40) * 1e-5)
    crowd = crowd.set_column(0, "objectId", pa.array(np.arange(40) + 7)).set_column(1, "coord_ra", places)
    pq.write_table(crowd, archive.parent / "crowd.parquet")

    append(archive, {"object": [str(archive.parent / "crowd.parquet")]})

    (due,) = info(archive).history.due
    assert "too large" in due
    compact(archive)
    assert info(archive).history.due == ()
