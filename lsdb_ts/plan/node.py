"""What every node of a plan is, and the one recursion that computes a pixel: demands flow down, tables flow up.

The kinds of nodes live in the modules beside this one; running many pixels is not done here.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.forecast import Forecast
from lsdb_ts.schema import HEALPIX, has_parts, project
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import Pixel
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.partition import Partition, keep_parts, merge_accounts

_NOWHERE = Layout.of([])


class Node(ABC):
    """One immutable step of a plan. Subclasses are frozen dataclasses; children are themselves nodes."""

    forecasts_demand: ClassVar[bool] = False
    """Whether the forecast is of the demanded columns only; else the share of the others is taken off it."""

    @property
    @abstractmethod
    def children(self) -> tuple[Node, ...]:
        """The nodes this one takes its tables from."""

    @functools.cached_property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Columns the node can give, without ``_healpix_29``."""

    @functools.cached_property
    @abstractmethod
    def layout(self) -> Layout:
        """Pixels the node's rows are computed in, one piece of work each."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the catalog this node stands for."""

    @property
    @abstractmethod
    def positions(self) -> tuple[str, str] | None:
        """Names of the RA and Dec columns; None where rows no longer have a place on the sky."""

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """Sky that holds all rows, where more is known of it than the layout; else None."""
        return None

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """Sky that the rows were cut to on purpose; None where they are those of a whole catalog."""
        return None

    @property
    def count(self) -> int | None:
        """Number of rows where metadata tell it, else None."""
        return None

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return bounds on a column's values where metadata tell them, else None.

        No value lies outside; where rows were dropped, the bounds themselves may not occur.
        """
        return None

    @abstractmethod
    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Say what a demand on this node asks of each child. Raises PlanError where it cannot be met."""

    def unit(self, demand: Demand) -> Demand:
        """Widen a demand to what the node makes at once; what was demanded is then cut out of it."""
        return demand

    @abstractmethod
    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Make one pixel from the children's partitions; may return more columns than demanded, never fewer."""

    def forecast(self, demand: Demand, parts: Sequence[Forecast]) -> Forecast:
        """Return what :meth:`combine` is expected to make of what the children are; from metadata only.

        By default as many rows as the first child has, with the bytes of all.
        """
        rows, size, most = parts[0].rows, sum(p.bytes for p in parts), sum(p.most_bytes for p in parts)
        return Forecast(rows, size, most)

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Return this node's own parameters as JSON, without its children's."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """The node in half a line, for people."""


@dataclass(frozen=True, eq=False)
class Unary(Node):
    """A node with one child that it resembles in all it does not say otherwise."""

    child: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """The one child."""
        return (self.child,)

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The child's columns."""
        return self.child.schema

    @functools.cached_property
    def layout(self) -> Layout:
        """The child's pixels."""
        return self.child.layout

    @property
    def name(self) -> str:
        """The child's name."""
        return self.child.name

    @property
    def positions(self) -> tuple[str, str] | None:
        """The child's positions."""
        return self.child.positions

    @functools.cached_property
    def sky(self) -> Ranges | None:
        """The child's sky."""
        return self.child.sky

    @functools.cached_property
    def footprint(self) -> Ranges | None:
        """The child's footprint."""
        return self.child.footprint

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the child's."""
        return self.child.limits(column)

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Pass the demand on."""
        return (demand,)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Pass the rows on."""
        return parts[0]


class Shelf:
    """What one piece of work keeps between its pixels: the last leaf of each node that makes whole leaves at once.

    Where a match above works in finer pixels, a function on whole partitions is then called once a leaf. What the
    leaf's nodes counted is handed on with its first pixel only.

    Parameters
    ----------
    pixels : Layout
        All pixels of the run, of which this piece computes some.
    """

    def __init__(self, pixels: Layout) -> None:
        self._pixels = pixels
        self._last: dict[int, tuple[Demand, Partition]] = {}

    def cut(self, node: Node, whole: Demand, pixel: Pixel) -> Partition:
        """Return the rows of a pixel out of the leaf that is demanded whole."""
        if len(whole.pixels) == 0:
            return Partition.all_core(output_schema(node, whole).empty_table())
        leaf = whole.pixel
        kept = self._last.get(id(node))
        if kept is None or (kept[0].pixel, kept[0].columns) != (leaf, whole.columns):
            kept = self._last[id(node)] = whole, produce(node, whole, self)
        made = kept[1]
        if HEALPIX in made.table.column_names:
            place = made.table.column(HEALPIX).to_numpy()
            made = made.filter((place >= pixel.start) & (place < pixel.stop))
        first = self._pixels[self._pixels.overlapping(leaf.start, leaf.stop)[0]]
        return made if pixel.start <= first.start < pixel.stop else replace(made, account={})


