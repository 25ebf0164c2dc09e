"""What a partition tells of its rows, small enough to travel, and how the parts add up: moments, counts, cells, lots.

Each is a function from the table of a partition to a table of partial results; running them is done elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.functions.apply import Map
from lsdb_ts.plan.node import Node
from lsdb_ts.plan.sample import ALL, Draw, lot
from lsdb_ts.schema import HEALPIX, find, has_parts, plain
from lsdb_ts.sky.pixel import Indices, Pixel, cell_of

FUNCTIONS = ("count", "sum", "mean", "std", "var", "min", "max")
"""What can be told of a column from a few numbers a partition."""

NOWHERE = Pixel(0, 0)


class Reduction(Protocol):
    """A function from the rows of a partition to partial results."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns it needs, besides the place."""

    @property
    def output(self) -> pa.Schema:
        """Columns of its partial results."""

    def __call__(self, table: pa.Table) -> pa.Table:
        """Sum up a partition."""


def over(node: Node, reduction: Reduction) -> Map:
    """Return the plan that gives the partial results of each partition of a plan."""
    return Map(node, reduction, reduction.output, reduction.inputs)


@dataclass(frozen=True)
class Summary:
    """What moments tell of the values of a column; missing ones, null or NaN, are not counted."""

    count: int
    sum: Any = None
    mean: float = math.nan
    squares: float = math.nan
    """Sum of the squared deviations from the mean."""
    min: Any = None
    max: Any = None
    drawn: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """Values of the rows drawn."""

    @property
    def var(self) -> float:
        """Variance of a sample (``ddof=1``, as in pandas); NaN of fewer than two values."""
        return self.squares / (self.count - 1) if self.count > 1 else math.nan

    @property
    def std(self) -> float:
        """Standard deviation of a sample."""
        return math.sqrt(self.var) if self.var >= 0 else math.nan


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, sum, mean, deviations and limits of some columns, and the values of the rows that a draw takes.

    Attributes
    ----------
    kinds : mapping of str to pyarrow.DataType
        Type of the values of each column, in the schema's own words; see :meth:`of`.
    draw : Draw or None
        Rows whose values are wanted themselves.
    """

    kinds: Mapping[str, pa.DataType]
    draw: Draw | None = None
    pixel: Pixel = NOWHERE

    @classmethod
    def of(cls, node: Node, columns: Sequence[str], draw: Draw | None = None) -> Moments:
        """Plan the moments of columns, which may be parts of nested ones (``lc.psfFlux``: all epochs of all rows)."""
        return cls({c: value_type(node, c) for c in columns}, draw)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns, and what is drawn by."""
        return tuple(dict.fromkeys([*self.kinds, *(self.draw.inputs if self.draw else ())]))

    @property
    def output(self) -> pa.Schema:
        """One row: for the i-th column ``count_i``, ``low_i``, ``high_i``, and of numbers the others.

        ``mean_i`` of integers is from ``low_i``, so that long ids lose no digits.
        """
        fields = []
        for i, kind in enumerate(self.kinds.values()):
            fields += [pa.field(f"count_{i}", pa.int64()), pa.field(f"low_{i}", kind), pa.field(f"high_{i}", kind)]
            if is_number(kind):
                fields += [pa.field(f"sum_{i}", sum_type(kind))]
                fields += [pa.field(f"{name}_{i}", pa.float64()) for name in ("mean", "squares")]
                fields += [pa.field(f"drawn_{i}", pa.list_(pa.float64()))]
        return pa.schema(fields)

    def at(self, pixel: Pixel) -> Moments:
        """Return the function for a pixel."""
        return replace(self, pixel=pixel)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Sum up a partition."""
        drawn = table.slice(0, 0)
        if self.draw is not None:
            drawn = table.filter(pa.array(self.draw.takes(self.draw.lots(table, self.pixel))))
        found: dict[str, Any] = {}
        for i, (column, kind) in enumerate(self.kinds.items()):
            values = flat(table, column)
            low_high = pc.min_max(values)
            found |= {f"count_{i}": len(values), f"low_{i}": low_high["min"], f"high_{i}": low_high["max"]}
            if is_number(kind):
                numbers = _doubles(_from(values, _zero(kind, low_high["min"].as_py())))
                with np.errstate(invalid="ignore", over="ignore"):
                    mean = numbers.mean() if numbers.size else 0.0
                    squares = float(((numbers - mean) ** 2).sum())
                found |= {f"sum_{i}": pc.sum(values).as_py() or 0, f"mean_{i}": float(mean), f"squares_{i}": squares}
                found[f"drawn_{i}"] = _doubles(flat(drawn, column))
        return pa.table({f.name: _one(found[f.name], f.type) for f in self.output}, schema=self.output)

    def merged(self, parts: pa.Table) -> dict[str, Summary]:
        """Add up the partial results of all partitions (Chan, Golub and LeVeque 1979, STAN-CS-79-773, equation 2.1)."""
        return {c: _summary(parts, i, kind) for i, (c, kind) in enumerate(self.kinds.items())}


def _summary(parts: pa.Table, i: int, kind: pa.DataType) -> Summary:
    counts = parts.column(f"count_{i}").to_numpy()
    n = int(counts.sum())
    low = pc.min_max(parts.column(f"low_{i}")).as_py()["min"]
    high = pc.min_max(parts.column(f"high_{i}")).as_py()["max"]
    if not is_number(kind):
        return Summary(n, min=low, max=high)
    total = parts.column(f"sum_{i}").to_numpy().sum()
    drawn = parts.column(f"drawn_{i}").combine_chunks().flatten().to_numpy()
    if n == 0:
        return Summary(0, total.item(), min=math.nan, max=math.nan, drawn=drawn)
    means, squares = (parts.column(f"{name}_{i}").to_numpy()[counts > 0] for name in ("mean", "squares"))
    counts, zero = counts[counts > 0], _zero(kind, low)
    zeros = [_zero(kind, low_of_part) for low_of_part in parts.column(f"low_{i}").drop_null().to_pylist()]
    with np.errstate(invalid="ignore", over="ignore"):
        means = means + np.array([float(part - zero) for part in zeros])
        mean = float((counts * means).sum() / n)
        spread = float(squares.sum() + (counts * (means - mean) ** 2).sum())
    return Summary(n, total.item(), zero + mean, spread, low, high, drawn)


def _zero(kind: pa.DataType, low: Any) -> int:
    """Return what moments are taken from: the smallest integer, because long ids are no exact float64."""
    return int(low) if pa.types.is_integer(kind) and low is not None else 0


def _from(values: pa.Array, zero: int) -> pa.Array:
    """Subtract a zero exactly: Arrow wraps around, and read as unsigned the difference is right."""
    if zero == 0:
        return values
    wide = values.cast(pa.uint64() if pa.types.is_unsigned_integer(values.type) else pa.int64())
    return pc.subtract(wide, pa.scalar(zero, wide.type)).view(pa.uint64())


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each value of a column occurs."""

    column: str
    kind: pa.DataType

    @classmethod
    def of(cls, node: Node, column: str) -> Counts:
        """Plan the counts of a column, or of all epochs of a part of a nested one."""
        return cls(column, value_type(node, column))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def output(self) -> pa.Schema:
        """One row a value; missing ones are null."""
        return pa.schema([pa.field("value", self.kind), pa.field("count", pa.int64())])

    def __call__(self, table: pa.Table) -> pa.Table:
        """Count the values of a partition."""
        values = flat(table, self.column, keep_missing=True)
        if pa.types.is_floating(values.type):
            # One zero and one kind of missing value, as in pandas.
            values = pc.add(
                pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values), pa.scalar(0, values.type)
            )
        counted = pc.value_counts(values)
        return pa.table([counted.field("values"), counted.field("counts")], schema=self.output)

    def merged(self, parts: pa.Table) -> pa.Table:
        """Add up all partitions: most frequent first, equal ones by value, missing ones last among them."""
        total = parts.group_by("value").aggregate([("count", "sum")]).rename_columns(["value", "count"])
        return total.select(["value", "count"]).sort_by([("count", "descending"), ("value", "ascending")])


