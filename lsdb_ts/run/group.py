"""What cannot be added up from parts, such as medians of groups, through Dask. Plans sum up the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.node import Node
from lsdb_ts.run.bridge import to_dask


def aggregate_groups(node: Node, by: Sequence[str], column: str, function: str) -> Any:
    """Sum up a column by groups of rows.

    Parameters
    ----------
    node : Node
        The plan.
    by : sequence of str
        Base columns that rows are grouped by.
    column : str
        A base column. Only it and those are read.
    function : str
        A method of Dask's groups: ``"median"``, ``"nunique"``, ``"first"``, ``"last"``, ``"prod"``.

    Returns
    -------
    pandas.Series
        By group.

    Raises
    ------
    PlanError
        Dask knows no such function, or it does not suit the column.
    """
    frame = to_dask(node, Demand(tuple(dict.fromkeys([*by, column])), node.layout))
    frame = frame.map_partitions(_with_missing, meta=_with_missing(frame._meta))
    groups = frame.groupby(list(by) if len(by) > 1 else by[0])[column]
    try:
        plan = getattr(groups, function)()
    except (ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise PlanError(f'groups have no "{function}" of {column}: {error}') from error
    return plan.compute()


def _with_missing(frame: Any) -> Any:
    """Return a plain frame in which NaN is a missing value: groups of Arrow's floats take it for a number."""
    import pandas

    floats = [c for c in frame.columns if pandas.api.types.is_float_dtype(frame[c].dtype)]
    numbers = {c: frame[c].to_numpy(dtype=frame[c].dtype.numpy_dtype, na_value=float("nan")) for c in floats}
    return pandas.DataFrame(frame).assign(**numbers)
