"""Vectors of eight numbers against numpy, lane by lane."""

import numba
import numpy as np
import pytest

from lsdb_ts.kernels.vectors import LANES, add_four, count_within, exp, load, log, splat, store, totals


@numba.njit
def exponentials(powers, found):
    for i in range(0, powers.size, LANES):
        store(found, i, exp(load(powers, i)))


@numba.njit
def logarithms(numbers, found):
    for i in range(0, numbers.size, LANES):
        store(found, i, log(load(numbers, i)))


@numba.njit
def four_totals(numbers):
    return totals(load(numbers, 0), load(numbers, LANES), load(numbers, 2 * LANES), load(numbers, 3 * LANES))


@numba.njit
def count(numbers, most):
    return count_within(load(numbers, 0), splat(most))


@numba.njit
def add_to_rows(rows, places):
    for place in places:
        add_four(rows, 4 * place, 1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize("reach", [1e-9, 0.4, 50.0, 708.0])
def test_exponentials_are_those_of_numpy(reach):
    powers = np.random.default_rng(1).uniform(-reach, reach, 80_000)
    found = np.empty_like(powers)
    exponentials(powers, found)

    np.testing.assert_allclose(found, np.exp(powers), rtol=1e-15)


def test_powers_out_of_range_are_held_and_nan_stays():
    powers = np.array([0.0, 1.0, -708.0, -1e9, -np.inf, 1e9, np.inf, np.nan])
    found = np.empty_like(powers)
    exponentials(powers, found)

    held = np.array([0.0, 1.0, -708.0, -708.0, -708.0, 709.0, 709.0, np.nan])
    np.testing.assert_allclose(found, np.exp(held), rtol=1e-15)
    assert found[0] == 1.0


@pytest.mark.parametrize("decades", [1e-12, 0.2, 5.0, 307.0])
def test_logarithms_are_those_of_numpy(decades):
    numbers = 10.0 ** np.random.default_rng(2).uniform(-decades, decades, 80_000)
    found = np.empty_like(numbers)
    logarithms(numbers, found)

    np.testing.assert_allclose(found, np.log(numbers), rtol=1e-15)


def test_there_is_no_logarithm_of_what_is_not_positive():
    numbers = np.array([1.0, np.sqrt(0.5), np.sqrt(2.0), 0.0, -0.0, -1.0, np.nan, -np.inf])
    found = np.empty_like(numbers)
    logarithms(numbers, found)

    np.testing.assert_allclose(found[1:3], [-0.5 * np.log(2), 0.5 * np.log(2)], rtol=1e-15)
    assert found[0] == 0.0
    assert np.isnan(found[3:]).all()


def test_lanes_are_added_up():
    numbers = 10.0 ** np.arange(32.0) % 7.0

    np.testing.assert_allclose(four_totals(numbers), numbers.reshape(4, LANES).sum(axis=1), rtol=1e-15)


def test_lanes_are_counted():
    numbers = np.array([1.0, -2.0, 4.0, 8.0, 16.0, np.nan, 64.0, np.inf])

    assert [count(numbers, most) for most in (-3.0, 8.0, 1e9, np.inf, np.nan)] == [0, 4, 6, 7, 0]


def test_rows_are_added_to():
    rows = np.ones((3, 4))
    add_to_rows(rows, np.array([2, 0, 2]))

    assert rows.tolist() == [[2, 3, 4, 5], [1, 1, 1, 1], [3, 5, 7, 9]]
