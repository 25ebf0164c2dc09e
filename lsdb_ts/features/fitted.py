"""What features of least-squares fits have in common: a model, which number of its fit, and what that number is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.features.protocol import VALUE
from lsdb_ts.kernels.fits.least_squares import Fits
from lsdb_ts.kernels.fits.models import MODELS

ERROR = "_err"
QUALITY = {
    "redchi2": "chi2 per degree of freedom",
    "flag": "0 converged, 1 with a parameter at its limit, 2 not converged, 3 singular, 4 too few epochs",
}
_WITHOUT_UNIT = ("beta", "index", "u0", *QUALITY)
_KELVIN = ("temp_min", "delta_temp")
_BOLOMETRIC = f"{VALUE} Hz"


class Fitted:
    """A number of the fit of a model of ``kernels.fits.models``."""

    fluxes_only = True
    costly = True
    on_request = True
    model: str
    quantity: str

    @property
    def fit(self) -> str:
        """What the fit is called, the first part of the names of its numbers."""
        return self.model

    @property
    def name(self) -> str:
        """Fit and quantity, such as ``bazin_tau_rise_err``."""
        return f"{self.fit}_{self.quantity}"

    @property
    def unit(self) -> str:
        """Unit of the parameter; its error has the same."""
        model, parameter = MODELS[self.model], self.quantity.removesuffix(ERROR)
        if parameter in _WITHOUT_UNIT:
            return "1"
        if parameter in _KELVIN:
            return "K"
        if parameter in model.own:
            return VALUE
        return _BOLOMETRIC if model.chromatic and parameter == model.shape[-1] else "d"

    @property
    def dated(self) -> bool:
        """Whether it is the time of the model: the first parameter of its shape."""
        return self.quantity == MODELS[self.model].shape[0]

    @property
    def stored(self) -> pa.DataType:
        """Double precision for times of day."""
        return pa.float64() if self.dated else pa.float32()

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
        return f"{meaning(self.quantity)}; least squares fit of ``{MODELS[self.model].formula}``"


def meaning(quantity: str) -> str:
    """Return what a number of a fit is, in words."""
    parameter = quantity.removesuffix(ERROR)
    return QUALITY.get(parameter, parameter if parameter == quantity else f"standard error of {parameter}")


def quantities(parameters: tuple[str, ...], *, quality: bool) -> tuple[str, ...]:
    """Return the names of the numbers of a fit: parameters, their errors, and how good it is."""
    errors = tuple(p + ERROR for p in parameters)
    return (*parameters, *errors, *(QUALITY if quality else ()))


def check_quantity(feature: Fitted, parameters: tuple[str, ...], *, quality: bool) -> None:
    """Raise PlanError unless the fit has the number that a feature is."""
    known = quantities(parameters, quality=quality)
    if feature.quantity not in known:
        raise PlanError(
            f'{type(feature).__name__} of {feature.model} has the numbers {", ".join(known)}; not "{feature.quantity}"'
        )


def number(fits: Fits, quantity: str) -> NDArray[np.float64]:
    """Return a number of all fits."""
    if quantity == "flag":
        return fits.status.astype(np.float64)
    if quantity == "redchi2":
        return fits.redchi2
    return fits.error(quantity.removesuffix(ERROR)) if quantity.endswith(ERROR) else fits.value(quantity)
