"""Steps that choose epochs or order them, held against loops over rows of Python."""

import math

import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.lightcurves.choosing import Between, DropDuplicates, FirstDays, Good, InBands, Last, Sort
from lsdb_ts.schema import Roles
from tests.lightcurves.curvecases import KINDS, after, awkward, close, each, number, shape

CURVES = awkward(1)
N = len(CURVES)


def missing(value):
    return value is None or value != value


def is_number(value):
    return not missing(value) and math.isfinite(value)


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize(("by", "part"), [(None, "time"), ("flux", "psfFlux"), ("band", "band"), ("visit", "visit")])
def test_sorting_is_stable_and_puts_missing_values_last(by, part, ascending):
    def slow(curve):
        known = [e for e in curve if not missing(e[part])]
        ordered = sorted(known, key=lambda e: e[part])
        if not ascending:
            ordered = sorted(known, key=lambda e: e[part], reverse=True)
        return [*ordered, *(e for e in curve if missing(e[part]))]

    close(after(Sort(by, ascending), CURVES), each(CURVES, slow))


def test_large_integers_are_sorted_exactly():
    curve = [{**CURVES[2][0], "visit": v} for v in ((1 << 60) + 1, 1 << 60, (1 << 60) + 2)]
    (found,) = after(Sort("visit"), [curve])
    assert [e["visit"] - (1 << 60) for e in found] == [0, 1, 2]


@pytest.mark.parametrize("keep", ["first", "last", "smallest_error"])
@pytest.mark.parametrize("subset", [(), ("time",), ("band", "flags")])
def test_one_of_equal_epochs_stays(keep, subset):
    parts = subset or ("time", "band")

    def slow(curve):
        sets = {}
        for i, epoch in enumerate(curve):
            sets.setdefault(tuple(epoch[p] for p in parts), []).append(i)
        kept = {i for i, e in enumerate(curve) if any(missing(e[p]) for p in parts)}
        for key, members in sets.items():
            if any(missing(k) for k in key):
                continue

            def error(i):
                e = number(curve[i]["psfFluxErr"])
                return e if e > 0 and math.isfinite(e) else math.inf

            kept.add({"first": members[0], "last": members[-1], "smallest_error": min(members, key=error)}[keep])
        return [e for i, e in enumerate(curve) if i in kept]

    close(after(DropDuplicates(keep, subset), CURVES), each(CURVES, slow))


def test_good_epochs_have_no_flag_set():
    close(after(Good(), CURVES), each(CURVES, lambda c: [e for e in c if e["flags"] == 0]))
    bits = each(CURVES, lambda c: [e for e in c if e["flags"] is not None and not e["flags"] & 1])
    close(after(Good(bits=1), CURVES), bits)


def test_a_flag_may_be_true_or_false_but_no_fraction():
    kinds = {**KINDS, "flags": pa.bool_()}
    curves = each(CURVES, lambda c: [{**e, "flags": None if e["flags"] is None else bool(e["flags"])} for e in c])
    close(after(Good(), curves, shape(kinds)), each(curves, lambda c: [e for e in c if e["flags"] is False]))
    with pytest.raises(PlanError, match=r'write the condition with query, as in query\("flags < 0.5"\)'):
        Good().shape(shape({**KINDS, "flags": pa.float64()}))
    with pytest.raises(PlanError, match="is bool, and not an integer"):
        Good(bits=1).shape(shape(kinds))


def test_epochs_of_some_bands():
    close(after(InBands(("g", "i")), CURVES), each(CURVES, lambda c: [e for e in c if e["band"] in ("g", "i")]))
    assert not any(after(InBands(("u",)), CURVES))
    with pytest.raises(PlanError, match=r'the bands \[1\] are not string, as "band" is'):
        InBands((1,)).shape(shape())


def test_bands_in_a_dictionary_are_the_same_bands():
    kinds = {**KINDS, "band": pa.dictionary(pa.int32(), pa.string())}
    step = InBands(("r",))
    assert step.needs(shape(kinds)) == ("band",)
    from lsdb_ts.lightcurves.curves import Curves

    column = pa.array([{"band": ["r", "g", None, "r"]}])
    coded = pa.StructArray.from_arrays(
        [pa.ListArray.from_arrays([0, 4], column.field("band").flatten().dictionary_encode())], ["band"]
    )
    assert step(Curves.of(coded)).to_arrow().to_pylist() == [{"band": ["r", "r"]}]


def test_an_interval_of_time_has_both_its_ends():
    close(
        after(Between(60_010.0, 60_020.0), CURVES),
        each(CURVES, lambda c: [e for e in c if 60_010.0 <= number(e["time"]) <= 60_020.0]),
    )
    close(after(Between(), CURVES), each(CURVES, lambda c: [e for e in c if is_number(e["time"])]))


