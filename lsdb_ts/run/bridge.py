"""A plan as a Dask DataFrame whose own projections and partition picks still reach our scans.

One small file, public Dask API only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.functions.frame import to_frame
from lsdb_ts.plan.node import Node, check, expanded, output_schema, produce
from lsdb_ts.run.execute import finished
from lsdb_ts.schema import HEALPIX


class _Partitions:
    """Computes one partition; Dask passes ``columns`` down to it when a projection follows."""

    def __init__(self, node: Node, demand: Demand) -> None:
        self.node, self.demand = node, demand

    def __call__(self, i: int, columns: Sequence[str] | None = None) -> Any:
        demand = self.demand.at(self.demand.pixels[i])
        if columns is not None:
            place = (HEALPIX,) if HEALPIX in demand.columns else ()
            names = [columns] if isinstance(columns, str) else list(columns)
            demand = replace(demand, columns=(*place, *expanded(self.node.schema, names)))
        part = produce(self.node, demand)
        frame = to_frame(finished(part.core_table(), output_schema(self.node, demand)))
        return frame if columns is None else frame[columns]


def to_dask(node: Node, demand: Demand) -> Any:
    """Return a lazy ``dask.dataframe.DataFrame``, one partition per pixel, indexed by ``_healpix_29``.

    Partitions are in the order of the sky but their edges are not known to Dask (``divisions`` are None), because rows
    of equal place may not be split between partitions as Dask's divisions ask.

    Notes
    -----
    What Dask projects and picks is what is read: ``ddf[["mag"]]``, ``ddf.mag.mean()``, ``ddf.partitions[3]``,
    ``ddf.groupby("band").mag.max()``, ``ddf[ddf.mag < 20][["objectId"]]`` (two columns), and of
    ``ddf.map_partitions(f, required_columns=["mag"], meta=frame)[["result"]]`` the columns so named. Which *rows* Dask
    keeps it has no public way to tell a source made by ``from_map``: a mask on the frame reads every row group. So
    filter first, where statistics prune: ``catalog.query("mag < 20").to_dask()``. ``len(ddf)`` and ``ddf.query(text)``
    read all columns: count with ``len(catalog)``, and filter as above or with a mask.
    """
    import dask.dataframe as dd

    check(node, demand)
    _teach_dask_nested_columns()
    meta = to_frame(output_schema(node, demand).empty_table())
    if len(demand.pixels) == 0:
        return dd.from_pandas(meta, npartitions=1)
    return dd.from_map(_Partitions(node, demand), range(len(demand.pixels)), meta=meta, enforce_metadata=False)


def _teach_dask_nested_columns() -> None:
    """Let Dask make the small stand-ins for nested columns with which it finds out what an operation returns."""
    from dask.dataframe.extensions import make_array_nonempty
    from nested_pandas import NestedDtype
    from nested_pandas.series.ext_array import NestedExtensionArray

    @make_array_nonempty.register(NestedDtype)
    def _two_empty_curves(dtype: NestedDtype) -> NestedExtensionArray:
        empty = {name: [] for name in dtype.pyarrow_dtype.names}
        return NestedExtensionArray(pa.array([empty, empty], type=dtype.pyarrow_dtype))
