"""Which partitions of a big catalog are looked at: chosen by a hash, so that the same are chosen again. No checks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.sky import Layout
from partitioner.account import mixed


@dataclass(frozen=True)
class Sample:
    """A share of the partitions of each catalog, or a number of them."""

    share: float | None = None
    number: int | None = None
    seed: int = 0

    @classmethod
    def of(cls, text: str | float, seed: int = 0) -> Sample:
        """Read ``0.01``, a share of the partitions, or ``100``, a number of them.

        >>> Sample.of("0.01"), Sample.of(100)
        (Sample(share=0.01, number=None, seed=0), Sample(share=None, number=100, seed=0))

        Raises
        ------
        PlanError
            It is neither.
        """
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if 0 < value < 1:
            return cls(share=value, seed=seed)
        if value < 1 or value != int(value):
            raise PlanError(f"--sample {text}: need a share of the partitions like 0.01, or a number of them like 100")
        return cls(number=int(value), seed=seed)

    def chosen(self, layout: Layout) -> NDArray[np.bool_]:
        """Return which pixels are looked at, one at least; shape (n,). It depends on nothing but them and the seed."""
        if len(layout) == 0:
            return np.zeros(0, dtype=bool)
        salt = mixed(np.array([self.seed]))[0]
        drawn = mixed((mixed(layout.starts) ^ salt ^ layout.orders.astype(np.uint64)).view(np.int64))
        n = self.number if self.number is not None else int(np.ceil(float(self.share or 0) * len(layout)))
        found = np.zeros(len(layout), dtype=bool)
        found[np.argsort(drawn, kind="stable")[:n]] = True
        return found
