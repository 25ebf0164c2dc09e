"""Verbs on light curves: what they read, what they give beside the same in pandas, and what stands above them."""

import pickle
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.time import Time

import lsdb_ts as lt
from lsdb_ts.catalog import Catalog
from lsdb_ts.errors import PlanError, RunError
from lsdb_ts.lightcurves.choosing import Good
from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.lightcurves.step import Choice
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.node import identity_of, produce, whole
from lsdb_ts.schema import Roles, unit_of, with_unit
from lsdb_ts.testing import assert_lazy, assert_reads
from tests.skycases import in_memory, objects_table, on_disk

N = 300
PARTS = ("midpointMjdTai", "band", "psfFlux", "psfFluxErr", "psfFlux_flag", "visit")


def nested(seed: int, most: int) -> pa.StructArray:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, most, N)
    offsets = np.append(0, np.cumsum(lengths)).astype(np.int32)
    n = int(offsets[-1])
    flux = rng.normal(300, 100, n).astype(np.float32)
    parts = {
        "midpointMjdTai": pa.array(np.round(rng.uniform(60_000, 60_040, n), 1)),
        "band": pa.array(rng.choice(list("gr"), n)),
        "psfFlux": pa.array(flux, mask=rng.random(n) < 0.05),
        "psfFluxErr": pa.array(rng.uniform(20, 40, n).astype(np.float32)),
        "psfFlux_flag": pa.array(rng.random(n) < 0.2),
        "visit": pa.array(rng.integers(0, 1 << 60, n)),
    }
    lists = [pa.ListArray.from_arrays(pa.array(offsets), values) for values in parts.values()]
    kind = pa.struct(
        [with_unit(pa.field(k, a.type), "nJy" if "Flux" in k else "d") for k, a in zip(parts, lists, strict=True)]
    )
    return pa.StructArray.from_arrays(lists, fields=list(kind), mask=pa.array(np.arange(N) == 11))


def survey_table() -> pa.Table:
    table = objects_table(N).append_column("lc", nested(3, 12)).append_column("detections", nested(4, 6))
    rng = np.random.default_rng(5)
    table = table.append_column("period", pa.array(rng.uniform(0.2, 5, N), mask=np.arange(N) % 9 == 0))
    table = table.append_column("trigger", pa.array(rng.uniform(60_000, 60_020, N)))
    return table.cast(Roles(id="objectId", ra="ra", dec="dec").tag(table.schema))


TABLE = survey_table()


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    return on_disk(tmp_path_factory.mktemp("curves"), TABLE, "survey", 60)


@pytest.fixture(scope="module", params=["one", "fine", "disk"])
def survey(request, disk):
    return {
        "one": lambda: in_memory(TABLE, "survey"),
        "fine": lambda: in_memory(TABLE, "survey", 20),
        "disk": lambda: disk,
    }[request.param]()


