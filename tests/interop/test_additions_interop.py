"""What the peers see of an archive that nights were added to, before and after these are folded in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.store.index_writer import build_index
from lsdb_ts.testing import simulate_survey
from partitioner import Survey, run
from partitioner.additions import append, compact

STATES = ("appended", "compacted")


@dataclass(frozen=True)
class Grown:
    """An archive in its states, and what the peers made of each."""

    objects: pd.DataFrame
    sources: pd.DataFrame
    reports: dict[str, list[dict]]
    folder: Path


@pytest.fixture(scope="module")
def grown(peer, tmp_path_factory) -> Grown:
    folder = tmp_path_factory.mktemp("grown")
    raw = simulate_survey(folder / "raw", n_objects=200, seed=21)
    raw.toml.write_text(raw.toml.read_text().replace("[tables.source]\n", "[tables.source]\nstandalone = true\n"))
    survey = Survey.read(raw.toml)
    files = {t.name: sorted(p for f in t.files for p in Path("/").glob(f.lstrip("/"))) for t in survey.tables}
    tables = {name: pa.concat_tables([pq.read_table(p) for p in paths]) for name, paths in files.items()}
    rng = np.random.default_rng(22)
    for name, table in tables.items():
        night = rng.random(table.num_rows) < (0.1 if name == "object" else 0.3)
        (folder / "night").mkdir(exist_ok=True)
        pq.write_table(table.filter(pa.array(night)), folder / "night" / f"{name}.parquet")
        for path in files[name][1:]:
            path.unlink()
        pq.write_table(table.filter(pa.array(~night)), files[name][0])
    out = folder / "sim"
    run(survey, out)
    build_index(out, "objectId")
    append(out, {name: [str(folder / "night" / f"{name}.parquet")] for name in tables})
    id_of_new = pq.read_table(folder / "night" / "object.parquet").column("objectId")[0].as_py()
    reports = {"appended": peer.run(*jobs(out, folder, "appended", id_of_new))}
    compact(out)
    reports["compacted"] = peer.run(*jobs(out, folder, "compacted", id_of_new))
    return Grown(tables["object"].to_pandas(), tables["source"].to_pandas(), reports, folder)


def jobs(out: Path, folder: Path, state: str, object_id: int) -> list[dict]:
    return [
        {"job": "rows", "path": str(out), "out": str(folder / f"{state}.parquet")},
        {
            "job": "id_search",
            "path": str(out),
            "column": "objectId",
            "values": [object_id],
            "out": str(folder / f"{state}-found.parquet"),
        },
        {"job": "validate", "path": str(out)},
        {"job": "rows", "path": str(out / "source"), "out": str(folder / f"{state}-sources.parquet")},
        {"job": "validate", "path": str(out / "source")},
    ]


@pytest.mark.parametrize("state", STATES)
def test_lsdb_reads_every_object_and_its_whole_light_curve(grown, state):
    read = pd.read_parquet(grown.folder / f"{state}.parquet")
    assert sorted(read["objectId"]) == sorted(grown.objects["objectId"])
    known = grown.sources[grown.sources["objectId"].isin(grown.objects["objectId"])]
    found = np.sort(np.concatenate([curve["sourceId"] for curve in read["detections"]]))
    np.testing.assert_array_equal(found, np.sort(known["sourceId"]))


@pytest.mark.parametrize("state", STATES)
def test_lsdb_reads_every_source_of_partitions_that_are_folders(grown, state):
    read = pd.read_parquet(grown.folder / f"{state}-sources.parquet")
    np.testing.assert_array_equal(np.sort(read["sourceId"]), np.sort(grown.sources["sourceId"]))


@pytest.mark.parametrize("state", STATES)
def test_lsdb_finds_a_new_object_by_its_id(grown, state):
    assert len(pd.read_parquet(grown.folder / f"{state}-found.parquet")) == 1


@pytest.mark.parametrize("state", STATES)
def test_hats_takes_it_for_valid(grown, state):
    assert grown.reports[state][2]["valid"], grown.reports[state][2]["complaints"]


def test_hats_takes_folded_in_sources_for_valid(grown):
    assert grown.reports["compacted"][4]["valid"], grown.reports["compacted"][4]["complaints"]


def test_hats_complains_of_folders_with_several_files_and_of_nothing_else(grown):
    # Its strict check takes every file for a partition of its own; what it lists as extra or missing is nothing.
    (complaint,) = grown.reports["appended"][4]["complaints"]
    assert complaint.startswith("Partition pixels differ between _metadata and partition_info")
    assert complaint.endswith("Extra: set() \nMissing: set()")
