"""What a picture of a light curve draws: limits, forced photometry, flags, axes that bad epochs do not stretch."""

import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from lsdb_ts.errors import PlanError
from lsdb_ts.schema import Roles
from lsdb_ts.views import plot_folded, plot_lightcurve, plot_periodogram
from lsdb_ts.views.style import band_style

N = 40


@pytest.fixture(autouse=True)
def _no_picture_is_left_open():
    yield
    plt.close("all")


@pytest.fixture
def supernova():
    """Forced fluxes of a transient in two bands, some of them negative."""
    rng = np.random.default_rng(3)
    times, errors = np.sort(rng.uniform(60_000, 60_150, N)), rng.uniform(150, 300, N)
    flux = 4000 * np.exp(-0.5 * ((times - 60_060) / 12) ** 2) + rng.normal(0, errors)
    return {
        "midpointMjdTai": times,
        "band": np.array(["g", "r"])[np.arange(N) % 2],
        "psfFlux": flux,
        "psfFluxErr": errors,
    }


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def note(ax):
    return ax.texts[0].get_text()


def arrows(ax):
    """Return the lines of upper limits that hold points, by colour."""
    lines = [line for line in ax.lines if hasattr(line.get_marker(), "vertices") and len(line.get_xdata())]
    return {to_hex(line.get_color()): line for line in lines}


def test_negative_fluxes_are_drawn_about_a_line_at_zero(supernova):
    ax = plot_lightcurve(supernova)
    drawn = np.concatenate([c.lines[0].get_ydata() for c in ax.containers])
    assert np.sort(drawn) == pytest.approx(np.sort(supernova["psfFlux"]))
    assert (drawn < 0).any()
    assert any(list(line.get_ydata()) == [0.0, 0.0] for line in ax.lines)
    assert note(ax) == f"{N} epochs"


def test_non_detections_are_arrows_in_the_colour_of_their_band():
    curve = {
        "mjd": np.arange(4.0),
        "band": ["g", "g", "r", "r"],
        "mag": [18.0, np.nan, 19.0, np.nan],
        "magLim": [20.5] * 4,
    }
    ax = plot_lightcurve(curve)
    found = arrows(ax)
    assert set(found) == {band_style("g").colour, band_style("r").colour}
    assert found[band_style("g").colour].get_xydata().tolist() == [[1.0, 20.5]]
    tip = found[band_style("g").colour].get_marker().vertices[:, 1].min()
    assert tip < 0, "down is down, whichever way the axis runs"
    assert legend(ax) == ["g", "r", "upper limit"]
    assert note(ax) == "2 epochs, 2 upper limits"
    low, high = sorted(ax.get_ylim())
    assert low < 18.0
    assert high > 20.5


def test_faint_fluxes_are_limits_once_they_are_magnitudes(supernova):
    ax = plot_lightcurve(supernova, as_mag=True)
    faint = supernova["psfFlux"] < 3 * supernova["psfFluxErr"]
    drawn = np.concatenate([line.get_ydata() for line in arrows(ax).values()])
    assert np.sort(drawn) == pytest.approx(np.sort(31.4 - 2.5 * np.log10(5 * supernova["psfFluxErr"][faint])))
    assert note(ax) == f"{N - faint.sum()} epochs, {faint.sum()} upper limits"


def test_forced_photometry_lies_paler_and_smaller_behind_detections(supernova):
    seen = supernova["psfFlux"] > 5 * supernova["psfFluxErr"]
    detections = {name: values[seen] for name, values in supernova.items()}
    ax = plot_lightcurve(detections, forced=supernova)
    front, behind = [c.lines[0] for c in ax.containers][:2], [c.lines[0] for c in ax.containers][2:]
    assert sum(len(line.get_xdata()) for line in front) == seen.sum()
    assert sum(len(line.get_xdata()) for line in behind) == N
    assert behind[0].get_markersize() < front[0].get_markersize()
    assert behind[0].get_alpha() < 1
    assert behind[0].get_zorder() < front[0].get_zorder()
    assert legend(ax) == ["g", "r", "forced"]
    assert note(ax) == f"{seen.sum()} epochs, {N} forced"


def test_forced_fluxes_join_magnitudes_as_magnitudes(supernova):
    detections = {"when": [60_050.0, 60_060.0], "m": [23.0, 22.5]}
    roles = Roles(time="when", mag="m")
    ax = plot_lightcurve(detections, forced=supernova, roles=roles)
    assert ax.get_ylabel() == "magnitude"
    assert ax.yaxis_inverted()
    assert legend(ax) == ["g", "r", "upper limit", "forced"]
    with pytest.raises(PlanError, match="need both in one unit"):
        plot_lightcurve(supernova, forced=detections, forced_roles=roles)


def test_forced_photometry_is_folded_too(supernova):
    ax = plot_folded(supernova, 10.0, forced=supernova)
    assert sum(len(c.lines[0].get_xdata()) for c in ax.containers) == 4 * N