def epochs_of(catalog: Catalog, column: str = "lc") -> pd.DataFrame:
    """Return a row an epoch, with the id, period and trigger of its row, in numpy's types."""
    rows = []
    for row in catalog.to_arrow().to_pylist():
        curve = row[column] or {}
        base = {name: row[name] for name in ("objectId", "period", "trigger") if name in row}
        rows += [base | dict(zip(curve, values, strict=True)) for values in zip(*curve.values(), strict=True)]
    return pd.DataFrame(rows)


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Assert that two tables of epochs are equal, whatever the order of the rows."""
    columns = list(expected.columns)
    key = ["objectId", "midpointMjdTai", *(c for c in ("band", "visit") if c in columns)]
    one, other = (t[columns].sort_values(key, kind="stable", ignore_index=True) for t in (found, expected))
    assert len(other) > 0
    pd.testing.assert_frame_equal(one, other, rtol=1e-6, check_dtype=False)


ALL = epochs_of(in_memory(TABLE, "survey"))
"""Every epoch of the light curves."""


def plain(frame):
    return frame.drop(columns=["period", "trigger"])


def test_epochs_are_chosen_as_pandas_does(survey):
    faint = 250.0  # noqa: F841
    found = survey.curves("lc").query("band == 'g' and psfFlux > @faint and period < 2").good().assign()
    assert len(found) == N
    same(
        plain(epochs_of(found)),
        plain(ALL.query("band == 'g' and psfFlux > @faint and period < 2 and not psfFlux_flag")),
    )


def test_a_condition_may_be_of_all_epochs_and_of_other_columns(survey):
    found = (
        survey.curves()
        .query("psfFlux > 0.9 * psfFlux.max() and len(lc) > 3 and detections.psfFlux.count() >= 1")
        .assign()
    )
    known = epochs_of(survey, "detections").groupby("objectId")["psfFlux"].count()
    largest = ALL.groupby("objectId")["psfFlux"].transform("max")
    size = ALL.groupby("objectId")["visit"].transform("size")
    keep = (ALL["psfFlux"] > (0.9 * largest)) & (size > 3) & (ALL["objectId"].map(known) >= 1)
    same(plain(epochs_of(found)), plain(ALL[keep]))


def test_steps_see_what_the_steps_before_them_left(survey):
    found = survey.curves().query("band == 'g'").query("psfFlux == psfFlux.max()").assign()
    green = ALL[ALL["band"] == "g"]
    best = green[green["psfFlux"] == green.groupby("objectId")["psfFlux"].transform("max")]
    same(plain(epochs_of(found)), plain(best))


def test_steps_from_binning_to_magnitudes_are_those_of_pandas(survey):
    found = survey.curves().good().bin_nightly(-70.7).to_magnitude().query("mag < 25.2").assign()
    good = ALL[~ALL["psfFlux_flag"] & ALL["psfFlux"].notna()].astype({"psfFlux": float, "psfFluxErr": float})
    w = good["psfFluxErr"] ** -2.0
    good = good.assign(
        night=np.floor(good["midpointMjdTai"] - 70.7 / 360 + 0.5),
        w=w,
        wt=w * good["midpointMjdTai"],
        wf=w * good["psfFlux"],
        n=1,
    )
    bins = good.groupby(["objectId", "night", "band"], as_index=False)[["w", "wt", "wf", "n"]].sum()
    flux, error = bins["wf"] / bins["w"], bins["w"] ** -0.5
    flux = flux.where(flux > 0)
    expected = pd.DataFrame(
        {"objectId": bins["objectId"], "midpointMjdTai": bins["wt"] / bins["w"], "band": bins["band"], "n": bins["n"]}
    ).assign(mag=31.4 - 2.5 * np.log10(flux), mag_error=2.5 / np.log(10) * error / flux)
    same(plain(epochs_of(found)), expected[expected["mag"] < 25.2])


def test_first_days_and_folds_take_columns_of_the_row(survey):
    found = survey.curves().first_days(4, since="trigger").fold("period", "trigger").assign("early")
    assert epochs_of(found).equals(epochs_of(survey))
    since = ALL["midpointMjdTai"] - ALL["trigger"]
    early = ALL[(since >= 0) & (since <= 4)]
    expected = early.assign(phase=((early["midpointMjdTai"] - early["trigger"]) / early["period"]) % 1)
    same(plain(epochs_of(found, "early")), plain(expected))


def test_nothing_is_computed_before_it_is_asked_for_and_only_what_is_needed_is_read(disk):
    with assert_lazy():
        binned = disk.curves("lc").good().bin(1.0).assign()
        magnitudes = disk.curves("lc").fold("period").to_magnitude().sort().assign("mags")
        both = disk.curves("detections").merge(disk.curves("lc").good()).assign("all")
        binned.explain(), repr(binned), repr(disk.curves().good())
    time, band, flux, error, flag, visit = (f"lc.{part}" for part in PARTS)
    with assert_reads(["objectId", time, band, flux, error, flag]):
        binned[["objectId", "lc.psfFlux"]].compute()
    with assert_reads(["objectId"]):
        binned[["objectId"]].compute()
    with assert_reads([time, "period"]):
        magnitudes[["mags.phase"]].compute()
    with assert_reads([time, flux]):
        magnitudes[["mags.mag"]].compute()
    with assert_reads([visit, time]):
        magnitudes[["mags.visit"]].compute()
    with assert_reads([time, flag, visit, "detections.midpointMjdTai", "detections.visit"]):
        both[["all.visit"]].compute()
    with assert_reads(["objectId", "ra", "dec", time, visit]):
        disk.curves().explode("objectId")[["objectId", "midpointMjdTai", "visit", "ra", "dec"]].compute()
    with assert_reads([time]):
        disk.curves().cadence()[["cadence"]].compute()
    with assert_reads([time, flux, error, band]):
        disk.curves().in_bands("g").structure_function([0, 5, 50])[["structure_function"]].compute()


def test_conditions_on_rows_reach_the_files_below_the_steps(disk):
    steps = disk.curves().good().bin(1.0).assign()
    (asked,) = steps.query("mag < 16").plan.child.demands(
        whole(steps.plan).plus(rows={"mag": (None, 16), "lc": (0, 1)})
    )
    assert asked.rows == {"mag": (None, 16)}
    assert len(steps.query("mag < 16").compute()) == int((TABLE["mag"].to_numpy() < 16).sum())
    assert steps.plan.limits("mag") == disk.plan.limits("mag")
    assert steps.plan.limits("lc.psfFlux") is None
    assert steps.plan.count == disk.plan.count


def test_matches_and_queries_stand_above_the_steps(survey):
    other = survey.select("objectId", "ra", "dec")
    steps = survey.curves().query("band == 'r'").assign()
    with_halo = steps.crossmatch(other, n_neighbors=100, radius_arcsec=1.0, suffixes=("", "_other"))
    frame = with_halo.query("lc.psfFlux > 300 and objectId_other == objectId")
    same(plain(epochs_of(frame)), plain(ALL.query("band == 'r' and psfFlux > 300")))
    turned = other.crossmatch(steps, n_neighbors=100, radius_arcsec=1.0, suffixes=("_other", "")).query(
        "objectId_other == objectId"
    )
    same(plain(epochs_of(turned)), plain(ALL.query("band == 'r'")))


def test_a_halo_passes_through_the_steps(disk):
    node = disk.curves().good().assign().plan
    pixel = node.layout[0]
    made = produce(node, whole(node).at(pixel).plus(halo_arcsec=3600.0))
    below = produce(disk.plan, whole(disk.plan).at(pixel).plus(halo_arcsec=3600.0))
    assert made.core.tolist() == below.core.tolist()
    assert made.table["objectId"].equals(below.table["objectId"])


def test_bands_are_split_into_columns(survey):
    split = survey.curves("lc").good().split_by_band("gr")
    assert [c for c in split.columns if c.startswith("lc")] == ["lc_g", "lc_r"]
    for band in "gr":
        same(plain(epochs_of(split, f"lc_{band}")), plain(ALL.query("band == @band and not psfFlux_flag")))
    assert survey.curves("lc").split_by_band({"green": "g"}).columns[-1] == "lc_green"
    lists = survey.curves("lc").good().split_by_band("gr", as_lists=True)
    assert [c for c in lists.columns if c.startswith("lc_g")] == [f"lc_g_{p}" for p in PARTS if p != "band"]
    assert unit_of(lists.schema.field("lc_r_psfFlux")) == "nJy"
    one, other = (c.to_arrow().to_pylist() for c in (lists, split))
    for mine, theirs in zip(one, other, strict=True):
        for band in "gr":
            assert mine[f"lc_{band}_visit"] == (theirs[f"lc_{band}"] or {"visit": None})["visit"]
    with pytest.raises(PlanError, match='already has a column "lc_g"'):
        survey.curves("detections").assign("lc_g").curves("lc").split_by_band("g")


def test_forced_photometry_is_merged_with_detections(survey):
    merged = survey.curves("detections").merge(survey.curves("lc").good(), "first").assign("all")
    found = epochs_of(merged, "all")
    theirs = ALL[~ALL["psfFlux_flag"]].assign(source="lc")
    mine = epochs_of(survey, "detections").assign(source="detections")
    both = pd.concat([mine, theirs]).drop_duplicates(["objectId", "midpointMjdTai", "band"])
    same(plain(found), plain(both))
    assert "detections" in survey.columns
    other = survey.query("mag < 20")
    with pytest.raises(PlanError, match="lc is of another catalog"):
        survey.curves("detections").merge(other.curves("lc"))


def test_after_several_merges_epochs_still_tell_their_column(survey):
    both = survey.curves("lc").in_bands("g").assign("g").curves("lc").in_bands("r").assign("r")
    g, r, rest = both.curves("g"), both.curves("r"), both.curves("detections")
    one = epochs_of(g.merge(r).merge(rest).assign("all"), "all")
    other = epochs_of(rest.merge(g.merge(r)).assign("all"), "all")
    counts = {name: len(epochs_of(both, name)) for name in ("g", "r", "detections")}
    for found in (one, other):
        assert found["source"].value_counts().to_dict() == counts
        assert set(found.loc[found["source"] == "g", "band"]) == {"g"}
    alone = g.merge(r).merge(rest).assign("all")[["objectId", "all.source"]]
    assert sorted(epochs_of(alone, "all")["source"]) == sorted(one["source"])


def test_epochs_become_rows_and_rows_become_epochs_again(survey):
    steps = survey.curves("lc").query("band == 'g'").sort()
    rows = steps.explode(["objectId", "mag"])
    assert rows.columns == ["objectId", "mag", "ra", "dec", *PARTS]
    assert unit_of(rows.schema.field("psfFlux")) == "nJy"
    found = rows.to_arrow().to_pandas()
    green = ALL.query("band == 'g'")
    same(found.reset_index(drop=True)[["objectId", *PARTS]], green[["objectId", *PARTS]])
    back = survey.drop("lc").nest(rows.select("objectId", "ra", "dec", *PARTS), on="objectId", name="lc")
    same(plain(epochs_of(back))[["objectId", *PARTS]], green[["objectId", *PARTS]])


def test_exploded_rows_lie_where_their_objects_do(disk):
    rows = disk.curves("lc").explode(["objectId", "mag"])
    near = rows.crossmatch(disk.select("objectId", "ra", "dec"), radius_arcsec=1.0, suffixes=("_left", "_right"))
    frame = near.compute()
    assert frame["_dist_arcsec"].max() == 0
    assert len(frame) == len(ALL)
    assert len(rows.query("mag < 18")) == ALL["objectId"].isin(np.flatnonzero(TABLE["mag"].to_numpy() < 18)).sum()
    assert rows.plan.count is None
    assert len(rows) == len(ALL)


def test_what_is_forecast_of_exploded_rows_is_right_within_a_factor_of_two(disk):
    rows = disk.curves("lc").explode(["objectId", "mag"])
    told = rows.explain().lines[0].expected
    assert 0.5 < told.rows / len(ALL) < 2
    assert 0.5 < told.bytes / rows.to_arrow().nbytes < 2


def test_cadence_and_structure_functions_become_columns(survey):
    made = survey.curves("lc").in_bands("g").cadence().curves("lc").structure_function([0, 5, 50], name="sf")
    table = made.query("cadence.n_epochs > 1").to_arrow()
    counts = ALL.groupby("objectId")["band"].apply(lambda b: int((b == "g").sum()))
    assert sorted(table["objectId"].to_pylist()) == sorted(counts[counts > 1].index)
    for row in table.to_pylist():
        assert row["cadence"]["n_epochs"] == counts[row["objectId"]]
        assert len(row["sf"]["pairs"]) == 2
        assert len(row["lc"]["visit"]) >= counts[row["objectId"]]


def test_features_of_windows_become_a_nested_column(survey):
    made = survey.curves("lc").good().window_features(lt.FeatureSet.of(["mean", "n_epochs"], bands="gr"), 10.0)
    assert made.curves("windows").shape.roles.time == "time"
    for row in made.to_arrow().to_pylist():
        curve = row["lc"]
        if curve is None:
            assert row["windows"] is None
            continue
        good = [t for t, flag in zip(curve["midpointMjdTai"], curve["psfFlux_flag"], strict=True) if not flag]
        windows = {int((t - min(good)) // 10.0) for t in good}
        assert row["windows"]["time"] == pytest.approx([min(good) + 10.0 * k + 5.0 for k in sorted(windows)])
        assert sum(row["windows"]["n_epochs"]) == len(good)


def test_what_cannot_be_exploded_is_told(survey):
    with pytest.raises(PlanError, match="no base column of survey"):
        survey.curves("lc").explode("detections")
    both = survey.assign(visit="mag", visit_lc="mag")
    with pytest.raises(PlanError, match=r'two columns would be called "visit_lc".*rename'):
        both.curves("lc").explode(["visit", "visit_lc"])

    named = in_memory(TABLE, "survey").assign(visit="mag", **{"lc.visit_lc": "lc.psfFlux"})
    with pytest.raises(PlanError, match=r'two columns would be called "visit_lc".*rename'):
        named.curves("lc").explode("visit")


def test_without_an_id_all_base_columns_are_repeated():
    stars = pd.DataFrame({"star": [1, 2], "ra": [10.0, 20.0], "dec": [0.0, 0.0], "period": [0.5, 0.6]})
    epochs = pd.DataFrame({"star": [1, 2, 2], "mjd": [1.0, 2.0, 3.0], "mag": [20.0, 21.0, 22.0]})
    nested = lt.from_dataframe(stars).nest(epochs, on="star")
    rows = nested.drop(["star"]).curves().explode().compute()
    assert sorted(rows[["period", "mjd"]].to_numpy().tolist()) == [[0.5, 1.0], [0.6, 2.0], [0.6, 3.0]]
    assert sorted(nested.curves().explode().schema.names) == ["dec", "mag", "mjd", "ra", "star"]


def test_days_may_be_quantities(survey):
    lc = survey.curves("lc")
    assert lc.last(days=1 * u.week).steps == lc.last(days=7.0).steps
    assert lc.bin(36 * u.h).fold(2 * u.d).steps == lc.bin(1.5).fold(2.0).steps
    mean = lt.FeatureSet.of(["mean"], bands="gr")
    ones = [lc.window_features(mean, 1 * u.week), lc.structure_function([1, 2] * u.week)]
    others = [lc.window_features(mean, 7.0), lc.structure_function([7.0, 14.0])]
    ones.append(lc.cadence(season_gap_days=80 * u.d))
    others.append(lc.cadence(season_gap_days=80.0))
    assert [str(one.plan.identity()) for one in ones] == [str(other.plan.identity()) for other in others]


def test_a_part_named_as_a_base_column_is_kept_under_another_name(survey):
    rows = survey.assign(visit="mag").curves("lc").explode(["objectId", "visit"])
    found = rows[["objectId", "visit", "visit_lc"]].to_arrow().select(["objectId", "visit", "visit_lc"]).to_pandas()
    curves = survey[["objectId", "mag", "lc.visit"]].to_arrow().to_pylist()
    expected = [(row["objectId"], row["mag"], v) for row in curves for v in (row["lc"] or {"visit": []})["visit"]]
    assert sorted(found.itertuples(index=False, name=None)) == sorted(expected)
    roles = Roles.of(rows.schema)
    assert (roles.ra, roles.dec) == ("ra", "dec")


def test_results_can_be_written_and_know_roles_and_units_afterwards(disk, tmp_path):
    steps = disk.curves("lc").to_magnitude(limit_sigma=5).fold("period").assign("mags")
    again = steps.write(tmp_path / "mags")
    shape = again.curves("mags").shape
    assert (shape.roles.mag, shape.roles.mag_error, shape.roles.limit) == ("mag", "mag_error", "limit")
    assert (shape.roles.flux, shape.roles.time, shape.unit("mag")) == (None, "midpointMjdTai", "mag")
    pd.testing.assert_frame_equal(epochs_of(again, "mags"), epochs_of(steps, "mags"))


def test_features_of_magnitudes_have_their_unit(disk):
    features = lt.FeatureSet.fast("gr")
    made = disk.curves().to_magnitude().features(features)
    units = {unit_of(part) for part in made.schema.field("features_g").type}
    assert "mag" in units
    assert "nJy" not in units


def test_pipelines_are_identified_by_their_steps(disk):
    def identity(curves):
        return identity_of(curves.assign().plan)

    lc = disk.curves("lc")
    assert identity(lc.good().bin(1.0)) == identity(disk.curves("lc").good().bin(1.0))
    different = [
        lc.good(),
        lc.sort(),
        lc.bin(1.0),
        lc.bin(2.0),
        lc.good().bin(1.0),
        lc.bin(1.0).sort(),
    ]
    told = [str(identity(curves)) for curves in different]
    assert len(set(told)) == len(told)
    low, high = ({"limit": value} for value in (1.0, 2.0))
    assert identity(lc.query("psfFlux > @limit", low)) != identity(lc.query("psfFlux > @limit", high))


def test_plans_with_steps_travel_to_other_processes(survey):
    node = (
        survey.curves("detections")
        .merge(survey.curves("lc").query("psfFlux > 1").good())
        .sigma_clip()
        .assign("all")
        .plan
    )
    again = pickle.loads(pickle.dumps(node))
    pixel = node.layout[0]
    mine, theirs = (produce(n, whole(n).at(pixel)).table for n in (node, again))
    assert mine.equals(theirs)
    assert identity_of(again) == identity_of(node)


def test_a_dask_dataframe_computes_the_steps(disk):
    frame = disk.curves("lc").good().assign()[["objectId", "lc"]].to_dask().compute()
    found = {row["objectId"]: len(row["lc"]) for _, row in frame.iterrows() if isinstance(row["lc"], pd.DataFrame)}
    good = ALL[~ALL["psfFlux_flag"]].groupby("objectId").size()
    assert {i: n for i, n in found.items() if n} == good.to_dict()


@dataclass(frozen=True)
class EveryOther(Choice):
    """Each second epoch of a partition's; a step that a user writes."""

    start: int = 0

    def needs(self, before):
        return ()

    def __call__(self, curves: Curves) -> Curves:
        return curves.keep(np.arange(curves.n_epochs) % 2 == self.start)


