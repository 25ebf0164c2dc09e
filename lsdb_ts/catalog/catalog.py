"""The catalog an astronomer holds: thin lazy verbs, each of which makes a plan node.

The verbs live by family in the modules beside this one. No kernels, no I/O, no plotting live here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from lsdb_ts.catalog.columns import ColumnVerbs
from lsdb_ts.catalog.curves import CurveVerbs
from lsdb_ts.catalog.functions import FunctionVerbs
from lsdb_ts.catalog.joins import JoinVerbs
from lsdb_ts.catalog.matching import MatchVerbs
from lsdb_ts.catalog.partitions import PartitionIndexer
from lsdb_ts.catalog.regions import RegionVerbs
from lsdb_ts.catalog.results import ResultVerbs
from lsdb_ts.catalog.samples import SampleVerbs
from lsdb_ts.catalog.statistics import StatisticVerbs


class Catalog(
    ColumnVerbs,
    RegionVerbs,
    MatchVerbs,
    JoinVerbs,
    CurveVerbs,
    FunctionVerbs,
    StatisticVerbs,
    SampleVerbs,
    ResultVerbs,
):
    """A lazy table of objects on the sky, in HEALPix partitions.

    Every verb returns a new catalog and computes nothing; ``compute``, ``write``, ``head`` and ``len`` do. Catalogs are
    made by :func:`open_catalog` and :func:`from_dataframe`.
    """

    @property
    def partitions(self) -> PartitionIndexer[Self]:
        """Pick partitions by number or pixel: ``catalog.partitions[0]``, ``[2:5]``, ``[Pixel(3, 17)]``."""
        return PartitionIndexer(self)

    def __contains__(self, column: object) -> bool:
        """Tell whether there is such a column."""
        return column in self.schema.names

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the columns, as a frame does."""
        return iter(self.columns)

    def __bool__(self) -> bool:
        """Be true without counting rows."""
        return True

    def __repr__(self) -> str:
        from lsdb_ts.views.text import catalog_text

        return catalog_text(self)

    def _repr_html_(self) -> str:
        from lsdb_ts.views.html import catalog_html

        return catalog_html(self)