def produce(node: Node, demand: Demand, shelf: Shelf | None = None) -> Partition:
    """Compute one pixel of a plan.

    Parameters
    ----------
    node : Node
        Root of the plan.
    demand : Demand
        What is wanted of its one pixel.
    shelf : Shelf, optional
        What the pixels before this one left to be used again.

    Returns
    -------
    Partition
        Exactly the demanded columns, sorted by place.
    """
    shelf = shelf or Shelf(demand.pixels)
    whole = node.unit(demand)
    if len(whole.pixels) != 1 or whole.pixel != demand.pixel:
        place = (HEALPIX,) if node.positions is not None else ()
        made = shelf.cut(node, whole.plus(place), demand.pixel)
        return replace(made, table=narrowed(made.table, demand.columns))
    parts = [produce(child, asked, shelf) for child, asked in zip(node.children, node.demands(demand), strict=True)]
    below = merge_accounts(*(part.account for part in parts))
    # Without their accounts: a node that hands a part on unchanged must not count it again.
    made = node.combine(demand, [replace(part, account={}) for part in parts])
    return replace(made, table=narrowed(made.table, demand.columns), account=merge_accounts(below, made.account))


def nodes_of(node: Node) -> Iterator[Node]:
    """Yield a plan's nodes, root first."""
    yield node
    for child in node.children:
        yield from nodes_of(child)


def identity_of(node: Node) -> dict[str, Any]:
    """Return what makes a plan the same plan again, as JSON, root first."""
    return {
        "node": type(node).__name__,
        **node.identity(),
        **({"children": [identity_of(child) for child in node.children]} if node.children else {}),
    }


def check(node: Node, demand: Demand) -> None:
    """Walk a demand down the whole plan, so that what cannot be met raises before any task exists.

    Where the pixels are changes nothing about that, so it is walked for none: the sky of many need not be drawn.
    """
    for child, asked in zip(node.children, node.demands(replace(demand, pixels=_NOWHERE)), strict=True):
        check(child, asked)


def whole(node: Node) -> Demand:
    """Ask for everything a node has: all its columns, in all its pixels."""
    place = (HEALPIX,) if node.positions is not None else ()
    return Demand(columns=(*place, *expanded(node.schema, node.schema.names)), pixels=node.layout)


def expanded(schema: pa.Schema, columns: Iterable[str]) -> tuple[str, ...]:
    """Replace nested columns and structs by their parts, so that a demand always names what is read.

    >>> lc = pa.struct([pa.field("t", pa.list_(pa.float64())), pa.field("x", pa.list_(pa.float64()))])
    >>> expanded(pa.schema([("id", pa.int64()), ("lc", lc)]), ["id", "lc"])
    ('id', 'lc.t', 'lc.x')
    """
    found: list[str] = []
    for name in columns:
        if name in schema.names and has_parts(schema.field(name)):
            found.extend(f"{name}.{part.name}" for part in schema.field(name).type)
        else:
            found.append(name)
    return tuple(dict.fromkeys(found))


def output_schema(node: Node, demand: Demand) -> pa.Schema:
    """Return the schema of what a demand gives: the place first, units and roles in the fields' metadata."""
    place = [pa.field(HEALPIX, pa.int64())] if HEALPIX in demand.columns else []
    return pa.schema([*place, *project(node.schema, demand.columns)])


def narrowed(table: pa.Table, columns: Iterable[str]) -> pa.Table:
    """Return exactly the named columns and parts of nested columns.

    The place comes first, the others keep the table's order.
    """
    wanted = set(columns)
    arrays: list[pa.ChunkedArray] = []
    fields: list[pa.Field] = []
    for column in table.schema:
        parts = [f for f in column.type if f"{column.name}.{f.name}" in wanted] if has_parts(column) else []
        if column.name in wanted or (parts and len(parts) == column.type.num_fields):
            arrays.append(table.column(column.name))
            fields.append(column)
        elif parts:
            fields.append(column.with_type(pa.struct(parts)))
            arrays.append(keep_parts(table.column(column.name), fields[-1].type))
    if not fields and table.num_columns:
        # A table without columns would forget its number of rows.
        return table.select([HEALPIX] if HEALPIX in table.column_names else table.column_names[:1])
    return pa.table(arrays, schema=pa.schema(fields))


def needs_positions(node: Node, verb: str) -> tuple[str, str]:
    """Return the names of the positions, or raise PlanError for a verb that needs them."""
    positions = node.positions
    if positions is None:
        raise PlanError(
            f"{verb} needs positions, and the rows of {node.name} have none: let the function of map_partitions keep "
            f"the frame's index ({HEALPIX}) and its coordinates"
        )
    return positions
