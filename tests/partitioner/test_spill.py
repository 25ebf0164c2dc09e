"""Scratch files: every row comes back from the bucket it was sent to, from the files that have some, and once."""

import dataclasses
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioner import begin, plan, run
from partitioner.moving import spill
from partitioner.moving.spill import Place, Spill, is_whole, read_bucket, write_index, written_here
from tests.partitioner.runs import MADE, copied, digest

BATCHES = st.lists(st.lists(st.integers(0, 6), max_size=20), max_size=4)
SCHEMA = pa.schema([("row", pa.int64()), ("text", pa.string()), ("maybe", pa.float32()), ("yes", pa.bool_())])


def rows_of(first: int, n: int) -> pa.Table:
    rows = range(first, first + n)
    columns = [
        list(rows),
        [f"t{i}" for i in rows],
        [None if i % 3 else i / 2 for i in rows],
        [i % 2 == 0 for i in rows],
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


@given(st.lists(BATCHES, min_size=1, max_size=3))
def test_rows_come_back_by_bucket_in_their_sequence(tmp_path_factory, files):
    place, told, first, wanted = Place(tmp_path_factory.mktemp("spill")), [], 0, {b: [] for b in range(7)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spill, "BATCH_BYTES", 600)
        for number, batches in enumerate(files):
            with Spill(place.file(number), SCHEMA, 7) as written:
                for buckets in batches:
                    rows = rows_of(first, len(buckets))
                    written.add(rows, np.array(buckets, dtype=np.int64))
                    for bucket, row in zip(buckets, rows.to_pylist(), strict=True):
                        wanted[bucket].append(row)
                    first += len(buckets)
            told.append((number, written.to_json()))

    write_index(place, told)

    for bucket, rows in wanted.items():
        found = [row for batch in read_bucket(place, bucket) for row in batch.to_pylist()]
        assert found == rows


def test_only_files_that_have_some_of_a_bucket_are_opened(tmp_path, monkeypatch):
    place, told = Place(tmp_path), []
    for number in range(5):
        with Spill(place.file(number), SCHEMA, 5) as written:
            written.add(rows_of(0, 4), np.full(4, number))
        told.append((number, written.to_json()))
    write_index(place, told)
    opened = []
    whole = pa.memory_map
    monkeypatch.setattr(spill.pa, "memory_map", lambda path: opened.append(path) or whole(path))

    assert sum(b.num_rows for b in read_bucket(place, 3)) == 4

    assert opened == [str(place.file(3))]


def test_there_is_one_scratch_file_for_each_piece_of_work_and_one_index(tmp_path):
    with Spill(Place(tmp_path / "shard").file(0), SCHEMA, 97) as written:
        written.add(rows_of(0, 1000), np.arange(1000) % 97)
    write_index(Place(tmp_path / "shard"), [(0, written.to_json())])

    assert sorted(p.name for p in (tmp_path / "shard").iterdir()) == ["000000.arrow", "index.npy"]


def test_a_failure_leaves_no_scratch_file(tmp_path):
    def fail():
        with Spill(tmp_path / "000000.arrow", SCHEMA, 2) as written:
            written.add(rows_of(0, 10), np.zeros(10, dtype=np.int64))
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail()

    assert list(tmp_path.iterdir()) == []


def test_scratch_files_are_not_trusted_after_their_machine_was_started_anew():
    here = written_here()

    assert is_whole({"rows": 3})
    assert is_whole(here)
    assert is_whole({"machine": "another", "boot": "any"})
    assert not is_whole({**here, "boot": "before"})


FULL = """
import resource, signal, sys
from partitioner import run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    run(sys.argv[1], show=False)
except Exception as error:
    print(error)
"""


@pytest.mark.parametrize("most_bytes", [30_000, 100_000])
def test_a_full_disk_is_named_and_a_later_run_goes_on(make_raw, tmp_path, most_bytes):
    raw = make_raw(tmp_path / "raw", n=2_000, max_rows=1_000)
    begin(dataclasses.replace(plan(raw.survey, tmp_path / "whole", show=False), made=MADE))
    out = copied(tmp_path / "whole", tmp_path / "out")
    command = [sys.executable, "-c", FULL, str(out), str(most_bytes)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "no room to write" in told
    assert "bytes free on that disk" in told
    assert str(out) in told
    run(out)
    run(tmp_path / "whole")
    assert digest(out) == digest(tmp_path / "whole")
