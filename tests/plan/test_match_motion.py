"""Matches at a common epoch equal brute force on moved positions, anywhere on the sky and in any layout."""

import numpy as np
import pyarrow as pa
import pytest
from astropy.time import Time

import lsdb_ts as lt
from lsdb_ts.catalog import Catalog
from lsdb_ts.catalog.matching import crossmatch
from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import Roles, with_unit
from lsdb_ts.sky import propagate
from lsdb_ts.store.memory import MemorySource
from tests.oracles import pairs_within
from tests.plan.matchcases import CENTRES, random_layout
from tests.store.catalogs import unsealed

RADIUS_ARCSEC = 2.0


def stars(name: str, seed: int, centre: tuple[float, float], n: int = 40) -> pa.Table:
    """Return fast stars within some arcseconds, at their own epochs; some without a proper motion."""
    rng = np.random.default_rng(seed)
    east, north = rng.normal(0, 5e3, (2, n))
    ra, dec = propagate(np.full(n, centre[0]), np.full(n, centre[1]), east, north, 1.0)
    pm_ra, pm_dec = (np.where(rng.random(n) < 0.2, np.nan, rng.normal(0, 300, n)) for _ in range(2))
    return pa.table(
        {
            f"{name}_id": np.arange(n),
            "ra": ra,
            "dec": dec,
            "pmra": pa.array(pm_ra, from_pandas=True),
            "pmdec": pm_dec,
            "ref_epoch": rng.uniform(1990, 2020, n),
        }
    )


def catalog(name: str, table: pa.Table, seed: int | None = None) -> Catalog:
    source = MemorySource.of_table(table, "ra", "dec", name)
    if seed is None:
        return Catalog(Scan(source))
    layout = random_layout(source.table["_healpix_29"].to_numpy(), 20.0, np.random.default_rng(seed))
    return Catalog(Scan(MemorySource(name, source.table, source.positions, layout)))


def moved(table: pa.Table, epoch: float):
    ra, dec, pm_ra, pm_dec, since = (table[c].to_numpy() for c in ("ra", "dec", "pmra", "pmdec", "ref_epoch"))
    return propagate(ra, dec, pm_ra, pm_dec, epoch - since)


