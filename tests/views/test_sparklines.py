"""Light curves in cells: small, escaped, bounded pictures without matplotlib; notebooks draw them by themselves."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.functions.frame import to_frame
from lsdb_ts.schema import Roles
from lsdb_ts.views.display import nested_html
from lsdb_ts.views.sparkline import sparkline
from lsdb_ts.views.style import band_style

SVG = "{http://www.w3.org/2000/svg}"


def frame_of(n):
    """Return objects with light curves in two bands; every third has none."""
    curve = {"mjd": [1.0, 2.0, 5.5], "band": ["g", "r", "g"], "mag": [18.0, 17.0, 19.0]}
    fields = [("mjd", pa.list_(pa.float64())), ("band", pa.list_(pa.string())), ("mag", pa.list_(pa.float64()))]
    curves = pa.array([None if i % 3 == 2 else curve for i in range(n)], pa.struct(fields))
    return to_frame(pa.table({"objectId": np.arange(n), "name": ["a<b>"] * n, "lc": curves}))


def drawn(svg):
    """Return title, and colour -> path of the marks."""
    tree = ElementTree.fromstring(svg)
    paths = {
        p.get("stroke") or p.get("fill"): p.get("d") for p in tree.iter(f"{SVG}path") if not p.get("stroke-dasharray")
    }
    return tree.find(f"{SVG}title").text, {c: d for c, d in paths.items() if c != "none"}


def marks(path):
    return np.array(re.findall(r"M([-\d.]+) ([-\d.]+)", path), dtype=float)


def test_a_sparkline_tells_epochs_and_span_and_has_its_bands_colours():
    title, paths = drawn(sparkline({"mjd": [1.0, 3.0, 11.5], "band": ["u", "u", "z"], "mag": [20.0, 19.0, 18.0]}))
    assert title == "3 epochs in u, z over 10.5 d"
    assert set(paths) == {band_style("u").colour, band_style("z").colour}
    places = marks(paths[band_style("u").colour])
    assert len(places) == 2
    assert places[1, 1] < places[0, 1], "brighter is higher"
    assert places[1, 0] > places[0, 0]


def test_fluxes_rise_and_cross_a_line_at_zero():
    svg = sparkline({"mjd": [1.0, 2.0], "flux": [-1.0, 3.0], "band": ["u", "u"]})
    places = marks(drawn(svg)[1][band_style("u").colour])
    assert places[1, 1] < places[0, 1]
    assert "stroke-dasharray" in svg
    assert "stroke-dasharray" not in sparkline({"mjd": [1.0, 2.0], "flux": [1.0, 3.0]})


def test_names_cannot_break_out_of_the_picture():
    svg = sparkline({"mjd": [1.0, 2.0], "mag": [1.0, 2.0], "band": ['"><script>x</script>', "&"]})
    assert "<script" not in svg
    assert drawn(svg)[0] == '2 epochs in "><script>x</script>, & over 1.0 d'


def test_a_hundred_thousand_epochs_make_a_small_picture_with_its_extremes():
    rng = np.random.default_rng(0)
    n = 100_000
    mags = rng.normal(18.0, 0.1, n)
    mags[[777, 888]] = 15.0, 21.0
    svg = sparkline({"mjd": rng.uniform(0, 1000, n), "mag": mags, "band": np.array(list("ugrizy"))[np.arange(n) % 6]})
    title, paths = drawn(svg)
    assert title == "100,000 epochs in u, g, r, i, z, y over 1,000.0 d"
    assert 100 < sum(len(marks(d)) for d in paths.values()) <= 200
    assert len(svg) < 12_000
    heights = np.concatenate([marks(d)[:, 1] for d in paths.values()])
    assert heights.min() < 8
    assert heights.max() > 36


@pytest.mark.parametrize("band", [*"ugrizy", "zg", "zr", "zi", "G", "BP", "RP", "W1", "W2", ""])
def test_every_band_has_marks_that_stay_inside(band):
    svg = sparkline({"mjd": [1.0, 2.0], "mag": [1.0, 2.0], "band": [band, band]}, width=60, height=20)
    tree = ElementTree.fromstring(svg)
    (path,) = tree.iter(f"{SVG}path")
    assert len(marks(path.get("d"))) == 2
    assert (marks(path.get("d")) > -2).all()
    assert (tree.get("width"), tree.get("height")) == ("60", "20")


def test_flagged_epochs_and_limits_are_counted_and_left_out():
    mags, limits = [18.0, 5.0, np.nan, 18.5], [20.0] * 4
    curve = {"mjd": [1.0, 2.0, 3.0, 4.0], "mag": mags, "diffmaglim": limits, "catflags": [0, 4, 0, 0]}
    title, paths = drawn(sparkline(curve))
    assert title == "3 epochs over 3.0 d, 1 upper limit, 1 flagged"
    assert [len(marks(d)) for d in paths.values()] == [2]


def test_a_curve_without_epochs_says_so():
    empty = sparkline({"mjd": [], "mag": []})
    assert drawn(empty)[0] == "no epochs"
    assert ">no epochs</text>" in empty


def test_a_frame_shows_its_light_curves_and_keeps_pandas_table():
    frame = frame_of(3)
    before = frame.copy()
    html = nested_html(frame)
    assert html.count("<svg") == 2
    assert "3 epochs in g, r over 4.5 d" in html
    assert "a&lt;b&gt;" in html
    assert "a<b>" not in html
    assert "\ue000" not in html
    pd.testing.assert_frame_equal(frame, before)


def test_a_long_frame_shows_its_ends_and_draws_no_more():
    with pd.option_context("display.max_rows", 20, "display.min_rows", 6):
        html = nested_html(frame_of(500))
    assert html.count("<tr") < 12
    assert 2 <= html.count("<svg") <= 6
    assert "500 rows × 3 columns" in html


def test_a_nested_column_that_is_no_light_curve_is_told_in_words():
    kind = pa.struct([("z", pa.list_(pa.float64())), ("<p>", pa.list_(pa.float64()))])
    frame = to_frame(pa.table({"pdf": pa.array([{"z": [0.1, 0.2], "<p>": [1.0, 2.0]}], kind)}))
    html = nested_html(frame)
    assert "2 rows of z, &lt;p&gt;" in html
    assert "<svg" not in html


def test_a_frame_without_nested_columns_is_shown_as_pandas_shows_it():
    frame = frame_of(2)[["objectId", "name"]]
    frame["features_g"] = [{f"feature_{i}": 1.0 for i in range(80)}] * 2
    assert nested_html(frame) == pd.DataFrame(frame)._repr_html_()
    assert "feature_1" in nested_html(frame)
    assert "feature_70" not in nested_html(frame)
    assert nested_html(frame_of(2)["objectId"]) is None
    with pd.option_context("display.notebook_repr_html", False):
        assert nested_html(frame_of(2)) is None


def test_show_takes_frames_columns_and_single_light_curves():
    frame = frame_of(2)
    assert lt.show(frame).html.count("<svg") == lt.show(frame["lc"]).html.count("<svg") == 2
    assert repr(lt.show(frame)) == repr(frame)
    one = lt.show(frame["lc"].iloc[0])
    assert one._repr_html_().count("<svg") == 1
    words = re.sub(r"<[^>]+>|&emsp;|&nbsp;", " ", one.html.partition("</svg>")[2])
    assert words.split() == ["3", "epochs", "over", "4.5", "d", "g", "2", "r", "1"]
    assert repr(one) == "light curve: 3 epochs in g, r over 4.5 d"
    with pytest.raises(PlanError, match="a int is not a light curve"):
        lt.show(7)


def test_show_takes_roles_for_columns_of_any_name():
    kind = pa.struct([("t", pa.list_(pa.float64())), ("x", pa.list_(pa.float64()))])
    frame = to_frame(pa.table({"curve": pa.array([{"t": [1.0, 2.0], "x": [1.0, 2.0]}], kind)}))
    assert "<svg" not in lt.show(frame).html
    assert "2 epochs over 1.0 d" in lt.show(frame, roles=Roles(time="t", mag="x")).html


def test_frames_of_a_catalog_know_the_roles_it_declares():
    parts = [pa.field("t", pa.list_(pa.float64())), pa.field("x", pa.list_(pa.float64()))]
    kind = pa.struct(list(Roles(time="t", mag="x").tag(pa.schema(parts))))
    curves = pa.array([{"t": [1.0, 2.0], "x": [1.0, 2.0]}] * 3, kind)
    table = pa.table({"ra": [1.0, 2.0, 3.0], "dec": [0.0] * 3, "curve": curves})
    frame = lt.from_dataframe(table, ra="ra", dec="dec", name="stars").head()
    assert nested_html(frame).count("2 epochs over 1.0 d</title>") == 3
    assert nested_html(frame[frame["ra"] > 1.5]).count("<svg") == 2
    assert repr(lt.show(frame.iloc[0])) == "light curve: 2 epochs over 1.0 d"
    assert lt.show(frame.iloc[0]).html.count("<svg") == 1


def test_no_matplotlib_is_needed():
    code = """
