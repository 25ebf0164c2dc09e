"""Kinds of periodic stars, by where their periods and shapes lie: what a period search may be told of its objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lsdb_ts.errors import PlanError


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, (tuple, list)) else float(value)


@dataclass(frozen=True)
class StarKind:
    """Where the periods and shapes of a kind of periodic stars lie, for ``PeriodSearch.kinds``.

    Each pair is a mean and a standard deviation. Shapes are ``A_k / A_1 exp(i (phi_k - k phi_1))`` of the light curve
    in magnitudes.
    """

    share: float
    """How common the kind is among those named."""
    log_period: tuple[float, float]
    """Of the natural logarithm of the period in days."""
    second: tuple[tuple[float, float], tuple[float, float]]
    """Of real and imaginary part for k = 2."""
    third: tuple[tuple[float, float], tuple[float, float]]
    """The same for k = 3."""

    def __post_init__(self) -> None:
        for name in ("log_period", "second", "third"):
            object.__setattr__(self, name, _tuples(getattr(self, name)))
        widths = [self.log_period[1], *(width for _, width in (*self.second, *self.third))]
        if not (self.share > 0.0 and all(width > 0.0 for width in widths)):
            raise PlanError(f"a kind of star needs a share and standard deviations above 0, got {self}")

    @property
    def row(self) -> list[float]:
        """Share, means, standard deviations, as the kernel reads them; the normalisation is in the share."""
        pairs = [self.log_period, *self.second, *self.third]
        return [self.share, *(mean for mean, _ in pairs), *(width for _, width in pairs)]


RR_LYRAE = (
    StarKind(0.8, (-0.55, 0.12), ((-0.26, 0.09), (-0.34, 0.08)), ((-0.13, 0.09), (0.24, 0.11))),
    StarKind(0.2, (-1.08, 0.12), ((0.0, 0.06), (-0.14, 0.07)), ((-0.06, 0.06), (-0.01, 0.06))),
)
"""Fundamental mode (ab) and first overtone (c), measured on half of the stars of Sesar et al. 2010, ApJ 708, 717."""
RR_LYRAE_AMPLITUDES = {"u": 1.0, "g": 1.0, "r": 0.72, "i": 0.57, "z": 0.54, "y": 0.5}
"""Amplitudes of RR Lyrae relative to g: medians of Sesar et al. 2010 (y: as the simulated survey has it)."""
