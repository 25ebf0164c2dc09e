"""Make a classifier's probabilities mean what they say, and measure how far they do. Training lives next door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_FLOOR = 1e-7
_PRIOR_WEIGHT = 1.0


@dataclass(frozen=True)
class Calibration:
    """A sharpness common to all classes and a bias for each: ``p' ~ exp(sharpness * log p + bias)``.

    Vector scaling with one temperature (Guo et al. 2017, ICML 70, 1321, sec. 4.2); the biases also undo the class
    weights of training.

    >>> Calibration(1.0, (0.0, 0.0)).apply(np.array([[0.25, 0.75]]))
    array([[0.25, 0.75]])
    """

    sharpness: float
    """Inverse temperature: below 1 softens."""
    bias: tuple[float, ...]

    @classmethod
    def fit(cls, probabilities: Floats, codes: Codes) -> Calibration:
        """Find the calibration of least log loss on objects the classifier has not seen.

        Parameters
        ----------
        probabilities : numpy.ndarray of float64, shape (n, k)
        codes : numpy.ndarray of int64, shape (n,)
            The true classes.
        """
        from scipy.optimize import minimize

        logs = np.log(np.clip(probabilities, _FLOOR, None))
        truth = np.zeros_like(logs)
        truth[np.arange(codes.size), codes] = 1.0

        def loss(parameters: Floats) -> tuple[float, Floats]:
            raw = parameters[0] * logs + parameters[1:]
            shifted = raw - raw.max(axis=1, keepdims=True)
            total = np.exp(shifted).sum(axis=1)
            residual = np.exp(shifted) / total[:, None] - truth
            # A weak normal prior keeps the bias of a class with a handful of objects finite.
            value = (np.log(total) - (shifted * truth).sum(axis=1)).sum() + _PRIOR_WEIGHT / 2 * (
                parameters[1:] ** 2
            ).sum()
            slope = np.concatenate([[(residual * logs).sum()], residual.sum(axis=0) + _PRIOR_WEIGHT * parameters[1:]])
            return float(value), slope

        start = np.concatenate([[1.0], np.zeros(logs.shape[1])])
        bounds = [(0.05, 20.0)] + [(None, None)] * logs.shape[1]
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
        return cls(float(found[0]), tuple(float(b) for b in found[1:]))

    def apply(self, probabilities: Floats) -> Floats:
        """Return calibrated probabilities, shape (n, k); each row adds up to 1."""
        raw = self.sharpness * np.log(np.clip(probabilities, _FLOOR, None)) + np.array(self.bias)
        out = np.exp(raw - raw.max(axis=1, keepdims=True)) if raw.size else raw
        return np.asarray(out / out.sum(axis=1, keepdims=True))

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as plain JSON values."""
        return {"sharpness": self.sharpness, "bias": list(self.bias)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Calibration:
        """Build a calibration from what `to_json` returned."""
        return cls(float(value["sharpness"]), tuple(value["bias"]))


def expected_calibration_error(probabilities: Floats, codes: Codes, n_bins: int = 10) -> float:
    """Return the mean distance between confidence and accuracy, over bins of confidence weighted by their objects.

    ``ECE = sum_b n_b / n |accuracy_b - confidence_b|`` (Guo et al. 2017, ICML 70, 1321, eq. 3).

    >>> expected_calibration_error(np.array([[0.8, 0.2], [0.8, 0.2]]), np.array([0, 1])).__round__(6)
    0.3
    """
    if codes.size == 0:
        return float("nan")
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == codes
    place = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    apart = np.bincount(place, weights=right - confidence, minlength=n_bins)
    return float(np.abs(apart).sum() / codes.size)


def log_loss(probabilities: Floats, codes: Codes) -> float:
    """Return the mean negative log probability of the true class, in nats."""
    return float(-np.log(np.clip(probabilities[np.arange(codes.size), codes], _FLOOR, None)).mean())
