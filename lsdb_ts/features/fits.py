"""Fits of transients, tidal disruptions and lenses: parameters, standard errors and how well the model describes them.

The models stand in ``kernels/fits/models.py``, how they are fitted beside them in ``least_squares.py``. All numbers of
one fit are one computation. Models are of fluxes; of magnitudes they are null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import VALUE, BandFeature, Feature, ObjectFeature
from lsdb_ts.features.shared import once
from lsdb_ts.kernels.fits.least_squares import Fits, fit_curves
from lsdb_ts.kernels.fits.models import MODELS, Model

ALONE = ("bazin", "villar", "linexp")
"""Models that are fitted to each band by itself."""
TOGETHER = ("bazin", "villar", "tde", "fallback", "ulens")
"""Models that are fitted to all bands together: one shape, an amplitude (and base) for each band."""
EVERY_MODEL = (*ALONE, "bazin_joint", "villar_joint", *TOGETHER[2:])
"""What a set may ask for."""
_WITHOUT_UNIT = ("beta", "index", "u0", "redchi2", "flag")
_ERROR = "_err"
_QUALITY = {
    "redchi2": "chi2 per degree of freedom",
    "flag": "0 converged, 1 with a parameter at its limit, 2 not converged, 3 singular, 4 too few epochs",
}


class _Fitted:
    """What features of fits have in common: a model, and which number of its fit."""

    fluxes_only: ClassVar[bool] = True
    costly: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    model: str
    quantity: str

    @property
    def name(self) -> str:
        """Model and quantity, such as ``bazin_tau_rise_err``."""
        return f"{self.model}_{self.quantity}"

    @property
    def unit(self) -> str:
        """Unit of the parameter; its error has the same."""
        parameter = self.quantity.removesuffix(_ERROR)
        if parameter in _WITHOUT_UNIT:
            return "1"
        return VALUE if parameter in MODELS[self.model].own else "d"

    @property
    def stored(self) -> pa.DataType:
        """Double precision for times of day."""
        return pa.float64() if self.quantity == MODELS[self.model].shape[0] else pa.float32()

    @property
    def min_epochs(self) -> int:
        """One more than there are parameters; a flag there always is."""
        return 0 if self.quantity == "flag" else len(MODELS[self.model].parameters) + 1

    @property
    def reference(self) -> str:
        """Source of the model."""
        return MODELS[self.model].reference

    @property
    def formula(self) -> str:
        """What this number is, and the model."""
        parameter = self.quantity.removesuffix(_ERROR)
        what = _QUALITY.get(parameter, parameter if parameter == self.quantity else f"standard error of {parameter}")
        return f"{what}; least squares fit of ``{MODELS[self.model].formula}``"


@dataclass(frozen=True)
class BandFit(_Fitted, BandFeature):
    """A number of the fit of a model to a band by itself."""

    model: str = "bazin"
    quantity: str = "a"

    def __post_init__(self) -> None:
        _check(self, ALONE, MODELS.get(self.model, MODELS["bazin"]).parameters, quality=True)

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> tuple[BandFit, ...]:
        """Return all numbers of all models, amplitudes first."""
        return tuple(cls(m, q) for m in ALONE for q in _quantities(MODELS[m].own + MODELS[m].shape, quality=True))

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number of every object and band."""
        fits = _ALONE[self.model](curves)
        return _number(fits, self.quantity).reshape(curves.counts.shape)


