"""Columns of a catalog behave as those of a frame, lazily; verbs on them have pandas' names and meanings."""

import operator

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lsdb_ts as lt
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.columns import Select
from lsdb_ts.plan.rows import Filter, FilterEpochs
from lsdb_ts.schema import unit_of, with_unit
from lsdb_ts.testing import assert_lazy, assert_reads
from tests.plan.test_rows import ROWS, epochs, there
from tests.plan.test_rows import TABLE as CURVES
from tests.skycases import in_memory, objects_table, on_disk

N = 500


def table_of_columns() -> pa.Table:
    rng = np.random.default_rng(5)
    table = objects_table(N)
    mag = with_unit(pa.field("mag", pa.float64()), "mag")
    table = table.set_column(table.column_names.index("mag"), mag, table["mag"])
    table = table.append_column("n", pa.array(rng.integers(-5, 6, N), mask=rng.random(N) < 0.1))
    table = table.append_column("err", pa.array(rng.uniform(0.1, 1, N), mask=rng.random(N) < 0.1))
    table = table.append_column("band", pa.array(rng.choice(list("gri"), N)))
    table = table.append_column("flag", pa.array(rng.random(N) < 0.5))
    flux = with_unit(pa.field("flux njy", pa.float64()), "nJy")
    return table.append_column(flux, pa.array(rng.uniform(0, 5000, N)))


TABLE = table_of_columns()
FRAME = TABLE.to_pandas(types_mapper=pd.ArrowDtype)


@pytest.fixture(scope="module", params=[40, 10_000])
def catalog(request):
    return in_memory(TABLE, "objects", request.param)


@pytest.fixture(scope="module")
def curves():
    return in_memory(CURVES, "curves", 100)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("columns"), TABLE, "objects", 50)


def in_order(catalog, column) -> pd.Series:
    """Return a column's values by objectId."""
    ids = catalog["objectId"].compute().to_numpy()
    values = column.compute()
    return pd.Series(values.array, index=ids).sort_index()


def sorted_by_id(catalog) -> pd.DataFrame:
    return pd.DataFrame(catalog.compute()).sort_values("objectId")


CONDITIONS = [
    lambda c: c["mag"] < 20,
    lambda c: np.float32(20) > c["mag"],
    lambda c: operator.gt(20, c["mag"]),
    lambda c: (c["mag"] < 20) & (c["n"] > 0) | ~c["flag"],
    lambda c: c["flag"] & True,
    lambda c: False | c["flag"],
    lambda c: c["mag"] - c["err"] > 18,
    lambda c: 2 * c["n"] + 1 == 3,
    lambda c: (1 - c["n"]) // 2 <= 0,
    lambda c: 1 / c["err"] > 2,
    lambda c: -c["n"] < -2,
    lambda c: abs(c["n"]) >= 3,
    lambda c: c["n"].abs() >= 3,
    lambda c: c["n"] ** 2 == 4,
    lambda c: c["mag"] / c["err"] >= 30,
    lambda c: c["n"].isin([1, 2, -3]),
    lambda c: c["objectId"].isin(range(0, N, 3)),
    lambda c: c["band"].isin({"g", "r"}),
    lambda c: ~c["band"].isin(np.array(["g"])),
    lambda c: c["mag"].between(18, 20),
    lambda c: c["mag"].between(18, 20, inclusive="left"),
    lambda c: c["n"].isna() | c["err"].isnull(),
    lambda c: c["n"].notna() & c["err"].notnull(),
    lambda c: c["band"].str.startswith("g") | c["band"].str.endswith("r"),
    lambda c: c["band"].str.contains("[ri]"),
    lambda c: c["band"] != "g",
    lambda c: c["band"] == "g",
    lambda c: c["flux njy"] < 1000,
    lambda c: c["mag"] < np.float64(20),
    lambda c: c["n"] == np.int64(3),
    lambda c: (c["mag"] < 20) == c["flag"],
]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_on_columns_keeps_the_rows_that_it_keeps_of_a_frame(catalog, condition):
    mask = condition(FRAME).fillna(False).astype(bool)
    expected = FRAME[mask.to_numpy()].objectId.tolist()
    assert 0 < len(expected) < N
    with assert_lazy():
        kept = catalog[condition(catalog)]
        assert isinstance(kept.plan, Filter)
    assert sorted(kept.compute().objectId) == expected
    assert catalog.filter(condition(catalog)).plan.predicate == kept.plan.predicate


