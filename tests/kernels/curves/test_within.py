"""Sorting inside curves, held against numpy's sort by curve and keys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.curves.within import order_within


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.5, -2.0, np.nan, 7.0])), max_size=70), max_size=6
    )
)
def test_the_order_is_that_of_a_stable_sort_by_curve_and_keys(curves):
    offsets = np.cumsum([0, *map(len, curves)])
    first, second = (np.array([e[k] for c in curves for e in c], dtype=float) for k in range(2))
    parents = np.repeat(np.arange(len(curves)), np.diff(offsets))
    assert order_within(offsets, first, second).tolist() == np.lexsort((second, first, parents)).tolist()
    assert order_within(offsets, second).tolist() == np.lexsort((second, parents)).tolist()


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 32, 33, 1000])
def test_long_curves_in_any_order(n):
    rng = np.random.default_rng(n)
    for values in (rng.normal(size=n), np.arange(n), -np.arange(n), rng.integers(0, 5, n), np.zeros(n)):
        order = order_within(np.array([0, n, n]), values)
        assert order.tolist() == np.argsort(values, kind="stable").tolist()


def test_keys_must_be_as_long_as_the_offsets_say():
    with pytest.raises(InputError, match="keys of 2 epochs"):
        order_within(np.array([0, 3]), np.zeros(2))
