"""Conditions mean what they mean to pandas, skip nothing that holds, and say what is wrong with them."""

import ast
import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.plan.language.expression import Expression, Predicate

N = 400


def random_table(seed=0, n=N):
    rng = np.random.default_rng(seed)

    def missing():
        return rng.random(n) < 0.15

    return pa.table(
        {
            "mag": pa.array(rng.uniform(14, 26, n).round(1), mask=missing()),
            "err": pa.array(rng.uniform(0, 1, n).astype(np.float32), mask=missing()),
            "n": pa.array(rng.integers(-5, 6, n), mask=missing()),
            "m": pa.array(rng.integers(1, 6, n)),
            "band": pa.array(rng.choice(list("ugrizy"), n), mask=missing()),
            "flag": pa.array(rng.random(n) < 0.5, mask=missing()),
            "psf mag-r": pa.array(rng.uniform(14, 26, n), mask=missing()),
        }
    )


TABLE = random_table()
FRAME = TABLE.to_pandas(types_mapper=pd.ArrowDtype)

LIKE_PANDAS = [
    "mag < 20",
    "mag <= 20.5 and n >= 0",
    "18 < mag <= 20",
    "20 > mag",
    "n == 3",
    "n != 3",
    "-2 < n < m",
    "band == 'g'",
    'band == "g" or band == "r"',
    "band in ['g', 'r']",
    "band not in ['g', 'r']",
    "n in [1, 2, 3]",
    "n in (1, 2)",
    "n in [0, -1]",
    "n in [1.5, 2]",
    "n in @several",
    "band in ['g', None]",
    "flag",
    "not flag",
    "~flag",
    "flag == True",
    "flag & mag < 20",
    "(flag) & (mag < 20) | (n == 1)",
    "~(mag < 20) & ~flag",
    "not (mag < 20 or n > 2)",
    "flag or n > 100",
    "mag + err > 20",
    "mag - 2 * err < 18",
    "n * m > 6",
    "n / m > 0.6",
    "1 / m < 0.4",
    "n / 2 == 0.5",
    "m ** 2 == 16",
    "mag ** 0.5 > 4.5",
    "(mag - 20) ** 2 < 4",
    "-mag < -20",
    "+mag > 20",
    "n < -3",
    "mag.isna()",
    "mag.notna() and n.notnull()",
    "mag.isnull() or flag",
    "~band.isna()",
    "`psf mag-r` < 20",
    "`psf mag-r` < mag and `psf mag-r` > 16",
    "mag < @limit",
    "band in @bands and mag < @limit",
    "n == @three",
    "mag < 20\n and\n n > 0",
    "mag.between(18, 20)",
    "mag.between(18, 20, inclusive='neither') or n == 1",
    "n.isin([1, 2]) and not band.isin(['g', 'r'])",
    "band.isin(@bands)",
    "band.str.startswith('g') or band.str.endswith('r')",
    "band.str.contains('[gri]')",
    "n // 2 == 1",
    "(n - 3) // 2 == -2",
    "flag == (mag < 20)",
    "err > 0.25 and err == err",
]
LOCALS = {"nan": np.nan, "limit": np.float64(20.5), "bands": ["g", "i"], "three": np.int64(3), "several": {-3, 4}}


@pytest.mark.parametrize("text", LIKE_PANDAS)
def test_a_condition_means_what_it_means_to_pandas(text):
    expected = FRAME.query(" ".join(text.split()), engine="python", local_dict=LOCALS).index.to_numpy()
    predicate = Predicate.parse(text, LOCALS)
    assert np.array_equal(np.flatnonzero(predicate.holds(TABLE)), expected)
    assert 0 < expected.size < N
    assert set(predicate.columns) <= set(TABLE.column_names)


