"""The features of Rubin's Data Products Definition Document (LSE-163), and the shape they have there.

They are tables 4 and 5 of Richards et al. 2011, ApJ 733, 10: 31 numbers of three frequencies and 20 others, in fluxes,
of each band by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import SchemaError
from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import VALUE, BandFeature, Feature, named
from lsdb_ts.features.shared import once
from lsdb_ts.kernels.periods.false_alarm import false_alarm_probability
from lsdb_ts.kernels.periods.prewhitening import FREQUENCIES, HARMONICS, prewhiten
from lsdb_ts.kernels.periods.search import PeriodSearch

PERIODIC = (
    "linear_trend", "freq1", "freq2", "freq3",
    *(f"freq{i}_amp{j}" for i in (1, 2, 3) for j in (1, 2, 3, 4)),
    *(f"freq{i}_phase{j}" for i in (1, 2, 3) for j in (1, 2, 3, 4) if (i, j) != (1, 1)),
    "freq1_signif", "freq2_signif_ratio", "freq3_signif_ratio", "freq1_var_ratio",
)  # fmt: skip
"""The places of ``lcPeriodic``; the 32nd is empty."""
NON_PERIODIC = (
    "amplitude", "beyond_1std", "fpr_mid20", "fpr_mid35", "fpr_mid50", "fpr_mid65", "fpr_mid80", "max_slope", "mad",
    "median_brp", "pair_slope_trend", "percent_amplitude", "percent_diff_fp", "qso_chi2", "qso_chi2_false", "skew",
    "kurt_small", "sigma", "stetson_j", "stetson_k",
)  # fmt: skip
"""The places of ``lcNonPeriodic``."""
_LISTS = (("lcPeriodic", PERIODIC, 32), ("lcNonPeriodic", NON_PERIODIC, 20))


@dataclass(frozen=True)
class Prewhitened(BandFeature):
    """A number of the model of three frequencies with four harmonics each, fitted and taken away one after the other.

    ``x = c t + sum_ij A_ij cos(2 pi j f_i t + p_ij)``: the trend c (``linear_trend``), frequencies f_i (``freq1``),
    amplitudes A_ij (``freq1_amp1``), phases in [0, 2 pi) as if p_11 were 0, ``p_ij - (j f_i / f_1) p_11``
    (``freq1_phase2``), the significance of the first in standard deviations of a Gaussian (``freq1_signif``), those of
    the others over it, and the share of the variance that the first leaves (``freq1_var_ratio``).
    """

    number: str
    min_epochs: ClassVar[int] = 20
    reference: ClassVar[str] = "Richards et al. 2011, ApJ 733, 10, table 4"
    needs_period: ClassVar[bool] = True
    costly: ClassVar[bool] = True
    on_request: ClassVar[bool] = True

    @classmethod
    def of_bands(cls, bands: tuple[str, ...]) -> tuple[Prewhitened, ...]:
        """Return all its numbers."""
        return tuple(cls(name) for name in PERIODIC)

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the number."""
        return self.number

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Unit of the number."""
        return _unit(self.number)

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the number."""
        return _table(self.min_epochs)(curves)[:, :, PERIODIC.index(self.number)]


def features(bands: tuple[str, ...]) -> list[Feature]:
    """Return the features of both lists."""
    others = [feature.by("richards11") for feature in named(NON_PERIODIC, bands)]
    return [*Prewhitened.of_bands(bands), *others]


def list_fields(n_bands: int, metadata: dict[str, str]) -> tuple[pa.Field, ...]:
    """Return the two lists as columns."""
    return tuple(
        pa.field(name, pa.list_(pa.list_(pa.float32(), width), n_bands), metadata=metadata) for name, _, width in _LISTS
    )


def dpdd_lists(table: pa.Table, bands: Iterable[str] = "ugrizy") -> pa.Table:
    """Return ``lcPeriodic`` and ``lcNonPeriodic`` of a table of the features of ``FeatureSet.dpdd``.

    Parameters
    ----------
    table : pyarrow.Table
        With the columns ``features_u`` and so on; others are handed on.
    bands : iterable of str
        Bands, in the sequence they shall have; one without a column is empty.

    Returns
    -------
    pyarrow.Table
        The structs are replaced by two lists of fixed size for each row: float32[bands][32] and float32[bands][20], in
        the sequence of ``dpdd.PERIODIC`` and ``dpdd.NON_PERIODIC``. What is not defined is null.

    Raises
    ------
    SchemaError
        A struct lacks a feature of the set.
    """
    columns = [f"features_{band}" for band in bands]
    kept = table.drop_columns([name for name in columns if name in table.schema.names])
    for name, places, width in _LISTS:
        values = np.full((table.num_rows, len(columns), width), np.nan, np.float32)
        for b, column in enumerate(columns):
            if column in table.schema.names:
                _fill(values[:, b], table[column].combine_chunks(), places, column)
        flat = values.ravel()
        numbers = pa.array(flat, pa.float32(), mask=np.isnan(flat))
        of_bands = pa.FixedSizeListArray.from_arrays(numbers, width)
        kept = kept.append_column(name, pa.FixedSizeListArray.from_arrays(of_bands, len(columns)))
    return kept