@dataclass(frozen=True)
class Broken(Choice):
    def needs(self, before):
        return ()

    def __call__(self, curves: Curves) -> Curves:
        raise KeyError("no such thing")


def test_a_step_of_ones_own_is_taken_and_its_code_is_part_of_the_plan(disk):
    made = disk.curves("lc").apply(EveryOther(1)).assign()
    assert "code" in made.plan.identity()
    merged = disk.curves("detections").merge(disk.curves("lc").apply(EveryOther())).assign("all")
    assert "EveryOther" in merged.plan.identity()["code"]
    assert "code" not in disk.curves("lc").apply(Good()).assign().plan.identity()
    found = epochs_of(made)
    assert 0.4 < len(found) / len(ALL) < 0.6
    with pytest.raises(PlanError, match="not a function"):
        disk.curves("lc").apply(lambda curves: curves)
    broken = disk.curves("lc").apply(Broken()).assign()
    with pytest.raises(RunError, match=r"lc \| broken\(\) on Pixel\(\d+, \d+\) raised KeyError"):
        produce(broken.plan, whole(broken.plan).at(broken.layout[0]))


def test_the_steps_are_shown_with_roles_and_units(disk):
    shown = repr(disk.curves("lc").query("band == 'g'").to_magnitude())
    assert shown.splitlines() == [
        "light curves lc of survey",
        "  1. query(lc.band == 'g')",
        "  2. to_magnitude()",
        "  parts: midpointMjdTai (time, d), band (d), psfFlux_flag (quality, nJy), visit (d), mag, mag_error (mag)",
    ]
    assert "curves lc | query(lc.band == 'g') | to_magnitude()" in str(
        disk.curves("lc").query("band == 'g'").to_magnitude().assign().explain()
    )