def _any_of_three(t):
    return (np.log1p(t["m"]) < 1.5) | (np.floor(t["mag"]) == 21) | (np.ceil(t["mag"]) == 16)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abs(n) > 3", lambda t: np.abs(t["n"]) > 3),
        ("sqrt(m) < 2", lambda t: np.sqrt(t["m"]) < 2),
        ("log10(mag) > 1.3 and abs(n - 1) < 2", lambda t: (np.log10(t["mag"]) > 1.3) & (np.abs(t["n"] - 1) < 2)),
        ("-2.5 * log10(m) < -1", lambda t: -2.5 * np.log10(t["m"]) < -1),
        ("n % 3 == 1", lambda t: np.mod(t["n"], 3) == 1),
        ("mag % -0.7 < -0.5", lambda t: np.mod(t["mag"], -0.7) < -0.5),
        ("mag // 0.7 == 29", lambda t: np.floor_divide(t["mag"], 0.7) == 29),
        ("7 // m == 2 or 7 % m == 3", lambda t: (7 // t["m"] == 2) | (7 % t["m"] == 3)),
        ("sin(mag) ** 2 + cos(mag) ** 2 > 0.5", lambda t: np.isfinite(t["mag"])),
        ("tan(m) > 0", lambda t: np.tan(t["m"]) > 0),
        ("arcsin(m / 6) + arccos(m / 6) > arctan(m)", lambda t: np.pi / 2 > np.arctan(t["m"])),
        ("exp(m) > 20 and expm1(m) > 20 and log(m) > 1", lambda t: np.exp(t["m"]) > 21),
        ("log1p(m) < 1.5 or floor(mag) == 21 or ceil(mag) == 16", lambda t: _any_of_three(t)),
    ],
)
def test_functions_are_those_of_numpy(text, expected):
    columns = {name: TABLE.column(name).to_pandas().to_numpy() for name in ("n", "m", "mag")}
    with np.errstate(invalid="ignore"):
        assert np.array_equal(Predicate.parse(text).holds(TABLE), expected(columns))


def test_nan_is_missing_to_isna_and_smaller_than_nothing():
    table = pa.table({"x": [1.0, np.nan, None, -np.inf]})
    assert Predicate.parse("x.isna()").holds(table).tolist() == [False, True, True, False]
    assert Predicate.parse("x < 2").holds(table).tolist() == [True, False, False, True]


def test_a_missing_value_differs_from_nothing():
    # pandas agrees for numbers and not for strings, where it makes "!=" a "not in".
    table = pa.table({"band": ["g", None, "r"], "n": [1, None, 2]})
    for text in ("band != 'g'", "n != 1"):
        assert Predicate.parse(text).holds(table).tolist() == [False, False, True]


def test_dictionaries_and_parts_of_nested_columns_compare_by_value():
    bands = pa.array(["g", "r", None, "g"]).dictionary_encode()
    table = pa.table({"lc.band": bands, "lc.flux": [1.0, 2.0, 3.0, 4.0]})
    predicate = Predicate.parse("lc.band == 'g' and lc.flux > 1")
    assert predicate.columns == ("lc.band", "lc.flux")
    assert predicate.bounds(table.schema) == {"lc.band": ("g", "g"), "lc.flux": (1, None)}
    assert predicate.holds(table).tolist() == [False, False, False, True]
    assert Predicate.parse("lc.band in ['g', 'u']").holds(table).tolist() == [True, False, False, True]
    assert Predicate.parse("lc.band.isna()").columns == ("lc.band",)
    assert Predicate.parse("lc.band.isna()").holds(table).tolist() == [False, False, True, False]


