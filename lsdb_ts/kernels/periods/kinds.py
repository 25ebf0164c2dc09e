"""Kinds of periodic stars, by where their periods and shapes lie: what a period search may be told of its objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import InputError, PlanError

_OWN_WIDTH = 0.03
"""Added in quadrature to standard deviations that are measured: harmonics have errors in the search, too."""


@dataclass(frozen=True)
class StarKind:
    """Where the periods, amplitudes and shapes of a kind of periodic stars lie, for ``PeriodSearch.kinds``.

    All of them together are one Gaussian, see ``templates.py``. Its coordinates are the natural logarithm of the period
    in days; that of the semi-amplitude of the fundamental, in magnitudes, in a band of amplitude ratio 1; then, for k =
    2, 3, ..., real and imaginary part of ``A_k / A_1 exp(i (phi_k - k phi_1))``, in magnitudes.
    """

    share: float
    """How common the kind is among those named."""
    mean: tuple[float, ...]
    """Means of the coordinates."""
    covariance: tuple[tuple[float, ...], ...]
    """Lower triangle of their covariance: row i has i + 1 numbers."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(number) for number in self.mean))
        object.__setattr__(self, "covariance", tuple(tuple(map(float, row)) for row in self.covariance))
        n = len(self.mean)
        if n < 4 or n % 2 or [len(row) for row in self.covariance] != list(range(1, n + 1)):
            raise PlanError(
                "a kind of star needs the means of period, amplitude and one harmonic or more (4, 6, 8 ... numbers), "
                f"and the lower triangle of their covariance; got {n} means and rows of "
                f"{[len(row) for row in self.covariance]}"
            )
        values = np.linalg.eigvalsh(self._full())
        if not (self.share > 0.0 and np.isfinite(self.mean).all() and values.min() > 0.0):
            raise PlanError(
                "a kind of star needs a share above 0, finite means and a positive definite covariance; "
                f"got the share {self.share} and the least eigenvalue {values.min():.3g}"
            )

    @classmethod
    def measured(cls, share: float, period_days: ArrayLike, amplitude_mag: ArrayLike, shapes: ArrayLike) -> StarKind:
        """Return the kind of which these stars are.

        Parameters
        ----------
        share : float
            How common the kind is among those named.
        period_days, amplitude_mag : array_like, shape (n_stars,)
            Periods, and semi-amplitudes of the fundamental.
        shapes : array_like of complex, shape (n_stars, n_harmonics - 1)
            ``A_k / A_1 exp(i (phi_k - k phi_1))`` for k = 2, 3, ...

        >>> rng = np.random.default_rng(1)
        >>> shapes = rng.normal(-0.3, 0.05, (200, 1)) + 1j * rng.normal(-0.3, 0.05, (200, 1))
        >>> kind = StarKind.measured(1.0, rng.uniform(0.5, 0.7, 200), rng.uniform(0.2, 0.5, 200), shapes)
        >>> [round(number, 1) for number in kind.mean]
        [-0.5, -1.1, -0.3, -0.3]
        """
        rho = np.asarray(shapes, dtype=complex)
        period, amplitude = np.asarray(period_days, dtype=float), np.asarray(amplitude_mag, dtype=float)
        if rho.ndim != 2 or not len(rho) == period.size == amplitude.size:
            raise InputError(f"{period.size} periods, {amplitude.size} amplitudes and shapes of shape {rho.shape}")
        parts = np.stack([rho.real, rho.imag], axis=2).reshape(len(rho), -1)
        stars = np.column_stack([np.log(period), np.log(amplitude), parts])
        covariance = np.cov(stars.T) + np.eye(stars.shape[1]) * _OWN_WIDTH**2
        return cls(share, tuple(stars.mean(axis=0)), tuple(tuple(row[: i + 1]) for i, row in enumerate(covariance)))

    @property
    def n_harmonics(self) -> int:
        """Harmonics of which the kind tells."""
        return len(self.mean) // 2

    def _full(self) -> NDArray[np.float64]:
        n = len(self.mean)
        lower = np.zeros((n, n))
        lower[np.tril_indices(n)] = [number for row in self.covariance for number in row]
        return lower + np.tril(lower, -1).T


def arrays(kinds: Sequence[StarKind]) -> tuple[NDArray[np.float64], ...]:
    """Return what ``templates.expected_shape`` reads, one kind a row.

    Shares; means; precision of period and amplitude; slopes of the shape against these two; its precision given them.
    """
    n = 2 * kinds[0].n_harmonics if kinds else 4
    shares, means = np.zeros(len(kinds)), np.zeros((len(kinds), n))
    precisions, slopes = np.zeros((len(kinds), 2, 2)), np.zeros((len(kinds), n - 2, 2))
    of_shape = np.zeros((len(kinds), n - 2, n - 2))
    for place, kind in enumerate(kinds):
        full = kind._full()
        shares[place], means[place] = kind.share, kind.mean
        precisions[place] = np.linalg.inv(full[:2, :2])
        slopes[place] = full[2:, :2] @ precisions[place]
        of_shape[place] = np.linalg.inv(full[2:, 2:] - slopes[place] @ full[:2, 2:])
    return shares, means, precisions, slopes, of_shape


RR_LYRAE = (
    StarKind(
        0.80,
        (-0.545, -1.102, -0.257, -0.346, -0.138, 0.233, 0.137, 0.027),
        (
            (0.01413,),
            (-0.02307, 0.08752),
            (0.00541, -0.01786, 0.00678),
            (-0.00279, 0.00038, -0.00019, 0.00487),
            (-0.00506, 0.00726, -0.00166, 0.00387, 0.00693),
            (-0.00579, 0.02281, -0.00651, -0.00014, 0.00169, 0.01069),
            (-0.00343, 0.01720, -0.00477, -0.00042, 0.00034, 0.00758, 0.00845),
            (0.00504, -0.00956, 0.00225, -0.00276, -0.00463, -0.00295, -0.00165, 0.00586),
        ),
    ),
    StarKind(
        0.20,
        (-1.071, -1.432, 0.009, -0.146, -0.063, -0.003, -0.007, 0.018),
        (
            (0.01719,),
            (-0.00121, 0.02191),
            (0.00242, -0.00181, 0.00423),
            (0.00155, -0.00344, 0.00199, 0.00566),
            (-0.00052, -0.00164, -0.00041, 0.00057, 0.00191),
            (-0.00180, 0.00185, -0.00168, -0.00279, -0.00046, 0.00420),
            (-0.00038, -0.00001, -0.00147, -0.00187, 0.00005, 0.00161, 0.00263),
            (-0.00079, 0.00009, -0.00017, -0.00018, 0.00014, -0.00034, -0.00021, 0.00242),
        ),
    ),
)
"""Fundamental mode (ab) and first overtone (c), measured on half of the stars of Sesar et al. 2010, ApJ 708, 717."""
RR_LYRAE_AMPLITUDES = {"u": 1.0, "g": 1.0, "r": 0.72, "i": 0.57, "z": 0.54, "y": 0.5}
"""Amplitudes of RR Lyrae relative to g: medians of Sesar et al. 2010 (y: as the simulated survey has it)."""