import sys
import lsdb_ts as lt
assert "<svg" in lt.show({"mjd": [1.0, 2.0], "mag": [18.0, 19.0]}).html
assert "matplotlib" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_notebook_draws_the_cells_of_frames_by_itself():
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    cells = [
        """
import numpy as np, pyarrow as pa, lsdb_ts as lt
kind = pa.struct([("mjd", pa.list_(pa.float64())), ("band", pa.list_(pa.string())), ("mag", pa.list_(pa.float64()))])
curves = pa.array([{"mjd": [1.0, 2.0, 5.5], "band": ["g", "r", "g"], "mag": [18.0, 17.0, 19.0]}] * 4, kind)
rows = {"id": np.arange(4), "ra": np.arange(4.0), "dec": np.zeros(4), "lc": curves}
stars = lt.from_dataframe(pa.table(rows), ra="ra", dec="dec", name="stars")
""",
        "stars.head(3)",
        "stars.query('id > 1').compute()",
        "stars.head(3)['lc']",
        "stars.head(3)['id']",
        "lt.show(stars.head(1)['lc'].iloc[0])",
        "stars",
        "import sys; 'matplotlib.pyplot' in sys.modules",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    results = [o for cell in notebook.cells for o in cell.outputs if o["output_type"] == "execute_result"]
    shown = [result["data"] for result in results]
    html = [data.get("text/html", "") for data in shown]
    assert [text.count("3 epochs in g, r over 4.5 d</title>") for text in html[:4]] == [3, 2, 3, 0]
    assert "<table" in html[0]
    assert html[4].count("<svg") == 1
    assert "lazy catalog" in html[5]
    assert "</title>" not in html[5], "a catalog is not computed to be looked at"
    assert shown[6]["text/plain"] == "False"
