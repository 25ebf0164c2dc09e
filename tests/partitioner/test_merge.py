"""Rows merged on the disk: in the order of those merged in memory; a full disk is an error that can be caught."""

import errno

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import OutputError
from partitioner.moving import merge
from partitioner.moving.merge import in_order

SCHEMA = pa.schema([("first", pa.int64()), ("second", pa.int64()), ("row", pa.int64()), ("text", pa.string())])


def batches(rng, sizes):
    """Draw batches with few different keys, so that many rows are equal."""
    start = 0
    for n in sizes:
        rows = np.arange(start, start + n)
        columns = [rng.integers(0, 5, n), rng.integers(0, 4, n), rows, rows.astype(str)]
        yield pa.record_batch([pa.array(c) for c in columns], schema=SCHEMA)
        start += n


def keys(batch):
    return [batch.column(i).to_numpy() for i in range(2)]


@pytest.mark.parametrize("sizes", [(), (0,), (1,), (0, 7, 0), (50, 1, 300), (40,) * 9], ids=str)
@pytest.mark.parametrize("window", [1, 16, 1 << 18])
def test_on_the_disk_as_in_memory(sizes, window, tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "_WINDOW_ROWS", window)
    drawn = list(batches(np.random.default_rng(1), sizes))
    with in_order(drawn, SCHEMA, keys, tmp_path, stream=False) as held:
        with in_order(drawn, SCHEMA, keys, tmp_path, stream=True) as streamed:
            assert streamed.table(0, sum(sizes)) == held.table(0, sum(sizes))
            assert streamed.table(3, 9, ["text"]) == held.table(3, 9, ["text"])
            for ours, theirs in zip(streamed.keys, held.keys, strict=True):
                assert ours.tolist() == theirs.tolist()
        rows = held.table(0, sum(sizes)).to_pydict()
        assert list(zip(*(rows[name] for name in ("first", "second", "row")), strict=True)) == sorted(
            zip(*(rows[name] for name in ("first", "second", "row")), strict=True)
        )
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("kib", [16, 64, 200])
def test_a_full_disk_is_told(kib, disk):
    """As large as one run, as some of them, and as all runs but not their order."""
    place = disk(kib)
    drawn = list(batches(np.random.default_rng(1), (1000,) * 8))
    with (
        pytest.raises(OutputError, match=r"no room to write .*npy") as found,
        in_order(drawn, SCHEMA, keys, place, stream=True),
    ):
        pass
    assert found.value.__cause__.errno == errno.ENOSPC
