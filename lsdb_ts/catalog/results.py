"""Verbs that compute: into memory, into a catalog on disk, into Dask; and what they would cost.

Statistics and samples are next door.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.explain import Explanation, explain
from lsdb_ts.plan.functions.frame import to_frame
from lsdb_ts.plan.node import whole
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import HEALPIX
from lsdb_ts.store.files import local
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.source import HatsSource

if TYPE_CHECKING:
    import nested_pandas


class ResultVerbs(CatalogBase):
    """Compute, write, look."""

    def explain(self) -> Explanation:
        """Say what computing this would read and do, node by node; touches metadata only.

        Returns
        -------
        Explanation
            To be printed; its ``tasks``, ``rows``, ``bytes``, ``bytes_read`` and ``bytes_per_task`` are numbers.
        """
        return explain(self.plan, whole(self.plan))

    def head(self, n: int = 5) -> nested_pandas.NestedFrame:
        """Return the first n rows in the order of the sky, computing as few partitions as that takes."""
        from lsdb_ts.run.execute import first_rows

        return to_frame(first_rows(self.plan, whole(self.plan), _rows_wanted(n)))

    def tail(self, n: int = 5) -> nested_pandas.NestedFrame:
        """Return the last n rows in the order of the sky, computing as few partitions as that takes."""
        from lsdb_ts.run.execute import last_rows

        return to_frame(last_rows(self.plan, whole(self.plan), _rows_wanted(n)))

    def compute(self, progress: bool | None = None) -> nested_pandas.NestedFrame:
        """Compute all rows: on the active Dask client, or else on all local cores.

        Returns
        -------
        nested_pandas.NestedFrame
            Indexed by ``_healpix_29`` and sorted by it; ``.attrs["account"]`` holds :meth:`account`.
        """
        from lsdb_ts.run.execute import compute

        result = compute(self.plan, whole(self.plan), progress)
        frame = to_frame(result.table)
        frame.attrs["account"] = result.account
        return frame

    def to_arrow(self, progress: bool | None = None) -> pa.Table:
        """Compute all rows as an Arrow table, with ``_healpix_29`` as first column where rows have a place."""
        from lsdb_ts.run.execute import compute

        return compute(self.plan, whole(self.plan), progress).table

    def account(self, progress: bool | None = None) -> Mapping[str, Mapping[str, int]]:
        """Compute what matches and nestings count, without returning rows.

        Returns
        -------
        mapping
            Of a match or a join, under the names of both sides: ``left_rows`` = ``matched`` (with a partner) +
            ``unmatched``; ``pairs``, and of these ``pairs_from_halo``, whose right row lies in another pixel. Where
            only rows with a partner are kept, left rows far from the right side's sky are not looked at: then there is
            ``left_rows_near`` instead, and all but ``matched`` of the catalog's rows have no partner. Right rows are
            counted only where a match keeps them (``right_rows``, ``right_unmatched``): otherwise those far from left
            rows are not read. Through an association also ``links``, and ``right_missing``: links to no right row.
            For a nesting, under the name of the nested column: ``children`` = ``nested`` + ``orphans``.
        """
        from lsdb_ts.run.execute import compute

        return compute(self.plan, self._only_place(), progress).account

    def write(self, path: str | Path, name: str | None = None, progress: bool | None = None) -> Self:
        """Compute all rows into a HATS catalog and open it.

        Files appear under their final names only when they are complete. Interrupted anywhere, the same call does what
        is missing; another plan on the same folder is refused, with what changed.

        Parameters
        ----------
        path : str or pathlib.Path
            Folder of the new catalog, on this machine.
        name : str, optional
            Its name; by default the folder's.

        Raises
        ------
        PlanError
            The path is a URL: catalogs are written to folders.
        """
        from lsdb_ts.run.execute import write

        folder = local(path, "writing a catalog")
        write(self.plan, whole(self.plan), folder, name or folder.name, progress)
        return self.with_plan(Scan(HatsSource(open_hats(folder))))

    def to_dask(self) -> Any:
        """Return a lazy ``dask.dataframe.DataFrame``; columns and partitions picked there are what is read here."""
        from lsdb_ts.run.bridge import to_dask

        return to_dask(self.plan, whole(self.plan))

    def __len__(self) -> int:
        """Count the rows: from metadata where no rows were dropped or added, else by computing."""
        if self.plan.count is not None:
            return self.plan.count
        from lsdb_ts.run.execute import compute

        return compute(self.plan, self._only_place()).table.num_rows

    def _only_place(self) -> Demand:
        demand = whole(self.plan)
        kept = [HEALPIX] if HEALPIX in demand.columns else list(demand.columns)
        return Demand(tuple(kept), demand.pixels)


def _rows_wanted(n: int) -> int:
    if n < 0:
        raise PlanError(f"n={n}: need 0 or more rows; all but some takes the whole catalog, so use compute() for that")
    return n
