"""Verbs that take rows by lot: samples, and splits for training and testing. How lots are drawn, plans know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Self, overload

import numpy as np

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.functions.frame import to_frame
from lsdb_ts.plan.functions.reduction import Smallest, over
from lsdb_ts.plan.node import whole
from lsdb_ts.plan.sample import ALL, Draw, Sample, lot

if TYPE_CHECKING:
    import nested_pandas


class SampleVerbs(CatalogBase):
    """Rows taken by lot, the same ones every time."""

    @overload
    def sample(self, n: int, *, seed: int = ...) -> nested_pandas.NestedFrame: ...

    @overload
    def sample(self, n: None = ..., *, frac: float, seed: int = ...) -> Self: ...

    @overload
    def sample(self, *, seed: int = ...) -> nested_pandas.NestedFrame: ...

    def sample(
        self, n: int | None = None, *, frac: float | None = None, seed: int = 0
    ) -> Self | nested_pandas.NestedFrame:
        """Take rows at random, without replacement: the same rows for the same seed, whatever the layout or machine.

        Parameters
        ----------
        n : int, optional
            Number of rows, computed at once as :meth:`head` does; 1 by default, as in pandas. Two passes: one over the
            places of all rows, one over the partitions that hold rows taken.
        frac : float, optional
            Instead of ``n``, the chance of each row to be taken, 0 to 1. The result is a lazy catalog; its number of
            rows is near that fraction.
        seed : int
            Another seed takes other rows.

        Returns
        -------
        nested_pandas.NestedFrame or Catalog
            The rows in the order of the sky.

        Examples
        --------
        >>> import pandas as pd
        >>> import lsdb_ts as lt
        >>> catalog = lt.from_dataframe(pd.DataFrame({"ra": range(300), "dec": 0.0}).astype(float))
        >>> len(catalog.sample(7, seed=3)), len(catalog.sample(frac=1.0))
        (7, 300)
        >>> catalog.sample(7, seed=3).equals(catalog.sample(7, seed=3))
        True
        """
        if frac is None:
            return self._sample_of(1 if n is None else n, seed)
        if n is not None:
            raise PlanError("sample takes n= or frac=, not both")
        if not 0 <= frac <= 1:
            raise PlanError(f"frac={frac} is not a fraction: need 0 to 1 (rows are taken without replacement)")
        return self.with_plan(Sample.of(self.plan, Draw(seed, stop=lot(frac))))

    def random_split(
        self,
        fractions: Sequence[float],
        seed: int = 0,
        by: Literal["pixel", "row"] = "pixel",
        order: int = 5,
    ) -> tuple[Self, ...]:
        """Split into catalogs without a common row, for training and testing.

        Parameters
        ----------
        fractions : sequence of float
            The share of each part; at most 1 in all.
        seed : int
            Another seed splits otherwise.
        by : {"pixel", "row"}
            ``"pixel"`` deals out whole cells of the sky, whatever the layout, so that neighbours (blends, members of a
            cluster, two detections of one star) never stand on both sides; shares are then of the sky. ``"row"`` deals
            out rows one by one.
        order : int
            HEALPix order of the cells; 5 is 1.8 degrees wide.

        Returns
        -------
        tuple of Catalog
            Lazy, one for each fraction.

        Examples
        --------
        >>> import pandas as pd
        >>> import lsdb_ts as lt
        >>> catalog = lt.from_dataframe(pd.DataFrame({"ra": range(300), "dec": 0.0}).astype(float))
        >>> train, test = catalog.random_split([0.8, 0.2], seed=1)
        >>> len(train) + len(test)
        300
        """
        shares = np.asarray(fractions, dtype=np.float64)
        if shares.ndim != 1 or not shares.size or not (shares > 0).all() or shares.sum() > 1 + 1e-9:
            raise PlanError(f"fractions={list(fractions)}: need positive shares that add up to at most 1")
        if by not in ("pixel", "row"):
            raise PlanError(f'by="{by}": a split is by "pixel" or by "row"')
        edges = [lot(min(float(edge), 1.0)) for edge in np.append(0.0, np.cumsum(shares))]
        if abs(shares.sum() - 1) <= 1e-9:
            edges[-1] = ALL
        cells = order if by == "pixel" else None
        draws = [Draw(seed, first, stop, cells) for first, stop in pairwise(edges)]
        return tuple(self.with_plan(Sample.of(self.plan, draw)) for draw in draws)

    def _sample_of(self, n: int, seed: int) -> nested_pandas.NestedFrame:
        if n < 0:
            raise PlanError(f"sample of n={n} rows: need 0 or more")
        from lsdb_ts.run.execute import compute

        if self.plan.count is not None and n > self.plan.count:
            raise PlanError(f"a sample of {n:,} rows of {self.plan.count:,}: rows are taken without replacement")
        draw = Sample.of(self.plan, Draw(seed)).draw
        smallest = Smallest(n, draw, self.plan.count)
        lots = over(self.plan, smallest)
        stop, starts = smallest.merged(compute(lots, whole(lots)).table)
        plan = Sample(self.plan, replace(draw, stop=stop))
        home = self.plan.layout.take(np.isin(self.plan.layout.starts, starts))
        return to_frame(compute(plan, replace(whole(plan), pixels=home)).table)
