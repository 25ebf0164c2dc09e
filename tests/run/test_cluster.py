"""The same code on a real distributed cluster, and the job script of a batch cluster."""

import io

import cloudpickle
import distributed
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import PlanError
from lsdb_ts.run import pool
from tests.skycases import in_memory, neighbours_table, objects_table, on_disk

TABLE = objects_table(3000)


@pytest.fixture(scope="module")
def client():
    with lt.cluster("local", n_workers=2, memory_limit="2GiB") as cluster, distributed.Client(cluster) as client:
        yield client


def test_a_cluster_gives_the_same_rows_as_local_threads(client, tmp_path, monkeypatch):
    left = on_disk(tmp_path, TABLE, "objects", 300)
    right = on_disk(tmp_path, neighbours_table(TABLE), "stars", 800)
    pairs = left.query("mag < 22").crossmatch(right, 1.0)
    on_cluster = pairs.to_arrow()
    written = pairs.write(tmp_path / "pairs").to_arrow()
    assert pool.active_client() is client

    monkeypatch.setattr(pool, "active_client", lambda: None)
    alone = pairs.to_arrow()

    assert alone.num_rows > 1000
    assert alone.equals(on_cluster)
    assert alone.equals(written)


def test_a_submitted_task_is_small_whatever_the_plan(client, monkeypatch):
    sizes = []
    submit = distributed.Client.submit

    def spy(self, function, *args, **kwargs):
        items = [a for a in args if not isinstance(a, distributed.Future)]
        buffer = io.BytesIO()
        cloudpickle.dump((function, items), buffer)
        sizes.append(buffer.tell())
        return submit(self, function, *args, **kwargs)

    monkeypatch.setattr(distributed.Client, "submit", spy)
    wide = in_memory(TABLE, "o", 100).query("mag < 20")
    assert len(wide.compute()) > 0
    assert 0 < max(sizes) < 1000


def test_a_dask_frame_computes_on_the_cluster(client):
    frame = in_memory(TABLE, "o", 500).to_dask()
    assert frame["mag"].mean().compute() == pytest.approx(TABLE["mag"].to_numpy().mean())


def test_a_slurm_cluster_asks_for_what_it_was_given():
    with lt.cluster(
        "slurm",
        queue="milano",
        cores=8,
        memory="32GB",
        walltime="02:00:00",
        scheduler_options={"dashboard_address": ":0"},
    ) as cluster:
        script = cluster.job_script()
    assert "#SBATCH -p milano" in script
    assert "#SBATCH --cpus-per-task=8" in script
    assert "#SBATCH --mem=30G" in script
    assert "#SBATCH -t 02:00:00" in script
    assert "--nworkers 8" in script
    assert "--nthreads 1" in script


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [("slrm", {}, 'did you mean "slurm"'), ("slurm", {"cores": 4}, "needs memory")],
)
def test_a_cluster_that_cannot_be_had_says_what_is_missing(kind, options, message):
    with pytest.raises(PlanError, match=message):
        lt.cluster(kind, **options)
