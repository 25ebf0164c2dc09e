"""Pictures show what they are given: titles, bands, errors, direction of axes; and leave matplotlib as it was."""

import builtins

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import LsdbTsError, PlanError
from lsdb_ts.schema import Roles
from lsdb_ts.sky import Cone
from lsdb_ts.testing import hard_sky
from lsdb_ts.views import plot_confusion, plot_folded, plot_lightcurve, plot_lightcurves, plot_sky
from lsdb_ts.views.epochs import Epochs
from lsdb_ts.views.style import band_style, band_styles

N = 40


@pytest.fixture(autouse=True)
def _no_picture_is_left_open():
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before


@pytest.fixture
def curve():
    rng = np.random.default_rng(0)
    time = rng.permutation(60_000 + np.arange(N) * 1.7)
    flux = 2e4 + 5e3 * np.sin(2 * np.pi * time / 0.6)
    return {
        "midpointMjdTai": time,
        "band": np.array(list("ugrizy"))[np.arange(N) % 6],
        "psfFlux": flux,
        "psfFluxErr": np.full(N, 300.0),
    }


def drawn(ax):
    """Return the data of the error bars' markers by legend label."""
    return {c.get_label(): c.lines[0].get_xydata() for c in ax.containers}


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_each_band_has_its_points_and_bluer_bands_come_first(curve):
    ax = plot_lightcurve(curve, heading="object 7")
    assert legend(ax) == list("ugrizy")
    points = drawn(ax)
    assert sum(len(p) for p in points.values()) == N
    rows = curve["band"] == "g"
    expected = sorted(zip(curve["midpointMjdTai"][rows], curve["psfFlux"][rows] / 1e3, strict=True))
    assert points["g"] == pytest.approx(np.array(expected))
    assert ax.get_title(loc="left") == "object 7"
    assert ax.get_ylabel() == "flux (µJy)"


def test_magnitudes_are_drawn_with_bright_at_the_top(curve):
    ax = plot_lightcurve(curve, as_mag=True)
    low, high = ax.get_ylim()
    assert low > high
    assert ax.get_ylabel() == "magnitude (AB)"


def test_magnitudes_follow_the_ab_zero_point():
    mags = Epochs.of({"mjd": [1.0, 2.0], "psfFlux": [3631e9, -1.0], "psfFluxErr": [36.31e9, 1.0]}).as_mag()
    assert mags.value[0] == pytest.approx(0.0, abs=2e-4)
    assert np.isnan(mags.value[1])
    assert mags.error[0] == pytest.approx(2.5 / np.log(10) * 0.01)


def test_a_fold_shows_two_cycles(curve):
    ax = plot_folded(curve, 0.6, epoch_mjd=60_000.0)
    phases = np.concatenate([c.lines[0].get_xdata() for c in ax.containers])
    assert len(phases) == 2 * N
    first = np.sort(phases[phases < 1])
    assert first == pytest.approx(np.sort(np.mod((curve["midpointMjdTai"] - 60_000) / 0.6, 1)))
    assert ax.get_xlim() == (0, 2)


@pytest.mark.parametrize("period", [0.0, -1.0, np.nan])
def test_a_period_that_is_none_is_refused(curve, period):
    with pytest.raises(PlanError, match="need a finite number more than 0"):
        plot_folded(curve, period)


def test_every_shape_of_a_light_curve_is_read_alike(curve, lightcurve_schema):
    import pandas as pd

    kind = lightcurve_schema.field("lc").type
    cell = pa.array([{name: list(values) for name, values in curve.items()}], kind)[0]
    shapes = [curve, pd.DataFrame(curve), pa.table(curve), cell]
    read = [Epochs.of(shape) for shape in shapes]
    for epochs in read:
        assert (np.diff(epochs.time_days) > 0).all()
        assert epochs.value == pytest.approx(read[0].value)
        assert epochs.band.tolist() == read[0].band.tolist()
    assert read[3].unit == "nJy"


def test_roles_can_be_said_for_columns_of_any_name():
    roles = Roles(time="when", mag="how_bright", band="colour")
    epochs = Epochs.of({"when": [2.0, 1.0], "how_bright": [20.0, 21.0], "colour": ["g", "r"]}, roles)
    assert epochs.value.tolist() == [21.0, 20.0]
    assert epochs.is_mag
    with pytest.raises(PlanError, match='roles=Roles\\(time="mjd"'):
        Epochs.of({"when": [1.0], "how_bright": [2.0]})


def test_flagged_epochs_are_drawn_hollow(curve):
    ax = plot_lightcurve({**curve, "psfFlux_flag": np.arange(N) < 6})
    assert "flagged" in legend(ax)


