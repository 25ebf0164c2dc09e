"""Power on two time scales, windows and moving averages against plain numpy, one curve at a time."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad

from lsdb_ts.kernels.curves.stochastic import abbe_excess, hat_power, moving_averages


@pytest.fixture(scope="module")
def curves():
    """Return curves of many, few, one and no epochs, with equal times."""
    rng = np.random.default_rng(8)
    sizes = np.array([120, 0, 1, 40, 3, 15, 80])
    t = np.concatenate([np.sort(rng.uniform(0, 8.0 * n + 1, n).round(1)) for n in sizes])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    e = rng.uniform(1, 5, t.size)
    f = 200 + 20 * np.sin(t / 25) + e * rng.normal(size=t.size)
    return t, f, e, offsets


def hat(t, f, e, scale):
    """One time scale of one curve, with loops over epochs and the integral done numerically."""
    s = 0.225 * scale / np.sqrt(2)
    window = 6 * max(s, 5.0)
    d = t - t[:, None]
    near = (np.abs(d) < window) & np.ones_like(d, bool)
    counted = (near & (np.abs(d) <= window * 2 / 3)).sum(axis=1) > 3
    if not counted.any() or f.mean() <= 0:
        return np.nan, np.nan
    w1, w2 = (np.exp(-(d**2) / (2 * width**2)) * near for width in (s, 2 * s))
    y = f - f.mean()
    filtered = (w1 @ y / w1.sum(axis=1) - w2 @ y / w2.sum(axis=1))[counted]
    n1, n2 = (quad(lambda u, w=w: np.exp(-(u**2) / (2 * w**2)), -window, window)[0] for w in (s, 2 * s))
    norm = quad(
        lambda u: (np.exp(-(u**2) / (2 * s**2)) / n1 - np.exp(-(u**2) / (8 * s**2)) / n2) ** 2,
        -window, window, limit=200,
    )[0]  # fmt: skip
    return (filtered**2).mean() / norm / f.mean() ** 2, (e[counted].mean() / f.mean()) ** 2


def test_power_is_that_of_the_filter_written_out(curves):
    t, f, e, offsets = curves
    slow, fast = hat_power(t, f, e, offsets)

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        if b - a < 4:
            assert np.isnan([slow[c], fast[c]]).all()
            continue
        low, noise = hat(t[a:b], f[a:b], e[a:b], 100.0)
        high, _ = hat(t[a:b], f[a:b], e[a:b], 10.0)
        np.testing.assert_allclose([slow[c], fast[c]], [low - noise, high - noise if high > noise else high], rtol=1e-6)
    assert np.isfinite(slow[[0, 3, 6]]).all()


def test_a_slow_wave_has_power_at_the_slow_scale_and_a_fast_one_at_the_fast():
    t = np.arange(0.0, 1000.0, 1.0)
    one, e = np.array([0, 1000]), np.full(1000, 1e-3)
    slow, fast = (hat_power(t, 10 + np.sin(2 * np.pi * t / period), e, one) for period in (100.0, 10.0))

    assert slow[0].item() > 1000 * slow[1].item()
    assert fast[1].item() > 100 * fast[0].item()


def test_power_relative_to_a_mean_that_is_not_positive_is_undefined(curves):
    t, f, e, offsets = curves

    assert np.isnan(hat_power(t, f - 250, e, offsets)).all()


def test_equal_neighbours_have_no_power_but_that_of_the_noise():
    t = np.concatenate([np.arange(20.0), np.arange(300.0, 320.0)])
    for steps in (np.zeros(40), np.where(t < 100, -0.1, 0.1)):
        slow, fast = hat_power(t, 1.3 + steps, np.full(40, 0.02), np.array([0, 40]))

        assert fast.item() == 0.0
        assert slow.item() == pytest.approx(-((0.02 / (1.3 + steps).mean()) ** 2), rel=1e-6)


def abbe(x):
    return len(x) / (2 * (len(x) - 1)) * (np.diff(x) ** 2).sum() / ((x - x.mean()) ** 2).sum()


@pytest.mark.parametrize("window", [20.0, 100.0])
def test_the_excess_is_that_of_every_window_written_out(curves, window):
    t, f, _, offsets = curves
    excess = abbe_excess(t, f, offsets, window)

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        times, x = t[a:b], f[a:b]
        parts = [x[np.abs(times - moment) <= window / 2] for moment in times]
        values = [abbe(part) for part in parts if len(part) >= 3]
        expected = np.mean(values) - abbe(x) if values else np.nan
        assert excess[c] == pytest.approx(expected, rel=1e-8, nan_ok=True)


def test_windows_of_equal_values_do_not_count():
    t = np.arange(60.0)
    step = np.where(t < 30, 1e6, 1e6 + 1)

    assert abbe_excess(t, step, np.array([0, 60]), 6.0).item() > 0
    assert np.isnan(abbe_excess(t, np.full(60, 7.3), np.array([0, 60]), 6.0)).all()


def test_moving_averages_are_the_recursion(curves):
    t, f, _, offsets = curves
    scales = np.array([2.0, 8.0, 28.0])
    found = moving_averages(t, f, offsets, scales)

    for k, scale in enumerate(scales):
        for c, (a, b) in enumerate(itertools.pairwise(offsets)):
            average = f[a] if b > a else np.nan
            for i in range(a + 1, b):
                fade = np.exp(-(t[i] - t[i - 1]) / scale)
                average = average * fade + f[i] * (1 - fade)
            assert found[c, k] == pytest.approx(average, rel=1e-12, nan_ok=True)
