"""Small multiples: rows of catalogs and frames become pictures, folded on their own periods, titled and in one grid."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pytest

import lsdb_ts as lt
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.functions.frame import to_frame
from lsdb_ts.schema import Roles, unit_of_zero_point, with_unit
from lsdb_ts.store.read import recording
from lsdb_ts.views import plot_lightcurve, plot_lightcurves

N = 40


@pytest.fixture(autouse=True)
def _no_picture_is_left_open():
    yield
    plt.close("all")


def table_of(n):
    """Return objects with light curves, periods and classes; the second has no period."""
    rng = np.random.default_rng(5)
    parts = [
        pa.field("when", pa.list_(pa.float64())),
        pa.field("colour", pa.list_(pa.string())),
        pa.field("brightness", pa.list_(pa.float64())),
    ]
    roles = Roles(time="when", band="colour", mag="brightness")
    kind = pa.struct(list(roles.tag(pa.schema(parts))))
    curves = [
        {
            "when": list(60_000 + 10 * i + np.sort(rng.uniform(0, 100, N))),
            "colour": ["g", "r"] * (N // 2),
            "brightness": list(15.0 + i + rng.normal(0, 0.1, N)),
        }
        for i in range(n)
    ]
    periods = [None if i == 1 else 0.5 + 0.1 * i for i in range(n)]
    return pa.table(
        {
            "objectId": np.arange(100, 100 + n),
            "ra": np.linspace(10.0, 11.0, n),
            "dec": np.zeros(n),
            "class": [["RRab", "RRc"][i % 2] for i in range(n)],
            "found": pa.array([{"period": p} for p in periods], pa.struct([("period", pa.float64())])),
            "lc": pa.array(curves, kind),
        },
        schema=pa.schema(
            [
                ("objectId", pa.int64()),
                ("ra", pa.float64()),
                ("dec", pa.float64()),
                ("class", pa.string()),
                ("found", pa.struct([("period", pa.float64())])),
                pa.field("lc", kind),
            ]
        ),
    )


def headings(axes):
    return [ax.get_title(loc="left") for ax in axes]


def notes(axes):
    return [ax.texts[0].get_text() for ax in axes]


def test_rows_are_folded_each_on_its_own_period_and_titled():
    axes = plot_lightcurves(table_of(4), period_days="found.period", titles=["objectId", "class"])
    assert headings(axes) == ["100", "101", "102", "103"]
    assert notes(axes) == [
        "RRab, 0.5 d, 40 epochs",
        "RRc, 40 epochs",
        "RRab, 0.7 d, 40 epochs",
        "RRc, 0.8 d, 40 epochs",
    ]
    assert [ax.get_xlim() == (0, 2) for ax in axes] == [True, False, True, True]
    phases = np.concatenate([c.lines[0].get_xdata() for c in axes[0].containers])
    times = np.array(table_of(4)["lc"][0].as_py()["when"])
    assert np.sort(phases[phases < 1]) == pytest.approx(np.sort(np.mod((times - times[0]) / 0.5, 1)))


def test_a_catalog_reads_the_rows_it_draws_and_of_them_what_is_drawn(tmp_path):
    made = lt.from_dataframe(table_of(20), ra="ra", dec="dec", name="stars")
    catalog = made.write(tmp_path / "stars", progress=False)
    with recording() as reads:
        axes = plot_lightcurves(catalog, limit=3)
    assert headings(axes) == [str(i) for i in catalog.head(3)["objectId"]]
    read = {column for event in reads for column in event.columns}
    assert not {c for c in read if c.startswith(("class", "found"))}
    assert [len(c.lines[0].get_xdata()) for ax in axes for c in ax.containers] == [N // 2] * 6


def test_a_frame_is_drawn_with_roles_for_its_names():
    frame = to_frame(table_of(3))
    roles = Roles(time="when", band="colour", mag="brightness")
    axes = plot_lightcurves(frame, roles=roles, limit=2)
    assert headings(axes) == ["100", "101"]
    assert [t.get_text() for t in axes[0].figure.legends[0].get_texts()] == ["g", "r"]
    frame.attrs.clear()
    with pytest.raises(PlanError, match=r"none is known as its time.*of a frame of objects, take one"):
        plot_lightcurves(frame)


def test_a_frame_of_a_catalog_knows_its_roles():
    catalog = lt.from_dataframe(table_of(3), ra="ra", dec="dec", name="stars")
    axes = plot_lightcurves(catalog.compute())
    assert sorted(headings(axes)) == ["100", "101", "102"]
    assert [t.get_text() for t in axes[0].figure.legends[0].get_texts()] == ["g", "r"]


def test_steps_with_light_curves_are_drawn():
    catalog = lt.from_dataframe(table_of(3), ra="ra", dec="dec", name="stars")
    axes = plot_lightcurves(catalog.curves("lc").in_bands("g"), period_days="found.period")
    assert sorted(headings(axes)) == ["100", "101", "102"]
    assert {len(ax.containers[0].lines[0].get_xdata()) for ax in axes} == {N // 2}
    assert {t.get_text() for t in axes[0].figure.legends[0].get_texts()} == {"g"}


def test_a_column_of_light_curves_is_not_one():
    frame = lt.from_dataframe(table_of(3), ra="ra", dec="dec", name="stars").compute()
    with pytest.raises(PlanError, match=r"a column of 3 light curves is not one of them.*plot_lightcurves"):
        lt.plot_lightcurve(frame["lc"])
    with pytest.raises(PlanError, match="n_columns=0: need 1 at least"):
        plot_lightcurves(frame, n_columns=0)


def test_scales_are_free_or_shared():
    free = plot_lightcurves(table_of(4))
    assert len({ax.get_ylim() for ax in free}) == 4
    shared = plot_lightcurves(table_of(4), share_x=True, share_y=True)
    assert len({ax.get_ylim() for ax in shared}) == len({ax.get_xlim() for ax in shared}) == 1
    assert all(ax.yaxis_inverted() for ax in shared)
    assert max(shared[0].get_ylim()) >= max(max(ax.get_ylim()) for ax in free)


@pytest.mark.parametrize("n", [1, 2, 7, 36])
def test_a_grid_stays_legible(n):
    axes = plot_lightcurves(table_of(n), period_days="found.period", titles=["objectId", "class"], limit=n)
    figure = axes[0].figure
    figure.canvas.draw()
    assert len(axes) == n
    width, height = figure.get_size_inches()
    assert width <= 16
    assert height <= 16
    boxes = [ax.get_tightbbox() for ax in axes]
    overlaps = [(i, j) for i in range(n) for j in range(i) if boxes[i].padded(-1).overlaps(boxes[j].padded(-1))]
    assert not overlaps
    assert all(ax.get_window_extent().width > 100 for ax in axes)
    for ax in axes:
        labels = [t.get_window_extent() for t in ax.get_xticklabels() if t.get_text() and t.get_visible()]
        assert not [1 for a, b in itertools.pairwise(labels) if a.x1 > b.x0]
    assert sum(bool(ax.get_ylabel()) for ax in axes) <= int(np.ceil(np.sqrt(n)))


def test_what_cannot_be_drawn_is_told():
    with pytest.raises(PlanError, match="limit=37: need 1 to 36"):
        plot_lightcurves(table_of(2), limit=37)
    curve = {"mjd": [1.0], "mag": [18.0]}
    with pytest.raises(PlanError, match="37 light curves in one figure cannot be read"):
        plot_lightcurves({str(i): curve for i in range(37)})
    with pytest.raises(PlanError, match="light curves come as title -> curve"):
        plot_lightcurves({"a": curve}, period_days="P")
    with pytest.raises(PlanError, match="name the column with the periods"):
        plot_lightcurves(table_of(2), period_days={"100": 1.0})
    with pytest.raises(PlanError, match=r'no column "found\.perod"'):
        plot_lightcurves(table_of(2), period_days="found.perod")
    with pytest.raises(PlanError, match='there is no nested column "lightcurve"'):
        plot_lightcurves(table_of(2), lightcurve="lightcurve")
    with pytest.raises(PlanError, match="these rows have no nested column"):
        plot_lightcurves(table_of(2).drop_columns("lc"))
    with pytest.raises(PlanError, match="no light curves to plot"):
        plot_lightcurves(table_of(2).slice(0, 0))
    with pytest.raises(PlanError, match="a list holds no light curves"):
        plot_lightcurves([curve])


def test_of_two_nested_columns_one_is_named():
    table = table_of(2)
    both = table.append_column(pa.field("forced", table.schema.field("lc").type), table["lc"])
    with pytest.raises(PlanError, match=r"several nested columns \(lc, forced\)"):
        plot_lightcurves(both)
    assert len(plot_lightcurves(both, lightcurve="forced")) == 2


def fluxes_of(n, zero_point=27.5):
    """Return a catalog of objects with fluxes of 100 units, of one zero point, and a second nested column."""
    parts = [
        pa.field("t", pa.list_(pa.float64())),
        *(with_unit(pa.field(c, pa.list_(pa.float32())), unit_of_zero_point(zero_point)) for c in ("flux", "fluxerr")),
    ]
    kind = pa.struct(list(Roles(time="t", flux="flux", flux_error="fluxerr").tag(pa.schema(parts))))
    curves = pa.array([{"t": [60_000.0, 60_001.0], "flux": [100.0, 100.0], "fluxerr": [1.0, 1.0]}] * n, kind)
    fields = [("id", pa.int64()), with_unit(pa.field("ra", pa.float64()), "deg"), ("dec", pa.float64()), ("lc", kind)]
    rows = [np.arange(n), np.arange(n) / 10, np.zeros(n), curves]
    return lt.from_dataframe(pa.table(rows, schema=pa.schema(fields)), ra="ra", dec="dec", name="stars")


def drawn_at(ax):
    return np.concatenate([container.lines[0].get_ydata() for container in ax.containers])


def test_frames_tell_the_units_of_columns_and_parts():
    frame = fluxes_of(3).compute()
    unit = "36.307805477 nJy"
    assert frame.attrs["units"] == {"ra": "deg", "lc.flux": unit, "lc.fluxerr": unit}
    assert frame.attrs["roles"] == {"lc": {"time": "t", "flux": "flux", "flux_error": "fluxerr"}}


@pytest.mark.parametrize(
    "rows",
    [
        lambda catalog: catalog,
        lambda catalog: catalog.curves("lc"),
        lambda catalog: catalog.to_arrow(),
        lambda catalog: catalog.compute(),
        lambda catalog: catalog.head(2).iloc[::-1][["id", "lc"]],
    ],
)
def test_magnitudes_are_of_the_zero_point_that_the_catalog_stores(rows):
    axes = plot_lightcurves(rows(fluxes_of(3)), as_mag=True)
    assert {ax.get_ylabel() for ax in axes} <= {"magnitude (AB)", ""}
    assert all(drawn_at(ax) == pytest.approx([22.5, 22.5]) for ax in axes)


def test_a_row_knows_its_unit_and_a_cell_does_not():
    frame = fluxes_of(3).compute()
    (made,) = [row for _, row in frame.head(1).iterrows()]
    for row in (frame.iloc[0], made, frame.iloc[[1]], frame[frame["id"] == 2]):
        assert drawn_at(plot_lightcurve(row, as_mag=True)) == pytest.approx([22.5, 22.5])
        assert plot_lightcurve(row).get_ylabel() == "flux (nJy)"
    named = Roles(time="t", flux="flux")
    cell = frame["lc"].iloc[0]
    assert plot_lightcurve(cell, roles=named).get_ylabel() == "flux"
    with pytest.raises(PlanError, match=r"no known unit .* zero_point=.* frame\.iloc\[0\]"):
        plot_lightcurve(cell, roles=named, as_mag=True)
    with pytest.raises(PlanError, match="no known unit"):
        plot_lightcurves({"one": cell}, roles=named, as_mag=True)
    (ax,) = plot_lightcurves({"one": cell}, roles=named, as_mag=True, zero_point=27.5)
    assert drawn_at(ax) == pytest.approx([22.5, 22.5])


def test_an_exploded_frame_knows_the_unit_of_its_fluxes():
    epochs = fluxes_of(1).curves("lc").explode().compute()
    ax = plot_lightcurve(epochs, roles=Roles(time="t", flux="flux"), as_mag=True)
    assert drawn_at(ax) == pytest.approx([22.5, 22.5])


def test_of_a_row_with_two_light_curves_one_is_kept():
    both = fluxes_of(2).compute()
    both["copy"] = both["lc"]
    with pytest.raises(PlanError, match=r'several light curves \(lc, copy\): keep one, as in frame\[\["lc"\]\]'):
        plot_lightcurve(both.iloc[0])
    assert drawn_at(plot_lightcurve(both[["lc"]].iloc[0], as_mag=True)) == pytest.approx([22.5, 22.5])
    with pytest.raises(PlanError, match="a Series is not a light curve"):
        plot_lightcurve(both[["id"]].iloc[0])