def test_constants_hold_for_all_rows_or_none():
    assert Predicate.parse("True").holds(TABLE).all()
    assert not Predicate.parse("1 > 2").holds(TABLE).any()


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("18 < mag < 20", {"mag": (18, 20)}),
        ("mag < 20 and mag < 19 and 15 <= mag", {"mag": (15, 19)}),
        ("20 > mag and n == 3", {"mag": (None, 20), "n": (3, 3)}),
        ("band in ['r', 'g', 'i']", {"band": ("g", "r")}),
        ("n < -3", {"n": (None, -3)}),
        ("`psf mag-r` > 3 and mag < @limit", {"psf mag-r": (3, None), "mag": (None, 20.5)}),
        ("mag < 20 or n > 3", {}),
        ("mag < 16 or 24 < mag < 25 or mag == 18", {"mag": (None, 25)}),
        ("(mag < 20 and n > 3) or (n == 1 and m > 2)", {"n": (1, None)}),
        ("n in [1, 2] or n == 5", {"n": (1, 5)}),
        ("mag.between(18, 20) and n.isin([-2, 3])", {"mag": (18, 20), "n": (-2, 3)}),
        ("not mag < 20", {}),
        ("~(mag < 20)", {}),
        ("not n < 3", {"n": (3, None)}),
        ("not (n < 3 or not m <= 4)", {"n": (3, None), "m": (None, 4)}),
        ("not (n < 3 and m > 4)", {}),
        ("not (n != 3)", {"n": (3, 3)}),
        ("not (1 < n < 3)", {}),
        ("not (n < 2 or 4 < n)", {"n": (2, 4)}),
        ("flag and not (n > 2)", {"flag": (True, True), "n": (None, 2)}),
        ("not flag", {"flag": (False, False)}),
        ("band.str.startswith('gr')", {"band": ("gr", "gs")}),
        ("mag < 10 * 2 - 1", {"mag": (None, 19)}),
        ("mag < @nan or mag < 3", {}),
        ("n in @several and mag < 20", {"n": (-3, 4), "mag": (None, 20)}),
        ("band not in ['g']", {}),
        ("mag != 3", {}),
        ("mag < err", {}),
        ("abs(mag) < 3", {"mag": (-3, 3)}),
        ("mag.isna()", {}),
        ("n in []", {}),
    ],
)
def test_bounds_come_from_what_must_hold(text, bounds):
    assert dict(Predicate.parse(text, LOCALS).bounds(TABLE.schema)) == bounds


def atoms():
    number = st.integers(-6, 26) | st.floats(-6, 26, allow_nan=False).map(lambda x: round(x, 1))
    column = st.sampled_from(["mag", "err", "n", "m", "`psf mag-r`"])
    operator = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    return st.one_of(
        st.builds("{} {} {}".format, column, operator, number),
        st.builds("{} {} {}".format, number, operator, column),
        st.builds("{} {} {} {} {}".format, number, operator, column, operator, number),
        st.builds("n {} {}".format, st.sampled_from(["in", "not in"]), st.lists(st.integers(-5, 5), max_size=3)),
        st.builds("band {} {!r}".format, st.sampled_from(["<", ">="]), st.sampled_from(list("ugrizy"))),
        st.builds("{}.isna()".format, column),
        st.builds("{}.between({}, {})".format, column, number, number),
        st.builds("abs({}) {} {}".format, column, operator, number),
        st.builds("band.str.startswith({!r})".format, st.sampled_from(["g", "r", ""])),
        st.builds("n.isin({})".format, st.lists(st.integers(-5, 5), max_size=3)),
    )


def texts():
    return st.recursive(
        atoms(),
        lambda inner: (
            st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or", "&", "|"]), inner)
            | st.builds("not ({})".format, inner)
        ),
        max_leaves=5,
    )


@given(texts(), st.integers(0, 5))
def test_no_row_that_holds_lies_outside_the_bounds(text, seed):
    table = random_table(seed, 60)
    predicate = Predicate.parse(text)
    rows = table.filter(pa.array(predicate.holds(table)))
    for name, (low, high) in predicate.bounds(table.schema).items():
        values = rows.column(name).to_pylist()
        assert all(v is not None and (low is None or v >= low) and (high is None or v <= high) for v in values)


def sums():
    """Arithmetic on columns, as text that numpy reads alike."""
    leaf = st.sampled_from(["mag", "err", "n", "m", "2", "0.5", "-3"])
    return st.recursive(
        leaf,
        lambda inner: (
            st.builds("({}) {} ({})".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner)
            | st.builds("({}) ** 2".format, inner)
            | st.builds("-({})".format, inner)
            | st.builds("abs({})".format, inner)
        ),
        max_leaves=4,
    )


