"""The plan: what is known before a row is moved, what it takes, and what is refused for it."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import OutputError, PlanError, SchemaError
from lsdb_ts.schema import Roles
from lsdb_ts.sky import spatial_index
from partitioner import Survey, Table, plan
from partitioner.account import ACCOUNT
from partitioner.planning import estimate
from partitioner.surveys.survey import Nested, VisitColumns

SKY = {"id": "id", "ra": "ra", "dec": "dec"}


def positions(n, seed=0, spread_deg=20.0):
    rng = np.random.default_rng(seed)
    return rng.uniform(100, 100 + spread_deg, n), rng.uniform(-spread_deg, 0, n)


def write(path, **columns):
    pq.write_table(pa.table(columns), path)
    return (str(path),)


@pytest.fixture
def stars(tmp_path):
    """1,000 stars of which 100, in a corner of the sky, have 50 times the epochs of the others."""
    ra, dec = positions(1000)
    rich = (ra < 107) & (dec < -13)
    epochs = np.repeat(np.arange(1000), np.where(rich, 500, 10))
    rng = np.random.default_rng(1)
    rows = {
        "star": epochs,
        "ra": ra[epochs] + rng.normal(0, 1e-5, epochs.size),
        "dec": dec[epochs] + rng.normal(0, 1e-5, epochs.size),
        "t": rng.uniform(6e4, 6.1e4, epochs.size),
        "flux": rng.normal(size=epochs.size),
    }
    parent = Table("star", write(tmp_path / "star.parquet", id=np.arange(1000), ra=ra, dec=dec), Roles(**SKY))
    child = Table("epoch", write(tmp_path / "epoch.parquet", **rows), Roles(parent_id="star", time="t"))
    return dataclasses.replace(parent, nest=(Nested("epoch", "lc"),)), child, (ra, dec, np.where(rich, 500, 10))


def planned_by_bytes(stars, tmp_path, roles, max_bytes):
    parent, child, _ = stars
    parent = dataclasses.replace(parent, max_bytes=max_bytes)
    child = dataclasses.replace(child, roles=Roles(parent_id="star", time="t", **roles))
    return plan(Survey("stars", (parent, child)), tmp_path / "out")


def true_bytes(planned, stars):
    """Return the bytes in memory of each leaf: 24 and 8 of a star, 40 of an epoch."""
    ra, dec, epochs = stars[2]
    leaf = planned.primary.layout.leaf_of(spatial_index(ra, dec))
    return np.bincount(leaf, weights=32 + epochs * 40.0, minlength=len(planned.primary.layout))


def test_partitions_are_as_large_as_asked_with_their_light_curves(stars, tmp_path):
    planned = planned_by_bytes(stars, tmp_path, {"ra": "ra", "dec": "dec"}, 200_000)
    true = true_bytes(planned, stars)

    assert true.max() < 2 * 200_000
    assert planned.primary.bytes == pytest.approx(true, rel=0.25)
    orders = planned.primary.layout.orders
    assert orders.max() > orders.min(), "the rich corner is split further"


def test_without_positions_light_curves_count_alike_for_every_object(stars, tmp_path):
    planned = planned_by_bytes(stars, tmp_path, {}, 200_000)

    assert planned.primary.bytes.sum() == pytest.approx(true_bytes(planned, stars).sum(), rel=0.25)
    each = planned.primary.bytes / planned.primary.counts
    assert each == pytest.approx(np.full(each.size, each[0]))


def test_a_crowd_finer_than_the_histogram_is_split(tmp_path):
    rng = np.random.default_rng(2)
    ra, dec = 100 + rng.uniform(0, 1e-4, 400), rng.uniform(0, 1e-4, 400)
    table = Table("star", write(tmp_path / "a.parquet", id=np.arange(400), ra=ra, dec=dec), Roles(**SKY), max_rows=50)

    made = plan(Survey("stars", (table,)), tmp_path / "out").primary

    assert made.counts.max() <= 50
    assert made.counts.sum() == 400
    assert len(made.dense) == 0


def test_rows_at_one_position_are_kept_together_and_named(tmp_path):
    ra, dec = np.append(np.full(400, 100.0), [10.0, 200.0]), np.append(np.full(400, -30.0), [0.0, 5.0])
    table = Table("star", write(tmp_path / "a.parquet", id=np.arange(402), ra=ra, dec=dec), Roles(**SKY), max_rows=50)

    told = plan(Survey("stars", (table,)), tmp_path / "out").to_json()["catalogs"][0]

    assert told["rows"] == 402
    assert told["largest_partition_rows"] == 400
    assert len(told["too_dense"]) == 1
    assert max(told["orders"]) < 3, "no deeper than it takes to part them from others"


def test_the_plan_tells_what_goes_in_what_comes_out_and_what_it_takes(raw, tmp_path):
    told = json.loads(json.dumps(plan(raw.survey, tmp_path / "out").to_json()))

    source = told["tables"]["source"]
    assert (source["files"], source["formats"], source["rows"]) == (4, ["parquet"], raw.sources.num_rows)
    assert source["file_bytes"] == sum(f.stat().st_size for f in raw.folder.glob("source-*.parquet"))
    primary, standalone = told["catalogs"]
    assert (primary["rows"], standalone["rows"]) == (raw.objects.num_rows, raw.sources.num_rows)
    assert primary["nested"] == {"source": "lc", "forced_source": "forced"}
    assert standalone["max_rows"] == 900
    needs = told["estimate"]
    assert needs["fits_disk"]
    moved = raw.objects.nbytes + 2 * raw.sources.nbytes + raw.forced.nbytes
    assert needs["scratch_bytes"] == pytest.approx(moved, rel=0.3)
    assert needs["disk_bytes"] == needs["scratch_bytes"] + needs["output_bytes"]
    assert needs["memory_bytes"] == estimate.memory_for(64 << 20, needs["threads"])
    assert needs["stream_bytes"] > 64 << 20
    assert 0 < needs["seconds"] < 60
    assert not (tmp_path / "out").exists()


def test_what_is_expected_on_disk_is_about_what_is_written(raw, finished):
    needs = plan(raw.survey, finished.parent / "new").estimate

    made = json.loads((finished / ACCOUNT).read_text())["catalogs"]
    written = sum(f.stat().st_size for f in finished.rglob("Npix=*.parquet") if "arcs" not in str(f))
    assert sum(c["bytes"] for c in made) == written
    # The leaves of this sky have a few rows each, and files their footers.
    assert 0.05 * written < needs.output_bytes < written


def test_work_that_does_not_fit_the_disk_is_refused_before_it_begins(raw, tmp_path, monkeypatch):
    from partitioner import carry_out

    monkeypatch.setattr(estimate, "free_bytes", lambda out: 1000)
    planned = plan(raw.survey, tmp_path / "out")

    assert not planned.to_json()["estimate"]["fits_disk"]
    with pytest.raises(
        OutputError, match=r"needs about .* KiB \(.* of scratch files, .* of result\), and .* 1000 B free"
    ):
        carry_out(planned)
    assert not (tmp_path / "out").exists()


def test_less_memory_makes_smaller_buckets_and_the_same_leaves(stars, tmp_path):
    little = estimate.memory_for(64 << 20, estimate.Workforce.now().threads)
    parent, child, _ = stars
    survey = Survey("stars", (parent, child))
    plenty = plan(survey, tmp_path / "out", memory=8 << 30)
    least = plan(survey, tmp_path / "out", memory=little)

    assert list(least.primary.layout) == list(plenty.primary.layout)
    assert least.inputs["epoch"].unit_bytes < plenty.inputs["epoch"].unit_bytes
    assert least.estimate.memory_bytes <= little
    with pytest.raises(PlanError, match=r"is too little for a worker with \d+ threads?: need at least"):
        plan(survey, tmp_path / "out", memory=little - (1 << 20))


def test_a_partition_that_no_worker_can_hold_is_not_held(stars, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "BATCH_BYTES", 1000)
    parent, child, _ = stars
    survey = Survey("stars", (dataclasses.replace(parent, max_rows=1000), child))
    memory = estimate.memory_for(2000, estimate.Workforce.now().threads)

    planned = plan(survey, tmp_path / "out", memory=memory)

    assert planned.primary.largest_bucket_bytes > 2000
    assert planned.estimate.stream_bytes == 2000
    assert planned.estimate.memory_bytes <= memory


@pytest.fixture
def visited(tmp_path):
    """Epochs that name their visit, and the visits that know the time."""
    ra, dec = positions(20)
    parent = Table("star", write(tmp_path / "star.parquet", id=np.arange(20), ra=ra, dec=dec), Roles(**SKY))
    rows = write(tmp_path / "epoch.parquet", star=np.arange(20), v=np.arange(20) % 5, flux=np.ones(20))
    looked_up = VisitColumns("visit", ("v", "visitId"), ("mjd", "m5"))
    child = Table("epoch", rows, Roles(parent_id="star", time="mjd"), {"limit": ("m5",)}, visit=looked_up)
    seen = write(tmp_path / "visit.parquet", visitId=np.arange(5), mjd=np.arange(5.0), m5=np.full(5, 24.0))
    visit = Table("visit", seen, Roles(time="mjd"), units={"mjd": "d"})
    return dataclasses.replace(parent, nest=(Nested("epoch", "lc"),)), child, visit


def test_columns_of_visits_are_columns_of_the_rows_and_play_roles_there(visited, tmp_path):
    planned = plan(Survey("stars", visited), tmp_path / "out")

    assert planned.inputs["epoch"].schema.names == ["star", "v", "flux"]
    assert planned.columns["epoch"].names == ["star", "v", "flux", "mjd", "m5"]
    assert planned.roles("epoch") == Roles(parent_id="star", time="mjd", flux="flux", limit="m5")
    assert [p.table for p in planned.products] == ["star"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"on": ("v", "visit")}, 'the table "visit" has no column "visit", which visit = ... of "epoch" names'),
        ({"on": ("w", "visitId")}, 'the table "epoch" has no column "w"'),
        ({"columns": ("mjd", "m6")}, 'has no column "m6", which visit = ... of "epoch" names; did you mean "m5"'),
        ({"on": ("flux", "visitId")}, '"flux" of the table "epoch" is double, "visitId" of "visit" is int64'),
    ],
)
def test_visits_that_cannot_be_looked_up_are_told_before_any_work(visited, tmp_path, change, complaint):
    parent, child, visit = visited
    child = dataclasses.replace(child, visit=dataclasses.replace(child.visit, **change))

    with pytest.raises(SchemaError) as caught:
        plan(Survey("stars", (parent, child, visit)), tmp_path / "out")

    assert complaint in str(caught.value)


def test_a_column_of_its_own_need_not_be_taken_from_visits(visited, tmp_path):
    parent, child, visit = visited
    write(tmp_path / "epoch.parquet", star=np.arange(20), v=np.arange(20) % 5, mjd=np.ones(20), m5=np.ones(20))

    with pytest.raises(SchemaError, match='the table "epoch" has a column "mjd" of its own'):
        plan(Survey("stars", (parent, child, visit)), tmp_path / "out")


def test_a_table_without_times_is_told_where_they_may_be(visited, tmp_path):
    parent, child, _ = visited
    child = dataclasses.replace(child, visit=None, roles=Roles(parent_id="star"), known_roles={"time": ("mjd", "jd")})

    with pytest.raises(
        SchemaError, match=r"no known time column \(none of mjd, jd\): add .* or take it from a table of"
    ):
        plan(Survey("stars", (parent, child)), tmp_path / "out")


def test_columns_to_nest_must_be_there(stars, tmp_path):
    parent, child, _ = stars
    parent = dataclasses.replace(parent, nest=(Nested("epoch", "lc", ("t", "fluxx")),))

    with pytest.raises(
        SchemaError, match='"epoch" has no column "fluxx", which is to be nested in "star"; did you mean'
    ):
        plan(Survey("stars", (parent, child)), tmp_path / "out")


def test_a_table_can_set_bad_rows_aside_where_others_may_have_none(tmp_path):
    ra, dec = positions(20)
    ra[3] = np.nan
    table = Table(
        "star", write(tmp_path / "a.parquet", id=np.arange(20), ra=ra, dec=dec), Roles(**SKY), on_bad="refuse"
    )

    planned = plan(Survey("stars", (table,)), tmp_path / "out")

    assert planned.refused == {"star": 1}
    assert planned.refuses("star")
