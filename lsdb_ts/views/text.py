"""A catalog in words, for terminals and logs. Notebooks get HTML from the module next door."""

from __future__ import annotations

from typing import Any

from lsdb_ts.plan.node import Node
from lsdb_ts.plan.scan import Scan
from lsdb_ts.store.memory import MemorySource
from lsdb_ts.store.source import HatsSource
from lsdb_ts.views.columns import Column, columns_of

_MAX_COLUMNS = 24


def catalog_text(catalog: Any) -> str:
    """Return the ``repr`` of a catalog: name, rows, partitions, columns, and the plan in one line."""
    columns = columns_of(catalog.schema)
    shown = shortened(columns, _MAX_COLUMNS)
    wide = max((len(c.name) for c in shown), default=0)
    lines = [f'Catalog "{catalog.name}": {size_text(catalog)}', *(_line(c, wide) for c in shown)]
    if len(shown) < len(columns):
        lines.append(f"  ... and {len(columns) - len(shown):,} more columns")
    return "\n".join([*lines, f"plan: {plan_line(catalog.plan)}"])


def size_text(catalog: Any) -> str:
    """Say how large a catalog is, as far as that is known without computing."""
    rows = known_rows(catalog.plan)
    n = len(catalog.layout)
    orders = catalog.layout.orders
    told = f"{n:,} partition{'s' if n != 1 else ''}"
    if n:
        low, high = int(orders.min()), int(orders.max())
        told += f" (order {low})" if low == high else f" (orders {low} to {high})"
    if rows is None:
        return f"rows not counted yet, in {told}"
    return f"{rows:,} row{'s' if rows != 1 else ''} in {told}"


def known_rows(plan: Node) -> int | None:
    """Return the rows of a plan that only reads, from metadata; None for others, whose rows must be computed."""
    if not isinstance(plan, Scan):
        return None
    if isinstance(plan.source, HatsSource):
        return plan.source.catalog.n_rows
    return plan.source.table.num_rows if isinstance(plan.source, MemorySource) else None


def plan_line(plan: Node) -> str:
    """Return the plan along its main line, the source first."""
    steps = [plan.summary]
    while plan.children:
        plan = plan.children[0]
        steps.append(plan.summary)
    return " → ".join(reversed(steps))


def shortened(columns: list[Column], at_most: int) -> list[Column]:
    """Return the columns worth showing where there are too many: nested ones, those with a role, then the first."""
    if len(columns) <= at_most:
        return columns
    first = sorted(range(len(columns)), key=lambda i: (not columns[i].parts, not columns[i].role, i))[:at_most]
    return [columns[i] for i in sorted(first)]


def _line(column: Column, wide: int) -> str:
    notes = "  ".join(n for n in (column.unit, f"[{column.role}]" if column.role else "") if n)
    return f"  {column.name:<{wide}}  {column.text:<9}  {notes}".rstrip()