VALUES = [
    lambda c: c["mag"] + c["err"] * 2,
    lambda c: c["mag"] - 3,
    lambda c: 10 ** (-0.4 * (c["mag"] - 31.4)),
    lambda c: c["n"] * c["n"] - 1,
    lambda c: np.log10(c["flux njy"]) * -2.5,
    lambda c: np.abs(c["junk"]) + np.sqrt(c["mag"]),
    lambda c: np.float64(2) * c["mag"],
    lambda c: np.int64(7) - c["n"],
    lambda c: np.sin(c["mag"]) ** 2,
]


@pytest.mark.parametrize("value", VALUES)
def test_arithmetic_on_columns_is_that_of_a_frame(catalog, value):
    with assert_lazy():
        column = value(catalog)
    found = in_order(catalog, column).to_numpy(float, na_value=np.nan)
    expected = value(TABLE.to_pandas()).to_numpy(float, na_value=np.nan)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.lt, operator.ge, operator.eq]


def arithmetic():
    leaf = st.sampled_from(["mag", "err", "n", "objectId", "junk"]).map(lambda n: lambda c: c[n])
    number = st.sampled_from([2, -1.5, np.float64(0.25), np.int64(3)]).map(lambda v: lambda c: v)

    def joined(inner):
        def build(do, left, right):
            return lambda c: do(left(c), right(c))

        return st.builds(build, st.sampled_from(OPERATORS[:4]), inner, inner | number) | st.builds(
            build, st.sampled_from(OPERATORS[:4]), number, inner
        )

    return st.recursive(leaf, joined, max_leaves=4)


@settings(max_examples=30)
@given(arithmetic(), arithmetic(), st.sampled_from(OPERATORS[4:]))
def test_any_composition_of_operators_is_that_of_numpy(left, right, compare):
    small = in_memory(TABLE.slice(0, 60), "small", 20)
    columns = TABLE.slice(0, 60).to_pandas().astype({"n": float, "err": float})
    with np.errstate(all="ignore"):
        expected = compare(left(columns), right(columns)).to_numpy(bool)
    missing = (left(columns).isna() | right(columns).isna()).to_numpy()
    found = small[compare(left(small), right(small))].compute().objectId
    assert sorted(found) == np.flatnonzero(expected & ~missing).tolist()


def test_a_column_tells_what_it_is(catalog, curves):
    with assert_lazy():
        mag = catalog["mag"]
        assert repr(mag) == "Column mag (double, mag) of objects"
        assert (mag.name, mag.unit, mag.dtype) == ("mag", "mag", pa.float64())
        assert repr(catalog["flux njy"] < 3) == "Column `flux njy` < 3 (bool) of objects"
        assert (mag + 1).name is None
        assert (mag + 1).rename("fainter").name == "fainter"
        part = curves["lc.flux"]
        assert repr(part) == "Column lc.flux (double, one an epoch of lc) of curves"
        assert part.max().dtype == pa.float64()
        assert repr(part.max() > 3) == "Column lc.flux.max() > 3 (bool) of curves"


def test_a_column_is_computed_alone(stored):
    with assert_reads({"mag"}):
        mag = stored["mag"].compute()
    assert mag.name == "mag"
    assert mag.index.name == "_healpix_29"
    assert mag.equals(stored.compute()["mag"])
    with assert_reads({"mag", "err"}):
        difference = (stored["mag"] - stored["err"]).rename("difference").compute()
    assert difference.name == "difference"
    with assert_reads({"ra"}):
        first = stored["ra"].rename("RA").head(3)
    assert first.tolist() == stored.head(3)["ra"].tolist()
    assert stored["mag"].to_arrow().equals(stored.to_arrow()["mag"])
    assert stored["mag"].head(7).tolist() == mag.tolist()[:7]