@given(sums(), st.integers(0, 5))
@example("(2) // (abs(2))", 0)
@example("(2) / ((2) - (2))", 0)
@example("(mag) % (-(abs(-3)))", 0)
def test_arithmetic_is_that_of_numpy_where_it_has_a_value(text, seed):
    table = random_table(seed, 60)
    columns = {name: table[name].to_numpy(zero_copy_only=False).astype(float) for name in ("mag", "err", "n", "m")}
    try:
        with np.errstate(all="ignore"):
            expected = np.broadcast_to(eval(text, {"abs": np.abs, **columns}), 60)
    except ZeroDivisionError:
        # Numpy's numbers divide by zero, Python's constants do not.
        expected = np.full(60, np.nan)
    try:
        found = Expression.parse(text).values(table)
    except PlanError as error:
        assert "has no value" in str(error), "constants are divided by zero"  # noqa: PT017
        return
    values = np.array([np.nan if v is None else v for v in found.to_pylist()], dtype=float)
    usual = np.isfinite(expected)
    np.testing.assert_allclose(values[usual], expected[usual], rtol=1e-6, atol=1e-9)
    missing = np.isnan(sum(columns[name] for name in Expression.parse(text).columns)) if "n" in text else usual[:0]
    assert not missing.size or np.isnan(values[missing]).all(), "what is missing makes the result missing"


@settings(max_examples=20)
@given(texts())
def test_any_condition_of_the_language_means_what_it_means_to_pandas(text):
    expected = FRAME.query(text, engine="python").index.to_numpy()
    assert np.array_equal(np.flatnonzero(Predicate.parse(text).holds(TABLE)), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mag <", r'"mag <" is not an expression'),
        ("mag < 20)", "is not an expression"),
        ("", "is not an expression"),
        ("`mag < 20", "is not an expression"),
        ("mag <$ 20", "is not an expression"),
        ("mag = 20", "is not an expression"),
        ("mag if flag else n", "IfExp is not part"),
        ("[x for x in mag]", "ListComp is not part"),
        ("mag[0] < 3", "Subscript is not part"),
        ("mag @ n == 3", "is not an expression"),
        ("lambda: 1", "Lambda is not part"),
        ("gamma(mag) < 3", r'"gamma\(mag\)" is not part of the language; there are abs, sqrt, exp'),
        ("band.str.upper() == 'G'", "is not part of the language"),
        ("abs(mag, n) < 3", "is not part of the language"),
        ("__import__('os').system('x')", "is not part of the language"),
        ("mag < @unknown", "@unknown, and there is no variable of that name"),
        ("mag.max(n) > 3", "is not part of the language"),
        ("mag.between(1, 2, inclusive='all')", "inclusive is one of both, left, right, neither"),
        ("'g' in band", '"in" needs a list of values'),
        ("n in 3", '"in" needs a list of values'),
        ("1 / 0 < n", "has no value: division by zero"),
        ("b'g' == band", "is not part of the language"),
    ],
)
def test_a_text_that_is_no_condition_is_quoted_before_any_row_is_read(text, message):
    with pytest.raises(PlanError, match=message) as caught:
        Predicate.parse(text, LOCALS).values(TABLE)
    assert text[:5] in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mag", '"mag" is double and not true or false: compare it with something'),
        ("mag + 1", '"mag \\+ 1" is double and not true or false'),
        ("mag == 'bright'", "\"mag == 'bright'\" compares double with text"),
        ("band < 3", '"band < 3" compares string with a number'),
        ("mag > 3 and mag > 'x'", "compares double with text"),
        ("n in [1, 'g']", "compares int64 with text"),
        ("band in [1]", "compares string with a number"),
        ("not mag", '"mag" is double and not true or false'),
        ("flag and mag", '"mag" is double and not true or false'),
        ("band + 1 > 2", '"band" is string, which has no arithmetic'),
        ("abs(band) > 2", '"band" is string, which has no arithmetic'),
        ("n.str.startswith('1')", r"n \(int64\) is not text"),
        ("n == [1, 2]", 'write "in"'),
        ("n == @bands", 'write "in"'),
        ("n in @limit", '"in" needs a list'),
        ("n < 2 and n.max() > 3", "is of no nested column: in this language max makes one value a row"),
        ("band.str.contains('[')", "cannot evaluate .* missing ]"),
        ("magg < 3", 'catalog has no column "magg"; did you mean "mag"'),
    ],
)
def test_a_condition_that_does_not_fit_the_columns_is_quoted_at_plan_time(text, message):
    with pytest.raises(PlanError, match=message):
        Predicate.parse(text, LOCALS).check(TABLE.schema, "catalog")


