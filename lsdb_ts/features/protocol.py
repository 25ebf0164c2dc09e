"""What a feature is: a name, a unit, the fewest epochs, a source, a formula in its docstring, one vectorised method.

The features themselves live in one file per family; ``sets.py`` gathers them.

To add one: subclass :class:`BandFeature`, :class:`Statistic` or :class:`ObjectFeature` in the file of its family. The
contract tests find it by introspection and say what it lacks. A user's own, in a module or a notebook, is put into a
set by :meth:`FeatureSet.of` and needs nothing else.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.features.curves import LightCurves
from lsdb_ts.identity import code_of
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.schema import VALUE

FAMILIES = (
    "counts", "brightness", "variability", "shape", "trend", "stochastic", "transient",
    "colour", "multiband", "periodic", "folded", "dpdd", "fits", "detected", "rainbow", "process",
)  # fmt: skip
"""The modules of this package that hold features."""
_HOME = __name__.rpartition(".")[0]


@dataclass(frozen=True)
class Feature:
    """A number computed from light curves. Its docstring holds the formula.

    Notation: times t_i in days, values x_i, errors e_i, n epochs, weights w_i = 1 / e_i^2, weighted mean x_w, mean x_m,
    median med, standard deviation s with n - 1 in the denominator. What is not defined is NaN here, null in tables.

    Where one name stands for different numbers in the literature, the class has a field ``definition``.
    """

    name: ClassVar[str]
    """Name of the column."""
    unit: ClassVar[str]
    """Unit: ``d``, ``mag``, ``1``, ``value`` (that of the light curves), ``value/d``."""
    min_epochs: ClassVar[int]
    """With fewer good epochs (of the band, or of the object) it is null."""
    reference: ClassVar[str]
    """Where the definition comes from."""
    definitions: ClassVar[Mapping[str, str]] = {}
    """Formula and source of each definition that may be chosen; empty where there is only one."""
    stored: ClassVar[pa.DataType] = pa.float32()
    """Type of the column. Times keep their minutes only in double precision."""
    fluxes_only: ClassVar[bool] = False
    """Whether it has no meaning for magnitudes, and is null there."""
    dated: ClassVar[bool] = False
    """Whether it tells when the object was observed: it changes where all times do, and classifiers leave it out."""
    needs_period: ClassVar[bool] = False
    """Whether it asks for the period search."""
    costly: ClassVar[bool] = False
    """Whether it takes longer than other statistics of a curve together, and is left out of the fast set."""
    on_request: ClassVar[bool] = False
    """Whether it is of a model that most objects do not follow: then sets hold it only where it is asked for."""
    version: ClassVar[int] = 1
    """Raised with every change of what the numbers mean; part of the fingerprint."""

    def __post_init__(self) -> None:
        chosen = getattr(self, "definition", "")
        if self.definitions and chosen not in self.definitions:
            raise PlanError(f'{self.name} has no definition "{chosen}"; it has {", ".join(self.definitions)}')

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the feature of every object (and band, where it has bands)."""
        raise TypeError(f"{type(self).__name__} is the frame of a feature: subclass BandFeature or ObjectFeature")

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> tuple[Feature, ...]:
        """Return the features of this kind that a set for these bands holds: one, unless it compares bands."""
        return (cls(),)

    @property
    def statistics(self) -> tuple[str, ...]:
        """The columns of ``kernels.curves.statistics`` it reads, which a set computes in one pass; may be empty."""
        return ()

    @property
    def formula(self) -> str:
        """The first line of the docstring, and the definition where there are several."""
        what = inspect.cleandoc(type(self).__doc__ or "").partition("\n")[0]
        chosen = self.definitions.get(getattr(self, "definition", ""))
        return f"{what} {chosen}" if chosen else what

    def by(self, definition: str) -> Feature:
        """Return the feature by another definition; itself where it has none of that name."""
        return replace(self, definition=definition) if definition in self.definitions else self  # type: ignore[call-arg]

    def to_json(self) -> dict[str, Any]:
        """Return the identity: class, version and parameters; of a class from elsewhere its code, too."""
        kind = type(self)
        parameters = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        if _at_home(kind):
            return {"feature": kind.__name__, "version": self.version, **parameters}
        place = f"{kind.__module__}:{kind.__qualname__}"
        return {"feature": place, "version": self.version, "code": code_of(kind, Feature), **parameters}

    @staticmethod
    def from_json(identity: Mapping[str, Any]) -> Feature:
        """Build the feature of an identity; raises PlanError where this installation has no such feature or version."""
        parameters = {n: Feature.from_json(v) if _is_identity(v) else v for n, v in identity.items()}
        kind = _find(parameters.pop("feature"))
        if parameters.pop("version") != kind.version:
            raise PlanError(
                f"{kind.__name__} is version {kind.version} here and version {identity['version']} in what was stored: "
                "compute the features again"
            )
        if parameters.pop("code", None) not in (None, code_of(kind, Feature)):
            raise PlanError(f"the code of {kind.__name__} is not what it was when this was stored: compute it again")
        return kind(**parameters)


