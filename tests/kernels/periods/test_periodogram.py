"""Multiband power against astropy and least squares, and its peaks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsdb_ts.kernels.periods.grid import FrequencyGrid
from lsdb_ts.kernels.periods.periodogram import highest_peaks, multiband_power


def simulate(counts, seed=0, baseline=300.0):
    """Return times, values, weights, offsets of one object with these epochs per band."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    t = np.concatenate([60000 + np.sort(rng.uniform(0, baseline, n)) for n in counts])
    y = (
        np.repeat(rng.normal(18, 1, len(counts)), counts)
        + 0.4 * np.sin(2 * np.pi * t / 1.7)
        + rng.normal(0, 0.1, t.size)
    )
    return t, y, rng.uniform(20, 200, t.size), offsets


def least_squares_power(t, y, w, offsets, frequencies, independent):
    """Solve the weighted linear model of each frequency as it stands in the paper."""
    n_bands = len(offsets) - 1
    band = np.repeat(np.arange(n_bands), np.diff(offsets))
    means = (band[:, None] == np.arange(n_bands)).astype(float)
    root = np.sqrt(w)

    def chi2(design):
        solution = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
        return ((root * (y - design @ solution)) ** 2).sum()

    constant = chi2(means)
    power = []
    for f in frequencies:
        phase = 2 * np.pi * f * (t - t[0])
        wave = np.stack([np.cos(phase), np.sin(phase)], axis=1)
        if independent:
            wave = np.concatenate([wave * means[:, [b]] for b in range(n_bands) if (band == b).sum() > 3], axis=1)
        power.append(1 - chi2(np.concatenate([means, wave], axis=1)) / constant)
    return np.array(power)


def test_one_band_is_the_floating_mean_lomb_scargle_of_astropy():
    from astropy.timeseries import LombScargle

    t, y, w, offsets = simulate([120])
    grid = FrequencyGrid.spanning(np.ptp(t), (0.2, 20.0))
    expected = LombScargle(t, y, w**-0.5, fit_mean=True).power(grid.frequencies, method="cython")

    for independent in (False, True):
        np.testing.assert_allclose(multiband_power(t, y, w, offsets, grid, independent), expected, atol=1e-8)


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("counts", [[30, 25, 40], [12, 0, 9, 2, 1, 14], [5, 4, 3]])
def test_many_bands_are_the_least_squares_of_the_paper(counts, independent):
    t, y, w, offsets = simulate(counts, seed=3)
    grid = FrequencyGrid(0.31, 0.0137, 150)
    expected = least_squares_power(t, y, w, offsets, grid.frequencies, independent)

    np.testing.assert_allclose(multiband_power(t, y, w, offsets, grid, independent), expected, atol=1e-8)


@pytest.mark.parametrize(("terms", "independent"), [((1, 0), False), ((0, 1), True)])
def test_many_bands_are_the_flexible_multiband_lomb_scargle_of_astropy(terms, independent):
    from astropy.timeseries import LombScargleMultiband

    t, y, w, offsets = simulate([40, 35, 30])
    bands = np.repeat(["g", "r", "i"], np.diff(offsets))
    grid = FrequencyGrid(0.4, 0.011, 60)
    model = LombScargleMultiband(
        t, y, bands, w**-0.5, nterms_base=terms[0], nterms_band=terms[1], reg_base=None, reg_band=None,
        regularize_by_trace=False,
    )  # fmt: skip
    expected = model.power(grid.frequencies, method="flexible")

    np.testing.assert_allclose(multiband_power(t, y, w, offsets, grid, independent), expected, atol=1e-8)


def test_the_last_frequency_of_a_long_grid_is_as_exact_as_the_first():
    t, y, w, offsets = simulate([60, 60], baseline=3650.0)
    grid = FrequencyGrid(0.001, 1e-4, 100_000)
    ends = np.r_[0:3, grid.count - 3 : grid.count]
    expected = least_squares_power(t, y, w, offsets, grid.frequencies[ends], False)

    np.testing.assert_allclose(multiband_power(t, y, w, offsets, grid)[ends], expected, atol=1e-8)


def test_constant_empty_and_single_epochs_have_no_power():
    grid = FrequencyGrid(0.1, 0.1, 20)

    assert (multiband_power([1.0, 2.0, 3.0], [5.0, 5.0, 5.0], [1.0, 1.0, 1.0], [0, 3], grid) == 0).all()
    assert (multiband_power([1.0, 2.0], [5.0, 6.0], [1.0, 1.0], [0, 1, 2], grid) == 0).all()
    assert (multiband_power([], [], [], [0, 0, 0], grid) == 0).all()


@given(st.lists(st.integers(0, 6), max_size=40), st.integers(1, 8))
def test_peaks_are_the_highest_local_maxima_each_once(heights, n_peaks):
    padded = [-1, *heights, -1]
    tops, i = [], 1
    while i <= len(heights):
        j = i
        while padded[j + 1] == padded[i]:
            j += 1
        if padded[i - 1] < padded[i] > padded[j + 1] and padded[i] > 0:
            tops.append(i - 1)
        i = j + 1
    expected = sorted(tops, key=lambda place: -heights[place])[:n_peaks]

    assert highest_peaks(heights, n_peaks).tolist() == expected
