"""What a repartition takes: measured on a few rows, and the same however the table is cut."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.run.cluster import cluster
from lsdb_ts.schema import Roles
from lsdb_ts.testing import hard_sky
from partitioner.inputs.readers.reader import BATCH_BYTES
from partitioner.inputs.tables import open_table
from partitioner.planning.estimate import (
    BASE_BYTES,
    COPIES,
    Move,
    Sample,
    Workforce,
    bucket_limit,
    estimate,
    memory_for,
    sample,
)
from partitioner.surveys.survey import Table

SKY = Roles(ra="ra", dec="dec")


@pytest.fixture
def table(tmp_path):
    """3,000 rows in three files, with a light curve each that is a list."""
    ra, dec = hard_sky(3000, seed=1)
    curves = pa.array([[float(i)] * (i % 7) for i in range(3000)])
    rows = pa.table({"ra": ra, "dec": dec, "name": [f"star {i}" for i in range(3000)], "flux": curves})
    for i in range(3):
        pq.write_table(rows.slice(i * 1000, 1000), tmp_path / f"{i}.parquet", row_group_size=100)
    return open_table(Table("stars", (str(tmp_path),), SKY)), rows


def test_a_row_takes_what_it_takes_in_memory_and_less_on_disk(table):
    opened, rows = table

    found = sample(opened)

    assert found.row_bytes == pytest.approx(rows.nbytes / 3000 + 8, rel=0.3)
    assert 16 < found.stored_bytes < found.row_bytes
    assert 0 < found.row_s < 1e-2


def test_the_same_rows_are_sampled_however_the_table_is_cut(table):
    opened, _ = table
    finer = dataclasses.replace(opened, unit_rows=100, unit_bytes=1000)

    assert len(finer.units) > len(opened.units)
    assert sample(finer).row_bytes == sample(opened).row_bytes
    assert sample(finer).stored_bytes == sample(opened).stored_bytes


def test_a_table_without_rows_takes_nothing(tmp_path):
    pq.write_table(pa.table({"ra": np.empty(0), "dec": np.empty(0)}), tmp_path / "a.parquet")

    assert sample(open_table(Table("stars", (str(tmp_path),), SKY))) == Sample(0.0, 0.0, 0.0)


def test_rows_without_a_place_do_not_stop_the_estimate(tmp_path):
    pq.write_table(pa.table({"ra": [np.nan, 10.0, None], "dec": [0.0, -91.0, 1.0]}), tmp_path / "a.parquet")

    assert sample(open_table(Table("stars", (str(tmp_path),), SKY))).row_bytes > 16


def test_what_is_moved_twice_takes_twice_as_much(tmp_path):
    force, samples = Workforce(2, 3, 1 << 34), {"star": Sample(100.0, 30.0, 1e-6), "epoch": Sample(50.0, 10.0, 1e-6)}

    found = estimate([Move("star", 1000), Move("epoch", 10_000), Move("epoch", 10_000)], samples, 1.0, tmp_path, force)

    assert found.scratch_bytes == 1000 * 100 + 2 * 10_000 * 50
    assert found.output_bytes == 1000 * 30 + 2 * 10_000 * 10
    assert found.memory_bytes == BASE_BYTES + 3 * COPIES * BATCH_BYTES
    assert found.fits_memory
    assert not dataclasses.replace(found, available_bytes=1 << 28).fits_memory
    assert dataclasses.replace(found, available_bytes=None).fits_memory
    assert dataclasses.replace(found, free_bytes=found.disk_bytes).fits_disk
    assert not dataclasses.replace(found, free_bytes=found.disk_bytes - 1).fits_disk


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_buckets_are_as_large_as_the_memory_lets_them(threads):
    memory = 16 << 30

    assert memory_for(bucket_limit(memory, threads), threads) <= memory
    least = memory_for(BATCH_BYTES, threads)
    assert bucket_limit(least, threads) == BATCH_BYTES
    with pytest.raises(PlanError, match="of memory is too little for a worker"):
        bucket_limit(least - COPIES * threads, threads)


def test_the_workers_of_a_cluster_are_known():
    with cluster("local", n_workers=1) as local, local.get_client() as client:
        found = Workforce.now()
        (worker,) = client.scheduler_info(n_workers=-1)["workers"].values()

    assert (found.workers, found.threads, found.memory_bytes) == (1, worker["nthreads"], worker["memory_limit"])
