"""Epochs of two nested columns put together, held against lists of Python."""

import math
import pickle

import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.lightcurves.choosing import DropDuplicates, Good, Sort
from lsdb_ts.lightcurves.merging import Merge
from lsdb_ts.lightcurves.photometry import ToFlux
from lsdb_ts.lightcurves.pipeline import Pipeline
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.schema import Roles
from tests.lightcurves.curvecases import KINDS, array, awkward, close, rows_of, shape

FORCED = {
    "mjd": pa.float64(),
    "filter": pa.string(),
    "psfDiffFlux": pa.float32(),
    "err": pa.float32(),
    "flags": pa.int64(),
}
ROLES = Roles(time="mjd", band="filter", flux="psfDiffFlux", flux_error="err", quality="flags")
NAMES = {"mjd": "time", "filter": "band", "psfDiffFlux": "psfFlux", "err": "psfFluxErr", "flags": "flags"}
CURVES = awkward(6)


def forced_of(curves):
    """Return other curves with the names and types of forced photometry; one more is missing, and one less."""
    found = [
        None
        if c is None
        else [
            {old: _single(e[new]) if old in ("psfDiffFlux", "err") else e[new] for old, new in NAMES.items()} for e in c
        ]
        for c in curves
    ]
    found[3], found[5] = None, found[8]
    return found


def _single(value):
    return None if value is None else pa.scalar(value, pa.float32()).as_py()


THEIRS = forced_of(awkward(7))


def table():
    return pa.table({"detections": array(CURVES), "lc": array(THEIRS, FORCED)})


def merged(other_steps=(), **options):
    other = Pipeline("lc", shape(FORCED, ROLES), other_steps)
    return Pipeline("detections", shape()).then(Merge(other, ("detections", "lc")), **options)


def by_time(epochs):
    return sorted(epochs, key=lambda e: math.inf if e["time"] is None or e["time"] != e["time"] else e["time"])


def expected(theirs=THEIRS):
    found = []
    for mine, other in zip(CURVES, theirs, strict=True):
        if mine is None and other is None:
            found.append(None)
            continue
        epochs = [{**e, "source": "detections"} for e in mine or []]
        epochs += [{**{new: e[old] for old, new in NAMES.items()}, "visit": None, "source": "lc"} for e in other or []]
        found.append(by_time(epochs))
    return found


def test_the_epochs_of_both_come_in_order_of_time_with_their_source():
    out = merged().run(table())
    close(rows_of(out.to_arrow()), expected())
    assert [f.name for f in out.to_arrow().type] == [*KINDS, "source"]
    assert out.to_arrow().type.field("flags").type == pa.list_(pa.int64())
    assert Roles.of(merged().shape.type).items() == shape().roles.items()


def test_steps_of_the_other_column_are_taken_first():
    good = [None if c is None else [e for e in c if e["flags"] == 0] for c in THEIRS]
    close(rows_of(merged((Good(),)).run(table()).to_arrow()), expected(good))


def test_only_what_is_wanted_is_read_of_both():
    pipeline = merged((Good(),))
    assert pipeline.needs(("psfFlux",)) == (
        "detections.psfFlux",
        "detections.time",
        "lc.psfDiffFlux",
        "lc.mjd",
        "lc.flags",
    )
    assert pipeline.needs(("visit",)) == ("detections.visit", "detections.time", "lc.mjd", "lc.flags")
    alone = pipeline.run(table(), ("visit", "source")).only(("visit", "source")).to_arrow()
    whole = pipeline.run(table()).to_arrow()
    assert alone.field("visit").to_pylist() == whole.field("visit").to_pylist()
    assert alone.field("source").to_pylist() == whole.field("source").to_pylist()


def test_steps_follow_a_merge():
    pipeline = merged().then(DropDuplicates("smallest_error")).then(Sort("flux"))
    assert set(pipeline.needs(("source",))) == {
        *(f"detections.{n}" for n in ("time", "band", "psfFluxErr", "psfFlux")),
        *(f"lc.{n}" for n in ("mjd", "filter", "err", "psfDiffFlux")),
    }
    alone = pipeline.run(table(), ("source",)).only(("source",)).to_arrow()
    assert alone.field("source").to_pylist() == pipeline.run(table()).to_arrow().field("source").to_pylist()


