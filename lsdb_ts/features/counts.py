"""How many epochs there are and how they lie in time; the values themselves are not looked at."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import BandFeature, ObjectFeature, Statistic


class NEpochs(Statistic):
    """Number of good epochs; 0, not null, where there are none."""

    name, unit, min_epochs = "n_epochs", "1", 0
    reference = "Rubin DPDD (LSE-163), psfFluxNdata"


class NAll(BandFeature):
    """Number of epochs, also of those that are left out; 0, not null, where there are none."""

    name, unit, min_epochs = "n_all", "1", 0
    reference = "this package"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the counts."""
        return (curves.counts + curves.dropped).astype(float)


class TFirst(Statistic):
    """Time of the first good epoch, ``t_1``, in double precision."""

    name, unit, min_epochs, stored, dated = "t_first", "d", 1, pa.float64(), True
    reference = "Rubin DPDD (LSE-163), firstDiaSourceMjdTai, of a band"


class TLast(Statistic):
    """Time of the last good epoch, ``t_n``, in double precision."""

    name, unit, min_epochs, stored, dated = "t_last", "d", 1, pa.float64(), True
    reference = "Rubin DPDD (LSE-163), lastDiaSourceMjdTai, of a band"


class Duration(Statistic):
    """Time from first to last epoch, ``t_n - t_1``."""

    name, unit, min_epochs = "duration", "d", 1
    reference = "Sanchez-Saez et al. 2021, AJ 161, 141, Timespan"


class DtMedian(Statistic):
    """Median gap, ``median(t_{i+1} - t_i)``."""

    name, unit, min_epochs = "dt_median", "d", 2
    reference = "Malanchev et al. 2021, MNRAS 502, 5147"


class DtMax(Statistic):
    """Longest gap, ``max(t_{i+1} - t_i)``."""

    name, unit, min_epochs = "dt_max", "d", 2
    reference = "Malanchev et al. 2021, MNRAS 502, 5147"


class NTotal(ObjectFeature):
    """Number of good epochs in all bands."""

    name, unit, min_epochs = "n_total", "1", 0
    reference = "Rubin DPDD (LSE-163), nDiaSources"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the counts."""
        return curves.counts.sum(axis=1).astype(float)


class NBands(ObjectFeature):
    """Number of bands with good epochs."""

    name, unit, min_epochs = "n_bands", "1", 0
    reference = "this package"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the counts."""
        return (curves.counts > 0).sum(axis=1).astype(float)


class NDropped(ObjectFeature):
    """Number of epochs left out: flagged, not finite, without a positive error, or a century from the others."""

    name, unit, min_epochs = "n_dropped", "1", 0
    reference = "this package"

    def compute(self, curves: LightCurves) -> NDArray[np.float64]:
        """Return the counts."""
        return curves.dropped.sum(axis=1).astype(float)
