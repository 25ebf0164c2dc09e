"""Memory does not grow with the largest pixel: a hundred times the rows of the others, all at one position or not."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitioner import Account

MEASURED = """
import os, sys, threading, time
import psutil
from partitioner import Survey, run
from partitioner.moving import gather
from partitioner.moving import ids
from partitioner.inputs import tables as inputs
from partitioner.margins import assemble as margin
from partitioner.moving import merge
from partitioner.moving import spill

# One thread of work: how much two of them hold at the same time is another number each time.
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
most, process = [0], psutil.Process()

def look():
    while True:
        time.sleep(0.005)
        memory = process.memory_info()
        most[0] = max(most[0], memory.rss - memory.shared)

for module in (gather, margin):
    module.IN_MEMORY_BYTES = 8 << 20
# Small enough that the smaller sky already fills what there is of each.
spill.BATCH_BYTES, merge._WINDOW_ROWS = 4 << 20, 1 << 15
ids.INDEX_ROWS, inputs.UNIT_ROWS = 30_000, 30_000
threading.Thread(target=look, daemon=True).start()
run(Survey.read(sys.argv[1]), sys.argv[2], show=False)
print(most[0])
"""

SURVEY = """
name = "sky"
[tables.object]
files = "object.parquet"
roles = { id = "id", ra = "ra", dec = "dec" }
max_rows = 10000
nest = ["source"]
[tables.source]
files = "source.parquet"
roles = { parent_id = "object", time = "t" }
"""


def write_sky(folder, rows: int, ra_deg: float, dec_deg: float) -> None:
    """Write objects of which nearly all are at one position, and two sources of each."""
    folder.mkdir()
    rng = np.random.default_rng(rows)
    ra, dec = np.full(rows, ra_deg), np.full(rows, dec_deg)
    few = rng.permutation(rows)[: rows // 100]
    ra[few], dec[few] = rng.uniform(0, 360, few.size), rng.uniform(-60, 60, few.size)
    values = {f"value_{i}": rng.normal(size=rows) for i in range(12)}
    objects = pa.table({"id": rng.permutation(rows), "ra": ra, "dec": dec, **values})
    pq.write_table(objects, folder / "object.parquet", row_group_size=20_000, compression="none")
    sources = {
        "object": rng.integers(0, rows, 2 * rows),
        "t": rng.normal(size=2 * rows),
        "flux": rng.normal(size=2 * rows),
    }
    pq.write_table(pa.table(sources), folder / "source.parquet", row_group_size=20_000, compression="none")
    (folder / "survey.toml").write_text(SURVEY)


@pytest.mark.parametrize(("ra_deg", "dec_deg"), [(40.0, 10.0), (45.0, 1e-7)], ids=["inside", "in three margins"])
def test_memory_does_not_grow_with_the_largest_pixel(tmp_path, ra_deg, dec_deg):
    peaks = {}
    for rows in (100_000, 300_000):
        write_sky(tmp_path / str(rows), rows, ra_deg, dec_deg)
        command = [sys.executable, "-c", MEASURED, *(str(tmp_path / str(rows) / f) for f in ("survey.toml", "out"))]
        peaks[rows] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        account = Account.read(tmp_path / str(rows) / "out")
        assert account.tables[0].rows_out == rows
        assert account.catalogs[0].dense
        assert (account.catalogs[0].margin_rows > rows / 2) == (dec_deg < 1)

    # Rows and light curves of the larger one are 35 MB more, and would be there three times over.
    assert peaks[300_000] - peaks[100_000] < 40 << 20