def test_a_merge_can_be_merged_pickled_and_told():
    third = Merge(Pipeline("more", shape(), (Good(),)), ("both", "more"))
    pipeline = pickle.loads(pickle.dumps(merged().then(Merge(third.other, ("both", "more"), (True, False)))))
    out = pipeline.run(table().append_column("more", array(CURVES)))
    assert out.n_epochs == sum(len(c or []) for c in (*CURVES, *THEIRS)) + sum(
        sum(e["flags"] == 0 for e in c or []) for c in CURVES
    )
    assert pipeline.summary == "detections | merge(lc) | merge(more | good())"
    assert pipeline.identity()["steps"][1]["other"]["steps"][0]["step"] == "Good"


def test_limits_of_non_detections_are_merged_with_detections():
    kinds = {"mjd": pa.float64(), "band": pa.string(), "diffmaglim": pa.float64()}
    limits = shape(kinds, Roles(time="mjd", band="band", limit="diffmaglim"))
    pipeline = Pipeline("detections", shape()).then(Merge(Pipeline("none", limits), ("detections", "none")))
    rows = [[{"mjd": 60_000.0, "band": "g", "diffmaglim": 20.5}] for _ in CURVES]
    out = pipeline.run(pa.table({"detections": array(CURVES), "none": array(rows, kinds)}))
    assert (pipeline.shape.roles.limit, pipeline.shape.roles.flux) == ("diffmaglim", "psfFlux")
    for curve, mine in zip(CURVES, rows_of(out.to_arrow()), strict=True):
        assert [e["diffmaglim"] for e in mine if e["source"] == "none"] == [20.5]
        assert len(mine) == 1 + len(curve or [])


def test_what_does_not_belong_together_is_told():
    mags = shape({"mjd": pa.float64(), "mag": pa.float64()}, Roles(time="mjd", mag="mag"))
    with pytest.raises(
        PlanError, match=r"detections and lc share neither fluxes nor magnitudes: convert one with \.to_flux"
    ):
        Merge(Pipeline("lc", mags), ("detections", "lc")).shape(shape())
    assert Merge(Pipeline("lc", mags, (ToFlux(),)), ("a", "b")).shape(shape()).role("flux", "x") == "psfFlux"
    with pytest.raises(PlanError, match='"psfFlux" of a is in nJy and "psfDiffFlux" of b in uJy: convert one first'):
        Merge(Pipeline("lc", shape(FORCED, ROLES, "uJy")), ("a", "b")).shape(_with_unit_of_forced())
    with pytest.raises(PlanError, match='"band" of a is string and "filter" of b is int32: convert one with astype'):
        Merge(Pipeline("lc", shape({**FORCED, "filter": pa.int32()}, ROLES)), ("a", "b")).shape(shape())
    with pytest.raises(PlanError, match='two parts of b would become "psfFlux"'):
        Merge(Pipeline("lc", shape({**FORCED, "psfFlux": pa.float32()}, ROLES)), ("a", "b")).shape(shape())


@pytest.mark.parametrize("side", [0, 1])
def test_a_part_called_source_is_not_overwritten(side):
    kinds = [(KINDS, shape().roles), (FORCED, ROLES)]
    mine, theirs = (shape(k | ({"source": pa.string()} if i == side else {}), r) for i, (k, r) in enumerate(kinds))
    merge = Merge(Pipeline("lc", theirs), ("detections", "lc"))
    with pytest.raises(PlanError, match=f'merge: {("detections", "lc")[side]} has a part "source".*drop it'):
        merge.shape(mine)


def test_fluxes_with_zero_points_are_not_merged_with_others():
    kinds = {**KINDS, "zp": pa.float64()}
    scaled = shape(
        kinds, Roles(time="time", band="band", flux="psfFlux", flux_error="psfFluxErr", zero_point="zp"), None
    )
    with pytest.raises(PlanError, match=r"one has fluxes with zero points.*\.to_flux\(\)"):
        Pipeline("lc", shape()).then(Merge(Pipeline("other", scaled), ("lc", "other")))
    made = Pipeline("lc", shape()).then(ToFlux()).then(Merge(Pipeline("other", scaled, (ToFlux(),)), ("lc", "other")))
    assert made.shape.unit("flux") == "nJy"


def _with_unit_of_forced() -> Shape:
    return shape()
