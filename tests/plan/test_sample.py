"""Draws by lot: the same rows whatever the layout, evenly spread, never twice the same, and halos that do not leak."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.explain import explain
from lsdb_ts.plan.node import produce, whole
from lsdb_ts.plan.sample import ALL, Draw, Sample, lot
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import HEALPIX, Roles
from lsdb_ts.sky import Layout
from lsdb_ts.sky.pixel import Pixel, cell_of, spatial_index
from lsdb_ts.store.memory import MemorySource
from lsdb_ts.testing import assert_lazy
from tests.skycases import objects_table

TABLE = objects_table(3000)
PIXEL = Pixel(0, 0)


def scan(table: pa.Table, max_rows: int = 200) -> Scan:
    return Scan(MemorySource.of_table(table, "ra", "dec", "objects", max_rows))


def at_place(place: np.ndarray, **columns: object) -> pa.Table:
    return pa.table({HEALPIX: np.sort(place), **columns})


def test_lots_are_what_they_always_were():
    """Another version that drew other rows would break every published sample."""
    table = at_place(np.array([0, 1, 1, 3 << 57]))
    by_row = [425331933238171669, 1415117506491580865, 3660691748460432666, 440178897391689382]
    assert Draw(0).lots(table, PIXEL).tolist() == by_row
    by_cell = [200432158052659242, 200432158052659242, 200432158052659242, 1255808302996807019]
    assert Draw(7, order=2).lots(table, PIXEL).tolist() == by_cell


def test_lots_are_even_and_independent_between_seeds():
    place = spatial_index(*(TABLE[c].to_numpy() for c in ("ra", "dec")))
    table = at_place(np.unique(place))
    lots = [Draw(seed).lots(table, PIXEL) / ALL for seed in (0, 1, -5)]
    for one in lots:
        counts = np.histogram(one, bins=20, range=(0, 1))[0]
        expected = table.num_rows / 20
        assert ((counts - expected) ** 2 / expected).sum() < 45, "chi-square of 19 degrees of freedom, p = 7e-4"
    for one, other in pairwise(lots):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.08


def test_rows_of_one_place_are_told_apart_by_id_and_then_by_sequence():
    table = at_place(np.full(2000, 123), objectId=np.arange(2000) % 1000)
    for draw in (Draw(1), Draw(1, id="objectId")):
        lots = draw.lots(table, PIXEL)
        assert np.unique(lots).size == 2000
        assert 850 < draw.takes(lots)[lots < lot(0.5)].sum() < 1150
    shuffled = table.take(np.random.default_rng(0).permutation(1000))
    by_id = dict(
        zip(shuffled["objectId"].to_pylist(), Draw(1, id="objectId").lots(shuffled, PIXEL).tolist(), strict=True)
    )
    first = Draw(1, id="objectId").lots(table.slice(0, 1000), PIXEL).tolist()
    assert [by_id[i] for i in range(1000)] == first, "the sequence of different ids does not matter"


def test_ids_may_be_texts():
    table = at_place(np.full(500, 9), name=[f"star {i}" for i in range(500)])
    assert np.unique(Draw(1, id="name").lots(table, PIXEL)).size == 500


def test_the_id_is_found_by_its_role():
    tagged = TABLE.cast(Roles(id="objectId", ra="ra", dec="dec").tag(TABLE.schema))
    sample = Sample.of(scan(tagged), Draw(0, stop=lot(0.5)))
    assert sample.draw.id == "objectId"
    assert "objectId" in sample.demands(Demand(("mag",), sample.layout))[0].columns
    assert Sample.of(scan(TABLE), Draw(0)).draw.id is None


@pytest.mark.parametrize("order", [None, 1, 4, 12])
def test_a_pixel_and_its_halo_hold_what_the_whole_sky_would_take(order):
    node = Sample.of(scan(TABLE), Draw(3, stop=lot(0.5), order=order))
    everything = pa.concat_tables(produce(node, whole(node).at(p)).core_table() for p in node.layout)
    taken = set(everything["objectId"].to_pylist())
    assert 0.3 < len(taken) / TABLE.num_rows < 0.7
    wide = 40_000.0
    for pixel in list(scan(TABLE).layout)[::5]:
        asked = Demand((HEALPIX, "objectId"), Layout.of([pixel]), halo_arcsec=wide)
        all_rows = produce(scan(TABLE), asked).table["objectId"].to_pylist()
        found = produce(node, asked).table["objectId"].to_pylist()
        assert sorted(found) == sorted(taken & set(all_rows))


def test_cells_not_taken_are_neither_planned_nor_read():
    child = scan(TABLE, 50)
    node = Sample.of(child, Draw(1, stop=lot(0.1), order=3))
    assert len(node.layout) < len(child.layout)
    (asked,) = node.demands(Demand((), node.layout))
    assert asked.sky is not None
    assert node.footprint is not None
    cells = np.arange(12 * 4**3)
    at_cells = at_place(cells << 52)
    expected = cells[node.draw.takes(node.draw.lots(at_cells, PIXEL))]
    assert np.array_equal(np.unique(cell_of(asked.sky.starts, 3)), expected[np.append(True, np.diff(expected) > 1)])


def test_bounds_stop_at_a_draw_of_rows_and_pass_one_of_cells():
    demand = Demand(("mag",), scan(TABLE).layout, rows={"mag": (None, 18)})
    (by_row,) = Sample.of(scan(TABLE), Draw(1)).demands(demand)
    (by_cell,) = Sample.of(scan(TABLE), Draw(1, order=4)).demands(demand)
    assert by_row.rows == {}
    assert by_cell.rows == {"mag": (None, 18)}


def test_what_cannot_be_drawn_is_refused_at_once():
    with assert_lazy():
        with pytest.raises(PlanError, match=r"a seed is an integer, not 1\.5"):
            Draw(1.5)
        with pytest.raises(PlanError, match="order 31 is not a HEALPix order"):
            Draw(1, order=31)


def test_a_sample_expects_its_share():
    node = Sample.of(scan(TABLE), Draw(1, stop=lot(0.25)))
    line, below = explain(node, whole(node)).lines
    assert line.text == "sample 0.25 of the rows, seed 1"
    assert line.expected.rows == pytest.approx(below.expected.rows / 4, rel=0.01)
