"""What a task of a job array says of its work: its own pieces and its own time, not those of the whole run."""

from typer.testing import CliRunner

import partitioner
from lsdb_ts.cli import app
from partitioner.running import stages
from partitioner.running.job import at_work
from tests.partitioner.runs import copied


def test_a_task_tells_the_pieces_and_the_time_that_are_its_own(stored, tmp_path):
    out = copied(stored, tmp_path / "sim")
    listed = stages.pieces(partitioner.load(out), "shard")
    share = listed[1::3]

    for _ in range(2):
        told = CliRunner().invoke(app, ["task", str(out), "shard", "--slice", "1/3"]).output
        assert f"shard: {len(share):,} of {len(share):,} pieces, {sum(p.rows for p in share):,} rows" in told
        assert ", 0 s left" in told

    assert partitioner.status(out).stages[0].done == len(share) < len(listed)


def test_the_time_expected_of_a_task_is_its_share_of_that_of_all(stored, tmp_path):
    planned = partitioner.load(copied(stored, tmp_path / "sim"))
    listed = stages.pieces(planned, "shard")
    with at_work(planned, False) as whole, at_work(planned, False, ("shard", listed[:2])) as task:
        assert whole.board.expected_s == planned.estimate.seconds
        assert 0 < task.board.expected_s < whole.board.expected_s * 2 / len(listed)
        assert task.board.left_s < whole.board.left_s