def found(frame) -> set[tuple[int, int]]:
    return set(zip(frame.l_id.tolist(), frame.r_id.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(14))
def test_a_match_at_an_epoch_equals_brute_force_on_moved_positions(seed):
    centre = CENTRES[seed % len(CENTRES)]
    mine, theirs = stars("l", seed, centre), stars("r", seed + 1000, centre)
    rows, partners, separation = pairs_within(*moved(mine, 2026.0), *moved(theirs, 2026.0), RADIUS_ARCSEC)
    left, right = catalog("l", mine, seed), catalog("r", theirs, seed + 7)
    frame = left.crossmatch(right, RADIUS_ARCSEC, n_neighbors=None, epoch=2026.0).compute()
    assert found(frame) == set(zip(rows.tolist(), partners.tolist(), strict=True))
    assert len(frame) == rows.size > 3
    assert np.allclose(np.sort(frame._dist_arcsec), np.sort(separation), atol=1e-6)
    # Rows stay where their catalog has them, one left row's partners nearest first.
    assert frame.ra_l.tolist() == mine["ra"].to_numpy()[frame.l_id.to_numpy()].tolist()
    assert (frame.groupby("l_id")._dist_arcsec.diff().dropna() >= 0).all()
    outer = left.crossmatch(right, RADIUS_ARCSEC, how="outer", epoch=Time(2026.0, format="jyear")).compute()
    assert set(outer.l_id.dropna()) == set(mine["l_id"].to_pylist())
    assert set(outer.r_id.dropna()) == set(theirs["r_id"].to_pylist())
    nearest = [(i, j) for k, (i, j) in enumerate(zip(rows, partners, strict=True)) if k == 0 or rows[k - 1] != i]
    assert found(outer[outer.l_id.notna() & outer.r_id.notna()]) == set(nearest)


def test_only_the_side_with_proper_motions_moves():
    mine = stars("l", 1, (10.0, 20.0))
    still = pa.table(dict(zip(("r_id", "ra", "dec"), (np.arange(40), *moved(mine, 2030.5)), strict=True)))
    frame = catalog("l", mine).crossmatch(catalog("r", still), 0.001, epoch=2030.5).compute()
    assert found(frame) == {(i, i) for i in range(40)}
    assert found(catalog("r", still).crossmatch(catalog("l", mine), 0.001, epoch=2030.5).compute()) == found(frame)


@pytest.mark.parametrize(("unit", "factor"), [("arcsec/yr", 1e-3), ("deg / yr", 1 / 3.6e6), ("mas.yr**-1", 1.0)])
def test_proper_motions_are_taken_in_their_unit(unit, factor):
    mine, theirs = stars("l", 2, (0.0, -90.0)), stars("r", 3, (0.0, -90.0))
    scaled = mine
    for i, name in ((3, "pmra"), (4, "pmdec")):
        values = pa.array(mine[name].to_numpy() * factor)
        scaled = scaled.set_column(i, with_unit(pa.field(name, pa.float64()), unit), values)
    expected, frame = (
        catalog("l", t).crossmatch(catalog("r", theirs), RADIUS_ARCSEC, epoch=2026.0).compute() for t in (mine, scaled)
    )
    assert found(expected) == found(frame) != set()


def test_the_halo_is_as_wide_as_the_fastest_star_goes():
    mine = stars("l", 4, (45.0, 0.0))
    match = catalog("l", mine).crossmatch(catalog("r", stars("r", 5, (45.0, 0.0))), RADIUS_ARCSEC, epoch=2026.0)
    speed, years = np.hypot(*(np.nanmax(np.abs(mine[c].to_numpy())) for c in ("pmra", "pmdec"))), mine["ref_epoch"]
    farthest = speed * (2026.0 - min(years.to_pylist())) / 1e3
    assert match.plan.pairing.motions[0].reach_arcsec == pytest.approx(farthest)
    wider = catalog("l", mine).crossmatch(catalog("r", mine), 1.0, epoch=2026.0, max_proper_motion_mas_yr=2e4)
    assert wider.plan.pairing.reach_arcsec == pytest.approx(1 + 2 * 20 * (2026.0 - min(years.to_pylist())))


def test_a_star_faster_than_was_said_is_an_error_and_not_a_lost_pair():
    mine = catalog("l", stars("l", 4, (45.0, 0.0)))
    pairs = mine.crossmatch(mine, RADIUS_ARCSEC, epoch=2026.0, max_proper_motion_mas_yr=10.0)
    with pytest.raises(Exception, match=r"moves by .* mas/yr, more than max_proper_motion_mas_yr=10") as raised:
        pairs.compute()
    assert isinstance(raised.value, InputError) or "InputError" in str(raised.value)


def test_epochs_are_found_in_arguments_columns_and_properties(tmp_path):
    table = stars("l", 6, (10.0, 90.0)).drop_columns(["ref_epoch"])
    still = catalog("r", table.select(["l_id", "ra", "dec"]).rename_columns(["r_id", "ra", "dec"]))
    with pytest.raises(PlanError, match=r"give left_epoch=, for instance left_epoch=2016\.0"):
        catalog("l", table).crossmatch(still, 1.0, epoch=2026.0)
    told = catalog("l", table).crossmatch(still, 30.0, n_neighbors=None, epoch=2026.0, left_epoch=2000.0)
    stored = catalog("l", table).write(tmp_path / "l")
    file = tmp_path / "l" / "hats.properties"
    file.write_text(unsealed(file) + "hats_coordinate_epoch=J2000.0\n")
    opened = lt.open_catalog(tmp_path / "l").crossmatch(still, 30.0, n_neighbors=None, epoch=2026.0)
    expected = told.compute()
    assert sorted(expected._dist_arcsec) == sorted(opened.compute()._dist_arcsec)
    assert expected._dist_arcsec.max() > 1
    late = table.append_column("ref_epoch", pa.array(np.full(len(table), 57388.0)))
    with pytest.raises(PlanError, match="need Julian years"):
        catalog("l", late).crossmatch(still, 1.0, epoch=2026.0)
    assert stored.plan.count == len(table)


def test_roles_of_a_match_are_those_of_its_left_rows():
    gaia = catalog("gaia", stars("l", 8, (10.0, 20.0)))
    survey = catalog("survey", stars("r", 9, (10.0, 20.0)).select(["r_id", "ra", "dec"]))
    ahead, behind = gaia.crossmatch(survey, 1.0), survey.crossmatch(gaia, 1.0)
    assert "pmra" in ahead.columns
    assert "pmra" in behind.columns
    assert Roles.find(ahead.schema).pm_ra == "pmra"
    assert Roles.find(behind.schema).pm_ra is None
    third = catalog("third", stars("t", 10, (10.0, 20.0)).select(["t_id", "ra", "dec"]))
    assert ahead.crossmatch(third, 1.0, epoch=2026.0).plan.pairing.motions[0] is not None
    with pytest.raises(PlanError, match="has proper motions"):
        behind.crossmatch(third, 1.0, epoch=2026.0)


def test_motions_of_the_anchor_outlast_its_new_names():
    gaia, other = (catalog(n, stars(k, 8, (10.0, 20.0))) for n, k in (("gaia", "l"), ("other", "r")))
    third = catalog("third", stars("t", 11, (10.0, 20.0)).select(["t_id", "ra", "dec"]))
    triple = crossmatch([gaia, other, third], 1.0, how="left", epoch=2026.0)
    assert "pmra_gaia" in triple.columns
    assert triple.plan.pairing.motions[0].pm_ra == "pmra_gaia"
    one = gaia.crossmatch(third, 1.0, epoch=2026.0).compute()
    frame = triple.compute()
    kept = frame[frame.t_id.notna()]
    assert set(zip(kept.l_id, kept.t_id, strict=True)) == set(zip(one.l_id, one.t_id, strict=True)) != set()
    with pytest.raises(PlanError, match="has proper motions"):
        gaia.crossmatch(other, 1.0, how="outer").crossmatch(third, 1.0, epoch=2026.0)


def test_what_metadata_do_not_tell_must_be_said():
    mine = catalog("l", stars("l", 4, (45.0, 0.0)))
    hidden = mine.map_partitions(lambda frame: frame, rowwise=True)
    with pytest.raises(PlanError, match="give max_proper_motion_mas_yr="):
        hidden.crossmatch(mine, 1.0, epoch=2026.0, left_epoch=2016.0)
    with pytest.raises(PlanError, match="give left_epoch= if it is the same"):
        hidden.crossmatch(mine, 1.0, epoch=2026.0, max_proper_motion_mas_yr=1e3)
    with pytest.raises(PlanError, match="need 0 or more"):
        mine.crossmatch(mine, 1.0, epoch=2026.0, max_proper_motion_mas_yr=-1)
