"""Conditions mean what they mean to pandas, skip nothing that holds, and say what is wrong with them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.expression import Predicate

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
]
LOCALS = {"limit": np.float64(20.5), "bands": ["g", "i"], "three": np.int64(3), "several": {-3, 4}}


@pytest.mark.parametrize("text", LIKE_PANDAS)
def test_a_condition_means_what_it_means_to_pandas(text):
    expected = FRAME.query(" ".join(text.split()), engine="python", local_dict=LOCALS).index.to_numpy()
    predicate = Predicate.parse(text, LOCALS)
    assert np.array_equal(np.flatnonzero(predicate.holds(TABLE)), expected)
    assert 0 < expected.size < N
    assert set(predicate.columns) <= set(TABLE.column_names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abs(n) > 3", lambda t: np.abs(t["n"]) > 3),
        ("sqrt(m) < 2", lambda t: np.sqrt(t["m"]) < 2),
        ("log10(mag) > 1.3 and abs(n - 1) < 2", lambda t: (np.log10(t["mag"]) > 1.3) & (np.abs(t["n"] - 1) < 2)),
        ("-2.5 * log10(m) < -1", lambda t: -2.5 * np.log10(t["m"]) < -1),
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
    assert predicate.bounds == {"lc.band": ("g", "g"), "lc.flux": (1, None)}
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
        ("not mag < 20", {}),
        ("~(mag < 20)", {}),
        ("band not in ['g']", {}),
        ("mag != 3", {}),
        ("mag < err", {}),
        ("abs(mag) < 3", {}),
        ("mag.isna()", {}),
        ("n in []", {}),
    ],
)
def test_bounds_come_from_what_must_hold(text, bounds):
    assert dict(Predicate.parse(text, LOCALS).bounds) == bounds


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
    for name, (low, high) in predicate.bounds.items():
        values = rows.column(name).to_pylist()
        assert all(v is not None and (low is None or v >= low) and (high is None or v <= high) for v in values)


@settings(max_examples=20)
@given(texts())
def test_any_condition_of_the_language_means_what_it_means_to_pandas(text):
    expected = FRAME.query(text, engine="python").index.to_numpy()
    assert np.array_equal(np.flatnonzero(Predicate.parse(text).holds(TABLE)), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mag <", r'"mag <" is not a condition'),
        ("mag < 20)", "is not a condition"),
        ("", "is not a condition"),
        ("`mag < 20", "is not a condition"),
        ("mag <$ 20", "is not a condition"),
        ("mag = 20", "is not a condition"),
        ("mag if flag else n", "IfExp is not part"),
        ("[x for x in mag]", "ListComp is not part"),
        ("mag[0] < 3", "Subscript is not part"),
        ("mag // 2 == 3", "FloorDiv is not part"),
        ("lambda: 1", "Lambda is not part"),
        ("exp(mag) < 3", r'"exp\(mag\)" is not part of the query language; there are abs, sqrt, log10'),
        ("band.str.contains('g')", "is not part of the query language"),
        ("abs(mag, n) < 3", "is not part of the query language"),
        ("__import__('os').system('x')", "is not part of the query language"),
        ("mag < @unknown", "@unknown, and there is no variable of that name"),
        ("mag > 3 and mag > 'x'", "cannot be compared"),
        ("n in [1, 'g']", "cannot be compared"),
    ],
)
def test_a_text_that_is_no_condition_is_quoted_before_any_row_is_read(text, message):
    with pytest.raises(PlanError, match=message) as caught:
        Predicate.parse(text, LOCALS)
    assert text[:8] in str(caught.value)


@pytest.mark.parametrize(
    "text", ["mag", "mag + 1", "mag == 'bright'", "band < 3", "not mag", "flag and mag", "'g' in band", "n in 3"]
)
def test_a_condition_that_does_not_fit_the_columns_is_quoted(text):
    with pytest.raises(PlanError) as caught:
        Predicate.parse(text).holds(TABLE)
    assert f'"{text}"' in str(caught.value)


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
