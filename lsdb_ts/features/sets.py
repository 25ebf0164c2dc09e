"""Sets of features for surveys: what they read, what they give, and the one call that computes a whole partition.

What each feature means stands in the file of its family.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import LsdbTsError, PlanError, did_you_mean
from lsdb_ts.features import alerce, dpdd, fits, rubin
from lsdb_ts.features.curves import Inputs, LightCurves, blocks_of, warn_of_other_bands
from lsdb_ts.features.protocol import BandFeature, Feature, ObjectFeature, all_features, named
from lsdb_ts.features.text import set_html, set_text
from lsdb_ts.kernels.curves.columns import nullable
from lsdb_ts.kernels.periods.search import PeriodSearch
from lsdb_ts.schema import DATED, Roles, with_unit

_BLOCK_EPOCHS = 500_000
"""Epochs that are worked on at once: their copies and tables stay small whatever the size of a partition."""


@dataclass(frozen=True)
class FeatureSet:
    """Features to compute together, for some bands.

    >>> features = FeatureSet.fast(bands="gr")
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
    lists: bool = False
    """Whether the output is the two lists of the DPDD rather than structs."""
    second: tuple[str, str] | None = None
    """A second flux and its error, which some sets read beside the one that has the role."""

    def __post_init__(self) -> None:
        if not self.features:
            raise PlanError("a feature set needs features; all_features() lists them")
        if not self.bands or len(set(self.bands)) < len(self.bands):
            raise PlanError(f"a feature set needs bands, each once; got {self.bands}")
        if any(not isinstance(band, str) or not band.strip() or "," in band for band in self.bands):
            raise PlanError(f'{self.bands} are no bands: give letters, "gr", or a list of names, ["g", "r"]')
        if "multiband" in self.bands:
            raise PlanError('a band cannot be called "multiband": that is the name of the column over all bands')
        for feature in self.features:
            _require_whole(feature)
        periodic = [f.name for f in self.features if f.needs_period]
        if periodic and self.search is None:
            raise PlanError(f"the features {periodic} need a period search: give the set one, search=PeriodSearch(...)")
        for group in (BandFeature, ObjectFeature):
            names = [f.name for f in self.features if isinstance(f, group)]
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise PlanError(
                    f"the features {twice} are in the set twice; by another definition one is another feature of the "
                    "same name, which needs a set of its own"
                )
        # Told where the set is made: another process may not have the source of a user's feature.
        _ = self.fingerprint

    def __repr__(self) -> str:
        return set_text(self.name, self.bands, self.features)

    def _repr_html_(self) -> str:
        return set_html(self.name, self.bands, self.features)

    @classmethod
    def of(
        cls,
        features: Iterable[str | Feature | type[Feature]],
        bands: Iterable[str] = "ugrizy",
        *,
        definition: str | None = None,
        search: PeriodSearch | None = None,
        name: str = "own",
    ) -> FeatureSet:
        """Return a set of chosen features.

        Parameters
        ----------
        features : iterable of str, Feature, or subclass of Feature
            Names as :func:`all_features` lists them, features, or classes; also those of your own.
        bands : iterable of str
            Bands, bluest first.
        definition : str, optional
            ``"lsst"``, ``"richards11"``, ``"alerce"`` or ``"light_curve"``: taken for all features that have it.
        search : PeriodSearch, optional
            How periods are searched; by default as :class:`PeriodSearch` does, where a feature needs one.
        name : str
            What the set is called.

        >>> chosen = FeatureSet.of(["mean_w", "amplitude"], bands="gr", definition="richards11")
        >>> chosen.features[1].formula.partition("; ")[0]
        'Amplitude of the values. The range, ``max - min``'
        """
        wanted, found = tuple(bands), list[Feature]()
        for one in features:
            if isinstance(one, str):
                found += named([one], wanted)
            else:
                found += [one] if isinstance(one, Feature) else one.of_bands(wanted)
        if definition is not None:
            if not any(definition in f.definitions for f in found):
                raise PlanError(f'none of these features has a definition "{definition}": {[f.name for f in found]}')
            found = [f.by(definition) for f in found]
        if search is None and any(f.needs_period for f in found):
            search = PeriodSearch()
        return cls(name, wanted, tuple(found), search)

    @classmethod
    def fast(cls, bands: Iterable[str] = "ugrizy") -> FeatureSet:
        """Return every feature that needs neither a period nor a fit."""
        names = tuple(bands)
        kinds = [k for k in all_features() if not (k.needs_period or k.costly or k.on_request)]
        return cls("fast", names, tuple(f for kind in kinds for f in kind.of_bands(names)))

    @classmethod
    def fits(cls, bands: Iterable[str] = "ugrizy", models: Iterable[str] | None = None) -> FeatureSet:
        """Return fits of supernovae, tidal disruptions and lenses: parameters, standard errors, chi2 and flags.

        Parameters
        ----------
        bands : iterable of str
            Bands, bluest first.
        models : iterable of str, optional
            Of ``bazin``, ``villar``, ``linexp``, ``fleet``, ``tail`` (each band by itself), ``bazin_joint``,
            ``villar_joint``, ``tde``, ``fallback``, ``ulens``, ``rainbow`` (all bands together), and ``gp``, the peaks
            of a Gaussian process, which takes time in proportion to the cube of its epochs. By default all but this
            one, and ``rainbow`` only for bands whose wavelengths are known: those of ``ugrizy``.

        >>> [f.name for f in FeatureSet.fits("gr", ["tde"]).features][:4]
        ['tde_a', 'tde_a_err', 'tde_sigma', 'tde_t_decay']
        """
        names = tuple(bands)
        return cls("fits", names, fits.features(names, None if models is None else tuple(models)))

    @classmethod
    def full(
        cls,
        bands: Iterable[str] = "ugrizy",
        period_range_days: tuple[float, float] = (0.1, 1000.0),
        search: PeriodSearch | None = None,
    ) -> FeatureSet:
        """Return every feature there is but fits of models (:meth:`fits`), each by its first definition.

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
        Periods take nearly all the time, in proportion to epochs times frequencies. Objects of few epochs, and
        those that are constant with a probability above 1 %, are not searched (:class:`PeriodSearch`).
        """
        names = tuple(bands)
        kinds = [kind for kind in all_features() if not kind.on_request]
        found = tuple(f for kind in kinds for f in kind.of_bands(names))
        return cls("full", names, found, _ranged(search, period_range_days))

    @classmethod
    def rubin(
        cls, bands: Iterable[str] = "ugrizy", *, science_flux: tuple[str, str] | None = rubin.SCIENCE_FLUX
    ) -> FeatureSet:
        """Return the time-series columns of Rubin's DP1 ``DiaObject`` under its names, 22 for each band.

        Parameters
        ----------
        bands : iterable of str
            Bands, bluest first.
        science_flux : (str, str) or None
            The parts of the light curve that hold the flux on the science image and its error; None leaves out the
            three columns made of it.
        """
        names = tuple(bands)
        features = rubin.columns(names, science=science_flux is not None)
        return cls("rubin", names, tuple(features), second=science_flux)

    @classmethod
    def dpdd(
        cls,
        bands: Iterable[str] = "ugrizy",
        period_range_days: tuple[float, float] = (0.1, 1000.0),
        search: PeriodSearch | None = None,
        *,
        lists: bool = False,
    ) -> FeatureSet:
        """Return what Rubin's Data Products Definition Document promises: 31 periodic and 20 other numbers a band.

        Parameters
        ----------
        bands : iterable of str
            Bands, bluest first.
        period_range_days : (float, float)
            Shortest and longest period searched for.
        search : PeriodSearch, optional
            Everything else about the search.
        lists : bool
            Give them the shape they have there, ``lcPeriodic`` float32[bands][32] and ``lcNonPeriodic``
            float32[bands][20], instead of named numbers; :func:`lsdb_ts.features.dpdd_lists` does so later.
        """
        names, ranged = tuple(bands), _ranged(search, period_range_days)
        return cls("dpdd", names, tuple(dpdd.features(names)), ranged, lists)

    @classmethod
    def alerce(cls, bands: Iterable[str] = "gr") -> FeatureSet:
        """Return ALeRCE's features of single bands that need no period, by its definitions and under its names.

        ALeRCE computes them of magnitudes.
        """
        names = tuple(bands)
        return cls("alerce", names, tuple(alerce.columns(names)))

    def inputs(self, roles: Roles) -> tuple[str, ...]:
        """Return the parts of a light curve that are read; raises PlanError naming a missing role."""
        return Inputs.of(roles, self.bands).names + (self.second or ())

    def require_second(self, parts: Iterable[str]) -> None:
        """Raise PlanError unless the second flux of the set is among the parts of a light curve."""
        there = list(parts)
        missing = [name for name in self.second or () if name not in there]
        if missing:
            raise PlanError(
                f'the light curves have no part "{missing[0]}" for the second flux of the set "{self.name}": name it '
                "by science_flux=(flux, error), or leave it out with science_flux=None; "
                f"{did_you_mean(missing[0], there)}"
            )

    def __add__(self, other: FeatureSet) -> FeatureSet:
        """Return the set of the features of both, which are of the same bands and search the same way.

        >>> both = FeatureSet.fast("gr") + FeatureSet.fits("gr", ["bazin"])
        >>> both.name, len(both.features) == len(FeatureSet.fast("gr").features) + 12
        ('fast+fits', True)
        """
        if not isinstance(other, FeatureSet):
            return NotImplemented
        for what in ("bands", "search", "second"):
            mine, theirs = getattr(self, what), getattr(other, what)
            if mine != theirs and (what == "bands" or None not in (mine, theirs)):
                raise PlanError(f"the sets {self.name} and {other.name} differ in their {what}: {mine} and {theirs}")
        if self.lists or other.lists:
            raise PlanError("lists of fixed size cannot be added to: take the set without lists=True")
        features = tuple(dict.fromkeys((*self.features, *other.features)))
        search, second = self.search or other.search, self.second or other.second
        return replace(self, name=f"{self.name}+{other.name}", features=features, search=search, second=second)

    @functools.cached_property
    def fields(self) -> tuple[pa.Field, ...]:
        """The output: a struct of float32 per band, ``features_g``, and ``features_multiband`` for the whole object.

        A set without features of bands, or of objects, lacks their columns. The set's fingerprint is in the fields'
        metadata (``feature_set``), so that a classifier knows whether a table holds the features it was trained on.
        """
        return dpdd.list_fields(len(self.bands), {"feature_set": self.fingerprint}) if self.lists else self._structs

    @functools.cached_property
    def _structs(self) -> tuple[pa.Field, ...]:
        mark = {"feature_set": self.fingerprint}
        kinds = dict.fromkeys(self.bands, self._of_bands) | {"multiband": self._of_objects}
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
        """Compute all features of all curves, some hundred thousand epochs at a time.

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
        if self.second is not None:
            self.require_second(part.name for part in lightcurves.type)
        column = lightcurves if isinstance(lightcurves, pa.ChunkedArray) else pa.chunked_array([lightcurves])
        tables, epochs = [], np.zeros(len(self.bands), np.int64)
        time = Inputs.of(roles, self.bands).time
        for row, block in blocks_of(column, time, _BLOCK_EPOCHS):
            curves = self._curves(block, roles, row)
            epochs += (curves.counts + curves.dropped).sum(axis=0)
            tables.append(self._computed(curves))
        warn_of_other_bands(column, roles, self.bands, epochs)
        table = pa.concat_tables(tables).combine_chunks()
        return dpdd.dpdd_lists(table, self.bands).cast(pa.schema(list(self.fields))) if self.lists else table

    def _curves(self, lightcurves: pa.ChunkedArray, roles: Roles, first_row: int) -> LightCurves:
        curves = LightCurves.of(lightcurves, roles, self.bands, self.search, first_row)
        if self.second is None:
            return curves
        flux, error = self.second
        again = replace(roles, flux=flux, flux_error=error)
        return replace(curves, second=LightCurves.of(lightcurves, again, self.bands, first_row=first_row))

    def _computed(self, curves: LightCurves) -> pa.Table:
        curves.prepare(name for feature in self.features for name in feature.statistics)
        counts = np.ascontiguousarray(curves.counts.T)
        of_bands = [self._columns(f, curves, counts) for f in self._of_bands]
        of_objects = [self._columns(f, curves, counts.sum(axis=0, keepdims=True)) for f in self._of_objects]
        groups = [*zip(*of_bands, strict=True), *zip(*of_objects, strict=True)]
        columns = [
            pa.StructArray.from_arrays(list(group), fields=list(field.type))
            for group, field in zip(groups, self._structs, strict=True)
        ]
        return pa.Table.from_arrays(columns, schema=pa.schema(list(self._structs)))

    @staticmethod
    def _columns(feature: Feature, curves: LightCurves, counts: NDArray[np.int64]) -> list[pa.Array]:
        """Return one column for each row of counts: those of the bands, or of the whole objects."""
        if feature.fluxes_only and not curves.is_flux:
            return [pa.nulls(counts.shape[1], feature.stored)] * len(counts)
        of_bands = isinstance(feature, BandFeature)
        shape = counts.T.shape if of_bands else counts.shape[1:]
        found = _numbers_of(feature, curves)
        if found.shape != shape:
            raise PlanError(
                f"the feature {feature.name} gave numbers of shape {found.shape} and not {shape}: one for each "
                f"{'object and band' if of_bands else 'object'}"
            )
        table = nullable(np.atleast_2d(found.T), counts, feature.min_epochs, feature.stored.to_pandas_dtype())
        return [_column(feature.stored, *parts) for parts in zip(*table, strict=True)]

    def to_json(self) -> dict[str, Any]:
        """Return the identity of the set as plain JSON."""
        return {
            "name": self.name,
            "bands": list(self.bands),
            "features": [f.to_json() for f in self.features],
            "search": asdict(self.search) | {"period_range_days": list(self.search.period_range_days)}
            if self.search
            else None,
            "lists": self.lists,
            "second": list(self.second) if self.second else None,
        }

    @classmethod
    def from_json(cls, identity: Mapping[str, Any]) -> FeatureSet:
        """Build the set of an identity; raises PlanError where this installation computes something else."""
        search = identity["search"]
        if search is not None:
            search = PeriodSearch(**{**search, "period_range_days": tuple(search["period_range_days"])})
        features = tuple(Feature.from_json(f) for f in identity["features"])
        second = tuple(identity["second"]) if identity["second"] else None
        return cls(identity["name"], tuple(identity["bands"]), features, search, identity["lists"], second)

    @functools.cached_property
    def fingerprint(self) -> str:
        """The sha256 of the canonical JSON of the identity: equal for sets that give equal numbers."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def always_defined() -> frozenset[str]:
    """Return the names of features that are a number also where there are no epochs, and so tell of no measurement."""
    every = (f for kind in all_features() for f in kind.of_bands(("g", "r")))
    counts = {f.name for f in every if f.min_epochs == 0}
    return frozenset(counts | rubin.named_counts(counts))