def test_a_part_of_a_nested_column_has_one_value_an_epoch(curves):
    by_row = {row["objectId"]: [e["flux"] for e in epochs(row["lc"])] for row in CURVES.to_pylist()}
    lists = curves["lc.flux"].to_arrow().to_pylist()
    ids = curves["objectId"].compute().tolist()
    assert repr([v or [] for v in lists]) == repr([by_row[i] for i in ids])
    flat = curves["lc.flux"].compute()
    assert flat.name == "lc.flux"
    expected = [np.nan if v is None else v for i in ids for v in by_row[i]]
    np.testing.assert_array_equal(flat.to_numpy(float, na_value=np.nan), expected)
    assert flat.index.name == "_healpix_29"
    places = curves["objectId"].compute().index
    assert flat.index.tolist() == [p for p, i in zip(places, ids, strict=True) for _ in by_row[i]]
    snr = curves["lc.flux"] / curves["lc.err"]
    expected = [e["flux"] / e["err"] for i in ids for e in epochs(ROWS[i]["lc"]) if there(e["flux"])]
    found = snr.compute().to_numpy(float, na_value=np.nan)
    np.testing.assert_allclose(found[~np.isnan(found)], expected)
    assert len(curves["lc"].compute()) == len(ids)
    assert curves["lc"].to_arrow().type.num_fields == 5


def test_conditions_on_epochs_keep_epochs_and_reductions_keep_rows(curves):
    good = curves[(curves["lc.band"] == "g") & (curves["lc.flux"] > curves["mag"] - 20)]
    assert isinstance(good.plan, FilterEpochs)
    expected = {
        i: sum(e["band"] == "g" and there(e["flux"]) and e["flux"] > r["mag"] - 20 for e in epochs(r["lc"]))
        for i, r in ROWS.items()
    }
    lengths = {row["objectId"]: len(epochs(row["lc"])) for row in good.to_arrow().to_pylist()}
    assert lengths == expected
    for column, reduce in [
        (curves["lc.flux"].max() > 4, lambda v: bool(v) and max(v) > 4),
        (curves["lc.flux"].min() < -4, lambda v: bool(v) and min(v) < -4),
        (curves["lc.flux"].mean() > 0.01, lambda v: bool(v) and np.mean(v) > 0.01),
        (curves["lc.flux"].sum() > 3.05, lambda v: sum(v) > 3.05),
        (curves["lc.flux"].count() >= 4, lambda v: len(v) >= 4),
        ((curves["lc.flux"] > 4).any(), lambda v: any(x > 4 for x in v)),
    ]:
        found = curves[column].compute().objectId
        wanted = [i for i, r in ROWS.items() if reduce([e["flux"] for e in epochs(r["lc"]) if there(e["flux"])])]
        assert sorted(found) == wanted
    kept = curves[~curves["lc.bad"].all()].compute().objectId
    assert sorted(kept) == [i for i, r in ROWS.items() if not all(e["bad"] for e in epochs(r["lc"]))]


def test_quantities_come_in_the_unit_of_the_column(catalog):
    from astropy import units as u

    flux = catalog["flux njy"]
    expected = FRAME[FRAME["flux njy"] < 2000].objectId.tolist()
    assert sorted(catalog[flux < 2 * u.uJy].compute().objectId) == expected
    assert sorted(catalog[2 * u.uJy > flux].compute().objectId) == expected
    between = catalog[flux.between(1 * u.uJy, 2000 * u.nJy)].compute().objectId
    assert sorted(between) == FRAME[FRAME["flux njy"].between(1000, 2000)].objectId.tolist()
    for wrong in (lambda: flux < 3 * u.deg, lambda: flux * (3 * u.uJy), lambda: catalog["err"] < 3 * u.mag):
        with pytest.raises(PlanError, match="give a plain number"):
            wrong()


