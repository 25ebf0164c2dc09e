"""How a run is cut into pieces: what pixels share is made once, what travels is small, and few pixels cost little."""

import pickle

import numpy as np
import pytest

from lsdb_ts.plan.node import whole
from lsdb_ts.run import execute
from tests.skycases import in_memory, neighbours_table, objects_table

OBJECTS = objects_table(3000)
STARS = neighbours_table(OBJECTS)
CALLS: list[int] = []


def counted(frame):
    CALLS.append(len(frame))
    return frame.assign(rank=frame["mag"].rank())


@pytest.fixture
def ranked_in_finer_pixels():
    """A function on 12 whole leaves below a match in some hundred finer pixels."""
    left = in_memory(OBJECTS, "o", 1000).map_partitions(counted)
    CALLS.clear()
    matched = left.crossmatch(in_memory(STARS, "s", 40), 2.0)
    assert matched.npartitions > 5 * left.npartitions
    return left, matched


def test_a_function_on_whole_partitions_is_called_once_a_leaf_below_finer_pixels(ranked_in_finer_pixels):
    left, matched = ranked_in_finer_pixels
    found = matched.compute(progress=False)
    leaves = np.unique(left.layout.leaf_of(found.index.to_numpy()))
    assert len(CALLS) <= left.npartitions
    assert len(CALLS) >= leaves.size
    CALLS.clear()
    rows = left.compute(progress=False)
    ranks = dict(zip(rows["objectId"], rows["rank"], strict=True))
    assert found["rank"].tolist() == [ranks[i] for i in found["objectId"]]


def test_what_a_shared_leaf_counts_is_counted_once():
    matched = in_memory(OBJECTS, "o", 1000).crossmatch(in_memory(STARS, "s", 1000), 2.0)
    fine = matched.map_partitions(counted).crossmatch(in_memory(STARS, "t", 40), 2.0)
    alone = matched.account(progress=False)["o_x_s"]
    together = fine.account(progress=False)["o_x_s"]
    # Leaves out of reach of the finer side are not looked at.
    assert together["pairs"] == alone["pairs"] == matched.compute(progress=False).shape[0]


def test_a_task_is_a_few_numbers_however_many_pixels_there_are(monkeypatch):
    sizes = []
    each = execute.each

    def spy(function, items, *args, **kwargs):
        items = list(items)
        sizes.extend(len(pickle.dumps(item)) for item in items)
        return each(function, items, *args, **kwargs)

    monkeypatch.setattr(execute, "each", spy)
    in_memory(OBJECTS, "o", 10).crossmatch(in_memory(STARS, "s", 10), 1.0).compute(progress=False)
    assert max(sizes) < 1000


def test_pieces_hold_every_pixel_once_and_in_order_and_get_smaller():
    catalog = in_memory(OBJECTS, "o", 10)
    work = execute.Work(catalog.plan, whole(catalog.plan))
    todo = np.arange(1, catalog.npartitions, 2)
    for n_cores in (1, 3, 1000):
        pieces = list(execute._pieces(work, todo, n_cores))
        assert [i for piece in pieces for i in piece] == todo.tolist()
        sizes = [len(piece) for piece in pieces]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] <= max(execute._SMALL_PIECE, todo.size // (16 * n_cores))
        assert sizes[-1] == 1, "all cores end at about the same time"
