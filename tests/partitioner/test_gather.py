"""Rows in order, whether they are sorted in memory or merged from runs on the disk: the same rows, the same bytes."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.thumbnail import THUMBNAIL, thumbnail
from lsdb_ts.store.write import Leaf
from partitioner import begin, plan, run
from partitioner.moving import curves, gather, merge
from partitioner.moving.merge import in_order, order_of
from tests.partitioner.runs import digest

SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.int64()), ("text", pa.string()), ("row", pa.float64())])
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 2)), max_size=12)


def batch(rows, first: int) -> pa.RecordBatch:
    numbers = list(range(first, first + len(rows)))
    columns = [[a for a, _ in rows], [b for _, b in rows], [f"t{i}" for i in numbers], [float(i) for i in numbers]]
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def keys(rows: pa.RecordBatch) -> list[np.ndarray]:
    return [rows.column("a").to_numpy(), rows.column("b").to_numpy()]


@given(st.lists(ROWS, max_size=5), st.integers(1, 8), st.booleans())
def test_rows_are_in_order_and_equal_ones_in_their_sequence(tmp_path_factory, batches, window, stream):
    edges = np.cumsum([0, *(len(rows) for rows in batches)]).tolist()
    given_ = [batch(rows, first) for rows, first in zip(batches, edges, strict=False)]
    wanted = sorted((row for b in given_ for row in b.to_pylist()), key=lambda row: (row["a"], row["b"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "_WINDOW_ROWS", window)
        with in_order(given_, SCHEMA, keys, tmp_path_factory.mktemp("merge"), stream=stream) as rows:
            found = rows.table(0, edges[-1])
            part = rows.table(edges[-1] // 3, edges[-1], ["row", "text"])
            bits = rows.bits(0, edges[-1])
            key = np.array(rows.keys[0])

    assert found.to_pylist() == wanted
    assert part.to_pylist() == [{"row": r["row"], "text": r["text"]} for r in wanted[edges[-1] // 3 :]]
    assert bits == sum(3 * 64 + 32 + 8 * len(r["text"]) for r in wanted)
    assert key.tolist() == [r["a"] for r in wanted]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=30))
def test_the_order_by_keys_is_that_of_a_stable_sort(rows):
    first, second = (np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1))

    assert order_of([first, second]).tolist() == sorted(range(len(rows)), key=lambda i: rows[i])


def test_catalogs_merged_on_disk_are_those_sorted_in_memory_byte_for_byte(raw, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(gather, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(merge, "_WINDOW_ROWS", 50)
    made = open_hats(finished).properties["hats_creation_date"]

    begin(dataclasses.replace(plan(raw.survey, tmp_path / "out"), made=made))
    run(tmp_path / "out")

    assert digest(tmp_path / "out") == digest(finished)


@pytest.mark.parametrize("folder", ["sim", "source/source"])
def test_the_thumbnail_shows_the_first_row_of_each_partition_light_curve_and_all(finished, folder):
    catalog = open_hats(finished / folder)
    leaves = [Leaf(p, pq.read_metadata(catalog.leaf_path(p)).num_rows, 0) for p in catalog.layout]

    shown = pq.read_table(finished / folder / THUMBNAIL)

    assert 3 < shown.num_rows <= len(leaves)
    assert shown.equals(thumbnail(finished / folder, leaves, shown.schema))


@given(st.lists(st.floats(allow_nan=True, width=64), max_size=20))
def test_times_as_integers_are_in_the_order_of_the_times(times):
    found = curves._in_order(np.array(times, dtype=np.float64))

    ordered = sorted(range(len(times)), key=lambda i: (np.isnan(times[i]), times[i] if not np.isnan(times[i]) else 0))
    assert sorted(range(len(times)), key=lambda i: found[i]) == ordered
