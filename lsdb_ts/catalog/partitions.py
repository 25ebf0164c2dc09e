"""Picking partitions of a catalog by number, slice or pixel. What a partition holds, plans decide."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

import numpy as np

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.plan.rows import Pick
from lsdb_ts.sky.pixel import Pixel

AnyCatalog = TypeVar("AnyCatalog", bound=CatalogBase)


class PartitionIndexer(Generic[AnyCatalog]):
    """Picks partitions of a catalog by number, slice, or pixel."""

    def __init__(self, catalog: AnyCatalog) -> None:
        self._catalog = catalog

    def __getitem__(self, which: int | slice | Pixel | Iterable[int]) -> AnyCatalog:
        """Return a catalog of the picked partitions, in the order of the sky; a list may also be a mask of all."""
        layout = self._catalog.layout
        if isinstance(which, Pixel):
            places = np.array(list(layout.overlapping(which.start, which.stop)), dtype=np.int64)
        else:
            listed = (list(which) or slice(0)) if isinstance(which, Iterable) else which
            places = np.arange(len(layout))[listed]
        return self._catalog.with_plan(Pick(self._catalog.plan, layout.take(np.unique(places))))
