"""Tables that several features are columns of: computed once for the same light curves, when first asked for."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import TypeVar

from lsdb_ts.features.curves import LightCurves

Table = TypeVar("Table")


def once(compute: Callable[[LightCurves], Table]) -> Callable[[LightCurves], Table]:
    """Keep what a function makes of light curves for as long as these are there.

    >>> import numpy as np
    >>> calls = []
    >>> count = once(lambda curves: calls.append(1) or len(curves.bands))
    >>> nothing = np.empty(0)
    >>> curves = LightCurves(nothing, nothing, nothing, np.zeros(1, int), np.zeros((0, 1), int), ("g",), True)
    >>> count(curves), count(curves), len(calls)
    (1, 1, 1)
    """
    kept: weakref.WeakKeyDictionary[LightCurves, Table] = weakref.WeakKeyDictionary()

    @functools.wraps(compute)
    def table(curves: LightCurves) -> Table:
        if curves not in kept:
            kept[curves] = compute(curves)
        return kept[curves]

    return table
