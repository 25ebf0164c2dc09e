"""Sets of features for surveys: what they read, what they give, and the one call that computes a whole partition.

What each feature means stands in the file of its family.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.features.colour import MeanColour
from lsdb_ts.features.curves import Inputs, LightCurves
from lsdb_ts.features.protocol import BandFeature, Feature, ObjectFeature, all_features
from lsdb_ts.kernels.periods import PeriodSearch
from lsdb_ts.schema import Roles, with_unit

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class FeatureSet:
    """Features to compute together, for some bands.

    >>> features = FeatureSet.basic(bands="gr")
    >>> [field.name for field in features.fields]
    ['features_g', 'features_r', 'features_multiband']
    >>> features.inputs(Roles(time="t", band="band", mag="m", mag_error="e"))
    ('t', 'band', 'm', 'e')
    """

    name: str
    bands: tuple[str, ...]
    """Bands, bluest first; epochs of other bands are not looked at."""
    features: tuple[Feature, ...]
    search: PeriodSearch | None = None
    """How periods are searched; None for a set without periods."""

    def __post_init__(self) -> None:
        if not self.features:
            raise PlanError("a feature set needs features; all_features() lists them")
        if not self.bands or len(set(self.bands)) < len(self.bands):
            raise PlanError(f"a feature set needs bands, each once; got {self.bands}")
        if "multiband" in self.bands:
            raise PlanError('a band cannot be called "multiband": that is the name of the column over all bands')
        periodic = [f.name for f in self.features if f.needs_period]
        if periodic and self.search is None:
            raise PlanError(f"the features {periodic} need a period search: give the set one, search=PeriodSearch(...)")
        for group in (BandFeature, ObjectFeature):
            names = [f.name for f in self.features if isinstance(f, group)]
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise PlanError(f"the features {twice} are in the set twice")

    @classmethod
    def rubin(
        cls,
        bands: Iterable[str] = "ugrizy",
        period_range_days: tuple[float, float] = (0.1, 1000.0),
        search: PeriodSearch | None = None,
    ) -> FeatureSet:
        """Return the set for Rubin: all statistics of every band, colours, periods, Fourier series at the best one.

        Parameters
        ----------
        bands : iterable of str
            Bands, bluest first.
        period_range_days : (float, float)
            Shortest and longest period searched for.
        search : PeriodSearch, optional
            Everything else about the search; its own range is replaced by ``period_range_days``.

        Notes
        -----
        Periods take nearly all the time, in proportion to epochs times frequencies. Objects of fewer than 20 epochs,
        and those that are constant with a probability above 1 %, are not searched.
        """
        shortest, longest = (float(days) for days in period_range_days)
        return cls._of("rubin", bands, replace(search or PeriodSearch(), period_range_days=(shortest, longest)))

    @classmethod
    def basic(cls, bands: Iterable[str] = "ugrizy") -> FeatureSet:
        """Return every feature that needs no period."""
        return cls._of("basic", bands, None)

    @classmethod
    def _of(cls, name: str, bands: Iterable[str], search: PeriodSearch | None) -> FeatureSet:
        names = tuple(bands)
        plain = [kind() for kind in all_features() if kind is not MeanColour and (search or not kind.needs_period)]
        colours = [MeanColour(blue, red) for blue, red in itertools.pairwise(names)]
        return cls(name, names, (*plain, *colours), search)

    def inputs(self, roles: Roles) -> tuple[str, ...]:
        """Return the parts of a light curve that are read; raises PlanError naming a missing role."""
        return Inputs.of(roles).names

    @functools.cached_property
    def fields(self) -> tuple[pa.Field, ...]:
        """The output: a struct of float32 per band, ``features_g``, and ``features_multiband`` for the whole object.

        A set without features of bands, or of objects, lacks their columns. The set's fingerprint is in the fields'
        metadata (``feature_set``), so that a classifier knows whether a table holds the features it was trained on.
        """
        kinds = dict.fromkeys(self.bands, self._of_bands) | {"multiband": self._of_objects}
        mark = {"feature_set": self.fingerprint}
        return tuple(
            pa.field(f"features_{name}", pa.struct([_field(f) for f in features]), nullable=False, metadata=mark)
            for name, features in kinds.items()
            if features
        )

    @property
    def _of_bands(self) -> list[Feature]:
        return [f for f in self.features if isinstance(f, BandFeature)]

    @property
    def _of_objects(self) -> list[Feature]:
        return [f for f in self.features if isinstance(f, ObjectFeature)]

    def extract(self, lightcurves: pa.StructArray | pa.ChunkedArray, roles: Roles) -> pa.Table:
        """Compute all features of all curves at once.

        Parameters
        ----------
        lightcurves : pyarrow.StructArray or pyarrow.ChunkedArray
            One struct of lists per object.
        roles : Roles
            Which part is the time, the band, the flux (or magnitude), its error, the quality.

        Returns
        -------
        pyarrow.Table
            One row per curve with the columns of ``fields``; what is not defined is null.
        """
        curves = LightCurves.of(lightcurves, roles, self.bands, self.search)
        per_band = [self._masked(f, curves, curves.counts) for f in self._of_bands]
        whole = [self._masked(f, curves, curves.counts.sum(axis=1)) for f in self._of_objects]
        groups = [[values[:, b] for values in per_band] for b in range(len(self.bands)) if per_band]
        groups += [whole] if whole else []
        schema = pa.schema(list(self.fields))
        columns = [
            pa.StructArray.from_arrays([_column(v) for v in group], fields=list(field.type))
            for group, field in zip(groups, schema, strict=True)
        ]
        return pa.Table.from_arrays(columns, schema=schema)

    @staticmethod
    def _masked(feature: Feature, curves: LightCurves, counts: np.ndarray) -> np.ndarray:
        if feature.fluxes_only and not curves.is_flux:
            return np.full(counts.shape, np.nan)
        return np.where(counts >= feature.min_epochs, feature.compute(curves), np.nan)

    def to_json(self) -> dict[str, Any]:
        """Return the identity of the set as plain JSON."""
        return {
            "name": self.name,
            "bands": list(self.bands),
            "features": [f.to_json() for f in self.features],
            "search": asdict(self.search) | {"period_range_days": list(self.search.period_range_days)}
            if self.search
            else None,
        }

    @classmethod
    def from_json(cls, identity: Mapping[str, Any]) -> FeatureSet:
        """Build the set of an identity; raises PlanError where this installation computes something else."""
        search = identity["search"]
        if search is not None:
            search = PeriodSearch(**{**search, "period_range_days": tuple(search["period_range_days"])})
        features = tuple(Feature.from_json(f) for f in identity["features"])
        return cls(identity["name"], tuple(identity["bands"]), features, search)

    @functools.cached_property
    def fingerprint(self) -> str:
        """The sha256 of the canonical JSON of the identity: equal for sets that give equal numbers."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def _field(feature: Feature) -> pa.Field:
    return with_unit(pa.field(feature.name, pa.float32()), feature.unit)


def _column(values: np.ndarray) -> pa.Array:
    """Return float32 with null for what is not a number, or too large for one."""
    defined = np.abs(values) <= _LARGEST
    return pa.array(np.where(defined, values, 0.0).astype(np.float32), mask=~defined)