def test_bounds_may_be_columns_and_a_missing_one_leaves_no_epoch():
    starts = [None if i % 5 == 0 else 60_000.0 + i for i in range(N)]
    found = after(Between("start", 60_030.0), CURVES, start=starts)
    for curve, start, mine in zip(CURVES, starts, found, strict=True):
        assert (curve is None) == (mine is None)
        wanted = [e for e in curve or [] if start is not None and start <= number(e["time"]) <= 60_030.0]
        close([mine or []], [wanted])


@pytest.mark.parametrize("days", [1, 4, 16, 64])
def test_first_days_count_from_the_first_detection(days):
    def slow(curve):
        seen = [
            e["time"]
            for e in curve
            if is_number(e["time"]) and is_number(e["psfFluxErr"]) and e["psfFluxErr"] > 0
            if is_number(e["psfFlux"]) and e["psfFlux"] / e["psfFluxErr"] >= 9.0
        ]
        return [e for e in curve if seen and min(seen) - 2.0 <= number(e["time"]) <= min(seen) + days]

    close(after(FirstDays(days, snr=9.0, before_days=2.0), CURVES), each(CURVES, slow))


def test_first_days_count_from_a_trigger():
    triggers = [None if i % 4 == 0 else 60_010.0 for i in range(N)]
    found = after(FirstDays(4, since="trigger"), CURVES, trigger=triggers)
    for curve, trigger, mine in zip(CURVES, triggers, found, strict=True):
        close([mine or []], [[e for e in curve or [] if trigger and trigger <= number(e["time"]) <= trigger + 4]])
    assert after(FirstDays(4, since=60_010.0), CURVES)[2] == after(Between(60_010.0, 60_014.0), CURVES)[2]


def test_a_magnitude_is_detected_by_its_error():
    kinds = {"mjd": pa.float64(), "mag": pa.float32(), "magerr": pa.float32()}
    like = shape(kinds, Roles(time="mjd", mag="mag", mag_error="magerr"))
    curve = [
        {"mjd": t, "mag": m, "magerr": e} for t, m, e in [(1, 20, 0.3), (2, None, 0.1), (3, 20, 0.2), (9, 20, 0.1)]
    ]
    (found,) = after(FirstDays(1.0), [curve], like)
    assert [e["mjd"] for e in found] == [3.0]


@pytest.mark.parametrize("n", [0, 1, 3, 100])
def test_the_last_epochs(n):
    def slow(curve):
        known = [i for i, e in enumerate(curve) if is_number(e["time"])]
        chosen = set(sorted(known, key=lambda i: curve[i]["time"])[len(known) - min(n, len(known)) :])
        return [e for i, e in enumerate(curve) if i in chosen]

    close(after(Last(n), CURVES), each(CURVES, slow))


def test_the_last_days():
    def slow(curve):
        known = [e["time"] for e in curve if is_number(e["time"])]
        return [e for e in curve if known and number(e["time"]) >= max(known) - 7.5]

    close(after(Last(days=7.5), CURVES), each(CURVES, slow))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda: DropDuplicates("best"), "keeps one of first, last, smallest_error"),
        (lambda: FirstDays(-1.0), "must not be negative"),
        (lambda: Last(), "a number of epochs"),
        (lambda: Last(3, 4.0), "a number of epochs"),
        (lambda: DropDuplicates("smallest_error").shape(shape(roles=Roles(time="time", flux="psfFlux"))), "flux_error"),
        (lambda: FirstDays(3).shape(shape(roles=Roles(time="time", flux="psfFlux"))), "first_days without since="),
        (lambda: Good().shape(shape(roles=Roles(time="time"))), 'the role "quality"'),
        (lambda: Sort("colour").shape(shape()), 'sort: the light curves have no part "colour"'),
    ],
)
def test_what_cannot_be_done_is_told_when_the_step_is_named(step, message):
    with pytest.raises(PlanError, match=message):
        step()


def test_steps_ask_for_no_more_than_they_look_at():
    assert Sort().inputs(shape(), ("visit",)) == ("visit", "time")
    assert DropDuplicates("smallest_error").inputs(shape(), ()) == ("time", "band", "psfFluxErr")
    assert FirstDays(3, since="t0").inputs(shape(), ()) == ("time",)


def test_bands_may_be_bytes():
    kinds = {"time": pa.float64(), "band": pa.binary()}
    like = shape(kinds, Roles(time="time", band="band"))
    epochs = [{"time": 1.0, "band": b"g"}, {"time": 2.0, "band": b"r"}, {"time": 3.0, "band": None}]
    (found,) = after(InBands(("g",)), [epochs], like)
    assert found == epochs[:1]
