"""A picture of a periodogram marks what is there: the best period, its aliases, false-alarm levels, window, fold."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.kernels.periods.false_alarm import false_alarm_probability
from lsdb_ts.kernels.periods.grid import FrequencyGrid
from lsdb_ts.kernels.periods.periodogram import multiband_power
from lsdb_ts.views import plot_periodogram
from lsdb_ts.views.periodogram import window_power
from lsdb_ts.views.thinning import extremes

PERIOD = 0.7310


@pytest.fixture(autouse=True)
def _no_picture_is_left_open():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def star():
    """Two bands at different magnitudes, seen at night only."""
    rng = np.random.default_rng(4)
    n = 160
    times = 60_000 + np.floor(rng.uniform(0, 400, n)) + rng.normal(0.2, 0.08, n)
    band = np.array(["g", "r"])[np.arange(n) % 2]
    mags = 18 + 0.6 * (band == "r") + 0.3 * np.sin(2 * np.pi * times / PERIOD) + rng.normal(0, 0.02, n)
    return {"mjd": times, "band": band, "mag": mags, "magerr": np.full(n, 0.02)}


def marks(ax):
    """Return where the lines across the picture are, by name."""
    return {line.get_label(): line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2}


def labels(ax):
    return [text.get_text() for text in ax.texts]


def curve_of(ax):
    return next(line for line in ax.lines if line.get_label() == "power")


def test_the_best_period_and_its_aliases_are_marked(star):
    (ax,) = plot_periodogram(star, period_range_days=(0.1, 10.0), against="frequency")
    found = marks(ax)
    best = found.pop(next(name for name in found if name.endswith(" d")))
    assert best == pytest.approx(1 / PERIOD, abs=1e-4)
    expected = {
        "P/2": 2 * best,
        "2P": best / 2,
        "+1/d": best + 1,
        "−1/d": abs(best - 1),
        "+1/yr": best + 1 / 365.25,
        "−1/yr": best - 1 / 365.25,
    }
    assert {name: x for name, x in found.items() if name in expected} == pytest.approx(expected)
    assert {"P/2", "2P", "+1/d", "−1/d"} <= set(labels(ax))
    assert any(text.endswith(", ±1/yr") for text in labels(ax)), "too near to be told apart"
    assert ax.get_xlabel() == "frequency (cycles per day)"


def test_marks_are_at_the_same_periods_whichever_way_it_is_drawn(star):
    (ax,) = plot_periodogram(star, period_range_days=(0.1, 10.0))
    found = marks(ax)
    assert found["2P"] == pytest.approx(2 * PERIOD, rel=1e-3)
    assert found["P/2"] == pytest.approx(PERIOD / 2, rel=1e-3)
    assert ax.get_xscale() == "log"
    assert ax.get_xlim() == pytest.approx((0.1, 10.0), rel=2e-2)
    assert ax.get_xlabel() == "period (days)"


def test_the_curve_holds_the_highest_peak_where_points_are_left_out(star):
    grid = FrequencyGrid(0.05, 0.0002, 60_000)
    (ax,) = plot_periodogram(star, grid=grid, against="frequency")
    x, y = curve_of(ax).get_data()
    assert len(x) < grid.count / 5
    assert x[y.argmax()] == pytest.approx(1 / PERIOD, abs=0.0005)
    assert y.max() > 0.9


def test_labels_do_not_meet(star):
    (ax,) = plot_periodogram(star, period_range_days=(0.3, 1000.0))
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts[1:]]
    assert len(boxes) >= 6
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    peak = ax.transData.transform((0, curve_of(ax).get_ydata().max()))[1]
    above = [text for text in ax.texts[1:] if not text.get_text().startswith("FAP")]
    assert min(text.get_window_extent().y0 for text in above) > peak


def test_false_alarm_levels_are_where_the_probability_is_as_said(star):
    grid = FrequencyGrid(0.01, 0.0005, 20_000)
    (ax,) = plot_periodogram(star, grid=grid, false_alarm=(0.1, 0.001))
    levels = sorted(line.get_ydata()[0] for line in ax.lines if line.get_label() == "false alarm")
    spread = np.std(star["mjd"])
    told = false_alarm_probability(levels, 0.01 + 0.0005 * 19_999, spread, 160, 2)
    assert told == pytest.approx([0.1, 0.001], rel=1e-2), "but for the weights"
    assert {"FAP 10%", "FAP 0.1%"} <= set(labels(ax))
    (own,) = plot_periodogram(star, grid=grid, false_alarm=(0.1, 0.001), independent=True)
    higher = sorted(line.get_ydata()[0] for line in own.lines if line.get_label() == "false alarm")
    assert higher[0] > levels[0], "with a sinusoid for each band noise fits better"
    assert higher[1] > levels[1]


def test_noise_stays_below_its_false_alarm_level():
    rng = np.random.default_rng(11)
    noise = {"mjd": np.sort(rng.uniform(0, 300, 80)), "mag": rng.normal(18, 0.1, 80), "magerr": np.full(80, 0.1)}
    (ax,) = plot_periodogram(noise, period_range_days=(0.5, 300.0), false_alarm=(0.001,))
    level = next(line.get_ydata()[0] for line in ax.lines if line.get_label() == "false alarm")
    assert curve_of(ax).get_ydata().max() < level < ax.get_ylim()[1]


def test_window_and_fold_are_drawn_below(star):
    power, window, fold = plot_periodogram(
        star, period_range_days=(0.3, 10.0), against="frequency", window=True, folded=True
    )
    x, y = curve_of(window).get_data()
    assert x[y.argmax()] == pytest.approx(1.0, abs=0.005), "it is seen at night only"
    assert window.get_xlim() == power.get_xlim()
    assert window.get_ylabel() == "window"
    assert fold.get_xlim() == (0, 2)
    phases = np.concatenate([c.lines[0].get_xdata() for c in fold.containers])
    assert len(phases) == 2 * 160
    assert "period 0.73" in fold.texts[0].get_text()


def test_the_window_function_is_the_sum_it_says():
    rng = np.random.default_rng(0)
    times, weights = rng.uniform(0, 50, 30), rng.uniform(1, 2, 30)
    grid = FrequencyGrid(0.013, 0.0371, 700)
    waves = np.exp(2j * np.pi * np.outer(grid.frequencies, times))
    assert window_power(times, weights, grid) == pytest.approx(np.abs(waves @ weights / weights.sum()) ** 2, abs=1e-12)
    assert window_power(times[:0], weights[:0], grid).max() == 0


def test_a_given_period_is_marked_and_folded_on(star):
    power, fold = plot_periodogram(star, period_days=2 * PERIOD, period_range_days=(0.3, 10.0), folded=True)
    assert marks(power)["1.462 d"] == pytest.approx(2 * PERIOD)
    assert "period 1.462 d" in fold.texts[0].get_text()


def test_power_alone_can_be_drawn(star):
    grid = FrequencyGrid(0.5, 0.0005, 4000)
    power = multiband_power(star["mjd"], star["mag"], np.ones(160), [0, 160], grid)
    (ax,) = plot_periodogram(power, grid=grid, against="frequency", heading="mine")
    assert curve_of(ax).get_ydata() == pytest.approx(power)
    assert ax.get_title(loc="left") == "mine"
    with pytest.raises(PlanError, match="the grid it is on"):
        plot_periodogram(power)
    with pytest.raises(PlanError, match="one of 4,000 frequencies, not of 7"):
        plot_periodogram(power, grid=FrequencyGrid(1.0, 1.0, 7))
    with pytest.raises(PlanError, match="cannot be folded"):
        plot_periodogram(power, grid=grid, folded=True)


def test_too_few_epochs_are_told(star):
    few = {name: values[:3] for name, values in star.items()}
    for curve in (few, {name: values[:0] for name, values in star.items()}):
        (ax,) = plot_periodogram(curve)
        assert "too few epochs" in labels(ax)
    below = plot_periodogram(curve, window=True, folded=True)[1:]
    assert all("too few epochs" in labels(ax) for ax in below)
    constant = {**star, "mag": np.full(160, 18.0)}
    assert "too few epochs" in labels(plot_periodogram(constant)[0])


def test_an_outlier_with_an_error_to_match_takes_little_power(star):
    grid = FrequencyGrid(0.5, 0.0005, 4000)
    bad = {name: np.append(values, values[-1]) for name, values in star.items()}
    bad["mag"][-1], bad["magerr"][-1] = 40.0, 99.0
    (ax,) = plot_periodogram(bad, grid=grid, against="frequency")
    x, y = curve_of(ax).get_data()
    assert x[y.argmax()] == pytest.approx(1 / PERIOD, abs=0.0005)
    assert y.max() > 0.9


def test_few_epochs_have_no_false_alarm_level():
    curve = {"mjd": [1.0, 2.1, 3.7, 4.2], "mag": [18.0, 18.5, 18.2, 18.7]}
    (ax,) = plot_periodogram(curve, independent=True, period_range_days=(0.5, 3.0))
    assert not [line for line in ax.lines if line.get_label() == "false alarm"]
    assert "nan" not in labels(ax)[0]
    assert "false" not in labels(ax)[0]


def test_flagged_epochs_and_bad_times_change_nothing(star):
    grid = FrequencyGrid(0.5, 0.0005, 4000)
    (clean,) = plot_periodogram(star, grid=grid)
    bad = {
        "mjd": np.r_[star["mjd"], 60_100.0, -2_409_998.5],
        "band": np.append(star["band"], ["g", "r"]),
        "mag": np.r_[star["mag"], 5.0, 18.0],
        "magerr": np.r_[star["magerr"], 0.02, 0.02],
        "catflags": np.r_[np.zeros(160, int), 1, 0],
    }
    (drawn,) = plot_periodogram(bad, grid=grid)
    assert curve_of(drawn).get_ydata() == pytest.approx(curve_of(clean).get_ydata())


def test_fluxes_find_the_same_period(star):
    flux = 10 ** ((31.4 - star["mag"]) / 2.5)
    curve = {"mjd": star["mjd"], "band": star["band"], "psfFlux": flux, "psfFluxErr": 0.02 * flux}
    (ax,) = plot_periodogram(curve, period_range_days=(0.3, 10.0))
    assert marks(ax)["2P"] == pytest.approx(2 * PERIOD, rel=1e-3)


def test_axes_may_be_given_one_for_each_picture(star):
    _, axes = plt.subplots(2, 1)
    drawn = plot_periodogram(star, window=True, ax=axes, period_range_days=(0.3, 10.0))
    assert list(drawn) == list(axes)
    with pytest.raises(PlanError, match="3 pictures were asked for and 2 axes given"):
        plot_periodogram(star, window=True, folded=True, ax=axes)
    with pytest.raises(PlanError, match=r"a period of -1\.0 days: need"):
        plot_periodogram(star, period_days=-1.0)
    with pytest.raises(PlanError, match='against="phase"'):
        plot_periodogram(star, against="phase")


def test_thinned_points_keep_the_extremes_of_each_stretch():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, 10, 5000), rng.normal(size=5000)
    kept = extremes(x, y, 50)
    assert kept.size <= 100
    assert (np.diff(kept) > 0).all()
    stretch = np.minimum(((x - x.min()) / np.ptp(x) * 50).astype(int), 49)
    for k in range(50):
        assert y[kept[stretch[kept] == k]].max() == y[stretch == k].max()
        assert y[kept[stretch[kept] == k]].min() == y[stretch == k].min()
    assert extremes(x[:7], y[:7], 50).tolist() == list(range(7))
    assert extremes(np.zeros(9), y[:9], 2).tolist() == sorted([int(y[:9].argmin()), int(y[:9].argmax())])
