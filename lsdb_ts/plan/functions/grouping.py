"""What a partition tells of its groups of rows, small enough to travel, and how the parts add up.

Sums over all rows live in ``reduction``; what cannot be added up from parts is Dask's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lsdb_ts.plan.functions.reduction import is_number, sum_type, value_type
from lsdb_ts.plan.node import Node

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class GroupMoments:
    """Counts, sums, limits and moments of some columns, for each group of rows.

    Attributes
    ----------
    by : mapping of str to pyarrow.DataType
        Columns that make the groups; rows where one is missing are in none, as in pandas.
    columns : mapping of str to pyarrow.DataType
        Columns summed up.
    """

    by: Mapping[str, pa.DataType]
    columns: Mapping[str, pa.DataType]

    @classmethod
    def of(cls, node: Node, by: Sequence[str], columns: Sequence[str]) -> GroupMoments:
        """Plan the moments of base columns of a plan."""
        return cls({c: value_type(node, c) for c in by}, {c: value_type(node, c) for c in columns})

    @property
    def inputs(self) -> tuple[str, ...]:
        """All columns."""
        return tuple(dict.fromkeys([*self.by, *self.columns]))

    @property
    def output(self) -> pa.Schema:
        """One row a group: ``by_i``, ``size``, and for the i-th column what is known of it."""
        fields = [*(pa.field(f"by_{i}", kind) for i, kind in enumerate(self.by.values())), pa.field("size", pa.int64())]
        for i, kind in enumerate(self.columns.values()):
            fields += [pa.field(f"count_{i}", pa.int64()), pa.field(f"min_{i}", kind), pa.field(f"max_{i}", kind)]
            if is_number(kind):
                fields += [pa.field(f"sum_{i}", sum_type(kind))]
                fields += [pa.field(f"{name}_{i}", pa.float64()) for name in ("mean", "squares")]
        return pa.schema(fields)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Sum up the groups of a partition."""
        import pandas

        keys = [_series(table.column(c)).rename(f"by_{i}") for i, c in enumerate(self.by)]
        found = {"size": pandas.Series(1, index=range(table.num_rows)).groupby(keys, sort=False).sum()}
        for i, (column, kind) in enumerate(self.columns.items()):
            values = _series(table.column(column))
            groups = values.groupby(keys, sort=False)
            found |= {f"count_{i}": groups.count(), f"min_{i}": groups.min(), f"max_{i}": groups.max()}
            if is_number(kind):
                numbers = pandas.Series(values.to_numpy(dtype=np.float64, na_value=np.nan))
                means = numbers.groupby(keys, sort=False).transform("mean")
                with np.errstate(invalid="ignore", over="ignore"):
                    squares = (numbers - means) ** 2
                found[f"sum_{i}"] = groups.sum()
                found[f"mean_{i}"] = numbers.groupby(keys, sort=False).mean()
                found[f"squares_{i}"] = squares.groupby(keys, sort=False).sum()
        made = pa.Table.from_pandas(pandas.DataFrame(found).reset_index(), preserve_index=False)
        return made.select(self.output.names).cast(self.output)

    def merged(self, parts: pa.Table) -> pandas.DataFrame:
        """Add up all partitions (Chan, Golub and LeVeque 1979, STAN-CS-79-773, equation 2.1).

        Returns
        -------
        pandas.DataFrame
            A row a group, sorted by it; the columns are pairs (column, function) of count, sum, mean, std, var, min and
            max, and ("", "size").
        """
        import pandas

        frame = pandas.DataFrame({name: _series(parts.column(name)) for name in parts.column_names})
        keys = [frame[f"by_{i}"].rename(name) for i, name in enumerate(self.by)]

        def over_parts(values: Any, how: str) -> Any:
            return values.groupby(keys, sort=True).agg(how)

        found: dict[tuple[str, str], Any] = {("", "size"): over_parts(frame["size"], "sum")}
        for i, (column, kind) in enumerate(self.columns.items()):
            found[column, "count"] = over_parts(frame[f"count_{i}"], "sum")
            found |= {(column, how): over_parts(frame[f"{how}_{i}"], how) for how in ("min", "max")}
            if is_number(kind):
                n, means = (frame[f"{name}_{i}"].to_numpy(np.float64, na_value=np.nan) for name in ("count", "mean"))
                n, total = pandas.Series(n), found[column, "count"].astype(np.float64)
                mean = over_parts(n * means, "sum") / total
                off = means - (n * means).groupby(keys).transform("sum") / n.groupby(keys).transform("sum")
                squares = over_parts(frame[f"squares_{i}"] + n * (off**2).fillna(0.0), "sum")
                found[column, "sum"] = over_parts(frame[f"sum_{i}"], "sum")
                found[column, "mean"] = mean
                found[column, "var"] = squares.astype(np.float64) / (total - 1).where(total > 1)
                found[column, "std"] = found[column, "var"] ** 0.5
        made = pandas.concat(found.values(), axis=1)
        made.columns = pandas.MultiIndex.from_tuples(found)
        return made


def _series(values: pa.ChunkedArray) -> Any:
    """Return a column as pandas groups it best: floats with NaN for missing ones, others as Arrow has them."""
    import pandas

    if pa.types.is_floating(values.type):
        return pandas.Series(values.to_numpy())
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    return pandas.Series(pandas.arrays.ArrowExtensionArray(values.cast(kind)))
