"""Verbs that call functions: a user's own, features, and trained models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.columns import Select
from lsdb_ts.plan.functions.apply import Extend, Map
from lsdb_ts.plan.functions.frame import FIRST_PIXEL, FrameFunction
from lsdb_ts.plan.functions.meta import declared, declared_output
from lsdb_ts.plan.functions.rowfunction import RowFunction
from lsdb_ts.plan.node import expanded
from lsdb_ts.schema import HEALPIX, Roles, require

if TYPE_CHECKING:
    import pandas

    from lsdb_ts.features import FeatureSet
    from lsdb_ts.learn import ModelBundle


class FunctionVerbs(CatalogBase):
    """Functions on partitions and rows."""

    def map_partitions(
        self,
        func: Callable[..., pandas.DataFrame],
        *args: Any,
        meta: Any = None,
        columns: Sequence[str] | None = None,
        rowwise: bool = False,
        include_pixel: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Call a function on the frame of every partition.

        An error in it names the function and the pixel.

        Parameters
        ----------
        func : callable
            ``func(frame, *args, **kwargs)`` takes a NestedFrame indexed by ``_healpix_29`` and returns a DataFrame. If
            it keeps index and coordinates, the result can be matched and written like any catalog. NaN in what it
            computes is missing (null), as in pandas; columns it hands on keep each NaN that they were read with.
        meta : DataFrame, dict of dtypes, or pyarrow.Schema, optional
            What it returns; by default found by calling it on an empty frame.
        columns : sequence of str, optional
            The columns it needs: only those are read. By default all.
        rowwise : bool
            Each output row depends on its input row only; then the result can serve a halo.
        include_pixel : bool
            Call ``func(frame, pixel, *args, **kwargs)``, with the :class:`Pixel` of the partition.

        Examples
        --------
        >>> import pandas as pd
        >>> import lsdb_ts as lt
        >>> catalog = lt.from_dataframe(pd.DataFrame({"ra": [1.0, 200.0], "dec": 0.0, "mag": [20.5, 19.0]}))
        >>> catalog.map_partitions(lambda frame: frame.assign(bright=frame["mag"] < 20), rowwise=True).compute()[
        ...     "bright"
        ... ].sum()
        1
        """
        if rowwise and include_pixel:
            raise PlanError(
                "a rowwise function is also given rows of the halo, which are not of its pixel: leave one out"
            )
        inputs = tuple(columns) if columns is not None else tuple(self.columns)
        require(self.schema, inputs, self.name)
        function = FrameFunction(func, args, kwargs, FIRST_PIXEL if include_pixel else None)
        return self.with_plan(
            Map(self.plan, function, declared_output(self.plan, function, inputs, meta), inputs, rowwise)
        )

    def map_rows(
        self,
        func: Callable[[dict[str, Any]], Any],
        columns: Sequence[str] | None = None,
        *,
        meta: Any,
        append: bool = True,
    ) -> Self:
        """Call a function on every row.

        Parameters
        ----------
        func : callable
            Takes a row as a dict by column: base columns as Python values, parts of light curves (``row["lc.flux"]``)
            as numpy arrays. Returns a dict by new column, or the value itself where there is one; None and NaN are
            missing (null).
        columns : sequence of str, optional
            What it is given, and what is read: base columns, parts of nested ones, or nested ones with all their parts.
            By default all.
        meta : mapping of str to dtype, DataFrame, or pyarrow.Schema
            The new columns; not guessed, because no row is read before something is computed.
        append : bool
            Add the new columns to the catalog's; if not, keep the new ones only.

        Returns
        -------
        Catalog
            Lazy. The function is only called where a new column is wanted. An error in it names row, id and pixel.

        Examples
        --------
        >>> import pandas as pd
        >>> import lsdb_ts as lt
        >>> catalog = lt.from_dataframe(pd.DataFrame({"ra": [1.0, 200.0], "dec": 0.0, "mag": [20.5, 19.0]}))
        >>> catalog.map_rows(lambda row: row["mag"] - 5, ["mag"], meta={"absolute": float}).compute()[
        ...     "absolute"
        ... ].tolist()
        [15.5, 14.0]
        """
        names = expanded(self.schema, self.columns if columns is None else columns)
        return self._by_row(func, names, meta, append, as_dict=True)

    def reduce(self, func: Callable[..., Any], *columns: str, meta: Any, append: bool = False) -> Self:
        """Call a function on some values of every row, as for light curves in nested-pandas.

        Parameters
        ----------
        func : callable
            Takes one argument a column: base columns as Python values, parts of light curves as numpy arrays. Returns a
            dict by new column, or the value itself where there is one; None and NaN are missing (null).
        *columns : str
            What it is given, in this sequence, and what is read: ``"lc.time", "lc.flux"``.
        meta : mapping of str to dtype, DataFrame, or pyarrow.Schema
            The new columns.
        append : bool
            Add the new columns to the catalog's; if not, keep the new ones only. Either way rows keep their place.

        Returns
        -------
        Catalog
            Lazy; as :meth:`map_rows`.

        Examples
        --------
        >>> import pandas as pd
        >>> import lsdb_ts as lt
        >>> catalog = lt.from_dataframe(
        ...     pd.DataFrame({"ra": [1.0, 200.0], "dec": 0.0, "g": [20.5, 19.0], "r": [20.0, 18.0]})
        ... )
        >>> colours = catalog.reduce(lambda g, r: {"g_r": g - r}, "g", "r", meta={"g_r": "float64"})
        >>> colours.compute()["g_r"].tolist()
        [0.5, 1.0]
        """
        for name in columns:
            require(self.schema, [name], self.name)
            parts = expanded(self.schema, [name])
            if parts != (name,):
                raise PlanError(
                    f'"{name}" has parts, and reduce gives one argument for each: name them, {", ".join(parts)}'
                )
        return self._by_row(func, columns, meta, append, as_dict=False)

    def features(self, feature_set: FeatureSet, lightcurve: str = "lc", *, keep: bool = False) -> Self:
        """Replace a nested light curve by its features.

        Parameters
        ----------
        feature_set : FeatureSet
            Which features; for instance ``FeatureSet.full()``.
        lightcurve : str
            The nested column. Only the parts that the features need are read.
        keep : bool
            Keep the light curve beside them, for instance for those objects that a condition on its features leaves.
        """
        require(self.schema, [lightcurve], self.name)
        from lsdb_ts.features.extraction import Extraction

        require_set(feature_set, "features")
        extraction = Extraction.of(feature_set, self.schema.field(lightcurve), self.name)
        there = [f.name for f in extraction.fields if f.name in self.schema.names and f.name != lightcurve]
        if there:
            raise PlanError(
                f'{self.name} has features already, in the column "{there[0]}": extract all of them at once, with a '
                f"set like FeatureSet.fast() + FeatureSet.fits(), or rename the column first"
            )
        return self.with_plan(
            Extend(self.plan, extraction, extraction.fields, extraction.inputs, dropped=() if keep else (lightcurve,))
        )

    def classify(self, bundle: ModelBundle) -> Self:
        """Add the class and the probabilities that a trained model gives each row.

        Needs the columns of its features.
        """
        from lsdb_ts.learn.classification import Classification

        require(self.schema, bundle.inputs, self.name)
        return self.with_plan(Extend(self.plan, Classification(bundle), tuple(bundle.fields), tuple(bundle.inputs)))

    def _by_row(
        self, func: Callable[..., Any], columns: Sequence[str], meta: Any, append: bool, *, as_dict: bool
    ) -> Self:
        if not columns:
            raise PlanError("a function of rows needs a column to be given")
        require(self.schema, columns, self.name)
        new = declared(meta)
        taken = [name for name in new.names if name in (self.plan.positions or ()) or name == HEALPIX]
        if taken:
            raise PlanError(f'"{taken[0]}" is the place of the rows, which a function of rows cannot change: rename it')
        function = RowFunction(func, tuple(columns), new, as_dict, Roles.of(self.schema).id)
        replaced = () if append else tuple(name for name in new.names if name in self.schema.names)
        plan = Extend(self.plan, function, tuple(new), tuple(columns), replaced)
        return self.with_plan(plan if append else Select(plan, tuple(new.names)))


def require_set(given: Any, verb: str) -> None:
    """Raise PlanError where a verb is given something else than a set of features."""
    from lsdb_ts.features import FeatureSet

    if not isinstance(given, FeatureSet):
        raise PlanError(f"{verb} takes a FeatureSet, as in {verb}(lt.FeatureSet.fast(), ...), and not {given!r}")
