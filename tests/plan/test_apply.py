"""Nodes that call functions: what metadata still hold above them, and what they say of a function that fails."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lsdb_ts.errors import PlanError, RunError
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.functions.apply import Extend, Map
from lsdb_ts.plan.node import produce, whole
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import HEALPIX
from lsdb_ts.store.memory import MemorySource
from tests.skycases import objects_table

TABLE = objects_table(500)
SCAN = Scan(MemorySource.of_table(TABLE, "ra", "dec", "objects", 50))
PLACED = pa.schema([pa.field(HEALPIX, pa.int64()), *TABLE.schema])


def same(table: pa.Table) -> pa.Table:
    return table


def negative(table: pa.Table) -> pa.Table:
    return pa.table({"mag": pc.negate(table["mag"])})


def test_a_rowwise_function_keeps_count_and_sky_and_another_one_neither():
    rowwise, wild = (Map(SCAN, same, PLACED, tuple(TABLE.column_names), rowwise=r) for r in (True, False))
    assert (rowwise.count, rowwise.sky) == (500, SCAN.sky)
    assert (wild.count, wild.sky) == (None, None)


def test_limits_of_the_child_are_not_those_of_what_a_function_made():
    assert SCAN.limits("mag") is not None
    assert Map(SCAN, same, PLACED, tuple(TABLE.column_names), rowwise=True).limits("mag") is None
    replaced = Extend(SCAN, negative, (pa.field("mag", pa.float64()),), ("mag",), dropped=("mag",))
    assert replaced.limits("mag") is None
    assert replaced.limits("junk") == SCAN.limits("junk")
    assert replaced.count == 500


@pytest.mark.parametrize("rowwise", [True, False])
def test_a_failing_function_is_named_with_its_pixel_and_keeps_its_cause(rowwise):
    def broken(table: pa.Table) -> pa.Table:
        raise KeyError("no such thing")

    for node in (
        Map(SCAN, broken, PLACED, ("mag",), rowwise),
        Extend(SCAN, broken, (pa.field("x", pa.float64()),), ("mag",)),
    ):
        pixel = node.layout[2]
        with pytest.raises(
            RunError, match=rf"broken on Pixel\({pixel.order}, {pixel.number}\) raised KeyError"
        ) as caught:
            produce(node, whole(node).at(pixel))
        assert isinstance(caught.value.__cause__, KeyError)


def test_errors_that_say_enough_are_passed_on_as_they_are():
    def refusing(table: pa.Table) -> pa.Table:
        raise PlanError("say it otherwise")

    node = Map(SCAN, refusing, PLACED, ("mag",))
    with pytest.raises(PlanError, match=r"^say it otherwise$"):
        produce(node, whole(node).at(node.layout[0]))


def test_bounds_of_a_new_column_stay_above_and_others_pass():
    node = Extend(SCAN, negative, (pa.field("mag", pa.float64()),), ("mag",), dropped=("mag",))
    (asked,) = node.demands(Demand(("mag",), node.layout, rows={"mag": (None, -20), "junk": (0, None)}))
    assert asked.rows == {"junk": (0, None)}
    assert set(asked.columns) == {"mag"}
    made = pa.concat_tables(produce(node, whole(node).at(p)).core_table() for p in node.layout)
    assert np.array_equal(np.sort(made["mag"]), np.sort(-TABLE["mag"].to_numpy()))
