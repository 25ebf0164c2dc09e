"""The profiles: each is a survey file that can be filled in, read and planned, with the roles it promises."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.schema import Roles, unit_of
from partitioner import Survey, append, plan, run
from partitioner.surveys import profiles

IDS = {"id", "parent_id"}


def columns_of(table, n=30):
    """Draw a table that has the first column of each role, and what others look up in it."""
    rng = np.random.default_rng(0)
    found = {}
    for role, columns in {**table.known_roles, **{r: (c,) for r, c in table.roles.items()}}.items():
        if role in IDS:
            found[columns[0]] = np.arange(n)
        elif role == "band":
            found[columns[0]] = rng.choice(list("gri"), n)
        else:
            found[columns[0]] = rng.uniform(0, 60, n)
    if table.visit is not None:
        found[table.visit.on[0]] = np.arange(n)
    return pa.table(found)


@pytest.fixture(params=profiles.names())
def filled(request, tmp_path):
    """A printed profile with its files filled in, and a few rows in each of them."""
    text = profiles.text(request.param)
    tables = iter(re.findall(r"^\[tables\.(\w+)\]", text, flags=re.MULTILINE))
    file = tmp_path / "survey.toml"
    file.write_text(re.sub(r'^files = ""', lambda _: f'files = "{next(tables)}.parquet"', text, flags=re.MULTILINE))
    survey = Survey.read(file)
    for table in survey.tables:
        pq.write_table(columns_of(table), tmp_path / f"{table.name}.parquet")
    return survey


def test_every_profile_printed_and_filled_in_can_be_planned(filled, tmp_path):
    planned = plan(filled, tmp_path / "out")

    assert [p.table for p in planned.products] == [t.name for t in filled.catalogs]
    for table in filled.tables:
        roles = planned.roles(table.name)
        assert set(dict(table.roles.items()).items()) <= set(roles.items())
        assert set(table.known_roles) <= {role for role, _ in roles.items()}, table.name


def test_units_of_a_profile_reach_the_columns(filled, tmp_path):
    planned = plan(filled, tmp_path / "out")

    for table in filled.tables:
        schema = planned.inputs[table.name].schema
        told = {f.name: unit_of(f) for f in schema if f.name in table.units}
        assert told == {name: unit for name, unit in table.units.items() if name in schema.names}


def test_a_profile_asks_for_files_before_anything_else(tmp_path):
    for name in profiles.names():
        file = tmp_path / f"{name}.toml"
        file.write_text(profiles.text(name))
        with pytest.raises(PlanError, match=r"needs files = .*\. Remove the section if there is no such table"):
            Survey.read(file)


def test_a_profile_is_told_in_lines_that_fit_and_says_first_what_it_is():
    for name in profiles.names():
        assert max(map(len, profiles.text(name).splitlines())) <= 120
        assert profiles.summary(name)


def test_a_table_is_known_however_its_name_is_written(tmp_path):
    (tmp_path / "survey.toml").write_text("profile = 'rubin'\n[tables.DiaSource]\nfiles = 'x'")

    table = Survey.read(tmp_path / "survey.toml").table("DiaSource")

    assert table.roles == Roles()
    assert table.known_roles["parent_id"] == ("diaObjectId",)
    assert table.units["psfFlux"] == "nJy"


def test_roles_a_file_lists_take_the_place_of_those_of_its_profile(tmp_path):
    (tmp_path / "survey.toml").write_text(
        "profile = 'rubin'\n[tables.source]\nfiles = 'x'\nroles = {time = ['mjd'], flux = 'calibFlux'}"
    )

    table = Survey.read(tmp_path / "survey.toml").table("source")

    assert table.known_roles["time"] == ("mjd",)
    assert table.roles == Roles(flux="calibFlux")


def test_the_bands_of_one_gaia_transit_are_rows_of_their_own(tmp_path):
    """G, BP and RP share their transit_id: it is no id of a row, by which two of them would be taken for one."""
    n = 4
    sources = {"source_id": np.arange(n), "ra": np.arange(n) * 1.0, "dec": np.zeros(n)}
    pq.write_table(pa.table(sources), tmp_path / "gaia_source.parquet")
    epochs = {"source_id": np.repeat(np.arange(n), 3), "transit_id": np.repeat(np.arange(n) + 10**15, 3)}
    epochs |= {"band": np.tile(["G", "BP", "RP"], n), "time": np.repeat(1700.0 + np.arange(n), 3)}
    epochs |= {"flux": np.ones(3 * n), "flux_error": np.ones(3 * n)}
    later = {**epochs, "transit_id": epochs["transit_id"] + 100, "time": epochs["time"] + 50}
    pq.write_table(pa.table(epochs), tmp_path / "epoch_photometry.parquet")
    pq.write_table(pa.table(later), tmp_path / "later.parquet")
    toml = profiles.text("gaia")
    for name in ("gaia_source", "epoch_photometry"):
        toml = toml.replace(f'[tables.{name}]\nfiles = ""', f'[tables.{name}]\nfiles = "{name}.parquet"')
    (tmp_path / "gaia.toml").write_text(toml)

    made = run(Survey.read(tmp_path / "gaia.toml"), tmp_path / "gaia")
    done = append(tmp_path / "gaia", {"epoch_photometry": [str(tmp_path / "later.parquet")]})

    assert [(t.rows_out, t.duplicated) for t in made.tables if t.table == "epoch_photometry"] == [(3 * n, 0)]
    assert [(t.added, t.known) for t in done.tables] == [(3 * n, 0)]


def test_the_light_curves_of_ztf_are_taken_as_lists_or_in_one_column(tmp_path):
    columns = {"objectid": [1, 2], "filterid": [1, 2], "fieldid": [5, 5], "rcid": [7, 7], "nepochs": [2, 1]}
    columns |= {"objra": [10.0, 20.0], "objdec": [0.0, 1.0]}
    lists = {"hmjd": [[1.0, 2.0], [3.0]], "mag": [[18.0, 18.1], [19.0]], "magerr": [[0.1, 0.1], [0.2]]}
    lists |= {"clrcoeff": [[0.0, 0.0], [0.0]], "catflags": [[0, 0], [0]]}
    curves = pa.StructArray.from_arrays([pa.array(values) for values in lists.values()], list(lists))
    forms = {"lists": {**columns, **lists}, "hats": {**columns, "lightcurve": curves}}
    for name, table in forms.items():
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
        toml = profiles.text("ztf").partition("# Objects, and sources")[0]
        (tmp_path / "ztf.toml").write_text(toml.replace('files = ""', f'files = "{name}.parquet"', 1))

        planned = plan(Survey.read(tmp_path / "ztf.toml"), tmp_path / name)

        roles = planned.roles("lightcurve")
        assert (roles.id, roles.ra, roles.dec, roles.band) == ("objectid", "objra", "objdec", "filterid")
        assert roles.time == ("hmjd" if name == "lists" else None)