def test_flagged_epochs_are_hollow_and_do_not_stretch_the_axis():
    values, flags = np.full(10, 18.0) + 0.01 * np.arange(10), np.arange(10) >= 8
    values[9] = 12.0
    ax = plot_lightcurve({"mjd": np.arange(10.0), "band": ["r"] * 10, "mag": values, "catflags": flags})
    good, flagged = (c.lines[0] for c in ax.containers)
    assert to_hex(good.get_markerfacecolor()) == band_style("r").colour
    assert flagged.get_markerfacecolor() == "none"
    assert to_hex(flagged.get_markeredgecolor()) == band_style("r").colour
    assert min(ax.get_ylim()) > 17.9
    assert legend(ax) == ["r", "flagged"]
    assert note(ax) == "10 epochs, 2 flagged (1 outside)"


def test_an_enormous_error_does_not_stretch_the_axis():
    errors = np.r_[np.full(9, 0.01), 50.0]
    ax = plot_lightcurve({"mjd": np.arange(10.0), "mag": np.full(10, 18.0), "magerr": errors})
    low, high = sorted(ax.get_ylim())
    assert 17.8 < low < high < 18.2


def test_an_impossible_time_is_told_and_not_drawn():
    ax = plot_lightcurve({"mjd": [0.0, 60_000.0, 60_001.0, 60_002.0], "mag": [18.0] * 4})
    assert ax.get_xlim()[0] > 59_990
    assert note(ax) == "3 epochs, 1 without a possible time not shown"


def test_legends_stand_beside_the_points(supernova):
    ax = plot_lightcurve(supernova)
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1
    inside = ax.figure.bbox.padded(1).get_points()
    assert ax.get_legend().get_window_extent().x1 <= inside[1, 0]


def test_many_epochs_are_drawn_fast_and_as_a_picture():
    n = 100_000
    rng = np.random.default_rng(1)
    curve = {
        "mjd": rng.uniform(5e4, 6e4, n),
        "band": np.array(list("ugrizy"))[np.arange(n) % 6],
        "mag": rng.normal(18, 1, n),
    }
    curve["magerr"] = np.full(n, 0.1)
    began = time.process_time()
    ax = plot_lightcurve(curve)
    ax.figure.canvas.draw()
    assert time.process_time() - began < 5
    assert sum(len(c.lines[0].get_xdata()) for c in ax.containers) == n
    assert all(c.lines[0].get_rasterized() and not c.lines[2] for c in ax.containers)
    assert note(ax) == "100,000 epochs, errors not shown"
    assert legend(ax) == list("ugrizy")
    assert min(handle.get_markersize() for handle in ax.get_legend().legend_handles) >= 6


def test_a_second_curve_on_the_same_axes_hides_nothing_of_the_first(supernova):
    ax = plot_lightcurve(supernova)
    low, high = ax.get_ylim()
    plot_lightcurve({**supernova, "psfFlux": supernova["psfFlux"] / 10}, ax=ax)
    assert ax.get_ylim()[0] <= low
    assert ax.get_ylim()[1] >= high


@pytest.mark.parametrize(
    ("start", "label"), [(60_000.0, "time (MJD, days)"), (2_455_000.0, "time (JD, days)"), (1_900.0, "time (days)")]
)
def test_the_axis_says_mjd_of_times_that_can_be(start, label):
    ax = plot_lightcurve({"mjd": start + np.arange(5.0), "mag": np.full(5, 18.0)})
    assert ax.get_xlabel() == label


def test_fluxes_of_an_unknown_unit_are_drawn_without_one_and_turned_with_a_zero_point():
    curve = {"mjd": [60_000.0, 60_001.0], "flux": [100.0, 1000.0], "fluxerr": [1.0, 1.0]}
    assert plot_lightcurve(curve).get_ylabel() == "flux"
    for draw in (
        plot_lightcurve,
        lambda *a, **k: plot_folded(a[0], 2.0, **k),
        lambda *a, **k: plot_periodogram(*a, **k),
    ):
        with pytest.raises(PlanError, match="no known unit tell no AB magnitude"):
            draw(curve, as_mag=True)
    for ax in (
        plot_lightcurve(curve, as_mag=True, zero_point=27.5),
        plot_folded(curve, 2.0, as_mag=True, zero_point=27.5),
    ):
        drawn = np.concatenate([container.lines[0].get_ydata() for container in ax.containers])
        assert np.unique(drawn.round(6)) == pytest.approx([20.0, 22.5])


def test_one_epoch_stands_alone_on_its_day():
    ax = plot_lightcurve({"mjd": [60_000.0], "mag": [18.0]})
    assert ax.get_xlim() == (59_999.0, 60_001.0)
    assert note(ax) == "1 epoch"


def test_few_epochs_stay_vectors(supernova):
    assert not any(c.lines[0].get_rasterized() for c in plot_lightcurve(supernova).containers)
