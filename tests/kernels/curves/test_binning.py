"""Means in bins against a loop over dictionaries, with bins of one epoch, empty curves and unequal errors."""

from itertools import pairwise

import numpy as np
import pytest

from lsdb_ts.kernels.curves.binning import bin_means
from lsdb_ts.kernels.curves.within import order_within


def slow(offsets, bins, band, time, values, errors):
    """Return (curve, first epoch, epochs, time, value, error) of each bin, those of a curve by bin and band."""
    found = []
    for curve, (start, stop) in enumerate(pairwise(offsets)):
        for key in sorted({(bins[i], band[i]) for i in range(start, stop)}):
            rows = [i for i in range(start, stop) if (bins[i], band[i]) == key]
            weights = [1.0 / errors[i] ** 2 for i in rows]
            means = [sum(w * x[i] for w, i in zip(weights, rows, strict=True)) / sum(weights) for x in (time, values)]
            found.append((curve, rows[0], len(rows), *means, sum(weights) ** -0.5))
    return found


@pytest.mark.parametrize("width", [0.3, 1.0, 100.0])
@pytest.mark.parametrize("lengths", [[0], [1], [0, 7, 0, 1, 40, 0]])
def test_means_are_those_of_a_slow_loop(lengths, width):
    rng = np.random.default_rng(3)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    n = offsets[-1]
    time, values, errors = rng.uniform(0.0, 5.0, n), rng.normal(20.0, 3.0, n), rng.uniform(0.1, 9.0, n)
    bins, band = np.floor(time / width), rng.integers(0, 3, n).astype(float)
    rows = order_within(offsets, bins, band)
    first, counts, means, bounds = bin_means(rows, offsets, bins, band, time, values, errors)
    expected = slow(offsets, bins, band, time, values, errors)
    assert [(int(f), int(c)) for f, c in zip(first, counts, strict=True)] == [e[1:3] for e in expected]
    np.testing.assert_allclose(means, np.array([e[3:] for e in expected]).reshape(-1, 3).T, rtol=1e-12)
    assert np.repeat(np.arange(len(lengths)), np.diff(bounds)).tolist() == [e[0] for e in expected]