@dataclass(frozen=True)
class Cells:
    """How many rows lie in each HEALPix cell of an order."""

    order: int

    @property
    def inputs(self) -> tuple[str, ...]:
        """The place alone."""
        return ()

    @property
    def output(self) -> pa.Schema:
        """One row an occupied cell."""
        return pa.schema([pa.field("cell", pa.int64()), pa.field("rows", pa.int64())])

    def __call__(self, table: pa.Table) -> pa.Table:
        """Count the rows of a partition."""
        cells, rows = np.unique(cell_of(table.column(HEALPIX).to_numpy(), self.order), return_counts=True)
        return pa.table([pa.array(cells), pa.array(rows.astype(np.int64))], schema=self.output)

    def merged(self, parts: pa.Table) -> tuple[Indices, Indices]:
        """Add up all partitions: (cells in rising order, rows in each)."""
        cells, place = np.unique(parts.column("cell").to_numpy(), return_inverse=True)
        rows = np.zeros(cells.size, dtype=np.int64)
        np.add.at(rows, place, parts.column("rows").to_numpy())
        return cells, rows


@dataclass(frozen=True)
class RowCount:
    """How many rows there are."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """No column."""
        return ()

    @property
    def output(self) -> pa.Schema:
        """One row."""
        return pa.schema([pa.field("rows", pa.int64())])

    def __call__(self, table: pa.Table) -> pa.Table:
        """Count the rows of a partition."""
        return pa.table([pa.array([table.num_rows])], schema=self.output)

    @staticmethod
    def merged(parts: pa.Table) -> int:
        """Add up all partitions."""
        return int(parts.column("rows").to_numpy().sum())


@dataclass(frozen=True, eq=False)
class Smallest:
    """The smallest lots of a draw, and where they lie: with them exactly n rows can be taken.

    Attributes
    ----------
    n : int
        Number of rows wanted in all.
    draw : Draw
        Gives the lots.
    of : int or None
        Number of rows there are, if known: then lots that are surely too large stay at home.
    """

    n: int
    draw: Draw
    of: int | None = None
    pixel: Pixel = NOWHERE

    @property
    def inputs(self) -> tuple[str, ...]:
        """What is drawn by."""
        return self.draw.inputs

    @property
    def output(self) -> pa.Schema:
        """One row a candidate, with the start of its pixel."""
        return pa.schema([pa.field("lot", pa.int64()), pa.field("start", pa.int64())])

    def at(self, pixel: Pixel) -> Smallest:
        """Return the function for a pixel."""
        return replace(self, pixel=pixel)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Find the candidates of a partition."""
        lots = self.draw.lots(table, self.pixel)
        lots = lots[lots < self._enough]
        if lots.size > self.n:
            lots = np.partition(lots, max(self.n - 1, 0))[: self.n]
        return pa.table([pa.array(lots), pa.array(np.full(lots.size, self.pixel.start))], schema=self.output)

    def merged(self, parts: pa.Table) -> tuple[int, Indices]:
        """Return the lot below which exactly n rows lie, and the starts of the pixels that hold them.

        Raises
        ------
        PlanError
            There are fewer rows.
        """
        if parts.num_rows < self.n:
            raise PlanError(f"a sample of {self.n:,} rows of {parts.num_rows:,}: rows are taken without replacement")
        if self.n == 0:
            return 0, np.empty(0, dtype=np.int64)
        lots = parts.column("lot").to_numpy()
        stop = int(np.partition(lots, self.n - 1)[self.n - 1]) + 1
        return stop, np.unique(parts.column("start").to_numpy()[lots < stop])

    @property
    def _enough(self) -> int:
        """A lot below which n rows lie but for a chance of 1e-20: ten standard deviations more than n are expected."""
        return lot(min((self.n + 10 * math.sqrt(self.n) + 100) / self.of, 1.0)) if self.of else ALL


