"""The catalog an astronomer holds: thin lazy verbs, each of which makes a plan node.

No kernels, no I/O, no plotting live here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.apply import Extend, Map
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.explain import as_text, explain
from lsdb_ts.plan.expression import Predicate
from lsdb_ts.plan.frame import FrameFunction, from_frame, to_frame
from lsdb_ts.plan.match import Match
from lsdb_ts.plan.meta import declared_output
from lsdb_ts.plan.nest import Nest
from lsdb_ts.plan.node import Node, whole
from lsdb_ts.plan.rows import Cut, Filter, FilterEpochs, Pick, Select
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import HEALPIX, Roles, is_nested, require
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import Pixel
from lsdb_ts.sky.region import Cone
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.memory import MemorySource
from lsdb_ts.store.source import HatsSource, rows_of

if TYPE_CHECKING:
    import nested_pandas
    import pandas

    from lsdb_ts.features import FeatureSet
    from lsdb_ts.learn import ModelBundle


def open_catalog(path: str | Path, columns: Sequence[str] | None = None) -> Catalog:
    """Open a HATS catalog, or a collection with its margin; reads metadata only.

    Parameters
    ----------
    path : str or pathlib.Path
        Folder of the catalog or collection.
    columns : sequence of str, optional
        Columns to keep. There is no need to: whatever is asked for later is what is read.

    Raises
    ------
    CatalogError
        The folder is not a catalog, or not a finished one.
    """
    catalog = Catalog(Scan(HatsSource(open_hats(path))))
    return catalog if columns is None else catalog[list(columns)]


def from_dataframe(
    df: pandas.DataFrame | pa.Table,
    ra: str = "ra",
    dec: str = "dec",
    name: str = "frame",
    roles: Mapping[str, str] | None = None,
) -> Catalog:
    """Make a catalog of a table in memory; it has the same verbs as one on disk.

    Parameters
    ----------
    df : pandas.DataFrame or pyarrow.Table
        The rows; an index is dropped.
    ra, dec : str
        Columns of ICRS positions, float64 degrees.
    name : str
        Name of the catalog.
    roles : mapping of str to str, optional
        What further columns are, for features and pictures: ``{"time": "hjd", "band": "filter", "mag": "V",
        "mag_error": "eV"}``; see :class:`lsdb_ts.schema.Roles` for all of them. Columns with the usual names need none.

    Raises
    ------
    PlanError
        There are no such columns.
    PositionError
        A position is missing or off the sky; names row and value.
    """
    table = df if isinstance(df, pa.Table) else from_frame(df.reset_index(drop=True))
    missing = [f'{role}="{column}"' for role, column in (("ra", ra), ("dec", dec)) if column not in table.column_names]
    if missing:
        raise PlanError(
            f"the table has no column for {' and '.join(missing)}; name its coordinates (ICRS degrees): "
            f"lt.from_dataframe(df, ra=..., dec=...); there are: {', '.join(table.column_names[:12])}"
        )
    if roles:
        table = pa.table(table.columns, schema=Roles(**roles).tag(table.schema))
    return Catalog(Scan(MemorySource.of_table(table, ra, dec, name)))


class Catalog:
    """A lazy table of objects on the sky, in HEALPix partitions.

    Every verb returns a new catalog and computes nothing; ``compute``, ``write``, ``head`` and ``len`` do. Catalogs are
    made by :func:`open_catalog` and :func:`from_dataframe`.
    """

    def __init__(self, plan: Node) -> None:
        self.plan = plan

    @property
    def name(self) -> str:
        """Name of the catalog."""
        return self.plan.name

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the columns, with units and roles in the fields' metadata."""
        return self.plan.schema

    @property
    def columns(self) -> list[str]:
        """Names of the columns. The index ``_healpix_29`` is not one of them."""
        return list(self.plan.schema.names)

    @property
    def layout(self) -> Layout:
        """Pixels of the partitions."""
        return self.plan.layout

    @property
    def npartitions(self) -> int:
        """Number of partitions, one piece of work each."""
        return len(self.plan.layout)

    @property
    def partitions(self) -> PartitionIndexer:
        """Pick partitions by number or pixel: ``catalog.partitions[0]``, ``[2:5]``, ``[Pixel(3, 17)]``."""
        return PartitionIndexer(self)

    def __getitem__(self, columns: str | Sequence[str]) -> Catalog:
        """Keep some columns; ``["objectId", "lc.psfFlux"]`` keeps one part of a nested one."""
        if not isinstance(columns, str | list | tuple):
            raise PlanError(
                "a catalog takes names of columns in its brackets; for rows there are .query(...), .head(n) and "
                ".partitions[...]"
            )
        names = (columns,) if isinstance(columns, str) else tuple(columns)
        return Catalog(Select(self.plan, names))

    def query(self, expr: str, local_dict: Mapping[str, Any] | None = None) -> Catalog:
        """Keep the rows for which a condition holds.

        Parameters
        ----------
        expr : str
            As for ``pandas.DataFrame.query``: ``"g_mag < 20 and features_g.skew > 1"``. Where all its columns are parts
            of one nested column (``"lc.band == 'g'"``) it keeps epochs instead: every row stays, with those epochs.
        local_dict : mapping, optional
            Variables for ``@name``; by default the caller's.
        """
        variables = local_dict
        if variables is None and "@" in expr:
            caller = sys._getframe(1)
            variables = {**caller.f_globals, **caller.f_locals}
        predicate = Predicate.parse(expr, variables)
        require(self.schema, predicate.columns, self.name)
        bases = [c if c in self.schema.names else c.partition(".")[0] for c in predicate.columns]
        nested = {c for c in bases if is_nested(self.schema.field(c))}
        if not nested:
            return Catalog(Filter(self.plan, predicate))
        if len(nested) > 1 or len(set(bases)) > 1:
            raise PlanError(
                f'"{expr}" mixes rows and epochs: use one query for the base columns and one for each nested column'
            )
        return Catalog(FilterEpochs(self.plan, predicate, nested.pop()))

    def cone_search(self, ra: float, dec: float, radius_arcsec: float) -> Catalog:
        """Keep the rows within ``radius_arcsec`` of a position (ICRS degrees)."""
        return Catalog(Cut(self.plan, Cone(float(ra), float(dec), float(radius_arcsec))))

    def crossmatch(
        self,
        other: Catalog,
        radius_arcsec: float = 1.0,
        n_neighbors: int = 1,
        how: str = "inner",
        suffixes: tuple[str, str] | None = None,
    ) -> Catalog:
        """Find, for each row, the nearest rows of another catalog; adds ``_dist_arcsec``.

        No pair is lost at a partition's edge: the other side's rows beyond it come from its margin if that is wide
        enough, and else from the neighbouring partitions.

        Parameters
        ----------
        other : Catalog
            The right side.
        radius_arcsec : float
            Largest separation, inclusive; above 0, at most 3600.
        n_neighbors : int
            At most so many right rows for each left row.
        how : {"inner", "left"}
            Whether left rows without a partner are dropped, or kept with nulls.
        suffixes : tuple of str, optional
            For names that stand on both sides; by default the catalogs' names (``_left``, ``_right`` if equal).
        """
        right = _plan_of(other, "crossmatch")
        names = (self.name, right.name) if self.name != right.name else ("left", "right")
        chosen = suffixes if suffixes is not None else (f"_{names[0]}", f"_{names[1]}")
        return Catalog(Match(self.plan, right, float(radius_arcsec), int(n_neighbors), how, (chosen[0], chosen[1])))

    def nest(self, sources: Catalog, on: str, name: str = "lc", max_separation_arcsec: float = 5.0) -> Catalog:
        """Give each row its sources as a nested column: a light curve, sorted by time.

        Joined by id, not by position; rows without sources keep an empty curve. Sources that name an unknown id, or lie
        farther from their object than ``max_separation_arcsec``, are counted as orphans (see :meth:`account`), so that
        nested + orphans = sources.

        Parameters
        ----------
        sources : Catalog
            One row per epoch.
        on : str
            Id column of both sides, of one type; unique on the left (repeats are found where they lie near each other).
        name : str
            Name of the nested column.
        max_separation_arcsec : float
            How far from its object a source may lie.
        """
        return Catalog(Nest(self.plan, _plan_of(sources, "nest"), on, name, float(max_separation_arcsec)))

    def map_partitions(
        self,
        func: Callable[..., pandas.DataFrame],
        *args: Any,
        meta: Any = None,
        columns: Sequence[str] | None = None,
        rowwise: bool = False,
        **kwargs: Any,
    ) -> Catalog:
        """Call a function on the frame of every partition.

        Parameters
        ----------
        func : callable
            ``func(frame, *args, **kwargs)`` takes a NestedFrame indexed by ``_healpix_29`` and returns a DataFrame. If
            it keeps index and coordinates, the result can be matched and written like any catalog.
        meta : DataFrame, dict of dtypes, or pyarrow.Schema, optional
            What it returns; by default found by calling it on an empty frame.
        columns : sequence of str, optional
            The columns it needs: only those are read. By default all.
        rowwise : bool
            Each output row depends on its input row only; then the result can serve a halo.
        """
        inputs = tuple(columns) if columns is not None else tuple(self.columns)
        require(self.schema, inputs, self.name)
        function = FrameFunction(func, args, kwargs)
        return Catalog(Map(self.plan, function, declared_output(self.plan, function, inputs, meta), inputs, rowwise))

    def features(self, feature_set: FeatureSet, lightcurve: str = "lc") -> Catalog:
        """Replace a nested light curve by its features.

        Parameters
        ----------
        feature_set : FeatureSet
            Which features; for instance ``FeatureSet.rubin()``.
        lightcurve : str
            The nested column. Only the parts that the features need are read.
        """
        require(self.schema, [lightcurve], self.name)
        from lsdb_ts.features.extraction import Extraction

        extraction = Extraction.of(feature_set, self.schema.field(lightcurve), self.name)
        return Catalog(Extend(self.plan, extraction, extraction.fields, extraction.inputs, dropped=(lightcurve,)))

    def classify(self, bundle: ModelBundle) -> Catalog:
        """Add the class and the probabilities that a trained model gives each row.

        Needs the columns of its features.
        """
        from lsdb_ts.learn.classification import Classification

        require(self.schema, bundle.inputs, self.name)
        return Catalog(Extend(self.plan, Classification(bundle), tuple(bundle.fields), tuple(bundle.inputs)))

    def explain(self) -> str:
        """Say what computing this would read and do, node by node; touches metadata only."""
        return as_text(explain(self.plan, whole(self.plan)))

    def head(self, n: int = 5) -> nested_pandas.NestedFrame:
        """Return the first rows, computing as few partitions as that takes."""
        from lsdb_ts.run.execute import first_rows

        return to_frame(first_rows(self.plan, whole(self.plan), n))

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
            For a match, under the names of both sides: ``left_rows`` looked at, ``matched``, ``pairs`` and
            ``pairs_from_halo``.
            For a nesting, under the name of the nested column: ``children`` = ``nested`` + ``orphans``.
        """
        from lsdb_ts.run.execute import compute

        return compute(self.plan, self._only_place(), progress).account

    def write(self, path: str | Path, name: str | None = None, progress: bool | None = None) -> Catalog:
        """Compute all rows into a HATS catalog and open it.

        Files appear under their final names only when they are complete. Interrupted anywhere, the same call does what
        is missing; another plan on the same folder is refused, with what changed.

        Parameters
        ----------
        path : str or pathlib.Path
            Folder of the new catalog.
        name : str, optional
            Its name; by default the folder's.
        """
        from lsdb_ts.run.execute import write

        folder = Path(path)
        write(self.plan, whole(self.plan), folder, name or folder.name, progress)
        return open_catalog(folder)

    def to_dask(self) -> Any:
        """Return a lazy ``dask.dataframe.DataFrame``; columns and partitions picked there are what is read here."""
        from lsdb_ts.run.bridge import to_dask

        return to_dask(self.plan, whole(self.plan))

    def __len__(self) -> int:
        """Count the rows: from metadata for a catalog as it was opened, else by computing."""
        if isinstance(self.plan, Scan):
            source = self.plan.source
            if isinstance(source, HatsSource):
                return rows_of(source.catalog)
            if isinstance(source, MemorySource):
                return source.table.num_rows
        from lsdb_ts.run.execute import compute

        return compute(self.plan, self._only_place()).table.num_rows

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

    def _only_place(self) -> Demand:
        demand = whole(self.plan)
        kept = [HEALPIX] if HEALPIX in demand.columns else list(demand.columns)
        return Demand(tuple(kept), demand.pixels)


def _plan_of(other: Any, verb: str) -> Node:
    """Return the plan of a catalog, or say how to make one."""
    if not isinstance(other, Catalog):
        raise PlanError(
            f"{verb} needs a catalog and got a {type(other).__name__}: make one with "
            "lt.from_dataframe(df, ra=..., dec=...) or lt.open_catalog(path)"
        )
    return other.plan


class PartitionIndexer:
    """Picks partitions of a catalog by number, slice, or pixel."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __getitem__(self, which: int | slice | Pixel | Iterable[int]) -> Catalog:
        """Return a catalog of the picked partitions."""
        layout = self._catalog.layout
        if isinstance(which, Pixel):
            places = list(layout.overlapping(which.start, which.stop))
        elif isinstance(which, slice):
            places = list(range(len(layout)))[which]
        else:
            places = [range(len(layout))[i] for i in ([which] if isinstance(which, int) else which)]
        import numpy as np

        return Catalog(Pick(self._catalog.plan, layout.take(np.array(sorted(set(places)), dtype=np.int64))))
