"""Pictures of density maps: the map is drawn as it was counted, with its name and without partitions."""

import numpy as np

from lsdb_ts.sky import Cone
from tests.skycases import in_memory, objects_table

TABLE = objects_table(2000)


def test_a_density_map_draws_itself():
    catalog = in_memory(TABLE, "stars", 100)
    axes = catalog.density_map(4).plot()
    words = " ".join(text.get_text() for text in axes.figure.findobj(lambda a: hasattr(a, "get_text")))
    assert "stars" in words
    assert "2,000 rows" in words
    assert "partition" not in words
    near = catalog.density_map(9).plot(region=Cone(45.0, 41.8, 36_000.0), heading="a corner")
    assert "a corner" in " ".join(text.get_text() for text in near.figure.findobj(lambda a: hasattr(a, "get_text")))


def test_an_empty_map_is_drawn_too():
    nothing = in_memory(TABLE.slice(0, 0), "nothing").density_map(3)
    assert nothing.counts.sum() == 0
    assert nothing.plot() is not None


def test_coarsening_keeps_rows():
    fine = in_memory(TABLE, "stars").density_map(8)
    coarse = fine.coarsened(2)
    assert coarse.rows.sum() == 2000
    assert np.array_equal(coarse.counts, fine.counts.reshape(-1, 4**6).sum(axis=1))
