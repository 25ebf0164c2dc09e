"""The way to the light curves of a catalog, and what ends their steps: catalogs of new curves, rows, or numbers.

Nothing is computed here. The steps are next door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.catalog.curve_steps import StepVerbs, days_of, degrees_of, pipeline_of
from lsdb_ts.catalog.functions import require_set
from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.lightcurves.cadence import Cadence
from lsdb_ts.lightcurves.structure import StructureFunction
from lsdb_ts.lightcurves.summary import Summary, Values
from lsdb_ts.plan.columns import Select
from lsdb_ts.plan.functions.curves import Reshape, Summarise
from lsdb_ts.plan.functions.explode import Explode
from lsdb_ts.schema import Roles, is_nested

if TYPE_CHECKING:
    import pandas

    from lsdb_ts.features import FeatureSet

AnyCatalog = TypeVar("AnyCatalog", bound="CurveVerbs")
_DEFAULT = "lc"


class CurveVerbs(CatalogBase):
    """The way to the light curves of a catalog."""

    def curves(self: AnyCatalog, column: str | None = None) -> LightCurveVerbs[AnyCatalog]:
        """Return verbs on the light curves of a nested column; each is a step, and ``.assign()`` makes a catalog.

        Parameters
        ----------
        column : str, optional
            The nested column; by default ``lc``, or the only one there is.

        Examples
        --------
        >>> import lsdb_ts as lt, pandas as pd
        >>> stars = lt.from_dataframe(pd.DataFrame({"id": [1, 2], "ra": [10.0, 20.0], "dec": [0.0, 0.0]}))
        >>> epochs = pd.DataFrame(
        ...     {"id": [1, 1, 1], "mjd": [3.0, 1.0, 2.0], "band": ["g", "g", "r"], "mag": [20.0, 21, 22]}
        ... )
        >>> catalog = stars.nest(epochs, on="id")
        >>> catalog.curves("lc").query("band == 'g'").sort().assign().compute()["lc.mag"].tolist()
        [21.0, 20.0]
        """
        nested = [field.name for field in self.schema if is_nested(field)]
        if column is None:
            column = _DEFAULT if _DEFAULT in nested else nested[0] if len(nested) == 1 else None
        if column is None:
            told = f"there are {', '.join(nested)}: name one" if nested else "it has none: nest its sources first"
            raise PlanError(f"{self.name} needs a nested column for verbs on light curves; {told}")
        return LightCurveVerbs(self, pipeline_of(self, column))


class LightCurveVerbs(StepVerbs[AnyCatalog]):
    """The light curves of a catalog and the steps to be taken with them; lazy, and every verb returns another one.

    Made by :meth:`Catalog.curves`. All steps work by roles (time, band, flux or magnitude, error, quality, ...), which
    the columns of known surveys have. ``.assign()`` gives the catalog with the new light curves, ``.assign(name)`` with
    both; ``.features(...)``, ``.explode()``, ``.split_by_band(...)``, ``.cadence()`` and ``.structure_function(...)``
    end the steps with something else. Only the parts that are wanted in the end, and those that steps look at, are
    read.
    """

    def __getattr__(self, name: str) -> NoReturn:
        """Say the way out: to the catalog where that has the verb, or to the name that was meant."""
        if not name.startswith("_") and hasattr(type(self._catalog), name):
            raise AttributeError(f'"{name}" is a verb of catalogs: .assign().{name} is that with these light curves')
        verbs = [verb for verb in dir(type(self)) if not verb.startswith("_")]
        raise AttributeError(f'there is no verb "{name}" on light curves; {did_you_mean(name, verbs)}')

    def assign(self, name: str | None = None) -> AnyCatalog:
        """Return the catalog with the new light curves in place of the old ones, or beside them under a name."""
        if name is None and not self.steps:
            return self._catalog
        return self._catalog.with_plan(Reshape(self._catalog.plan, self._pipeline, name or self.column))

    def compute(self, progress: bool | None = None) -> pandas.DataFrame:
        """Compute the catalog with the new light curves."""
        frame: pandas.DataFrame = self.assign().compute(progress=progress)  # type: ignore[attr-defined]
        return frame

    def features(self, feature_set: FeatureSet) -> AnyCatalog:
        """Return the catalog with features in place of the light curves; as :meth:`Catalog.features`."""
        made: AnyCatalog = self.assign().features(feature_set, self.column)  # type: ignore[attr-defined]
        return made

    def explode(self, columns: str | Sequence[str] | None = None) -> AnyCatalog:
        """Return a catalog with one row an epoch, at the place of the row it comes from.

        The way back is ``objects.nest(exploded, on=...)``. A part with the name of a base column that is kept gets that
        of the light curve behind its own: ``coord_ra_lc``.

        Parameters
        ----------
        columns : str or sequence of str, optional
            Base columns that are repeated for each epoch, beside the positions; by default the id, or all of them
            where no column is known to be one.
        """
        schema, plan = self._catalog.schema, self._catalog.plan
        if columns is None:
            told = Roles.find(schema).id
            columns = [f.name for f in schema if not is_nested(f)] if told is None else told
        asked = (columns,) if isinstance(columns, str) else tuple(columns)
        kept = tuple(dict.fromkeys([*asked, *(plan.positions or ())]))
        return self._catalog.with_plan(Explode(self.assign().plan, self.column, kept))

    def split_by_band(
        self, bands: Sequence[str | int] | Mapping[str, str | int], *, as_lists: bool = False
    ) -> AnyCatalog:
        """Return the catalog with a nested column for each band in place of this one: ``lc_g``, ``lc_r``.

        Parameters
        ----------
        bands : sequence, or mapping
            The bands as they are stored; or these by the names that the columns get, as in ``{"g": 1, "r": 2}``.
        as_lists : bool
            Make a column of lists of each part instead, ``lc_g_psfFlux``, but for that of the band.
        """
        named = dict(bands) if isinstance(bands, Mapping) else {str(band): band for band in bands}
        done = self.assign()
        kept = [name for name in done.columns if name != self.column]
        curves, plan = LightCurveVerbs(done, pipeline_of(done, self.column)), done.plan
        parts = [name for name in curves.shape.names if name != curves.shape.roles.band]
        made: list[str] = []
        for name, band in named.items():
            of_band, into = curves.in_bands(band)._pipeline, f"{self.column}_{name}"
            for new, values in [(f"{into}_{part}", Values(part)) for part in parts] if as_lists else [(into, None)]:
                if new in kept:
                    raise PlanError(f'{done.name} already has a column "{new}": rename or drop it first')
                plan = Reshape(plan, of_band, new) if values is None else Summarise(plan, of_band, new, values)
                made.append(new)
        return done.with_plan(Select(plan, (*kept, *made)))

    def cadence(
        self, name: str = "cadence", longitude_deg: float | None = None, season_gap_days: float = 80.0
    ) -> AnyCatalog:
        """Return the catalog with a struct of when each curve was observed: epochs, nights, gaps, seasons.

        Parameters
        ----------
        name : str
            Name of the struct.
        longitude_deg : float, optional
            Where nights end at noon, east positive (times are MJD or JD); by default a night ends where no epoch
            follows for half a day.
        season_gap_days : float
            A season ends where no epoch follows for so long.
        """
        return self._summarised(
            Cadence(
                None if longitude_deg is None else degrees_of(longitude_deg),
                days_of(season_gap_days, "season_gap_days"),
            ),
            name,
        )

    def structure_function(
        self,
        lag_edges_days: Sequence[float],
        estimator: str = "bauer_2009a",
        name: str = "structure_function",
    ) -> AnyCatalog:
        """Return the catalog with the structure function of each curve, over all its bands together.

        Choose a band first: ``.in_bands("g").structure_function([1, 10, 100])``. Noise is taken off, but with
        ``macleod_2012``; :func:`lsdb_ts.kernels.curves.structure.structure_function` has the formulas.

        Parameters
        ----------
        lag_edges_days : sequence of float
            Edges of the bins of lag, in days; a lag at an edge belongs to the bin above it.
        estimator : str
            One of ``basic``, ``bauer_2009a``, ``bauer_2009b``, ``macleod_2012``, ``schmidt_2010``.
        name : str
            Name of the nested column: ``lag_days``, ``structure`` and ``pairs`` for each bin. The structure function
            is in the unit of the values; that of ``basic`` is squared.
        """
        single = not getattr(lag_edges_days, "ndim", hasattr(lag_edges_days, "__len__"))
        edges: Sequence[Any] = [lag_edges_days] if single else lag_edges_days
        days = tuple(days_of(edge, "lag_edges_days") for edge in edges)
        return self._summarised(StructureFunction(days, estimator), name)

    def window_features(
        self, feature_set: FeatureSet, width_days: float, step_days: float | None = None, name: str = "windows"
    ) -> AnyCatalog:
        """Return the catalog with the features of sliding windows as a nested column: one item a window.

        Parameters
        ----------
        feature_set : FeatureSet
            What is computed of each window.
        width_days : float
            A window is ``[first + k step, first + k step + width)``, counted from the first epoch of the curve.
        step_days : float, optional
            By default the width: windows side by side.
        name : str
            Name of the nested column. Its parts are ``time``, the middle of the window, ``n_epochs``, and the features,
            ``g_skew``; windows without epochs are left out.
        """
        from lsdb_ts.features.windows import WindowFeatures

        require_set(feature_set, "window_features")
        width = days_of(width_days, "width_days")
        step = width if step_days is None else days_of(step_days, "step_days")
        return self._summarised(WindowFeatures(feature_set, width, step), name)

    def _summarised(self, summary: Summary, name: str) -> AnyCatalog:
        return self._catalog.with_plan(Summarise(self._catalog.plan, self._pipeline, name, summary))