@pytest.mark.parametrize("value", [object(), b"g", 1j, lambda: 1])
def test_a_variable_that_is_nothing_a_column_holds_is_refused(value):
    with pytest.raises(PlanError, match="nothing that a column can be compared with"):
        Predicate.parse("mag < @x", {"x": value})


def test_a_quantity_in_a_text_must_say_its_unit():
    from astropy import units

    with pytest.raises(PlanError, match="say in which"):
        Predicate.parse("mag < @x", {"x": 3 * units.mag})


def test_integers_that_overflow_are_an_error_and_not_another_number():
    table = pa.table({"n": [2**62, 1]})
    with pytest.raises(InputError, match="overflow"):
        Predicate.parse("n * 4 > 0").holds(table)
    assert Predicate.parse("n * 4.0 > 0 and n < 1e19").holds(table).all()
    assert Predicate.parse(f"n < {2**70} and n + {2**70} > 0").holds(table).all()


def test_integers_divided_by_zero_are_missing():
    table = pa.table({"n": [7, -7, 7], "m": [2, 2, 0]})
    assert Expression.parse("n // m").values(table).to_pylist() == [3, -4, None]
    assert Expression.parse("n % m").values(table).to_pylist() == [1, 1, None]
    assert Expression.parse("n / m").values(table).to_pylist() == [3.5, -3.5, np.inf]
    assert Expression.parse("2 ** -m").values(table).to_pylist() == [0.25, 0.25, 1.0]


def test_membership_is_exact_for_large_integers_and_for_float32():
    table = pa.table(
        {"n": [2**53, 2**53 + 1], "x": pa.array([0.1, 0.5], pa.float32()), "b": pa.array([1, 7], pa.int8())}
    )
    assert Predicate.parse(f"n in [{2**53 + 1}, 0.5, {2**70}]").holds(table).tolist() == [False, True]
    for text in ("x in [0.1, 0.5]", "x == 0.1 or x == 0.5"):
        assert Predicate.parse(text).holds(table).tolist() == [False, True], "0.1 has no float32"
    assert Predicate.parse("b in [7, 300, -1]").holds(table).tolist() == [False, True]


def test_a_text_is_written_with_no_bracket_too_many_and_means_the_same():
    text = "(((`psf mag-r`) < (20)) & (~(flag))) | (mag.notna())"
    assert Predicate.parse(text).text == "`psf mag-r` < 20 and (not flag) or not mag.isna()"
    again = Predicate.parse(Predicate.parse(text).text)
    assert np.array_equal(again.holds(TABLE), Predicate.parse(text).holds(TABLE))


@given(texts())
def test_what_is_written_reads_as_the_same(text):
    once = Predicate.parse(text)
    assert Predicate.parse(once.text) == once


@given(texts(), st.integers(0, 3))
def test_the_terms_of_a_condition_hold_together_where_it_does(text, seed):
    table = random_table(seed, 40)
    predicate = Predicate.parse(text)
    together = Predicate.together(predicate.terms)
    assert np.array_equal(together.holds(table), predicate.holds(table))
    assert np.array_equal(np.all([t.holds(table) for t in predicate.terms], axis=0), predicate.holds(table))


def test_variables_of_one_name_and_different_values_are_told_apart():
    one, other = Expression.parse("mag - @x", {"x": 1.0}), Expression.parse("n + @x", {"x": 2.0})

    def less(a, b):
        return ast.Compare(a, [ast.Lt()], [b])

    both = Expression.made(less, one, other)
    assert both == Expression("mag - @x < n + @x_", (("x", 1.0), ("x_", 2.0)))
    assert Expression.made(less, one, Expression.parse("@x", {"x": 1})).variables == (("x", 1.0),)


@pytest.mark.parametrize("name", ["psf mag-r", "class", "2MASS", "a.b c", "lc.psf flux", "mag"])
def test_any_name_can_be_a_column(name):
    expression = Expression.of_column(name)
    assert expression.column == name
    assert Expression.parse(f"{expression.text} + 1").columns == (name,)