@pytest.mark.parametrize("flags", [pa.array([None, False, True]), pa.array([None, 0, 8], pa.int32())])
def test_a_null_flag_is_a_flag(flags):
    epochs = Epochs.of(pa.table({"mjd": [1.0, 2.0, 3.0], "psfFlux": [1.0, 2.0, 3.0], "psfFlux_flag": flags}))
    assert epochs.good.tolist() == [False, True, False]


def test_errors_that_are_none_draw_no_bars():
    times = np.arange(4.0)
    curve = {"mjd": times, "psfFlux": times + 1, "psfFluxErr": [-99.0, np.inf, np.nan, 1.0], "band": ["g"] * 4}
    low, high = plot_lightcurve(curve).get_ylim()
    assert 0 < low < 1
    assert 5 < high < 6


def test_a_curve_without_epochs_says_so(curve):
    ax = plot_lightcurve({name: values[:0] for name, values in curve.items()})
    assert "no epochs" in [text.get_text() for text in ax.texts]


def test_many_curves_share_one_legend(curve):
    axes = plot_lightcurves({f"star {i}": curve for i in range(4)}, period_days={"star 1": 0.6})
    assert [ax.get_title(loc="left") for ax in axes] == [f"star {i}" for i in range(4)]
    assert axes[1].get_xlabel() == "phase"
    assert all(ax.get_legend() is None for ax in axes)
    assert [t.get_text() for t in axes[0].figure.legends[0].get_texts()] == list("ugrizy")
    with pytest.raises(PlanError, match="no light curves"):
        plot_lightcurves({})


SURVEYS = {"rubin": "ugrizy", "ztf": ["zg", "zr", "zi"], "gaia": ["BP", "G", "RP"], "johnson": "UBVRI"}


def pairs(styles):
    return {(look.colour, look.marker) for look in styles.values()}


def test_known_bands_look_the_same_in_every_figure():
    names = [name for survey in SURVEYS.values() for name in survey]
    together = band_styles([*names, "W1", "clear"])
    assert all(together[name] == band_style(name) for name in names)
    assert band_style("lsst-r") == band_style("r") == band_style("DES_r") == band_style("HSC-R") == band_style("p48-r")
    assert band_style("zr") == band_style("ztf_r") == band_style("ZTF r") != band_style("r")
    assert band_style("clear").colour != band_style("r").colour


def test_large_letters_are_johnsons_and_small_ones_rubins():
    for large, small in ("Rr", "Ii", "Uu"):
        assert band_style(large).colour != band_style(small).colour
        assert band_style(large).marker != band_style(small).marker
    assert band_style("V") == band_style("Bessell_V") == band_style("bessellv") == band_style("CFA42-V/F")
    assert band_style("Y") == band_style("DES_Y") == band_style("y")


def test_the_code_behind_a_name_is_no_band():
    assert band_style("CFA42-r/G") == band_style("r")
    assert band_style("CSP-n/i") != band_style("i")


def test_a_large_g_is_gaias():
    assert band_style("G") == band_style("gaia_G") != band_style("g")
    assert band_style("BP") == band_style("G_BP") == band_style("Gaia bp")
    assert list(band_styles(["RP", "G", "BP"])) == ["BP", "G", "RP"]


def test_no_two_bands_of_the_surveys_share_a_colour_nor_two_of_one_survey_a_marker():
    looks = [band_style(band) for survey in SURVEYS.values() for band in survey]
    assert len({look.colour for look in looks}) == len(looks)
    assert all(len({band_style(band).marker for band in survey}) == len(survey) for survey in SURVEYS.values())
    assert sorted(look.rank for look in looks) == list(range(len(looks)))


@pytest.mark.parametrize(
    "bands",
    [
        ["u", "g", "r", "R", "i", "I", "z", "B", "H", "J", "K", "V"],
        ["CFA42-r/G", "CSP-B/e", "CSP-Y/j", "CSP-g/b", "CSP-i/d", "CSP-r/c", "CSP-y/k", "CFA42-V/F", "CFA42-i/H"],
        ["r", "DES_r", "lsst-r", "sdss r", "ps1r", "p48-r", "CSP-r/c", "LSST-R", "DECam-r"],
        [f"W{i}" for i in range(60)],
    ],
)
def test_every_band_of_a_figure_is_told_apart(bands):
    assert len(pairs(band_styles(bands))) == len(bands)
    assert band_styles(reversed(bands)) == band_styles(bands)
    shown = band_styles(bands[:4])
    later = band_styles(bands, taken=shown)
    assert {band: later[band] for band in shown} == shown
    assert len(pairs(later)) == len(bands)