def _require_whole(feature: Feature) -> None:
    """Raise PlanError unless a feature tells what tables and people need to know of it."""
    if not isinstance(feature, BandFeature | ObjectFeature):
        raise PlanError(f"{feature!r} is no feature: make it a subclass of BandFeature or ObjectFeature")
    lacking = [name for name in ("name", "unit", "min_epochs", "reference") if not hasattr(feature, name)]
    if lacking:
        raise PlanError(f"the feature {type(feature).__name__} lacks {', '.join(lacking)}: set them in its class")
    if feature.stored not in (pa.float32(), pa.float64()):
        raise PlanError(f"the feature {feature.name} is stored as {feature.stored}: need float32 or float64")


def _ranged(search: PeriodSearch | None, period_range_days: tuple[float, float]) -> PeriodSearch:
    shortest, longest = (float(days) for days in period_range_days)
    return replace(search or PeriodSearch(), period_range_days=(shortest, longest))


def _numbers_of(feature: Feature, curves: LightCurves) -> NDArray[np.float64]:
    try:
        return np.asarray(feature.compute(curves), dtype=np.float64)
    except LsdbTsError:
        raise
    except Exception as error:
        raise RuntimeError(f"the feature {feature.name}: {type(error).__name__}: {error}") from error


def _field(feature: Feature) -> pa.Field:
    column = pa.field(feature.name, feature.stored, metadata={DATED: b"true"} if feature.dated else None)
    return with_unit(column, feature.unit)


def _column(kind: pa.DataType, numbers: np.ndarray, bits: np.ndarray, missing: int) -> pa.Array:
    buffers = [pa.py_buffer(bits) if missing else None, pa.py_buffer(numbers)]
    return pa.Array.from_buffers(kind, len(numbers), buffers, int(missing))