KINDS = pa.table(
    {
        "day": pa.array([datetime.date(2025, 1, i) for i in (1, 2, 3)]),
        "zoned": pa.array([datetime.datetime(2025, 1, i, tzinfo=datetime.UTC) for i in (1, 2, 3)]),
        "t": pa.array(np.array(["2025-01-01", "2025-01-02", "2025-01-03"], "datetime64[ns]")),
        "price": pa.array([decimal.Decimal("1.10"), decimal.Decimal("2.20"), None]),
        "large": pa.array(["a", "b", None], pa.large_string()),
        "view": pa.array(["a", "b", None], pa.string_view()),
        "code": pa.array([5, 6, 5]).dictionary_encode(),
        "half": pa.array(np.array([1, 2, 3], np.float16)),
        "byte": pa.array([1, 2, 255], pa.uint8()),
        "big": pa.array([2**62, -1, 4]),
        "struct": pa.array([{"x": 1, "y": "a"}, None, {"x": 3, "y": "c"}]),
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("day >= @date", [0, 1, 1]),
        ("day > @noon", [0, 0, 1]),
        ("day in ['2025-01-02']", [0, 1, 0]),
        ("zoned > @aware", [0, 0, 1]),
        ("zoned > '2025-01-02T00:00Z'", [0, 0, 1]),
        ("t > @noon", [0, 0, 1]),
        ("t == '2025-01-02'", [0, 1, 0]),
        ("t in [@midnight]", [0, 1, 0]),
        ("t > @nat", [0, 0, 0]),
        ("t - @span < '2025-01-01'", [1, 0, 0]),
        ("t - @midnight >= @span", [0, 0, 1]),
        ("price > 1.5 and price * 2 < 5", [0, 1, 0]),
        ("large == 'a' or large.str.endswith('b')", [1, 1, 0]),
        ("view == 'a' or view in ['b'] or view.str.contains('c')", [1, 1, 0]),
        ("code == 5 and code in [5] and code + 1 == 6", [1, 0, 1]),
        ("half * 2 > 3", [0, 1, 1]),
        ("-byte < -1 and byte + 255 > 300", [0, 0, 1]),
        ("byte == @arrow or byte in @array", [1, 1, 0]),
        ("sqrt(big) > 3", [1, 0, 0]),
        ("big == 4611686018427387904.0", [1, 0, 0]),
        ("struct.x > 1 or struct.y == 'a'", [1, 0, 1]),
        ("struct.x.isna() or struct.isna()", [0, 1, 0]),
        ("byte == None", [0, 0, 0]),
    ],
)
def test_columns_of_every_kind_can_be_asked(text, expected):
    variables = {
        "date": datetime.date(2025, 1, 2),
        "noon": pd.Timestamp("2025-01-02T12"),
        "midnight": np.datetime64("2025-01-02"),
        "aware": pd.Timestamp("2025-01-02T12", tz="UTC"),
        "nat": pd.NaT,
        "span": datetime.timedelta(hours=12),
        "arrow": pa.scalar(2),
        "array": np.array([1, 2]),
    }
    predicate = Predicate.parse(text, variables)
    predicate.check(KINDS.schema, "catalog")
    assert predicate.holds(KINDS).tolist() == [bool(e) for e in expected]
    assert isinstance(predicate.bounds(KINDS.schema), dict)


@pytest.mark.parametrize("text", ["zoned > @noon", "t > @aware", "t > @span", "t + 1 > t", "struct > 1", "t == 3"])
def test_kinds_that_have_nothing_in_common_are_refused_at_plan_time(text):
    noon = datetime.datetime(2025, 1, 2, 12)
    variables = {"noon": noon, "aware": noon.replace(tzinfo=datetime.UTC), "span": datetime.timedelta(hours=1)}
    with pytest.raises(PlanError, match=r"compares|cannot evaluate"):
        Predicate.parse(text, variables).check(KINDS.schema, "catalog")


@pytest.mark.parametrize("name", ["@mag", "a`b"])
def test_a_name_the_language_cannot_write_is_refused(name):
    with pytest.raises(PlanError, match="rename that column"):
        Expression.of_column(name)


