"""Catalogs in words and in HTML: what is there is named, nothing is computed, and names cannot break the page."""

import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

import lsdb_ts as lt
from lsdb_ts.schema import Roles
from lsdb_ts.store.read import recording
from lsdb_ts.views import catalog_html, catalog_text
from lsdb_ts.views.columns import columns_of
from lsdb_ts.views.info import info
from lsdb_ts.views.terminal import epochs_report


@pytest.fixture
def objects(lightcurve_schema, seen_table):
    curve = {"midpointMjdTai": [1.0], "band": ["g"], "psfFlux": [2.0], "psfFluxErr": [0.1]}
    rows = {"objectId": [1, 2], "coord_ra": [10.0, 200.0], "coord_dec": [0.0, 50.0], "lc": [curve, curve]}
    return seen_table(pa.table(rows, schema=lightcurve_schema), "coord_ra", "coord_dec", "my <objects>")


def test_the_text_names_size_columns_units_roles_and_plan(objects):
    text = catalog_text(objects)
    assert text.splitlines()[0].startswith('Catalog "my <objects>": 2 rows in ')
    assert re.search(r"coord_ra +float64 +deg +\[ra\]", text)
    assert re.search(r"lc +nested<midpointMjdTai: float64 d, band: string, psfFlux: float32 nJy", text)
    assert text.splitlines()[-1] == "plan: scan my <objects>"


def test_looking_at_a_catalog_reads_nothing(objects):
    with recording() as reads:
        catalog_text(objects)
        catalog_html(objects)
    assert reads == []


def test_wide_catalogs_show_what_matters_first(seen_table):
    columns = {f"c{i}": np.zeros(2) for i in range(100)}
    text = catalog_text(seen_table(pa.table({"ra": [1.0, 2.0], "dec": [0.0, 1.0], **columns}), "ra", "dec", "wide"))
    assert "... and 78 more columns" in text
    assert len(text.splitlines()) < 30


def test_the_html_is_well_formed_and_escaped(objects):
    html = catalog_html(objects)
    page = html.replace("<style>", "<!--").replace("</style>", "-->").replace("class=lsdb-ts-part", 'class="part"')
    tree = ElementTree.fromstring(f"<body>{page}</body>")
    words = "".join(tree.itertext())
    assert "my <objects>" in words
    assert "nested, 4 columns" in words
    assert {"objectId", "psfFlux", "flux_error", "nJy"} <= {text.strip() for text in tree.itertext()}
    assert tree.find(".//svg/ellipse") is not None


def test_the_html_of_an_empty_catalog_is_fine(seen_table):
    html = catalog_html(seen_table(pa.table({"ra": np.empty(0), "dec": np.empty(0)}), "ra", "dec", "nothing"))
    assert "0 rows in 0 partitions" in html


def test_columns_can_be_told_as_json(lightcurve_schema):
    told = [column.to_json() for column in columns_of(lightcurve_schema)]
    assert told[1] == {"name": "coord_ra", "type": "float64", "unit": "deg", "role": "ra"}
    assert told[3]["parts"][2] == {"name": "psfFlux", "type": "float32", "unit": "nJy", "role": "flux"}


def test_a_list_outside_of_light_curves_is_told_as_a_list(lightcurve_schema):
    told = columns_of(lightcurve_schema.append(pa.field("vector", pa.list_(pa.float32()))))
    assert told[-1].kind == "list<float32>"
    assert [part.kind for part in told[3].parts][:3] == ["float64", "string", "float32"]


def in_words(renderable):
    out = io.StringIO()
    Console(file=out, width=120).print(renderable)
    return out.getvalue()


@pytest.mark.parametrize(("start", "name"), [(60_000.0, "MJD"), (2_455_000.0, "JD"), (1_900.0, None)])
def test_times_are_called_mjd_where_they_can_be(tmp_path, start, name):
    parts = [pa.field(c, pa.list_(pa.float64())) for c in ("t", "mag")]
    kind = pa.struct(list(Roles(time="t", mag="mag").tag(pa.schema(parts))))
    curve = pa.array([{"t": [start, start + 1.5], "mag": [18.0, 19.0]}], kind)
    table = pa.table({"ra": [1.0], "dec": [2.0], "lc": curve})
    text = in_words(epochs_report(table, "a star", "lc", (), None, None, as_mag=False))
    header = next(line for line in text.splitlines() if "error" in line)
    assert header.split("band")[0].strip() == (name or "time (d)")
    lt.from_dataframe(table, ra="ra", dec="dec", name="stars").write(tmp_path / "stars", progress=False)
    told = in_words(info(tmp_path / "stars").report())
    first = start - 2_400_000.5 if name == "JD" else start
    assert (f"; MJD {first:.1f} to {first + 1.5:.1f}" in told) == ("MJD" in told) == (name is not None)
