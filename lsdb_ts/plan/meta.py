"""What a user's function on frames returns: declared by its meta, or found on an empty frame. Nodes call it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.columns import Select
from lsdb_ts.plan.frame import FrameFunction, from_frame
from lsdb_ts.plan.identity import name_of
from lsdb_ts.plan.node import Node
from lsdb_ts.schema import HEALPIX, like


def declared_output(child: Node, function: FrameFunction, inputs: tuple[str, ...], meta: Any) -> pa.Schema:
    """Return the schema of a function's output.

    Parameters
    ----------
    child : Node
        What the function is called on; columns it hands on keep their units and roles.
    function : FrameFunction
        The function.
    inputs : tuple of str
        The columns it is given.
    meta : pyarrow.Schema, mapping of dtypes, DataFrame or None
        What it returns. A schema or a mapping with the coordinates stands for rows that keep their place.

    Raises
    ------
    PlanError
        There is no meta, and an empty frame does not tell.
    """
    if isinstance(meta, pa.Schema | Mapping):
        schema = meta if isinstance(meta, pa.Schema) else _of_dtypes(meta)
        kept = child.positions is not None and set(child.positions) <= set(schema.names)
        if kept and HEALPIX not in schema.names:
            schema = pa.schema([pa.field(HEALPIX, pa.int64()), *schema])
    elif meta is not None:
        schema = from_frame(meta.iloc[:0]).schema
    else:
        schema = _found(child, function, inputs)
    unknown = [f.name for f in schema if pa.types.is_null(f.type)]
    if unknown:
        raise PlanError(f'the type of "{unknown[0]}" cannot be told from an empty frame: say it with meta=')
    return like(schema.remove_metadata(), child.schema)


def _found(child: Node, function: FrameFunction, inputs: tuple[str, ...]) -> pa.Schema:
    table = Select(child, inputs).schema.empty_table()
    if child.positions is not None:
        table = table.add_column(0, HEALPIX, pa.array([], pa.int64()))
    try:
        return function(table).schema
    except Exception as error:
        raise PlanError(
            f"cannot find what {name_of(function)} returns: on an empty frame it raised {type(error).__name__}: "
            f"{error}. Say it with meta=, for instance meta={{'objectId': 'int64', 'amplitude': 'float64'}}"
        ) from error


def _of_dtypes(meta: Mapping[str, Any]) -> pa.Schema:
    import pandas

    return from_frame(pandas.DataFrame({name: pandas.Series(dtype=kind) for name, kind in meta.items()})).schema