def test_times_can_be_ordered_by_bounds():
    schema = pa.schema([("t", pa.timestamp("ms")), ("d", pa.date32()), ("k", pa.dictionary(pa.int8(), pa.string()))])
    found = Predicate.parse("t >= '2025-01-01T12:00' and d == '2025-01-02' and k == 'g'").bounds(schema)
    assert found == {
        "t": (datetime.datetime(2025, 1, 1, 12), None),
        "d": (datetime.date(2025, 1, 2), datetime.date(2025, 1, 2)),
        "k": ("g", "g"),
    }
    with pytest.raises(PlanError, match='"yesterday" is no timestamp'):
        Predicate.parse("t > 'yesterday'").check(schema, "catalog")


def test_a_predicate_is_a_value():
    one, same = (Predicate.parse("mag < @limit", {"limit": x}) for x in (np.float32(2.0), 2.0))
    assert one == same
    assert hash(one) == hash(same)
    assert one != Predicate.parse("mag < @limit", {"limit": 3.0})


def test_times_compare_with_text_and_numpy_and_large_counts_with_integers():
    times = pa.array(np.array(["2025-01-01T12:00", "2025-01-02"], dtype="datetime64[ns]"))
    table = pa.table({"t": times, "u": pa.array([2**63 + 1, 2**63 + 5], pa.uint64())})
    noon = np.datetime64("2025-01-01T18:00:00", "ns")
    for text in ("t > '2025-01-01 18:00'", "t > @noon", f"u > {2**63 + 1}", f"u in [{2**63 + 5}]", f"{2**63 + 2} < u"):
        assert Predicate.parse(text, {"noon": noon}).holds(table).tolist() == [False, True], text
    assert Predicate.parse("u > 5").holds(table).all()


def test_flags_compare_with_0_and_1():
    table = pa.table({"flag": [True, False, None]})
    assert Predicate.parse("flag == 0").holds(table).tolist() == [False, True, False]
    assert Predicate.parse("flag == 1").holds(table).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("values", "constants"),
    [
        (pa.array([2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1]), [float(2**53), -float(2**53), 2**53 + 1]),
        (pa.array([2**53 + 1, 2**63 + 1, 2**64 - 1], pa.uint64()), [float(2**53), float(2**63), 2**64, 2**63 + 1]),
        (pa.array([float(2**53), 0.1, None, np.nan]), [2**53 + 1, decimal.Decimal("0.1")]),
        (pa.array([decimal.Decimal("1.26"), decimal.Decimal("-3.50")]), [1.26, -3.5, decimal.Decimal("1.26")]),
    ],
)
def test_bounds_leave_out_no_row_that_holds_where_numbers_are_rounded_to_be_compared(values, constants):
    table = pa.table({"x": values})
    texts = [f"x {sign} @c" for sign in ("<", "<=", "==", ">=", ">", "!=")]
    for text in [form.format(t) for t in texts for form in ("{}", "not ({})")] + ["abs(x) == @c"]:
        for constant in constants:
            predicate = Predicate.parse(text, {"c": constant})
            low, high = predicate.bounds(table.schema).get("x", (None, None))
            for value in table.filter(pa.array(predicate.holds(table)))["x"].to_pylist():
                assert low is None or not value < low, (text, constant)
                assert high is None or not value > high, (text, constant)


def test_nanoseconds_of_times_are_not_dropped():
    times = pa.table(
        {"t": pa.array([1, 2, 3], pa.timestamp("ns")), "z": pa.array([1, 2, 3], pa.timestamp("ns", "UTC"))}
    )
    aware = pd.Timestamp(2, unit="ns", tz="UTC")
    for two in (np.datetime64(2, "ns"), pd.Timestamp(2, unit="ns")):
        for text, column, constant in (("t >= @two", "t", two), ("z >= @two", "z", aware), ("t in [@two]", "t", two)):
            predicate = Predicate.parse(text, {"two": constant})
            assert predicate.holds(times).tolist() == [False, True, " in " not in text]
            assert predicate.bounds(times.schema)[column][0].nanosecond == 2
    assert not Predicate.parse("t >= @none", {"none": pd.NaT}).holds(times).any()
    with pytest.raises(PlanError, match="is no timestamp"):
        Predicate.parse("t == @two", {"two": np.datetime64(2, "ns")}).check(
            pa.schema({"t": pa.timestamp("us")}), "a catalog"
        )
