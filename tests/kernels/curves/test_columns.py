"""Columns with bits for what is defined, against Arrow's own."""

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.curves.columns import nullable


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 64, 1001])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_columns_are_those_that_arrow_makes_of_a_mask(n, kind):
    rng = np.random.default_rng(n)
    values, counts = rng.normal(size=(3, n)), rng.integers(0, 5, (3, n))
    values[rng.random((3, n)) < 0.2] = np.nan
    values[rng.random((3, n)) < 0.1] = -np.inf
    values[rng.random((3, n)) < 0.1] = 1e39
    defined = (counts >= 2) & (np.abs(values) < 1e38)

    columns = zip(*nullable(values.T.copy().T, counts, 2, kind), strict=True)
    for k, (numbers, bits, missing) in enumerate(columns):
        found = pa.Array.from_buffers(pa.from_numpy_dtype(kind), n, [pa.py_buffer(bits), pa.py_buffer(numbers)])
        expected = pa.array(np.where(defined[k], values[k], 0.0).astype(kind), mask=~defined[k])

        assert found.equals(expected)
        assert missing == expected.null_count
        assert (numbers[~defined[k]] == 0.0).all()


def test_counts_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="do not fit"):
        nullable(np.zeros((2, 3)), np.zeros((3, 2), int), 1, "float32")