@pytest.mark.parametrize(
    ("misuse", "message"),
    [
        (lambda c: c["magg"], 'did you mean "mag"'),
        (lambda c: bool(c["mag"] < 20), r"join conditions with & \| ~"),
        (lambda c: 18 < c["mag"] < 20, r"join conditions with & \| ~"),
        (lambda c: c[c["mag"]], r"not true or false: compare it with something, or put names in double brackets"),
        (lambda c: c["mag"] < "bright", "\"mag < 'bright'\" compares double with text"),
        (lambda c: c["band"] + 1, "has no arithmetic"),
        (lambda c: c["mag"] & True, '"mag" is double and not true or false'),
        (lambda c: c["mag"] < c.query("mag < 3")["mag"], "is of another catalog"),
        (lambda c: c[c.query("mag < 3")["flag"]], "take the columns of the very catalog"),
        (lambda c: c["mag"] < c, "with a catalog: name one of its columns"),
        (lambda c: c["mag"].isin("abc"), r"isin\(\['abc'\]\)"),
        (lambda c: c["mag"].between(1, 2, inclusive="no"), "inclusive is one of"),
        (lambda c: c["mag"].max(), r'the whole catalog: catalog.aggregate\(\{"mag": "max"\}\)'),
        (lambda c: (c["mag"] - 1).mean(), r'catalog.assign\(new="mag - 1"\).aggregate'),
        (lambda c: np.hypot(c["mag"], 1), r"numpy.hypot is not part of the language"),
        (lambda c: c["mag"] < object(), "nothing that a column can be compared with"),
        (lambda c: c[1], "names of columns, or a condition"),
        (lambda c: c[["mag", 3]], "names of columns, or a condition"),
        (lambda c: c.filter(3), "filter needs a condition"),
        (lambda c: c.filter("mag"), "is double and not true or false"),
    ],
)
def test_misuse_is_refused_at_once_with_the_way_out(catalog, misuse, message):
    with assert_lazy(), pytest.raises(PlanError, match=message):
        misuse(catalog)


def test_columns_of_two_nested_columns_do_not_mix(curves):
    with pytest.raises(PlanError, match=r'catalog\["fs.time"\].max\(\)'):
        curves["lc.flux"] - curves["fs.flux"]
    assert (curves["lc.flux"] - curves["fs.flux"].mean()).dtype == pa.float64()
    with pytest.raises(PlanError, match="name one of its parts"):
        _ = curves["lc"] > 3
    with pytest.raises(TypeError):
        iter(curves["mag"])
    with pytest.raises(TypeError):
        hash(curves["mag"])


def test_long_lists_and_times_are_variables(catalog):
    many = catalog["objectId"].isin(range(100)) & catalog["n"].isin(list(range(-30, 30)))
    assert many.expression.text == "objectId in @value and n in @value_"
    assert sorted(catalog[many].compute().objectId) == FRAME[:100][FRAME[:100].n.notna()].objectId.tolist()


def test_select_and_drop_choose_columns_and_parts(catalog, curves):
    with assert_lazy():
        assert catalog.select("mag", "objectId").columns == ["mag", "objectId"]
        assert catalog.drop(columns=["mag", "junk"]).columns == [c for c in catalog.columns if c not in ("mag", "junk")]
        assert catalog.drop("mag").columns == list(FRAME.drop(columns="mag").columns)
        fewer = curves.drop(columns=["lc.flux", "lc.err", "fs", "junk"])
        assert [p.name for p in fewer.schema.field("lc").type] == ["t", "band", "bad"]
        assert curves.drop(columns=["fs.t", "fs.flux"]).columns == curves.drop("fs").columns
        with pytest.raises(PlanError, match='did you mean "mag"'):
            catalog.drop("magg")
    assert isinstance(fewer.plan, Select)
    assert fewer.compute()["lc"].nest.columns == ["t", "band", "bad"]