def test_the_column_is_found_where_there_is_no_doubt():
    table = in_memory(TABLE, "survey")
    assert table.curves().column == "lc"
    assert table.drop("lc").curves().column == "detections"
    with pytest.raises(PlanError, match="it has none: nest its sources first"):
        table.select("objectId", "ra", "dec").curves()
    two = table.rename({"lc": "forced"})
    with pytest.raises(PlanError, match="there are forced, detections: name one"):
        two.curves()
    with pytest.raises(PlanError, match='"mag" is double and not a light curve'):
        table.curves("mag")
    with pytest.raises(PlanError, match=r'no column "lcs".*lc'):
        table.curves("lcs")


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (lambda lc: lc.query("bnd == 'g'"), r'no part "bnd" at this step.*did you mean "band"'),
        (lambda lc: lc.query("lc.bnd == 'g'"), r'no part "lc.bnd" at this step.*did you mean "lc.band"'),
        (lambda lc: lc.to_magnitude().query("psfFlux > 1"), 'no part "psfFlux" at this step'),
        (lambda lc: lc.assign("mag"), "no light curve, whose place"),
        (lambda lc: lc.cadence("mag"), 'already has a column "mag"'),
        (lambda lc: lc.cadence("detections"), 'already has a column "detections"'),
        (lambda lc: lc.query("psfFlux + 1"), "is double and not true or false|is float and not true or false"),
        (lambda lc: lc.query("psfFlux > detections.psfFlux"), "reduce"),
        (lambda lc: lc.query("psfFlux > @nothing"), "no variable of that name"),
        (lambda lc: lc.fold("perod"), 'no column "perod".*period'),
        (lambda lc: lc.fold("lc.psfFlux"), "fold needs a number for each row"),
        (lambda lc: lc.between("objectID"), "objectId"),
        (lambda lc: lc.detrend("median"), "needs its width"),
        (lambda lc: lc.detrend("cubic"), "or a degree"),
        (lambda lc: lc.assign("ra"), "place on the sky"),
        (lambda lc: lc.assign("lc.x"), "cannot be the name"),
        (lambda lc: lc.bin(1.0).good(), 'the role "quality"'),
        (lambda lc: lc.to_magnitude().to_magnitude(), 'the role "flux"'),
        (lambda lc: lc.drop_duplicates("colour"), 'no part "colour"'),
        (lambda lc: lc.in_bands(1), "are not string"),
        (lambda lc: lc.in_bands(["g", "r"]), r'name each as it is stored, as in in_bands\("g", "r"\)'),
        (lambda lc: lc.in_bands(), "no bands are named"),
        (lambda lc: lc.last(2.5), "a number of epochs"),
        (lambda lc: lc.between(60_010, 60_000), "to a later one; got 60010.0 to 60000.0"),
        (lambda lc: lc.bin("1d"), "width_days='1d' is no time"),
        (lambda lc: lc.between(Time(60_000.0, format="mjd")), "between=<Time object.* is no time.*its .mjd"),
        (lambda lc: lc.first_days(3 * u.m), "days=<Quantity 3. m> is no time"),
        (lambda lc: lc.merge(None), r'as catalog.curves\("..."\), and not a NoneType'),
        (lambda lc: lc.structure_function(10), "at least two of them"),
        (lambda lc: lc.features("fast"), "features takes a FeatureSet.*not 'fast'"),
        (lambda lc: lc.window_features("fast", 10.0), "window_features takes a FeatureSet"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_computed(verb, message):
    with pytest.raises(PlanError, match=message):
        verb(in_memory(TABLE, "survey").curves("lc"))


def test_verbs_that_light_curves_have_not_are_told():
    lc = in_memory(TABLE, "survey").curves("lc").last(3)
    with pytest.raises(AttributeError, match=r'"head" is a verb of catalogs: \.assign\(\)\.head'):
        lc.head()
    with pytest.raises(AttributeError, match='no verb "fltr" on light curves'):
        lc.fltr()
    with pytest.raises(AttributeError, match='no verb "lasts" on light curves; did you mean "last"'):
        lc.lasts(3)
    assert not hasattr(lc, "_repr_html_")
    assert pickle.loads(pickle.dumps(lc)).steps == lc.steps


def test_a_catalog_of_no_rows_has_the_same_schema():
    none = in_memory(TABLE, "survey").query("mag < 0")
    for made in (
        none.curves("lc").good().bin(1.0).to_magnitude().fold("period").assign(),
        none.curves("lc").sigma_clip().detrend(2).last(3).cadence(),
        none.curves("lc").merge("detections").explode(),
        none.curves("lc").split_by_band("gr"),
    ):
        table = made.compute()
        assert len(table) == 0
        assert list(table.columns) == made.columns


def test_rows_that_are_wanted_without_their_curves_cost_no_step():
    node = in_memory(TABLE, "survey").curves("lc").apply(Broken()).assign().plan
    (asked,) = node.demands(Demand(("objectId",), node.layout))
    assert asked.columns == ("objectId",)
    produce(node, Demand(("objectId",), node.layout).at(node.layout[0]))


def test_memory_is_planned_for_every_epoch_of_both_columns_of_a_merge(disk):
    alone = disk.curves("lc").sort().assign().explain().lines[0].expected
    both = disk.curves("detections").merge("lc").assign("all").explain().lines[0].expected
    none = disk.curves("lc").sort().assign()[["objectId"]].explain().lines[1].expected
    largest = max(len(epochs_of(disk.partitions[i])) for i in range(disk.npartitions))
    assert alone.peak - none.peak >= 100 * largest
    assert both.peak > alone.peak