@dataclass(frozen=True)
class ObjectFit(_Fitted, ObjectFeature):
    """A number of the fit of a model to all bands together, that belongs to the object."""

    model: str = "tde"
    quantity: str = "sigma"

    def __post_init__(self) -> None:
        _check(self, TOGETHER, MODELS.get(self.model, MODELS["tde"]).shape, quality=True)

    @property
    def name(self) -> str:  # type: ignore[override]
        """As of any fit; ``bazin_joint_t0`` where the model is also fitted to each band."""
        return _joint(self)

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> tuple[ObjectFit, ...]:
        """Return all numbers of all models, their times last."""
        shapes = {m: MODELS[m].shape[1:] + MODELS[m].shape[:1] for m in TOGETHER}
        return tuple(cls(m, q) for m in TOGETHER for q in _quantities(shapes[m], quality=True))

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number of every object."""
        return _number(_TOGETHER[self.model](curves), self.quantity)


@dataclass(frozen=True)
class AmplitudeFit(_Fitted, BandFeature):
    """The amplitude or base of a band in the fit of a model to all bands together."""

    model: str = "tde"
    quantity: str = "a"

    def __post_init__(self) -> None:
        _check(self, TOGETHER, MODELS.get(self.model, MODELS["tde"]).own, quality=False)

    @property
    def name(self) -> str:  # type: ignore[override]
        """As of any fit; ``bazin_joint_a`` where the model is also fitted to each band."""
        return _joint(self)

    @property
    def min_epochs(self) -> int:  # type: ignore[override]
        """One more than the band has parameters of its own."""
        return len(MODELS[self.model].own) + 1

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> tuple[AmplitudeFit, ...]:
        """Return amplitudes and bases of all models."""
        return tuple(cls(m, q) for m in TOGETHER for q in _quantities(MODELS[m].own, quality=False))

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number of every object and band."""
        return _number(_TOGETHER[self.model](curves), self.quantity)


def features(bands: tuple[str, ...], models: tuple[str, ...]) -> tuple[Feature, ...]:
    """Return every number of some of the models; raises PlanError for one that there is not."""
    wanted = {}
    for kind in (BandFit, AmplitudeFit, ObjectFit):
        for feature in kind.of_bands(bands):
            wanted.setdefault(feature.name.removesuffix(f"_{feature.quantity}"), []).append(feature)
    for model in models:
        if model not in wanted:
            raise PlanError(f'there are fits of {", ".join(EVERY_MODEL)}; not of "{model}"')
    return tuple(feature for model in models for feature in wanted[model])


def _joint(feature: _Fitted) -> str:
    return (
        f"{feature.model}_joint_{feature.quantity}" if feature.model in ALONE else f"{feature.model}_{feature.quantity}"
    )


def _quantities(parameters: tuple[str, ...], *, quality: bool) -> tuple[str, ...]:
    errors = tuple(p + _ERROR for p in parameters)
    return (*parameters, *errors, *(_QUALITY if quality else ()))


def _check(feature: _Fitted, models: tuple[str, ...], parameters: tuple[str, ...], *, quality: bool) -> None:
    kind = type(feature).__name__
    if feature.model not in models:
        raise PlanError(f'{kind} knows the models {", ".join(models)}; not "{feature.model}"')
    known = _quantities(parameters, quality=quality)
    if feature.quantity not in known:
        raise PlanError(f'{kind} of {feature.model} has the numbers {", ".join(known)}; not "{feature.quantity}"')


def _number(fits: Fits, quantity: str) -> NDArray[np.float64]:
    if quantity == "flag":
        return fits.status.astype(np.float64)
    if quantity == "redchi2":
        return fits.redchi2
    return fits.error(quantity.removesuffix(_ERROR)) if quantity.endswith(_ERROR) else fits.value(quantity)


def _fitted(model: Model, *, together: bool):  # type: ignore[no-untyped-def]
    """Return what fits a model to light curves, once."""

    @once
    def fit(curves: LightCurves) -> Fits:
        arrays = (curves.time_mjd, curves.values, curves.errors, curves.offsets)
        return fit_curves(model, *arrays, n_bands=len(curves.bands) if together else 1)

    return fit


_ALONE = {name: _fitted(MODELS[name], together=False) for name in ALONE}
_TOGETHER = {name: _fitted(MODELS[name], together=True) for name in TOGETHER}