class BandFeature(Feature):
    """A number per band: ``compute`` returns float64 of shape (n_objects, n_bands)."""


class ObjectFeature(Feature):
    """A number per object over all bands: ``compute`` returns float64 of shape (n_objects,)."""


class Statistic(BandFeature):
    """A column of ``kernels.curves.statistics``, of its name unless ``columns`` names another for the definition."""

    columns: ClassVar[Mapping[str, str]] = {}

    @property
    def statistics(self) -> tuple[str, ...]:
        """The one column."""
        return (self.columns.get(getattr(self, "definition", ""), self.name),)

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the statistic of every object and band."""
        return curves.statistic(self.statistics[0])


@dataclass(frozen=True)
class Alias(BandFeature):
    """A feature of a band under the name that a survey gives it."""

    feature: BandFeature
    alias: str

    @property
    def name(self) -> str:  # type: ignore[override]
        """The survey's name."""
        return self.alias

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Unit of the feature."""
        return self.feature.unit

    @property
    def min_epochs(self) -> int:  # type: ignore[override]
        """Fewest epochs of the feature."""
        return self.feature.min_epochs

    @property
    def reference(self) -> str:  # type: ignore[override]
        """Source of the feature."""
        return self.feature.reference

    @property
    def stored(self) -> pa.DataType:  # type: ignore[override]
        """Type of the feature."""
        return self.feature.stored

    @property
    def fluxes_only(self) -> bool:  # type: ignore[override]
        """Whether the feature has no meaning for magnitudes."""
        return self.feature.fluxes_only

    @property
    def dated(self) -> bool:  # type: ignore[override]
        """Whether the feature tells when the object was observed."""
        return self.feature.dated

    @property
    def needs_period(self) -> bool:  # type: ignore[override]
        """Whether the feature asks for the period search."""
        return self.feature.needs_period

    @property
    def statistics(self) -> tuple[str, ...]:
        """The columns that the feature reads."""
        return self.feature.statistics

    @property
    def formula(self) -> str:
        """Formula of the feature."""
        return self.feature.formula

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the feature."""
        return self.feature.compute(curves)


def unit_of_values(shape: Shape) -> str:
    """Return the unit of the fluxes or magnitudes that features are computed of.

    Raises
    ------
    PlanError
        They are fluxes whose unit changes from epoch to epoch.
    """
    of_flux = shape.roles.flux is not None and shape.roles.flux_error is not None
    if shape.scaled and of_flux:
        shape.compared("features")
    value = shape.roles.flux if of_flux else shape.roles.mag
    return (shape.unit(value) if value else None) or VALUE


def all_features() -> tuple[type[Feature], ...]:
    """Return every feature there is, family after family, in the sequence of their files."""
    found: list[type[Feature]] = []
    for family in FAMILIES:
        module = importlib.import_module(f"{_HOME}.{family}")
        found += [
            kind
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, Feature) and kind.__module__ == module.__name__
        ]
    return tuple(found)


def named(names: Iterable[str], bands: tuple[str, ...]) -> list[Feature]:
    """Return the features of these names for these bands; raises PlanError naming one that there is not."""
    known = {feature.name: feature for kind in all_features() for feature in kind.of_bands(bands)}
    wanted = list(names)
    for name in wanted:
        if name not in known:
            raise PlanError(f'there is no feature "{name}" for the bands {bands}; {did_you_mean(name, known)}')
    return [known[name] for name in wanted]


def _plain(value: Any) -> Any:
    return value.to_json() if isinstance(value, Feature) else value


def _is_identity(value: Any) -> bool:
    return isinstance(value, Mapping) and "feature" in value and "version" in value


def _at_home(kind: type) -> bool:
    return kind.__module__.startswith(f"{_HOME}.")


def _find(place: str) -> type[Feature]:
    """Return a class of this package by its name, one from elsewhere by ``module:name``."""
    module, _, name = place.rpartition(":")
    if not module:
        all_features()
        known = {kind.__name__: kind for kind in _kinds(Feature) if _at_home(kind)}
        if name not in known:
            raise PlanError(f"there is no feature {name}; {did_you_mean(name, known)}")
        return known[name]
    try:
        found: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise PlanError(f"the feature {place} cannot be found again: {error}; import or define it first") from None
    return found


def _kinds(of: type[Feature]) -> Iterator[type[Feature]]:
    for kind in of.__subclasses__():
        yield kind
        yield from _kinds(kind)
