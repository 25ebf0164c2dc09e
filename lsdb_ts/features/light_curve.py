"""The feature extractors of the light-curve package, for users who have installed it (its licence is the GPL).

It reads the Arrow buffers of our light curves as they are; this package neither needs nor contains it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import BandFeature, ObjectFeature
from lsdb_ts.features.shared import once

if TYPE_CHECKING:
    from lsdb_ts.features.sets import FeatureSet


def from_light_curve(extractor: Any, bands: Iterable[str] = "ugrizy", *, prefix: str = "lc_") -> FeatureSet:
    """Return a set of the outputs of an extractor of the light-curve package.

    Parameters
    ----------
    extractor : light_curve.Extractor or a feature of that package
        An extractor of single bands gives a number for each band; one that was made with ``bands`` gives numbers over
        all bands, which must then be those of the set.
    bands : iterable of str
        Bands, bluest first.
    prefix : str
        Put before the package's names, many of which are names here, too. ``FeatureSet.of([*ours, *set.features])``
        joins both.

    Raises
    ------
    PlanError
        The extractor cannot be written as JSON, by which it travels to other processes, or is for other bands.
    """
    from lsdb_ts.features.sets import FeatureSet

    wanted = tuple(bands)
    if not hasattr(extractor, "to_json") or not hasattr(extractor, "many"):
        raise PlanError(f"{extractor!r} is no extractor of the light-curve package: give it light_curve.Extractor(...)")
    made_for = getattr(extractor, "bands", None)
    theirs = [] if made_for is None else [str(band) for band in made_for]
    if theirs and sorted(theirs) != sorted(wanted):
        raise PlanError(f"the extractor is for the bands {theirs} and the set for {list(wanted)}: name the same")
    kind = LightCurveOfObject if theirs else LightCurveOfBand
    recipe = extractor.to_json()
    features = tuple(kind(recipe, place, f"{prefix}{name}") for place, name in enumerate(extractor.names))
    return FeatureSet("light_curve", wanted, features)


@dataclass(frozen=True)
class LightCurveOfBand(BandFeature):
    """An output of an extractor of the light-curve package, of each band."""

    recipe: str
    """The extractor, as JSON."""
    place: int
    """Which of its outputs."""
    called: str
    unit: ClassVar[str] = ""
    min_epochs: ClassVar[int] = 1
    reference: ClassVar[str] = "Malanchev et al. 2021, MNRAS 502, 5147; the light-curve package"

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the column."""
        return self.called

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the output; NaN where the package finds the curve too short."""
        return _table(self.recipe, False)(curves)[:, self.place].reshape(curves.counts.shape)


@dataclass(frozen=True)
class LightCurveOfObject(ObjectFeature):
    """An output of an extractor of the light-curve package, over all bands."""

    recipe: str
    """The extractor, as JSON."""
    place: int
    """Which of its outputs."""
    called: str
    unit: ClassVar[str] = ""
    min_epochs: ClassVar[int] = 1
    reference: ClassVar[str] = "Malanchev et al. 2021, MNRAS 502, 5147; the light-curve package"

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the column."""
        return self.called

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the output; NaN where the package finds the curve too short."""
        return _table(self.recipe, True)(curves)[:, self.place]


@functools.lru_cache(maxsize=16)
def _table(recipe: str, mixed: bool) -> Callable[[LightCurves], NDArray[np.float64]]:
    """Return the function that gives all outputs of an extractor, called once for the same curves."""
    try:
        from light_curve import feature_from_json
    except ImportError:
        raise PlanError(
            "these features are those of the light-curve package, which is not installed: pip install light-curve"
        ) from None
    extractor = feature_from_json(recipe)

    def outputs(curves: LightCurves) -> NDArray[np.float64]:
        rows = _by_object(curves) if mixed else _by_band(curves)
        fields = {"t": "t", "m": "m", "sigma": "sigma", **({"band": "band"} if mixed else {})}
        options = {"sorted": True, "check": False, "fill_value": np.nan, "n_jobs": 1}
        return np.asarray(extractor.many(rows, arrow_fields=fields, **options), dtype=np.float64)

    return once(outputs)


def _by_band(curves: LightCurves) -> pa.ListArray:
    parts = {"t": curves.time_mjd, "m": curves.values, "sigma": curves.errors}
    return _lists(curves.offsets, {name: pa.array(part) for name, part in parts.items()})


def _by_object(curves: LightCurves) -> pa.ListArray:
    """Return the epochs of each object in their sequence in time, with the names of their bands."""
    n_bands = len(curves.bands)
    curve = np.repeat(np.arange(curves.offsets.size - 1), np.diff(curves.offsets))
    order = np.lexsort((curves.time_mjd, curve // n_bands))
    parts = {"t": curves.time_mjd, "m": curves.values, "sigma": curves.errors}
    arrays = {name: pa.array(part[order]) for name, part in parts.items()}
    names = pa.array(list(curves.bands)).take(pa.array((curve % n_bands)[order]))
    return _lists(curves.offsets[::n_bands], {**arrays, "band": names})


def _lists(offsets: NDArray[np.int64], parts: dict[str, pa.Array]) -> pa.ListArray:
    rows = pa.StructArray.from_arrays(list(parts.values()), names=list(parts))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), rows)