def _fill(values: NDArray[np.float32], struct: pa.StructArray, places: tuple[str, ...], column: str) -> None:
    there = [field.name for field in struct.type]
    for place, name in enumerate(places):
        if name not in there:
            raise SchemaError(f'"{column}" has no feature "{name}": extract the features with FeatureSet.dpdd()')
        values[:, place] = struct.field(name).to_numpy(zero_copy_only=False)


def _unit(number: str) -> str:
    if number == "linear_trend":
        return f"{VALUE}/d"
    if "amp" in number:
        return VALUE
    if "phase" in number:
        return "rad"
    return "1/d" if number in ("freq1", "freq2", "freq3") else "1"


@functools.cache
def _table(min_epochs: int) -> Callable[[LightCurves], NDArray[np.float64]]:
    return once(functools.partial(_computed, min_epochs))


def _computed(min_epochs: int, curves: LightCurves) -> NDArray[np.float64]:
    """Return the numbers in their places, shape (n_objects, n_bands, 31)."""
    from scipy.special import chdtrc

    search, n = curves.search or PeriodSearch(), curves.counts.ravel()
    constant = chdtrc(np.maximum(n - 1, 1), curves.statistic("chi2").ravel())
    chosen = (n >= min_epochs) & (constant < search.max_p_const)
    found = prewhiten(
        curves.time_mjd, curves.values, curves.errors, curves.offsets, chosen,
        search.period_range_days, search.oversampling, search.max_frequencies,
    )  # fmt: skip
    frequencies = found[:, 1 : 1 + FREQUENCIES * (1 + 2 * HARMONICS)].reshape(-1, FREQUENCIES, 1 + 2 * HARMONICS)
    f, amplitudes, phases = frequencies[:, :, 0], frequencies[:, :, 1:5], frequencies[:, :, 5:]
    turns = np.arange(1, HARMONICS + 1) * (f / f[:, :1])[:, :, None]
    relative = np.mod(phases - turns * phases[:, :1, :1], 2.0 * np.pi).reshape(-1, FREQUENCIES * HARMONICS)
    sigmas = _significance(found[:, 28:31], found[:, 31], curves)
    first = np.where(sigmas[:, :1] > 0, sigmas[:, :1], np.nan)
    table = np.concatenate(
        [found[:, :1], f, amplitudes.reshape(-1, FREQUENCIES * HARMONICS), relative[:, 1:],
         sigmas[:, :1], sigmas[:, 1:] / first, found[:, 32:]], axis=1,
    )  # fmt: skip
    return table.reshape(*curves.counts.shape, len(PERIODIC))


def _significance(
    power: NDArray[np.float64], max_frequency: NDArray[np.float64], curves: LightCurves
) -> NDArray[np.float64]:
    """Return how many standard deviations away a Gaussian is as improbable as the peak is for noise."""
    from scipy.special import erfcinv

    spread = np.sqrt(np.maximum(_time_variance(curves), 0.0))[:, None]
    probability = false_alarm_probability(power, 1.0, max_frequency[:, None] * spread, curves.counts.reshape(-1, 1))
    return np.sqrt(2.0) * erfcinv(np.maximum(probability, 1e-300))


def _time_variance(curves: LightCurves) -> NDArray[np.float64]:
    """Return the weighted variance of the times of every curve, shape (n_curves,)."""
    curve = np.repeat(np.arange(curves.offsets.size - 1), np.diff(curves.offsets))
    first = curves.statistic("t_first").ravel()
    t, w = curves.time_mjd - first[curve], curves.errors**-2.0
    W, T, TT = (np.bincount(curve, w * t**k, curves.offsets.size - 1) for k in (0, 1, 2))
    with np.errstate(invalid="ignore"):
        return TT / W - (T / W) ** 2
