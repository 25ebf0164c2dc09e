"""Verbs that call functions: a user's own, features, and trained models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.plan.apply import Extend, Map
from lsdb_ts.plan.frame import FrameFunction
from lsdb_ts.plan.meta import declared_output
from lsdb_ts.schema import require

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
        **kwargs: Any,
    ) -> Self:
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
        return self.with_plan(
            Map(self.plan, function, declared_output(self.plan, function, inputs, meta), inputs, rowwise)
        )

    def features(self, feature_set: FeatureSet, lightcurve: str = "lc") -> Self:
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
        return self.with_plan(
            Extend(self.plan, extraction, extraction.fields, extraction.inputs, dropped=(lightcurve,))
        )

    def classify(self, bundle: ModelBundle) -> Self:
        """Add the class and the probabilities that a trained model gives each row.

        Needs the columns of its features.
        """
        from lsdb_ts.learn.classification import Classification

        require(self.schema, bundle.inputs, self.name)
        return self.with_plan(Extend(self.plan, Classification(bundle), tuple(bundle.fields), tuple(bundle.inputs)))
