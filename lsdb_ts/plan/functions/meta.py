"""What a user's function on frames returns: declared by its meta, or found on an empty frame. Nodes call it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.identity import name_of
from lsdb_ts.plan.columns import Select
from lsdb_ts.plan.functions.frame import FrameFunction, from_frame
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
    if meta is None:
        schema = _found(child, function, inputs)
    else:
        schema = declared(meta)
        kept = isinstance(meta, pa.Schema | Mapping) and child.positions and set(child.positions) <= set(schema.names)
        if kept and HEALPIX not in schema.names:
            schema = pa.schema([pa.field(HEALPIX, pa.int64()), *schema])
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


def declared(meta: Any) -> pa.Schema:
    """Return the schema that a meta stands for.

    Parameters
    ----------
    meta : pyarrow.Schema, mapping of str to dtype, or DataFrame
        Dtypes may be those of Arrow, pandas and numpy, or their names.

    Raises
    ------
    PlanError
        It is something else, or a dtype is unknown.
    """
    import pandas

    if isinstance(meta, pa.Schema):
        return meta
    if isinstance(meta, pandas.DataFrame):
        return from_frame(meta.iloc[:0]).schema
    if not isinstance(meta, Mapping) or not meta:
        raise PlanError(
            f"meta={meta!r}: need a mapping like {{'amplitude': 'float64'}}, a DataFrame or a pyarrow.Schema"
        )
    fields = []
    for name, kind in meta.items():
        try:
            found = kind if isinstance(kind, pa.DataType) else _arrow_type(kind)
        except (TypeError, ValueError, pa.ArrowException) as error:
            raise PlanError(f'meta declares "{name}" as {kind!r}, which is not a dtype: {error}') from error
        fields.append(pa.field(name, found))
    return pa.schema(fields)


def _arrow_type(dtype: Any) -> pa.DataType:
    import pandas

    return from_frame(pandas.DataFrame({"column": pandas.Series(dtype=dtype)})).schema.field("column").type
