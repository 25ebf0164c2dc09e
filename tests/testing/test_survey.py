"""The simulated survey is what its docstring says: counts, positions, light curves, truth, and a reference catalog."""

import hashlib

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import OutputError
from lsdb_ts.schema import unit_of
from lsdb_ts.sky import propagate, separation_arcsec, spatial_index
from lsdb_ts.testing import EPOCH_JYEAR, REFERENCE_JYEAR, simulate_reference, simulate_survey

N = 1500


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return simulate_survey(tmp_path_factory.mktemp("raw") / "survey", N, seed=11, files_per_table=3)


@pytest.fixture(scope="module")
def frames(survey):
    return {
        name: ds.dataset(survey.files(name)).to_table().to_pandas() for name in ("object", "source", "forced_source")
    }


@pytest.fixture(scope="module")
def truth(survey):
    return pq.read_table(survey.truth).to_pandas().set_index("objectId")


def digest(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_equal_seeds_give_equal_files(tmp_path):
    made = [simulate_survey(tmp_path / name, 60, seed=seed).folder for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    assert digest(made[0]) == digest(made[1])
    assert digest(made[0]) != digest(made[2])


def test_a_folder_with_files_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not empty"):
        simulate_survey(tmp_path, 10)


def test_counts_are_those_of_the_files(survey, frames):
    assert len(frames["object"]) == survey.n_objects == N
    assert len(frames["source"]) == survey.n_sources
    assert len(frames["forced_source"]) == survey.n_forced_sources
    assert all(len(survey.files(name)) == 3 for name in frames)


def test_each_object_has_about_fifty_sources_and_a_hundred_forced_ones(survey):
    assert survey.n_sources / N == pytest.approx(50, abs=10)
    assert survey.n_forced_sources / N == pytest.approx(100, abs=3)


def test_ids_are_unique(frames):
    assert frames["object"]["objectId"].is_unique
    assert frames["source"]["sourceId"].is_unique
    assert frames["forced_source"]["forcedSourceId"].is_unique


def test_orphans_are_the_sources_of_no_object(survey, frames):
    known = frames["source"]["objectId"].isin(frames["object"]["objectId"])
    assert (~known).sum() == survey.n_orphans > 0
    assert frames["forced_source"]["objectId"].isin(frames["object"]["objectId"]).all()


def test_the_sky_crosses_ra_zero_and_holds_a_pole(frames):
    ra, dec = frames["object"]["coord_ra"], frames["object"]["coord_dec"]
    assert ((ra > 359) & (dec > -10)).any()
    assert ((ra < 1) & (dec > -10)).any()
    assert set((ra[dec < -89] // 90).astype(int)) == {0, 1, 2, 3}
    assert ((ra > 149) & (ra < 151)).any()


def test_some_sources_lie_in_another_pixel_than_their_object(frames):
    objects = frames["object"].set_index("objectId")
    sources = frames["source"][frames["source"]["objectId"].isin(objects.index)]
    home = objects.loc[sources["objectId"]]
    order_12 = [spatial_index(t["coord_ra"], t["coord_dec"]) >> (2 * 17) for t in (sources, home)]
    assert 0 < np.mean(order_12[0] != order_12[1]) < 0.05


def test_sources_are_five_sigma_detections_and_forced_fluxes_may_be_negative(frames):
    sources, forced = frames["source"], frames["forced_source"]
    assert (sources["psfFlux"] >= 5 * sources["psfFluxErr"] * (1 - 1e-12)).all()
    assert 0.01 < (forced["psfFlux"] < 0).mean() < 0.2
    assert set(forced["band"]) == set("ugrizy")


def test_errors_are_those_of_the_noise(frames, truth):
    forced = frames["forced_source"]
    stars = forced[forced["objectId"].map(truth["class"]) == "star"]
    groups = stars.groupby(["objectId", "band"])
    pull = (stars["psfFlux"] - groups["psfFlux"].transform("mean")) / stars["psfFluxErr"]
    n = groups["psfFlux"].transform("size")
    assert np.sqrt((pull**2 / (1 - 1 / n))[n > 5].mean()) == pytest.approx(1, abs=0.02)


def test_true_periods_fold_the_light_curves(frames, truth):
    forced = frames["forced_source"].sort_values("midpointMjdTai")
    stars = truth[truth["class"] == "rr_lyrae"]
    smoother = []
    for object_id, period in stars["period"].items():
        curve = forced[(forced["objectId"] == object_id) & (forced["band"] == "r")]
        flux = curve["psfFlux"].to_numpy()
        folded = flux[np.argsort(curve["midpointMjdTai"].to_numpy() / period % 1)]
        smoother.append(np.sum(np.diff(folded) ** 2) < 0.5 * np.sum(np.diff(flux) ** 2))
    assert np.mean(smoother) > 0.9


def test_only_periodic_classes_have_a_period(truth):
    periodic = truth["class"].isin(["rr_lyrae", "cepheid", "eclipsing_binary"])
    assert (truth["period"].notna() == periodic).all()
    assert truth["class"].nunique() == 7


def test_units_travel_with_the_columns(survey):
    schema = pq.read_schema(survey.files("source")[0])
    units = [unit_of(schema.field(c)) for c in ("coord_ra", "midpointMjdTai", "psfFlux")]
    assert units == ["deg", "d", "nJy"]


def test_the_survey_file_is_one_the_repartitioner_reads(survey):
    from partitioner import Survey

    described = Survey.read(survey.toml)
    assert described.primary.name == "object"
    assert {n.table: n.name for n in described.primary.nest} == {"forced_source": "lc", "source": "detections"}


def test_the_reference_catalog_matches_only_where_its_epoch_is_respected(survey, frames):
    reference = simulate_reference(survey.folder, seed=3)
    shared = reference.filter(pc.is_valid(reference["true_object_id"])).to_pandas()
    home = frames["object"].set_index("objectId").loc[shared["true_object_id"].astype("int64")]
    as_is = separation_arcsec(shared["ra"], shared["dec"], home["coord_ra"], home["coord_dec"])
    years = EPOCH_JYEAR - REFERENCE_JYEAR
    moved = propagate(shared["ra"], shared["dec"], shared["pmra"], shared["pmdec"], years)
    then = separation_arcsec(*moved, home["coord_ra"], home["coord_dec"])
    assert then.max() < 0.1
    assert as_is.max() > 1.0
    assert 0.1 < len(shared) / reference.num_rows < 0.9
    assert reference.equals(simulate_reference(survey.folder, seed=3))