def test_the_curves_of_a_figure_share_their_styles():
    def star(*bands):
        return {"mjd": np.arange(60_000.0, 60_000.0 + len(bands)), "mag": np.full(len(bands), 18.0), "band": bands}

    axes = plot_lightcurves({"a": star("W1", "W2", "r"), "b": star("K", "W2", "R"), "c": star("J")})
    looks = band_styles(["W1", "W2", "r", "K", "R", "J"])
    for ax in axes:
        for container in ax.containers:
            line, look = container.lines[0], looks[container.get_label()]
            assert (line.get_color(), line.get_marker()) == (look.colour, look.marker)
    marks = axes[0].figure.legends[0].legend_handles
    assert [(m.get_color(), m.get_marker()) for m in marks] == [(v.colour, v.marker) for v in looks.values()]


def test_a_curve_drawn_beside_another_takes_none_of_its_styles():
    def star(band):
        return {"mjd": [60_000.0, 60_001.0], "mag": [18.0, 18.1], "band": [band] * 2}

    ax = plot_lightcurve(star("W1"))
    ax.errorbar([60_000.0, 60_001.0], [18.0, 18.1], yerr=0.1, fmt="-", color=(0.0, 0.0, 0.0), label="a model")
    plot_lightcurve(star("K"), ax=ax)
    bands = [container for container in ax.containers if container.get_label() != "a model"]
    lines = [container.lines[0] for container in bands]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 2
    marks = dict(zip(legend(ax), ax.get_legend().legend_handles, strict=True))
    assert list(marks) == ["K", "W1", "a model"]
    assert [marks[c.get_label()].get_marker() for c in bands] == [line.get_marker() for line in lines]


def test_a_confusion_matrix_shows_shares_and_counts():
    ax = plot_confusion([[9, 1], [0, 40]], ["RR Lyrae", "constant"], heading="test")
    texts = [text.get_text() for text in ax.texts]
    assert {"90%", "9", "10%", "1", "100%", "40", "0"} <= set(texts)
    assert "50 objects, balanced accuracy 95.0%" in texts
    with pytest.raises(PlanError, match=r"need shape \(3, 3\)"):
        plot_confusion([[1]], ["a", "b", "c"])


def test_a_class_without_objects_spoils_nothing():
    ax = plot_confusion([[3, 0], [0, 0]], ["a", "b"])
    assert "3 objects, balanced accuracy 100.0%" in [text.get_text() for text in ax.texts]


def test_a_small_survey_is_shown_with_its_patches_enlarged(two_patches):
    ax = plot_sky(two_patches)
    titles = [a.get_title(loc="left") for a in ax.figure.axes]
    assert titles[0] == "two patches"
    assert any(t.startswith("A ") and "-2.0°" in t for t in titles)
    assert any(t.startswith("B ") and "+90.0°" in t for t in titles)
    assert f"3,000 rows, {len(two_patches.layout)} partitions" in [t.get_text() for t in ax.texts]


def test_a_large_survey_is_shown_on_one_map(catalog_of):
    catalog = catalog_of(*hard_sky(4000, seed=2), name="everywhere")
    ax = plot_sky(catalog, centre_ra_deg=180.0)
    assert len([a for a in ax.figure.axes if a.images]) == 1
    assert np.isfinite(np.ma.filled(ax.images[0].get_array(), np.nan)).sum() > 1000
    outlines = len(ax.collections)
    assert len(plot_sky(catalog, pixels=False).collections) == outlines - 1


def test_a_region_and_given_axes_are_used(two_patches):
    _, ax = plt.subplots()
    assert plot_sky(two_patches, region=Cone(0.0, -2.0, 3600.0), ax=ax) is ax
    assert ax.get_xlim() == pytest.approx((-1.0, 1.0), rel=1e-3)
    assert "around RA 0°, Dec -2°" in ax.texts[-1].get_text()


def test_an_empty_catalog_can_be_looked_at(catalog_of):
    ax = plot_sky(catalog_of(np.empty(0), np.empty(0), name="nothing"))
    ax.figure.canvas.draw()
    assert ax.get_title(loc="left") == "nothing"


def test_a_missing_matplotlib_names_the_command_that_brings_it(curve, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError("No module named 'matplotlib'")
        return real(name, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "__import__", without)
        with pytest.raises(LsdbTsError, match=r'pip install "lsdb_ts\[plot\]"'):
            plot_lightcurve(curve)