def test_filter_takes_text_and_the_callers_variables(catalog):
    faint = 20
    assert catalog.filter("mag < @faint").plan.predicate == catalog.query("mag < @faint").plan.predicate
    assert sorted(catalog.filter("mag < @faint").compute().objectId) == FRAME[FRAME.mag < faint].objectId.tolist()


def test_assign_takes_columns_texts_functions_and_numbers_in_the_order_of_the_call(catalog):
    limit = 20.0
    made = catalog.assign(
        a=catalog["mag"] - catalog["junk"],
        b="a * 2",
        c=lambda found: found["b"] + found["a"],
        d=7,
        bright="mag < @limit",
        e=catalog["n"],
    )
    frame = sorted_by_id(made)
    expected = FRAME.assign(a=FRAME["mag"] - FRAME["junk"])
    expected = expected.assign(b=expected["a"] * 2, c=expected["a"] * 3, d=7, bright=FRAME["mag"] < limit)
    for name in ("a", "b", "c", "d", "bright"):
        np.testing.assert_allclose(frame[name].to_numpy(float), expected[name].to_numpy(float))
    assert frame["e"].tolist() == FRAME["n"].tolist()
    assert catalog.assign() is catalog


def test_columns_of_one_assign_see_the_catalog_they_are_of(catalog):
    swapped = sorted_by_id(catalog.assign(mag=catalog["junk"], junk=catalog["mag"]))
    assert swapped["mag"].tolist() == FRAME["junk"].tolist()
    assert swapped["junk"].tolist() == FRAME["mag"].tolist()
    with pytest.raises(PlanError, match='"mag" is of the catalog before mag was assigned'):
        catalog.assign(mag=1.0, twice="mag * 2", old=catalog["mag"])
    new = sorted_by_id(catalog.assign(mag=lambda found: found["mag"] + 1, twice=lambda found: found["mag"] * 2))
    np.testing.assert_allclose(new["twice"], new["mag"] * 2)
    np.testing.assert_allclose(new["mag"], FRAME["mag"] + 1)


def test_astype_and_rename_are_those_of_pandas(catalog):
    kinds = {"mag": "float32", "n": "Int16", "objectId": "str"}
    found = pd.DataFrame(catalog.astype(kinds).rename(columns={"mag": "m"}).compute())
    assert found["m"].dtype == pd.ArrowDtype(pa.float32())
    assert found["n"].dtype == pd.ArrowDtype(pa.int16())
    expected = FRAME.set_index(FRAME["objectId"].astype(str))["mag"].astype("float32[pyarrow]")
    assert found.set_index("objectId")["m"].sort_index().tolist() == expected.sort_index().tolist()
    assert unit_of(catalog.rename(columns={"mag": "m"}).schema.field("m")) == "mag"


def test_a_chain_of_verbs_on_disk_reads_what_it_needs_and_is_written(stored, tmp_path):
    with assert_lazy():
        chain = (
            stored.assign(colour=stored["mag"] - stored["junk"], faint="mag > 20")
            .rename(columns={"mag": "g"})
            .astype({"g": "float32"})
            .query("not faint and colour > 15")
            .drop(columns=["faint", "flag", "band", "n"])[["objectId", "ra", "dec", "g"]]
        )
    with assert_reads({"objectId", "ra", "dec", "mag", "junk"}):
        written = chain.write(tmp_path / "chain")
    expected = FRAME.query("mag <= 20 and mag - junk > 15")
    assert sorted(written.compute().objectId) == expected.objectId.tolist()
    assert unit_of(lt.open_catalog(tmp_path / "chain").schema.field("g")) == "mag"


