"""Catalogs in words and in HTML: what is there is named, nothing is computed, and names cannot break the page."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.store.read import recording
from lsdb_ts.views import catalog_html, catalog_text
from lsdb_ts.views.columns import columns_of


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
