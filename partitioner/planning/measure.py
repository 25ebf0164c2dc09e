"""Count the rows of a survey's tables, and choose the leaves and buckets of its catalogs; no row is moved.

What lies where, once it is counted, is known in ``census``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsdb_ts.errors import InputError, RunError
from lsdb_ts.run.pool import each
from lsdb_ts.run.progress import stage
from lsdb_ts.sky import Layout
from partitioner.inputs.tables import TableInput, width_of
from partitioner.planning.census import Census, Curves, Limits, Tiling
from partitioner.planning.estimate import IN_MEMORY_BYTES, Estimate, Move, Sample, Workforce, estimate, sample
from partitioner.planning.histogram import (
    FIRST_ORDER,
    MOST_CELLS,
    Histogram,
    Look,
    count_rows,
    count_unit,
    position_error,
)
from partitioner.planning.product import Product, bucket_edges
from partitioner.surveys.survey import Nested, Survey, Table


@dataclass(frozen=True, eq=False)
class Measured:
    """A survey's tables, counted."""

    survey: Survey
    inputs: Mapping[str, TableInput]
    """With the rows of every file known."""
    histograms: Mapping[str, Histogram]
    """Of the tables whose positions matter."""
    samples: Mapping[str, Sample]
    show: bool | None

    def product(self, table: Table, bucket_bytes: int) -> Product:
        """Choose the leaves and the buckets of the catalog that a table becomes."""
        limits = Limits(table.row_limit, table.byte_limit)
        first = self._census(table, self.histograms)
        tiling = Tiling.of(first, limits, lambda pixels, order: self._closer(table, pixels, order))
        return Product.of(self.survey, table, tiling, bucket_edges(tiling.bytes, bucket_bytes))

    def estimate(
        self, products: Sequence[Product], out: Path, force: Workforce, stream_bytes: int = IN_MEMORY_BYTES
    ) -> Estimate:
        """Add up what it takes to make some catalogs."""
        moved = [name for p in products for name in (p.table, *(n.table for n in p.nest))]
        moves = [Move(name, self.inputs[name].rows) for name in moved]
        largest = max((p.largest_bucket_bytes for p in products), default=0.0)
        return estimate(moves, self.samples, largest, out, force, stream_bytes)

    def _census(self, table: Table, found: Mapping[str, Histogram]) -> Census:
        together = [table.follow or table.name, table.name, *(n.table for n in table.nest)]
        order = min(found[n].order for n in together if n in found)
        found = {n: found[n].coarser(order) for n in together if n in found}
        if table.follow is not None:
            return Census.following(found[table.follow], self._curves(Nested(table.name, ""), table.follow, found))
        curves = tuple(self._curves(n, table.name, found) for n in table.nest)
        return Census.of(found[table.name], self.samples[table.name].row_bytes, curves)

    def _curves(self, nested: Nested, parent: str, found: Mapping[str, Histogram]) -> Curves:
        child = self.inputs[nested.table]
        each = child.rows / max(self.inputs[parent].rows, 1)
        return Curves(each, self.samples[nested.table].row_bytes * _share(nested, child), found.get(nested.table))

    def _closer(self, table: Table, pixels: Layout, order: int) -> Census:
        """Count again what is in some pixels, at a finer order."""
        names = [table.follow or table.name, *(n.table for n in table.nest), table.name]
        coarsest = int(pixels.orders.max()) + 1
        looks = {n: Look(self.inputs[n], order, pixels, coarsest) for n in names if n in self.histograms}
        return self._census(table, {n: _counted(look, count_unit, self.show) for n, look in looks.items()})


def measure(survey: Survey, inputs: Mapping[str, TableInput], on_bad: str, show: bool | None) -> Measured:
    """Count the rows of a survey's tables, by position where it matters.

    Raises
    ------
    InputError
        A file cannot be read, a position is not on the sky (PositionError), or a catalog would be empty.
    """
    found = {}
    for table in survey.tables:
        raw = inputs[table.name]
        if _is_placed(survey, table, raw):
            found[table.name] = _counted(Look(raw, FIRST_ORDER), count_unit, show)
        elif not raw.is_counted:
            found[table.name] = _counted(Look(raw, 0), count_rows, show)
    inputs = {name: raw.counted(found[name].rows) if name in found else raw for name, raw in inputs.items()}
    for table in survey.catalogs:
        _check_positions(table, inputs[table.name], found.get(table.name), table.on_bad or on_bad)
    samples = {n: sample(raw) for n, raw in inputs.items() if n not in survey.only_looked_up}
    placed = {t.name: found[t.name] for t in survey.tables if _is_placed(survey, t, inputs[t.name])}
    return Measured(survey, inputs, placed, samples, show)


def _is_placed(survey: Survey, table: Table, raw: TableInput) -> bool:
    """Tell whether the positions of a table's rows matter: for its own leaves, or for the bytes of its parent's."""
    if table in survey.catalogs and table.follow is None:
        return True
    parent = survey.nested.get(table.name)
    weighs = parent is not None and survey.table(parent).byte_limit is not None
    has_positions = raw.roles.ra is not None and raw.roles.dec is not None
    return has_positions and (weighs or table.follow is not None)


def _check_positions(table: Table, raw: TableInput, found: Histogram | None, on_bad: str) -> None:
    if found is None or table.follow is not None:
        return
    if found.bad and on_bad == "raise":
        raise position_error(raw, found)
    if not found.cells.size:
        raise InputError(
            f'the table "{table.name}" has no row with a place on the sky: there is no catalog to make of it'
        )


def _counted(look: Look, function: Callable[[Any, Any], Any], show: bool | None) -> Histogram:
    """Count a table, unit by unit."""
    units = look.table.units
    parts: list[Histogram] = []
    with stage(f"count {look.table.name}", len(units), "units", show) as advance:
        for outcome in each(function, units, look):
            if outcome.failure is not None:
                raise RunError(f"could not count {outcome.failure.item}: {outcome.failure.error}", [outcome.failure])
            if isinstance(outcome.value, InputError):
                raise outcome.value
            assert outcome.value is not None, "what has not failed was counted"
            parts.append(outcome.value)
            # Not with every unit, for what there is already is gone through each time.
            if sum(h.cells.size for h in parts[1:]) > max(MOST_CELLS, parts[0].cells.size):
                parts = [look.total(parts)]
            advance(1)
    return look.total(parts)


def _share(nested: Nested, child: TableInput) -> float:
    """Return which part of the bytes of a child's row is nested."""
    if not nested.columns:
        return 1.0
    widths = {f.name: width_of(f.type) for f in child.schema}
    return sum(widths[c] for c in nested.columns if c in widths) / max(sum(widths.values()), 1)
