"""Verbs that sum up a catalog: limits, moments, counts, maps of the sky. Samples and whole results are next door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.catalog.groups import Groups
from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.plan.functions.reduction import (
    FUNCTIONS,
    Cells,
    Counts,
    Moments,
    RowCount,
    Summary,
    is_number,
    over,
    value_type,
)
from lsdb_ts.plan.node import Node, Unary, needs_positions, nodes_of, whole
from lsdb_ts.plan.rows import FilterEpochs
from lsdb_ts.plan.sample import Draw, id_of, lot
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import has_parts, require, unit_of

if TYPE_CHECKING:
    import pandas

    from lsdb_ts.views.density import DensityMap

_MAP_ORDER = 8
_DRAWN = 100_000
"""Rows from which percentiles are taken where there are more."""

Functions = str | Sequence[str] | Mapping[str, str | Sequence[str]]


class StatisticVerbs(CatalogBase):
    """Numbers that describe a catalog."""

    def min(self, column: str | Sequence[str] | None = None) -> Any:
        """Return the smallest value of a column: from metadata where no rows were dropped, else in one pass.

        Parameters
        ----------
        column : str or sequence of str, optional
            A column or part of a nested one (``lc.mag``); several give a Series; all numbers by default.

        Returns
        -------
        scalar or pandas.Series
            Missing values, null or NaN, do not count; NaN of no values.

        Examples
        --------
        >>> import pandas as pd
        >>> import lsdb_ts as lt
        >>> catalog = lt.from_dataframe(pd.DataFrame({"ra": [1.0, 2.0], "dec": 0.0, "mag": [20.5, 19.0]}))
        >>> catalog.min("mag"), catalog.max("mag")
        (19.0, 20.5)
        """
        return self._limit(column, "min")

    def max(self, column: str | Sequence[str] | None = None) -> Any:
        """Return the largest value of a column; as :meth:`min`."""
        return self._limit(column, "max")

    def aggregate(self, functions: Functions) -> pandas.Series[Any] | pandas.DataFrame:
        """Sum up columns in one pass over their values alone; no rows travel.

        Parameters
        ----------
        functions : str, sequence of str, or mapping by column
            As for ``pandas.DataFrame.aggregate``, of count, sum, mean, std, var, min and max: ``"mean"``,
            ``["min", "max"]``, ``{"mag": ["mean", "std"], "lc.psfFlux": "max"}``. All numbers where no column is named.

        Returns
        -------
        pandas.Series or pandas.DataFrame
            A Series where one function a column is asked for, else a frame with a row a function.

        Examples
        --------
        >>> import pandas as pd
        >>> import lsdb_ts as lt
        >>> catalog = lt.from_dataframe(pd.DataFrame({"ra": [1.0, 2.0], "dec": 0.0, "mag": [20.5, 19.0]}))
        >>> catalog.aggregate({"mag": ["mean", "count"]})["mag"].tolist()
        [19.75, 2.0]
        """
        import pandas

        asked = functions if isinstance(functions, Mapping) else dict.fromkeys(self._numbers(), functions)
        lists = {c: [f] if isinstance(f, str) else list(f) for c, f in asked.items()}
        for unknown in (f for names in lists.values() for f in names if f not in FUNCTIONS):
            raise PlanError(f'aggregate has no function "{unknown}"; {did_you_mean(unknown, FUNCTIONS)}')
        require(self.schema, lists, self.name)
        for column, names in lists.items():
            kind = value_type(self.plan, column)
            adding = [f for f in names if f not in ("count", "min", "max")]
            if adding and not is_number(kind):
                raise PlanError(f'"{column}" is {kind}, which has no {adding[0]}; it has count, min and max')
        found = self._moments(list(lists))
        if all(isinstance(f, str) for f in asked.values()):
            return pandas.Series({c: _of(found[c], lists[c][0]) for c in lists})
        rows = list(dict.fromkeys(f for names in lists.values() for f in names))
        frame = {c: pandas.Series({f: _of(found[c], f) for f in names}) for c, names in lists.items()}
        return pandas.DataFrame(frame).reindex(rows)

    agg = aggregate

    def describe(
        self, columns: Sequence[str] | None = None, percentiles: Sequence[float] = (0.25, 0.5, 0.75)
    ) -> pandas.DataFrame:
        """Describe columns of numbers, in one pass that reads them alone.

        Parameters
        ----------
        columns : sequence of str, optional
            Columns, and parts of nested ones (``lc.psfFlux``); all base columns of numbers by default.
        percentiles : sequence of float
            Between 0 and 1. Exact up to 100,000 rows; of more rows they are those of 100,000 rows drawn by lot (always
            the same ones), which have the rank asked for to 0.16 % (one standard deviation, at the median).

        Returns
        -------
        pandas.DataFrame
            As ``pandas.DataFrame.describe``: count, mean, std, min, percentiles, max; ``.attrs["units"]`` holds the
            units that columns have.
        """
        import pandas

        shares = sorted(percentiles)
        if any(not 0 <= share <= 1 for share in shares):
            raise PlanError(f"percentiles={list(percentiles)}: need numbers between 0 and 1")
        names = self._numbers() if columns is None else list(columns)
        require(self.schema, names, self.name)
        for name in names:
            kind = value_type(self.plan, name)
            if not is_number(kind):
                raise PlanError(f'"{name}" is {kind}: describe sums up numbers; for others there is value_counts')
        found = self._moments(names, self._drawn() if shares else None)
        table: dict[str, dict[str, float]] = {}
        for name, summary in found.items():
            values = np.quantile(summary.drawn, shares) if summary.drawn.size else np.full(len(shares), np.nan)
            between = dict(zip([f"{100 * share:g}%" for share in shares], values.tolist(), strict=True))
            ends = {f: float(_of(summary, f)) for f in ("count", "mean", "std", "min", "max")}
            table[name] = {**{f: ends[f] for f in ("count", "mean", "std", "min")}, **between, "max": ends["max"]}
        frame = pandas.DataFrame(table)
        frame.attrs["units"] = self._units(names)
        return frame

    def value_counts(self, column: str, normalize: bool = False, dropna: bool = True) -> pandas.Series[Any]:
        """Count how often each value of a column occurs; most frequent first, equal counts by value.

        Parameters
        ----------
        column : str
            A column, or a part of a nested one (``lc.band``).
        normalize : bool
            Give fractions.
        dropna : bool
            Leave missing values out.

        Examples
        --------
        >>> import pandas as pd
        >>> import lsdb_ts as lt
        >>> catalog = lt.from_dataframe(
        ...     pd.DataFrame({"ra": [1.0, 2.0, 3.0], "dec": 0.0, "type": ["qso", "RRL", "qso"]})
        ... )
        >>> catalog.value_counts("type").to_dict()
        {'qso': 2, 'RRL': 1}
        """
        import pandas

        table = self._counted(column, dropna)
        values = pandas.Index(pandas.arrays.ArrowExtensionArray(table.column("value")), name=column)
        counts = pandas.Series(table.column("count").to_numpy(), index=values, name="count")
        return (counts / counts.sum()).rename("proportion") if normalize else counts

    def unique(self, column: str) -> Any:
        """Return the values that occur in a column, sorted, as an Arrow-backed array; missing values last."""
        import pandas

        values = self._counted(column, dropna=False).column("value").combine_chunks()
        return pandas.arrays.ArrowExtensionArray(values.sort())

    def nunique(self, column: str, dropna: bool = True) -> int:
        """Count the different values of a column. They all travel: not for columns of a billion ids."""
        return int(self._counted(column, dropna).num_rows)

    def groupby(self, by: str | Sequence[str]) -> Groups:
        """Group rows by the values of base columns: ``catalog.groupby("class").agg({"mag": ["mean", "count"]})``."""
        return Groups(self, by)

    def density_map(self, order: int | None = None) -> DensityMap:
        """Count the rows in each HEALPix cell.

        From the stored skymap, where the catalog is as it was opened and the skymap is fine enough; else by reading
        ``_healpix_29`` alone (and what filters below need).

        Parameters
        ----------
        order : int, optional
            Order of the cells; by default that of the stored skymap, or else 8 (14 arcmin).

        Returns
        -------
        DensityMap
            ``.counts`` is a full-sky array, ``.plot()`` a picture.

        Examples
        --------
        >>> import pandas as pd
        >>> import lsdb_ts as lt
        >>> catalog = lt.from_dataframe(pd.DataFrame({"ra": [1.0, 1.0, 200.0], "dec": 0.0}))
        >>> sky = catalog.density_map(order=0)
        >>> sky.counts.tolist()
        [0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0, 0]
        """
        from lsdb_ts.views.density import DensityMap, stored_map

        needs_positions(self.plan, "a map of the sky")
        if order is not None and not 0 <= order <= 29:
            raise PlanError(f"order {order} is not a HEALPix order: need 0 to 29")
        stored = stored_map(self.plan) if _keeps_all_rows(self.plan) else None
        if stored is not None and (order is None or order <= stored.order):
            return stored.coarsened(stored.order if order is None else order)
        cells = Cells(_MAP_ORDER if order is None else order)
        return DensityMap(self.name, cells.order, *cells.merged(self._reduced(cells)))

    def _reduced(self, reduction: Any) -> pa.Table:
        from lsdb_ts.run.execute import compute

        plan = over(self.plan, reduction)
        return compute(plan, whole(plan)).table

    def _moments(self, columns: Sequence[str], draw: Draw | None = None) -> dict[str, Summary]:
        if not columns:
            return {}
        moments = Moments.of(self.plan, columns, draw)
        return moments.merged(self._reduced(moments))

    def _counted(self, column: str, dropna: bool) -> pa.Table:
        require(self.schema, [column], self.name)
        counts = Counts.of(self.plan, column)
        found = counts.merged(self._reduced(counts))
        return found.filter(found.column("value").is_valid()) if dropna else found

    def _limit(self, column: str | Sequence[str] | None, which: str) -> Any:
        import pandas

        names = [column] if isinstance(column, str) else self._numbers() if column is None else list(column)
        require(self.schema, names, self.name)
        known = {c: limits for c in names if (limits := _known_limits(self.plan, c)) is not None}
        read = self._moments([c for c in names if c not in known])
        found = {c: known[c][which == "max"] if c in known else _of(read[c], which) for c in names}
        return found[column] if isinstance(column, str) else pandas.Series(found)

    def _numbers(self) -> list[str]:
        kinds = {f.name: value_type(self.plan, f.name) for f in self.schema if not has_parts(f)}
        return [
            name
            for name, kind in kinds.items()
            if is_number(kind) and not pa.types.is_boolean(kind) and kind == self.schema.field(name).type
        ]

    def _drawn(self) -> Draw:
        """Return the draw that takes about as many rows as percentiles need."""
        n = self.plan.count
        if n is None:
            n = RowCount.merged(self._reduced(RowCount()))
        draw = Draw(0, id=id_of(self.plan))
        return replace(draw, stop=lot(_DRAWN / n)) if n > _DRAWN else draw

    def _units(self, names: Sequence[str]) -> dict[str, str]:
        found = {}
        for name in names:
            base, _, part = name.partition(".")
            column = self.schema.field(name if name in self.schema.names else base)
            unit = unit_of(column.type.field(part)) if part and name not in self.schema.names else unit_of(column)
            if unit:
                found[name] = unit
        return found


def _of(summary: Summary, function: str) -> Any:
    value = getattr(summary, function)
    return np.nan if value is None else value


def _keeps_all_rows(plan: Node) -> bool:
    """Tell whether a plan has exactly the rows of a scan, with nothing dropped, repeated or matched."""
    while isinstance(plan, Unary) and plan.count is not None:
        plan = plan.child
    return isinstance(plan, Scan)


def _known_limits(plan: Node, column: str) -> tuple[Any, Any] | None:
    """Return the limits of a column of numbers from metadata, where they are those of the rows."""
    kind = value_type(plan, column)
    exact = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if column not in plan.schema.names and any(isinstance(node, FilterEpochs) for node in nodes_of(plan)):
        # All rows are there, and not all their epochs.
        exact = False
    found = plan.limits(column) if exact and _keeps_all_rows(plan) else None
    return None if found is None or any(value != value for value in found) else found
