"""Fits of transients, tidal disruptions and lenses: parameters, standard errors and how well the model describes them.

The models stand in ``kernels/fits/models.py``, how they are fitted beside them in ``least_squares.py``. All numbers of
one fit are one computation. Models are of fluxes; of magnitudes they are null.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.detected import FleetFit, TailFit
from lsdb_ts.features.fitted import Fitted, check_quantity, number, quantities
from lsdb_ts.features.process import BandProcess, ObjectProcess, ProcessColour
from lsdb_ts.features.protocol import BandFeature, Feature, ObjectFeature
from lsdb_ts.features.rainbow import RainbowBase, RainbowFit
from lsdb_ts.features.shared import once
from lsdb_ts.features.wavelengths import require_wavelengths
from lsdb_ts.kernels.fits.least_squares import Fits, fit_curves
from lsdb_ts.kernels.fits.models import MODELS, Model

ALONE = ("bazin", "villar", "linexp")
"""Models that are fitted to each band by itself."""
TOGETHER = ("bazin", "villar", "tde", "fallback", "ulens")
"""Models that are fitted to all bands together: one shape, an amplitude (and base) for each band."""
EVERY_MODEL = (*ALONE, "bazin_joint", "villar_joint", *TOGETHER[2:], "fleet", "tail", "rainbow", "gp")
"""What a set may ask for; the last two need the wavelengths of the bands."""


@dataclass(frozen=True)
class BandFit(Fitted, BandFeature):
    """A number of the fit of a model to a band by itself."""

    model: str = "bazin"
    quantity: str = "a"

    def __post_init__(self) -> None:
        _check(self, ALONE, MODELS.get(self.model, MODELS["bazin"]).parameters, quality=True)

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> tuple[BandFit, ...]:
        """Return all numbers of all models, amplitudes first."""
        return tuple(cls(m, q) for m in ALONE for q in quantities(MODELS[m].own + MODELS[m].shape, quality=True))

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number of every object and band."""
        fits = _ALONE[self.model](curves)
        return number(fits, self.quantity).reshape(curves.counts.shape)


@dataclass(frozen=True)
class ObjectFit(Fitted, ObjectFeature):
    """A number of the fit of a model to all bands together, that belongs to the object."""

    model: str = "tde"
    quantity: str = "sigma"

    def __post_init__(self) -> None:
        _check(self, TOGETHER, MODELS.get(self.model, MODELS["tde"]).shape, quality=True)

    @property
    def fit(self) -> str:
        """The model; ``bazin_joint`` where it is also fitted to each band."""
        return _joint(self.model)

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> tuple[ObjectFit, ...]:
        """Return all numbers of all models, their times last."""
        shapes = {m: MODELS[m].shape[1:] + MODELS[m].shape[:1] for m in TOGETHER}
        return tuple(cls(m, q) for m in TOGETHER for q in quantities(shapes[m], quality=True))

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number of every object."""
        return number(_TOGETHER[self.model](curves), self.quantity)


@dataclass(frozen=True)
class AmplitudeFit(Fitted, BandFeature):
    """The amplitude or base of a band in the fit of a model to all bands together."""

    model: str = "tde"
    quantity: str = "a"

    def __post_init__(self) -> None:
        _check(self, TOGETHER, MODELS.get(self.model, MODELS["tde"]).own, quality=False)

    @property
    def fit(self) -> str:
        """The model; ``bazin_joint`` where it is also fitted to each band."""
        return _joint(self.model)

    @property
    def min_epochs(self) -> int:  # type: ignore[override]
        """One more than the band has parameters of its own."""
        return len(MODELS[self.model].own) + 1

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> tuple[AmplitudeFit, ...]:
        """Return amplitudes and bases of all models."""
        return tuple(cls(m, q) for m in TOGETHER for q in quantities(MODELS[m].own, quality=False))

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number of every object and band."""
        return number(_TOGETHER[self.model](curves), self.quantity)


_KINDS = (
    BandFit, AmplitudeFit, ObjectFit, FleetFit, TailFit, RainbowBase, RainbowFit,
    BandProcess, ObjectProcess, ProcessColour,
)  # fmt: skip


def features(bands: tuple[str, ...], models: tuple[str, ...] | None) -> tuple[Feature, ...]:
    """Return every number of some of the models; None stands for all fits that these bands may have.

    Raises PlanError for a model that there is not, or that needs wavelengths which are not known.
    """
    there: dict[str, list[Feature]] = {}
    for kind in _KINDS:
        for feature in kind.of_bands(bands):
            there.setdefault(feature.fit, []).append(feature)
    for model in models or ():
        if model not in EVERY_MODEL:
            raise PlanError(f'there are fits of {", ".join(EVERY_MODEL)}; not of "{model}"')
        if model not in there:
            require_wavelengths(bands)
    wanted = [model for model in EVERY_MODEL[:-1] if model in there] if models is None else models
    return tuple(feature for model in wanted for feature in there[model])


def _joint(model: str) -> str:
    return f"{model}_joint" if model in ALONE else model


def _check(feature: Fitted, models: tuple[str, ...], parameters: tuple[str, ...], *, quality: bool) -> None:
    if feature.model not in models:
        raise PlanError(f'{type(feature).__name__} knows the models {", ".join(models)}; not "{feature.model}"')
    check_quantity(feature, parameters, quality=quality)


def _fitted(model: Model, *, together: bool):  # type: ignore[no-untyped-def]
    """Return what fits a model to light curves, once."""

    @once
    def fit(curves: LightCurves) -> Fits:
        arrays = (curves.time_mjd, curves.values, curves.errors, curves.offsets)
        return fit_curves(model, *arrays, n_bands=len(curves.bands) if together else 1)

    return fit


_ALONE = {name: _fitted(MODELS[name], together=False) for name in ALONE}
_TOGETHER = {name: _fitted(MODELS[name], together=True) for name in TOGETHER}
