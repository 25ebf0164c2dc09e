"""Columns that rows get from the table of their visits: kept beside the journal, small, and looked up by key.

Which columns these are is known in visits.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.errors import IdError
from lsdb_ts.store.write import unflushed
from partitioner.inputs.tables import bad_input_as_value, read_unit
from partitioner.moving.spill import written_here
from partitioner.planning.plan import Plan


def visited_tables(planned: Plan) -> list[str]:
    """Return the tables that get columns from others."""
    return [t.name for t in planned.survey.tables if t.visit is not None]


@bad_input_as_value
def collect_visits(planned: Plan, table: str) -> dict[str, Any]:
    """Keep what the rows of a table get from that of their visits; raises IdError where a visit comes twice."""
    visit = planned.survey.table(table).visit
    assert visit is not None
    key, names = visit.on[1], [visit.on[1], *(c for c in visit.columns if c != visit.on[1])]
    schema = planned.inputs[visit.table].schema
    units = planned.units(visit.table)
    chunks = [c.table.select(names) for unit in units for c in read_unit(unit, schema, names)]
    known = pa.concat_tables([pa.schema([schema.field(n) for n in names]).empty_table(), *chunks])
    known = known.filter(known.column(key).is_valid()).combine_chunks()
    counted = pc.value_counts(known.column(key))
    twice = counted.filter(pc.greater(counted.field("counts"), 1))
    if len(twice):
        raise IdError(
            f'{key} {twice[0]["values"].as_py()} of the table "{visit.table}" comes {twice[0]["counts"].as_py()} times '
            f'({len(twice)} do so): rows of "{table}" would have several visits; remove the others'
        )
    path = _kept(planned, table)
    path.parent.mkdir(parents=True, exist_ok=True)
    with unflushed(path) as temporary, pa.ipc.new_file(str(temporary), known.schema) as writer:
        writer.write_table(known)
    return {"rows": known.num_rows, **written_here()}


def with_visits(planned: Plan, table: str, rows: pa.Table) -> tuple[pa.Table, int]:
    """Return rows with the columns of their visits at the end, null where there is no such visit; and for how many."""
    visit = planned.survey.table(table).visit
    if visit is None:
        return rows, 0
    path = _kept(planned, table)
    known = _known(str(path), path.stat().st_mtime_ns)
    keys, wanted = known.column(visit.on[1]), rows.column(visit.on[0])
    if pa.types.is_integer(wanted.type):
        keys, wanted = keys.cast(pa.int64(), safe=False), wanted.cast(pa.int64(), safe=False)
    else:
        keys, wanted = keys.cast(pa.large_string()), wanted.cast(pa.large_string())
    at = pc.index_in(wanted, value_set=keys.combine_chunks(), skip_nulls=True)
    for name in visit.columns:
        rows = rows.append_column(planned.columns[table].field(name), known.column(name).take(at))
    return rows, at.null_count


def _kept(planned: Plan, table: str) -> Path:
    return planned.work / "visits" / f"{table}.arrow"


@functools.lru_cache(maxsize=16)
def _known(path: str, stamp: int) -> pa.Table:
    with pa.memory_map(path) as file:
        return pa.ipc.open_file(file).read_all()