def value_type(node: Node, column: str) -> pa.DataType:
    """Return the type of the single values of a column or of a part of a nested one.

    Raises
    ------
    PlanError
        It has no single values: it is a nested column or a struct as a whole.
    """
    known = find(node.schema, column)
    if known is None or has_parts(known):
        parts = [f"{column}.{part.name}" for part in known.type] if known is not None else []
        raise PlanError(
            f'"{column}" of {node.name} has parts: name one of them, for instance "{(parts or [column])[0]}"'
        )
    kind = plain(known.type)
    return kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else kind


def is_number(kind: pa.DataType) -> bool:
    """Tell whether values can be added up: integers, floats and flags."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def sum_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of a sum of numbers."""
    if pa.types.is_floating(kind):
        return pa.float64()
    return pa.uint64() if pa.types.is_unsigned_integer(kind) else pa.int64()


def flat(table: pa.Table, column: str, keep_missing: bool = False) -> pa.Array:
    """Return the single values of a column or of a part of a nested one, lists laid end to end."""
    base, _, part = column.partition(".")
    whole = column in table.column_names
    values = table.column(column if whole else base).combine_chunks()
    if not whole:
        values = pc.struct_field(values, part)
    values = values.cast(plain(values.type))
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        values = values.flatten()
    return values if keep_missing else values.filter(pc.invert(pc.is_null(values, nan_is_null=True)))


def _doubles(values: pa.Array) -> NDArray[np.float64]:
    """Return numbers as float64; int64 beyond 2**53 is rounded."""
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def _one(value: Any, kind: pa.DataType) -> pa.Array:
    return pa.array([value.as_py() if isinstance(value, pa.Scalar) else value], kind)
