"""What a feature is: a name, a unit, the fewest epochs, a source, a formula in its docstring, one vectorised method.

The features themselves live in one file per family; ``sets.py`` gathers them.

To add one: subclass :class:`BandFeature`, :class:`Statistic` or :class:`ObjectFeature` in the file of its family. The
contract tests find it by introspection and say what it lacks.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.features.curves import LightCurves

FAMILIES = ("counts", "brightness", "variability", "shape", "trend", "colour", "periodic")
"""The modules of this package that hold features."""
VALUE = "value"
"""Unit of a feature in the unit of the light curves: nJy, mag, ..."""


@dataclass(frozen=True)
class Feature:
    """A number computed from light curves. Its docstring holds the formula.

    Notation: times t_i in days, values x_i, errors e_i, n epochs, weights w_i = 1 / e_i^2, weighted mean x_w, mean x_m,
    median med, standard deviation s with n - 1 in the denominator. What is not defined is NaN here, null in tables.
    """

    name: ClassVar[str]
    """Name of the column."""
    unit: ClassVar[str]
    """Unit: ``d``, ``mag``, ``1``, ``value`` (that of the light curves), ``value/d``."""
    min_epochs: ClassVar[int]
    """With fewer good epochs (of the band, or of the object) it is null."""
    reference: ClassVar[str]
    """Where the definition comes from."""
    fluxes_only: ClassVar[bool] = False
    """Whether it has no meaning for magnitudes, and is null there."""
    needs_period: ClassVar[bool] = False
    """Whether it asks for the period search."""
    version: ClassVar[int] = 1
    """Raised with every change of what the numbers mean; part of the fingerprint."""

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the feature of every object (and band, where it has bands)."""
        raise TypeError(f"{type(self).__name__} is the frame of a feature: subclass BandFeature or ObjectFeature")

    def to_json(self) -> dict[str, Any]:
        """Return the identity: class, version and parameters."""
        return {"feature": type(self).__name__, "version": self.version, **asdict(self)}

    @staticmethod
    def from_json(identity: Mapping[str, Any]) -> Feature:
        """Build the feature of an identity; raises PlanError where this installation has no such feature or version."""
        parameters = dict(identity)
        known = {kind.__name__: kind for kind in all_features()}
        kind = known.get(parameters.pop("feature"))
        if kind is None:
            raise PlanError(f"there is no feature {identity['feature']}; {did_you_mean(identity['feature'], known)}")
        if parameters.pop("version") != kind.version:
            raise PlanError(
                f"{kind.__name__} is version {kind.version} here and version {identity['version']} in what was stored: "
                "compute the features again"
            )
        return kind(**parameters)


class BandFeature(Feature):
    """A number per band: ``compute`` returns float64 of shape (n_objects, n_bands)."""


class ObjectFeature(Feature):
    """A number per object over all bands: ``compute`` returns float64 of shape (n_objects,)."""


class Statistic(BandFeature):
    """A column of ``kernels.statistics`` of the same name."""

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the statistic of every object and band."""
        return curves.statistic(self.name)


def all_features() -> tuple[type[Feature], ...]:
    """Return every feature there is, family after family, in the sequence of their files."""
    found: list[type[Feature]] = []
    for family in FAMILIES:
        module = importlib.import_module(f"lsdb_ts.features.{family}")
        found += [
            kind
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, Feature) and kind.__module__ == module.__name__
        ]
    return tuple(found)