def test_galactic_coordinates_are_those_of_the_rotation_to_the_galactic_pole(stored):
    """With the pole and the node of ESA 1997, The Hipparcos and Tycho Catalogues, Vol. 1, section 1.5.3."""
    found = stored.galactic("l", "b").compute()
    pole_ra, pole_dec, node = np.radians([192.85948, 27.12825, 32.93192])
    ra, dec = np.radians(found["ra"].to_numpy()) - pole_ra, np.radians(found["dec"].to_numpy())
    latitude = np.arcsin(np.sin(pole_dec) * np.sin(dec) + np.cos(pole_dec) * np.cos(dec) * np.cos(ra))
    longitude = node + np.arctan2(
        np.sin(dec) * np.cos(pole_dec) - np.cos(dec) * np.sin(pole_dec) * np.cos(ra), np.cos(dec) * np.sin(ra)
    )
    np.testing.assert_allclose(found["b"], np.degrees(latitude), atol=2e-5)
    np.testing.assert_allclose(found["l"], np.degrees(longitude) % 360, atol=2e-5 / np.cos(latitude).min())
    assert found["l"].between(0, 360).all()


def test_galactic_coordinates_are_computed_only_if_wanted(stored):
    assert unit_of(stored.galactic().schema.field("gal_b")) == "deg"
    with assert_reads({"objectId"}):
        stored.galactic()[["objectId"]].compute()
    with pytest.raises(PlanError, match='already has a column "gal_l"'):
        stored.galactic().galactic()


def test_roles_may_be_said_of_columns_and_of_parts(tmp_path):
    epochs = pd.DataFrame({"star": [1, 1, 2], "MJD": [2.0, 1.0, 3.0], "V": [15.0, 15.5, 16.0], "eV": [0.1, 0.1, 0.1]})
    stars = lt.from_dataframe(pd.DataFrame({"star": [1, 2], "ra": [10.0, 20.0], "dec": [0.0, 0.0]}))
    plain = stars.nest(epochs, on="star").assign(copy="star")
    told = plain.with_roles("lc", time="MJD", mag="V", mag_error="eV").with_roles(id="copy")
    assert lt.Roles.of(told.with_roles(id="star").schema).id == "star"
    assert lt.Roles.of(told.schema.field("lc").type) == lt.Roles(time="MJD", mag="V", mag_error="eV")
    assert lt.Roles.of(told.schema).id == "copy"
    frame = told.curves("lc").sort().to_flux().assign().compute()
    assert frame["lc.MJD"].tolist() == [3.0, 1.0, 2.0]
    written = told.write(tmp_path / "told")
    assert lt.Roles.of(written.schema.field("lc").type).mag == "V"
    assert str(told.plan.identity()) != str(plain.with_roles("lc", time="MJD").plan.identity())
    for wrong, message in (
        ({"tme": "MJD"}, 'there is no role "tme"; did you mean "time"'),
        ({"time": "mjd"}, 'names the column "mjd".*there are: MJD'),
    ):
        with pytest.raises(PlanError, match=message):
            plain.with_roles("lc", **wrong)
    with pytest.raises(PlanError, match='"star" is int64 and not a light curve'):
        plain.with_roles("star", time="MJD")
    with pytest.raises(PlanError, match='there is no role "tme"'):
        lt.from_dataframe(pd.DataFrame({"ra": [1.0], "dec": 2.0}), roles={"tme": "t"})


def test_ids_are_found_in_the_index_also_where_roles_were_said(tmp_path):
    stored = on_disk(tmp_path, TABLE, "objects", 50)
    told = stored.with_roles(mag="mag")
    assert told.plan.count == stored.plan.count == N
    with pytest.raises(PlanError, match="which columns are the positions is told where"):
        stored.with_roles(ra="n")
    with pytest.raises(PlanError, match='"mag" cannot play two roles'):
        stored.with_roles(mag="mag", flux="mag")
    with pytest.raises(PlanError, match="is played by a column"):
        stored.with_roles(time=5)
    with pytest.raises(PlanError, match='cannot both be called "l"'):
        stored.galactic("l", "l")
